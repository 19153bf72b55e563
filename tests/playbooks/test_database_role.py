# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role `database` over a real PostgreSQL and a real Redis that are there; to install them is Molecule's part."""

from __future__ import annotations

import re
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.probes import databases
from tests.support import postgresql, redis
from tests.support.playbooks import play, prepare
from tests.support.stacks import StackUnderTest, stack

PLANTED = "planted-'\\\"$5f:e%/@ ä"
PLAYBOOK = """
- hosts: all
  gather_facts: false
  roles: [rollcall.supervisor.database]
"""
Play = t.Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def server() -> t.Iterator[postgresql.Cluster]:
    with postgresql.cluster() as made:
        yield made


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    with stack({"web": {}}) as prepared:
        prepare(prepared)
        Path(prepared.root, "database.yml").write_text(PLAYBOOK, encoding="utf-8")
        yield prepared


def plays(made: StackUnderTest, *arguments: str, **variables: t.Any) -> subprocess.CompletedProcess[str]:
    """Run the role with all the words that Ansible has; the password is in none of them."""
    done = play(made, f"{made.root}/database.yml", "-vvv", "--diff", *arguments, **variables)
    for part in (PLANTED, "planted"):
        assert part not in done.stdout + done.stderr
    return done


def changes(done: subprocess.CompletedProcess[str]) -> t.Tuple[int, int]:
    """Return the exit code, and how many tasks have changed something."""
    found = re.search(r"changed=(\d+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    return done.returncode, int(found.group(1))


def wanted(server: postgresql.Cluster, **more: t.Any) -> t.Dict[str, t.Any]:
    admin = {"admin_account": "", "admin_role": postgresql.ADMIN, "admin_socket": server.directory}
    known = {"create": True, "name": 'the "shop"', "owner": "it's shop", "password": PLANTED, "port": server.port}
    return {"postgresql": {**known, **admin, **more}}


def test_the_role_and_the_database_are_made_once_and_check_mode_says_so_before(
    made: StackUnderTest, server: postgresql.Cluster
) -> None:
    database = wanted(server)

    announced = plays(made, "--check", rollcall_database=database)
    assert changes(announced) == (0, 1)
    assert "would see to role, database" in announced.stdout
    assert server.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'it''s shop'") == "0"

    assert changes(plays(made, rollcall_database=database)) == (0, 1)
    assert (
        server.sql(
            "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding) FROM pg_database "
            "WHERE datname = 'the \"shop\"'"
        )
        == "it's shop|UTF8"
    )
    assert server.sql("SELECT left(rolpassword, 14) FROM pg_authid WHERE rolname = 'it''s shop'") == "SCRAM-SHA-256$"

    assert changes(plays(made, rollcall_database=database)) == (0, 0)
    assert changes(plays(made, "--check", rollcall_database=database)) == (0, 0)


@pytest.mark.long
@pytest.mark.fault(47)
def test_another_password_and_another_owner_are_set(made: StackUnderTest, server: postgresql.Cluster) -> None:
    names = {"name": "mine", "owner": "me"}
    assert changes(plays(made, rollcall_database=wanted(server, password="before", **names)))[0] == 0

    announced = plays(made, "--check", rollcall_database=wanted(server, **names))
    assert "would see to password" in announced.stdout
    assert changes(plays(made, rollcall_database=wanted(server, **names))) == (0, 1)
    assert changes(plays(made, rollcall_database=wanted(server, **names))) == (0, 0)
    # Nothing of it is in the server's own log, not even when it is told to log every statement.
    server.sql("ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf()")
    other = wanted(server, name="mine", owner="someone")
    assert changes(plays(made, rollcall_database=other)) == (0, 1)
    assert server.sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'mine'") == "someone"
    assert "planted" not in Path(server.directory, "log").read_text(encoding="utf-8")


def test_an_existing_database_is_only_asked(made: StackUnderTest, server: postgresql.Cluster) -> None:
    server.sql(f"CREATE ROLE theirs LOGIN PASSWORD '{PLANTED.replace(chr(39), chr(39) * 2)}'")
    server.sql("CREATE DATABASE theirs OWNER theirs")
    known = {"name": "theirs", "password": PLANTED, "port": server.port}

    assert changes(plays(made, rollcall_database={"postgresql": known})) == (0, 0)

    refused = plays(made, rollcall_database={"postgresql": {**known, "password": f"x{PLANTED}"}})
    assert refused.returncode != 0
    assert "The database of the application: 127.0.0.1:" in refused.stdout
    assert 'password refused for user "theirs", or there is no such role' in refused.stdout


def test_a_server_that_cannot_be_administered_is_told(made: StackUnderTest, server: postgresql.Cluster) -> None:
    failed = plays(made, rollcall_database=wanted(server, admin_role="nobody-knows-me"))
    assert failed.returncode != 0
    assert "PostgreSQL cannot be administered on here" in failed.stdout


def test_what_the_server_does_not_make_is_told_in_its_words(made: StackUnderTest, server: postgresql.Cluster) -> None:
    failed = plays(made, rollcall_database=wanted(server, name="stock", owner="pg_stock"))

    assert failed.returncode != 0
    said = " ".join(failed.stdout.split())
    assert "PostgreSQL: role, database could not be made: " in said
    assert 'role name "pg_stock" is reserved' in said

    assert changes(plays(made, rollcall_database=wanted(server, name="stock", owner="stock"))) == (0, 1)


def test_on_an_unknown_system_nothing_is_installed(made: StackUnderTest, server: postgresql.Cluster) -> None:
    server.sql(f"CREATE ROLE own LOGIN PASSWORD '{PLANTED.replace(chr(39), chr(39) * 2)}'")
    server.sql("CREATE DATABASE own OWNER own")
    known = {"name": "own", "password": PLANTED, "port": server.port}

    # Whatever this machine is, the role is to take it for one that it does not know.
    unknown = ("-e", "__database_family=Void")
    refused = plays(made, *unknown, rollcall_database={"postgresql": {**known, "install": True}})
    assert refused.returncode != 0
    said = " ".join(refused.stdout.split())
    assert "are called in Void is not known here. Install them yourself, and leave out install." in said

    assert changes(plays(made, *unknown, rollcall_database={"postgresql": known})) == (0, 0)


@pytest.mark.parametrize(
    ("database", "words"),
    [
        ({"name": ""}, "names no database"),
        ({"name": "x", "password": "planted\n"}, "has a control character"),
        ({"nmae": "x"}, "database_postgresql.nmae. Supported parameters include"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(
    made: StackUnderTest, database: t.Dict[str, str], words: str
) -> None:
    failed = plays(made, rollcall_database={"postgresql": database})
    assert failed.returncode != 0
    assert words in failed.stdout


def test_a_redis_is_asked_with_its_password(made: StackUnderTest) -> None:
    with redis.running("--requirepass", PLANTED) as server:
        known = {"port": server.port, "password": PLANTED}
        assert changes(plays(made, rollcall_redis=known)) == (0, 0)
        refused = plays(made, rollcall_redis={"port": server.port})
        assert refused.returncode != 0
        assert "it wants a password" in refused.stdout
        impossible = plays(made, rollcall_redis={"port": server.port, "password": "planted\n"})
        assert impossible.returncode != 0
        assert "has a control character" in impossible.stdout


def test_nothing_is_done_where_no_database_is_named(made: StackUnderTest) -> None:
    assert changes(plays(made)) == (0, 0)


def test_the_url_of_the_role_is_one_that_the_check_reads(server: postgresql.Cluster) -> None:
    answer = databases.ask_url(
        "postgresql", f"postgresql:///?host={server.directory}&port={server.port}&user=admin&dbname=postgres"
    )
    assert answer.ok, answer.detail
