# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services make files with the rights that they had under any other supervisord, and Rollcall's own stay private."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from tests.support.stacks import stack


def umask_of(pid: int) -> str:
    """Return the umask of a process: line Umask of /proc/PID/status, proc_pid_status(5)."""
    found = re.search(r"^Umask:\s*(\d+)$", Path(f"/proc/{pid}/status").read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None
    return found[1]


def test_a_service_has_the_usual_umask_or_the_one_of_its_manifest_whoever_starts_it() -> None:
    services = {"plain": {}, "own": {"umask": "077"}, "none": {"umask": "0"}}
    before = os.umask(0o027)
    try:
        with stack(services) as made:
            assert made.perform()["ok"]
            pids = made.pids()
            assert {name: umask_of(pid) for name, pid in pids.items()} == {
                "plain": "0022",
                "own": "0077",
                "none": "0000",
            }
            made.raw["services"]["plain"]["umask"] = "002"
            assert made.perform()["ok"]
            now = made.pids()
            assert umask_of(now["plain"]) == "0002"
            assert {name: now[name] for name in ("own", "none")} == {name: pids[name] for name in ("own", "none")}
            logs = Path(made.root, "logs")
            assert not stat.S_IMODE(logs.stat().st_mode) & stat.S_IRWXO, "what is in it is nobody else's to read"
    finally:
        os.umask(before)
