# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""End processes, and prove that each has ended, without ever signalling another one."""

from __future__ import annotations

import errno
import math
import os
import select
import signal as signals
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from . import homes, processes
from .accounts import user_name
from .model import Identity, Process

if t.TYPE_CHECKING:
    from ..base.documents import Ending, Signalled

# Seconds. Without pidfd (before Linux 5.3, other systems) the end of a process is polled for.
POLL_INTERVAL = 0.005
# Milliseconds of one poll(2), which takes 2**31 at the most.
_LONGEST_POLL = 86_400_000
# OpenSSH 9.8 split the daemon: sshd listens, sshd-session serves a connection, sshd-auth authenticates it.
SSHD = frozenset({"sshd", "sshd-session", "sshd-auth"})


class Ended(t.NamedTuple):
    """How the ending of one process went.

    Attributes:
        pid: of the process.
        start: of the process.
        user: empty when it was gone before it was looked at.
        command: empty when it was gone before it was looked at.
        signals: names of the signals that were sent, in order.
        result: ``ended``; ``gone`` (before any signal); ``changed`` (it is not, or no longer, what was to be ended:
            not signalled); ``zombie`` (not signalled); ``survived`` (it lives); ``stuck`` (it sleeps in the kernel and
            cannot take the signal); ``planned`` (a dry run: it would be ended).
        seconds: from when it was taken hold of to its end.
        reason: why, where the result does not say it.
        exe: path of its program; empty when it may not be read.
    """

    pid: int
    start: int
    user: str
    command: t.Tuple[str, ...]
    signals: t.Tuple[str, ...]
    result: Ending
    seconds: float
    reason: str = ""
    exe: str = ""

    def as_dict(self) -> Signalled:
        """Return it as data."""
        return {
            "pid": self.pid,
            "start": self.start,
            "exe": self.exe,
            "user": self.user,
            "command": " ".join(self.command),
            "signals": list(self.signals),
            "result": self.result,
            "seconds": round(self.seconds, 4),
            "reason": self.reason,
        }


def end(
    identities: t.Iterable[Identity],
    *,
    known: t.Iterable[Process] = (),
    signal: str = "TERM",
    grace: float = 5.0,
    kill_grace: float = 2.0,
    clock: Clock = SYSTEM,
    check: t.Optional[t.Callable[[Process], bool]] = None,
) -> t.List[Ended]:
    """End processes: the signal, CONT to what is stopped, a deadline, KILL, a last wait, and proof of each end.

    Each process is held by a pidfd (pidfd_open(2), Linux 5.3) before it is looked at again, so a pid that was used
    again is never signalled. Where the kernel has no pidfd the start time is compared right before kill(2), which
    leaves a window of some microseconds.

    Args:
        identities: pid and start of each, as they were found. They are signalled in this order and waited for together.
        known: those of them that have been described just before.
        signal: the first signal, without SIG.
        grace: seconds from it to KILL.
        kill_grace: seconds to wait after KILL.
        clock: the clock of both deadlines.
        check: asked about each process after it is held: is it still what is to be ended?

    Returns:
        One entry for each identity, in their order. Nothing is raised for a process that does not end.

    Raises:
        RollcallError: /proc shows another pid namespace, so that its pids are not those that signals go to.
    """
    _require_own_proc()
    described = {process.identity: process for process in known}
    lineage = processes.own_lineage()
    targets: t.List[_Target] = []
    try:
        for identity in identities:
            target = _Target(identity, clock, described.get(identity))
            targets.append(target)
            target.rule_out(lineage, check)
            target.ask_to_end(signal)
        pending = _wait(targets, Deadline(grace, clock))
        for target in pending:
            target.send("KILL")
        for target in _wait(pending, Deadline(kill_grace, clock)):
            target.finish(*_outlived_kill(target.identity))
    finally:
        for target in targets:
            target.close()
    return [target.ended() for target in targets]


def send_further(identity: Identity, signal: str, *, group: bool) -> bool:
    """Send one more signal to a process that supervisord is stopping, and that is still the same one.

    Args:
        identity: its pid and start.
        signal: without SIG.
        group: whether all of its process group have it, which supervisord has made for it.

    Returns:
        Whether it was sent.

    Raises:
        RollcallError: /proc shows another pid namespace, so that its pids are not those that signals go to.
    """
    _require_own_proc()
    try:
        target = _Target(identity, SYSTEM)
    except OSError:
        return False
    try:
        target.rule_out(processes.own_lineage(), None)
        process = target.process
        if group and not target.result and process is not None and process.group == process.pid:
            # As long as its leader is there, which the pidfd holds and supervisord has not waited for, it is this one.
            os.killpg(process.pid, getattr(signals, f"SIG{signal}"))
            return True
        if not target.result:
            target.send(signal)
        return bool(target.sent)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        target.close()


def wait_gone(identities: t.Iterable[Identity], deadline: Deadline) -> t.List[Identity]:
    """Wait until these processes have ended (a zombie has) or the deadline has passed; return those that live on."""
    targets: t.List[_Target] = []
    try:
        for identity in identities:
            targets.append(_Target(identity, deadline.clock))
        return [target.identity for target in _wait(targets, deadline)]
    finally:
        for target in targets:
            target.close()


def why_untouchable(process: Process, lineage: t.Container[int]) -> t.Optional[str]:
    """Return why a process is never to be signalled, whatever is asked; None when it may be.

    Args:
        process: that is asked about.
        lineage: ``processes.own_lineage()``.
    """
    if process.pid <= 1:
        return "it is pid 1"
    if process.pid == os.getpid():
        return "it is this run itself"
    if process.pid in lineage:
        return "this run descends from it"
    names = homes.program_names(process)
    if names & SSHD:
        return "it is sshd"
    if homes.SYSTEMD in names:
        return "it is a user's systemd, and everything of that user is below it"
    return None


class _Target:
    """One process that is to end, held by a pidfd where the kernel has them."""

    def __init__(self, identity: Identity, clock: Clock, known: t.Optional[Process] = None) -> None:
        self.identity = identity
        self.sent: t.List[str] = []
        self.result = ""
        self.reason = ""
        self.seconds = 0.0
        self._clock = clock
        self._began = clock.monotonic()
        self.fd: t.Optional[int] = None
        self.process: t.Optional[Process] = None
        try:
            self.fd = _pidfd(identity[0])
        except ProcessLookupError:
            self.result = "gone"
            return
        # Opened first and looked at second: if what has the pid now is the process that was meant, then so is what
        # the pidfd holds, for that process has been there all the time.
        self.process = processes.describe(identity[0]) if known is None else processes.look_again(known)
        self.result, self.reason = self._identify()

    def _identify(self) -> t.Tuple[str, str]:
        """Return the result when it is not that process, or not alive, and the reason; else two empty strings."""
        process = self.process
        if process is None:
            return "gone", ""
        if process.start != self.identity[1]:
            self.process = None
            return "changed", f"pid {process.pid} is another process now"
        if process.ended:
            return "zombie", describe_parent(process)
        return "", ""

    def rule_out(self, lineage: t.Container[int], check: t.Optional[t.Callable[[Process], bool]]) -> None:
        """Give it its result when it is not to be signalled."""
        if self.result or self.process is None:
            return
        reason = why_untouchable(self.process, lineage)
        if reason is not None:
            self.finish("survived", f"not signalled: {reason}")
        elif check is not None and not check(self.process):
            self.finish("changed", "it is no longer what was to be ended")

    def ask_to_end(self, name: str) -> None:
        """Send the first signal, and CONT to a stopped process, which could not act on it; nothing after a result."""
        if not self.result:
            self.send(name)
        if not self.result and self.process is not None and self.process.state == "T":
            self.send("CONT")

    def send(self, name: str) -> None:
        """Send a signal and note it; a process that is gone or may not be signalled gets its result instead."""
        number = getattr(signals, f"SIG{name}")
        try:
            if self.fd is not None:
                signals.pidfd_send_signal(self.fd, number)
            elif processes.alive(self.identity):
                os.kill(self.identity[0], number)
            else:
                raise ProcessLookupError
        except ProcessLookupError:
            self.finish("ended" if self.sent else "gone")
        except PermissionError:
            user = self.process.user if self.process is not None else "root"
            self.finish("survived", f"not permitted: it is of user {user}, and this runs as {user_name(os.geteuid())}")
        else:
            self.sent.append(name)

    def finish(self, result: str, reason: str = "") -> None:
        """Note how it went."""
        self.result, self.reason = result, reason
        self.seconds = self._clock.monotonic() - self._began

    def close(self) -> None:
        """Close the pidfd."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def ended(self) -> Ended:
        """Return how it went."""
        return Ended(
            pid=self.identity[0],
            start=self.identity[1],
            user=self.process.user if self.process is not None else "",
            command=self.process.command if self.process is not None else (),
            signals=tuple(self.sent),
            result=t.cast("Ending", self.result),
            seconds=self.seconds,
            reason=self.reason,
            exe=self.process.exe if self.process is not None else "",
        )


def _wait(targets: t.Sequence[_Target], deadline: Deadline) -> t.List[_Target]:
    """Wait for the end of each target without a result, note it, and return those that outlived the deadline."""
    pending = [target for target in targets if not target.result]
    by_fd = {target.fd: target for target in pending if target.fd is not None}
    poller = select.poll()
    for fd in by_fd:
        # A pidfd turns readable when the last thread has ended, before the process is reaped.
        poller.register(fd, select.POLLIN)
    while pending:
        if len(by_fd) < len(pending):
            deadline.clock.sleep(min(POLL_INTERVAL, deadline.remaining()))
            ended = [target for target in pending if not processes.alive(target.identity)]
        else:
            ended = [by_fd[fd] for fd, _unused in poller.poll(_milliseconds(deadline))]
        for target in ended:
            target.finish("ended")
            pending.remove(target)
            if target.fd is not None:
                poller.unregister(target.fd)
                del by_fd[target.fd]
        if not ended and deadline.expired:
            break
    return pending


def _milliseconds(deadline: Deadline) -> int:
    return min(math.ceil(deadline.remaining() * 1000), _LONGEST_POLL)


def _outlived_kill(identity: Identity) -> t.Tuple[str, str]:
    """Return result and reason for a process whose end was not seen after KILL."""
    process = processes.describe(identity[0])
    if process is None or process.start != identity[1] or process.ended:
        return "ended", ""
    if process.state == "D":
        return "stuck", "it sleeps in the kernel (state D), where KILL has to wait: look for a hung disk or mount"
    return "survived", f"still there after KILL, in state {process.state}"


def describe_parent(process: Process) -> str:
    """Return words for the parent of a process."""
    parent = processes.describe(process.ppid) if process.ppid else None
    if parent is None:
        return "its parent cannot be seen"
    return f"its parent is pid {parent.pid} '{parent.shown}' of user {parent.user}"


def _pidfd(pid: int) -> t.Optional[int]:
    """Return a pidfd; None where there are none to be had.

    Raises:
        ProcessLookupError: there is no such process.
    """
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError as exc:
        # EPERM: the seccomp filters of older container engines refuse what they do not know.
        if exc.errno in (errno.ENOSYS, errno.EPERM, errno.EMFILE, errno.ENFILE):
            return None
        # EINVAL: the number is that of a thread now, not of a process.
        raise ProcessLookupError(exc.errno, exc.strerror) from exc


def _require_own_proc() -> None:
    """Refuse to signal by pids of a /proc that counts differently than kill(2) does.

    Raises:
        RollcallError: /proc belongs to another pid namespace (``unshare --pid`` without ``--mount-proc``).
    """
    if not processes.LINUX:
        return
    try:
        own = os.readlink("/proc/self")
    except OSError as exc:
        own = f"unreadable: {exc.strerror}"
    if own != str(os.getpid()):
        raise RollcallError(
            f"/proc shows another pid namespace: it says that this process is {own}, the kernel says {os.getpid()}. "
            "Nothing is signalled, because its pids are not those that signals go to.",
            kind="refused",
            evidence={"proc_self": own, "pid": os.getpid()},
            remedies=[cures.MOUNT_PROC],
        )
