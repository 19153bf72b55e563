# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service with several health checks, which is alive and not ready for a while."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import rollcall
from tests.support.processes import free_port
from tests.support.stacks import check_of, failed_checks, stack


def test_a_service_that_is_alive_and_not_ready_is_told_so_gates_starts_and_is_not_restarted() -> None:
    exists = {"timeout": 20, "exec": ["test", "-e"]}
    health = [
        {"http": "/health"},
        {**exists, "exec": ["test", "-e", "ready"], "name": "ready", "proves": "ready"},
        {**exists, "exec": ["test", "-e", "warm"], "name": "warm"},
    ]
    web = {"port": free_port(), "directory": "work", "health": health, "ready_timeout": 8}
    with stack({"web": web, "front": {"depends_on": ["web"]}, "other": {}}) as made:
        ready, warm = Path(made.root, "work", "ready"), Path(made.root, "work", "warm")
        ready.parent.mkdir()
        warm.touch()
        report = made.perform()
        assert {("running", "web"), ("running", "front")} <= set(failed_checks(report))
        assert "its health (ready) is exit code 1" in check_of(report, "running", "web")["evidence"]

        ready.touch()
        made.raw["services"]["web"]["start"] = {"grace": 3600}
        made.raw["services"]["web"]["ready_timeout"] = 3600
        report = made.perform()
        assert report["ok"], failed_checks(report)
        row = report["services"][0]
        assert [(one["name"], one["proves"], one["ok"]) for one in row["asked"]] == [
            ("http", "both", True),
            ("ready", "ready", True),
            ("warm", "both", True),
        ]
        assert row["latency_ms"] == max(one["latency_ms"] for one in row["asked"])
        evidence = check_of(report, "health", "web")["evidence"]
        assert evidence.startswith("http: 200 in ")
        assert "; warm: exit code 0 in " in evidence
        pids = made.pids()

        # Drained: nothing is ill, nothing is restarted or taken back for it, and nobody says OK.
        ready.unlink()
        shown = rollcall(made, "status")
        assert shown.code == 1
        assert "NOT READY" in shown.out
        made.raw["services"]["other"]["env"] = {"NEW": "1"}
        report = made.perform()
        assert (report["ok"], report["result"], failed_checks(report)) == (False, "not_ready", [("ready", "web")])
        assert report["rolled_back"] is None
        after = made.pids()
        assert (after["web"], after["front"]) == (pids["web"], pids["front"])
        assert after["other"] != pids["other"]

        # Warming up: a bad answer of any check says no more than that.
        ready.touch()
        warm.unlink()
        report = made.status()
        assert (report["result"], report["services"][0]["health"]) == ("not_ready", "not_ready")
        assert "it may warm up until it is 3600 s old" in check_of(report, "ready", "web")["evidence"]
        assert check_of(report, "health", "web")["ok"]
