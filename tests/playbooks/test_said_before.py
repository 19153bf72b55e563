# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no way back takes back is said before it is done, in check mode as well, and once more by the way back."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.support import postgresql
from tests.support.playbooks import outcome, play, prepare
from tests.support.releases import write
from tests.support.stacks import APP, stack

pytestmark = pytest.mark.usefixtures("bystander")


def words(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stdout.split())


def test_what_comes_before_the_switch_is_said_to_stay(tmp_path: Path) -> None:
    code = write(tmp_path / "code", {"app.py": Path(APP).read_text(encoding="utf-8"), "VERSION": "one"})
    with stack({"web": {"directory": "current"}}) as made:
        made.raw["services"]["web"]["command"] = [made.program, "app.py", "{name}"]
        log = Path(made.root, "migrated")
        migrate = ["sh", "-c", f"cat VERSION >> {log}; echo >> {log}"]
        told = f"sh -c cat VERSION >> {log}; echo >> {log}"
        release = {"source": str(code), "before_switch": [migrate]}

        def site(*arguments: str) -> subprocess.CompletedProcess[str]:
            prepare(made)
            return play(made, "playbooks/site.yml", *arguments, rollcall_release=release)

        assert site().returncode == 0
        write(code, {"VERSION": "two", "app.py": "raise SystemExit('two is broken')"})

        announced = site("--check")

        assert announced.returncode == 0, announced.stdout
        before = f"What they change outside of the release stays, also when the run goes back: {told}"
        assert before in words(announced)
        note = f"no way back takes back what this changes outside of the release: {told}"
        assert note in outcome(made)["notes"]
        assert log.read_text(encoding="utf-8").split() == ["one"]

        failed = site()

        said = words(failed)
        assert "ROLLED BACK" in said, failed.stdout
        assert said.index(before) < said.index("Bring the release, build it, and run what comes before the switch")
        assert f"what this has changed outside of the release stays: {told}" in outcome(made)["notes"]
        assert log.read_text(encoding="utf-8").split() == ["one", "two"]


def test_what_a_oneshot_changes_is_said_to_stay() -> None:
    with stack({"migrate": {"kind": "oneshot", "command": ["/bin/true"]}, "web": {}}) as made:
        prepare(made)
        assert play(made, "site.yml").returncode == 0
        assert not [note for note in outcome(made)["notes"] if "oneshot" in note]
        made.raw["services"]["migrate"]["env"] = {"VERSION": "2"}
        made.raw["services"]["web"]["command"] = ["/bin/false"]
        prepare(made)

        assert play(made, "site.yml", "--check").returncode == 0
        assert "no way back takes back what the oneshot migrate changes" in outcome(made)["notes"]

        failed = play(made, "site.yml")

        assert "ROLLED BACK" in failed.stdout
        assert "what the oneshot migrate has changed, where it came to run, stays" in outcome(made)["notes"]


@pytest.fixture(scope="module")
def server() -> t.Iterator[postgresql.Cluster]:
    with postgresql.cluster() as made:
        yield made


@pytest.mark.long
def test_a_database_that_is_made_is_said_to_stay(server: postgresql.Cluster) -> None:
    with stack({"web": {"command": ["/bin/false"]}}) as made:
        admin = {"admin_account": "", "admin_role": postgresql.ADMIN, "admin_socket": server.directory}
        known = {"create": True, "name": "shop", "password": "word", "port": server.port, **admin}

        def site(*arguments: str) -> subprocess.CompletedProcess[str]:
            prepare(made)
            return play(made, "site.yml", *arguments, rollcall_database={"postgresql": known})

        stays = "No way back removes the role and the database that is made."
        announced = words(site("--check"))
        assert f"PostgreSQL: would see to role, database. {stays}" in announced, announced

        failed = site("-e", "on_failure=rollback")

        assert f"PostgreSQL: sees to role, database. {stays}" in words(failed)
        assert "Packages and databases stay." in words(failed)
        assert server.sql("SELECT count(*) FROM pg_database WHERE datname = 'shop'") == "1"
