# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""supervisord's XML-RPC interface on its unix socket.

Facts used here come from supervisor 4.1 to 4.3 (``rpcinterface.py``, ``xmlrpc.py``, ``http.py``): its loop sleeps up to
1 s before it handles a state change, a signal or the end of a child, and any call wakes it; while it shuts down, every
call is refused with the fault SHUTDOWN_STATE.
"""

from __future__ import annotations

import select
import socket
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.text import one_line
from ..base.wire import Line
from ..host import processes, unix_listeners
from ..host.trust import Peer, Trust, peer_of
from . import client_errors, rpc

if t.TYPE_CHECKING:
    from ..manifest.model import Stack

# Seconds that a question to a supervisord may take before its silence is the answer.
CALL_TIMEOUT = 2.0
_T = t.TypeVar("_T")

# States of a program without a process. UNKNOWN is not one: supervisord has lost it, and it may live.
DOWN = frozenset({"STOPPED", "EXITED", "FATAL"})
# All states of a program (supervisor.states.ProcessStates).
STATES = DOWN | {"STARTING", "RUNNING", "BACKOFF", "STOPPING", "UNKNOWN"}

# Seconds more for each program of a batch. Spawning takes 2.5 ms, 10 ms with a high minfds, and on a machine that has
# six times as much to do as it can, six times that. It is a limit for one that hangs, no time that is waited.
_PER_NAME = 0.1
_YOUNG = 2.0  # seconds from a program's start by which it has become its command, on a busy machine too
_EXEC_INTERVAL = 0.002


class ProgramState(t.NamedTuple):
    """One program as supervisord sees it, and its process as the kernel does.

    ``start``, ``stop`` and ``now`` are whole seconds of the wall clock, 0 for never; ``pid`` is 0 when it has none.
    supervisord moves ``start`` when the wall clock is set back. ``born``, the start time as in ``Process.start``, and
    ``age``, in seconds, are the kernel's and do not move, and so is ``parent``, a pid; they are 0 without a process.

    Of the stack's own supervisord only children are processes of a program: another pid is reported as 0, the state as
    UNKNOWN, and ``spawn_error`` tells it.
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
    parent: int = 0


class ProgramConfig(t.NamedTuple):
    """One program as supervisord's configuration has it, which need not be the active one.

    ``start_seconds`` and ``stop_seconds`` are its startsecs and stopwaitsecs; ``priority`` is its group's and its own.
    """

    name: str
    autostart: bool
    start_seconds: float
    stop_seconds: float
    priority: t.Tuple[int, int]


def client_of(stack: Stack, *, timeout: float = CALL_TIMEOUT, clock: Clock = SYSTEM) -> Client:
    """Return a client of the stack's own supervisord: who answers on its socket must be one that may be that.

    Args:
        stack: the manifest.
        timeout: as for `Client`.
        clock: where the time comes from.
    """
    return Client(stack.paths.socket, timeout=timeout, clock=clock, trust=Trust.of(stack))


class Client:
    """supervisord's XML-RPC interface on a unix socket, over one connection that is kept open. Not for two threads.

    Args:
        socket_path: the socket of ``[unix_http_server]``.
        username: the user name that this section asks for; None when it asks for none.
        password: the password that belongs to it, in plain text.
        timeout: seconds that one call may take in all, from connecting to the last byte of the answer.
        clock: where the time comes from.
        trust: who may listen on the socket, and so answer. None: whoever does, and its word is not proved.

    Every method raises RollcallError, with ``evidence["problem"]`` one of the codes of `client_errors`.
    """

    def __init__(
        self,
        socket_path: str,
        *,
        username: t.Optional[str] = None,
        password: t.Optional[str] = None,
        timeout: float = 2.0,
        clock: Clock = SYSTEM,
        trust: t.Optional[Trust] = None,
    ) -> None:
        self.socket_path = socket_path
        self.timeout = timeout
        self._authorization = None if username is None else _basic(username, password or "")
        self._clock = clock
        self._line: t.Optional[Line] = None
        self._trust = trust
        self._peer: t.Optional[Peer] = None
        self._proved = 0  # the pid of the supervisord at the other end of the connection, once that is proved

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_exc: t.Any) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        if self._line is not None:
            self._line.close()
            self._line = None
            self._peer, self._proved = None, 0

    # -- what supervisord is asked ---------------------------------------------------------------------------------

    def state(self) -> str:
        """Return supervisord's own state: RUNNING, FATAL or RESTARTING; one that shuts down refuses to say."""
        return self._read(_state_name, self.call("supervisor.getState"))

    def pid(self, timeout: t.Optional[float] = None) -> int:
        """Return the pid of supervisord, as it says itself, and as the kernel says where `Trust` asks for proof."""
        said = self._read(_pid, self.call("supervisor.getPID", timeout=timeout))
        if self._trust is not None and self._proved != said:
            self._prove(said, self._trust)
            self._proved = said
        return said

    def version(self) -> str:
        """Return the version of supervisor that runs, such as ``4.3.0``."""
        return one_line(self._read(_text, self.call("supervisor.getSupervisorVersion")), 40)

    def programs(self) -> t.Dict[str, ProgramState]:
        """Return every program by its name; ``group:name`` when its group is called otherwise."""
        return self._programs(self.call("supervisor.getAllProcessInfo"))

    def configs(self) -> t.Dict[str, ProgramConfig]:
        """Return every program of the configuration as it was last read, active or not, named as in :meth:`programs`.

        Nothing when supervisord cannot say it: a log size of 2 GiB or more is no integer of XML-RPC, and it then fails
        over its own answer, for all programs.
        """
        return self._read(_program_configs, list(self.config_rows().values()))

    def config_rows(self) -> t.Dict[str, t.Dict[str, t.Any]]:
        """Return by program all that supervisord tells of its configuration as last read; see :meth:`configs`."""
        try:
            rows = self.call("supervisor.getAllConfigInfo")
        except RollcallError as exc:
            if exc.evidence.get("status") == 500:
                return {}
            raise
        return self._read(lambda rows: {_full_name(row): dict(row) for row in rows}, rows)

    def start(self, names: t.Iterable[str]) -> t.Dict[str, t.Optional[str]]:
        """Start programs in one call without waiting for them.

        Returns:
            For each name None when it was spawned or ran already, else what is in the way.
        """
        return self.start_and_look(names)[0]

    def start_and_look(
        self, names: t.Iterable[str]
    ) -> t.Tuple[t.Dict[str, t.Optional[str]], t.Dict[str, ProgramState]]:
        """Start programs as :meth:`start` does, and return besides its answer all programs as they are afterwards."""
        texts, codes, answers = self._each(
            "supervisor.startProcess", list(names), "ALREADY_STARTED", "supervisor.getAllProcessInfo"
        )
        programs = self._programs(answers[0] if answers else [])
        for name in texts:
            if name not in programs:
                continue
            # supervisord answers that it has started a program that is STOPPING, and does nothing (Subprocess.spawn).
            if texts[name] is None and programs[name].state == "STOPPING":
                texts[name] = "it is still stopping and cannot be started yet (STOPPING)"
            elif texts[name] is not None and programs[name].state == "UNKNOWN":
                texts[name] = client_errors.LOST
            # The fault SPAWN_ERROR has only the program's name.
            elif codes[name] == client_errors.SPAWN_ERROR and programs[name].spawn_error:
                texts[name] = f"{client_errors.FAULT_TEXTS['SPAWN_ERROR']}: {programs[name].spawn_error}"
        return texts, programs

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
        """Order supervisord to stop its programs and itself; no error when it is doing so already."""
        try:
            self.call("supervisor.shutdown")
        except RollcallError as exc:
            # With nothing to stop it can be gone before its answer is sent.
            if exc.evidence["problem"] not in (client_errors.SHUTTING_DOWN, client_errors.CLOSED):
                raise

    def poke(self, timeout: t.Optional[float] = None) -> str:
        """Make supervisord's loop turn, and return its state; SHUTDOWN for one that is shutting down."""
        try:
            answer = self.call("supervisor.getState", timeout=timeout)
        except RollcallError as exc:
            if exc.evidence["problem"] == client_errors.SHUTTING_DOWN:
                return "SHUTDOWN"
            raise
        return self._read(_state_name, answer)

    def call(self, method: str, *params: t.Any, timeout: t.Optional[float] = None) -> t.Any:
        """Call one method of the XML-RPC interface.

        Args:
            method: with its namespace, ``supervisor.getState``.
            params: what XML-RPC can carry.
            timeout: seconds for this call instead of the client's.
        """
        deadline = Deadline(self.timeout if timeout is None else timeout, self._clock)
        reply = self._exchange(method, rpc.call_of(method, params), deadline)
        try:
            return reply.result()
        except rpc.Fault as exc:
            subject = params[0] if params and isinstance(params[0], str) else ""
            raise client_errors.refused(self.socket_path, _bare(method), subject, exc.code, exc.text) from exc
        except rpc.Malformed as exc:
            raise self._garbage(str(exc)) from exc

    # -- how it is asked -------------------------------------------------------------------------------------------

    def _exchange(self, method: str, body: bytes, deadline: Deadline) -> rpc.Reply:
        """Send one request and return its answer; the connection survives only a whole answer."""
        line = self._connected(deadline)
        received = line.received
        try:
            status, reply, reusable = rpc.post(line, body, self._authorization)
        except TimeoutError as exc:
            self.close()
            raise client_errors.silent(
                self.socket_path, _bare(method), deadline.seconds, line.received - received
            ) from exc
        except ConnectionError as exc:
            self.close()
            raise client_errors.closed(self.socket_path, _bare(method)) from exc
        except rpc.Malformed as exc:
            raise self._garbage(str(exc)) from exc
        except OSError as exc:
            self.close()
            raise client_errors.unreachable(self.socket_path, exc) from exc
        if not reusable:
            self.close()
        if status == 401:
            raise client_errors.unauthorised(self.socket_path, given=self._authorization is not None)
        if status != 200:
            raise self._garbage(f"HTTP status {status}", status=status)
        return reply

    def _connected(self, deadline: Deadline) -> Line:
        """Return the kept connection when supervisord still holds its end, else a new one."""
        if self._line is not None:
            if not _readable(self._line.sock):
                self._line.deadline = deadline
                return self._line
            self.close()  # between two calls there is nothing to read but the end of a supervisord that went away
        line = Line(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), deadline)
        try:
            line.connect(self.socket_path)
        except OSError as exc:
            line.close()
            raise client_errors.not_connected(self.socket_path, exc, deadline.seconds) from exc
        self._line = line
        self._peer = None if self._trust is None else peer_of(line.sock)
        if self._trust is not None and self._peer is not None and not self._trust.covers(*self._peer):
            peer = self._peer
            self.close()
            raise client_errors.untrusted(self.socket_path, peer.pid, peer.uid)
        return line

    # -- who answers, by the kernel's word ---------------------------------------------------------------------------

    def _prove(self, said: int, trust: Trust) -> None:
        """Check that the supervisord which says that it has this pid is the one at the other end, and may be.

        Raises:
            RollcallError: ``untrusted``: it is another process, or another user's.
        """
        peer = self._peer
        process = processes.describe(said)
        if process is not None and trust.accepts(process):
            if peer is None or peer.pid == said:
                return
            # One that has gone into the background listened before: what is left of it holds the only socket.
            own = unix_listeners.holders(self.socket_path)
            if len(unix_listeners.listening(self.socket_path)) == 1 and said in own and peer.pid not in own:
                return
        self.close()
        raise client_errors.untrusted(
            self.socket_path, None if peer is None else peer.pid, None if peer is None else peer.uid, said
        )

    def _programs(self, rows: t.Any) -> t.Dict[str, ProgramState]:
        """Return what supervisord reports of its programs, without processes that are not its own.

        A program is a child of its supervisord: it was forked by it, and so after it (fork(2)).
        """
        programs = self._read(_program_states, rows)
        if self._trust is None:
            return programs
        above = self._proved or (0 if self._peer is None else self._peer.pid)
        strange = _not_below(programs, above)
        if strange and not self._proved:
            strange = _not_below(programs, self.pid())
        return {name: _lost(one) if name in strange else one for name, one in programs.items()}

    def _each(
        self, method: str, names: t.List[str], tolerated: str, *then: str, argument: t.Any = False
    ) -> t.Tuple[t.Dict[str, t.Optional[str]], t.Dict[str, int], t.List[t.Any]]:
        """Call ``method(name, argument)`` for all names, then the methods ``then``, in one round trip.

        The argument of starting and stopping is ``wait``: with wait=True a multicall waits for one program after the
        other.

        Returns:
            What is in the way of each name, the code of its fault, 0 for none, and the answers of ``then``.
        """
        if not names:
            return {}, {}, []
        calls: t.List[t.Dict[str, t.Any]] = [{"methodName": method, "params": [name, argument]} for name in names]
        calls += [{"methodName": method, "params": []} for method in then]
        answer = self.call("system.multicall", calls, timeout=self.timeout + batch_seconds(len(names)))
        rows = self._read(lambda answer: _as_many(answer, len(calls)), answer)
        texts: t.Dict[str, t.Optional[str]] = {}
        codes: t.Dict[str, int] = {}
        for name, row in zip(names, rows):
            code, text = self._read(_fault_of, row)
            codes[name] = code
            if code == client_errors.SHUTDOWN_STATE:
                raise client_errors.refused(self.socket_path, _bare(method), "", code, text)
            fine = not code or client_errors.FAULT_NAMES.get(code) == tolerated
            texts[name] = None if fine else client_errors.fault_text(code, text, name)
        return texts, codes, rows[len(names) :]

    def _read(self, reading: t.Callable[[t.Any], _T], answer: t.Any) -> _T:
        try:
            return reading(answer)
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as exc:
            raise self._garbage(f"{type(exc).__name__}: {exc}") from exc

    def _garbage(self, what: str, **evidence: t.Any) -> RollcallError:
        self.close()
        return client_errors.garbage(self.socket_path, what, **evidence)


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
        pid = _pid(row["pid"])
        place = processes.reader.place_of(pid) if pid else None
        programs[name] = ProgramState(
            name=name,
            state=_one_of(STATES, row["statename"]),
            pid=pid,
            start=_seconds(row["start"]),
            stop=_seconds(row["stop"]),
            now=_seconds(row["now"]),
            exit_status=int(row["exitstatus"]),
            spawn_error=_text(row["spawnerr"]),
            description=_text(row["description"]),
            logs=tuple(_text(row[key]) for key in ("stdout_logfile", "stderr_logfile") if row.get(key)),
            born=0 if place is None else place.start,
            age=0.0 if place is None else processes.age(place.start),
            parent=0 if place is None else place.ppid,
        )
    return programs


def _not_below(programs: t.Mapping[str, ProgramState], supervisord: int) -> t.List[str]:
    """Return the programs whose process lives and is no child of the supervisord."""
    return [name for name, one in programs.items() if one.born and one.parent != supervisord]


def _lost(program: ProgramState) -> ProgramState:
    """Return a program as one whose process is not known."""
    why = f"supervisord reports pid {program.pid} for it, which is no child of supervisord"
    return program._replace(state="UNKNOWN", pid=0, born=0, age=0.0, parent=0, spawn_error=why)


# --- what an answer must be ---------------------------------------------------------------------------------------


def _state_name(answer: t.Any) -> str:
    return _text(answer["statename"])


def _text(value: t.Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r}")
    return value


def _one_of(known: t.Container[str], value: t.Any) -> str:
    if value not in known:
        raise ValueError(f"no state of a program: {value!r}")
    return str(value)


def _pid(value: t.Any) -> int:
    """Return a pid, 0 for none; no system has greater ones than 2**31 - 1 (pid_t)."""
    if not isinstance(value, int) or not 0 <= value < 2**31:
        raise ValueError(f"no pid: {value!r}")
    return int(value)


def _seconds(value: t.Any) -> float:
    """Return a time of the wall clock in seconds since the epoch, up to the year 9999: later there are no dates."""
    seconds = float(value)
    if not 0 <= seconds < 253_402_214_400:
        raise ValueError(f"no time: {value!r}")
    return seconds


def batch_seconds(number: int) -> float:
    """Return how many seconds more an order to this many programs at once may take."""
    return _PER_NAME * number


def await_exec(programs: t.Iterable[ProgramState], clock: Clock = SYSTEM) -> None:
    """Wait until programs that were started a moment ago have become their commands; to be called before a stop.

    supervisord starts a program by fork and exec. Between the two the process handles signals as supervisord does: it
    notes them, and execve(2) forgets the note. A stop signal sent then is lost, and the program is killed when its stop
    time is over. Most programs are too old to be looked at.
    """
    young = [program.pid for program in programs if program.born and processes.age(program.born) < _YOUNG]
    if young:
        Deadline(_YOUNG, clock).poll(lambda: not any(map(_is_fork, young)), _EXEC_INTERVAL)


def _is_fork(pid: int) -> bool:
    """Return whether a process still has the command line of its parent, supervisord."""
    command = processes.reader.command(pid)
    return bool(command) and command == processes.reader.command(processes.reader.parent(pid))


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
