# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a service answers over HTTP or TCP, also in TLS, each question under one deadline for all of it.

Sockets are used directly, so no proxy variable, redirect or library default comes between question and answer.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import threading
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.http import BrokenAnswer, HttpAnswer, NotHttp
from ..base.text import one_line
from ..base.version import VERSION
from ..base.wire import Line, bounded, connect
from ..manifest.model import EXEC, HTTPS, SECRET, TLS, Health
from .answers import HealthAnswer, NoAnswer
from .wording import failure, quoted

if t.TYPE_CHECKING:
    from ..manifest.model import Service, Stack

BODY_LIMIT = 64 * 1024  # bytes of a body that are read whatever is wanted of it
SEARCH_LIMIT = 16 * 1024 * 1024  # bytes of a body that are searched for the text that it must contain
JSON_LIMIT = 1024 * 1024  # bytes of a body that is read as JSON
BANNER_LIMIT = 4096  # bytes of a TCP answer that are read and searched
LOCAL = "localhost"  # the host of a request over a unix socket, as curl has it
_FAST, _SLOW, _PATIENCE = 0.02, 0.1, 1.0  # seconds between two probes, first and after the patience

# What stands in a request as it is written in the manifest.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_.~/?&=%:;@!$'()*+,\[\]-]*\Z")

# What a secret may have that is sent in a header.
_SENDABLE = re.compile(r"[\t\x20-\x7e]+\Z")

_Name = t.TypeVar("_Name", bound=t.Hashable)


class _Judged(t.NamedTuple):
    ok: bool
    said: str
    status: t.Optional[int] = None


class Owner(t.NamedTuple):
    """Whose health is asked: a service of an installed stack, whose secrets a question may need."""

    stack: Stack
    service: Service


def probe(
    target: Health,
    *,
    owner: t.Optional[Owner] = None,
    timeout: t.Optional[float] = None,
    clock: Clock = SYSTEM,
) -> HealthAnswer:
    """Ask a service once whether it is healthy. Never raises for what a peer or the network does.

    Args:
        target: where, what to ask, and what to expect.
        owner: the service; None where the question has no secret in it.
        timeout: seconds for all of it, name look-up to last byte; the target's own by default.
        clock: where the time comes from.
    """
    deadline = Deadline(target.timeout if timeout is None else timeout, clock)
    began = clock.monotonic()
    judged, peer, local = _ask(target, owner, deadline)
    latency = clock.monotonic() - began
    detail = f"{judged.said} in {latency * 1000:.1f} ms" if judged.ok else judged.said
    return HealthAnswer(judged.ok, detail, judged.status, latency, peer, local)


def probe_often(target: Health, times: int, *, owner: t.Optional[Owner] = None, clock: Clock = SYSTEM) -> HealthAnswer:
    """Ask a service several times, and return the first answer that is not good; other arguments as for :func:`probe`.

    One worker of several that is ill answers every second question or so. All answers come within the time of one: of
    a service that is too slow for that, a further one says nothing unless it comes.
    """
    began = clock.monotonic()
    first = probe(target, owner=owner, clock=clock)
    # A command is what answers for itself, and no worker of the service.
    further = 0 if target.kind == EXEC else times - 1
    for number in range(further):
        left = target.timeout - (clock.monotonic() - began)
        if not first.ok or left <= 0:
            break
        again = probe(target, owner=owner, timeout=left, clock=clock)
        # What has not come in the time of one answer tells nothing.
        in_time = clock.monotonic() - began < target.timeout
        if not again.ok and in_time:
            asked = "a moment before, it was well" if number == 0 else f"{number + 1} times before, it was well"
            return dataclasses.replace(again, detail=f"{again.detail}; asked {asked} ({first.detail})")
    return first


def probe_all(targets: t.Mapping[str, Health], *, clock: Clock = SYSTEM) -> t.Dict[str, HealthAnswer]:
    """Ask many services at once; it takes as long as the slowest of them."""
    return at_once({name: functools.partial(probe, target, clock=clock) for name, target in targets.items()})


def at_once(questions: t.Mapping[_Name, t.Callable[[], HealthAnswer]]) -> t.Dict[_Name, HealthAnswer]:
    """Ask many questions at once, each of which is bounded and never raises; it takes as long as the slowest."""
    answers: t.Dict[_Name, HealthAnswer] = {}

    def ask(name: _Name, question: t.Callable[[], HealthAnswer]) -> None:
        answers[name] = question()

    threads = [threading.Thread(target=ask, args=item, daemon=True) for item in questions.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {name: answers[name] for name in questions}


class HealthWatch:
    """Makes the health checks of a service in the background, each until it is good or the watch is stopped.

    A service often answers well before supervisord counts it as RUNNING: asking meanwhile costs no time afterwards.

    Args:
        targets: the checks by name.
        owner: as for `probe`, of all of them.
        clock: where the time comes from.
    """

    def __init__(
        self, targets: t.Mapping[str, Health], *, owner: t.Optional[Owner] = None, clock: Clock = SYSTEM
    ) -> None:
        self._clock = clock
        self._owner = owner
        self._stopped = threading.Event()
        self._answers: t.Dict[str, HealthAnswer] = {}
        self._names = list(targets)
        for name, target in targets.items():
            threading.Thread(target=self._watch, args=(name, target), name=f"health of {name}", daemon=True).start()

    def __enter__(self) -> HealthWatch:
        return self

    def __exit__(self, *_exc: t.Any) -> None:
        self.stop()

    def answer(self, name: str) -> t.Optional[HealthAnswer]:
        """Return the latest answer to a check, None before its first."""
        return self._answers.get(name)

    @property
    def lacking(self) -> t.Optional[str]:
        """Which check is not good yet, and its latest answer; None when each of them has been good."""
        for name in self._names:
            answer = self._answers.get(name)
            if answer is None or not answer.ok:
                said = "not answered yet" if answer is None else answer.detail
                return f"its health{f' ({name})' if name else ''} is {said}"
        return None

    def stop(self) -> None:
        """Probe no more. A probe that is under way ends by its own deadline, unheard."""
        self._stopped.set()

    def _watch(self, name: str, target: Health) -> None:
        impatient = Deadline(_PATIENCE, self._clock)
        while not self._stopped.is_set():
            answer = probe(target, owner=self._owner, clock=self._clock)
            self._answers[name] = answer
            if answer.ok:
                return
            pause = _SLOW if impatient.expired else _FAST
            # A program costs more than a question: it rests for as long as it took. One connects to a socket, too.
            self._stopped.wait(max(pause, answer.latency) if target.kind == EXEC or target.socket else pause)


# --- asking ---------------------------------------------------------------------------------------------------------


def _ask(target: Health, owner: t.Optional[Owner], deadline: Deadline) -> t.Tuple[_Judged, str, bool]:
    """Return what was answered, the address that took the connection, and whether that is one of this host."""
    if target.kind == EXEC:
        return _ask_program(target, owner, deadline), "", True
    line: t.Optional[Line] = None
    peer, local = "", True
    try:
        if target.socket:
            from .unix_sockets import connect_unix  # late: it may start a process

            line = connect_unix(target.socket, None if owner is None else owner.stack.user, deadline)
        else:
            line = connect(target.host, target.port, deadline)
            peer, local = _far_end(line)
        if target.kind in (HTTPS, TLS):
            _secure(target, line)
        judged = _ask_http(target, _secrets(target, owner), line) if is_http(target) else _ask_tcp(target, line)
        return judged, peer, local
    except NoAnswer as exc:
        return _Judged(False, str(exc)), peer, local
    except (OSError, UnicodeError) as exc:
        return _Judged(False, failure(exc, target.socket or target.host, line, deadline)), peer, local
    finally:
        if line is not None:
            line.close()


def _far_end(line: Line) -> t.Tuple[str, bool]:
    """Return the address at the other end of a connection, and whether it is one of this host.

    A connection to one's own address begins at that address, and one to 127/8 within 127/8 (RFC 1122, 3.2.1.3).
    """
    peer, own = line.sock.getpeername()[0].partition("%")[0], line.sock.getsockname()[0].partition("%")[0]
    return peer, peer == own or peer.startswith("127.")


def _ask_program(target: Health, owner: t.Optional[Owner], deadline: Deadline) -> _Judged:
    if owner is None:
        raise ValueError("a program is asked for a service of a stack")
    from .program import run_program  # late: it starts a process

    try:
        return _Judged(True, run_program(owner.stack, owner.service, target.command, deadline))
    except NoAnswer as exc:
        return _Judged(False, str(exc))


def is_http(target: Health) -> bool:
    """Return whether a question is one of HTTP, also in TLS."""
    return target.kind.startswith("http")


def _secure(target: Health, line: Line) -> None:
    """Go on in TLS. Raises NoAnswer when that does not come about, or the certificate is not as wanted; OSError."""
    from . import tls  # late: few services are asked in TLS

    try:
        # The file of the authorities may be on a file system that hangs.
        context = bounded(lambda: tls.context(target.verify, root=target.ca), line.deadline.remaining())
        tls.secure(line, context, target.server_name or (LOCAL if target.socket else target.host))
    except TimeoutError as exc:
        raise NoAnswer(
            f"it took the connection, and TLS has not come about within {line.deadline.seconds:g} s"
        ) from exc


def secrets_named(target: Health) -> t.List[str]:
    """Return the secrets that the headers of a question name."""
    return [name for value in target.headers.values() for name in re.findall(SECRET, value)]


def _secrets(target: Health, owner: t.Optional[Owner]) -> t.Mapping[str, str]:
    """Return the secrets that a question needs. Raises NoAnswer when there is one that cannot be sent."""
    names = secrets_named(target)
    if not names:
        return {}
    from .secrets import secrets_of  # late: few questions have a secret

    known = {} if owner is None else secrets_of(owner.stack, owner.service)
    for name in names:
        if not known.get(name, ""):
            raise NoAnswer(f"the secret {name} of its headers has no value")
        if not _SENDABLE.match(known[name]):
            raise NoAnswer(f"the secret {name} of its headers has a character that no header can have")
    return known


def _ask_http(target: Health, secrets: t.Mapping[str, str], line: Line) -> _Judged:
    line.send(_request(target, secrets))
    try:
        return _judge_http(target, HttpAnswer(line, head_only=target.method == "HEAD"), line.deadline)
    except ConnectionAbortedError:
        return _Judged(False, "closed without an answer")
    except NotHttp as exc:
        return _Judged(False, f"not an HTTP answer: {quoted(str(exc))}")
    except BrokenAnswer as exc:
        return _Judged(False, f"a broken HTTP answer: {exc}")


def _request(target: Health, secrets: t.Mapping[str, str]) -> bytes:
    path = target.path
    if not _PLAIN_PATH.match(path):
        from urllib.parse import quote

        path = quote(path, safe="/?&=%:;@!$'()*+,~[]")
    name = target.server_name or (LOCAL if target.socket else target.host)
    host = f"[{name}]" if ":" in name else name
    port = "" if target.socket or target.port == (443 if target.kind == HTTPS else 80) else f":{target.port}"
    headers = {"Host": f"{host}{port}", "User-Agent": f"rollcall/{VERSION}", "Accept": "*/*"}
    own = {name.lower() for name in target.headers}
    lines = [f"{target.method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() not in own]
    for name, value in target.headers.items():
        lines.append(f"{name}: {re.sub(SECRET, lambda found: secrets[found.group(1)], value)}")
    lines += ["Content-Length: 0"] if target.method == "POST" else []
    return "\r\n".join((*lines, "Connection: close", "", "")).encode("ascii")


def _judge_http(target: Health, answer: HttpAnswer, deadline: Deadline) -> _Judged:
    status = answer.status
    location = answer.headers.get("location")
    if status != target.status and 300 <= status < 400 and location:
        return _Judged(False, f"{status}, wanted {target.status}: it redirects to {one_line(location, 200)}", status)
    judgement = f"{status}" if status == target.status else f"{status}, wanted {target.status}"
    wanted = target.body.encode("utf-8") if target.body is not None and status == target.status else b""
    try:
        body, found, whole = _search(answer, wanted, JSON_LIMIT + 1 if target.json else BODY_LIMIT)
    except TimeoutError:
        return _Judged(False, f"{judgement}, but its body did not end within {deadline.seconds:g} s", status)
    if status != target.status:
        return _Judged(False, f"{judgement}: {quoted(body)}" if body.strip() else judgement, status)
    if answer.missing:
        return _Judged(False, f"{status}, but the connection was closed {answer.missing} bytes before its end", status)
    if not found:
        got = quoted(body) if body.strip() else "an empty body"
        part = "its body lacks" if whole else f"the first {SEARCH_LIMIT >> 20} MiB of its body lack"
        return _Judged(False, f"{status}, but {part} {quoted(wanted)}: {got}", status)
    if target.json:
        from .json_fields import why_other  # late: few answers are JSON that is looked into

        other = f"longer than {JSON_LIMIT >> 20} MiB" if len(body) > JSON_LIMIT else why_other(body, target.json)
        if other is not None:
            return _Judged(False, f"{status}, but {other}", status)
    return _Judged(True, f"{status}", status)


def _search(answer: HttpAnswer, wanted: bytes, kept: int) -> t.Tuple[bytes, bool, bool]:
    """Return the beginning of a body, whether the wanted bytes are in it, and whether all of it was searched.

    Args:
        answer: whose body it is.
        wanted: what is searched; nothing for no search.
        kept: bytes of the beginning.
    """
    beginning = window = b""
    found, size = not wanted, 0
    for piece in answer.pieces(SEARCH_LIMIT + 1):
        size += len(piece)
        beginning += piece[: max(0, kept - len(beginning))]
        if not found:
            window += piece
            found = wanted in window
            window = window[-len(wanted) :]
        if found and size >= kept:
            break
    return beginning, found, size <= SEARCH_LIMIT


def _ask_tcp(target: Health, line: Line) -> _Judged:
    if target.send:
        line.send(target.send.encode("utf-8"))
    if not target.expect:
        return _Judged(True, "connected")
    wanted = target.expect.encode("utf-8")
    got = b""
    over = ""
    while wanted not in got and len(got) < BANNER_LIMIT and not over:
        try:
            part = line.recv(BANNER_LIMIT - len(got))
        except TimeoutError:
            if not got:
                raise
            over = f" and no more within {line.deadline.seconds:g} s"
            continue
        got += part
        if not part:
            over = " and closed"
    if wanted in got:
        return _Judged(True, f"answered {quoted(target.expect)}")
    said = f"answered {quoted(got)}{over}" if got else "closed without an answer"
    return _Judged(False, f"{said}, wanted {quoted(target.expect)}")
