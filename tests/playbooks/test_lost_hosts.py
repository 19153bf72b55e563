# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is lost where the play ignores that: its rescue comes, and the playbook goes on."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

from tests.support.playbooks import BOUND, PLAYBOOK
from tests.support.repository import ROOT

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
