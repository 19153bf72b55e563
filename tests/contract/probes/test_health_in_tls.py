# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health answers in TLS, from servers with certificates of an authority made here."""

from __future__ import annotations

import socket
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Health
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes import health
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes.answers import HealthAnswer
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.health_commands import health_command
from tests.support.authorities import Authority, in_tls
from tests.support.peers import Behaviour, drips, http, keeps_silent, says, tcp_peer, then_silent

SHORT, LONG = 1.0, 30.0


@pytest.fixture(name="authority", scope="module")
def an_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def ask(behave: Behaviour, **wanted: t.Any) -> HealthAnswer:
    with tcp_peer(behave, listens=False) as peer:
        return health.probe(Health(**{"kind": "https", "port": peer.port, "timeout": LONG, **wanted}))


def test_a_certificate_of_the_authority_that_is_named_is_trusted(authority: Authority) -> None:
    context = authority.server("IP:127.0.0.1")
    answer = ask(in_tls(context, says(http('{"status": "ok"}'))), ca=authority.certificate, json={"status": "ok"})
    assert (answer.ok, answer.status, answer.peer) == (True, 200, "127.0.0.1"), answer.detail


def test_a_certificate_that_nobody_has_signed_or_of_another_name_is_no_health(authority: Authority) -> None:
    context = authority.server("DNS:shop.example.org")
    well = in_tls(context, says(http("ok")))
    assert ask(well).detail.startswith("its certificate is not trusted: ")
    assert ask(well, ca=authority.certificate).detail == (
        "its certificate is not trusted: IP address mismatch, certificate is not valid for '127.0.0.1'."
    )
    other = ask(well, ca=authority.certificate, server_name="store.example.org")
    assert other.detail.startswith("its certificate is not trusted: Hostname mismatch")
    assert ask(well, verify=False).ok, "where the manifest says so, any certificate will do"


def test_a_server_name_is_that_of_the_certificate_and_of_the_host(authority: Authority) -> None:
    requests: list[bytes] = []
    behave = in_tls(authority.server("DNS:shop.example.org"), says(http("ok")), requests)
    assert ask(behave, ca=authority.certificate, server_name="shop.example.org").ok
    assert b"\r\nHost: shop.example.org:" in requests[0]


def test_a_file_of_the_authority_that_is_not_there_is_named(authority: Authority, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    answer = ask(in_tls(authority.server("IP:127.0.0.1"), says(http("ok"))), ca=missing)
    assert not answer.ok
    assert answer.detail.startswith("the files for TLS cannot be read: ")
    assert missing in answer.detail


def test_tls_alone_can_be_the_answer_and_can_be_talked_in(authority: Authority) -> None:
    context, requests = authority.server("IP:127.0.0.1"), list[bytes]()
    wanted = {"kind": "tls", "ca": authority.certificate}
    assert ask(in_tls(context, keeps_silent), **wanted).detail.startswith("connected in ")
    pong = in_tls(context, then_silent("+PONG\r\n"), requests)
    assert ask(pong, **wanted, send="PING\r\n", expect="+PONG").ok
    assert requests == [b"PING\r\n"]


def test_who_does_not_speak_tls_is_not_well() -> None:
    assert ask(says(http("ok")), verify=False).detail.startswith("TLS came to nothing: ")
    assert not ask(says(""), verify=False).ok


@pytest.mark.fault(30)
def test_a_hostile_server_is_bounded_in_every_step(authority: Authority) -> None:
    context = authority.server("IP:127.0.0.1")

    def drips_its_hello(connection: socket.socket) -> None:
        connection.recv(65536)
        # The head of a record of 16 KiB, and then a byte at a time: the handshake never ends.
        connection.sendall(b"\x16\x03\x03\x40\x00")
        drips("\x02" * 4000)(connection)

    def endless_head(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: " + b"y" * 1000 + b"\r\n")

    for behave in (keeps_silent, drips_its_hello):
        began = time.monotonic()
        answer = ask(behave, verify=False, timeout=SHORT)
        assert answer.detail == f"it took the connection, and TLS has not come about within {SHORT:g} s"
        assert time.monotonic() - began < SHORT + 20, "one deadline for all of it"
    assert not ask(in_tls(context, drips(http("ok" * 500))), verify=False, timeout=SHORT).ok
    assert (
        ask(in_tls(context, endless_head), verify=False).detail == "a broken HTTP answer: it has more than 100 headers"
    )


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["IP:127.0.0.1"], {}),
        (["DNS:shop.example.org"], {"server_name": "shop.example.org"}),
        (["DNS:shop.example.org"], {"verify": False}),
    ],
)
def test_the_command_that_asks_by_hand_is_well_when_the_check_is(
    authority: Authority, names: list[str], wanted: dict[str, t.Any]
) -> None:
    context, requests = authority.server(*names), list[bytes]()
    if wanted.get("verify", True):
        wanted = {**wanted, "ca": authority.certificate}
    more = {"headers": {"X-Check": "a 'b'", "X-Empty": ""}, "path": "/health?full=1"}
    for kind in ("https", "tls"):
        behave = in_tls(context, says(http("fine")), requests)
        with tcp_peer(behave, listens=False) as peer:
            target = Health(
                **{"kind": kind, "port": peer.port, "timeout": LONG, **wanted, **(more if kind == "https" else {})}
            )
            assert health.probe(target).ok
            command = health_command("web", target)
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=LONG)
        assert done.returncode == 0, (command, done.stderr)
        assert kind == "tls" or "fine" in done.stdout
    assert b"X-Check: a 'b'\r\n" in requests[1]
    assert b"GET /health?full=1 " in requests[1]
