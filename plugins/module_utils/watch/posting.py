# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""One request over HTTP to a far end that may be anything: under one deadline, within limits, and led nowhere else.

Sockets are used directly, as for health checks: no variable of a proxy and no library's redirect comes between.
"""

from __future__ import annotations

import base64
import typing as t
from email.utils import mktime_tz, parsedate_tz
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.http import BrokenAnswer, HttpAnswer
from ..base.text import one_line
from ..base.version import VERSION
from ..base.wire import Line, bounded, connect
from ..probes import tls
from ..probes.answers import NoAnswer
from ..probes.wording import failure, quoted
from .targets import NotSent

# Seconds for all of it, from the look-up of the name to the last byte.
SECONDS = 10.0
# Bytes of an answer that are read.
MOST_BYTES = 4096
# To the same place, such as a path with a slash at its end.
_MOST_REDIRECTS = 2
_PORTS = {"http": 80, "https": 443}
# Redirects that keep what was asked. Another one may lead to a page for a login, which answers 200 to anything.
_KEEPING = (307, 308)
# Answers after which it is of use to ask again, beside those that tell of an error of the server (RFC 9110, 15.5).
_LATER = (408, 421, 425, 429)


def send(
    method: str,
    url: str,
    body: bytes = b"",
    headers: t.Optional[t.Mapping[str, str]] = None,
    *,
    ca: str = "",
    seconds: float = SECONDS,
    clock: Clock = SYSTEM,
) -> str:
    """Send a request and return in words what was answered, which is a status from 200 to 299.

    Args:
        method: GET or POST.
        url: of http or https; a user and a password in it become a header.
        body: what is sent.
        headers: beside those that every request has.
        ca: the file of the authority that has signed the certificate; empty for those of the host.
        seconds: for all of it.
        clock: of the deadline.

    Raises:
        NotSent: there was another answer, or none.
    """
    deadline = Deadline(seconds, clock)
    parts = _parts(url)
    for _number in range(_MOST_REDIRECTS + 1):
        status, answered, said = _ask(method, parts, body, headers or {}, ca, deadline)
        if 200 <= status < 300:
            return f"{status}"
        if status not in _KEEPING:
            break
        there = _parts(answered.get("location", ""), parts.geturl())
        if _origin(there) != _origin(parts):
            break
        parts = there
    if 300 <= status < 400:
        # Where to is not told: the far end may have put the key of the URL into it.
        why = "which is not followed to another place" if status in _KEEPING else "and only 307 and 308 are followed"
        raise NotSent(f"answered {status}: it redirects, {why}", again=False)
    again = status >= 500 or status in _LATER
    words = f"answered {status}: {quoted(said)}" if said.strip() else f"answered {status}"
    raise NotSent(words, again=again, after=_pause(answered, clock.wall()))


def _parts(url: str, base: str = "") -> SplitResult:
    """Return the parts of a URL, which may be relative to another one. Raises NotSent when it is none of HTTP."""
    try:
        parts = urlsplit(urljoin(base, url))
        if parts.scheme in _PORTS and parts.hostname and (parts.port is None or parts.port > 0):
            return parts
    except ValueError:
        pass
    raise NotSent("has a URL that is none of http or https", again=False)


def _origin(parts: SplitResult) -> t.Tuple[str, t.Optional[str], int]:
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def _pause(headers: t.Mapping[str, str], now: float) -> float:
    """Return the seconds after which the far end wants to be asked again; 0 where it names none."""
    told = headers.get("retry-after", "")
    if told.isdecimal():
        return float(told) if len(told) < 10 else 0.0
    try:
        # Or a date (RFC 9110, 10.2.3).
        date = parsedate_tz(told)
        return 0.0 if date is None else max(0.0, mktime_tz(date) - now)
    except (ValueError, OverflowError, TypeError):
        return 0.0


def _ask(
    method: str, parts: SplitResult, body: bytes, headers: t.Mapping[str, str], ca: str, deadline: Deadline
) -> t.Tuple[int, t.Mapping[str, str], bytes]:
    """Return the status, the headers and the beginning of the body of one answer."""
    host = parts.hostname or ""
    line: t.Optional[Line] = None
    try:
        line = connect(host, parts.port or _PORTS[parts.scheme], deadline)
        if parts.scheme == "https":
            # The file of the authorities may be on a file system that hangs.
            tls.secure(line, bounded(lambda: tls.context(root=ca), deadline.remaining()), host)
        line.send(_request(method, parts, body, headers))
        answer = HttpAnswer(line)
        return answer.status, answer.headers, answer.read(MOST_BYTES)
    except NoAnswer as exc:
        raise NotSent(str(exc)) from exc
    except BrokenAnswer as exc:
        raise NotSent(f"gave no answer of HTTP: {quoted(str(exc))}") from exc
    except ConnectionAbortedError as exc:
        raise NotSent("closed the connection without an answer") from exc
    except (OSError, UnicodeError) as exc:
        raise NotSent(f"did not answer: {one_line(failure(exc, host, line, deadline), 200)}") from exc
    finally:
        if line is not None:
            line.close()


def _request(method: str, parts: SplitResult, body: bytes, headers: t.Mapping[str, str]) -> bytes:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = "" if parts.port in (None, _PORTS[parts.scheme]) else f":{parts.port}"
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    sent = {"Host": f"{host}{port}", "User-Agent": f"rollcall/{VERSION}", "Accept": "*/*", **headers}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        sent["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode('ascii')}"
    if method == "POST":
        sent["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    return "\r\n".join((*lines, "Connection: close", "", "")).encode("ascii") + body
