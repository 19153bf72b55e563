# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wall clock that jumps: Python's own, moved by a number that lies in a file which all processes share.

Imported by a .pth file, so by every Python of the stack when it starts: supervisord, the engine, the services. It
moves what they read with the module ``time`` and leaves the monotonic clock alone, as a real jump does. What the kernel
writes by itself, such as the times of files, does not jump: a container must not set its machine's clock.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import struct
import time
from collections.abc import Callable
from pathlib import Path

PAGE = Path("/srv/chaos/clock")


def install(page: mmap.mmap) -> None:
    """Put the jumping clock in the place of the real one."""
    real, real_ns = time.time, time.time_ns
    real_local, real_utc, real_text = time.localtime, time.gmtime, time.strftime

    def offset() -> float:
        return float(struct.unpack_from("d", page)[0])

    def now() -> float:
        return real() + offset()

    def now_ns() -> int:
        return real_ns() + int(offset() * 1e9)

    def localtime(seconds: float | None = None) -> time.struct_time:
        return real_local(now() if seconds is None else seconds)

    def gmtime(seconds: float | None = None) -> time.struct_time:
        return real_utc(now() if seconds is None else seconds)

    def strftime(form: str, moment: time.struct_time | None = None) -> str:
        return real_text(form, localtime() if moment is None else moment)

    jumping: list[Callable[..., object]] = [now, now_ns, localtime, gmtime, strftime]
    for name, function in zip(("time", "time_ns", "localtime", "gmtime", "strftime"), jumping, strict=True):
        # As time's own functions, a partial does not become a method where a class keeps it (logging.Formatter).
        setattr(time, name, functools.partial(function))


def jump(seconds: float) -> None:
    """Set how far the clock is from the real one, for every process at once."""
    # In place: they have this very page mapped.
    with PAGE.open("r+b" if PAGE.exists() else "w+b") as stream:
        stream.write(struct.pack("d", seconds))


def begin() -> None:
    """Install it where the shared page can be read; a Python without one keeps the real clock."""
    with contextlib.suppress(OSError), PAGE.open("rb") as stream:
        install(mmap.mmap(stream.fileno(), struct.calcsize("d"), prot=mmap.PROT_READ))
