# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages docs/reference/benchmarks.md and docs/reference/benchmarks-ports.md."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmark.noise import Noise
from tests.benchmark.peers import SPOKEN_HEAD, TIMES_HEAD, Findings, summary
from tests.benchmark.table import CONTEST_HEAD, COUNT_HEAD, ROW_HEAD, Contest, Count, Row, machine, table

INTRODUCTION = """\
# Benchmarks

Written by `make bench`; whoever runs it gets this page with the figures of their own machine, in less time with
`make bench ROUNDS=3 TRUTH=5`. Everything is measured in one run: Rollcall and what stands beside it by turns, each once
without being counted first. Times are medians, with the shortest and the longest in brackets; nothing is left out. A
ratio says how many times as fast Rollcall is, except in the row with "itself": there, how many times as long it takes.
CPU is the median of the CPU seconds, user and system, of the command and of all processes that it waited for.
"""

SPOKEN = """\
## What says OK while a service does not answer

One of ten services misbehaves, in its own code. All are restarted, and three seconds later the status is asked; a
frozen one is frozen after all had answered. The table names the commands that said OK by ending with exit code 0.
"""

SPOKEN_NOTES = """\
- Everybody has the commands and the settings that their own pages begin with; nobody is told what a healthy answer is
  but Rollcall, whose manifest says so, and *systemd units that ask*: there `ExecStartPost` runs a script that
  asks the service's address until it answers, for as long as Rollcall waits, 30 seconds. systemd, circus and PM2
  have ways to be told by the service itself that it is ready, for which it has to be changed.
- honcho runs in the foreground and says nothing of a service until one ends; then it ends all others, too.
- A service that ends again and again may be up in the moment when the status is asked.
"""

WORDS = """\
### In their own words

The exit code, and the line that names the service.
"""

COUNTS = """\
## What was restarted when a restart said so

What a true success is stands [below](#what-a-true-success-is).
"""

TIMES = """\
## Ten services, and what people run them with

Seconds from the call until the command had ended, and until all eight services with a port said that they are well,
each by a new process; of *restart of one*, that one. A command that ends before the services answer has proved nothing.
"""

TIMES_NOTES = """\
- The peers are fetched from PyPI and npm, as they are pinned with their digests. The container with systemd needs root
  and podman. Who cannot be had where this is measured is named as left out.
- *Rollcall* is as it comes: its verdict waits until each service has lived for two seconds. Beside it the same with
  `stable_for` 0. Its restart ends supervisord, too, and frees the ports; the others leave what runs the services alone.
- A cold start begins where nothing runs, but for systemd, which is the first process of its container all the time.
- honcho has no command for a restart: it is ended and started again.
- The services of systemd's units run in a container, under Debian's own Python, and are asked from outside.
"""
# Beside those that could not be installed where this was measured.
NEVER_IN = "process-compose, which neither PyPI nor npm nor Debian has"

ROWS = """\
## Beside a shell script and a plain playbook
"""

NOTES = """\
## What is compared

- Both sides run the demo's ten services, `startsecs` 1, under the same version of supervisor. Rollcall has `stable_for`
  0 and the dependencies of the demo's manifest, for which it starts some services only after others; its rivals know of
  none.
- *The shell script* is [shell_restart.sh](../../tests/benchmark/shell_restart.sh): `lsof` and `kill -9` for each port,
  shutdown, kill, start, `sleep 5`, `supervisorctl restart` in a loop, `sleep 3`. Its times are those from a killed
  supervisord, because from there it works. From a running application it does not: it starts the new supervisord while
  the old one still shuts down, has nothing to talk to then, and is done with that in about half of the time.
- *The plain playbook* is [plain.yml](../../tests/benchmark/plain.yml): `supervisorctl` of community.general, then
  `wait_for` and `uri`, looped over the services. It gathers no facts and has the settings of our `ansible.cfg`,
  pipelining and twenty forks. It frees no port, leaves supervisord alone, and proves no listener.
- *Ten hosts* are ten inventory names with the connection `local` on one machine, each with its own directory, ports,
  supervisord and ten services. The work of all ten is done by the cores of one machine, on both sides, and nobody waits
  for a network: on ten machines both would be faster. Only the side that is measured is up.
- *10, 50 and 200 services* are sleep(1), each under a name of its own, without port and health: what is measured is
  the engine and supervisord, not the start of 200 interpreters on two cores. Everybody has the same programs and the
  same `startsecs`, 1. The times are from the call of the command to its end; Rollcall's end with the verdict.
  `rollcall restart`, which is full, and `quick` end supervisord and start a new one; `supervisorctl restart all` and
  the loop leave it running and prove nothing. *Beyond startsecs* is the median less that 1 second, and less nothing
  else: Rollcall's `stable_for` is 0, and the start of the command itself is part of it. After each restart it was seen
  from outside that every service had one process, a new one. A loop over 50 or 200 services is run only once. *10, the
  demo's* are Python programs with ports, health and dependencies, as in the rows above.
- *In process* means called in a Python that has loaded the engine. What is flushed are left-overs of the stack, one
  process a port; Rollcall finds out whose they are, ends them with TERM and proves the ports free. The `lsof` loop does
  `kill -9` and looks no more.
- *Poked* and *in silence*: supervisord's loop turns once a second, and whenever somebody calls. Rollcall stops the
  services together, then supervisord, and calls all the while; beside it, supervisord is told to shut down, once.

## What a true success is

Looked at from outside, with neither Rollcall nor supervisorctl, the moment the restart is done: there is one
supervisord and it answers on its socket; each of the ten services has one process, a child of that supervisord, with a
pid that it did not have before; each of the eight with a port says on /health that it is well, and it is that pid which
says so.
"""


PORTS_INTRODUCTION = """\
# Benchmarks: who holds a port

Written by `make bench`, or by `python -m tests.benchmark owners` alone. Rollcall and what stands beside it take turns,
each once without being counted first. Times are medians, with the shortest and the longest in brackets. A ratio says
how many times as fast Rollcall is.
"""

PORTS_NOTES = """\
## What is compared

- 8 and 100 ports, each with a listener of its own. *Beside 20,000 sockets*: other processes have 10,000 connections
  to each other open, 800 sockets each.
- Rollcall asks the kernel for the listeners by netlink and then looks for their inodes in `/proc/PID/fd`, the youngest
  processes first, until each has an owner. It is not told where to look, as it is in a restart, where supervisord names
  its processes: then it takes half a millisecond for 8 ports.
- *one lsof a port* is `lsof -ti :PORT` in a loop, *one lsof* is `lsof -nP -iTCP -sTCP:LISTEN` for all of them,
  *psutil* is `psutil.net_connections` in the same process as ours. lsof and ss are programs, and their start is part of
  the time.
- Every answer of ours and of psutil is compared with the processes that were started.
"""


@dataclass(frozen=True)
class Sheet:
    """One page: the parts that it is made of, and what stands around the tables."""

    parts: tuple[str, ...]
    introduction: str
    notes: str


SHEETS = {
    "benchmarks.md": Sheet(
        ("peers", "restarts", "scale", "fleet", "idle", "ports", "daemon", "status", "outcomes"), INTRODUCTION, NOTES
    ),
    "benchmarks-ports.md": Sheet(("owners",), PORTS_INTRODUCTION, PORTS_NOTES),
}


@dataclass
class Measured:
    """What a run has measured.

    Attributes:
        rows: comparisons.
        counts: of true successes.
        contests: restarts of a number of services, for each of those numbers; the first of each is Rollcall's.
        found: of the peers.
        noise: samples of the machine that were taken in between.
    """

    rows: list[Row] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    contests: list[list[Contest]] = field(default_factory=list)
    found: Findings = field(default_factory=Findings)
    noise: Noise = field(default_factory=Noise)


def write(sheet: Sheet, measured: Measured, collections: Path) -> str:
    """Return the page, the truth first.

    Args:
        sheet: which page.
        measured: what stands on it.
        collections: where community.general was unpacked.
    """
    found = measured.found
    parts = [sheet.introduction]
    if found.spoken:
        head, *lines = summary(found.spoken)
        parts += [SPOKEN, table(head, lines) + "\n", SPOKEN_NOTES]
        parts += [WORDS, table(SPOKEN_HEAD, [one.cells() for one in found.spoken]) + "\n"]
    if measured.counts:
        parts += [COUNTS, table(COUNT_HEAD, [count.cells() for count in measured.counts]) + "\n"]
    if found.times:
        parts += [TIMES, table(TIMES_HEAD, [times.cells() for times in found.times]) + "\n", TIMES_NOTES]
        parts.append("".join(f"- Left out: {line}.\n" for line in [*found.left_out, NEVER_IN]))
    if measured.rows:
        heading = [ROWS] if found.times else []
        parts += [*heading, table(ROW_HEAD, [row.cells() for row in measured.rows]) + "\n"]
    if measured.contests:
        lines = [contest.cells(some[0]) for some in measured.contests for contest in some]
        parts.append(table(CONTEST_HEAD, lines) + "\n")
    manifest = collections / "ansible_collections" / "community" / "general" / "MANIFEST.json"
    number = json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"]
    versions = [", ".join(found.versions)] if found.versions else []
    facts = [*machine(), f"community.general {number}", *versions, *measured.noise.facts()]
    parts += ["## The machine\n\n" + "".join(f"- {fact}\n" for fact in facts), sheet.notes]
    return "\n".join(parts)
