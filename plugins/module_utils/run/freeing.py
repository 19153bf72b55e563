# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Frees the ports of a plan, or says what would be ended on them."""

from __future__ import annotations

import shlex
import typing as t

from ..base.text import LONGEST, one_line
from ..host.ending import Ended
from ..ports.flush import flush
from ..ports.needs import all_needs
from .plan import KEEP, PlannedAction
from .prepare import PreparedRun


def flush_ports(
    run: PreparedRun, ports: t.Optional[t.Sequence[int]] = None, *, dry_run: bool
) -> t.Tuple[t.Sequence[Ended], t.List[PlannedAction]]:
    """Free the ports of a plan.

    Args:
        run: the run.
        ports: those to free; None for all of the plan.
        dry_run: whether nothing is ended; then nothing is told where supervisord goes first, and its services with it.

    Returns:
        How each process was ended that listened there, and the same as actions.
    """
    if not run.plan.flush or (dry_run and run.plan.supervisord != KEEP):
        return [], []
    done = flush(
        run.stack,
        run.plan.flush if ports is None else ports,
        policy=run.request.policy,
        grace=run.request.grace,
        kill_grace=run.request.kill_grace,
        dry_run=dry_run,
        force=run.request.force,
        needed=all_needs(run.stack, run.before.holders),
        clock=run.clock,
    )
    held = {holder.process.identity: holder.listener.port for holder in done.holders if holder.process is not None}
    actions = [
        PlannedAction(
            "end",
            f"pid {entry.pid} '{one_line(shlex.join(entry.command), LONGEST)}' of user {entry.user}",
            f"it holds port {held.get((entry.pid, entry.start), 'of this stack')}",
        )
        for entry in done.ended
    ]
    return done.ended, actions
