# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a series came to: a row for each kind of fault, and the page that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

HEAD = (
    "fault",
    "times",
    "held by restart",
    "by emergency",
    "refused or failed truly first",
    "false ok",
    "other failures",
    "bystanders killed",
    "longest",
)

PAGE = """\
# Chaos

Written by `make chaos ARGUMENTS="--seed {seed} --write"` at commit {commit}: {steps} steps against the demo's ten
services in a container, seed {seed}.

{table}

{summary}.

A step strikes with one fault, in a quarter of the steps with two, and then runs one `rollcall restart`. Where that
names `rollcall restart emergency`, or the doctor does, this follows. Where the cause is still there (a stranger on a
port, a full disk, a broken config), the restart must be refused or fail with the reason named; a refusal must leave
every process as it was. Then the cause is taken away, and one restart must hold. A row counts every step that the fault
was part of.

What is said is compared with what is there by eyes that use nothing of Rollcall: one supervisord over the config that
answers on its socket; for each service one process below it, new since the restart began; its port held by that process
alone, whose /health answers with the service's own name and pid. Nine bystanders live beside the stack and are looked
at after each step: a process of the stack's user, a listener on a port of its range, a client of a service, one with a
service's command line, one with the stack's labels under another user, one that reads the config, one that has
supervisord's words in its arguments, and another supervisord with its program.

The wall clock jumps for what Python asks of it, in supervisord, engine and services. What the kernel stamps by itself
does not jump: a container must not set the clock of its machine.
"""


@dataclass
class Row:
    """What came of one kind of fault."""

    times: int = 0
    held: int = 0
    emergency: int = 0
    refused: int = 0
    false_ok: int = 0
    other: int = 0
    killed: int = 0
    longest: float = 0.0

    def cells(self, name: str) -> list[str]:
        """Return the row of the table."""
        counts = (self.times, self.held, self.emergency, self.refused, self.false_ok, self.other, self.killed)
        return [name, *map(str, counts), f"{self.longest:.1f} s"]


@dataclass
class Tally:
    """The rows of a series and its sums."""

    steps: int = 0
    rows: dict[str, Row] = field(default_factory=dict)
    total: Row = field(default_factory=Row)

    @property
    def failed(self) -> int:
        """How many steps have failed or could not be played."""
        return self.total.false_ok + self.total.other + self.total.killed

    def add(self, step: dict[str, Any]) -> None:
        """Count one step, in the row of each of its faults."""
        self.steps += 1
        for row in [self.total, *(self.rows.setdefault(kind, Row()) for kind in step["kinds"])]:
            row.times += 1
            failure = step["failure"] or step["broken"]
            row.killed += "KILLED" in failure
            row.false_ok += "FALSE OK" in failure
            row.other += bool(failure) and "KILLED" not in failure and "FALSE OK" not in failure
            row.held += not failure and not step["emergency"]
            row.emergency += not failure and step["emergency"]
            row.refused += step["refused"]
            row.longest = max([row.longest, *(seconds for _command, _code, seconds, _reason in step["commands"])])

    def table(self) -> str:
        """Return the table in Markdown."""
        rows = [self.rows[name].cells(name) for name in sorted(self.rows)]
        return markdown([HEAD, *rows, self.total.cells("all")])

    def summary(self) -> str:
        """Return the sums in a sentence."""
        total = self.total
        return (
            f"{self.steps} steps: {total.held} held by restart, {total.emergency} by emergency, "
            f"{total.refused} refused or failed truly while the cause was there; "
            f"{total.false_ok} false ok, {total.killed} bystanders killed, {total.other} other failures; "
            f"the longest command took {total.longest:.1f} s"
        )


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown that can be read as it stands; the first line is its head."""
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(lines[0]))]
    rule = ["-" * width for width in widths]
    padded = [
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in [lines[0], rule, *lines[1:]]
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def page(tally: Tally, seed: int, commit: str) -> str:
    """Return the page docs/reference/chaos.md."""
    return PAGE.format(seed=seed, commit=commit, steps=tally.steps, table=tally.table(), summary=tally.summary())
