# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of supervisord and of services: what a restart makes of a host that is not as it should be.

A bystander, which is none of ours, runs beside every test and must be alive afterwards.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import bind, processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.labels import label_of
from tests.support.configs import a_label
from tests.support.processes import accepts, eventually, free_port, is_alive
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack, two_services
from tests.support.victims import victim

pytestmark = pytest.mark.usefixtures("bystander")


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        yield made


# --- supervisord --------------------------------------------------------------------------------------------------


@pytest.mark.fault(16)
@pytest.mark.parametrize("mode", ["auto", "full"])
def test_orphans_of_a_killed_supervisord_are_swept_before_the_next_start(running: StackUnderTest, mode: str) -> None:
    before = running.pids()
    running.kill_daemon()
    report = running.perform(mode, installed=True)
    assert report["ok"]
    assert {entry["pid"] for entry in report["signals"]} == set(before.values())
    assert not any(is_alive(pid) for pid in before.values())
    assert not set(running.pids().values()) & set(before.values())


@pytest.mark.fault(16)
def test_an_orphan_that_overwrote_its_environment_is_known_by_the_record_of_the_run() -> None:
    with stack({"titled": {"port": free_port(), "env": {"TITLE": "1"}}}) as made:
        assert made.perform()["ok"]
        (daemon,) = made.daemons()
        pid = made.only_child(daemon.pid)
        assert label_of(pid) is None
        made.kill_daemon()
        report = made.perform("full", installed=True)
        assert report["ok"]
        assert [entry["pid"] for entry in report["signals"]] == [pid]


def test_a_quick_restart_refuses_over_orphans_and_names_the_cure(running: StackUnderTest) -> None:
    before = running.pids()
    running.kill_daemon()
    with pytest.raises(RollcallError, match=rf"taken by pid {before['web']}.*orphan") as caught:
        running.perform("quick", installed=True)
    assert caught.value.kind == "refused"
    assert any("full" in remedy for remedy in caught.value.remedies)
    assert set(running.pids().values()) <= set(before.values())


@pytest.mark.fault(17)
def test_running_and_a_200_from_an_orphan_fail_and_name_the_orphan() -> None:
    port = free_port()
    with stack(
        {"web": {"port": port, "health": {"http": "/health"}, "env": {"DEAF": "1"}, "ready_timeout": 8}}
    ) as made:
        orphans = []

        def take_the_port() -> None:
            """Only once the stack's own process, which never listens, is there: before, the port would be refused."""
            if eventually(lambda: "web" in made.pids()):
                orphans.append(
                    subprocess.Popen(
                        [sys.executable, str(Path(__file__).resolve().parents[1] / "support" / "app.py"), "orphan"],
                        env={**os.environ, "PORT": str(port)},
                        start_new_session=True,
                    )
                )

        taking = threading.Thread(target=take_the_port)
        taking.start()
        try:
            report = made.perform()
        finally:
            taking.join()
            for orphan in orphans:
                orphan.kill()
                orphan.wait()
        assert not report["ok"]
        row = report["services"][0]
        assert (row["state"], row["health"], row["listener_pid"]) == ("RUNNING", "failed", orphan.pid)
        assert f"pid {orphan.pid}" in check_of(report, "port", "web")["evidence"]


@pytest.mark.fault(18)
@pytest.mark.parametrize("pidfile", ["", "1\n", "999999\n", "not a pid\n"])
def test_a_stale_socket_and_any_pid_file_do_not_stop_the_start(pidfile: str) -> None:
    with stack(two_services()) as made:
        Path(made.paths.pidfile).write_text(pidfile, encoding="utf-8")
        left_over = socket.socket(socket.AF_UNIX)
        left_over.bind(made.paths.socket)
        left_over.close()
        assert made.perform()["ok"]


@pytest.mark.fault(18)
def test_nothing_is_killed_because_a_pid_file_says_so(running: StackUnderTest) -> None:
    with victim("bystander") as innocent:
        running.kill_daemon()
        Path(running.paths.pidfile).write_text(f"{innocent.pid}\n", encoding="utf-8")
        assert running.perform("full", installed=True)["ok"]
        assert innocent.alive


@pytest.mark.fault(19)
def test_a_live_supervisord_whose_socket_was_deleted_is_ended_and_not_doubled(
    running: StackUnderTest,
) -> None:
    (daemon,) = running.daemons()
    before = running.pids()
    os.unlink(running.paths.socket)
    report = running.perform("full", installed=True)
    assert report["ok"]
    assert not processes.alive(daemon.identity)
    assert len(running.daemons()) == 1
    assert not set(running.pids().values()) & set(before.values())


@pytest.mark.fault(20)
def test_a_second_supervisord_over_the_stack_is_ended_and_one_is_left(running: StackUnderTest) -> None:
    os.unlink(running.paths.socket)
    second = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "-c", running.paths.config],
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert eventually(lambda: len(running.daemons()) == 2 and accepts(running.paths.socket))
    report = running.perform(installed=True)
    second.wait(60)
    assert report["ok"], failed_checks(report)
    assert len(running.daemons()) == 1


@pytest.mark.fault(20)
def test_a_stopped_supervisord_is_named_within_bounds_and_nothing_is_touched(running: StackUnderTest) -> None:
    (daemon,) = running.daemons()
    before = running.pids()
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        with pytest.raises(RollcallError, match=rf"pid {daemon.pid}, stopped by a signal") as caught:
            running.perform("full", installed=True)
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    assert f"kill -CONT {daemon.pid}" in caught.value.remedies
    assert running.pids() == before


@pytest.mark.fault(21)
def test_a_missing_log_directory_is_found_before_anything_is_stopped(running: StackUnderTest) -> None:
    before = running.pids()
    shutil.rmtree(running.paths.logs)
    with pytest.raises(RollcallError, match=r"directory .*/logs does not exist") as caught:
        running.perform("full", installed=True)
    assert caught.value.kind == "wrong_use"
    assert running.pids() == before


@pytest.mark.fault(21)
def test_an_unknown_user_is_found_before_anything_is_stopped(running: StackUnderTest) -> None:
    before = running.pids()
    running.raw["user"] = "nobody-knows-me"
    with pytest.raises(RollcallError, match="User 'nobody-knows-me' does not exist on this host"):
        running.perform()
    assert running.pids() == before


@pytest.mark.fault(21)
def test_a_config_that_supervisor_refuses_leaves_the_running_stack_untouched(
    running: StackUnderTest,
) -> None:
    before = running.pids()
    running.raw["services"]["worker"]["env"] = {"COLOUR": "blue"}
    wanted = running.generation()
    broken = dataclasses.replace(wanted, config=wanted.config.replace("stopsignal=", "stopsignal=NO"))
    with pytest.raises(RollcallError, match="NOTERM"):
        running.perform_generation(broken)
    assert running.pids() == before


@pytest.mark.fault(21)
def test_a_config_that_says_something_else_than_the_manifest_is_not_installed(
    running: StackUnderTest,
) -> None:
    before = running.pids()
    running.raw["services"]["worker"]["env"] = {"COLOUR": "blue"}
    wanted = running.generation()
    altered = dataclasses.replace(wanted, config=wanted.config.replace("blue", "green"))
    with pytest.raises(RollcallError, match="does not say what its manifest says"):
        running.perform_generation(altered)
    assert running.pids() == before


@pytest.mark.fault(21)
def test_a_config_that_was_edited_on_the_host_is_said_to_be_and_its_cure_writes_it_again(
    running: StackUnderTest,
) -> None:
    before = running.pids()
    path = Path(running.paths.config)
    path.write_text(re.sub("stopwaitsecs=.*", "stopwaitsecs=77", path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(RollcallError, match="was edited after it was installed") as caught:
        running.perform(installed=True)
    assert list(caught.value.remedies) == [cures.INSTALL]
    report = running.perform()
    assert report["ok"]
    # What it runs by may be what somebody has written there, so it is started anew; the manifest has not changed.
    reasons = {action["reason"] for action in report["actions"] if action["action"] == "restart"}
    assert reasons == {"its part of the installed config was changed"}
    assert set(running.pids().values()).isdisjoint(before.values())


@pytest.mark.fault(21)
def test_a_command_that_does_not_exist_is_found_before_anything_is_stopped(running: StackUnderTest) -> None:
    before = running.pids()
    running.raw["services"]["worker"]["command"] = ["/no/such/program"]
    with pytest.raises(RollcallError, match=r"worker.command\[0\]: /no/such/program does not exist"):
        running.perform()
    assert running.pids() == before


# --- services -----------------------------------------------------------------------------------------------------


@pytest.mark.fault(26)
def test_a_service_that_exits_at_once_fails_with_its_log_and_without_waiting() -> None:
    # On a busy machine an interpreter may need longer than a second until it crashes.
    with stack(two_services(env={"CRASH_AFTER": "0.1"}, start={"seconds": 20}, ready_timeout=60)) as made:
        report = made.perform()
        assert not report["ok"]
        assert report["seconds"] < 60, "it is not waited for"
        check = check_of(report, "running", "web")
        # Which of its states is seen depends on the moment; that it does not stay up is in each.
        assert any(state in check["evidence"] for state in ("BACKOFF", "EXITED", "did not last")), check["evidence"]
        assert "RuntimeError: the flux capacitor is empty" in check["evidence"]
        assert ("running", "worker") not in failed_checks(report)


def test_a_service_that_keeps_failing_can_be_changed_again_and_again() -> None:
    with stack(two_services(env={"CRASH_AFTER": "0.1"}, restart="always")) as made:
        assert not made.perform()["ok"]
        made.raw["services"]["web"]["env"] = {"CRASH_AFTER": "0.2"}
        assert not made.perform()["ok"]
        made.raw["services"]["web"]["env"] = {}
        assert made.perform()["ok"]


@pytest.mark.fault(26)
def test_only_the_log_since_the_run_began_is_shown() -> None:
    with stack(two_services(env={"CRASH_AFTER": "0.1"})) as made:
        log = Path(made.paths.logs) / "web.log"
        log.write_text("yesterday's trouble\n", encoding="utf-8")
        assert "yesterday" not in check_of(made.perform(), "running", "web")["evidence"]


@pytest.mark.fault(27)
def test_a_crash_loop_with_startsecs_0_never_passes_and_shows_its_traceback() -> None:
    services = two_services(env={"CRASH_AFTER": "0.5"}, start={"seconds": 0}, stable_for=5, restart="always")
    with stack(services) as made:
        for mode in ("auto", "full", "auto"):
            report = made.perform(mode)
            assert not report["ok"]
            evidence = "\n".join(check["evidence"] for check in report["checks"] if not check["ok"])
            assert "RuntimeError: the flux capacitor is empty" in evidence


@pytest.mark.fault(27)
def test_a_service_that_dies_inside_its_window_after_it_answered_fails() -> None:
    services = two_services(env={"CRASH_AFTER": "1.6"}, stable_for=6, restart="always")
    with stack(services) as made:
        report = made.perform()
        assert not report["ok"]
        assert {subject for _name, subject in failed_checks(report)} == {"web"}


@pytest.mark.fault(28)
def test_a_service_that_listens_late_is_waited_for_within_its_own_deadline() -> None:
    with stack(two_services(env={"LISTEN_AFTER": "2"}, ready_timeout=60)) as made:
        assert made.perform()["ok"]
    with stack(two_services(env={"LISTEN_AFTER": "300"}, ready_timeout=1.5)) as made:
        report = made.perform()
        evidence = check_of(report, "running", "web")["evidence"]
        assert "not ready after 1.5 s" in evidence
        assert "nothing listens on port" in evidence


@pytest.mark.fault(28)
def test_a_service_that_exits_0_is_a_failure() -> None:
    with stack(two_services(env={"EXIT": "0"}, start={"seconds": 0}, stable_for=5)) as made:
        report = made.perform()
        assert "EXITED with status 0" in check_of(report, "running", "web")["evidence"]


@pytest.mark.fault(35)
def test_a_removed_service_is_stopped_its_port_free_and_the_others_keep_their_pids(
    running: StackUnderTest,
) -> None:
    before = running.pids()
    port = running.raw["services"].pop("web")["port"]
    report = running.perform()
    assert report["ok"]
    assert {"action": "remove", "subject": "web", "reason": "no longer in the manifest"} in report["actions"]
    assert running.pids() == {"worker": before["worker"]}
    assert "web" not in running.supervisor().programs()
    assert "[program:web]" not in Path(running.paths.config).read_text(encoding="utf-8")
    assert bind.bindable(port) is None


def test_critical_lines_written_since_the_run_began_fail_the_verdict() -> None:
    with stack({"noisy": {"command": ["sh", "-c", "echo CRITICAL: out of ink; exec sleep 1000"]}}) as made:
        report = made.perform()
        assert failed_checks(report) == [("logs", "noisy")]
        assert "CRITICAL: out of ink" in check_of(report, "logs", "noisy")["evidence"]


# --- ports --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["auto", "full", "quick"])
def test_a_foreign_listener_is_refused_with_its_name_and_nothing_is_stopped(mode: str) -> None:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        before = made.pids()
        made.raw["services"]["late"] = {"port": free_port()}
        with victim("listen", made.raw["services"]["late"]["port"]) as stranger:
            with pytest.raises(RollcallError, match=rf"is taken by pid {stranger.pid} .* of user ") as caught:
                made.perform(mode)
            assert stranger.alive
        assert caught.value.exit_code == 3
        assert made.pids() == before


BOUND = "import os, socket, time; s = socket.socket(); s.bind(('127.0.0.1', int(os.environ['PORT']))); time.sleep(600)"


@pytest.mark.parametrize("mode", ["auto", "full"])
def test_a_service_of_ours_that_has_bound_its_port_and_not_listened_yet_is_no_stranger(mode: str) -> None:
    services = {"slow": {"port": free_port(), "command": [sys.executable, "-c", BOUND], "ready_timeout": 2}}
    with stack(services) as made:
        assert failed_checks(made.perform()) == [("running", "slow"), ("port", "slow")]
        before = made.pids()
        made.raw["services"]["slow"].pop("command")
        assert made.perform(mode)["ok"]
        assert not is_alive(before["slow"])


def test_an_orphan_of_ours_on_a_port_is_ended_and_the_install_succeeds() -> None:
    with stack(two_services()) as made:
        port = made.raw["services"]["web"]["port"]
        with victim("listen", port, label=a_label(made.root, "web")) as orphan:
            report = made.perform()
            assert report["ok"]
            assert not orphan.alive
        assert [entry["pid"] for entry in report["signals"]] == [orphan.pid]
