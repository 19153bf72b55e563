# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""JSON as PM2 reads it: PM2 evaluates a .json file as JavaScript. What is plain data in it is written as JSON. Pure.

Comments, commas at the end, keys without quotes, texts in single quotes and numbers such as ``0x1f`` are data. What
would have to be run is not: names, calls, templates with ``${``, operators.
"""

from __future__ import annotations

import json
import re
import typing as t

_TOKEN = re.compile(
    r"""(?P<space>[\s\ufeff]+|//[^\n]*|/\*.*?\*/)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`\\$]*`)
    |(?P<number>[-+]?(?:0[xX][0-9a-fA-F]{1,15}|[0-9]{1,300}\.?[0-9]{0,300}(?:[eE][-+]?[0-9]{1,3})?|\.[0-9]{1,300}))(?![\w$.])
    |(?P<name>[A-Za-z_$][\w$]*)
    |(?P<sign>[{}\[\],:;()=])""",
    re.VERBOSE | re.DOTALL,
)
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
    tokens = list(_tokens(text))
    written: t.List[str] = []
    inside: t.List[str] = []
    for index, token in enumerate(tokens):
        if token.kind == "space":
            written.append("\n" * token.text.count("\n") or " ")
        elif token.kind == "sign":
            written.append(_sign(text, token, _next(tokens, index), inside))
        else:
            key = inside[-1:] == ["{"] and _next(tokens, index) == ":"
            written.append(_scalar(text, token, key) + "\n" * (token.text.count("\n")))
    return "".join(written)


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
        before = _Token(str(found.lastgroup), found.group(), position)
        begun = begun or before.kind != "space"
        yield before
        position = found.end()


def _next(tokens: t.Sequence[_Token], index: int) -> str:
    """Return the sign that follows a token; '' when something else does."""
    following = next((token for token in tokens[index + 1 :] if token.kind != "space"), None)
    return following.text if following is not None and following.kind == "sign" else ""


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
