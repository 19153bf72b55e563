# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.

"""What event listeners of a supervisord.conf come to: health checks, dependencies, or advice. Pure.

The options are those of superlance (https://superlance.readthedocs.io) and supervisord-dependent-startup.
"""

from __future__ import annotations

import getopt
import re
import typing as t
import urllib.parse

from ..manifest.model import Health
from .commands import words

# Of every program: the options that take a value, as getopt writes them.
_OPTIONS: t.Mapping[str, t.Tuple[str, t.FrozenSet[str]]] = {
    "httpok": (
        "hp:at:c:b:s:m:g:d:eEn:",
        words(
            "help program= group= any timeout= code= body= sendmail_program= email= gcore= coredir= eager not-eager "
            "name= restart-timeout= grace-period= external-script="
        ),
    ),
    "memmon": (
        "hcp:g:a:s:m:u:n:",
        words("help cumulative program= group= any= sendmail_program= email= uptime= name="),
    ),
    "crashmail": ("hp:ao:s:m:", words("help program= any optionalheader= sendmail_program= email=")),
    **dict.fromkeys(
        ("crashmailbatch", "fatalmailbatch", "crashsms"),
        (
            "hi:t:f:s:H:e:u:p:",
            words("help interval= toEmail= fromEmail= subject= smtpHost= tickEvent= userName= password="),
        ),
    ),
}
_TO, _FROM, _SERVER = ("-m", "--email", "-t", "--toEmail"), ("-f", "--fromEmail"), ("-H", "--smtpHost")
_LOG_IN = ("-u", "--userName")
# The server of mail on every host that has one, where these programs leave their mail.
_MAIL_HERE = "127.0.0.1"
_ALERTS = frozenset(["crashmail", "crashmailbatch", "fatalmailbatch", "crashsms", "superhooks"])
_STARTUP = re.compile(r"(supervisord[-_]dependent[-_]startup|ordered[-_]startup[-_]listener)\Z")
_HERE = re.compile(r"(localhost|127\.[0-9.]+|::1|0\.0\.0\.0)\Z")
_STATES: t.Mapping[str, str] = {"running": "running", "exited": "completed"}
_KNOWN_STATES = words("running exited starting stopping stopped backoff fatal unknown")


class EventListener(t.NamedTuple):
    """One event listener that is known.

    Attributes:
        kind: ``health``, ``memory``, ``alert`` or ``startup``.
        program: its name.
        programs: the programs and groups that it looks after.
        everything: whether it looks after all programs.
        health: for ``health``: the check, without the port.
        host: for ``health``: the host that is asked.
        port: for ``health``: the port that is asked.
        unsaid: what it did that the check or the alert does not do.
        alert: for ``alert``: an entry of ``watch.alerts``; empty when nobody can be told from its command.
    """

    kind: str
    program: str
    programs: t.Tuple[str, ...] = ()
    everything: bool = False
    health: t.Mapping[str, t.Any] = {}
    host: str = ""
    port: int = 0
    unsaid: t.Tuple[str, ...] = ()
    alert: t.Mapping[str, t.Any] = {}


class StartCondition(t.NamedTuple):
    """What a program waits for before it starts.

    Attributes:
        program: the other program.
        level: ``running`` or ``completed``; empty when a manifest has no such level.
    """

    program: str
    level: str


def read_listener(argv: t.Sequence[str]) -> t.Optional[EventListener]:
    """Return what the command of an event listener is; None when it is not known, or its options are not."""
    for index, word in enumerate(argv[:4]):
        name = re.sub(r"\.py\Z", "", word.rpartition("/")[2]).rpartition(".")[2]
        if _STARTUP.match(name):
            return EventListener("startup", name)
        if name in _ALERTS:
            return _alert(name, argv[index + 1 :])
        if name in _OPTIONS:
            try:
                short, long = _OPTIONS[name]
                given, rest = getopt.getopt(list(argv[index + 1 :]), short, sorted(long))
            except getopt.GetoptError:
                return None
            return _httpok(given, rest) if name == "httpok" else _memmon(given)
    return None


def _alert(name: str, arguments: t.Sequence[str]) -> EventListener:
    """Return a program that sends mail as an alert. Its server is that of the host, unless it says another."""
    short, long = _OPTIONS.get(name, ("", frozenset()))
    try:
        given, _rest = getopt.getopt(list(arguments), short, sorted(long))
    except getopt.GetoptError:
        return EventListener("alert", name)
    to = [each.strip() for option, value in given if option in _TO for each in value.split(",") if each.strip()]
    if not to:
        return EventListener("alert", name)
    sender = next((value for option, value in given if option in _FROM), to[0])
    host = next((value for option, value in given if option in _SERVER), "localhost")
    server = {"host": _MAIL_HERE, "tls": "none"} if _HERE.match(host) else {"host": host}
    unsaid = ("its log-in",) if any(option in _LOG_IN for option, _value in given) else ()
    return EventListener("alert", name, alert={"kind": "mail", **server, "from": sender, "to": to}, unsaid=unsaid)


def _memmon(given: t.Sequence[t.Tuple[str, str]]) -> EventListener:
    named = [value.partition("=")[0] for option, value in given if option in ("-p", "--program", "-g", "--group")]
    return EventListener("memory", "memmon", tuple(named))


def _httpok(given: t.Sequence[t.Tuple[str, str]], rest: t.Sequence[str]) -> t.Optional[EventListener]:
    try:
        url = urllib.parse.urlsplit(rest[0] if rest else "")
        port = url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
    except ValueError:
        return None
    if url.scheme not in ("http", "https") or not url.hostname or not port:
        return None
    options = dict(given)
    programs = tuple(value for option, value in given if option in ("-p", "--program", "-g", "--group"))
    everything = any(option in ("-a", "--any") for option, _value in given)
    # httpok asks one URL for each program; an empty path is /.
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    health: t.Dict[str, t.Any] = {url.scheme: path}
    codes = (options.get("-c") or options.get("--code") or "200").split(",")
    unsaid = []
    if len(codes) == 1 and re.fullmatch("[1-5][0-9][0-9]", codes[0]):
        if int(codes[0]) != Health.status:
            health["status"] = int(codes[0])
    else:
        unsaid.append("that several statuses are well")
    body = options.get("-b") or options.get("--body")
    if body:
        health["body"] = body
    timeout = options.get("-t") or options.get("--timeout") or "10"
    if re.fullmatch("[0-9]{1,3}", timeout) and 0 < int(timeout) <= 60 and int(timeout) != Health.timeout:
        health["timeout"] = int(timeout)
    if any(option in options for option in ("-m", "--email")):
        unsaid.append("the mail")
    host = "" if _HERE.match(url.hostname) else url.hostname
    return EventListener("health", "httpok", programs, everything, health, host, port, tuple(unsaid))


def read_wanted(text: str) -> t.List[StartCondition]:
    """Return what ``dependent_startup_wait_for`` names: ``a:running b:exited``. Without a state, it is running."""
    found = []
    for each in text.split():
        name, _colon, state = each.rpartition(":")
        if not name or not {one.strip().lower() for one in state.split(",")} <= _KNOWN_STATES:
            name, state = each, "running"
        levels = {_STATES.get(one.strip().lower(), "") for one in state.split(",")} - {""}
        found.append(StartCondition(name, "running" if "running" in levels else "completed" if levels else ""))
    return found
