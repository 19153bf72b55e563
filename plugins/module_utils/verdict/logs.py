# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What the logs of the services say since their marks: all of it is read, by a child with a deadline, and judged.

A part that cannot be read is a gap, and a log with a gap is not judged good.
"""

from __future__ import annotations

import functools
import os
import re
import time
import typing as t

from ..base.clock import SYSTEM, Clock
from ..base.opening import NotPlain
from ..base.text import last_lines
from ..host.accounts import readable_by
from ..host.apart import Works, apart_each
from ..manifest.critical import IN_USE
from ..manifest.model import Stack
from ..manifest.patterns import parsed
from ..state.log_marks import LogMark, LogMarks
from ..state.log_spans import LogFiles, Piece, held_files, span_since
from ..supervisord.places import log_file
from . import limits
from .observation import LogSeen

# Seconds after which the child itself stops reading, and says how much is left.
READING = 7.0
# Bytes that are read at once. A longer line is judged in parts, of which each begins with the end of the one before.
CHUNK = 1 << 20
OVERLAP = 4096
# Bytes behind a chunk in which the rest of a traceback is looked for.
AHEAD = 1 << 16
TAIL_LINES = 12
TAIL_BYTES = 1 << 14
CRITICAL_LINES = 20
# Characters of a line that are shown, and how many of them may stand before what was found.
LINE, BEFORE = 1000, 200
# Frames of a long traceback that are shown: the first ones, and the last ones, which tell what went wrong.
FRAMES_FIRST, FRAMES_LAST = 2, 6
# How often a log is looked for again that is rotated while it is read.
AGAIN = 3

# Colours and other sequences for a terminal (ECMA-48): CSI, OSC, and those of two characters.
_ANSI = re.compile(rb"\x1b(?:\[[0-9:;<=>?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")

# What is only how a text is written: the zero bytes that UTF-16 has between the letters of ASCII, and its mark of the
# byte order, which goes first, for it may have one beside it; that of UTF-8.
_ENCODING = (b"\xff\xfe", b"\xfe\xff", b"\0", b"\xef\xbb\xbf")
# The same, by a sign without which it is not there: colours; a letter that is struck over by the next.
_DRESS: t.Mapping[bytes, t.Pattern[bytes]] = {b"\x1b": _ANSI, b"\b": re.compile(rb"[^\n]\x08")}

# Lines that are told of an address that is in use.
IN_USE_LINES = 3

TRACEBACK = "Traceback (most recent call last)"

Patterns = t.Sequence[t.Pattern[str]]


class _Rotated(Exception):
    """Another file has the name of a piece by now."""


def read_logs(
    stack: Stack,
    marks: LogMarks,
    supervisords: t.Iterable[int],
    *,
    began: t.Optional[LogMarks] = None,
    clock: Clock = SYSTEM,
) -> t.Dict[str, LogSeen]:
    """Return what the log of each service says since its mark.

    Args:
        stack: the manifest.
        marks: of the services whose logs are read.
        supervisords: pids of the supervisords of the stack, which have logs open that were renamed or deleted.
        began: where the logs stood when a run began, to tell what was written before it.
        clock: of the deadline.
    """
    looks = log_works(stack, marks, supervisords, began=began)
    return logs_of(stack, marks, apart_each(*looks, clock=clock))


def log_works(
    stack: Stack, marks: LogMarks, supervisords: t.Iterable[int], *, began: t.Optional[LogMarks] = None
) -> Works:
    """Return what a child is to do for `logs_of`; arguments as `read_logs`."""
    deadline: t.List[float] = []
    patterns: t.List[t.Pattern[str]] = []
    pids = list(supervisords)
    opened: t.List[LogFiles] = []

    def work(name: str) -> t.List[t.Any]:
        # In the child: to look at an open file may hang as well, and to compile a pattern may take long.
        opened[:] = opened or [LogFiles(held_files(pids), readable_by(stack.user))]
        patterns[:] = patterns or compiled(stack.checks.log_critical)
        now = time.monotonic()
        deadline[:] = deadline or [now + READING]
        # One that is very long leaves half of the time to the others.
        portless = not stack.service(name).all_ports
        log = _Log(log_file(stack, name), opened[0], patterns, now + (deadline[0] - now) / 2, portless=portless)
        seen = log.judged(marks[name])
        if _says(seen):
            since = marks[name] if began is None else began.get(name, marks[name])
            later = seen if since == marks[name] else log.judged(since)
            seen = seen._replace(earlier=not _says(later))
        return list(seen)

    return Works({name: functools.partial(work, name) for name in _named(stack, marks)}, limits.LOGS)


def _says(seen: LogSeen) -> bool:
    """Return whether there is anything in a log that a verdict may fail for."""
    return bool(seen.critical or seen.gaps or seen.unfit or seen.in_use)


def _named(stack: Stack, marks: LogMarks) -> t.List[str]:
    return [service.name for service in stack.services if service.name in marks]


def logs_of(stack: Stack, marks: LogMarks, answers: t.Mapping[str, t.Any]) -> t.Dict[str, LogSeen]:
    """Return what a child has found by `log_works`, and that it was not done with some of it in time."""
    names = _named(stack, marks)
    found = {name: _as_seen(answer) for name, answer in answers.items()}
    late = [name for name in names if name not in answers]
    for name in late:
        path = log_file(stack, name)
        why = f"{path} was not judged within {limits.LOGS:g} s: it hangs, or a pattern of checks.logs.critical does"
        waits = f"{path} was not read: {log_file(stack, late[0])} took all the time"
        found[name] = LogSeen(gaps=(why if name == late[0] else waits,), mark=marks[name])
    return found


def _as_seen(answer: t.Sequence[t.Any]) -> LogSeen:
    critical, gaps, tail, mark, *others = answer
    return LogSeen(tuple(critical), tuple(gaps), tail, LogMark(*mark), *others)


class _Log:
    """One log.

    Args:
        path: of it.
        logs: where parts of logs may be.
        patterns: what is critical.
        end: when to stop reading, on the monotonic clock.
        portless: whether the service has no port, so that lines count which say that an address is in use.
    """

    def __init__(self, path: str, logs: LogFiles, patterns: Patterns, end: float, *, portless: bool) -> None:
        self._path = path
        self._logs = logs
        self._patterns = patterns
        self._end = end
        self._in_use_patterns = compiled(IN_USE) if portless else []
        self._in_use: t.List[str] = []

    def judged(self, mark: LogMark) -> LogSeen:
        """Return what was written since a mark."""
        for _again in range(AGAIN):
            try:
                return self._judged(mark)
            except _Rotated:
                continue
            except NotPlain as exc:
                return LogSeen(mark=mark, unfit=(exc.path, exc.words))
            except OSError as exc:
                return LogSeen(gaps=(f"{self._path} cannot be read: {exc.strerror}",), mark=mark)
        return LogSeen(gaps=(f"{self._path} is rotated faster than it can be read",), mark=mark)

    def _judged(self, mark: LogMark) -> LogSeen:
        span = span_since(self._path, mark, self._logs, time.time())
        critical: t.List[str] = []
        self._in_use.clear()
        gaps = list(span.gaps) if self._patterns else []
        tail: t.List[str] = []
        begun = b""
        for number, piece in enumerate(span.pieces):
            tail = [*tail, *self._tail(piece)][-TAIL_LINES:]
            left = 0
            if self._patterns and len(critical) < CRITICAL_LINES:
                last = not any(later.end > later.start for later in span.pieces[number + 1 :])
                left, begun = self._read(piece, critical, begun, last=last)
            if left:
                left += sum(later.end - later.start for later in span.pieces[number + 1 :])
                gaps.append(f"{self._path} is long: of what was written since its mark, {left} bytes were not judged")
                break
        told = tuple(critical[:CRITICAL_LINES])
        in_use = tuple(self._in_use[:IN_USE_LINES])
        lost = self._logs.is_lost(self._path)
        return LogSeen(told, tuple(gaps), "\n".join(tail), span.mark, unfit=span.unfit, in_use=in_use, lost=lost)

    def _read(self, piece: Piece, critical: t.List[str], begun: bytes, *, last: bool) -> t.Tuple[int, bytes]:
        """Add the critical lines of a piece, until there are enough.

        Args:
            piece: of the log.
            critical: where they are added.
            begun: the line that the piece before has ended with, when that had no end.
            last: whether no other piece has the rest of such a line of this one.

        Returns:
            How many bytes there was no time for, and that line of this piece.
        """
        descriptor = self._opened(piece)
        try:
            position = piece.start
            while position < piece.end and len(critical) < CRITICAL_LINES:
                if time.monotonic() > self._end:
                    return piece.end - position + len(begun), b""
                read = os.pread(descriptor, min(CHUNK, piece.end - position), position)
                if not read:
                    # Truncated since.
                    raise _Rotated
                position += len(read)
                data = begun + read
                used = len(data) if last and position >= piece.end else data.rfind(b"\n") + 1
                if not used and len(data) < CHUNK:
                    begun = data
                    continue
                # Of a line that has no end for long, a part is judged twice.
                whole, begun = (data[:used], data[used:]) if used else (data, data[-OVERLAP:])
                if self._may_be_critical(whole):
                    ahead = begun + os.pread(descriptor, min(AHEAD, piece.end - position), position)
                    critical += critical_lines(self._patterns, _text(whole), _text(ahead) if used else "")
                if any(word in whole for word in map(needed_words, self._in_use_patterns)):
                    self._in_use += critical_lines(self._in_use_patterns, _text(whole))
        finally:
            os.close(descriptor)
        return 0, begun

    def _tail(self, piece: Piece) -> t.List[str]:
        descriptor = self._opened(piece)
        try:
            begin = max(piece.start, piece.end - TAIL_BYTES)
            return last_lines(_text(os.pread(descriptor, piece.end - begin, begin)), TAIL_LINES)
        finally:
            os.close(descriptor)

    def _opened(self, piece: Piece) -> int:
        """Return a descriptor of the file of a piece.

        Raises:
            _Rotated: its name is another file's by now, or of something that is none.
        """
        try:
            descriptor = self._logs.open(piece.path)
        except NotPlain as exc:
            raise _Rotated from exc
        if os.fstat(descriptor).st_ino != piece.inode:
            os.close(descriptor)
            raise _Rotated
        return descriptor

    def _may_be_critical(self, data: bytes) -> bool:
        """Return whether a pattern may match: a quick look, for most of a log has nothing to say."""
        words = map(needed_words, self._patterns)
        return any(sign in data for sign in (*_ENCODING, *_DRESS, *words))


def _text(data: bytes) -> str:
    for sign in _ENCODING:
        # No pattern: with one, some megabytes of zero bytes take seconds.
        data = data.replace(sign, b"")
    for sign, pattern in _DRESS.items():
        if sign in data:
            data = pattern.sub(b"", data)
    return data.decode("utf-8", "replace")


# --- what is critical ---------------------------------------------------------------------------------------------


def compiled(patterns: t.Iterable[str]) -> Patterns:
    """Return the patterns of a manifest, ready to search with."""
    return [re.compile(pattern) for pattern in patterns]


@functools.cache
def needed_words(pattern: t.Pattern[str]) -> bytes:
    """Return words without which a pattern cannot match; empty, which everything has, when there are none for sure."""
    if pattern.flags & re.IGNORECASE:
        return b""
    longest = words = ""
    for kind, value in parsed(pattern.pattern):
        words = words + chr(value) if str(kind) == "LITERAL" else words if str(kind) == "AT" else ""
        longest = max(longest, words, key=len)
    return longest.encode("utf-8") if longest.isascii() else b""


def critical_lines(patterns: Patterns, text: str, ahead: str = "") -> t.List[str]:
    """Return the lines of a log that match; a traceback with its frames.

    Args:
        patterns: what is critical.
        text: of the log.
        ahead: what comes after it, where the rest of a traceback may be.
    """
    # Most patterns cannot match at all, and to find that out line by line takes ten times as long.
    possible = [pattern for pattern in patterns if needed_words(pattern).decode("ascii") in text]
    found: t.List[str] = []
    lines = text.splitlines() if possible else []
    following = [*lines, *ahead.splitlines()] if ahead else lines
    for number, line in enumerate(lines):
        match = next((match for match in (pattern.search(line) for pattern in possible) if match), None)
        if match is not None:
            frames = _traceback_after(following, number)
            found += [_shown(line, match.start()), *(_shown(frame, 0) for frame in frames)]
        if len(found) >= CRITICAL_LINES:
            break
    return found[:CRITICAL_LINES]


def _shown(line: str, start: int) -> str:
    """Return a line, or of a very long one the part where something was found."""
    begin = max(0, start - BEFORE) if len(line) > LINE else 0
    return line[begin : begin + LINE]


def _traceback_after(lines: t.Sequence[str], number: int) -> t.List[str]:
    """Return the frames below a Python traceback's first line, and the exception. Leaves out frames in the middle."""
    if TRACEBACK not in lines[number]:
        return []
    end = number + 1
    while end < len(lines) and lines[end].startswith((" ", "\t")):
        end += 1
    frames, closing = lines[number + 1 : end], lines[end : end + 1]
    if not frames or lines[number].startswith((" ", "\t")):
        # A line of JSON has all in itself, and a group of exceptions all in its frames.
        closing = []
    if len(frames) > FRAMES_FIRST + FRAMES_LAST:
        left_out = f"  ... {len(frames) - FRAMES_FIRST - FRAMES_LAST} lines ..."
        frames = [*frames[:FRAMES_FIRST], left_out, *frames[-FRAMES_LAST:]]
    return [*frames, *closing]
