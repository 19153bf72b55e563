# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What databases answer: a real PostgreSQL, a real Redis, real files, and what only looks like one of these."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Deadline
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import find_account
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import (
    DatabaseCheck,
    Paths,
    Service,
    Stack,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes import databases, sqlite
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes.answers import DatabaseAnswer, NoAnswer
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes.question import Application, Question
from tests.support import fips, postgresql, redis
from tests.support.interpreters import python_of_all
from tests.support.peers import Behaviour, drips, http, keeps_silent, says, tcp_peer, then_silent
from tests.support.processes import eventually, free_port

# A deadline that is to pass, one that is not, and how late an answer may be on a busy machine. What would not end by
# itself takes longer than that.
SHORT, LONG, LATE = 1.0, 20.0, 20.0
# In every place where a password can be; nothing that is said may have it.
PLANTED = "planted-4be1f0"
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@pytest.fixture(scope="module")
def server() -> t.Iterator[postgresql.Cluster]:
    with postgresql.cluster() as made:
        made.sql("CREATE DATABASE trading; CREATE DATABASE encrypted; CREATE DATABASE closed ALLOW_CONNECTIONS false;")
        made.sql("CREATE ROLE trusted LOGIN; CREATE ROLE nobody LOGIN;")
        for role in ("trading", "plain_user", "barred"):
            made.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{PLANTED}';")
        made.sql(f"SET password_encryption = md5; CREATE ROLE md5_user LOGIN PASSWORD '{PLANTED}';")
        made.sql("CREATE TABLE orders (id int); GRANT ALL ON orders TO trading", "trading")
        yield made


def a_stack(url: str = "", *, root: str = "/nonexistent", user: t.Optional[str] = None) -> Stack:
    """Return a stack whose service ``web`` has the URL."""
    web = Service("web", ("/bin/true",), root, env={"URL": url})
    return Stack("test", root, Paths.of(root), (web,), user=user)


def ask(kind: str, url: str, *, stack: t.Optional[Stack] = None, **more: t.Any) -> DatabaseAnswer:
    """Return the answer of a database, which has come in bounded time, and without the password."""
    check = DatabaseCheck(kind, service="web", variable="URL", **{"timeout": LONG, **more})
    if kind == "postgresql" and not check.query:
        check = DatabaseCheck(kind, service="web", variable="URL", **{"timeout": LONG, "query": "SELECT 1", **more})
    began = time.monotonic()
    answer = databases.ask(a_stack(url) if stack is None else stack, check)
    assert time.monotonic() - began < check.timeout + LATE, "one deadline for all of it"
    assert PLANTED not in repr(answer)
    return answer


def at(server: t.Any, user: str = "trading", password: str = PLANTED, database: str = "trading", more: str = "") -> str:
    return f"postgresql://{user}:{password}@127.0.0.1:{server.port}/{database}{more}"


# --- PostgreSQL -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["trading", "md5_user", "plain_user", "trusted"])
def test_a_database_that_lets_the_application_in_answers(server: postgresql.Cluster, user: str) -> None:
    answer = ask("postgresql", at(server, user))
    assert answer.ok, answer.detail
    assert answer.detail == f"127.0.0.1:{server.port}: answered in {answer.latency * 1000:.1f} ms"
    assert (answer.reached, answer.place) == (True, f"127.0.0.1:{server.port}")
    assert answer.command == f"psql -h 127.0.0.1 -p {server.port} -U {user} -d trading -c 'SELECT 1'"


def test_a_system_without_md5_tells_why_it_cannot_log_in(
    server: postgresql.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    fips.without_md5(monkeypatch)
    answer = ask("postgresql", at(server, "md5_user"))
    assert not answer.ok
    assert 'user "md5_user" cannot log in by MD5, which this system does not allow (FIPS)' in answer.detail
    assert ask("postgresql", at(server, "trading")).ok


def test_the_url_of_a_private_file_is_the_one_that_counts(server: postgresql.Cluster, tmp_path: Path) -> None:
    stack = a_stack("postgresql://localhost:1/none", root=str(tmp_path))
    os.makedirs(stack.paths.env_dir)
    Path(stack.paths.env_dir, "web.json").write_text(json.dumps({"URL": at(server)}), encoding="utf-8")

    assert ask("postgresql", "", stack=stack).ok


def test_a_private_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    stack = a_stack(root=str(tmp_path))
    os.makedirs(stack.paths.env_dir)
    Path(stack.paths.env_dir, "web.json").write_text(f"{{{PLANTED}", encoding="utf-8")

    answer = ask("postgresql", "", stack=stack)

    assert (answer.ok, answer.reached) == (False, False)
    assert stack.paths.env_dir in answer.detail


REFUSED: t.Mapping[str, t.Tuple[t.Dict[str, str], str]] = {
    "wrong password": ({"password": f"x{PLANTED}"}, 'password refused for user "trading", or there is no such role'),
    "no password": ({"password": ""}, 'it wants a password of user "trading", and URL has none'),
    "no such database": ({"database": "nothing"}, 'there is no database "nothing"'),
    "no such role, told": ({"user": "missing"}, 'there is no role "missing", or it may not log in'),
    "no such role, hidden": ({"user": "nowhere"}, 'password refused for user "nowhere", or there is no such role'),
    "barred": ({"user": "barred", "more": "?sslmode=disable"}, "it may want TLS, and this was without"),
    "TLS wanted": ({"database": "encrypted", "more": "?sslmode=disable"}, "it may want TLS, and this was without"),
    "closed": (
        {"database": "closed"},
        'it refuses: "database "closed" is not currently accepting connections" (55000)',
    ),
    "a certificate of nobody": ({"more": "?sslmode=verify-full"}, "its certificate is not trusted: "),
    "no such file": ({"more": "?sslmode=verify-ca&sslrootcert=/none"}, "the files for TLS cannot be read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_keeps_the_application_out_is_told_in_its_own_words(server: postgresql.Cluster, case: str) -> None:
    how, words = REFUSED[case]
    answer = ask("postgresql", at(server, **how))
    assert (answer.ok, answer.reached) == (False, True)
    assert words in answer.detail


def test_tls_is_spoken_where_the_url_or_the_server_wants_it(server: postgresql.Cluster) -> None:
    assert ask("postgresql", at(server, database="encrypted")).ok, "prefer, as libpq does"
    assert ask("postgresql", at(server, more="?sslmode=require")).ok
    checked = f"?sslmode=verify-full&sslrootcert={server.certificate}"
    assert ask("postgresql", at(server, more=checked)).ok
    assert ask("postgresql", at(server, more="?sslmode=disable")).ok


def test_a_server_without_tls_is_told_when_the_url_wants_it() -> None:
    with tcp_peer(says(b"N")) as peer:
        answer = ask("postgresql", at(peer, more="?sslmode=require"))
    assert answer.detail.endswith("it speaks no TLS, and URL wants it (sslmode=require)")


@pytest.fixture
def python_of_nobody(monkeypatch: pytest.MonkeyPatch) -> str:
    """Have a Python that every user may run, as the engine's own is: services are started by it."""
    python = python_of_all()
    if python is None:
        pytest.skip("every Python of this machine is one user's own")
    monkeypatch.setattr(sys, "executable", python)
    return python


@NEEDS_ROOT
@pytest.mark.usefixtures("python_of_nobody")
def test_on_a_unix_socket_the_user_who_runs_the_services_comes(server: postgresql.Cluster) -> None:
    url = f"postgresql:///trading?host={server.directory}&port={server.port}"

    assert ask("postgresql", url, stack=a_stack(url, user="nobody")).ok, "by the rule `peer`, which asks the kernel"
    assert 'there is no role "root"' in ask("postgresql", url).detail
    other = url + "&user=trading"
    assert "Peer authentication failed" in ask("postgresql", other, stack=a_stack(other, user="nobody")).detail


@NEEDS_ROOT
def test_on_a_unix_socket_what_that_user_meets_is_told(
    server: postgresql.Cluster, python_of_nobody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(directory: str) -> str:
        url = f"host={directory} dbname=trading port={server.port}"
        return ask("postgresql", url, stack=a_stack(url, user="nobody")).detail

    with tempfile.TemporaryDirectory() as nobody_may_not:
        os.symlink(f"{server.directory}/.s.PGSQL.{server.port}", f"{nobody_may_not}/.s.PGSQL.{server.port}")
        assert said(nobody_may_not).endswith(": Permission denied")
    assert said(f"{server.directory}/x") == f"{server.directory}/x/.s.PGSQL.{server.port}: No such file or directory"
    url = "host=/x dbname=trading"
    gone = ask("postgresql", url, stack=a_stack(url, user="nosuchuser"))
    assert "user nosuchuser, who runs the services, does not exist" in gone.detail
    program = shutil.copy(python_of_nobody, tmp_path / "python")
    os.chmod(program, 0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    assert said(server.directory).endswith(f"user nobody, who runs the services, may not run {program}")


def test_the_next_server_of_the_url_is_asked_when_the_first_is_down(server: postgresql.Cluster) -> None:
    url = at(server).replace("127.0.0.1", f"127.0.0.1:{free_port()},127.0.0.1")
    assert ask("postgresql", url).ok


def test_a_server_that_is_down_is_told() -> None:
    port = free_port()
    answer = ask("postgresql", f"postgresql://trading:{PLANTED}@127.0.0.1:{port}/trading")
    assert (answer.ok, answer.reached, answer.detail) == (False, False, f"127.0.0.1:{port}: connection refused")
    assert answer.command == f"psql -h 127.0.0.1 -p {port} -U trading -d trading -c 'SELECT 1'"


def test_a_host_that_does_not_exist_is_told() -> None:
    answer = ask("postgresql", "postgresql://trading@nowhere.invalid/trading")
    assert answer.detail.startswith("nowhere.invalid:5432: ")
    assert not answer.reached


def test_the_query_of_the_manifest_is_the_one_that_is_asked(server: postgresql.Cluster) -> None:
    assert ask("postgresql", at(server), query="SELECT count(*) FROM orders -- all of them").ok
    missing = ask("postgresql", at(server), query="SELECT * FROM trades;").detail
    assert missing.endswith('the query failed: "relation "trades" does not exist" (42P01)')


CHANGES: t.Mapping[str, t.Tuple[str, str]] = {
    "a write": ("INSERT INTO orders VALUES (1)", "cannot execute INSERT in a read-only transaction"),
    "a write that reads": (
        "WITH x AS (DELETE FROM kept RETURNING 1) SELECT * FROM x",
        "cannot execute SELECT in a read-only transaction",
    ),
    "an end of the transaction": ("SELECT 1; COMMIT; DROP TABLE kept; COMMIT", "cannot insert multiple commands"),
    "a quoted end": ("SELECT $x$;$x$; COMMIT; DROP TABLE kept", "cannot insert multiple commands"),
    "a backslash that hides the end": ("SELECT '\\'; COMMIT; DROP TABLE kept; --'", "cannot insert multiple commands"),
    "a block that ends it": ("DO $$ BEGIN COMMIT; DROP TABLE kept; COMMIT; END $$", "invalid transaction termination"),
    "a procedure that ends it": ("CALL drop_it()", "invalid transaction termination"),
    "a block that may write again": (
        "DO $$ BEGIN SET TRANSACTION READ WRITE; DROP TABLE kept; END $$",
        "transaction read-write mode must be set before any query",
    ),
    "a function that may write again": (
        "SELECT set_config('transaction_read_only', 'off', false), drop_by_function()",
        "transaction read-write mode must be set before any query",
    ),
    "a function that writes": ("SELECT drop_by_function()", "cannot execute DROP TABLE in a read-only transaction"),
    "a sequence": ("SELECT nextval('numbers')", "cannot execute nextval() in a read-only transaction"),
}


@pytest.fixture(scope="module")
def kept(server: postgresql.Cluster) -> t.Iterator[postgresql.Cluster]:
    """Have tables of the application's own, one with a row, and what drops it, by a function and by a procedure."""
    body = "BEGIN COMMIT; DROP TABLE kept; COMMIT; END"
    server.sql(
        "CREATE SCHEMA AUTHORIZATION trading; SET ROLE trading;"
        "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1);"
        f"CREATE PROCEDURE drop_it() LANGUAGE plpgsql AS $$ {body} $$; CREATE SEQUENCE numbers;"
        "CREATE FUNCTION drop_by_function() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DROP TABLE kept; RETURN 1; END $$",
        "trading",
    )
    yield server
    server.sql("DROP SCHEMA trading CASCADE", "trading")


@pytest.mark.parametrize("case", CHANGES)
def test_a_query_can_change_nothing(kept: postgresql.Cluster, case: str) -> None:
    query, words = CHANGES[case]

    answer = ask("postgresql", at(kept), query=query)

    assert not answer.ok
    assert words in answer.detail
    assert kept.sql("SELECT count(*) FROM orders", "trading") == "0"
    assert kept.sql("SELECT count(*) FROM trading.kept", "trading") == "1"
    assert kept.sql("SELECT is_called FROM trading.numbers", "trading") == "f"


@pytest.mark.parametrize("query", ["COMMIT", "ROLLBACK AND CHAIN", "SET TRANSACTION READ WRITE", "SET work_mem = 64"])
def test_a_query_that_ends_or_opens_the_transaction_is_followed_by_nothing(
    kept: postgresql.Cluster, query: str
) -> None:
    ask("postgresql", at(kept), query=query)
    assert kept.sql("SELECT count(*) FROM trading.kept", "trading") == "1"


def test_a_slow_query_is_bounded_and_ended_on_the_server_too(server: postgresql.Cluster) -> None:
    # Time enough to log in, whatever else this machine does.
    answer = ask("postgresql", at(server), query="SELECT pg_sleep(300)", timeout=5.0)
    assert answer.detail.endswith('it let us in, and its answer to "SELECT pg_sleep(300)" has not come within 5 s')
    active = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename = 'trading'"
    assert eventually(lambda: server.sql(active) == "0")


def test_a_log_in_that_takes_too_long_is_bounded(server: postgresql.Cluster) -> None:
    where = ["-h", server.directory, "-p", str(server.port), "-U", postgresql.ADMIN, "-d", "trading"]
    holder = subprocess.Popen(
        [postgresql.program("psql"), "-X", "-q", *where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdin is not None
        assert holder.stdout is not None
        # The catalogues that every log-in reads.
        holder.stdin.write("BEGIN; LOCK pg_authid, pg_database IN ACCESS EXCLUSIVE MODE; \\echo locked\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "locked\n"
        answer = ask("postgresql", at(server, more="?sslmode=disable"), timeout=SHORT)
    finally:
        holder.kill()
        holder.communicate()
    assert answer.detail.endswith(f"it took the connection, and has not let us in within {SHORT:g} s")


def test_a_server_that_is_full_is_told(server: postgresql.Cluster) -> None:
    server.sql("ALTER ROLE trusted CONNECTION LIMIT 0")
    try:
        detail = ask("postgresql", at(server, "trusted")).detail
    finally:
        server.sql("ALTER ROLE trusted CONNECTION LIMIT -1")
    assert detail.endswith('it has no connection left: "too many connections for role "trusted""')


STRANGERS: t.Mapping[str, t.Tuple[Behaviour, str]] = {
    "silent": (keeps_silent, f"no answer within {SHORT:g} s"),
    "closes": (says(b""), "closed"),
    "HTTP": (says(http("no", "400 Bad Request")), 'not PostgreSQL: it answers "HTTP/1.1 400 Bad Request'),
    "HTTP that keeps the line open": (then_silent(http("no", "400 Bad Request")), "not PostgreSQL: it answers"),
    "Redis": (then_silent("-ERR unknown command\r\n"), 'not PostgreSQL: it answers "-ERR unknown command"'),
    "ssh": (then_silent("SSH-2.0-OpenSSH_9.2\r\n"), ""),
    "an error that repeats what it heard": (then_silent(f"-{PLANTED}"), 'it answers "-********"'),
}


@pytest.mark.parametrize("tls", ["prefer", "disable"])
@pytest.mark.parametrize("case", STRANGERS)
def test_what_is_no_postgresql_is_told(case: str, tls: str) -> None:
    behave, words = STRANGERS[case]
    with tcp_peer(behave) as peer:
        answer = ask("postgresql", at(peer, more=f"?sslmode={tls}"), timeout=SHORT if "no answer" in words else LONG)
    assert not answer.ok
    if tls == "disable":
        words = words.replace("no answer", "it took the connection, and has not let us in")
    assert words in answer.detail


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


BROKEN: t.Mapping[str, t.Tuple[Behaviour, str]] = {
    "drips": (drips("R" + "x" * 2000), "has not let us in within"),
    "an unknown message": (then_silent("R\x00\x00\x00\x08\x00\x00\x00\x00?\x00\x00\x00\x04"), "cannot be talked to"),
    "an unknown way to log in": (says(message(b"R", b"\0\0\0\x63")), "cannot be talked to"),
    "half a message": (says(message(b"R", b"\0\0\0\0")[:6]), "closed the connection before it had answered"),
    "no end": (says(message(b"N", b"x" * 3_000_000)), "its answer is longer than"),
    "a password that comes back": (
        says(message(b"E", b"SFATAL\0C99999\0Myour password is " + PLANTED.encode() + b"\0\0")),
        'it refuses: "your password is ********" (99999)',
    ),
    "a server that starts": (
        says(message(b"E", b"SFATAL\0C57P03\0Mthe database system is starting up\0\0")),
        'it takes no connections now: "the database system is starting up"',
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_server_that_breaks_the_protocol_is_told(case: str) -> None:
    behave, words = BROKEN[case]
    with tcp_peer(behave) as peer:
        answer = ask("postgresql", at(peer, more="?sslmode=disable"), timeout=SHORT if "within" in words else LONG)
    assert not answer.ok
    assert words in answer.detail


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "web has no variable URL, or it is empty"),
        (f"mysql://ada:{PLANTED}@localhost/x", "URL of web does not begin with postgresql://"),
    ],
)
def test_a_url_that_is_none_is_told(url: str, words: str) -> None:
    answer = ask("postgresql", url)
    assert (answer.ok, answer.reached, answer.detail, answer.command) == (False, False, words, None)


def test_a_driver_that_is_missing_is_told(server: postgresql.Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pg8000.core", None)
    assert "the engine lacks its driver (pg8000.core)" in ask("postgresql", at(server)).detail


# --- Redis ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cache() -> t.Iterator[redis.Redis]:
    with redis.running("--requirepass", PLANTED) as made:
        yield made


def test_a_redis_that_lets_the_application_in_answers(cache: redis.Redis) -> None:
    answer = ask("redis", f"redis://:{PLANTED}@127.0.0.1:{cache.port}/3")
    assert (answer.ok, answer.reached) == (True, True)
    assert answer.detail == f"127.0.0.1:{cache.port}: PONG in {answer.latency * 1000:.1f} ms"
    assert answer.command == f"redis-cli -h 127.0.0.1 -p {cache.port} --askpass -n 3 PING"
    assert ask("redis", f"redis://default:{PLANTED}@127.0.0.1:{cache.port}").ok
    assert ask("redis", f"unix://{cache.socket}?password={PLANTED}").ok


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://127.0.0.1:{port}", "it wants a password, and URL has none"),
        ("redis://:x{planted}@127.0.0.1:{port}", "password refused, or there is no such user"),
        ("redis://nobody:{planted}@127.0.0.1:{port}", "password refused, or there is no such user"),
        ("redis://:{planted}@127.0.0.1:{port}/99", 'it refuses SELECT: "ERR DB index is out of range"'),
        ("redis://:{planted}@127.0.0.1:{port}/x", "URL of web names a database of Redis that is not a number"),
        ("rediss://:{planted}@127.0.0.1:{port}", "TLS has not come about"),
    ],
)
def test_what_keeps_the_application_out_of_redis_is_told(cache: redis.Redis, url: str, words: str) -> None:
    answer = ask("redis", url.format(port=cache.port, planted=PLANTED))
    assert not answer.ok
    assert answer.detail.endswith(words) or words in answer.detail


def test_a_redis_without_a_password_is_asked_by_its_port() -> None:
    with redis.running() as made:
        check = DatabaseCheck("redis", host="127.0.0.1", port=made.port)
        assert databases.ask(a_stack(), check).ok
        needless = ask("redis", f"redis://:{PLANTED}@127.0.0.1:{made.port}")
    assert needless.detail.endswith("it has no password, and URL has one")
    assert databases.ask(a_stack(), check).detail == f"127.0.0.1:{made.port}: connection refused"


@pytest.mark.parametrize(
    ("to_auth", "to_ping", "words"),
    [
        ("ERR invalid password", "-NOAUTH Authentication required.", "password refused, or there is no such user"),
        ("ERR Client sent AUTH, but no password is set", "+PONG", "it has no password, and URL has one"),
        ("ERR max number of clients reached", "", 'it refuses AUTH: "ERR max number of clients reached"'),
    ],
)
def test_a_redis_before_6_that_refuses_a_password_is_told(to_auth: str, to_ping: str, words: str) -> None:
    def behave(connection: socket.socket) -> None:
        connection.sendall(f"-{to_auth}\r\n".encode())
        if to_ping:
            connection.recv(4096)
            connection.sendall(f"{to_ping}\r\n".encode())

    with tcp_peer(behave) as peer:
        answer = ask("redis", f"redis://:{PLANTED}@127.0.0.1:{peer.port}")
    assert answer.detail.endswith(words)


NO_REDIS: t.Mapping[str, t.Tuple[Behaviour, str]] = {
    "silent": (keeps_silent, f"it took the connection, and has not answered within {SHORT:g} s"),
    "closes": (says(b""), "closed without an answer"),
    "HTTP": (says(http("no", "400 Bad Request")), 'not Redis: it answers "HTTP/1.1 400 Bad Request'),
    "drips": (drips("+" + "x" * 2000), f"it took the connection, and has not answered within {SHORT:g} s"),
    "no end": (says("+" + "x" * 1_000_000), 'answered "+xxx'),
    "loads": (then_silent("-LOADING Redis is loading the dataset in memory\r\n"), "it is still loading its data"),
    "another word": (then_silent("+QUEUED\r\n"), 'answered "+QUEUED" to PING'),
    "a password that comes back": (then_silent(f"-ERR {PLANTED}\r\n"), 'it refuses PING: "ERR ********"'),
}


@pytest.mark.parametrize("case", NO_REDIS)
def test_what_is_no_redis_is_told(case: str) -> None:
    behave, words = NO_REDIS[case]
    url = "redis://127.0.0.1:{}"
    if case == "a password that comes back":
        url, words = f"redis://:{PLANTED}@127.0.0.1:{{}}", words.replace("PING", "AUTH")
    with tcp_peer(behave) as peer:
        answer = ask("redis", url.format(peer.port), timeout=SHORT if "within" in words else LONG)
    assert not answer.ok
    assert words in answer.detail


# --- SQLite ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "a b?#%.db"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE trades (id INTEGER); CREATE TABLE orders (id INTEGER);")
    connection.close()
    return path


def look(path: t.Union[str, Path], timeout: float = LONG) -> DatabaseAnswer:
    began = time.monotonic()
    answer = databases.ask(a_stack(), DatabaseCheck("sqlite", str(path), timeout=timeout))
    assert time.monotonic() - began < timeout + LATE
    return answer


def test_a_database_that_answers(database: Path) -> None:
    answer = look(database)
    assert (answer.ok, answer.reached, answer.status) == (True, True, None)
    assert answer.detail == f"2 tables in {answer.latency * 1000:.1f} ms"


def test_a_missing_database_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    answer = look(path)
    assert (answer.reached, answer.detail) == (False, f"no such file: {path}")
    assert os.listdir(tmp_path) == []


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("this is just a text\n" * 100)
    answer = look(text)
    assert (answer.reached, answer.detail) == (True, f"{text}: file is not a database")
    assert look(tmp_path).detail == f"not a regular file: {tmp_path}"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert look(pipe).detail == f"not a regular file: {pipe}"
    assert "Not a directory" in look(text / "x").detail


def test_a_locked_database_is_bounded_and_told(database: Path) -> None:
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        assert look(database, 2.0).detail == "locked by another process for 1.6 s"
    finally:
        holder.close()
    assert look(database).ok


def filled(database: Path) -> None:
    connection = sqlite3.connect(database)
    connection.executemany("INSERT INTO trades VALUES (?)", [(number,) for number in range(5000)])
    connection.commit()
    connection.close()


@pytest.mark.fault(31)
def test_a_damaged_database_is_told(database: Path) -> None:
    filled(database)
    with database.open("r+b") as handle:
        handle.seek(4096 * 4)
        handle.write(b"\xff" * 4096)
    answer = look(database)
    assert not answer.ok
    assert "damaged" in answer.detail or "malformed" in answer.detail


def test_a_database_in_use_is_read_beside_its_writer(database: Path) -> None:
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO trades VALUES (1)")
    try:
        assert look(database).ok
    finally:
        writer.close()


def test_a_question_that_takes_too_long_is_interrupted(database: Path) -> None:
    filled(database)
    found = sqlite.look_into(str(database), 0.0, sqlite.QUICK_CHECK_LIMIT)
    with pytest.raises(NoAnswer, match=r"no answer within 1\.6 s"):
        sqlite._judged(found, find_account(None), 1.6, a_question(database))


def a_question(database: Path) -> Question:
    return Question(Application("web", {}, None), DatabaseCheck("sqlite", str(database)), Deadline(2.0))


def test_an_empty_file_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    path.touch()
    answer = look(path)
    assert not answer.ok
    assert answer.detail == f"{path} is empty: no database was ever written to it"


def test_a_database_without_a_table_is_one(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    assert look(path).detail.startswith("0 tables")


@NEEDS_ROOT
@pytest.mark.usefixtures("python_of_nobody")
@pytest.mark.parametrize(("mode", "around", "ok"), [(0o600, 0o755, False), (0o644, 0o700, False), (0o644, 0o755, True)])
def test_sqlite_is_asked_as_the_user_of_the_application(mode: int, around: int, ok: bool) -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "data")
        folder.mkdir()
        os.chmod(root, 0o755)
        database = folder / "site.db"
        connection = sqlite3.connect(database)
        connection.execute("CREATE TABLE trades (id INTEGER)")
        connection.close()
        database.chmod(mode)
        folder.chmod(around)
        answer = databases.ask(a_stack(user="nobody"), DatabaseCheck("sqlite", str(database), timeout=20))
        assert answer.ok == ok, answer.detail
        assert ok or "asked as user nobody" in answer.detail


def test_a_file_system_that_does_not_answer_is_bounded(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(sqlite, "look_into", lambda *_: over.wait(60))
    try:
        assert look(database, 0.3).detail == "no answer within 0.3 s"
    finally:
        over.set()


@NEEDS_ROOT
@pytest.mark.usefixtures("python_of_nobody")
def test_the_files_of_a_url_are_opened_as_the_user_of_the_application() -> None:
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        key = Path(root, "client.key")
        key.touch(0o600)
        question = Question(Application("web", {}, "nobody"), DatabaseCheck("postgresql"), Deadline(20))
        with pytest.raises(NoAnswer, match=f"{key}: Permission denied, asked as user nobody"):
            question.require_files("", "system", str(key))
        key.chmod(0o644)
        question.require_files(str(key))
        with pytest.raises(NoAnswer, match="No such file"):
            question.require_files(f"{root}/none")
        Question(Application("web", {}, None), DatabaseCheck("postgresql"), Deadline(20)).require_files(str(key))
