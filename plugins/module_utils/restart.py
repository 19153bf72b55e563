# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The critical section: prove, plan, then stop, sweep, flush, install, start and verify under the host's lock.

Nothing is stopped before the config is proved on this host, the directories are there and every port is classified.
"""

from __future__ import annotations

import os
import shlex
import time
import typing as t
from dataclasses import dataclass, field

from . import config, flush, journal, leases, plan, preflight, processes, registry, status, supervisor, verdict, verify
from .bringup import BringUp, Outcome
from .clock import SYSTEM, Clock, Deadline
from .errors import RollcallError
from .journal import Generation, Journal, Lock
from .manifest import Stack, revision
from .plan import Plan
from .request import Request
from .supervisor import Client
from .verdict import Observation

# Beyond a service's own stop time: supervisord's turn, the KILL it sends itself, and the reaping.
STOP_MARGIN = 5.0
DAEMON_START = 15.0
STOP_POLL = 0.005


@dataclass
class _Run:
    """What one run has gathered so far."""

    request: Request
    clock: Clock
    stack: Stack
    generation: Generation
    installed: t.Optional[Generation]
    before: Observation
    plan: Plan
    journal: t.Optional[Journal] = None
    signals: t.List[t.Dict[str, t.Any]] = field(default_factory=list)

    def step(self, name: str, **facts: t.Any) -> None:
        if self.journal is not None:
            self.journal.step(name, **facts)


def describe_plan(request: Request, *, clock: Clock = SYSTEM) -> t.Dict[str, t.Any]:
    """Return what a run would do, having proved all that can be proved without touching anything (check mode).

    Raises:
        RollcallError: the run would be refused, with the same words.
    """
    run = _prepare(request, clock, None)
    changed = bool(run.plan.actions)
    listed = _flushed(run, dry_run=True)
    return {
        **status.report(run.stack, run.before, []),
        "ok": True,
        "result": "planned",
        "mode": request.mode,
        "changed": changed or bool(listed),
        "actions": [action.as_dict() for action in run.plan.actions] + listed,
        "timings": {},
        "run": None,
        "signals": [],
        "next": [],
    }


def perform(request: Request, run_id: str, *, clock: Clock = SYSTEM) -> t.Dict[str, t.Any]:
    """Carry out ``request`` under the host's lock and return the report.

    Args:
        request: what is asked.
        run_id: the run's id.
        clock: the clock of all deadlines.

    Raises:
        RollcallError: refused, wrong input, or a step that failed; the message says what state the stack is in.
        OSError: the journal could not be written, so the step was not taken.
    """
    paths = request.paths
    os.makedirs(paths.state, mode=0o700, exist_ok=True)
    lock = Lock(paths.state)
    since = _readable(clock.wall())
    lock.acquire({"who": request.who, "verb": request.mode, "since": since, "run": run_id})
    try:
        unfinished = journal.unfinished_run(paths.state)
        record = Journal(paths.state, run_id, clock)
        record.step("prove", mode=request.mode, who=request.who, root=request.root)
        began = clock.monotonic()
        try:
            report = _carry_out(_prepare(request, clock, record))
        except RollcallError as exc:
            record.finish(exc.kind)
            raise
        report["seconds"] = round(clock.monotonic() - began, 3)
        report["unfinished_run"] = unfinished
        record.finish(report["result"])
        report["timings"] = record.timings
        report["run"] = run_id
        journal.prune_runs(paths.state)
        return report
    finally:
        lock.release()


def _readable(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


# --- before anything is touched -----------------------------------------------------------------------------------


def _prepare(request: Request, clock: Clock, record: t.Optional[Journal]) -> _Run:
    """Prove the config, look at the host, plan, and refuse what must be refused. Touches nothing."""
    installed = journal.load_generation(request.paths)
    generation = request.wanted or installed
    if generation is None:
        raise RollcallError(
            f"No stack is installed under {request.root}.",
            kind="wrong_use",
            remedies=["ansible-playbook site.yml"],
        )
    stack = generation.stack
    new = installed is None or installed.digest != generation.digest
    if new:
        preflight.prove_config(stack, generation.config)
    if request.mode not in plan.STARTS_NOTHING:
        preflight.check_host(stack, new=new)
    before = status.observe(stack, clock=clock)
    preflight.check_daemon(before)
    the_plan = plan.make(stack, _facts(stack, before, installed, generation), request.mode)
    if the_plan.install:
        registry.check_place(stack)
    run = _Run(request, clock, stack, generation, installed, before, the_plan, record)
    if request.mode != plan.STOP:
        preflight.check_ports(stack, before, the_plan, request.policy)
    return run


def _facts(stack: Stack, seen: Observation, installed: t.Optional[Generation], generation: Generation) -> plan.Facts:
    programs = {}
    for name, program in seen.programs.items():
        known = any(service.name == name for service in stack.services)
        trouble = verdict.trouble(stack.service(name), seen) if known else None
        runs_at = None
        if installed is not None and _section(installed.config, name) == _section(generation.config, name):
            runs_at = _revision_of(installed, name, program.pid)
        programs[name] = plan.Running(program.state, program.pid, runs_at, trouble)
    return plan.Facts(
        daemon=None if seen.daemon is None else _daemon_revision(seen),
        daemon_wanted=config.daemon_revision(generation.config),
        programs=programs,
        orphans=len(seen.orphans),
        rivals=sum(seen.daemon is not None and process.pid != seen.daemon.pid for process in seen.daemons),
        same_generation=installed is not None
        and installed.digest == generation.digest
        and registry.is_current(generation.stack),
    )


def _section(config_text: str, name: str) -> str:
    """Return the section of a program; empty when there is none."""
    head = f"\n[program:{name}]\n"
    return config_text.partition(head)[2].partition("\n[")[0]


def _daemon_revision(seen: Observation) -> str:
    marker = None if seen.daemon is None else processes.marker(seen.daemon.pid)
    return "" if marker is None else marker.revision


def _revision_of(installed: Generation, name: str, pid: int) -> t.Optional[str]:
    """Return the revision a program runs at: by its process's marker, else by the manifest its supervisord has loaded.

    A program that overwrites its environment to show a title, as redis-server does, has no marker left.
    """
    marker = processes.marker(pid) if pid else None
    if marker is not None:
        return marker.revision
    if not journal.read_meta(installed.stack.paths, installed.stack.root)["loaded"]:
        return None
    service = next((service for service in installed.stack.services if service.name == name), None)
    return None if service is None else revision(installed.stack, service)


# --- the critical section -----------------------------------------------------------------------------------------


def _carry_out(run: _Run) -> t.Dict[str, t.Any]:
    """Do what the plan says, step by step, each recorded before it is taken."""
    the_plan, stack = run.plan, run.stack
    marks = verify.take_marks(stack)
    if the_plan.mode == "flush":
        return _flush_only(run)
    if not the_plan.actions and the_plan.mode != "stop":
        return _verdict(run, marks, Outcome(), changed=False)
    verify.save_marks(stack, marks)
    if the_plan.stop:
        run.step("stop", services=list(the_plan.stop))
        _stop_services(run)
    if the_plan.daemon in (plan.RESTART, plan.STOP) or _deaf(run):
        run.step("stop-daemon", pids=[process.pid for process in run.before.daemons])
        _stop_daemons(run)
    run.step("sweep")
    _sweep(run)
    if the_plan.mode == "stop":
        return _stopped(run)
    run.step("flush", ports=list(the_plan.flush))
    _flushed(run, dry_run=False)
    if the_plan.install:
        run.step("install", digest=run.generation.digest)
        _install(run)
    client = Client(stack.paths.socket, timeout=supervisor.CALL_TIMEOUT, clock=run.clock)
    also: t.List[str] = []
    if the_plan.daemon == plan.KEEP:
        run.step("reload")
        also = _reload(run, client)
    else:
        run.step("start-daemon")
        _start_daemon(run)
    journal.mark_loaded(stack.paths, stack.root)
    run.step("start", services=[*the_plan.start, *also])
    outcome = BringUp(stack, client, [*the_plan.start, *also], run.clock).run()
    return _verdict(run, marks, outcome, changed=True, client=client)


def _deaf(run: _Run) -> bool:
    """Whether a supervisord of this stack is alive that cannot be reached: its socket was deleted."""
    return run.before.daemon is None and bool(run.before.daemons)


def _stop_services(run: _Run) -> None:
    """Stop the plan's services, those that depend on others first, each with its own signal and time."""
    client = Client(run.stack.paths.socket, timeout=supervisor.CALL_TIMEOUT, clock=run.clock)
    for batch in _batches(run.stack, run.plan.stop):
        _stop_together(run, client, batch)


def _stop_together(run: _Run, client: Client, names: t.List[str]) -> None:
    """Stop services at once and wait for all of them.

    Raises:
        RollcallError: one is still there after its own stop time.
    """
    client.stop(names)
    limit = max((_stop_timeout(run, name) for name in names), default=0.0) + STOP_MARGIN
    last = supervisor.wait_states(
        client, names, supervisor.DOWN, deadline=Deadline(limit, run.clock), interval=STOP_POLL
    )
    late = {name: program for name, program in last.items() if program.state not in supervisor.DOWN}
    if late:
        named = ", ".join(f"{name} is {program.state}" for name, program in late.items())
        raise RollcallError(
            f"Not stopped after {limit:g} s: {named}.",
            evidence={"states": {name: program.state for name, program in late.items()}},
            remedies=["rollcall status", *(f"kill -KILL {program.pid}" for program in late.values() if program.pid)],
        )


def _stop_timeout(run: _Run, name: str) -> float:
    """Return the stop time of a service, of one that only the installed manifest still knows too."""
    stacks = [run.stack, *([run.installed.stack] if run.installed is not None else [])]
    return max(
        (service.stop.timeout for stack in stacks for service in stack.services if service.name == name), default=0.0
    )


def _batches(stack: Stack, names: t.Sequence[str]) -> t.List[t.List[str]]:
    """Return ``names`` in groups that can stop together: by level, the last level first."""
    ordered: t.Dict[int, t.List[str]] = {}
    for name in names:
        ordered.setdefault(plan.rank(stack, name), []).append(name)
    return [ordered[number] for number in sorted(ordered, reverse=True)]


def _stop_daemons(run: _Run) -> None:
    """End every supervisord of this stack: by its own shutdown where it answers, by TERM where its socket is gone."""
    paths = run.stack.paths
    # Its own shutdown stops one program after the other; mostly they have been stopped before, all at once.
    limit = sum(service.stop.timeout for service in run.stack.services) + STOP_MARGIN
    answering = run.before.daemon
    if answering is not None:
        client = Client(paths.socket, timeout=supervisor.CALL_TIMEOUT, clock=run.clock)
        supervisor.stop_daemon(client, answering.identity, timeout=limit, clock=run.clock)
    others = [
        process
        for process in processes.supervisors(paths.config, run.stack.root)
        if answering is None or process.pid != answering.pid
    ]
    if others:
        # Each turn of its loop takes up to a second and stops one program: it cannot be poked without a socket.
        patience = limit + 1.5 * len(run.stack.services)
        for process in others:
            ended = supervisor.end_daemon_by_pid(
                process.identity, grace=patience, kill_grace=run.request.kill_grace, clock=run.clock
            )
            run.signals.append(ended.as_dict())
    left = processes.supervisors(paths.config, run.stack.root)
    if left:
        pids = ", ".join(str(process.pid) for process in left)
        raise RollcallError(
            f"supervisord of stack {run.stack.name} did not end: pid {pids} is still there after {limit:g} s.",
            evidence={"pids": [process.pid for process in left]},
            remedies=[f"kill -KILL {pids}", "rollcall restart full"],
        )


def _sweep(run: _Run) -> None:
    """End what carries this stack's marker and no live supervisord of it holds."""
    daemons = [process.pid for process in processes.supervisors(run.stack.paths.config, run.stack.root)]
    ended = processes.sweep(
        run.stack.root,
        keep=daemons,
        uids=processes.trusted_uids(run.stack.root, run.stack.user),
        grace=run.request.grace,
        kill_grace=run.request.kill_grace,
        clock=run.clock,
    )
    run.signals += [entry.as_dict() for entry in ended]
    left = [entry for entry in ended if entry.result in ("survived", "stuck")]
    if left:
        named = ", ".join(f"pid {entry.pid} ({entry.result})" for entry in left)
        raise RollcallError(
            f"Left-over processes of stack {run.stack.name} did not end: {named}.",
            evidence={"processes": [entry.as_dict() for entry in left]},
            remedies=[*(f"kill -KILL {entry.pid}" for entry in left), "rollcall restart full"],
        )
    if not daemons:
        supervisor.clean_stale(run.stack.paths.socket, run.stack.paths.pidfile)


def _flushed(run: _Run, *, dry_run: bool) -> t.List[t.Dict[str, t.Any]]:
    """Free the plan's ports; return what was, or would be, ended on them."""
    if not run.plan.flush or (dry_run and run.plan.daemon != plan.KEEP):
        return []
    done = flush.flush(
        run.stack,
        run.plan.flush,
        policy=run.request.policy,
        grace=run.request.grace,
        kill_grace=run.request.kill_grace,
        dry_run=dry_run,
        clock=run.clock,
    )
    run.signals += [entry.as_dict() for entry in done.ended]
    ports = {holder.process.identity: holder.listener.port for holder in done.holders if holder.process is not None}
    return [
        {
            "action": "end",
            "subject": f"pid {entry.pid} '{shlex.join(entry.command)}' of user {entry.user}",
            "reason": f"it holds port {ports.get((entry.pid, entry.start), 'of this stack')}",
        }
        for entry in done.ended
    ]


def _install(run: _Run) -> None:
    account = preflight.account(run.stack)
    owner = None if account.uid == os.geteuid() else (account.uid, account.gid)
    run_id = run.journal.run if run.journal is not None else journal.new_run_id(run.clock)
    try:
        journal.install_generation(run.stack.paths, run.stack.root, run_id, run.generation, owner)
        run.step("announce", unseen=leases.announce(run.stack))
    except OSError as exc:
        raise RollcallError(
            f"The new config could not be written to {exc.filename}: {exc.strerror}. The old one is still in place.",
            evidence={"path": exc.filename, "errno": exc.errno},
            remedies=[f"df -h {run.stack.root}", "rollcall start"],
        ) from exc


def _reload(run: _Run, client: Client) -> t.List[str]:
    """Let the live supervisord read the config and swap the programs that differ.

    Returns:
        Services that the plan left running and whose section supervisord has never read as it is now, because an
        earlier run was cut off before it could: they had to be stopped here, and are to be started.
    """
    added, changed, removed = client.reload()
    stale = [name for name in changed if name not in run.plan.start]
    if stale:
        _stop_together(run, client, stale)
    for name in (*changed, *removed):
        client.remove(name)
    for name in (*added, *changed):
        client.add(name)
    return stale


def _start_daemon(run: _Run) -> None:
    account = preflight.account(run.stack)
    supervisor.start_daemon(
        config.engine_python(run.stack.root),
        run.stack.paths.config,
        socket_path=run.stack.paths.socket,
        user=None if account.uid == os.geteuid() else account.name,
        environment=preflight.daemon_environment(run.stack, config.daemon_revision(run.generation.config)),
        log=os.path.join(run.stack.paths.logs, "supervisord.out"),
        cwd=run.stack.root,
        timeout=DAEMON_START,
        clock=run.clock,
    )


# --- how it ended -------------------------------------------------------------------------------------------------


def _verdict(
    run: _Run, marks: verify.Marks, outcome: Outcome, *, changed: bool, client: t.Optional[Client] = None
) -> t.Dict[str, t.Any]:
    run.step("verify")
    before = {
        name: verdict.identity(run.before.programs[name])
        for name in run.plan.start
        if name in run.before.programs and run.before.programs[name].pid
    }
    seen, checks = verify.judge(
        run.stack,
        marks=marks,
        first=outcome.first,
        before=before,
        failed=outcome.failed,
        client=client,
        clock=run.clock,
    )
    _record_started(run.stack, seen)
    report = status.report(run.stack, seen, checks)
    if report["ok"]:
        journal.mark_verified(run.stack.paths, run.stack.root, run.clock.wall())
    return _finished(run, report, result="ok" if report["ok"] else "degraded", changed=changed)


def _record_started(stack: Stack, seen: Observation) -> None:
    """Keep the identity of every process that runs: it proves whose it is when its marker can no longer be read."""
    started = {}
    for service in stack.services:
        program = seen.programs.get(service.name)
        process = processes.describe(program.pid) if program is not None and program.pid else None
        if process is not None:
            own = processes.Marker(stack.name, stack.root, service.name, revision(stack, service))
            started[process.identity] = own
    processes.record(stack.root, started)


def _finished(run: _Run, report: t.Dict[str, t.Any], *, result: str, changed: bool) -> t.Dict[str, t.Any]:
    return {
        **report,
        "result": result,
        "mode": run.request.mode,
        "changed": changed,
        "actions": [action.as_dict() for action in run.plan.actions],
        "signals": run.signals,
        "next": [] if report["ok"] else _next(report["checks"]),
    }


def _next(checks: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    return list(dict.fromkeys(check["next"] for check in checks if not check["ok"] and check["next"]))


def _flush_only(run: _Run) -> t.Dict[str, t.Any]:
    run.step("flush", ports=list(run.plan.flush))
    ended = _flushed(run, dry_run=False)
    seen = status.observe(run.stack, clock=run.clock)
    report = {**status.report(run.stack, seen, []), "ok": True}
    return {**_finished(run, report, result="ok", changed=bool(ended)), "actions": ended}


def _stopped(run: _Run) -> t.Dict[str, t.Any]:
    """The verdict of a stop: no supervisord, no process and no listener of the stack is left."""
    seen = status.observe(run.stack, clock=run.clock)
    checks = verdict.judge_stopped(run.stack, seen)
    report = status.report(run.stack, seen, checks)
    return _finished(run, report, result="ok" if report["ok"] else "degraded", changed=bool(run.plan.actions))
