# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What is asked of a run, and who asks."""

from __future__ import annotations

import os
import shlex
import typing as t

from ..base import cures
from ..host.accounts import user_name
from ..manifest.model import Paths
from ..ports.flush import GRACE, KILL_GRACE
from ..ports.policies import OWNED
from ..state.generations import Generation
from .modes import Mode


class Request(t.NamedTuple):
    """What is asked of a run.

    Attributes:
        root: the stack's root.
        mode: what is done.
        who: who asks, for the lock and the record.
        paths: where the stack's files are.
        wanted: the generation to bring about; None for the current one.
        policy: what may be ended on the ports of the stack; one of POLICIES.
        grace: seconds from TERM to KILL for what is not ended by supervisord.
        kill_grace: seconds to wait after KILL.
        on_failure: what becomes of a new generation that fails: ``rollback`` restores the last verified one, ``leave``
            leaves it in place.
        generation: for the mode rollback, the id of the generation to go back to; empty for the last verified one
            before the current one.
        automatic: whether a program asks and not a person: then the run counts against the restart budget.
        moved: by service the port that it had before, and why it has another one now.
        standing: commands that have changed what no way back takes back, such as a migration.
        boot: what is to start the stack after a boot, once it is verified; empty when nobody has said that.
        by: the command with which a manifest is applied to this host; empty when nobody has said that.
        home: the command that brings services which have moved back to their own ports.
        soak: how many seconds each service must have lived before the verdict.
        services: which services it is about, as `manifest.selection` takes them; empty for all.
        dependents: whether it is also about what depends on these.
        delivered: in check mode the files that are not written before it, and will be before a real run.
        start_stopped: whether what somebody has stopped by name is started as well.
        watcher: whether a watcher asks: it is refused when somebody has stopped one of ``services`` or the stack, and
            other runs wait for it.
    """

    root: str
    mode: Mode
    who: str
    paths: Paths
    wanted: t.Optional[Generation] = None
    policy: str = OWNED
    grace: float = GRACE
    kill_grace: float = KILL_GRACE
    on_failure: str = "leave"
    generation: str = ""
    automatic: bool = False
    moved: t.Mapping[str, t.Tuple[int, str]] = {}
    standing: t.Tuple[str, ...] = ()
    boot: str = ""
    by: str = ""
    home: str = cures.GO_HOME
    soak: float = 0.0
    services: t.Tuple[str, ...] = ()
    dependents: bool = True
    delivered: t.Tuple[str, ...] = ()
    start_stopped: bool = False
    watcher: bool = False

    @property
    def force(self) -> str:
        """The command that does the same, and ends what is not ours on the ports as well."""
        verb = [self.mode.verb]
        if self.mode.verb == "restart":
            if self.wanted is not None:
                return f"{cures.FORCE_INSTALL} -e start_stopped=true" if self.start_stopped else cures.FORCE_INSTALL
            verb.append(self.mode.name)
        only = [] if self.dependents else ["--no-dependents"]
        return cures.force(shlex.join([*verb, *self.services, *only]))


def who() -> str:
    """Return the login of the person who asks, also behind sudo, and the address that they came from."""
    name = os.environ.get("SUDO_USER") or user_name(os.getuid())
    address = os.environ.get("SSH_CONNECTION", "").split(" ")[0]
    return f"{name} from {address}" if address else name
