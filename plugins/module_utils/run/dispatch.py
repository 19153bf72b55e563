# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Hands a request to a worker: a process of its own, which goes on when caller, connection or controller are gone.

The worker is a fork: it has the engine loaded, and the request, which has secrets, goes through no file or argument.
The caller waits for the report, which the worker leaves in a file.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import typing as t

from ..base import cures
from ..base.clock import SOON, SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.files import read_last_lines, read_text
from ..base.interrupts import interrupts_raised
from ..base.opening import open_own
from ..host import processes
from ..host.sessions import may_be_left
from ..manifest.model import DEFAULT_PATH
from ..state.generations import current_id, load_stack
from ..state.lock import watcher_patience
from ..state.runs import new_run_id, result_path, runs_directory, steps_of
from ..verdict import fitness
from . import boot, preflight, standing, worker
from .limits import SLACK, limit_of
from .request import Request

if t.TYPE_CHECKING:
    from ..base.documents import Report

_T = t.TypeVar("_T")
# Bytes that a report may have: some lines of each of many services.
MOST_REPORT = 256 * 1024 * 1024
# Seconds between two looks at the record of a run, for whoever wants to know what it waits for.
LOOKS = 1.0
# What the worker keeps of the caller's environment: the port of the caller's connection, which is never flushed, and
# whether the unit of the stack asks.
KEPT = ("SSH_CONNECTION", boot.CALLED)


class Onlooker(t.NamedTuple):
    """Who is told of a run that takes longer than a moment.

    Attributes:
        waiting: called once, with the seconds that it takes at the longest.
        lives: called when it waits until services have lived for long enough, with the seconds that each still must.
    """

    waiting: t.Callable[[float], None]
    lives: t.Callable[[t.Mapping[str, float]], None]


class Going(t.NamedTuple):
    """A run that a worker is at, as far as it takes to wait for it in another process.

    Attributes:
        run: its id.
        pid: of the worker.
        start: of that process.
        limit: seconds that the run takes at the longest.
        began: when it was begun, in seconds of this host's monotonic clock.
        before: id of the generation that was in place; empty for none.
    """

    run: str
    pid: int
    start: int
    limit: float
    began: float
    before: str


def run(request: Request, *, onlooker: t.Optional[Onlooker] = None, clock: Clock = SYSTEM) -> Report:
    """Start a worker for a request, wait for it and return its report.

    Args:
        request: what is asked.
        onlooker: who is told of it meanwhile; None for nobody.
        clock: of all deadlines.

    Raises:
        RollcallError: the worker was refused or failed; or it died, with the step that it was at; or whoever waits for
            it was interrupted. It says how the stack is now.
    """
    run_id = new_run_id(request.paths.state, clock)

    def wait() -> Report:
        going = _begin(request, run_id, clock)
        _wait(going, request.paths.state, onlooker, clock)
        return _collect(request.paths.state, run_id)

    return _guarded(request, run_id, wait, clock)


def begin(request: Request, patience: float, *, stays: bool = False, clock: Clock = SYSTEM) -> t.Union[Report, Going]:
    """Start a worker for a request; return its report, or after some seconds how it is waited for any further.

    Args:
        request: what is asked.
        patience: the seconds.
        stays: whether this process itself waits for it any further.
        clock: of all deadlines.

    Raises:
        RollcallError: as `run`.
    """
    run_id = new_run_id(request.paths.state, clock)

    def wait() -> t.Union[Report, Going]:
        return _waited(request, _begin(request, run_id, clock), patience, stays, clock)

    return _guarded(request, run_id, wait, clock)


def go_on(
    request: Request, going: Going, patience: float, *, stays: bool = False, clock: Clock = SYSTEM
) -> t.Union[Report, Going]:
    """Wait any further for what `begin` has begun, mostly in another process; arguments and errors as there."""
    return _guarded(request, going.run, lambda: _waited(request, going, patience, stays, clock), clock)


def _waited(request: Request, going: Going, patience: float, stays: bool, clock: Clock) -> t.Union[Report, Going]:
    left = going.began + going.limit + SLACK - clock.monotonic()
    # Where the worker would end with us, it is waited for as long as it takes.
    if patience < left and not _ends(going, Deadline(patience, clock)) and (stays or may_be_left()):
        return going
    _wait(going, request.paths.state, None, clock)
    return _collect(request.paths.state, going.run)


def _guarded(request: Request, run_id: str, wait: t.Callable[[], _T], clock: Clock) -> _T:
    """Return what ``wait`` returns; an error says how the stack is now."""
    with standing.untouched(), interrupts_raised():
        try:
            return wait()
        except KeyboardInterrupt:
            error = RollcallError(
                f"Interrupted: run {run_id} goes on without you.", evidence={"run": run_id}, remedies=[cures.STATUS]
            )
            error.standing = standing.after_error(request, run_id, error, clock=clock)
            raise error from None
        except RollcallError as exc:
            exc.standing = standing.after_error(request, run_id, exc, clock=clock)
            raise


def _begin(request: Request, run_id: str, clock: Clock) -> Going:
    began = clock.monotonic()
    stack = load_stack(request.paths) if request.wanted is None else request.wanted.stack
    limit = limit_of(request, stack) + watcher_patience(request.paths.state)
    if request.mode.starts:
        # Before there is a record: it would be root's, in the state of a user who may not read it.
        fitness.account(stack)
    state, before = request.paths.state, current_id(request.paths) or ""
    output = _output(state, run_id)
    try:
        preflight.check_record(state)
        os.makedirs(runs_directory(state), mode=0o700, exist_ok=True)
        pid = _fork(request, run_id, output)
    except OSError as exc:
        raise RollcallError(
            f"No record of a run can be written to {state}: {exc.strerror}. Nothing was stopped or changed.",
            evidence={"path": exc.filename, "errno": exc.errno},
            remedies=[cures.space(state), cures.rights(state), cures.AS_ROOT],
        ) from exc
    return Going(run_id, pid, processes.start_time(pid) or 0, limit, began, before)


def _fork(request: Request, run_id: str, output: str) -> int:
    """Start the worker and return its pid."""
    log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    # Otherwise the worker would write their buffers a second time.
    sys.stdout.flush()
    sys.stderr.flush()
    # Until it has a session of its own, the worker would be interrupted with its caller.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        pid = os.fork()
        if pid == 0:
            _be_worker(request, run_id, log)
    finally:
        os.close(log)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return pid


def _be_worker(request: Request, run_id: str, log: int) -> t.NoReturn:
    """Carry the request out in a session of its own, with no file of the caller open, and end this process."""
    code = 1
    try:
        os.setsid()
        # What has come for the caller is forgotten when it is ignored (sigaction(2)).
        heeded = signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGINT, heeded)
        _forget_signals()
        os.chdir("/")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        # What has to be readable for others gets its mode by itself.
        os.umask(0o077)
        for name in os.listdir("/dev/fd"):
            if int(name) > 2:
                _close(int(name))
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        os.environ.clear()
        os.environ.update(kept, PATH=DEFAULT_PATH, LC_ALL="C.UTF-8", PYTHONUTF8="1")
        code = worker.main(request, run_id)
    except BaseException:  # noqa: BLE001 - the code above must not run a second time, in this process
        import traceback  # late: nothing of this is to happen

        # The caller finds it in the worker's output.
        os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
    finally:
        # Not sys.exit: what the caller registered for its end must not run here.
        os._exit(code)


def _forget_signals() -> None:
    """Block no signal, and ignore none but those that Python ignores itself.

    Both are inherited over fork and execve (signal(7)): a service that cannot be asked to end would be killed instead.
    SIGINT supervisord heeds by itself.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals() - {signal.SIGINT, signal.SIGPIPE, getattr(signal, "SIGXFSZ", signal.SIGPIPE)}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        # This one was open while the directory was listed.
        return


def _wait(going: Going, state: str, onlooker: t.Optional[Onlooker], clock: Clock) -> None:
    """Wait until the worker has ended.

    Raises:
        RollcallError: it takes longer than all its deadlines together; it is left to itself.
    """
    limit = going.limit
    left = max(0.0, going.began + limit + SLACK - clock.monotonic())
    ended = _ends(going, Deadline(min(SOON, left), clock))
    deadline = Deadline(left, clock)
    if not ended and onlooker is not None:
        onlooker.waiting(limit)
        ended = _ends_meanwhile(going, state, deadline, onlooker, clock)
    if not ended and not _ends(going, deadline):
        raise RollcallError(
            f"Run {going.run} still goes on after {limit + SLACK:g} s, longer than all its deadlines together, and is "
            "left to itself.",
            evidence={"run": going.run, "pid": going.pid},
            remedies=[cures.process(going.pid), cures.EMERGENCY],
        )


def _ends_meanwhile(going: Going, state: str, deadline: Deadline, onlooker: Onlooker, clock: Clock) -> bool:
    """Return whether the worker has ended by the deadline; tell once, if so, for which lives it waits."""
    while not deadline.expired:
        if _ends(going, Deadline(min(LOOKS, deadline.remaining()), clock)):
            return True
        lives = steps_of(state, going.run)[-1:]
        waited = lives[0].get("lives") if lives else None
        if isinstance(waited, dict):
            onlooker.lives({str(name): float(seconds) for name, seconds in waited.items()})
            break
    return False


def _ends(going: Going, deadline: Deadline) -> bool:
    """Return whether the worker has ended by the deadline."""
    if hasattr(os, "pidfd_open"):
        # pidfd_open(2): readable when the process has ended. Only its parent can reap it, and nobody else may wait.
        try:
            descriptor = os.pidfd_open(going.pid)
        except ProcessLookupError:
            return True
        try:
            another = processes.start_time(going.pid) != going.start
            ended = another or bool(select.select([descriptor], [], [], deadline.remaining())[0])
        finally:
            os.close(descriptor)
        if ended:
            _reap(going.pid)
        return ended
    return deadline.poll(lambda: _reap(going.pid) or not processes.alive((going.pid, going.start)), 0.02)


def _reap(pid: int) -> bool:
    """Return whether a child of ours has ended, and forget it; False of what is no child of ours."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False


def _output(state: str, run_id: str) -> str:
    return os.path.join(runs_directory(state), f"{run_id}.out")


def _collect(state: str, run_id: str) -> Report:
    """Return the report that a worker has left.

    Raises:
        RollcallError: it left an error, or nothing: then it died.
    """
    try:
        result = json.loads(read_text(result_path(state, run_id), most=MOST_REPORT))
    except FileNotFoundError as exc:
        raise _died(state, run_id) from exc
    error = result.get("error")
    if error is not None:
        raise RollcallError(
            error["message"], kind=error["kind"], evidence=error["evidence"], remedies=error["remedies"]
        )
    return t.cast("Report", result["report"])


def _died(state: str, run_id: str) -> RollcallError:
    steps = steps_of(state, run_id)
    step = steps[-1]["step"] if steps else "start"
    descriptor = open_own(_output(state, run_id))
    with os.fdopen(descriptor, "rb"):
        tail = "\n".join(read_last_lines(descriptor, 1000, limit=2000))
    return RollcallError(
        f"The worker of run {run_id} died at step '{step}'. What it had done stands; a rerun converges from there.",
        evidence={"run": run_id, "step": step, "steps": steps, "output": tail},
        remedies=[cures.STATUS, cures.AGAIN],
    )
