# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The doctor: looks over a stack and its host, and with ``fix`` repairs what is safe."""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..host.apart import ANSWER
from ..host.mounts import mounts, served
from ..manifest.model import Paths, Stack
from ..run import preflight
from ..state.directories import PRIVATE
from ..state.generations import load_stack
from ..state.lock import locked
from ..supervisord.client import CALL_TIMEOUT
from ..supervisord.discovery import discovery_seconds
from ..supervisord.running import all_supervisords
from ..verdict import limits
from . import repairs
from .diagnosis import KINDS, diagnose, passed, settled
from .facts import HostFacts
from .findings import Finding
from .look import PORTS_PATIENCE, look

if t.TYPE_CHECKING:
    from ..base.command_documents import DoctorDocument


def doctor(
    root: str, *, fix: bool = False, dry_run: bool = False, who: str = "", clock: Clock = SYSTEM
) -> DoctorDocument:
    """Look everything over and return the findings; with ``fix`` put right what is safe.

    Safe is what ends no process and starts none: left-over files, modes, directories that are missing.

    Args:
        root: of the stack.
        fix: whether to put right what can be.
        dry_run: say of that only what would be done.
        who: for the lock's note.
        clock: of all deadlines.

    Returns:
        ``ok``: no error is left; ``findings`` and ``supervisors`` as data; ``changed``; ``limit``: seconds it may take.

    Raises:
        RollcallError: ``refused``: with ``fix``, the stack is locked; ``wrong_use``: this user may not lock it.
    """
    began = clock.monotonic()
    if fix and not dry_run:
        facts, findings = _fixed(root, who, clock)
    else:
        facts = look(root, clock=clock)
        findings = diagnose(facts)
    fixable = any(finding.fixable for finding in findings)
    return {
        "stack": facts.name,
        "root": root,
        "host": os.uname().nodename,
        "ok": passed(findings),
        "changed": any(finding.fixed for finding in findings) or (fix and dry_run and fixable),
        "fix": fix,
        "check": dry_run,
        "findings": [finding.as_dict() for finding in findings],
        "supervisors": [one.as_dict() for one in facts.supervisords],
        "seconds": round(clock.monotonic() - began, 3),
        "limit": _limit(facts.stack, len(facts.supervisords), fix and not dry_run),
    }


def limit(root: str, *, fix: bool = False) -> float:
    """Return the seconds that it takes at the longest, by the deadlines of all that it asks.

    Args:
        root: of the stack.
        fix: whether something is to be put right: then it looks twice.
    """
    return _limit(_installed(root), len(all_supervisords()), fix)


def _installed(root: str) -> t.Optional[Stack]:
    """Return the installed manifest; None when none can be read, of which the reason is a finding."""
    try:
        return load_stack(Paths.of(root))
    except RollcallError:
        # Told by _Look._stack.
        return None


def _limit(stack: t.Optional[Stack], number: int, fix: bool) -> float:
    # FILES: where a directory of the stack does not answer, not even its manifest can be read.
    seconds = discovery_seconds(number) + discovery_seconds(1) + limits.SLACK + limits.FILES
    # Other stacks and their processes may be on any file system of this host.
    seconds += ANSWER * len(served(mounts()))
    if stack is not None:
        seconds += 4 * limits.FILES + limits.look_limit(stack) + CALL_TIMEOUT + preflight.PARSE_BACK_TIMEOUT
        seconds += PORTS_PATIENCE + CALL_TIMEOUT
    return 2 * seconds if fix else seconds


def _fixed(root: str, who: str, clock: Clock) -> t.Tuple[HostFacts, t.List[Finding]]:
    """Put right what is safe, under the stack's lock, and look again: what is gone then is fixed.

    Raises:
        RollcallError: ``refused``: the stack is locked; ``wrong_use``: this user may not lock it, or there is no root.
    """
    if not os.path.isdir(root):
        raise RollcallError(
            f"There is nothing to put right: {root} does not exist.", kind="wrong_use", remedies=[cures.INSTALL]
        )
    stack = _installed(root)
    state = Paths.of(root).state if stack is None else stack.paths.state
    made = _first_directory(root, state)
    with locked(state, who, "doctor --fix", clock=clock):
        before = look(root, clock=clock)
        tried = [(finding, _repaired(before, finding)) for finding in diagnose(before) if finding.fixable]
        facts = look(root, clock=clock) if tried else before
    left = diagnose(facts)
    return facts, [*made, *settled(tried, left)]


def _first_directory(root: str, state: str) -> t.List[Finding]:
    """Make the state directory, in which the lock is, when it is missing."""
    if os.path.isdir(state):
        return []
    os.makedirs(state, mode=PRIVATE)
    missing = HostFacts(os.path.basename(root), root, Paths.of(root), missing=[state])
    found = next(one for one in diagnose(missing) if one.name == "directory_missing")
    return settled([(found, "made it")], [])


def _repaired(facts: HostFacts, finding: Finding) -> str:
    """Repair what one finding is about; return what was done, or why it could not be."""
    repair = KINDS[finding.name].repair
    return "" if repair is None else repairs.attempt(repair, facts, finding.subject)
