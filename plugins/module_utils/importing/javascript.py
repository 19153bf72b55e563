# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""JSON as PM2 reads it: PM2 evaluates a .json file as JavaScript. What is plain data in it is written as JSON. Pure.

Comments, commas at the end, keys without quotes, texts in single quotes and numbers such as ``0x1f`` are data. What
would have to be run is not: names, calls, templates with ``${``, operators.
"""

from __future__ import annotations

import itertools
import json
import re
import typing as t

_TOKEN = re.compile(
    r"""(?P<space>[\s\ufeff]+|//[^\n]*|/\*)
    |(?P<text>["'`])
    |(?P<number>[-+]?(?:0[xX][0-9a-fA-F]{1,15}|[0-9]{1,300}\.?[0-9]{0,300}(?:[eE][-+]?[0-9]{1,3})?|\.[0-9]{1,300}))(?![\w$.])
    |(?P<name>[A-Za-z_$][\w$]*)
    |(?P<sign>[{}\[\],:;()=])""",
    re.VERBOSE,
)
# Signs of a text up to one that may end it. No pattern takes a whole text: of a long one it would remember every sign.
_PLAIN = {quote: re.compile(rf"[^{quote}\\]*") for quote in "\"'`"}
_ESCAPE = re.compile(r"\\(u\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|\r\n|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": "", "\r\n": ""}
_WORDS = {"true": "true", "false": "false", "null": "null", "undefined": "null"}
BEGINS = re.compile(r"[\s\ufeff]*(?:[{\[(]|//|/\*|module\.exports|export\s+default\b)")
BEGINS = re.compile(r"[\s\ufeff]*(?:[{\[(]|//|/\*|module\.exports|export\s+default\b)")
_EXPORT = re.compile(r"module\.exports\s*=|export\s+default\b")


class NotData(Exception):
    """A part of a text would have to be run.

    Attributes:
        line: its line, from 1.
        column: its column, from 1.
        place: both in words.
        words: what is wrong.
    """

    def __init__(self, text: str, position: int) -> None:
        super().__init__(position)
        self.line = text.count("\n", 0, position) + 1
        self.column = position - (text.rfind("\n", 0, position) + 1) + 1
        self.place = f"line {self.line}, column {self.column}"
        self.words = "is JavaScript that would have to be run, and no data"


class _Token(t.NamedTuple):
    kind: str
    text: str
    start: int


def as_json(text: str) -> str:
    """Return the data in a text of JavaScript as JSON. Every value stays on its line.

    Args:
        text: an object or a list, also behind ``module.exports =``.

    Raises:
        NotData: a part of it would have to be run.
    """
    written: t.List[str] = []
    inside: t.List[str] = []
    spaces: t.List[str] = []
    pending: t.Optional[_Token] = None
    for token in itertools.chain(_tokens(text), [_Token("end", "", len(text))]):
        if token.kind == "space":
            spaces.append("\n" * token.text.count("\n") or " ")
            continue
        if pending is not None:
            written.append(_written(text, pending, token.text if token.kind == "sign" else "", inside))
        written += spaces
        spaces.clear()
        pending = token
    return "".join(written)


def _written(text: str, token: _Token, following: str, inside: t.List[str]) -> str:
    """Return a token as JSON writes it; ``following`` is the sign behind it, empty when something else follows."""
    if token.kind == "sign":
        return _sign(text, token, following, inside)
    return _scalar(text, token, inside[-1:] == ["{"] and following == ":") + "\n" * token.text.count("\n")


def _tokens(text: str) -> t.Iterator[_Token]:
    position = 0
    before = _Token("space", "", 0)
    begun = False
    while position < len(text):
        found = None if begun else _EXPORT.match(text, position)
        if found is not None:
            begun = True
            yield _Token("space", found.group(), position)
            position = found.end()
            continue
        found = _TOKEN.match(text, position)
        if found is None:
            # process.env is told as a whole.
            raise NotData(text, before.start if before.kind in ("name", "number") else position)
        kind, end = str(found.lastgroup), found.end()
        if found.group() == "/*":
            end = text.find("*/", end) + 2
            if end == 1:
                raise NotData(text, position)
        elif kind == "text":
            end = _end_of_text(text, position)
        before = _Token(kind, text[position:end], position)
        begun = begun or kind != "space"
        yield before
        position = end


def _end_of_text(text: str, start: int) -> int:
    """Return the index behind a text that begins with a quote."""
    quote, position = text[start], start + 1
    while True:
        found = _PLAIN[quote].match(text, position)
        position = found.end() if found else position
        if position >= len(text):
            raise NotData(text, start)
        if text[position] == quote:
            break
        position += 2
    inner = text[start + 1 : position]
    if (quote == "`" and "${" in inner) or (quote != "`" and "\n" in inner.replace("\\\n", "")):
        raise NotData(text, start)
    return position + 1


def _sign(text: str, token: _Token, following: str, inside: t.List[str]) -> str:
    sign = token.text
    if sign in "{[":
        inside.append(sign)
    elif sign in "}]" and inside:
        inside.pop()
    elif (sign == "," and following in ("}", "]")) or (sign == ";" and not inside):
        return " "
    elif sign in ";()=":
        raise NotData(text, token.start)
    return sign


def _scalar(text: str, token: _Token, key: bool) -> str:
    if token.kind == "text":
        inner = _ESCAPE.sub(_unescaped, token.text[1:-1])
        return json.dumps(inner)
    if key:
        return json.dumps(token.text)
    if token.kind == "number":
        return _number(token.text.lstrip("+"))
    if token.text not in _WORDS:
        raise NotData(text, token.start)
    return _WORDS[token.text]


def _number(text: str) -> str:
    if "x" in text.lower():
        return str(int(text, 16))
    negative, digits = text.startswith("-"), text.lstrip("-")
    if digits.startswith("."):
        digits = f"0{digits}"
    digits = re.sub(r"\.(?=[eE]|\Z)", "", digits)
    return ("-" if negative else "") + (re.sub(r"\A0+(?=[0-9])", "", digits))


def _unescaped(found: t.Match[str]) -> str:
    sign = found.group(1)
    if sign[0] in "ux" and len(sign) > 1:
        code = int(sign[1:].strip("{}"), 16)
        return chr(code) if code < 0x110000 else "\ufffd"
    return _ESCAPED.get(sign, sign)
