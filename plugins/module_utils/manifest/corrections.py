# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What to write instead: every cure of a problem in a manifest, or in the file of another tool, one name for each kind.

Of each there is a trial in tests/unit/manifest/test_corrections.py or tests/unit/importing/test_corrections.py:
something is wrong, what stands here is done at the place that the problem names, and the problem is gone. A cure is an
edit of that very value; "it" is what stands at the place.
"""

from __future__ import annotations

import typing as t

# --- leave something out ------------------------------------------------------------------------------------------

REMOVE = "remove it"
REMOVE_UNREAD = "remove it when nothing else reads it"
REMOVE_ONE = "remove one of the two"
REMOVE_DEPENDENCY = "remove one of these dependencies"
REMOVE_STATE = "remove it; see it by: rollcall status"
REMOVE_CHECK = "remove it; its exit code is asked"
REMOVE_DOCUMENTS = "remove all but one"
REMOVE_DIRECTIVE = "remove it, or indent the line"
REMOVE_CONTROL = "remove it: is this a text file?"
REMOVE_OR_NAME_SERVICE = "name the service, or remove it"
REMOVE_OR_TIMER = "remove it, or make it a timer: kind: timer"
EVERY_OR_CRON = 'say one of: every: 15m, cron: "0 3 * * *"'
REMOVE_OR_SERVICE = "remove it, or make it a service: kind: service"
REMOVE_OR_BELOW_STACK = "move it below stack, or remove it"
REMOVE_HERE_OR_THERE = "remove it here, or from the services"
REMOVE_OR_VALUE = "give it a value, or remove the line"
REMOVE_OR_RENAME = "choose another name, or remove it"
KEEP_IN_ONE = "keep it in one of the two"
TAB = "put spaces in the place of the tab"
STACK_OF_USER = "remove it here, and make services of another user a stack of their own: user stands there"
MISSPELT = "correct its name, or remove it"


def key(known: t.Iterable[str]) -> str:
    """Return the advice for a key that is not known."""
    return f"remove it, or use one of: {', '.join(known)}"


def gone(service: str) -> str:
    """Return the advice for a deprecated service whose port is used again."""
    return f"see that {service} is gone, then remove this entry"


# --- the document -------------------------------------------------------------------------------------------------

WHOLE_LINE = "was it written whole? If so, add it"
RESTORE = "correct it, or restore the file: was it written whole?"
WRITE_OR_RESTORE = "write a manifest, or restore the file: was it written whole?"
NUMBERS = "correct or shorten its numbers, or make it flatter"
SMALLER = "make it smaller"
SMALLER_FILE = "see that it is a manifest, and make it smaller"
FLATTER = "make it flatter"
AS_JSON = "write the manifest as JSON in a .json file"
JSON_OR_YAML = "install it, or write the manifest as JSON in a .json file"
JSON_OR_LIBRARY = "install a PyYAML that has it, or write the manifest as JSON in a .json file"
JSON_OR_DIVIDE = "divide it, or write the manifest as JSON in a .json file"
UTF_8 = "save it in UTF-8"
A_FILE = "give the path of a file"
READABLE = "give the path of a manifest that you may read"
THERE = "give the path of a manifest that is there"
PLAIN_KEY = "write the key as plain text"
TEXT_KEY = "write the key in quotes, or as the name that is meant"
INTO_DEFAULTS = "put what is common into defaults"
ITSELF = "write the value itself"
ITSELF_OR_INVENTORY = "write the value itself; for a secret, lay it over this file from the inventory"
TEXT_IN_QUOTES = "write it in quotes if it is text"
PLAIN_NUMBER = "write a plain number without leading zeros, or put it in quotes if it is text"
COMPOSE = "write name: command of each container into a Procfile, and import that"
OTHER_TOOL = "write name: command of each program into a Procfile, and import that"
JOBS = "write a service of kind: timer for each line, with its five fields as cron"
BELOW_STACK = "begin it with stack:"
OF_A_STACK = "give it name, root and services"
CHECK_MODE = "run the playbook with --check, which knows its value and checks it"


def truth(word: str) -> str:
    """Return the advice for a word that some read as a truth value."""
    return f"write {'true' if word in ('yes', 'on') else 'false'}, or put it in quotes if it is text"


def some_of(keys: t.Iterable[str]) -> str:
    """Return the advice for what should be a mapping with these keys."""
    return f"give it some of: {', '.join(keys)}"


# --- values -------------------------------------------------------------------------------------------------------

TEXT = "write text, in quotes when it looks like something else"
ONE_LINE = "write it on one line, in visible characters"
ONE_LINE_OR_SECRET = "write it on one line; text of several lines can be a secret, or a file"
ONE_LINE_OR_FILE = "write it on one line; text of several lines belongs into a file"
ONE_LINE_OR_LIST = "write it on one line, or as a list of arguments"
ENCODED = "encode it, or put it into a file"
INTO_A_FILE = "put it into a file"
DOUBLE_QUOTES = "write text in double quotes, where \\r\\n is understood"
VALUE_AS_TEXT = "write its value as text, in quotes"
TRUTH = "write true or false, without quotes"
IN_BETWEEN = "write a number in between"
SHORTER = "make it shorter"
FIRST_AND_LAST = "write the first and the last port: [8000, 8100]"
UMASK = 'write three octal digits in quotes, such as "022" or "077"'
LIMIT = "write a whole number, or unlimited"
DURATION = "write a time such as 30s, 15m, 2h, 1h30m or 7d, or a number of seconds"
CRON = "write the five fields of cron in quotes: minute, hour, day of the month, month, day of the week"
SIZE = "write a number of bytes, a size such as 512M or 2G, or unlimited"
DIVIDED_PATTERN = "divide it: a line is critical when any pattern is found"
ESCAPED_PATTERN = r"escape what is meant literally: \[ for ["
HTTP_PATH = "write the path alone, such as /health; host and port are keys of their own"
PERCENT_ENCODED = "write it percent-encoded, such as %20"
TRUE = "write true, or remove it; the port is the service's"
ONE_QUESTION = "say one of: http: /path, https: /path, tcp: true, tls: true, exec: [...]"
HEADER = "write the name alone, such as Accept"
HEADER_VALUE = "write at most 4096 visible characters of ASCII"
JSON_FIELD = "write the names of keys with dots between them, such as database.up"
NO_BODY = "remove it, or write method: GET"
# What YAML may have made of a value that is none.
_QUOTED = "; YAML reads yes, no, on and off as truth values, too, unless they are in quotes"


def not_a_truth(cure: str) -> str:
    """Return an advice for where a truth value stands instead of something else."""
    return cure + _QUOTED


def a_number(example: float) -> str:
    """Return the advice to write a number."""
    return f"write a number, such as {example:g}"


def a_whole_number(low: int, high: int) -> str:
    """Return the advice to write a whole number."""
    return f"write a whole number from {low} to {high}"


def without_quotes(number: int) -> str:
    """Return the advice for a number that is written as text."""
    return f"write it without quotes and leading zeros: {number}"


def one_of(words: t.Iterable[str]) -> str:
    """Return the advice to write one of some words."""
    return f"write one of: {', '.join(words)}"


def a_list(what: str, example: str) -> str:
    """Return the advice to write a list."""
    return f"write a list of {what}: [{example}]"


def write_as(form: str) -> str:
    """Return the advice to write something in a form."""
    return f"write it as {form}"


# --- names and paths ----------------------------------------------------------------------------------------------

NAME = "a name begins with a letter and has letters, digits, _ and - only"
NAME_IN_QUOTES = f"write it in quotes; {NAME}"
NAME_NOT_EMPTY = f"give it a name; {NAME}"
SHORTER_NAME = "choose a shorter one"
SHORTER_SERVICE = "shorten the name"
RENAME_ONE = "rename one of the two"
USER = "write a name with letters, digits, _, . and - only, and no digit at the beginning"
HOST = "write a name or an address, such as 127.0.0.1 or ::1, without brackets"
VARIABLE = "use letters, digits and _ only, and no digit at the beginning"
STACK_NAME = "give the stack a name, such as trading"
STACK_ROOT = "give the stack a directory of its own, such as /opt/trading"
A_SERVICE = "give it at least one: name: {command: [...]}"
ABSOLUTE = "begin it with /"
ABSOLUTE_IF_MEANT = "write it as an absolute path if that is meant"
BELOW_SYSTEM = "give the stack a directory of its own, such as one below /opt, /srv, /var/lib or /var/log"
NO_SPACE = "remove the white space"
NO_TILDE = "write the directory itself"
OWN_DIRECTORY = "choose a directory of the stack's own"
SHORTER_ROOT = "choose a shorter root, or set paths.run to a shorter directory of the stack's own"


def another(what: str) -> str:
    """Return the advice to choose something else, such as a ``name``, a ``path`` or a ``port``."""
    return f"choose another {what}"


# --- services -----------------------------------------------------------------------------------------------------

COMMANDS = "give defaults a command with {name} in it, or each service its own"
PROGRAM_AND_ARGUMENTS = "write the program and its arguments as a list of text"
ARGUMENTS = "write it as a list of arguments"
NO_SHELL = 'write it as a list; for a shell: ["sh", "-c", "exec ..."]'
PROGRAM_FIRST = "begin the list with the program: a path, or a name on PATH"
PORT_OR_COMMAND = "give it a port or a command"
PORT_OR_NO_CHECK = "give the service a port or a socket, or remove the check"
SECOND_TOGETHER = "make them 1 second together, at least"
STOP_STEPS = "write signals and waits, such as [{signal: TERM, wait: 30}, {signal: QUIT, wait: 10}]"
SHORTER_WAITS = "make the waits shorter"
LONGER_READY = "make ready_timeout longer than start.seconds"
ALERTS = "write a list, such as [{kind: webhook, url: https://example.com/alerts}]"
ALERT_KIND = "say how it is sent, such as kind: webhook"
ONE_URL = "give it one of the two: url or url_file"
HTTP_URL = "write a URL, such as https://example.com/alerts"
HTTPS = "begin it with https://, or leave the token out"
SECRET_ELSEWHERE = "write {secret:NAME}, where NAME is in secrets of a service, or name a file with the mode 0600"
MAIL = "say host, from and to"
MAIL_LOGIN = "write both, or none"
MAIL_TLS = "write starttls or tls"
MAIL_ADDRESS = "write an address, such as oncall@example.com"
SECRET_FILE = "name a file below the root, such as credentials/alerts"
TEXTFILE = "name a file where the node exporter looks, such as /var/lib/prometheus/node-exporter/rollcall.prom"
PROM = "let its name end in .prom"
CRITICAL_LATER = "make critical_after at least degraded_after"
SHARED_SECRETS = "share them by defaults.secrets, or let services read them from files"
GIVE_VARIABLE = "give it one in env or in secrets"
DEPENDS_ON = "write a list of services, or a mapping such as {database: healthy}"
ITS_NAME = "write its name"
HOST_OR_GROUP = "name a host or a group of the inventory; * and ? stand for other characters, ! before it leaves out"
HOSTS_OF_ONE = "say on which it may run: hosts: [GROUP]"
ONCE_IS_ONESHOT = "remove it, or make it a oneshot: kind: oneshot"
REVERSIBLE_OF_ONCE = "remove it, or write once: fleet"
REMOVE_SINGLETON = "remove it: a oneshot of once runs on one host anyway"
COMPLETED = "wait for its end: completed"
HEALTHY_OR_ONESHOT = "write healthy, or make it kind: oneshot"
RUNNING_OR_CHECK = "write running, or give it one of them"
DEPENDENCY = "name a service of this stack, or remove it"
DATABASE_SERVICE = "name the service that uses the database"
DATABASE_VARIABLE = "give it one in its env or its secrets, or name another variable"


def one_query(commands: t.Iterable[str]) -> str:
    """Return the advice for a query that is not one statement that reads."""
    return f"write one statement that begins with one of: {', '.join(commands).upper()}"


def answered_by(anyone: str) -> str:
    """Return the advice for a health check that names who answers; ``anyone`` is the word for whoever it is."""
    return f"name a service of this stack, or write {anyone}"


def secret_first(name: str) -> str:
    """Return the advice for a header that names a secret which its service does not have."""
    return f"give {name} its value in secrets, or name another one"


def url_of(variable: str, *, or_port: bool) -> str:
    """Return the advice for a database of which it is not said where it is."""
    return f"name the service whose variable {variable} has its URL{', or its port' if or_port else ''}"


# --- ports --------------------------------------------------------------------------------------------------------

PORT_FIRST = "give it a port, first"
LOWER_PORT = "choose a lower one, or fewer instances"
NOT_AVOIDED = "choose another port, or take it off ports.avoid"
SEVERAL = "write instances: 2 or more, or remove it"
NO_BROWSER = "choose another port if people are to see it"
GIVE_ANOTHER = "give one of them another"
PORT_NAME = "a name begins with a letter and has letters, digits and _ only, 32 at most"
NAMED_PORTS = "write it as {http: 8000, metrics: 9100}"
ONE_WAY = "keep either port or ports"
NAMED_PORT = "name the service: {port:NAME}"
_ESCAPE = "write \\{port} for the text itself"
OWN_PORT = f"give it a port, name another service: {{port:NAME}}, or {_ESCAPE}"
NAMED_SOCKET = "name the service: {socket:NAME}"
_ESCAPE_SOCKET = "write \\{socket} for the text itself"
OWN_SOCKET = f"give it a socket, name another service: {{socket:NAME}}, or {_ESCAPE_SOCKET}"
SHORTER_SOCKET = "choose a shorter path, such as run/web.sock"
PLAIN_SOCKET = "write the path as it is: only {instance} stands for something in it, of a service with instances"
SOCKET_BELOW = "put it below the root, or make sure that nobody else can write to its directory"
INSTANCE_IN_SOCKET = "write {instance} in it, such as run/web-{instance}.sock"


def off_a_list(other: str) -> str:
    """Return the advice for a port that is on the list ``also`` and on another one."""
    return f"take it off also or off {other}"


def from_port(first: int) -> str:
    """Return the advice for a port that root alone can bind."""
    return f"choose {first} or above"


def listed(port: int) -> str:
    """Return the advice for a port outside of the range."""
    return f"choose another port, or add {port} to stack.ports.also if it is meant"


def port_of(service: str) -> str:
    """Return the advice for a text that names the port of a service that has none."""
    return f"give {service} a port, or {_ESCAPE}"


def port_called(names: t.Iterable[str]) -> str:
    """Return the advice for a port by a name that its service does not have."""
    return f"name one of: {', '.join(names) or 'none has a name'}"


def instance(name: str) -> str:
    """Return the advice for a text that names the port of a service that runs as several instances."""
    return f"name one of them: {{port:{name}}}"


def service_with_port(names: t.Sequence[str]) -> str:
    """Return the advice for a text that names the port of no service."""
    return f"name one with a port ({', '.join(names) or 'none has one'}), or {_ESCAPE}"


def service_with_socket(names: t.Sequence[str]) -> str:
    """Return the advice for a text that names the socket of a service that has none, or of no service."""
    return f"name one with a socket ({', '.join(names) or 'none has one'}), or {_ESCAPE_SOCKET}"


def follows(way: str) -> str:
    """Return the advice for a port that is written as a number."""
    return f"write {way}, which follows"


IN_ENV = "write it in env instead of secrets"


def in_env(way: str) -> str:
    """Return the advice for a port that is written as a number in a secret."""
    return f"{IN_ENV}, with {way}, which follows"


# --- the older shape ----------------------------------------------------------------------------------------------

DEPRECATE = "move the entry to deprecated_services when it is not to be started"
RUN_MONITOR = "make each that is to run a service with a command"


def add(missing: str) -> str:
    """Return the advice to add a key."""
    return f"add {missing}"


# --- changes of a file --------------------------------------------------------------------------------------------

KEYS = "write it as a list, such as [services, web, port]"
RANGE_PLACES = "change these two places instead of ports.range"
SERVICE_FIRST = "write the service into the manifest first"
NO_ALIAS = "write the values themselves in the place of the alias or the merge key, then change them"
WITH_RUAMEL = (
    "in a playbook: set ansible_python_interpreter to a Python that has it, such as ROOT/engine/venv/bin/python of a "
    "stack, or {{ ansible_playbook_python }} on the controller"
)


def name_one(known: t.Iterable[str]) -> str:
    """Return the advice for a service that is not there."""
    return f"name one of: {', '.join(known)}"


def whole_value(place: str) -> str:
    """Return the advice for a change below something that has no keys."""
    return f"give the whole value of {place}"


def install_ruamel(python: str) -> str:
    """Return the command that gives a Python what changes YAML."""
    return f"{python} -m pip install ruamel.yaml"


# --- files of other tools -----------------------------------------------------------------------------------------

SUPERVISORD_CONF = "is this a supervisord.conf?"
ECOSYSTEM = "is this an ecosystem file of PM2?"
PRINT_AS_JSON = (
    """print it where it runs: node -p 'JSON.stringify(require("./ecosystem.config.js"))' > ecosystem.json"""
)
PORT_MANIFEST = "is this a port manifest?"
PROCFILE = "is this a Procfile?"
CORRECT_OR_REMOVE = "correct or remove it"
CORRECT_LIST = "correct the list"
NO_BYTE_ORDER_MARK = "save it in UTF-8 without a byte order mark; supervisord refuses it, too"
INCLUDE_ROOT = "give the directory that is / of the original's host: --include-root DIR"
FILES_OR_NO_SECTION = "add files, or remove the section"
FILE_NOT_TEXT = "import the file, not its text alone"
NO_PERCENT = "correct it; a plain % is written %%"
PLAIN_PERCENT = "write a plain % as %%"
PROCESS_NUMBER = "add it to process_name"
FEWER_PROCESSES = "import it with fewer, and write instances"
BOTH_GROUPS = "turn killasgroup on, or stopasgroup off; supervisord refuses it, too"
ADD_COMMAND = "add one; supervisord refuses it, too"
AN_APP = "write an app with a script"
A_SCRIPT = "name the script, or the program"
NAME_INTERPRETER = "name one"
WRITE_TEXT = "write text"
WRITE_LIST = "write a list of text"
WRITE_WHOLE = "write a whole number"
WRITE_TIME = "write milliseconds, or a number with h, m or s"
PORT_VARIABLES = "name each X_PORT, such as WEB_SERVER_PORT"
OTHER_FILE = "import another file"


def export(variables: t.Iterable[str]) -> str:
    """Return the advice for variables that the import does not have."""
    given = " ".join(f"{variable}=..." for variable in variables)
    return f"set it where the import runs: {given} rollcall manifest import ..."


def supervisord_wants(what: str) -> str:
    """Return the advice for a value that supervisord would refuse."""
    return f"write {what}; supervisord refuses it, too"


def kind(kinds: t.Iterable[str]) -> str:
    """Return the advice for a kind of file that is not known."""
    return f"use one of: {', '.join(kinds)}"


def say_kind(kinds: t.Iterable[str]) -> str:
    """Return the advice for a file whose kind cannot be seen."""
    return f"say what it is by --from, one of: {', '.join(kinds)}"


def run_script(command: str) -> str:
    """Return the advice for an ecosystem file that is a program."""
    return f"{command} > ecosystem.json, and import that"
