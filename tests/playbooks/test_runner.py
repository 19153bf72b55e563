# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks under ansible-runner, as AWX and other programs start them: by their names, without a terminal."""

from __future__ import annotations

import json
import os
import re
import sys
import typing as t
from pathlib import Path

import ansible_runner

from tests.support.documents import validated
from tests.support.playbooks import BOUND, PLAYBOOK, prepare
from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, stack


class Run(t.NamedTuple):
    """A playbook that has ended: its runner, what it has printed, and its outcome."""

    runner: t.Any
    printed: str
    outcome: t.Dict[str, t.Any]


def play(place: Path, made: StackUnderTest, playbook: str, **variables: t.Any) -> Run:
    """Run a playbook of the collection in a private data directory, as a program with no terminal does."""
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "rollcall_stack": made.raw,
        "bootstrap_on_path": False,
        "services_boot": "none",
    }
    outcome = place / f"{playbook}.json"
    environment = {
        "ANSIBLE_CALLBACKS_ENABLED": "rollcall.supervisor.roll_call",
        "ROLLCALL_OUTCOME": str(outcome),
        # Where ansible-playbook is.
        "PATH": f"{PLAYBOOK.parent}:{os.environ['PATH']}",
    }
    runner = ansible_runner.run(
        private_data_dir=str(place),
        ident=playbook,
        playbook=f"rollcall.supervisor.{playbook}",
        inventory={"all": {"hosts": {"here": known}}},
        extravars=variables,
        envvars=environment,
        settings={"runner_mode": "subprocess"},
        # Else those of the first run hold for all others.
        suppress_env_files=True,
        timeout=BOUND,
        quiet=True,
    )
    # It has Ansible write in colours.
    text = (place / "artifacts" / playbook / "stdout").read_text(encoding="utf-8")
    printed = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return Run(runner, printed, validated(json.loads(outcome.read_text(encoding="utf-8")), "OutcomeDocument"))


def test_site_rollout_and_fleet_run_under_ansible_runner_and_its_artifacts_tell_how_they_ended(tmp_path: Path) -> None:
    with stack({"web": {"port": free_port(), "env": {"VERSION": "1"}}}) as made:
        prepare(made)
        site = play(tmp_path, made, "site")
        assert (site.runner.status, site.runner.rc) == ("successful", 0), site.printed
        assert "ROLL CALL" in site.printed
        assert "test on here: OK" in site.printed
        assert site.outcome["hosts"]["here"]["exit_code"] == 0
        before = made.pids()

        made.raw["services"]["web"]["env"] = {"VERSION": "2"}
        prepare(made)
        rollout = play(tmp_path, made, "rollout", soak=1)
        assert (rollout.runner.status, rollout.runner.rc) == ("successful", 0), rollout.printed
        assert not rollout.runner.stats["failures"]
        done = [
            event["event_data"]["res"]
            for event in rollout.runner.events
            if event["event"] == "runner_on_ok" and event["event_data"]["task_action"].endswith("rollout_result")
        ]
        assert [one["hosts"]["here"]["outcome"] for one in done] == ["done"]
        assert "1 of 1 host done" in rollout.printed
        assert made.pids() != before

        fleet = play(tmp_path, made, "fleet")
        assert fleet.outcome["fleet"]["here"]["verdict"] == "OK", fleet.printed

        made.raw["services"]["web"]["command"] = ["/bin/false"]
        prepare(made)
        failed = play(tmp_path, made, "rollout")
        assert (failed.runner.status, failed.runner.rc) == ("failed", 2)
        assert "it runs again what ran before" in failed.printed
        assert failed.outcome["exit_code"] == 1
