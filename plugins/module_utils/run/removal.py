# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Removes from a host what ``bootstrap`` and all runs have made there, and nothing else. The stack is stopped before.

What others have put into the root stays, whenever they did. Into directories of Rollcall's own others may have written
as well: the logs, the data that releases share, the engine, the generations, what the stack remembers. These go, and
what others have in them is named before and afterwards.

It is first decided what goes, with everything that speaks against it. The files that prove that a directory is a
stack's go last, so that a removal that was cut off can be run again.
"""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from ..base import cures
from ..base.errors import RollcallError
from ..base.files import is_temporary, read_record, read_text
from ..base.removing import mount_points, remove, remove_empty
from ..host import roots
from ..host.accounts import Account, all_accounts, is_of_stack
from ..host.answering import silent_mount
from ..host.labels import living_stacks
from ..host.model import Label
from ..host.mounts import is_within
from ..manifest.model import Paths, Stack
from ..ports import leases
from ..state import before
from ..state.generations import load_stack

# Any of these below ROOT/engine proves that bootstrap has made the directory, also when it was cut off.
PROOFS = ("prepared", before.NAME, "rollcall", "requirements.txt")
# Files that Rollcall makes in a directory that may have been there before; then all that it makes in a root.
FILES = ("bin/rollcall", "lib/rollcall_ports.py")
MADE = frozenset(["bin", "current", "engine", "etc", "generations", "lib", "logs", "ports.json", "releases", "run"])
MADE |= {"shared", "state", "venvs"}
# Ansible's own in a home, which the root is to the account of a stack; and what an install that was cut off has left.
PASSING = (".ansible", ".rollcall-")
# How the name begins of a release or an environment that is not finished, or on its way out.
UNFINISHED = (".making-", ".going-")
# What a stack remembers, beside its records in JSON.
STATE = frozenset(["delivered", "jobs", "lock", "release", "runs", "undo"])
# What a run writes of a generation.
GENERATION = frozenset(["env", "manifest.json", "meta.json", "ports.json", "release", "supervisord.conf"])
# The end of the name of a service's log, and of those that were rotated.
_LOG = re.compile(r"\.(?:log|out)(?:\.[0-9]+)?\Z")
# For where nothing tells what was there before: what Rollcall makes in its engine, where its links lead, and the file
# by which a release or an environment is known as one that it has made.
ENGINE = ("__main__.py", "requirements.txt", "rollcall", "venv", "version", "wheels", before.NAME, "prepared")
# More of an engine, where it is known that nobody else's was there before.
ENGINE_TRACES = frozenset(["__pycache__", "files", "lingering", "requirements.txt.new"])
LINKS = {"etc": "generations/", "current": "etc/", "ports.json": "etc/"}
RECORDS = {"releases": ".rollcall-release.json", "venvs": ".rollcall-venv.json"}


@dataclass(frozen=True)
class RemovalFacts:
    """What is known of a host before a removal.

    Attributes:
        accounts: all of them.
        mounts: every mount point.
        names: the directory of the links by which the command finds a stack; empty for another user than root.
        stacks: the directory that lists the stacks of this user; None for a user without a home.
        shared: files that the stacks of the host share; they go with the last stack.
        emptied: directories that go when they are empty, the innermost first.
        alive: the stacks of which something runs, whoever lists them.
    """

    accounts: t.Sequence[Account]
    mounts: t.Sequence[str]
    names: str
    stacks: t.Optional[str]
    shared: t.Sequence[str]
    emptied: t.Sequence[str]
    alive: t.Sequence[Label] = ()


@dataclass(frozen=True)
class Removal:
    """What a removal takes away, and what it leaves.

    Attributes:
        inside: entries of the root, in the order in which they go.
        outside: links and files elsewhere; they go first.
        root: the root itself; None when something in it stays.
        account: the account that is to go; the caller removes it.
        left: what stays although it may belong to the stack, with the reason.
        emptied: directories of the root that go when nothing is in them any more.
        with_it: what goes although Rollcall has not made it, for it is in a directory that is Rollcall's own.
    """

    inside: t.Tuple[str, ...]
    outside: t.Tuple[str, ...]
    root: t.Optional[str]
    account: t.Optional[str]
    left: t.Tuple[str, ...]
    emptied: t.Tuple[str, ...] = ()
    with_it: t.Tuple[str, ...] = ()

    @property
    def removed(self) -> t.List[str]:
        """All that goes, for people."""
        whole = [] if self.root is None else [self.root]
        account = [] if self.account is None else [f"account {self.account}"]
        return [*(whole or self.inside), *self.outside, *account]


NOTHING = Removal((), (), None, None, ())


def look() -> RemovalFacts:
    """Return what is known of this host, for the user who runs this.

    Raises:
        OSError: a directory cannot be read.
    """
    accounts = all_accounts()
    stacks = leases.directory()
    alive = living_stacks()
    if os.geteuid() == 0:
        names, facts = leases.NAMES, "/etc/ansible/facts.d"
        shared = ["/usr/local/bin/rollcall", os.path.join(facts, "rollcall.fact")]
        emptied = [names, "/etc/rollcall", facts, "/etc/ansible", "/var/lib/rollcall/stacks", "/var/lib/rollcall"]
        return RemovalFacts(accounts, mount_points(), names, stacks, shared, emptied, alive)
    home = os.path.expanduser("~")
    parts = [
        ".config/systemd/user/default.target.wants",
        ".config/systemd/user/timers.target.wants",
        ".config/systemd/user",
        ".config/systemd",
        ".config",
    ]
    # Where systemd keeps when the timers of a user have run last.
    parts += [".local/share/systemd/timers", ".local/share/systemd"]
    parts += [".local/share", ".local/state/rollcall/stacks", ".local/state/rollcall", ".local/state", ".local"]
    emptied = [os.path.join(home, part) for part in parts]
    return RemovalFacts(accounts, mount_points(), "", stacks, [], emptied, alive)


def decide(stack: Stack, keep: t.Sequence[str], host: RemovalFacts, found: t.Sequence[str] = ()) -> Removal:
    """Return what a removal takes away. What was there before Rollcall stays.

    Args:
        stack: the manifest.
        keep: names of entries of the root that stay.
        host: what is known of the host.
        found: names of entries that were in the root when the install began that is taken back; they stay, except
            those that Rollcall makes.

    Raises:
        RollcallError: ``refused``: the root was not made by Rollcall, or somebody else's files are in it.
        OSError: a directory cannot be read.
    """
    root = os.path.normpath(stack.root)
    entries = sorted(os.listdir(root)) if os.path.isdir(root) else []
    noted = before.names_before(root)
    earlier = {*(noted or ()), *(name for name in found if name not in MADE)}
    inside = _going(stack, root, entries, keep, earlier) if noted is not None else _provable(root, [*keep, *earlier])
    if inside:
        # First, for the state in which it is listed goes as well.
        inside = [*_delivered(stack, root, {*MADE, *keep, *earlier}), *inside]
    _check(stack, root, inside, host, claimed="engine" in entries)
    staying = _staying(root, entries, inside, {*keep, *earlier})
    whole = root if os.path.lexists(root) and not staying else None
    outside, last = _listed(root, host)
    account, kept = _account(stack, root, host, keeps=bool(staying))
    elsewhere = [
        f"{path}: the manifest has it outside of {root}"
        for path in (stack.paths.logs, stack.paths.run, stack.paths.state)
        if not is_within(path, root) and os.path.lexists(path)
    ]
    kept += [f"{os.path.join(root, name)}: it was there before" for name in entries if name in earlier]
    if inside:
        why = "Rollcall has not made it" if noted is not None else "nothing tells whether it was there before"
        kept += [f"{path}: {why}" for name, paths in staying.items() if name not in {*keep, *earlier} for path in paths]
    shared = [path for path in host.shared if last and os.path.lexists(path)]
    return Removal(
        inside=tuple(inside),
        # The links come last: by them a removal that was cut off finds the rest.
        outside=(*shared, *outside),
        root=whole,
        account=account,
        left=(*kept, *elsewhere),
        emptied=tuple(dict.fromkeys(above for path in inside for above in _above(path, root, earlier))),
        with_it=tuple(each for path in inside for each in _of_others(stack, root, path)),
    )


def _going(
    stack: Stack, root: str, entries: t.Sequence[str], keep: t.Sequence[str], earlier: t.Container[str]
) -> t.List[str]:
    """Return what goes of a root where it is known what was there before, in the order in which it goes."""
    if "engine" not in entries:
        return []
    inside = []
    for name in entries:
        path = os.path.join(root, name)
        if name in earlier and name not in keep:
            inside += [os.path.join(root, file) for file in FILES if file.split("/", 1)[0] == name]
        elif name not in keep and (name in MADE or name.startswith(PASSING)):
            ours = [each for each in _names(path) if _made(root, name, each)]
            whole = os.path.islink(path) or len(ours) == len(_names(path))
            inside += [path] if whole else [os.path.join(path, each) for each in ours]
    for path in (stack.paths.logs, stack.paths.run, stack.paths.state):
        first = _first(path, root)
        if is_within(path, root) and first not in MADE and first not in keep and first not in earlier:
            inside.append(path)
    # Last the engine: it proves that the root is a stack's.
    inside.sort(key=lambda path: path == os.path.join(root, "engine"))
    return [path for path in inside if os.path.lexists(path)]


def _delivered(stack: Stack, root: str, others: t.Container[str]) -> t.List[str]:
    """Return the files that the role credentials has delivered into the root; it lists each of them in the state.

    One that has come to lie behind a link is somebody else's. Of the entries of the root in ``others`` it is none.
    """
    place = os.path.join(stack.paths.state, "delivered")
    found = []
    for name in _names(place):
        path = os.path.normpath(os.path.join(root, read_text(os.path.join(place, name))))
        above = os.path.dirname(path)
        behind = os.path.relpath(os.path.realpath(above), os.path.realpath(root)) != os.path.relpath(above, root)
        ours = is_within(path, root) and _first(path, root) not in others and not behind
        if ours and os.path.lexists(path) and not os.path.isdir(path):
            found.append(path)
    return sorted(found)


def _first(path: str, root: str) -> str:
    """Return the entry of the root in which a path below it is."""
    return os.path.relpath(path, root).split("/", 1)[0]


def _made(root: str, name: str, entry: str) -> bool:
    """Return whether Rollcall has made an entry of a directory that it has made."""
    if name in RECORDS:
        return entry.startswith(UNFINISHED) or _has(root, name, entry, RECORDS[name])
    return name not in ("bin", "lib") or f"{name}/{entry}" in FILES or entry == "__pycache__"


def _staying(
    root: str, entries: t.Sequence[str], going: t.Sequence[str], whole: t.Container[str]
) -> t.Dict[str, t.List[str]]:
    """Return what stays of each entry of the root of which something does; of those in ``whole`` it is all."""
    found = {}
    for name in entries:
        path = os.path.join(root, name)
        found[name] = [path] if name in whole else _rest(path, going)
    return {name: paths for name, paths in found.items() if paths}


def _rest(path: str, going: t.Sequence[str]) -> t.List[str]:
    """Return what is left of a path when others go: itself, or what is in it."""
    if path in going:
        return []
    if os.path.islink(path) or not any(is_within(other, path) for other in going):
        return [path]
    return [left for name in _names(path) for left in _rest(os.path.join(path, name), going)]


def _of_others(stack: Stack, root: str, path: str) -> t.List[str]:
    """Return what is in a directory that goes although Rollcall has not made it."""
    found = [] if os.path.islink(path) else _names(path)
    if path == os.path.join(root, "engine"):
        found = [name for name in found if name not in ENGINE and name not in ENGINE_TRACES]
    elif path == stack.paths.logs:
        known = {"supervisord", *stack.entries}
        found = [name for name in found if _LOG.split(name)[0] not in known]
    elif path == stack.paths.state:
        found = [name for name in found if name not in STATE and not name.endswith(".json")]
    elif path == stack.paths.run:
        own = {os.path.basename(one.socket) for one in stack.services if os.path.dirname(one.socket) == path}
        found = [name for name in found if not name.startswith("supervisor") and name not in own]
    elif path == os.path.join(root, "generations"):
        found = _beside_generations(path)
    elif path != os.path.join(root, "shared"):
        return []
    return [os.path.join(path, name) for name in found]


def _beside_generations(directory: str) -> t.List[str]:
    """Return what is in the directory of the generations, and in each of them, that no run has written."""
    found = []
    for name in _names(directory):
        place = os.path.join(directory, name)
        if os.path.islink(place) or not os.path.isdir(place):
            found.append(name)
            continue
        found += [os.path.join(name, one) for one in _names(place) if one not in GENERATION and not is_temporary(one)]
        secrets = os.path.join(place, "env")
        private = [] if os.path.islink(secrets) else [one for one in _names(secrets) if not one.endswith(".json")]
        found += [os.path.join(name, "env", one) for one in private if not is_temporary(one)]
    return found


def _above(path: str, root: str, earlier: t.Container[str]) -> t.Iterator[str]:
    """Yield the directories between a path and the root that were not there before, the innermost first."""
    above = os.path.dirname(path)
    while above != root and is_within(above, root) and _first(above, root) not in earlier:
        yield above
        above = os.path.dirname(above)


def _provable(root: str, keep: t.Sequence[str]) -> t.List[str]:
    """Return what is Rollcall's by itself, where nothing tells what was there before, in the order in which it goes."""
    engine = [os.path.join("engine", name) for name in ENGINE]
    if not any(os.path.lexists(os.path.join(root, "engine", name)) for name in PROOFS):
        return []
    ours = [name for name, leads in LINKS.items() if _link(os.path.join(root, name)).startswith(leads)]
    for name, record in RECORDS.items():
        ours += [os.path.join(name, one) for one in _names(os.path.join(root, name)) if _has(root, name, one, record)]
    ours += ["generations"] if "etc" in ours else []
    ours += ["state"] if _has(root, "state", "runs") else []
    return [
        os.path.join(root, path)
        for path in (*ours, *FILES, *engine)
        if path.split("/", 1)[0] not in keep and _has(root, path)
    ]


def _link(path: str) -> str:
    return os.readlink(path) if os.path.islink(path) else ""


def _names(directory: str) -> t.List[str]:
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []


def _has(*parts: str) -> bool:
    return os.path.lexists(os.path.join(*parts))


def statement(stack: Stack, decided: Removal, *, taken_back: bool) -> str:
    """Return what became of a first install that failed, for people.

    Args:
        stack: the manifest.
        decided: what it has made.
        taken_back: whether that was removed.
    """
    made = ", ".join(decided.removed) or "nothing"
    if not taken_back:
        return (
            f"Stack {stack.name} was never verified on this host. What was made stays: {made}. The same command again "
            f"goes on from there; this takes it off: {cures.take_off(stack.name)}"
        )
    left = f" With it went what Rollcall has not made: {', '.join(decided.with_it)}." if decided.with_it else ""
    left += f" Left: {'; '.join(decided.left)}." if decided.left else ""
    return (
        f"Stack {stack.name} was never verified on this host, and what was made is taken back: {made}.{left} "
        "Packages and databases stay. When the cause is mended, the same command installs it again."
    )


def _check(stack: Stack, root: str, going: t.Sequence[str], host: RemovalFacts, *, claimed: bool) -> None:
    """Check that all that goes is the stack's; ``claimed`` is whether there is something like an engine.

    Raises:
        RollcallError: ``refused``: something is not.
    """
    if root != "/" and not os.path.islink(root):
        _check_no_inner(root, host)
    engine = os.path.join(root, "engine")
    foreign = [
        account
        for account in host.accounts
        if is_within(os.path.normpath(account.home), root) and not is_of_stack(account, stack.user)
    ]
    # The kernel names a mount by its real path, and other stacks may have another spelling.
    real = [os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)) for path in going]
    mounted = [place for place in host.mounts if any(is_within(place, path) for path in (*going, *real))]
    others = [who for who, place in _places_of_others(root, host) if any(is_within(place, path) for path in real)]
    if root == "/" or os.path.islink(root):
        why = "it is the root of the host" if root == "/" else f"it is a link to {os.path.realpath(root)}"
    elif foreign:
        why = f"it is, or holds, the home of {', '.join(sorted(account.name for account in foreign))}"
    elif mounted:
        why = f"something is mounted in it: {', '.join(mounted)}"
    elif others:
        why = f"it holds {', '.join(dict.fromkeys(others))}"
    elif claimed and not any(os.path.exists(os.path.join(engine, name)) for name in PROOFS):
        why = "nothing in it says that Rollcall has made it"
    else:
        return
    raise RollcallError(
        f"{root} is not removed: {why}. Nothing was touched.",
        kind="refused",
        evidence={"root": root, "entries": [os.path.relpath(path, root) for path in going]},
        remedies=[cures.rights(root)],
    )


def _check_no_inner(root: str, host: RemovalFacts) -> None:
    """Check that no other stack has its root in this one, whether that would go or stay.

    Raises:
        RollcallError: ``refused``: one has, by the lists of the host, by a process that lives, or by its engine.
    """
    real = os.path.realpath(root)
    listed = list(_roots_of_others(root, host))
    alive = [os.path.realpath(label.root) for label in host.alive]
    inner = [place for place in (*listed, *alive) if place != real and is_within(place, real)]
    unlisted = [] if inner else list(_engines_below(real, host.mounts))
    if unlisted:
        raise RollcallError(
            f"{root} is not removed: it holds {unlisted[0]}, a stack that is not listed there, as one that was moved. "
            "Nothing was touched.",
            kind="refused",
            evidence={"root": root, "stacks": unlisted},
            remedies=[cures.then(f"move {unlisted[0]} out of {root}", cures.AGAIN)],
        )
    if not inner:
        return
    place = inner[0]
    named = next((label.stack for label in host.alive if os.path.realpath(label.root) == place), "")
    name = named or _name_of(place)
    raise RollcallError(
        f"{root} is not removed: it holds the stack at {place}{', which runs' if place in alive else ''}. Nothing was "
        "touched.",
        kind="refused",
        evidence={"root": root, "stacks": list(dict.fromkeys(inner))},
        remedies=[cures.take_off(name), cures.AGAIN],
    )


def _engines_below(root: str, mounted: t.Container[str]) -> t.Iterator[str]:
    """Yield each directory below a root that has an engine of its own; links are not followed, nor is what is mounted.

    Whoever moves a stack into another one leaves its links and the labels of its processes where it was. Directories
    may be nested as deeply as the stack's user likes, and os.walk calls itself for each of them. What is too deep for a
    path is no stack's root.
    """
    waiting = [root]
    while waiting:
        above = waiting.pop()
        try:
            with os.scandir(above) as entries:
                names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:
            continue
        if above != root and "engine" in names and os.path.isdir(os.path.join(above, roots.ENGINE)):
            yield above
        waiting += [path for path in (os.path.join(above, name) for name in reversed(names)) if path not in mounted]


def _name_of(root: str) -> str:
    """Return the name of the stack at a root; that of the directory, where none can be read."""
    try:
        return load_stack(Paths.of(root)).name
    except RollcallError:
        return os.path.basename(root)


def _roots_of_others(root: str, host: RemovalFacts) -> t.Iterator[str]:
    """Return the roots of the other stacks of the host as real paths."""
    for directory in filter(None, (host.names, host.stacks)):
        for name in _names(directory):
            link = os.path.join(directory, name)
            if not os.path.islink(link) or silent_mount(link) is not None:
                continue
            other = os.path.realpath(link)
            if other != os.path.realpath(root) and os.path.isdir(other):
                yield other


def _places_of_others(root: str, host: RemovalFacts) -> t.Iterator[t.Tuple[str, str]]:
    """Return the directories of the other stacks of the host as real paths, each with words for whose it is."""
    for other in _roots_of_others(root, host):
        yield f"the stack at {other}", other
        try:
            paths = load_stack(Paths.of(other)).paths
        except RollcallError:
            # Nothing is installed there, or this user may not read it.
            continue
        for place in (paths.run, paths.logs):
            yield f"{place}, which is that of the stack at {other}", os.path.realpath(place)


def _listed(root: str, host: RemovalFacts) -> t.Tuple[t.List[str], bool]:
    """Return the links that lead to the stack, and whether it is the last stack that the command finds."""
    ours, others = [], 0
    for directory in filter(None, (host.names, host.stacks)):
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
            link = os.path.join(directory, name)
            if not os.path.islink(link):
                continue
            if os.path.normpath(os.readlink(link)) == root:
                ours.append(link)
            else:
                others += directory == host.names and os.path.exists(link)
    return ours, any(is_within(link, host.names) for link in ours if host.names) and not others


def _account(stack: Stack, root: str, host: RemovalFacts, *, keeps: bool) -> t.Tuple[t.Optional[str], t.List[str]]:
    """Return the account that goes, and what stays, with the reason."""
    account = next((one for one in host.accounts if one.name == stack.user), None)
    if account is None or not host.names:
        return None, []
    others = _stacks_of(account.name, root, host)
    if account.comment != f"Rollcall stack {stack.name}":
        why = "it was not made for this stack"
    elif keeps:
        why = "what is kept is its own"
    elif others:
        why = f"the stack at {others[0]} runs as it"
    else:
        return account.name, []
    return None, [f"account {account.name}: {why}"]


def _stacks_of(user: str, root: str, host: RemovalFacts) -> t.List[str]:
    """Return the roots of the other stacks of the host that run as a user."""
    found = []
    for name in sorted(os.listdir(host.names)) if os.path.isdir(host.names) else ():
        other = os.path.realpath(os.path.join(host.names, name))
        manifest = os.path.join(other, "etc", "manifest.json")
        # Without a file nothing is installed there yet, or it is gone.
        runs_as = read_record(manifest, lambda data: data.get("user"), "", "The manifest of another stack")
        if runs_as == user and other != os.path.realpath(root):
            found.append(other)
    return found


def carry_out(removal: Removal, host: RemovalFacts) -> None:
    """Remove what was decided, except the account.

    Raises:
        OSError: something could not be removed. Another call goes on from there.
    """
    for path in removal.outside:
        remove(path, missing_ok=True)
    for path in removal.inside:
        if os.path.basename(path) == "engine":
            _remove_engine(path)
        else:
            # The way back of what was delivered may have taken it since.
            remove(path, missing_ok=True)
    for path in filter(os.path.isdir, removal.emptied):
        remove_empty(path)
    if removal.root is not None:
        remove_empty(removal.root)
    _remove_empty(host)


def _remove_engine(path: str) -> None:
    # Last what another removal needs when this one is cut off here.
    last = [before.NAME, PROOFS[0]]
    for name in sorted(set(os.listdir(path)).difference(last)) + last:
        if os.path.lexists(os.path.join(path, name)):
            remove(os.path.join(path, name))
    remove_empty(path)


def _remove_empty(host: RemovalFacts) -> None:
    """Remove the directories that were made for stacks and are empty now."""
    if host.stacks is not None and os.path.isdir(host.stacks) and os.listdir(host.stacks) == [".lock"]:
        remove(os.path.join(host.stacks, ".lock"))
    for path in host.emptied:
        if os.path.isdir(path):
            remove_empty(path)
