# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports through the playbooks: the port tool over hosts, and a port that is taken while site.yml is at work."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.support.commands import rollcall
from tests.support.configs import a_label
from tests.support.playbooks import play, prepare
from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, stack
from tests.support.victims import victim

LISTENER = (
    "import socket, time; s = socket.create_server(('127.0.0.1', {port})); print('owned', flush=True); time.sleep(600)"
)


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    with stack({"web": {"port": free_port(), "health": {"http": "/health"}}, "worker": {}}) as one:
        yield one


def op(
    made: StackUnderTest, name: str, *arguments: str, port: t.Optional[int] = None
) -> subprocess.CompletedProcess[str]:
    more = [] if port is None else ["-e", f"port={port}"]
    return play(made, "playbooks/ports.yml", "-e", f"op={name}", *more, *arguments)


def test_the_port_tool_answers_over_the_fleet_and_its_exit_code_tells(made: StackUnderTest) -> None:
    assert made.perform()["ok"]
    port = made.raw["services"]["web"]["port"]
    held = op(made, "check", port=port)
    assert (held.returncode, f"port {port} (web) is taken" in held.stdout) == (2, True)
    free = op(made, "check", port=free_port())
    assert (free.returncode, "changed=0" in free.stdout) == (0, True)
    for name in ("show-config", "list", "auto-fix"):
        done = op(made, name)
        assert (done.returncode, "changed=0" in done.stdout) == (0, True), done.stdout
    assert op(made, "find-available").returncode == 0


def test_kill_in_check_mode_says_what_it_would_end_and_ends_nothing(made: StackUnderTest) -> None:
    assert made.perform()["ok"]
    assert made.perform("stop", installed=True)["ok"]
    port = made.raw["services"]["web"]["port"]
    with victim("listen", port, label=a_label(made.root, "web")) as orphan:
        said = op(made, "kill", "--check", port=port)
        assert (said.returncode, f"would end pid {orphan.pid}" in said.stdout) == (0, True)
        assert orphan.alive
        done = op(made, "kill", port=port)
        assert (done.returncode, "changed=1" in done.stdout) == (0, True)
        assert not orphan.alive
        again = op(made, "kill", port=port)
        assert (again.returncode, "changed=0" in again.stdout) == (0, True)


def test_auto_fix_over_the_fleet_brings_a_service_up_on_its_fallback_port(made: StackUnderTest) -> None:
    own, other = made.raw["services"]["web"]["port"], free_port()
    made.raw["services"]["web"].update(fallback_ports=[other], auto_fallback=False)
    assert made.perform()["ok"]
    assert made.perform("stop", installed=True)["ok"]
    with victim("listen", own) as foreign:
        said = op(made, "auto-fix", "--check")
        assert (said.returncode, f"would be moved: web from {own} to {other}" in said.stdout) == (2, True)
        done = op(made, "auto-fix")
        assert done.returncode == 0, done.stdout
        assert foreign.alive
        (row,) = [service for service in made.status()["services"] if service["name"] == "web"]
        assert (row["port"], row["health"]) == (other, "ok")


def test_auto_fix_leaves_the_release_in_place_that_the_services_run_from(made: StackUnderTest, tmp_path: Path) -> None:
    own, other = made.raw["services"]["web"]["port"], free_port()
    made.raw["services"]["web"].update(fallback_ports=[other], auto_fallback=False)
    made.raw["services"]["worker"]["directory"] = "current"
    (tmp_path / "version").write_text("1", encoding="utf-8")
    release = {"source": str(tmp_path)}
    prepare(made)
    assert play(made, "site.yml", rollcall_release=release).returncode == 0
    before = os.readlink(Path(made.root, "etc", "release"))
    (tmp_path / "version").write_text("2", encoding="utf-8")
    assert made.perform("stop", installed=True)["ok"]
    with victim("listen", own):
        done = play(made, "playbooks/ports.yml", "-e", "op=auto-fix", rollcall_release=release)
    assert done.returncode == 0, done.stdout
    assert os.readlink(Path(made.root, "etc", "release")) == before
    assert Path(made.root, "current", "version").read_text(encoding="utf-8") == "1"


def test_a_port_taken_while_site_is_at_work_sends_the_service_to_its_next_one(made: StackUnderTest) -> None:
    own, other = made.raw["services"]["web"]["port"], free_port()
    made.raw["services"]["web"]["fallback_ports"] = [other]
    prepare(made)
    listener = Path(made.root, "listener.py")
    listener.write_text(LISTENER.format(port=own), encoding="utf-8")
    # The policy is asked for when the run begins: after the ports were given, somebody comes and takes one.
    taking = f"{sys.executable} {listener} > {made.root}/said 2> /dev/null & echo $! >> {made.root}/pids; "
    waiting = (
        f"until [ -s {made.root}/said ] || [ -e {made.root}/twice ]; do sleep 0.02; done; touch {made.root}/twice; "
    )
    policy = "{{ lookup('ansible.builtin.pipe', taking) }}"
    try:
        done = play(
            made, "site.yml", taking=f"{taking}{waiting}echo owned", port_flush_policy=policy, bootstrap_on_path=False
        )
        assert done.returncode == 0, done.stdout
        (row,) = [service for service in made.status()["services"] if service["name"] == "web"]
        assert (row["port"], row["health"]) == (other, "ok")
    finally:
        for pid in Path(made.root, "pids").read_text(encoding="ascii").split():
            end_listener(int(pid), str(listener))


def end_listener(pid: int, program: str) -> None:
    """End a listener by its pid, if that is still it."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return
    if program.encode() in command:
        os.kill(pid, 15)


def test_who_names_a_port_follows_it_there_and_back(made: StackUnderTest) -> None:
    own, other = made.raw["services"]["web"]["port"], free_port()
    made.raw["services"]["web"].update(fallback_ports=[other])
    made.raw["services"]["worker"]["env"] = {"WEB": "http://localhost:{port:web}/"}
    prepare(made)
    assert play(made, "site.yml").returncode == 0
    assert made.perform("stop", installed=True)["ok"]
    with victim("listen", own) as foreign:
        moved = play(made, "site.yml")
        assert moved.returncode == 0, moved.stdout
        said = f"note: web has moved from port {own} to {other}: it is taken by pid {foreign.pid}"
        assert said in moved.stdout
        assert variable(made, "worker", "WEB") == f"http://localhost:{other}/"
    again = play(made, "site.yml")
    assert "changed=0" in again.stdout, again.stdout
    assert f"note: web is on port {other}; its own is {own}. It stays there" in again.stdout
    home = again.stdout.partition("is free by: ")[2].splitlines()[0]
    assert home.endswith("site.yml -e ports_home=true")

    back = play(made, "site.yml", "-e", "ports_home=true")

    assert back.returncode == 0, back.stdout
    assert f"note: web has moved from port {other} to {own}: it can be had again" in back.stdout
    assert variable(made, "worker", "WEB") == f"http://localhost:{own}/"
    assert "is on port" not in play(made, "site.yml").stdout


def test_the_host_brings_a_service_back_to_its_port_as_well(made: StackUnderTest) -> None:
    own, other = made.raw["services"]["web"]["port"], free_port()
    made.raw["services"]["web"].update(fallback_ports=[other])
    prepare(made)
    with victim("listen", own):
        assert play(made, "site.yml").returncode == 0
    done = op(made, "home")
    assert done.returncode == 0, done.stdout
    (row,) = [service for service in made.status()["services"] if service["name"] == "web"]
    assert (row["port"], row["health"]) == (own, "ok")


def test_a_start_on_the_host_moves_a_service_and_what_names_it_as_the_controller_would(made: StackUnderTest) -> None:
    own, other = made.raw["services"]["web"]["port"], free_port()
    made.raw["services"]["web"].update(fallback_ports=[other], secrets={"KEY": "planted"})
    made.raw["services"]["worker"]["env"] = {"WEB": "http://localhost:{port:web}/"}
    prepare(made)
    assert play(made, "site.yml").returncode == 0
    assert rollcall(made, "stop").code == 0
    with victim("listen", own) as foreign:
        announced = rollcall(made, "start", "--check")
        assert announced.code == 0
        note = f"note: web has moved from port {own} to {other}: it is taken by pid {foreign.pid}"
        assert note in announced.out
        assert made.pids() == {}

        moved = rollcall(made, "start")

        assert moved.code == 0, moved.out + moved.err
        assert note in moved.out
        assert f"comes back when {own} is free by: {made.command} ports home" in moved.out
        assert foreign.alive
        assert variable(made, "worker", "WEB") == f"http://localhost:{other}/"
        assert variable(made, "web", "KEY") == "planted"
    # It is the generation that the controller makes for this port.
    again = play(made, "site.yml")
    assert "changed=0" in again.stdout, again.stdout

    home = rollcall(made, "ports", "home")
    assert "next: rollcall start" in home.out
    back = rollcall(made, "start")

    assert back.code == 0, back.out + back.err
    assert variable(made, "worker", "WEB") == f"http://localhost:{own}/"
    assert "changed=0" in play(made, "site.yml").stdout


@pytest.mark.parametrize("words", [("restart",), ("restart", "emergency"), ("start", "--automatic")])
def test_every_start_on_the_host_takes_a_fallback_port(made: StackUnderTest, words: t.Tuple[str, ...]) -> None:
    own, other = made.raw["services"]["web"]["port"], free_port()
    made.raw["services"]["web"].update(fallback_ports=[other])
    assert made.perform()["ok"]
    assert rollcall(made, "stop").code == 0
    with victim("listen", own) as foreign:
        done = rollcall(made, *words)
        assert done.code == 0, done.out + done.err
        assert foreign.alive
    (row,) = [service for service in made.status()["services"] if service["name"] == "web"]
    assert (row["port"], row["health"]) == (other, "ok")


def test_a_start_gives_no_other_port_where_that_is_not_for_a_run_to_decide(made: StackUnderTest) -> None:
    own, other = made.raw["services"]["web"]["port"], free_port()
    made.raw["services"]["web"].update(fallback_ports=[other], auto_fallback=False)
    assert made.perform()["ok"]
    assert rollcall(made, "stop").code == 0
    with victim("listen", own):
        refused = rollcall(made, "start")
        assert refused.code == 3
        assert f"next: {made.command} ports auto-fix\n" in refused.err


def variable(made: StackUnderTest, service: str, name: str) -> str:
    """Return a variable of the process of a service."""
    environment = Path("/proc", str(made.pids()[service]), "environ").read_bytes().split(b"\0")
    return next(entry.partition(b"=")[2].decode() for entry in environment if entry.startswith(f"{name}=".encode()))
