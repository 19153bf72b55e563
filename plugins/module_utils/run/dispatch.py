# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Hand a request to a worker: a process of its own, which outlives the caller, the connection and the controller.

The worker is a fork: it has the engine loaded already, and nothing of the request goes through a file or an argument.
Whoever started it only waits for its report; when they are gone, the report waits for them.
"""

from __future__ import annotations

import json
import os
import select
import sys
import traceback
import typing as t

from ..base.clock import SOON, SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..manifest.model import DEFAULT_PATH
from ..state.generations import load_stack
from ..state.runs import new_run_id, result_path, runs_directory, steps_of
from . import boot, preflight, worker
from .limits import run_limit
from .request import Request

# Beyond the sum of all deadlines inside the worker: then it hangs where no deadline reaches, in the kernel.
SLACK = 10.0
# Of the caller's environment the worker keeps what tells by which port the caller came in, for that one is never
# flushed, and whether it is the stack's own unit that asks.
KEPT = ("SSH_CONNECTION", boot.CALLED)


def run(
    request: Request, *, waiting: t.Optional[t.Callable[[float], None]] = None, clock: Clock = SYSTEM
) -> t.Dict[str, t.Any]:
    """Start a worker for ``request``, wait for it, and return its report.

    Args:
        request: what is asked.
        waiting: called once when it takes longer than a moment, with the seconds that it may take at the longest.
        clock: of all deadlines.

    Raises:
        RollcallError: what the worker was refused or failed with; or it died, with the step it was at.
    """
    stack = load_stack(request.paths) if request.wanted is None else request.wanted.stack
    limit = run_limit(stack, request.mode, grace=request.grace, kill_grace=request.kill_grace)
    state = request.paths.state
    run_id = new_run_id(state, clock)
    output = os.path.join(runs_directory(state), f"{run_id}.out")
    try:
        preflight.check_record(state)
        os.makedirs(runs_directory(state), mode=0o700, exist_ok=True)
        pid = _fork(request, run_id, output)
    except OSError as exc:
        raise RollcallError(
            f"No record of a run can be written to {state}: {exc.strerror}. Nothing was stopped or changed.",
            evidence={"path": exc.filename, "errno": exc.errno},
            remedies=[
                f"df -h {state}; df -i {state}; ls -ld {state}",
                "run it with sudo",
            ],
        ) from exc
    _wait(pid, run_id, limit, waiting, clock)
    return _collect(state, run_id, output)


def _fork(request: Request, run_id: str, output: str) -> int:
    """Start the worker and return its pid."""
    log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    # What is still in these would be written twice.
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        pid = os.fork()
        if pid == 0:
            _be_worker(request, run_id, log)
    finally:
        os.close(log)
    return pid


def _be_worker(request: Request, run_id: str, log: int) -> t.NoReturn:
    """Carry the request out in a session of our own, with nothing of the caller's open, and end."""
    code = 1
    try:
        os.setsid()
        os.chdir("/")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        for name in os.listdir("/dev/fd"):
            if int(name) > 2:
                _close(int(name))
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        os.environ.clear()
        os.environ.update(kept, PATH=DEFAULT_PATH, LC_ALL="C.UTF-8", PYTHONUTF8="1")
        code = worker.main(request, run_id)
    except BaseException:  # noqa: BLE001 - nobody above is to go on as a second caller
        # It stands in the worker's output, and the worker has died.
        os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
    finally:
        # Not exit: what the caller has registered for its own end must not run twice.
        os._exit(code)


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        # The one that the directory itself was listed with.
        return


def _wait(pid: int, run_id: str, limit: float, waiting: t.Optional[t.Callable[[float], None]], clock: Clock) -> None:
    """Wait until the worker, our child, has ended.

    Raises:
        RollcallError: it goes on beyond all its deadlines; it is left to itself.
    """
    ended = _ends(pid, Deadline(min(SOON, limit), clock))
    if not ended and waiting is not None:
        waiting(limit)
    if not ended and not _ends(pid, Deadline(limit + SLACK, clock)):
        raise RollcallError(
            f"Run {run_id} still goes on after {limit + SLACK:g} s, longer than all its deadlines together, and is "
            "left to itself.",
            evidence={"run": run_id, "pid": pid},
            remedies=["rollcall doctor", f"ps -o pid,stat,wchan,cmd {pid}", "rollcall status"],
        )


def _ends(pid: int, deadline: Deadline) -> bool:
    """Return whether the worker has ended by the deadline."""
    if hasattr(os, "pidfd_open"):
        # pidfd_open(2): readable when the process has ended; a child of ours cannot have been reaped by others.
        descriptor = os.pidfd_open(pid)
        try:
            ended = bool(select.select([descriptor], [], [], deadline.remaining())[0])
        finally:
            os.close(descriptor)
        if ended:
            os.waitpid(pid, 0)
        return ended
    return deadline.poll(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, 0.02)


def _collect(state: str, run_id: str, output: str) -> t.Dict[str, t.Any]:
    """Return the report a worker left, or raise what it left instead of one."""
    try:
        with open(result_path(state, run_id), encoding="utf-8") as stream:
            result = json.load(stream)
    except FileNotFoundError as exc:
        raise _died(state, run_id, output) from exc
    error = result.get("error")
    if error is not None:
        raise RollcallError(
            error["message"], kind=error["kind"], evidence=error["evidence"], remedies=error["remedies"]
        )
    return dict(result["report"])


def _died(state: str, run_id: str, output: str) -> RollcallError:
    steps = steps_of(state, run_id)
    step = steps[-1]["step"] if steps else "start"
    with open(output, encoding="utf-8", errors="replace") as stream:
        tail = stream.read()[-2000:]
    return RollcallError(
        f"The worker of run {run_id} died at step '{step}'. What it had done stands; a rerun converges from there.",
        evidence={"run": run_id, "step": step, "steps": steps, "output": tail},
        remedies=["rollcall status", "run the same command again"],
    )
