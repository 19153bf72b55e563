# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role monitor where there is no systemd; with it, a scenario of Molecule has it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.playbooks import BOUND, PLAYBOOK
from tests.support.repository import ROOT

STACK = {"name": "trading", "root": "/opt/trading", "paths": {"state": "/opt/trading/state"}}


@pytest.mark.skipif(os.path.isdir("/run/systemd/system"), reason="systemd would get a unit")
def test_without_systemd_it_is_said_what_to_do_instead(tmp_path: Path) -> None:
    role = {"name": "rollcall.supervisor.monitor"}
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.include_role": role, "vars": {"monitor_manifest": STACK}}],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    done = subprocess.run(
        [
            str(PLAYBOOK),
            "--check",
            "-i",
            "localhost,",
            "-e",
            "ansible_python_interpreter=/usr/bin/python3",
            "-c",
            "local",
            str(tmp_path / "play.yml"),
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "/opt/trading/bin/rollcall watch" in done.stdout.replace("\n", " ")
