# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Ask a PostgreSQL: log in as the application does, and run a query that changes nothing."""

from __future__ import annotations

import contextlib
import os
import shlex
import struct
import typing as t

from ..base import cures
from ..base.clock import Deadline
from ..base.wire import Line
from . import tls
from .answers import NoAnswer
from .database_urls import PostgresqlUrl, ServerAddress, read_postgresql_url
from .question import Question
from .wording import quoted

ANSWER_LIMIT = 1024 * 1024  # bytes of all that the server may send, the log-in included

# Where distributions have the socket that libpq takes when nothing says where the server is.
_SOCKET_DIRECTORIES = ("/run/postgresql", "/var/run/postgresql", "/tmp")
# The request to go on in TLS: its length and its number. An answer begins with yes, no, or an error of an old server.
_WANTS_TLS = struct.pack("!ii", 8, 80877103)
# What a server's first message can be: authentication, an error, a notice, an older protocol.
_FIRST_MESSAGES = (b"R", b"E", b"N", b"v")

# SQLSTATEs, by appendix A of PostgreSQL's documentation.
_WRONG_PASSWORD, _NOT_LET_IN, _NO_DATABASE, _NOT_NOW, _TOO_MANY = "28P01", "28000", "3D000", "57P03", "53300"
_CANCELLED = "57014"


class _Stranger(Exception):
    """The first bytes of something that is no PostgreSQL."""


class _DriverSocket:
    """The socket that the driver reads and writes: every call shares the line's deadline, and what comes is bounded."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._begun = False
        self._kept = b""

    def makefile(self, **_mode: str) -> _DriverSocket:
        """Return what the driver reads from and writes to: itself."""
        return self

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes; the driver asks again for the rest."""
        if self._line.received > ANSWER_LIMIT:
            raise OSError(f"its answer is longer than {ANSWER_LIMIT} bytes")
        data = self._line.recv(max(1, min(size, 65536))) if size else b""
        if size and not data:
            raise _Closed
        if not self._begun and data[:1] not in _FIRST_MESSAGES:
            raise _Stranger(data)
        self._begun = True
        return data

    def write(self, data: bytes) -> int:
        """Keep ``data`` for the next flush."""
        self._kept += data
        return len(data)

    def flush(self) -> None:
        """Send what has been kept."""
        kept, self._kept = self._kept, b""
        self._line.send(kept)

    def close(self) -> None:
        """The line is closed by whoever has opened it."""


class _Closed(Exception):
    """The other side has closed the connection."""


def ask_postgresql(question: Question) -> str:
    """Return that it answered: the application may log in, and the query of the check works.

    Raises:
        NoAnswer: the server says no, or is no PostgreSQL.
        OSError: the connection failed, or was too slow.
    """
    application = question.application

    def read(text: str) -> PostgresqlUrl:
        return read_postgresql_url(text, application.environment, application.account)

    url = question.read_url(read)
    question.secrets += [url.password] if url.password else []
    line = _reach(url, question)
    if url.tls != "disable" and not question.on_unix_socket:
        _upgrade(url, line, question)
    try:
        _log_in_and_query(url, line, question)
    except ImportError as exc:
        raise NoAnswer(f"the engine lacks its driver ({exc.name}); this installs it: {cures.INSTALL}") from exc
    return "answered"


def _reach(url: PostgresqlUrl, question: Question) -> Line:
    """Connect to the first of the URL's servers that takes it."""
    failed: t.Optional[OSError] = None
    for address in url.addresses or (_usual_address(url.port),):
        path = f"{address.host}/.s.PGSQL.{address.port}"
        question.place, question.command = path if address.is_unix else str(address), _psql(url, address)
        try:
            return question.connect(address, path)
        except OSError as exc:
            failed = exc
    raise failed if failed is not None else NoAnswer("names no server")


def _usual_address(port: int) -> ServerAddress:
    """Return the address that libpq takes when none is said: the distribution's socket, where there is one."""
    for directory in _SOCKET_DIRECTORIES:
        if os.path.exists(f"{directory}/.s.PGSQL.{port}"):
            return ServerAddress(directory, port)
    return ServerAddress("localhost", port)


def _psql(url: PostgresqlUrl, address: ServerAddress) -> str:
    return shlex.join(
        ["psql", "-h", address.host, "-p", str(address.port), "-U", url.user, "-d", url.database, "-c", "SELECT 1"]
    )


def _upgrade(url: PostgresqlUrl, line: Line, question: Question) -> None:
    """Go on in TLS where the URL wants it, or where it leaves it open and the server can."""
    line.send(_WANTS_TLS)
    answer = line.recv(1)
    if answer == b"S":
        verify = url.tls in ("verify-ca", "verify-full")
        names = url.tls == "verify-full"
        question.require_files(url.root_certificate, url.certificate, url.key)
        files = (url.root_certificate, url.certificate, url.key)
        question.secure(line, tls.context(verify, names, *files, judge=question.judge()))
    elif not answer:
        raise NoAnswer("closed without an answer")
    elif answer not in (b"N", b"E"):
        raise NoAnswer(f"not PostgreSQL: it answers {question.shown(answer + _rest(line))}")
    elif url.tls not in ("allow", "prefer"):
        raise NoAnswer(f"it speaks no TLS, and {question.check.variable} wants it (sslmode={url.tls})")


def _rest(line: Line) -> bytes:
    """Return what else has come of a first answer; it is only to be shown."""
    try:
        return line.recv(128)
    except OSError:
        return b""


def _log_in_and_query(url: PostgresqlUrl, line: Line, question: Question) -> None:
    """Log in and run the query.

    Raises:
        NoAnswer: the server says no, or is no PostgreSQL.
        OSError: the connection failed, or was too slow.
        ImportError: there is no driver.
    """
    from pg8000.core import CoreConnection

    query = question.check.query
    question.waiting = "it took the connection, and has not let us in"
    logged_in = False
    try:
        connection = CoreConnection(
            url.user,
            database=url.database,
            password=url.password or "",
            ssl_context=False,
            application_name="rollcall",
            startup_params={"options": url.options} if url.options else None,
            sock=_DriverSocket(line),
        )
        logged_in = True
        question.waiting = f"it let us in, and its answer to {quoted(query)} has not come"
        connection.execute_simple(_read_only(question.deadline))
        # "Extended Query" of its documentation: a Parse message takes exactly one statement. A query that ends this
        # transaction can so do nothing after it. Without BEGIN, a block of code (DO, CALL) could end it and go on.
        connection.execute_unnamed(query)
        connection.execute_simple("ROLLBACK")
    # What is no PostgreSQL, or breaks off, makes the driver stumble in any way.
    except Exception as exc:  # noqa: BLE001 - each becomes words, or is raised again
        raise _why(exc, url, line, question, logged_in) from None
    with contextlib.suppress(Exception):  # it has answered: whether it hears the good-bye is its own affair
        connection.close()


def _read_only(deadline: Deadline) -> str:
    """Return what begins a transaction that reads, and that the server itself ends in time: it would work on alone.

    What is set holds for the transaction only, so it is the same through a pool of connections, and leaves nothing set
    there.
    """
    milliseconds = max(1, int(deadline.remaining() * 900))
    return f"BEGIN READ ONLY; SET LOCAL statement_timeout = {milliseconds}"


def _why(exc: BaseException, url: PostgresqlUrl, line: Line, question: Question, logged_in: bool) -> Exception:
    """Return what the driver met first: it may have failed once more when it said good-bye, and show that."""
    met = list(_chain(exc))
    said = next((one.args[0] for one in met if one.args and isinstance(one.args[0], dict)), None)
    if said is not None:
        return NoAnswer(_says(said, url, question, logged_in))
    stranger = next((one for one in met if isinstance(one, _Stranger)), None)
    if stranger is not None:
        return NoAnswer(f"not PostgreSQL: it answers {question.shown(stranger.args[0] + _rest(line))}")
    broken = [one for one in met if isinstance(one, OSError)]
    if broken:
        # Python 3.9: socket.timeout, which is behind the line's own TimeoutError, is none itself.
        return next((one for one in broken if isinstance(one, TimeoutError)), broken[-1])
    if any(isinstance(one, _Closed) for one in met):
        return NoAnswer("closed the connection before it had answered")
    if any(isinstance(one, ValueError) for one in met) and not _has_md5():
        return NoAnswer(
            f'user "{url.user}" cannot log in by MD5, which this system does not allow (FIPS): '
            "with password_encryption = 'scram-sha-256', have the server keep the password anew"
        )
    return NoAnswer(f"cannot be talked to: {question.shown(f'{type(exc).__name__}: {exc}')}")


def _has_md5() -> bool:
    """Return whether the system lets the driver make an MD5, as some servers keep passwords."""
    import hashlib

    try:
        hashlib.md5(b"")
    except ValueError:
        return False
    return True


def _chain(exc: t.Optional[BaseException]) -> t.Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def _says(said: t.Mapping[str, str], url: PostgresqlUrl, question: Question, logged_in: bool) -> str:
    """Return in words the error that the server sent. Its own may be in any language, so its code decides."""
    code, message = said.get("C", ""), question.shown(said.get("M", ""))
    if code == _CANCELLED and logged_in:
        return f"{question.waiting} within {question.deadline.seconds:g} s"
    if logged_in:
        return f"the query failed: {message} ({code})"
    if code == _WRONG_PASSWORD:
        if url.password is None:
            return f'it wants a password of user "{url.user}", and {question.check.variable} has none'
        return f'password refused for user "{url.user}", or there is no such role'
    if code == _NO_DATABASE:
        return f'there is no database "{url.database}"'
    if code == _NOT_LET_IN and said.get("R") == "InitializeSessionUserId":
        return f'there is no role "{url.user}", or it may not log in: {message}'
    if code == _NOT_LET_IN:
        safe = question.in_tls or question.on_unix_socket
        hint = "" if safe else "; it may want TLS, and this was without (sslmode)"
        return f'user "{url.user}" is not let in: {message}{hint}'
    if code == _NOT_NOW:
        return f"it takes no connections now: {message}"
    if code == _TOO_MANY:
        return f"it has no connection left: {message}"
    return f"it refuses: {message} ({code})"
