# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The lock of a stack on its host: who has it, since when and for what.

The lock is an ``flock`` on the state directory. The kernel drops it when its process ends, however it ends, so a lock
is never taken over because of its age. A file inside the directory can be deleted, and its successor would be another
lock; the directory stays. The file ``lock`` in it is only a note that names the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.files import NOT_AS_EXPECTED, json_object, read_text, try_lock
from ..base.opening import open_directory
from ..base.text import one_line, readable_time
from ..host import processes
from ..host.accounts import user_name
from ..host.model import Process

if t.TYPE_CHECKING:
    from ..base.documents import WaitData

POLL = 0.05
# Seconds for which a run of the watcher is waited for: whoever comes did not ask for it, and it is about one service.
WATCHER_PATIENCE = 60.0


@contextlib.contextmanager
def locked(
    state: str,
    who: str,
    verb: str,
    *,
    run: t.Optional[str] = None,
    limit: t.Optional[float] = None,
    patience: float = 0.0,
    watcher: bool = False,
    clock: Clock = SYSTEM,
) -> t.Iterator[None]:
    """Hold the lock of a stack.

    Args:
        state: the directory that is locked.
        who: the person or program that asks, for the note.
        verb: what for, for the note.
        run: id of the run, for the note.
        limit: seconds that it takes at the longest, for the note.
        patience: seconds to wait for another process; without any the answer comes at once, but for a watcher's run.
        watcher: whether it is for a run that a watcher has begun, for the note.
        clock: of the deadline, and of the time in the note.

    Raises:
        RollcallError: ``refused``: the stack is locked by another process; its note is the evidence.
        RollcallError: this user may not lock it (``wrong_use``), or the note cannot be written.
    """
    own = _process(os.getpid())
    note = {"pid": os.getpid(), "who": who, "verb": verb, "since": readable_time(clock.wall()), "run": run}
    note.update(limit=limit, boot=processes.boot_id(), moment=monotonic(), watcher=watcher)
    descriptor = _take(state, {**note, "start": None if own is None else own.start}, Deadline(patience, clock))
    try:
        yield
    finally:
        # A removal takes the directory away with the note.
        with contextlib.suppress(FileNotFoundError):
            _write_note(state, "")
        os.close(descriptor)


def _take(state: str, note: t.Mapping[str, t.Any], deadline: Deadline) -> int:
    """Lock the stack and return the descriptor that keeps it locked; errors as ``locked``."""
    descriptor = -1
    try:
        descriptor = open_directory(state)
        if not deadline.poll(lambda: try_lock(descriptor), POLL):
            watched = Deadline(watcher_patience(state), deadline.clock)
            if not watched.poll(lambda: try_lock(descriptor), POLL):
                raise _refusal(state)
        _write_note(state, json.dumps(note))
    except (OSError, RollcallError) as exc:
        if descriptor >= 0:
            os.close(descriptor)
        if isinstance(exc, RollcallError):
            raise
        raise RollcallError(
            f"User {user_name(os.geteuid())} cannot lock the stack in {state}: {exc.strerror}. Nothing was changed.",
            kind="wrong_use" if isinstance(exc, PermissionError) else "failed",
            evidence={"path": state, "uid": os.geteuid()},
            remedies=[cures.AS_ROOT, cures.rights(state, _note_path(state))],
        ) from exc
    return descriptor


def _write_note(state: str, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    with os.fdopen(os.open(_note_path(state), flags, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)


def _note_path(state: str) -> str:
    return os.path.join(state, "lock")


def _refusal(state: str) -> RollcallError:
    """Return the error for a stack that is locked; it says so when the process that locked it is stopped."""
    note = lock_note(state)
    process = _process(note.get("pid"))
    message = f"This stack is locked by another run: {describe_lock(note)}."
    remedies = [cures.WAIT, cures.STATUS]
    if process is not None and process.state == "T":
        message += " It is stopped by a signal (state T) and will not end by itself."
        remedies = [
            cures.go_on(process.pid),
            cures.kill(process.pid),
            *remedies,
        ]
    return RollcallError(
        message, kind="refused", evidence={"lock": _note_path(state), "holder": note}, remedies=remedies
    )


def watcher_patience(state: str) -> float:
    """Return the seconds for which a run of the watcher that has locked the stack is waited for; 0 where none has."""
    note = locked_by(state)
    try:
        limit = float(note["limit"]) if note.get("watcher") is True else 0.0
    except NOT_AS_EXPECTED:
        return 0.0
    return max(0.0, min(limit, WATCHER_PATIENCE))


def monotonic() -> float:
    """Return the clock by which a run's time is measured: like the run's own, it stands still while the host sleeps."""
    return SYSTEM.monotonic()


def lock_note(state: str) -> t.Dict[str, t.Any]:
    """Return the note in the lock; empty when the stack is not locked, or when the note may not be read.

    A process that was killed leaves its note; ``locked_by`` tells.
    """
    try:
        return json_object(read_text(_note_path(state)))
    except (OSError, UnicodeDecodeError):
        return {}


def locked_by(state: str) -> t.Dict[str, t.Any]:
    """Return the note of the process that has locked the stack; empty when none has, or when it was killed."""
    note = lock_note(state)
    process = _process(note.get("pid"))
    return note if process is not None and note.get("start") in (None, process.start) else {}


def locked_by_other(state: str) -> t.Optional[t.Dict[str, t.Any]]:
    """Return the note of the process that has locked the stack; None when none has, or it is this one."""
    note = locked_by(state)
    return None if not note or note.get("pid") == os.getpid() else note


def has_locked(state: str, process: Process) -> bool:
    """Return whether a process has locked the stack, by the kernel's list of locks (proc(5), /proc/locks).

    The note in the lock can be written by whoever may write there; this list cannot.
    """
    inode = os.stat(state).st_ino
    try:
        with open("/proc/locks", encoding="ascii") as stream:
            rows = [line.split() for line in stream]
    except FileNotFoundError:
        return False
    # 1: FLOCK  ADVISORY  WRITE 3454 fe:00:2146320 0 EOF
    held = {(row[4], row[5].rpartition(":")[2]) for row in rows if len(row) > 5 and row[1] == "FLOCK"}
    return (str(process.pid), str(inode)) in held


def _process(pid: t.Any) -> t.Optional[Process]:
    """Return the process of a note; None when there is none, or when it cannot be looked at."""
    try:
        return processes.describe(pid) if isinstance(pid, int) else None
    except ImportError:
        # On macOS it takes psutil, which the Python that installs the engine does not have.
        return None


def describe_lock(note: t.Mapping[str, t.Any]) -> str:
    """Return by whom a stack is locked, for people; with the step, where the note has one."""
    if not note:
        return "it has just begun and not yet written its name"
    who, verb, pid, since = (one_line(str(note.get(key, "?"))) for key in ("who", "verb", "pid", "since"))
    step = f", now at its step '{one_line(str(note['step']))}'" if note.get("step") else ""
    waits = f", waits for {waits_words(note['waits'])}" if note.get("waits") else ""
    return f"{who} runs '{verb}' as pid {pid} since {since}{step}{waits}"


def waits_words(waits: t.Sequence[WaitData], most: int = 3) -> str:
    """Return what a run waits for, and for how long by now: ``web (health) and worker (stop), 14 s``.

    Args:
        waits: it, at least one.
        most: how many are named.
    """
    shown = [f"{one_line(one['name'])} ({one['what']})" for one in waits[:most]]
    shown += [f"{len(waits) - most} more"] if len(waits) > most else []
    *others, last = shown
    longest = max(one["seconds"] for one in waits)
    return f"{', '.join(others)} and {last}, {longest:.0f} s" if others else f"{last}, {longest:.0f} s"
