# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Have a short program run as the user of the application: root may open what that user may not."""

from __future__ import annotations

import errno
import json
import os
import select
import sys
import typing as t

from ..base.clock import Deadline
from ..base.files import NOT_AS_EXPECTED
from ..base.text import one_line
from ..host.accounts import Account
from .answers import NoAnswer

if t.TYPE_CHECKING:
    import subprocess

# Bytes that such a program may print. Its user can stop it and have it say anything, so its words are that user's.
MOST_SAID = 65_536
# Seconds in which a process that was killed is gone, unless it hangs in the kernel.
_REAPED = 0.2

# Prints the first of the files that cannot be opened, and the error's number.
_OPEN = """
import json, sys
answer = {}
for path in sys.argv[1:]:
    try:
        open(path, "rb").close()
    except OSError as exc:
        answer = {"path": path, "errno": exc.errno}
        break
print(json.dumps(answer))
"""


def is_needed(who: Account) -> bool:
    """Return whether a look has to be that of another user, and can be."""
    return who.other and os.geteuid() == 0


def run_as(who: Account, text: str, arguments: t.Sequence[str], seconds: float) -> t.Dict[str, t.Any]:
    """Return the JSON object that a program of Python prints that runs as ``who``; its values may be anything.

    Raises:
        NoAnswer: that user may not run this interpreter, or the program failed, or it said something else.
        TimeoutError: it takes longer than ``seconds``.
    """
    import subprocess  # late: most looks are those of the user that we are

    deadline = Deadline(max(seconds, 0.001))
    # The interpreter itself: a virtual environment's may be where that user may not go.
    python = [os.path.realpath(sys.executable), "-I", "-S", "-W", "ignore", "-c", text]
    try:
        child = subprocess.Popen(
            [*python, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={},
            cwd="/",
            **who.identity,
        )
    except PermissionError as exc:
        raise NoAnswer(f"user {who.name}, who runs the services, may not run {exc.filename}") from exc
    try:
        said = _said(child, who, deadline)
        child.wait(deadline.remaining())
    except subprocess.TimeoutExpired as exc:
        raise TimeoutError from exc
    finally:
        _end(child)
    if child.returncode:
        raise NoAnswer(f"user {who.name} could not look: {one_line(said, 200) or f'exit code {child.returncode}'}")
    return _as_object(said, who)


def _said(child: subprocess.Popen[bytes], who: Account, deadline: Deadline) -> bytes:
    """Return all that a program prints. Raises NoAnswer when that is too much, TimeoutError."""
    descriptor = _output(child).fileno()
    said = b""
    while select.select([descriptor], [], [], deadline.remaining())[0]:
        part = os.read(descriptor, MOST_SAID)
        if not part:
            return said
        said += part
        if len(said) > MOST_SAID:
            raise NoAnswer(f"a process of user {who.name} that was to look said more than {MOST_SAID} bytes")
    raise TimeoutError


def _output(child: subprocess.Popen[bytes]) -> t.IO[bytes]:
    return t.cast("t.IO[bytes]", child.stdout)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a program that has not ended; one that hangs in the kernel is not waited for."""
    _output(child).close()
    if child.poll() is None:
        child.kill()
        Deadline(_REAPED).poll(lambda: child.poll() is not None, 0.001)


def _as_object(said: bytes, who: Account) -> t.Dict[str, t.Any]:
    try:
        answer = json.loads(said.decode("utf-8"))
    except NOT_AS_EXPECTED:
        answer = None
    if not isinstance(answer, dict):
        what = f"something else: {one_line(said, 100)}" if said.strip() else "nothing"
        raise NoAnswer(f"a process of user {who.name} that was to look said {what}")
    return answer


def error_text(number: t.Any) -> str:
    """Return what an error's number means that somebody else has said."""
    known = isinstance(number, int) and number in errno.errorcode
    return os.strerror(number) if known else "an error that has no name"


def check_files(who: Account, paths: t.Iterable[str], seconds: float) -> None:
    """Check that ``who`` may open the files; the words that name none are left out.

    Raises:
        NoAnswer: one of them cannot be opened.
        TimeoutError: it takes longer than ``seconds``.
    """
    named = [path for path in paths if os.path.isabs(path)]
    if named and is_needed(who):
        answer = run_as(who, _OPEN, named, seconds)
        if answer.get("path") in named:
            raise NoAnswer(f"{answer['path']}: {error_text(answer.get('errno'))}, asked as user {who.name}")
        if answer:
            raise NoAnswer(f"a process of user {who.name} that was to look said something else")
