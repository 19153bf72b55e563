# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The types of values that have rules of their own: names, variables, paths, commands, ports and the like."""

from __future__ import annotations

import math
import os
import re
import typing as t
import warnings
from collections.abc import Mapping

from ..base.port_numbers import UdpPort, read_port
from . import corrections, patterns
from .document import WRONG
from .model import UNLIMITED
from .places import Place, is_list, kind_of
from .problems import Problems
from .readers import Reader, ValueType, choice, list_of, matching, named, read_text, unwritable, whole
from .schedule import parse_cron, parse_duration
from .system_directories import normal, why_not

# MAX_ARG_STRLEN of Linux, execve(2): bytes of one argument or variable, its final zero included.
_LONGEST_STRING = 131_072

# --- names -------------------------------------------------------------------------------------------------------

NAME_LENGTH = 63
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
RESERVED_NAMES: t.Mapping[str, str] = {
    "all": "means every service wherever services are named",
    "supervisord": "is the name of supervisord's own log",
}


def good_name(problems: Problems, place: Place, name: t.Any) -> bool:
    """Check the name of a stack or a service, which becomes a program, a file, a variable and an argument."""
    if not isinstance(name, str):
        problems.error(place, f"a name is text, and this is {kind_of(name)}", corrections.NAME_IN_QUOTES)
    elif not name:
        problems.error(place, "the name is empty", corrections.NAME_NOT_EMPTY)
    elif len(name) > NAME_LENGTH:
        problems.error(place, f"the name is longer than {NAME_LENGTH} characters", corrections.SHORTER_NAME)
    elif not _NAME.match(name):
        problems.error(place, "the name cannot be used", corrections.NAME)
    elif name.lower() in RESERVED_NAMES:
        problems.error(
            place, f"the name is taken: '{name}' {RESERVED_NAMES[name.lower()]}", corrections.another("name")
        )
    else:
        return True
    return False


def _stack_name(problems: Problems, place: Place, value: t.Any) -> t.Any:
    return str(value) if good_name(problems, place, value) else WRONG


def _any_name(problems: Problems, place: Place, name: t.Any) -> bool:
    """Check a name that becomes nothing else."""
    return read_text(problems, place, name) is not WRONG


STACK_NAME = ValueType("name", _stack_name)
USER_PATTERN = "[A-Za-z_][A-Za-z0-9_.-]{0,31}"
USER = matching(
    "user name",
    USER_PATTERN,
    "the name of a user",
    corrections.USER,
)
HOST = matching(
    "host",
    "[A-Za-z0-9._:%-]{1,255}",
    "a host",
    corrections.HOST,
)

_OF_INVENTORY = matching(
    "host or group",
    "!?[A-Za-z0-9_.*?-]{1,255}",
    "the name of a host or a group",
    corrections.HOST_OR_GROUP,
)
HOSTS = list_of("hosts and groups", _OF_INVENTORY, 100, corrections.a_list("groups", "webservers"))

# --- variables -----------------------------------------------------------------------------------------------------

# Control characters, Unicode's category Cc, that a value cannot have. All but the tab in env, which goes into
# supervisord.conf. In secrets, which do not, line ends are in order, too: a key in PEM form has lines.
_CONTROL_BUT_TAB = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
CONTROL_IN_SECRET = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
VARIABLE_PATTERN = "[A-Za-z_][A-Za-z0-9_]*"
VARIABLE = matching(
    "variable",
    VARIABLE_PATTERN,
    "the name of a variable",
    corrections.VARIABLE,
)


def _good_variable(problems: Problems, place: Place, name: t.Any) -> bool:
    """Check the name of a variable that a manifest sets."""
    if VARIABLE.read(problems, place, name) is WRONG:
        return False
    if name.startswith(("ROLLCALL_", "PORT_")) or name == "PORT":
        whose = "the labels by which its processes are known" if name.startswith("ROLLCALL_") else "ports to services"
        problems.error(place, f"is reserved: Rollcall itself gives {whose}", corrections.REMOVE_OR_RENAME)
        return False
    return True


def _scalar(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read a scalar as text: true and false as these words, numbers as Python writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return str(value)
    # Python refuses to write a number of thousands of digits.
    if isinstance(value, float) or (isinstance(value, int) and value.bit_length() <= 256):
        return str(value)
    return problems.wrong_type(place, value, "text, a number or a truth value", corrections.VALUE_AS_TEXT)


def _value_reader(control: t.Pattern[str], cure: str) -> Reader:
    """Return a reader of a variable's value."""

    def read(problems: Problems, place: Place, value: t.Any) -> t.Any:
        text = _scalar(problems, place, value)
        if text is WRONG:
            return WRONG
        reason = unwritable(text, control)
        if reason is None and len(text.encode("utf-8")) + len(str(place[-1])) + 2 > _LONGEST_STRING:
            reason = "is longer than the 128 KiB that a process can be given in one variable"
        if reason:
            return problems.error(place, reason, cure)
        return text

    return read


def _variables(control: t.Pattern[str], cure: str) -> ValueType:
    return named("variable: value", _good_variable, _value_reader(control, cure), corrections.write_as("NAME: value"))


VARIABLES = list_of("variables", VARIABLE, 100, corrections.a_list("variables", "API_KEY"), repeats=True)
ENV = _variables(_CONTROL_BUT_TAB, corrections.ONE_LINE_OR_SECRET)
SECRETS = _variables(CONTROL_IN_SECRET, corrections.ENCODED)

# --- paths ---------------------------------------------------------------------------------------------------------

# Neither supervisord.conf nor the scripts of a virtual environment can quote these; ':' divides PATH.
_BAD_IN_SUPERVISORD_PATH = re.compile(r"[%'\"\\;#:$`]")


def _root(problems: Problems, place: Place, value: t.Any) -> t.Any:
    text = _path(problems, place, value)
    if text is WRONG:
        return WRONG
    if not os.path.isabs(text):
        return problems.error(place, "is not an absolute path", corrections.ABSOLUTE)
    against = why_not(text)
    if against:
        return problems.error(place, against, corrections.BELOW_SYSTEM)
    return _supervisord_path(problems, place, normal(text))


def _path(problems: Problems, place: Place, value: t.Any) -> t.Any:
    text = read_text(problems, place, value)
    if text is WRONG:
        return WRONG
    if text != text.strip():
        return problems.error(place, "begins or ends with white space", corrections.NO_SPACE)
    if text.startswith("~"):
        return problems.error(place, "begins with ~, which only a shell understands", corrections.NO_TILDE)
    return text


def _supervisord_path(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read a path that stands where nothing can be quoted: in supervisord.conf, and in a virtual environment."""
    text = _path(problems, place, value)
    found = None if text is WRONG else _BAD_IN_SUPERVISORD_PATH.search(text)
    if found:
        return problems.error(
            place, f"contains {found.group()!r}, which this path cannot have", corrections.another("path")
        )
    return text


ROOT = ValueType("absolute path", _root)
PATH = ValueType("path", _path)
SUPERVISORD_PATH = ValueType("path", _supervisord_path)
# The check names paths that come twice: it knows which are the same, as it makes them absolute.
FILES = list_of("paths", PATH, 100, corrections.a_list("paths", "credentials/api.pem"), repeats=True)

# --- commands and signals ------------------------------------------------------------------------------------------

# The stop signals that supervisor documents.
SIGNALS = ("TERM", "HUP", "INT", "QUIT", "KILL", "USR1", "USR2")
# What is quoted or escaped in a command line.
QUOTED = re.compile(r"""\\.|'[^']*'|"[^"\\]*(?:\\.[^"\\]*)*\"""", re.DOTALL)
# What a shell acts on where it is not quoted.
_SHELL = re.compile(r"&&|\|\||>>|<<|[|&;<>`]|\$(?=[A-Za-z_({])")


def _command(problems: Problems, place: Place, value: t.Any) -> t.Any:
    if isinstance(value, str):
        return _command_line(problems, place, value)
    if not is_list(value):
        return problems.wrong_type(place, value, "a list", corrections.PROGRAM_AND_ARGUMENTS)
    arguments = []
    for index, item in enumerate(value):
        here = (*place, index)
        argument = _scalar(problems, here, item)
        reason = None if argument is WRONG else unwritable(argument, _CONTROL_BUT_TAB)
        if reason:
            problems.error(here, reason, corrections.ONE_LINE_OR_FILE)
        if argument is not WRONG and len(argument.encode("utf-8", "replace")) >= _LONGEST_STRING:
            problems.error(here, "is longer than the 128 KiB that one argument can have", corrections.INTO_A_FILE)
        arguments.append(WRONG if reason else argument)
    if WRONG in arguments:
        return WRONG
    return _program_first(problems, place, tuple(arguments))


def _command_line(problems: Problems, place: Place, text: str) -> t.Any:
    """Read a command that is one text: split as a shell splits it, refused where only a shell could run it."""
    import shlex

    # Splitting takes time. Nobody writes a longer one.
    reason = "is longer than 16 KiB" if len(text) > 16_384 else unwritable(text)
    if reason:
        return problems.error(place, reason, corrections.ONE_LINE_OR_LIST)
    found = _SHELL.search(QUOTED.sub("", text))
    if found:
        return problems.error(
            place,
            f"contains {found.group()}, which only a shell understands, and no shell runs it",
            corrections.NO_SHELL,
        )
    try:
        return _program_first(problems, place, tuple(shlex.split(text)))
    except ValueError:
        return problems.error(place, "has a quote or a backslash without its counterpart", corrections.ARGUMENTS)


def _program_first(problems: Problems, place: Place, arguments: t.Tuple[str, ...]) -> t.Any:
    if not arguments or not arguments[0].strip():
        return problems.error(place, "names no program", corrections.PROGRAM_AND_ARGUMENTS)
    program = arguments[0]
    if program.startswith(("-", "~")) or program != program.strip() or program.endswith("/"):
        return problems.error((*place, 0), "is not a program", corrections.PROGRAM_FIRST)
    return arguments


def _signal(problems: Problems, place: Place, value: t.Any) -> t.Any:
    cure = corrections.one_of(SIGNALS)
    if not isinstance(value, str):
        return problems.wrong_type(place, value, "the name of a signal", cure)
    name = value.upper()
    name = name[3:] if name.startswith("SIG") else name
    if name not in SIGNALS:
        return problems.error(place, f"is not a signal that stops a service{problems.similar(name, SIGNALS)}", cure)
    return name


COMMAND = ValueType("list, or text", _command)
SIGNAL = ValueType(choice(*SIGNALS).words, _signal)

# --- ports ---------------------------------------------------------------------------------------------------------

PORT = whole(1, 65535, "a port number")
_PORT_NAME = "[A-Za-z][A-Za-z0-9_]{0,31}"
_FOLLOWS = re.compile(rf"\{{port(?::[^{{}}]*|\.{_PORT_NAME})?\}}\Z")


def _port_to_ask(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read a port, or the text that stands for the one that a service has on its host."""
    return value if isinstance(value, str) and _FOLLOWS.match(value) else PORT.read(problems, place, value)


PORT_TO_ASK = ValueType(f"{PORT.words}, or `{{port:NAME}}`", _port_to_ask)


def _own_port_to_ask(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read a port as `PORT_TO_ASK`, or the name of one of several."""
    named = isinstance(value, str) and re.fullmatch(_PORT_NAME, value)
    return str(value) if named else _port_to_ask(problems, place, value)


OWN_PORT_TO_ASK = ValueType("a port, the name of one, or `{port:NAME}`", _own_port_to_ask)


PORT_NAME = matching("name", _PORT_NAME, "a name", corrections.PORT_NAME)


def _good_port_name(problems: Problems, place: Place, name: t.Any) -> bool:
    if isinstance(name, str) and re.fullmatch(_PORT_NAME, name):
        return True
    problems.error(place, "is no name of a port", corrections.PORT_NAME)
    return False


def _any_port(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read a port of TCP, or one of UDP that is written as ``5353/udp``."""
    of_udp = read_port(value) if isinstance(value, str) else None
    return of_udp if isinstance(of_udp, UdpPort) else PORT.read(problems, place, value)


_BY_NAME = named("name: port", _good_port_name, _any_port, corrections.NAMED_PORTS)
_MOST_NAMED_PORTS = 20


def _named_ports(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read the ports of a service by their names."""
    found = _BY_NAME.read(problems, place, value)
    if found == {}:
        return problems.error(place, "has no port", corrections.REMOVE)
    if found is not WRONG and len(found) > _MOST_NAMED_PORTS:
        return problems.error(
            place, f"has {len(found)} items, and {_MOST_NAMED_PORTS} are the most", corrections.SHORTER
        )
    return found


NAMED_PORTS = ValueType("name: port, or `5353/udp`", _named_ports)
PORTS = list_of("ports", PORT, 1000, corrections.a_list("ports", "3000, 4000"))


def _range(problems: Problems, place: Place, value: t.Any) -> t.Any:
    cure = corrections.FIRST_AND_LAST
    if not is_list(value) or len(value) != 2:
        return problems.error(place, "is not a list of two ports", cure)
    low, high = (PORT.read(problems, (*place, index), port) for index, port in enumerate(value))
    if WRONG in (low, high):
        return WRONG
    if low > high:
        return problems.error(place, f"ends before it begins: {low} is above {high}", cure)
    return (low, high)


def _deprecated_port(problems: Problems, place: Place, value: t.Any) -> t.Any:
    return None if value is None else PORT.read(problems, place, value)


RANGE = ValueType("two ports", _range)
DEPRECATED = named("name: port or `null`", _any_name, _deprecated_port, corrections.write_as("name: port"))

# --- health, dependencies and logs ---------------------------------------------------------------------------------


def _http_path(problems: Problems, place: Place, value: t.Any) -> t.Any:
    text = read_text(problems, place, value)
    if text is WRONG:
        return WRONG
    if not text.startswith("/"):
        return problems.error(place, "does not begin with /", corrections.HTTP_PATH)
    if not re.match(r"[!-\"$-~]+\Z", text):
        return problems.error(place, "has a character that a path cannot have", corrections.PERCENT_ENCODED)
    return text


# What frames a request: the connection is one for a single question without a body.
_FRAMING = frozenset(("connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"))
# A token, and a value (RFC 9110, 5.6.2 and 5.5).
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}\Z")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]{0,4096}\Z")


def _good_header(problems: Problems, place: Place, name: t.Any) -> bool:
    if not isinstance(name, str) or not _HEADER.match(name):
        problems.error(place, "is no name of a header", corrections.HEADER)
        return False
    if name.lower() in _FRAMING:
        problems.error(place, "is sent by Rollcall as the question needs it", corrections.REMOVE)
        return False
    return True


def _header_value(problems: Problems, place: Place, value: t.Any) -> t.Any:
    text = _scalar(problems, place, value)
    if text is WRONG or _HEADER_VALUE.match(text):
        return text
    return problems.error(place, "is not what a header can say", corrections.HEADER_VALUE)


def _json_field(problems: Problems, place: Place, name: t.Any) -> bool:
    if isinstance(name, str) and all(name.split(".")) and len(name) <= 1000:
        return True
    problems.error(place, "is no path of a field", corrections.JSON_FIELD)
    return False


def _json_value(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read what a field of JSON is compared with."""
    if isinstance(value, bool) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, int) and value.bit_length() <= 64:
        return int(value)
    if isinstance(value, str):
        return read_text(problems, place, value)
    return problems.wrong_type(place, value, "text, a number or a truth value", corrections.VALUE_AS_TEXT)


def _true(problems: Problems, place: Place, value: t.Any) -> t.Any:
    if value is not True:
        return problems.error(place, "is not true", corrections.TRUE)
    return True


_NAMED_LEVELS = named(
    "name: level", _any_name, choice("started", "running", "healthy", "completed").read, corrections.DEPENDS_ON
)


def _depends_on(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read dependencies as the level of each service, None where a list leaves it open."""
    if isinstance(value, Mapping):
        return _NAMED_LEVELS.read(problems, place, value)
    if not is_list(value):
        return problems.wrong_type(place, value, "a list or a mapping", corrections.DEPENDS_ON)
    wanted: t.Dict[str, t.Any] = {}
    for index, name in enumerate(value):
        if not isinstance(name, str):
            problems.wrong_type((*place, index), name, "the name of a service", corrections.ITS_NAME)
        elif name in wanted:
            problems.error((*place, index), "is in the list twice", corrections.REMOVE)
        else:
            wanted[name] = None
    return wanted


def _pattern(problems: Problems, place: Place, value: t.Any) -> t.Any:
    text = read_text(problems, place, value)
    if text is WRONG:
        return WRONG
    if len(text) > patterns.LONGEST_PATTERN:
        words = f"is longer than {patterns.LONGEST_PATTERN} characters"
        return problems.error(place, words, corrections.DIVIDED_PATTERN)
    try:
        with warnings.catch_warnings():
            # What another version of Python may read otherwise is no business of who writes the pattern here.
            warnings.simplefilter("ignore")
            if patterns.cost_of_sets(text) > patterns.MOST_IN_SETS:
                words = f"has sets of more than {patterns.MOST_IN_SETS} characters, which take long to search for"
                return problems.error(place, words, corrections.DIVIDED_PATTERN)
            re.compile(text)
    except (re.error, OverflowError, RecursionError) as exc:
        return problems.error(place, f"is not a regular expression: {exc}", corrections.ESCAPED_PATTERN)
    return text


def _umask(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read a umask as three octal digits. A number without quotes is read in base 8 by some, in base 10 by others."""
    if value == 0 and not isinstance(value, bool):
        return "000"
    if not isinstance(value, str):
        return problems.wrong_type(place, value, "text", corrections.UMASK)
    if not re.match(r"0{0,2}[0-7]{1,3}\Z", value):
        return problems.error(place, "is not a umask", corrections.UMASK)
    return f"{int(value, 8):03o}"


_SIZE_TEXT = re.compile(r"([1-9][0-9]{0,8})([KMGT])\Z")
_POWERS = {letter: 1024**power for power, letter in enumerate("KMGT", 1)}


def _processes(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read a limit of processes."""
    if value == "unlimited":
        return UNLIMITED
    if isinstance(value, str):
        return problems.wrong_type(place, value, "a number", corrections.LIMIT)
    return whole(1, 2**22, "a number of processes").read(problems, place, value)


# Seconds of a year and a day.
_LONGEST_DURATION = 366 * 86_400
_SECONDS = whole(1, _LONGEST_DURATION, "a number of seconds")


def _duration(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read a time in seconds, or with its units."""
    if isinstance(value, str):
        seconds = parse_duration(value)
        if seconds is None:
            return problems.error(place, "is not a time", corrections.DURATION)
        value = seconds
    found = _SECONDS.read(problems, place, value)
    return found if found is WRONG else float(found)


def _cron(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read the five fields of cron."""
    if not isinstance(value, str):
        return problems.wrong_type(place, value, "text", corrections.CRON)
    wrong = parse_cron(value)[1]
    if not wrong:
        return " ".join(value.split())
    for reason in wrong:
        problems.error(place, reason, corrections.CRON)
    return WRONG


def _size(low: int) -> ValueType:
    """Return the type of a limit in bytes: a number, or text such as ``512M``, in powers of 1024."""
    number = whole(low, 2**60, "a number of bytes")

    def read(problems: Problems, place: Place, value: t.Any) -> t.Any:
        if value == "unlimited":
            return UNLIMITED
        if isinstance(value, str):
            found = _SIZE_TEXT.match(value)
            if found is None:
                return problems.error(place, "is not a size", corrections.SIZE)
            value = int(found.group(1)) * _POWERS[found.group(2)]
        return number.read(problems, place, value)

    return ValueType("bytes, such as `512M`, or `unlimited`", read)


# The kernel knows no unlimited number of files: it is fs.nr_open at most, which is below 2**31.
OPEN_FILES = whole(16, 2**30, "a number of files")
PROCESSES = ValueType("1 to 4194304, or `unlimited`", _processes)
SIZE = _size(0)
# With less no program can be loaded.
MEMORY = _size(2**20)
DURATION = ValueType("seconds, or text such as `15m`", _duration)
CRON = ValueType('text, such as `"0 3 * * *"`', _cron)
UMASK = ValueType('octal digits, such as `"022"`', _umask)
HTTP_PATH = ValueType("path", _http_path)
TRUE = ValueType("`true`", _true)
HEADERS = named("header: value", _good_header, _header_value, corrections.write_as("Name: value"))
JSON_FIELDS = named("field: value", _json_field, _json_value, corrections.write_as("field: value"))
DEPENDS_ON = ValueType("mapping or list", _depends_on)
PATTERNS = list_of(
    "regular expressions of up to 500 characters",
    ValueType("regular expression", _pattern),
    50,
    corrections.a_list("regular expressions", "FATAL"),
)
