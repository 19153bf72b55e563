# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The manifest: what a stack is made of, and the check that turns what somebody wrote into it.

:func:`check` finds every problem at once, each with its place and its cure, and returns a :class:`Stack` when none is
an error: every default filled in, every path absolute, secrets replaced by digests. docs/manifest.md is the reference.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import itertools
import json
import math
import os
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import RollcallError
from .manifest_legacy import Document, Monitor, Place, Source, is_list, kind_of

# --- what a stack is made of -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Health:
    """How a service is asked whether it is well.

    Attributes:
        kind: ``http`` or ``tcp``.
        path: for http: what is asked for.
        status: for http: the only status that is well.
        body: for http: text that the answer must contain.
        send: for tcp: text sent after connecting.
        expect: for tcp: text that the answer must contain.
        timeout: seconds for one question, from name look-up to the last byte.
    """

    kind: str
    port: int
    host: str = "127.0.0.1"
    path: str = "/"
    status: int = 200
    body: t.Optional[str] = None
    send: t.Optional[str] = None
    expect: t.Optional[str] = None
    timeout: float = 2.0


@dataclass(frozen=True)
class Stop:
    """How a service is ended: the signal, and the seconds it has before SIGKILL."""

    signal: str = "TERM"
    timeout: float = 10.0


@dataclass(frozen=True)
class Start:
    """When a started process counts as up: the seconds it must live, and how often its start is tried again."""

    seconds: float = 1.0
    retries: int = 3


@dataclass(frozen=True)
class Service:
    """One service; it becomes one program of supervisord.

    Attributes:
        command: arguments; the program, unless it is looked up on PATH, is absolute.
        directory: absolute.
        kind: ``service`` keeps running, ``oneshot`` runs to its end.
        secrets: digests by the variable's name; the values are in no Stack.
        depends_on: ``started``, ``running``, ``healthy`` or ``completed``, by service.
        stable_for: seconds that its process must not change before it is believed.
        ready_timeout: seconds from its start until it must be ready.
        restart: ``always``, ``unexpected`` (exit code other than 0) or ``never``, when it ends by itself.
        log_max_bytes: size at which its log is rotated; 0 is never.
    """

    name: str
    command: t.Tuple[str, ...]
    directory: str
    description: str = ""
    kind: str = "service"
    env: t.Mapping[str, str] = field(default_factory=dict)
    secrets: t.Mapping[str, str] = field(default_factory=dict)
    port: t.Optional[int] = None
    health: t.Optional[Health] = None
    depends_on: t.Mapping[str, str] = field(default_factory=dict)
    stop: Stop = Stop()
    start: Start = Start()
    stable_for: float = 2.0
    ready_timeout: float = 30.0
    restart: str = "unexpected"
    log_max_bytes: int = 10_000_000
    log_backups: int = 3

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> Service:
        """Return the service that JSON data describes; raises as :meth:`Stack.from_dict` does."""
        health = data["health"]
        stop, start = dict(data["stop"]), dict(data["start"])
        changed = {
            "command": tuple(data["command"]),
            "env": dict(data["env"]),
            "secrets": dict(data["secrets"]),
            "depends_on": dict(data["depends_on"]),
            "health": None if health is None else Health(**{**health, "timeout": float(health["timeout"])}),
            "stop": Stop(stop.pop("signal"), float(stop.pop("timeout")), **stop),
            "start": Start(float(start.pop("seconds")), **start),
            "stable_for": float(data["stable_for"]),
            "ready_timeout": float(data["ready_timeout"]),
        }
        return cls(**{**data, **changed})


@dataclass(frozen=True)
class PortRules:
    """Which ports services may have, and which are never flushed.

    Attributes:
        low: first port of the range.
        high: last port of the range.
        also: ports outside of it that are meant.
        avoid: ports that no service may have; macOS holds some of the default ones.
        protect: ports of the host itself.
    """

    low: int = 8000
    high: int = 8100
    also: t.Tuple[int, ...] = ()
    avoid: t.Tuple[int, ...] = (5000, 7000, 9000, 10000)
    protect: t.Tuple[int, ...] = (22,)


@dataclass(frozen=True)
class Paths:
    """The directories of a stack, absolute."""

    etc: str
    run: str
    state: str
    logs: str

    @classmethod
    def of(cls, root: str) -> Paths:
        """Return the directories below ``root`` that a manifest has unless it says otherwise."""
        return cls(*(os.path.join(root, name) for name in ("etc", "run", "state", "logs")))

    @property
    def socket(self) -> str:
        """The unix socket of supervisord."""
        return os.path.join(self.run, "supervisor.sock")

    @property
    def pidfile(self) -> str:
        """The file into which supervisord writes its pid."""
        return os.path.join(self.run, "supervisord.pid")

    @property
    def config(self) -> str:
        """The config of supervisord."""
        return os.path.join(self.etc, "supervisord.conf")

    @property
    def manifest(self) -> str:
        """The normalised manifest."""
        return os.path.join(self.etc, "manifest.json")

    @property
    def env_dir(self) -> str:
        """The directory of the private environment files."""
        return os.path.join(self.etc, "env")


@dataclass(frozen=True)
class DatabaseCheck:
    """The database whose answer is part of the verdict: for ``sqlite``, the absolute path of its file."""

    kind: str
    path: str


@dataclass(frozen=True)
class Checks:
    """What the verdict looks at beyond the services: a database, and regular expressions no log line may match."""

    database: t.Optional[DatabaseCheck] = None
    log_critical: t.Tuple[str, ...] = (r"\bCRITICAL\b", r"^Traceback \(most recent call last\)")


@dataclass(frozen=True)
class Stack:
    """The services that one supervisord runs on one host.

    Attributes:
        root: absolute; all that is Rollcall's is below it.
        user: who runs the services; None is whoever runs the engine.
        deprecated: services that are never started, with the ports they had.
    """

    name: str
    root: str
    paths: Paths
    services: t.Tuple[Service, ...]
    user: t.Optional[str] = None
    ports: PortRules = PortRules()
    deprecated: t.Mapping[str, int] = field(default_factory=dict)
    checks: Checks = Checks()

    def service(self, name: str) -> Service:
        """Return the service called ``name``; KeyError when there is none."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)

    def to_dict(self) -> t.Dict[str, t.Any]:
        """Return the stack as plain JSON data, the way :meth:`from_dict` reads it. No secret value is in it."""
        data: t.Dict[str, t.Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return data

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> Stack:
        """Return the stack that :meth:`to_dict` made ``data`` of.

        Raises:
            KeyError, TypeError, ValueError: it did not, or another version of Rollcall did.
        """
        rules: t.Dict[str, t.Any] = {
            key: tuple(value) if isinstance(value, (list, tuple)) else value for key, value in data["ports"].items()
        }
        database = data["checks"]["database"]
        changed = {
            "paths": Paths(**data["paths"]),
            "services": tuple(Service.from_dict(service) for service in data["services"]),
            "ports": PortRules(**rules),
            "deprecated": dict(data["deprecated"]),
            "checks": Checks(
                None if database is None else DatabaseCheck(**database), tuple(data["checks"]["log_critical"])
            ),
        }
        return cls(**{**data, **changed})


# --- graph and revision ------------------------------------------------------------------------------------------

# What a process never sees and supervisord is never told: changing it restarts nothing.
_BESIDE_THE_PROCESS = ("description", "health", "depends_on", "stable_for", "ready_timeout")


def revision(stack: Stack, service: Service) -> str:
    """Return 12 hex digits over all that makes the service what it is: another value needs another process."""
    own = {key: value for key, value in dataclasses.asdict(service).items() if key not in _BESIDE_THE_PROCESS}
    # A process is told the ports of what it depends on.
    ports = {name: stack.service(name).port for name in service.depends_on}
    told = {name: port for name, port in ports.items() if port is not None}
    data = json.dumps([stack.name, stack.user, stack.root, dataclasses.asdict(stack.paths), own, told], sort_keys=True)
    return hashlib.sha256(data.encode("utf-8")).hexdigest()[:12]


def levels(stack: Stack) -> t.List[t.List[str]]:
    """Return the services by dependency: each list needs only those before it. Within one, the manifest's order.

    Raises:
        RollcallError: some depend on each other in a circle, which :func:`check` never lets through.
    """
    height: t.Dict[str, int] = {}
    waiting = list(stack.services)
    ordered: t.List[t.List[str]] = []
    while waiting:
        level = [service.name for service in waiting if all(name in height for name in service.depends_on)]
        if not level:
            names = ", ".join(service.name for service in waiting)
            raise RollcallError(f"These services wait for each other or for unknown ones: {names}.", kind="wrong_use")
        height.update(dict.fromkeys(level, len(ordered)))
        ordered.append(level)
        waiting = [service for service in waiting if service.name not in height]
    return ordered


def dependents(stack: Stack, names: t.Iterable[str]) -> t.Set[str]:
    """Return ``names`` and every service that depends on one of them, directly or through others."""
    needed_by: t.Dict[str, t.List[str]] = {}
    for service in stack.services:
        for name in service.depends_on:
            needed_by.setdefault(name, []).append(service.name)
    found: t.Set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(needed_by.get(name, ()))
    return found


# --- problems ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what, and what to do about it. A warning does not keep a manifest from use."""

    place: str
    message: str
    cure: str
    severity: str = "error"

    def as_dict(self) -> t.Dict[str, t.Any]:
        """Return the problem as data."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Result:
    """What a check came to: the stack, None when a problem is an error, and all problems."""

    stack: t.Optional[Stack]
    problems: t.List[Problem]


# What a reader returns for a value that has a problem already.
_WRONG: t.Any = object()

# What the mapping is called whose keys may be mistaken for a place to keep state.
A_SERVICE = "a service"

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}\Z")
# Comparing names takes time that a hostile document could make long, and nobody reads more suggestions.
_SUGGESTIONS = 20
_COMPARED = 400


def name_place(place: Place) -> str:
    """Return a place for people: ``stack.services.main_app.command[0]``."""
    text = ""
    for part in place:
        if isinstance(part, str) and _PLAIN_KEY.match(part):
            text += f".{part}" if text else part
        else:
            shown = "..." if isinstance(part, int) and part.bit_length() > 256 else ascii(part)
            text += f"[{shown if len(shown) <= 60 else shown[:56] + '...'}]"
    return text


class _Report:
    """The problems found so far.

    Args:
        document: what is checked; it knows where its parts were written.
        lines: line numbers by place, when it was read from a file.
    """

    def __init__(self, document: Document, lines: t.Mapping[Place, int]) -> None:
        self.problems: t.List[Problem] = []
        self._document = document
        self._lines = lines
        self._seen: t.Set[Problem] = set()
        self._suggestions = _SUGGESTIONS
        for source, finding in document.findings:
            self._add(source.below(finding.place), finding.message, finding.cure, finding.severity)

    @property
    def failed(self) -> bool:
        """Whether any problem is an error."""
        return any(problem.severity == "error" for problem in self.problems)

    def error(self, place: Place, message: str, cure: str) -> None:
        """Add a problem that keeps the manifest from use."""
        self._add(self._document.source(place), message, cure, "error")

    def warning(self, place: Place, message: str, cure: str) -> None:
        """Add a problem that does not."""
        self._add(self._document.source(place), message, cure, "warning")

    def monitor(self, source: Source, message: str, cure: str, severity: str) -> None:
        """Add a problem of ``monitor_instances``, which have no place in our own shape."""
        self._add(source, message, cure, severity)

    def wrong_type(self, place: Place, value: t.Any, wanted: str, cure: str) -> t.Any:
        """Add the error that ``value`` is not even of the right kind, without showing it: it may be a secret."""
        if isinstance(value, bool):
            cure += "; YAML reads yes, no, on and off as truth values, too, unless they are in quotes"
        self.error(place, f"is {kind_of(value)}, not {wanted}", cure)
        return _WRONG

    def unknown_key(self, place: Place, known: t.Iterable[str], what: str) -> None:
        """Add the problem of a key that nothing here has."""
        key = place[-1]
        if not isinstance(key, str):
            self.error(place, "is a key that is not text", "write the key in quotes, or as the name that is meant")
            return
        if key in _RUNTIME_STATE and what == A_SERVICE:
            self.error(
                place, "is runtime state, which is no part of a manifest", "remove it; see it by: rollcall status"
            )
            return
        similar = self.similar(key, known)
        if self._document.lenient and len(place) == 1 and not similar:
            self.warning(place, "is not read", "remove it when nothing else reads it")
            return
        self.error(place, f"is not a key of {what}{similar}", f"remove it, or use one of: {', '.join(known)}")

    def similar(self, name: t.Any, known: t.Iterable[str]) -> str:
        """Return a suggestion for a misspelt name, '' when no known one is like it."""
        if not isinstance(name, str) or len(name) > 64 or self._suggestions == 0:
            return ""
        import difflib

        self._suggestions -= 1
        close = difflib.get_close_matches(name, list(known)[:_COMPARED], 1)
        return f" (did you mean {close[0]}?)" if close else ""

    def _add(self, source: Source, message: str, cure: str, severity: str) -> None:
        problem = Problem(self._name(source), message, cure, severity)
        if problem not in self._seen:
            self._seen.add(problem)
            self.problems.append(problem)

    def _name(self, source: Source) -> str:
        line = None
        in_file = source.in_file
        while in_file and line is None:
            line = self._lines.get(in_file)
            in_file = in_file[:-1]
        return name_place(source.shown) + (f" (line {line})" if line is not None else "")


# --- reading one value -------------------------------------------------------------------------------------------

Reader = t.Callable[[_Report, Place, t.Any], t.Any]

# Keys for which null says "none"; of any other it says that somebody has not finished writing.
_MAY_BE_NULL = frozenset(["port", "health", "user", "database"])
_RUNTIME_STATE = frozenset(["status", "state", "pid", "uptime", "started_at", "last_seen", "exit_status"])

# All of Unicode's category Cc. A line's end would open the next section of supervisord.conf.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_TAB = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
# What a terminal or a comment could make of these in a path is nobody's wish; ':' divides PATH.
_BAD_IN_DAEMON_PATH = re.compile(r"[%'\"\\;#:$`]")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
_NAME_LENGTH = 63
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_HOST = re.compile(r"[A-Za-z0-9._:%-]{1,255}\Z")
# MAX_ARG_STRLEN of Linux, execve(2): bytes of one argument or variable, its final zero included.
_LONGEST_STRING = 131_072

_RESERVED_NAMES: t.Mapping[str, str] = {
    "all": "means every service wherever services are named",
    "supervisord": "is the name of the daemon's own log",
}
# The stop signals that supervisor documents.
_SIGNALS = ("TERM", "HUP", "INT", "QUIT", "KILL", "USR1", "USR2")
_LEVELS = ("started", "running", "healthy", "completed")


def _unwritable(text: str, control: t.Pattern[str] = _CONTROL) -> t.Optional[str]:
    """Return why ``text`` cannot be passed on as it is; None when it can."""
    found = control.search(text)
    return f"contains the control character {found.group()!r}" if found else _not_unicode(text)


def _not_unicode(text: str) -> t.Optional[str]:
    """Return the complaint that ``text`` has half a surrogate pair, which JSON can write; None when it has not."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return None


def _text(report: _Report, place: Place, value: t.Any) -> t.Any:
    """Read text of at least one character, none of them a control character."""
    if not isinstance(value, str):
        return report.wrong_type(place, value, "text", "write text, in quotes when it looks like something else")
    reason = "is empty text" if not value.strip() else _unwritable(value)
    if reason:
        report.error(place, reason, "write it on one line, in visible characters")
        return _WRONG
    return str(value)


def _description(report: _Report, place: Place, value: t.Any) -> t.Any:
    """Read text that may have been folded over several lines, or be empty."""
    if not isinstance(value, str):
        return report.wrong_type(place, value, "text", "write text, in quotes when it looks like something else")
    text = " ".join(value.split())
    return _text(report, place, text) if text else ""


def _raw_text(report: _Report, place: Place, value: t.Any) -> t.Any:
    """Read text that goes over a wire, where control characters are in order."""
    cure = "write text in double quotes, where \\r\\n is understood"
    if not isinstance(value, str):
        return report.wrong_type(place, value, "text", cure)
    reason = _not_unicode(value) if value else "is empty text"
    if reason:
        report.error(place, reason, cure)
        return _WRONG
    return str(value)


# Numbers are not shown, and not turned into floats, from here on.
_HUGE = 10**15


def _number(low: float, high: float, unit: str) -> Reader:
    """Return a reader of a number from ``low`` to ``high``."""

    def read(report: _Report, place: Place, value: t.Any) -> t.Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return report.wrong_type(place, value, f"a number of {unit}", f"write a number, such as {max(low, 1):g}")
        if not low <= value <= high:
            shown = "far too large, not" if isinstance(value, int) and abs(value) >= _HUGE else f"{value:g}, not"
            report.error(place, f"is {shown} from {low:g} to {high:g} {unit}", "write a number in between")
            return _WRONG
        return float(value)

    return read


def _whole(low: int, high: int, what: str) -> Reader:
    """Return a reader of a whole number from ``low`` to ``high``."""

    def read(report: _Report, place: Place, value: t.Any) -> t.Any:
        if isinstance(value, str) and re.match(r"\s*[0-9]{1,9}\s*\Z", value):
            return report.wrong_type(place, value, what, f"write it without quotes and leading zeros: {int(value)}")
        if isinstance(value, bool) or not isinstance(value, int):
            return report.wrong_type(place, value, what, f"write a whole number from {low} to {high}")
        if not low <= value <= high:
            shown = "far too large for" if abs(value) >= _HUGE else f"{int(value)}, not"
            report.error(place, f"is {shown} {what} from {low} to {high}", "write a number in between")
            return _WRONG
        return int(value)

    return read


_port = _whole(1, 65535, "a port number")


def _choice(*words: str) -> Reader:
    """Return a reader of one of some words."""

    def read(report: _Report, place: Place, value: t.Any) -> t.Any:
        if isinstance(value, str) and value in words:
            return str(value)
        cure = f"write one of: {', '.join(words)}"
        if not isinstance(value, str):
            return report.wrong_type(place, value, "one of the words it may be", cure)
        report.error(place, f"is none of the words it may be{report.similar(value, words)}", cure)
        return _WRONG

    return read


def _list_of(read: Reader, most: int, cure: str) -> Reader:
    """Return a reader of a list of at most ``most`` items, as a tuple in which nothing comes twice."""

    def read_list(report: _Report, place: Place, value: t.Any) -> t.Any:
        if not is_list(value):
            return report.wrong_type(place, value, "a list", cure)
        if len(value) > most:
            report.error(place, f"has {len(value)} items, and {most} are the most", "make it shorter")
            return _WRONG
        items = [read(report, (*place, index), item) for index, item in enumerate(value)]
        return _WRONG if _WRONG in items else tuple(dict.fromkeys(items))

    return read_list


def _fields(what: str, table: t.Mapping[str, Reader]) -> Reader:
    """Return a reader of a mapping whose keys are known: what each reads, :data:`_WRONG` included, by key."""

    def read(report: _Report, place: Place, value: t.Any) -> t.Any:
        if not isinstance(value, Mapping):
            return report.wrong_type(place, value, "a mapping", f"give it some of: {', '.join(table)}")
        parsed = {}
        for key, item in value.items():
            here = (*place, key)
            reader = table.get(key) if isinstance(key, str) else None
            if reader is None:
                report.unknown_key(here, table, what)
            elif item is not None:
                parsed[key] = reader(report, here, item)
            elif key in _MAY_BE_NULL:
                parsed[key] = None
            else:
                report.error(here, "is empty", "give it a value, or remove the line")
                parsed[key] = _WRONG
        return parsed

    return read


def _named(read_name: t.Callable[[_Report, Place, t.Any], bool], read: Reader, cure: str) -> Reader:
    """Return a reader of a mapping whose keys are names that people choose."""

    def read_all(report: _Report, place: Place, value: t.Any) -> t.Any:
        if not isinstance(value, Mapping):
            return report.wrong_type(place, value, "a mapping", cure)
        parsed = {}
        for name, item in value.items():
            if read_name(report, (*place, name), name):
                parsed[name] = read(report, (*place, name), item)
            else:
                parsed[name if isinstance(name, str) else name_place((name,))] = _WRONG
        return parsed

    return read_all


# --- the values of a manifest ------------------------------------------------------------------------------------


def _good_name(report: _Report, place: Place, name: t.Any) -> bool:
    """Check the name of a stack or a service: it becomes a program, a file, a variable, and an argument."""
    rule = "a name begins with a letter and has letters, digits, _ and - only"
    if not isinstance(name, str):
        report.error(place, f"a name is text, and this is {kind_of(name)}", f"write it in quotes; {rule}")
    elif not name:
        report.error(place, "the name is empty", f"give it a name; {rule}")
    elif len(name) > _NAME_LENGTH:
        report.error(place, f"the name is longer than {_NAME_LENGTH} characters", "choose a shorter one")
    elif not _NAME.match(name):
        report.error(place, "the name cannot be used", rule)
    elif name.lower() in _RESERVED_NAMES:
        report.error(place, f"the name is taken: '{name}' {_RESERVED_NAMES[name.lower()]}", "choose another one")
    else:
        return True
    return False


def _stack_name(report: _Report, place: Place, value: t.Any) -> t.Any:
    return str(value) if _good_name(report, place, value) else _WRONG


def _any_name(report: _Report, place: Place, name: t.Any) -> bool:
    """Check a name that nothing is made of."""
    return _text(report, place, name) is not _WRONG


def _good_variable(report: _Report, place: Place, name: t.Any) -> bool:
    if not isinstance(name, str) or not _VARIABLE.match(name):
        report.error(
            place, "is not the name of a variable", "use letters, digits and _ only, and no digit at the beginning"
        )
        return False
    if name.startswith(("ROLLCALL_", "PORT_")) or name == "PORT":
        whose = "the marks by which its processes are known" if name.startswith("ROLLCALL_") else "ports to services"
        report.error(place, f"is reserved: Rollcall itself gives {whose}", "choose another name, or remove it")
        return False
    return True


def _scalar(report: _Report, place: Place, value: t.Any) -> t.Any:
    """Return text for a scalar: true and false as such, numbers as Python writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return str(value)
    # Python takes its time for a number of thousands of digits, and then refuses.
    if isinstance(value, float) or (isinstance(value, int) and value.bit_length() <= 256):
        return str(value)
    return report.wrong_type(place, value, "text, a number or a truth value", "write its value as text, in quotes")


def _value_reader(control: t.Pattern[str], cure: str) -> Reader:
    """Return a reader of a variable's value."""

    def read(report: _Report, place: Place, value: t.Any) -> t.Any:
        text = _scalar(report, place, value)
        if text is _WRONG:
            return _WRONG
        reason = _unwritable(text, control)
        if reason is None and len(text.encode("utf-8")) + len(str(place[-1])) + 2 > _LONGEST_STRING:
            reason = "is longer than the 128 KiB that a process can be given in one variable"
        if reason:
            report.error(place, reason, cure)
            return _WRONG
        return text

    return read


_env_value = _value_reader(_CONTROL_BUT_TAB, "write it on one line; text of several lines can be a secret, or a file")
# Secrets never come near supervisord.conf, and keys in PEM form have lines.
_secret_value = _value_reader(re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"), "encode it, or put it into a file")


def _root(report: _Report, place: Place, value: t.Any) -> t.Any:
    text = _path(report, place, value)
    if text is _WRONG:
        return _WRONG
    root = os.path.normpath(f"/{text.lstrip('/')}") if text.startswith("/") else text
    if not os.path.isabs(root):
        report.error(place, "is not an absolute path", "begin it with /")
    elif _NOBODYS_ROOT.fullmatch(root):
        report.error(
            place, f"is {root}, which belongs to the system", "give the stack a directory of its own, below it"
        )
    else:
        return _daemon_path(report, place, root)
    return _WRONG


# Rollcall makes bin, etc, run, logs and state below the root, and removes what is old in them.
_NOBODYS_ROOT = re.compile(
    "/|/(bin|boot|dev|etc|home|lib|lib64|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|usr/local|var)"
    "|/var/(lib|log|run|tmp)|/(Applications|Library|System|Users|Volumes|private)"
)


def _path(report: _Report, place: Place, value: t.Any) -> t.Any:
    text = _text(report, place, value)
    if text is _WRONG:
        return _WRONG
    if text != text.strip():
        report.error(place, "begins or ends with white space", "remove it")
        return _WRONG
    if text.startswith("~"):
        report.error(place, "begins with ~, which only a shell understands", "write the directory itself")
        return _WRONG
    return text


def _daemon_path(report: _Report, place: Place, value: t.Any) -> t.Any:
    """Read a path that stands in supervisord.conf where nothing can be quoted, and in the scripts of an environment."""
    text = _path(report, place, value)
    found = None if text is _WRONG else _BAD_IN_DAEMON_PATH.search(text)
    if found:
        report.error(
            place, f"contains {found.group()!r}, which the path of a daemon cannot have", "choose another path"
        )
        return _WRONG
    return text


def _user(report: _Report, place: Place, value: t.Any) -> t.Any:
    if not isinstance(value, str):
        return report.wrong_type(place, value, "the name of a user", "write the name, not the number")
    if not _USER.match(value):
        report.error(
            place, "is not the name of a user", "use letters, digits, _, . and -, and no digit at the beginning"
        )
        return _WRONG
    return str(value)


def _signal(report: _Report, place: Place, value: t.Any) -> t.Any:
    cure = f"write one of: {', '.join(_SIGNALS)}"
    if not isinstance(value, str):
        return report.wrong_type(place, value, "the name of a signal", cure)
    name = value.upper()
    name = name[3:] if name.startswith("SIG") else name
    if name not in _SIGNALS:
        report.error(place, f"is not a signal that stops a service{report.similar(name, _SIGNALS)}", cure)
        return _WRONG
    return name


# What a shell would act on. Quoted and escaped characters are taken out first.
_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_SHELL = re.compile(r"&&|\|\||>>|<<|[|&;<>`]|\$(?=[A-Za-z_({])")


def _command(report: _Report, place: Place, value: t.Any) -> t.Any:
    if isinstance(value, str):
        return _command_line(report, place, value)
    if not is_list(value):
        return report.wrong_type(place, value, "a list", "write the program and its arguments as a list of text")
    arguments = []
    for index, item in enumerate(value):
        here = (*place, index)
        argument = _scalar(report, here, item)
        reason = None if argument is _WRONG else _unwritable(argument)
        if reason:
            report.error(here, reason, "write it on one line; text of several lines belongs into a file")
        if argument is not _WRONG and len(argument.encode("utf-8", "replace")) >= _LONGEST_STRING:
            report.error(here, "is longer than the 128 KiB that one argument can have", "put it into a file")
        arguments.append(_WRONG if reason else argument)
    if _WRONG in arguments:
        return _WRONG
    return _program_first(report, place, tuple(arguments))


def _command_line(report: _Report, place: Place, text: str) -> t.Any:
    """Split a command as a shell would, and refuse what only a shell would do."""
    import shlex

    # Splitting takes time, and this is more than anybody writes.
    reason = "is longer than 16 KiB" if len(text) > 16_384 else _unwritable(text)
    if reason:
        report.error(place, reason, "write it on one line, or as a list of arguments")
        return _WRONG
    found = _SHELL.search(_QUOTED.sub("", text))
    if found:
        report.error(
            place,
            f"contains {found.group()}, which only a shell understands, and no shell runs it",
            'write it as a list; for a shell: ["sh", "-c", "exec ..."]',
        )
        return _WRONG
    try:
        return _program_first(report, place, tuple(shlex.split(text)))
    except ValueError:
        report.error(place, "has a quote or a backslash without its counterpart", "write it as a list of arguments")
        return _WRONG


def _program_first(report: _Report, place: Place, arguments: t.Tuple[str, ...]) -> t.Any:
    if not arguments or not arguments[0].strip():
        report.error(place, "names no program", "write the program and its arguments as a list of text")
        return _WRONG
    program = arguments[0]
    if program.startswith(("-", "~")) or program != program.strip() or program.endswith("/"):
        report.error((*place, 0), "is not a program", "begin the list with the program: a path, or a name on PATH")
        return _WRONG
    return arguments


def _http_path(report: _Report, place: Place, value: t.Any) -> t.Any:
    text = _text(report, place, value)
    if text is _WRONG:
        return _WRONG
    if not text.startswith("/"):
        report.error(
            place, "does not begin with /", "write the path alone, such as /health; host and port are own keys"
        )
        return _WRONG
    if not re.match(r"[!-\"$-~]+\Z", text):
        report.error(place, "has a character that a path cannot have", "write it percent-encoded, such as %20")
        return _WRONG
    return text


def _host(report: _Report, place: Place, value: t.Any) -> t.Any:
    if not isinstance(value, str):
        return report.wrong_type(place, value, "a host", "write a name or an address, such as 127.0.0.1 or ::1")
    if not _HOST.match(value):
        report.error(place, "is not a host", "write a name or an address, such as 127.0.0.1 or ::1, without brackets")
        return _WRONG
    return str(value)


def _true(report: _Report, place: Place, value: t.Any) -> t.Any:
    if value is not True:
        report.error(place, "is not true", "write tcp: true, or remove it; the port is the service's")
        return _WRONG
    return True


_OF_HTTP = ("status", "body")
_OF_TCP = ("send", "expect")
_HEALTH: t.Mapping[str, Reader] = {
    "http": _http_path,
    "tcp": _true,
    "status": _whole(100, 599, "a status"),
    "body": _text,
    "send": _raw_text,
    "expect": _raw_text,
    "timeout": _number(0.001, 300, "seconds"),
    "host": _host,
    "port": _port,
}


def _depends_on(report: _Report, place: Place, value: t.Any) -> t.Any:
    """Return the level wanted of each service, None where a list leaves it open."""
    cure = "write a list of services, or a mapping such as {database: healthy}"
    if isinstance(value, Mapping):
        return _named(_any_name, _choice(*_LEVELS), cure)(report, place, value)
    if not is_list(value):
        return report.wrong_type(place, value, "a list or a mapping", cure)
    wanted: t.Dict[str, t.Any] = {}
    for index, name in enumerate(value):
        if not isinstance(name, str):
            report.wrong_type((*place, index), name, "the name of a service", "write its name")
        elif name in wanted:
            report.error((*place, index), "is in the list twice", "remove it")
        else:
            wanted[name] = None
    return wanted


def _range(report: _Report, place: Place, value: t.Any) -> t.Any:
    cure = "write the first and the last port: [8000, 8100]"
    if not is_list(value) or len(value) != 2:
        report.error(place, "is not a list of two ports", cure)
        return _WRONG
    low, high = (_port(report, (*place, index), port) for index, port in enumerate(value))
    if _WRONG in (low, high):
        return _WRONG
    if low > high:
        report.error(place, f"ends before it begins: {low} is above {high}", cure)
        return _WRONG
    return (low, high)


def _pattern(report: _Report, place: Place, value: t.Any) -> t.Any:
    text = _text(report, place, value)
    if text is _WRONG:
        return _WRONG
    # Nothing that reads a log needs more, and compiling takes time.
    if len(text) > 500:
        report.error(place, "is longer than 500 characters", "divide it: a line is critical when any pattern is found")
        return _WRONG
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as exc:
        report.error(place, f"is not a regular expression: {exc}", r"escape what is meant literally: \[ for [")
        return _WRONG
    return text


def _deprecated_port(report: _Report, place: Place, value: t.Any) -> t.Any:
    return None if value is None else _port(report, place, value)


_environment = _named(_good_variable, _env_value, "write it as NAME: value")
_secrets = _named(_good_variable, _secret_value, "write it as NAME: value")

_SERVICE: t.Mapping[str, Reader] = {
    "description": _description,
    "kind": _choice("service", "oneshot"),
    "command": _command,
    "directory": _path,
    "env": _environment,
    "secrets": _secrets,
    "port": _port,
    "health": _fields("a health check", _HEALTH),
    "depends_on": _depends_on,
    "stop": _fields("stop", {"signal": _signal, "timeout": _number(0, 3600, "seconds")}),
    "start": _fields(
        "start", {"seconds": _number(0, 3600, "seconds"), "retries": _whole(0, 1000, "a number of tries")}
    ),
    "stable_for": _number(0, 3600, "seconds"),
    "ready_timeout": _number(0.1, 86_400, "seconds"),
    "restart": _choice("always", "unexpected", "never"),
    "log": _fields(
        "log", {"max_bytes": _whole(0, 2**40, "a number of bytes"), "backups": _whole(0, 1000, "a number of files")}
    ),
}
_ONLY_OWN = ("description", "port", "depends_on")
_DEFAULTS = {key: reader for key, reader in _SERVICE.items() if key not in _ONLY_OWN}

_ports_list = _list_of(_port, 1000, "write a list of ports: [3000, 4000]")
_STACK: t.Mapping[str, Reader] = {
    "name": _stack_name,
    "user": _user,
    "root": _root,
    "paths": _fields("paths", {"run": _daemon_path, "logs": _daemon_path}),
    "ports": _fields("ports", {"range": _range, "also": _ports_list, "avoid": _ports_list, "protect": _ports_list}),
    "defaults": _fields("defaults", _DEFAULTS),
    "services": _named(_good_name, _fields(A_SERVICE, _SERVICE), "write it as name: {...}"),
    "deprecated": _named(_any_name, _deprecated_port, "write it as name: port"),
    "checks": _fields(
        "checks",
        {
            "database": _fields("a database check", {"sqlite": _path}),
            "logs": _fields("logs", {"critical": _list_of(_pattern, 50, "write a list of regular expressions")}),
        },
    ),
}


# --- the check ---------------------------------------------------------------------------------------------------

# The Fetch standard's bad ports (https://fetch.spec.whatwg.org/#port-blocking) that need no root: a browser refuses
# http and https there, whoever listens.
REFUSED_BY_BROWSERS = frozenset(
    [1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080]
)
# What Linux gives to clients unless net.ipv4.ip_local_port_range says otherwise, ip-sysctl.
EPHEMERAL = (32768, 60999)
# Below it only root may bind, unless net.ipv4.ip_unprivileged_port_start says otherwise.
UNPRIVILEGED_FROM = 1024
# Bytes of the socket's path: sun_path has 108 on Linux, 104 on macOS, and supervisord adds a dot and its pid at first.
SOCKET_LIMIT_LINUX = 99
SOCKET_LIMIT_MACOS = 95

_DIGEST_ROUNDS = 20_000
# Each set of secrets takes some 8 ms to digest.
_MOST_SETS_OF_SECRETS = 100
_MOST_CYCLES = 10
_PUBLIC_DIRECTORIES = ("/tmp", "/var/tmp", "/dev/shm", "/private/tmp")


class _Host(t.NamedTuple):
    """What a check supposes of the hosts."""

    as_root: t.Optional[bool]
    ephemeral: t.Tuple[int, int]
    unprivileged_from: int
    socket_limit: int


def check(
    data: t.Any,
    *,
    overlay: t.Any = None,
    lines: t.Optional[t.Mapping[Place, int]] = None,
    as_root: t.Optional[bool] = None,
    ephemeral: t.Tuple[int, int] = EPHEMERAL,
    unprivileged_from: int = UNPRIVILEGED_FROM,
    socket_limit: int = SOCKET_LIMIT_LINUX,
) -> Result:
    """Find all problems of a manifest, and normalise it when none is an error.

    Args:
        data: a mapping with ``stack``, the content of one, or a document of the older shape (``core_services`` ...),
            with our own keys beside the older ones or without.
        overlay: another one, laid over it key by key.
        lines: line numbers of ``data`` by place, when it was read from a file.
        as_root: whether services run as root; None: they do when the stack's user is root.
        ephemeral: first and last port that the host's kernel gives to clients.
        unprivileged_from: first port that anyone may bind.
        socket_limit: most bytes of the socket's path.
    """
    document = Document(_STACK, _SERVICE)
    document.add(data, from_file=lines is not None)
    if overlay is not None:
        document.add(overlay, from_file=False)
    report = _Report(document, lines or {})
    if not document.raw and report.failed:
        return Result(None, report.problems)
    fields = _fields("a stack", _STACK)(report, (), document.raw)
    host = _Host(as_root, ephemeral, unprivileged_from, socket_limit)
    checker = _Checker(report, fields, host)
    checker.check()
    checker.check_monitors(document.monitors)
    return Result(None if report.failed else checker.stack(), report.problems)


def secrets(data: t.Any, overlay: t.Any = None) -> t.Dict[str, t.Dict[str, str]]:
    """Return the values of the secrets, by service and variable: what the stack has only digests of.

    Args:
        data: the manifest as :func:`check` takes it; what is wrong with it is for that to say.
        overlay: what is laid over it.
    """
    document = Document(_STACK, _SERVICE)
    document.add(data, from_file=False)
    if overlay is not None:
        document.add(overlay, from_file=False)
    report = _Report(document, {})

    def read(entry: t.Any) -> t.Dict[str, t.Any]:
        own = entry if isinstance(entry, Mapping) else {}
        tables = {"env": _environment, "secrets": _secrets}
        return {key: reader(report, (), own[key]) for key, reader in tables.items() if key in own}

    defaults = read(document.raw.get("defaults"))
    services = document.raw.get("services")
    found = {}
    for name, entry in services.items() if isinstance(services, Mapping) else ():
        values = _variables(defaults, read(entry))[1]
        known = {variable: value for variable, value in values.items() if value is not _WRONG}
        if known:
            found[str(name)] = known
    return found


def _get(fields: t.Any, key: str, default: t.Any = None) -> t.Any:
    """Return what was read for a key; the default when it is absent or wrong."""
    value = fields.get(key, default) if isinstance(fields, dict) else default
    return default if value is _WRONG else value


def _variables(
    defaults: t.Mapping[str, t.Any], own: t.Mapping[str, t.Any]
) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Any]]:
    """Return environment and secrets of a service: its own variable, of either sort, hides the default one."""
    own_env, own_secrets = _get(own, "env", {}), _get(own, "secrets", {})
    env = {name: value for name, value in _get(defaults, "env", {}).items() if name not in own_secrets}
    hidden = {name: value for name, value in _get(defaults, "secrets", {}).items() if name not in own_env}
    return {**env, **own_env}, {**hidden, **own_secrets}


def _combine(defaults: t.Mapping[str, t.Any], own: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Return the defaults with a service's own fields over them; stop, start and log key by key."""
    merged = {**defaults, **own}
    for key in ("stop", "start", "log", "health"):
        lower, upper = defaults.get(key), own.get(key)
        # A health check of its own replaces the default one, unless it only changes some of it.
        if isinstance(lower, dict) and isinstance(upper, dict) and not {"http", "tcp"} & set(upper):
            merged[key] = {**lower, **upper}
    merged["env"], merged["secrets"] = _variables(defaults, own)
    return merged


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _port_variable(name: str) -> str:
    return "PORT_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def _cycles(graph: t.Mapping[str, t.Iterable[str]]) -> t.Iterator[t.List[str]]:
    """Find circles in a graph, each as the way along it, its first name once more at the end."""
    done: t.Set[str] = set()
    for first in graph:
        if first in done:
            continue
        # The way from `first` to where we are, each with the neighbours not yet tried.
        way = {first: iter(graph[first])}
        while way:
            name = list(way)[-1]
            step = next(way[name], None)
            if step is None:
                del way[name]
                done.add(name)
            elif step in way:
                names = list(way)
                yield [*names[names.index(step) :], step]
            elif step in graph and step not in done:
                way[step] = iter(graph[step])


class _Checker:
    """Checks what no value shows by itself, and makes the stack.

    Args:
        report: takes the problems.
        fields: what was read of the stack.
        host: what is supposed of the hosts.
    """

    def __init__(self, report: _Report, fields: t.Dict[str, t.Any], host: _Host) -> None:
        self._report = report
        self._fields = fields
        self._host = host
        self._root: t.Optional[str] = _get(fields, "root")
        self._defaults: t.Dict[str, t.Any] = _get(fields, "defaults", {})
        read = _get(fields, "services", {})
        self._own: t.Dict[str, t.Dict[str, t.Any]] = {name: own for name, own in read.items() if isinstance(own, dict)}
        self._merged = {name: _combine(self._defaults, own) for name, own in self._own.items()}
        self._rules = self._port_rules()

    # --- the stack ---

    def check(self) -> None:
        """Find all problems that lie between values."""
        self._required()
        self._paths()
        self._database()
        self._port_lists()
        self._names()
        self._commands()
        for name in self._own:
            self._service(name)
        self._shared_ports()
        self._dependencies()
        self._deprecated()
        self._count_secrets()

    def _required(self) -> None:
        error = self._report.error
        if "name" not in self._fields:
            error(("name",), "is missing", "give the stack a name, such as trading")
        if "root" not in self._fields:
            error(("root",), "is missing", "give the stack a directory of its own, such as /opt/trading")
        if "services" not in self._fields or self._fields["services"] == {}:
            error(("services",), "there are no services", "give it at least one: name: {command: [...]}")

    def _paths(self) -> t.Optional[Paths]:
        """Return the directories of the stack; None while the root is not known."""
        if self._root is None:
            return None
        given = _get(self._fields, "paths", {})
        found = dataclasses.asdict(Paths.of(self._root))
        for key in given:
            path = self._resolve(("paths", key), _get(given, key, key), self._root)
            if any(_inside(path, public) for public in _PUBLIC_DIRECTORIES) and not _inside(path, self._root):
                self._report.error(
                    ("paths", key), "lies where every user may write", "choose a directory of the stack's own"
                )
            taken = [*(other for name, other in found.items() if name != key), self._root]
            taken += [os.path.join(self._root, name) for name in ("bin", "engine", "generations")]
            if path in taken:
                self._report.error(("paths", key), "is a directory that Rollcall has another use for", "choose another")
            found[key] = path
        paths = Paths(**found)
        length = len(os.fsencode(paths.socket))
        if length > self._host.socket_limit:
            self._report.error(
                ("paths", "run") if "run" in given else ("root",),
                f"makes the path of supervisord's socket {length} bytes long, and {self._host.socket_limit} work",
                "choose a shorter root, or set paths.run to a shorter directory of the stack's own",
            )
        return paths

    def _resolve(self, place: Place, path: str, base: str) -> str:
        """Return ``path`` as an absolute one; a relative one may not leave both its base and the root."""
        whole = os.path.normpath(os.path.join(base, path))
        if not os.path.isabs(path) and not _inside(whole, base) and not _inside(whole, self._root or base):
            self._report.error(place, f"leads out of {base}", "write it as an absolute path if that is meant")
        return f"/{whole.lstrip('/')}"

    def _database(self) -> t.Optional[DatabaseCheck]:
        database = _get(_get(self._fields, "checks", {}), "database")
        if database is None:
            return None
        place: Place = ("checks", "database")
        if not database:
            self._report.error(place, "names no database", "write it as {sqlite: path of its file}")
        path = _get(database, "sqlite")
        if path is None or self._root is None:
            return None
        return DatabaseCheck("sqlite", self._resolve((*place, "sqlite"), path, self._root))

    def _port_rules(self) -> PortRules:
        ports, usual = _get(self._fields, "ports", {}), PortRules()
        low, high = _get(ports, "range", (usual.low, usual.high))
        # The port by which Ansible and people come in stays protected whatever else is.
        protect = tuple(dict.fromkeys((*usual.protect, *_get(ports, "protect", ()))))
        return PortRules(low, high, _get(ports, "also", ()), _get(ports, "avoid", usual.avoid), protect)

    def _port_lists(self) -> None:
        for port in self._rules.also:
            if port in self._rules.avoid or port in self._rules.protect:
                which = "protect" if port in self._rules.protect else "avoid"
                self._report.error(
                    ("ports", "also"), f"port {port} is on the list {which}, too", f"take it off also or off {which}"
                )

    # --- names ---

    def _names(self) -> None:
        taken: t.Dict[str, str] = {}
        for name in self._own:
            variable = _port_variable(name)
            other = taken.setdefault(variable, name)
            if other != name:
                self._report.error(
                    ("services", name), f"shares the variable {variable} with {other}", "rename one of the two"
                )

    # --- one service ---

    def _place(self, name: str, *keys: str) -> Place:
        """Return where a value of a service was written: in its own entry, else in the defaults."""
        for fields, place in ((self._own[name], ("services", name)), (self._defaults, ("defaults",))):
            found: t.Any = fields
            for key in keys:
                found = found.get(key, None) if isinstance(found, dict) else None
            if found is not None:
                return (*place, *keys)
        return ("services", name)

    def _commands(self) -> None:
        without = [name for name, merged in self._merged.items() if "command" not in merged]
        cure = "give defaults a command with {name} in it, or each service its own"
        if without and len(without) == len(self._own):
            self._report.error(("defaults", "command"), f"no service has a command: {', '.join(without[:20])}", cure)
        else:
            for name in without:
                self._report.error(("services", name), "has no command", cure)

    def _service(self, name: str) -> None:
        merged, own = self._merged[name], self._own[name]
        self._argv(name)
        self._port(name)
        self._health(name)
        self._times(name)
        for variable in sorted(set(_get(own, "env", {})) & set(_get(own, "secrets", {}))):
            self._report.error(("services", name, "secrets", variable), "is in env, too", "keep it in one of the two")
        if _get(merged, "kind") == "oneshot" and _get(own, "restart", "never") != "never":
            self._report.error(
                ("services", name, "restart"), "a oneshot runs once", "remove it, or make it a service: kind: service"
            )

    def _directory(self, name: str) -> str:
        directory = _get(self._merged[name], "directory", "")
        return self._resolve(self._place(name, "directory"), directory, self._root or "/")

    def _argv(self, name: str) -> t.Tuple[str, ...]:
        """Return the command of a service, ``{name}`` and ``{port}`` of a default one filled in."""
        command: t.Tuple[str, ...] = _get(self._merged[name], "command", ())
        place = self._place(name, "command")
        if "command" not in self._own[name]:
            port = _get(self._merged[name], "port")
            if port is None and any("{port}" in argument for argument in command):
                if self._merged[name].get("port") is None:
                    self._report.error(
                        ("services", name),
                        "has no port, and defaults.command has {port}",
                        "give it a port or a command",
                    )
                return ()
            command = tuple(text.replace("{name}", name).replace("{port}", str(port)) for text in command)
        if command and "/" in command[0]:
            # supervisord looks for the program before it goes to the directory.
            program = self._resolve((*place, 0), command[0], self._directory(name))
            command = (program, *command[1:])
        return command

    def _port(self, name: str) -> None:
        port = _get(self._merged[name], "port")
        if port is None:
            return
        place: Place = ("services", name, "port")
        rules, error = self._rules, self._report.error
        if port in rules.protect:
            error(place, f"port {port} is protected: the host itself needs it", "choose another port")
            return
        if port in rules.avoid:
            error(place, f"port {port} is to be avoided", "choose another port, or take it off ports.avoid")
        elif port not in rules.also:
            self._unlisted_port(place, port)
        as_root = self._host.as_root
        if port < self._host.unprivileged_from and not (
            as_root or (as_root is None and _get(self._fields, "user") == "root")
        ):
            error(place, f"port {port} can be bound by root only", f"choose {self._host.unprivileged_from} or above")
        if port in REFUSED_BY_BROWSERS:
            self._browser_port(name, place, port)

    def _unlisted_port(self, place: Place, port: int) -> None:
        rules, (first, last) = self._rules, self._host.ephemeral
        reasons = []
        if not rules.low <= port <= rules.high:
            reasons.append(f"is outside the range {rules.low}-{rules.high}")
        if first <= port <= last:
            reasons.append(f"is one of those that the kernel gives to clients ({first}-{last})")
        if reasons:
            self._report.error(
                place,
                f"port {port} {' and '.join(reasons)}",
                f"choose another port, or add {port} to stack.ports.also if it is meant",
            )

    def _browser_port(self, name: str, place: Place, port: int) -> None:
        """Every browser refuses it: an error where a browser is likely and nobody has said that the port is meant."""
        health = _get(self._merged[name], "health")
        web = isinstance(health, dict) and "http" in health
        message = f"port {port} is refused by every browser"
        if web and port not in self._rules.also:
            self._report.error(place, message, "choose another port")
        else:
            self._report.warning(place, message, "choose another port if people are to see it")

    def _health(self, name: str) -> t.Optional[Health]:
        """Return the health check of a service; a default one is for services that keep running and have a port."""
        merged = self._merged[name]
        health = _get(merged, "health")
        if health is None:
            return None
        port, own = _get(merged, "port"), "health" in self._own[name]
        place = self._place(name, "health")
        if not own and "port" in health:
            self._report.error((*place, "port"), "is not a default: every service has its own port", "remove it")
        if not own and (merged.get("port") is None or _get(merged, "kind") == "oneshot"):
            return None
        if _get(merged, "kind") == "oneshot":
            self._report.error(place, "a oneshot ends, so nothing is left to ask", "remove it; its exit code is asked")
        elif merged.get("port") is None and "port" not in health:
            self._report.error(place, "the service has no port to ask", "give the service a port, or remove the check")
        kinds = [kind for kind in ("http", "tcp") if kind in health]
        if len(kinds) != 1:
            word = "both http and tcp" if kinds else "neither http nor tcp"
            self._report.error(place, f"says {word}", "say http: /path, or tcp: true")
            return None
        for key in _OF_TCP if kinds[0] == "http" else _OF_HTTP:
            if key in health:
                self._report.error((*place, key), f"is not a key of a check by {kinds[0]}", "remove it")
        fields = {key: value for key, value in health.items() if key not in ("http", "tcp")}
        if kinds[0] == "http":
            fields["path"] = health["http"]
        return Health(**{"kind": kinds[0], "port": port, **fields})

    def _times(self, name: str) -> None:
        """A crash loop must never pass, and what cannot be ready in time is said before it is tried."""
        merged = self._merged[name]
        if _get(merged, "kind") == "oneshot":
            return
        seconds = _get(_get(merged, "start", {}), "seconds", Start().seconds)
        stable = _get(merged, "stable_for", Service.stable_for)
        if seconds + stable < 1:
            keys = ("stable_for",) if self._place(name, "stable_for")[-1] == "stable_for" else ("start", "seconds")
            self._report.error(
                self._place(name, *keys),
                f"start.seconds ({seconds:g}) and stable_for ({stable:g}) come to less than 1 second, and a service "
                "that ends and is started over and over would look well in between",
                "make them 1 second together, at least",
            )
        ready = _get(merged, "ready_timeout", Service.ready_timeout)
        if ready <= math.ceil(seconds):
            self._report.error(
                self._place(name, "ready_timeout"),
                f"the service has {ready:g} seconds to be ready, and counts as started after {math.ceil(seconds)}",
                "make ready_timeout longer than start.seconds",
            )

    # --- between services ---

    def _shared_ports(self) -> None:
        holders: t.Dict[int, str] = {}
        for name, merged in self._merged.items():
            port = _get(merged, "port")
            other = name if port is None else holders.setdefault(port, name)
            if other != name:
                self._report.error(
                    ("services", name, "port"), f"port {port} is the port of {other}, too", "give one of them another"
                )

    def _dependencies(self) -> None:
        graph = {name: [other for other in self._needs(name) if other in self._own] for name in self._own}
        for name in self._own:
            for other, level in self._needs(name).items():
                self._dependency(("services", name, "depends_on", other), other, level)
        for cycle in itertools.islice(_cycles(graph), _MOST_CYCLES):
            self._report.error(
                ("services", cycle[0], "depends_on"),
                f"these services depend on each other in a circle: {' -> '.join(cycle)}",
                "remove one of these dependencies",
            )

    def _needs(self, name: str) -> t.Dict[str, t.Any]:
        needs: t.Dict[str, t.Any] = _get(self._own[name], "depends_on", {})
        return needs

    def _dependency(self, place: Place, other: str, level: t.Any) -> None:
        error = self._report.error
        read = _get(self._fields, "services", {})
        if level is _WRONG:
            return
        if other not in read:
            known = "is deprecated, so it is never started" if other in self._old_ports() else "is not a service"
            error(place, f"{known}{self._report.similar(other, read)}", "name a service of this stack, or remove it")
            return
        merged = self._merged.get(other)
        if merged is None or merged.get("kind") is _WRONG:
            return
        oneshot = _get(merged, "kind") == "oneshot"
        if oneshot and level in ("running", "healthy"):
            error(place, f"{other} is a oneshot, which runs to its end", "wait for its end: completed")
        elif level == "completed" and not oneshot:
            error(place, f"{other} keeps running, so it never completes", "write healthy, or make it kind: oneshot")
        elif level == "healthy" and merged.get("port") is None and _get(self._own[other], "health") is None:
            error(place, f"{other} has neither a health check nor a port", "write running, or give it one of them")

    def _level(self, other: str, level: t.Optional[str]) -> str:
        """Return the level of a dependency; one that was left open is the highest that the other service can show."""
        if level is not None:
            return level
        if _get(self._merged[other], "kind") == "oneshot":
            return "completed"
        return "running" if self._health(other) is None else "healthy"

    def _old_ports(self) -> t.Dict[str, t.Any]:
        ports: t.Dict[str, t.Any] = _get(self._fields, "deprecated", {})
        return ports

    def _deprecated(self) -> None:
        holders = {_get(merged, "port"): name for name, merged in self._merged.items()}
        for name, port in self._old_ports().items():
            if name in self._own:
                self._report.error(
                    ("deprecated", name), "is a service of this stack, too", "remove it here, or from the services"
                )
            elif port in holders and port is not None:
                self._report.warning(
                    ("deprecated", name),
                    f"port {port} is now the port of {holders[port]}: where {name} still runs, it is in the way",
                    f"see that {name} is gone, then remove this entry",
                )

    def check_monitors(self, monitors: t.Sequence[t.Tuple[Source, Monitor]]) -> None:
        """Check ``monitor_instances`` of an older document: nothing is started for them, but nothing may clash."""
        holders = {_get(merged, "port"): name for name, merged in self._merged.items()}
        taken: t.Dict[int, str] = {}
        for source, monitor in monitors:
            port = monitor.port
            if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
                self._report.monitor(
                    source, f"is {kind_of(port)}, not a port number", "write a whole number from 1 to 65535", "error"
                )
                continue
            other = taken.setdefault(port, f"{monitor.instance}.{monitor.service}")
            if other != f"{monitor.instance}.{monitor.service}":
                self._report.monitor(
                    source, f"port {port} is the port of {other}, too", "give one of them another", "error"
                )
            if holders.get(port, monitor.service) != monitor.service:
                self._report.monitor(
                    source, f"port {port} is the port of service {holders[port]}", "give one of them another", "error"
                )
        if monitors:
            self._report.monitor(
                monitors[0][0],
                "monitor_instances are checked for clashes, and not started",
                "make each that is to run a service with a command",
                "warning",
            )

    # --- the result ---

    def _count_secrets(self) -> None:
        sets = {json.dumps(merged["secrets"], default=str, sort_keys=True) for merged in self._merged.values()}
        if len(sets) > _MOST_SETS_OF_SECRETS:
            self._report.error(
                ("services",),
                f"more than {_MOST_SETS_OF_SECRETS} services have secrets of their own",
                "share them by defaults.secrets, or let services read them from files",
            )

    def stack(self) -> Stack:
        """Return the stack. Only to be called when no problem is an error."""
        paths = self._paths()
        if self._root is None or paths is None:
            raise ValueError("a manifest without a root has passed the check")
        name = self._fields["name"]
        logs = _get(_get(self._fields, "checks", {}), "logs", {})
        digests = _Digests(name)
        return Stack(
            name=name,
            root=self._root,
            paths=paths,
            services=tuple(self._build(service, digests) for service in self._own),
            user=_get(self._fields, "user"),
            ports=self._rules,
            deprecated={old: port for old, port in self._old_ports().items() if port is not None},
            checks=Checks(self._database(), _get(logs, "critical", Checks().log_critical)),
        )

    def _build(self, name: str, digests: _Digests) -> Service:
        merged = self._merged[name]
        log = merged.get("log", {})
        kind = merged.get("kind", Service.kind)
        return Service(
            name=name,
            command=self._argv(name),
            directory=self._directory(name),
            description=merged.get("description", ""),
            kind=kind,
            env=merged["env"],
            secrets=digests.of(merged["secrets"]),
            port=merged.get("port"),
            health=self._health(name),
            depends_on={other: self._level(other, level) for other, level in self._needs(name).items()},
            stop=Stop(**merged.get("stop", {})),
            start=Start(**merged.get("start", {})),
            stable_for=merged.get("stable_for", Service.stable_for),
            ready_timeout=merged.get("ready_timeout", Service.ready_timeout),
            restart="never" if kind == "oneshot" else merged.get("restart", Service.restart),
            log_max_bytes=log.get("max_bytes", Service.log_max_bytes),
            log_backups=log.get("backups", Service.log_backups),
        )


class _Digests:
    """Digests of secrets: they tell that one changed, and are too costly to guess a value by.

    A service's secrets are stretched together, once, and each digest is made of the result and its variable's name.
    """

    def __init__(self, stack: str) -> None:
        self._salt = f"rollcall/{stack}".encode()
        self._keys: t.Dict[str, bytes] = {}

    def of(self, values: t.Mapping[str, str]) -> t.Dict[str, str]:
        """Return 16 hex digits for each variable."""
        if not values:
            return {}
        text = json.dumps(values, sort_keys=True)
        if text not in self._keys:
            self._keys[text] = hashlib.pbkdf2_hmac("sha256", text.encode("utf-8"), self._salt, _DIGEST_ROUNDS)
        key = self._keys[text]
        return {name: hmac.new(key, name.encode("utf-8"), "sha256").hexdigest()[:16] for name in values}
