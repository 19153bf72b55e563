# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A flush beside a real supervisord: what it runs is told from what it has left behind."""

from __future__ import annotations

import dataclasses
import os
import sys
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest import model
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import flush, survey
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.running import supervisords_over
from tests.support import configs, port_holders, supervisords, victims
from tests.support.processes import eventually, free_port, is_alive, kill

sandbox = supervisords.sandbox
pytestmark = pytest.mark.usefixtures("bystander")


class Paths(t.NamedTuple):
    config: str
    socket: str
    run: str
    state: str


@dataclasses.dataclass
class Running:
    """A stack of one service that a real supervisord runs."""

    stack: model.Stack
    place: supervisords.Sandbox
    daemon: int
    port: int

    @property
    def pid(self) -> int:
        """The pid that supervisord reports of the service."""
        return self.place.client().programs()["service0"].pid

    def holders(self) -> t.List[t.Tuple[int, str, t.Optional[str]]]:
        found = survey.survey(self.stack, [self.port])[self.port]
        return [(one.process.pid if one.process else 0, one.provenance, one.service) for one in found]


@pytest.fixture
def options(request: pytest.FixtureRequest) -> t.List[str]:
    """Further options of the service."""
    return list(getattr(request, "param", []))


@pytest.fixture
def running(sandbox: supervisords.Sandbox, options: t.List[str]) -> Running:
    port = free_port()
    root = str(sandbox.home)
    marks = ",".join(f"{name}='{value}'" for name, value in configs.a_label(root, "service0").items())
    sandbox.configure(
        service0=f"{sys.executable} {port_holders.__file__} listen {port} {' '.join(options)}\n"
        f"environment={marks}\nstartsecs=0"
    )
    daemon = sandbox.start()
    sandbox.client().start(["service0"])
    stack = configs.a_stack(root, port)
    # Only where the config and the socket are matters to a flush, and whose.
    home = str(sandbox.home)
    stack = dataclasses.replace(stack, paths=t.cast(model.Paths, Paths(sandbox.config, sandbox.socket, home, home)))
    made = Running(stack, sandbox, daemon, port)
    assert eventually(lambda: bool(made.holders()))
    return made


def test_what_supervisord_runs_is_left_alone(running: Running) -> None:
    pid = running.pid
    assert running.holders() == [(pid, "supervised", "service0")]
    for policy in ("owned", "any", "refuse"):
        done = flush.flush(running.stack, policy=policy)
        assert not done.changed
        assert [holder.service for holder in done.kept] == ["service0"]
    assert running.pid == pid


def test_what_supervisord_runs_is_stopped_by_supervisord_itself(running: Running) -> None:
    pid = running.pid
    planned = flush.flush(running.stack, supervised=True, dry_run=True)
    assert [(entry.pid, entry.result) for entry in planned.ended] == [(pid, "planned")]
    done = flush.flush(running.stack, supervised=True)
    assert [(entry.pid, entry.signals, entry.reason) for entry in done.ended] == [(pid, (), "by supervisord")]
    assert done.freed == (running.port,)
    assert running.place.client().programs()["service0"].state == "STOPPED"


def test_the_policy_refuse_does_not_stop_what_supervisord_runs(running: Running) -> None:
    with pytest.raises(RollcallError, match=r"\(supervised\), and the policy is to refuse"):
        flush.flush(running.stack, policy="refuse", supervised=True)
    assert running.pid


def test_what_supervisord_runs_on_a_protected_port_is_not_stopped_either(running: Running) -> None:
    pid = running.pid
    for rule, words in (("avoid", "it is on the avoid list"), ("protect", "it is protected")):
        rules = model.PortRules(**t.cast(t.Any, {rule: (running.port,)}))
        stack = dataclasses.replace(running.stack, ports=rules)
        with pytest.raises(RollcallError, match=f"and is never flushed: {words}"):
            flush.flush(stack, supervised=True)
    assert running.pid == pid


@pytest.mark.parametrize("options", [["--reuseport"]], indirect=True)
def test_an_orphan_beside_what_supervisord_runs_is_ended_alone(running: Running) -> None:
    pid = running.pid
    marks = configs.a_label(str(running.place.home), "service0")
    with victims.victim("listen", running.port, "--reuseport", label=marks) as orphan:
        assert sorted(running.holders()) == sorted(
            [(pid, "supervised", "service0"), (orphan.pid, "orphan", "service0")]
        )
        done = flush.flush(running.stack)
        assert [entry.pid for entry in done.ended] == [orphan.pid]
        # The port is not free, for its service goes on.
        assert done.freed == ()
        assert [holder.process.pid for holder in done.kept if holder.process] == [pid]
    assert running.pid == pid


def test_what_a_killed_supervisord_has_left_behind_is_ended(running: Running) -> None:
    pid = running.pid
    kill(running.daemon)
    assert eventually(lambda: not is_alive(running.daemon))
    assert running.holders() == [(pid, "orphan", "service0")]
    done = flush.flush(running.stack)
    assert [(entry.pid, entry.signals, entry.result) for entry in done.ended] == [(pid, ("TERM",), "ended")]


def test_what_a_second_supervisord_runs_is_a_duplicate(running: Running) -> None:
    pid = running.pid
    os.unlink(running.place.socket)
    # Takes the socket's path; its own service finds the port held and exits again and again.
    second = running.place.start()
    assert {process.pid for process in supervisords_over(running.place.config)} == {running.daemon, second}
    assert running.holders() == [(pid, "duplicate", "service0")]


def test_what_a_silent_supervisord_runs_is_supervised(running: Running) -> None:
    pid = running.pid
    os.unlink(running.place.socket)
    assert running.holders() == [(pid, "supervised", None)]
    assert not flush.flush(running.stack).changed
    assert running.place.processes()
