# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an install changes outside of its generation is taken back when the run goes back, over a real PostgreSQL."""

from __future__ import annotations

import copy
import os
import typing as t
from pathlib import Path

import pytest

from tests.support import postgresql
from tests.support.playbooks import play, prepare
from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, stack, two_services
from tests.support.victims import victim

pytestmark = pytest.mark.usefixtures("bystander")


@pytest.fixture(scope="module")
def server() -> t.Iterator[postgresql.Cluster]:
    with postgresql.cluster() as made:
        yield made


class Application:
    """A stack whose service has a database and a file of credentials; ``site`` installs it with a password.

    Args:
        made: the stack.
        server: where the database is.
        name: of the database and of its role.
    """

    def __init__(self, made: StackUnderTest, server: postgresql.Cluster, name: str = "shop") -> None:
        self.made, self.server, self.name = made, server, name
        made.raw["checks"] = {"database": {"postgresql": {"service": "web"}}}

    def site(self, password: str, *arguments: str, file: str = "credentials/feed.pem", **database: t.Any) -> t.Any:
        server = self.server
        url = f"postgresql://{self.name}:{password}@{server.host}:{server.port}/{self.name}"
        self.made.raw["services"]["web"]["secrets"] = {"DATABASE_URL": url}
        prepare(self.made)
        admin = {"admin_account": "", "admin_role": postgresql.ADMIN, "admin_socket": server.directory}
        known = {"create": True, "name": self.name, "password": password, "port": server.port}
        return play(
            self.made,
            "site.yml",
            *arguments,
            rollcall_database={"postgresql": {**known, **admin, **database}},
            rollcall_credentials={file: password},
        )

    def state(self) -> t.Tuple[t.Any, ...]:
        """Return what a test may change: of the server, of the host, and which generation runs."""
        role = self.server.sql(f"SELECT rolpassword, rolcanlogin FROM pg_authid WHERE rolname = '{self.name}'")
        generation = os.path.basename(os.readlink(self.made.paths.etc))
        return role, self.owner(), self.credentials(), self.undo(), generation, self.made.status()["ok"]

    def verifier(self) -> str:
        return self.server.sql(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{self.name}'")

    def owner(self) -> str:
        return self.server.sql(f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{self.name}'")

    def credentials(self) -> str:
        return Path(self.made.root, "credentials", "feed.pem").read_text(encoding="utf-8")

    def undo(self) -> t.List[str]:
        place = Path(self.made.paths.state, "undo")
        return sorted(os.listdir(place)) if place.exists() else []


class Lasting:
    """An application for one test after the other, which is installed anew where a test has left another state."""

    def __init__(self, made: StackUnderTest, server: postgresql.Cluster) -> None:
        self.one = Application(made, server)
        self._raw = copy.deepcopy(made.raw)
        self._state: t.Tuple[t.Any, ...] = ()

    def installed(self) -> Application:
        """Return it as it is when it is installed with the password ``first-word``."""
        self.one.made.raw = copy.deepcopy(self._raw)
        if not self._state or self.one.state() != self._state:
            done = self.one.site("first-word")
            assert done.returncode == 0, done.stdout
            self._state = self.one.state()
            assert self.one.undo() == []
        return self.one


@pytest.fixture(scope="module")
def lasting(server: postgresql.Cluster) -> t.Iterator[Lasting]:
    with stack(two_services()) as made:
        yield Lasting(made, server)
    server.sql("DROP DATABASE IF EXISTS shop; DROP ROLE IF EXISTS shop")


@pytest.fixture
def application(lasting: Lasting) -> Application:
    """An application that is installed with the password ``first-word``."""
    return lasting.installed()


def test_a_password_that_was_rotated_is_set_back_with_the_generation(application: Application) -> None:
    before, made = application.verifier(), application.made
    announced = application.site("second-word", "--check")
    assert "A run that goes back sets the password back" in " ".join(announced.stdout.split())
    made.raw["services"]["worker"]["command"] = ["/bin/false"]

    failed = application.site("second-word")

    assert "ROLLED BACK" in failed.stdout, failed.stdout
    assert "ROLLBACK FAILED" not in failed.stdout
    assert "note: the password of the database's role shop was taken back" in failed.stdout
    assert "note: the file credentials/feed.pem was taken back" in failed.stdout
    assert "second-word" not in failed.stdout
    assert (application.verifier(), application.credentials()) == (before, "first-word")
    assert made.status()["ok"]

    del made.raw["services"]["worker"]["command"]
    done = application.site("second-word")

    assert done.returncode == 0, done.stdout
    assert (application.verifier() != before, application.credentials()) == (True, "second-word")
    assert application.undo() == [], "what is verified is not taken back any more"
    assert "changed=0" in application.site("second-word").stdout


def test_a_run_that_is_refused_leaves_the_services_with_what_they_had(application: Application) -> None:
    before, made = application.verifier(), application.made
    with victim("listen", free_port()) as stranger:
        made.raw["services"]["worker"]["port"] = stranger.port

        refused = application.site("second-word")

        assert refused.returncode == 2
        assert "the password of the database's role shop was taken back." in refused.stdout
        assert (application.verifier(), application.credentials()) == (before, "first-word")
        assert made.status()["ok"]


@pytest.mark.long
def test_who_leaves_what_failed_goes_back_with_all_of_it_later(application: Application) -> None:
    before, made = application.verifier(), application.made
    made.raw["services"]["worker"]["command"] = ["/bin/false"]
    assert application.site("second-word", "-e", "on_failure=leave").returncode == 2
    assert application.verifier() != before
    # The same again changes nothing of what leads back.
    assert application.site("third-word", "-e", "on_failure=leave").returncode == 2

    report = made.perform("rollback", installed=True)

    assert report["ok"], report["checks"]
    assert "the password of the database's role shop was taken back" in report["notes"]
    assert (application.verifier(), application.credentials()) == (before, "first-word")


@pytest.mark.long
def test_an_install_that_ends_before_its_run_takes_back_what_it_has_changed(application: Application) -> None:
    before, made = application.verifier(), application.made

    # A path that no file of credentials can have ends it between the database and the run.
    failed = application.site("second-word", file="feed.pem")

    assert failed.returncode == 2
    assert "Refuse paths outside of the stack's root" in failed.stdout
    assert application.verifier() == before, failed.stdout
    assert made.status()["ok"]


@pytest.mark.long
def test_the_owner_of_a_database_is_set_back_with_the_generation(application: Application) -> None:
    made, server = application.made, application.server
    server.sql("CREATE ROLE \"the 'old' \\owner\"; ALTER DATABASE shop OWNER TO \"the 'old' \\owner\"")
    try:
        announced = " ".join(application.site("first-word", "--check").stdout.split())
        assert "would see to owner. A run that goes back sets the owner back." in announced
        assert application.owner() == "the 'old' \\owner"
        made.raw["services"]["worker"]["command"] = ["/bin/false"]

        failed = application.site("first-word")

        assert "note: the owner of database shop was taken back" in failed.stdout, failed.stdout
        assert "ROLLBACK FAILED" not in failed.stdout
        assert application.owner() == "the 'old' \\owner"
        assert made.status()["ok"]

        del made.raw["services"]["worker"]["command"]
        assert application.site("first-word").returncode == 0
        assert (application.owner(), application.undo()) == ("shop", [])
    finally:
        server.sql("ALTER DATABASE shop OWNER TO shop; DROP ROLE \"the 'old' \\owner\"")


def test_a_role_that_had_no_password_and_no_right_to_log_in_has_none_again(application: Application) -> None:
    made, server = application.made, application.server
    server.sql("ALTER ROLE shop NOLOGIN PASSWORD NULL")
    made.raw["services"]["worker"]["command"] = ["/bin/false"]

    failed = application.site("second-word")

    assert "the password of the database's role shop was taken back" in failed.stdout, failed.stdout
    assert server.sql("SELECT rolcanlogin, rolpassword IS NULL FROM pg_authid WHERE rolname = 'shop'") == "f|t"


@pytest.mark.long
def test_a_password_that_nobody_may_read_is_said_to_stay_before_it_is_set(application: Application) -> None:
    made, server = application.made, application.server
    before = application.verifier()
    server.sql("CREATE ROLE trusted LOGIN CREATEROLE; GRANT shop TO trusted WITH ADMIN OPTION")
    account = {"admin_role": "trusted", "admin_socket": server.host}
    try:
        announced = " ".join(application.site("second-word", "--check", **account).stdout.split())
        assert "No way back sets back the password of the role shop" in announced, announced
        assert application.verifier() == before
        said = " ".join(application.site("second-word", **account).stdout.split())
        assert "PostgreSQL: sees to password. No way back sets back the password of the role shop" in said, said
    finally:
        server.sql("DROP ROLE trusted")
    assert made.status()["ok"]


@pytest.mark.long
def test_what_a_first_install_has_set_is_taken_back_with_it(server: postgresql.Cluster) -> None:
    server.sql("CREATE ROLE store LOGIN PASSWORD 'theirs'; CREATE DATABASE store")
    try:
        with stack(two_services()) as made:
            application = Application(made, server, "store")
            before = application.verifier(), application.owner()
            made.raw["services"]["worker"]["command"] = ["/bin/false"]

            failed = application.site("second-word", "-e", "on_failure=rollback")

            assert failed.returncode == 2
            said = " ".join(failed.stdout.split())
            assert "The password of the database's role store was taken back. " in said, failed.stdout
            assert "The owner of database store was taken back." in said
            assert (application.verifier(), application.owner()) == before
            assert not Path(made.command).exists()
    finally:
        server.sql("DROP DATABASE store; DROP ROLE store")
