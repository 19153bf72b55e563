# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults 31 and 47 with a real PostgreSQL and a real Redis behind a stack: down, slow, refusing, never a password."""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

import psutil
import pytest

from tests.support import postgresql, redis
from tests.support.commands import rollcall
from tests.support.peers import Counting, keeps_silent, tcp_peer
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack

pytestmark = pytest.mark.usefixtures("bystander")

PLANTED = "planted-9c01d7"
SUBJECT = "postgresql of web"
BOUND = 120


@pytest.fixture(scope="module")
def server() -> t.Iterator[postgresql.Cluster]:
    with postgresql.cluster() as made:
        made.sql(f"CREATE ROLE shop LOGIN PASSWORD '{PLANTED}'")
        made.sql("CREATE DATABASE shop OWNER shop")
        yield made


@pytest.fixture
def cache() -> t.Iterator[redis.Redis]:
    with redis.running("--requirepass", PLANTED) as made:
        yield made


def services(port: int, cache_port: int) -> t.Dict[str, t.Any]:
    url = f"postgresql://shop:{PLANTED}@127.0.0.1:{port}/shop"
    return {
        "web": {"secrets": {"DATABASE_URL": url}},
        "worker": {"secrets": {"REDIS_URL": f"redis://:{PLANTED}@127.0.0.1:{cache_port}"}},
    }


# Time enough to log in, whatever else this machine does.
CHECKS = {"database": {"postgresql": {"service": "web", "timeout": 20}, "redis": {"service": "worker", "timeout": 20}}}


@pytest.fixture
def running(server: postgresql.Cluster, cache: redis.Redis) -> t.Iterator[StackUnderTest]:
    with stack(services(server.port, cache.port), checks=CHECKS) as made:
        report = made.perform()
        assert report["ok"], failed_checks(report)
        assert check_of(report, "database", SUBJECT)["data"]["reached"]
        assert check_of(report, "database", "redis of worker")["evidence"].startswith(f"127.0.0.1:{cache.port}: PONG")
        yield made
        assert not with_planted(made), "the password is in the private files and nowhere else"


def with_planted(made: StackUnderTest) -> t.List[str]:
    """Return the files below the root, but for the private ones, and the command lines that have the password."""
    found = []
    for path in Path(made.root).rglob("*"):
        private = "env" in path.parts[len(Path(made.root).parts) :]
        # What the kernel shows of a file: a socket has nothing to read, and the virtual environment is the tests' own.
        if path.is_file() and not path.is_symlink() and not private and PLANTED.encode() in path.read_bytes():
            found.append(str(path))
        if private and path.is_file() and path.stat().st_mode & 0o077:
            found.append(f"{path} can be read by others")
    for process in psutil.process_iter(["cmdline"]):
        if PLANTED in " ".join(process.info["cmdline"] or ()) and "redis-server" not in process.info["cmdline"][0]:
            found.append(str(process))
    return found


def looks(made: StackUnderTest) -> t.Iterator[t.Dict[str, t.Any]]:
    """Look at a stack in every way there is; no look takes long, and none shows the password."""
    for report in (made.status(), made.perform("full", installed=True)):
        assert PLANTED not in json.dumps(report)
        yield report
    for arguments in (("status",), ("status", "--json"), ("verify",), ("doctor", "--json"), ("history",)):
        said = rollcall(made, *arguments, bound=BOUND)
        assert said.seconds < BOUND / 2
        assert PLANTED not in said.out + said.err
        assert "Traceback" not in said.err
        if arguments[0] in ("status", "verify"):
            assert said.code == 1


@pytest.mark.fault(31)
def test_a_postgresql_that_is_down_fails_as_the_check_of_that_name(
    running: StackUnderTest, server: postgresql.Cluster
) -> None:
    server.stop()
    try:
        for report in looks(running):
            assert failed_checks(report) == [("reached", SUBJECT), ("database", SUBJECT)]
            check = check_of(report, "database", SUBJECT)
            assert check["evidence"] == f"127.0.0.1:{server.port}: connection refused"
            assert check["next"] == f"psql -h 127.0.0.1 -p {server.port} -U shop -d shop -c 'SELECT 1'"
            assert not check["data"]["reached"]
    finally:
        server.start()
    assert running.status()["ok"]


@pytest.mark.fault(31)
def test_a_postgresql_that_refuses_the_password_fails_as_the_check_of_that_name(
    running: StackUnderTest, server: postgresql.Cluster
) -> None:
    server.sql("ALTER ROLE shop PASSWORD 'another'")
    try:
        for report in looks(running):
            assert failed_checks(report) == [("database", SUBJECT)]
            check = check_of(report, "database", SUBJECT)
            assert 'password refused for user "shop"' in check["evidence"]
            assert check["data"]["reached"]
    finally:
        server.sql(f"ALTER ROLE shop PASSWORD '{PLANTED}'")
    assert running.status()["ok"]


@pytest.mark.fault(31)
def test_a_slow_postgresql_fails_within_bounds_as_the_check_of_that_name(running: StackUnderTest) -> None:
    running.raw["checks"] = {
        "database": {"postgresql": {"service": "web", "timeout": 6, "query": "SELECT pg_sleep(600)"}}
    }
    began = time.monotonic()
    report = running.perform()
    assert time.monotonic() - began < 100
    assert failed_checks(report) == [("database", SUBJECT)]
    assert "has not come within 6 s" in check_of(report, "database", SUBJECT)["evidence"]


@pytest.mark.fault(31)
def test_what_takes_the_connection_and_never_answers_fails_within_bounds(
    running: StackUnderTest, cache: redis.Redis
) -> None:
    with tcp_peer(keeps_silent, listens=False) as mute:
        running.raw["services"] = services(mute.port, cache.port)
        running.raw["checks"]["database"] = {**CHECKS["database"], "postgresql": {"service": "web", "timeout": 1}}
        report = running.perform(on_failure="leave")
        assert failed_checks(report) == [("database", SUBJECT)]
        for report in looks(running):
            assert failed_checks(report) == [("database", SUBJECT)]
            assert "no answer within 1 s" in check_of(report, "database", SUBJECT)["evidence"]


@pytest.mark.fault(31)
def test_a_redis_that_is_down_fails_as_the_check_of_that_name(running: StackUnderTest, cache: redis.Redis) -> None:
    cache.stop()
    for report in looks(running):
        assert failed_checks(report) == [("reached", "redis of worker"), ("database", "redis of worker")]
        evidence = check_of(report, "database", "redis of worker")["evidence"]
        assert evidence == f"127.0.0.1:{cache.port}: connection refused"


def test_two_databases_that_hang_are_waited_for_together(running: StackUnderTest) -> None:
    counting = Counting()
    with tcp_peer(counting, listens=False) as one, tcp_peer(counting, listens=False) as two:
        running.raw["services"] = services(one.port, two.port)
        running.perform(on_failure="leave")
        report = running.status()
        assert counting.most == 2
    assert failed_checks(report) == [("database", SUBJECT), ("database", "redis of worker")]


def test_the_database_of_a_service_that_is_held_is_not_judged(server: postgresql.Cluster, cache: redis.Redis) -> None:
    held = services(server.port, cache.port)
    held["web"] = {"requires_env": ["DATABASE_URL"], "secrets": {"DATABASE_URL": ""}}
    with stack(held, checks=CHECKS) as made:
        report = made.perform()
        assert report["result"] == "held"
        assert failed_checks(report) == [("held", "web")]
        made.raw["services"] = services(server.port, cache.port)
        assert made.perform()["ok"]


def test_a_migration_runs_before_what_depends_on_it_and_once(server: postgresql.Cluster) -> None:
    """The schema is a one-shot service: what waits for it starts when it has come to a good end."""
    server.sql("DROP TABLE IF EXISTS orders; GRANT ALL ON SCHEMA public TO shop", "shop")
    psql = postgresql.program("psql")
    where = [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c"]
    url = f"postgresql://shop:{PLANTED}@127.0.0.1:{server.port}/shop"
    libpq = {"PGHOST": "127.0.0.1", "PGPORT": server.port, "PGUSER": "shop", "PGDATABASE": "shop"}
    both = {"env": libpq, "secrets": {"PGPASSWORD": PLANTED, "DATABASE_URL": url}}
    schema = {"kind": "oneshot", "command": [*where, "CREATE TABLE orders (id int)"], **both}
    works = {"depends_on": {"migrate": "completed"}, **both}
    query = {"database": {"postgresql": {"service": "web", "query": "SELECT count(*) FROM orders", "timeout": 20}}}
    with stack({"migrate": schema, "web": works}, checks=query) as made:
        report = made.perform()
        assert report["ok"], [check["evidence"] for check in report["checks"] if not check["ok"]]
        assert check_of(report, "running", "migrate")["evidence"] == "ran to its end"
        again = made.perform()
        assert (failed_checks(again), again["changed"]) == ([], False)
    server.sql("DROP TABLE orders", "shop")
    broken = {**schema, "command": [*where, "CREATE TABLE orders (id nothing)"]}
    with stack({"migrate": broken, "web": works}, checks=query) as made:
        report = made.perform()
        assert {("running", "migrate"), ("running", "web"), ("database", SUBJECT)} == set(failed_checks(report))
        assert 'type "nothing" does not exist' in check_of(report, "running", "migrate")["evidence"]
        assert "not started" in check_of(report, "running", "web")["evidence"]
