# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares what a rollout has said with what is true. Pure: it looks at nothing.

What was said is read as a person reads it, from the lines that were printed. What is true was seen from outside: the
answers of the services and the balancer's own page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.benchmark.balanced import Seen

UP = "UP"
OUT = ("DRAIN", "MAINT")
UNTOUCHED = "No host was touched."
BUSY = "another rollout is at work"
# The last line of a rollout, with how it has ended.
_END = re.compile(r"^\W*rollout [\w-]+: [A-Z]+, ", re.MULTILINE)
# The options that a printed line may name, and that are then given.
_CURES = {
    "unreachable=skip": re.compile(r"-e (unreachable=skip)"),
    "takeover": re.compile(r"-e (takeover=[\w.-]+)"),
    "unhealthy_before=repair": re.compile(r"-e (unhealthy_before=repair)"),
}


@dataclass(frozen=True)
class Told:
    """What a rollout has said.

    Attributes:
        code: its exit code; None when it was killed.
        text: all that it has printed.
        done: hosts that it calls done.
        waiting: hosts to which it has not come, as it says.
        back: hosts that run again what ran before, as it says.
        bad: hosts of which it says that something has failed, or that they were lost.
        drained: hosts that are not up in the balancer, as it says.
    """

    code: int | None
    text: str = ""
    done: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    back: frozenset[str] = frozenset()
    bad: frozenset[str] = frozenset()
    drained: frozenset[str] = frozenset()

    @property
    def was_killed(self) -> bool:
        """Whether it had no time to say anything."""
        return self.code is None

    def cure(self, name: str) -> str:
        """Return an option as a printed line has it; empty when none has."""
        found = _CURES[name].search(self.text)
        return found.group(1) if found else ""


def told(code: int | None, text: str) -> Told:
    """Return what a rollout has said.

    Args:
        code: its exit code; None when it was killed.
        text: what it has printed.
    """
    lines = [line.strip(" '\",-") for line in text.splitlines()]
    again = _listed(lines, "went back, and runs again what ran before:")
    bad = set()
    for line in lines:
        found = re.match(r"(failed|lost|inconclusive): (\S+): ", line)
        if found:
            bad.add(found.group(2))
            again |= {found.group(2)} if line.endswith("; it runs again what ran before") else set()
    return Told(
        code,
        text,
        frozenset(_listed(lines, "done:")),
        frozenset(_listed(lines, "not begun:")),
        frozenset(again),
        frozenset(bad),
        frozenset(_listed(lines, "still drained, or not up in the balancer:")),
    )


def _listed(lines: Iterable[str], head: str) -> set[str]:
    """Return the hosts that lines with a head have."""
    return {
        host for line in lines if line.startswith(f"{head} ") for host in line[len(head) :].replace(",", " ").split()
    }


def contradictions(said: Told, seen: Mapping[str, Seen], version: str, before: Mapping[str, str]) -> list[str]:
    """Return what a rollout has said that is not so.

    Args:
        said: by the rollout.
        seen: by host what is true after its end; hosts that nobody can see are not in it.
        version: that it brought.
        before: by host the version that answered before it began; empty where none did.
    """
    if said.was_killed:
        return []
    has_ended = UNTOUCHED in said.text or _END.search(said.text) or "No host has anything to do" in said.text
    found = [] if has_ended else [f"SILENT: it ended with {said.code}, and has not told how each host has ended"]
    for host, one in seen.items():
        is_out = one.server.startswith(OUT)
        old = before.get(host, "")
        if said.code == 0 and (one.version != version or one.server != UP):
            found.append(f"FALSE OK: it ended with 0, and {host} {words(one)}")
        if host in said.done and one.version != version:
            found.append(f"{host} is called done, and {words(one)}")
        if host in said.waiting and old and one.version != old:
            found.append(f"{host} is called not begun, and {words(one)}; it had {old}")
        if host in said.back and (not one.version or one.version == version or (old and one.version != old)):
            found.append(f"{host} is said to run again what ran before, and {words(one)}; it had {old or 'none'}")
        if is_out and host not in said.drained and UNTOUCHED not in said.text:
            found.append(f"{host} is left drained, and nobody was told: {words(one)}")
        if old and not one.version and said.code != 0 and host not in said.bad | said.drained:
            found.append(f"{host} does not answer any more, and nobody was told")
        if UNTOUCHED in said.text and old and one.version != old:
            found.append(f"no host was touched, as it says, and {host} {words(one)}; it had {old}")
    return found


def unfinished(seen: Mapping[str, Seen], version: str) -> list[str]:
    """Return what is not as it has to be when all is over."""
    return [f"{host} {words(one)}" for host, one in seen.items() if one != Seen(version, UP)]


def words(one: Seen) -> str:
    """Return for people what was seen of a host."""
    return f"answers with {one.version or 'nothing'}, and is {one.server or 'unknown'} in the balancer"


class Excuse(NamedTuple):
    """A time in which a fault itself makes requests fail; in seconds since the epoch."""

    began: float
    ended: float

    def covers(self, began: float, ended: float) -> bool:
        """Whether a request was on its way in that time."""
        return began <= self.ended and ended >= self.began


def not_excused(misses: Sequence[tuple[float, float]], excuses: Sequence[Excuse]) -> list[tuple[float, float]]:
    """Return the requests that have failed and that no fault explains, by when they began and had failed."""
    return [miss for miss in misses if not any(excuse.covers(*miss) for excuse in excuses)]
