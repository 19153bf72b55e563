# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The life of a supervisord: started, told to stop, ended by its pid, and cleaned up after.

Facts used here come from supervisor 4.1 to 4.3 (``supervisord.py``, ``http.py``): its loop turns once a second, and at
every call; at its very end it unlinks its socket path, whoever's socket lies there by then. So the next supervisord may
start only when the pid of the old one is gone.
"""

from __future__ import annotations

import os
import socket
import stat
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.files import read_last_lines, read_text
from ..base.opening import NotPlain, judged, open_plain
from ..base.removing import remove
from ..host import accounts, ending, inheritance, processes, rlimits
from ..host.accounts import Account
from ..host.ending import Ended
from ..host.model import Identity
from . import client_errors
from .client import Client, ProgramState

if t.TYPE_CHECKING:
    import subprocess

_POKE_INTERVAL = 0.001  # seconds; it stops one program per turn of its loop, and a poke is a turn
_END_INTERVAL = 0.05  # seconds; without its socket it turns no more, and its end is waited for
_START_INTERVAL = 0.005  # seconds between two questions whether it answers yet
_SHORTEST_CALL = 0.05  # seconds; with less a call would fail for that alone
_END_GRACE = 3.0  # seconds for one that did not start: up to 1 for the turn of its loop, and its end
_OUTPUT_LINES = 12

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h

# The supervisords that this very process started: their end leaves a zombie until it is waited for.
_children: t.Dict[int, subprocess.Popen[bytes]] = {}


# --- start --------------------------------------------------------------------------------------------------------


def start_supervisord(
    python: str,
    config: str,
    *,
    socket_path: str,
    environment: t.Mapping[str, str],
    log: str,
    cwd: str,
    number: int = 0,
    user: t.Optional[str] = None,
    umask: int = 0o022,
    limits: t.Optional[rlimits.Limits] = None,
    timeout: float = 10.0,
    clock: Clock = SYSTEM,
    started: t.Callable[[int], None] = lambda _pid: None,
) -> int:
    """Start supervisord in a session of its own, wait until it answers on its socket as itself, and return its pid.

    Args:
        python: the interpreter that has supervisor.
        config: its configuration file.
        socket_path: the socket that this file names.
        environment: the whole environment; nothing is inherited.
        log: the file that takes what it prints, appended to; opened with the rights of ``user``.
        cwd: the directory it starts in.
        number: of the stack (``inheritance.number_of``), for all that it will start; 0 for none.
        user: the account to run as; None for the current one. Another one needs root.
        umask: of its programs; its own files are private by the mode of their directories.
        limits: its hard limits at the least; they are raised so far where this process may do so.
        timeout: seconds until it must answer; one that does not is ended.
        clock: where the time comes from.
        started: told its pid when it lives, before it is awaited.

    Raises:
        RollcallError: it cannot be started, exited, or did not answer in time. The last lines that it printed are in
            ``evidence["output"]``.
    """
    deadline, who = Deadline(timeout, clock), accounts.require_account(user)
    with os.fdopen(_open_log(log, who), "ab") as stream:
        output = stream.fileno()
        printed = os.fstat(output).st_size
        with rlimits.unaffected(limits or {}):
            child = _spawn((python, config), who, number, environment=environment, output=output, cwd=cwd, umask=umask)
        try:
            started(child.pid)
            _await_answer(child, socket_path, deadline, lambda: read_last_lines(output, _OUTPUT_LINES, start=printed))
        except BaseException:  # an interrupt as well: nobody would know of it
            _end_child(child, clock)
            raise
    return child.pid


def _open_log(log: str, who: Account) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with accounts.acting_as(who):
            return judged(os.open(log, flags, 0o640), log, None)
    except OSError as exc:
        cure = cures.move_away(log) if isinstance(exc, NotPlain) else cures.rights(os.path.dirname(log), log)
        raise RollcallError(
            f"supervisord's output file {log} cannot be opened: {exc.strerror}",
            evidence={"path": log, "user": who.name},
            remedies=[cure],
        ) from exc


def _spawn(
    program: t.Tuple[str, str],
    who: Account,
    number: int,
    *,
    environment: t.Mapping[str, str],
    output: int,
    cwd: str,
    umask: int,
) -> subprocess.Popen[bytes]:
    import subprocess

    python, config = program
    # -I: `-m` alone puts the working directory, which may be the services', first on the module path. It ignores
    # PYTHONUTF8, hence -Xutf8, one word: so a process is known as supervisord by its arguments.
    command = [python, "-I", "-Xutf8", "-m", "supervisor.supervisord", "--nodaemon", "-c", config]
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            close_fds=True,
            start_new_session=True,
            cwd=cwd,
            env=dict(environment),
            umask=umask,
            preexec_fn=_bequeath(number),  # noqa: PLW1509 - it calls nothing but prctl(2) and setrlimit(2)
            **who.identity,
        )
    except OSError as exc:
        raise RollcallError(
            f"supervisord cannot be started with {python} in {cwd}: {exc}", evidence={"command": command, "cwd": cwd}
        ) from exc
    _forget_ended()
    _children[child.pid] = child
    return child


def _forget_ended() -> None:
    """Take the exit statuses of those that have ended; otherwise each stays in the table of processes as a zombie."""
    for pid in [pid for pid, child in _children.items() if child.poll() is not None]:
        del _children[pid]


def _bequeath(number: int) -> t.Optional[t.Callable[[], None]]:
    """Return what gives a process the stack's number and makes it the reaper of all that descends from it.

    It does so before it executes supervisord.

    What a service leaves behind, whatever it does to its environment, session or namespaces, becomes supervisord's own
    child instead of pid 1's, and so stays known (prctl(2), PR_SET_CHILD_SUBREAPER: kept over execve, not inherited).
    supervisord waits for every child, also for those that it has not started.
    """
    if not processes.LINUX:
        return None
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def bequeath() -> None:
        inheritance.take(number)
        # A kernel before 3.4 refuses; what is left behind is then known by its label and session alone.
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    return bequeath


def _await_answer(
    child: subprocess.Popen[bytes], socket_path: str, deadline: Deadline, output: t.Callable[[], t.List[str]]
) -> None:
    """Return when the child itself answers as RUNNING on its socket; raise when it has exited or time is up."""
    with Client(socket_path, clock=deadline.clock) as client:
        _await_running(child, client, deadline, output)


def _await_running(
    child: subprocess.Popen[bytes], client: Client, deadline: Deadline, output: t.Callable[[], t.List[str]]
) -> None:
    answering: t.Optional[int] = None
    seen = ""

    def is_up() -> bool:
        nonlocal answering, seen
        exit_code = child.poll()
        if exit_code is not None:
            lines = output()
            how = f"exit code {exit_code}" if exit_code >= 0 else f"signal {-exit_code}"
            raise RollcallError(
                f"supervisord did not start, it ended with {how}: {_reason(lines)}",
                evidence={"exit_code": exit_code, "output": lines, "command": child.args},
            )
        pid, seen = _greet(client, deadline)
        # Whoever has answered once stays known: there may have been no time left for the last call.
        answering = answering if pid is None else pid
        return (pid, seen) == (child.pid, "RUNNING")

    if not deadline.poll(is_up, _START_INTERVAL):
        raise RollcallError(
            f"supervisord (pid {child.pid}) did not answer within {deadline.seconds:g} s and was ended; last seen: "
            f"{seen if answering in (None, child.pid) else f'pid {answering} answers on {client.socket_path}'}",
            evidence={"pid": child.pid, "output": output(), "last": seen},
        )


def _greet(client: Client, deadline: Deadline) -> t.Tuple[t.Optional[int], str]:
    """Return the pid that answers on the socket and its state; None and what is in the way."""
    limit = _last_chance(client, deadline)
    try:
        pid = int(client.call("supervisor.getPID", timeout=limit))
        return pid, client.poke(limit)
    except RollcallError as exc:
        return None, exc.message


def _last_chance(client: Client, deadline: Deadline) -> float:
    """Return the seconds for a call before the deadline: never so few that its failure says nothing but that."""
    return max(_SHORTEST_CALL, min(client.timeout, deadline.remaining()))


def _reason(lines: t.Sequence[str]) -> str:
    """Return the line that says why supervisord ended: ``Error: ...``, which a hint to its help may follow."""
    errors = [line for line in lines if line.startswith("Error: ")]
    return (errors or list(lines) or ["it printed nothing"])[-1]


def _end_child(child: subprocess.Popen[bytes], clock: Clock) -> None:
    """End a supervisord that this process has started and not yet waited for: its pid cannot be another's."""
    for order in (child.terminate, child.kill):
        if child.poll() is None:
            order()
            Deadline(_END_GRACE, clock).poll(lambda: child.poll() is not None, 0.01)
    _children.pop(child.pid, None)


# --- stop ---------------------------------------------------------------------------------------------------------


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _reap(pid: int) -> None:
    """Take the exit code of a supervisord that this process started itself, so that it leaves no zombie."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]


def stop_supervisord(
    client: Client,
    identity: t.Union[int, Identity],
    *,
    timeout: float,
    programs: t.Optional[t.Mapping[str, ProgramState]] = None,
    pidfile: t.Optional[str] = None,
    clock: Clock = SYSTEM,
) -> t.List[str]:
    """Shut supervisord down and wait until its process is gone, so that it cannot unlink its successor's socket.

    It is poked all the while: its loop stops one program a turn and turns once a second by itself.

    Args:
        client: to its socket.
        identity: its pid and start time, or its pid alone; one that is gone already is no error.
        timeout: seconds until it must be gone, its programs' own stop times included.
        programs: its programs as they were seen before; None asks for them. An error names those that still live.
        pidfile: its pid file, to be removed should it be left over.
        clock: where the time comes from.

    Returns:
        The left-over files that were removed.

    Raises:
        RollcallError: it does not answer, another one answers in its place, or it is still there at the deadline.
    """
    watched = _identify(identity)
    if watched is not None:
        deadline = Deadline(timeout, clock)
        stopping = _order_shutdown(client, watched, programs, clock)
        state, interval = "told to shut down", _POKE_INTERVAL
        while not _gone(watched, interval, clock):
            if deadline.expired:
                raise _not_gone(client, watched[0], timeout, state, stopping)
            state, interval = _poked(client, deadline, state)
        _reap(watched[0])
    client.close()
    return remove_left_overs(client.socket_path, pidfile)


def end_supervisords(
    identities: t.Sequence[Identity], *, grace: float, kill_grace: float = 2.0, clock: Clock = SYSTEM
) -> t.List[Ended]:
    """End supervisords whose socket is of no use: deleted under them, or answering nothing.

    Args:
        identities: pid and start time of each, from ``running.supervisords_over``.
        grace: seconds from TERM to KILL, for all of them together. Without a socket they cannot be poked: each needs a
            second for each program that it has to stop, and those programs' own stop times.
        kill_grace: seconds to wait after KILL, which leaves their programs behind as orphans.
        clock: where the time comes from.

    Raises:
        RollcallError: one is still there, or is not a supervisord any more.
    """
    ended = ending.end(
        identities,
        grace=grace,
        kill_grace=kill_grace,
        clock=clock,
        check=lambda process: "supervisord" in process.command_line,
    )
    for pid, _start in identities:
        _reap(pid)
    left = [entry for entry in ended if entry.result in ("survived", "stuck", "changed")]
    if left:
        named = "; ".join(f"pid {entry.pid}: {entry.result}, {entry.reason}" for entry in left)
        raise RollcallError(
            f"supervisord was not ended: {named}",
            evidence={"daemons": [entry.as_dict() for entry in left]},
            remedies=[*(cures.kill(one.pid) for one in left if one.result != "changed"), cures.EMERGENCY],
        )
    return ended


def _identify(identity: t.Union[int, Identity]) -> t.Optional[Identity]:
    """Return pid and start time of the living process that is meant, None when it is gone."""
    if isinstance(identity, int):
        process = processes.describe(identity)
        return None if process is None or process.ended else process.identity
    return identity if processes.alive(identity) else None


def _gone(identity: Identity, seconds: float, clock: Clock) -> bool:
    return not ending.wait_gone([identity], Deadline(seconds, clock))


def _order_shutdown(
    client: Client, identity: Identity, programs: t.Optional[t.Mapping[str, ProgramState]], clock: Clock
) -> t.Mapping[str, ProgramState]:
    """Tell supervisord to shut down; return its programs, which it does not tell any more afterwards."""
    pid = identity[0]
    try:
        answering = client.pid()
        if answering != pid:
            raise RollcallError(
                f"pid {answering} answers on supervisord's socket {client.socket_path}, not pid {pid} that is to be "
                "stopped: two supervisords share the path of the socket",
                kind="refused",
                evidence={"socket": client.socket_path, "pid": pid, "answering": answering},
                remedies=[cures.EMERGENCY],
            )
        if programs is None:
            programs = client.programs()
        client.shutdown()
    except RollcallError as exc:
        problem = exc.evidence.get("problem")
        # Its socket goes a moment before its process.
        if problem == client_errors.SHUTTING_DOWN or (
            problem in (client_errors.ABSENT, client_errors.STALE, client_errors.CLOSED) and _gone(identity, 0.5, clock)
        ):
            return {}
        raise
    return programs


def _poked(client: Client, deadline: Deadline, before: str) -> t.Tuple[str, float]:
    """Poke supervisord; return its state or what is in the way, and the seconds to wait until it is poked again.

    For one that is ending nothing is an error: its socket goes a moment before its process (supervisor.options,
    close_httpservers). The silence of one that had less time than a call usually has says nothing: then the state is
    the one before.
    """
    limit = _last_chance(client, deadline)
    try:
        return client.poke(limit), _POKE_INTERVAL
    except RollcallError as exc:
        problem = exc.evidence.get("problem")
        if problem in (client_errors.ABSENT, client_errors.STALE):
            return exc.message, min(_END_INTERVAL, max(_POKE_INTERVAL, deadline.remaining()))
        silent = problem == client_errors.SILENT and limit < client.timeout
        return before if silent else exc.message, _POKE_INTERVAL


def _not_gone(
    client: Client, pid: int, timeout: float, state: str, stopping: t.Mapping[str, ProgramState]
) -> RollcallError:
    alive = {
        name: program.pid
        for name, program in stopping.items()
        if program.pid and processes.alive((program.pid, program.born))
    }
    waiting = ", ".join(f"{name} (pid {program})" for name, program in alive.items())
    return RollcallError(
        f"supervisord (pid {pid}) is still there after {timeout:g} s; last state: {state}"
        + (f"; still alive: {waiting}" if waiting else ""),
        evidence={"pid": pid, "socket": client.socket_path, "state": state, "alive": alive},
        remedies=[cures.EMERGENCY, cures.kill(pid)],
    )


def remove_left_overs(socket_path: str, pidfile: t.Optional[str] = None) -> t.List[str]:
    """Remove the socket and the pid file of a supervisord that is no more.

    The socket goes only when connecting to it is refused, the pid file only when its pid is no supervisord's. To be
    called while no supervisord of the stack is starting: between bind and listen its socket refuses too.

    Returns:
        The paths that were removed.

    Raises:
        RollcallError: a left-over could not be removed.
    """
    left_over = [socket_path] if _refuses(socket_path) else []
    if pidfile is not None and _names_nobody(pidfile):
        left_over.append(pidfile)
    for path in left_over:
        try:
            remove(path, missing_ok=True)  # somebody else may be quicker, which is as good
        except OSError as exc:
            raise RollcallError(
                f"the left-over {path} cannot be removed: {exc.strerror}",
                evidence={"path": path, "errno": exc.errno},
                remedies=[cures.rights(os.path.dirname(path), path)],
            ) from exc
    return left_over


def _refuses(path: str) -> bool:
    """Return whether there is a socket at the very path with nobody listening on it."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)  # one with a full queue would have us wait; it is alive (EAGAIN)
            probe.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def _names_nobody(pidfile: str) -> bool:
    """Return whether a regular pid file's pid is not, or cannot be, that of a living supervisord."""
    try:
        text = read_text(pidfile, most=64, errors="replace", opened=open_plain).strip()
    except OSError:
        return False
    if not text.isdigit() or not 0 < int(text) < 2**31 or not _exists(int(text)):
        return True
    try:
        with open(f"/proc/{text}/cmdline", "rb") as handle:
            command = handle.read()
    except OSError:
        return False  # hidden from us, or no Linux: it lives, more cannot be said
    return b"supervisord" not in command  # a pid that is somebody else's by now; a zombie has no command
