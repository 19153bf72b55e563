# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What somebody has stopped, who, and when.

Services that were stopped by name stay stopped until somebody starts them. A whole stack that was stopped is told so.
"""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.files import read_record, write_record
from ..base.text import readable_time
from ..manifest.model import Stack

# In the place of a service's name: the whole stack was stopped.
WHOLE = ""


class StoppedByHand(t.NamedTuple):
    """That a service was stopped by name, or the whole stack.

    Attributes:
        by: who did it.
        at: when, in seconds since the epoch.
        along: the service that was named, where this one was stopped because it depends on that; else empty.
    """

    by: str
    at: float
    along: str = ""

    @property
    def words(self) -> str:
        """What there is to say of it, for people."""
        told = f"stopped by {self.by} since {readable_time(self.at)}"
        return f"{told}, together with {self.along}" if self.along else told


Stopped = t.Mapping[str, StoppedByHand]


def read_stopped(stack: Stack) -> t.Dict[str, StoppedByHand]:
    """Return the services of a stack that were stopped by name, and under ``WHOLE`` that the stack was.

    Raises:
        RollcallError: the record is there and cannot be read.
    """

    def parse(data: t.Any) -> t.Dict[str, StoppedByHand]:
        return {
            str(name): StoppedByHand(str(row["by"]), float(row["at"]), str(row["along"])) for name, row in data.items()
        }

    remedies = [cures.remove(path(stack))]
    none: t.Dict[str, StoppedByHand] = {}
    found = read_record(path(stack), parse, none, "The record of what was stopped by hand", remedies)
    names = {WHOLE, *(service.name for service in stack.services)}
    return {name: one for name, one in found.items() if name in names}


def keep_stopped(stack: Stack, stopped: Stopped) -> None:
    """Record what was stopped; arguments as `read_stopped` returns it.

    Raises:
        OSError: it could not be written; the record is as it was.
    """
    write_record(path(stack), {name: one._asdict() for name, one in stopped.items()})


def path(stack: Stack) -> str:
    """Return the file with the record."""
    return os.path.join(stack.paths.state, "stopped.json")
