# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is lost where the play ignores that: its rescue comes, and the playbook goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.support.playbooks import BOUND, PLAYBOOK
from tests.support.repository import ROOT

# Runs what is asked for right here, until it was called so often: from then on it never answers.
SILENT = """#!/bin/sh
for command; do :; done
echo >> {calls}
[ $(wc -l < {calls}) -lt {silent} ] || exec sleep 60
exec /bin/sh -c "$command"
"""

MANIFEST: t.Mapping[str, t.Any] = {"name": "lost", "root": "/srv/lost", "services": {"web": {"command": ["/bin/true"]}}}
ROLES: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "bootstrap": {"name": "rollcall.supervisor.bootstrap"},
    "boot": {"name": "rollcall.supervisor.services", "tasks_from": "boot"},
}


def play(role: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Return a play over a role, with a rescue that says of what kind the failure was."""
    return {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {
                "ignore_unreachable": True,
                "block": [{"ansible.builtin.import_role": role}],
                "rescue": [{"ansible.builtin.debug": {"msg": "seen to: {{ ansible_failed_result.error.kind }}"}}],
            }
        ],
    }


def test_the_rescue_of_a_lost_host_comes_and_the_playbook_goes_on(tmp_path: Path) -> None:
    page, inventory = tmp_path / "page.yml", tmp_path / "hosts.json"
    page.write_text(json.dumps([play(role) for role in ROLES.values()]), encoding="utf-8")
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
    shared = {"rollcall_stack": MANIFEST, "services_boot_manifest": MANIFEST, "services_boot": "none"}
    inventory.write_text(json.dumps({"all": {"hosts": {"away": {**away, **shared}}}}), encoding="utf-8")

    done = subprocess.run(
        [str(PLAYBOOK), "-i", str(inventory), str(page)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND,
    )

    assert done.stdout.count("seen to: unreachable") == len(ROLES), done.stdout + done.stderr
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("pipelining", "silent"), [(True, 1), (False, 1), (False, 3), (False, 4), (False, 5)])
def test_a_host_that_falls_silent_at_any_question_of_a_rollout_holds_up_nobody(
    tmp_path: Path, *, pipelining: bool, silent: int
) -> None:
    program, inventory = tmp_path / "ssh", tmp_path / "hosts.json"
    program.write_text(SILENT.format(calls=tmp_path / "calls", silent=silent), encoding="utf-8")
    program.chmod(0o755)
    away = {"ansible_connection": "ssh", "ansible_ssh_executable": str(program), "ansible_ssh_transfer_method": "piped"}
    shared = {"rollcall_stack": {**MANIFEST, "root": str(tmp_path / "none")}, "rollout_patience": 2}
    shared.update(ansible_connection="local", ansible_python_interpreter=sys.executable)
    hosts: t.Dict[str, t.Any] = {"h1": {}, "h2": away, "h3": {}}
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": shared}}), encoding="utf-8")

    done = subprocess.run(
        [str(PLAYBOOK), "-i", str(inventory), "playbooks/rollout.yml", "--check"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_PIPELINING": str(pipelining)},
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND,
    )

    assert "h2: cannot be reached: it has not answered within 2 seconds" in done.stdout, done.stdout + done.stderr
    assert done.returncode != 0
