# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What supervisord runs, compared with what the installed config says: somebody may have edited that and told it.

supervisord tells the config that it read last (``getAllConfigInfo``), without environments, umask and autorestart. The
processes have the environments that they were started with. Of all keys supervisord says, when it reads the config
again, which programs it runs otherwise (``reloadConfig``): it acts on that only when it is told to.
"""

from __future__ import annotations

import shlex
import signal
import typing as t

from ..base.errors import RollcallError
from ..host import processes
from ..host.labels import LABEL_REVISION
from ..manifest.model import Stack
from . import client_errors
from .client import Client, ProgramState
from .config import Program, programs

# Keys that supervisord tells as the config has them. Older versions tell fewer.
_ALIKE = (
    "directory",
    "autostart",
    "startsecs",
    "startretries",
    "stopwaitsecs",
    "killasgroup",
    "redirect_stderr",
    "stdout_logfile",
    "stdout_logfile_maxbytes",
    "stdout_logfile_backups",
)


def altered_programs(
    stack: Stack, client: Client, seen: t.Mapping[str, ProgramState], *, edited: bool
) -> t.Dict[str, str]:
    """Return by program why it is not as the installed manifest has it; nothing when all are.

    Args:
        stack: the installed manifest.
        client: of the supervisord.
        seen: the programs that it has.
        edited: whether the installed config was edited since: then supervisord is not made to read it.

    Raises:
        RollcallError: supervisord does not answer.
    """
    wanted = {program.name: program for program in programs(stack)}
    rows = client.config_rows()
    found = {name: "supervisord has it, and the installed manifest has not" for name in seen if name not in wanted}
    for name, program in wanted.items():
        keys = [*_different_keys(program, rows.get(name, {})), *_different_variables(program, seen.get(name))]
        if keys:
            found[name] = f"supervisord runs it with another {', '.join(keys)} than the installed config says"
    if not edited:
        unnamed = "supervisord runs it otherwise than the installed config says, such as with other variables"
        found.update((name, unnamed) for name in _changed(client) if name in wanted and name not in found)
    return found


def _changed(client: Client) -> t.List[str]:
    """Return the programs that supervisord runs otherwise than the config says that it reads now."""
    try:
        return client.reload()[1]
    except RollcallError as exc:
        if exc.evidence.get("problem") == client_errors.FAULT:
            # It does not take the config: a directory is missing, which is a finding of its own.
            return []
        raise


def _different_keys(program: Program, row: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Return the keys that supervisord has read otherwise; what it does not tell is not compared."""
    if "command" in row and _words(str(row["command"])) != program.command:
        yield "command"
    if "stopsignal" in row and row["stopsignal"] != getattr(signal, f"SIG{program.stopsignal}"):
        yield "stopsignal"
    if "exitcodes" in row and tuple(row["exitcodes"]) != program.exitcodes:
        yield "exitcodes"
    yield from (key for key in _ALIKE if key in row and row[key] != getattr(program, key))


def _words(command: str) -> t.Tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError:
        # No program can be started by it.
        return ()


def _different_variables(program: Program, seen: t.Optional[ProgramState]) -> t.Iterator[str]:
    """Return the variables with which a process was started otherwise; one that has overwritten them tells nothing."""
    has = processes.reader.environment(seen.pid, "") if seen is not None and seen.pid else {}
    revision = program.environment.get(LABEL_REVISION)
    if has.get(LABEL_REVISION, revision) != revision:
        yield LABEL_REVISION
    elif LABEL_REVISION in has:
        yield from (name for name, value in program.environment.items() if has.get(name, value) != value)
