# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What is asked of a run, as it goes from a module or the command to the worker, and who asks."""

from __future__ import annotations

import os
import pwd
import typing as t
from dataclasses import dataclass

from ..manifest.model import Paths
from ..state.generations import Generation
from .modes import Mode


@dataclass(frozen=True)
class Request:
    """What is asked of a run.

    Attributes:
        root: the stack's root.
        mode: what is done.
        who: who asks, for the lock and the journal.
        paths: where the stack's files are.
        wanted: the generation to bring about; None means the one installed.
        policy: what may be ended on the stack's ports: owned, refuse or any.
        grace: seconds between TERM and KILL for what is ended outside supervisord.
        kill_grace: seconds to wait after KILL.
        on_failure: ``rollback``: when a new generation does not hold, the last verified one is restored; ``leave``: it
            stays as it is.
        generation: for the mode rollback: the generation to go back to; empty for the last verified one before this.
        automatic: whether no person asks but a program does: then the stack's restart budget counts.
    """

    root: str
    mode: Mode
    who: str
    paths: Paths
    wanted: t.Optional[Generation] = None
    policy: str = "owned"
    grace: float = 5.0
    kill_grace: float = 2.0
    on_failure: str = "leave"
    generation: str = ""
    automatic: bool = False


def who() -> str:
    """Return who calls, for the lock and the journal: the login behind sudo, and where it came from."""
    name = os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    address = os.environ.get("SSH_CONNECTION", "").split(" ")[0]
    return f"{name} from {address}" if address else name
