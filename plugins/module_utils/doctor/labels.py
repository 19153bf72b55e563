# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Whether SELinux lets systemd execute what starts the stack, as far as the labels of the files say."""

from __future__ import annotations

import os
import subprocess
import typing as t

from ..supervisord.places import engine_python
from .facts import Mislabelled

# The kernel has it where SELinux is on; 1 is enforcing.
ENFORCE = "/sys/fs/selinux/enforce"
_LABEL = "security.selinux"
_SECONDS = 10.0
_PLACES = ("/usr/sbin", "/sbin")


def mislabelled(root: str) -> t.List[Mislabelled]:
    """Return which files that are executed after a boot have another label than the system's policy has for them."""
    if not _enforces():
        return []
    # A link to the system's own Python leads out of the stack, and the system has labelled that.
    python = os.path.realpath(engine_python(root))
    paths = [os.path.join(root, "bin", "rollcall"), *([python] if python.startswith(f"{root}/") else [])]
    return [Mislabelled(path, _label(path)) for path in paths if os.path.exists(path) and _differs(path)]


def _enforces() -> bool:
    try:
        with open(ENFORCE, encoding="ascii") as stream:
            return stream.read().strip() == "1"
    except FileNotFoundError:
        return False


def _differs(path: str) -> bool:
    """Return whether restorecon would change the label: then it prints a line, and nothing otherwise."""
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *_PLACES])
    done = subprocess.run(
        ["restorecon", "-n", "-v", path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": search, "LC_ALL": "C"},
        check=False,
        timeout=_SECONDS,
    )
    return done.returncode == 0 and bool(done.stdout.strip())


def _label(path: str) -> str:
    if not hasattr(os, "getxattr"):
        return ""
    try:
        return os.getxattr(path, _LABEL).decode("utf-8", "replace").rstrip("\0")
    except OSError:
        return ""
