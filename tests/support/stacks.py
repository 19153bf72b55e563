# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole stack in a temporary directory: the real engine, a real supervisord, small real services."""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib.machinery
import importlib.util
import json
import marshal
import os
import shutil
import signal
import sys
import tempfile
import typing as t
import unittest.mock
from pathlib import Path

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.labels import label_of
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Process
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.ours import find
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Paths
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.secret_values import secret_values
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.modes import mode_named
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.request import Request
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import before
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import Generation
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.runs import Journal, new_run_id
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import Client
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.environment import private_files
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.running import supervisords_over
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import status
from ansible_collections.rollcall.supervisor.plugins.modules import engine as engine_module
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine_files import ENGINE, engine_files
from tests.support.documents import validated
from tests.support.processes import free_port
from tests.support.rendering import render
from tests.support.repository import ROOT

APP = str(Path(__file__).resolve().parent / "app.py")

SOURCES = {name: content.decode("utf-8") for name, content in engine_files().items()}

# When the files of every engine were last changed, in seconds since 1970: what is compiled for all of them fits that.
WRITTEN = 1_700_000_000


@functools.cache
def compiled(name: str) -> bytes:
    """Return what Python keeps beside a file of the engine when it has compiled it, by the file's path within."""
    source = os.path.join(ENGINE, name)
    code = importlib.machinery.SourceFileLoader(name, source).get_code(name)
    header = (number.to_bytes(4, "little") for number in (0, WRITTEN, os.stat(source).st_size))
    return importlib.util.MAGIC_NUMBER + b"".join(header) + marshal.dumps(code)


def install_engine(root: str) -> None:
    """Put the engine and its command below a root as the module `engine` does, already compiled.

    A file that a test changes is newer than what is compiled of it, and so is compiled anew.
    """
    for path, (text, mode) in engine_module.wanted_files(root, SOURCES).items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
        os.chmod(path, mode)
        name = os.path.relpath(path, os.path.join(root, "engine", "rollcall"))
        if SOURCES.get(name) == text:
            os.utime(path, (WRITTEN, WRITTEN))
            cache = importlib.util.cache_from_source(path)
            os.makedirs(os.path.dirname(cache), exist_ok=True)
            Path(cache).write_bytes(compiled(name))


class StackUnderTest:
    """A stack with its own root, which a test changes and restarts; nothing of it is left at the end.

    Args:
        root: an empty directory with a path short enough for a unix socket.
        services: the ``services`` of the manifest; a service without a command runs tests/support/app.py.
        more: other keys of the manifest.
    """

    def __init__(self, root: str, services: t.Mapping[str, t.Any], **more: t.Any) -> None:
        self.root = root
        # A name of the stack's own for the interpreter, which a test can take away.
        self.program = os.path.join(root, "python")
        self.raw: t.Dict[str, t.Any] = {
            "name": "test",
            "root": root,
            "ports": {"range": [10000, 30000]},
            "defaults": {
                "command": [self.program, APP, "{name}"],
                "stable_for": 0.3,
                "start": {"seconds": 1},
                # Nothing takes as long when all is well. What is never ready says that it waits for less.
                "ready_timeout": 30,
                "stop": {"timeout": 3},
            },
            "services": copy.deepcopy(dict(services)),
            **more,
        }
        self.paths = Paths.of(root)
        # The ports that the host has given, by service, as the role passes them on.
        self.assigned: t.Dict[str, int] = {}
        # The application's release that the services run; None for a stack without any.
        self.release: t.Optional[str] = None
        self._prepare()

    def _prepare(self) -> None:
        """Do what the role bootstrap does, with the test's own virtual environment in the engine's place."""
        before.make_engine_directory(self.root)
        for path, mode in ((self.paths.run, 0o700), (self.paths.logs, 0o750), (self.paths.state, 0o700)):
            os.makedirs(path, mode=mode)
        os.symlink(sys.executable, self.program)
        install_engine(self.root)
        os.symlink(sys.prefix, os.path.join(self.root, "engine", "venv"))
        os.mkdir(os.path.join(self.root, "lib"), 0o755)
        for name, place in (("requirements.txt", "engine"), ("rollcall_ports.py", "lib")):
            shutil.copy(ROOT / "roles" / "bootstrap" / "files" / name, os.path.join(self.root, place))

    @property
    def command(self) -> str:
        """The stack's own ``rollcall``."""
        return os.path.join(self.root, "bin", "rollcall")

    def generation(self) -> Generation:
        """Return the manifest as it is now, checked and rendered."""
        checked = check_manifest({"stack": self.raw}, assigned=self.assigned, release=self.release)
        if checked.stack is None:
            raise AssertionError([problem.as_dict() for problem in checked.problems])
        secrets = secret_values({"stack": self.raw})
        return Generation(checked.stack, render(checked.stack), private_files(checked.stack, secrets))

    def request(self, mode: str = "auto", *, installed: bool = False, **more: t.Any) -> Request:
        """Return a request for the manifest as it is now, or for the one that is installed."""
        wanted = None if installed else self.generation()
        return Request(root=self.root, mode=mode_named(mode), who="tester", paths=self.paths, wanted=wanted, **more)

    def perform(self, mode: str = "auto", **more: t.Any) -> t.Any:
        """Run the critical section in this process and return the report."""
        return validated(restart.perform(self.request(mode, **more), new_run_id(self.paths.state)), "Report")

    def status(self) -> t.Any:
        """Return the report of the stack as it is now."""
        return validated(status.status(self.paths), "Report")

    def perform_generation(self, wanted: Generation) -> t.Any:
        """Run the critical section for another generation than the manifest's own."""
        request = self.request()._replace(wanted=wanted)
        return validated(restart.perform(request, new_run_id(self.paths.state)), "Report")

    def killed_at(self, step: str, mode: str, *, after: str = "", **more: t.Any) -> str:
        """Run the critical section in a child that kills itself when it comes to ``step``; return the run's id.

        Args:
            step: of the journal.
            mode: of the run.
            after: another step that must have come before, or be this very one.
            more: of the request.
        """
        run_id = new_run_id(self.paths.state)
        request = self.request(mode, **more)
        passed: t.List[str] = [""]
        pid = os.fork()
        if pid == 0:
            real = Journal.step

            def fatal(record: Journal, name: str, **facts: t.Any) -> None:
                real(record, name, **facts)
                passed.append(name)
                if name == step and after in passed:
                    os.kill(os.getpid(), signal.SIGKILL)

            try:
                with unittest.mock.patch.object(Journal, "step", fatal):
                    restart.perform(request, run_id)
            finally:
                # Whatever it was, also an interrupt: nothing of the test above may run twice.
                os._exit(0)
        _pid, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            raise AssertionError(f"the run never came to its step {step}")
        return run_id

    def lock_note(self) -> t.Dict[str, t.Any]:
        """Return the note in the lock; empty when the stack is not locked."""
        text = Path(self.paths.state, "lock").read_text(encoding="utf-8")
        return dict(json.loads(text)) if text else {}

    def is_locked(self) -> bool:
        """Return whether a run has locked the stack: its note is wiped a moment before it unlocks."""
        try:
            with locked(self.paths.state, "tester", "look"):
                return False
        except RollcallError:
            return True

    def pids(self) -> t.Dict[str, int]:
        """Return the pid of each service's process, by its label."""
        found = {}
        for process in find(self.root):
            label = label_of(process.pid)
            parent = processes.describe(process.ppid)
            if label is not None and label.service and (parent is None or self._is_daemon(parent)):
                found[label.service] = process.pid
        return found

    def _is_daemon(self, process: Process) -> bool:
        return process.pid in [daemon.pid for daemon in self.daemons()]

    def daemons(self) -> t.List[Process]:
        """Return the live supervisords over this stack."""
        return supervisords_over(self.paths.config, self.root)

    def drains(self, service: str) -> Path:
        """Have a service that a stop is told to end when a file exists, and not before; return the file's path."""
        gate = Path(self.root, f"{service}.gate")
        self.raw["services"][service].update(env={"DRAINS_UNTIL": str(gate)}, stop={"timeout": 300})
        return gate

    def only_child(self, pid: int) -> int:
        """Return the pid of the one child that a process has."""
        children = list(processes.descendants([pid]))
        if len(children) != 1:
            raise AssertionError(f"pid {pid} has the children {children}")
        return children[0]

    def supervisor(self) -> Client:
        """Return a client of the stack's supervisord."""
        return Client(self.paths.socket)

    def kill_daemon(self) -> int:
        """SIGKILL the supervisord, wait until it is gone, and return the pid it had; its children live on."""
        (daemon,) = self.daemons()
        os.kill(daemon.pid, signal.SIGKILL)
        _reap(daemon.pid)
        return daemon.pid

    def end(self) -> None:
        """End all that is left of the stack, by pid."""
        for process in (*self.daemons(), *find(self.root)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            _reap(process.pid)


def _reap(pid: int) -> None:
    """Take the exit status of a child of this process; init takes that of others."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


@contextlib.contextmanager
def stack(services: t.Mapping[str, t.Any], **more: t.Any) -> t.Iterator[StackUnderTest]:
    """Make a stack in a directory of its own and end and remove all of it afterwards."""
    root = tempfile.mkdtemp(prefix="rc-")
    made = None
    try:
        made = StackUnderTest(root, services, **more)
        yield made
    finally:
        if made is not None:
            made.end()
        shutil.rmtree(root)


def two_services(**first: t.Any) -> t.Dict[str, t.Any]:
    """Return a service that answers on a port of its own, with other keys if there are any, and one without a port."""
    return {
        "web": {"port": free_port(), "health": {"http": "/health"}, **first},
        "worker": {},
    }


def failed_checks(report: t.Mapping[str, t.Any]) -> t.List[t.Tuple[str, str]]:
    """Return name and subject of every check that failed."""
    return [(check["name"], check["subject"]) for check in report["checks"] if not check["ok"]]


def check_of(report: t.Mapping[str, t.Any], name: str, subject: str) -> t.Dict[str, t.Any]:
    """Return one check of a report."""
    return next(check for check in report["checks"] if (check["name"], check["subject"]) == (name, subject))
