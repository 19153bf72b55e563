# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Did it hold: from what was observed to the checks that decide success. Pure; only a verdict says success."""

from __future__ import annotations

import shlex
import typing as t
from dataclasses import dataclass, field

from ..base.errors import Problem, RollcallError
from ..host.model import Identity, Process
from ..manifest.model import DatabaseCheck, Service, Stack
from ..ports.provenance import FOREIGN, UNKNOWN, Holder
from ..probes.answers import DatabaseAnswer, HealthAnswer
from ..supervisord import client_errors, config
from ..supervisord.client import ProgramState


@dataclass(frozen=True)
class Check:
    """One condition of the verdict.

    Attributes:
        name: files, dependencies, supervisord, held, running, stable, restarted, port, health, reached, database, logs,
            removed or orphans.
        subject: the service, or the stack.
        ok: whether it held.
        evidence: what was seen, in one or several lines, for people.
        next: the command or edit to try next; None when it held.
        data: the same facts for machines.
    """

    name: str
    subject: str
    ok: bool
    evidence: str
    next: t.Optional[str] = None
    data: t.Mapping[str, t.Any] = field(default_factory=dict)

    def as_dict(self) -> t.Dict[str, t.Any]:
        """Return the check as data."""
        return {
            "name": self.name,
            "subject": self.subject,
            "ok": self.ok,
            "evidence": self.evidence,
            "next": self.next,
            "data": dict(self.data),
        }


@dataclass(frozen=True)
class Observation:
    """What was seen of a stack at one moment.

    Attributes:
        daemons: every live supervisord over this stack's config.
        daemon: the one that answers on the stack's socket; None when none does.
        version: of supervisor, as that one says it.
        silence: why none answers.
        programs: what supervisord says of each program.
        holders: who listens, by port.
        health: the last health answer of each service that has a health check.
        files: directories of the stack and its services that are missing or cannot be used.
        dependencies: programs of the services that are missing or cannot be used.
        orphans: processes of the stack that no answering supervisord of it holds.
        keepers: the program of another supervisord that an orphan is, by its pid.
        databases: the answer of each database that is checked, by its kind.
    """

    daemons: t.Sequence[Process] = ()
    daemon: t.Optional[Process] = None
    version: t.Optional[str] = None
    silence: t.Optional[RollcallError] = None
    programs: t.Mapping[str, ProgramState] = field(default_factory=dict)
    holders: t.Mapping[int, t.Sequence[Holder]] = field(default_factory=dict)
    health: t.Mapping[str, HealthAnswer] = field(default_factory=dict)
    files: t.Sequence[Problem] = ()
    dependencies: t.Sequence[Problem] = ()
    orphans: t.Sequence[Process] = ()
    keepers: t.Mapping[int, str] = field(default_factory=dict)
    databases: t.Mapping[str, DatabaseAnswer] = field(default_factory=dict)


@dataclass(frozen=True)
class Expectation:
    """What a run adds to what must hold.

    Attributes:
        before: pid and start of each service that had to be restarted, as they were before.
        first: pid and start of each service when it was first seen ready in this run.
        failed: services that did not come up, with the reason.
        held: services that are to stay down, because something they require is missing, with the reason.
        freed: who holds the port of each service that was removed.
        critical: critical lines found in the logs since the run began, by service.
        tails: the last lines of the logs since the run began, by service.
        logs: whether the logs were read.
    """

    before: t.Mapping[str, Identity] = field(default_factory=dict)
    first: t.Mapping[str, Identity] = field(default_factory=dict)
    failed: t.Mapping[str, str] = field(default_factory=dict)
    held: t.Mapping[str, str] = field(default_factory=dict)
    freed: t.Mapping[str, t.Sequence[Holder]] = field(default_factory=dict)
    critical: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)
    tails: t.Mapping[str, str] = field(default_factory=dict)
    logs: bool = False


def identity(program: ProgramState) -> Identity:
    """Return what tells one life of a program from the next: its pid and when the kernel saw it start."""
    return (program.pid, program.born)


def completed(program: ProgramState) -> bool:
    """Return whether a one-shot has run to a good end."""
    return program.state == "EXITED" and program.exit_status == 0


def listener_of(service: Service, seen: Observation) -> t.Optional[Holder]:
    """Return who listens on the service's port, its own process first; None when nobody does."""
    if service.port is None:
        return None
    holders = seen.holders.get(service.port, ())
    return next((holder for holder in holders if owns(service, holder)), next(iter(holders), None))


def owns(service: Service, holder: Holder) -> bool:
    """Return whether the listener belongs to the process supervisord reports for this very service."""
    return holder.provenance == "supervised" and holder.service == service.name


def trouble(service: Service, seen: Observation) -> t.Optional[str]:
    """Return why a service that should be up is not healthy, in a few words; None when it is."""
    program = seen.programs.get(service.name)
    if program is None:
        return "supervisord does not know it"
    if service.kind == "oneshot":
        return None if completed(program) else describe_state(program)
    if program.state != "RUNNING":
        return describe_state(program)
    if service.port is not None:
        holder = listener_of(service, seen)
        if holder is None:
            return f"nothing listens on port {service.port}"
        if not owns(service, holder):
            return f"port {service.port} is taken by {holder.summary}"
    answer = seen.health.get(service.name)
    if answer is not None and not answer.ok:
        return f"health: {answer.detail}"
    return None


def describe_state(program: ProgramState) -> str:
    """Return supervisord's state with what explains it: spawn error or exit status."""
    if program.state == "EXITED":
        return f"EXITED with status {program.exit_status}"
    if program.spawn_error:
        return f"{program.state}: {program.spawn_error}"
    return program.state


def judge(stack: Stack, seen: Observation, expected: Expectation) -> t.List[Check]:
    """Return every condition of success with its evidence; the verdict holds when all of them do."""
    checks = [
        _installed(stack, "files", seen.files),
        _installed(stack, "dependencies", seen.dependencies),
        _supervisord(stack, seen),
    ]
    for service in stack.services:
        checks += _service(stack, service, seen, expected)
    for database in stack.checks.databases:
        # Whose service is held has no URL yet, as the case may be, and the check of what it waits for says so.
        if database.kind in seen.databases and not _held(stack, database, expected):
            checks += _database(stack, database, seen.databases[database.kind])
    if expected.logs:
        checks += [_logs(stack, service, expected) for service in stack.services]
    checks += [_removed(name, holders) for name, holders in expected.freed.items()]
    checks.append(_orphans(stack, seen))
    return checks


def _installed(stack: Stack, name: str, problems: t.Sequence[Problem]) -> Check:
    if not problems:
        return Check(name, stack.name, True, "all are there")
    lines = [f"{problem.place}: {problem.message}" for problem in problems]
    return Check(name, stack.name, False, "\n".join(lines), "ansible-playbook site.yml", {"problems": lines})


def result_of(checks: t.Iterable[Check]) -> str:
    """Return the one word for how it ended: ``ok``; ``held``, nothing failed but some services wait; ``degraded``."""
    failed = {check.name for check in checks if not check.ok}
    return "ok" if not failed else "held" if failed == {"held"} else "degraded"


def _removed(name: str, holders: t.Sequence[Holder]) -> Check:
    """The condition of a removal: nothing of the stack holds the port any more; a stranger may."""
    ours = [holder for holder in holders if holder.provenance not in (FOREIGN, UNKNOWN)]
    if ours:
        evidence = f"it is removed, and its port {ours[0].listener.port} is still taken by {ours[0].summary}"
        return Check("removed", name, False, evidence, "rollcall restart full")
    return Check("removed", name, True, "it is stopped and its port is free")


def judge_stopped(stack: Stack, seen: Observation) -> t.List[Check]:
    """Return the conditions of a stop: no supervisord, no process and no listener of the stack is left."""
    pids = [process.pid for process in seen.daemons]
    evidence = "none runs" if not pids else f"still alive: pid {' '.join(map(str, pids))}"
    remedy = f"kill -KILL {' '.join(map(str, pids))}" if pids else None
    checks = [Check("stopped", stack.name, not pids, evidence, remedy, {"pids": pids}), _orphans(stack, seen)]
    for service in stack.services:
        holder = listener_of(service, seen)
        if holder is not None and holder.provenance != "foreign":
            evidence = f"port {service.port} is still taken by {holder.summary}"
            remedy = end_command(holder) if holder.provenance == UNKNOWN else "rollcall restart emergency"
            checks.append(Check("port", service.name, False, evidence, remedy))
    return checks


def _supervisord(stack: Stack, seen: Observation) -> Check:
    others = [process for process in seen.daemons if seen.daemon is None or process.pid != seen.daemon.pid]
    if seen.daemon is None:
        error = seen.silence
        evidence = error.message if error is not None else "no supervisord runs over this stack"
        if others:
            pids = ", ".join(f"pid {process.pid}" for process in others)
            if error is not None and error.evidence.get("problem") in (client_errors.ABSENT, client_errors.STALE):
                socket = "is gone" if error.evidence["problem"] == client_errors.ABSENT else "is not its own any more"
                evidence = (
                    f"supervisord lives ({pids}), and its socket {stack.paths.socket} {socket}: it cannot be asked"
                )
            else:
                evidence += f"; alive over this config: {pids}"
        remedy = error.remedies[0] if error is not None and error.remedies else "rollcall restart full"
        return Check("supervisord", stack.name, False, evidence, remedy)
    if others:
        pids = ", ".join(str(process.pid) for process in others)
        evidence = f"pid {seen.daemon.pid} answers, but pid {pids} runs over the same config as well"
        return Check("supervisord", stack.name, False, evidence, "rollcall restart full")
    data = {"pid": seen.daemon.pid, "version": seen.version}
    evidence = f"pid {seen.daemon.pid} answers (supervisor {seen.version})"
    return Check("supervisord", stack.name, True, evidence, data=data)


def _service(stack: Stack, service: Service, seen: Observation, expected: Expectation) -> t.List[Check]:
    program = seen.programs.get(service.name)
    if service.name in expected.held and (program is None or not program.pid):
        return [Check("held", service.name, False, expected.held[service.name])]
    left = [process for process in seen.orphans if process.label and process.label.service == service.name]
    running = _running(stack, service, program, expected, left)
    checks = [running]
    if program is not None and service.kind == "service" and running.ok:
        checks.append(_stable(service, program, expected, stack))
        if service.name in expected.before:
            checks.append(_restarted(service, program, expected))
    if service.port is not None:
        checks.append(_port(service, seen))
    if service.health is not None:
        checks.append(_health(service, seen))
    return checks


def _log_command(stack: Stack, service: Service) -> str:
    return f"tail -n 50 {config.log_file(stack, service.name)}"


def _with_tail(evidence: str, service: Service, expected: Expectation) -> str:
    tail = expected.tails.get(service.name, "").rstrip()
    return f"{evidence}\nlog since the run began:\n{tail}" if tail else evidence


def _running(
    stack: Stack,
    service: Service,
    program: t.Optional[ProgramState],
    expected: Expectation,
    left: t.Sequence[Process],
) -> Check:
    """The condition that a service runs, or a one-shot has run.

    Args:
        stack: the manifest.
        service: of it.
        program: what supervisord says of it.
        expected: what the run adds.
        left: processes of the service that supervisord does not hold.
    """
    data: t.Dict[str, t.Any] = {}
    if program is not None:
        data = {
            "state": program.state,
            "pid": program.pid,
            "exit_status": program.exit_status,
            "spawn_error": program.spawn_error,
        }
    good = program is not None and (
        completed(program) if service.kind == "oneshot" else program.state == "RUNNING" and program.pid > 0
    )
    reason = expected.failed.get(service.name)
    if good and program is not None and reason is None:
        evidence = "ran to its end" if service.kind == "oneshot" else f"RUNNING as pid {program.pid}"
        return Check("running", service.name, True, evidence, data=data)
    state = "supervisord does not know it" if program is None else describe_state(program)
    evidence = state if reason is None or reason == state else f"{reason}; now {state}"
    if left and program is not None and not program.pid and program.exit_status == 0:
        pids = [process.pid for process in left]
        evidence = (
            f"it puts itself into the background: pid {pids[0]} '{left[0].shown}' of it lives on, and what supervisord "
            f"started has ended ({evidence})"
        )
        cure = "have it stay in the foreground by an option of its own (nginx: daemon off, redis: daemonize no)"
        return Check("running", service.name, False, evidence, cure, {**data, "background": pids})
    return Check(
        "running", service.name, False, _with_tail(evidence, service, expected), _log_command(stack, service), data
    )


def _stable(service: Service, program: ProgramState, expected: Expectation, stack: Stack) -> Check:
    first = expected.first.get(service.name)
    data = {"pid": program.pid, "uptime": round(program.age, 1), "stable_for": service.stable_for}
    if first is not None and first != identity(program):
        now = f"is gone, now pid {program.pid}" if program.pid != first[0] else "has ended"
        evidence = f"its process did not last: pid {first[0]} {now}"
        return Check(
            "stable", service.name, False, _with_tail(evidence, service, expected), _log_command(stack, service), data
        )
    return Check("stable", service.name, True, f"pid {program.pid} kept over {service.stable_for:g} s", data=data)


def _restarted(service: Service, program: ProgramState, expected: Expectation) -> Check:
    before = expected.before[service.name]
    ok = before != identity(program)
    evidence = f"pid {before[0]} before, {program.pid} now"
    remedy = None if ok else "rollcall restart full"
    return Check("restarted", service.name, ok, evidence, remedy, {"before": before[0], "after": program.pid})


def _port(service: Service, seen: Observation) -> Check:
    holder = listener_of(service, seen)
    if holder is None:
        evidence = f"nothing listens on port {service.port}"
        return Check("port", service.name, False, evidence, f"ss -ltnp 'sport = :{service.port}'")
    data = {
        "port": service.port,
        "address": holder.listener.address,
        "pid": None if holder.process is None else holder.process.pid,
        "provenance": holder.provenance,
    }
    if owns(service, holder):
        strangers = [other for other in seen.holders.get(service.port or 0, ()) if not owns(service, other)]
        if not strangers:
            return Check("port", service.name, True, f"port {service.port} is its own", data=data)
        holder = strangers[0]
    evidence = f"port {service.port} is taken by {holder.summary}"
    remedy = end_command(holder) if holder.provenance in (FOREIGN, UNKNOWN) else "rollcall restart full"
    return Check("port", service.name, False, evidence, remedy, data)


def end_command(holder: Holder) -> str:
    """Return the command that ends the holder of a port, or the one that finds it."""
    if holder.process is None:
        return f"ss -ltnp 'sport = :{holder.listener.port}'"
    return f"kill {holder.process.pid}"


def _health(service: Service, seen: Observation) -> Check:
    answer = seen.health.get(service.name)
    if answer is None:
        return Check("health", service.name, False, "was not asked: the service is not running", None)
    data = {"status": answer.status, "latency_ms": round(answer.latency * 1000, 1)}
    remedy = None if answer.ok else health_command(service)
    return Check("health", service.name, answer.ok, answer.detail, remedy, data)


def health_command(service: Service) -> str:
    """Return the shell command that asks a service's health."""
    health = service.health
    if health is None:
        return ""
    host = f"[{health.host}]" if ":" in health.host else health.host
    if health.kind == "http":
        return "curl -sS -i " + shlex.quote(f"http://{host}:{health.port}{health.path}")
    return f"nc -v {health.host} {health.port}"


def _held(stack: Stack, check: DatabaseCheck, expected: Expectation) -> bool:
    users = [service.name for service in stack.services if check.service in (service.name, service.group)]
    return bool(check.service and users) and all(name in expected.held for name in users)


def _database(stack: Stack, check: DatabaseCheck, answer: DatabaseAnswer) -> t.List[Check]:
    """The two conditions of a database: something is there to be asked, and it answers the application."""
    data = {"kind": check.kind, "reached": answer.reached, "latency_ms": round(answer.latency * 1000, 1)}
    if check.path:
        data["path"] = check.path
    if check.service:
        data.update(service=check.service, variable=check.variable)
    subject = check.subject or stack.name
    reached = f"{check.kind} is there" if answer.reached else answer.detail
    return [
        Check("reached", subject, answer.reached, reached, None if answer.reached else answer.command, data),
        Check("database", subject, answer.ok, answer.detail, None if answer.ok else answer.command, data),
    ]


def _logs(stack: Stack, service: Service, expected: Expectation) -> Check:
    lines = list(expected.critical.get(service.name, ()))
    if not lines:
        return Check("logs", service.name, True, "no critical lines since the run began")
    return Check(
        "logs",
        service.name,
        False,
        "critical lines since the run began:\n" + "\n".join(lines),
        _log_command(stack, service),
    )


def _orphans(stack: Stack, seen: Observation) -> Check:
    if not seen.orphans:
        return Check("orphans", stack.name, True, "none")
    count = len(seen.orphans)
    lines = [
        f"{count} process{'es' if count > 1 else ''} of this stack that its supervisord does not hold:",
        *(f"pid {process.pid} '{process.shown}' of user {process.user}" for process in seen.orphans),
        *(f"pid {pid} is {keeper}, which starts it again" for pid, keeper in seen.keepers.items()),
    ]
    data = {"pids": [process.pid for process in seen.orphans], "kept": sorted(seen.keepers)}
    remedy = "rollcall doctor" if seen.keepers else "rollcall restart full"
    return Check("orphans", stack.name, False, "\n".join(lines), remedy, data)


def rows(stack: Stack, seen: Observation) -> t.List[t.Dict[str, t.Any]]:
    """Return one row a service for the roll call, with the same keys whatever was seen."""
    return [_row(service, seen) for service in stack.services]


def _row(service: Service, seen: Observation) -> t.Dict[str, t.Any]:
    program = seen.programs.get(service.name)
    holder = listener_of(service, seen)
    answer = seen.health.get(service.name)
    return {
        "name": service.name,
        "kind": service.kind,
        "state": "UNKNOWN" if program is None else program.state,
        "pid": program.pid if program is not None and program.pid else None,
        "port": service.port,
        "health": "none" if service.health is None else "ok" if answer is not None and answer.ok else "failed",
        "latency_ms": None if answer is None else round(answer.latency * 1000, 1),
        "answer": None if answer is None else answer.detail,
        "listener_pid": None if holder is None or holder.process is None else holder.process.pid,
        "provenance": None if holder is None else holder.provenance,
        "uptime": None if program is None or not program.pid else int(program.age),
    }
