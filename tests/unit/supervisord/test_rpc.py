# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls and answers of XML-RPC: read as the standard library reads them, and refused where they are none."""

from __future__ import annotations

import socket
import sys
import typing as t
import xmlrpc.client
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import SYSTEM, Deadline
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.wire import Line
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.apart import apart
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import rpc

# What XML 1.0 can carry; a carriage return comes back as a line feed.
TEXTS = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"))
VALUES = st.recursive(
    TEXTS | st.booleans() | st.integers(-(2**31), 2**31 - 1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def answer(value: t.Any) -> bytes:
    return xmlrpc.client.dumps((value,), methodresponse=True, allow_none=True).encode("utf-8")


@given(st.lists(VALUES, max_size=3))
def test_a_call_is_read_by_the_standard_library_as_it_was_meant(params: list[t.Any]) -> None:
    read, method = xmlrpc.client.loads(rpc.call_of("supervisor.getState", params))
    assert (list(read), method) == (params, "supervisor.getState")


@given(VALUES | st.floats(allow_nan=False, allow_infinity=False) | st.none())
def test_an_answer_of_the_standard_library_is_read_as_it_was_meant(value: t.Any) -> None:
    assert rpc.result_of(answer(value)) == value


def test_a_value_without_a_type_is_text() -> None:
    body = b"<methodResponse><params><param><value>RUNNING</value></param></params></methodResponse>"
    assert rpc.result_of(body) == "RUNNING"


def test_a_fault_is_raised_with_its_code_and_text() -> None:
    body = xmlrpc.client.dumps(xmlrpc.client.Fault(91, "STILL_RUNNING: web"), methodresponse=True).encode()
    with pytest.raises(rpc.Fault) as caught:
        rpc.result_of(body)
    assert (caught.value.code, caught.value.text) == (91, "STILL_RUNNING: web")


def deep(levels: int) -> bytes:
    value: t.Any = "bottom"
    for _level in range(levels):
        value = [value]
    return answer(value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml at all",
        b"<methodResponse><params></params></methodResponse>",
        b"<methodResponse><params><param><value><int>x</int></value></param></params></methodResponse>",
        b"<methodResponse><params><param><value><int>"
        + b"9" * 5000
        + b"</int></value></param></params></methodResponse>",
        b"<methodResponse><params><param><value><boolean>2</boolean></value></param></params></methodResponse>",
        b"<methodResponse><params><param><value><base64>eA==</base64></value></param></params></methodResponse>",
        b"<methodResponse><fault><value><string>no struct</string></value></fault></methodResponse>",
        b"<methodResponse><params><param><value><struct><member><value/></member></struct></value></param></params>"
        b"</methodResponse>",
        b"<html><body>it works</body></html>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><methodResponse><params><param><value>&b;</value></param></params>'
        b"</methodResponse>",
        deep(17),
        answer("cut off")[:-30],
    ],
)
def test_what_is_no_answer_is_told_to_be_none(body: bytes) -> None:
    with pytest.raises(rpc.Malformed):
        rpc.result_of(body)


@given(st.binary(max_size=60), st.integers(0, 400))
def test_no_bytes_make_it_raise_anything_else(junk: bytes, place: int) -> None:
    body = answer([{"name": "web", "pid": 7, "up": True}])
    try:
        rpc.result_of(body[:place] + junk + body[place:])
    except (rpc.Malformed, rpc.Fault):
        return


def posted(received: bytes) -> tuple[int, rpc.Reply, bool]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(received)
        theirs.shutdown(socket.SHUT_WR)
        return rpc.post(Line(ours, Deadline(5, SYSTEM)), b"<methodCall/>")


def test_an_answer_that_is_whole_leaves_the_connection_usable() -> None:
    body = answer("RUNNING")
    for connection, usable in ((b"", True), (b"Connection: close\r\n", False)):
        head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%s\r\n" % (len(body), connection)
        status, reply, reusable = posted(head + body)
        assert (status, reply.result(), reusable) == (200, "RUNNING", usable)


def test_of_a_refusal_only_the_status_is_read() -> None:
    status, reply, reusable = posted(b"HTTP/1.0 401 Unauthorized\r\nContent-Length: 3\r\n\r\nabcmore")
    assert (status, reusable) == (401, False)
    with pytest.raises(rpc.Malformed):
        reply.result()


def test_an_answer_reads_the_same_in_pieces_of_any_size() -> None:
    value = {"name": "caf\u00e9 & <tee>", "numbers": [1, -2, 3.5], "on": True, "nothing": None}
    body = answer(value)
    for size in (1, 7, 4096):
        reply = rpc.Reply()
        for start in range(0, len(body), size):
            reply.feed(body[start : start + size])
        assert reply.result() == value


@pytest.mark.parametrize("code", ["<double>inf</double>", "<double>6.5</double>", "<string>6</string>", ""])
def test_a_fault_whose_code_is_no_whole_number_is_malformed(code: str) -> None:
    member = f"<member><name>faultCode</name><value>{code}</value></member>"
    body = f"<methodResponse><fault><value><struct>{member}</struct></value></fault></methodResponse>"
    with pytest.raises(rpc.Malformed):
        rpc.result_of(body.encode())


def test_an_answer_that_breaks_off_within_its_text_is_malformed() -> None:
    body = answer(["RUNNING"])
    reply = rpc.Reply()
    reply.feed(body[:-20])
    with pytest.raises(rpc.Malformed):
        reply.result()


@pytest.mark.parametrize(
    "received",
    [
        b"220 smtp.example.org ESMTP\r\n",
        b"HTTP/1.1 abc\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
    ],
)
def test_what_is_no_answer_of_http_is_told_to_be_none(received: bytes) -> None:
    with pytest.raises(rpc.Malformed):
        posted(received)


@pytest.mark.parametrize("received", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"])
def test_an_answer_that_is_cut_off_is_a_lost_connection(received: bytes) -> None:
    with pytest.raises(ConnectionError):
        posted(received)


def in_an_answer(text: str) -> bytes:
    return f"<methodResponse><params><param>{text}</param></params></methodResponse>".encode()


def full_of(piece: str) -> bytes:
    """Return an answer that is as large as one may be, of many pieces that are numbered."""
    number = rpc.LARGEST_ANSWER // (len(piece) + 5)
    return in_an_answer("".join(piece % one for one in range(number)))


def read_in_pieces(body: bytes) -> t.Any:
    """Return what an answer carries that is read as it comes from a socket."""
    reply = rpc.Reply()
    for first in range(0, len(body), 65_536):
        reply.feed(body[first : first + 65_536])
    return reply.result()


BOMBS = {
    "entities": b"<!DOCTYPE x [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;'>]>" + in_an_answer("&b;"),
    "a parameter entity": b"<!DOCTYPE x [<!ENTITY % a SYSTEM '/etc/passwd'> %a;]>" + in_an_answer("<value/>"),
    "an external document type": b"<!DOCTYPE x SYSTEM '/dev/zero'>" + in_an_answer("<value/>"),
    "elements within elements": b"<methodResponse>" + b"<value>" * 1_000_000,
    "containers within containers": b"<methodResponse>" + b"<value><array><data>" * 300_000,
    "one text": in_an_answer(f"<value>{'a' * (rpc.LARGEST_ANSWER - 100)}</value>"),
    "one name": b"<methodResponse><" + b"a" * (rpc.LARGEST_ANSWER - 100),
    "attributes": b"<methodResponse " + b" ".join(b"a%d='b'" % one for one in range(500_000)) + b">",
    "names": full_of("<name>n%d</name>"),
    "members": in_an_answer(f"<value><struct>{full_of('<member><name>n%d</name><value/></member>').decode()}"),
    "values": full_of("<value><i4>7%d</i4></value>"),
    "lists": in_an_answer("<value><array><data>" + "<value><array><data/></array></value>" * 200_000),
    "a number": in_an_answer(f"<value><int>{'9' * 100_000}</int></value>"),
    "an infinite double": in_an_answer("<value><double>inf</double></value>"),
    "a double that overflows": in_an_answer("<value><double>1e999</double></value>"),
    "no number": in_an_answer("<value><double>nan</double></value>"),
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("what", BOMBS)
def test_what_is_made_to_blow_up_is_refused_in_bounded_memory(what: str) -> None:
    body = BOMBS[what]

    def grown() -> int:
        def kilobytes(key: str) -> int:
            return int(Path("/proc/self/status").read_text(encoding="ascii").split(f"{key}:")[1].split()[0])

        before = kilobytes("VmRSS")
        with pytest.raises(rpc.Malformed):
            read_in_pieces(body)
        return kilobytes("VmHWM") - before

    assert apart(grown, 60) < 64 * 1024
