# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The critical section of a run: stop, sweep, flush, install, start, verify; each is recorded before it is done."""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..host import births, processes
from ..host.ending import Ended
from ..host.inheritance import number_of
from ..host.model import Identity
from ..manifest.revision import revisions
from ..ports import leases
from ..ports.provenance import FOREIGN, UNKNOWN
from ..state import undo
from ..state.generations import (
    forget_generation,
    generations_directory,
    install_generation,
    record_loaded,
    record_unverified,
    record_verified,
    restore_generation,
    write_generation,
)
from ..state.lives import read_book, save_book, started_anew, with_revisions
from ..state.log_marks import LogMarks, save_marks, saved_marks, take_marks
from ..state.log_positions import keep_positions
from ..state.memory import GOOD
from ..state.one_way import record_one_way
from ..state.runs import Journal
from ..state.stopped import WHOLE, StoppedByHand, keep_stopped, read_stopped
from ..supervisord import life
from ..supervisord.client import DOWN, Client, client_of
from ..supervisord.config import supervisord_revision, wanted_limits
from ..supervisord.environment import supervisord_environment
from ..supervisord.places import engine_python
from ..verdict import fitness, status, verify
from ..verdict.judge import Case, Check, Expectation, judge, result_of
from ..verdict.observation import Observation, identity
from ..verdict.remarks import notes_of, remarks
from ..verdict.report import young_notes
from . import born, hand_over
from .bringup import BringUp, StartOutcome
from .freeing import flush_ports
from .limits import SUPERVISORD_START
from .modes import NOTHING, RELOAD
from .outcome import flushed_report, listed, run_report
from .plan import KEEP, RESTART, STOP, PlannedAction, assigned_ports
from .plan_by_name import along_with
from .prepare import PreparedRun
from .provoked import Provoked
from .timers import HeldJobs

if t.TYPE_CHECKING:
    from ..base.documents import Report, Signalled


class CriticalSection:
    """Does what the plan of a run says.

    The names of the steps are in the records of runs and, with their seconds, in reports: they stay as they are.

    Args:
        run: the run.
        journal: its record.

    Attributes:
        replaced: whether another generation may be the current one by now.
        jobs: the jobs of timers that are kept from starting; they are let go after the run.
    """

    def __init__(self, run: PreparedRun, journal: Journal) -> None:
        self.run = run
        self.journal = journal
        self.replaced = False
        self.jobs = HeldJobs(run.request.who, run.request.mode.title or run.request.mode.name, run.clock)
        self._stack = run.stack
        self._provoked = Provoked(run)
        self._waited: t.List[str] = []
        self._flushed: t.List[Ended] = []
        self._began: LogMarks = {}
        self._revised: t.Optional[t.Mapping[str, str]] = None
        # The pid of the supervisord that is told to start services.
        self._answering = 0

    @property
    def signals(self) -> t.List[Signalled]:
        """Every process outside of supervisord's care that was to be ended, and how that went."""
        return [entry.as_dict() for entry in (*self.jobs.ended, *self.run.takedown.ended, *self._flushed)]

    def perform(self) -> Report:
        """Do it and return the report.

        Raises:
            RollcallError: a step failed; the message says what state the stack is in.
            OSError: the record could not be written, so the step was not taken.
        """
        plan, mode, stack = self.run.plan, self.run.request.mode, self._stack
        actions = [str(action) for action in plan.actions]
        self.journal.step("plan", manifest=self.run.generation.digest, actions=actions)
        if self._provoked.loops(self.run.before, stack):
            # Said before another generation takes its place.
            record_unverified(stack.paths, stack.root)
        if mode.stops == NOTHING and not plan.reload and mode is not RELOAD:
            return self._only_flush()
        # Judged from where a log was last judged good: no run on the way makes good what one has found.
        marks = saved_marks(stack)
        self._began = take_marks(stack)
        keep_positions(stack.paths.state, self.journal.run, self._began)
        if not plan.actions and (mode.starts or mode is RELOAD):
            return self._judge(marks, StartOutcome(), changed=False)
        save_marks(stack, marks)
        if mode is RELOAD:
            outcome = StartOutcome()
            return self._judge(marks, outcome, changed=True, files=self._reload(outcome))
        if self.run.request.automatic:
            from ..state import budget  # late: few runs are started by a timer

            budget.spend(stack, clock=self.run.clock)
        if plan.install and mode.starts and self.run.restores is None:
            self.journal.step("write")
            self._write()
        # First: wherever this is cut off, what is being stopped stays so, and what is being started does not.
        self._keep_stopped()
        self._hold_jobs()
        if plan.supervisord == KEEP and mode.starts:
            return self._turn_over(marks)
        self._take_down()
        if not mode.starts:
            return self._judge_stopped()
        self.journal.step("flush", ports=list(plan.flush))
        self._flush()
        self._clear(plan.start)
        if plan.install:
            self.journal.step("install", digest=self.run.generation.digest)
            self._install()
        return self._bring_up(marks)

    # --- down ---------------------------------------------------------------------------------------------------------

    def _take_down(self) -> None:
        """End what the plan says, carefully or at once."""
        plan, takedown = self.run.plan, self.run.takedown
        pids = [process.pid for process in self.run.before.supervisords]
        if self.run.request.mode.kills:
            self.journal.step("stop-daemon", pids=pids, services=list(plan.stop))
            takedown.end_everything()
            return
        if plan.stop:
            self.journal.step("stop", services=list(plan.stop))
            takedown.stop_services(plan.stop, lost=plan.supervisord != KEEP, together=bool(plan.start))
        ends = plan.supervisord in (RESTART, STOP)
        if ends:
            self.journal.step("stop-daemon", pids=pids)
            takedown.end_supervisords()
        self.journal.step("sweep")
        takedown.sweep(none_left=ends)

    def _hold_jobs(self) -> None:
        """End the jobs of timers that the plan names; while everything is down, none starts."""
        plan, installed = self.run.plan, self.run.installed
        if plan.end_jobs and installed is not None:
            self.journal.step("jobs", timers=list(plan.end_jobs))
            self.jobs.end(installed, plan.end_jobs)
        if plan.supervisord != KEEP and plan.judged is None:
            self.jobs.hold(self._stack)

    def _keep_stopped(self) -> None:
        """Record what is stopped by name from here on, or is so no more."""
        choice, plan, before = self.run.choice, self.run.plan, read_stopped(self._stack)
        stops = not self.run.request.mode.starts
        now = StoppedByHand(self.run.request.who, self.run.clock.wall())
        stopped: t.Dict[str, StoppedByHand] = dict(plan.stopped)
        if choice is None and stops:
            stopped = {**before, WHOLE: now}
        elif choice is not None and stops:
            named = dict.fromkeys(choice.names, now)
            along = {
                name: now._replace(along=along_with(self._stack, name, choice.names))
                for name in plan.judged or ()
                if name not in before and name not in named
            }
            stopped = {**before, **along, **named}
        if stopped != before:
            keep_stopped(self._stack, stopped)

    def _flush(self, ports: t.Optional[t.Sequence[int]] = None) -> t.List[PlannedAction]:
        """Free ports, those of the plan when none are named, and return what was ended on them."""
        ended, actions = flush_ports(self.run, ports, dry_run=False)
        self._flushed += ended
        return actions

    # --- up -----------------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        """Write the wanted generation, so that a disk without room for it is known before anything is stopped.

        Raises:
            RollcallError: it could not be written. Nothing was stopped.
        """
        stack, name = self._stack, self.journal.run
        account = fitness.account(stack)
        owner = None if account.uid == os.geteuid() else (account.uid, account.gid)
        try:
            write_generation(stack.paths, stack.root, name, self.run.generation, owner, by=self.run.request.by)
        except OSError as exc:
            forget_generation(stack.root, name)
            # A write that fails names no file.
            place = exc.filename or os.path.join(generations_directory(stack.root), name)
            raise RollcallError(
                f"The new config could not be written to {place}: {exc.strerror}. Nothing was stopped.",
                evidence={"path": place, "errno": exc.errno},
                remedies=[cures.space(stack.root)],
            ) from exc

    def _install(self) -> None:
        """Make the wanted generation the current one.

        Raises:
            RollcallError: it could not be put in place; the one before is still the current one.
        """
        stack = self._stack
        # Set first: from here on it may be the current one, wherever this is cut off.
        self.replaced = True
        try:
            if self.run.restores is not None:
                restore_generation(stack.paths, stack.root, self.run.restores)
            else:
                install_generation(stack.paths, stack.root, self.journal.run)
            self.journal.step("announce", unseen=leases.announce(stack))
        except OSError as exc:
            place = exc.filename or stack.root
            raise RollcallError(
                f"The new config could not be put in place, at {place}: {exc.strerror}. The old one is still in place.",
                evidence={"path": place, "errno": exc.errno},
                remedies=[cures.space(stack.root), cures.AGAIN],
            ) from exc

    def _bring_up(self, marks: LogMarks) -> Report:
        """Start supervisord and the services; judge them."""
        plan, stack = self.run.plan, self._stack
        client = client_of(stack, clock=self.run.clock)
        self.journal.step("start-daemon")
        hand_over.give(stack, fitness.account(stack))
        self._start_supervisord()
        record_loaded(stack.paths, stack.root)
        # Taken before the services read their files: one that changes meanwhile restarts them in the next run.
        files = self.run.files.digests()
        names = plan.start
        marks = self._marked_anew(marks, {*names, *plan.stop})
        self._begin_lives(names, client)
        self.journal.step("start", services=names)
        outcome = BringUp(stack, client, names, self.run.clock, self._services_born, begins=self._services_begin).run()
        self.journal.timings.update(outcome.seconds)
        return self._judge(marks, outcome, changed=True, client=client, files=files)

    # --- both, under a supervisord that stays -------------------------------------------------------------------------

    def _turn_over(self, marks: LogMarks) -> Report:
        """Restart services side by side, each as soon as nothing that it concerns is in the way; judge them.

        The new config is in place before anything stops. What runs until then does not read it again.
        """
        plan, stack, takedown = self.run.plan, self._stack, self.run.takedown
        early = self._stop_before_release()
        if plan.install:
            self.journal.step("install", digest=self.run.generation.digest)
            self._install()
        client = client_of(stack, clock=self.run.clock)
        self.journal.step("reload")
        added, changed, removed = client.reload()
        for name in added:
            client.add(name)
        # An earlier run may have been cut off after it had changed their sections and before supervisord read them.
        alive = self._alive(client, [*changed, *removed])
        stops = [name for name in dict.fromkeys((*plan.stop, *alive)) if name not in early]
        stale = [name for name in changed if name not in (*plan.start, *plan.held, *plan.stopped)]
        names = [*plan.start, *stale]
        self.journal.step("sweep")
        takedown.sweep()
        # Taken before the services read their files: one that changes meanwhile restarts them in the next run.
        files = self.run.files.digests()

        def starts(services: t.Sequence[str]) -> None:
            nonlocal marks
            marks = self._marked_anew(marks, services)
            self._begin_lives(services, client)
            self.journal.step("start", services=list(services))

        from .turnover import Turnover, Ways, Work  # late: most runs stop all before they start anything

        ways = Ways(stops, names, changed, removed, plan.rolling)
        turnover = Turnover(takedown, client, ways, Work(self._stops, self._frees, starts))
        begins = self._services_begin
        outcome = BringUp(stack, client, names, self.run.clock, self._services_born, turnover, begins).run()
        turnover.refuse()
        self._reload(outcome)
        gone = set(stops).difference(names)
        if gone:
            takedown.sweep(services=gone)
            marks = self._marked_anew(marks, gone)
        record_loaded(stack.paths, stack.root, turnover.left)
        self.journal.timings.update(outcome.seconds)
        return self._judge(marks, outcome, changed=True, client=client, files=files)

    def _reload(self, outcome: StartOutcome) -> t.Mapping[str, t.Mapping[str, str]]:
        """Have the services of the plan reload; return the digests of files as they were before.

        Args:
            outcome: takes how that went.
        """
        # Taken before the services read their files: one that changes meanwhile is read in the next run.
        files = self.run.files.digests()
        names = self.run.plan.reload
        if names:
            from .reloading import reload_services  # late: few services reload

            self.journal.step("reload-services", services=list(names))
            with client_of(self._stack, clock=self.run.clock) as client:
                done = reload_services(self._stack, client, names, self.run.clock)
            outcome.first.update(done.first)
            outcome.failed.update(done.failed)
            outcome.proofs.update(done.proofs)
        return files

    def _stop_before_release(self) -> t.List[str]:
        """Stop what may not run beside another release, where there is one, and return what was stopped.

        No process may read the code of another release while it ends, but for those that are to run beside it.
        """
        plan = self.run.plan
        if not plan.install or self.run.release == self._stack.release:
            return []
        one_by_one = {name for names in plan.rolling for name in names}
        early = [name for name in plan.stop if name not in one_by_one]
        if early:
            self._stops(early)
            self.run.takedown.stop_services(early, lost=False, together=True)
        return early

    def _stops(self, names: t.Sequence[str]) -> None:
        self.journal.step("stop", services=list(names))

    def _frees(self, names: t.Sequence[str]) -> None:
        """Free the ports of some services, where the plan says so, and the paths of their sockets."""
        ports = [port for port in assigned_ports(self._stack, names) if port in self.run.plan.flush]
        if ports:
            self.journal.step("flush", ports=ports)
            self._flush(ports)
        self._clear(names)

    def _clear(self, names: t.Collection[str]) -> None:
        """Remove the unix sockets that are left over of services that are about to start."""
        if any(self._stack.service(name).socket for name in names):
            from .sockets import clear_sockets  # late: few services listen on one

            clear_sockets(self._stack, names, lambda paths: self.journal.step("clear", paths=list(paths)))

    def _marked_anew(self, marks: LogMarks, names: t.Iterable[str]) -> LogMarks:
        """Return the marks with those of the services that are about to start; what they replace has ended.

        What a process wrote until it ended, and what it printed when it was told to, says nothing of the next one.
        """
        now = take_marks(self._stack)
        marks = {**marks, **{name: now[name] for name in names if name in now}}
        save_marks(self._stack, marks)
        return marks

    def _begin_lives(self, names: t.Sequence[str], client: Client) -> None:
        """Record that the services which are about to start have ended by an order, and at which revision they start.

        Recorded before they start: wherever this is cut off, an exit counts against the revision that it belongs to.
        """
        stack = self._stack
        pid = self._answering = client.pid()
        book = self._provoked.without(read_book(stack, {}, (pid, processes.start_time(pid)), clock=self.run.clock))
        save_book(stack, started_anew(book, {name: self._revisions()[name] for name in names}))

    @staticmethod
    def _alive(client: Client, names: t.Sequence[str]) -> t.List[str]:
        """Return which of the programs have a process after all: those that the plan has not stopped.

        One that had just ended by itself when the plan was made has been started again since.
        """
        programs = client.programs() if names else {}
        if any(programs[name].state == "EXITED" for name in names if name in programs):
            # One that is to be started again reads EXITED for a turn of supervisord's loop.
            programs = client.programs()
        return [name for name in names if name in programs and programs[name].state not in DOWN]

    def _start_supervisord(self) -> None:
        """Start supervisord and wait until it answers.

        Raises:
            RollcallError: it did not come up; the stack is down.
        """
        stack = self._stack
        log = os.path.join(stack.paths.logs, "supervisord.out")
        account = fitness.account(stack)
        revision = supervisord_revision(self.run.generation.config)
        try:
            life.start_supervisord(
                engine_python(stack.root),
                stack.paths.config,
                socket_path=stack.paths.socket,
                user=None if account.uid == os.geteuid() else account.name,
                environment=supervisord_environment(stack, account, revision),
                log=log,
                cwd=stack.root,
                number=number_of(stack.root),
                limits=wanted_limits(stack),
                timeout=SUPERVISORD_START,
                clock=self.run.clock,
                started=self._supervisord_born,
            )
        except RollcallError as exc:
            raise RollcallError(
                f"{exc.message}. The stack is down.",
                kind=exc.kind,
                evidence=exc.evidence,
                remedies=[*exc.remedies, cures.DOCTOR, cures.log(log)],
            ) from exc

    def _supervisord_born(self, pid: int) -> None:
        """Record a supervisord that has just been started: what it will start is known by its session."""
        self.journal.step("await-daemon", pid=pid)
        born.record_supervisord(self._stack, pid)
        # Needed as soon as supervisord answers; until then it costs no time.
        self._revisions()

    def _revisions(self) -> t.Mapping[str, str]:
        """Return the revision of each service."""
        if self._revised is None:
            self._revised = revisions(self._stack)
        return self._revised

    def _services_begin(self, names: t.Sequence[str]) -> None:
        """Record which of the services that are about to start leave no way back."""
        record_one_way(self._stack, names)

    def _services_born(self, services: t.Mapping[str, Identity]) -> None:
        """Record the processes that supervisord has just started, and what they have started already."""
        # The one that has started them; at the verdict all are looked for.
        born.record_family(self._stack, services, self._revisions(), among=[self._answering])

    # --- the verdict --------------------------------------------------------------------------------------------------

    def _judge(
        self,
        marks: LogMarks,
        outcome: StartOutcome,
        *,
        changed: bool,
        client: t.Optional[Client] = None,
        files: t.Optional[t.Mapping[str, t.Mapping[str, str]]] = None,
    ) -> Report:
        """Judge the stack as it is now.

        Args:
            marks: from which on the logs are judged.
            outcome: how the start went.
            changed: whether anything was changed.
            client: a connected client; None makes one.
            files: digests of the files that the services were started with; None takes them now.
        """
        run, stack = self.run, self._stack
        self.journal.step("verify")
        expected = self._expected(outcome)
        seen, checks = verify.wait_and_judge(
            stack,
            marks,
            expected,
            began=self._began,
            freed=run.plan.freed,
            client=client,
            programs=outcome.programs,
            seen=None if changed else run.before,
            config_read=changed and run.request.mode.starts,
            soak=run.request.soak,
            only=run.plan.judged,
            waits=self._waits,
            clock=run.clock,
        )
        born.record_family(stack, outcome.first, self._revisions(), seen)
        self._keep_lives(seen)
        run.files.keep(outcome.first, run.files.digests() if files is None else files)
        self._keep_verdict(marks, seen, checks)
        away = self._downtimes(outcome)
        judged = run_report(run, seen, checks, changed=changed, signals=self.signals, downtimes=away)
        is_news = judged["ok"] and changed
        young = young_notes(run.judged.services, seen, run.request.soak) if is_news else []
        reloaded = [f"{name} was reloaded: {proof}" for name, proof in outcome.proofs.items()]
        notes = [*reloaded, *self._provoked.notes(seen), *self._waited, *judged["notes"]]
        return {**judged, "notes": [*notes, *notes_of(remarks(run.judged, seen)), *young]}

    def _waits(self, lives: t.Mapping[str, float]) -> None:
        """Record, for whoever waits for this run, for how many seconds services must live on."""
        self.journal.step("verify", lives=dict(lives))
        seconds = max(lives.values())
        if seconds > self.run.request.soak:
            self._waited = [f"waited {seconds:.0f} s for {listed(list(lives))} to live on, because of earlier exits"]

    def _expected(self, outcome: StartOutcome) -> Expectation:
        run = self.run
        before = {
            name: identity(run.before.programs[name])
            for name in run.plan.start
            if name in run.before.programs and run.before.programs[name].pid
        }
        return Expectation(
            before,
            outcome.first,
            outcome.failed,
            outcome.blocked,
            run.plan.held,
            stopped=run.plan.stopped,
            untouched=run.spared,
            started=run.plan.start,
        )

    def _downtimes(self, outcome: StartOutcome) -> t.Dict[str, float]:
        """Return for how many seconds each service was away that was stopped and is up again."""
        asked = self.run.takedown.asked
        back = [name for name in outcome.first if name in asked and name in outcome.ready]
        return {name: round(outcome.ready[name] - asked.pop(name), 2) for name in back}

    def _keep_verdict(self, marks: LogMarks, seen: Observation, checks: t.Sequence[Check]) -> None:
        """Record what follows from how it was judged."""
        stack = self._stack
        # What these have printed when they ended is known as well.
        marks = self._marked_anew(marks, self._provoked.ended(seen))
        if result_of(checks) in GOOD:
            save_marks(stack, {**marks, **{name: log.mark for name, log in seen.logs.items()}})
        else:
            save_marks(stack, {**marks, **{name: marks[name].seen_until(log.mark) for name, log in seen.logs.items()}})
        whole = self.run.plan.judged is None and not self.run.plan.stopped
        if whole and all(check.ok for check in checks):
            record_verified(stack.paths, stack.root, self.run.clock.wall())
            undo.forget(stack.paths.state)
        elif self._provoked.loops(seen, self.run.judged):
            record_unverified(stack.paths, stack.root)

    def _keep_lives(self, seen: Observation) -> None:
        """Record the lives that were seen, where supervisord has told of them."""
        if seen.supervisord is not None:
            save_book(self._stack, with_revisions(self._provoked.without(seen.book), self._revisions()))

    def _only_flush(self) -> Report:
        self.journal.step("flush", ports=list(self.run.plan.flush))
        ended = self._flush()
        seen = status.observe(self._stack, clock=self.run.clock)
        return flushed_report(self.run, seen, ended, self.signals)

    def _judge_stopped(self) -> Report:
        """Judge a stop: no supervisord, no process and no listener of what was to be stopped is left."""
        only = self.run.plan.judged
        seen = status.observe(self._stack, clock=self.run.clock, only=only)
        before = (holder for holders in self.run.before.holders.values() for holder in holders)
        own = {holder.listener.inode for holder in before if holder.provenance not in (FOREIGN, UNKNOWN)}
        expected = Expectation(sockets={*own, *births.recorded(self._stack.root).sockets})
        from ..verdict.stop_checks import STOP_BY_NAME_CHECKS, STOP_CHECKS  # late: for stops alone

        kinds = STOP_CHECKS if only is None else STOP_BY_NAME_CHECKS
        checks = judge(kinds, Case(self.run.judged, seen, expected))
        changed = bool(self.run.plan.actions)
        return run_report(self.run, seen, checks, changed=changed, signals=self.signals)
