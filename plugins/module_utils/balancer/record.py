# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which servers we have taken out: a file beside the balancer, written before the first order and after the last.

It is how our maintenance is told from somebody else's, also when whoever has ordered it was killed.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..base.files import read_record, write_record
from ..base.removing import remove
from .haproxy import MOST_SERVERS, ServerKey

_SUBJECT = "The record of the servers that were drained"


@dataclasses.dataclass(frozen=True)
class DrainRecord:
    """What we have taken out.

    Attributes:
        by: who, such as the id of a rollout; of several, the first.
        since: when, in seconds since the epoch.
        servers: the servers.
    """

    by: str = ""
    since: float = 0.0
    servers: t.FrozenSet[ServerKey] = frozenset()


def read_drained(path: str) -> DrainRecord:
    """Return the record in a file; an empty one when there is no file.

    Raises:
        RollcallError: the file is there and is no record, or may not be read.
    """
    return read_record(path, _parsed, DrainRecord(), _SUBJECT, [cures.move_away(path)])


def write_drained(path: str, record: DrainRecord) -> None:
    """Replace the record in a file; the directory is made, and one without servers has no file.

    Raises:
        RollcallError: it cannot be written.
    """
    data = {"by": record.by, "since": record.since, "servers": sorted(map(list, record.servers))}
    try:
        if record.servers:
            os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o755, exist_ok=True)
            write_record(path, data)
        else:
            remove(path, missing_ok=True)
    except OSError as exc:
        raise RollcallError(
            f"{_SUBJECT} cannot be written to {path}: {exc.strerror}.",
            evidence={"path": path, "cause": str(exc)},
            remedies=[cures.AS_ROOT],
        ) from exc


def _parsed(data: t.Any) -> DrainRecord:
    servers = data["servers"]
    if not isinstance(servers, list) or len(servers) > MOST_SERVERS:
        raise ValueError("it has no list of servers")
    keys = frozenset(ServerKey(*map(str, server)) for server in servers)
    return DrainRecord(str(data["by"])[:200], float(data["since"]), keys)
