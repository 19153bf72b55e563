# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a rollout that drains does for a service that gets another port: its balancer knows the old one. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import Decision, Reason, Seen

# Ways to drain: none; one that is told the new port; one whose file has the old port.
NONE, HAPROXY, NGINX = "none", "haproxy", "nginx"

Moves = t.Sequence[t.Tuple[str, int, int]]


def both_ways(moves: Moves) -> t.Dict[str, int]:
    """Return the ports that services move between, each by the other one, for the way forth and the way back.

    Where two services change places nobody could tell from a port which way it has been; those are not in it.
    """
    old, new = [move[1] for move in moves], [move[2] for move in moves]
    clear = [(one, two) for one, two in zip(old, new) if one not in new and two not in old]
    return {**{str(one): two for one, two in clear}, **{str(two): one for one, two in clear}}


def port_reasons(decision: Decision, seen: t.Mapping[str, Seen], drain: str) -> t.List[Reason]:
    """Return why nobody is touched because the balancer would send users to a port where nobody listens.

    Args:
        decision: what is to be done.
        seen: by host.
        drain: by what the hosts are drained.
    """
    found = []
    for host in () if decision.reverts else decision.hosts:
        moves = seen[host].moves
        stuck = moves if drain == NGINX else [move for move in moves if str(move[1]) not in both_ways(moves)]
        if drain in (HAPROXY, NGINX) and stuck:
            found.append(Reason(host, f"{_words(stuck)}, and {drain} would ask at the old port", cures.BRING_PORT))
    return found


def port_notes(decision: Decision, seen: t.Mapping[str, Seen], drain: str) -> t.List[str]:
    """Return for people which services get another port, and who has to know it."""
    if decision.reverts or drain == NONE:
        return []
    who = (
        "HAProxy is told so, and its file is not: run the playbook edge afterwards, or change the file"
        if drain == HAPROXY
        else "its balancer has to be told so"
    )
    return [f"{host}: {_words(seen[host].moves)}; {who}" for host in decision.hosts if seen[host].moves]


def _words(moves: Moves) -> str:
    return ", ".join(f"{name} moves from port {old} to {new}" for name, old, new in moves)
