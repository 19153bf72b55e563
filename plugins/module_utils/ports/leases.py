# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which port each service of a stack has got on this host, and which stacks there are besides it.

A lease is a line of ``ROOT/state/ports.json``. Each stack of a host is a link to its root: in one directory for the
stacks of root, and in one for those of each other user. Of a stack that may not be read, only a bind tells the ports.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.files import read_record, try_lock, write_record
from ..base.removing import remove
from ..host.answering import silent_mount
from ..host.mounts import Mount, is_within, mounts
from ..host.roots import ENGINE, FileId, file_id
from ..manifest.model import Paths, Stack
from ..manifest.system_directories import upwards
from ..state.generations import load_placement, load_stack

# The links by which the command finds the stacks of root.
NAMES = "/etc/rollcall/stacks"
LOCK_PATIENCE = 10.0
POLL = 0.01


class Neighbour(t.NamedTuple):
    """Another stack of this host, and the service of it that has a port.

    Attributes:
        stack: its name.
        root: its root.
        service: of it.
    """

    stack: str
    root: str
    service: str

    @property
    def summary(self) -> str:
        """Who it is, in a few words."""
        return f"service {self.service} of stack {self.stack} at {self.root}"


def directory(uid: t.Optional[int] = None) -> t.Optional[str]:
    """Return where the stacks of a user are listed; None for a user without a home.

    Args:
        uid: of the user; None is the one this runs as.
    """
    import pwd

    uid = os.geteuid() if uid is None else uid
    if uid == 0:
        return "/var/lib/rollcall/stacks"
    try:
        home = pwd.getpwuid(uid).pw_dir
    except KeyError:
        return None
    return os.path.join(home, ".local", "state", "rollcall", "stacks") if os.path.isdir(home) else None


@contextlib.contextmanager
def locked(place: t.Optional[str], *, clock: Clock = SYSTEM) -> t.Iterator[None]:
    """Lock a directory of stacks, so that no two stacks choose their ports at once.

    Args:
        place: the directory, made when it is not there; None locks nothing.
        clock: of the deadline.

    Raises:
        RollcallError: ``refused``: another stack has locked it for too long.
        OSError: the directory cannot be written.
    """
    if place is None:
        yield
        return
    os.makedirs(place, mode=0o755, exist_ok=True)
    handle = os.open(os.path.join(place, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not Deadline(LOCK_PATIENCE, clock).poll(lambda: try_lock(handle), POLL):
            raise RollcallError(
                f"Another stack of this host has been choosing its ports for {LOCK_PATIENCE:g} s: {place} is locked.",
                kind="refused",
                evidence={"lock": os.path.join(place, ".lock")},
                remedies=[cures.AGAIN, cures.holder(os.path.join(place, ".lock"))],
            )
        yield
    finally:
        os.close(handle)


def register(place: t.Optional[str], root: str) -> None:
    """List a stack among those of this host, and forget those whose root is gone.

    Args:
        place: from `directory`; None lists nothing.
        root: of the stack.

    Raises:
        OSError: the directory cannot be written.
    """
    if place is None:
        return
    # Late: a restart registers nothing.
    import hashlib

    link = os.path.join(place, hashlib.sha256(os.path.normpath(root).encode("utf-8")).hexdigest()[:16])
    for name in os.listdir(place):
        path = os.path.join(place, name)
        if os.path.islink(path) and silent_mount(path) is None and not os.path.exists(path):
            remove(path, missing_ok=True)
    if not os.path.islink(link):
        os.symlink(os.path.normpath(root), link)


class Neighbours(t.NamedTuple):
    """The other stacks of a host, as far as this user may read them.

    Attributes:
        ports: who has which.
        unread: of stacks that are there and cannot be read: the reason. A bind tells what they hold while they run.
    """

    ports: t.Mapping[int, Neighbour]
    unread: t.Tuple[str, ...] = ()


def neighbours(place: t.Optional[str], root: str) -> Neighbours:
    """Return who of the other stacks has which port: by its leases, and by the manifest that is installed.

    Args:
        place: from `directory`.
        root: of the stack that asks.
    """
    found: t.Dict[int, Neighbour] = {}
    unread = [f"{link} belongs neither to root nor to this user: it is ignored" for link in _strangers(place)]
    for other in _roots(place, root):
        try:
            of_other = _ports_of(other)
        except RollcallError as exc:
            unread.append(f"{other}: {exc.message}")
            continue
        for port, neighbour in of_other.items():
            found.setdefault(port, neighbour)
    return Neighbours(found, tuple(unread))


def _is_trusted(link: str) -> bool:
    """Return whether root or this user has listed a stack: what anybody else lists is not followed.

    One that is removed at this very moment is nobody's, and leads nowhere.
    """
    try:
        return os.lstat(link).st_uid in (0, os.geteuid())
    except FileNotFoundError:
        return True


def _strangers(place: t.Optional[str]) -> t.List[str]:
    """Return what others have listed."""
    if place is None or not os.path.isdir(place):
        return []
    return [link for link in (os.path.join(place, name) for name in sorted(os.listdir(place))) if not _is_trusted(link)]


def _roots(place: t.Optional[str], root: str, mounted: t.Optional[t.Sequence[Mount]] = None) -> t.Iterator[str]:
    """Return the roots of the other stacks that a directory lists."""
    if place is None or not os.path.isdir(place):
        return
    mounted, own = mounts() if mounted is None else mounted, os.path.realpath(root)
    for name in sorted(os.listdir(place)):
        link = os.path.join(place, name)
        if not _is_trusted(link):
            continue
        if silent_mount(link, mounted=mounted) is not None:
            # Whoever asked it would wait for ever. A bind tells which ports it holds while it runs.
            continue
        # One that is removed at this very moment leads nowhere.
        other = _resolved(link)
        if other != own and os.path.isdir(other):
            yield other


def check_nesting(root: str) -> None:
    """Check that no other stack is around a root or in it: to remove the outer one would take the inner one's files.

    Raises:
        RollcallError: ``refused``: one is. Nothing was touched.
    """
    mounted = mounts()
    _check_apart(root, [other for place in (directory(), NAMES) for other in _roots(place, root, mounted)])


def _check_apart(root: str, listed: t.Sequence[str]) -> None:
    """Check that a root is apart from those that are listed, and in no other stack's; errors as `check_nesting`."""
    real = os.path.realpath(root)
    outer = next((above for above in upwards(os.path.dirname(real)) if os.path.exists(os.path.join(above, ENGINE))), "")
    found = [outer] if outer else []
    found += [other for other in listed if is_within(other, real) or is_within(real, other)]
    if found:
        other = found[0]
        where = "lies in" if is_within(real, other) else "holds"
        raise RollcallError(
            f"{root} {where} the root of another stack, {other}: whoever removes the outer one would remove the inner "
            "one with it. Nothing was stopped or changed.",
            kind="refused",
            evidence={"root": root, "stacks": list(dict.fromkeys(found))},
            remedies=[cures.then("give the stack a root that is apart from it: stack.root")],
        )


def check_directories(stack: Stack) -> None:
    """Check that no other stack of this host has a directory of this one: each would remove the other's socket.

    Raises:
        RollcallError: ``refused``: one has. Nothing was touched.
    """
    # Every stack of the host is asked: what is mounted, and who is listed, is looked at once for all of them.
    mounted = mounts()
    others = list(_roots(directory(), stack.root, mounted))
    _check_apart(stack.root, [*others, *_roots(NAMES, stack.root, mounted)])
    own = {_which(path): f"stack.paths.{name}" for name, path in _directories(stack.paths)}
    found: t.Dict[str, t.Tuple[str, str]] = {}
    for other in others:
        try:
            neighbour = load_placement(Paths.of(other), mounted)
        except RollcallError:
            # This user may not read it, and then not write to its directories either.
            continue
        if neighbour is None or (neighbour.root != other and os.path.realpath(neighbour.root) != other):
            # None is installed there, or the manifest came with a copy of its root.
            continue
        for _name, path in _directories(neighbour.paths):
            place = own.get(_which(path))
            if place is not None:
                found[path] = (place, f"stack {neighbour.name} at {other}")
    if found:
        listed = "\n".join(f"  {place}: {path} is that of {who}" for path, (place, who) in found.items())
        raise RollcallError(
            f"Each stack needs directories of its own; nothing was stopped or changed:\n{listed}",
            kind="refused",
            evidence={"directories": {path: {"place": place, "stack": who} for path, (place, who) in found.items()}},
            remedies=[cures.then(f"give {stack.name} another directory: {place}") for place, _who in found.values()],
        )


def _which(path: str) -> t.Union[FileId, str]:
    """Return what tells a directory from all others: what it is, or where it would be made."""
    return file_id(path) or _resolved(path)


def _resolved(path: str) -> str:
    """Return where a path leads; the path itself where nobody can follow it, as behind /proc/PID/root of another."""
    try:
        return os.path.realpath(path)
    except OSError:
        return os.path.abspath(path)


def _directories(paths: Paths) -> t.Sequence[t.Tuple[str, str]]:
    return (("run", paths.run), ("logs", paths.logs), ("state", paths.state))


def _ports_of(root: str) -> t.Dict[int, Neighbour]:
    paths = Paths.of(root)
    found: t.Dict[int, Neighbour] = {}
    called = os.path.basename(root)
    if os.path.exists(paths.manifest):
        stack = load_stack(paths)
        called = stack.name
        found.update(
            (port, Neighbour(called, root, service.name))
            for service in stack.services
            for port in service.all_ports.values()
        )
    for service, port in load(paths.state).items():
        found[port] = Neighbour(called, root, service)
    return found


def load(state: str) -> t.Dict[str, int]:
    """Return the leases of a stack, by service.

    Args:
        state: its state directory.

    Raises:
        RollcallError: they are there and cannot be read. They are never taken for none: what runs would move.
    """

    def parse(data: t.Any) -> t.Dict[str, int]:
        return {str(service): int(port) for service, port in data["ports"].items()}

    path = _path(state)
    remedies = [cures.remove(path)]
    return read_record(path, parse, {}, "The ports that this stack has got", remedies)


def save(state: str, ports: t.Mapping[str, int]) -> None:
    """Remember the leases of a stack.

    Args:
        state: its state directory.
        ports: by service; what is not in it is given back.

    Raises:
        OSError: as the kernel says it; the old leases are untouched then.
    """
    os.makedirs(state, mode=0o700, exist_ok=True)
    write_record(_path(state), {"ports": dict(ports)})


def announce(stack: Stack) -> t.Optional[str]:
    """List a stack on its host and keep the leases that its manifest has now; return why it could not be listed."""
    ports = leased(stack)
    if load(stack.paths.state) != ports:
        save(stack.paths.state, ports)
    place = directory()
    try:
        with locked(place):
            register(place, stack.root)
    except (OSError, RollcallError) as exc:
        # A process of another stack may have locked it, and hang. It must not keep the services of this one down.
        return f"other stacks of this host do not see the ports of this one: {exc}"
    return None if place is not None else "other stacks of this host do not see the ports of this one: no home"


def leased(stack: Stack) -> t.Dict[str, int]:
    """Return the ports that are worth remembering: of services that could have had another."""
    return {
        service.name: service.port for service in stack.services if service.port is not None and service.fallback_ports
    }


def _path(state: str) -> str:
    return os.path.join(state, "ports.json")
