# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Have a short program run as the user of the application: root may open what that user may not."""

from __future__ import annotations

import os
import sys
import typing as t

from ..base.text import one_line
from ..host.accounts import Account
from .answers import NoAnswer

# Prints the first of the files that cannot be opened, and the error's number.
_OPEN = """
import sys
for path in sys.argv[1:]:
    try:
        open(path, "rb").close()
    except OSError as exc:
        print(path, exc.errno, sep="\\n")
        break
"""


def is_needed(who: Account) -> bool:
    """Return whether a look has to be that of another user, and can be."""
    return who.other and os.geteuid() == 0


def run_as(who: Account, text: str, arguments: t.Sequence[str], seconds: float) -> str:
    """Return what a program of Python prints that runs as ``who``.

    Raises:
        NoAnswer: that user may not run this interpreter, or the program failed.
        TimeoutError: it takes longer than ``seconds``.
    """
    import subprocess  # late: most looks are those of the user that we are

    # The interpreter itself: a virtual environment's may be where that user may not go.
    python = [os.path.realpath(sys.executable), "-I", "-S", "-c", text]
    try:
        done = subprocess.run(
            [*python, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env={},
            cwd="/",
            timeout=max(seconds, 0.001),
            check=True,
            **who.identity,
        )
    except subprocess.TimeoutExpired as exc:
        raise TimeoutError from exc
    except PermissionError as exc:
        raise NoAnswer(f"user {who.name}, who runs the services, may not run {exc.filename}") from exc
    except subprocess.CalledProcessError as exc:
        raise NoAnswer(f"user {who.name} could not look: {one_line(exc.stderr, 200)}") from exc
    return t.cast(str, done.stdout)


def check_files(who: Account, paths: t.Iterable[str], seconds: float) -> None:
    """Check that ``who`` may open the files; the words that name none are left out.

    Raises:
        NoAnswer: one of them cannot be opened.
        TimeoutError: it takes longer than ``seconds``.
    """
    named = [path for path in paths if os.path.isabs(path)]
    if named and is_needed(who):
        path, _newline, number = run_as(who, _OPEN, named, seconds).strip().rpartition("\n")
        if path:
            raise NoAnswer(f"{path}: {os.strerror(int(number))}, asked as user {who.name}")
