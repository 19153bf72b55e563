# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What the watcher of a stack remembers from look to look, and leaves for others to read: one file of JSON."""

from __future__ import annotations

import errno
import math
import os
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..base.files import NOT_AS_EXPECTED, read_text, try_lock, write_record

if t.TYPE_CHECKING:
    from ..base.documents import WatcherData
    from ..base.watch_documents import WatchState

Kinds = t.Mapping[str, t.Tuple[type, ...]]
# Its types as a reader takes them for granted; a crash, or another version, may have left anything.
_KINDS: Kinds = {
    **dict.fromkeys(("at", "interval", "seconds", "grace_until"), (int, float)),
    "looks": (int,),
    **dict.fromkeys(("level", "boot"), (str,)),
    "incidents": (list,),
    **dict.fromkeys(("recovering", "seen_before", "deliveries"), (dict,)),
    "run": (str, type(None)),
}
_INCIDENT: Kinds = {
    **dict.fromkeys(("id", "code", "subject", "level", "why", "evidence"), (str,)),
    **dict.fromkeys(("services", "next"), (list,)),
    "since": (int, float),
    **dict.fromkeys(("looks", "restarts"), (int,)),
    "gave_up": (bool,),
}
_PAST: Kinds = {"times": (int,), "last": (int, float), "restarts": (int,), "gave_up": (bool,)}

# Looks in a row that a watcher which lives may have missed on a busy host.
MISSED = 3


def path(state: str) -> str:
    """Return the file with the watcher's memory.

    Args:
        state: the stack's state directory.
    """
    return os.path.join(state, "watch.json")


def read_watch(state: str) -> t.Optional[WatchState]:
    """Return what the watcher of a stack remembers; None when none has ever looked, or the file is none of a watcher.

    It is a memory and no truth: what is lost of it is seen again at the next looks.

    Raises:
        OSError: it may not be read.
    """
    import json

    try:
        data = json.loads(read_text(path(state)))
    except FileNotFoundError:
        return None
    except PermissionError:
        raise
    except (OSError, *NOT_AS_EXPECTED):
        return None
    if not fits(data, _KINDS):
        return None
    # What of it is another version's is seen again, and told again.
    whole = {
        "incidents": [one for one in data["incidents"] if _is_incident(one)],
        "recovering": {scope: looks for scope, looks in data["recovering"].items() if isinstance(looks, int)},
        "seen_before": {scope: past for scope, past in data["seen_before"].items() if fits(past, _PAST)},
    }
    return t.cast("WatchState", {**data, **whole})


def left_deliveries(state: str) -> t.Any:
    """Return what the delivery of alerts remembers in a memory of which nothing else can be read.

    What only says that there was something where not even that can be read, and nothing where no watcher has looked.

    Args:
        state: the stack's state directory.
    """
    import json

    try:
        data = json.loads(read_text(path(state)))
    except FileNotFoundError:
        return {}
    except (OSError, *NOT_AS_EXPECTED):
        data = None
    return data["deliveries"] if isinstance(data, dict) and "deliveries" in data else {"targets": None}


def _is_incident(data: t.Any) -> bool:
    texts = (*data["services"], *data["next"]) if fits(data, _INCIDENT) else (None,)
    return all(isinstance(text, str) for text in texts)


def fits(data: t.Any, kinds: Kinds) -> bool:
    """Return whether data is an object whose values have the types that a reader takes for granted; numbers are finite.

    Args:
        data: of a JSON document.
        kinds: by key the types that the value may have.
    """
    return isinstance(data, dict) and all(
        key in data and isinstance(data[key], allowed) and _is_finite(data[key]) for key, allowed in kinds.items()
    )


def _is_finite(value: t.Any) -> bool:
    try:
        return not isinstance(value, (int, float)) or math.isfinite(value)
    except OverflowError:
        return False


def watcher_of(state: str, now: float, limit: float) -> t.Optional[WatcherData]:
    """Return what is known of the watcher of a stack; None when none has ever looked, or it may not be read.

    Args:
        state: the stack's state directory.
        now: in seconds since the epoch.
        limit: seconds that a look takes at the longest.
    """
    try:
        memory = read_watch(state)
    except OSError:
        return None
    if memory is None:
        return None
    age = max(0.0, now - memory["at"])
    told = [one for one in memory["incidents"] if one["level"] != "noticed"]
    return {
        "at": memory["at"],
        "age": round(age, 1),
        "interval": memory["interval"],
        "level": memory["level"],
        "incidents": [one["why"] for one in told],
        # The doctor, who is asked seldom, takes as long again.
        "silent": memory["interval"] > 0 and age > MISSED * memory["interval"] + 2 * limit,
    }


def keep_watch(state: str, memory: WatchState) -> None:
    """Keep what the watcher remembers.

    Raises:
        OSError: it could not be written; what it remembered before is untouched.
    """
    write_record(path(state), memory)


def _lock_file(name: str) -> int:
    """Return a descriptor of the file that is locked; on a disk that has become read-only it is there already."""
    usual = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(name, os.O_RDWR | os.O_CREAT | usual, 0o600)
    except OSError as exc:
        if exc.errno != errno.EROFS:
            raise
    return os.open(name, os.O_RDONLY | usual)


def only_watcher(state: str) -> int:
    """Be the only watcher of a stack until this process ends, and return the descriptor that says so.

    Raises:
        RollcallError: ``refused``: another one watches the stack; ``wrong_use``: this user may not watch it.
    """
    name = os.path.join(state, "watch.lock")
    try:
        descriptor = _lock_file(name)
        if try_lock(descriptor):
            return descriptor
        os.close(descriptor)
    except OSError as exc:
        raise RollcallError(
            f"The stack cannot be watched: {name} cannot be written: {exc.strerror}.",
            kind="wrong_use" if isinstance(exc, PermissionError) else "failed",
            evidence={"path": name, "errno": exc.errno},
            remedies=[cures.AS_ROOT, cures.rights(state)],
        ) from exc
    raise RollcallError(
        "A watcher looks at this stack already, and two would tell everything twice.",
        kind="refused",
        evidence={"path": name},
        remedies=[cures.STATUS],
    )
