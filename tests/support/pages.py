# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pages are made of, as hosts tell it: fleets of any size, well and in trouble."""

from __future__ import annotations

import typing as t

from tests.support.reports import NAMES, check, failed, row, status_report

# 2026-11-21 12:00 UTC.
NOW = 1_795_262_400.0
TRACEBACK = """\
Traceback (most recent call last):
  File "/opt/trading/app/service.py", line 180, in work
    self.session.subscribe(self.channels, timeout=self.timeout)
  File "/opt/trading/app/exchange.py", line 94, in subscribe
    raise ConnectionError("the exchange closed the session")
ConnectionError: the exchange closed the session"""
DATABASE = "no answer within 5 s from db.example:5432\nlast error: connection refused"
PHASES = {
    "prepare": 0.21,
    "stop": 1.32,
    "flush": 0.04,
    "start": 2.4,
    "running": 1.1,
    "healthy": 2.2,
    "verify": 2.02,
}


def run(number: int, at: float, **other: t.Any) -> t.Dict[str, t.Any]:
    """Return a run as its host tells it."""
    return {
        "run": f"20261121-08010{number}-ab1{number}",
        "time": at,
        "who": "anna via sudo",
        "mode": "full",
        "services": [],
        "automatic": False,
        "manifest": "1f2e3d4c5b6a",
        "actions": ["restart trade_executor: its command differs"],
        "result": "ok",
        "step": None,
        "seconds": 6.2,
        "changed": True,
        "message": None,
        "failed": [],
        "checks": [],
        "signals": [],
        "timings": dict(PHASES),
        **other,
    }


def rollout(step: str, began: float, **other: t.Any) -> t.Dict[str, t.Any]:
    """Return the record of a rollout on a host."""
    return {
        "id": "20261121-100000-77aa",
        "by": "ben@deploy",
        "controller": {"boot": "b", "namespace": "pid:[1]", "pid": 10, "start": 20},
        "began": began,
        "sign": began + 42.0,
        "step": step,
        "before": "20261120-080102-ab12",
        "drained": "",
        "since": 0.0,
        "leads": False,
        "origin": "20261121-100000-77aa",
        "back": False,
        "one_way": [],
        "at_work": False,
        **other,
    }


def incident(code: str, subject: str, **other: t.Any) -> t.Dict[str, t.Any]:
    """Return an incident of a watcher."""
    return {
        "id": f"{code}:{subject}",
        "code": code,
        "subject": subject,
        "services": [subject],
        "level": "critical",
        "why": f"{subject} is down",
        "evidence": "",
        "next": [],
        "since": NOW - 1800.0,
        "looks": 12,
        "restarts": 2,
        "told": "",
        "gave_up": True,
        **other,
    }


def watch(*incidents: t.Mapping[str, t.Any], **other: t.Any) -> t.Dict[str, t.Any]:
    """Return what a watcher remembers."""
    return {
        "at": NOW - 6.0,
        "interval": 15.0,
        "level": "critical" if incidents else "ok",
        "looks": 4000,
        "seconds": 0.05,
        "incidents": list(incidents),
        "recovering": {},
        "seen_before": {},
        "boot": "b",
        "grace_until": 0.0,
        "run": None,
        "deliveries": {},
        **other,
    }


def told(report: t.Any, number: int = 0, **other: t.Any) -> t.Dict[str, t.Any]:
    """Return what a host tells: its report, and what a host tells that is well."""
    return {
        "at": NOW - 2.0,
        "report": report,
        "error": None,
        "runs": [run(3, NOW - 7200.0), run(2, NOW - 90_000.0, mode="auto", seconds=3.1), run(1, NOW - 400_000.0)],
        "rollout": rollout("done", NOW - 7200.0 + number * 9.0),
        "watch": watch(),
        "release": "2026.11.3",
        "engine": "0.2.0",
        **other,
    }


def host(name: str, said: t.Optional[t.Mapping[str, t.Any]], **other: t.Any) -> t.Dict[str, t.Any]:
    """Return a host of a page: one that has told this, or one that was not reached."""
    lost: t.Dict[str, t.Any] = {"reached": True, "why": "", "last_reached": NOW, "lost_since": None}
    if said is None:
        lost = {
            "reached": False,
            "why": "Failed to connect to the host via ssh: connect to host web port 22: No route to host",
            "last_reached": NOW - 10_000.0,
            "lost_since": NOW - 5400.0,
            "next": f"ansible-playbook rollcall.supervisor.status --limit {name}",
        }
    commands = {
        "by": "ansible-playbook site.yml",
        "next": "",
        "roll_out": "ansible-playbook rollcall.supervisor.rollout",
    }
    return {"name": name, "told": said, **commands, **lost, **other}


def page_data(*hosts: t.Mapping[str, t.Any], **other: t.Any) -> t.Any:
    """Return what a page is made of."""
    return {"at": NOW, "hosts": list(hosts), "not_asked": 0, **other}


def rows(uptime: int) -> t.List[t.Dict[str, t.Any]]:
    """Return the rows of ten services that are up."""
    ports = [*range(8000, 8008), None, None]
    return [row(service, port, uptime=uptime) for service, port in zip(NAMES, ports)]


def well(name: str, number: int = 0) -> t.Dict[str, t.Any]:
    """Return a host on which all is well."""
    services = [
        row(service, None if place > 7 else 8000 + place, uptime=183_000) for place, service in enumerate(NAMES)
    ]
    return host(name, told(status_report(host=name, services=services), number))


def crashed(name: str, number: int = 0) -> t.Dict[str, t.Any]:
    """Return a host on which a service crashes at its start, and another one waits for it."""
    last = {"at": NOW - 1700.0, "lived": 1.2, "code": 1, "signal": None}
    services = rows(9000)
    services[2] = row(NAMES[2], 8001, state="BACKOFF", pid=None, health="failed", latency_ms=None, uptime=None)
    services[2] = {**services[2], "exits": 14, "last_exit": last, "answer": None, "listener_pid": None}
    services[3] = row(NAMES[3], 8007, state="STOPPED", pid=None, health="failed", latency_ms=None, uptime=None)
    tail = f"tail -n 50 /opt/trading/logs/{NAMES[2]}.log"
    checks = [
        failed("running", NAMES[2], f"BACKOFF: exited too quickly\nlog:\n{TRACEBACK}", tail, state="BACKOFF"),
        failed(
            "running", NAMES[3], f"was not started: {NAMES[2]} is not up", None, code="dependency", depends_on=NAMES[2]
        ),
    ]
    report = status_report(checks, host=name, services=services)
    return host(name, told(report, number, watch=watch(incident("not_up", NAMES[2]))))


def without_database(name: str, number: int = 0) -> t.Dict[str, t.Any]:
    """Return a host whose database does not answer."""
    checks = [failed("database", "main", DATABASE, "nc -zv db.example 5432", kind="postgresql", reached=False)]
    return host(name, told(status_report(checks, host=name), number))


def after_a_failed_run(name: str, number: int = 0) -> t.Dict[str, t.Any]:
    """Return a host that is up, and drained, after a run that failed."""
    failure = {
        "run": "20261121-080103-ab13",
        "time": NOW - 7000.0,
        "who": "ben via sudo",
        "mode": "auto",
        "result": "rolled_back",
        "step": None,
        "message": None,
        "checks": [
            {"name": "health", "subject": "main_app", "code": "wrong", "evidence": "HTTP 503 for 10 s", "next": None}
        ],
    }
    runs = [run(3, NOW - 7000.0, mode="auto", result="rolled_back", failed=["health main_app"], seconds=24.0)]
    record = rollout("failed", NOW - 7000.0, drained="haproxy", since=NOW - 6990.0)
    return host(name, told(status_report(host=name, last_failure=failure), number, runs=runs, rollout=record))


def held(name: str, number: int = 0) -> t.Dict[str, t.Any]:
    """Return a host of which a service waits for its credentials."""
    checks = [
        failed("held", NAMES[7], "credentials/kalshi.pem is missing", "bring what it needs, then run: rollcall start")
    ]
    return host(name, told(status_report([*checks, check("running", NAMES[0])], host=name), number))


def fleet(hosts: int, *, broken: bool) -> t.Any:
    """Return what the page of so many hosts is made of."""
    names = [f"web{number}" for number in range(1, hosts + 1)] if hosts > 1 else ["web1"]
    if not broken:
        return page_data(*(well(name, number) for number, name in enumerate(names)))
    if hosts == 1:
        return page_data(crashed("web1"))
    made = [well(name, number) for number, name in enumerate(names)]
    kinds: t.Sequence[t.Callable[[str, int], t.Dict[str, t.Any]]] = (crashed, after_a_failed_run, held)
    for place, kind in zip((1, 2, 4, 30), kinds):
        if place < hosts:
            made[place] = kind(names[place], place)
    made[3] = host(names[3], None)
    for place in range(40, min(hosts, 52)):
        made[place] = without_database(names[place], place)
    if hosts > 60:
        made[60] = host(names[60], None, last_reached=None)
    return page_data(*made, not_asked=0 if hosts < 10 else 3)
