# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process wrote until it ended is not held against the one that replaces it, whatever the mode."""

from __future__ import annotations

import typing as t

import pytest

from tests.support.processes import eventually
from tests.support.stacks import StackUnderTest, failed_checks, stack

# It ends as it is told to, and prints a traceback while it does so.
LOUD_AT_ITS_END = """
import signal, sys, time
def end(*_):
    try:
        raise RuntimeError("interrupted")
    except RuntimeError:
        import traceback
        traceback.print_exc()
        sys.stderr.flush()
        sys.exit(1)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    time.sleep({pause})
    {meanwhile}
"""


def loud(made: StackUnderTest, meanwhile: str = "pass", pause: float = 60.0) -> t.Dict[str, t.Any]:
    """Return a service whose program does that between its pauses; of one line, as a command must be."""
    text = LOUD_AT_ITS_END.replace("{meanwhile}", meanwhile).replace("{pause}", str(pause))
    return {"command": [made.program, "-u", "-c", f"exec({text!r})"]}


def is_ready(made: StackUnderTest, service: str = "one") -> bool:
    with open(f"{made.paths.logs}/{service}.log", encoding="utf-8") as stream:
        return "ready" in stream.read()


@pytest.mark.parametrize("mode", ["auto", "full", "quick", "emergency"])
def test_a_correction_is_not_judged_by_what_the_old_process_prints_as_it_ends(mode: str) -> None:
    with stack({"one": {}, "two": {}}) as made:
        made.raw["services"]["one"] = loud(made)
        assert made.perform()["ok"]
        assert eventually(lambda: is_ready(made))
        made.raw["services"]["one"] = {}
        report = made.perform(mode, on_failure="rollback")
        assert failed_checks(report) == []
        assert report["result"] == "ok"


def test_a_rerun_that_restarts_the_same_process_is_not_judged_by_the_old_one() -> None:
    with stack({"one": {}}) as made:
        made.raw["services"]["one"] = loud(made)
        assert made.perform()["ok"]
        assert eventually(lambda: is_ready(made))
        assert failed_checks(made.perform("full", installed=True)) == []


def test_what_was_written_between_the_begin_of_the_run_and_the_stop_does_not_count() -> None:
    with stack({"one": {}}) as made:
        made.raw["services"]["one"] = loud(made, 'print("CRITICAL: out of ink", flush=True)', pause=0.005)
        assert failed_checks(made.perform()) == [("logs", "one")]
        made.raw["services"]["one"] = {}
        assert failed_checks(made.perform()) == []


def test_a_service_that_is_left_alone_is_judged_by_all_that_it_writes() -> None:
    meanwhile = 'import os; os.path.exists("{flag}") and print("CRITICAL: out of ink", flush=True)'
    with stack({"one": {}, "two": {}}) as made:
        flag = f"{made.root}/flag"
        made.raw["services"]["one"] = loud(made)
        made.raw["services"]["two"] = loud(made, meanwhile.replace("{flag}", flag), pause=0.01)
        assert made.perform()["ok"]
        with open(flag, "w", encoding="utf-8"):
            pass
        made.raw["services"]["one"] = {}
        assert failed_checks(made.perform()) == [("logs", "two")]
