# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a process calls itself, answers or logs on a host, reading it ends soon and in what is promised."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import tempfile
import threading
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Deadline
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.wire import Line
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import netlink, proc
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Listener
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Checks, Health
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes import database_urls, health
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import rpc, settings
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import logs
from tests.support.hostile import FUZZ, contained, mutated, mutated_text

# --- processes ----------------------------------------------------------------------------------------------------

# Whoever makes a link to a program chooses the name that the kernel shows.
NAMES = st.binary(min_size=1, max_size=15).map(lambda name: b"x" + name.replace(b"\0", b")").replace(b"/", b" S 1 "))
WORDS = st.lists(st.binary(max_size=40).map(lambda word: word.replace(b"\0", b")")), min_size=1, max_size=4)
ENVIRONMENTS = st.dictionaries(
    st.sampled_from([b"ROLLCALL_STACK", b"ROLLCALL_ROOT", b"X", b"\xff", b"A\nB", b"SUPERVISOR_GROUP_NAME"]),
    st.binary(max_size=40).map(lambda value: value.replace(b"\0", b"\n")),
    max_size=3,
)


@contextlib.contextmanager
def process(words: t.Sequence[bytes], environment: t.Mapping[bytes, bytes], name: bytes) -> t.Iterator[int]:
    with tempfile.TemporaryDirectory() as directory:
        program = os.path.join(os.fsencode(directory), name)
        os.symlink("/bin/sh", program)
        pid = os.posix_spawn(
            program, [words[0] or b"x", b"-c", b"read -r line <&3", *words], dict(environment), file_actions=_PIPE
        )
        try:
            yield pid
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


_READER, _WRITER = os.pipe()
_PIPE = [(os.POSIX_SPAWN_DUP2, _READER, 3)]


@given(WORDS, ENVIRONMENTS, NAMES)
@FUZZ
def test_a_process_by_any_name_and_with_any_arguments(
    words: t.List[bytes], environment: t.Dict[bytes, bytes], name: bytes
) -> None:
    with process(words, environment, name) as pid, contained():
        seen = proc.describe(pid)
        assert seen is not None
        assert seen.pid == pid
        assert seen.ppid == os.getpid()
        assert proc.alive(pid, seen.start)
        proc.words(pid)
        proc.cgroups(pid)
        proc.open_paths(pid)
        assert all(isinstance(value, str) for value in proc.environment(pid, "ROLLCALL_").values())
        json.dumps([seen.command_line, seen.user])


STAT = f"12 (a b) c) S 1 2 3 {' '.join(map(str, range(40)))}\n".encode()
STATUS = b"Name:\tx\nState:\tS (sleeping)\nUid:\t0\t0\t0\t0\nNSpid:\t12\nvoluntary_ctxt_switches:\t1\n"


@given(mutated(STAT, STATUS))
@FUZZ
def test_files_of_proc_that_are_cut_off_or_damaged(content: bytes) -> None:
    with contained():
        with contextlib.suppress(ProcessLookupError):
            assert isinstance(proc._parse_stat(content).start, int)
        with contextlib.suppress(ProcessLookupError):
            assert isinstance(proc._parse_status(content), tuple)
        assert all(isinstance(word, str) for word in proc._parse_arguments(content))


# --- the kernel's answers -----------------------------------------------------------------------------------------


def message(kind: int, body: bytes, sequence: int = 1, flags: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body


SOCKET = struct.pack("=B3x 2s2x16s16x4x8x 12xII", socket.AF_INET6, b"\x1f\x90", b"\0" * 15 + b"\1", 0, 77)
ONE = message(netlink.SOCK_DIAG_BY_FAMILY, SOCKET + struct.pack("=HHB3x", 5, netlink.INET_DIAG_SKV6ONLY, 1))
END = message(netlink.NLMSG_DONE, b"\0" * 4)


@given(mutated(ONE, ONE + END, message(netlink.NLMSG_ERROR, struct.pack("=i", -2))))
@FUZZ
def test_a_dump_of_sockets(content: bytes) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        theirs.send(content[:65_536] or END)
        theirs.send(END)
        theirs.shutdown(socket.SHUT_WR)
        ours.settimeout(2)
        with contained(), contextlib.suppress(OSError, struct.error, LookupError):
            found, _whole = netlink._receive(ours, 1)
            assert all(isinstance(one, Listener) for one in found)


# --- services -----------------------------------------------------------------------------------------------------

HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n"
CONTINUED = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HTTP
ANSWERS = mutated(HTTP, CHUNKED, CONTINUED)


@contextlib.contextmanager
def answering(content: bytes) -> t.Iterator[int]:
    """Answer one connection with these bytes, and close it; yield the port."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            taken, _address = listener.accept()
            with taken:
                taken.sendall(content)
                taken.shutdown(socket.SHUT_WR)
                while taken.recv(65_536):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(20)
        assert not thread.is_alive()


@given(ANSWERS, st.sampled_from(["http", "tcp"]), st.sampled_from([None, "hello", "\ud7ff" * 200]))
@FUZZ
def test_a_health_check(content: bytes, kind: str, wanted: t.Optional[str]) -> None:
    with answering(content) as port:
        target = Health(kind=t.cast("t.Any", kind), port=port, body=wanted, expect=wanted, timeout=10)
        with contained():
            said = health.probe(target)
    assert isinstance(said.ok, bool)
    assert said.detail.isprintable()
    assert said.status is None or 0 <= said.status <= 999


# --- supervisord --------------------------------------------------------------------------------------------------

XML = (
    b"<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><array><data><value><struct><member>"
    b"<name>pid</name><value><int>12</int></value></member><member><name>name</name><value>web</value></member>"
    b"<member><name>d</name><value><double>1.5</double></value></member></struct></value></data></array></value>\n"
    b"</param>\n</params>\n</methodResponse>\n"
)
FAULT = (
    b"<?xml version='1.0'?>\n<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>10</int>"
    b"</value></member><member><name>faultString</name><value><string>BAD_NAME</string></value></member></struct>"
    b"</value></fault></methodResponse>"
)
BOMB = b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'><!ENTITY c '&a;&a;'>]><methodResponse>&c;</methodResponse>"


@given(mutated(XML, FAULT, BOMB))
@FUZZ
def test_an_answer_of_xml_rpc(content: bytes) -> None:
    with contained(), contextlib.suppress(rpc.Malformed, rpc.Fault):
        rpc.result_of(content)


@given(mutated(XML, FAULT), mutated(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"))
@FUZZ
def test_an_answer_of_a_supervisord(body: bytes, head: bytes) -> None:
    ours, theirs = socket.socketpair()
    whole = head.replace(b"%d", b"%d" % len(body)) + body

    def serve() -> None:
        with contextlib.suppress(OSError):
            theirs.sendall(whole)
            theirs.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=serve, daemon=True)
    with ours, theirs:
        thread.start()
        # The documented ends, of which OSError has the deadline's and the connection's.
        with contained(), contextlib.suppress(rpc.Malformed, rpc.Fault, OSError):
            _status, reply, _again = rpc.post(Line(ours, Deadline(10)), b"<x/>")
            reply.result()
        ours.shutdown(socket.SHUT_RDWR)
        thread.join(20)


CONFIG = (
    "[unix_http_server]\nfile=%(here)s/run/x.sock ; c\n[supervisord]\npidfile=/run/x.pid\n"
    "[inet_http_server]\nport=*:9001\npassword=x\n[include]\nfiles = conf.d/*.conf a.conf\n[DEFAULT]\na=b\n"
)


@given(mutated(CONFIG.encode()))
@FUZZ
def test_the_config_of_somebody_elses_supervisord(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    place = tmp_path_factory.getbasetemp() / "conf"
    place.mkdir(exist_ok=True)
    (place / "main.conf").write_bytes(content)
    with contained():
        found = settings.read_settings(str(place / "main.conf"))
    assert isinstance(found, settings.Settings)
    assert all(path is None or os.path.isabs(path) for path in (found.socket, found.pidfile))


# --- logs and URLs ------------------------------------------------------------------------------------------------

LOG = (
    b'2026-01-01 ERROR x\nTraceback (most recent call last):\n  File "x", line 1\nValueError: x\n'
    b'{"level": "fatal", "a": 1}\n\x1b[31mCRITICAL\x1b[0m\nC\x08CRITICAL\n\xff\xfeF\0A\0T\0A\0L\0\n\x1b]0;title\x07'
)


@given(mutated(LOG))
@FUZZ
def test_the_log_of_a_service(content: bytes) -> None:
    with contained():
        text = logs._text(content)
        found = logs.critical_lines(logs.compiled(Checks().log_critical), text, text[:1000])
    assert len(found) <= logs.CRITICAL_LINES
    assert all(len(line) <= logs.LINE for line in found)


URLS = (
    "postgresql://svc:p%40ss@db.example:5432,[::1]:5433/app?sslmode=require&host=/run/pg",
    "host=/run/postgresql dbname=app user=svc password='a\\'b' port=5432",
    "rediss://:secret@127.0.0.1:6380/3?ssl_cert_reqs=none",
    "unix:///run/redis.sock?db=2",
)


@given(mutated_text(*URLS), st.dictionaries(st.sampled_from(["PGHOST", "PGPORT", "PGSSLMODE"]), st.text(max_size=9)))
@FUZZ
def test_a_database_url(text: str, environment: t.Dict[str, str]) -> None:
    with contained():
        with contextlib.suppress(database_urls.BadUrl):
            found = database_urls.read_postgresql_url(text, environment, "svc")
            assert all(0 < address.port < 65_536 for address in found.addresses)
        with contextlib.suppress(database_urls.BadUrl):
            assert database_urls.read_redis_url(text).database >= 0


@pytest.mark.parametrize(
    "url", ["postgresql://h/" + "x" * 900_000, "password='" + "x" * 900_000 + "'", "redis://h/" + "1" * 5000]
)
def test_a_database_url_that_is_long_is_none(url: str) -> None:
    read = database_urls.read_redis_url if url.startswith("redis") else read_postgresql
    with contained(), pytest.raises(database_urls.BadUrl):
        read(url)


def read_postgresql(url: str) -> object:
    return database_urls.read_postgresql_url(url, {}, "svc")


def test_a_message_of_the_kernel_that_is_cut_off_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = ONE[:-1]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        theirs.send(cut)
        monkeypatch.setattr(socket, "socket", lambda *_kind: ours)
        with pytest.raises(netlink.NetlinkRefused):
            netlink.dump(netlink.LISTENING)


def test_a_traceback_with_a_line_of_a_megabyte_is_told_in_short() -> None:
    text = f"Traceback (most recent call last)\n  {'x' * 1_000_000}\n{'y' * 1_000_000}\n"

    found = logs.critical_lines(logs.compiled(Checks().log_critical), text)

    assert [len(line) for line in found] == [33, logs.LINE, logs.LINE]
