# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a stack's databases answer: SQLite, and PostgreSQL and Redis by the very URL that a service of the stack has.

Each is asked under one deadline for all of it, and nothing that is said has a password in it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import socket
import stat
import struct
import subprocess
import sys
import typing as t
from dataclasses import dataclass, field

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.wire import Line, bounded, connect
from ..manifest.model import DatabaseCheck, Service, Stack
from ..state import journal
from ..supervisord import config
from .database_urls import Place, PostgresqlUrl, RedisUrl, Unreadable, postgresql, redis
from .health import Answer, clean, failure, quoted

if t.TYPE_CHECKING:
    import ssl

_T = t.TypeVar("_T")

QUICK_CHECK_LIMIT = 8 * 1024 * 1024  # bytes of a database file that PRAGMA quick_check reads in some 10 ms
ANSWER_LIMIT = 1024 * 1024  # bytes of all that PostgreSQL may send, the log-in included
LINE_LIMIT = 4096  # bytes of one reply of Redis

# Where distributions have the socket that libpq takes when nothing says where the server is.
_SOCKET_DIRECTORIES = ("/run/postgresql", "/var/run/postgresql", "/tmp")
# The request to go on in TLS: its length and its number. An answer begins with yes, no, or an error of an old server.
_WANTS_TLS = struct.pack("!ii", 8, 80877103)
# What a server's first message can be: authentication, an error, a notice, an older protocol.
_FIRST_MESSAGES = (b"R", b"E", b"N", b"v")

# SQLSTATEs, by appendix A of PostgreSQL's documentation.
_WRONG_PASSWORD, _NOT_LET_IN, _NO_DATABASE, _NOT_NOW, _TOO_MANY = "28P01", "28000", "3D000", "57P03", "53300"
_CANCELLED = "57014"


@dataclass(frozen=True)
class DatabaseAnswer(Answer):
    """What a database answered.

    Attributes:
        reached: whether something took the connection, whatever it then said; for a file, whether it is one.
        place: where it was asked, without user and password; empty when that could not be found out.
        command: what asks it by hand; it wants the password of whoever types it.
    """

    reached: bool = False
    place: str = ""
    command: t.Optional[str] = None


class _Refused(Exception):
    """Why a database does not do, in words that may be shown."""


@dataclass(frozen=True)
class _Application:
    """Who is asked for: what it is called, its variables, and the account that runs it; None for whoever asks."""

    name: str
    environment: t.Mapping[str, str]
    user: t.Optional[str]


@dataclass
class _Asked:
    """One question as far as it has come: what is said of it when it goes no further."""

    deadline: Deadline
    variable: str = ""
    place: str = ""
    command: t.Optional[str] = None
    host: str = ""
    line: t.Optional[Line] = None
    is_file: bool = False
    in_tls: bool = False
    waiting: str = ""
    secrets: t.List[str] = field(default_factory=list)

    def shown(self, text: t.Union[str, bytes]) -> str:
        """Return text of the other side in quotes; were it to repeat what it was told, that is not shown."""
        whole = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        for secret in self.secrets:
            whole = whole.replace(secret, "********")
        return quoted(whole)

    def overdue(self) -> t.Optional[str]:
        """Return what it is that did not come in time; None where only the connection is to blame."""
        return f"{self.waiting} within {self.deadline.seconds:g} s" if self.waiting else None


def ask(stack: Stack, check: DatabaseCheck, *, clock: Clock = SYSTEM) -> DatabaseAnswer:
    """Ask a database once, as the application does, and change nothing in it. Never raises for what it does.

    Args:
        stack: the manifest that has the check; the private files that are in place are its services'.
        check: which database, and by whose variable.
        clock: where the time comes from.
    """
    return _ask(lambda: _application(stack, check), check, clock)


def ask_url(
    kind: str, url: str, *, user: t.Optional[str] = None, timeout: float = 2.0, clock: Clock = SYSTEM
) -> DatabaseAnswer:
    """Ask a database by a URL, whether or not there is a stack that has it; as :func:`ask` in everything else.

    Args:
        kind: ``postgresql`` or ``redis``.
        url: where it is; it may have a password.
        user: the account that runs the application; None for whoever asks.
        timeout: seconds for all of it.
        clock: where the time comes from.
    """
    check = DatabaseCheck(kind, service="the application", variable="the URL", query="SELECT 1", timeout=timeout)
    return _ask(lambda: _Application(check.service, {check.variable: url}, user), check, clock)


def _ask(application: t.Callable[[], _Application], check: DatabaseCheck, clock: Clock) -> DatabaseAnswer:
    began = clock.monotonic()
    asked = _Asked(Deadline(check.timeout, clock), check.variable)
    ok = False
    try:
        said = _ASKING[check.kind](application(), check, asked)
        ok = True
    except (_Refused, Unreadable) as exc:
        said = str(exc)
    except RollcallError as exc:
        said = exc.message
    except (OSError, UnicodeError) as exc:
        late = asked.overdue() if isinstance(exc, TimeoutError) else None
        said = late or failure(exc, asked.host, asked.line, asked.deadline)
    finally:
        if asked.line is not None:
            asked.line.close()
    latency = clock.monotonic() - began
    where = f"{asked.place}: " if asked.place else ""
    detail = f"{where}{said} in {latency * 1000:.1f} ms" if ok else f"{where}{said}"
    reached = asked.is_file or asked.line is not None
    return DatabaseAnswer(ok, detail, None, latency, reached, asked.place, asked.command)


# --- the application's environment ---------------------------------------------------------------------------------


def _application(stack: Stack, check: DatabaseCheck) -> _Application:
    """Return the service that a check names, its secrets included; of instances, the first one.

    Raises:
        RollcallError: its private file cannot be read.
        _Refused: the stack has no such service.
    """
    if not check.service:
        return _Application("the check", {}, stack.user)
    service = next((one for one in stack.services if check.service in (one.name, one.group)), None)
    if service is None:
        raise _Refused(f"the stack has no service {check.service}")
    environment = {**config.environment(stack, service), **_private(stack, service)}
    return _Application(check.service, environment, stack.user)


def _private(stack: Stack, service: Service) -> t.Dict[str, str]:
    if not os.path.isdir(stack.paths.env_dir):
        return {}
    return journal.load_environment(stack.paths).get(service.name, {})


def _url(application: _Application, variable: str, read: t.Callable[[str], _T], asked: _Asked) -> _T:
    """Return what the URL says that an application has; it is never shown. Raises _Refused when it has none."""
    text = application.environment.get(variable, "")
    if not text:
        raise _Refused(f"{application.name} has no variable {variable}, or it is empty")
    asked.secrets.append(text)
    try:
        return read(text)
    except Unreadable as exc:
        raise _Refused(f"{variable} of {application.name} {exc}") from None


def _account(application: _Application) -> str:
    """Return the name of who runs an application."""
    if application.user is not None:
        return application.user
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


# --- connecting -----------------------------------------------------------------------------------------------------


def _connect(user: t.Optional[str], place: Place, path: str, deadline: Deadline) -> Line:
    """Connect to a host, or to a unix socket as the user who runs the application."""
    if not place.is_unix:
        return connect(place.host, place.port, deadline)
    if user is not None and os.geteuid() == 0:
        return Line(_connected_by(user, path, deadline), deadline)
    line = Line(socket.socket(socket.AF_UNIX), deadline)
    try:
        line.connect(path)
    except OSError:
        line.close()
        raise
    return line


# The server of a unix socket sees who called connect(2), and may let in by that alone: so the user's own process calls
# it, and hands the connected socket over. It ends with the error's number.
_CONNECT = """
import socket, sys
connected = socket.socket(socket.AF_UNIX)
try:
    connected.connect(sys.argv[1])
except OSError as exc:
    sys.exit(exc.errno or 1)
socket.send_fds(socket.socket(fileno=0), [b"."], [connected.fileno()])
"""


def _connected_by(user: str, path: str, deadline: Deadline) -> socket.socket:
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise _Refused(f"user {user}, who runs the services, does not exist") from None
    ours, theirs = socket.socketpair()
    with ours, theirs:
        try:
            done = subprocess.run(
                # The interpreter itself: a virtual environment's may be where that user may not go.
                [os.path.realpath(sys.executable), "-I", "-S", "-c", _CONNECT, path],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                user=account.pw_uid,
                group=account.pw_gid,
                extra_groups=os.getgrouplist(user, account.pw_gid),
                env={},
                cwd="/",
                timeout=max(deadline.remaining(), 0.001),
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise TimeoutError from exc
        except PermissionError as exc:
            raise _Refused(f"user {user}, who runs the services, may not run {exc.filename}") from exc
        if done.returncode > 0:
            raise OSError(done.returncode, os.strerror(done.returncode))
        _data, descriptors, _flags, _address = socket.recv_fds(ours, 1, 1, socket.MSG_DONTWAIT)
    return socket.socket(fileno=descriptors[0])


def _tls(verify: bool, names: bool, root: str = "", certificate: str = "", key: str = "") -> ssl.SSLContext:
    """Return how TLS is spoken.

    Args:
        verify: whether the server's certificate must be good.
        names: whether it must have the host's name.
        root: file of the authorities it is checked by; empty for the host's.
        certificate: file of our own certificate; empty for none.
        key: file of its key; empty when it is in the same file.
    """
    import ssl

    try:
        context = ssl.create_default_context(cafile=root if verify and root else None)
        context.check_hostname = verify and names
        context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(certificate, key or None, password="")
    except (OSError, ValueError) as exc:
        raise _Refused(f"the files for TLS cannot be read: {exc}") from exc
    return context


def _secure(asked: _Asked, context: ssl.SSLContext) -> None:
    import ssl

    asked.waiting = "it took the connection, and TLS has not come about"
    try:
        t.cast(Line, asked.line).secure(context, asked.host)
    except ssl.SSLCertVerificationError as exc:
        raise _Refused(f"its certificate is not trusted: {clean(exc.verify_message, 200)}") from exc
    except ssl.SSLError as exc:
        raise _Refused(f"TLS came to nothing: {clean(exc.reason or str(exc), 200)}") from exc
    asked.in_tls = True


# --- PostgreSQL -----------------------------------------------------------------------------------------------------


class _Stranger(Exception):
    """The first bytes of something that is no PostgreSQL."""


class _Duct:
    """The socket that the driver reads and writes: every call shares the line's deadline, and what comes is bounded."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._begun = False
        self._kept = b""

    def makefile(self, **_mode: str) -> _Duct:
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


def _ask_postgresql(application: _Application, check: DatabaseCheck, asked: _Asked) -> str:
    def read(text: str) -> PostgresqlUrl:
        return postgresql(text, application.environment, _account(application))

    url = _url(application, check.variable, read, asked)
    asked.secrets += [url.password] if url.password else []
    place = _reach(application, url, asked)
    if url.tls != "disable" and not place.is_unix:
        _upgrade(url, asked)
    try:
        _log_in_and_query(url, check.query, asked)
    except ImportError as exc:
        raise _Refused(f"the engine lacks its driver ({exc.name}); ansible-playbook site.yml installs it") from exc
    return "answered"


def _reach(application: _Application, url: PostgresqlUrl, asked: _Asked) -> Place:
    """Connect to the first of the URL's servers that takes it."""
    failed: t.Optional[OSError] = None
    for place in url.places or (_usual_place(url.port),):
        path = f"{place.host}/.s.PGSQL.{place.port}"
        asked.host, asked.place = place.host, path if place.is_unix else str(place)
        asked.command = _psql(url, place)
        try:
            asked.line = _connect(application.user, place, path, asked.deadline)
            return place
        except OSError as exc:
            failed = exc
    raise failed if failed is not None else _Refused("names no server")


def _usual_place(port: int) -> Place:
    """Return the place that libpq takes when none is said: the distribution's socket, where there is one."""
    for directory in _SOCKET_DIRECTORIES:
        if os.path.exists(f"{directory}/.s.PGSQL.{port}"):
            return Place(directory, port)
    return Place("localhost", port)


def _psql(url: PostgresqlUrl, place: Place) -> str:
    return shlex.join(
        ["psql", "-h", place.host, "-p", str(place.port), "-U", url.user, "-d", url.database, "-c", "SELECT 1"]
    )


def _upgrade(url: PostgresqlUrl, asked: _Asked) -> None:
    """Go on in TLS where the URL wants it, or where it leaves it open and the server can."""
    line = t.cast(Line, asked.line)
    line.send(_WANTS_TLS)
    answer = line.recv(1)
    if answer == b"S":
        verify = url.tls in ("verify-ca", "verify-full")
        names = url.tls == "verify-full"
        _secure(asked, _tls(verify, names, url.root_certificate, url.certificate, url.key))
    elif not answer:
        raise _Refused("closed without an answer")
    elif answer not in (b"N", b"E"):
        raise _Refused(f"not PostgreSQL: it answers {asked.shown(answer + _rest(line))}")
    elif url.tls not in ("allow", "prefer"):
        raise _Refused(f"it speaks no TLS, and {asked.variable} wants it (sslmode={url.tls})")


def _rest(line: Line) -> bytes:
    """Return what else has come of a first answer; it is only to be shown."""
    try:
        return line.recv(128)
    except OSError:
        return b""


def _log_in_and_query(url: PostgresqlUrl, query: str, asked: _Asked) -> None:
    """Log in and run the query.

    Raises:
        _Refused: the server says no, or is no PostgreSQL.
        OSError: the connection failed, or was too slow.
        ImportError: there is no driver.
    """
    from pg8000.core import CoreConnection

    line = t.cast(Line, asked.line)
    asked.waiting = "it took the connection, and has not let us in"
    logged_in = False
    try:
        connection = CoreConnection(
            url.user,
            database=url.database,
            password=url.password or "",
            ssl_context=False,
            application_name="rollcall",
            startup_params={"options": url.options} if url.options else None,
            sock=_Duct(line),
        )
        logged_in = True
        asked.waiting = f"it let us in, and its answer to {quoted(query)} has not come"
        connection.execute_simple(_harmless(query, asked.deadline))
    # What is no PostgreSQL, or breaks off, makes the driver stumble in any way.
    except Exception as exc:  # noqa: BLE001 - each becomes words, or is raised again
        raise _why(exc, url, asked, logged_in) from None
    with contextlib.suppress(Exception):  # it has answered: whether it hears the good-bye is its own affair
        connection.close()


def _harmless(query: str, deadline: Deadline) -> str:
    """Return a query so that it changes nothing, and that the server itself ends it in time: it would work on alone.

    All of it is one transaction, so it is the same through a pool of connections, and leaves nothing set there.
    """
    milliseconds = max(1, int(deadline.remaining() * 900))
    return f"BEGIN READ ONLY; SET LOCAL statement_timeout = {milliseconds}; {query}\n; ROLLBACK"


def _why(exc: BaseException, url: PostgresqlUrl, asked: _Asked, logged_in: bool) -> Exception:
    """Return what the driver met first: it may have failed once more when it said good-bye, and show that."""
    met = list(_chain(exc))
    said = next((one.args[0] for one in met if one.args and isinstance(one.args[0], dict)), None)
    if said is not None:
        return _Refused(_says(said, url, asked, logged_in))
    stranger = next((one for one in met if isinstance(one, _Stranger)), None)
    if stranger is not None:
        return _Refused(f"not PostgreSQL: it answers {asked.shown(stranger.args[0] + _rest(t.cast(Line, asked.line)))}")
    broken = [one for one in met if isinstance(one, OSError)]
    if broken:
        # Python 3.9: socket.timeout, which is behind the line's own TimeoutError, is none itself.
        return next((one for one in broken if isinstance(one, TimeoutError)), broken[-1])
    if any(isinstance(one, _Closed) for one in met):
        return _Refused("closed the connection before it had answered")
    return _Refused(f"cannot be talked to: {asked.shown(f'{type(exc).__name__}: {exc}')}")


def _chain(exc: t.Optional[BaseException]) -> t.Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def _says(said: t.Mapping[str, str], url: PostgresqlUrl, asked: _Asked, logged_in: bool) -> str:
    """Return in words the error that the server sent. Its own may be in any language, so its code decides."""
    code, message = said.get("C", ""), asked.shown(said.get("M", ""))
    if code == _CANCELLED and logged_in:
        return f"{asked.waiting} within {asked.deadline.seconds:g} s"
    if logged_in:
        return f"the query failed: {message} ({code})"
    if code == _WRONG_PASSWORD:
        if url.password is None:
            return f'it wants a password of user "{url.user}", and {asked.variable} has none'
        return f'password refused for user "{url.user}", or there is no such role'
    if code == _NO_DATABASE:
        return f'there is no database "{url.database}"'
    if code == _NOT_LET_IN and said.get("R") == "InitializeSessionUserId":
        return f'there is no role "{url.user}", or it may not log in: {message}'
    if code == _NOT_LET_IN:
        hint = "" if asked.in_tls or asked.host.startswith("/") else "; it may want TLS, and this was without (sslmode)"
        return f'user "{url.user}" is not let in: {message}{hint}'
    if code == _NOT_NOW:
        return f"it takes no connections now: {message}"
    if code == _TOO_MANY:
        return f"it has no connection left: {message}"
    return f"it refuses: {message} ({code})"


# --- Redis ----------------------------------------------------------------------------------------------------------


def _ask_redis(application: _Application, check: DatabaseCheck, asked: _Asked) -> str:
    if check.service:
        url = _url(application, check.variable, redis, asked)
    else:
        url = RedisUrl(Place(check.host, check.port or 0))
    asked.secrets += [url.password] if url.password else []
    asked.host, asked.place = url.place.host, str(url.place)
    asked.command = _redis_cli(url)
    asked.line = _connect(application.user, url.place, url.place.host, asked.deadline)
    if url.tls:
        _secure(asked, _tls(url.verify, url.verify, url.root_certificate))
    asked.waiting = "it took the connection, and has not answered"
    if url.password is not None:
        _order(asked, "AUTH", *([url.user] if url.user else []), url.password)
    if url.database:
        _order(asked, "SELECT", str(url.database))
    answer = _order(asked, "PING")
    if answer != b"+PONG":
        raise _Refused(f"answered {asked.shown(answer)} to PING")
    return "PONG"


def _redis_cli(url: RedisUrl) -> str:
    where = ["-s", url.place.host] if url.place.is_unix else ["-h", url.place.host, "-p", str(url.place.port)]
    tls = ["--tls"] if url.tls else []
    who = ["--user", url.user] if url.user else []
    word = [*who, "--askpass"] if url.password is not None else []
    return shlex.join(["redis-cli", *where, *tls, *word, "-n", str(url.database), "PING"])


def _order(asked: _Asked, *words: str) -> bytes:
    """Send a command and return the one line that answers it. Raises _Refused when that is an error, or no Redis."""
    line = t.cast(Line, asked.line)
    parts = [word.encode("utf-8") for word in words]
    line.send(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
    answer = _reply(line)
    if answer.startswith(b"-"):
        raise _Refused(_redis_says(words[0], answer[1:].decode("utf-8", "replace"), asked))
    if not answer.startswith(b"+"):
        raise _Refused(f"not Redis: it answers {asked.shown(answer)}" if answer else "closed without an answer")
    return answer


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


def _redis_says(order: str, text: str, asked: _Asked) -> str:
    code = text.split(" ", 1)[0]
    if code == "NOAUTH":
        return f"it wants a password, and {asked.variable or 'the check'} has none"
    if code == "WRONGPASS" or "invalid password" in text:
        return "password refused, or there is no such user"
    if order == "AUTH" and ("without any password configured" in text or "no password is set" in text):
        return f"it has no password, and {asked.variable} has one"
    if code == "LOADING":
        return "it is still loading its data"
    return f"it refuses {order}: {asked.shown(text)}"


# --- SQLite ---------------------------------------------------------------------------------------------------------


def _ask_sqlite(_application: _Application, check: DatabaseCheck, asked: _Asked) -> str:
    """Ask for the tables, without a chance of changing or creating the file; the wait for a lock is part of it."""
    asked.command = f"ls -l {shlex.quote(check.path)}"
    asked.waiting = "no answer"
    # SQLite gives up a little earlier, to say why; the thread is for a file system that does not answer.
    patience = Deadline(check.timeout * 0.8, asked.deadline.clock)
    return bounded(lambda: _look_into(check.path, patience, asked), check.timeout)


def _look_into(path: str, deadline: Deadline, asked: _Asked) -> str:
    import sqlite3
    from urllib.parse import quote

    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise _Refused(f"no such file: {path}") from None
    except OSError as exc:
        raise _Refused(f"{path}: {exc.strerror}") from exc
    if not stat.S_ISREG(found.st_mode):  # opening a named pipe would wait for its other end
        raise _Refused(f"not a regular file: {path}")
    asked.is_file = True
    try:
        connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=deadline.remaining())
        try:
            connection.set_progress_handler(lambda: int(deadline.expired), 10_000)
            return _judge_sqlite(connection, found.st_size)
        finally:
            connection.close()
    except sqlite3.DatabaseError as exc:
        # Their codes have names only since Python 3.11; the words are SQLite's sqlite3_errstr, old as itself.
        said = str(exc)
        if "locked" in said:
            raise _Refused(f"locked by another process for {deadline.seconds:g} s") from exc
        if "interrupted" in said:
            raise _Refused(f"no answer within {deadline.seconds:g} s") from exc
        raise _Refused(f"{path}: {said}") from exc


def _judge_sqlite(connection: t.Any, size: int) -> str:
    tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
    if size <= QUICK_CHECK_LIMIT:
        complaint = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if complaint != "ok":
            raise _Refused(f"damaged: {clean(str(complaint), 200)}")
    return f"{tables} table{'' if tables == 1 else 's'}"


_ASKING: t.Mapping[str, t.Callable[[_Application, DatabaseCheck, _Asked], str]] = {
    "sqlite": _ask_sqlite,
    "postgresql": _ask_postgresql,
    "redis": _ask_redis,
}
