# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look takes for the service is the service, and what it takes for alive does something, when the look ends."""

from __future__ import annotations

import os
import shlex
import signal
import struct
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import find_account
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes import health
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import drift, fitness, verify
from tests.support.cases import ordinary
from tests.support.peers import http, says, tcp_peer
from tests.support.processes import eventually, free_port, kill
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack, two_services

# --- who answers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [{"http": "/"}, {"tcp": True}])
def test_a_stranger_that_answers_for_a_service_is_no_health(kind: t.Mapping[str, t.Any]) -> None:
    with tcp_peer(says(http("ok"))) as stranger, stack({"one": {"health": {**kind, "port": stranger.port}}}) as made:
        report = made.perform()
        assert failed_checks(report) == [("health", "one")]
        check = check_of(report, "health", "one")
        assert check["code"] == "another"
        assert "answered_by" in check["evidence"]
        made.raw["services"]["one"]["health"]["answered_by"] = "anyone"
        assert failed_checks(made.perform()) == []


def test_a_stranger_at_another_address_of_the_same_port_is_no_health() -> None:
    with tcp_peer(says(b""), host="127.0.0.2") as stranger, stack({"one": {}}) as made:
        listening = f"import socket, time; s = socket.create_server(('127.0.0.1', {stranger.port})); time.sleep(600)"
        health = {"tcp": True, "host": "127.0.0.2", "port": stranger.port}
        made.raw["services"]["one"] = {"command": [made.program, "-c", listening], "health": health}
        assert check_of(made.perform(), "health", "one")["code"] == "another"
        health["host"] = "127.0.0.1"
        assert failed_checks(made.perform()) == []


def test_another_service_of_the_stack_answers_only_where_that_is_said() -> None:
    services = two_services()
    services["worker"] = {"health": {"http": "/health", "port": services["web"]["port"]}}
    with stack(services) as made:
        report = made.perform()
        assert failed_checks(report) == [("health", "worker")]
        assert check_of(report, "health", "worker")["code"] == "another"
        made.raw["services"]["worker"]["health"]["answered_by"] = "web"
        assert failed_checks(made.perform()) == []
        made.raw["services"]["web"]["health"]["answered_by"] = "worker"
        assert failed_checks(made.perform()) == [("health", "web")]


# --- when it is looked at -----------------------------------------------------------------------------------------

# Answers when the process is gone whose pid stands in a file.
ENDS_ANOTHER = """
import os, signal, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        if os.path.exists(sys.argv[2]):
            pid = int(open(sys.argv[2]).read())
            os.unlink(sys.argv[2])
            os.kill(pid, signal.SIGKILL)
            while os.path.exists("/proc/%d" % pid) and " Z " not in open("/proc/%d/stat" % pid).read():
                time.sleep(0.01)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


@pytest.mark.parametrize("look", ["status", "verify"])
def test_a_service_that_dies_while_another_is_asked_is_not_called_running(look: str) -> None:
    port = free_port()
    with stack({"web": {"port": port, "health": {"http": "/"}}, "worker": {"restart": "never"}}) as made:
        victim = Path(made.root, "victim")
        command = [made.program, "-c", f"exec({ENDS_ANOTHER!r})", str(port), str(victim)]
        made.raw["services"]["web"]["command"] = command
        assert failed_checks(made.perform()) == []
        victim.write_text(str(made.pids()["worker"]), encoding="ascii")
        report = made.status() if look == "status" else verify.verify(made.paths)
        assert ("running", "worker") in failed_checks(report)
        assert ("health", "web") not in failed_checks(report)


# --- whether it does anything -------------------------------------------------------------------------------------


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    services = {**two_services(), "wrapped": {}}
    with stack(services) as made:
        made.raw["services"]["wrapped"]["command"] = ["sh", "-c", "sleep 600; true"]
        assert failed_checks(made.perform()) == []
        yield made


def test_stopped_processes_are_not_up_and_a_run_brings_them_back(made: StackUnderTest) -> None:
    before = made.pids()
    for pid in before.values():
        os.kill(pid, signal.SIGSTOP)
    report = made.status()
    assert {("running", name) for name in before} <= set(failed_checks(report))
    assert check_of(report, "running", "worker")["code"] == "halted"
    assert check_of(report, "running", "worker")["next"] == f"kill -CONT {before['worker']}"
    assert failed_checks(made.perform()) == []
    assert set(made.pids().values()).isdisjoint(before.values())


def test_the_remedy_for_a_stopped_process_is_one(made: StackUnderTest) -> None:
    pid = made.pids()["worker"]
    os.kill(pid, signal.SIGSTOP)
    assert eventually(lambda: processes.reader.state(pid) == "T")
    assert failed_checks(made.status()) == [("running", "worker")]
    os.kill(pid, signal.SIGCONT)
    assert failed_checks(made.status()) == []


def test_a_program_that_is_stopped_inside_of_its_wrapper_is_not_up(made: StackUnderTest) -> None:
    child = made.only_child(made.pids()["wrapped"])
    os.kill(child, signal.SIGSTOP)
    assert eventually(lambda: processes.reader.state(child) == "T")
    report = made.status()
    assert failed_checks(report) == [("running", "wrapped")]
    assert check_of(report, "running", "wrapped")["data"]["halted"] == child


def test_a_process_that_hangs_in_the_kernel_is_not_up() -> None:
    # posix_spawn(3) waits like vfork(2), in state D, until the child has become its program; this one opens a pipe.
    with stack({"one": {}}) as made:
        pipe = os.path.join(made.root, "pipe")
        os.mkfifo(pipe)
        actions = f"[(os.POSIX_SPAWN_OPEN, 0, {pipe!r}, os.O_RDONLY, 0)]"
        spawn = f"import os; os.posix_spawn('/bin/true', ['true'], {{}}, file_actions={actions})"
        made.raw["services"]["one"]["command"] = [made.program, "-c", spawn]
        report = made.perform()
        pid = made.pids()["one"]
        try:
            assert processes.reader.state(pid) == "D"
            assert failed_checks(report) == [("running", "one")]
            assert check_of(report, "running", "one")["data"]["kernel"] == "D"
        finally:
            for child in processes.children(pid):
                kill(child)


def test_a_process_that_works_is_not_taken_for_one_that_hangs() -> None:
    with stack({"one": {}}) as made:
        busy = f"import os; f = os.open('{made.root}/data', os.O_CREAT | os.O_WRONLY); "
        busy += "[(os.pwrite(f, b'x' * 4096, 0), os.fsync(f)) for _ in iter(lambda: 1, 0)]"
        made.raw["services"]["one"]["command"] = [made.program, "-c", busy]
        assert failed_checks(made.perform()) == []
        assert failed_checks(made.status()) == []


# --- what supervisord was told --------------------------------------------------------------------------------------


def edited(made: StackUnderTest, old: str, new: str) -> None:
    """Edit the installed config by hand, as somebody would who is in a hurry, and have supervisord take it over."""
    config = Path(made.paths.config)
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, new), encoding="utf-8")
    client = made.supervisor()
    added, changed, _removed = client.reload()
    client.stop(changed)
    assert eventually(lambda: all(client.programs()[name].state == "STOPPED" for name in changed))
    for name in changed:
        client.remove(name)
    for name in (*changed, *added):
        client.add(name)
    client.start((*changed, *added))
    assert eventually(lambda: all(client.programs()[name].state == "RUNNING" for name in (*changed, *added)))
    asked = [service.health for service in made.generation().stack.services if service.health is not None]
    assert eventually(lambda: all(health.probe(one).ok for one in asked)), "it listens a while after it runs"


EDITS = {
    "the command": (" worker\n", " another\n"),
    "a setting": ("stopwaitsecs=3", "stopwaitsecs=7"),
    "a program more": ("[program:web]", "[program:extra]\ncommand=sleep 600\n\n[program:web]"),
    "a variable more": ("environment=", 'environment=EXTRA="1",'),
    "whether it is started again": ("autorestart=unexpected", "autorestart=false"),
    "the umask": ("startsecs=", "umask=077\nstartsecs="),
}


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("what", ordinary(EDITS, "the command", "whether it is started again"))
def test_a_config_that_was_edited_and_taken_over_is_not_ok_and_a_run_mends_it(what: str, back: bool) -> None:
    with stack(two_services()) as made:
        assert failed_checks(made.perform()) == []
        text = Path(made.paths.config).read_text(encoding="utf-8")
        edited(made, *EDITS[what])
        if back:
            # What supervisord has taken over stays.
            Path(made.paths.config).write_text(text, encoding="utf-8")
        # A service that was started again may take a moment to listen.
        assert eventually(lambda: failed_checks(made.status()) == [("config", "test")])
        # A look takes nothing away of what the next one sees.
        assert failed_checks(made.status()) == [("config", "test")]
        if back:
            assert not drift.drift(made.paths)["ok"]
        report = made.perform()
        assert failed_checks(report) == []
        assert report["changed"]
        assert drift.drift(made.paths)["ok"]
        assert failed_checks(made.status()) == []


def test_a_variable_that_was_edited_is_seen_in_the_process() -> None:
    with stack({"one": {"env": {"COLOUR": "blue"}}}) as made:
        assert failed_checks(made.perform()) == []
        edited(made, "blue", "green")
        report = made.status()
        assert failed_checks(report) == [("config", "test")]
        assert "COLOUR" in check_of(report, "config", "test")["evidence"]
        assert failed_checks(made.perform()) == []


def test_a_restart_by_hand_is_no_edit() -> None:
    with stack(two_services()) as made:
        assert failed_checks(made.perform()) == []
        client = made.supervisor()
        client.stop(["worker"])
        assert eventually(lambda: client.programs()["worker"].state == "STOPPED")
        client.start(["worker"])
        assert eventually(lambda: client.programs()["worker"].state == "RUNNING")
        assert failed_checks(made.status()) == []


# --- how often it is asked ----------------------------------------------------------------------------------------

BY_TURNS = """
import sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
class Answer(BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Answer.asked += 1
        time.sleep(float(sys.argv[2]))
        self.send_response(200 if Answer.asked % 2 else 500)
        self.end_headers()
    def log_message(self, *_):
        pass
HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


@pytest.mark.parametrize("after", ordinary(["0", "0.6"], "0.6"))
def test_a_service_that_answers_every_second_time_is_never_ok(after: str) -> None:
    port = free_port()
    with stack({"web": {"port": port, "health": {"http": "/", "timeout": 2}}}) as made:
        made.raw["services"]["web"]["command"] = [made.program, "-c", f"exec({BY_TURNS!r})", str(port), after]
        for look in (made.perform, made.status, made.status, lambda: verify.verify(made.paths)):
            assert ("health", "web") in failed_checks(look())


def test_a_verdict_asks_so_often_that_two_good_answers_in_a_row_are_not_enough() -> None:
    # As where another client has got the wrong answer between them.
    pairs = BY_TURNS.replace("Answer.asked % 2", "Answer.asked % 4 in (0, 1)")
    port = free_port()
    with stack({"web": {"port": port, "health": {"http": "/", "timeout": 2}}}) as made:
        made.raw["services"]["web"]["command"] = [made.program, "-c", f"exec({pairs!r})", str(port), "0"]
        for look in (made.perform, lambda: verify.verify(made.paths)):
            assert ("health", "web") in failed_checks(look())


def test_a_slow_service_that_answers_well_is_ok() -> None:
    slow = BY_TURNS.replace("if Answer.asked % 2 else 500", "")
    port = free_port()
    with stack({"web": {"port": port, "health": {"http": "/", "timeout": 8}}}) as made:
        made.raw["services"]["web"]["command"] = [made.program, "-c", f"exec({slow!r})", str(port), "4.5"]
        assert failed_checks(made.perform()) == []
        # There is no time to ask again.
        assert failed_checks(made.status()) == []


# --- what is left over --------------------------------------------------------------------------------------------


def test_helpers_that_a_service_starts_in_the_background_are_no_left_overs() -> None:
    with stack({"web": {}}) as made:
        made.raw["services"]["web"]["command"] = ["sh", "-c", "while :; do (sleep 0.3 &); sleep 0.7; done"]
        for look in (made.perform, *[made.status] * 5):
            assert failed_checks(look()) == []


@pytest.mark.parametrize("left", ["sleep 600", "while :; do sh -c 'sleep 0.2'; done", "exec sleep 60"])
def test_what_a_service_leaves_in_the_background_for_longer_is_one(left: str) -> None:
    with stack({"web": {}}) as made:
        made.raw["services"]["web"]["command"] = ["sh", "-c", f"({left} & ); exec sleep 600"]
        report = made.perform()
        assert failed_checks(report) == [("orphans", "test")]
        # It has become a child of the stack's own supervisord, which is no reason for that to start it again.
        check = check_of(report, "orphans", "test")
        assert (check["data"]["kept"], "starts it again" in check["evidence"]) == ([], False)
        assert check["next"] == cures.detaches("web")


def test_left_overs_that_take_turns_are_left_overs() -> None:
    # Each lives for a moment, and starts the next one before it ends.
    turns = "import os, time\nos.fork() and os._exit(0)\nwhile 1:\n time.sleep(0.3)\n os.fork() and os._exit(0)"
    with stack({"web": {}}) as made:
        command = f"{made.program} -c {shlex.quote(f'exec({turns!r})')}; exec sleep 600"
        made.raw["services"]["web"]["command"] = ["sh", "-c", command]
        assert failed_checks(made.perform()) == [("orphans", "test")]
        assert failed_checks(made.status()) == [("orphans", "test")]


# --- what is installed --------------------------------------------------------------------------------------------

EDITED = {
    "a variable more": ("environment=", 'environment=EXTRA="1",'),
    "another user": ("startsecs=", "user=root\nstartsecs="),
    "what is not told": ("autorestart=unexpected", "autorestart=false"),
    "supervisord's own": ("loglevel=info", "loglevel=error"),
}


@pytest.mark.parametrize("what", ordinary(EDITED, "a variable more", "supervisord's own"))
@pytest.mark.parametrize("told", [False, True])
def test_an_installed_config_that_was_edited_is_not_ok_whoever_knows_of_it(what: str, told: bool) -> None:
    with stack(two_services()) as made:
        assert failed_checks(made.perform()) == []
        if told and what != "supervisord's own":
            edited(made, *EDITED[what])
        else:
            config = Path(made.paths.config)
            config.write_text(config.read_text(encoding="utf-8").replace(*EDITED[what]), encoding="utf-8")
        assert failed_checks(made.status()) == [("config", "test")]
        assert failed_checks(made.perform()) == []
        assert failed_checks(made.status()) == []


def test_a_comment_in_the_config_and_a_touched_file_are_no_edit() -> None:
    with stack(two_services()) as made:
        assert failed_checks(made.perform()) == []
        config = Path(made.paths.config)
        os.utime(made.paths.manifest)
        config.write_text(f"; who asks, calls Bob\n\n{config.read_text(encoding='utf-8')}", encoding="utf-8")
        assert failed_checks(made.status()) == []


def test_a_generation_that_was_put_in_place_by_hand_is_not_ok_and_a_run_mends_it() -> None:
    with stack(two_services()) as made:
        assert failed_checks(made.perform()) == []
        before = os.readlink(made.paths.etc)
        made.raw["services"]["worker"]["env"] = {"MORE": "1"}
        assert failed_checks(made.perform()) == []
        os.unlink(made.paths.etc)
        os.symlink(before, made.paths.etc)
        report = made.status()
        assert failed_checks(report) == [("config", "test")]
        assert list(check_of(report, "config", "test")["data"]["programs"]) == ["worker"]
        assert failed_checks(made.perform()) == []
        assert failed_checks(made.status()) == []


# --- who may what -------------------------------------------------------------------------------------------------


def _listed(path: Path, uid: int, bits: int) -> None:
    """Let a user do with a file what its mode lets nobody do but its owner (acl(5), linux/posix_acl_xattr.h)."""
    nobody = 0xFFFFFFFF
    entries = [(1, 6, nobody), (2, bits, uid), (4, 0, nobody), (16, bits, nobody), (32, 0, nobody)]
    packed = b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + packed)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root looks as another user")
def test_a_file_that_a_list_of_access_gives_to_the_user_holds_no_service() -> None:
    user = find_account("games")
    # Not below pytest's own directory, into which nobody else may look.
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        needed = Path(place, "key.pem")
        needed.write_text("x", encoding="utf-8")
        needed.chmod(0o600)
        assert not fitness.may(str(needed), user, 0o4)
        try:
            _listed(needed, user.uid, 0o4)
        except OSError:
            pytest.skip("this file system keeps no lists of access")
        assert (fitness.may(str(needed), user, 0o4), fitness.may(str(needed), user, 0o2)) == (True, False)
    assert os.geteuid() == 0
