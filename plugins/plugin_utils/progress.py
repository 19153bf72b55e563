# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How far the hosts are with a run: from the actions, which wait, to the callback, which shows it.

Ansible forks a process for each task and host, and its callbacks are in the first one. The callback opens a pair of
sockets before that; the actions write to one end, and nobody waits for anybody. Where there is no callback that shows
it, nothing is told, and no host is asked more than once.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import printable
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.live import fitted
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.steps import LAST, step_at
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import waits_words

if t.TYPE_CHECKING:
    from ansible_collections.rollcall.supervisor.plugins.module_utils.base.documents import ProgressData

# Bytes of one message, hosts that are shown, and seconds after other output before something is drawn in place again.
MOST = 60_000
SHOWN = 8
CALM = 0.4


class News(t.NamedTuple):
    """What a host has said of its run.

    Attributes:
        at: when, in seconds of the monotonic clock.
        applies: whether the run is one of an install, which has twelve steps.
        progress: it.
    """

    at: float
    applies: bool
    progress: ProgressData


class _Channel(t.NamedTuple):
    reads: socket.socket
    writes: socket.socket
    patience: float


_channel: t.List[_Channel] = []


def open_channel(patience: float) -> None:
    """Have what is told from now on, in this process and in those it forks, be kept for ``heard``.

    Args:
        patience: after how many seconds a host that is at a run says how far it is; with 0 or less it never does.
    """
    if _channel or patience <= 0:
        return
    with contextlib.suppress(OSError):
        reads, writes = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in (reads, writes):
            end.setblocking(False)
        _channel.append(_Channel(reads, writes, patience))


def patience_for(hosts: int) -> t.Optional[float]:
    """Return after how many seconds one of some hosts is to say how far it is; None where nobody shows it.

    To be asked again costs the controller 25 ms a host: of many hosts each is asked less often.
    """
    return max(_channel[0].patience, hosts / 4) if _channel else None


def tell(host: str, applies: bool, progress: ProgressData) -> None:
    """Tell how far a host is; what cannot be taken just now is dropped, and the next time it is newer.

    Args:
        host: its name in the inventory.
        applies: whether the run is one of an install.
        progress: what the host has said.
    """
    text = json.dumps([host, applies, {**progress, "waits": progress["waits"][:SHOWN]}]).encode()
    if _channel and len(text) <= MOST:
        with contextlib.suppress(OSError):
            _channel[0].writes.send(text)


def heard() -> t.Iterator[t.Tuple[str, News]]:
    """Yield by host what was told since the last time."""
    while _channel:
        try:
            host, applies, progress = json.loads(_channel[0].reads.recv(MOST))
        except OSError:
            return
        yield host, News(time.monotonic(), applies, progress)


def progress_line(host: str, news: News, now: float) -> str:
    """Return a line that says at which step a host is, what it waits for, and for how long by now.

    Args:
        host: its name in the inventory.
        news: what it has said.
        now: seconds of the monotonic clock.
    """
    progress, since = news.progress, max(0.0, now - news.at)
    waits = [{**one, "seconds": one["seconds"] + since} for one in progress["waits"]]
    if news.applies:
        number, name = step_at(progress["step"], [one["what"] for one in progress["waits"]])
        step = f"step {number}/{LAST} {name}"
    else:
        step = f"at '{progress['step']}'"
    waited = f"waits for {waits_words(t.cast('t.Any', waits))}" if waits else f"{progress['seconds'] + since:.0f} s"
    return printable(f"{host}: {step}, {waited}")


def progress_lines(news: t.Mapping[str, News], now: float) -> t.List[str]:
    """Return a line for each host that has said something, of many for the first, and how many more there are."""
    lines = [progress_line(host, one, now) for host, one in list(news.items())[:SHOWN]]
    return [*lines, *([f"and {len(news) - SHOWN} more hosts"] if len(news) > SHOWN else [])]


class Area:
    """Some lines at the end of a terminal's output, which are replaced in place and make way for all other output.

    Args:
        stream: the terminal.
    """

    def __init__(self, stream: t.TextIO) -> None:
        self._stream = stream
        self._shown = 0
        self._other = 0.0
        self._lock = threading.RLock()

    def draw(self, lines: t.Sequence[str], width: int) -> None:
        """Replace the lines, each cut to the width of the terminal; nothing while other output comes."""
        with self._lock:
            if time.monotonic() - self._other < CALM:
                return
            self._erase()
            # One column less: at the last one some terminals go on on the next line.
            self._stream.write("".join(f"{fitted(line, width - 1)}\n" for line in lines))
            self._stream.flush()
            self._shown = len(lines)

    def clear(self) -> None:
        """Take the lines away."""
        with self._lock:
            self._erase()
            self._stream.flush()

    @contextlib.contextmanager
    def aside(self) -> t.Iterator[None]:
        """Take the lines away for other output, which is written within."""
        with self._lock:
            self._erase()
            self._stream.flush()
            yield
            self._other = time.monotonic()

    def _erase(self) -> None:
        if self._shown:
            self._stream.write(f"\x1b[{self._shown}A\r\x1b[J")
            self._shown = 0


area: t.List[Area] = []


class Display:
    """Ansible's display, for a callback whose output comes between the lines of an area.

    Args:
        display: Ansible's.
    """

    def __init__(self, display: t.Any) -> None:
        self._display = display

    def __getattr__(self, name: str) -> t.Any:
        """Return what Ansible's display has."""
        return getattr(self._display, name)

    def display(self, *words: t.Any, **options: t.Any) -> None:
        """Print as Ansible does, with the area out of the way."""
        with area[0].aside() if area else contextlib.nullcontext():
            self._display.display(*words, **options)

    def banner(self, *words: t.Any, **options: t.Any) -> None:
        """Print a banner as Ansible does, with the area out of the way."""
        with area[0].aside() if area else contextlib.nullcontext():
            self._display.banner(*words, **options)


_allowed: t.List[bool] = []


def allow_place() -> None:
    """Let lines be replaced in place: what prints the tasks makes way for them."""
    _allowed[:] = [True]


def place() -> t.Optional[Area]:
    """Return where lines can be replaced in place; None where they cannot, or somebody else prints the tasks."""
    fits = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if fits and _allowed and not area:
        area.append(Area(sys.stdout))
    return area[0] if fits and area else None
