# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``site.yml --check --diff`` announces of a change to the manifest is what ``site.yml`` then does, no more."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.quoting import one_variable_a_line
from tests.support.playbooks import outcome, play, prepare
from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, stack

pytestmark = pytest.mark.usefixtures("bystander")

Raw = t.Dict[str, t.Any]


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    services = {
        "base": {"port": free_port(), "health": {"http": "/health"}},
        "middle": {"depends_on": ["base"], "secrets": {"TOKEN": "first-token"}},
        "alone": {"port": free_port()},
        "last": {},
    }
    with stack(services) as one:
        assert one.perform()["ok"]
        yield one


@dataclass(frozen=True)
class Change:
    """One edit of the manifest, and which services it restarts, starts and removes."""

    edit: t.Callable[[Raw], t.Any]
    restarts: t.Tuple[str, ...] = ()
    starts: t.Tuple[str, ...] = ()
    removes: t.Tuple[str, ...] = ()


def set_in(*place: str, value: t.Any) -> t.Callable[[Raw], None]:
    """Return an edit that sets one value; a function as value is called when the edit is made."""

    def edit(raw: Raw) -> None:
        where = raw
        for key in place[:-1]:
            where = where.setdefault(key, {})
        where[place[-1]] = value() if callable(value) else value

    return edit


EVERYTHING = ("base", "middle", "alone", "last")
CHANGES = {
    "a variable": Change(set_in("services", "alone", "env", value={"LEVEL": "debug"}), ("alone",)),
    "the port of one that others need": Change(set_in("services", "base", "port", value=free_port), ("base", "middle")),
    "a new service": Change(set_in("services", "new", value={}), starts=("new",)),
    "a service less": Change(lambda raw: raw["services"].pop("alone"), removes=("alone",)),
    "a command": Change(set_in("services", "last", "command", value=["sleep", "600"]), ("last",)),
    "what health is asked": Change(set_in("services", "base", "health", value={"http": "/other"})),
    "who needs whom": Change(set_in("services", "last", "depends_on", value=["middle"])),
    "the time to stop": Change(set_in("services", "middle", "stop", value={"timeout": 2}), ("middle",)),
    "a secret": Change(set_in("services", "middle", "secrets", value={"TOKEN": "second-token"}), ("middle",)),
    "the name of the stack": Change(set_in("name", value="renamed"), EVERYTHING),
    "two instances for one service": Change(
        set_in("services", "last", "instances", value=2), starts=("last-1", "last-2"), removes=("last",)
    ),
    "a description": Change(set_in("services", "last", "description", value="counts things")),
}


def look(made: StackUnderTest) -> t.Tuple[t.Dict[str, int], t.List[int], str, t.List[str]]:
    """Return all that a check may not move: pids, the supervisord, the installed generation, the records of runs."""
    daemons = [process.pid for process in made.daemons()]
    return made.pids(), daemons, os.readlink(made.paths.etc), sorted(os.listdir(Path(made.paths.state, "runs")))


def shown(text: str, sign: str) -> t.Set[str]:
    """Return the lines that a diff shows as added or as taken away."""
    lines = [line[1:] for line in text.splitlines() if line.startswith(sign) and not line.startswith(sign * 3)]
    return {line for line in lines if line.strip()}


# Those that differ in kind; `make exhaustive` has the others.
ORDINARY = {
    *("a variable", "the port of one that others need", "a service less", "what health is asked"),
    *("the name of the stack", "two instances for one service"),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ORDINARY else pytest.mark.exhaustive) for name in CHANGES]
)
def test_what_is_announced_is_what_happens(made: StackUnderTest, name: str) -> None:
    change = CHANGES[name]
    change.edit(made.raw)
    prepare(made)
    before, config = look(made), Path(made.paths.config).read_text(encoding="utf-8")

    checked = play(made, "site.yml", "--check", "--diff")
    assert checked.returncode == 0, checked.stdout
    announced = outcome(made)
    assert look(made) == before, "a check touches nothing"
    assert announced["result"] == "planned"
    for action in announced["actions"]:
        assert f"{action['action']} {action['subject']}: {action['reason']}" in checked.stdout

    done = play(made, "site.yml", "--diff")
    assert done.returncode == 0, done.stdout
    report = outcome(made)
    assert report["ok"]
    assert report["actions"] == announced["actions"]
    assert (report["changed"], "changed=1" in done.stdout) == (True, True)

    # From outside: which processes are others now, and what the file says.
    after, daemons, _link, _runs = look(made)
    assert {one for one in before[0] if after.get(one) == before[0][one]} == (
        set(before[0]) - set(change.restarts) - set(change.removes)
    )
    assert set(after) == (set(before[0]) | set(change.starts)) - set(change.removes)
    assert (daemons == before[1]) == (set(change.restarts) != set(EVERYTHING))
    new = set(one_variable_a_line(Path(made.paths.config).read_text(encoding="utf-8")).splitlines())
    old = set(one_variable_a_line(config).splitlines())
    # Lines that other sections have as well are in both.
    assert new - old <= shown(checked.stdout, "+") <= new
    assert old - new <= shown(checked.stdout, "-") <= old
    assert "-token" not in checked.stdout + done.stdout
    assert not [line for line in shown(checked.stdout, "+") if line.startswith("environment=") and "," in line]

    assert restart.describe_plan(made.request())["actions"] == []


def test_a_check_where_nothing_has_changed_announces_nothing(made: StackUnderTest) -> None:
    prepare(made)
    again = play(made, "site.yml", "--check", "--diff")
    assert (again.returncode, "changed=0" in again.stdout) == (0, True), again.stdout
    assert outcome(made)["actions"] == []


def test_a_run_with_nothing_to_do_has_at_most_ten_tasks_and_shows_none(made: StackUnderTest) -> None:
    prepare(made)
    again = play(made, "site.yml")
    assert (again.returncode, "changed=0" in again.stdout) == (0, True), again.stdout
    (counts,) = re.findall(r"ok=(\d+) .* skipped=(\d+)", again.stdout)
    assert sum(map(int, counts)) <= 10
    assert "\nTASK [" not in again.stdout, again.stdout
