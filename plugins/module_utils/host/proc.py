# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Processes as Linux shows them in ``/proc`` (proc(5)); one file takes 2 to 4 µs to read."""

from __future__ import annotations

import errno
import functools
import os
import resource
import time
import typing as t

from .accounts import user_name
from .model import Activity, Place, Process

RLIMIT_LOCKS = 10  # linux/resource.h

# What reading of a process raises when it has ended, or when it may not be read.
_GONE = (FileNotFoundError, ProcessLookupError)
_UNSEEN = (*_GONE, PermissionError)
# Bytes of one read.
CHUNK = 65_536


class _Stat(t.NamedTuple):
    """Fields of /proc/PID/stat; ``start`` is in clock ticks since boot."""

    name: str
    state: str
    ppid: int
    group: int
    session: int
    threads: int
    start: int


# --- one process --------------------------------------------------------------------------------------------------


def describe(pid: int) -> t.Optional[Process]:
    """Return the process with this pid; None when there is none, or it may not even be looked at (hidepid).

    All files are read below one descriptor of /proc/PID, which the kernel binds to that very process: a pid that is
    used again in between gives None, never a mixture of two processes.
    """
    try:
        place = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY)
    except _UNSEEN:
        return None
    try:
        stat = _parse_stat(read("stat", place, filled=True))
        body = _body(place, stat)
        state = stat.state if body == "." else _parse_stat(read(f"{body}/stat", place)).state
        uid, depth = _parse_status(read("status", place, filled=True))
        command = _parse_arguments(read(f"{body}/cmdline", place, filled=True)) or (f"[{stat.name}]",)
        exe = _link(f"{body}/exe", place)
    except _UNSEEN:
        return None
    finally:
        os.close(place)
    return Process(
        pid=pid,
        ppid=stat.ppid,
        start=stat.start,
        uid=uid,
        user=user_name(uid),
        exe=exe,
        command=command,
        state=state,
        started_at=_boot_time() + stat.start / _ticks_per_second(),
        container=depth > _own_depth(),
        group=stat.group,
        session=stat.session,
    )


def look_again(process: Process) -> t.Optional[Process]:
    """Return a process as it is now, None when it is gone; what cannot have changed is not read again."""
    try:
        stat = _parse_stat(read(f"/proc/{process.pid}/stat", filled=True))
        # The directory is of the effective user, or of root for what may not be traced: mostly that is the real one,
        # and a fifth of the price of reading it.
        uid = os.stat(f"/proc/{process.pid}").st_uid
    except _UNSEEN:
        return None
    if (stat.start, stat.state, uid) == (process.start, process.state, process.uid):
        return process
    return describe(process.pid)


def alive(pid: int, start: int) -> bool:
    """Return whether the process with this pid and start time still runs; a zombie does not."""
    try:
        stat = _parse_stat(read(f"/proc/{pid}/stat", filled=True))
    except _UNSEEN:
        return False
    if stat.start != start or stat.state not in "ZX":
        return stat.start == start
    # A first thread that has ended is shown as a zombie while the others live on.
    process = describe(pid)
    return process is not None and process.start == start and not process.ended


def start_time(pid: int) -> int:
    """Return the start time of a process in clock ticks since boot; 0 when there is none to be seen."""
    try:
        return _parse_stat(read(f"/proc/{pid}/stat", filled=True)).start
    except _UNSEEN:
        return 0


def age(start: int) -> float:
    """Return for how many seconds a process with this start time has lived, by the boot clock."""
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - start / _ticks_per_second())


def state(pid: int) -> str:
    """Return the letter of a process's state; empty when there is none, or it may not be looked at."""
    try:
        return _parse_stat(read(f"/proc/{pid}/stat", filled=True)).state
    except _UNSEEN:
        return ""


def activity(pid: int) -> t.Optional[Activity]:
    """Return whether the first thread of a process runs; None when there is none, or it may not be looked at."""
    try:
        text = read(f"/proc/{pid}/status", filled=True)
    except _UNSEEN:
        return None
    switches = sum(
        int(_field(text, name) or 0) for name in (b"\nvoluntary_ctxt_switches:", b"\nnonvoluntary_ctxt_switches:")
    )
    return Activity(_field(text, b"\nState:").strip()[:1].decode("ascii", "replace"), switches)


def has_reaped(pid: int) -> bool:
    """Return whether a process has ever waited for a child that ended: the kernel adds up their page faults for it."""
    try:
        return _split_stat(read(f"/proc/{pid}/stat", filled=True))[1][8] != b"0"
    except _UNSEEN:
        return False


def has_executed(pid: int) -> bool:
    """Return whether a process has executed a program since it was forked (no PF_FORKNOEXEC, linux/sched.h)."""
    try:
        return not int(_split_stat(read(f"/proc/{pid}/stat", filled=True))[1][6]) & 0x40
    except _UNSEEN:
        return False


def exit_status(pid: int) -> t.Optional[int]:
    """Return the wait status of a process that has ended and whose parent has not asked yet; None of any other."""
    try:
        fields = read(f"/proc/{pid}/stat", filled=True).rpartition(b")")[2].split()
    except _UNSEEN:
        return None
    return int(fields[49]) if len(fields) > 49 and fields[0] == b"Z" else None


def executable(pid: int) -> str:
    """Return the path of the program of a process; empty when it has ended, or it may not be read."""
    return _link(f"/proc/{pid}/exe")


def parent(pid: int) -> int:
    """Return the pid of the parent; 0 when there is none to be seen."""
    try:
        return _parse_stat(read(f"/proc/{pid}/stat", filled=True)).ppid
    except _UNSEEN:
        return 0


def place_of(pid: int) -> t.Optional[Place]:
    """Return where a process stands among the others; None when there is none to be seen."""
    try:
        # This is asked of every process, so nothing is taken from the file that is not needed.
        fields = _split_stat(read(f"/proc/{pid}/stat", filled=True))[1]
    except _UNSEEN:
        return None
    ended = fields[0] in b"ZX" and int(fields[17]) < 2
    return Place(int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), ended)


def session_serial(pid: int) -> int:
    """Return a number that every process of a session has, and no other session of this boot; 0 when there is none.

    It is that of the scheduler's autogroup (sched(7)): setsid(2) makes a new one, fork(2) inherits it. Unlike the
    session's own number it is never used again. A kernel may be built without.
    """
    try:
        text = read(f"/proc/{pid}/autogroup", filled=True)
    except (OSError, ValueError):
        return 0
    digits = text.partition(b"-")[2].partition(b" ")[0]
    return int(digits) if digits.isdigit() else 0


def locks_limit(pid: int) -> int:
    """Return the soft limit of a process on file locks; 0 when it has none, or root alone may see it."""
    try:
        soft = resource.prlimit(pid, RLIMIT_LOCKS)[0]
    except ProcessLookupError:
        return 0
    except OSError:
        # It is of another user. Root may lack the right in a container, or be refused by a sandbox. The file is for
        # everybody, and takes ten times as long to read.
        try:
            text = read(f"/proc/{pid}/limits", filled=True) if os.geteuid() == 0 else b""
        except _UNSEEN:
            return 0
        words = _field(text, b"\nMax file locks").split()
        return int(words[0]) if words and words[0].isdigit() else 0
    return 0 if soft == resource.RLIM_INFINITY else soft


def command(pid: int, having: str = "") -> t.Tuple[str, ...]:
    """Return the arguments of a process; empty when it has none, they may not be read, or a word is not in them."""
    try:
        text = _read_body(pid, "cmdline")
    except _UNSEEN:
        return ()
    return _parse_arguments(text) if having.encode("ascii") in text else ()


def environment(pid: int, prefix: str) -> t.Dict[str, str]:
    """Return the variables of a process that begin so; empty when it has none or they may not be read."""
    try:
        text = _read_body(pid, "environ")
    except _UNSEEN:
        return {}
    wanted = prefix.encode("ascii")
    if wanted not in text:
        return {}
    entries = (entry.partition(b"=") for entry in text.split(b"\0") if entry.startswith(wanted))
    return {name.decode("utf-8", "replace"): os.fsdecode(value) for name, _unused, value in entries}


def environment_hidden(pid: int) -> bool:
    """Return whether a program's environment may not be read; what has no command line is the kernel's own."""
    try:
        os.close(os.open(f"/proc/{pid}/environ", os.O_RDONLY))
    except PermissionError:
        return bool(command(pid))
    except _GONE:
        return False
    return False


def working_directory(pid: int) -> str:
    """Return the working directory of a process; empty when it may not be read."""
    return _link(f"/proc/{pid}/cwd")


def open_paths(pid: int) -> t.Set[str]:
    """Return the paths of what a process works in, executes, has open or has mapped, as far as they may be seen."""
    found = {_link(f"/proc/{pid}/cwd"), _link(f"/proc/{pid}/exe")}
    try:
        found.update(_link(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd"))
        lines = read(f"/proc/{pid}/maps").decode("utf-8", "surrogateescape").splitlines()
    except _UNSEEN:
        lines = []
    # proc(5): address, rights, offset, device, inode, and the path, which may have blanks in it.
    found.update(fields[5] for fields in (line.split(None, 5) for line in lines) if len(fields) == 6)
    return {path for path in found if path.startswith("/")}


def words(pid: int) -> t.Tuple[t.List[str], t.List[str]]:
    """Return the arguments and the variables of a process; none when they may not be read."""
    found: t.List[t.List[str]] = []
    for name in ("cmdline", "environ"):
        try:
            found.append([os.fsdecode(word) for word in _read_body(pid, name).split(b"\0") if word])
        except _UNSEEN:
            found.append([])
    return found[0], found[1]


def in_container(pid: int) -> bool:
    """Return whether a process lives in another pid namespace, below ours."""
    # Most live in our own. The link says so at a fifth of the price of counting how deep one is.
    own = _own_namespace()
    return not (own and _link(f"/proc/{pid}/ns/pid") == own) and _depth(pid) > _own_depth()


def cgroups(pid: int) -> t.List[str]:
    """Return the paths of a process in the hierarchies of cgroups (cgroups(7)); none when they cannot be read."""
    try:
        lines = read(f"/proc/{pid}/cgroup").decode("utf-8", "replace").splitlines()
    except _UNSEEN:
        return []
    return [line.split(":", 2)[-1] for line in lines]


def threaded(pid: int) -> bool:
    """Return whether a process has more than one thread.

    The link count of the directory is their number and two; it spares a look at most processes, the kernel's own.

    Raises:
        FileNotFoundError, ProcessLookupError: there is no such process.
    """
    return os.stat(f"/proc/{pid}/task").st_nlink > 3


# --- all of them --------------------------------------------------------------------------------------------------


def pids() -> t.List[int]:
    """Return every visible pid, the youngest first as far as numbers tell: most searches are for young processes.

    Numbers start again from the bottom when they are used up, so those above the last one given out are the oldest.
    """
    last = int(read("/proc/loadavg").split()[4])
    found = sorted(map(int, filter(str.isdigit, os.listdir("/proc"))), reverse=True)
    above = next((at for at, pid in enumerate(found) if pid <= last), len(found))
    return found[above:] + found[:above]


def children(pid: int) -> t.List[int]:
    """Return the pids of the children of a process; what it forks at this very moment may be missing.

    Asks its threads (/proc/PID/task/TID/children); a kernel without that file has every process looked at.
    """
    found: t.List[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task") if threaded(pid) else [str(pid)]:
            try:
                found += map(int, read(f"/proc/{pid}/task/{task}/children").split())
            except ProcessLookupError:
                # The thread has ended: its children are another thread's now.
                continue
    except FileNotFoundError:
        return [other for other in pids() if parent(other) == pid]
    except PermissionError:
        # With hidepid nothing of it is shown, and its children are seen as little.
        return found
    return found


def boot_id() -> str:
    """Return what tells this boot from all others (/proc/sys/kernel/random/boot_id).

    A container that is started anew has the boot id of its machine; it has another first process.
    """
    return f"{read('/proc/sys/kernel/random/boot_id').decode('ascii').strip()}-{start_time(1)}"


# --- file by file -------------------------------------------------------------------------------------------------


def read(path: str, place: t.Optional[int] = None, *, filled: bool = False) -> bytes:
    """Return the content of a file.

    Args:
        path: of the file.
        place: descriptor of the directory that a relative path starts from.
        filled: the kernel fills each read of this file, such as stat, so one that it does not fill is the last.
    """
    handle = os.open(path, os.O_RDONLY, dir_fd=place)
    try:
        part = os.read(handle, CHUNK)
        parts = [part]
        while part and not (filled and len(part) < CHUNK):
            part = os.read(handle, CHUNK)
            parts.append(part)
        return part if len(parts) == 1 else b"".join(parts)
    finally:
        os.close(handle)


def _split_stat(text: bytes) -> t.Tuple[bytes, t.List[bytes]]:
    # The name stands in parentheses and may itself contain them and spaces: the last one closes it.
    head, _unused, tail = text.rpartition(b")")
    fields = tail.split(None, 20)
    # One that its parent is just reaping is shown once more, of no parent, group and session (do_task_stat,
    # fs/proc/array.c): it is no process any more, and no other's child.
    if len(fields) < 20 or fields[2] == b"-1":
        raise ProcessLookupError(errno.ESRCH, "the process ended while it was read")
    return head, fields


def _parse_stat(text: bytes) -> _Stat:
    head, fields = _split_stat(text)
    try:
        return _Stat(
            name=head.partition(b"(")[2].decode("utf-8", "replace"),
            state=fields[0].decode("ascii", "replace"),
            ppid=int(fields[1]),
            group=int(fields[2]),
            session=int(fields[3]),
            threads=int(fields[17]),
            start=int(fields[19]),
        )
    except ValueError as exc:
        raise ProcessLookupError(errno.ESRCH, "what the kernel says of the process is cut off") from exc


def _body(place: int, stat: _Stat) -> str:
    """Return the directory below /proc/PID with the files about the memory of a process.

    A first thread that has ended is shown as a zombie, without command line, environment, program and descriptors,
    while the other threads live on with all of them.
    """
    if stat.state != "Z" or stat.threads < 2:
        return "."
    tasks = os.open("task", os.O_RDONLY | os.O_DIRECTORY, dir_fd=place)
    try:
        for name in os.listdir(tasks):
            try:
                if _parse_stat(read(f"{name}/stat", tasks)).state not in "ZX":
                    return f"task/{name}"
            except _GONE:
                continue
    finally:
        os.close(tasks)
    return "."


def _read_body(pid: int, name: str) -> bytes:
    """Return a file about the memory of a process.

    Raises:
        FileNotFoundError, ProcessLookupError: there is no such process.
        PermissionError: it may not be read.
    """
    try:
        text = read(f"/proc/{pid}/{name}", filled=True)
    except ProcessLookupError:
        # What newer kernels answer for a first thread that has ended; older ones show an empty file.
        text = b""
    if text or not threaded(pid):
        return text
    place = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY)
    try:
        body = _body(place, _parse_stat(read("stat", place, filled=True)))
        return text if body == "." else read(f"{body}/{name}", place)
    finally:
        os.close(place)


def _parse_status(text: bytes) -> t.Tuple[int, int]:
    """Return the real user id and how many pid namespaces deep the process is, seen from this /proc."""
    # The kernel writes a line break within the process's name as two characters, so these are lines of its own.
    try:
        uid = int(_field(text, b"\nUid:").split()[0])
    except (IndexError, ValueError) as exc:
        raise ProcessLookupError(errno.ESRCH, "what the kernel says of the process is cut off") from exc
    return uid, max(1, len(_field(text, b"\nNSpid:").split()))


def _field(text: bytes, name: bytes) -> bytes:
    """Return what follows a field's name in its line; empty when there is no such field."""
    return text.partition(name)[2].partition(b"\n")[0]


def _parse_arguments(text: bytes) -> t.Tuple[str, ...]:
    return tuple(part.decode("utf-8", "replace") for part in text.rstrip(b"\0").split(b"\0")) if text else ()


def _link(name: str, place: t.Optional[int] = None) -> str:
    """Return the target of a link; empty for a kernel thread, a zombie, or the process of another user."""
    try:
        return told_link(name, place)
    except _UNSEEN:
        return ""


def told_link(name: str, place: t.Optional[int] = None) -> str:
    """Return the target of a link in /proc; empty for a path that is longer than the kernel tells.

    It tells no more than a page (proc_pid_readlink: else ENAMETOOLONG), and any process can work deeper than that.

    Args:
        name: of the link.
        place: the open directory that it is in; None when the name is a path.

    Raises:
        FileNotFoundError, ProcessLookupError: the process has ended, or has closed it.
        PermissionError: it is another user's.
    """
    try:
        return os.readlink(name, dir_fd=place)
    except OSError as exc:
        if exc.errno != errno.ENAMETOOLONG:
            raise
        return ""


def _depth(pid: int) -> int:
    try:
        return _parse_status(read(f"/proc/{pid}/status", filled=True))[1]
    except _UNSEEN:
        return 1


@functools.lru_cache(maxsize=1)
def _own_depth() -> int:
    return _depth(os.getpid())


@functools.lru_cache(maxsize=1)
def _own_namespace() -> str:
    """Return the link of our own pid namespace; empty when this /proc does not show us."""
    return _link(f"/proc/{os.getpid()}/ns/pid")


@functools.lru_cache(maxsize=1)
def _ticks_per_second() -> int:
    return os.sysconf("SC_CLK_TCK")


@functools.lru_cache(maxsize=1)
def _boot_time() -> float:
    """Return when the machine was started, in seconds since the epoch; taken once, so that it gives one answer."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
