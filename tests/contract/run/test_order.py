# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker that drains holds nobody down but what depends on it, in a restart of a real stack."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import typing as t
import urllib.request
from pathlib import Path

import pytest

from tests.support.processes import eventually, free_port, is_alive
from tests.support.stacks import StackUnderTest, stack

PATIENCE = 60


class Draining:
    """A stack with a worker that ends only when it is let go, while a restart is under way."""

    def __init__(self, made: StackUnderTest, gate: str) -> None:
        self.stack = made
        self._gate = gate
        self._pool = concurrent.futures.ThreadPoolExecutor(1)

    def restart(self, mode: str, **more: t.Any) -> concurrent.futures.Future[t.Any]:
        """Begin a restart, and return when the worker drains."""
        under_way = self._pool.submit(self.stack.perform, mode, **more)
        assert eventually(lambda: under_way.done() or os.path.exists(f"{self._gate}.draining"), PATIENCE)
        assert not under_way.done(), under_way.result()
        return under_way

    def let_go(self) -> None:
        Path(self._gate).touch()

    def end(self) -> None:
        self.let_go()
        self._pool.shutdown()


@contextlib.contextmanager
def draining(services: t.Dict[str, t.Any], tmp_path: Path) -> t.Iterator[Draining]:
    gate = str(tmp_path / "gate")
    worker = {"env": {"DRAINS_UNTIL": gate}, "stop": {"timeout": 120}}
    with stack({**services, "worker": {**worker, **services.get("worker", {})}}) as made:
        found = Draining(made, gate)
        try:
            assert made.perform()["ok"]
            yield found
        finally:
            found.end()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def row(report: t.Mapping[str, t.Any], name: str) -> t.Any:
    return next(one for one in report["services"] if one["name"] == name)


@pytest.mark.parametrize("mode", ["full", "quick"])
def test_while_a_worker_drains_before_a_restart_of_everything_the_others_still_run(tmp_path: Path, mode: str) -> None:
    port = free_port()
    web = {"port": port, "health": {"http": "/health"}, "depends_on": {"base": "running"}}
    with draining({"base": {}, "web": web, "worker": {"depends_on": {"base": "running"}}}, tmp_path) as drained:
        before = drained.stack.pids()
        under_way = drained.restart(mode, installed=True)
        assert answers(port)
        assert all(is_alive(pid) for pid in before.values())
        drained.let_go()
        report = under_way.result(PATIENCE)
        assert report["ok"]
        assert not set(before.values()) & set(drained.stack.pids().values())
        assert row(report, "web")["downtime"] < row(report, "worker")["downtime"]


def test_what_depends_on_the_worker_that_drains_is_down_before_it(tmp_path: Path) -> None:
    with draining({"front": {"depends_on": {"worker": "running"}}, "other": {}}, tmp_path) as drained:
        before = drained.stack.pids()
        under_way = drained.restart("full", installed=True)
        assert not is_alive(before["front"])
        assert is_alive(before["other"])
        drained.let_go()
        assert under_way.result(PATIENCE)["ok"]


def test_a_report_tells_for_how_long_each_service_was_away_that_was_restarted(tmp_path: Path) -> None:
    with draining({"web": {"port": free_port(), "health": {"http": "/health"}}}, tmp_path) as drained:
        report = drained.stack.perform("full", installed=True, services=("web",))
        assert row(report, "web")["downtime"] > 0
        assert row(drained.stack.status(), "web")["downtime"] is None


def repainted(drained: Draining, *names: str) -> None:
    """Change services in the manifest, so that a run restarts them."""
    for name in names:
        drained.stack.raw["services"][name].setdefault("env", {})["COLOUR"] = "green"


@pytest.mark.parametrize("named", [True, False], ids=["by name", "auto"])
def test_what_does_not_need_the_worker_is_up_again_while_it_still_drains(tmp_path: Path, named: bool) -> None:
    port = free_port()
    web = {"port": port, "health": {"http": "/health"}}
    with draining({"web": web, "front": {"depends_on": {"web": "healthy"}}}, tmp_path) as drained:
        before = drained.stack.pids()
        repainted(drained, "web", "worker")
        if named:
            under_way = drained.restart("full", installed=True, services=("web", "worker"))
        else:
            under_way = drained.restart("auto")
        assert eventually(lambda: renewed(drained.stack, before) == {"web", "front"}, PATIENCE)
        assert eventually(lambda: answers(port), PATIENCE)
        assert is_alive(before["worker"])
        drained.let_go()
        report = under_way.result(PATIENCE)
        assert report["ok"]
        assert renewed(drained.stack, before) == {"web", "front", "worker"}
        assert row(report, "web")["downtime"] < row(report, "worker")["downtime"]


def renewed(made: StackUnderTest, before: t.Mapping[str, int]) -> t.Set[str]:
    pids = made.pids()
    return {name for name in before if name in pids and pids[name] != before[name]}


def test_what_needs_the_same_service_as_the_worker_runs_until_the_worker_has_drained(tmp_path: Path) -> None:
    port = free_port()
    web = {"port": port, "health": {"http": "/health"}, "depends_on": {"base": "running"}}
    services = {"base": {}, "web": web, "worker": {"depends_on": {"base": "running"}}}
    with draining(services, tmp_path) as drained:
        before = drained.stack.pids()
        repainted(drained, "base")
        under_way = drained.restart("auto")
        assert answers(port)
        assert is_alive(before["web"])
        assert is_alive(before["base"])
        drained.let_go()
        assert under_way.result(PATIENCE)["ok"]
        assert renewed(drained.stack, before) == {"base", "web", "worker"}


def test_a_service_that_gets_the_port_of_one_that_drains_waits_for_it(tmp_path: Path) -> None:
    first, second, third = free_port(), free_port(), free_port()
    web = {"port": first, "health": {"http": "/health"}}
    with draining({"web": web, "worker": {"port": second}, "other": {}}, tmp_path) as drained:
        drained.stack.raw["services"]["web"]["port"] = second
        drained.stack.raw["services"]["worker"]["port"] = third
        repainted(drained, "other")
        before = drained.stack.pids()
        under_way = drained.restart("auto")
        assert eventually(lambda: "other" in renewed(drained.stack, before), PATIENCE)
        assert eventually(lambda: not is_alive(before["web"]), PATIENCE)
        assert "web" not in renewed(drained.stack, before)
        drained.let_go()
        report = under_way.result(PATIENCE)
        assert report["ok"]
        assert answers(second)


def test_what_is_removed_stops_beside_and_what_is_new_starts_at_once(tmp_path: Path) -> None:
    with draining({"other": {}}, tmp_path) as drained:
        del drained.stack.raw["services"]["worker"]
        drained.stack.raw["services"]["new"] = {}
        under_way = drained.restart("auto")
        assert eventually(lambda: "new" in drained.stack.pids(), PATIENCE)
        drained.let_go()
        report = under_way.result(PATIENCE)
        assert report["ok"]
        assert sorted(drained.stack.pids()) == ["new", "other"]
        assert drained.stack.perform()["actions"] == []
