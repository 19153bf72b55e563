# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Changes to a manifest file, in place, while nobody else changes it.

What is decided is a text, and it is read once more by the engine's own reader before it takes the place of the old one:
when it does not say exactly what was asked for, or when the manifest would be worse than it was, nothing is written.

The manifest itself is what is locked, not a file beside it: nothing is left behind that needs a mode, an owner, or
somebody to remove it. A rename gives the path another file, so whoever gets the lock looks whether the file he holds is
still the one at that path.
"""

from __future__ import annotations

import codecs
import collections
import contextlib
import fcntl
import functools
import glob
import json
import os
import re
import stat
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import Problem, RollcallError
from ..base.files import write_atomically
from .check import check_manifest
from .file import SIZE_LIMIT, parse_manifest
from .layout import GONE, Node, Place, layout_of, shared
from .legacy import KEYS as OLDER_KEYS
from .legacy import SERVICES as OLDER_SERVICES
from .legacy import recognise
from .places import kind_of, name_place

# The variable of an inventory that holds a manifest.
VARIABLE = "rollcall_stack"

_POLL = 0.01
# No file is read that has a longer number.
_DIGITS = 18


class Change(t.NamedTuple):
    """One place of a manifest, and what is to stand there.

    Attributes:
        place: its keys, such as ``("services", "web", "port")``; a first ``stack`` may be left out. Where the file has
            the older shape, the value is found where that has it. Keys that are missing on the way are made, but for
            a service.
        value: plain data. A mapping is compared key by key with the one that is there, a list as a whole.
        present: False: nothing is to stand there.
    """

    place: Place
    value: t.Any = None
    present: bool = True


class Edited(t.NamedTuple):
    """What was changed, or would be.

    Attributes:
        changed: whether the text is another one.
        before: the text as it was, with asterisks for the values of secrets.
        after: the text as it is now, likewise.
        problems: what is still wrong with the manifest, and was before.
    """

    changed: bool
    before: str
    after: str
    problems: t.List[Problem]


def edit(
    path: str, changes: t.Sequence[Change], *, dry_run: bool = False, timeout: float = 10.0, clock: Clock = SYSTEM
) -> Edited:
    """Change a manifest file, atomically, while nobody else does.

    Args:
        path: YAML or JSON: a manifest with ``stack`` or without, one of the older shape, or variables of an inventory
            with ``rollcall_stack`` among them. A symbolic link stays one, and what it points to is changed.
        changes: carried out one after the other, all or none.
        dry_run: only say what would be changed; needs no permission to write.
        timeout: seconds to wait for somebody else's change to be written.
        clock: where the time comes from.

    Raises:
        RollcallError: nothing was written. ``wrong_use``: the file cannot be read, a change does not fit it, or would
            make it worse. ``refused``: somebody else is at it, or another place would change, too. ``failed``: the
            kernel would not have it.
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
    """Return a manifest before and after ``changes``: all that is decided, and nothing is done.

    Args:
        path: what the file is called; ``.json`` is never taken for YAML.
        content: what it holds.
        changes: as for :func:`edit`.
    """
    before = read(path, content)
    wanted = _copy(before.data)
    text = before.text
    addressed = []
    for change in changes:
        value = _value(change)
        for site in _sites_to_change(path, wanted, _keys(change), change.present):
            addressed.append(site.shown)
            old = _at(wanted, site.place)
            # What is alike needs no layout, and so no library.
            node = None if _same(old, value) else layout_of(text, before.is_json).find(site.place)
            for place, part in list(_steps(node, old, site.place, value)):
                text = layout_of(text, before.is_json).changed(place, part)
                _put(wanted, place, part)
    if text == before.text:
        return before, before
    try:
        after = read(path, (before.bom + text).encode("utf-8"))
    except RollcallError as exc:
        # An alias has lost what it stands for.
        raise shared(addressed[-1]) from exc
    other = _difference(wanted, after.data)
    if other is not None:
        raise shared(name_place(other) or "the file as a whole")
    _refuse_worse(path, before, after, addressed)
    return before, after


# --- the file ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(path: str, deadline: t.Optional[Deadline]) -> t.Iterator[t.BinaryIO]:
    """Open a regular file; with a deadline also for writing, and under the lock."""
    # To write, although it is replaced and not written: who may not write a file shall not change it, and NFS gives
    # an exclusive lock to nobody else. A named pipe is not waited for.
    flags = os.O_NONBLOCK | os.O_CLOEXEC | (os.O_RDONLY if deadline is None else os.O_RDWR)
    while True:
        with open(os.open(path, flags), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise RollcallError(f"{path} is not a regular file.", kind="wrong_use", evidence={"path": path})
            if deadline is None:
                yield stream
                return
            if not deadline.poll(functools.partial(_locked, stream), _POLL):
                raise RollcallError(
                    f"Somebody else has been changing the manifest {path} for {deadline.seconds:g} seconds.",
                    kind="refused",
                    evidence={"path": path, "seconds": deadline.seconds},
                    remedies=["run the same command again", f"see who it is: fuser -v {path}"],
                )
            if os.path.samestat(os.fstat(stream.fileno()), os.stat(path)):
                yield stream
                return


def _locked(stream: t.BinaryIO) -> bool:
    """Try to lock a file; the kernel unlocks it when it is closed, however its holder ends."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(target: str, text: str, status: os.stat_result) -> None:
    """Replace a file that is locked; mode and owner stay."""
    # Of one that was killed: nobody else writes here now, and a process that gets its pid would stumble over it.
    for leftover in glob.glob(f"{glob.escape(target)}.*.new"):
        if re.fullmatch(r"\.[0-9]+\.new", leftover[len(target) :]):
            os.unlink(leftover)
    write_atomically(target, text, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid))


def _not_written(path: str, exc: OSError) -> RollcallError:
    directory = os.path.dirname(os.path.realpath(path))
    missing = isinstance(exc, (FileNotFoundError, IsADirectoryError, NotADirectoryError))
    if missing:
        remedy = "give the path of a manifest that is there"
    elif isinstance(exc, PermissionError):
        remedy = (
            "run it as a user who may write the file and its directory, because a new file takes the place of the old "
            f"one, with the same owner and mode: ls -ld {path} {directory}"
        )
    else:
        remedy = f"see what is the matter with the file system: findmnt -T {directory}; df {directory}"
    return RollcallError(
        f"The manifest {path} was not changed: {exc.strerror}"
        + (f" ({exc.filename})" if exc.filename not in (None, path) else "")
        + ".",
        kind="wrong_use" if missing else "failed",
        evidence={"path": path, "cause": str(exc)},
        remedies=[remedy],
    )


def _unusable(path: str, problems: t.Sequence[Problem]) -> RollcallError:
    return _wrong(f"The manifest {path} cannot be changed", path, problems, problems)


def _wrong(what: str, path: str, told: t.Sequence[Problem], problems: t.Sequence[Problem]) -> RollcallError:
    return RollcallError(
        f"{what}: " + "; ".join(f"{problem.place}: {problem.message}" for problem in told) + ".",
        kind="wrong_use",
        evidence={"path": path, "problems": [problem.as_dict() for problem in problems]},
        remedies=list(dict.fromkeys(problem.cure for problem in told)),
    )


# --- what it holds -----------------------------------------------------------------------------------------------


class Reading(t.NamedTuple):
    """A manifest's text, and what it says.

    Attributes:
        text: all of it but for a byte order mark.
        bom: the byte order mark, or ''.
        is_json: whether it is JSON, for which no library is needed.
        data: what it says.
        lines: the line of each value by its place.
        flaws: what is wrong with the text itself.
    """

    text: str
    bom: str
    is_json: bool
    data: t.Any
    lines: t.Mapping[t.Any, int]
    flaws: t.List[Problem]

    def problems(self) -> t.List[Problem]:
        """Return all that is wrong with the manifest."""
        data, lines, flaws = self.data, self.lines, self.flaws
        if isinstance(data, dict) and VARIABLE in data:
            # Other variables are nobody's business here.
            inside = f"stack.{VARIABLE}"
            flaws = [
                flaw._replace(place=flaw.place.replace(inside, "stack", 1))
                for flaw in flaws
                if flaw.place.startswith((inside, "manifest"))
            ]
            data = data[VARIABLE]
            lines = {place[1:]: line for place, line in lines.items() if place[:1] == (VARIABLE,)}
        places = {flaw.place for flaw in flaws if flaw.severity == "error"}
        return flaws + [
            problem for problem in check_manifest(data, lines=lines).problems if problem.place not in places
        ]

    def shown(self) -> str:
        """Return the text as it may be shown: with asterisks for the values of secrets."""
        return layout_of(self.text, self.is_json).shown() if "secrets" in self.text else self.text


def read(path: str, content: bytes) -> Reading:
    """Read a manifest to its end.

    Raises:
        RollcallError: ``wrong_use``: it is empty, cut off, or otherwise none that can be read.
    """
    loaded = parse_manifest(content, json_only=path.endswith(".json"))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise _unusable(path, loaded.problems) from exc
    bom = "\ufeff" if content.startswith(codecs.BOM_UTF8) else ""
    is_json = path.endswith(".json") or _is_json(text)
    data = loaded.data
    if data is None and not is_json and re.search("!|<<", text):
        # Variables of an inventory may have tags and merge keys; a manifest of its own may not, and keeps them.
        loaded = parse_manifest(layout_of(text, is_json).plain_text().encode("utf-8"))
        data = _merged(loaded.data)
    found = Reading(text, bom, is_json, data, loaded.lines, loaded.problems)
    if not isinstance(data, dict):
        raise _unusable(path, loaded.problems if loaded.failed else found.problems())
    return found


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _merged(data: t.Any) -> t.Any:
    """Return data with its merge keys (``<<``) resolved, as Ansible reads them."""
    if isinstance(data, list):
        return [_merged(item) for item in data]
    if not isinstance(data, dict):
        return data
    merged: t.Dict[t.Any, t.Any] = {}
    below = data.get("<<", [])
    # Of several the first one counts.
    for part in reversed(below) if isinstance(below, list) else [below]:
        merged.update(_merged(part) if isinstance(part, dict) else {})
    merged.update({key: _merged(value) for key, value in data.items() if key != "<<"})
    return merged


def _copy(data: t.Any) -> t.Any:
    """Return a copy in which nothing is shared, as aliases share it."""
    if isinstance(data, dict):
        return {key: _copy(value) for key, value in data.items()}
    return [_copy(item) for item in data] if isinstance(data, list) else data


def _same(one: t.Any, other: t.Any) -> bool:
    """Return whether two values are written alike: 1, 1.0 and true are not."""
    return _difference(one, other) is None


def _difference(one: t.Any, other: t.Any) -> t.Optional[t.Tuple[t.Any, ...]]:
    """Return the first place where two pieces of plain data differ; None when they do not."""
    if type(one) is not type(other):
        return ()
    if isinstance(one, list):
        one, other = dict(enumerate(one)), dict(enumerate(other))
    if not isinstance(one, dict):
        return None if one == other else ()
    for key in dict.fromkeys([*one, *other]):
        below = _difference(one.get(key, GONE), other.get(key, GONE))
        if below is not None:
            return (key, *below)
    return None


# --- which place of the file -------------------------------------------------------------------------------------


class _Site(t.NamedTuple):
    """A place of the file where a place of the manifest may stand.

    Attributes:
        base: the way to the mapping that has the manifest's keys.
        keys: the way from there.
        shown: what the check calls it.
    """

    base: Place
    keys: Place
    shown: str

    @property
    def place(self) -> Place:
        """The way from the beginning of the file."""
        return self.base + self.keys

    def missing(self, data: t.Any) -> int:
        """Return how many keys at its end are not there."""
        for number, key in enumerate(self.place):
            if not isinstance(data, dict) or key not in data:
                return len(self.place) - number
            data = data[key]
        return 0


def _keys(change: Change) -> Place:
    keys = tuple(change.place[1:] if change.place[:1] == ("stack",) else change.place)
    if not keys or not all(isinstance(key, str) and key for key in keys):
        raise RollcallError(
            "A change needs a place: the keys that lead to it, each of them text.",
            kind="wrong_use",
            evidence={"place": [str(key) for key in change.place]},
            remedies=["write it as a list, such as [services, web, port]"],
        )
    return keys


def _value(change: Change) -> t.Any:
    """Return the value of a change as plain data that both YAML and JSON can hold; :data:`GONE` to have none."""
    if not change.present:
        return GONE
    try:
        text = json.dumps(change.value, allow_nan=False, ensure_ascii=False)
        return json.loads(text.encode("utf-8"), parse_int=_whole)
    except (TypeError, ValueError, RecursionError) as exc:
        raise RollcallError(
            f"The value for {name_place(change.place)} is not plain data: text, finite numbers of up to {_DIGITS} "
            "digits, true, false, null, lists, and mappings with text for keys.",
            kind="wrong_use",
        ) from exc


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError("far too large")
    return int(digits)


def _sites(data: t.Dict[t.Any, t.Any], keys: Place, present: bool) -> t.List[_Site]:
    """Return where a place of the manifest may stand in the file; what is laid over the others comes first."""
    outer: Place = (VARIABLE,) if VARIABLE in data else ()
    around = data[VARIABLE] if outer else data
    inner: Place = (*outer, "stack") if isinstance(around, dict) and "stack" in around else outer
    found = []
    for base, part in {inner: around["stack"] if inner != outer else around, outer: around}.items():
        if isinstance(part, dict) and recognise(part):
            shown = base[len(outer) :]
            found += [_Site(base, older, name_place(shown + older)) for older in _older(part, keys, present)]
    if keys[0] in OLDER_KEYS and found:
        return found
    return [_Site(inner, keys, name_place(("stack", *keys))), *found]


def _older(part: t.Dict[t.Any, t.Any], keys: Place, present: bool) -> t.List[Place]:
    """Return where the older shape has what ours has at ``keys``."""
    if keys[0] in OLDER_KEYS:
        return [keys]
    if keys[0] == "services" and len(keys) > 1:
        return [(group, *keys[1:]) for group in OLDER_SERVICES]
    if keys[0] == "deprecated" and len(keys) == 2:
        entries = part.get("deprecated_services")
        entry = entries.get(keys[1]) if isinstance(entries, dict) else None
        below = ("port",) if present and isinstance(entry, dict) else ()
        return [("deprecated_services", keys[1], *below)]
    if keys == ("ports", "avoid"):
        return [("notes", "avoid_ports")]
    return [("port_ranges",)] if keys == ("ports", "range") else []


def _sites_to_change(path: str, data: t.Dict[t.Any, t.Any], keys: Place, present: bool) -> t.List[_Site]:
    """Return where to write, or from where to take, a place of the manifest.

    It is written where it stands; where it does not stand yet, as near to it as there is something. It is taken from
    wherever it stands, because what lies below would count again.
    """
    sites = _sites(data, keys, present)
    if not present:
        return [site for site in sites if site.missing(data) == 0]
    if keys[0] == "services" and len(keys) > 2:
        _refuse_unknown_service(path, data, keys[1])
    site = min(sites, key=lambda site: site.missing(data))
    if site.keys == ("port_ranges",) and keys != site.keys:
        raise RollcallError(
            f"{path} has the range of ports as port_ranges.safe_range_start and port_ranges.safe_range_end.",
            kind="wrong_use",
            remedies=["change these two places instead of ports.range"],
        )
    _refuse_no_mapping(path, data, site.place)
    return [site]


def _refuse_unknown_service(path: str, data: t.Dict[t.Any, t.Any], name: str) -> None:
    if any(site.missing(data) == 0 for site in _sites(data, ("services", name), True)):
        return
    import difflib

    groups = [_at(data, site.place[:-1]) for site in _sites(data, ("services", name), True)]
    known = [str(key) for group in groups if isinstance(group, dict) for key in group]
    close = difflib.get_close_matches(name, known[:400], 1)
    raise RollcallError(
        f"'{name}' is not a service of {path}" + (f" (did you mean {close[0]}?)" if close else "") + ".",
        kind="wrong_use",
        evidence={"path": path, "service": name, "services": known},
        remedies=[f"name one of: {', '.join(known)}" if known else "write the service into the manifest first"],
    )


def _refuse_no_mapping(path: str, data: t.Any, place: Place) -> None:
    for number, key in enumerate(place):
        if data is None:
            return
        if not isinstance(data, dict):
            raise RollcallError(
                f"{name_place(place[:number])} in {path} is {kind_of(data)}, not a mapping, so it has no {key}.",
                kind="wrong_use",
                evidence={"path": path, "place": list(place)},
                remedies=[f"give the whole value of {name_place(place[:number])}"],
            )
        data = data.get(key)


# --- what is done, and what is not -------------------------------------------------------------------------------


def _at(data: t.Any, place: Place) -> t.Any:
    """Return the value at a place of plain data; :data:`GONE` when there is none."""
    for key in place:
        data = data.get(key, GONE) if isinstance(data, dict) else GONE
    return data


def _put(data: t.Dict[t.Any, t.Any], place: Place, value: t.Any) -> None:
    """Change plain data as the text is changed."""
    for key in place[:-1]:
        if data.get(key) is None:
            data[key] = {}
        data = data[key]
    if value is GONE:
        del data[place[-1]]
    else:
        data[place[-1]] = _copy(value)


def _steps(node: t.Optional[Node], old: t.Any, place: Place, value: t.Any) -> t.Iterator[t.Tuple[Place, t.Any]]:
    """Find the smallest changes that lead from ``old`` to ``value``: what is alike is not written again.

    Args:
        node: where ``old`` stands in the text; None when it does not stand there itself.
        old: what is at the place.
        place: where in the file.
        value: what is to be there.
    """
    if _same(old, value):
        return
    names = None if node is None or node.kind != "{" else node.names()
    # Key by key when all keys stand here: an alias or a merge key has some from elsewhere.
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
    """Refuse changes that bring an error; one that was there is no reason to keep somebody from mending another.

    At a place that was changed every error is held against the change, unless it stood there in these very words. At
    any other place only one more than there were: what is said of a place may name others, such as the one service out
    of several that has a port already.
    """
    now = _errors(after)
    if not now:
        return
    then = _errors(before)
    brought = []
    for place, errors in now.items():
        ours = any(re.match(rf"{re.escape(shown)}(?![^.\[])", place) for shown in addressed)
        old = [error.message for error in then.get(place, ())]
        if ours or len(errors) > len(old):
            brought += [error for error in errors if error.message not in old]
    if brought:
        everything = [error for errors in now.values() for error in errors]
        raise _wrong(f"The manifest {path} was left as it is: the change would bring errors", path, brought, everything)


def _errors(manifest: Reading) -> t.Dict[str, t.List[Problem]]:
    """Return the errors of a manifest by place, without lines: those move."""
    found: t.Dict[str, t.List[Problem]] = collections.defaultdict(list)
    for problem in manifest.problems():
        if problem.severity == "error":
            found[re.sub(r" \(line [0-9]+\)\Z", "", problem.place)].append(problem)
    return found
