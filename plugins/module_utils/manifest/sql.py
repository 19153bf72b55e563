# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The query of a database check: one statement that reads.

Only what is certain is refused here. The server has the last word: it takes one statement at a time, in a transaction
that is read-only.
"""

from __future__ import annotations

import re
import typing as t

from . import corrections
from .document import WRONG
from .places import Place
from .problems import Problems
from .readers import ValueType, read_text

# The commands that read, by "SQL Commands" of PostgreSQL's documentation. A read-only transaction lets others pass
# that change something: COPY TO PROGRAM runs a command on the server's host.
READING = ("select", "with", "values", "table", "show", "explain")

# "Lexical Structure" of PostgreSQL's documentation: one token, or one stretch between tokens. What a
# backslash is in a plain text depends on a setting of the server.
_TOKEN = re.compile(
    r"""
    (?P<blank> \s+ | --[^\r\n]* )
    | [eE]'[^'\\]*(?:(?:''|\\.)[^'\\]*)*'
    | '[^'\\]*(?:''[^'\\]*)*'
    | "[^"]*(?:""[^"]*)*"
    | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
    | (?P<word> [^\W\d][\w$]* )
    | (?P<comment> /\* )
    | (?P<end> ; )
    | [^'"$;]
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")


def _comment_end(text: str, begin: int) -> t.Optional[int]:
    """Return where a comment ends; comments nest."""
    depth = 0
    for mark in _COMMENT.finditer(text, begin):
        depth += 1 if mark.group() == "/*" else -1
        if not depth:
            return mark.end()
    return None


def _tokens(text: str) -> t.Iterator[t.Tuple[str, str]]:
    """Yield the kind and the text of each token, up to the first place that only the server can read."""
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            return
        position = found.end()
        if found.lastgroup == "comment":
            end = _comment_end(text, found.start())
            if end is None:
                return
            position = end
        elif found.lastgroup != "blank":
            yield found.lastgroup or "other", found.group()


def why_not(text: str) -> t.Optional[str]:
    """Return why a text is certainly not one statement that reads; None when it is one, or the server must say."""
    words = False
    ended = False
    for kind, token in _tokens(text):
        if kind == "end":
            ended = words
        elif ended:
            return "has more than one statement"
        elif not words and token != "(":
            if kind != "word" or token.lower() not in READING:
                return "does not begin with a command that reads"
            words = True
    return None


def _query(problems: Problems, place: Place, value: t.Any) -> t.Any:
    text = read_text(problems, place, value)
    if text is WRONG:
        return WRONG
    reason = why_not(text)
    return problems.error(place, reason, corrections.one_query(READING)) if reason else text


QUERY = ValueType("SQL", _query)
