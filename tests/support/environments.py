# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments for tests that are not about how one is made: copies of one that is made once for a run."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys

import pytest

SCRIPT = """\
#!/bin/sh
case "$*" in
"-I -m venv "* | "-m venv "*)
  for directory; do :; done
  mkdir -p "$directory" && exec cp -a {template}/. "$directory" ;;
*) exec {python} "$@" ;;
esac
"""


@pytest.fixture(scope="session")
def quick_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python like that of the tests, whose `-m venv DIRECTORY` copies one that is there; all workers share it."""
    base = tmp_path_factory.getbasetemp()
    place = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    template, program = place / "environment", place / "quick-python"
    with open(place / "environment.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            subprocess.run([sys.executable, "-I", "-m", "venv", str(template)], check=True, timeout=100)
            program.write_text(SCRIPT.format(template=template, python=sys.executable), encoding="utf-8")
            program.chmod(0o755)
    return str(program)
