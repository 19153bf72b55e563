# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The table of a fleet: what each host runs, whether that is well, and which host is unlike the others.

Pure: it is made of what the hosts have answered.
"""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import count, readable_time, table
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.version import VERSION
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import Seen

if t.TYPE_CHECKING:
    from ansible_collections.rollcall.supervisor.plugins.module_utils.base.rollout_documents import FleetHost

HEADINGS = ("", "host", "verdict", "release", "generation", "drained", "rollout", "engine")
NOT_REACHED, NOTHING, OK, FAILED, STOPPED = "NOT REACHED", "nothing installed", "OK", "FAILED", "stopped"
# Its engine is of another version, and was not understood.
ANOTHER, NOT_KNOWN = "another engine", "NOT KNOWN"
# Hosts that the last line names; of more it tells how many there are.
MOST_NAMED = 3


def verdict(one: Seen) -> str:
    """Return how a host is, in a word or two."""
    if not one.reached:
        return NOT_REACHED
    if one.stopped:
        return STOPPED
    if one.healthy is None and one.refused:
        # Its manifest was nothing to ask it about, or its answer was an error: something may run there.
        return NOT_KNOWN
    if one.healthy is None:
        return NOTHING if one.version in ("", VERSION) else ANOTHER
    return OK if one.healthy else FAILED


def is_well(one: Seen) -> bool:
    """Return whether there is nothing to see to: well or stopped on purpose, in use, and no rollout is half done."""
    return verdict(one) in (OK, STOPPED) and not one.is_unfinished


def release_of(one: Seen) -> str:
    """Return the release that a host runs: what its processes say, where one of them does, else what is installed."""
    return " + ".join(one.running) or one.release


def as_document(one: Seen) -> FleetHost:
    """Return a host of the table as data."""
    drained = one.rollout is not None and bool(one.rollout["drained"])
    return {
        "verdict": verdict(one),
        "well": is_well(one),
        "reached": one.reached,
        "why": _why(one),
        "healthy": one.healthy,
        "failing": list(one.failing),
        "stopped": one.stopped,
        "release": one.release,
        "running": list(one.running),
        "generation": one.generation,
        "verified": one.verified,
        "drained": one.rollout["drained"] if drained and one.rollout else "",
        "since": one.rollout["since"] if drained and one.rollout else 0.0,
        "rollout": one.rollout,
        "engine": one.version,
        "at_work": one.at_work,
    }


def in_order(seen: t.Mapping[str, Seen]) -> t.List[str]:
    """Return the hosts: those that are not well, those that run what few run, the others; each in the given order."""
    like = collections.Counter(_kind(one) for one in seen.values() if one.reached)
    most = max(like.values(), default=0)
    return sorted(seen, key=lambda host: (is_well(seen[host]), like[_kind(seen[host])] == most))


def _kind(one: Seen) -> t.Tuple[str, str]:
    """Return by what hosts are like each other: what their processes run, and their engine."""
    return release_of(one), one.version


def fleet_text(seen: t.Mapping[str, Seen]) -> str:
    """Return the table of a fleet for people, and a line that sums it up."""
    rows = [HEADINGS, *(_row(host, seen[host]) for host in in_order(seen))]
    bad = [host for host, one in seen.items() if not is_well(one)]
    reached = {host: one for host, one in seen.items() if one.reached}
    words = [f"{len(seen) - len(bad)} of {count(len(seen), 'host')} well"]
    words += [_skew("releases", {host: release_of(one) for host, one in reached.items()})]
    words += [_skew("versions of the engine", {host: one.version for host, one in reached.items()})]
    return "\n".join([table(rows), "", ", ".join(filter(None, words))])


def _skew(what: str, of: t.Mapping[str, str]) -> str:
    """Return which hosts have something else than the others, the rarest first; empty when all have the same."""
    hosts: t.Dict[str, t.List[str]] = {}
    for host, one in of.items():
        hosts.setdefault(one or "none", []).append(host)
    if len(hosts) < 2:
        return ""
    rarest = sorted(hosts.items(), key=lambda found: len(found[1]))
    told = [f"{one} on {', '.join(on) if len(on) <= MOST_NAMED else count(len(on), 'host')}" for one, on in rarest]
    return f"{len(hosts)} {what} ({'; '.join(told)})"


def _row(host: str, one: Seen) -> t.Tuple[str, ...]:
    record = one.rollout
    drained = (
        "" if record is None or not record["drained"] else f"{record['drained']} since {readable_time(record['since'])}"
    )
    rollout = "" if record is None else f"{record['id']} {record['step']}"
    generation = one.generation + ("" if one.verified or not one.generation else " (not verified)")
    mark = "ok" if is_well(one) else "!!"
    told = verdict(one) + (
        f": {_why(one)}" if _why(one) else f": {', '.join(one.failing)}" if one.healthy is False else ""
    )
    return (mark, host, told, _release(one), generation or "-", drained or "-", rollout or "-", one.version or "-")


def _why(one: Seen) -> str:
    """Return why nothing is known of a host; empty when something is."""
    return one.refused if verdict(one) == NOT_KNOWN else one.why


def _release(one: Seen) -> str:
    """Return the release that a host's processes run, and what is installed where that is another one."""
    if not one.running:
        return f"{one.release} (installed)" if one.release else "-"
    return release_of(one) + (f" ({one.release} installed)" if set(one.running) != {one.release} else "")
