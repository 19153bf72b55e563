# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What starts a stack after a boot: what the unit and the property list say, and how the unit is kept true to a run."""

from __future__ import annotations

import configparser
import os
import plistlib
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import units
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import boot
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.modes import AUTO, FULL, STOP, mode_named
from tests.support import rendering

SERVICES = {"web": {"command": ["/bin/sleep", "1000"], "stop": {"timeout": 40}}}


def stack(**more: t.Any) -> Stack:
    checked = check_manifest({"name": "trading", "root": "/opt/trading", "services": SERVICES, **more})
    assert checked.stack is not None, checked.problems
    return checked.stack


def rendered(kind: str, made: Stack, **more: t.Any) -> str:
    """Return what the role writes."""
    name = "launchd.plist.j2" if kind == "launchd" else "unit.service.j2"
    variables = {
        "kind": kind,
        "stack": made.to_dict(),
        "unit": units.unit_name(made.name),
        "label": f"org.rollcall.{made.name}",
        "after": [],
        **more,
    }
    return rendering.template(f"boot/{name}").render(variables)


def unit(kind: str, made: Stack, **more: t.Any) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
    parsed.read_string(rendered(kind, made, **more))
    return parsed


def test_the_unit_starts_and_stops_the_stack_by_its_own_command() -> None:
    service = unit("systemd", stack())["Service"]
    assert service["ExecStart"] == '"/opt/trading/bin/rollcall" start --automatic'
    assert service["ExecStop"] == '"/opt/trading/bin/rollcall" stop'
    assert (service["Type"], service["RemainAfterExit"], service["KillMode"]) == ("oneshot", "yes", "process")
    assert service["Environment"] == f"{boot.CALLED}=rollcall-trading.service"


def test_a_root_with_a_space_is_one_word() -> None:
    assert unit("systemd", stack(root="/opt/my app"))["Service"]["ExecStart"].startswith('"/opt/my app/bin/rollcall" ')


def test_the_unit_waits_for_the_network_and_for_what_it_is_told() -> None:
    waits = unit("systemd", stack(), after=["postgresql.service"])["Unit"]
    assert waits["After"] == waits["Wants"] == "network-online.target postgresql.service"
    assert "After" not in unit("user", stack())["Unit"]


def test_systemd_tries_no_more_often_than_the_restart_budget_allows() -> None:
    limits = unit("systemd", stack(restart_budget={"restarts": 3, "within": 600}))["Unit"]
    assert (limits["StartLimitBurst"], limits["StartLimitIntervalSec"]) == ("3", "600")


@pytest.mark.parametrize(
    ("nofile", "line"), [(None, None), (4000, None), (8192, "1024:524288"), (600_000, "1024:600000")]
)
def test_systemd_lets_the_stack_have_as_many_open_files_as_its_services_want(
    nofile: int | None, line: str | None
) -> None:
    services = {
        "web": {**SERVICES["web"], "limits": {} if nofile is None else {"nofile": nofile}},
        "other": SERVICES["web"],
    }
    assert unit("systemd", stack(services=services))["Service"].get("LimitNOFILE") == line


def test_systemd_waits_longer_than_rollcall_itself() -> None:
    quick, slow = (
        unit("systemd", stack(services={"web": {**SERVICES["web"], "stop": {"timeout": seconds}}}))["Service"]
        for seconds in (1, 100)
    )
    assert int(slow["TimeoutStopSec"]) > int(quick["TimeoutStopSec"]) + 90
    assert int(slow["TimeoutStartSec"]) > int(slow["TimeoutStopSec"])


def test_a_users_unit_has_nothing_that_takes_root() -> None:
    parsed = unit("user", stack())
    assert "CapabilityBoundingSet" not in parsed["Service"]
    assert parsed["Install"]["WantedBy"] == "default.target"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("kind", ["systemd", "user"])
def test_systemd_itself_finds_no_fault_with_the_unit(tmp_path: Path, kind: str) -> None:
    made = stack(root=str(tmp_path))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "rollcall").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "bin" / "rollcall").chmod(0o755)
    path = tmp_path / units.unit_name(made.name)
    path.write_text(rendered(kind, made), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert [line for line in done.stderr.splitlines() if path.name in line] == []


def test_the_property_list_is_one_and_starts_the_stack() -> None:
    listed = plistlib.loads(rendered("launchd", stack(root="/opt/a & b")).encode("utf-8"))
    assert listed["Label"] == "org.rollcall.trading"
    assert listed["ProgramArguments"] == ["/opt/a & b/bin/rollcall", "start", "--automatic"]
    assert listed["RunAtLoad"] is True
    assert listed["KeepAlive"] == {"SuccessfulExit": False}
    assert listed["AbandonProcessGroup"] is True
    # Five an hour, as the budget has it.
    assert listed["ThrottleInterval"] == 720


@pytest.mark.parametrize(
    ("mode", "state", "ok", "step"),
    [
        ("stop", "active", True, "stop"),
        ("stop", "activating", True, "stop"),
        ("stop", "inactive", True, ""),
        ("stop", "failed", True, ""),
        ("stop", "", True, ""),
        ("flush", "inactive", True, ""),
        ("auto", "inactive", True, "start"),
        ("full", "failed", True, "start"),
        ("full", "failed", False, ""),
        ("full", "active", True, "gather"),
        ("full", "active", False, "gather"),
        ("auto", "", True, "gather"),
    ],
)
def test_the_unit_follows_what_a_run_has_brought_about(mode: str, state: str, ok: bool, step: str) -> None:
    assert boot.decide(mode_named(mode), state, ok=ok) == step


class Systemd:
    """systemd, as far as a unit asks it."""

    def __init__(self, state: str = "active", refuses: str = "") -> None:
        self.state = state
        self.refuses = refuses
        self.asked: t.List[str] = []

    def __call__(self, command: t.Sequence[str], _seconds: float) -> str:
        words = [word for word in command if word != "--user"]
        self.asked.append(words[1])
        if self.refuses == words[1]:
            raise RollcallError("systemd refused")
        return f"{self.state}\n"


def test_a_run_that_nobody_follows_up_does_not_fail_by_it() -> None:
    made = boot.Unit("rollcall-trading.service", False, Systemd("inactive", refuses="start"))
    assert boot.follow(made, stack(), AUTO, ok=True, called=False) == ["systemd refused"]


def test_the_unit_of_a_stack_that_was_stopped_is_stopped() -> None:
    systemd = Systemd("active")
    assert boot.follow(boot.Unit("u.service", True, systemd), stack(), STOP, ok=True, called=False) == []
    assert systemd.asked == ["show", "stop"]


def test_a_unit_that_was_started_too_often_is_started_all_the_same_when_a_person_has_mended_it() -> None:
    systemd = Systemd("failed")
    assert boot.follow(boot.Unit("u.service", False, systemd), stack(), FULL, ok=True, called=False) == []
    assert systemd.asked == ["show", "reset-failed", "start"]


def test_the_units_own_stop_does_not_wait_for_itself() -> None:
    systemd = Systemd()
    assert boot.follow(boot.Unit("u.service", False, systemd), stack(), STOP, ok=True, called=True) == []
    assert systemd.asked == []


def test_a_worker_enters_an_active_unit_before_it_starts_anything() -> None:
    systemd = Systemd("active")
    assert boot.enter(boot.Unit("u.service", False, systemd), FULL) == []
    assert systemd.asked == ["show", "--quiet"]


@pytest.mark.parametrize(("mode", "state"), [("stop", "active"), ("full", "inactive")])
def test_a_worker_stays_out_of_a_unit_that_is_down_or_goes_down(mode: str, state: str) -> None:
    systemd = Systemd(state)
    assert boot.enter(boot.Unit("u.service", False, systemd), mode_named(mode)) == []
    assert "--quiet" not in systemd.asked


def test_a_process_that_is_gone_need_not_be_moved() -> None:
    assert boot.Unit("u.service", False, Systemd()).holds(os.getpid()) is False
    assert boot.Unit("u.service", False, Systemd()).holds(2**22 + 1) is True
