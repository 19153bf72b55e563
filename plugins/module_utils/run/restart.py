# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The critical section: prove, plan, then stop, sweep, flush, install, start and verify under the host's lock.

Nothing is stopped before the config is proved on this host, the directories are there and every port is classified.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import typing as t
from dataclasses import dataclass, field

from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..host.ending import Ended
from ..host.labels import label_of, record_labels
from ..host.model import Label
from ..manifest.model import Stack
from ..manifest.revision import revision
from ..ports import flush, leases
from ..state import budget, credentials, registry
from ..state.generations import (
    Generation,
    describe_current,
    install_generation,
    is_altered,
    kept_generations,
    load_current,
    load_kept,
    read_meta,
    record_loaded,
    record_verified,
    restore_generation,
)
from ..state.lock import locked
from ..state.log_marks import LogMarks, save_marks, saved_marks, take_marks
from ..state.runs import Journal, last_result, new_run_id, prune_runs, unfinished_run
from ..supervisord import life
from ..supervisord.client import CALL_TIMEOUT, Client
from ..supervisord.config import supervisord_revision
from ..supervisord.places import engine_python
from ..verdict import fitness, status, verify
from ..verdict.checks import STOP_CHECKS
from ..verdict.judge import Case, Expectation, judge, result_of
from ..verdict.observation import Observation, identity, trouble
from ..verdict.report import report as report_of
from . import plan, preflight
from .bringup import BringUp, Outcome
from .limits import DAEMON_START, run_limit
from .modes import AUTO, NOTHING, ROLLBACK
from .plan import RunPlan
from .request import Request
from .takedown import TakeDown

# Results of a verdict that did not hold.
_FAILED = ("degraded", "rolled_back", "rollback_failed")


@dataclass
class _Run:
    """What one run has gathered so far."""

    request: Request
    clock: Clock
    stack: Stack
    generation: Generation
    installed: t.Optional[Generation]
    before: Observation
    plan: RunPlan
    takedown: TakeDown
    credentials: credentials.Record
    journal: t.Optional[Journal] = None
    restores: t.Optional[str] = None
    replaced: bool = False
    awaited: str = ""
    files: t.Mapping[str, t.Mapping[str, str]] = field(default_factory=dict)
    flushed: t.List[Ended] = field(default_factory=list)

    @property
    def signals(self) -> t.List[t.Dict[str, t.Any]]:
        """Every process outside of supervisord's care that was to be ended, and how that went."""
        return [entry.as_dict() for entry in (*self.takedown.ended, *self.flushed)]

    def step(self, name: str, **facts: t.Any) -> None:
        if self.journal is not None:
            self.journal.step(name, **facts)

    def measured(self, seconds: t.Mapping[str, float]) -> None:
        if self.journal is not None:
            self.journal.timings.update(seconds)


def describe_plan(request: Request, *, clock: Clock = SYSTEM) -> t.Dict[str, t.Any]:
    """Return what a run would do, having proved all that can be proved without touching anything (check mode).

    Raises:
        RollcallError: the run would be refused, with the same words.
    """
    run = _prepare(request, clock, None)
    changed = bool(run.plan.actions)
    listed = _flushed(run, dry_run=True)
    return {
        **report_of(run.stack, run.before, []),
        "ok": True,
        "result": "planned",
        "mode": request.mode.name,
        "changed": changed or bool(listed),
        "actions": [action.as_dict() for action in run.plan.actions] + listed,
        "timings": {},
        "limit": _limit(run.stack, request),
        "held": dict(run.plan.held),
        "manifest_digest": run.generation.digest,
        "generation": describe_current(run.stack.paths, run.stack.root),
        "run": None,
        "signals": [],
        "notes": _not_proved(run),
        "next": [],
    }


def _not_proved(run: _Run) -> t.List[str]:
    """Return what check mode could not look at."""
    if not run.awaited:
        return []
    return [f"release {run.stack.release} is not on this host yet, so nothing inside of it could be checked"]


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
    os.makedirs(request.paths.state, mode=0o700, exist_ok=True)
    with locked(request.paths.state, request.who, request.mode.name, run=run_id, clock=clock):
        return _perform_locked(request, run_id, clock)


def _perform_locked(request: Request, run_id: str, clock: Clock) -> t.Dict[str, t.Any]:
    unfinished = unfinished_run(request.paths.state)
    record = Journal(request.paths.state, run_id, clock)
    record.step("prove", mode=request.mode.name, who=request.who, root=request.root, automatic=request.automatic)
    began = clock.monotonic()
    run = None
    try:
        run = _prepare(request, clock, record)
        try:
            report = _carry_out(run)
        except RollcallError as exc:
            if not _goes_back(run):
                raise
            exc.evidence.setdefault("step", record.current_step)
            report = _go_back(run, {"checks": [], "error": exc.as_dict()})
        else:
            if report["result"] == "degraded" and _goes_back(run):
                report = _go_back(run, {"checks": report["checks"], "error": None})
    except RollcallError as exc:
        result = exc.evidence.get("result", exc.kind)
        exc.evidence.setdefault("step", record.current_step)
        record.finish(result, message=exc.message, signals=[] if run is None else run.signals)
        raise
    report["seconds"] = round(clock.monotonic() - began, 3)
    report["unfinished_run"] = unfinished
    failed = [f"{check['name']} {check['subject']}" for check in report["checks"] if not check["ok"]]
    record.finish(report["result"], changed=report["changed"], failed=failed, signals=report["signals"])
    report["timings"] = record.timings
    report["run"] = run_id
    prune_runs(request.paths.state)
    return report


def _goes_back(run: _Run) -> bool:
    """Return whether a run that did not hold is to end with the last verified generation: when it installed another."""
    return run.request.on_failure == "rollback" and run.replaced and _last_verified(run.request) is not None


def _last_verified(request: Request) -> t.Optional[str]:
    """Return the id of the latest generation whose verdict held and which is not in place; None when there is none."""
    kept = kept_generations(request.paths, request.root)
    return next((entry["id"] for entry in kept if entry["verified"] and not entry["in_place"]), None)


def _go_back(run: _Run, failed: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """Restore the last verified generation after another one did not hold, and verify it.

    Args:
        run: the run that failed.
        failed: its ``checks`` and its ``error``.

    Returns:
        The report of what runs now, never ok: ``rolled_back``, or ``rollback_failed`` when that does not hold either.

    Raises:
        RollcallError: the way back failed as well; its message says both.
    """
    name = str(_last_verified(run.request))
    tried = describe_current(run.stack.paths, run.stack.root)
    run.step("rollback", to=name)
    wanted = load_kept(run.stack.paths, run.stack.root, name)
    request = dataclasses.replace(run.request, wanted=wanted, mode=AUTO, automatic=False)
    try:
        back = _prepare(request, run.clock, run.journal, restores=name)
        report = _carry_out(back)
    except RollcallError as exc:
        first = failed["error"]["message"] if failed["error"] else "its verdict failed"
        raise RollcallError(
            f"The new generation did not hold ({first}), and going back to generation {name} failed: {exc.message}",
            evidence={**exc.evidence, "result": "rollback_failed", "failed": failed, "generation": name},
            remedies=[*exc.remedies, "rollcall doctor", "rollcall restart emergency"],
        ) from exc
    failing = [check for check in failed["checks"] if not check["ok"]]
    return {
        **report,
        "ok": False,
        "result": "rolled_back" if report["ok"] else "rollback_failed",
        "mode": run.request.mode.name,
        "actions": [*(action.as_dict() for action in run.plan.actions), *report["actions"]],
        "signals": [*run.signals, *report["signals"]],
        "rolled_back": {
            "from": tried,
            "to": name,
            "release": back.stack.release,
            "checks": failing,
            "error": failed["error"],
        },
        "next": [*_next(failing), *([] if report["ok"] else report["next"])],
    }


# --- before anything is touched -----------------------------------------------------------------------------------


def _prepare(request: Request, clock: Clock, record: t.Optional[Journal], restores: t.Optional[str] = None) -> _Run:
    """Prove the config, look at the host, plan, and refuse what must be refused. Touches nothing.

    Args:
        request: what is asked.
        clock: of all deadlines.
        record: of the run; None in check mode.
        restores: the id of the kept generation that is wanted, where it is one.
    """
    mode = request.mode
    # In check mode the release of a new manifest may be yet to come; in a run it has come before.
    may_await = record is None and request.wanted is not None
    if mode is ROLLBACK:
        restores = _to_go_back_to(request)
        request = dataclasses.replace(request, wanted=load_kept(request.paths, request.root, restores))
    installed = _installed(request)
    generation = request.wanted or installed
    if generation is None:
        raise RollcallError(
            f"No stack is installed under {request.root}.",
            kind="wrong_use",
            remedies=["ansible-playbook site.yml"],
        )
    stack = generation.stack
    awaited = fitness.absent_release(stack) if may_await else ""
    new = installed is None or installed.digest != generation.digest
    if new or (installed is not None and is_altered(request.paths, request.root)):
        # Of what is in place: somebody has edited it since it was proved.
        preflight.prove_config(stack, generation.config)
        preflight.check_private_files(generation)
    if mode.starts:
        preflight.check_host(stack, new=new, awaited=awaited)
    before = status.observe(stack, clock=clock)
    if mode.asks_first:
        preflight.check_daemon(before)
    files = credentials.Record(stack)
    held = fitness.held(stack, generation.environment, awaited)
    the_plan = plan.make_plan(stack, _facts(stack, before, installed, generation, files.changed(), held), mode)
    if the_plan.install:
        registry.check_place(stack)
    down = TakeDown(
        stack,
        None if installed is None else installed.stack,
        before,
        grace=request.grace,
        kill_grace=request.kill_grace,
        clock=clock,
    )
    run = _Run(
        request, clock, stack, generation, installed, before, the_plan, down, files, record, restores, awaited=awaited
    )
    preflight.check_ports(stack, before, mode, the_plan, request.policy)
    return run


def _installed(request: Request) -> t.Optional[Generation]:
    """Return the generation in place; None when it is broken and another one is wanted, which then replaces it."""
    try:
        return load_current(request.paths)
    except RollcallError as exc:
        if request.wanted is None or exc.kind != "failed" or isinstance(exc.__cause__, PermissionError):
            raise
        return None


def _to_go_back_to(request: Request) -> str:
    name = request.generation or _last_verified(request)
    if name is None:
        kept = [entry["id"] for entry in kept_generations(request.paths, request.root)]
        raise RollcallError(
            f"There is no verified generation to go back to under {request.root}.",
            kind="wrong_use",
            evidence={"kept": kept},
            remedies=["rollcall history", "rollcall rollback GENERATION"],
        )
    return name


def _limit(stack: Stack, request: Request) -> float:
    return run_limit(stack, request.mode, grace=request.grace, kill_grace=request.kill_grace)


def _facts(
    stack: Stack,
    seen: Observation,
    installed: t.Optional[Generation],
    generation: Generation,
    changed: t.Mapping[str, str],
    held: t.Mapping[str, str],
) -> plan.StackFacts:
    known = stack if installed is None else installed.stack
    programs = {}
    wanted = {service.name: service for service in stack.services}
    sections = _sections(generation.config)
    old_sections = {} if installed is None else _sections(installed.config)
    for name, program in seen.programs.items():
        found = trouble(wanted[name], seen) if name in wanted else None
        why = found.text if found is not None else changed.get(name) if name in wanted else None
        runs_at = None
        if installed is not None and old_sections.get(name) == sections.get(name):
            runs_at = _revision_of(installed, name, program.pid)
        programs[name] = plan.ProgramFacts(program.state, program.pid, runs_at, why)
    return plan.StackFacts(
        supervisord=None if seen.supervisord is None else _daemon_revision(seen),
        supervisord_wanted=supervisord_revision(generation.config),
        programs=programs,
        orphans=len(seen.orphans),
        rivals=tuple(process.pid for process in seen.rivals),
        held=held,
        ports={service.name: service.port for service in known.services if service.port is not None},
        same_generation=installed is not None
        and installed.digest == generation.digest
        and registry.is_current(generation.stack)
        and (generation.stack.release is None or registry.leads_to_release(generation.stack)),
    )


def _sections(config_text: str) -> t.Dict[str, str]:
    """Return the section of each program by its name."""
    parts = (part.partition("]\n") for part in config_text.split("\n[program:")[1:])
    return {name: text.partition("\n[")[0] for name, _bracket, text in parts}


def _daemon_revision(seen: Observation) -> str:
    label = None if seen.supervisord is None else label_of(seen.supervisord.pid)
    return "" if label is None else label.revision


def _revision_of(installed: Generation, name: str, pid: int) -> t.Optional[str]:
    """Return the revision a program runs at: by its process's label, else by the manifest its supervisord has loaded.

    A program that overwrites its environment to show a title, as redis-server does, has no label left.
    """
    label = label_of(pid) if pid else None
    if label is not None:
        return label.revision
    if not read_meta(installed.stack.paths, installed.stack.root)["loaded"]:
        return None
    service = next((service for service in installed.stack.services if service.name == name), None)
    return None if service is None else revision(installed.stack, service)


# --- the critical section -----------------------------------------------------------------------------------------


def _carry_out(run: _Run) -> t.Dict[str, t.Any]:
    """Do what the plan says, step by step, each recorded before it is taken."""
    the_plan, stack = run.plan, run.stack
    run.step("plan", manifest=run.generation.digest, actions=[str(action) for action in the_plan.actions])
    marks = take_marks(stack)
    if run.request.mode.stops == NOTHING:
        return _flush_only(run)
    if not the_plan.actions and run.request.mode.starts:
        # Nothing has become better since a run that failed only because this one does nothing.
        failed = run.journal is not None and last_result(stack.paths.state, run.journal.run) in _FAILED
        return _verdict(run, saved_marks(stack) if failed else marks, Outcome(), changed=False)
    if run.request.automatic:
        budget.spend(stack, clock=run.clock)
    save_marks(stack, marks)
    _take_down(run)
    if not run.request.mode.starts:
        return _stopped(run)
    if run.restores is not None:
        # What the generation that is given up has written until its end does not speak against the one that comes back.
        ended = take_marks(stack)
        marks = {**marks, **{name: ended[name] for name in the_plan.stop if name in ended}}
        save_marks(stack, marks)
    run.step("flush", ports=list(the_plan.flush))
    _flushed(run, dry_run=False)
    if the_plan.install:
        run.step("install", digest=run.generation.digest)
        _install(run)
    client = Client(stack.paths.socket, timeout=CALL_TIMEOUT, clock=run.clock)
    also: t.List[str] = []
    if the_plan.supervisord == plan.KEEP:
        run.step("reload")
        also = _reload(run, client)
    else:
        run.step("start-daemon")
        _start_daemon(run)
    record_loaded(stack.paths, stack.root)
    # Before they read them: what changes meanwhile starts them anew the next time.
    run.files = run.credentials.now()
    run.step("start", services=[*the_plan.start, *also])
    outcome = BringUp(stack, client, [*the_plan.start, *also], run.clock).run()
    run.measured(outcome.seconds)
    return _verdict(run, marks, outcome, changed=True, client=client)


def _take_down(run: _Run) -> None:
    """End what the plan says, the careful way or the emergency's."""
    pids = [process.pid for process in run.before.supervisords]
    if run.request.mode.kills:
        run.step("stop-daemon", pids=pids, services=list(run.plan.stop))
        run.takedown.at_once()
        return
    if run.plan.stop:
        run.step("stop", services=list(run.plan.stop))
        run.takedown.services(run.plan.stop, lost=run.plan.supervisord != plan.KEEP)
    if run.plan.supervisord in (plan.RESTART, plan.STOP):
        run.step("stop-daemon", pids=pids)
        run.takedown.daemons()
    run.step("sweep")
    run.takedown.sweep()


def _flushed(run: _Run, *, dry_run: bool) -> t.List[t.Dict[str, t.Any]]:
    """Free the plan's ports; return what was, or would be, ended on them."""
    if not run.plan.flush or (dry_run and run.plan.supervisord != plan.KEEP):
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
    if not dry_run:
        run.flushed += done.ended
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
    account = fitness.account(run.stack)
    owner = None if account.uid == os.geteuid() else (account.uid, account.gid)
    run_id = run.journal.run if run.journal is not None else new_run_id(run.stack.paths.state, run.clock)
    # From here on it may be in place.
    run.replaced = True
    try:
        if run.restores is not None:
            restore_generation(run.stack.paths, run.stack.root, run.restores)
        else:
            install_generation(run.stack.paths, run.stack.root, run_id, run.generation, owner)
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
        run.takedown.together(client, stale)
    for name in (*changed, *removed):
        client.remove(name)
    for name in (*added, *changed):
        client.add(name)
    return [name for name in stale if name not in run.plan.held]


def _start_daemon(run: _Run) -> None:
    """Start the supervisord.

    Raises:
        RollcallError: it did not come up; the stack is down.
    """
    log = os.path.join(run.stack.paths.logs, "supervisord.out")
    try:
        _start(run, log)
    except RollcallError as exc:
        raise RollcallError(
            f"{exc.message}. The stack is down.",
            kind=exc.kind,
            evidence=exc.evidence,
            remedies=[*exc.remedies, "rollcall doctor", f"tail -n 50 {log}"],
        ) from exc


def _start(run: _Run, log: str) -> None:
    account = fitness.account(run.stack)
    life.start_supervisord(
        engine_python(run.stack.root),
        run.stack.paths.config,
        socket_path=run.stack.paths.socket,
        user=None if account.uid == os.geteuid() else account.name,
        environment=preflight.daemon_environment(run.stack, supervisord_revision(run.generation.config)),
        log=log,
        cwd=run.stack.root,
        timeout=DAEMON_START,
        clock=run.clock,
        started=lambda pid: run.step("await-daemon", pid=pid),
    )


# --- how it ended -------------------------------------------------------------------------------------------------


def _verdict(
    run: _Run, marks: LogMarks, outcome: Outcome, *, changed: bool, client: t.Optional[Client] = None
) -> t.Dict[str, t.Any]:
    run.step("verify")
    before = {
        name: identity(run.before.programs[name])
        for name in run.plan.start
        if name in run.before.programs and run.before.programs[name].pid
    }
    expected = Expectation(before, outcome.first, outcome.failed, outcome.blocked, run.plan.held)
    seen, checks = verify.wait_and_judge(
        run.stack, marks, expected, freed=run.plan.freed, client=client, clock=run.clock
    )
    _record_started(run.stack, seen)
    run.credentials.keep(outcome.first, run.files or run.credentials.now())
    report = report_of(run.stack, seen, checks)
    if report["ok"]:
        record_verified(run.stack.paths, run.stack.root, run.clock.wall())
    return _finished(run, report, result=result_of(checks), changed=changed)


def _record_started(stack: Stack, seen: Observation) -> None:
    """Keep the identity of every process that runs: it proves whose it is when its label can no longer be read."""
    started = {}
    for service in stack.services:
        program = seen.programs.get(service.name)
        if program is not None and program.born:
            own = Label(stack.name, stack.root, service.name, revision(stack, service))
            started[identity(program)] = own
    record_labels(stack.root, started)


def _finished(run: _Run, report: t.Dict[str, t.Any], *, result: str, changed: bool) -> t.Dict[str, t.Any]:
    return {
        **report,
        "result": result,
        "mode": run.request.mode.name,
        "changed": changed,
        "actions": [action.as_dict() for action in run.plan.actions],
        "signals": run.signals,
        "notes": run.takedown.notes,
        "limit": _limit(run.stack, run.request),
        "held": dict(run.plan.held),
        "manifest_digest": run.generation.digest,
        "generation": describe_current(run.stack.paths, run.stack.root),
        "next": [] if report["ok"] else _next(report["checks"]),
    }


def _next(checks: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    return list(dict.fromkeys(check["next"] for check in checks if not check["ok"] and check["next"]))


def _flush_only(run: _Run) -> t.Dict[str, t.Any]:
    run.step("flush", ports=list(run.plan.flush))
    ended = _flushed(run, dry_run=False)
    seen = status.observe(run.stack, clock=run.clock)
    report = {**report_of(run.stack, seen, []), "ok": True}
    return {**_finished(run, report, result="ok", changed=bool(ended)), "actions": ended}


def _stopped(run: _Run) -> t.Dict[str, t.Any]:
    """The verdict of a stop: no supervisord, no process and no listener of the stack is left."""
    seen = status.observe(run.stack, clock=run.clock)
    checks = judge(STOP_CHECKS, Case(run.stack, seen))
    report = report_of(run.stack, seen, checks)
    return _finished(run, report, result="ok" if report["ok"] else "degraded", changed=bool(run.plan.actions))
