# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Steps that run on one host for the whole fleet: that they come first, and that nothing goes back over them. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.one_way import one_way_words
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import Decision, Reason, Seen

Batches = t.Sequence[t.Sequence[str]]


def step_reasons(decision: Decision, seen: t.Mapping[str, Seen], batches: Batches) -> t.List[Reason]:
    """Return why nobody is touched because of steps that run on one host for all.

    They run on the first host, which is alone in its batch: no other one gets the new version before them.

    Args:
        decision: what is to be done.
        seen: by host.
        batches: the hosts that the rollout goes to.
    """
    if decision.reverts or not decision.hosts:
        return []
    leader = decision.hosts[0]
    found = [
        Reason(host, f"{one_way_words(one.over)}, and the manifest is what ran before", cures.SAY_REVERSIBLE)
        for host, one in seen.items()
        if one.over and host in decision.hosts
    ]
    for host, one in seen.items():
        steps = ", ".join(one.steps)
        if steps and host in decision.hosts and host != leader:
            what = f"{steps} would run here for all hosts, and the rollout begins with {leader}"
            found.append(Reason(host, what, cures.STEP_FIRST))
        elif steps and host in decision.hosts and len(batches[0]) > 1:
            what = f"{steps} would run here for all hosts, and the first batch has {len(batches[0])} of them"
            found.append(Reason(host, what, cures.ONE_FIRST))
    return [*found, *_without_their_host(decision, seen)]


def _without_their_host(decision: Decision, seen: t.Mapping[str, Seen]) -> t.List[Reason]:
    """Return that steps would not run because their host is left out, and the others would get the new version."""
    where: t.Dict[str, t.List[str]] = {}
    for name, host in {name: host for one in seen.values() for name, host in one.once.items()}.items():
        # Of a host that was not reached nobody knows whether it would run them.
        if host in decision.left_out or (host in decision.set_aside and name in seen[host].steps):
            where.setdefault(host, []).append(name)
    return [
        Reason(host, f"{', '.join(names)} would run here for all hosts, and this one is left out", cures.STEP_HOST)
        for host, names in where.items()
    ]


def step_notes(decision: Decision, seen: t.Mapping[str, Seen]) -> t.List[str]:
    """Return for people which steps run first, and what cannot be gone back over after them."""
    if decision.reverts:
        return []
    lines = []
    for host in decision.hosts:
        lines += [
            f"{step} runs on {host}, for all hosts. After it no host goes back: it does not say reversible: true"
            for step in seen[host].one_way
        ]
        lines += [
            f"{step} runs on {host}, for all hosts. It says reversible: true, so a host that fails goes back"
            for step in seen[host].steps
            if step not in seen[host].one_way
        ]
    return lines
