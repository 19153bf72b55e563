# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""supervisord, spoken to over XML-RPC on its unix socket, and its life: started, stopped, cleaned up after.

Facts used here come from supervisor 4.1 to 4.3 (``rpcinterface.py``, ``xmlrpc.py``, ``http.py``, ``supervisord.py``):

* its loop sleeps up to 1 s before it handles a state change, a signal or the end of a child; any call wakes it;
* while it shuts down every call is refused with the fault SHUTDOWN_STATE, and at its very end it unlinks its socket
  path, whoever's socket lies there by then: the next daemon may start only when the old one's pid is gone.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import select
import socket
import stat
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.wire import Line
from ..host import accounts, processes
from ..host.accounts import Account
from . import rpc

if t.TYPE_CHECKING:
    import subprocess

# Seconds that a question to a supervisord may take before its silence is the answer.
CALL_TIMEOUT = 2.0
_T = t.TypeVar("_T")

# RollcallError.evidence["problem"] of everything that Client raises.
ABSENT = "absent"  # no socket file
STALE = "stale"  # a socket file that nobody listens on
NOT_A_SOCKET = "not_a_socket"
TOO_LONG = "too_long"
DENIED = "denied"
SILENT = "silent"  # somebody holds the socket and does not answer
CLOSED = "closed"  # the connection ended before the answer
UNREACHABLE = "unreachable"  # any other error of the socket
STRANGER = "stranger"  # a supervisord answers, and it is another stack's
UNAUTHORISED = "unauthorised"
GARBAGE = "garbage"
SHUTTING_DOWN = "shutting_down"
FAULT = "fault"  # refused by name: evidence["fault"] has supervisord's word for it

# xmlrpc.Faults of supervisor
_SHUTDOWN_STATE = 6
_FAULT_NAMES: t.Mapping[int, str] = {
    1: "UNKNOWN_METHOD",
    2: "INCORRECT_PARAMETERS",
    3: "BAD_ARGUMENTS",
    4: "SIGNATURE_UNSUPPORTED",
    _SHUTDOWN_STATE: "SHUTDOWN_STATE",
    10: "BAD_NAME",
    11: "BAD_SIGNAL",
    20: "NO_FILE",
    21: "NOT_EXECUTABLE",
    30: "FAILED",
    40: "ABNORMAL_TERMINATION",
    50: "SPAWN_ERROR",
    60: "ALREADY_STARTED",
    70: "NOT_RUNNING",
    80: "SUCCESS",
    90: "ALREADY_ADDED",
    91: "STILL_RUNNING",
    92: "CANT_REREAD",
}
_FAULT_TEXTS: t.Mapping[str, str] = {
    "SHUTDOWN_STATE": "supervisord is shutting down and takes no orders",
    "BAD_NAME": "supervisord does not know it; its configuration was not re-read or lacks it",
    "NO_FILE": "its command cannot be found",
    "NOT_EXECUTABLE": "its command cannot be executed",
    "ABNORMAL_TERMINATION": "it ended while starting",
    "SPAWN_ERROR": "it could not be spawned",
    "ALREADY_STARTED": "it is running already",
    "NOT_RUNNING": "it is not running",
    "ALREADY_ADDED": "it is in supervisord's active configuration already",
    "STILL_RUNNING": "it still runs and must be stopped first",
    "CANT_REREAD": "supervisord cannot read its configuration",
}

# States of a program without a process. UNKNOWN is not one: supervisord has lost it, and it may live.
DOWN = frozenset({"STOPPED", "EXITED", "FATAL"})

# Seconds more for each program of a batch. Spawning takes 2.5 ms, 10 ms with a high minfds, and on a machine that has
# six times as much to do as it can, six times that. It is a limit for one that hangs, no time that is waited.
_PER_NAME = 0.1
_POKE_INTERVAL = 0.001  # seconds; it stops one program per turn of its loop, and a poke is a turn
_START_INTERVAL = 0.005
_SHORTEST_CALL = 0.05
_END_GRACE = 3.0  # seconds for a daemon that did not start: up to 1 for the turn of its loop, and its end
_OUTPUT_LINES = 12
_OUTPUT_BYTES = 8192


@dataclasses.dataclass(frozen=True)
class ProgramState:
    """One program as supervisord sees it, and its process as the kernel does.

    ``start``, ``stop`` and ``now`` are whole seconds of the wall clock, 0 for never; ``pid`` is 0 when it has none.
    supervisord moves ``start`` when the wall clock is set back. ``born``, the start time of processes.Process, and
    ``age``, in seconds, are the kernel's and do not move; they are 0 without a process.
    """

    name: str
    state: str
    pid: int
    start: float
    stop: float
    now: float
    exit_status: int
    spawn_error: str
    description: str
    logs: t.Tuple[str, ...] = ()  # the files that its output goes to
    born: int = 0
    age: float = 0.0


@dataclasses.dataclass(frozen=True)
class ProgramConfig:
    """One program as supervisord's configuration has it, which need not be the active one.

    ``start_seconds`` and ``stop_seconds`` are its startsecs and stopwaitsecs; ``priority`` is its group's and its own.
    """

    name: str
    autostart: bool
    start_seconds: float
    stop_seconds: float
    priority: t.Tuple[int, int]


def _fault_text(code: int, text: str, subject: str = "") -> str:
    """Return a clause for one fault. supervisord says ``NAME: detail``; mostly the detail is just ``subject`` again."""
    name = _FAULT_NAMES.get(code, f"fault {code}")
    detail = text.split(": ", 1)[1] if text.startswith(f"{name}: ") else ""
    if "unknown process state" in detail:
        return "supervisord has lost track of its process (UNKNOWN); only a new supervisord gets it back"
    if name not in _FAULT_TEXTS:
        return f"{name}: {detail}" if detail else text or name
    return f"{_FAULT_TEXTS[name]} ({name})" + (f": {detail}" if detail and detail != subject else "")


class Client:
    """supervisord's XML-RPC interface on a unix socket, over one connection that is kept open. Not for two threads.

    Args:
        socket_path: the socket of ``[unix_http_server]``.
        username: the user name that this section asks for; None when it asks for none.
        password: the password that belongs to it, in plain text.
        timeout: seconds that one call may take in all, from connecting to the last byte of the answer.
        clock: where the time comes from.

    Every method raises RollcallError, with ``evidence["problem"]`` one of this module's constants.
    """

    def __init__(
        self,
        socket_path: str,
        *,
        username: t.Optional[str] = None,
        password: t.Optional[str] = None,
        timeout: float = 2.0,
        clock: Clock = SYSTEM,
    ) -> None:
        self.socket_path = socket_path
        self.timeout = timeout
        self._authorization = None if username is None else _basic(username, password or "")
        self._clock = clock
        self._line: t.Optional[Line] = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_exc: t.Any) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        if self._line is not None:
            self._line.close()
            self._line = None

    # -- what supervisord is asked ---------------------------------------------------------------------------------

    def state(self) -> str:
        """Return supervisord's own state: RUNNING, FATAL or RESTARTING; one that shuts down refuses to say."""
        return self._read(lambda answer: str(answer["statename"]), self.call("supervisor.getState"))

    def pid(self) -> int:
        """Return the daemon's pid, as it knows it itself."""
        return self._read(int, self.call("supervisor.getPID"))

    def version(self) -> str:
        """Return the version of supervisor that runs, such as ``4.3.0``."""
        return str(self.call("supervisor.getSupervisorVersion"))

    def programs(self) -> t.Dict[str, ProgramState]:
        """Return every program by its name; ``group:name`` when its group is called otherwise."""
        return self._read(_program_states, self.call("supervisor.getAllProcessInfo"))

    def configs(self) -> t.Dict[str, ProgramConfig]:
        """Return every program of the configuration as it was last read, active or not, named as in :meth:`programs`.

        Nothing when supervisord cannot say it: a log size of 2 GiB or more is no integer of XML-RPC, and it then fails
        over its own answer, for all programs.
        """
        try:
            rows = self.call("supervisor.getAllConfigInfo")
        except RollcallError as exc:
            if exc.evidence.get("status") == 500:
                return {}
            raise
        return self._read(_program_configs, rows)

    def start(self, names: t.Iterable[str]) -> t.Dict[str, t.Optional[str]]:
        """Start programs in one call without waiting for them.

        Returns:
            For each name None when it was spawned or ran already, else what is in the way.
        """
        texts, answers = self._each(
            "supervisor.startProcess", list(names), "ALREADY_STARTED", "supervisor.getAllProcessInfo"
        )
        programs = self._read(_program_states, answers[0] if answers else [])
        for name in texts:
            if name not in programs:
                continue
            # supervisord answers that it has started a program that is STOPPING, and does nothing (Subprocess.spawn).
            if texts[name] is None and programs[name].state == "STOPPING":
                texts[name] = "it is still stopping and cannot be started yet (STOPPING)"
            # The fault SPAWN_ERROR has only the program's name.
            elif "(SPAWN_ERROR)" in (texts[name] or "") and programs[name].spawn_error:
                texts[name] = f"{_FAULT_TEXTS['SPAWN_ERROR']}: {programs[name].spawn_error}"
        return texts

    def stop(self, names: t.Iterable[str]) -> t.Dict[str, t.Optional[str]]:
        """Send programs their stop signal in one call without waiting for them.

        Returns:
            For each name None when it was signalled, did not run or is stopping already, else what is in the way.
        """
        return self._each("supervisor.stopProcess", list(names), "NOT_RUNNING")[0]

    def signal(self, names: t.Iterable[str], signal: str) -> t.Dict[str, t.Optional[str]]:
        """Send programs a signal in one call.

        Args:
            names: the programs.
            signal: its name, with or without SIG, or its number.

        Returns:
            For each name None when it was sent, else what is in the way.
        """
        return self._each("supervisor.signalProcess", list(names), "", argument=signal)[0]

    def reload(self) -> t.Tuple[t.List[str], t.List[str], t.List[str]]:
        """Make supervisord read its configuration again, without acting on it.

        Returns:
            The names of the programs added, changed and removed since the active configuration.
        """
        answer = self.call("supervisor.reloadConfig")
        added, changed, removed = self._read(lambda rows: [[str(name) for name in row] for row in rows[0]], answer)
        return added, changed, removed

    def add(self, name: str) -> None:
        """Take a program of the re-read configuration into the active one."""
        self.call("supervisor.addProcessGroup", name)

    def remove(self, name: str) -> None:
        """Drop a stopped program from the active configuration."""
        self.call("supervisor.removeProcessGroup", name)

    def shutdown(self) -> None:
        """Order the daemon to stop its programs and itself; no error when it is doing so already."""
        try:
            self.call("supervisor.shutdown")
        except RollcallError as exc:
            # With nothing to stop it can be gone before its answer is sent.
            if exc.evidence["problem"] not in (SHUTTING_DOWN, CLOSED):
                raise

    def poke(self, timeout: t.Optional[float] = None) -> str:
        """Make supervisord's loop turn, and return its state; SHUTDOWN for one that is shutting down."""
        try:
            answer = self.call("supervisor.getState", timeout=timeout)
        except RollcallError as exc:
            if exc.evidence["problem"] == SHUTTING_DOWN:
                return "SHUTDOWN"
            raise
        return self._read(lambda state: str(state["statename"]), answer)

    def call(self, method: str, *params: t.Any, timeout: t.Optional[float] = None) -> t.Any:
        """Call one method of the XML-RPC interface.

        Args:
            method: with its namespace, ``supervisor.getState``.
            params: what XML-RPC can carry.
            timeout: seconds for this call instead of the client's.
        """
        deadline = Deadline(self.timeout if timeout is None else timeout, self._clock)
        answer = self._exchange(method, rpc.call_of(method, params), deadline)
        try:
            return rpc.result_of(answer)
        except rpc.Fault as exc:
            raise self._refused(method, params, exc.code, exc.text) from exc
        except rpc.Malformed as exc:
            raise self._garbage(str(exc)) from exc

    # -- how it is asked -------------------------------------------------------------------------------------------

    def _exchange(self, method: str, body: bytes, deadline: Deadline) -> bytes:
        """Send one request and return the body of its answer; the connection survives only a whole answer."""
        line = self._connected(deadline)
        received = line.received
        try:
            status, answer, reusable = rpc.post(line, body, self._authorization)
        except TimeoutError as exc:
            self.close()
            raise self._silent(method, deadline.seconds, line.received - received) from exc
        except ConnectionError as exc:
            self.close()
            raise self._error(
                CLOSED,
                f"supervisord at {self.socket_path} closed the connection before it had answered {_bare(method)}: "
                "it is ending, or crashed",
            ) from exc
        except rpc.Malformed as exc:
            raise self._garbage(str(exc)) from exc
        except OSError as exc:
            self.close()
            raise self._unreachable(exc) from exc
        if not reusable:
            self.close()
        if status == 401:
            raise self._unauthorised()
        if status != 200:
            raise self._garbage(f"HTTP status {status}", status=status)
        return answer

    def _connected(self, deadline: Deadline) -> Line:
        """Return the kept connection when the daemon still holds its end, else a new one."""
        if self._line is not None:
            if not _readable(self._line.sock):
                self._line.deadline = deadline
                return self._line
            self.close()  # between two calls there is nothing to read but the end of a daemon that went away
        line = Line(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), deadline)
        try:
            line.connect(self.socket_path)
        except OSError as exc:
            line.close()
            raise self._unconnected(exc, deadline) from exc
        self._line = line
        return line

    def _unconnected(self, exc: OSError, deadline: Deadline) -> RollcallError:
        """Return the error for a connection that was not made (unix(7), connect(2))."""
        path = self.socket_path
        if isinstance(exc, FileNotFoundError):
            return self._error(ABSENT, f"supervisord is not running: there is no socket at {path}")
        if isinstance(exc, ConnectionRefusedError):
            if not _is_socket(path):
                return self._error(NOT_A_SOCKET, f"{path} is no socket: something else has been put in its place")
            return self._error(
                STALE, f"supervisord is not running: the socket at {path} is a left-over, nobody listens on it"
            )
        if isinstance(exc, PermissionError):
            return self._error(
                DENIED,
                f"uid {os.geteuid()} may not open supervisord's socket at {path}",
                remedies=["run this as root or as the stack's own user"],
            )
        # EAGAIN: the queue of connections that the daemon does not take is full.
        if isinstance(exc, (TimeoutError, BlockingIOError)):
            return self._silent("a connection", deadline.seconds, 0)
        return self._unreachable(exc)

    def _each(
        self, method: str, names: t.List[str], tolerated: str, *then: str, argument: t.Any = False
    ) -> t.Tuple[t.Dict[str, t.Optional[str]], t.List[t.Any]]:
        """Call ``method(name, argument)`` for all names, then the methods ``then``, in one round trip.

        The argument of starting and stopping is ``wait``: with wait=True a multicall waits for one program after the
        other.

        Returns:
            What is in the way of each name, and the answers of ``then``.
        """
        if not names:
            return {}, []
        calls: t.List[t.Dict[str, t.Any]] = [{"methodName": method, "params": [name, argument]} for name in names]
        calls += [{"methodName": method, "params": []} for method in then]
        answer = self.call("system.multicall", calls, timeout=self.timeout + of_batch(len(names)))
        rows = self._read(lambda answer: _as_many(answer, len(calls)), answer)
        texts: t.Dict[str, t.Optional[str]] = {}
        for name, row in zip(names, rows):
            code, text = self._read(_fault_of, row)
            if code == _SHUTDOWN_STATE:
                raise self._refused(method, (), code, text)
            fine = not code or _FAULT_NAMES.get(code) == tolerated
            texts[name] = None if fine else _fault_text(code, text, name)
        return texts, rows[len(names) :]

    def _read(self, reading: t.Callable[[t.Any], _T], answer: t.Any) -> _T:
        try:
            return reading(answer)
        except (KeyError, IndexError, TypeError, ValueError) as exc:
            raise self._garbage(f"{type(exc).__name__}: {exc}") from exc

    # -- what went wrong -------------------------------------------------------------------------------------------

    def _error(self, problem: str, message: str, *, remedies: t.Sequence[str] = (), **evidence: t.Any) -> RollcallError:
        return RollcallError(
            message, evidence={"problem": problem, "socket": self.socket_path, **evidence}, remedies=remedies
        )

    def _silent(self, method: str, seconds: float, received: int) -> RollcallError:
        # Whose socket it is cannot be told from here: SO_PEERCRED gives the pid that called listen(), long gone maybe.
        how = f"has sent only {received} bytes of its answer to" if received else "has not answered"
        return self._error(
            SILENT,
            f"somebody holds the socket {self.socket_path} but {how} {_bare(method)} within {seconds:g} s: "
            "supervisord hangs, is stopped, or is very busy",
            remedies=["rollcall restart emergency"],
            received=received,
        )

    def _unauthorised(self) -> RollcallError:
        if self._authorization is not None:
            return self._error(
                UNAUTHORISED,
                f"supervisord at {self.socket_path} refuses the user name or the password that it was given",
                remedies=["compare them with `username` and `password` of [unix_http_server] in its configuration"],
            )
        return self._error(
            UNAUTHORISED,
            f"supervisord at {self.socket_path} wants a password and was given none; the configuration of a stack sets "
            "none, so it runs with another one",
            remedies=[f"see which configuration it runs with: fuser -v {self.socket_path}"],
        )

    def _garbage(self, what: str, **evidence: t.Any) -> RollcallError:
        self.close()
        return self._error(
            GARBAGE,
            f"what answers at {self.socket_path} does not speak supervisord's XML-RPC: {what[:200]}",
            detail=what[:200],
            **evidence,
        )

    def _unreachable(self, exc: OSError) -> RollcallError:
        if "too long" in str(exc):  # raised by Python itself, without an errno
            return self._error(
                TOO_LONG,
                f"the path of supervisord's socket is too long for a unix socket ({len(self.socket_path)} bytes): "
                f"{self.socket_path}",
                remedies=["give the stack a shorter root or run directory: 99 bytes are the limit, 95 on macOS"],
            )
        if exc.errno in (errno.ENOTDIR, errno.ELOOP):
            return self._error(
                ABSENT, f"supervisord is not running: there is no socket at {self.socket_path} ({exc.strerror})"
            )
        return self._error(UNREACHABLE, f"cannot reach supervisord at {self.socket_path}: {exc}")

    def _refused(self, method: str, params: t.Sequence[t.Any], code: int, text: str) -> RollcallError:
        if code == _SHUTDOWN_STATE:
            return self._error(
                SHUTTING_DOWN,
                f"supervisord at {self.socket_path} is shutting down and takes no orders",
                fault="SHUTDOWN_STATE",
            )
        subject = params[0] if params and isinstance(params[0], str) else ""
        call = f"{_bare(method)} {subject}".rstrip()
        return self._error(
            FAULT,
            f"supervisord refused {call}: {_fault_text(code, text, subject)}",
            fault=_FAULT_NAMES.get(code, str(code)),
            detail=text,
        )


def _bare(method: str) -> str:
    return method.rpartition(".")[2]


def _basic(username: str, password: str) -> str:
    """Return the value of the header that carries user name and password (RFC 7617)."""
    import base64

    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def _readable(sock: socket.socket) -> bool:
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return bool(poller.poll(0))


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return True  # gone again: for the caller it was a socket that refused


def _as_many(rows: t.Any, number: int) -> t.List[t.Any]:
    if not isinstance(rows, list) or len(rows) != number:
        raise ValueError(f"not {number} results: {rows!r}")
    return rows


def _fault_of(row: t.Any) -> t.Tuple[int, str]:
    """Return code and text of one result of a multicall; the code 0 for success."""
    if isinstance(row, dict):
        return int(row["faultCode"]), str(row["faultString"])
    return 0, ""


def _full_name(row: t.Mapping[str, t.Any]) -> str:
    return str(row["name"] if row["group"] == row["name"] else f"{row['group']}:{row['name']}")


def _program_configs(rows: t.Any) -> t.Dict[str, ProgramConfig]:
    configs = {}
    for row in rows:
        name = _full_name(row)
        configs[name] = ProgramConfig(
            name=name,
            autostart=bool(row["autostart"]),
            start_seconds=float(row["startsecs"]),
            stop_seconds=float(row["stopwaitsecs"]),
            priority=(int(row["group_prio"]), int(row["process_prio"])),
        )
    return configs


def _program_states(rows: t.Any) -> t.Dict[str, ProgramState]:
    programs = {}
    for row in rows:
        name = _full_name(row)
        pid = int(row["pid"])
        born = processes.born(pid) if pid else 0
        programs[name] = ProgramState(
            name=name,
            state=str(row["statename"]),
            pid=pid,
            start=float(row["start"]),
            stop=float(row["stop"]),
            now=float(row["now"]),
            exit_status=int(row["exitstatus"]),
            spawn_error=str(row["spawnerr"]),
            description=str(row["description"]),
            logs=tuple(str(row[key]) for key in ("stdout_logfile", "stderr_logfile") if row.get(key)),
            born=born,
            age=processes.age_of(born) if born else 0.0,
        )
    return programs


def of_batch(number: int) -> float:
    """Return the seconds more that an order to this many programs at once may take."""
    return _PER_NAME * number


def wait_states(
    client: Client,
    names: t.Iterable[str],
    wanted: t.Container[str],
    dead_ends: t.Container[str] = (),
    *,
    deadline: Deadline,
    interval: float = 0.02,
) -> t.Dict[str, ProgramState]:
    """Poll until every program is in a wanted state, one is in a dead end, or the deadline has passed.

    Polling is what makes supervisord act sooner than once a second.

    Args:
        client: supervisord.
        names: the programs. One that supervisord does not know is not waited for.
        wanted: states to wait for, such as RUNNING.
        dead_ends: states from which no wanted one will come, such as FATAL; the first program there ends the waiting.
        deadline: asked at least once, even when it has passed already.
        interval: seconds between two looks.

    Returns:
        The last state seen of each of the names that supervisord knows. Why the waiting ended is for the caller to
        see in them.

    Raises:
        RollcallError: supervisord does not answer.
    """
    asked = list(names)
    seen: t.Dict[str, ProgramState] = {}

    def settled() -> bool:
        programs = client.programs()
        seen.clear()
        seen.update((name, programs[name]) for name in asked if name in programs)
        states = [program.state for program in seen.values()]
        return all(state in wanted for state in states) or any(state in dead_ends for state in states)

    if asked:
        deadline.poll(settled, interval)
    return seen


# -- the daemon's life ---------------------------------------------------------------------------------------------

# The daemons that this very process started: their end leaves a zombie until it is waited for.
_children: t.Dict[int, subprocess.Popen[bytes]] = {}


def start_daemon(
    python: str,
    config: str,
    *,
    socket_path: str,
    environment: t.Mapping[str, str],
    log: str,
    cwd: str,
    user: t.Optional[str] = None,
    umask: int = 0o027,
    timeout: float = 10.0,
    clock: Clock = SYSTEM,
    started: t.Callable[[int], None] = lambda _pid: None,
) -> int:
    """Start supervisord in a session of its own and wait until it answers on its socket as itself.

    Args:
        python: the interpreter that has supervisor.
        config: its configuration file.
        socket_path: the socket that this file names.
        environment: the whole environment; nothing is inherited.
        log: the file that takes what it prints, appended to; opened with the rights of ``user``.
        cwd: the directory it starts in.
        user: the account to run as; None for the current one. Another one needs root.
        umask: for the daemon; the configuration's own covers neither its log nor anything under nodaemon.
        timeout: seconds until it must answer; one that does not is ended.
        clock: where the time comes from.
        started: told its pid when it lives, before it is awaited.

    Returns:
        Its pid.

    Raises:
        RollcallError: it cannot be started, exited, or did not answer in time. The last lines that it printed are in
            ``evidence["output"]``.
    """
    deadline = Deadline(timeout, clock)
    who = accounts.account(user)
    output = _open_log(log, who)
    printed = os.fstat(output).st_size
    try:
        child = _spawn(python, config, who, environment=environment, output=output, cwd=cwd, umask=umask)
        _children[child.pid] = child
        try:
            started(child.pid)
            with Client(socket_path, clock=clock) as client:
                _await_answer(child, client, deadline, lambda: _last_lines(output, printed))
        except BaseException:  # an interrupt as well: nobody would know of it
            _end_child(child, clock)
            raise
    finally:
        os.close(output)
    return child.pid


def _open_log(log: str, who: Account) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with accounts.acting_as(who):
            return os.open(log, flags, 0o640)
    except OSError as exc:
        raise RollcallError(
            f"supervisord's output file {log} cannot be opened: {exc.strerror}",
            evidence={"path": log, "user": who.name},
            remedies=[f"ls -ld {os.path.dirname(log)} {log}"],
        ) from exc


def _spawn(
    python: str,
    config: str,
    who: Account,
    *,
    environment: t.Mapping[str, str],
    output: int,
    cwd: str,
    umask: int,
) -> subprocess.Popen[bytes]:
    import subprocess

    # -I: `-m` alone puts the working directory, which may be the services', first on the module path. It ignores
    # PYTHONUTF8, hence -Xutf8, one word: so a process is known as supervisord by its arguments.
    command = [python, "-I", "-Xutf8", "-m", "supervisor.supervisord", "--nodaemon", "-c", config]
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            close_fds=True,
            start_new_session=True,
            cwd=cwd,
            env=dict(environment),
            umask=umask,
            **who.identity,
        )
    except OSError as exc:
        raise RollcallError(
            f"supervisord cannot be started with {python} in {cwd}: {exc}", evidence={"command": command, "cwd": cwd}
        ) from exc


def _await_answer(
    child: subprocess.Popen[bytes], client: Client, deadline: Deadline, output: t.Callable[[], t.List[str]]
) -> None:
    """Return when the child itself answers as RUNNING on its socket; raise when it has exited or time is up."""
    while True:
        exit_code = child.poll()
        if exit_code is not None:
            lines = output()
            how = f"exit code {exit_code}" if exit_code >= 0 else f"signal {-exit_code}"
            raise RollcallError(
                f"supervisord did not start, it ended with {how}: {_reason(lines)}",
                evidence={"exit_code": exit_code, "output": lines, "command": child.args},
            )
        answering, seen = _greet(client, deadline)
        if (answering, seen) == (child.pid, "RUNNING"):
            return
        if deadline.expired:
            lines = output()
            raise RollcallError(
                f"supervisord (pid {child.pid}) did not answer within {deadline.seconds:g} s and was ended; last seen: "
                f"{seen if answering in (None, child.pid) else f'pid {answering} answers on {client.socket_path}'}",
                evidence={"pid": child.pid, "output": lines, "last": seen},
            )
        deadline.clock.sleep(_START_INTERVAL)


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
    """End a daemon that this process has started and not yet waited for: its pid cannot be another's."""
    if child.poll() is None:
        child.terminate()
        if not Deadline(_END_GRACE, clock).poll(lambda: child.poll() is not None, 0.01):
            child.kill()
            Deadline(_END_GRACE, clock).poll(lambda: child.poll() is not None, 0.01)
    _children.pop(child.pid, None)


def _last_lines(output: int, start: int) -> t.List[str]:
    """Return the last lines of what was written to ``output`` after position ``start``."""
    size = os.fstat(output).st_size
    begin = max(start, size - _OUTPUT_BYTES)
    text = os.pread(output, _OUTPUT_BYTES, begin).decode("utf-8", "replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()][-_OUTPUT_LINES:]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _reap(pid: int) -> None:
    """Take the exit code of a daemon that this process started itself."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]


def stop_daemon(
    client: Client,
    identity: t.Union[int, processes.Identity],
    *,
    timeout: float,
    pidfile: t.Optional[str] = None,
    clock: Clock = SYSTEM,
) -> t.List[str]:
    """Shut supervisord down and wait until its process is gone, so that it cannot unlink its successor's socket.

    It is poked all the while: its loop stops one program a turn and turns once a second by itself.

    Args:
        client: to its socket.
        identity: its pid and start time, or its pid alone; one that is gone already is no error.
        timeout: seconds until it must be gone, its programs' own stop times included.
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
        stopping = _order_shutdown(client, watched, clock)
        state = "told to shut down"
        while not _gone(watched, _POKE_INTERVAL, clock):
            if deadline.expired:
                raise _not_gone(client, watched[0], timeout, state, stopping)
            state = _poked(client, deadline)
        _reap(watched[0])
    client.close()
    return clean_stale(client.socket_path, pidfile)


def end_daemons_by_pid(
    identities: t.Sequence[processes.Identity], *, grace: float, kill_grace: float = 2.0, clock: Clock = SYSTEM
) -> t.List[processes.Ended]:
    """End supervisords whose socket is of no use: deleted under them, or answering nothing.

    Args:
        identities: pid and start time of each, from ``processes.supervisors``.
        grace: seconds from TERM to KILL, for all of them together. Without a socket they cannot be poked: each needs a
            second for each program that it has to stop, and those programs' own stop times.
        kill_grace: seconds to wait after KILL, which leaves their programs behind as orphans.
        clock: where the time comes from.

    Raises:
        RollcallError: one is still there, or is not a supervisord any more.
    """
    ended = processes.end(
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
            remedies=["rollcall status", *(f"kill -KILL {one.pid}" for one in left if one.result != "changed")],
        )
    return ended


def _identify(identity: t.Union[int, processes.Identity]) -> t.Optional[processes.Identity]:
    """Return pid and start time of the living process that is meant, None when it is gone."""
    if isinstance(identity, int):
        process = processes.describe(identity)
        return None if process is None or process.state in "ZX" else process.identity
    return identity if processes.alive(identity) else None


def _gone(identity: processes.Identity, seconds: float, clock: Clock) -> bool:
    return not processes.wait_gone([identity], Deadline(seconds, clock))


def _order_shutdown(client: Client, identity: processes.Identity, clock: Clock) -> t.Dict[str, int]:
    """Tell the daemon to shut down; return the pids of its programs, which it does not tell any more afterwards."""
    pid = identity[0]
    try:
        answering = client.pid()
        if answering != pid:
            raise RollcallError(
                f"pid {answering} answers on supervisord's socket {client.socket_path}, not pid {pid} that is to be "
                "stopped: two supervisords share the path of the socket",
                kind="refused",
                evidence={"socket": client.socket_path, "pid": pid, "answering": answering},
                remedies=["rollcall status", "rollcall restart emergency"],
            )
        programs = client.programs()
        client.shutdown()
    except RollcallError as exc:
        problem = exc.evidence.get("problem")
        # Its socket goes a moment before its process.
        if problem == SHUTTING_DOWN or (problem in (ABSENT, STALE, CLOSED) and _gone(identity, 0.5, clock)):
            return {}
        raise
    return {name: program.pid for name, program in programs.items() if program.pid}


def _poked(client: Client, deadline: Deadline) -> str:
    """Poke the daemon; return its state or what is in the way, which for an ending daemon is no error."""
    try:
        return client.poke(_last_chance(client, deadline))
    except RollcallError as exc:
        return exc.message


def _not_gone(client: Client, pid: int, timeout: float, state: str, stopping: t.Mapping[str, int]) -> RollcallError:
    alive = {name: program for name, program in stopping.items() if _exists(program)}
    waiting = ", ".join(f"{name} (pid {program})" for name, program in alive.items())
    return RollcallError(
        f"supervisord (pid {pid}) is still there after {timeout:g} s; last state: {state}"
        + (f"; still alive: {waiting}" if waiting else ""),
        evidence={"pid": pid, "socket": client.socket_path, "state": state, "alive": alive},
        remedies=["rollcall restart emergency", f"kill -KILL {pid}"],
    )


def clean_stale(socket_path: str, pidfile: t.Optional[str] = None) -> t.List[str]:
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
            os.unlink(path)
        except FileNotFoundError:
            continue  # somebody else was quicker, which is as good
        except OSError as exc:
            raise RollcallError(
                f"the left-over {path} cannot be removed: {exc.strerror}",
                evidence={"path": path, "errno": exc.errno},
                remedies=[f"ls -ld {os.path.dirname(path)} {path}"],
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
        descriptor = os.open(pidfile, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        text = os.read(descriptor, 64).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    if not text.isdigit() or not 0 < int(text) < 2**31 or not _exists(int(text)):
        return True
    try:
        with open(f"/proc/{text}/cmdline", "rb") as handle:
            command = handle.read()
    except OSError:
        return False  # hidden from us, or no Linux: it lives, more cannot be said
    return b"supervisord" not in command  # a pid that is somebody else's by now; a zombie has no command
