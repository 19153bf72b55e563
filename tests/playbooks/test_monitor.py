# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role monitor where no systemd runs; with it, a scenario of Molecule has it."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.support.namespaces import PID_NAMESPACE
from tests.support.playbooks import BOUND, PLAYBOOK
from tests.support.repository import ROOT

# As in a container whose first process is a shell: there Ansible takes an installed systemd for one that runs.
SHELL_FIRST = [*PID_NAMESPACE, "sh", "-c", '"$@"; exit $?', "sh"]

pytestmark = pytest.mark.skipif(os.path.isdir("/run/systemd/system"), reason="systemd would get a unit")


def played(tmp_path: Path, state: str, *more: str, below: t.Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run the role for a stack of which nothing is there."""
    made = {
        "name": "trading",
        "root": str(tmp_path),
        "paths": {"state": str(tmp_path / "state")},
        "watch": {"metrics": {}},
    }
    variables = {"monitor_manifest": made, "monitor_state": state}
    role = {"name": "rollcall.supervisor.monitor"}
    tasks = [{"ansible.builtin.include_role": role, "vars": variables}]
    play = {"hosts": "localhost", "gather_facts": False, "tasks": tasks}
    (tmp_path / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    arguments = ["-i", "localhost,", "-c", "local", "-e", "ansible_python_interpreter=/usr/bin/python3", *more]
    return subprocess.run(
        [*below, str(PLAYBOOK), *arguments, str(tmp_path / "play.yml")],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND,
    )


@pytest.mark.parametrize("below", [(), SHELL_FIRST], ids=["here", "below a shell"])
def test_without_systemd_it_is_said_what_to_do_instead(tmp_path: Path, below: t.Sequence[str]) -> None:
    done = played(tmp_path, "present", "--check", below=below)

    assert done.returncode == 2, done.stdout + done.stderr
    assert f"{tmp_path}/bin/rollcall watch" in done.stdout.replace("\n", " ")


def test_a_unit_that_no_systemd_runs_is_taken_away(tmp_path: Path) -> None:
    units = tmp_path / "units"
    units.mkdir()
    (units / "rollcall-trading.watch.service").touch()

    done = played(tmp_path, "absent", "-e", f"__monitor_units={units}", "-e", f"__monitor_drop_in={tmp_path}/none.conf")

    assert done.returncode == 0, done.stdout + done.stderr
    assert list(units.iterdir()) == []
