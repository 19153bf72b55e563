# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook `acknowledge` says what was wrong and is known, changes nothing in check mode, and nothing twice."""

from __future__ import annotations

from pathlib import Path

from tests.support.playbooks import play
from tests.support.stacks import stack


def test_what_was_wrong_is_acknowledged_from_the_controller_once() -> None:
    with stack({"web": {}}) as made:
        assert made.perform()["ok"]
        with Path(made.paths.logs, "web.log").open("a", encoding="utf-8") as log:
            log.write("CRITICAL: the disk is full\n")
        assert not made.perform(installed=True)["ok"]
        for arguments, changed in ((("--check",), "changed=1"), ((), "changed=1"), ((), "changed=0")):
            said = play(made, "playbooks/acknowledge.yml", *arguments)
            assert said.returncode == 0, said.stdout + said.stderr
            assert changed in said.stdout
            assert ("CRITICAL: the disk is full" in said.stdout) is (changed == "changed=1")
        assert made.perform(installed=True)["ok"]
        assert made.status()["last_failure"] is None
