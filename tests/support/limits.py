# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says of a process's limits, and runs whose own limits are lower than usual."""

from __future__ import annotations

import os
import re
import resource
import typing as t
import unittest.mock
from pathlib import Path

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import rlimits
from tests.support.stacks import StackUnderTest


def limits_of(pid: int) -> t.Dict[str, t.Tuple[str, str]]:
    """Return soft and hard limit of a process by their names in /proc/PID/limits."""
    lines = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()[1:]
    rows = (re.split(r"\s{2,}", line.strip()) for line in lines)
    return {row[0]: (row[1], row[2]) for row in rows}


def niceness_of(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


def oom_score_of(pid: int) -> str:
    return Path(f"/proc/{pid}/oom_score_adj").read_text(encoding="ascii").strip()


def refused_under(hard: int, made: StackUnderTest) -> str:
    """Install a manifest in a child that may open so many files, and may not raise that; return what it is told."""
    wanted = made.generation()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            with unittest.mock.patch.object(rlimits, "may_raise", return_value=False):
                made.perform_generation(wanted)
        except RollcallError as exc:
            os.write(writer, exc.text().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as stream:
        said = stream.read()
    os.waitpid(pid, 0)
    return said
