# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""From what was found out about a host to the findings. Pure. A new finding is an entry of one of the tables here."""

from __future__ import annotations

import dataclasses
import typing as t

from ..base import cures
from . import judge_host, judge_installed, judge_left_overs, judge_processes, judge_services, judge_supervisords
from .facts import HostFacts
from .findings import ERROR, SEVERITIES, WARNING, Finding, FindingKind

# In the order in which they are told, and in which docs/reference/doctor.md has them.
KINDS: t.Mapping[str, FindingKind] = {
    kind.name: kind
    for kind in (
        *judge_host.KINDS,
        *judge_supervisords.KINDS,
        *judge_processes.KINDS,
        *judge_services.KINDS,
        *judge_installed.KINDS,
        *judge_left_overs.KINDS,
    )
}

# The order in which remedies are to be followed. While a run is at work hardly any works. Those that are not named here
# touch one thing each, and come next. An install brings the engine and the account that the following ones need. What
# ends a supervisord that hangs comes before what needs one that answers.
_OTHERS = 1
_ORDER = {
    cures.WAIT: 0,
    cures.INSTALL: 2,
    cures.another_python(): 2,
    cures.FIX: 3,
    cures.EMERGENCY: 4,
    cures.FULL: 5,
    cures.START: 5,
    cures.STATUS: 6,
    cures.ACKNOWLEDGE: 6,
}


def diagnose(facts: HostFacts) -> t.List[Finding]:
    """Return all that is wrong or worth knowing, so that the remedies can be followed from the first to the last.

    Errors come first, with the warnings that keep an error's remedy from working; then warnings, then notes. Among
    these a remedy that another one needs comes before it; beyond that they have the order of `KINDS`.
    """
    found = [finding for kind in KINDS.values() for finding in kind.findings(facts)]
    own = {facts.own(command): place for command, place in _ORDER.items() if command.startswith("rollcall ")}
    order = {**_ORDER, **own}

    def place(finding: Finding) -> t.Tuple[int, int]:
        in_the_way = finding.severity == WARNING and KINDS[finding.name].in_the_way
        severity = ERROR if in_the_way else finding.severity
        return SEVERITIES.index(severity), order.get(finding.remedy, _OTHERS)

    return sorted(found, key=place)


def passed(findings: t.Iterable[Finding]) -> bool:
    """Return whether no error is left."""
    return not any(finding.severity == ERROR and not finding.fixed for finding in findings)


def settled(tried: t.Iterable[t.Tuple[Finding, str]], left: t.Sequence[Finding]) -> t.List[Finding]:
    """Return the findings after repairs, the repaired ones first.

    Args:
        tried: what was to be repaired, and what was done.
        left: what was found afterwards.
    """
    done = {finding.key: words for finding, words in tried}
    still = {finding.key for finding in left}
    fixed = [_settled(finding, True, words) for finding, words in tried if finding.key not in still]
    failed = [_settled(finding, False if finding.fixable else None, done.get(finding.key)) for finding in left]
    return [*fixed, *failed]


def _settled(finding: Finding, fixed: t.Optional[bool], done: t.Optional[str]) -> Finding:
    data = finding.data if done is None else {**finding.data, "done": done}
    return dataclasses.replace(finding, data=data, fixed=fixed)
