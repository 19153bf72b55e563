# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""XML-RPC as supervisord speaks it: calls written, answers read, both over HTTP/1.1 on a kept connection.

Not with the standard library's ``xmlrpc.client``: it takes twice as long to read an answer, it sets no limit to what
one may nest or declare, and it imports ``http.client`` (see base/http.py). The format is http://xmlrpc.com/spec.md; of
its types supervisord sends no dates and no binary data.
"""

from __future__ import annotations

import typing as t
from math import isfinite

from ..base.http import BrokenAnswer, HttpAnswer
from ..base.wire import Line

# 200 programs are about 240 KiB; more than this is not supervisord. What is read of it takes up to eight times as much.
LARGEST_ANSWER = 8 * 1024 * 1024
# A multicall nests six: the array of answers, an array of programs, a struct of each.
_DEEPEST = 16
# Elements within elements: a container has four or five around each value.
_DEEPEST_ELEMENT = 100
# Characters of one text: a description or a path has some hundreds.
_LONGEST_TEXT = 1024 * 1024
_LONGEST_NUMBER = 32
# Bytes without an element or a text: a tag, with all its attributes, is kept as a whole until it ends.
_LONGEST_TAG = 256 * 1024


class Malformed(ValueError):
    """What was received is no answer of XML-RPC over HTTP; its text says why."""


class Fault(Exception):
    """The called method has failed.

    Attributes:
        code: its number, one of supervisor's ``xmlrpc.Faults``.
        text: its words.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


# --- calls --------------------------------------------------------------------------------------------------------


def call_of(method: str, params: t.Iterable[t.Any]) -> bytes:
    """Return the body of a call.

    Args:
        method: with its namespace, ``supervisor.getState``.
        params: texts, integers, booleans, and lists and dicts of these.

    Raises:
        TypeError: a value of another type.
    """
    values = "".join(f"<param>{_value(param)}</param>" for param in params)
    text = f"<?xml version='1.0'?>\n<methodCall><methodName>{_escaped(method)}</methodName><params>{values}</params>"
    return f"{text}</methodCall>\n".encode()


def _value(value: t.Any) -> str:
    if isinstance(value, str):
        inner = f"<string>{_escaped(value)}</string>"
    elif isinstance(value, bool):
        inner = f"<boolean>{value:d}</boolean>"
    elif isinstance(value, int):
        inner = f"<int>{value}</int>"
    elif isinstance(value, (list, tuple)):
        inner = f"<array><data>{''.join(map(_value, value))}</data></array>"
    elif isinstance(value, dict):
        members = (f"<member><name>{_escaped(name)}</name>{_value(one)}</member>" for name, one in value.items())
        inner = f"<struct>{''.join(members)}</struct>"
    else:
        raise TypeError(f"XML-RPC carries no {type(value).__name__}")
    return f"<value>{inner}</value>"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# --- answers ------------------------------------------------------------------------------------------------------


def result_of(body: bytes) -> t.Any:
    """Return the value that a whole answer carries; errors are those of `Reply`."""
    reply = Reply()
    reply.feed(body)
    return reply.result()


class Reply:
    """An answer that is read while it comes, and the value that it carries.

    A value is a text, a number, a boolean, None, or a list or a dict of these.
    """

    def __init__(self) -> None:
        from pyexpat import ParserCreate

        self._text = ""
        self._value: t.Any = None
        self._typed = False  # whether the <value> at hand has an element within; without one it is a string
        self._containers: t.List[t.Any] = []
        self._names: t.List[str] = []
        self._faulty = False
        self._count = 0
        self._depth = 0
        self._unread = 0  # bytes since the last element or text
        self._parser = ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add

    def feed(self, piece: bytes, *, last: bool = False) -> None:
        """Read the next piece.

        Raises:
            Malformed: this is no answer of XML-RPC, declares a document type, or nests too deeply.
        """
        from pyexpat import ExpatError

        self._unread += len(piece)
        try:
            self._parser.Parse(piece, last)
        except Malformed:
            raise
        except (ExpatError, ArithmeticError, ValueError, IndexError, KeyError, TypeError, AttributeError) as exc:
            raise Malformed(f"{type(exc).__name__}: {exc}") from exc
        if self._unread > _LONGEST_TAG:
            raise Malformed("it has a tag that is too long")

    def result(self) -> t.Any:
        """Return the value, when all pieces have been read.

        Raises:
            Fault: the answer is one.
            Malformed: as with :meth:`feed`; or the answer is not whole.
        """
        self.feed(b"", last=True)
        del self._parser  # it refers to this: without it both are freed at once, with what they hold of the answer
        if self._count != 1:
            raise Malformed(f"it carries {self._count} values instead of one")
        if not self._faulty:
            return self._value
        code = self._value.get("faultCode") if isinstance(self._value, dict) else None
        if not isinstance(code, int):
            raise Malformed("it is a fault without a number")
        raise Fault(code, str(self._value.get("faultString", "")))

    def _refuse(self, *_declaration: t.Any) -> None:
        raise Malformed("it declares a document type")

    def _start(self, tag: str, _attributes: t.Mapping[str, str]) -> None:
        self._text = ""
        self._unread = 0
        self._depth += 1
        if self._depth > _DEEPEST_ELEMENT:
            raise Malformed("it nests too deeply")
        if tag == "value":
            self._typed = False
        elif tag in ("struct", "data"):
            if len(self._containers) == _DEEPEST:
                raise Malformed("it nests too deeply")
            self._containers.append({} if tag == "struct" else [])
        elif tag == "fault":
            self._faulty = True

    def _add(self, text: str) -> None:
        if len(self._text) + len(text) > _LONGEST_TEXT:
            raise Malformed("it has a text that is too long")
        self._text += text
        self._unread = 0

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._unread = 0
        if tag == "value":
            self._end_value()
        elif tag == "name":
            self._names.append(self._text)
        elif tag == "member":
            self._containers[-1][self._names.pop()] = self._value
        elif tag in ("struct", "data"):
            self._set(self._containers.pop())
        elif tag in _SCALARS:
            self._set(_SCALARS[tag](self._text))
        elif tag not in _FRAMES:
            raise Malformed(f"it has an element <{tag[:40]}>")
        self._text = ""

    def _end_value(self) -> None:
        if not self._typed:
            self._set(self._text)
        if not self._containers:
            self._count += 1
        elif isinstance(self._containers[-1], list):
            self._containers[-1].append(self._value)

    def _set(self, value: t.Any) -> None:
        self._value = value
        self._typed = True


def _number(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise Malformed("it has a number of too many digits")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    # Neither is a number of XML-RPC, nor of JSON, into which reports are written.
    if not isfinite(number):
        raise Malformed("it has a double that is infinite or no number")
    return number


def _boolean(text: str) -> bool:
    if text not in ("0", "1"):
        raise Malformed(f"it has a boolean of {text[:40]!r}")
    return text == "1"


_SCALARS: t.Mapping[str, t.Callable[[str], t.Any]] = {
    "string": str,
    "int": _number,
    "i4": _number,
    "i8": _number,
    "boolean": _boolean,
    "double": _finite,
    "nil": lambda _text: None,
}
_FRAMES = frozenset(("methodResponse", "params", "param", "array", "fault"))


# --- HTTP ---------------------------------------------------------------------------------------------------------


def post(line: Line, body: bytes, authorization: t.Optional[str] = None) -> t.Tuple[int, Reply, bool]:
    """Send one call and read what comes back.

    Args:
        line: the connection, under the deadline of all of it.
        body: of the request.
        authorization: value of the header of this name; None sends none.

    Returns:
        The status, the answer, which has been read only under the status 200, and whether the connection may be used
        again.

    Raises:
        TimeoutError: at the deadline.
        ConnectionError: the connection ended before the answer did.
        Malformed: it is no answer of HTTP or of XML-RPC, or too large.
        OSError: any other error of the socket.
    """
    head = f"POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n"
    if authorization is not None:
        head += f"Authorization: {authorization}\r\n"
    line.send(head.encode("ascii") + b"\r\n" + body)  # in one piece: each piece costs a turn of supervisord's loop
    try:
        answer = HttpAnswer(line)
        if answer.head_is_whole and answer.length is None:
            # supervisord announces the length of every answer (supervisor.xmlrpc, supervisor.medusa.http_server).
            raise Malformed("it announces no length")
        if (answer.length or 0) > LARGEST_ANSWER:
            raise Malformed(f"it announces {answer.length} bytes")
        reply = Reply()
        # supervisord sends 4 KiB in each turn of its loop: most of an answer is read by the time that its end comes.
        for piece in answer.pieces(LARGEST_ANSWER):
            if answer.status == 200:
                reply.feed(piece)
    except BrokenAnswer as exc:
        raise Malformed(str(exc)) from exc
    if answer.missing or not answer.head_is_whole:
        raise ConnectionResetError("the connection ended before the answer did")
    return answer.status, reply, not answer.is_last
