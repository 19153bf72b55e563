# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Hand a request to a worker: a process of its own, which outlives the module, the connection and the controller.

The worker runs the engine that ``bootstrap`` installed on the host, never Ansible's temporary copy. Whoever started
it only waits for its report; when they are gone, the report waits for them. So little is imported here: a module
compiles all that it imports each time it runs.
"""

from __future__ import annotations

import json
import os
import re
import select
import typing as t

from . import config, journal
from .clock import SYSTEM, Clock, Deadline
from .errors import RollcallError
from .request import Request
from .version import VERSION

# Every wait inside the worker has its own deadline; this one only bounds the sum for whoever waits outside.
PATIENCE = 3600.0
PLAN_PATIENCE = 120.0


def run(request: Request, *, clock: Clock = SYSTEM) -> t.Dict[str, t.Any]:
    """Start a worker for ``request``, wait for it, and return its report.

    Raises:
        RollcallError: what the worker was refused or failed with; or it died, with the step it was at.
    """
    check_engine(request.root)
    run_id = journal.new_run_id(clock)
    state = request.paths.state
    os.makedirs(journal.runs_directory(state), mode=0o700, exist_ok=True)
    output = os.path.join(journal.runs_directory(state), f"{run_id}.out")
    pid = _spawn(request, run_id, output)
    _wait(pid, state, run_id, clock)
    return _collect(state, run_id, output)


def planned(request: Request) -> t.Dict[str, t.Any]:
    """Return what a run for ``request`` would do, without doing any of it: nothing is signalled, nothing written.

    Raises:
        RollcallError: the run would be refused, with the same words; or the installed engine cannot tell.
    """
    import subprocess

    check_engine(request.root)
    try:
        done = subprocess.run(
            _arguments(request.root, "plan"),
            input=json.dumps(request.to_dict()).encode("utf-8"),
            capture_output=True,
            cwd="/",
            env=_clean_environment(),
            timeout=PLAN_PATIENCE,
            check=False,
        )
        return _report(json.loads(done.stdout))
    except subprocess.TimeoutExpired as exc:
        raise RollcallError(f"Planning took longer than {PLAN_PATIENCE:g} s.", remedies=["rollcall status"]) from exc
    except ValueError as exc:
        raise RollcallError(
            f"The installed engine ended with exit code {done.returncode} and no plan.",
            evidence={"output": done.stderr.decode("utf-8", "replace")[-2000:]},
            remedies=["rollcall status", "ansible-playbook site.yml"],
        ) from exc


def who() -> str:
    """Return who calls, for the lock and the journal: the login behind sudo, and where it came from."""
    import pwd

    name = os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    address = os.environ.get("SSH_CONNECTION", "").split(" ")[0]
    return f"{name} from {address}" if address else name


def check_engine(root: str) -> None:
    """Check that the installed engine is there and of this version.

    Raises:
        RollcallError: it is not; the remedy is to bootstrap again.
    """
    remedies = ["ansible-playbook site.yml"]
    path = os.path.join(config.engine_directory(root), "rollcall", "version.py")
    try:
        with open(path, encoding="utf-8") as stream:
            found = re.search(r'^VERSION = "([^"]+)"$', stream.read(), re.MULTILINE)
    except OSError as exc:
        raise RollcallError(
            f"Rollcall's engine is not installed under {root}: {path}: {exc.strerror}.",
            kind="wrong_use",
            remedies=remedies,
        ) from exc
    installed = found.group(1) if found else "unknown"
    if installed != VERSION:
        raise RollcallError(
            f"The engine installed under {root} is version {installed}, and this is {VERSION}: they must be the same.",
            kind="wrong_use",
            evidence={"installed": installed, "wanted": VERSION},
            remedies=remedies,
        )


def _arguments(root: str, *verb: str) -> t.List[str]:
    return [config.engine_python(root), "-E", "-s", config.engine_directory(root), "--root", root, *verb]


def _clean_environment() -> t.Dict[str, str]:
    """Nothing of the caller's own: what the worker starts inherits from it."""
    return {"PATH": config.DEFAULT_PATH, "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}


def _spawn(request: Request, run_id: str, output: str) -> int:
    """Start the worker in a session of its own, hand it the request through a pipe, and return its pid.

    The request may hold secrets, so it goes through the pipe: never through a file or the arguments.
    """
    import subprocess

    with open(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        process = subprocess.Popen(
            _arguments(request.root, "worker", run_id),
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_clean_environment(),
            start_new_session=True,
        )
    pipe = process.stdin
    try:
        if pipe is not None:
            pipe.write(json.dumps(request.to_dict()).encode("utf-8"))
            pipe.close()
    except BrokenPipeError:
        # It died before it had read all of it; what it left behind is told by `_collect`.
        return process.pid
    return process.pid


def _wait(pid: int, state: str, run_id: str, clock: Clock) -> None:
    """Wait until the worker, our child, has ended.

    Raises:
        RollcallError: it goes on beyond all patience; it is left to itself.
    """
    deadline = Deadline(PATIENCE, clock)
    if hasattr(os, "pidfd_open"):
        # pidfd_open(2): readable when the process has ended; a child of ours cannot have been reaped by others.
        descriptor = os.pidfd_open(pid)
        try:
            ended = bool(select.select([descriptor], [], [], deadline.remaining())[0])
        finally:
            os.close(descriptor)
    else:
        ended = deadline.poll(lambda: os.path.exists(journal.result_path(state, run_id)), 0.02)
    if not ended:
        raise RollcallError(
            f"Run {run_id} still goes on after {PATIENCE:g} s and is left to itself.",
            evidence={"run": run_id, "pid": pid},
            remedies=["rollcall status"],
        )
    os.waitpid(pid, 0)


def _collect(state: str, run_id: str, output: str) -> t.Dict[str, t.Any]:
    """Return the report a worker left, or raise what it left instead of one."""
    try:
        with open(journal.result_path(state, run_id), encoding="utf-8") as stream:
            result = json.load(stream)
    except FileNotFoundError as exc:
        raise _died(state, run_id, output) from exc
    return _report(result)


def _report(result: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Return the report of a worker's result, or raise the error that it holds."""
    error = result.get("error")
    if error is not None:
        raise RollcallError(
            error["message"], kind=error["kind"], evidence=error["evidence"], remedies=error["remedies"]
        )
    return dict(result["report"])


def _died(state: str, run_id: str, output: str) -> RollcallError:
    steps = journal.steps_of(state, run_id)
    step = steps[-1]["step"] if steps else "start"
    with open(output, encoding="utf-8", errors="replace") as stream:
        tail = stream.read()[-2000:]
    return RollcallError(
        f"The worker of run {run_id} died at step '{step}'. What it had done stands; a rerun converges from there.",
        evidence={"run": run_id, "step": step, "steps": steps, "output": tail},
        remedies=["rollcall status", "run the same command again"],
    )
