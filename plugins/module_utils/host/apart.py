# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Work in a child process with a deadline: a file system, a file or a pattern of others may never come back.

A thread that hangs cannot be ended, a child can. One that hangs in the kernel may not end even when it is killed, so
nobody waits for it; init reaps it later. It has no file of its parent open, the standard ones included: who reads the
parent's output would wait for the child as well.
"""

from __future__ import annotations

import functools
import json
import os
import select
import signal
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError

_READ = 65_536
# Seconds in which a single path is looked at.
ANSWER = 2.0
# Seconds in which a file system that has not answered is not asked again.
REMEMBERED = 60.0
_silent_until: t.Dict[t.Hashable, float] = {}
# Seconds in which a child that was killed is gone, unless it hangs in the kernel.
_REAPED = 0.2


class TooLong(Exception):
    """The work took longer than it may, and was given up."""


def apart(work: t.Callable[[], t.Any], seconds: float, *, clock: Clock = SYSTEM) -> t.Any:
    """Return what ``work`` returns, done by a child that has no file of this process open.

    Args:
        work: returns JSON data, or raises RollcallError or OSError, which are raised here.
        seconds: after which it is given up.
        clock: of that deadline.

    Raises:
        TooLong: it was given up.
    """
    answers = apart_each({"": work}, seconds, clock=clock)
    if not answers:
        raise TooLong
    return answers[""]


def answers(path: str) -> bool:
    """Return whether there is something at a path, and its file system says so within a moment."""
    try:
        return bool(apart(lambda: os.path.exists(path), ANSWER))
    except TooLong:
        return False


def ask_place(place: t.Hashable, work: t.Callable[[], t.Any], seconds: float) -> t.Any:
    """Return what ``work`` returns as `apart` does, unless its place has kept somebody waiting a moment ago.

    On a file system that hangs may be a hundred processes, and each of them would take all of the time again.

    Args:
        place: the file system that is asked.
        work: as for `apart`.
        seconds: after which it is given up.

    Raises:
        TooLong: it was given up, now or a moment ago.
    """
    now = SYSTEM.monotonic()
    if now < _silent_until.get(place, now):
        raise TooLong
    try:
        return apart(work, seconds)
    except TooLong:
        _silent_until[place] = SYSTEM.monotonic() + REMEMBERED
        raise


def answers_in_time(path: str, place: str, seconds: float = ANSWER) -> bool:
    """Return whether the file system at ``place`` says, in time, whether there is something at ``path``."""
    try:
        ask_place(place, lambda: os.path.exists(path), seconds)
    except OSError:
        return True
    except TooLong:
        return False
    return True


def apart_each(
    works: t.Mapping[str, t.Callable[[], t.Any]], seconds: float, *, clock: Clock = SYSTEM
) -> t.Dict[str, t.Any]:
    """Return what each of ``works`` returns, done one after the other by one child, as ``apart``.

    Returns:
        By name; without those that were not done in time. Of these the first, in the order of ``works``, took too long.
    """
    return begin_each(works, seconds, clock=clock)()


def begin_each(
    works: t.Mapping[str, t.Callable[[], t.Any]], seconds: float, *, clock: Clock = SYSTEM
) -> t.Callable[[], t.Dict[str, t.Any]]:
    """Begin what `apart_each` does, and return what waits for its answers; that must be called, once."""
    child = _Child(list(works.values()), seconds, clock)
    return functools.partial(_answers, list(works), child, Deadline(seconds, clock))


class Works(t.NamedTuple):
    """What a child is to do, by name, and the seconds in which all of it must be done."""

    by_name: t.Mapping[str, t.Callable[[], t.Any]]
    seconds: float


def in_turn(first: Works, then: Works, *, clock: Clock = SYSTEM) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Any]]:
    """Return what `apart_each` returns for each of two, the second one done after the first.

    One child does both: after a fork its parent, too, pays for each page of memory that it uses again. Where the first
    is not done in time, another child does the second.
    """
    child = _Child([*first.by_name.values(), *then.by_name.values()], first.seconds + then.seconds, clock)
    try:
        child.read(Deadline(first.seconds, clock), len(first.by_name))
        in_time = len(child.lines()) >= len(first.by_name)
        if in_time:
            child.read(Deadline(then.seconds, clock))
    finally:
        child.end()
    lines = child.lines()
    answers = {name: _value(line) for name, line in zip(first.by_name, lines)}
    if not in_time:
        return answers, apart_each(then.by_name, then.seconds, clock=clock)
    return answers, {name: _value(line) for name, line in zip(then.by_name, lines[len(first.by_name) :])}


# Children that were killed and hang in the kernel, until they are gone.
_left: t.List[int] = []


def hanging() -> int:
    """Return how many children of `Begun` were killed and are not gone, as they hang in the kernel."""
    _left[:] = [pid for pid in _left if os.waitpid(pid, os.WNOHANG)[0] != pid]
    return len(_left)


class Begun:
    """A child that does one work, for whoever waits for other things besides.

    Args:
        work: as for `apart`; first of all in it, the child takes back what it has inherited of signals.
        seconds: after which the child is ended, whoever waits for it.

    Attributes:
        reader: becomes readable when the child has something to say, or has ended.

    Raises:
        OSError: there can be no child just now.
    """

    def __init__(self, work: t.Callable[[], t.Any], seconds: float) -> None:
        self._said = bytearray()
        self.reader, writer = os.pipe()
        try:
            self._pid = os.fork()
            if self._pid == 0:
                _be_child([work], writer, seconds)
        except OSError:
            os.close(self.reader)
            raise
        finally:
            os.close(writer)

    def read(self) -> bool:
        """Read what it says; return whether it has ended. To be called when ``reader`` is readable."""
        piece = os.read(self.reader, _READ)
        self._said += piece
        return not piece

    def answer(self) -> t.Any:
        """Return what the work returned, once it has ended; raises what the work has raised.

        Raises:
            TooLong: it was ended before it had done its work.
        """
        self._reap()
        if not self._said.endswith(b"\n"):
            raise TooLong
        return _value(bytes(self._said))

    def end(self) -> None:
        """End it, whatever it does; for one that hangs in the kernel nobody waits (`hanging`)."""
        os.kill(self._pid, signal.SIGKILL)
        self._reap()

    def _reap(self) -> None:
        os.close(self.reader)
        if not Deadline(_REAPED).poll(lambda: os.waitpid(self._pid, os.WNOHANG)[0] == self._pid, 0.001):
            _left.append(self._pid)


class _Child:
    """A child that does works one after the other, and says a line when one is done."""

    def __init__(self, works: t.Sequence[t.Callable[[], t.Any]], seconds: float, clock: Clock) -> None:
        self._count = len(works)
        self._clock = clock
        self._said = bytearray()
        self._ended = False
        self._reader, writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _be_child(works, writer, seconds)
        os.close(writer)

    def read(self, deadline: Deadline, count: t.Optional[int] = None) -> None:
        """Read what it says until time is up, it has ended, or it has said so many lines."""
        while count is None or self._said.count(b"\n") < count:
            if not select.select([self._reader], [], [], deadline.remaining())[0]:
                return
            piece = os.read(self._reader, _READ)
            if not piece:
                # It has closed its end, which it only does by ending.
                self._ended = True
                return
            self._said += piece

    def lines(self) -> t.List[bytes]:
        """Return what it has said so far of each work that is done.

        Raises:
            RuntimeError: it was killed before it had done all.
        """
        # What stands behind the last line end was never written to its end.
        lines = bytes(self._said).split(b"\n")[:-1]
        if self._ended and len(lines) < self._count:
            raise RuntimeError("the child of a look was killed")
        return lines

    def end(self) -> None:
        """Reap it when it has ended; else end it."""
        os.close(self._reader)
        if self._ended:
            os.waitpid(self._pid, 0)
        else:
            os.kill(self._pid, signal.SIGKILL)
            Deadline(_REAPED, self._clock).poll(lambda: os.waitpid(self._pid, os.WNOHANG)[0] == self._pid, 0.001)


def _answers(names: t.Sequence[str], child: _Child, deadline: Deadline) -> t.Dict[str, t.Any]:
    try:
        child.read(deadline)
    finally:
        child.end()
    return {name: _value(line) for name, line in zip(names, child.lines())}


def _value(line: bytes) -> t.Any:
    answer = json.loads(line)
    if "error" in answer:
        error = answer["error"]
        raise RollcallError(
            error["message"], kind=error["kind"], evidence=error["evidence"], remedies=error["remedies"]
        )
    if "errno" in answer:
        raise OSError(answer["errno"], os.strerror(answer["errno"]), answer["path"])
    if "fault" in answer:
        raise RuntimeError(answer["fault"])
    return answer["value"]


def _be_child(works: t.Sequence[t.Callable[[], t.Any]], writer: int, seconds: float) -> t.NoReturn:
    """Do the works, write a line for each, and end this process; nothing of the caller may run in it."""
    try:
        # The kernel ends it when its parent was ended meanwhile, also in the middle of a pattern.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds + 1)
        # A lock among them would stay locked for as long as this child hangs, and a pipe would have no end.
        close_all_but(writer)
        empty = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(empty, standard)
        for work in works:
            answer = json.dumps(_done(work)).encode("utf-8") + b"\n"
            while answer:
                answer = answer[os.write(writer, answer) :]
    finally:
        os._exit(0)


def _done(work: t.Callable[[], t.Any]) -> t.Dict[str, t.Any]:
    try:
        return {"value": work()}
    except RollcallError as exc:
        return {"error": exc.as_dict()}
    except OSError as exc:
        return {"errno": exc.errno, "path": exc.filename}
    except Exception:  # noqa: BLE001 - the caller raises it
        import traceback  # late: nothing of this is to happen

        return {"fault": traceback.format_exc()}


def close_all_but(*kept: int) -> None:
    """Close every descriptor of this process from 3 on, besides ``kept``."""
    for name in os.listdir("/dev/fd"):
        if int(name) > 2 and int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:
                # This one was open while the directory was listed.
                continue
