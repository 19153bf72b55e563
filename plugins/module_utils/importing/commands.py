# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a command or a variable of another tool says besides: ports, secrets, workers, signs for a shell. Pure."""

from __future__ import annotations

import re
import shlex
import typing as t


def words(text: str) -> t.FrozenSet[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


SECRET_NAME = re.compile(
    r"PASSW(OR)?D|PASSPHRASE|TOKEN|SECRET|CREDENTIAL|(^|_|API)KEYS?($|_)|(^|_)PASS($|_)|_PWD$", re.IGNORECASE
)
SECRET_VALUE = re.compile(r"://[^/\s:@]*:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY-----")
SECRET_ARGUMENT = re.compile(r"--?[A-Za-z-]*(passw(or)?d|token|secret|api-?key)(=|\Z)", re.IGNORECASE)

# Programs that start workers of their own, and know how to end them in their own time.
_POOL = re.compile(r"(?:.*/)?(celery|gunicorn|uwsgi|uvicorn|sidekiq|puma|php-fpm)[0-9.]*\Z")
# Words at the beginning of a command among which its program is: ``bundle exec puma``, ``python -m celery``.
_PROGRAM_WORDS = 6

# A longer script is a program, and no command line that names a port. To take it to pieces would take seconds.
_LONGEST_SCRIPT = 4096
_SHELLS = frozenset(["sh", "bash", "dash", "ash", "zsh", "ksh"])
# Programs whose options of these names mean something else, or the port of another host.
_NO_SERVERS = words(
    "mkdir cp mv rm install tar ssh scp rsync sftp autossh curl wget nc psql mysql mysqldump redis-cli mongo mongosh "
    "pg_dump docker podman kubectl stunnel socat sleep echo test"
)
_LISTENS = re.compile(
    r"--?(?:(?:http|https|server|web|app|admin|api|metrics|listen)[._-]?)?"
    r"(?:port|bind|listen|listen-address|address|addr|http|https|http-socket|https-socket)\Z|-[pbl]\Z|--inet\Z",
    re.IGNORECASE,
)
_SHORT_PORT = re.compile(r"-p([0-9]{2,5})\Z")
_OF_JAVA = re.compile(r"-D(?:[A-Za-z0-9_-]+\.)*(?:server\.|http\.|https\.|listen\.)?port=([0-9]{2,5})\Z")
_AT_THE_END = re.compile(r"(?:\A|:)([0-9]{2,5})/?\Z")
_HERE = r"(?:0\.0\.0\.0|127\.[0-9.]{5,11}|localhost|\*|\+|\[::1?\]|)"
_LOCAL = re.compile(rf"(?:(?:tcp|http|https)://)?{_HERE}:([0-9]{{2,5}})/?\Z")
# Options of servers that name a unix socket, those of one letter with their value behind them or in the next word.
_SOCKET_OPTIONS: t.Mapping[str, t.Tuple[str, ...]] = {
    "gunicorn": ("-b", "--bind"),
    "hypercorn": ("-b", "--bind"),
    "uvicorn": ("--uds",),
    "daphne": ("-u", "--unix-socket"),
}
_LAST_WORD = frozenset(["runserver", "http.server", "SimpleHTTPServer"])

_EVERYWHERE = re.compile(r"[a-z]+://(?:0\.0\.0\.0|\*|\+|\[::\]):([0-9]{2,5})(?:[/;,]|\Z)")
_LISTENING_VARIABLE = re.compile(r"(^|_)(LISTEN|BIND|URLS)($|_)|(LISTEN|BIND|HTTPS?)_?ADDR(ESS)?$")
_PORT_VARIABLE = re.compile(r"(^|_)(SERVER|HTTPS?|WEB|APP|LISTEN|BIND|API|RUN)_?PORT$")

_SIGN = re.compile(r"(&&?|\|\|?|;|<<?)\Z|([0-9]?>>?(?:&[0-9-])?)(?:[^>=].*)?\Z")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_SUBSTITUTION = re.compile(r"\$\([^)]|`[^`]")


def pool_of(argv: t.Sequence[str]) -> t.Optional[str]:
    """Return the name of the known program in a command that starts workers of its own; None when it has none."""
    parts = " ".join(map(str, argv)).split()
    pool = next((found.group(1) for found in map(_POOL.match, parts[:_PROGRAM_WORDS]) if found), None)
    if (pool == "uvicorn" and not any(part.startswith("--workers") for part in parts)) or (
        pool == "celery" and "worker" not in parts
    ):
        return None
    return pool


def _base(program: str) -> str:
    return program.rpartition("/")[2]


def script_of(argv: t.Sequence[str]) -> t.Optional[str]:
    """Return the script that a command gives to a shell by ``-c``; None when it gives none."""
    if len(argv) > 2 and _base(argv[0]) in _SHELLS:
        for option, following in zip(argv[1:], argv[2:]):
            if not option.startswith("-"):
                break
            if re.fullmatch(r"-[a-z]*c", option):
                return following
    return None


def port_in(argv: t.Sequence[str]) -> t.Optional[t.Tuple[str, int]]:
    """Return the argument of a command that looks like the port it listens on, and that port; None when none does."""
    script = script_of(argv)
    if script is not None:
        if len(script) > _LONGEST_SCRIPT:
            return None
        try:
            argv = shlex.split(script)
        except ValueError:
            return None
    program = next((_base(each) for each in argv if each not in ("exec", "env", "sudo", "nice", "nohup")), "")
    if program in _NO_SERVERS:
        return None
    before = ""
    for argument, following in zip(argv, [*argv[1:], ""]):
        found = _port_of_argument(argument, following, before)
        if found is not None and 0 < found[1] <= 65535:
            return found
        before = argument
    return None


def socket_in(argv: t.Sequence[str]) -> str:
    """Return the path of the unix socket that a command names literally and listens on; empty when it names none.

    Known are gunicorn and hypercorn (``--bind unix:/path``), uvicorn (``--uds``) and daphne (``-u``), also behind a
    ``python -m`` and in a script for a shell.
    """
    script = script_of(argv)
    if script is not None and len(script) <= _LONGEST_SCRIPT:
        try:
            argv = shlex.split(script)
        except ValueError:
            return ""
    at = next((number for number, each in enumerate(argv[:_PROGRAM_WORDS]) if _base(each) in _SOCKET_OPTIONS), None)
    if at is None:
        return ""
    options, rest = _SOCKET_OPTIONS[_base(argv[at])], list(argv[at + 1 :])
    for argument, following in zip(rest, [*rest[1:], ""]):
        name, equals, value = argument.partition("=")
        short = next((one for one in options if len(one) == 2 and argument.startswith(one) and argument != one), None)
        if name in options:
            given = value if equals else following
        elif short is not None:
            given = argument[2:]
        else:
            continue
        path = re.sub(r"\Aunix:(?://)?", "", given)
        # Of options that take addresses as well only a path is meant.
        if path.startswith("/") and (path != given or "--bind" not in options) and not re.search(r"[$`{}]", path):
            return path
    return ""


def _port_of_argument(argument: str, following: str, before: str) -> t.Optional[t.Tuple[str, int]]:
    name, equals, value = argument.partition("=")
    if equals and re.fullmatch("PORT", name) and value.isdigit() and len(value) <= 5:
        return name, int(value)
    if _LISTENS.match(name):
        found = _AT_THE_END.search(value if equals else following)
        return (name, int(found.group(1))) if found else None
    for pattern in (_SHORT_PORT, _OF_JAVA):
        found = pattern.match(argument)
        if found:
            return (name if equals else argument), int(found.group(1))
    if before in _LAST_WORD and re.fullmatch("[0-9]{2,5}", argument):
        return argument, int(argument)
    found = _LOCAL.match(argument)
    # After any other option it may be the address of another service.
    if found and (before == "-S" or not before.startswith("-")):
        return argument, int(found.group(1))
    return None


def port_of_variable(name: str, value: str) -> t.Optional[int]:
    """Return the port that a variable seems to tell its program to listen on; None when it tells none."""
    everywhere = _EVERYWHERE.search(value)
    if everywhere:
        return int(everywhere.group(1))
    if _PORT_VARIABLE.search(name) and re.fullmatch("[0-9]{2,5}", value):
        return int(value)
    if _LISTENING_VARIABLE.search(name):
        found = _AT_THE_END.search(value)
        return int(found.group(1)) if found else None
    return None


def shell_signs(argv: t.Sequence[str]) -> t.List[str]:
    """Return what means something to a shell in the arguments of a command, which no shell reads.

    The rest of an argument is not told: it may be a secret.
    """
    if script_of(argv) is not None:
        return []
    found: t.Dict[str, None] = {}
    for argument in argv[1:]:
        sign, variable = _SIGN.match(argument), _VARIABLE.search(argument)
        if sign:
            found[sign.group(1) or sign.group(2)] = None
        elif variable:
            found[f"${variable.group(1)}"] = None
        elif _SUBSTITUTION.search(argument):
            found["$(...)"] = None
    return list(found)
