# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook gives services the limits of their manifest, and nothing of the shell that it was called in."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.support.limits import limits_of, niceness_of, oom_score_of
from tests.support.playbooks import command_of, prepare
from tests.support.repository import ROOT
from tests.support.stacks import stack

pytestmark = pytest.mark.usefixtures("bystander")

SHELL = 'ulimit -Sn 600; echo 700 > /proc/self/oom_score_adj; exec nice -n 10 "$@"'


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may lower a niceness")
def test_a_playbook_and_the_command_give_a_service_the_same_limits() -> None:
    services = {"limited": {"limits": {"nofile": 777, "core": 0}, "nice": 3}, "plain": {}}
    with stack(services) as made:
        prepare(made)
        site = subprocess.run(
            ["sh", "-c", SHELL, "sh", *command_of(made, "site.yml")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert site.returncode == 0, site.stdout
        seen = []
        for _from in ("playbook", "shell"):
            pids = made.pids()
            has = limits_of(pids["limited"])
            nice = {name: niceness_of(pid) for name, pid in pids.items()}
            oom = {oom_score_of(pid) for pid in pids.values()}
            seen.append((has["Max open files"], has["Max core file size"], nice, oom))
            assert subprocess.run([made.command, "restart", "full"], capture_output=True, check=False).returncode == 0
        assert seen == [(("777", "777"), ("0", "0"), {"limited": 3, "plain": 0}, {"0"})] * 2
