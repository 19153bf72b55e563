# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts from outside: after the install, after they were restarted as machines are, and after the removal."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import eyes

UNIT = "rollcall-notes.service"
TIMER = "rollcall-notes@tick.timer"
PORTS = {"web": 8001, "queue": 8002, "store": 8003}
EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
# Ansible's own, the journal's, and what packages make when they are installed: none of it is a package's own file.
OTHERS = re.compile(
    r"/(root|home/ada)/\.ansible(/|$)"
    r"|/var/(log|cache|tmp)(/|$)|/var/lib/(apt|dpkg|systemd|pam|python)(/|$)"
    r"|/etc/(passwd|group|shadow|gshadow|subuid|subgid)-$"
    r"|/etc/(\.pwd\.lock|ld\.so\.cache|mailcap|inputrc|networks|ca-certificates\.conf|python3.*)$"
    r"|/etc/(alternatives|ssl/certs)/|/usr/local/(share/ca-certificates|lib/python3[^/]*(/dist-packages)?)$|/__pycache__(/|$)"
)


@dataclass(frozen=True)
class Expected:
    """What one host should have.

    Attributes:
        root: the directory of the stack.
        user: who runs the services.
        control: systemctl, as who installs asks it.
    """

    root: str
    user: str
    control: str


BY_ROOT = Expected("/opt/notes", "notes", "systemctl")
BY_ADA = Expected("/home/ada/notes", "ada", "XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user")


def snapshot(when: str, host: Any) -> set[str]:
    """Return what was seen on a host before the install or after the removal; nothing when it was not looked at yet."""
    path = EPHEMERAL / f"{when}-{host.backend.get_hostname()}"
    return set(path.read_text(encoding="utf-8").splitlines()) if path.exists() else set()


def of_packages(line: str, packaged: set[str]) -> bool:
    """Return whether a line of a snapshot is there because of a package, or is none of ours."""
    kind, _unused, what = line.partition(" ")
    if kind == "packaged":
        return True
    # Debian 12 and later have /bin as a link into /usr, and packages name their files by either.
    return kind == "file" and (what in packaged or what.removeprefix("/usr") in packaged or bool(OTHERS.search(what)))


@pytest.fixture
def expected(host: Any) -> Expected:
    if snapshot("after", host):
        pytest.skip("the stack has been removed")
    return BY_ADA if host.backend.get_hostname() == "debian12" else BY_ROOT


@pytest.fixture
def removed(host: Any) -> set[str]:
    after = snapshot("after", host)
    if not after:
        pytest.skip("the stack is there")
    return after


@pytest.fixture
def before_the_restart(host: Any) -> None:
    if (EPHEMERAL / f"restarted-{host.backend.get_hostname()}").exists():
        pytest.skip("seen before the host was restarted")


@pytest.fixture
def view(host: Any) -> eyes.View:
    return eyes.look(host)


def test_every_service_holds_its_port_below_one_supervisord(view: eyes.View, expected: Expected) -> None:
    (daemon,) = view.supervisord(expected.root)
    for service, port in PORTS.items():
        (pid,) = view.listeners[port]
        assert view.processes[pid].argv[-1] == service
        assert daemon.pid in view.ancestors(pid)
        assert view.processes[pid].user == expected.user


@pytest.mark.usefixtures("expected")
def test_the_services_answer(host: Any) -> None:
    fetch = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=60).read().decode())"
    for port in PORTS.values():
        url = f"http://127.0.0.1:{port}/health"
        assert json.loads(host.check_output("python3 -c %s %s", fetch, url))["status"] == "ok"


@pytest.mark.usefixtures("expected")
def test_they_came_up_in_the_order_they_need(host: Any, view: eyes.View) -> None:
    began = {}
    for service, port in PORTS.items():
        (pid,) = view.listeners[port]
        # proc(5): ticks of its start since the boot.
        began[service] = int(host.file(f"/proc/{pid}/stat").content_string.rpartition(")")[2].split()[19])
    assert began["store"] < began["queue"] < began["web"]


def test_the_unit_is_active_and_has_all_of_it(host: Any, view: eyes.View, expected: Expected) -> None:
    assert host.check_output(f"{expected.control} is-enabled {UNIT}") == "enabled"
    assert host.check_output(f"{expected.control} is-active {UNIT}") == "active"
    (daemon,) = view.supervisord(expected.root)
    for pid in (daemon.pid, *(pid for port in PORTS.values() for pid in view.listeners[port])):
        assert UNIT in host.file(f"/proc/{pid}/cgroup").content_string.replace("\n", "/").split("/")


@pytest.mark.usefixtures("before_the_restart")
def test_what_a_session_restarts_is_the_units_as_well(host: Any, expected: Expected) -> None:
    host.check_output(f"{expected.root}/bin/rollcall restart")
    view = eyes.look(host)
    (daemon,) = view.supervisord(expected.root)
    for pid in (daemon.pid, *(pid for port in PORTS.values() for pid in view.listeners[port])):
        assert UNIT in host.file(f"/proc/{pid}/cgroup").content_string.replace("\n", "/").split("/")
    assert host.check_output(f"{expected.control} is-active {UNIT}") == "active"


@pytest.mark.usefixtures("before_the_restart")
def test_stopping_by_either_way_is_the_same_and_so_is_starting(host: Any, expected: Expected) -> None:
    command = f"{expected.root}/bin/rollcall"
    for stop, start in (
        (f"{expected.control} stop {UNIT}", f"{command} start"),
        (f"{command} stop", f"{expected.control} start {UNIT}"),
    ):
        host.check_output(stop)
        view = eyes.look(host)
        assert view.supervisord(expected.root) == []
        assert [port for port in PORTS.values() if view.listeners.get(port)] == []
        assert host.run(f"{expected.control} is-active {UNIT}").stdout.strip() == "inactive"
        host.check_output(start)
        assert host.check_output(f"{expected.control} is-active {UNIT}") == "active"
        assert len(eyes.look(host).supervisord(expected.root)) == 1


def test_a_timer_runs_its_job_as_the_user_of_the_services_and_its_result_is_told(host: Any, expected: Expected) -> None:
    assert host.check_output(f"{expected.control} is-enabled {TIMER}") == "enabled"
    assert host.check_output(f"{expected.control} is-active {TIMER}") == "active"
    log = f"{expected.root}/logs/tick.log"
    before = len(host.check_output(f"cat {log} || true").splitlines())
    end = time.monotonic() + 300
    lines: list[str] = []
    while len(lines) < before + 2 and time.monotonic() < end:
        time.sleep(1)
        lines = host.check_output(f"cat {log} || true").splitlines()
    assert len(lines) >= before + 2
    uid = str(host.user(expected.user).uid)
    assert {tuple(line.split()) for line in lines} == {("tick", uid, f"{expected.root}/logs/notes.db")}
    done = host.run(f"{expected.root}/bin/rollcall status --json")
    (row,) = json.loads(done.stdout)["timers"]
    assert (done.rc, row["failed"], row["late"]) == (0, False, False)
    assert (row["last"]["result"], row["last"]["exit_code"], row["last"]["by"]) == ("ok", 0, "systemd")


def test_systemd_finds_no_fault_with_the_unit(host: Any, expected: Expected) -> None:
    user = "--user " if "--user" in expected.control else ""
    place = "/home/ada/.config/systemd/user" if user else "/etc/systemd/system"
    for unit in (UNIT, TIMER):
        done = host.run(f"XDG_RUNTIME_DIR=/run/user/$(id -u) systemd-analyze {user}verify {place}/{unit}")
        assert [line for line in (done.stdout + done.stderr).splitlines() if "rollcall-notes" in line] == []


def test_nothing_restarts_by_itself(host: Any, view: eyes.View, expected: Expected) -> None:
    before = {pid for port in PORTS.values() for pid in view.listeners[port]}
    assert {view.processes[pid].user for pid in before} == {expected.user}
    time.sleep(2)
    assert before <= set(eyes.look(host).processes)


def test_the_bystander_lives(host: Any) -> None:
    assert len(host.check_output("pgrep --uid nobody --exact sleep").split()) == 1


def test_nothing_is_left_of_the_stack(host: Any, removed: set[str]) -> None:
    before = snapshot("before", host)
    packaged = {line.partition(" ")[2] for line in removed if line.startswith("packaged ")}
    assert sorted(line for line in removed - before if not of_packages(line, packaged)) == []


def test_nothing_else_went_with_it(host: Any, removed: set[str]) -> None:
    before = snapshot("before", host)
    packaged = {line.partition(" ")[2] for line in before if line.startswith("packaged ")}
    assert sorted(line for line in before - removed if not of_packages(line, packaged)) == []
