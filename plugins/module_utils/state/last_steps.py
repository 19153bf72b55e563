# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What an install has begun or was asked for and has not come to, because its controller was killed or lost the host.

Around the run of the services an install has steps of its own: before it, a password is changed and a release is made
ready; after it come the unit that starts the stack after a boot and the commands after the switch. Each leaves a note
before it is done, so that the host itself knows what is missing.
"""

from __future__ import annotations

import json
import os
import typing as t

from ..base import cures
from ..base.files import json_object, read_record, read_text, write_atomically, write_record
from ..base.removing import remove
from ..host import units
from ..manifest.model import Paths, Stack
from . import lock, undo
from .generations import read_meta
from .runs import run_ids, runs_directory

# --- what is asked for --------------------------------------------------------------------------------------------


def boot_kind(state: str, wanted: str) -> str:
    """Return what is to start a stack after a boot: ``systemd``, ``user``, ``launchd`` or ``none``.

    Args:
        state: the stack's state directory.
        wanted: as for `keep_boot`; where nobody has said that, what was asked for before counts.
    """
    if wanted:
        return wanted if wanted != "auto" else _usual_kind()
    unit = _boot(state)
    if unit is None:
        return _usual_kind()
    return "none" if not unit else "systemd" if os.path.dirname(unit) == units.SYSTEM_UNITS else "user"


def keep_boot(stack: Stack, wanted: str) -> None:
    """Note what is to start a stack after a boot, before the run that the unit is installed after.

    Args:
        stack: the manifest.
        wanted: ``auto``, ``systemd``, ``user``, ``launchd`` or ``none``; empty when nobody has said that.

    Raises:
        OSError: it could not be written.
    """
    if wanted:
        kind = wanted if wanted != "auto" else _usual_kind()
        place = units.directory(os.geteuid()) if kind in ("systemd", "user") else ""
        unit = os.path.join(place, units.unit_name(stack.name)) if place else ""
        if _boot(stack.paths.state) != unit:
            write_record(_boot_path(stack.paths.state), {"unit": unit})


def _usual_kind() -> str:
    return "systemd" if os.geteuid() == 0 and os.path.isdir(units.RUNNING) else "none"


def _boot_path(state: str) -> str:
    return os.path.join(state, "boot.json")


def _boot(state: str) -> t.Optional[str]:
    """Return the path of the unit that is to start the stack; empty for none, None when nobody has said that."""
    missing: t.Optional[str] = None
    remedies = [cures.remove(_boot_path(state))]
    return read_record(_boot_path(state), _unit, missing, "What starts the stack", remedies)


def _unit(data: t.Any) -> str:
    path = str(data["unit"])
    encoded = os.fsencode(path)
    # No file system takes another (limits.h, NAME_MAX and PATH_MAX).
    if "\0" in path or len(encoded) >= 4096 or any(len(name) > 255 for name in encoded.split(b"/")):
        raise ValueError("it names no file")
    return path


def _pending_path(root: str) -> str:
    return os.path.join(Paths.of(root).state, "release", "pending.json")


def pending_release(root: str) -> t.Optional[str]:
    """Return the release that was made ready and whose ``after_switch`` commands have not ended well since."""
    try:
        name = json_object(read_text(_pending_path(root), errors="replace")).get("id")
        return name if isinstance(name, str) else None
    except FileNotFoundError:
        return None


def note_pending(root: str, name: t.Optional[str]) -> None:
    """Remember the release that is on its way to be in place; None that none is."""
    if name is not None:
        write_atomically(_pending_path(root), json.dumps({"id": name}) + "\n", 0o600)
    else:
        remove(_pending_path(root), missing_ok=True)


# --- what is missing ----------------------------------------------------------------------------------------------


def missing(stack: Stack) -> t.List[str]:
    """Return what an install has left to do on this host, for people; ``cures.INSTALL`` finishes it.

    While a run or a step of a release is at work in another process, that is nothing.

    Raises:
        RollcallError, OSError: a record cannot be read.
    """
    state = stack.paths.state
    if lock.locked_by_other(state) or lock.locked_by_other(os.path.dirname(_pending_path(stack.root))):
        return []
    return [*_before_the_run(stack), *_after_the_run(stack)]


def _before_the_run(stack: Stack) -> t.Iterator[str]:
    """Yield what was done for a run that has not come. A run that failed is remembered by itself."""
    state = stack.paths.state
    last_run = _changed(os.path.join(runs_directory(state), f"{next(iter(run_ids(state)), '')}.jsonl"))
    for one in undo.kept(state):
        if _changed(one.path) > last_run:
            yield f"{one.what} was changed, and no run has come after that; this takes it back: {cures.UNDO}"
    pending = pending_release(stack.root)
    if pending and pending != stack.release and _changed(_pending_path(stack.root)) > last_run:
        yield f"release {pending} was made ready, and no run has put it in place"


def _after_the_run(stack: Stack) -> t.Iterator[str]:
    # What is not verified has not come there, and says that by itself.
    if not read_meta(stack.paths, stack.root).get("verified"):
        return
    pending = pending_release(stack.root)
    if pending and pending == stack.release:
        yield f"release {pending} is in place, and what comes after its switch was not finished"
    unit = _boot(stack.paths.state)
    if unit and not _starts(unit, stack.root):
        yield f"nothing starts the stack after a boot: {unit} is not there, or not enabled, and was asked for"
    if unit:
        yield from _timers(stack, os.path.dirname(unit))


def _timers(stack: Stack, place: str) -> t.Iterator[str]:
    """Yield which timers are not in systemd's directory as the manifest has them."""
    from ..manifest import schedule  # late: few stacks have a timer

    job = os.path.join(place, units.job_unit(stack.name))
    if stack.timers and not _is_of(job, stack.root):
        yield f"no job of a timer can run: {job} is not there"
    wanted = {os.path.join(place, units.timer_name(stack.name, one.name)): one for one in stack.timers}
    for path, timer in wanted.items():
        text = _text(path)
        if not text or not units.is_enabled(path):
            yield f"nothing runs the job {timer.name}: {path} is not there, or not enabled"
        elif not set(schedule.timer_lines(timer)).issubset(text.splitlines()):
            yield f"the job {timer.name} is to run {schedule.schedule_of(timer)}, and {path} says something else"
    for path in units.timers_of(stack.name, place):
        if path not in wanted and _is_of(job, stack.root):
            yield f"{path} starts a job that is not in the manifest"


def _is_of(path: str, root: str) -> bool:
    try:
        return units.is_of(path, root)
    except FileNotFoundError:
        return False


def _text(path: str) -> str:
    try:
        return read_text(path, errors="replace")
    except FileNotFoundError:
        return ""


def _starts(unit: str, root: str) -> bool:
    return _is_of(unit, root) and units.is_enabled(unit)


def _changed(path: str) -> float:
    """Return when a file was changed; 0 where there is none."""
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:
        return 0.0
