# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many services need many open files: what supervisord may not have is refused, and what it may have it takes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stacks import stack

SERVICES = 20
NEEDED = 64 + 3 * SERVICES

CHECK = """
import resource, sys
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import preflight
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
root, user, limit, services = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
named = {f"s{number}": {"command": ["/bin/true"]} for number in range(services)}
stack = check_manifest({"stack": {"name": "test", "root": root, "user": user, "services": named}}).stack
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
try:
    preflight.check_host(stack)
except RollcallError as exc:
    print([problem["message"] for problem in exc.evidence["problems"] if problem["place"] == "stack.services"])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have services run as another user")
@pytest.mark.parametrize(
    ("limit", "found"),
    [
        (NEEDED - 1, [f"supervisord needs {NEEDED} open files for its programs, and nobody may have {NEEDED - 1}"]),
        (NEEDED, []),
    ],
)
def test_a_limit_of_open_files_that_is_too_low_is_refused_before_anything_is_stopped(
    tmp_path: Path, limit: int, found: list[str]
) -> None:
    command = [sys.executable, "-c", CHECK, str(tmp_path), "nobody", str(limit), str(SERVICES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout.strip() or "[]") == str(found)


def test_supervisord_raises_its_own_soft_limit_to_what_its_programs_need() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with stack({f"s{number}": {} for number in range(SERVICES)}) as made:
        resource.setrlimit(resource.RLIMIT_NOFILE, (NEEDED - 20, hard))
        try:
            assert made.perform()["ok"]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        allowed = Path(f"/proc/{made.supervisor().pid()}/limits").read_text(encoding="utf-8")
        assert f"Max open files            {NEEDED} " in allowed
