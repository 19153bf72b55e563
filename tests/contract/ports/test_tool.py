# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The port tool and the leases, on real stacks with real listeners."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import leases
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import tool as ports
from tests.support.commands import rollcall
from tests.support.configs import a_label
from tests.support.impostors import EVE, impostor
from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, stack
from tests.support.victims import victim


@pytest.fixture(autouse=True)
def stacks_of_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    place = str(tmp_path / "stacks")
    monkeypatch.setattr(leases, "directory", lambda _uid=None: place)
    return place


def web_and_worker() -> t.Dict[str, t.Any]:
    return {"web": {"port": free_port(), "health": {"http": "/health"}}, "worker": {}}


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    with stack(web_and_worker()) as one:
        yield one


def held(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


def with_fallback(made: StackUnderTest, *fallbacks: int) -> Stack:
    made.raw["services"]["web"]["fallback_ports"] = list(fallbacks)
    return made.generation().stack


def tool(made: StackUnderTest, *arguments: str) -> t.Tuple[int, t.Dict[str, t.Any]]:
    said = rollcall(made, "ports", *arguments, "--json")
    return said.code, said.data


def own_port(made: StackUnderTest) -> int:
    return int(made.raw["services"]["web"]["port"])


# --- giving -------------------------------------------------------------------------------------------------------


def test_a_held_port_gives_way_to_the_fallback_and_the_lease_is_kept(made: StackUnderTest) -> None:
    other = free_port()
    wanted = with_fallback(made, other)
    with held(own_port(made)):
        given = ports.give(wanted)
        assert given["ports"] == {"web": other}
        assert "it is taken by pid" in given["moved"][0]["reason"]
    assert ports.give(wanted) == {"changed": False, "ports": {"web": other}, "moved": [], "notes": []}


def test_looking_only_writes_nothing(made: StackUnderTest, stacks_of_this_host: str) -> None:
    wanted = with_fallback(made, free_port())
    assert ports.give(wanted, dry_run=True)["changed"]
    assert leases.load(wanted.paths.state) == {}
    assert not Path(stacks_of_this_host).exists()


def test_all_taken_names_each_holder_and_what_to_do(made: StackUnderTest) -> None:
    other = free_port()
    wanted = with_fallback(made, other)
    with held(own_port(made)), held(other), pytest.raises(RollcallError) as caught:
        ports.give(wanted)
    assert caught.value.exit_code == 3
    assert caught.value.message.count("it is taken by pid") == 2
    assert f"rollcall ports check {other}" in caught.value.remedies
    assert leases.load(wanted.paths.state) == {}


def test_what_our_own_left_over_process_holds_is_no_reason_to_move(made: StackUnderTest) -> None:
    wanted = with_fallback(made, free_port())
    with victim("listen", own_port(made), label=a_label(made.root, "web")):
        assert ports.give(wanted)["ports"] == {"web": own_port(made)}


def test_leases_that_cannot_be_read_are_never_taken_for_none(made: StackUnderTest) -> None:
    wanted = with_fallback(made, free_port())
    Path(made.paths.state, "ports.json").write_text('{"ports": {"web": 80', encoding="utf-8")
    with pytest.raises(RollcallError, match="cannot be read"):
        ports.give(wanted)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give an entry to a stranger")
def test_a_stack_that_a_stranger_has_listed_is_not_followed_and_that_is_said(
    made: StackUnderTest, stacks_of_this_host: str
) -> None:
    other = free_port()
    wanted = with_fallback(made, other)
    with stack({"web": {"port": free_port()}}) as theirs:
        with held(own_port(theirs)):
            ports.give(with_fallback(theirs, other))
        (link,) = [entry.path for entry in os.scandir(stacks_of_this_host) if entry.is_symlink()]
        assert list(leases.neighbours(stacks_of_this_host, made.root).ports) == [other]

        os.lchown(link, 60123, -1)

        with held(own_port(made)):
            given = ports.give(wanted)
    assert given["ports"] == {"web": other}
    assert given["notes"] == [f"{link} belongs neither to root nor to this user: it is ignored"]


def test_the_assigned_port_is_used_everywhere(made: StackUnderTest) -> None:
    other = free_port()
    with held(own_port(made)):
        wanted = with_fallback(made, other)
        assigned = ports.give(wanted)["ports"]
        checked = check_manifest({"stack": made.raw}, assigned=assigned).stack
        assert checked is not None
        web = checked.service("web")
        assert (web.port, web.own_port, web.health and web.health.port) == (other, own_port(made), web.health and other)
        made.assigned = assigned
        report = made.perform()
        assert report["ok"], report["checks"]
        (row,) = [row for row in report["services"] if row["name"] == "web"]
        assert row["port"] == other
    with open(f"/proc/{made.pids()['web']}/environ", encoding="utf-8") as stream:
        assert f"PORT={other}\0" in stream.read()


def test_a_port_taken_between_the_answer_and_the_start_is_refused_and_then_given_up(made: StackUnderTest) -> None:
    other = free_port()
    made.assigned = ports.give(with_fallback(made, other))["ports"]
    assert made.assigned == {"web": own_port(made)}
    with held(own_port(made)):
        with pytest.raises(RollcallError) as caught:
            made.perform()
        # By these two the role knows that asking for ports once more will help.
        assert caught.value.kind == "refused"
        assert caught.value.evidence["holders"][0]["port"] == own_port(made)
        made.assigned = ports.give(made.generation().stack)["ports"]
        report = made.perform()
    assert report["ok"], report["checks"]
    assert [row["port"] for row in report["services"]] == [other, None]


# --- two stacks ---------------------------------------------------------------------------------------------------


def test_two_stacks_that_want_one_port_both_run_and_a_rerun_keeps_them() -> None:
    with stack(web_and_worker()) as first, stack(web_and_worker()) as second:
        third = free_port()
        second.raw["services"]["web"]["port"] = own_port(first)
        for made in (first, second):
            wanted = with_fallback(made, third)
            made.assigned = ports.give(wanted)["ports"]
            assert made.perform()["ok"]
        assert (first.assigned, second.assigned) == ({"web": own_port(first)}, {"web": third})
        for made in (first, second):
            assert ports.give(made.generation().stack)["changed"] is False
            assert made.perform()["changed"] is False
        assert first.perform("stop", installed=True)["ok"]
        assert ports.give(second.generation().stack)["ports"] == {"web": third}


def test_a_stopped_stack_finds_its_port_again() -> None:
    with stack(web_and_worker()) as first, stack(web_and_worker()) as second:
        second.raw["services"]["web"]["port"] = own_port(first)
        first.assigned = ports.give(with_fallback(first, free_port()))["ports"]
        assert first.perform()["ok"]
        assert first.perform("stop", installed=True)["ok"]
        moved = ports.give(with_fallback(second, free_port()))["moved"]
        assert "it is leased to service web of stack test" in moved[0]["reason"]


def test_a_stack_that_runs_keeps_another_from_its_only_port() -> None:
    with stack(web_and_worker()) as first, stack(web_and_worker()) as second:
        second.raw["services"]["web"]["port"] = own_port(first)
        assert first.perform()["ok"]
        with pytest.raises(RollcallError, match="which runs on this host") as caught:
            ports.give(second.generation().stack)
        assert caught.value.exit_code == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start the process of another user")
@pytest.mark.parametrize("labelled", [False, True], ids=["by its command line", "by its label"])
def test_what_a_stranger_runs_over_a_stopped_stack_keeps_nobody_from_its_port(labelled: bool) -> None:
    with stack(web_and_worker()) as first, stack(web_and_worker()) as second:
        second.raw["services"]["web"]["port"] = own_port(first)
        assert first.perform()["ok"]
        assert first.perform("stop", installed=True)["ok"]
        env = a_label(first.root, service="") if labelled else {}
        config = "/nonexistent" if labelled else first.paths.config
        with impostor(config, EVE, env=env):
            assert ports.give(second.generation().stack)["ports"] == {"web": own_port(first)}
        with impostor(config, 0, env=env), pytest.raises(RollcallError, match="which runs on this host"):
            ports.give(second.generation().stack)


# --- what the host's kernel does with ports -----------------------------------------------------------------------

KERNEL = """
import sys
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import preflight
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
stack = check_manifest({"stack": {"name": "test", "root": sys.argv[1], "services": {
    "web": {"command": ["/bin/true"], "port": 8050}, "api": {"command": ["/bin/true"], "port": 8060}}}}).stack
for name in ("run", "logs", "state"):
    __import__("os").makedirs(f"{sys.argv[1]}/{name}", exist_ok=True)
for new in (True, False):
    try:
        preflight.check_host(stack, new=new)
        print("well")
    except RollcallError as exc:
        print(exc.message)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace of its own takes root")
def test_a_port_that_this_hosts_kernel_gives_to_clients_is_refused_when_it_is_new(tmp_path: Path) -> None:
    # The settings are those of a network namespace, so this one has its own.
    script = 'echo 8000 8059 > /proc/sys/net/ipv4/ip_local_port_range && exec "$0" -c "$1" "$2"'
    command = ["unshare", "--net", "sh", "-c", script, sys.executable, KERNEL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "stack.services.web.port: port 8050 is one of those that this host's kernel gives" in done.stdout
    assert "api" not in done.stdout
    assert done.stdout.splitlines()[-1] == "well"
    kept = script.replace(" && exec", " && echo 8040-8050 > /proc/sys/net/ipv4/ip_local_reserved_ports && exec")
    done = subprocess.run([*command[:4], kept, *command[5:]], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["well", "well"]


# --- the tool -----------------------------------------------------------------------------------------------------


def test_check_tells_free_and_held_apart_by_its_exit_code(made: StackUnderTest) -> None:
    assert made.perform()["ok"]
    code, data = tool(made, "check", str(own_port(made)))
    assert (code, data["free"], data["service"]) == (1, False, "web")
    assert data["holders"][0]["pid"] == made.pids()["web"]
    code, data = tool(made, "check", str(free_port()))
    assert (code, data["free"], data["holders"]) == (0, True, [])


def test_kill_ends_what_is_left_over_and_refuses_what_is_foreign(made: StackUnderTest) -> None:
    assert made.perform()["ok"]
    assert made.perform("stop", installed=True)["ok"]
    with victim("listen", own_port(made), label=a_label(made.root, "web")) as orphan:
        code, data = tool(made, "kill", str(own_port(made)), "--check")
        assert (code, [entry["result"] for entry in data["ended"]], orphan.alive) == (0, ["planned"], True)
        code, data = tool(made, "kill", str(own_port(made)))
        assert (code, data["freed"], orphan.alive) == (0, [own_port(made)], False)
    with victim("listen", own_port(made)) as foreign:
        code, data = tool(made, "kill", str(own_port(made)))
        assert (code, foreign.alive) == (3, True)
        assert f"pid {foreign.pid}" in data["error"]["message"]


def test_kill_leaves_the_service_itself_alone_unless_told(made: StackUnderTest) -> None:
    assert made.perform()["ok"]
    before = made.pids()
    code, data = tool(made, "kill", str(own_port(made)))
    assert (code, data["ended"], made.pids()) == (1, [], before)


def test_find_available_gives_a_port_that_can_be_bound_and_is_nobodys(made: StackUnderTest) -> None:
    made.raw["ports"] = {**made.raw.get("ports", {}), "range": [21000, 21010]}
    made.raw["services"]["web"].update(port=21000, fallback_ports=[21001])
    with held(21002):
        assert ports.find_available(made.generation().stack) == 21003
        assert ports.find_available(made.generation().stack, 21005) == 21005
    with pytest.raises(RollcallError, match="outside the range"):
        ports.find_available(made.generation().stack, 22000)


def test_list_names_every_process_wherever_it_came_from(made: StackUnderTest) -> None:
    assert made.perform()["ok"]
    with victim("listen", free_port(), label=a_label(made.root, "old")) as orphan:
        code, data = tool(made, "list")
    found = {row["pid"]: (row["provenance"], row["service"], row["ports"]) for row in data["processes"]}
    assert code == 0
    assert found[made.pids()["web"]] == ("supervised", "web", [own_port(made)])
    assert found[made.pids()["worker"]] == ("supervised", "worker", [])
    assert found[orphan.pid] == ("orphan", "old", [orphan.port])
    assert [row[0] for row in found.values()].count("supervisord") == 1


def test_auto_fix_frees_what_is_ours_and_leases_another_port_for_what_is_not(made: StackUnderTest) -> None:
    other = free_port()
    with_fallback(made, other)
    made.raw["services"]["web"]["auto_fallback"] = False
    assert made.perform()["ok"]
    assert made.perform("stop", installed=True)["ok"]
    installed = made.generation().stack
    with victim("listen", own_port(made), label=a_label(made.root, "web")) as orphan:
        assert ports.auto_fix(installed)["freed"]
        assert not orphan.alive
    with held(own_port(made)):
        done = ports.auto_fix(installed)
        assert (done["ok"], done["unresolved"]) == (False, [])
        assert done["moved"][0].startswith(f"web from {own_port(made)} to {other}: it is taken by")
        assert done["next"] == ["rollcall start"]
    assert ports.give(installed)["ports"] == {"web": other}


def test_auto_fix_without_a_conflict_does_nothing(made: StackUnderTest) -> None:
    assert made.perform()["ok"]
    code, data = tool(made, "auto-fix")
    assert (code, data["changed"], data["ok"]) == (0, False, True)


def test_show_config_tells_the_assigned_ports_and_their_own(made: StackUnderTest) -> None:
    assert made.perform()["ok"]
    code, data = tool(made, "show-config")
    assert code == 0
    assert data["manifest"]["name"] == "test"
    assert data["ports"][0] == {
        "service": "web",
        "protocol": "tcp",
        "socket": None,
        "port": own_port(made),
        "own_port": own_port(made),
        "fallback_ports": [],
    }


def test_a_stack_that_is_taken_off_the_list_at_this_moment_is_in_nobodys_way(
    made: StackUnderTest, stacks_of_this_host: str
) -> None:
    stop = threading.Event()

    def come_and_go() -> None:
        os.makedirs(stacks_of_this_host, exist_ok=True)
        while not stop.is_set():
            for name in ("a", "b", "c"):
                os.symlink("/nowhere", os.path.join(stacks_of_this_host, name))
            for name in ("a", "b", "c"):
                os.unlink(os.path.join(stacks_of_this_host, name))

    busy = threading.Thread(target=come_and_go)
    busy.start()
    try:
        installed = made.generation().stack
        for _unused in range(300):
            leases.check_directories(installed)
    finally:
        stop.set()
        busy.join()
