# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports as the engine makes them, for what shows them."""

from __future__ import annotations

import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.checks import CHECKS
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.stop_checks import STOP_CHECKS

KINDS = {kind.name: kind for kind in (*STOP_CHECKS, *CHECKS)}
WITHOUT_DATA = {"running": "unknown", "port": "free", "health": "not_asked"}
WITH_DATA = {"running": "down", "port": "taken", "health": "wrong"}
NAMES = (
    "main_app",
    "trade_manager",
    "trade_executor",
    "active_trade_supervisor",
    "auto_entry_supervisor",
    "unified_production_coordinator",
    "system_monitor",
    "kalshi_account_sync",
    "kalshi_api_watchdog",
    "cascading_failure_detector",
)
PORTS = (3000, 4000, 8001, 8007, 8009, 8010, 8011, 8012, None, None)
RUN = "20261121-080102-ab12"


def row(name: str, port: t.Optional[int], **other: t.Any) -> t.Dict[str, t.Any]:
    """Return the row of a service that is up."""
    return {
        "name": name,
        "kind": "service",
        "state": "RUNNING",
        "pid": 4200,
        "port": port,
        "ports": {},
        "udp": [],
        "socket": None,
        "health": "none" if port is None else "ok",
        "latency_ms": None if port is None else 1.2,
        "answer": None if port is None else "HTTP 200",
        "asked": [],
        "listener_pid": None if port is None else 4200,
        "provenance": None if port is None else "supervised",
        "uptime": 5,
        "exits": 0,
        "last_exit": None,
        "stopped": None,
        "downtime": None,
        **other,
    }


def check(name: str, subject: str, evidence: str = "held", **other: t.Any) -> t.Dict[str, t.Any]:
    """Return a check that passed, unless other keys say otherwise."""
    kind = KINDS[name]
    return {
        "name": name,
        "subject": subject,
        "ok": True,
        "code": None,
        "evidence": evidence,
        "next": None,
        "data": {},
        "condition": kind.condition or None,
        "step": kind.step,
        **other,
    }


def failed(
    name: str, subject: str, evidence: str, command: t.Optional[str], *, code: str = "", **data: t.Any
) -> t.Dict[str, t.Any]:
    """Return a check that failed.

    Args:
        name: of it.
        subject: of it.
        evidence: of it.
        command: to run next.
        code: what is wrong; without it what the check says that has no data, or has some.
        data: of it.
    """
    found = code or (WITH_DATA if data else WITHOUT_DATA).get(name) or next(iter(KINDS[name].codes))
    assert found in KINDS[name].codes, (name, found)
    return check(name, subject, evidence, ok=False, code=found, next=command, data=data)


def status_report(
    checks: t.Sequence[t.Mapping[str, t.Any]] = (), *, names: t.Sequence[str] = NAMES, **other: t.Any
) -> t.Any:
    """What ``rollcall status --json`` prints: ten services, all up but for the failed ones among ``checks``."""
    ports = dict(zip(NAMES, PORTS))
    held = [check("supervisord", "trading"), *(check("running", name) for name in names)]
    ok = all(entry["ok"] for entry in checks)
    only_held = all(entry["ok"] or entry["name"] == "held" for entry in checks)
    return {
        "stack": "trading",
        "root": "/opt/trading",
        "host": "web1",
        "ok": ok,
        "result": "ok" if ok else "held" if only_held else "degraded",
        "services": [row(name, ports.get(name)) for name in names],
        "timers": [],
        "whole": True,
        "checks": [*held, *checks],
        "address": "http://127.0.0.1:3000/",
        "logs": "/opt/trading/logs",
        "held": {},
        "generation": {"id": RUN, "verified": ok},
        "limit": 20.0,
        "unfinished_run": None,
        "last_failure": None,
        "run_at_work": None,
        "watcher": None,
        "next": list(dict.fromkeys(entry["next"] for entry in checks if entry["next"])),
        "mode": None,
        "changed": None,
        "actions": [],
        "signals": [],
        "notes": [],
        "manifest_digest": None,
        "run": None,
        "seconds": None,
        "timings": {},
        "rolled_back": None,
        "standing": None,
        **other,
    }


def restart_report(checks: t.Sequence[t.Mapping[str, t.Any]] = (), **other: t.Any) -> t.Any:
    """What ``rollcall restart full --json`` prints."""
    return {
        **status_report(checks),
        "mode": "full",
        "changed": True,
        "timings": {"stop": 0.1, "start": 1.2},
        "seconds": 1.93,
        "run": RUN,
        "manifest_digest": "1f2e",
        **other,
    }
