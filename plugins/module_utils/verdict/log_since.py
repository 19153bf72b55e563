# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What was written to a log since a run began, or since a moment; over rotation. Changes nothing.

Where a log stood when a run began is kept. Between two runs only lines that begin with a time tell more: of what is
older than the moment as much is left out as can be proved to be.
"""

from __future__ import annotations

import os
import re
import typing as t
from datetime import datetime

from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..base.opening import NotPlain
from ..base.text import readable_time
from ..host.accounts import readable_by
from ..manifest.model import Paths, Stack
from ..state.history import recorded_run
from ..state.log_marks import LogMark
from ..state.log_positions import kept_positions, position_before
from ..state.log_spans import LogFiles, Span, held_files, span_since
from ..supervisord.running import supervisords_of
from .log_lines import MOST, Log, told_lines

# How often a log is read again that is rotated meanwhile.
_AGAIN = 3
# Seconds by which a clock may be set otherwise than the one of whoever types a time.
_AHEAD = 60.0
_RUN = re.compile(r"\d{8}-[0-9a-f-]*\Z")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_SPAN = re.compile(r"(?:\d+(?:s|min|m|h|d))+\Z")
_PART = re.compile(r"(\d+)(s|min|m|h|d)")
_OF_DAY = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?\Z")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# How lines begin that have a time: ISO 8601 (logging, gunicorn, systemd), after a word such as INFO where there is one,
# or as the value of a key of that name; and the log of a web server (Common Log Format).
_ISO = re.compile(
    r"""(?:[\[(<]?(?:[A-Z]{4,8}[\])>:]*\s+[\[(]?)?|\{.{0,400}?"(?:@?timestamp|time|ts|asctime|datetime)":\s*")"""
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,]\d{1,9})?\s?(Z|[+-]\d\d:?\d\d)?"
)
_WEB = re.compile(rf"\S+ \S+ \S+ \[(\d\d)/({'|'.join(_MONTHS)})/(\d{{4}}):(\d\d):(\d\d):(\d\d) ([+-]\d{{4}})\]")


class Moment(t.NamedTuple):
    """From when on logs are read: seconds since the epoch; and the id of the run that began then, or empty."""

    at: float
    run: str = ""


def moment_of(paths: Paths, words: str, clock: Clock = SYSTEM) -> Moment:
    """Return what somebody means by ``--since``.

    Args:
        paths: of the stack.
        words: the id of a run or the beginning of it, a time of the day, a time by ISO 8601, or how long ago.
        clock: whose present it is.

    Raises:
        RollcallError: ``wrong_use``: it is none of them, or lies ahead; there is no such run, or are several.
    """
    now = clock.wall()
    if _RUN.match(words):
        found = recorded_run(paths, words)
        return Moment(found["time"] or now, found["run"])
    at = _moment(words, now)
    if at is None or at < 0:
        raise RollcallError(
            f"--since takes the id of a run, as 'rollcall history' tells it, a time such as 14:05 or "
            f"2026-05-31T14:05, or how long ago, such as 10m; and '{words}' is none of them.",
            kind="wrong_use",
            evidence={"since": words},
        )
    if at > now + _AHEAD:
        raise RollcallError(
            f"--since {words} lies ahead: here it is {readable_time(now)}.",
            kind="wrong_use",
            evidence={"since": words, "now": now},
        )
    return Moment(at)


def _moment(words: str, now: float) -> t.Optional[float]:
    """Return seconds since the epoch; None for words that are no time."""
    try:
        if _SPAN.match(words):
            return now - sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(words))
        of_day = _OF_DAY.match(words)
        if of_day is None:
            # Before Python 3.11 it does not know the Z.
            return datetime.fromisoformat(re.sub(r"[zZ]\Z", "+00:00", words)).timestamp()
        hour, minute, second = (int(part or 0) for part in of_day.groups())
        today = datetime.fromtimestamp(now).replace(hour=hour, minute=minute, second=second, microsecond=0)
    except (ValueError, OverflowError, OSError):
        return None
    # The latest such time: at half past midnight, 23:50 was yesterday.
    days = 0 if today.timestamp() <= now + _AHEAD else 1
    return today.timestamp() - days * 86_400.0


def lines_since(
    logs: t.Sequence[Log], stack: Stack, moment: Moment, clock: Clock = SYSTEM
) -> t.Dict[str, t.Tuple[t.List[str], t.List[str]]]:
    """Return by service the lines since a moment, and what is to be known of them.

    What is followed afterwards begins where they end.

    Args:
        logs: they.
        stack: the manifest.
        moment: from when on.
        clock: of the end.
    """
    files = LogFiles(held_files([one.pid for one in supervisords_of(stack)]), readable_by(stack.user))
    kept = kept_positions(stack.paths.state, moment.run) if moment.run else {}
    try:
        return {log.name: _lines_of(log, stack, moment, kept.get(log.name), files, clock.wall()) for log in logs}
    finally:
        files.close()


def _lines_of(
    log: Log, stack: Stack, moment: Moment, kept: t.Optional[LogMark], files: LogFiles, now: float
) -> t.Tuple[t.List[str], t.List[str]]:
    mark = kept if kept is not None else position_before(stack.paths.state, log.name, moment.at)
    if not mark.time:
        mark = LogMark(time=moment.at)
    try:
        span, text, missed = _read(log.path, mark, files, now)
    except OSError:
        # Why it cannot be read the log itself says.
        return [], []
    log.continue_at(span.mark)
    notes = [*span.gaps, *([f"the first {missed} bytes are left out"] if missed else [])]
    lines = told_lines(text.decode("utf-8", "replace"))
    if kept is not None:
        return lines, notes
    lines, known = since_by_time(lines, moment.at)
    if lines and not known:
        begin = f"from {readable_time(mark.time)} on, when a run began" if mark.inode else "from its beginning on"
        notes.append(f"no line says when it was written; shown {begin}")
    return lines, notes


def _read(path: str, mark: LogMark, files: LogFiles, now: float) -> t.Tuple[Span, bytes, int]:
    """Return where the log was since a mark, the last of what was written, and how many bytes before are left out.

    Raises:
        OSError: it cannot be read.
    """
    for again in range(_AGAIN, -1, -1):
        span = span_since(path, mark, files, now)
        total, parts = 0, []
        try:
            for piece in reversed(span.pieces):
                wanted = min(piece.end - piece.start, MOST - total)
                descriptor = files.open(piece.path)
                try:
                    if os.fstat(descriptor).st_ino != piece.inode:
                        raise FileNotFoundError(piece.path)
                    parts.append(os.pread(descriptor, wanted, piece.end - wanted))
                finally:
                    os.close(descriptor)
                total += wanted
        except NotPlain:
            raise
        except FileNotFoundError:
            # It was rotated between both looks.
            if not again:
                raise
            continue
        whole = sum(piece.end - piece.start for piece in span.pieces)
        return span, b"".join(reversed(parts)), whole - total
    raise AssertionError("unreachable")


def since_by_time(lines: t.Sequence[str], at: float) -> t.Tuple[t.List[str], bool]:
    """Return the lines without those that are older than a moment, and whether any line has a time.

    A line without one may be as new as the next that has one, so it is left out only before a line that is older.

    Args:
        lines: in the order in which they were written.
        at: seconds since the epoch.
    """
    begin, known = 0, False
    for number, line in enumerate(lines):
        stamp = time_of(line)
        if stamp is None:
            continue
        known = True
        # Lines have whole seconds.
        if stamp >= int(at):
            break
        begin = number + 1
    return list(lines[begin:]), known


def time_of(line: str) -> t.Optional[float]:
    """Return the time that a line begins with, in seconds since the epoch; None where there is none.

    One without its distance from UTC is taken as local time.
    """
    found = _ISO.match(line)
    try:
        if found is not None:
            year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
            zone = found.group(7)
        else:
            found = _WEB.match(line)
            if found is None:
                return None
            day, year, hour, minute, second = (int(found.group(number)) for number in (1, 3, 4, 5, 6))
            month, zone = _MONTHS.index(found.group(2)) + 1, found.group(7)
        if zone:
            zone = "+00:00" if zone == "Z" else f"{zone[:3]}:{zone[-2:]}"
        return datetime.fromisoformat(
            f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone or ''}"
        ).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
