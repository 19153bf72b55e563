# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults 8, 9, 14 and 15: what is never ended, what takes an explicit word, and a look that touches nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils import flush, processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.modules import port_flush, port_info
from tests.support.victims import NOBODY, Victim, a_stack, free_port, is_alive, marks, start, victim

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user")

# What a run below the holder of the port does: flush it, and say how it was refused.
FLUSH_BELOW = """
import json, sys
from ansible_collections.rollcall.supervisor.plugins.module_utils import flush
from ansible_collections.rollcall.supervisor.plugins.module_utils.errors import RollcallError
from tests.support.victims import a_stack
try:
    flush.flush(a_stack(sys.argv[1], int(sys.argv[2])), policy="any")
except RollcallError as exc:
    print(json.dumps(exc.as_dict()))
"""


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path)


@pytest.fixture(autouse=True)
def bystander() -> t.Iterator[Victim]:
    """A process that nothing here has any business with; it must be alive afterwards."""
    held = start("listen")
    try:
        yield held
        assert held.alive, "a bystander was ended"
    finally:
        held.end()


def refusal(stack: t.Any, **how: t.Any) -> RollcallError:
    """Return the error a flush is refused with."""
    with pytest.raises(RollcallError) as caught:
        flush.flush(stack, **how)
    assert caught.value.kind == "refused"
    return caught.value


# --- 8: ancestors, sshd, pid 1 --------------------------------------------------------------------------------------


def test_an_ancestor_of_this_run_is_never_ended(root: str) -> None:
    port = free_port()
    environment = {**marks(root), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with victim("parent", port, "--", sys.executable, "-c", FLUSH_BELOW, root, str(port), mark=environment) as held:
        error = json.loads(held.said["output"])
        assert error["kind"] == "refused"
        assert f"pid {held.pid} " in error["message"]
        assert "which is never ended: this run descends from it" in error["message"]
        assert held.alive


def test_sshd_is_never_ended(root: str, tmp_path: Path) -> None:
    (tmp_path / "sshd").symlink_to(sys.executable)
    with victim("listen", mark=marks(root), python=str(tmp_path / "sshd")) as held:
        for policy in ("owned", "any"):
            assert "never ended: it is sshd" in refusal(a_stack(root, held.port), policy=policy).message
        assert held.alive


def test_pid_1_is_never_ended(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = processes.describe

    def as_pid_1(pid: int) -> t.Optional[processes.Process]:
        process = looked_at(pid)
        return process and processes.Process(**{**vars(process), "pid": 1})

    with victim("listen", mark=marks(root)) as held:
        monkeypatch.setattr(processes, "describe", as_pid_1)
        assert "never ended: it is pid 1" in refusal(a_stack(root, held.port), policy="any").message
        assert held.alive


# --- 9: foreign processes, policies, at most so many ------------------------------------------------------------------


def test_a_foreign_process_is_refused_with_all_that_is_known_and_the_way_out(root: str) -> None:
    with victim("listen") as held:
        error = refusal(a_stack(root, held.port))
        me = re.escape(processes.user_name(os.getuid()))
        assert re.fullmatch(
            rf"Port {held.port} \(service0\) is held by pid {held.pid} '.*victims.py listen {held.port}' of user {me} "
            rf"since \d\d:\d\d, which is not ours \(it is not of this stack\)\. End it with: kill {held.pid}\.",
            error.message,
        )
        assert error.remedies == (f"kill {held.pid}", *flush.OVERRIDES, "give service0 another port in the manifest")
        (evidence,) = error.evidence["objections"]
        assert (evidence["port"], evidence["pid"]) == (held.port, held.pid)
        assert evidence["user"] == processes.user_name(os.getuid())
        assert evidence["command"].endswith(f"listen {held.port}")
        assert evidence["started"] > 0
        assert held.alive


def test_one_foreign_process_keeps_everything_alive(root: str) -> None:
    with victim("listen", mark=marks(root)) as ours, victim("listen") as foreign:
        error = refusal(a_stack(root, ours.port, foreign.port))
        assert f"pid {foreign.pid} " in error.message
        assert f"pid {ours.pid} " not in error.message
        assert ours.alive
        assert foreign.alive


def test_every_foreign_process_is_named_at_once(root: str) -> None:
    with victim("listen") as one, victim("shared") as other:
        error = refusal(a_stack(root, one.port, other.port))
        for pid in (one.pid, other.pid, *other.pids):
            assert f"pid {pid} " in error.message


def test_the_policy_any_ends_a_foreign_process(root: str) -> None:
    with victim("listen") as foreign, victim("listen", mark=marks(root)) as ours:
        done = flush.flush(a_stack(root, foreign.port, ours.port), policy="any")
        assert {(entry.pid, entry.result) for entry in done.ended} == {(foreign.pid, "ended"), (ours.pid, "ended")}
        assert set(done.freed) == {foreign.port, ours.port}


def test_the_policy_refuse_ends_nothing(root: str) -> None:
    with victim("listen", mark=marks(root)) as ours:
        assert "(orphan), and the policy is to refuse" in refusal(a_stack(root, ours.port), policy="refuse").message
        assert ours.alive


def test_the_process_of_another_stack_is_foreign(root: str) -> None:
    with victim("listen", mark=marks(f"{root}/other", stack="other")) as held:
        assert f"it is of stack other at {root}/other" in refusal(a_stack(root, held.port)).message
        assert held.alive


@ROOT_ONLY
def test_our_marker_on_a_strangers_process_does_not_make_it_ours(root: str) -> None:
    with victim("listen", 0, "--uid", str(NOBODY), mark=marks(root)) as held:
        assert "not the one who runs this stack" in refusal(a_stack(root, held.port)).message
        assert held.alive


def test_more_than_32_processes_are_not_ended(root: str) -> None:
    with victim("shared", 0, "--workers", "32", mark=marks(root)) as held:
        stack = a_stack(root, held.port)
        error = refusal(stack)
        assert error.message.startswith("33 processes hold the ports of stack test, and at most 32 are ended")
        assert error.remedies == ("set max_victims=33",)
        assert all(is_alive(pid) for pid in (held.pid, *held.pids))
        assert len(flush.flush(stack, max_victims=33).ended) == 33


# --- 14: check mode ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def no_signal() -> t.Iterator[None]:
    """Fail at any signal."""

    def sent(*_args: t.Any) -> None:
        pytest.fail("a signal was sent")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "kill", sent)
        patch.setattr(signal, "pidfd_send_signal", sent)
        yield


@pytest.mark.parametrize("policy", ["owned", "any"])
def test_a_dry_run_says_who_would_be_ended_and_touches_nothing(root: str, policy: str) -> None:
    with victim("shared", mark=marks(root)) as held:
        before = sorted(Path(root).rglob("*"))
        with no_signal():
            done = flush.flush(a_stack(root, held.port), policy=policy, dry_run=True)
        assert done.changed
        assert {entry.pid for entry in done.ended} == {held.pid, *held.pids}
        assert {(entry.result, entry.signals) for entry in done.ended} == {("planned", ())}
        assert done.freed == (held.port,)
        assert sorted(Path(root).rglob("*")) == before
        assert all(is_alive(pid) for pid in (held.pid, *held.pids))


def test_a_dry_run_is_refused_with_the_same_words(root: str) -> None:
    with victim("listen") as held:
        stack = a_stack(root, held.port)
        with no_signal():
            assert refusal(stack, dry_run=True).as_dict() == refusal(stack).as_dict()


def test_the_modules_keep_their_keys_in_check_mode_and_out_of_it(root: str) -> None:
    with victim("listen", mark=marks(root)) as held:
        stack = a_stack(root, held.port)
        Path(stack.paths.etc).mkdir()
        Path(stack.paths.manifest).write_text(json.dumps(stack.to_dict()), encoding="utf-8")
        options: t.Dict[str, t.Any] = {
            "root": root,
            "ports": None,
            "policy": "owned",
            "supervised": False,
            "grace": 5.0,
            "kill_grace": 2.0,
            "max_victims": 32,
        }
        seen = port_info.run(options)
        assert not seen["changed"]
        assert [(one["port"], one["service"], one["free"]) for one in seen["ports"]] == [(held.port, "service0", False)]
        assert [one["pid"] for one in seen["ports"][0]["holders"]] == [held.pid]
        would = port_flush.run(options, check_mode=True)
        assert held.alive
        done = port_flush.run(options, check_mode=False)
        assert not held.alive
        again = port_flush.run(options, check_mode=False)
        assert would.keys() == done.keys() == again.keys()
        assert (would["changed"], done["changed"], again["changed"]) == (True, True, False)
        assert would["diff"] == done["diff"]
        assert done["diff"]["after"] == {str(held.port): None}
        assert port_info.run(options)["ports"][0]["free"]


# --- 15: protected and avoided ports ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "ssh", "words"),
    [
        ("avoid", None, "it is on the avoid list"),
        ("protect", None, "it is protected"),
        (None, "192.0.2.1 50000 192.0.2.2 {port}", "this run came in by it"),
    ],
)
def test_a_port_that_is_never_flushed_is_not_even_when_it_is_assigned(
    root: str, monkeypatch: pytest.MonkeyPatch, rules: t.Optional[str], ssh: t.Optional[str], words: str
) -> None:
    with victim("listen", mark=marks(root)) as held:
        stack = a_stack(root, held.port, **({rules: (held.port,)} if rules else {}))
        if ssh is not None:
            monkeypatch.setenv("SSH_CONNECTION", ssh.format(port=held.port))
        for policy in ("owned", "any"):
            assert f"and is never flushed: {words}" in refusal(stack, policy=policy).message
        assert held.alive


def test_port_22_is_never_flushed_whatever_the_manifest_says(root: str) -> None:
    assert 22 in flush.never_flushed(a_stack(root, 22, protect=(), avoid=()))


def test_a_port_that_is_not_assigned_is_wrong_use(root: str) -> None:
    with victim("listen", mark=marks(root)) as held:
        with pytest.raises(RollcallError, match="Only ports of stack test are ever flushed") as caught:
            flush.flush(a_stack(root, free_port()), [held.port], policy="any")
        assert caught.value.kind == "wrong_use"
        assert held.alive


def test_an_unknown_policy_is_wrong_use(root: str) -> None:
    with pytest.raises(RollcallError, match="Unknown policy 'all'") as caught:
        flush.flush(a_stack(root, free_port()), policy="all")
    assert caught.value.kind == "wrong_use"
