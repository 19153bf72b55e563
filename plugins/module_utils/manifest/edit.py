# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Changes to a manifest file, in place, while nobody else changes it.

The new text is read once more before it replaces the old one. Nothing is written when its data is not exactly what was
asked for, or when the manifest would have an error that it did not have.

The manifest itself is locked, not a file beside it, so no lock file is left behind. A rename puts another file at the
path. Whoever gets the lock therefore compares the file that he has locked with the file at the path.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import glob
import json
import os
import re
import stat
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import Problem, RollcallError, problems_error
from ..base.files import try_lock, write_atomically
from ..base.removing import remove
from . import corrections
from .events import DIGITS_LIMIT
from .file import SIZE_LIMIT
from .layout import GONE, Keys, Node, shared
from .places import name_place
from .plain_data import copied, difference, put, same, value_at
from .reading import Reading, layout_of, reading_of
from .sites import sites_to_change

_POLL = 0.01


class Change(t.NamedTuple):
    """A place of a manifest, and the value that it is to have.

    Attributes:
        place: its keys, such as ``("services", "web", "port")``; a first ``stack`` may be left out. In a file of the
            older shape, it is the place where that shape has the value. Missing keys are made, except for a service.
        value: plain data. A mapping is compared with the old one key by key, a list as a whole.
        present: False: the place is to have no value.
    """

    place: Keys
    value: t.Any = None
    present: bool = True


class Edited(t.NamedTuple):
    """What was changed, or would be.

    Attributes:
        changed: whether the text changed.
        before: the old text, with asterisks for the values of secrets.
        after: the new text, likewise.
        problems: the problems that the manifest had before and still has.
    """

    changed: bool
    before: str
    after: str
    problems: t.List[Problem]


def edit_manifest(
    path: str, changes: t.Sequence[Change], *, dry_run: bool = False, timeout: float = 10.0, clock: Clock = SYSTEM
) -> Edited:
    """Change a manifest file, atomically, while nobody else changes it.

    Args:
        path: YAML or JSON: a manifest with ``stack`` or without, one of the older shape, or variables of an inventory
            with ``rollcall_stack`` among them. A symbolic link stays one, and its target is changed.
        changes: the changes, made one after the other, all or none.
        dry_run: whether only to say what would change, which needs no permission to write.
        timeout: seconds to wait while somebody else changes the file.
        clock: where the time comes from.

    Raises:
        RollcallError: nothing was written. ``wrong_use``: the file cannot be read, a change does not fit it, or would
            bring an error. ``refused``: somebody else is changing it, or another place would change, too. ``failed``:
            the file cannot be written.
    """
    try:
        with _opened(path, None if dry_run else Deadline(timeout, clock)) as stream:
            before, after = rewrite(path, stream.read(SIZE_LIMIT + 1), changes)
            if after.text != before.text and not dry_run:
                _write(os.path.realpath(path), after.bom + after.text, os.fstat(stream.fileno()))
    except OSError as exc:
        raise _not_written(path, exc) from exc
    return Edited(after.text != before.text, before.shown(), after.shown(), after.problems())


def rewrite(path: str, content: bytes, changes: t.Sequence[Change]) -> t.Tuple[Reading, Reading]:
    """Return a manifest before and after ``changes``. Nothing is written.

    Args:
        path: the name of the file; a ``.json`` is never taken for YAML.
        content: its content.
        changes: as for :func:`edit_manifest`.
    """
    before = reading_of(path, content)
    wanted = copied(before.data)
    text = before.text
    addressed = []
    for change in changes:
        value = _value(change)
        for site in sites_to_change(path, wanted, _keys(change), change.present):
            addressed.append(site.shown)
            old = value_at(wanted, site.place)
            # Only a value that changes needs the layout, and the library for it.
            node = None if same(old, value) else layout_of(text, before.is_json).find(site.place)
            for place, part in list(_steps(node, old, site.place, value)):
                text = layout_of(text, before.is_json).changed(place, part)
                put(wanted, place, part)
    if text == before.text:
        return before, before
    try:
        after = reading_of(path, (before.bom + text).encode("utf-8"))
    except RollcallError as exc:
        # An alias has lost its value.
        raise shared(addressed[-1]) from exc
    other = difference(wanted, after.data)
    if other is not None:
        raise shared(name_place(other) or "the file as a whole")
    _refuse_worse(path, before, after, addressed)
    return before, after


def _keys(change: Change) -> Keys:
    keys = tuple(change.place[1:] if change.place[:1] == ("stack",) else change.place)
    if not keys or not all(isinstance(key, str) and key for key in keys):
        raise RollcallError(
            "A change needs a place: the keys that lead to it, each of them text.",
            kind="wrong_use",
            evidence={"place": [str(key) for key in change.place]},
            remedies=[corrections.KEYS],
        )
    return keys


def _value(change: Change) -> t.Any:
    """Return the value of a change as plain data that YAML and JSON both have; :data:`GONE` for none."""
    if not change.present:
        return GONE
    try:
        text = json.dumps(change.value, allow_nan=False, ensure_ascii=False)
        return json.loads(text.encode("utf-8"), parse_int=_whole)
    except (TypeError, ValueError, RecursionError) as exc:
        raise RollcallError(
            f"The value for {name_place(change.place)} is not plain data: text, finite numbers of up to {DIGITS_LIMIT} "
            "digits, true, false, null, lists, and mappings with text for keys.",
            kind="wrong_use",
        ) from exc


def _whole(digits: str) -> int:
    if len(digits) > DIGITS_LIMIT:
        raise ValueError("far too large")
    return int(digits)


def _steps(node: t.Optional[Node], old: t.Any, place: Keys, value: t.Any) -> t.Iterator[t.Tuple[Keys, t.Any]]:
    """Find the smallest changes that lead from ``old`` to ``value``: what is the same is not written again.

    Args:
        node: the value in the text; None when an alias or a merge key gives it.
        old: the value at the place.
        place: the place in the file.
        value: the new value.
    """
    if same(old, value):
        return
    names = None if node is None or node.kind != "{" else node.names()
    # Key by key only when all keys stand here. An alias or a merge key has keys that stand elsewhere.
    if node is None or not isinstance(value, dict) or not value or not isinstance(old, dict) or names != [*old]:
        yield place, value
        return
    below = dict(zip(old, node.values))
    for key, item in value.items():
        yield from _steps(below.get(key), old.get(key, GONE), (*place, key), item)
    for key in old:
        if key not in value:
            yield (*place, key), GONE


def _refuse_worse(path: str, before: Reading, after: Reading, addressed: t.Sequence[str]) -> None:
    """Refuse changes that bring an error. Errors that were there before are no reason to refuse.

    At a place that was changed, every error counts that was not there in the same words. At any other place, errors
    count only when there are more of them than before: their words may name other places, such as the service that has
    a port already.

    Raises:
        RollcallError: ``wrong_use`` with the new errors.
    """
    now = _errors(after)
    if not now:
        return
    then = _errors(before)
    brought = []
    for place, errors in now.items():
        ours = any(re.match(rf"{re.escape(shown)}(?![^.\[])", place) for shown in addressed)
        old = [error._replace(place=place) for error in then.get(place, ())]
        if ours or len(errors) > len(old):
            brought += [error for error in errors if error._replace(place=place) not in old]
    if brought:
        everything = [error for errors in now.values() for error in errors]
        raise problems_error(
            f"The manifest {path} was left as it is: the change would bring errors",
            brought,
            found=everything,
            path=path,
        )


def _errors(manifest: Reading) -> t.Dict[str, t.List[Problem]]:
    """Return the errors of a manifest by place. Places have no lines here, as lines change."""
    found: t.Dict[str, t.List[Problem]] = collections.defaultdict(list)
    for problem in manifest.problems():
        if problem.severity == "error":
            found[re.sub(r" \(line [0-9]+\)\Z", "", problem.place)].append(problem)
    return found


# --- the file ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(path: str, deadline: t.Optional[Deadline]) -> t.Iterator[t.BinaryIO]:
    """Open a regular file; with a deadline also for writing, and locked."""
    # The file is opened for writing, although it is replaced: somebody who may not write it must not change it, and
    # NFS locks no other file exclusively. A named pipe is not waited for.
    flags = os.O_NONBLOCK | os.O_CLOEXEC | (os.O_RDONLY if deadline is None else os.O_RDWR)
    while True:
        with open(os.open(path, flags), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise RollcallError(f"{path} is not a regular file.", kind="wrong_use", evidence={"path": path})
            if deadline is None:
                yield stream
                return
            if not deadline.poll(functools.partial(try_lock, stream.fileno()), _POLL):
                raise RollcallError(
                    f"Somebody else has been changing the manifest {path} for {deadline.seconds:g} seconds.",
                    kind="refused",
                    evidence={"path": path, "seconds": deadline.seconds},
                    remedies=[cures.AGAIN, cures.holder(path)],
                )
            if os.path.samestat(os.fstat(stream.fileno()), os.stat(path)):
                yield stream
                return


def _write(target: str, text: str, status: os.stat_result) -> None:
    """Replace a file that is locked; mode and owner stay."""
    # An editor that was killed leaves its new file behind. Nobody else writes one now, as the manifest is locked.
    for leftover in glob.glob(f"{glob.escape(target)}.*.new"):
        if re.fullmatch(r"\.[0-9]+\.new", leftover[len(target) :]):
            remove(leftover, missing_ok=True)
    write_atomically(target, text, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid))


def _not_written(path: str, exc: OSError) -> RollcallError:
    directory = os.path.dirname(os.path.realpath(path))
    missing = isinstance(exc, (FileNotFoundError, IsADirectoryError, NotADirectoryError))
    if missing:
        remedy = corrections.THERE
    elif isinstance(exc, PermissionError):
        # A new file takes the place of the old one, with the same owner and mode.
        remedy = cures.rights(path, directory)
    else:
        remedy = cures.space(directory)
    return RollcallError(
        f"The manifest {path} was not changed: {exc.strerror}"
        + (f" ({exc.filename})" if exc.filename not in (None, path) else "")
        + ".",
        kind="wrong_use" if missing else "failed",
        evidence={"path": path, "cause": str(exc)},
        remedies=[remedy],
    )
