# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Run a program of the application for a service, such as one that asks its health: exit code 0 is well."""

from __future__ import annotations

import typing as t

from ..base.clock import Deadline
from ..base.errors import RollcallError
from ..base.masking import masked
from ..base.text import one_line
from ..host.kept import Kept, run_kept
from ..manifest.model import Service, Stack
from ..supervisord.launch import launch
from .answers import NoAnswer
from .secrets import secrets_of

# Bytes of what it prints that are looked at, lines that are shown, and characters of them.
MOST_SAID = 16_384
_LINES = 3
_SHOWN = 200


def run_program(stack: Stack, service: Service, command: t.Sequence[str], deadline: Deadline) -> str:
    """Return how a program has ended that is run for a service, when that was well.

    It is started with the rights, limits and variables of the service, and what it prints is shown without the secrets.

    Raises:
        NoAnswer: it has ended otherwise, was not over in time, or could not be started.
    """
    secrets = secrets_of(stack, service)
    try:
        prepared = launch(stack, service, command)
    except RollcallError as exc:
        raise NoAnswer(exc.message) from exc
    done = run_kept(
        prepared.argv,
        prepared.rights.who,
        directory=prepared.directory,
        environment=prepared.environment,
        umask=prepared.rights.umask,
        deadline=deadline,
        most=MOST_SAID,
    )
    if done.exit_code == 0:
        return "exit code 0"
    said = _said(done, secrets)
    raise NoAnswer(f"{_how(done)}{f': {said}' if said else ''}")


def _how(done: Kept) -> str:
    if done.exit_code is None:
        return done.problem
    return f"ended by signal {-done.exit_code}" if done.exit_code < 0 else f"exit code {done.exit_code}"


def _said(done: Kept, secrets: t.Mapping[str, str]) -> str:
    """Return the end of what it printed in quotes."""
    text = done.output.decode("utf-8", "replace")
    # What was cut off may have taken half of a secret with it; the ellipsis has the other half looked for.
    text = masked(f"…{text}" if done.cut else text, list(secrets.values()))
    lines = [line for line in text.splitlines() if line.strip()]
    last = " / ".join(one_line(line, _SHOWN) for line in lines[-_LINES:])
    return f'"{one_line(last, _SHOWN)}"' if last else ""
