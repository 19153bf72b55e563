# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What supervisord's own log says of the lives of its programs: when each was born, and how it ended.

Its lines are used as a protocol. supervisor 4.1 to 4.3 write them in one form: process.py (``Subprocess.spawn`` and
``finish``), options.py (``decode_wait_status``), supervisord.py (``run`` and ``handle_signal``), and in front of each
the local time (loggers.py). Whoever runs the services can write to the log, so it is read by strict patterns and within
limits, and is never the only witness: the kernel tells which process lives, and since when.
"""

from __future__ import annotations

import functools
import os
import re
import time
import typing as t

from ..base.opening import Judge, NotPlain, OpenDirectory, open_followed

# Inode of a log and the bytes of it that are known; zeros for a log of which nothing is known.
Mark = t.Tuple[int, int]
NOTHING: Mark = (0, 0)

# Bytes that one look reads at the most: some ten thousand lives.
READ_LIMIT = 1_048_576
# Rotated files that are looked at: as many as the config of a stack keeps.
BACKUPS = 3

BORN = "born"
# By itself, and by an order to supervisord.
EXITED = "exited"
STOPPED = "stopped"
# Of supervisord itself: it was started, and it was told to end, after which its programs are told so, too.
STARTED = "started"
LEAVING = "leaving"

_EVENT = re.compile(
    rb"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) [A-Z]{4} (?:"
    rb"spawned: '([\w.:-]{1,200})' with pid (\d{1,10})"
    rb"|(exited|stopped): ([\w.:-]{1,200}) \((?:exit status (\d{1,5})|terminated by (SIG\w{1,10}|signal \d{1,3})"
    rb"(?: \(core dumped\))?|unknown termination cause 0x[0-9a-f]+)(?:; ((?:not )?expected))?\)"
    rb"|supervisord (started) with pid \d{1,10}"
    rb"|received (SIG\w{1,10}) indicating (?:exit|restart) request"
    rb")\r?$",
    re.MULTILINE,
)


class LifeEvent(t.NamedTuple):
    """One line of the log.

    Attributes:
        at: when, in seconds since the epoch.
        kind: one of the five words above.
        program: its name; empty where the line is about supervisord.
        pid: of the process that was born; else 0.
        code: the exit code; None where a signal ended it.
        signal: the name of that signal, or of the one by which supervisord was told to end; empty where there is none.
        expected: whether supervisord expects such an end: an exit code of ``exitcodes`` after ``startsecs``.
    """

    at: float
    kind: str
    program: str = ""
    pid: int = 0
    code: t.Optional[int] = None
    signal: str = ""
    expected: bool = False


def read_events(
    path: str, mark: Mark, supervisord: int = 0, judge: t.Optional[Judge] = None
) -> t.Tuple[t.List[LifeEvent], Mark]:
    """Return what supervisord has logged since a mark, and the mark at the end of that.

    Also where the log was rotated, renamed or deleted since. Where it is lost, nothing is returned for what it had.

    Args:
        path: of the log.
        mark: the end of an earlier reading; `NOTHING` takes all that there is, within the limit.
        supervisord: the pid of the supervisord that writes it, whose descriptor leads to a log without a name; 0 when
            none runs.
        judge: whether a file is for those who can write there.
    """
    directory, name = os.path.split(path)
    try:
        logs = OpenDirectory(directory, judge)
    except (FileNotFoundError, NotPlain):
        return [], NOTHING
    with logs:
        named = [functools.partial(logs.open, name)]
        named += [functools.partial(logs.open, f"{name}.{number}") for number in range(1, BACKUPS + 1)]
        parts = _read_back(named, mark)
        if supervisord and not (parts and parts[-1].reached):
            nameless = _descriptor(path, mark, supervisord)
            held = [functools.partial(open_followed, nameless, judge)] if nameless else []
            parts = _read_back([*held, *named], mark) if held else parts
    text = b"".join(part.text for part in reversed(parts))
    return [_event(match) for match in _EVENT.finditer(text)], parts[0].end if parts else NOTHING


class _Part(t.NamedTuple):
    """What was read of one file: whole lines, the mark at their end, and whether it begins where it should."""

    text: bytes
    end: Mark
    reached: bool


def _read_back(files: t.Sequence[t.Callable[[], int]], mark: Mark) -> t.List[_Part]:
    """Return what the files have since the mark, the newest first, back to the file of the mark."""
    parts: t.List[_Part] = []
    seen: t.Set[int] = set()
    left = READ_LIMIT
    for opened in files:
        part = _read_part(opened, mark, left)
        # While they are opened one may get the name of the next.
        if part is None or part.end[0] in seen:
            continue
        parts.append(part)
        seen.add(part.end[0])
        left -= len(part.text)
        if part.end[0] == mark[0] or left <= 0:
            break
    return parts


def _read_part(opened: t.Callable[[], int], mark: Mark, limit: int) -> t.Optional[_Part]:
    """Return what one file has, from the mark on when it is the mark's; None when it is not there, or not ours."""
    try:
        descriptor = opened()
    except OSError:
        # Whose life is not told then is seen by its process: state/lives.py.
        return None
    try:
        found = os.fstat(descriptor)
        known = found.st_ino == mark[0] and mark[1] <= found.st_size
        wanted = mark[1] if known else 0
        begin = max(wanted, found.st_size - limit)
        text = os.pread(descriptor, limit, begin)
    finally:
        os.close(descriptor)
    # A line that is being written is for the next look.
    text = text[: text.rfind(b"\n") + 1]
    return _Part(text, (found.st_ino, begin + len(text)), known and begin == wanted)


def _descriptor(path: str, mark: Mark, supervisord: int) -> str:
    """Return by which descriptor supervisord writes to a log that has lost its name; empty when there is none."""
    directory = f"/proc/{supervisord}/fd"
    try:
        names = os.listdir(directory)
    except OSError:
        # It has ended, or is not ours to look into.
        return ""
    for name in names:
        place = f"{directory}/{name}"
        try:
            target = os.readlink(place)
            # proc(5): the kernel adds this to the name of a file that was deleted.
            if target == f"{path} (deleted)" or (target.startswith(path) and os.stat(place).st_ino == mark[0]):
                return place
        except OSError:
            continue
    return ""


def _event(match: t.Match[bytes]) -> LifeEvent:
    clock, millis, born, pid, ended, name, code, signal, expected, started, leaving = match.groups()
    at = _seconds(clock) + int(millis) / 1000
    if born is not None:
        return LifeEvent(at, BORN, born.decode(), int(pid))
    if ended is not None:
        return LifeEvent(
            at,
            EXITED if ended == b"exited" else STOPPED,
            name.decode(),
            code=None if code is None else int(code),
            signal="" if signal is None else signal.decode(),
            expected=expected == b"expected",
        )
    if started is not None:
        return LifeEvent(at, STARTED)
    return LifeEvent(at, LEAVING, signal=leaving.decode())


@functools.lru_cache(maxsize=16)
def _seconds(clock: bytes) -> float:
    """Return a local time as seconds since the epoch; the same second is asked for by many lines."""
    year, month, day, hour, minute, second = map(int, re.split(rb"[- :]", clock))
    try:
        return time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
    except (ValueError, OverflowError):
        # No time of any calendar, so not written by supervisord.
        return 0.0
