# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health answers, judged against real servers that behave and misbehave."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import struct
import subprocess
import threading
import time
import typing as t
from pathlib import Path
from urllib.parse import unquote

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Deadline
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Health
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes import health
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes.answers import HealthAnswer
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes.unix_sockets import connect_unix
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.health_commands import health_command
from tests.support.manifests import a_manifest, a_service, checked
from tests.support.peers import Behaviour, Peer, drips, http, keeps_silent, says, tcp_peer, then_silent
from tests.support.processes import eventually, free_port

# A deadline that is to pass, one that is not, and how late an answer may be on a busy machine. What would not end by
# itself takes longer than that.
SHORT, LONG, LATE = 1.0, 20.0, 20.0
FOREVER = "x" * 65536


def ask(behave: Behaviour, *, listens: bool = True, **wanted: t.Any) -> HealthAnswer:
    """Return the answer of a peer, which must have come in bounded time."""
    with tcp_peer(behave, listens=listens) as peer:
        began = time.monotonic()
        answer = health.probe(Health(**{"kind": "http", "port": peer.port, "timeout": LONG, **wanted}))
        assert time.monotonic() - began < wanted.get("timeout", LONG) + LATE, "one deadline for all of it"
        return answer


def tcp(behave: Behaviour, *, listens: bool = True, **wanted: t.Any) -> HealthAnswer:
    return ask(behave, listens=listens, kind="tcp", **wanted)


def endless_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(FOREVER.encode())


def resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# --- HTTP -----------------------------------------------------------------------------------------------------------


def test_an_answer_as_wanted() -> None:
    answer = ask(says(http('{"status": "ok"}')), body='"status": "ok"')
    assert (answer.ok, answer.status) == (True, 200)
    assert answer.detail == f"200 in {answer.latency * 1000:.1f} ms"


def test_another_status_can_be_the_wanted_one() -> None:
    assert ask(says(http("", "204 No Content")), status=204).ok
    assert ask(says(http("", "302 Found", "Location: /login")), status=302).ok


def test_a_wrong_status_is_told_with_the_body() -> None:
    answer = ask(says(http("db\n  down\x00", "503 Service Unavailable")))
    assert (answer.ok, answer.status, answer.detail) == (False, 503, '503, wanted 200: "db down\ufffd"')
    assert ask(says(http("", "500 Oops"))).detail == "500, wanted 200"
    assert len(ask(says(http("x" * 5000, "500 Oops"))).detail) < 120


def test_a_redirect_is_not_followed_and_its_target_is_told() -> None:
    with tcp_peer(says(http("ok"))) as elsewhere:
        target = f"http://127.0.0.1:{elsewhere.port}/ok"
        answer = ask(says(http("", "302 Found", f"Location: {target}")))
        assert elsewhere.requests == []
    assert (answer.ok, answer.status) == (False, 302)
    assert answer.detail == f"302, wanted 200: it redirects to {target}"


def test_an_error_page_with_status_200_is_not_health() -> None:
    answer = ask(says(http("<h1>Something went wrong</h1>")), body='"ok"')
    assert (answer.ok, answer.status) == (False, 200)
    assert answer.detail == '200, but its body lacks ""ok"": "<h1>Something went wrong</h1>"'
    assert ask(says(http("")), body="ok").detail == '200, but its body lacks "ok": an empty body'


@pytest.mark.parametrize("answer", ["HTTP/1.1 200 OK\r\nX-Slow: 1\r\n", http("ok" * 500)])
def test_an_answer_that_drips_in_is_bounded_in_all(answer: str) -> None:
    got = ask(drips(answer * 100), timeout=SHORT)
    assert not got.ok
    assert "bytes after 1 s" in got.detail or "its body did not end within 1 s" in got.detail


def test_a_connection_that_is_taken_and_left_alone() -> None:
    assert ask(keeps_silent, timeout=SHORT).detail == "no answer within 1 s"


def test_a_connection_that_nobody_takes() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        waiting = [socket.socket() for _unused in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        try:
            answer = health.probe(Health("http", port, timeout=SHORT))
        finally:
            for one in waiting:
                one.close()
    assert answer.detail == "no connection within 1 s"
    assert answer.latency < SHORT + LATE


def test_a_socket_is_asked_by_hand_as_the_user_who_asks_it() -> None:
    over = Health("http", 0, path="/", socket="/opt/shop/run/web.sock")
    command = "curl -sS -i --unix-socket /opt/shop/run/web.sock http://localhost/"
    assert health_command("web", over) == command
    assert health_command("web", over, "shop") == f"runuser -u shop -- {command}"
    assert cures.shows(health_command("web", over, "shop"))
    assert not cures.shows(cures.as_owner("shop", cures.remove("/opt/shop/run/web.sock")))
    assert not health_command("web", Health("http", 80, path="/"), "shop").startswith("runuser")


@pytest.mark.parametrize("path", ["/a[1-3]{x,y}?b=[", "/?q={z}", "/it's?a=$HOME&b=`id`;c|d"])
def test_the_command_that_asks_by_hand_asks_for_the_very_path(path: str) -> None:
    with tcp_peer(says(http("fine"))) as peer:
        target = Health("http", peer.port, path=path, timeout=30)
        assert health.probe(target).ok
        done = subprocess.run(["sh", "-c", health_command("web", target)], capture_output=True, check=False, timeout=30)
    assert (done.returncode, b"fine" in done.stdout) == (0, True), done.stderr
    assert [unquote(request.split()[1].decode()) for request in peer.requests] == [path, path]


def test_a_full_queue_of_a_unix_socket_is_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "web.sock")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as other:
        server.bind(path)
        server.listen(0)
        other.connect(path)
        with pytest.raises(TimeoutError):
            connect_unix(path, None, Deadline(0.1))
        takes = threading.Timer(0.1, server.accept)
        takes.start()
        connect_unix(path, None, Deadline(LONG)).close()
        takes.join()


@pytest.mark.fault(30)
def test_an_endless_body_is_read_up_to_the_cap_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "SEARCH_LIMIT", 1 << 20)
    assert ask(endless_body).ok
    answer = ask(endless_body, body="never")
    assert not answer.ok
    assert answer.detail.startswith('200, but the first 1 MiB of its body lack "never": "xxx')


@pytest.mark.parametrize("before", [0, health.BODY_LIMIT - 1, health.BODY_LIMIT, 65_536 * 3 - 1, 2_000_000])
def test_a_wanted_word_is_found_wherever_it_stands_in_a_long_body(before: int) -> None:
    text = "x" * before + "ok" + "y" * 100_000
    assert ask(says(http(text)), body="ok").ok
    assert ask(says(http(text)), body="okx").detail.startswith('200, but its body lacks "okx"')
    chunks = "".join(f"{len(part):x}\r\n{part}\r\n" for part in (text[: before + 1], text[before + 1 :]))
    chunked = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
    assert ask(says(chunked), body="ok").ok, "also where it is divided"


def test_a_word_beyond_all_that_is_searched_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "SEARCH_LIMIT", 1 << 20)
    answer = ask(says(http("x" * (1 << 20) + "ok")), body="ok")
    assert answer.detail.startswith('200, but the first 1 MiB of its body lack "ok"')


def test_a_body_that_stops_in_the_middle() -> None:
    silent = ask(then_silent("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok"), body="ok", timeout=SHORT)
    assert silent.detail == "200, but its body did not end within 1 s"
    wrong = ask(then_silent("HTTP/1.1 503 Down\r\nContent-Length: 100\r\n\r\nok"), timeout=SHORT)
    assert wrong.detail == "503, wanted 200, but its body did not end within 1 s"
    closed = ask(says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok"), body="ok")
    assert closed.detail == "200, but the connection was closed 98 bytes before its end"
    chunked = ask(says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nok"), body="ok")
    assert not chunked.ok
    assert chunked.detail == "a broken HTTP answer: the connection was closed within a chunk of it"


def test_a_chunked_body_and_one_without_a_length_are_whole_answers() -> None:
    assert ask(says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), body="ok").ok
    assert ask(says("HTTP/1.0 200 OK\r\n\r\nok"), body="ok").ok


def test_what_is_not_http_is_shown() -> None:
    assert ask(says("220 mail ESMTP\r\n")).detail == 'not an HTTP answer: "220 mail ESMTP"'
    tls_alert = b"\x15\x03\x01\x00\x02\x02\x46"
    assert ask(says(tls_alert)).detail.startswith("not an HTTP answer: ")
    assert ask(says("")).detail == "closed without an answer"
    many = "HTTP/1.1 200 OK\r\n" + "".join(f"X-{number}: 1\r\n" for number in range(200)) + "\r\n"
    assert ask(says(many)).detail == "a broken HTTP answer: it has more than 100 headers"
    long = "HTTP/1.1 200 " + "x" * 70000 + "\r\n\r\n"
    assert ask(says(long)).detail == "a broken HTTP answer: a line of it is longer than 65536 bytes"


def test_a_reset_and_a_refusal_are_told_apart() -> None:
    assert ask(resets).detail == "connection reset"
    assert ask(resets, listens=False).detail in ("connection reset", "closed without an answer")
    assert health.probe(Health("http", free_port())).detail == "connection refused"


def test_the_request_is_what_a_server_expects() -> None:
    with tcp_peer(says(http("ok"))) as peer:
        assert health.probe(Health("http", peer.port, path="/a b?q=\u00e9&x=1\r\nX-Evil: 1")).ok
        port = peer.port
        (request,) = peer.requests
    lines = request.decode("ascii").split("\r\n")
    assert lines[0] == "GET /a%20b?q=%C3%A9&x=1%0D%0AX-Evil:%201 HTTP/1.1"
    assert f"Host: 127.0.0.1:{port}" in lines
    assert "Connection: close" in lines
    assert any(line.startswith("User-Agent: rollcall/") for line in lines)
    assert not any(line.startswith("X-Evil") for line in lines)


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")
def test_ipv6_hosts_are_reached_and_named_in_brackets() -> None:
    with tcp_peer(says(http("ok")), host="::1") as peer:
        assert health.probe(Health("http", peer.port, host="::1")).ok
        assert f"Host: [::1]:{peer.port}\r\n".encode() in peer.requests[0]


def test_a_host_name_is_tried_at_each_of_its_addresses() -> None:
    with tcp_peer(says(http("ok"))) as peer:
        assert health.probe(Health("http", peer.port, host="localhost")).ok


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")
@pytest.mark.parametrize("first", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("listening", ["127.0.0.1", "::1"])
def test_localhost_is_both_addresses_in_whichever_order_a_system_has_them(
    monkeypatch: pytest.MonkeyPatch, first: str, listening: str
) -> None:
    # macOS has ::1 first, others have 127.0.0.1 first; most servers listen at one of them.
    look_up, both = socket.getaddrinfo, sorted(["127.0.0.1", "::1"], key=lambda address: address != first)

    def of_both(host: t.Any, port: t.Any, **more: t.Any) -> t.List[t.Any]:
        names = both if host == "localhost" else [host]
        return [entry for name in names for entry in look_up(name, port, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", of_both)
    with tcp_peer(says(http("ok")), host=listening) as peer:
        assert health.probe(Health("http", peer.port, host="localhost")).ok


def test_a_host_name_that_is_none() -> None:
    answer = health.probe(Health("http", 80, host="no such host", timeout=SHORT))
    assert not answer.ok
    assert answer.latency < SHORT + LATE
    assert "no host name" in health.probe(Health("http", 80, host="x" * 70 + ".org", timeout=SHORT)).detail


def test_a_resolver_that_hangs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def hangs(*_address: t.Any, **options: int) -> t.Any:
        if options["flags"]:
            raise socket.gaierror(socket.EAI_NONAME, "not numeric")
        over.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    try:
        answer = health.probe(Health("http", 80, host="slow.example.org", timeout=SHORT))
    finally:
        over.set()
    assert answer.detail == "no connection within 1 s"
    assert answer.latency < SHORT + LATE


@pytest.mark.fault(30)
def test_proxy_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with tcp_peer(says(http("proxied", "502 Bad Gateway"))) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        assert ask(says(http("ok")), body="ok").ok
        assert proxy.requests == []


def test_a_socket_that_has_connected_with_itself_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()

    class FromItsOwnPort(socket.socket):
        def connect(self, address: t.Any) -> None:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.bind(("127.0.0.1", port))
            super().connect(address)

    monkeypatch.setattr(socket, "socket", FromItsOwnPort)
    answer = health.probe(Health("tcp", port, timeout=LONG))
    assert (answer.ok, answer.detail) == (False, "connection refused")


@pytest.mark.parametrize(
    ("body", "wanted", "said"),
    [
        ('{"status": "ok", "db": {"up": true, "lag": 1.0}, "nodes": [{"role": "leader"}]}',
         {"status": "ok", "db.up": True, "db.lag": 1, "nodes.0.role": "leader"}, None),
        ('\ufeff{"status": "ok"}', {"status": "ok"}, None),
        ('{"status": "degraded"}', {"status": "ok"}, '200, but status is "degraded", wanted "ok"'),
        ('{"up": 1}', {"up": True}, "200, but up is 1, wanted true"),
        ('{"up": true}', {"up": 1}, "200, but up is true, wanted 1"),
        ('{"up": null}', {"up": "null"}, '200, but up is null, wanted "null"'),
        ('{"up": {"a": 1}}', {"up": "x"}, '200, but up is an object, wanted "x"'),
        ('{"a": 1}', {"a.b": 1}, '200, but its body has no a.b: "{"a": 1}"'),
        ("[1]", {"1": 1}, '200, but its body has no 1: "[1]"'),
        ("fine", {"a": 1}, '200, but its body is not JSON: "fine"'),
        ("", {"a": 1}, "200, but its body is empty"),
        ("[" * 100_000, {"a": 1}, None),
        ('{"a": ' + "9" * 1_000_000 + "}", {"a": 1}, None),
        (" " * (health.JSON_LIMIT + 1), {"a": 1}, "200, but longer than 1 MiB"),
    ],
)  # fmt: skip
def test_fields_of_json_must_have_the_values_that_are_wanted(
    body: str, wanted: dict[str, t.Any], said: t.Optional[str]
) -> None:
    answer = ask(says(http(body)), json=wanted)
    assert answer.ok == (said is None and not body.startswith("[[") and "999" not in body), answer.detail
    assert said is None or answer.detail == said
    assert len(answer.detail) < 300


def test_headers_and_the_method_are_sent_as_they_are_written() -> None:
    headers = {"Host": "shop.example.org", "accept": "application/json", "X-Empty": ""}
    with tcp_peer(says("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")) as peer:
        answer = health.probe(Health("http", peer.port, method="HEAD", headers=headers, timeout=30))
        assert answer.ok, "an answer to HEAD has the length of a body that does not come"
        health.probe(Health("http", peer.port, method="POST", timeout=SHORT))
        head, post = (request.decode("ascii").split("\r\n") for request in peer.requests)
    assert head[0] == "HEAD / HTTP/1.1"
    assert [line for line in head if line.lower().startswith(("host", "accept", "x-"))] == [
        "Host: shop.example.org", "accept: application/json", "X-Empty: "]  # fmt: skip
    assert post[0] == "POST / HTTP/1.1"
    assert "Content-Length: 0" in post


def test_a_secret_of_a_header_is_read_when_it_is_sent_and_never_shown(tmp_path: Path) -> None:
    manifest = a_manifest({"web": a_service(
        port=8000, secrets={"TOKEN": "planted-token"},
        health={"http": "/", "headers": {"Authorization": "Bearer {secret:TOKEN}"}})}, root=str(tmp_path))  # fmt: skip
    stack = checked(manifest)
    assert "planted" not in str(stack.to_dict())
    (service,) = stack.services
    assert service.health is not None

    def asked(**files: str) -> tuple[HealthAnswer, list[bytes]]:
        private = Path(stack.paths.env_dir)
        private.mkdir(parents=True, exist_ok=True)
        (private / "web.json").write_text(json.dumps(files), encoding="utf-8")
        with tcp_peer(says(http("ok"))) as peer:
            target = dataclasses.replace(t.cast("Health", service.health), port=peer.port, timeout=30)
            return health.probe(target, owner=health.Owner(stack, service)), peer.requests

    answer, (request,) = asked(TOKEN="planted-token")
    assert answer.ok
    assert b"\r\nAuthorization: Bearer planted-token\r\n" in request
    assert asked()[0].detail == "the secret TOKEN of its headers has no value"
    evil, requests = asked(TOKEN="planted\r\nX-Evil: 1")
    assert evil.detail == "the secret TOKEN of its headers has a character that no header can have"
    # Whether the server has heard of a connection without a question by then is another matter.
    assert b"".join(requests) == b""
    assert health_command("web", service.health) == "rollcall status web", "no secret is in a command"


# --- TCP ------------------------------------------------------------------------------------------------------------


def test_a_connection_alone_can_be_the_answer() -> None:
    answer = tcp(keeps_silent)
    assert answer.ok
    assert answer.detail == f"connected in {answer.latency * 1000:.1f} ms"
    assert answer.status is None


def test_a_question_and_its_answer() -> None:
    with tcp_peer(then_silent("-LOADING\r\n+PONG\r\n")) as peer:
        answer = health.probe(Health("tcp", peer.port, send="PING\r\n", expect="+PONG"))
        assert peer.requests == [b"PING\r\n"]
    assert answer.ok
    assert answer.detail.startswith('answered "+PONG" in ')


def test_a_banner_without_a_question() -> None:
    assert tcp(then_silent("220 mail ESMTP\r\n"), listens=False, expect="220 ").ok


@pytest.mark.fault(30)
def test_a_wrong_banner_is_shown() -> None:
    closed = tcp(says("HTTP/1.1 400 Bad\r\n"), listens=False, expect="+PONG")
    assert closed.detail == 'answered "HTTP/1.1 400 Bad" and closed, wanted "+PONG"'
    open_ = tcp(then_silent("-ERR no\r\n"), listens=False, expect="+PONG", timeout=SHORT)
    assert open_.detail == 'answered "-ERR no" and no more within 1 s, wanted "+PONG"'
    assert tcp(says(""), listens=False, expect="+PONG").detail == 'closed without an answer, wanted "+PONG"'
    assert tcp(keeps_silent, send="PING", expect="+PONG", timeout=SHORT).detail == "no answer within 1 s"


def test_an_answer_in_pieces_is_put_together_and_an_endless_one_is_not() -> None:
    assert tcp(drips("+PONG", 0.01), listens=False, expect="+PONG").ok
    assert not tcp(drips("." * 5000), listens=False, expect="+PONG", timeout=SHORT).ok

    def pours(connection: socket.socket) -> None:
        while True:
            connection.sendall(FOREVER.encode())

    answer = tcp(pours, listens=False, expect="+PONG")
    assert answer.detail.startswith('answered "xxx')
    assert len(answer.detail) < 200


# --- many at once ---------------------------------------------------------------------------------------------------


def test_many_are_asked_at_once() -> None:
    with contextlib.ExitStack() as stack:
        peers = {f"silent{number}": stack.enter_context(tcp_peer(keeps_silent)) for number in range(30)}
        peers["well"] = stack.enter_context(tcp_peer(says(http("ok"))))
        patience = {"well": LONG}
        targets = {name: Health("http", peer.port, timeout=patience.get(name, SHORT)) for name, peer in peers.items()}
        began = time.monotonic()
        answers = health.probe_all(targets)
        assert time.monotonic() - began < SHORT + LATE, "one after the other would take 30 times as long"
    assert list(answers) == list(targets)
    assert [name for name, answer in answers.items() if answer.ok] == ["well"]
    assert health.probe_all({}) == {}


def test_a_watch_sees_a_service_come_up_and_leaves_it_in_peace_then() -> None:
    port = free_port()
    with health.HealthWatch({"late": Health("http", port, timeout=LONG)}) as watch:
        assert watch.answer("nobody") is None
        assert eventually(lambda: watch.answer("late") is not None)
        early = watch.answer("late")
        assert early is not None
        assert (early.ok, early.detail) == (False, "connection refused")
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        with Peer(server, says(http("ok"))) as peer:
            assert eventually(lambda: well(watch.answer("late")))
            asked = len(peer.requests)
            assert not Deadline(0.2).poll(lambda: len(peer.requests) > asked, 0.02)


def test_a_stopped_watch_asks_no_more() -> None:
    with tcp_peer(says(http("no", "503 Starting"))) as peer:
        watch = health.HealthWatch({"never": Health("http", peer.port, timeout=LONG)})
        assert eventually(lambda: len(peer.requests) > 2)
        watch.stop()
        under_way = len(peer.requests) + 1
        assert not Deadline(0.3).poll(lambda: len(peer.requests) > under_way, 0.02)


def well(answer: t.Optional[HealthAnswer]) -> bool:
    return answer is not None and answer.ok
