# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The values of a manifest, key by key: each is read, put into its final form, or reported with a cure."""

from __future__ import annotations

import os
import re
import typing as t
from collections.abc import Mapping

from ..base.errors import Problem
from .legacy import Document, Place, Source, is_list, kind_of

# What a reader returns for a value that has a problem already.
WRONG: t.Any = object()

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


class Report:
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
        return WRONG

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

Reader = t.Callable[[Report, Place, t.Any], t.Any]

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


def _text(report: Report, place: Place, value: t.Any) -> t.Any:
    """Read text of at least one character, none of them a control character."""
    if not isinstance(value, str):
        return report.wrong_type(place, value, "text", "write text, in quotes when it looks like something else")
    reason = "is empty text" if not value.strip() else _unwritable(value)
    if reason:
        report.error(place, reason, "write it on one line, in visible characters")
        return WRONG
    return str(value)


def _description(report: Report, place: Place, value: t.Any) -> t.Any:
    """Read text that may have been folded over several lines, or be empty."""
    if not isinstance(value, str):
        return report.wrong_type(place, value, "text", "write text, in quotes when it looks like something else")
    text = " ".join(value.split())
    return _text(report, place, text) if text else ""


def _raw_text(report: Report, place: Place, value: t.Any) -> t.Any:
    """Read text that goes over a wire, where control characters are in order."""
    cure = "write text in double quotes, where \\r\\n is understood"
    if not isinstance(value, str):
        return report.wrong_type(place, value, "text", cure)
    reason = _not_unicode(value) if value else "is empty text"
    if reason:
        report.error(place, reason, cure)
        return WRONG
    return str(value)


# Numbers are not shown, and not turned into floats, from here on.
_HUGE = 10**15


def _number(low: float, high: float, unit: str) -> Reader:
    """Return a reader of a number from ``low`` to ``high``."""

    def read(report: Report, place: Place, value: t.Any) -> t.Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return report.wrong_type(place, value, f"a number of {unit}", f"write a number, such as {max(low, 1):g}")
        if not low <= value <= high:
            shown = "far too large, not" if isinstance(value, int) and abs(value) >= _HUGE else f"{value:g}, not"
            report.error(place, f"is {shown} from {low:g} to {high:g} {unit}", "write a number in between")
            return WRONG
        return float(value)

    return read


def _whole(low: int, high: int, what: str) -> Reader:
    """Return a reader of a whole number from ``low`` to ``high``."""

    def read(report: Report, place: Place, value: t.Any) -> t.Any:
        if isinstance(value, str) and re.match(r"\s*[0-9]{1,9}\s*\Z", value):
            return report.wrong_type(place, value, what, f"write it without quotes and leading zeros: {int(value)}")
        if isinstance(value, bool) or not isinstance(value, int):
            return report.wrong_type(place, value, what, f"write a whole number from {low} to {high}")
        if not low <= value <= high:
            shown = "far too large for" if abs(value) >= _HUGE else f"{int(value)}, not"
            report.error(place, f"is {shown} {what} from {low} to {high}", "write a number in between")
            return WRONG
        return int(value)

    return read


_port = _whole(1, 65535, "a port number")


def _choice(*words: str) -> Reader:
    """Return a reader of one of some words."""

    def read(report: Report, place: Place, value: t.Any) -> t.Any:
        if isinstance(value, str) and value in words:
            return str(value)
        cure = f"write one of: {', '.join(words)}"
        if not isinstance(value, str):
            return report.wrong_type(place, value, "one of the words it may be", cure)
        report.error(place, f"is none of the words it may be{report.similar(value, words)}", cure)
        return WRONG

    return read


def _truth(report: Report, place: Place, value: t.Any) -> t.Any:
    """Read true or false."""
    if not isinstance(value, bool):
        return report.wrong_type(place, value, "a truth value", "write true or false, without quotes")
    return bool(value)


def _list_of(read: Reader, most: int, cure: str, *, repeats: bool = False) -> Reader:
    """Return a reader of a list of at most ``most`` items, as a tuple; without ``repeats`` nothing is in it twice."""

    def read_list(report: Report, place: Place, value: t.Any) -> t.Any:
        if not is_list(value):
            return report.wrong_type(place, value, "a list", cure)
        if len(value) > most:
            report.error(place, f"has {len(value)} items, and {most} are the most", "make it shorter")
            return WRONG
        items = [read(report, (*place, index), item) for index, item in enumerate(value)]
        if WRONG in items:
            return WRONG
        return tuple(items) if repeats else tuple(dict.fromkeys(items))

    return read_list


def fields_of(what: str, table: t.Mapping[str, Reader]) -> Reader:
    """Return a reader of a mapping whose keys are known: what each reads, :data:`WRONG` included, by key."""

    def read(report: Report, place: Place, value: t.Any) -> t.Any:
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
                parsed[key] = WRONG
        return parsed

    return read


def _named(read_name: t.Callable[[Report, Place, t.Any], bool], read: Reader, cure: str) -> Reader:
    """Return a reader of a mapping whose keys are names that people choose."""

    def read_all(report: Report, place: Place, value: t.Any) -> t.Any:
        if not isinstance(value, Mapping):
            return report.wrong_type(place, value, "a mapping", cure)
        parsed = {}
        for name, item in value.items():
            if read_name(report, (*place, name), name):
                parsed[name] = read(report, (*place, name), item)
            else:
                parsed[name if isinstance(name, str) else name_place((name,))] = WRONG
        return parsed

    return read_all


# --- the values of a manifest ------------------------------------------------------------------------------------


def _good_name(report: Report, place: Place, name: t.Any) -> bool:
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


def _stack_name(report: Report, place: Place, value: t.Any) -> t.Any:
    return str(value) if _good_name(report, place, value) else WRONG


def _any_name(report: Report, place: Place, name: t.Any) -> bool:
    """Check a name that nothing is made of."""
    return _text(report, place, name) is not WRONG


def _variable(report: Report, place: Place, name: t.Any) -> t.Any:
    if not isinstance(name, str) or not _VARIABLE.match(name):
        report.error(
            place, "is not the name of a variable", "use letters, digits and _ only, and no digit at the beginning"
        )
        return WRONG
    return str(name)


def _good_variable(report: Report, place: Place, name: t.Any) -> bool:
    """Check the name of a variable that a manifest is to set."""
    if _variable(report, place, name) is WRONG:
        return False
    if name.startswith(("ROLLCALL_", "PORT_")) or name == "PORT":
        whose = "the labels by which its processes are known" if name.startswith("ROLLCALL_") else "ports to services"
        report.error(place, f"is reserved: Rollcall itself gives {whose}", "choose another name, or remove it")
        return False
    return True


def _scalar(report: Report, place: Place, value: t.Any) -> t.Any:
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

    def read(report: Report, place: Place, value: t.Any) -> t.Any:
        text = _scalar(report, place, value)
        if text is WRONG:
            return WRONG
        reason = _unwritable(text, control)
        if reason is None and len(text.encode("utf-8")) + len(str(place[-1])) + 2 > _LONGEST_STRING:
            reason = "is longer than the 128 KiB that a process can be given in one variable"
        if reason:
            report.error(place, reason, cure)
            return WRONG
        return text

    return read


_env_value = _value_reader(_CONTROL_BUT_TAB, "write it on one line; text of several lines can be a secret, or a file")
# Secrets never come near supervisord.conf, and keys in PEM form have lines.
_secret_value = _value_reader(re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"), "encode it, or put it into a file")


def _root(report: Report, place: Place, value: t.Any) -> t.Any:
    text = _path(report, place, value)
    if text is WRONG:
        return WRONG
    root = os.path.normpath(f"/{text.lstrip('/')}") if text.startswith("/") else text
    if not os.path.isabs(root):
        report.error(place, "is not an absolute path", "begin it with /")
    elif _NOBODYS_ROOT.fullmatch(root):
        report.error(
            place, f"is {root}, which belongs to the system", "give the stack a directory of its own, below it"
        )
    else:
        return _daemon_path(report, place, root)
    return WRONG


# Rollcall makes bin, etc, run, logs and state below the root, and removes what is old in them.
_NOBODYS_ROOT = re.compile(
    "/|/(bin|boot|dev|etc|home|lib|lib64|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|usr/local|var)"
    "|/var/(lib|log|run|tmp)|/(Applications|Library|System|Users|Volumes|private)"
)


def _path(report: Report, place: Place, value: t.Any) -> t.Any:
    text = _text(report, place, value)
    if text is WRONG:
        return WRONG
    if text != text.strip():
        report.error(place, "begins or ends with white space", "remove it")
        return WRONG
    if text.startswith("~"):
        report.error(place, "begins with ~, which only a shell understands", "write the directory itself")
        return WRONG
    return text


def _daemon_path(report: Report, place: Place, value: t.Any) -> t.Any:
    """Read a path that stands in supervisord.conf where nothing can be quoted, and in the scripts of an environment."""
    text = _path(report, place, value)
    found = None if text is WRONG else _BAD_IN_DAEMON_PATH.search(text)
    if found:
        report.error(
            place, f"contains {found.group()!r}, which the path of a daemon cannot have", "choose another path"
        )
        return WRONG
    return text


def _user(report: Report, place: Place, value: t.Any) -> t.Any:
    if not isinstance(value, str):
        return report.wrong_type(place, value, "the name of a user", "write the name, not the number")
    if not _USER.match(value):
        report.error(
            place, "is not the name of a user", "use letters, digits, _, . and -, and no digit at the beginning"
        )
        return WRONG
    return str(value)


def _signal(report: Report, place: Place, value: t.Any) -> t.Any:
    cure = f"write one of: {', '.join(_SIGNALS)}"
    if not isinstance(value, str):
        return report.wrong_type(place, value, "the name of a signal", cure)
    name = value.upper()
    name = name[3:] if name.startswith("SIG") else name
    if name not in _SIGNALS:
        report.error(place, f"is not a signal that stops a service{report.similar(name, _SIGNALS)}", cure)
        return WRONG
    return name


# What a shell would act on. Quoted and escaped characters are taken out first.
_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_SHELL = re.compile(r"&&|\|\||>>|<<|[|&;<>`]|\$(?=[A-Za-z_({])")


def _command(report: Report, place: Place, value: t.Any) -> t.Any:
    if isinstance(value, str):
        return _command_line(report, place, value)
    if not is_list(value):
        return report.wrong_type(place, value, "a list", "write the program and its arguments as a list of text")
    arguments = []
    for index, item in enumerate(value):
        here = (*place, index)
        argument = _scalar(report, here, item)
        reason = None if argument is WRONG else _unwritable(argument)
        if reason:
            report.error(here, reason, "write it on one line; text of several lines belongs into a file")
        if argument is not WRONG and len(argument.encode("utf-8", "replace")) >= _LONGEST_STRING:
            report.error(here, "is longer than the 128 KiB that one argument can have", "put it into a file")
        arguments.append(WRONG if reason else argument)
    if WRONG in arguments:
        return WRONG
    return _program_first(report, place, tuple(arguments))


def _command_line(report: Report, place: Place, text: str) -> t.Any:
    """Split a command as a shell would, and refuse what only a shell would do."""
    import shlex

    # Splitting takes time, and this is more than anybody writes.
    reason = "is longer than 16 KiB" if len(text) > 16_384 else _unwritable(text)
    if reason:
        report.error(place, reason, "write it on one line, or as a list of arguments")
        return WRONG
    found = _SHELL.search(_QUOTED.sub("", text))
    if found:
        report.error(
            place,
            f"contains {found.group()}, which only a shell understands, and no shell runs it",
            'write it as a list; for a shell: ["sh", "-c", "exec ..."]',
        )
        return WRONG
    try:
        return _program_first(report, place, tuple(shlex.split(text)))
    except ValueError:
        report.error(place, "has a quote or a backslash without its counterpart", "write it as a list of arguments")
        return WRONG


def _program_first(report: Report, place: Place, arguments: t.Tuple[str, ...]) -> t.Any:
    if not arguments or not arguments[0].strip():
        report.error(place, "names no program", "write the program and its arguments as a list of text")
        return WRONG
    program = arguments[0]
    if program.startswith(("-", "~")) or program != program.strip() or program.endswith("/"):
        report.error((*place, 0), "is not a program", "begin the list with the program: a path, or a name on PATH")
        return WRONG
    return arguments


def _http_path(report: Report, place: Place, value: t.Any) -> t.Any:
    text = _text(report, place, value)
    if text is WRONG:
        return WRONG
    if not text.startswith("/"):
        report.error(
            place, "does not begin with /", "write the path alone, such as /health; host and port are own keys"
        )
        return WRONG
    if not re.match(r"[!-\"$-~]+\Z", text):
        report.error(place, "has a character that a path cannot have", "write it percent-encoded, such as %20")
        return WRONG
    return text


def _host(report: Report, place: Place, value: t.Any) -> t.Any:
    if not isinstance(value, str):
        return report.wrong_type(place, value, "a host", "write a name or an address, such as 127.0.0.1 or ::1")
    if not _HOST.match(value):
        report.error(place, "is not a host", "write a name or an address, such as 127.0.0.1 or ::1, without brackets")
        return WRONG
    return str(value)


def _true(report: Report, place: Place, value: t.Any) -> t.Any:
    if value is not True:
        report.error(place, "is not true", "write tcp: true, or remove it; the port is the service's")
        return WRONG
    return True


OF_HTTP = ("status", "body")
OF_TCP = ("send", "expect")
HEALTH: t.Mapping[str, Reader] = {
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


def _depends_on(report: Report, place: Place, value: t.Any) -> t.Any:
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


def _range(report: Report, place: Place, value: t.Any) -> t.Any:
    cure = "write the first and the last port: [8000, 8100]"
    if not is_list(value) or len(value) != 2:
        report.error(place, "is not a list of two ports", cure)
        return WRONG
    low, high = (_port(report, (*place, index), port) for index, port in enumerate(value))
    if WRONG in (low, high):
        return WRONG
    if low > high:
        report.error(place, f"ends before it begins: {low} is above {high}", cure)
        return WRONG
    return (low, high)


def _pattern(report: Report, place: Place, value: t.Any) -> t.Any:
    text = _text(report, place, value)
    if text is WRONG:
        return WRONG
    # Nothing that reads a log needs more, and compiling takes time.
    if len(text) > 500:
        report.error(place, "is longer than 500 characters", "divide it: a line is critical when any pattern is found")
        return WRONG
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as exc:
        report.error(place, f"is not a regular expression: {exc}", r"escape what is meant literally: \[ for [")
        return WRONG
    return text


_BY_VARIABLE: t.Mapping[str, Reader] = {
    "service": _text,
    "variable": _variable,
    "timeout": _number(0.001, 300, "seconds"),
}


def _deprecated_port(report: Report, place: Place, value: t.Any) -> t.Any:
    return None if value is None else _port(report, place, value)


_environment = _named(_good_variable, _env_value, "write it as NAME: value")
_secrets = _named(_good_variable, _secret_value, "write it as NAME: value")

_ports_list = _list_of(_port, 1000, "write a list of ports: [3000, 4000]")
# What comes twice in these is for the check to name: paths are the same only once they are absolute.
_files = _list_of(_path, 100, "write a list of paths: [credentials/api.pem]", repeats=True)
_variables_list = _list_of(_variable, 100, "write a list of variables: [API_KEY]", repeats=True)

SERVICE: t.Mapping[str, Reader] = {
    "description": _description,
    "kind": _choice("service", "oneshot"),
    "command": _command,
    "directory": _path,
    "env": _environment,
    "secrets": _secrets,
    "port": _port,
    "fallback_ports": _ports_list,
    "auto_fallback": _truth,
    "instances": _whole(1, 100, "a number of instances"),
    "health": fields_of("a health check", HEALTH),
    "depends_on": _depends_on,
    "requires_files": _files,
    "requires_env": _variables_list,
    "stop": fields_of("stop", {"signal": _signal, "timeout": _number(0, 3600, "seconds")}),
    "start": fields_of(
        "start", {"seconds": _number(0, 3600, "seconds"), "retries": _whole(0, 1000, "a number of tries")}
    ),
    "stable_for": _number(0, 3600, "seconds"),
    "ready_timeout": _number(0.1, 86_400, "seconds"),
    "restart": _choice("always", "unexpected", "never"),
    "log": fields_of(
        "log", {"max_bytes": _whole(0, 2**40, "a number of bytes"), "backups": _whole(0, 1000, "a number of files")}
    ),
}
_ONLY_OWN = ("description", "port", "fallback_ports", "instances", "depends_on")
_DEFAULTS = {key: reader for key, reader in SERVICE.items() if key not in _ONLY_OWN}

DATABASE: t.Mapping[str, Reader] = {
    "sqlite": _path,
    "postgresql": fields_of("a check of PostgreSQL", {**_BY_VARIABLE, "query": _text}),
    "redis": fields_of("a check of Redis", {**_BY_VARIABLE, "host": _host, "port": _port}),
}

STACK: t.Mapping[str, Reader] = {
    "name": _stack_name,
    "user": _user,
    "root": _root,
    "paths": fields_of("paths", {"run": _daemon_path, "logs": _daemon_path}),
    "ports": fields_of("ports", {"range": _range, "also": _ports_list, "avoid": _ports_list, "protect": _ports_list}),
    "defaults": fields_of("defaults", _DEFAULTS),
    "services": _named(_good_name, fields_of(A_SERVICE, SERVICE), "write it as name: {...}"),
    "deprecated": _named(_any_name, _deprecated_port, "write it as name: port"),
    "checks": fields_of(
        "checks",
        {
            "database": fields_of("a database check", DATABASE),
            "logs": fields_of("logs", {"critical": _list_of(_pattern, 50, "write a list of regular expressions")}),
        },
    ),
    "restart_budget": fields_of(
        "a restart budget",
        {"restarts": _whole(1, 1000, "a number of restarts"), "within": _number(1, 604_800, "seconds")},
    ),
}
