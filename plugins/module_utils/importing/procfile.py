# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Services out of a Procfile, as of foreman, Heroku or honcho."""

from __future__ import annotations

import re
import shlex
import typing as t

from ..manifest import corrections
from ..manifest.values import QUOTED
from .commands import words
from .draft import Draft

PROCESS = re.compile(r"([A-Za-z0-9_-]+):\s*(\S.*)")

# What a shell acts on outside of quotes, and within double quotes.
_SHELL = re.compile(r"[|&;<>()$`*?\[\]{}~#!]")
_EXPANSION = re.compile(r"(?<!\\)[$`]")
# What separates two commands; the & of 2>&1 does not.
_CONTROL = re.compile(r"[|;()`]|(?<![<>])&(?!>)")
_BUILT_IN = words(
    ". : source cd exec eval export set unset ulimit umask trap if while until for case time test [ { ! wait"
)
_SETS_A_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_THE_PORT = re.compile(r"\$(PORT\b|\{PORT\b)")
# The port that foreman gives to the first process, and the step to the next one.
_FOREMAN_PORT, _FOREMAN_STEP = 5000, 100


def add(draft: Draft, text: str) -> None:
    first_lines: t.Dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        entry = PROCESS.fullmatch(line.rstrip())
        if entry is None:
            if line.strip() and not line.startswith("#"):
                draft.lost(f"line {number}", "is not name: command, so it is not read", "correct it if it is meant")
            continue
        name, command = entry.groups()
        place = f"{name} (line {number})"
        if name in first_lines:
            draft.problem(place, f"is there twice: first in line {first_lines[name]}", corrections.REMOVE_ONE)
            continue
        if _THE_PORT.search(command):
            port = _FOREMAN_PORT + _FOREMAN_STEP * len(first_lines)
            draft.lost(
                place,
                f"wants PORT, and has no port yet; foreman would have given it {port}",
                "give the service a port, and PORT is there",
            )
        first_lines[name] = number
        draft.add(name, _process(draft, name, command, place), place=place)
    if first_lines:
        draft.advice(
            "the Procfile", "a .env beside it and the caller's environment were not read", "add them to defaults.env"
        )
    else:
        draft.problem("the Procfile", "has no line name: command", corrections.PROCFILE)


def _process(draft: Draft, name: str, command: str, place: str) -> t.Dict[str, t.Any]:
    variables, rest = _variables(command)
    argv = _without_shell(draft, rest, place)
    if argv is None:
        variables = {}
    entry: t.Dict[str, t.Any] = {"command": argv, **draft.variables(variables, place)}
    draft.port_variables(variables, place, port=entry.get("port"))
    if argv is None:
        entry["command"] = ["sh", "-c", _with_exec(command)]
        draft.changed(
            place, "is run by a shell, as it has what only a shell understands", "write a list if it need not"
        )
    draft.command(entry["command"], place, port=entry.get("port"))
    if name == "release":
        entry["kind"] = "oneshot"
        draft.changed(
            place,
            "is a oneshot, as release runs once, before the others",
            "write depends_on: {release: completed} for those that wait for it",
        )
    return entry


def _variables(command: str) -> t.Tuple[t.Dict[str, str], str]:
    """Return the variables at the beginning of a command, as in ``PORT=3000 puma``, and the rest of it.

    There are none where only a shell knows their values, or nothing follows them.
    """
    found: t.Dict[str, str] = {}
    rest = command.strip()
    while True:
        bare = _bare(rest)
        word = bare.split(maxsplit=1)[0] if bare.strip() else ""
        if not _SETS_A_VARIABLE.match(word):
            return (found, rest) if rest else ({}, command)
        written, rest = rest[: len(word)], rest[len(word) :].lstrip()
        in_double_quotes = [quoted for quoted in QUOTED.findall(written) if quoted.startswith('"')]
        if _SHELL.search(word) or any(_EXPANSION.search(quoted) for quoted in in_double_quotes):
            return {}, command
        try:
            (value,) = shlex.split(written)
        except ValueError:
            return {}, command
        name, _equals, text = value.partition("=")
        found[name] = text


def _bare(command: str) -> str:
    """Return a command with ``_`` in the place of everything quoted; its length stays."""
    return QUOTED.sub(lambda quoted: "_" * len(quoted.group()), command)


def _without_shell(draft: Draft, command: str, place: str) -> t.Optional[t.List[str]]:
    """Return the arguments of a command that means the same without a shell; None when it does not."""
    in_double_quotes = [quoted for quoted in QUOTED.findall(command) if quoted.startswith('"')]
    if _SHELL.search(_bare(command)) or any(_EXPANSION.search(quoted) for quoted in in_double_quotes):
        return None
    try:
        argv = draft.split(command, place)
    except ValueError:
        return None
    return None if not argv or argv[0] in _BUILT_IN or _SETS_A_VARIABLE.match(argv[0]) else argv


def _with_exec(command: str) -> str:
    """Return a command for a shell that is replaced by its last program, where that is certain.

    ``exec`` stands before one plain command, also the last one after ``&&``. With anything else the shell stays, and
    the signal reaches its whole group all the same.
    """
    bare = _bare(command)
    start = bare.rfind("&&") + 2 if "&&" in bare else 0
    words = bare[start:].split()
    program = next((word for word in words if not _SETS_A_VARIABLE.match(word)), None)
    if _CONTROL.search(bare.replace("&&", "")) or program is None or program in _BUILT_IN:
        return command
    how = "exec" if program is words[0] else "exec env"
    return f"{command[:start]} {how} {command[start:].strip()}".strip()
