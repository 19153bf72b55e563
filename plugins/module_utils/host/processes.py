# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Processes: who they are, whose label they carry, and how to end one without ever hitting another.

Linux is read straight from ``/proc`` (proc(5)), 2 to 4 µs a file; elsewhere psutil answers the same questions.
A process is known by its identity, the pid and the start time together, because pids are used again.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import json
import math
import os
import select
import signal as signals
import sys
import time
import typing as t
from dataclasses import dataclass, field

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.files import write_atomically

LINUX = sys.platform.startswith("linux")
# Without pidfd (before Linux 5.3, other systems) there is nothing to wait on, so the end of a process is polled for.
POLL = 0.005
# Characters of a command line in a sentence.
SHOWN = 160
# How often a sweep looks again: what a process forked while it was being ended shows up in the next look.
SWEEPS = 4
# Where a supervisord that was told no config looks for one at last.
SUPERVISORD_CONFIGS = ("/etc/supervisord.conf", "/etc/supervisor/supervisord.conf")
LABEL_STACK = "ROLLCALL_STACK"
LABEL_ROOT = "ROLLCALL_ROOT"
LABEL_SERVICE = "ROLLCALL_SERVICE"
LABEL_REVISION = "ROLLCALL_REVISION"
# OpenSSH 9.8 split the daemon: sshd listens, sshd-session serves a connection, sshd-auth authenticates it.
SSHD = frozenset({"sshd", "sshd-session", "sshd-auth"})
SYSTEMD = "systemd"
# The inode of the machine's own pid namespace (linux/proc_ns.h, PROC_PID_INIT_INO).
FIRST_PID_NAMESPACE = 0xEFFFFFFC
# systemctl(1) answers in some milliseconds, or systemd is in trouble and its answer is not worth waiting for.
SYSTEMCTL_TIMEOUT = 2.0
# How container engines name the cgroup of a container before its id, and the command that stops one.
ENGINES = {
    "docker": "docker stop",
    "libpod": "podman stop",
    "libpod-conmon": "podman stop",
    "crio": "crictl stop",
    "crio-conmon": "crictl stop",
    "cri-containerd": "crictl stop",
}

Identity = t.Tuple[int, int]


@dataclass(frozen=True)
class Label:
    """What a process of a stack carries in its environment; ``service`` is empty for the supervisord itself."""

    stack: str
    root: str
    service: str
    revision: str


@dataclass(frozen=True)
class Process:
    """One process at the moment it was looked at.

    Attributes:
        pid: as seen in our own pid namespace.
        ppid: 0 for pid 1 and for what came from outside of our namespace.
        start: clock ticks between boot and its start (field 22 of /proc/PID/stat); elsewhere hundredths of a second.
        uid: real user id.
        user: the name of that user, or the number when it has no name.
        exe: path of the program; empty when it may not be read.
        command: the arguments; ``[name]`` alone for kernel threads and zombies.
        state: the letter of /proc/PID/stat: R, S, D, T, Z and so on. A process of which only the first thread has
            ended is not a zombie: it has the state of a thread that lives.
        started_at: start in seconds since the epoch, for people.
        container: whether it lives in another pid namespace than we do.
        label: what `labelled` found; None from everywhere else.
    """

    pid: int
    ppid: int
    start: int
    uid: int
    user: str
    exe: str
    command: t.Tuple[str, ...]
    state: str
    started_at: float
    container: bool = False
    label: t.Optional[Label] = field(default=None, compare=False)

    @property
    def identity(self) -> Identity:
        """The pid and the start time, which together are never used again."""
        return (self.pid, self.start)

    @property
    def command_line(self) -> str:
        """The command as ps shows it."""
        return " ".join(self.command)

    @property
    def shown(self) -> str:
        """The command for a sentence: one line, and not more of it than tells what it is."""
        line = " ".join(self.command_line.split())
        return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"

    @property
    def summary(self) -> str:
        """Its pid, command and user, for a sentence."""
        return f"pid {self.pid} '{self.shown}' of user {self.user}"

    def as_dict(self) -> t.Dict[str, t.Any]:
        """Return the process as data."""
        return {
            "pid": self.pid,
            "ppid": self.ppid,
            "user": self.user,
            "command": self.command_line,
            "state": self.state,
            "started": self.started_at,
        }


class Home(t.NamedTuple):
    """What a process belongs to and comes back from: a unit of systemd, a container, a program of a supervisord.

    Attributes:
        name: what it is called.
        stop: the command that stops it for good; empty where none is known.
    """

    name: str
    stop: str


@dataclass(frozen=True)
class Ended:
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
    result: str
    seconds: float
    reason: str = ""
    exe: str = ""

    def as_dict(self) -> t.Dict[str, t.Any]:
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


# --- looking ------------------------------------------------------------------------------------------------------


def pids() -> t.List[int]:
    """Return every visible pid, as far as numbers tell the youngest first: what one looks for was seldom here at boot.

    Numbers start again from the bottom when they are used up, so those above the last one given out are the oldest.
    """
    if not LINUX:
        return sorted(load_psutil().pids(), reverse=True)
    last = int(_read("/proc/loadavg").split()[4])
    return sorted((int(name) for name in os.listdir("/proc") if name.isdigit()), key=lambda pid: (pid > last, -pid))


def describe(pid: int) -> t.Optional[Process]:
    """Return the process with this pid, or None when there is none, or one that may not even be looked at (hidepid).

    All files are read below one descriptor of /proc/PID, which the kernel binds to that very process: a pid that is
    used again in between gives None, never a mixture of two processes.
    """
    if not LINUX:
        return _psutil_describe(pid)
    try:
        place = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    try:
        stat = _parse_stat(_read("stat", place, filled=True))
        body = _body(place, stat)
        state = stat.state if body == "." else _parse_stat(_read(f"{body}/stat", place)).state
        uid, depth = _parse_status(_read("status", place, filled=True))
        command = _arguments(_read(f"{body}/cmdline", place, filled=True)) or (f"[{stat.name}]",)
        exe = _link(f"{body}/exe", place)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
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
    )


def look_again(process: Process) -> t.Optional[Process]:
    """Return a process as it is now, None when it is gone; what cannot have changed is not read again."""
    if not LINUX:
        return describe(process.pid)
    try:
        stat = _parse_stat(_read(f"/proc/{process.pid}/stat", filled=True))
        # The directory is of the effective user, or of root for what may not be traced: mostly that is the real one,
        # and a fifth of the price of reading it.
        uid = os.stat(f"/proc/{process.pid}").st_uid
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    if (stat.start, stat.state, uid) == (process.start, process.state, process.uid):
        return process
    return describe(process.pid)


def alive(identity: Identity) -> bool:
    """Return whether this very process still runs; a zombie does not."""
    process = describe(identity[0])
    return process is not None and process.start == identity[1] and process.state not in "ZX"


def born(pid: int) -> int:
    """Return the start time of the process with this pid, as in `Process`; 0 when there is none to be seen."""
    if not LINUX:
        return int(float(_psutil_fact(pid, "create_time") or 0) * 100)
    try:
        return _parse_stat(_read(f"/proc/{pid}/stat", filled=True)).start
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0


def age(process: Process) -> float:
    """Return for how many seconds the process has lived, by the boot clock: no jump of the wall clock moves it."""
    return age_of(process.start)


def age_of(start: int) -> float:
    """Return for how many seconds a process with this start time has lived, by the boot clock."""
    return max(0.0, _ticks_ago(start) if LINUX else time.time() - start / 100)


def ancestors(pid: int) -> t.List[int]:
    """Return the pids of the parent, its parent and so on, as far up as can be seen."""
    return lineages([pid])[pid][1:]


def lineages(of: t.Iterable[int], known: t.Iterable[Process] = ()) -> t.Dict[int, t.List[int]]:
    """Return for each pid itself, its parent, the parent's parent and so on, as far up as can be seen.

    Args:
        of: the pids.
        known: processes whose parents need not be asked for.
    """
    parents = {process.pid: process.ppid for process in known}
    found: t.Dict[int, t.List[int]] = {}
    for pid in of:
        chain: t.List[int] = []
        current = pid
        while current > 0 and current not in chain:
            chain.append(current)
            if current not in parents:
                parents[current] = _parent(current)
            current = parents[current]
        found[pid] = chain
    return found


def children(pid: int) -> t.List[int]:
    """Return the pids of the children of a process; what it forks at this very moment may be missing.

    Asks its threads (/proc/PID/task/TID/children, proc(5)); a kernel without that has every process looked at.
    """
    if not LINUX:
        return [other for other in pids() if _parent(other) == pid]
    found: t.List[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task") if threaded(pid) else [str(pid)]:
            try:
                found += map(int, _read(f"/proc/{pid}/task/{task}/children").split())
            except ProcessLookupError:
                # The thread has ended: its children are another thread's now.
                continue
    except FileNotFoundError:
        return [other for other in pids() if _parent(other) == pid]
    except PermissionError:
        # With hidepid nothing of it is shown, and its children are seen as little.
        return found
    return found


def children_of(roots: t.Iterable[int]) -> t.Dict[int, Process]:
    """Return all descendants of ``roots``, not the roots themselves, parents before their children."""
    children: t.Dict[int, t.List[int]] = {}
    for pid in pids():
        children.setdefault(_parent(pid), []).append(pid)
    queue = list(roots)
    seen = set(queue)
    found: t.Dict[int, Process] = {}
    while queue:
        for pid in children.get(queue.pop(0), ()):
            process = None if pid in seen else describe(pid)
            seen.add(pid)
            queue.append(pid)
            if process is not None:
                found[pid] = process
    return found


def unit(pid: int) -> t.Optional[str]:
    """Return the name of the systemd unit or the container a process runs in; None when it is in neither."""
    found = home(pid)
    return None if found is None else found.name


def home(pid: int) -> t.Optional[Home]:
    """Return the systemd unit or the container a process runs in, by its cgroup; None when it is in neither."""
    if not LINUX:
        return None
    try:
        lines = _read(f"/proc/{pid}/cgroup").decode("utf-8", "replace").splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    for line in lines:
        parts = line.split(":", 2)[-1].split("/")
        # The outermost container first: a unit within it is none of this machine.
        for place, part in enumerate(parts):
            container = _container(part, parts[place - 1] if place else "")
            if container is not None:
                return container
        for part in reversed(parts):
            # user@1000.service and session-3.scope hold everything a person starts, and so does sshd's own unit where
            # logins get no scope of theirs: naming them helps nobody, and stopping them locks people out.
            if part.endswith(".service") and not part.startswith(("user@", "ssh.", "ssh@", "sshd.", "sshd@")):
                of_a_user = any(other.startswith("user@") for other in parts)
                return Home(part, _command_line("systemctl", *(["--user"] if of_a_user else []), "stop", part))
    return None


def _container(part: str, above: str) -> t.Optional[Home]:
    """Return the container that a directory of a cgroup's path stands for; None when it stands for none.

    Args:
        part: its name, by systemd's way (``docker-ID.scope``) or by cgroupfs's (``libpod-ID``, ``docker/ID``).
        above: the name of the directory above it.
    """
    name = part[: -len(".scope")] if part.endswith(".scope") else part
    engine, _unused, ident = name.rpartition("-")
    if len(ident) == 64 and not ident.strip("0123456789abcdef"):
        stop = ENGINES.get(engine or ("docker" if above == "docker" else "cri-containerd"))
        return Home(f"container {ident[:12]}", "" if stop is None else f"{stop} {ident[:12]}")
    if name.startswith("lxc.payload."):
        name = name[len("lxc.payload.") :]
        return Home(f"container {name}", _command_line("lxc-stop", "-n", name))
    if part.startswith("systemd-nspawn@") and part.endswith(".service"):
        name = part[len("systemd-nspawn@") : -len(".service")]
        return Home(f"container {name}", _command_line("systemctl", "stop", part))
    return None


def _command_line(*words: str) -> str:
    import shlex

    return " ".join(map(shlex.quote, words))


def namespace(process: Process) -> str:
    """Say below whom the pid namespace is that a process lives in, when it is not ours."""
    for pid in lineages([process.pid], [process])[process.pid]:
        above = describe(pid)
        if above is not None and not above.container:
            return f"the pid namespace below pid {above.pid} '{above.shown}'"
    return "another pid namespace"


@functools.lru_cache(maxsize=1)
def in_first_namespace() -> bool:
    """Return whether this runs in the machine's own pid namespace; from any other not every process can be seen."""
    return not LINUX or os.stat("/proc/self/ns/pid").st_ino == FIRST_PID_NAMESPACE


def socket_unit(process: Process, port: int) -> t.Optional[Home]:
    """Return the socket unit for which a systemd holds a port itself; None when it does not say.

    Only systemd knows, and it is asked where the answer is needed for a refusal alone.
    """
    import subprocess

    if not manages(process):
        return None
    systemctl = ["systemctl"] if process.pid == 1 else ["systemctl", "--user"]
    try:
        done = subprocess.run(
            [*systemctl, "list-sockets", "--all", "--full", "--no-legend", "--no-pager"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SYSTEMCTL_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        # No systemd here, or one that does not answer.
        return None
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        words = line.split()
        if len(words) > 1 and words[0].rpartition(":")[2] == str(port):
            return Home(words[1], _command_line(*systemctl, "stop", words[1]))
    return None


def program(pid: int) -> t.Optional[Home]:
    """Return which program of which live supervisord above it a process is; None when there is no such supervisord."""
    daemon = next((above for above in ancestors(pid) if _supervisord_options(_command(above)) is not None), None)
    if daemon is None:
        return None
    told = _environment(pid, "SUPERVISOR_")
    name = ":".join(told[key] for key in ("SUPERVISOR_GROUP_NAME", "SUPERVISOR_PROCESS_NAME") if key in told)
    url = told.get("SUPERVISOR_SERVER_URL")
    if not name or not url:
        return Home(f"supervisord pid {daemon}", "")
    stop = _command_line("supervisorctl", "-s", url, "stop", name)
    return Home(f"program {name} of supervisord pid {daemon}", stop)


@functools.lru_cache(maxsize=256)
def user_name(uid: int) -> str:
    """Return the name of a user, or its number when it has none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


# --- whose they are -----------------------------------------------------------------------------------------------


def label(pid: int, contained: t.Optional[bool] = None) -> t.Optional[Label]:
    """Return the stack's label that a process was started with; None when it has none or it may not be read.

    Args:
        pid: of the process.
        contained: whether it lives in another pid namespace, where that is known; None has it looked up.

    The environment is that of its last exec; a program that overwrites it (setproctitle) loses the label. A process
    in another pid namespace has none: the environment of a container is not ours to trust.
    """
    environment = _environment(pid)
    if LABEL_ROOT not in environment:
        return None
    if contained is None:
        contained = LINUX and _depth(pid) > _own_depth()
    if contained:
        return None
    return Label(
        stack=environment.get(LABEL_STACK, ""),
        root=environment[LABEL_ROOT],
        service=environment.get(LABEL_SERVICE, ""),
        revision=environment.get(LABEL_REVISION, ""),
    )


def record(root: str, started: t.Mapping[Identity, Label]) -> None:
    """Keep who was started for the stack at ``root``: some programs overwrite the environment their label is in.

    Args:
        root: the stack's root directory.
        started: the label of each process, by its identity. What was recorded before is forgotten.

    Raises:
        OSError: as the kernel says it; the old record is untouched then.
    """
    rows = [[*identity, *dataclasses.astuple(own)] for identity, own in sorted(started.items())]
    write_atomically(_record_path(root), json.dumps({"boot": boot(), "processes": rows}), 0o600)


def recorded(root: str) -> t.Dict[Identity, Label]:
    """Return the processes that a run recorded for the stack at ``root`` since the host was booted, by identity.

    Empty when there is no record, or when it may not be read: without proof nobody is ours.

    Raises:
        RollcallError: the record is there and is none.
    """
    path = _record_path(root)
    try:
        with open(path, encoding="utf-8") as stream:
            data = json.load(stream)
        if data["boot"] != boot():
            return {}
        return {(row[0], row[1]): Label(*row[2:]) for row in data["processes"]}
    except (FileNotFoundError, PermissionError):
        return {}
    except (ValueError, KeyError, TypeError, IndexError) as exc:
        raise RollcallError(
            f"The record of the processes that this stack has started is in {path}, and it cannot be read: {exc}.",
            evidence={"path": path, "cause": str(exc)},
            remedies=[f"rm {path}"],
        ) from exc


def _record_path(root: str) -> str:
    return os.path.join(root, "state", "started.json")


def boot() -> str:
    """Return what tells this boot from all others (proc(5), /proc/sys/kernel/random/boot_id).

    A container that is started anew has the boot id of its machine; it has another first process.
    """
    if LINUX:
        return f"{_read('/proc/sys/kernel/random/boot_id').decode('ascii').strip()}-{born(1)}"
    return str(int(load_psutil().boot_time()))


def trusted_uids(root: str, user: t.Optional[str] = None) -> t.FrozenSet[int]:
    """Return the users whose labels count for the stack at ``root``: root and the stack's own.

    Args:
        root: the stack's root directory.
        user: the stack's user. None: whoever owns the root and its run directory, and the user this runs as.
    """
    import pwd

    found = {0}
    if user is not None:
        try:
            found.add(pwd.getpwnam(user).pw_uid)
        except KeyError as exc:
            raise RollcallError(
                f"There is no user {user} on this host, who is to run the stack at {root}.",
                kind="wrong_use",
                remedies=[f"useradd --system {user}"],
            ) from exc
        return frozenset(found)
    found.add(os.geteuid())
    for place in (root, os.path.join(root, "run")):
        if os.path.isdir(place):
            found.add(os.stat(place).st_uid)
    return frozenset(found)


def labelled(root: str, uids: t.Optional[t.Container[int]] = None) -> t.List[Process]:
    """Return every living process of our pid namespace that carries the label of the stack at ``root``.

    Args:
        root: the stack's root directory.
        uids: the users whose labels count; None means `trusted_uids` of the root.
    """
    root = os.path.normpath(root)
    trusted = trusted_uids(root) if uids is None else uids
    known = {pid: (start, own) for (pid, start), own in recorded(root).items()}
    found = []
    for pid in pids():
        own = label(pid)
        start = None
        if own is None and pid in known:
            start, own = known[pid]
        process = describe(pid) if own is not None and os.path.normpath(own.root) == root else None
        if process is None or process.uid not in trusted or process.state in "ZX":
            continue
        if start is None or start == process.start:
            found.append(Process(**{**vars(process), "label": own}))
    return found


def unreadable() -> int:
    """Return how many programs run that this user may not look into, so that whose they are is not seen."""
    if not LINUX:
        return sum(_psutil_fact(pid, "environ") is None for pid in pids())
    count = 0
    for pid in pids():
        try:
            os.close(os.open(f"/proc/{pid}/environ", os.O_RDONLY))
        except PermissionError:
            # What has no command line is the kernel's own.
            count += bool(_command(pid))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return count


def supervisors(
    config_path: str,
    root: t.Optional[str] = None,
    among: t.Optional[t.Iterable[int]] = None,
    known: t.Optional[t.Mapping[int, Process]] = None,
) -> t.List[Process]:
    """Return the live supervisords over a config, whatever has become of their sockets and pid files.

    Args:
        config_path: the config; it is compared as a real path, relative ones to the process's working directory.
        root: also those that carry the label of the stack at this root and no service's.
        among: look at these pids alone; None means every process.
        known: processes that have been described just before, by pid.
    """
    wanted = os.path.realpath(config_path)
    found: t.Dict[int, Process] = {}
    for pid in pids() if among is None else among:
        seen = None if known is None else known.get(pid)
        arguments = _command(pid) if seen is None else seen.command
        options = _supervisord_options(arguments)
        if options is None or not (_same_config(pid, options, wanted) or _is_daemon_of(pid, root)):
            continue
        process = describe(pid)
        if process is not None and not process.container and process.state not in "ZX":
            found[pid] = process
    # Between fork and exec a new program still has supervisord's own command line: it is no second supervisord.
    return [process for process in found.values() if process.ppid not in found]


def _supervisord_options(arguments: t.Sequence[str]) -> t.Optional[t.Sequence[str]]:
    """Return the options of a supervisord's command line, or None when it is another program's."""
    if not arguments:
        return None
    name = os.path.basename(arguments[0])
    if name == "supervisord":
        return arguments[1:]
    if "python" not in name and "pypy" not in name:
        return None
    rest = list(arguments[1:])
    while rest:
        argument = rest.pop(0)
        if argument == "-m":
            return rest[1:] if rest[:1] == ["supervisor.supervisord"] else None
        if not argument.startswith("-"):
            return rest if os.path.basename(argument) == "supervisord" else None
        if argument in ("-X", "-W"):
            del rest[:1]
    return None


def all_supervisors() -> t.List[Process]:
    """Return every living supervisord that can be seen, whoever's it is; those in containers have `container` set."""
    found: t.Dict[int, Process] = {}
    for pid in pids():
        process = describe(pid) if _supervisord_options(_command(pid)) is not None else None
        if process is not None and process.state not in "ZX":
            found[pid] = process
    # Between fork and exec a new program still has supervisord's own command line; one that another one runs has not.
    return [
        process
        for process in found.values()
        if process.ppid not in found or found[process.ppid].command != process.command
    ]


def configuration(process: Process) -> t.Optional[str]:
    """Return the config that a supervisord reads, absolute; None when that cannot be seen.

    One that was told none takes the first of several places (supervisor.options.Options.__init__). Those beside its
    own program are left out here.
    """
    options = _supervisord_options(process.command) or ()
    if any(option.startswith(("-c", "--configuration")) for option in options):
        return _given_config(process.pid, options)
    cwd = _working_directory(process.pid)
    names = ("supervisord.conf", "etc/supervisord.conf") if cwd else ()
    places = [*(os.path.join(cwd, name) for name in names), *SUPERVISORD_CONFIGS]
    return next((place for place in places if os.path.exists(place)), None)


def _same_config(pid: int, options: t.Sequence[str], wanted: str) -> bool:
    given = _given_config(pid, options)
    return given is not None and os.path.realpath(given) == wanted


def _given_config(pid: int, options: t.Sequence[str]) -> t.Optional[str]:
    given = None
    for number, option in enumerate(options):
        if option in ("-c", "--configuration"):
            given = options[number + 1] if number + 1 < len(options) else None
        elif option.startswith("--configuration="):
            given = option[len("--configuration=") :]
        elif option.startswith("-c") and not option.startswith("--"):
            given = option[2:]
    if not given or os.path.isabs(given):
        return given or None
    cwd = _working_directory(pid)
    return os.path.join(cwd, given) if cwd else None


def _is_daemon_of(pid: int, root: t.Optional[str]) -> bool:
    if root is None:
        return False
    own = label(pid)
    return own is not None and not own.service and os.path.normpath(own.root) == os.path.normpath(root)


# --- ending -------------------------------------------------------------------------------------------------------


def kin() -> t.FrozenSet[int]:
    """Return the pids of this run and of all it descends from."""
    return frozenset([os.getpid(), *ancestors(os.getpid())])


def untouchable(process: Process, own: t.Container[int]) -> t.Optional[str]:
    """Return why a process is never to be signalled, whatever is asked; None when it may be.

    Args:
        process: that is asked about.
        own: from `kin`.
    """
    if process.pid <= 1:
        return "it is pid 1"
    if process.pid == os.getpid():
        return "it is this run itself"
    if process.pid in own:
        return "this run descends from it"
    names = _names(process)
    if names & SSHD:
        return "it is sshd"
    if SYSTEMD in names:
        return "it is a user's systemd, and everything of that user is below it"
    return None


def manages(process: Process) -> bool:
    """Return whether a process is one that starts units: pid 1, or the systemd of a user."""
    return process.pid == 1 or SYSTEMD in _names(process)


def _names(process: Process) -> t.Set[str]:
    """Return what its program is called, by its file and by its command line; sshd adds a colon to the latter."""
    return {os.path.basename(process.exe), os.path.basename(process.command[0]).rstrip(":")}


class _Target:
    """One process on its way out, held by a pidfd where the kernel has them."""

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
        self.process = describe(identity[0]) if known is None else look_again(known)
        self.result, self.reason = self._identify()

    def _identify(self) -> t.Tuple[str, str]:
        """Return the result when it is not that process, or not alive, and the reason; else two empty strings."""
        process = self.process
        if process is None:
            return "gone", ""
        if process.start != self.identity[1]:
            self.process = None
            return "changed", f"pid {process.pid} is another process now"
        if process.state in "ZX":
            return "zombie", _describe_parent(process)
        return "", ""

    def rule_out(self, own: t.Container[int], check: t.Optional[t.Callable[[Process], bool]]) -> None:
        """Give it its result when it is not to be signalled."""
        if self.result or self.process is None:
            return
        never = untouchable(self.process, own)
        if never is not None:
            self.over("survived", f"not signalled: {never}")
        elif check is not None and not check(self.process):
            self.over("changed", "it is no longer what was to be ended")

    def send(self, name: str) -> None:
        """Send a signal and note it; a process that is gone or may not be signalled gets its result instead."""
        number = getattr(signals, f"SIG{name}")
        try:
            if self.fd is not None:
                signals.pidfd_send_signal(self.fd, number)
            elif alive(self.identity):
                os.kill(self.identity[0], number)
            else:
                raise ProcessLookupError
        except ProcessLookupError:
            self.over("ended" if self.sent else "gone")
        except PermissionError:
            user = self.process.user if self.process is not None else "root"
            self.over("survived", f"not permitted: it is of user {user}, and this runs as {user_name(os.geteuid())}")
        else:
            self.sent.append(name)

    def over(self, result: str, reason: str = "") -> None:
        """Note how it went."""
        self.result, self.reason = result, reason
        self.seconds = self._clock.monotonic() - self._began

    def close(self) -> None:
        """Let go of the pidfd."""
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
            result=self.result,
            seconds=self.seconds,
            reason=self.reason,
            exe=self.process.exe if self.process is not None else "",
        )


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
    targets: t.List[_Target] = []
    try:
        own = kin()
        for identity in identities:
            target = _Target(identity, clock, described.get(identity))
            targets.append(target)
            target.rule_out(own, check)
            if not target.result:
                target.send(signal)
            if not target.result and target.process is not None and target.process.state == "T":
                target.send("CONT")
        pending = _wait(targets, Deadline(grace, clock))
        for target in pending:
            target.send("KILL")
        for target in _wait(pending, Deadline(kill_grace, clock)):
            target.over(*_left_over(target.identity))
    finally:
        for target in targets:
            target.close()
    return [target.ended() for target in targets]


def wait_gone(identities: t.Iterable[Identity], deadline: Deadline) -> t.List[Identity]:
    """Wait until these processes have ended (a zombie has) or the deadline has passed; return those that live on."""
    targets: t.List[_Target] = []
    try:
        for identity in identities:
            targets.append(_Target(identity, deadline.clock))
        return [target.identity for target in _wait([one for one in targets if not one.result], deadline)]
    finally:
        for target in targets:
            target.close()


def sweep(
    root: str,
    *,
    keep: t.Iterable[int] = (),
    uids: t.Optional[t.Container[int]] = None,
    grace: float = 5.0,
    kill_grace: float = 2.0,
    clock: Clock = SYSTEM,
) -> t.List[Ended]:
    """End every process that carries the label of the stack at ``root`` and is not kept, the deepest first.

    It looks again after each round, for what was forked while the parent was being ended.

    Args:
        root: the stack's root directory.
        keep: pids of live daemons; they and their descendants are left alone. So is this run itself.
        uids: the users whose labels count; None means `trusted_uids` of the root.
        grace: seconds from TERM to KILL, for each round.
        kill_grace: seconds to wait after KILL, for each round.
        clock: the clock of all deadlines.

    Returns:
        How each ended. ``survived`` and ``stuck`` are those that are still there.
    """
    ended: t.List[Ended] = []
    tried: t.Set[Identity] = set()
    for _unused in range(SWEEPS):
        left = [process for process in _strays(root, keep, uids) if process.identity not in tried]
        if not left:
            return ended
        tried.update(process.identity for process in left)
        left.sort(key=lambda process: len(ancestors(process.pid)), reverse=True)
        ended += end(
            [process.identity for process in left],
            grace=grace,
            kill_grace=kill_grace,
            clock=clock,
            check=lambda process: _carries(process, root),
        )
    for process in _strays(root, keep, uids):
        if process.identity not in tried:
            reason = f"new after {SWEEPS} rounds: something keeps starting it; {_describe_parent(process)}"
            ended.append(Ended(process.pid, process.start, process.user, process.command, (), "survived", 0.0, reason))
    return ended


def _strays(root: str, keep: t.Iterable[int], uids: t.Optional[t.Container[int]]) -> t.List[Process]:
    daemons = set(keep)
    found = [process for process in labelled(root, uids) if process.pid != os.getpid()]
    above = lineages([process.pid for process in found], found)
    return [process for process in found if not daemons.intersection(above[process.pid])]


def _carries(process: Process, root: str) -> bool:
    own = label(process.pid) or recorded(root).get(process.identity)
    return own is not None and os.path.normpath(own.root) == os.path.normpath(root)


def _wait(targets: t.Sequence[_Target], deadline: Deadline) -> t.List[_Target]:
    """Wait for the end of each target, note it, and return those that the deadline left over."""
    pending = [target for target in targets if not target.result]
    by_fd = {target.fd: target for target in pending if target.fd is not None}
    poller = select.poll()
    for fd in by_fd:
        # A pidfd turns readable when the last thread has ended, before the process is reaped.
        poller.register(fd, select.POLLIN)
    while pending:
        if len(by_fd) < len(pending):
            deadline.clock.sleep(min(POLL, deadline.remaining()))
            over = [target for target in pending if not alive(target.identity)]
        else:
            over = [by_fd[fd] for fd, _unused in poller.poll(math.ceil(deadline.remaining() * 1000))]
        for target in over:
            target.over("ended")
            pending.remove(target)
            if target.fd is not None:
                poller.unregister(target.fd)
                del by_fd[target.fd]
        if not over and deadline.expired:
            break
    return pending


def _left_over(identity: Identity) -> t.Tuple[str, str]:
    """Return result and reason for what has outlived even KILL."""
    process = describe(identity[0])
    if process is None or process.start != identity[1] or process.state in "ZX":
        return "ended", ""
    if process.state == "D":
        return "stuck", "it sleeps in the kernel (state D), where KILL has to wait: look for a hung disk or mount"
    return "survived", f"still there after KILL, in state {process.state}"


def _describe_parent(process: Process) -> str:
    parent = describe(process.ppid) if process.ppid else None
    if parent is None:
        return "its parent cannot be seen"
    return f"its parent is pid {parent.pid} '{parent.command_line}' of user {parent.user}"


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
    if not LINUX:
        return
    try:
        own = os.readlink("/proc/self")
    except OSError as exc:
        own = f"unreadable: {exc.strerror}"
    if own != str(os.getpid()):
        raise RollcallError(
            f"/proc shows another pid namespace: it says that this process is {own}, the kernel says {os.getpid()}. "
            "Nothing is signalled, for the pids in it are not those signals go to.",
            kind="refused",
            evidence={"proc_self": own, "pid": os.getpid()},
            remedies=["mount -t proc proc /proc"],
        )


# --- /proc, file by file ------------------------------------------------------------------------------------------


class _Stat(t.NamedTuple):
    name: str
    state: str
    ppid: int
    threads: int
    start: int


def _read(path: str, place: t.Optional[int] = None, *, filled: bool = False) -> bytes:
    """Return a file; ``filled``: it is one of those where a read that is not filled is the last, such as stat."""
    handle = os.open(path, os.O_RDONLY, dir_fd=place)
    try:
        parts: t.List[bytes] = []
        while True:
            part = os.read(handle, 65536)
            parts.append(part)
            if not part or (filled and len(part) < 65536):
                return b"".join(parts)
    finally:
        os.close(handle)


def _parse_stat(text: bytes) -> _Stat:
    # The name stands in parentheses and may itself contain them and spaces: the last one closes it.
    head, _unused, tail = text.rpartition(b")")
    fields = tail.split()
    if len(fields) < 20:
        raise ProcessLookupError(errno.ESRCH, "the process ended while it was read")
    return _Stat(
        name=head.partition(b"(")[2].decode("utf-8", "replace"),
        state=fields[0].decode(),
        ppid=int(fields[1]),
        threads=int(fields[17]),
        start=int(fields[19]),
    )


def _body(place: int, stat: _Stat) -> str:
    """Return where, below /proc/PID, the files about the memory of a process are to be read.

    A first thread that has ended is shown as a zombie, without command line, environment, program and descriptors,
    while the other threads live on with all of them.
    """
    if stat.state != "Z" or stat.threads < 2:
        return "."
    tasks = os.open("task", os.O_RDONLY | os.O_DIRECTORY, dir_fd=place)
    try:
        for name in os.listdir(tasks):
            try:
                if _parse_stat(_read(f"{name}/stat", tasks)).state not in "ZX":
                    return f"task/{name}"
            except (FileNotFoundError, ProcessLookupError):
                continue
    finally:
        os.close(tasks)
    return "."


def threaded(pid: int) -> bool:
    """Return whether a process has more than one thread.

    The link count of the directory is their number and two; it spares a look at most processes, the kernel's own.

    Raises:
        FileNotFoundError, ProcessLookupError: there is no such process.
    """
    return os.stat(f"/proc/{pid}/task").st_nlink > 3


def _read_body(pid: int, name: str) -> bytes:
    """Return a file about the memory of a process.

    Raises:
        FileNotFoundError, ProcessLookupError: there is no such process.
        PermissionError: it may not be read.
    """
    try:
        text = _read(f"/proc/{pid}/{name}", filled=True)
    except ProcessLookupError:
        # What newer kernels answer for a first thread that has ended; older ones show an empty file.
        text = b""
    if text or not threaded(pid):
        return text
    place = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY)
    try:
        body = _body(place, _parse_stat(_read("stat", place, filled=True)))
        return text if body == "." else _read(f"{body}/{name}", place)
    finally:
        os.close(place)


def _parse_status(text: bytes) -> t.Tuple[int, int]:
    """Return the real user id and how many pid namespaces deep the process is, seen from this /proc."""
    # The kernel writes a line break within the process's name as two characters, so these are lines of its own.
    uid = int(_field(text, b"\nUid:").split()[0])
    return uid, max(1, len(_field(text, b"\nNSpid:").split()))


def _field(text: bytes, name: bytes) -> bytes:
    """Return what follows a field's name in its line; empty when there is no such field."""
    return text.partition(name)[2].partition(b"\n")[0]


def _depth(pid: int) -> int:
    try:
        return _parse_status(_read(f"/proc/{pid}/status", filled=True))[1]
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 1


@functools.lru_cache(maxsize=1)
def _own_depth() -> int:
    return _depth(os.getpid())


def _arguments(text: bytes) -> t.Tuple[str, ...]:
    return tuple(part.decode("utf-8", "replace") for part in text.rstrip(b"\0").split(b"\0")) if text else ()


def _link(name: str, place: t.Optional[int] = None) -> str:
    try:
        return os.readlink(name, dir_fd=place)
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        # No program (a kernel thread, a zombie), or another user's process: both are seen without it.
        return ""


def _parent(pid: int) -> int:
    if not LINUX:
        return int(_psutil_fact(pid, "ppid") or 0)
    try:
        return _parse_stat(_read(f"/proc/{pid}/stat", filled=True)).ppid
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0


def _command(pid: int) -> t.Tuple[str, ...]:
    if not LINUX:
        return tuple(_psutil_fact(pid, "cmdline") or ())
    try:
        return _arguments(_read_body(pid, "cmdline"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ()


def _environment(pid: int, prefix: str = "ROLLCALL_") -> t.Dict[str, str]:
    """Return the variables of a process that begin so; empty when it has none or they may not be read."""
    if not LINUX:
        variables = _psutil_fact(pid, "environ") or {}
        return {name: value for name, value in variables.items() if name.startswith(prefix)}
    try:
        text = _read_body(pid, "environ")
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return {}
    wanted = prefix.encode("ascii")
    if wanted not in text:
        return {}
    entries = (entry.partition(b"=") for entry in text.split(b"\0") if entry.startswith(wanted))
    return {name.decode("utf-8", "replace"): os.fsdecode(value) for name, _unused, value in entries}


def _working_directory(pid: int) -> str:
    if LINUX:
        return _link(f"/proc/{pid}/cwd")
    return str(_psutil_fact(pid, "cwd") or "")


@functools.lru_cache(maxsize=1)
def _ticks_per_second() -> int:
    return os.sysconf("SC_CLK_TCK")


@functools.lru_cache(maxsize=1)
def _boot_time() -> float:
    """Return when the machine was started, in seconds since the epoch; taken once, so that it gives one answer."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _ticks_ago(start: int) -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) - start / _ticks_per_second()


# --- other systems, by psutil -------------------------------------------------------------------------------------


def load_psutil() -> t.Any:
    """Return psutil.

    Raises:
        RollcallError: it is not installed.
    """
    try:
        import psutil
    except ImportError as exc:
        raise RollcallError(
            f"Looking at processes on {sys.platform} takes psutil, which this Python does not have.",
            evidence={"python": sys.executable},
            remedies=[f"{sys.executable} -m pip install psutil"],
        ) from exc
    return psutil


def _psutil_describe(pid: int) -> t.Optional[Process]:
    psutil = load_psutil()
    try:
        process = psutil.Process(pid)
        # What may not be read, and what a zombie no longer has, is None.
        facts = process.as_dict(["ppid", "create_time", "uids", "exe", "cmdline", "status", "name"])
    except (psutil.Error, OSError):
        return None
    if facts["create_time"] is None:
        # Without its start it could not be told from the next one with its pid.
        return None
    letters = {"running": "R", "disk-sleep": "D", "stopped": "T", "tracing-stop": "T", "zombie": "Z", "dead": "X"}
    uid = facts["uids"].real if facts["uids"] is not None else -1
    return Process(
        pid=pid,
        ppid=facts["ppid"] or 0,
        start=int(facts["create_time"] * 100),
        uid=uid,
        user=user_name(uid) if uid >= 0 else "?",
        exe=facts["exe"] or "",
        command=tuple(facts["cmdline"] or ()) or (f"[{facts['name'] or '?'}]",),
        state=letters.get(facts["status"], "S"),
        started_at=facts["create_time"],
    )


def _psutil_fact(pid: int, name: str) -> t.Any:
    """Return what a method of psutil.Process answers; None when there is no such process or it may not be read."""
    psutil = load_psutil()
    try:
        return getattr(psutil.Process(pid), name)()
    except (psutil.Error, OSError):
        return None
