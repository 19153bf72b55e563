# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An interpreter of a stack's own in place of the tests': for another user, or with something changed inside."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import typing as t
from pathlib import Path

import psutil
import supervisor

if t.TYPE_CHECKING:
    from tests.support.stacks import StackUnderTest

PACKAGES = (supervisor, psutil)


def own_interpreter(made: StackUnderTest, base: str = sys.executable, *, at_start: str = "") -> None:
    """Give the stack a virtual environment with supervisor and psutil under its own root.

    Args:
        made: the stack; nothing of it runs yet.
        base: the Python behind it.
        at_start: Python code that runs in every interpreter of it before anything else.
    """
    place = Path(made.root, "engine", "venv")
    place.unlink()
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").symlink_to(os.path.realpath(base))
    (place / "pyvenv.cfg").write_text(f"home = {os.path.dirname(os.path.realpath(base))}\n", encoding="utf-8")
    packages = place / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    packages.mkdir(parents=True)
    for package in PACKAGES:
        directory = Path(str(package.__file__)).parent
        (packages / directory.name).symlink_to(directory)
    if at_start:
        (packages / "at_start.py").write_text(at_start, encoding="utf-8")
        # A line that begins with `import` is executed (site, in Python's library reference).
        (packages / "at_start.pth").write_text("import at_start\n", encoding="utf-8")


def python_of_all() -> t.Optional[str]:
    """Return a Python of the tests' own version that every user may run; None when this machine has none."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    candidates = [os.path.realpath(sys.executable), shutil.which(name, path="/usr/bin:/usr/local/bin") or ""]
    return next((path for path in candidates if path and _open_to_all(Path(path))), None)


def _open_to_all(program: Path) -> bool:
    return all(path.stat().st_mode & stat.S_IXOTH for path in (program, *program.parents))


def give_to(made: StackUnderTest, user: str, uid: int, gid: int) -> None:
    """Make the stack one of another user, as the role bootstrap does when root runs it."""
    python = python_of_all()
    assert python is not None
    own_interpreter(made, python)
    os.unlink(made.program)
    os.symlink(python, made.program)
    os.chmod(made.root, 0o755)
    for path in (made.paths.run, made.paths.logs):
        os.chown(path, uid, gid)
    made.raw["user"] = user
