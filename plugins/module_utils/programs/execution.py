# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Start, stop, restart, signal, add and remove programs of any supervisord, and wait until it is really so.

All of it goes over one connection: one look, one plan, one call for each kind of order, and looks until every program
has come to rest. One that fails does not keep the others from being seen through.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.opening import KIND, Judge, NotPlain, open_plain
from ..base.text import count, last_lines
from ..host.accounts import readable_by_uid
from ..host.model import Identity
from ..host.trust import Trust
from ..manifest.model import Paths
from ..run import request
from ..state.generations import load_stack
from ..state.lock import locked
from ..state.log_marks import LogMark, log_mark, written_since
from ..supervisord.client import DOWN, Client, ProgramState, await_exec, wait_states
from ..verdict.observation import describe_state, identity
from .plan import ProgramPlan, ProgramRow, SupervisorFacts, WantedPrograms, group_of, plan_programs

# Seconds that one call may take: a supervisord of strangers may have a thousand programs.
CALL_TIMEOUT = 5.0
# Seconds between two looks. Looking is also what makes supervisord act sooner than once a second.
POLL = 0.02
# Its loop starts what starts by itself on the second turn after a group was added, and each look is a turn at least.
_TURNS = 4
_LOG_LINES = 10
_LOG_BYTES = 8192
# What supervisord takes for a program that says nothing else, and for one that it cannot speak of.
_START_SECONDS = 1.0
_STOP_SECONDS = 10.0
# Orders to a group that somebody else got in the way of, between the look and the order.
_OVERTAKEN = ("ALREADY_ADDED", "BAD_NAME", "STILL_RUNNING")


@dataclasses.dataclass(frozen=True)
class SupervisordAddress:
    """Which supervisord: by its socket, or that of the stack installed at ``root``; never both."""

    socket: t.Optional[str] = None
    root: t.Optional[str] = None
    username: t.Optional[str] = None
    password: t.Optional[str] = dataclasses.field(default=None, repr=False)


def carry_out(
    where: SupervisordAddress, wanted: WantedPrograms, *, timeout: float, dry_run: bool = False, clock: Clock = SYSTEM
) -> t.Dict[str, t.Any]:
    """Bring the programs into the wanted state and wait until they are in it.

    Args:
        where: the supervisord.
        wanted: the programs and the state.
        timeout: seconds that all of it may take beyond what the programs themselves may take to stop and start.
        dry_run: only say what would be done. For ``present`` supervisord reads its configuration all the same.
        clock: where the time comes from.

    Returns:
        ``changed``, ``programs``, ``actions``, ``outdated`` and ``diff``.

    Raises:
        RollcallError: supervisord does not answer, something that was asked for does not exist, another run works on
            the stack, or a program has not come into the wanted state.
    """
    stack = None if where.root is None else load_stack(Paths.of(where.root))
    paths = None if stack is None else stack.paths
    socket_path = where.socket if paths is None else paths.socket
    if socket_path is None:
        raise RollcallError("Neither a socket nor a stack's root was given.", kind="wrong_use")
    client = Client(
        socket_path,
        username=where.username,
        password=where.password,
        timeout=CALL_TIMEOUT,
        clock=clock,
        trust=None if stack is None else Trust.of(stack),
    )
    with client, _alone(None if dry_run else paths, wanted, clock):
        facts = _look(client, wanted)
        plan = plan_programs(wanted, facts)
        if dry_run:
            return _result(plan, facts.programs, None)
        status = f"supervisorctl -s unix://{socket_path} status" if where.root is None else "rollcall status"
        run = _Execution(client, wanted, facts, plan, timeout=timeout, status=status, clock=clock)
        return _result(plan, facts.programs, run.go())


@contextlib.contextmanager
def _alone(paths: t.Optional[Paths], wanted: WantedPrograms, clock: Clock) -> t.Iterator[None]:
    """Hold the lock of a stack, if it is one, so that no restart of it is under way meanwhile."""
    if paths is None:
        yield
        return
    with locked(paths.state, request.who(), f"supervisor_program {wanted.state}", clock=clock):
        yield


def _look(client: Client, wanted: WantedPrograms) -> SupervisorFacts:
    """Return what supervisord says now."""
    added, changed, removed = client.reload() if wanted.state == "present" else ([], [], [])
    configs = client.configs()
    programs = client.programs()
    if any(program.state == "EXITED" for program in programs.values()):
        # One that is to be started again by supervisord itself reads EXITED for a turn of its loop.
        programs = client.programs()
    return SupervisorFacts(programs, configs, tuple(added), tuple(changed), tuple(removed))


class _Execution:
    """A plan on its way."""

    def __init__(
        self,
        client: Client,
        wanted: WantedPrograms,
        facts: SupervisorFacts,
        plan: ProgramPlan,
        *,
        timeout: float,
        status: str,
        clock: Clock,
    ) -> None:
        self._client = client
        self._wanted = wanted
        self._facts = facts
        self._plan = plan
        self._status = status
        self._clock = clock
        self._failed: t.Dict[str, str] = {}
        self._overtaken: t.Set[str] = set()  # groups, which may be called as one of their programs
        self._first: t.Dict[str, t.Tuple[Identity, float]] = {}
        stopping = max((self._stop_seconds(name) for name in plan.down), default=0.0)
        starting = max((self._start_seconds(name) for name in (*plan.up, *plan.unsure)), default=0.0)
        # However long stopping takes, half of the patience is left for what is to start afterwards.
        patience = timeout / 2 if starting else timeout
        self._stopped_by = Deadline(patience + stopping, clock)
        self._done_by = Deadline(timeout + stopping + starting, clock)
        self._judge = _judge(client.socket_path)
        self._marks = {
            path: mark
            for name in (*plan.down, *plan.up)
            for path in self._logs(name)
            for mark in [_mark(path, self._judge)]
            if mark is not None
        }

    def go(self) -> t.Dict[str, ProgramState]:
        """Carry the plan out and return every program's state afterwards.

        Raises:
            RollcallError: one has not come into the wanted state; in the evidence is how each of them fared.
        """
        if self._plan.signal:
            self._failed.update(_faults(self._client.signal(self._plan.signal, self._wanted.signal or "")))
        self._stop()
        self._each_group(self._plan.remove, self._client.remove)
        self._each_group(self._plan.add, self._client.add)
        ready = [name for name in self._plan.start if name not in self._failed]
        self._failed.update(_faults(self._client.start(ready)))
        self._wait_up()
        programs = self._client.programs()
        if self._failed:
            raise self._failure(programs)
        return programs

    def _start_seconds(self, name: str) -> float:
        config = self._facts.configs.get(name)
        return max(_START_SECONDS if config is None else config.start_seconds, self._wanted.stable_for)

    def _stop_seconds(self, name: str) -> float:
        config = self._facts.configs.get(name)
        return _STOP_SECONDS if config is None else config.stop_seconds

    def _logs(self, name: str) -> t.Tuple[str, ...]:
        program = self._facts.programs.get(name)
        return () if program is None else program.logs

    def _stop(self) -> None:
        """Tell programs to stop, and wait until they and those that were stopping already have no process."""
        await_exec([self._facts.programs[name] for name in self._plan.stop], self._clock)
        self._failed.update(_faults(self._client.stop(self._plan.stop)))
        waiting = [name for name in self._plan.down if name not in self._failed]
        seen = wait_states(self._client, waiting, DOWN, deadline=self._stopped_by, interval=POLL)
        for name, program in seen.items():
            if program.state not in DOWN:
                self._failed[name] = (
                    f"not stopped after {self._stopped_by.seconds:g} s: {describe_state(program)} as pid {program.pid}"
                )

    def _each_group(self, groups: t.Iterable[str], order: t.Callable[[str], None]) -> None:
        """Give an order to each group of which nothing has failed so far."""
        for group in groups:
            if any(group_of(name) == group for name in self._failed):
                continue
            try:
                order(group)
            except RollcallError as exc:
                if exc.evidence.get("fault") not in _OVERTAKEN:
                    raise
                self._failed[group] = exc.message
                self._overtaken.add(group)

    def _wait_up(self) -> None:
        """Wait until each program that is to be up is, or has failed."""
        waiting = {name for name in self._plan.up if not self._blocked(name)}
        waiting |= self._started_by_itself()
        last: t.Dict[str, str] = {}

        def settled() -> bool:
            programs = self._client.programs()
            for name in sorted(waiting):
                program = programs.get(name)
                reason = "supervisord knows it no more" if program is None else self._dead_end(name, program)
                if reason is not None:
                    self._failed[name] = reason
                if reason is not None or (program is not None and self._is_up(name, program)):
                    waiting.discard(name)
                elif program is not None:
                    last[name] = describe_state(program)
            return not waiting

        if waiting and not self._done_by.poll(settled, POLL):
            for name in sorted(waiting):
                self._failed[name] = f"not up after {self._done_by.seconds:g} s: {last[name]}"

    def _blocked(self, name: str) -> bool:
        return name in self._failed or group_of(name) in self._overtaken

    def _started_by_itself(self) -> t.Set[str]:
        """Return those of the new groups that supervisord has started, where its configuration does not say which."""
        groups = [group for group in self._plan.unsure if group not in self._overtaken]
        programs: t.Dict[str, ProgramState] = {}
        for _turn in range(_TURNS if groups else 0):
            programs = self._client.programs()
        return {name for name, program in programs.items() if group_of(name) in groups and program.start > 0}

    def _dead_end(self, name: str, program: ProgramState) -> t.Optional[str]:
        """Return why a program will not come up any more; None when it may."""
        if program.pid:
            now = identity(program)
            first = self._first.setdefault(name, (now, self._clock.monotonic()))[0]
            # A start of 0 is that of a process that we cannot see, or that has ended and supervisord has not noticed.
            if first[0] != now[0] or (first[1] != now[1] and first[1] and now[1]):
                return f"its process did not last: pid {first[0]} is gone, now pid {now[0]}"
            if name in self._plan.stop and now == identity(self._facts.programs[name]):
                return f"its process is the same as before, pid {now[0]}"
        if program.state in ("BACKOFF", "FATAL", "EXITED", "UNKNOWN"):
            return describe_state(program)
        # One that was just added is STOPPED until its first start.
        if program.state == "STOPPING" or (program.state == "STOPPED" and program.start > 0):
            return f"{program.state} right after the start: somebody else has stopped it"
        return None

    def _is_up(self, name: str, program: ProgramState) -> bool:
        if program.state != "RUNNING" or name not in self._first:
            return False
        first, since = self._first[name]
        return first == identity(program) and self._clock.monotonic() - since >= self._wanted.stable_for

    def _failure(self, programs: t.Mapping[str, ProgramState]) -> RollcallError:
        logs = {name: self._logs(name) or (programs[name].logs if name in programs else ()) for name in self._failed}
        output = [line for name in self._failed for line in self._written(name, logs[name])]
        told = "; ".join(f"{name}: {reason}" for name, reason in self._failed.items())
        return RollcallError(
            f"{len(self._failed)} of {count(len(self._plan.rows), 'program')} could not be "
            f"{_DONE[self._wanted.state]}: {told}",
            evidence={
                "failed": dict(self._failed),
                "programs": _rows(self._plan, self._facts.programs, programs),
                "output": output,
                "socket": self._client.socket_path,
            },
            remedies=[
                *(cures.log(path) for name in self._failed for path in logs[name][:1]),
                self._status,
            ],
        )

    def _written(self, name: str, logs: t.Iterable[str]) -> t.List[str]:
        """Return the last lines that a program has written since the run began."""
        lines: t.List[str] = []
        for path in logs:
            try:
                descriptor = open_plain(path, self._judge)
                with os.fdopen(descriptor, "rb"):
                    text = written_since(descriptor, self._marks.get(path, LogMark()), _LOG_BYTES)
            except FileNotFoundError:
                continue
            except NotPlain as exc:
                # What goes to a terminal or a pipe is nowhere to be read.
                lines += [] if exc.reason == KIND else [f"{name}: {path} is not read: {exc.words}"]
                continue
            except OSError as exc:
                lines.append(f"{name}: {path} cannot be read: {exc.strerror}")
                continue
            lines += [f"{name}: {line}" for line in last_lines(text, _LOG_LINES)]
        return lines


# What a program could not be, by the state that was wanted.
_DONE: t.Mapping[str, str] = {
    "started": "started",
    "stopped": "stopped",
    "restarted": "restarted",
    "signalled": "signalled",
    "present": "added and started",
    "absent": "stopped and removed",
}


def _faults(answers: t.Mapping[str, t.Optional[str]]) -> t.Dict[str, str]:
    return {name: fault for name, fault in answers.items() if fault is not None}


def _judge(socket: str) -> Judge:
    """Return what judges whether a log is for who runs a supervisord: it says itself where its logs are."""
    try:
        may = readable_by_uid(os.lstat(socket).st_uid)
    except OSError:
        # It was there a moment ago.
        may = readable_by_uid(os.geteuid())

    def judge(seen: os.stat_result) -> bool:
        # A supervisord of root's may log to where its programs can put a second name of a file of root's.
        return may(seen) and (seen.st_nlink == 1 or bool(seen.st_mode & stat.S_IROTH) or seen.st_uid != 0)

    return judge


def _mark(path: str, judge: Judge) -> t.Optional[LogMark]:
    """Return where a log stands; None when we may not know, and then what it has is old to nobody."""
    try:
        descriptor = open_plain(path, judge)
    except FileNotFoundError:
        return LogMark()
    except OSError:
        return None
    with os.fdopen(descriptor, "rb"):
        return log_mark(descriptor)


def _result(
    plan: ProgramPlan, before: t.Mapping[str, ProgramState], after: t.Optional[t.Mapping[str, ProgramState]]
) -> t.Dict[str, t.Any]:
    """Return how it went, or in check mode, with no ``after``, how it would."""
    return {
        "changed": plan.changed,
        "programs": _rows(plan, before, after),
        "actions": plan.actions(),
        "outdated": list(plan.outdated),
        "diff": plan.diff(),
    }


def _rows(
    plan: ProgramPlan, before: t.Mapping[str, ProgramState], after: t.Optional[t.Mapping[str, ProgramState]]
) -> t.List[t.Dict[str, t.Any]]:
    rows: t.List[ProgramRow] = []
    for row in plan.rows:
        found = [name for name in after or () if group_of(name) == row.name and row.name in plan.unsure]
        rows += [dataclasses.replace(row, name=name) for name in sorted(found)] or [row]
    return [_row(row, before.get(row.name), after) for row in rows]


def _row(
    row: ProgramRow, was: t.Optional[ProgramState], after: t.Optional[t.Mapping[str, ProgramState]]
) -> t.Dict[str, t.Any]:
    pid_before = (was.pid or None) if was is not None else None
    if after is None:
        # A process that is yet to be has no pid to tell.
        kept = row.action in (None, "signalled") and row.after == row.before
        state, pid = row.after, pid_before if kept else None
    else:
        now = after.get(row.name)
        state, pid = ("absent", None) if now is None else (now.state, now.pid or None)
    return {
        "name": row.name,
        "group": group_of(row.name),
        "action": row.action,
        "before": row.before,
        "after": state,
        "pid_before": pid_before,
        "pid_after": pid,
    }
