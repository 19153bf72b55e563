# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Whether a rollout goes on with its next batch: how the hosts have ended, how many others are up, and how long ago
the last one was proved. Pure.
"""

from __future__ import annotations

import math
import re
import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import count, readable_time, span
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.rollout import DONE, INCONCLUSIVE
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import Decision, Reason, Seen, left_drained

Batches = t.Sequence[t.Sequence[str]]

# Seconds that a host has besides its runs, for what is installed before them and for its drain.
AROUND = 900.0


def needed(min_up: t.Union[int, str], number: int) -> t.Optional[int]:
    """Return how many hosts must be up; None when what was written is neither a number nor a share.

    Args:
        min_up: such as ``3`` or ``80%``; a share is rounded up.
        number: of all hosts.
    """
    found = re.fullmatch(r"([0-9]{1,9})(%?)", str(min_up).strip())
    if found is None:
        return None
    value = int(found[1])
    if not found[2]:
        return value
    return None if value > 100 else math.ceil(number * value / 100)


def group_of(decision: Decision, seen: t.Mapping[str, Seen]) -> t.List[str]:
    """Return the hosts that count: all but those that were not reached, and those that somebody has set aside."""
    return [host for host in seen if host not in decision.left_out and host not in decision.set_aside]


def still_out(decision: Decision, seen: t.Mapping[str, Seen]) -> t.List[str]:
    """Return the hosts that an earlier rollout has left drained, and that are well: they can have their users again."""
    return [] if decision.reverts else [host for host in left_drained(decision, seen) if seen[host].healthy]


def up_reasons(
    decision: Decision, seen: t.Mapping[str, Seen], batches: Batches, min_up: t.Union[int, str]
) -> t.List[Reason]:
    """Return why nobody is touched because a batch takes more hosts away than may be.

    Args:
        decision: what is to be done.
        seen: by host.
        batches: the hosts that the rollout goes to.
        min_up: how many must be up meanwhile.
    """
    number = needed(min_up, len(seen))
    if number is None:
        return [Reason("min_up", f"'{min_up}' is neither a number of hosts nor a share such as 80%", cures.MIN_UP)]
    group = group_of(decision, seen)
    found, alone = [], []
    # Those of batches to come on which nothing runs yet are not up before.
    up = [host for host in group if seen[host].healthy is not None]
    for place, batch in enumerate(() if decision.reverts else batches, 1):
        stay = [host for host in up if host not in batch]
        if len(stay) < number and any(host in up for host in batch):
            if len(up) - 1 < number:
                # One host at a time is too many: then no batches are small enough.
                alone.append(len(up) - 1)
            else:
                what = f"batch {place} leaves {len(stay)} of {count(len(seen), 'host')} up, and min_up is {min_up}"
                found.append(Reason(", ".join(batch), what, cures.SMALLER_BATCHES))
        up += [host for host in batch if host not in up]
    if not alone:
        return found
    least = min(alone)
    what = f"with one host away {least} of {count(len(seen), 'host')} are up, and min_up is {min_up}"
    return [Reason("min_up", what, cures.less_up(least)), *found]


class Other(t.NamedTuple):
    """How a host is that the next batch does not have.

    Attributes:
        up: whether its verdict is good and it is not drained.
        why: why it does not count; empty when it does.
    """

    up: bool
    why: str = ""


class Facts(t.NamedTuple):
    """What is known before a batch begins; times are in seconds.

    Attributes:
        outcomes: by host how it has ended; those that have.
        budget: how many hosts may fail.
        steps: whether the first host was to run steps for all.
        others: by host how each other one is; empty when that is not asked.
        min_up: how many others must be up.
        waited: for how long they have been waited for.
        patience: for how long they are.
        since: since the last host was proved, or the rollout began.
        last: who that was, and when, for people.
        progress: how long that may be ago; 0 for any time.
    """

    outcomes: t.Mapping[str, str] = {}
    budget: int = 0
    steps: bool = False
    others: t.Mapping[str, Other] = {}
    min_up: int = 0
    waited: float = 0.0
    patience: float = 0.0
    since: float = 0.0
    last: str = ""
    progress: float = 0.0


class Gate(t.NamedTuple):
    """Whether a rollout goes on.

    Attributes:
        go: whether the next batch begins.
        waits: whether that is asked again in a moment.
        why: why the rollout pauses: nothing is known against what is rolled out; empty when it does not.
    """

    go: bool
    waits: bool = False
    why: str = ""


def gate(facts: Facts) -> Gate:
    """Return whether the next batch begins.

    What is inconclusive a person decides, whatever the budget. Steps that run on one host for all have to have run. A
    rollout that is slow, and too few others that are up, say nothing of what is rolled out.
    """
    bad = [outcome for outcome in facts.outcomes.values() if outcome != DONE]
    if len(bad) > facts.budget or INCONCLUSIVE in bad or (bad and facts.steps):
        return Gate(go=False)
    if facts.progress and facts.since > facts.progress:
        return Gate(go=False, why=f"no host was proved for {span(round(facts.since))}; the last was {facts.last}")
    up = [host for host, one in facts.others.items() if one.up]
    if len(up) >= facts.min_up:
        return Gate(go=True)
    away = "; ".join(f"{host}: {one.why}" for host, one in facts.others.items() if not one.up) or "there are no others"
    why = f"{len(up)} of {count(len(facts.others), 'other host')} are up, and min_up is {facts.min_up}: {away}"
    if facts.waited < facts.patience:
        return Gate(go=False, waits=True, why=why)
    return Gate(go=False, why=why)


def last_proved(began: float, proved: t.Mapping[str, float]) -> t.Tuple[float, str]:
    """Return when the last host was proved, in seconds since the epoch, and that for people.

    Args:
        began: when the rollout did.
        proved: by host that is done when that was.
    """
    if not proved:
        return began, f"none since it began at {readable_time(began)}"
    host = max(proved, key=lambda name: proved[name])
    return proved[host], f"{host} at {readable_time(proved[host])}"
