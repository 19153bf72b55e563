# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What an install has changed outside of its generation, such as a password, and how each is taken back.

Whoever changes it writes before that a record ``STATE/undo/NAME.json``: ``what`` in words, ``argv`` and ``stdin`` of
the command, or ``file``, one that was delivered (state/deliveries.py). A run that goes back, or that was refused before
it touched anything, runs them; a verdict that is OK forgets them. The first record of a name counts: it leads back to
what was when a verdict was OK.
"""

from __future__ import annotations

import functools
import json
import os
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.files import NOT_AS_EXPECTED, read_text
from ..base.opening import NotPlain, open_plain
from ..base.removing import remove
from ..base.text import last_lines
from ..manifest.model import DEFAULT_PATH

# Seconds for all of them.
PATIENCE = 8.0


class Undo(t.NamedTuple):
    """How one thing is taken back: what it is, the command and what that reads on its standard input, or which file."""

    path: str
    what: str
    argv: t.Tuple[str, ...]
    stdin: str
    file: t.Optional[t.Mapping[str, t.Any]] = None


class TakenBack(t.NamedTuple):
    """What has become of one thing that was to be taken back: whether it was, and that in words."""

    ok: bool
    words: str


def directory(state: str) -> str:
    """Return where the records are."""
    return os.path.join(state, "undo")


def take_back(state: str, *, clock: Clock = SYSTEM) -> t.List[TakenBack]:
    """Take back all that is recorded, the newest first; return what was, and what could not be and why."""
    deadline = Deadline(PATIENCE, clock)
    return [_taken_back(state, one, deadline) for one in reversed(kept(state))]


def forget(state: str) -> None:
    """Forget how it is taken back: it is part of what was verified now.

    Raises:
        OSError, RollcallError: a record cannot be removed.
    """
    if os.path.isdir(directory(state)):
        remove(directory(state))


def kept(state: str) -> t.List[Undo]:
    """Return all that is recorded, the oldest first."""
    place = directory(state)
    names = sorted(name for name in os.listdir(place) if name.endswith(".json")) if os.path.isdir(place) else []
    paths = sorted((os.path.join(place, name) for name in names), key=lambda path: os.stat(path).st_mtime_ns)
    return [_read(path) for path in paths]


def _read(path: str) -> Undo:
    """Return a record; one that cannot be used is told when it is tried. Commands of others are not run."""
    try:
        data = json.loads(read_text(path, opened=functools.partial(open_plain, judge=_is_ours)))
        return Undo(path, str(data["what"]), tuple(map(str, data["argv"])), str(data["stdin"]), data.get("file"))
    except NotPlain:
        return Undo(path, f"what {path} records, which others may have written,", (), "")
    except (OSError, *NOT_AS_EXPECTED) as exc:
        return Undo(path, f"what {path} records, which cannot be read ({type(exc).__name__}),", (), "")


def _is_ours(seen: os.stat_result) -> bool:
    return seen.st_uid in (0, os.geteuid()) and not seen.st_mode & 0o022


def _taken_back(state: str, one: Undo, deadline: Deadline) -> TakenBack:
    failed = f"{one.what} could not be taken back"
    if one.file is not None:
        why = _put_back(state, one.file)
    elif one.argv:
        why = _executed(one, deadline)
    else:
        return TakenBack(False, failed)
    if why:
        return TakenBack(False, f"{failed}: {why}")
    remove(one.path, missing_ok=True)
    return TakenBack(True, f"{one.what} was taken back")


def _put_back(state: str, record: t.Mapping[str, t.Any]) -> str:
    """Put a file back; return why it cannot be."""
    from . import deliveries  # late: few runs go back

    try:
        deliveries.put_back(state, record)
    except RollcallError as exc:
        return exc.message
    except (OSError, ValueError, KeyError, TypeError) as exc:
        return type(exc).__name__
    return ""


def _executed(one: Undo, deadline: Deadline) -> str:
    """Run the command that takes something back; return why it could not."""
    import subprocess  # late: few runs go back

    try:
        done = subprocess.run(
            one.argv,
            input=one.stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={"PATH": DEFAULT_PATH, "LC_ALL": "C.UTF-8"},
            timeout=max(1.0, deadline.remaining()),
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return type(exc).__name__
    if done.returncode != 0:
        # What was on standard input may be secret; what it answers names no value of it.
        return (last_lines(done.stderr, 1) or [f"exit code {done.returncode}"])[0]
    return ""
