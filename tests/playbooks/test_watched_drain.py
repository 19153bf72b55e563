# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host behind a real HAProxy whose rollout was killed: that nobody takes it back is told once, and that one does."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.watch.symptoms import FORGOTTEN
from tests.contract.watch.test_watch import WATCH, Watching, watching
from tests.playbooks.test_rollout import Fleet, fleet, servers
from tests.support import haproxy
from tests.support.processes import eventually
from tests.support.receivers import HttpReceiver
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest

__all__ = ["fleet"]

BOUND = 200


def killed_when_drained(rollout: t.Sequence[str], balancer: haproxy.Balancer) -> None:
    """Begin a rollout, and kill it as soon as the balancer gives the first host no more new sessions."""
    with subprocess.Popen(
        rollout, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as run:
        try:
            assert eventually(lambda: balancer.status("web/h1") in ("DRAIN", "MAINT"), BOUND)
        finally:
            os.killpg(run.pid, signal.SIGKILL)


def age(made: StackUnderTest, seconds: float) -> None:
    """Have the last sign of life of a host's rollout be so long ago."""
    record = Path(made.paths.state, "rollout.json")
    known = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps({**known, "sign": known["sign"] - seconds}), encoding="utf-8")


def of_drain(watcher: Watching) -> list[str]:
    """Return what was told of the drain; the looks are so dense that a moment of the run may be told as well."""
    return [event for event, scope in watcher.told() if scope == "drain"]


def alerts(receiver: HttpReceiver) -> list[dict[str, t.Any]]:
    """Return the alerts about the drain that have come."""
    return [request.data for request in receiver.taken if request.data["id"] == "drain"]


@pytest.mark.long
def test_a_drain_that_nobody_took_back_is_told_once_and_once_when_somebody_has(fleet: Fleet, tmp_path: Path) -> None:
    canary = fleet.hosts["h1"]
    with contextlib.ExitStack() as held:
        receiver = held.enter_context(HttpReceiver())
        canary.raw["watch"] = {**WATCH, "alerts": [{"kind": "webhook", "url": receiver.url}]}
        assert canary.perform()["ok"]
        balancer = held.enter_context(haproxy.running(servers(fleet), "http"))
        assert eventually(lambda: all(balancer.status(f"web/{name}") == "UP" for name in fleet.hosts), BOUND)
        by_haproxy = {
            "rollout_drain": "haproxy",
            "rollout_balancers": ["balancer"],
            "rollout_batches": [1],
            "drain_haproxy_sockets": [balancer.socket],
            "drain_record_directory": str(tmp_path / "drained"),
        }
        watcher = held.enter_context(watching(canary))
        assert eventually(watcher.is_calm, BOUND)
        fleet.bring("2")
        killed_when_drained(fleet.command(all=by_haproxy), balancer)
        # What the host has begun it brings to its end. Who killed it may go on with it, so nobody is told for a while.
        assert eventually(lambda: not canary.is_locked() and watcher.is_calm(), BOUND)
        known = len(watcher.documents)
        assert eventually(lambda: len(watcher.documents) > known + 3, BOUND)
        assert of_drain(watcher) == []

        age(canary, FORGOTTEN)
        assert eventually(lambda: of_drain(watcher) == ["degraded"], BOUND), watcher.documents[-1]
        assert balancer.status("web/h1") in ("DRAIN", "MAINT")
        known = len(watcher.documents)
        assert eventually(lambda: len(watcher.documents) > known + 3, BOUND)

        again = fleet.roll_out(all=by_haproxy)
        assert again.returncode == 0, again.stdout
        assert eventually(lambda: {balancer.status(f"web/{name}") for name in fleet.hosts} == {"UP"}, BOUND)
        assert eventually(lambda: of_drain(watcher) == ["degraded", "recovered"], BOUND), watcher.documents[-1]
        assert eventually(lambda: len(alerts(receiver)) >= 2 and watcher.is_calm(), BOUND), watcher.documents[-1]
        assert of_drain(watcher) == ["degraded", "recovered"]
        sent = alerts(receiver)
    assert [(alert["alert"], alert["code"]) for alert in sent] == [("degraded", "drained"), ("recovered", "drained")]
    assert sent[0]["title"].startswith("nobody takes this host back: drained by haproxy since ")
