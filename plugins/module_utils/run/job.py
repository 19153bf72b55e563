# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""One run of the job of a timer: a process of its own beside the stack, with what its service would have.

The unit of systemd calls this, and whoever wants the job now. It is locked by itself, not with the stack: a job of an
hour keeps no restart away. See docs/design/0014-scheduled-work.md.
"""

from __future__ import annotations

import contextlib
import os
import signal
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.opening import judged
from ..base.removing import remove
from ..host import processes
from ..host.becoming import become
from ..host.labels import JOB, LABEL_EXEC, processes_of_jobs, trusted_uids
from ..manifest.model import Service, Stack, StopStep
from ..manifest.places import similar
from ..state import jobs
from ..state.lock import describe_lock, lock_note, locked
from ..state.stopped import WHOLE, read_stopped
from ..supervisord.launch import launch
from ..supervisord.places import log_file

if t.TYPE_CHECKING:
    from ..base.job_documents import JobResult, JobRun

# Who has started a job when nobody has called it.
SYSTEMD = "systemd"
# Seconds between two looks at a job.
POLL = 0.05
# What a job could not be started by, as a shell has it.
_NOT_STARTED = 126
# Signals by which whoever has started a job ends it.
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def find_timer(stack: Stack, name: str) -> Service:
    """Return a timer of a stack by its name.

    Raises:
        RollcallError: ``wrong_use``: there is none.
    """
    for timer in stack.timers:
        if timer.name == name:
            return timer
    known = [timer.name for timer in stack.timers]
    raise RollcallError(
        f"No timer of stack {stack.name} is called '{name}'{similar(name, known)}. Its timers: "
        f"{', '.join(known) or 'none'}. Nothing was started.",
        kind="wrong_use",
        evidence={"name": name, "known": known},
        remedies=[cures.STATUS],
    )


def run_job(stack: Stack, name: str, by: str, *, clock: Clock = SYSTEM) -> JobRun:
    """Run the job of a timer, wait for its end, and return how it went; it is recorded.

    Args:
        stack: the installed manifest.
        name: of the timer.
        by: who wants it; ``SYSTEMD`` for the timer itself, which skips what cannot be started now.
        clock: of all deadlines, and of the record.

    Raises:
        RollcallError: ``wrong_use``: there is no such timer; ``refused``: a person wants it, and it is at work already
            or the stack was stopped.
        OSError: the record cannot be written; nothing was started.
    """
    timer = find_timer(stack, name)
    stopped = read_stopped(stack).get(WHOLE)
    if stopped is not None:
        return _skipped(stack, timer, by, f"the stack was {stopped.words}", clock, cures.START)
    place = jobs.make_directory(stack, name)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(place, by, "rerun", clock=clock))
        except RollcallError as exc:
            if exc.kind != "refused":
                raise
            return _skipped(stack, timer, by, describe_lock(lock_note(place)), clock, cures.WAIT)
        left = [one for one, of in processes_of_jobs(stack.root, _uids(stack)) if of == name]
        if left:
            return _skipped(stack, timer, by, f"an earlier one still runs: {left[0].summary}", clock, cures.WAIT)
        jobs.forget_to_end(stack, name)
        return _Job(stack, timer, by, clock).run()


def _uids(stack: Stack) -> t.FrozenSet[int]:
    return trusted_uids(stack.root, stack.user)


def _skipped(stack: Stack, timer: Service, by: str, why: str, clock: Clock, cure: str) -> JobRun:
    """Record that a job was not started, and return that; a person is refused."""
    now = clock.wall()
    run: JobRun = {
        "start": now,
        "end": now,
        "result": jobs.SKIPPED,
        "exit_code": None,
        "by": by,
        "why": why,
        "times": 1,
    }
    jobs.keep_skipped(stack, timer.name, run)
    if by == SYSTEMD:
        return run
    raise RollcallError(
        f"The job {timer.name} was not started: {why}.",
        kind="refused",
        evidence={"timer": timer.name},
        remedies=[cure],
    )


class _Job:
    """One run of a job, which is locked by this process."""

    def __init__(self, stack: Stack, timer: Service, by: str, clock: Clock) -> None:
        self._stack = stack
        self._timer = timer
        self._clock = clock
        self._signal = 0
        self._run: JobRun = {
            "start": clock.wall(),
            "end": None,
            "result": jobs.RUNNING,
            "exit_code": None,
            "by": by,
            "why": "",
            "times": 1,
        }

    def run(self) -> JobRun:
        """Run it to its end, and return how it went."""
        jobs.keep_run(self._stack, self._timer.name, self._run)
        before = {number: signal.signal(number, self._on_signal) for number in _ENDING}
        try:
            pid = self._start()
            result, why = self._wait(pid)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if self._is_over(pid) else None
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if result == jobs.OK and code:
            result = jobs.FAILED
        if code is None:
            result, why = jobs.FAILED, f"{why or 'its end was not seen'}; it hangs in the kernel as pid {pid}"
        self._run = {**self._run, "end": self._clock.wall(), "result": result, "exit_code": code, "why": why}
        jobs.keep_run(self._stack, self._timer.name, self._run)
        jobs.forget_to_end(self._stack, self._timer.name)
        return self._run

    def _on_signal(self, number: int, _frame: t.Any) -> None:
        self._signal = self._signal or number

    def _start(self) -> int:
        """Start the job's process and return its pid."""
        prepared = launch(self._stack, self._timer, self._timer.command)
        environment = {**prepared.environment, LABEL_EXEC: JOB}
        pid = os.fork()
        if pid:
            return pid
        try:
            for number in _ENDING:
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            become(prepared.argv, environment, prepared.directory, prepared.rights, self._log)
        except OSError as exc:
            os.write(2, f"rollcall: the job {self._timer.name} cannot be started: {exc}\n".encode())
        finally:
            os._exit(_NOT_STARTED)

    def _log(self) -> int:
        """Return the open log of the job, rotated; for a process with the rights of the stack's user."""
        path = log_file(self._stack, self._timer.name)
        rotate(path, self._timer.log_max_bytes, self._timer.log_backups)
        return judged(
            os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640), path, None
        )

    def _wait(self, pid: int) -> t.Tuple[JobResult, str]:
        """Wait until the job has ended, or end it; return its result as far as no exit code says it, and why."""
        deadline = Deadline(self._timer.timeout, self._clock)
        result: JobResult = jobs.OK
        why = ""
        while not self._is_over(pid):
            by = jobs.asked_to_end(self._stack, self._timer.name)
            if by or self._signal:
                result, why = jobs.ENDED, by or f"ended by {signal.Signals(self._signal).name}"
            elif deadline.expired:
                result, why = jobs.TIMEOUT, f"it did not end within {self._timer.timeout:g} s"
            else:
                self._clock.sleep(POLL)
                continue
            self._end(pid)
            break
        # What it has left in its process group. It was not waited for yet, so the number cannot be another's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        Deadline(jobs.KILLED, self._clock).poll(lambda: self._is_over(pid), POLL)
        return result, why

    def _end(self, pid: int) -> None:
        """End the job as the manifest says; what lives on then is killed."""
        stop = self._timer.stop
        for step in stop.signals or (StopStep(stop.signal, stop.timeout),):
            number = getattr(signal, f"SIG{step.signal}")
            with contextlib.suppress(ProcessLookupError, PermissionError):
                (os.kill if stop.scope == "process" else os.killpg)(pid, number)
            if Deadline(step.wait, self._clock).poll(lambda: self._is_over(pid), POLL):
                return

    @staticmethod
    def _is_over(pid: int) -> bool:
        """Return whether the job's process has ended; it stays a zombie until it is waited for."""
        process = processes.describe(pid)
        return process is None or process.ended


def rotate(path: str, most: int, backups: int) -> None:
    """Rotate a log that has become too large, as supervisord does: ``log.1`` is the latest of the older ones.

    Args:
        path: of the log.
        most: bytes from which on it is too large; 0 is never.
        backups: how many older ones are kept.

    Raises:
        OSError: it cannot be rotated.
    """
    try:
        if not most or os.lstat(path).st_size < most:
            return
    except FileNotFoundError:
        return
    for number in range(backups - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}.{number}", f"{path}.{number + 1}")
    if backups:
        os.replace(path, f"{path}.1")
    else:
        remove(path)
