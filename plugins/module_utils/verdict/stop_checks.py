# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The checks of a stop: of what was to be stopped no process and no listener is left. Pure."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..manifest.model import Service, Stack
from ..ports.provenance import FOREIGN, UNKNOWN
from . import install_steps
from .checks import ORPHANS, all_services, kill_command, the_stack
from .judge import Case, CheckKind, Proof


def _stopped(case: Case, _stack: Stack) -> Proof:
    pids = [process.pid for process in case.seen.supervisords]
    if not pids:
        return Proof("none runs", data={"pids": pids})
    listed = " ".join(map(str, pids))
    return Proof(f"still alive: pid {listed}", "alive", cures.kill(*pids), {"pids": pids})


def _down(case: Case, service: Service) -> Proof:
    """A service that was stopped by name has no process; supervisord, which runs on, says so."""
    program = case.seen.programs.get(service.name)
    if case.seen.supervisord is None and case.seen.supervisords:
        pids = [process.pid for process in case.seen.supervisords]
        return Proof("supervisord lives and does not answer", "unseen", cures.DOCTOR, {"pids": pids})
    if program is None or not program.pid:
        return Proof("it has no process")
    return Proof(f"still {program.state} as pid {program.pid}", "alive", cures.EMERGENCY, {"pids": [program.pid]})


def _left_listener(case: Case, service: Service) -> t.Optional[Proof]:
    """After a stop nothing of the stack may listen on its ports; a foreign process may, with a socket of its own."""
    for holder in (holder for port in service.all_ports.values() for holder in case.seen.holders.get(port, ())):
        shared = holder.provenance == FOREIGN and holder.listener.inode in case.expected.sockets
        if holder.provenance == FOREIGN and not shared:
            continue
        evidence = f"port {holder.listener.port} is still taken by {holder.summary}"
        if shared:
            evidence += f": it holds the socket on which {service.name} listened, and nothing proves that it is its"
        remedy = kill_command(holder) if shared or holder.provenance == UNKNOWN else cures.EMERGENCY
        return Proof(evidence, "taken", remedy)
    return None


# The verdict of a stop: nothing of the stack is left.
STOP_CHECKS: t.Sequence[CheckKind] = (
    CheckKind(
        "stopped",
        0,
        install_steps.VERDICT,
        "no supervisord runs over the stack any more",
        {"alive": "one does"},
        the_stack,
        _stopped,
    ),
    ORPHANS,
    CheckKind(
        "port",
        0,
        install_steps.VERDICT,
        "nothing of the stack listens on its ports any more",
        {"taken": "something does"},
        all_services,
        _left_listener,
    ),
)

_PORT = STOP_CHECKS[-1]

# The verdict of a stop by name: nothing of these services is left.
STOP_BY_NAME_CHECKS: t.Sequence[CheckKind] = (
    CheckKind(
        "stopped",
        0,
        install_steps.VERDICT,
        "the service has no process any more",
        {"alive": "it has one", "unseen": "supervisord does not answer, so nobody knows"},
        all_services,
        _down,
    ),
    ORPHANS,
    _PORT,
)
