# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verb ``exec``: a command of the application with the user, directory, variables and secrets of a service.

It becomes the command: terminal, input, output, signals and exit code are the command's own. Only where the command is
another user's it gets a terminal of its own below this one. There is no lock, and no trace in the history, where the
command's arguments would be kept.
"""

from __future__ import annotations

import argparse
import os
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..state.generations import load_stack
from .console import Verb, option, paths_of

if t.TYPE_CHECKING:
    from ..manifest.model import Service, Stack

# What the command has of whoever calls it: how the terminal is to be written to.
PASSED = ("TERM", "COLORTERM")


def _exec(options: argparse.Namespace) -> int:
    from ..host import terminal
    from ..host.becoming import become
    from ..supervisord.launch import launch

    stack = load_stack(paths_of(options.root))
    service = _service(stack, options)
    passed = {name: os.environ[name] for name in PASSED if name in os.environ}
    started = launch(stack, service, options.command, passed)
    who = started.rights.who

    def execute() -> t.NoReturn:
        try:
            become(*started)
        except OSError as exc:
            why = f"{exc.filename}: {exc.strerror}" if exc.filename else exc.strerror
            raise RollcallError(
                f"Nothing can be run as user {who.name}, with what service {service.name} has: {why}.",
                remedies=[cures.DOCTOR, cures.INSTALL],
            ) from exc

    # Another user's program must not have the terminal of this one.
    if not who.other or not terminal.has_terminal():
        execute()
    return terminal.on_own_terminal(execute, who.uid)


def _service(stack: Stack, options: argparse.Namespace) -> Service:
    """Return the service or timer whose variables the command gets: the one that is named, or the only service.

    Raises:
        RollcallError: ``wrong_use``: there is no command, no such service, or there are several.
    """
    from ..manifest.selection import selected

    if not options.command:
        name, *command = options.names or ["SERVICE"]
        raise RollcallError(
            "exec takes the command after two dashes.",
            kind="wrong_use",
            remedies=[cures.execute(name, *(command or ["COMMAND"]))],
        )
    timer = next((timer for timer in stack.timers if options.names == [timer.name]), None)
    if timer is not None:
        return timer
    names = selected(stack, options.names) if options.names else [service.name for service in stack.services]
    written = {stack.service(name).group or name for name in names}
    if len(written) != 1:
        listed = ", ".join(sorted(written)) or "none"
        raise RollcallError(
            f"exec takes the name of one service, whose variables the command gets. Stack {stack.name} has: {listed}.",
            kind="wrong_use",
            evidence={"services": sorted(written)},
            remedies=[cures.execute(name, *options.command) for name in sorted(written)[:1]],
        )
    return stack.service(names[0])


VERBS: t.Mapping[str, Verb] = {
    "exec": Verb(
        "run a command with the user, directory, variables and secrets of a service: exec SERVICE -- COMMAND",
        _exec,
        (
            option(
                "names",
                metavar="SERVICE",
                nargs="*",
                help="whose, also of a timer; of one with several instances, the first; may be left out when there is "
                "only one. "
                "The command follows after --",
            ),
        ),
    )
}
