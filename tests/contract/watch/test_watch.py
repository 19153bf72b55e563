# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A watcher beside a real supervisord: what breaks is noticed within two looks, told once, and told once when over."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import apart, processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import lock
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import load_stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked, locked_by
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.runs import Journal
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.watching import watcher_of
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import status
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch import look, loop
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch.symptoms import symptoms
from tests.support.commands import rollcall
from tests.support.documents import validated
from tests.support.processes import eventually, free_port, is_alive, kill
from tests.support.stacks import StackUnderTest, stack

# Answers on PORT, at the address that it is given; slowly while there is a file `slow`. Its workers die while there is
# a file `dying`. It ends when there is a file `broken`.
FAULTY = """
import os, subprocess, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(20 if os.path.exists("slow") else 0)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    # Linux lets another one listen at a more specific address then.
    allow_reuse_port = True

if "PORT" in os.environ:
    server = Server((sys.argv[1], int(os.environ["PORT"])), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
while not os.path.exists("broken"):
    if os.path.exists("dying"):
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.05); raise SystemExit(3)"])
    time.sleep(0.1)
raise SystemExit(1)
"""
# A look at a busy machine takes seconds, and a start of what has ended a dozen.
BOUND = 120
WATCH = {"interval": 1, "grace": 1, "degraded_after": 1, "critical_after": 1000}


def faulty(made: StackUnderTest, name: str, address: str = "127.0.0.1", **keys: t.Any) -> None:
    """Give the stack a service with a directory of its own, in which files break it."""
    directory = Path(made.root, f"of_{name}")
    directory.mkdir()
    program = Path(made.root, "faulty.py")
    program.write_text(FAULTY, encoding="utf-8")
    command = [made.program, str(program), address]
    made.raw["services"][name] = {"command": command, "directory": str(directory), "stable_for": 0.1, **keys}


class Watching:
    """A watcher that runs, and what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def documents(self) -> list[dict[str, t.Any]]:
        lines = self._output.read_text(encoding="utf-8").split("\n")[:-1]
        return [validated(json.loads(line), "WatchDocument") for line in lines]

    def told(self) -> list[tuple[str, str]]:
        """Return what was told: the event, and the id of its incident."""
        return [(event["event"], event["incident"]["id"]) for one in self.documents for event in one["events"]]

    def is_calm(self) -> bool:
        """Return whether the last look was good, and counted."""
        known = self.documents
        return bool(known) and (known[-1]["level"], known[-1]["incidents"]) == ("ok", [])


def told_at(documents: list[dict[str, t.Any]]) -> dict[str, int]:
    """Return at which look each incident was told first, from 1."""
    first: dict[str, int] = {}
    for number, one in enumerate(documents, 1):
        for event in one["events"]:
            first.setdefault(event["incident"]["id"], number)
    return first


@contextlib.contextmanager
def watching(made: StackUnderTest, **environment: str) -> t.Iterator[Watching]:
    output, command = Path(made.root, "watched"), [made.command, "watch", "--json"]
    with (
        output.open("wb") as stream,
        subprocess.Popen(command, stdout=stream, env={**os.environ, **environment}) as process,
    ):
        try:
            yield Watching(process, output)
        finally:
            process.kill()


def test_what_breaks_is_noticed_within_two_looks_and_told_once_and_once_when_it_is_over() -> None:
    with stack({}, watch=WATCH) as made, contextlib.ExitStack() as thief:
        asked: t.Any = {"health": {"http": "/", "timeout": 4}}
        faulty(made, "killed", restart="never")
        faulty(made, "hung", port=free_port(), **asked)
        faulty(made, "slow", port=free_port(), **asked)
        stolen = free_port()
        faulty(made, "stolen", "0.0.0.0", port=stolen)
        faulty(made, "workers")
        faulty(made, "silent")
        assert made.perform("full")["ok"]
        with watching(made) as watcher:
            assert eventually(watcher.is_calm, BOUND)
            # Another engine: the watcher goes on as that one, in the same process.
            Path(made.root, "engine", "files").touch()
            known = len(watcher.documents)
            assert eventually(lambda: len(watcher.documents) > known + 2 and watcher.is_calm(), BOUND)
            before, pids = len(watcher.documents), made.pids()
            kill(pids["killed"])
            os.kill(pids["hung"], signal.SIGSTOP)
            Path(made.root, "of_slow", "slow").touch()
            thief.enter_context(socket.create_server(("127.0.0.1", stolen), reuse_port=True))
            Path(made.root, "of_workers", "dying").touch()
            Path(made.paths.logs, "silent.log").unlink()
            broken = {f"service:{name}" for name in ("killed", "hung", "slow", "stolen", "workers")} | {"logs"}
            assert eventually(lambda: len(watcher.told()) >= len(broken), BOUND)
            # The look at work already may have seen some of it, and the next two all that one look can see. How
            # long a service is silent, or how often workers die, is a matter of time, and of how busy the machine is.
            first = told_at(watcher.documents[before:])
            late = {one: look for one in ("service:killed", "service:stolen", "logs") if (look := first[one]) > 3}
            assert late == {}
            assert sorted(watcher.told()) == sorted(("degraded", scope) for scope in broken)

            os.kill(pids["hung"], signal.SIGCONT)
            Path(made.root, "of_slow", "slow").unlink()
            Path(made.root, "of_workers", "dying").unlink()
            thief.close()
            assert rollcall(made, "doctor", "--fix").code in (0, 1)
            # Otherwise it would have to live for twice as long as before.
            assert rollcall(made, "acknowledge").code == 0
            assert rollcall(made, "start", "killed").code == 0
            assert eventually(watcher.is_calm, BOUND), watcher.documents[-1]
            told = watcher.told()
            assert sorted(told) == sorted((event, scope) for event in ("degraded", "recovered") for scope in broken)

            # Not within a look: that sees the services of a supervisord that is there no more.
            here = watcher.process.pid
            os.kill(here, signal.SIGSTOP)
            assert eventually(lambda: not any(map(is_alive, processes.descendants([here]))))
            made.kill_daemon()
            os.kill(here, signal.SIGCONT)
            assert eventually(lambda: len(watcher.told()) > len(told), BOUND)
            assert watcher.told()[len(told) :] == [("degraded", "supervisord")], "and nothing that follows from it"
            assert len(watcher.documents[-1]["incidents"][0]["services"]) == len(pids)
            assert "the watcher" in rollcall(made, "status").out
            watcher.process.terminate()
            assert watcher.process.wait(BOUND) == 0


def test_a_service_is_started_again_within_the_budget_and_then_given_up() -> None:
    with stack({}, watch={**WATCH, "restart": True, "grace": 0}, restart_budget={"restarts": 2}) as made:
        faulty(made, "web", start={"seconds": 1, "retries": 0})
        faulty(made, "other")
        assert made.perform("full")["ok"]
        broken = Path(made.root, "of_web", "broken")
        other = made.pids()["other"]
        with watching(made) as watcher:
            assert eventually(watcher.is_calm, BOUND)
            broken.touch()
            assert eventually(lambda: ("gave_up", "service:web") in watcher.told(), BOUND)
            assert rollcall(made, "watch", "--once").code == 3, "one watcher is enough"
            broken.unlink()
            assert rollcall(made, "start", "web").code in (0, 1)
            assert eventually(lambda: watcher.told()[-1:] == [("recovered", "service:web")], BOUND)
        assert {scope for _event, scope in watcher.told()} == {"service:web"}
        events = [event for event, _scope in watcher.told()]
        assert events == ["degraded", "restarted", "restarted", "gave_up", "recovered"]
        assert is_alive(other), "what runs was left alone"
        runs = rollcall(made, "history", "--json").data["runs"]
        assert [run["who"] for run in runs if run["automatic"] and run["result"] != "refused"] == ["rollcall watch"] * 2
        assert rollcall(made, "watch", "--once", "--json").code == 0


def test_a_look_that_hangs_is_told_and_ends_with_the_watcher(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[t.Any] = []
    with stack({"web": {}}, watch={**WATCH, "grace": 0}) as made:
        assert made.perform()["ok"]
        monkeypatch.setattr(loop, "look_limit", lambda _stack: 0.3)
        monkeypatch.setattr(loop, "look", lambda *_given, **_more: time.sleep(600))
        watcher = loop.Watcher(made.root, told.append)
        watcher.once()
        assert [(event["event"], event["incident"]["code"]) for event in told[-1]["events"]] == [
            ("degraded", "look_hung")
        ]
        monkeypatch.setattr(loop, "look_limit", lambda _stack: 600.0)
        here = os.getpid()

        def hangs_and_is_stopped(*_given: t.Any, **_more: t.Any) -> None:
            os.kill(here, signal.SIGTERM)
            time.sleep(600)

        monkeypatch.setattr(loop, "look", hangs_and_is_stopped)
        began = time.monotonic()
        with pytest.raises(loop.Stopped):
            watcher.watch()
        assert time.monotonic() - began < 300
        Path(made.root, "engine", "files").touch()
        before = signal.getsignal(signal.SIGHUP)
        try:
            with pytest.raises(loop.Renewed):
                watcher.watch()
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, "for the program that takes over"
        finally:
            signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("failing", ["fork", "pipe"])
def test_a_host_without_room_for_a_process_is_told_and_ends_no_watcher(
    monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def refuse(*_given: t.Any) -> t.NoReturn:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    told: list[t.Any] = []
    alert = {"kind": "webhook", "name": "ops", "url": "http://127.0.0.1:9/"}
    with stack({"web": {}}, watch={**WATCH, "grace": 0, "alerts": [alert]}) as made:
        assert made.perform()["ok"]
        watcher = loop.Watcher(made.root, told.append)
        open_files = len(os.listdir("/dev/fd"))
        monkeypatch.setattr(os, failing, refuse)
        watcher.once()
        monkeypatch.undo()
        assert len(os.listdir("/dev/fd")) <= open_files
        (event,) = told[-1]["events"]
        assert event["incident"]["code"] == "look_failed"
        assert os.strerror(errno.EAGAIN) in event["incident"]["why"]
        box = watcher.state["deliveries"]["targets"]["ops"]
        assert (len(box["waiting"]), os.strerror(errno.EAGAIN) in box["problem"]) == (1, True)


def test_a_watcher_that_breaks_down_has_not_ended_on_purpose() -> None:
    def broken(_document: t.Any) -> t.NoReturn:
        raise BrokenPipeError

    with stack({"web": {}}, watch=WATCH) as made:
        assert made.perform()["ok"]
        with pytest.raises(BrokenPipeError):
            loop.Watcher(made.root, broken).watch()
        known = watcher_of(made.paths.state, time.time() + 3600, 1.0)
        assert known is not None
        assert known["silent"]


def test_a_watcher_whose_engine_was_taken_away_says_so() -> None:
    with stack({"web": {}}, watch=WATCH) as made:
        assert made.perform()["ok"]
        with subprocess.Popen([made.command, "watch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"watching stack")
            Path(made.command).unlink()
            Path(made.root, "engine", "files").unlink()
            said = process.communicate(timeout=BOUND)[1].decode()
        assert process.returncode == 1
        assert f"cannot go on as {made.command}: No such file or directory" in said
        assert "Traceback" not in said


@pytest.mark.parametrize("what", ["web", ""])
def test_what_somebody_has_stopped_since_the_look_is_not_started(what: str) -> None:
    with stack({"web": {}, "other": {}}, watch=WATCH) as made:
        assert made.perform()["ok"]
        assert rollcall(made, "stop", *([what] if what else [])).code == 0
        assert loop._started(load_stack(made.paths), "web") == {"ok": False, "refused": False, "said": ""}
        row = next(one for one in made.status()["services"] if one["name"] == "web")
        assert (row["pid"], row["stopped"] is not None or what == "") == (None, True)


def test_a_start_that_is_refused_is_given_up_and_not_tried_at_every_look() -> None:
    port = free_port()
    with stack({"web": {"port": port}, "other": {}}, watch=WATCH) as made:
        assert made.perform()["ok"]
        with made.supervisor() as client:
            client.stop(["web"])
            assert eventually(lambda: client.programs()["web"].state == "STOPPED")
        with socket.create_server(("127.0.0.1", port)):
            answer = loop._started(load_stack(made.paths), "web")
        assert (answer["ok"], answer["refused"]) == (False, True)
        assert str(port) in answer["said"]


def test_a_watcher_begins_also_on_a_disk_that_has_become_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def opened(path: t.Any, flags: int, *more: t.Any, **others: t.Any) -> int:
        if str(path).startswith(made.root) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return real(path, flags, *more, **others)

    told: list[t.Any] = []
    with stack({"web": {}}, watch={**WATCH, "grace": 0}) as made, monkeypatch.context() as read_only:
        assert made.perform()["ok"]
        with contextlib.closing(loop.Watcher(made.root, told.append)) as first:
            first.once()
        read_only.setattr(os, "open", opened)
        loop.Watcher(made.root, told.append).once()
        assert len(told) == 2


def test_a_run_is_not_overdue_because_the_host_was_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    def overdue() -> str:
        return str(look.look(load_stack(made.paths), "", dear=False)["overdue"])

    with stack({"web": {}}, watch=WATCH) as made:
        assert made.perform()["ok"]
        with locked(made.paths.state, "ada", "full", limit=10.0), monkeypatch.context() as later:
            age = processes.age
            # The clock of the boot goes on while a host sleeps, the monotonic one does not.
            later.setattr(processes, "age", lambda start: age(start) + 3600)
            assert overdue() == ""
            monotonic = lock.monotonic()
            later.setattr(look, "monotonic", lambda: monotonic + 3600)
            assert "longer than all its deadlines together: ada runs 'full'" in overdue()


@pytest.mark.parametrize("part", ["_add_logs", "_spaces", "_findings", "_overdue"])
def test_a_look_within_which_a_run_begins_and_ends_knows_of_it(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    with stack({"web": {}}, watch={**WATCH, "grace": 0}) as made, monkeypatch.context() as beside:
        assert made.perform()["ok"]
        real = getattr(look, part)

        def with_a_run(*given: t.Any) -> t.Any:
            assert made.perform("quick", installed=True)["ok"]
            return real(*given)

        def seen() -> t.Any:
            return look.sight_of(look.look(load_stack(made.paths), "", dear=True))

        assert not seen().locked
        beside.setattr(look, part, with_a_run)
        torn = seen()
        assert (torn.locked, torn.report is not None and torn.report["run_at_work"]) == (True, None)
        beside.undo()
        assert not seen().locked


def test_a_supervisord_that_ends_within_a_look_is_the_one_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    with stack({"web": {}, "worker": {}}, watch={**WATCH, "grace": 0}) as made, monkeypatch.context() as within:
        assert made.perform()["ok"]
        real = status._left_for_good

        def ends_before(*given: t.Any) -> t.Any:
            within.undo()
            made.kill_daemon()
            return real(*given)

        within.setattr(status, "_left_for_good", ends_before)
        installed = load_stack(made.paths)
        sight = look.sight_of(look.look(installed, "", dear=False))
        # What comes first is the cause of all that follows.
        assert symptoms(installed, sight, time.time())[0].scope == "supervisord"


def test_a_run_that_ends_while_it_is_asked_for_was_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    with stack({"web": {}}) as made:
        assert made.perform()["ok"]
        journal = Journal(made.paths.state, "20991231-000000-abcd")
        journal.step("verify")

        def ends(state: str) -> t.Any:
            journal.finish("ok")
            return locked_by(state)

        with monkeypatch.context() as beside:
            beside.setattr(status, "locked_by", ends)
            assert made.status()["unfinished_run"] is None
        # One that was cut off is told as ever.
        Journal(made.paths.state, "20991231-000001-abcd").step("verify")
        told = made.status()["unfinished_run"]
        assert told is not None
        assert told["step"] == "verify"


def test_a_look_that_was_killed_is_no_look_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[t.Any] = []
    with stack({"web": {}}, watch={**WATCH, "grace": 0}) as made:
        assert made.perform()["ok"]
        monkeypatch.setattr(loop, "look", lambda *_given, **_more: os.kill(os.getpid(), signal.SIGKILL))
        loop.Watcher(made.root, told.append).once()
        (incident,) = told[-1]["incidents"]
        assert (incident["code"], "was killed" in incident["why"]) == ("look_failed", True)


def test_looks_that_nobody_can_end_are_not_heaped_up_and_are_reaped(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[t.Any] = []
    with stack({"web": {}}, watch={**WATCH, "grace": 0}) as made, monkeypatch.context() as hung:
        assert made.perform()["ok"]
        hung.setattr(loop, "DOCTOR_LONGER", 0.0)
        hung.setattr(loop, "look_limit", lambda _stack: 0.1)
        hung.setattr(loop, "look", lambda *_given, **_more: time.sleep(600))
        # As the kernel does with what waits for a disk.
        hung.setattr(apart, "_REAPED", 0.01)
        hung.setattr(os, "kill", lambda *_given: None)
        hung.setattr(apart, "_be_child", unending)
        watcher = loop.Watcher(made.root, told.append)
        for _number in range(loop.MOST_HANGING + 2):
            watcher.once()
        left = list(apart._left)
        assert (len(left), apart.hanging()) == (loop.MOST_HANGING, loop.MOST_HANGING)
        assert told[-1]["incidents"][0]["code"] == "look_hung"
        hung.undo()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: apart.hanging() == 0)
        watcher.once()
        assert told[-1]["incidents"] == []


def unending(*_given: t.Any) -> t.NoReturn:
    try:
        time.sleep(600)
    finally:
        os._exit(1)
