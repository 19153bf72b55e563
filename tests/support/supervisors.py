# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interpreters that have one version of supervisor and nothing else, made once and kept in the user's cache."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

# The oldest that is accepted, the one of Debian 12 and Ubuntu 22.04 and later, and the one that `bootstrap` installs.
VERSIONS = ("4.2.2", "4.2.5", "4.3.0")
TOO_OLD = "4.1.0"


def cache() -> Path:
    """Return where they are kept; it may be removed at any time."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.environ.get("ROLLCALL_CACHE") or os.path.join(home, "rollcall"))


def python_with(version: str) -> str:
    """Return an interpreter of this Python's version that can import supervisor ``version``; made when missing."""
    directory = cache() / f"supervisor-{version}"
    python = directory / "bin" / "python"
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(cache() / f"supervisor-{version}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes ask at once
        if not _usable(python):
            shutil.rmtree(directory, ignore_errors=True)
            _make(directory, version)
    return str(python)


def _usable(python: Path) -> bool:
    if not python.exists():  # nor what it links to
        return False
    wanted = f"import sys, supervisor.options; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    tried = subprocess.run([python, "-I", "-W", "ignore", "-c", wanted], check=False, capture_output=True, timeout=60)
    return tried.returncode == 0


def _make(directory: Path, version: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True, timeout=120)
    packages = directory / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    # Up to 4.2 it imports pkg_resources, which newer setuptools no longer have.
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(packages)]
    subprocess.run([*command, f"supervisor=={version}", "setuptools<81"], check=True, timeout=600)
