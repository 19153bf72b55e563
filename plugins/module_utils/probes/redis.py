# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Ask a Redis for a PONG."""

from __future__ import annotations

import shlex

from ..base.wire import Line
from . import tls
from .answers import NoAnswer
from .database_urls import RedisUrl, ServerAddress, read_redis_url
from .question import Question

LINE_LIMIT = 4096  # bytes of one reply


def ask_redis(question: Question) -> str:
    """Return its answer to PING.

    Raises:
        NoAnswer: it says no, or is no Redis.
        OSError: the connection failed, or was too slow.
    """
    check = question.check
    alone = RedisUrl(ServerAddress(check.host, check.port or 0))
    url = question.read_url(read_redis_url) if check.service else alone
    question.secrets += [url.password] if url.password else []
    question.place, question.command = str(url.address), _redis_cli(url)
    line = question.connect(url.address, url.address.host)
    if url.tls:
        question.require_files(url.root_certificate)
        question.secure(line, tls.context(url.verify, url.verify, url.root_certificate, judge=question.judge()))
    question.waiting = "it took the connection, and has not answered"
    if url.password is not None:
        _order(question, line, "AUTH", *([url.user] if url.user else []), url.password)
    if url.database:
        _order(question, line, "SELECT", str(url.database))
    answer = _order(question, line, "PING")
    if answer != b"+PONG":
        raise NoAnswer(f"answered {question.shown(answer)} to PING")
    return "PONG"


def _redis_cli(url: RedisUrl) -> str:
    where = ["-s", url.address.host] if url.address.is_unix else ["-h", url.address.host, "-p", str(url.address.port)]
    tls = ["--tls"] if url.tls else []
    if url.tls and not url.verify:
        tls.append("--insecure")
    elif url.tls and url.root_certificate:
        tls += ["--cacert", url.root_certificate]
    who = ["--user", url.user] if url.user else []
    word = [*who, "--askpass"] if url.password is not None else []
    return shlex.join(["redis-cli", *where, *tls, *word, "-n", str(url.database), "PING"])


def _order(question: Question, line: Line, *words: str) -> bytes:
    """Send a command and return the one line that answers it. Raises NoAnswer when that is an error, or no Redis."""
    answer = _answer(line, *words)
    if answer.startswith(b"-"):
        raise NoAnswer(_refusal(line, words[0], answer[1:].decode("utf-8", "replace"), question))
    if not answer.startswith(b"+"):
        raise NoAnswer(f"not Redis: it answers {question.shown(answer)}" if answer else "closed without an answer")
    return answer


def _answer(line: Line, *words: str) -> bytes:
    """Send a command and return the one line that answers it."""
    parts = [word.encode("utf-8") for word in words]
    line.send(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
    return _reply(line)


def _reply(line: Line) -> bytes:
    """Return a reply's line; all that has come when it does not end in time, or is none of Redis."""
    got = b""
    while b"\r\n" not in got and len(got) < LINE_LIMIT:
        if got and got[:1] not in b"+-":
            break
        data = line.recv(LINE_LIMIT)
        if not data:
            break
        got += data
    return got.split(b"\r\n", 1)[0]


def _refusal(line: Line, order: str, text: str, question: Question) -> str:
    """Return what an error means, as a clause. The first word of an error is its code (Redis protocol)."""
    code = text.split(" ", 1)[0]
    if code == "NOAUTH":
        return f"it wants a password, and {question.check.variable or 'the check'} has none"
    if order == "AUTH" and code == "ERR":
        # Redis says so where it wants no password, and before 6.0 to a wrong one, too: who needs none can PING.
        ping = _without_password(line)
        if ping == b"+PONG":
            return f"it has no password, and {question.check.variable} has one"
        code = "WRONGPASS" if ping.startswith(b"-NOAUTH ") else code
    if code == "WRONGPASS":
        return "password refused, or there is no such user"
    if code == "LOADING":
        return "it is still loading its data"
    return f"it refuses {order}: {question.shown(text)}"


def _without_password(line: Line) -> bytes:
    """Return the answer to PING; nothing when the connection was closed."""
    try:
        return _answer(line, "PING")
    except OSError:
        return b""
