# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""supervisord must be able to open 1,024 files: where it will not be, nothing is stopped."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.support.stacks import stack, two_services

# Root may raise the limit, unless its container keeps it from that.
WITHOUT_CAPABILITY = ["setpriv", "--bounding-set", "-sys_resource", "--inh-caps", "-sys_resource"]


def test_a_limit_of_open_files_that_is_too_low_is_refused_before_anything_is_stopped() -> None:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        before = made.pids()
        limited = [*(WITHOUT_CAPABILITY if os.geteuid() == 0 else []), made.command, "restart", "full"]
        done = subprocess.run(
            ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", *limited], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2, done.stderr
        assert "must be able to open 1024 files, and as " in done.stderr
        assert made.pids() == before
        assert made.perform("full")["ok"]


MAY_RAISE = (
    subprocess.run(["sh", "-c", "ulimit -n 200 && ulimit -n 1024"], capture_output=True, check=False).returncode == 0
)


@pytest.mark.skipif(not MAY_RAISE, reason="this user may not raise a hard limit")
def test_who_may_raise_the_limit_is_not_kept_from_a_restart() -> None:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        command = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", made.command, "restart", "full"]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
