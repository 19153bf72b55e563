# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chaos test's own judgement: what it sees, what it counts, and that a seed means the same faults again."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.inside import eyes, places, wall_clock
from tests.chaos.inside.__main__ import choose
from tests.chaos.inside.faults import FAULTS, SIMPLE
from tests.chaos.table import Tally
from tests.support.repository import ROOT
from tests.tools.stages import STAGES

STACK: dict[str, int | None] = {"one": None}
SUPERVISORD = (places.PYTHON, "-I", "-Xutf8", "-m", "supervisor.supervisord", "--nodaemon", "-c", places.CONFIG)


def process(pid: int, ppid: int = 1, state: str = "S", argv: tuple[str, ...] = ()) -> eyes.Process:
    return eyes.Process(pid, ppid, 100, state, 1000, argv)


def view(daemons: list[eyes.Process], ones: list[eyes.Process]) -> eyes.View:
    return eyes.View({one.pid: one for one in [*daemons, *ones]}, daemons, {"one": ones})


@pytest.fixture(autouse=True)
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eyes, "answering_daemon", lambda: 10)


def test_one_supervisord_with_one_process_below_it_is_well() -> None:
    assert eyes.Eyes(STACK).wrong(view([process(10)], [process(11, 10)]), {"one": {(9, 100)}}) == []


@pytest.mark.parametrize(
    ("daemons", "ones", "problem"),
    [
        ([], [process(11, 10)], "0 supervisords"),
        ([process(10), process(20)], [process(11, 10)], "2 supervisords 10 20"),
        ([process(10, state="T")], [process(11, 10)], "supervisord 10 is stopped"),
        ([process(12)], [process(11, 12)], "supervisord is pid 12, and its socket is answered by 10"),
        ([process(10)], [], "one: 0 processes"),
        ([process(10)], [process(11, 10), process(12, 1)], "one: 2 processes 11 12"),
        ([process(10)], [process(11, 1)], "one: pid 11 is an orphan"),
        ([process(10)], [process(11, 10, "T")], "one: pid 11 is stopped"),
        ([process(10)], [process(9, 10)], "one: still pid 9"),
    ],
)
def test_what_is_not_well_is_seen(daemons: list[eyes.Process], ones: list[eyes.Process], problem: str) -> None:
    assert eyes.Eyes(STACK).wrong(view(daemons, ones), {"one": {(9, 100)}}) == [problem]


def test_a_port_that_another_process_holds_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        seen = eyes.Eyes({"one": port}).look()
        assert seen.listeners[port] == {os.getpid()}
        seen.daemons, seen.services = [process(10)], {"one": [process(11, 10)]}
        seen.processes.update({10: process(10), 11: process(11, 10)})
        assert eyes.Eyes({"one": port}).wrong(seen) == [f"one: pid 11, and port {port} is taken by {{{os.getpid()}}}"]


def test_a_seed_means_the_same_faults_again() -> None:
    chosen = [choose(7, number, list(FAULTS)) for number in range(1, 201)]
    assert chosen == [choose(7, number, list(FAULTS)) for number in range(1, 201)]
    assert {kinds[0] for kinds in chosen[: len(FAULTS)]} == set(FAULTS)
    assert all(kinds[1] in SIMPLE for kinds in chosen if len(kinds) == 2)


SORTS = (
    {"supervisord killed", "everything killed", "several killed", "service killed"},
    {"supervisord stopped", "everything stopped"},
    {"service hangs", "several hang"},
    {"socket deleted", "socket is a file", "socket of a stranger"},
    {"port taken while down", "port taken under supervisord", "port bound in silence"},
    {"disk full", "inodes used up"},
    {"config broken", "config altered", "manifest broken"},
    {"second supervisord", "second supervisord after a kill", "second supervisord with its own config"},
    {"clock jumps"},
    {"worker killed", "asker killed"},
)


def test_the_steps_of_make_test_have_a_fault_of_every_sort() -> None:
    (stage,) = (stage for stage in STAGES if stage.name == "chaos")
    faults, seed = (int(stage.command[stage.command.index(option) + 1]) for option in ("--faults", "--seed"))
    struck = {kind for number in range(1, faults + 1) for kind in choose(seed, number, list(FAULTS))}
    assert [sort for sort in SORTS if not sort & struck] == [], "another seed is needed"


def step(**facts: Any) -> dict[str, Any]:
    commands = [["restart", 0, 2.5, ""]]
    return {"kinds": ["k"], "failure": "", "broken": "", "emergency": False, "refused": False} | {
        "commands": commands,
        **facts,
    }


def test_a_failure_is_counted_as_what_it_is_and_never_as_held() -> None:
    tally = Tally()
    for facts in (
        {},
        {"emergency": True},
        {"refused": True},
        {"failure": "FALSE OK: one is an orphan"},
        {"failure": "KILLED: another supervisord"},
        {"failure": "STUCK"},
        {"broken": "Traceback"},
    ):
        tally.add(step(**facts))
    row = tally.rows["k"]
    assert (row.times, row.held, row.emergency, row.refused) == (7, 2, 1, 1)
    assert (row.false_ok, row.killed, row.other) == (1, 1, 2)
    assert tally.failed == 4


def test_the_wall_clock_of_a_running_process_jumps_and_its_monotonic_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "clock"
    monkeypatch.setattr(wall_clock, "PAGE", page)
    wall_clock.jump(0.0)
    code = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.chaos.inside import wall_clock
wall_clock.PAGE = Path({str(page)!r})
wall_clock.begin()
wall, even = time.time(), time.monotonic()
print(flush=True)
sys.stdin.readline()
print(time.time() - wall, time.monotonic() - even, int(time.strftime("%Y")) - time.gmtime(wall).tm_year)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        wall_clock.jump(-800 * 86400.0)
        child.stdin.write("\n")
        child.stdin.flush()
        wall, even, years = (float(word) for word in child.stdout.readline().split())
        child.wait(60)
    assert wall == pytest.approx(-800 * 86400.0, abs=600)
    assert 0 <= even < 600
    assert years in (-2, -3)
    assert struct.unpack("d", page.read_bytes()) == (-800 * 86400.0,)
