# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What was said of how a rollout is to go about it and cannot be meant, told before the first host. Pure."""

from __future__ import annotations

import math
import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import one_line
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollout_ports import HAPROXY, NGINX, NONE
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import Decision, Reason, Seen

# The ways of the role drain, as its own list has them; any other is the absolute path of somebody's own tasks.
WAYS = (HAPROXY, NGINX, "file", "http", "sql", NONE)
HOST_TIMEOUT, BUDGET = "host_timeout", "failure_budget"


def number_reasons(given: t.Mapping[str, t.Any]) -> t.List[Reason]:
    """Return why nobody is touched because of numbers that are none.

    Ansible takes a text such as 30m for 0 where a number is wanted, and each host would have no time at all.

    Args:
        given: by variable what was given for it.
    """
    return [
        Reason(name, f"'{one_line(str(value), 60)}' is {_lacks(name)}", cures.number_of(name))
        for name, value in given.items()
        if not _is_number(name, value)
    ]


def _is_number(name: str, value: t.Any) -> bool:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    if isinstance(value, bool) or not math.isfinite(number) or number < 0:
        return False
    return number.is_integer() if name == BUDGET else number > 0 or name != HOST_TIMEOUT


def _lacks(name: str) -> str:
    return "no number of hosts" if name == BUDGET else "no number of seconds"


def drain_reasons(decision: Decision, seen: t.Mapping[str, Seen], is_file: t.Callable[[str], bool]) -> t.List[Reason]:
    """Return why nobody is touched because of by what hosts are drained.

    Who is still out by another way would be brought back by the wrong one, and stay out.

    Args:
        decision: what is to be done.
        seen: by host.
        is_file: says whether there is a file at a path on the controller.
    """
    found = []
    for host in decision.hosts:
        way, record = seen[host].drains, seen[host].rollout
        out = "" if record is None else record["drained"]
        if way not in WAYS and not (way.startswith("/") and is_file(way)):
            ways = ", ".join(WAYS)
            what = f"'{one_line(way, 200)}' is none of {ways}, and no absolute path of a file here"
            found.append(Reason(host, f"it cannot be drained: {what}", cures.DRAIN_WAY))
        elif out and not _is_same(out, way):
            how = "none would bring it back" if way == NONE else f"{one_line(way, 200)} would not bring it back"
            what = f"an earlier rollout has drained it by {one_line(out, 200)}, and {how}"
            found.append(Reason(host, what, cures.same_drain(out)))
    return found


def _is_same(out: str, way: str) -> bool:
    """Return whether a way brings back what was drained; of somebody's own tasks only they know."""
    return out == way or (out.startswith("/") and way.startswith("/"))
