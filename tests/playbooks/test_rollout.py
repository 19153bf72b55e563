# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout over several hosts, each with a stack of its own: it asks first, stops, takes back, and goes on."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.rollout import Rollout, read_rollout
from tests.support import haproxy
from tests.support.askers import Asker
from tests.support.documents import validated
from tests.support.playbooks import PLAYBOOK, prepare
from tests.support.processes import eventually, free_port
from tests.support.repository import ROOT
from tests.support.sshd import sshd
from tests.support.stacks import APP, StackUnderTest, stack

BOUND = 400
# Counts the tasks that are started, as the benchmark does.
COUNTING = ROOT / "tests" / "benchmark" / "callbacks"
BEGINS, PREPARED, RUNS = WAY = (
    "Write down that it begins here",
    "Check the manifest and see whether this host is prepared",
    "Give ports, validate, plan, stop, start and verify",
)
LB = {"hosts": {"balancer": {"ansible_connection": "local"}}}
UNREACHABLE = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}


class Fleet(t.NamedTuple):
    """Hosts by their names, each a stack below its own root, how the first is reached, and the inventory's place."""

    hosts: t.Mapping[str, StackUnderTest]
    reach: t.Mapping[str, t.Any]
    place: Path

    def command(self, *arguments: str, **of_hosts: t.Mapping[str, t.Any]) -> t.List[str]:
        """Return the command of a rollout, with further variables of single hosts; ``all`` has those of all."""
        known = {
            name: {"rollcall_stack": made.raw, "ansible_connection": "local", **of_hosts.get(name, {})}
            for name, made in self.hosts.items()
        }
        # The leader by SSH: what is done there must not be done on the controller.
        known["h1"].update(self.reach)
        shared = {
            "ansible_python_interpreter": sys.executable,
            "bootstrap_on_path": False,
            "services_boot": "none",
            "rollout_batches": [1, "100%"],
            **of_hosts.get("all", {}),
        }
        inventory = self.place / "hosts.json"
        inventory.write_text(
            json.dumps({"all": {"children": {"app": {"hosts": known}, "lb": LB}, "vars": shared}}), encoding="utf-8"
        )
        return [str(PLAYBOOK), "-i", str(inventory), "playbooks/rollout.yml", "-e", "rollcall_hosts=app", *arguments]

    def roll_out(self, *arguments: str, **of_hosts: t.Any) -> subprocess.CompletedProcess[str]:
        """Run a rollout to its end."""
        document = self.place / "outcome.json"
        environment = {**os.environ, "ROLLCALL_OUTCOME": str(document)}
        command = self.command(*arguments, **of_hosts)
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=BOUND
        )

    def outcome(self) -> t.Dict[str, t.Any]:
        """Return the document of the last rollout."""
        text = (self.place / "outcome.json").read_text(encoding="utf-8")
        return dict(validated(json.loads(text), "OutcomeDocument"))

    def bring(self, version: str, **more: t.Any) -> None:
        """Give every manifest another version of its service."""
        for made in self.hosts.values():
            made.raw["services"]["web"].update({"env": {"VERSION": version}, **more})
            prepare(made)

    def pids(self) -> t.List[int]:
        """Return the process of the service, by host."""
        return [made.status()["services"][0]["pid"] for made in self.hosts.values()]

    def steps(self) -> t.List[t.Optional[str]]:
        """Return the step of the rollout that each host has written down."""
        return [None if record is None else record.step for record in self.records()]

    def records(self) -> t.List[t.Optional[Rollout]]:
        """Return what each host has written down of a rollout."""
        return [read_rollout(made.paths.state) for made in self.hosts.values()]


@pytest.fixture
def fleet(tmp_path: Path) -> t.Iterator[Fleet]:
    """Three hosts that run version 1."""
    with contextlib.ExitStack() as stacks:
        hosts = {
            name: stacks.enter_context(stack({"web": {"port": free_port(), "env": {"VERSION": "1"}}}))
            for name in ("h1", "h2", "h3")
        }
        for made in hosts.values():
            assert made.perform()["ok"]
        place = tmp_path / "sshd"
        place.mkdir()
        yield Fleet(hosts, stacks.enter_context(sshd(place)), tmp_path)


def test_what_is_wrong_anywhere_is_told_for_all_hosts_before_the_first_is_touched(fleet: Fleet) -> None:
    fleet.bring("2")
    os.kill(fleet.pids()[1], signal.SIGSTOP)
    before = fleet.pids()

    refused = fleet.roll_out(h3=UNREACHABLE)

    assert refused.returncode != 0
    assert "\nrollout: UNREACHABLE, No host was touched." in refused.stdout
    assert fleet.outcome()["exit_code"] == 4
    assert "h3: cannot be reached" in refused.stdout
    assert "h2: is not healthy" in refused.stdout
    assert fleet.pids() == before
    assert fleet.steps() == [None, None, None]

    os.kill(before[1], signal.SIGCONT)
    looked = fleet.roll_out("--check", "-e", "rollout_on_failure=revert")
    assert looked.returncode == 0, looked.stdout
    assert "3 hosts in 2 batches" in looked.stdout
    assert "those that are done go back to what runs now, the last one first" in looked.stdout
    assert fleet.pids() == before

    # As the refusal says: without the host that is away.
    skipped = fleet.roll_out("-e", "unreachable=skip", h3=UNREACHABLE)
    assert "left out: h3: not reached" in skipped.stdout
    assert "INCOMPLETE, 2 of 3 hosts done" in skipped.stdout
    assert fleet.outcome()["exit_code"] == 4
    assert fleet.pids()[2] == before[2]

    # And again: who was left out is no success because there is nothing else to do.
    assert fleet.roll_out("-e", "unreachable=skip", h3=UNREACHABLE).returncode != 0
    assert fleet.outcome()["exit_code"] == 4

    # The table has what needs somebody first.
    table = subprocess.run(
        [*fleet.command(h3=UNREACHABLE)[:3], "playbooks/fleet.yml", "-e", "rollcall_hosts=app"],
        cwd=ROOT,
        env={**os.environ, "ROLLCALL_OUTCOME": str(fleet.place / "outcome.json")},
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND,
    )
    assert table.returncode != 0
    assert "NOT REACHED" in table.stdout
    assert "2 of 3 hosts well" in table.stdout
    told = fleet.outcome()
    assert {name: host["exit_code"] for name, host in told["hosts"].items()} == {"h1": 0, "h2": 0, "h3": 4}
    assert [(one["verdict"], one["well"]) for one in told["fleet"].values()] == [
        *[("OK", True)] * 2,
        ("NOT REACHED", False),
    ]

    # It is back, and the same command comes to it alone.
    after = fleet.pids()
    back = fleet.roll_out()
    assert back.returncode == 0, back.stdout
    assert "nothing to do, and healthy: h2" in back.stdout
    assert (fleet.pids()[:2], fleet.pids()[2] == after[2]) == (after[:2], False)
    assert not any(record is not None and record.is_at_work for record in fleet.records())


@pytest.mark.fault(43)
def test_a_version_that_does_not_come_up_is_taken_back_on_the_first_host_and_reaches_no_other(fleet: Fleet) -> None:
    before = fleet.pids()
    fleet.bring("2", command=["/bin/false"])

    # A balancer that is silent says nothing of the version: nothing is touched, whatever the budget.
    silent = fleet.place / "drain.yml"
    silent.write_text("- fail: {msg: it is silent}\n  when: drain_state == 'drained'\n", encoding="utf-8")
    options = ("-e", "failure_budget=3", "-e", "rollout_on_failure=revert")
    paused = fleet.roll_out(*options, all={"rollout_drain": str(silent)})
    assert paused.returncode != 0
    assert "inconclusive: h1: " in paused.stdout
    assert "PAUSED, 0 of 3 hosts done" in paused.stdout
    assert fleet.pids() == before
    assert fleet.steps() == ["inconclusive", None, None]

    # A limit leaves out the controller itself, too.
    failed = fleet.roll_out("--limit", "app", "-e", "soak=1")

    assert failed.returncode != 0
    # Once for the host, once for the fleet, and the same in both.
    commands = re.findall(r"ansible-playbook .*", failed.stdout)
    assert len(commands) == 2
    assert all(one.endswith("playbooks/rollout.yml --limit app -e rollcall_hosts=app -e soak=1") for one in commands)
    assert "failed: h1: " in failed.stdout
    assert "it runs again what ran before" in failed.stdout
    assert "not begun: h2, h3" in failed.stdout
    assert "STOPPED, 0 of 3 hosts done" in failed.stdout
    assert fleet.pids()[1:] == before[1:]
    assert fleet.hosts["h1"].status()["ok"]
    assert fleet.steps() == ["failed", None, None]

    # What is printed: put it right, and run the same command again.
    for made in fleet.hosts.values():
        del made.raw["services"]["web"]["command"]
    fleet.bring("3")
    again = fleet.roll_out("-e", 'rollout_batches=[1, "100%"]')
    assert again.returncode == 0, again.stdout
    assert fleet.steps() == ["done", "done", "done"]
    assert set(fleet.pids()).isdisjoint(before)


def test_hosts_that_are_done_go_back_as_well_and_what_was_cut_off_of_that_goes_on(fleet: Fleet, tmp_path: Path) -> None:
    gone = tmp_path / "app.py"
    gone.write_bytes(Path(APP).read_bytes())
    second, old = fleet.hosts["h2"], [made.status()["generation"] for made in fleet.hosts.values()]
    second.raw["services"]["web"]["command"] = [second.program, str(gone), "web"]
    assert second.perform()["ok"]
    del second.raw["services"]["web"]["command"]
    fleet.hosts["h3"].raw["services"]["web"]["command"] = ["/bin/false"]
    fleet.bring("2")
    # What ran before on h2 cannot start any more.
    gone.unlink()
    reverting = ("-e", "rollout_on_failure=revert", "-e", "rollout_batches=1")

    failed = fleet.roll_out(*reverting)

    assert failed.returncode != 0
    assert "going back to what ran before: h2, h1" in failed.stdout
    assert "failed: h2: " in failed.stdout
    assert "; it could not be taken back" in failed.stdout
    assert cures.GO_ON_BACK in failed.stdout
    assert fleet.steps() == ["back", "failed", "failed"]
    assert fleet.hosts["h1"].status()["generation"] != old[0]
    assert f"now h3: generation {old[2]['id']}" in failed.stdout

    # The same command goes on, whatever the manifest says by now, and brings nothing.
    on = fleet.roll_out()
    assert "brings nothing new: h1" in on.stdout
    assert "REVERTED, 1 of 1 host gone back" in on.stdout
    assert cures.ROLL_OUT_AGAIN in on.stdout
    assert fleet.steps() == ["reverted", "failed", "failed"]
    assert fleet.hosts["h1"].status()["generation"] == old[0]


@pytest.mark.long
def test_once_a_migration_has_run_on_the_canary_no_host_goes_back_and_that_is_said_before(fleet: Fleet) -> None:
    # The others have no part of it, as the controller takes out of a manifest what does not run on a host.
    first = fleet.hosts["h1"].raw["services"]
    first["migrate"] = {"kind": "oneshot", "command": ["/bin/true"], "hosts": ["app"], "once": "fleet"}
    first["web"]["depends_on"] = {"migrate": "completed"}
    second = fleet.hosts["h2"].raw["services"]["web"]
    second["command"] = ["/bin/false"]
    fleet.bring("2")
    before = fleet.pids()

    together = fleet.roll_out("-e", "rollout_batches=2")
    assert "migrate would run here for all hosts, and the first batch has 2 of them" in together.stdout
    assert cures.ONE_FIRST in together.stdout
    assert fleet.pids() == before

    failed = fleet.roll_out("-e", "rollout_batches=1", "-e", "rollout_on_failure=revert")

    assert failed.returncode != 0
    assert "migrate runs on h1, for all hosts. After it no host goes back" in failed.stdout
    why = "migrate has run and does not say reversible: true"
    assert f"stays on what was rolled out: h1: {why}" in failed.stdout
    assert f"stays on what was rolled out: h2: {why}" in failed.stdout
    assert fleet.steps() == ["done", "failed", None]
    assert not fleet.hosts["h2"].status()["ok"]
    assert [made.status()["generation"]["verified"] for made in fleet.hosts.values()] == [True, False, True]

    # Forth is the way: it has run, and does not run again.
    del second["command"]
    fleet.bring("2")
    mended = fleet.roll_out("-e", "rollout_batches=1", "-e", "unhealthy_before=repair")
    assert mended.returncode == 0, mended.stdout
    assert "migrate runs on" not in mended.stdout


@pytest.mark.fault(40)
@pytest.mark.fault(41)
def test_a_host_is_one_task_and_one_that_is_not_as_it_was_prepared_goes_its_way_in_steps(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = fleet.place / "started.json"
    monkeypatch.setenv("ANSIBLE_CALLBACK_PLUGINS", str(COUNTING))
    monkeypatch.setenv("STARTED_TASKS", str(counts))

    def started() -> t.Dict[str, int]:
        """Return by the last words of its name how often a task was started that is of a host's way."""
        found = json.loads(counts.read_text(encoding="utf-8"))
        return {name.rpartition(" | ")[2]: number for name, number in found.items() if name.rpartition(" | ")[2] in WAY}

    before = fleet.pids()
    fleet.bring("2")
    assert fleet.roll_out().returncode == 0
    assert started() == {RUNS: 3}
    assert fleet.steps() == ["done", "done", "done"]
    assert set(fleet.pids()).isdisjoint(before)

    # Its Python is another one than it was prepared with, and not there.
    before = fleet.pids()
    fleet.bring("3")
    failed = fleet.roll_out(h1={"bootstrap_python": "/none/python3"})
    assert failed.returncode != 0
    assert "failed: h1: " in failed.stdout, failed.stdout
    assert "/none/python3" in failed.stdout
    assert fleet.steps() == ["failed", "done", "done"]
    assert started() == {RUNS: 1, BEGINS: 1, PREPARED: 1}
    assert fleet.pids() == before


def test_a_controller_that_was_killed_loses_nothing_and_another_one_is_refused_meanwhile(fleet: Fleet) -> None:
    fleet.bring("2")
    first = subprocess.Popen(
        fleet.command(), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        # Trying the lock could take it in the very moment in which the run wants it.
        assert eventually(lambda: bool(fleet.hosts["h2"].lock_note()), BOUND)
        os.killpg(first.pid, signal.SIGSTOP)
        other = fleet.roll_out()
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(60)
    assert other.returncode != 0
    assert "another rollout is at work" in other.stdout
    assert "takeover=" in other.stdout

    # What the hosts have begun they bring to its end, and the same command goes on.
    assert eventually(lambda: not any(made.is_locked() for made in fleet.hosts.values()))
    again = fleet.roll_out()
    assert again.returncode == 0, again.stdout
    # What a worker of Ansible has outlived it for may be written down as done; the first host still leads.
    assert re.search(r"([123]) of \1 hosts? done", again.stdout), again.stdout
    assert fleet.steps() == ["done", "done", "done"]
    assert all(made.status()["ok"] for made in fleet.hosts.values())


def test_a_rollout_of_a_controller_that_cannot_be_seen_is_gone_on_with_as_it_is_told(fleet: Fleet) -> None:
    fleet.bring("2")
    record = Path(fleet.hosts["h2"].paths.state, "rollout.json")
    away = {"boot": "another", "namespace": "pid:[1]", "pid": 1, "start": 1}
    left = {"id": "20261101-000000-aaaa", "by": "bob@shed", "controller": away, "began": 1.0, "sign": 2.0}
    left.update(step="run", before="", drained="", since=0.0, leads=False)
    record.write_text(json.dumps(left), encoding="utf-8")

    refused = fleet.roll_out()
    assert "\nrollout: REFUSED, No host was touched." in refused.stdout
    assert "another rollout is at work: 20261101-000000-aaaa of bob@shed" in refused.stdout
    assert {one["exit_code"] for one in fleet.outcome()["hosts"].values()} == {3}
    assert fleet.steps() == [None, "run", None]

    over = fleet.roll_out("-e", "takeover=20261101-000000-aaaa")
    assert over.returncode == 0, over.stdout
    assert fleet.steps() == ["done", "done", "done"]


def test_who_was_drained_by_another_way_is_not_told_to_be_back(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Whatever strategy is configured: nobody decides before all have answered.
    monkeypatch.setenv("ANSIBLE_STRATEGY", "free")
    fleet.bring("2")
    before = fleet.pids()
    out = tmp_path / "h2.out"
    out.write_text("drained by Rollcall 20261101-000000-aaaa\n", encoding="utf-8")
    away = {"boot": "another", "namespace": "pid:[1]", "pid": 1, "start": 1}
    left = {"id": "20261101-000000-aaaa", "by": "bob@shed", "controller": away, "began": 1.0, "sign": 2.0}
    left.update(step="failed", before="", drained="file", since=2.0, leads=False)
    Path(fleet.hosts["h2"].paths.state, "rollout.json").write_text(json.dumps(left), encoding="utf-8")

    last = fleet.hosts["h3"].raw["services"]["web"]
    last["hosts"] = ["h1"]
    damaged = Path(fleet.hosts["h1"].paths.state, "rollout.json")
    damaged.write_text("{broken", encoding="utf-8")
    refused = fleet.roll_out("-e", "host_timeout=30m")
    del last["hosts"]
    assert f"next: {cures.and_again(f'{cures.remove(str(damaged))} # on h1')}" in refused.stdout
    damaged.unlink()
    assert "h3: the run would be refused: No service of the manifest runs on h3" in refused.stdout
    assert cures.MENDED in refused.stdout
    assert "h2: an earlier rollout has drained it by file, and none would bring it back" in refused.stdout
    assert "host_timeout: '30m' is no number of seconds" in refused.stdout
    assert fleet.pids() == before

    done = fleet.roll_out(
        "-e", "rollout_drain=file", all={"drain_file": f"{tmp_path}/{{{{ inventory_hostname }}}}.out"}
    )
    assert done.returncode == 0, done.stdout
    assert not out.exists()
    assert fleet.steps() == ["done", "done", "done"]


def servers(fleet: Fleet) -> str:
    """Return the backend of a HAProxy with the fleet's hosts."""
    ports = {name: made.raw["services"]["web"]["port"] for name, made in fleet.hosts.items()}
    lines = [f"  server {name} 127.0.0.1:{port} check inter 200ms fall 2 rise 1" for name, port in ports.items()]
    return "\n".join(
        ["backend web", "  option httpchk GET /health", "  timeout check 10s", "  option redispatch", *lines, ""]
    )


@pytest.mark.fault(44)
def test_behind_a_balancer_no_request_fails_and_nothing_is_left_drained(fleet: Fleet, tmp_path: Path) -> None:
    before = fleet.pids()
    with haproxy.running(servers(fleet), "http") as balancer:
        names = {name: f"web/{name}" for name in fleet.hosts}
        assert eventually(lambda: all(balancer.status(name) == "UP" for name in names.values()))
        by_haproxy = {
            "rollout_drain": "haproxy",
            "rollout_balancers": ["balancer"],
            "rollout_batches": [1],
            "min_up": "66%",
            "drain_haproxy_sockets": [balancer.socket],
            "drain_record_directory": str(tmp_path / "drained"),
        }
        # A service that gets another port is found there by the balancer, whose file has the old one.
        moved = fleet.hosts["h2"].raw["services"]["web"]
        moved["port"] = free_port()
        fleet.bring("2")
        with Asker([balancer.port]) as users:
            done = fleet.roll_out("-e", "soak=1", all=by_haproxy)
        assert done.returncode == 0, done.stdout
        assert f"to {moved['port']}; HAProxy is told so, and its file is not" in done.stdout
        assert (users.missed, users.failed) == (0, 0)
        assert users.asked > 100
        assert set(fleet.pids()).isdisjoint(before)

        # What fails is brought back as well, with what ran before.
        canary = fleet.hosts["h1"].raw["services"]["web"]
        canary["port"] = free_port()
        fleet.bring("3", command=["/bin/false"])
        with Asker([balancer.port]) as users:
            failed = fleet.roll_out(all=by_haproxy)
        assert failed.returncode != 0
        assert "failed: h1: " in failed.stdout
        assert (users.missed, users.failed) == (0, 0)
        assert {balancer.status(name) for name in names.values()} == {"UP"}
        assert [record is not None and record.drained for record in fleet.records()] == ["", "", ""]
