# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack's own ``rollcall``, called without input and with a timeout."""

from __future__ import annotations

import json
import os
import subprocess
import time
import typing as t

from tests.support.documents import parsed

if t.TYPE_CHECKING:
    from tests.support.stacks import StackUnderTest

# Seconds that any command may take.
# A command takes less than a second; on a busy machine a dozen times as long.
BOUND = 120.0


class Said(t.NamedTuple):
    """How a command ended: its exit code, its output, and the seconds that it took."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def data(self) -> t.Dict[str, t.Any]:
        """What it printed with ``--json``."""
        return dict(json.loads(self.out))

    @property
    def message(self) -> str:
        """The sentence of the error that it ended with."""
        return str(self.data["error"]["message"])

    @property
    def remedies(self) -> t.List[str]:
        """What it says to do next."""
        return list(self.data["error"]["remedies"])


def rollcall(
    made: StackUnderTest, *arguments: str, bound: float = BOUND, env: t.Optional[t.Mapping[str, str]] = None
) -> Said:
    """Run the stack's own command. A document that it prints is validated by the schema.

    Its standard input stays open and silent: a question would wait beyond the bound.

    Args:
        made: the stack.
        arguments: of the command.
        bound: seconds it may take.
        env: its whole environment; None for the test's own.
    """
    silent, held = os.pipe()
    began = time.monotonic()
    try:
        done = subprocess.run(
            [made.command, *arguments],
            stdin=silent,
            capture_output=True,
            text=True,
            check=False,
            timeout=bound,
            start_new_session=True,
            env=None if env is None else dict(env),
        )
    finally:
        os.close(silent)
        os.close(held)
    if "--json" in arguments and done.stdout:
        parsed(done.stdout, arguments)
    return Said(done.returncode, done.stdout, done.stderr, time.monotonic() - began)
