# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Releases of the application's code: built beside each other, switched by the generation, pruned when not needed.

Below the stack's root are ``releases/<id>``, ``venvs/<hash>`` and ``shared/<name>``. A release is built in a directory
of another name and renamed when it is whole; a virtual environment, which cannot be moved, is built in its place and
marked when it is whole. What a killed run leaves behind is known by that and removed by the next one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
import typing as t

from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..base.files import remove_tree, write_atomically
from ..host import commands
from ..host.accounts import Account, acting_as, require_account
from ..manifest.model import release_directory
from . import code as release_code
from . import plan as release_plan
from . import store as release_store
from . import venvs
from .plan import Git, Kept, Wish

# --- before the switch --------------------------------------------------------------------------------------------


def ready(wish: Wish, *, dry_run: bool = False, clock: Clock = SYSTEM) -> t.Dict[str, t.Any]:
    """Have a release on this host, whole and built, and its ``before_switch`` commands run unless it is in place.

    Args:
        wish: what is wanted.
        dry_run: to say only what would be done.
        clock: where the time comes from.

    Returns:
        ``changed``, ``id``, ``path``, ``actions`` in words, ``ignored`` shared directories whose content in the release
        was left out, and ``missing``: ``code`` or ``wheels`` when these have to be sent first; then nothing was done.

    Raises:
        RollcallError: ``wrong_use`` and ``refused``: nothing was touched; ``failed``: it could not be built, or a
            command failed. What is in place stays there.
    """
    who = require_account(wish.user)
    with _as_errors(wish.root), contextlib.ExitStack() as stack:
        if not dry_run:
            stack.enter_context(release_store.locked(wish.root, clock))
            release_store.sweep(wish.root)
        facts = _look(wish, who)
        actions = _actions(wish, facts)
        if dry_run or (facts.to_build and not isinstance(wish.source, Git) and not wish.code.archive):
            missing = [] if dry_run else ["code"]
            return _result(wish, facts.id, actions, missing=missing)
        try:
            ignored = _make(wish, who, facts, clock)
        except venvs.WheelsNeeded:
            return _result(wish, facts.id, actions, missing=["wheels"])
        if not facts.in_place:
            # Before the commands: what is on its way there is not pruned by another run.
            release_store.note_pending(wish.root, facts.id)
            _run_all(wish, who, wish.before_switch, "before_switch", release_directory(wish.root, facts.id))
        return _result(wish, facts.id, actions, ignored=ignored)


class _Facts(t.NamedTuple):
    """What is on the host.

    Attributes:
        id: of the release that is wanted.
        code: the digest of its code, or its commit.
        recipe: the digest of how it is made.
        interpreter: which Python its environment is made with; empty without one.
        marker: what its own marker says; None when it is not there.
        environment: whether the virtual environment that it links to is there, or it needs none.
        in_place: whether it is the current one.
    """

    id: str
    code: str
    recipe: str
    interpreter: str
    marker: t.Optional[t.Mapping[str, t.Any]]
    environment: bool
    in_place: bool

    @property
    def to_build(self) -> bool:
        """Whether it has to be built."""
        return self.marker is None


def _look(wish: Wish, who: Account) -> _Facts:
    interpreter = venvs.interpreter(wish, who) if wish.python else ""
    code = release_code.commit(wish, wish.source, who) if isinstance(wish.source, Git) else wish.code.digest
    recipe = release_plan.recipe(wish, interpreter)
    name = release_plan.release_id(wish, code, recipe)
    marker = release_store.release_marker(wish.root, name, who)
    if marker is None and os.path.lexists(release_directory(wish.root, name)):
        path = release_directory(wish.root, name)
        raise RollcallError(
            f"{path} is there and has no marker of Rollcall's, so it is left alone.",
            kind="refused",
            remedies=[f"look at it and move it away: mv {path} {path}.saved", "give the release another id"],
        )
    if marker is not None and (marker.get("code"), marker.get("recipe")) != (code, recipe):
        what = "other code" if marker.get("code") != code else "the same code in another way"
        raise RollcallError(
            f"Release {name} is on this host and was made of {what}. A release never changes.",
            kind="wrong_use",
            evidence={"id": name, "there": dict(marker), "wanted": {"code": code, "recipe": recipe}},
            remedies=["give it another id", "or none: then it is made from the content"],
        )
    environment = str(marker["venv"]) if marker else ""
    whole = not environment or venvs.whole(wish.root, environment, who)
    return _Facts(name, code, recipe, interpreter, marker, whole, release_store.in_place(wish.root) == name)


def _actions(wish: Wish, facts: _Facts) -> t.List[str]:
    """Return what is to be done, in words."""
    actions = []
    if facts.to_build:
        actions.append(f"build release {facts.id} from {wish.origin}")
    elif not facts.environment:
        actions.append(f"build the virtual environment of release {facts.id} anew")
    if not facts.in_place:
        actions += [f"run before the switch: {commands.shown(command)}" for command in wish.before_switch]
    return actions


def _make(wish: Wish, who: Account, facts: _Facts, clock: Clock) -> t.List[str]:
    """Build what is not there; return the shared directories whose content in the release was left out."""
    final = release_directory(wish.root, facts.id)
    if not facts.to_build:
        if not facts.environment:
            with release_store.workshop(wish.root, who) as place:
                venvs.ready(wish, who, facts.interpreter, final, place)
        return []
    with release_store.workshop(wish.root, who) as place:
        tree = os.path.join(place, "tree")
        release_code.fetch(wish, who, facts.code, place, tree)
        environment = ""
        if wish.python is not None:
            environment = venvs.ready(wish, who, facts.interpreter, tree, place)
        ignored = [name for name in wish.shared if _share(wish.root, who, tree, name)]
        if environment:
            venvs.link(wish, who, tree, environment)
        _run_all(wish, who, wish.build, "build", tree, place)
        marker = {
            "id": facts.id,
            "source": wish.origin,
            "code": facts.code,
            "recipe": facts.recipe,
            "venv": environment,
            "made": clock.wall(),
            "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.wall())),
        }
        with acting_as(who):
            write_atomically(os.path.join(tree, release_store.MARKER), json.dumps(marker, indent=2) + "\n", 0o644)
            os.chmod(tree, 0o755)
        # A rename can reach the disk before the content of the files does.
        os.sync()
        os.rename(tree, final)
        return ignored


# --- after the switch ---------------------------------------------------------------------------------------------


def switched(wish: Wish, *, dry_run: bool = False, clock: Clock = SYSTEM) -> t.Dict[str, t.Any]:
    """Run the ``after_switch`` commands of a release that has just been put in place and verified, and prune old ones.

    Args:
        wish: with the ``id`` of the release.
        dry_run: to say only what would be done.
        clock: where the time comes from.

    Returns:
        The same as :func:`ready`, with the releases and virtual environments that went in ``pruned``.

    Raises:
        RollcallError: another release is in place; or a command failed: the release is in place all the same.
    """
    who = require_account(wish.user)
    with _as_errors(wish.root), contextlib.ExitStack() as stack:
        if not dry_run:
            stack.enter_context(release_store.locked(wish.root, clock))
            release_store.sweep(wish.root)
        there = release_store.in_place(wish.root)
        if not dry_run and there != wish.id:
            raise RollcallError(
                f"Release {wish.id} is not in place, {there or 'none'} is.",
                evidence={"wanted": wish.id, "in_place": there},
                remedies=["ansible-playbook site.yml"],
            )
        # In a dry run the release need not be there yet.
        due = there != wish.id or release_store.pending(wish.root) == wish.id
        to_run = wish.after_switch if due else ()
        releases, environments = _prunable(wish, who)
        actions = [f"run after the switch: {commands.shown(command)}" for command in to_run]
        actions += [f"remove release {name}" for name in releases]
        actions += [f"remove virtual environment {name}" for name in environments]
        if not dry_run:
            _run_all(wish, who, to_run, "after_switch", release_directory(wish.root, wish.id))
            release_store.note_pending(wish.root, None)
            for path in [
                *(release_directory(wish.root, name) for name in releases),
                *(os.path.join(release_store.environments(wish.root), name) for name in environments),
            ]:
                release_store.discard(path)
        return _result(wish, wish.id, actions, pruned=[*releases, *environments])


def _prunable(wish: Wish, who: Account) -> t.Tuple[t.List[str], t.List[str]]:
    needed = {name for name in (wish.id, release_store.in_place(wish.root), release_store.pending(wish.root)) if name}
    needed |= release_store.of_generations(wish.root)
    kept = []
    for name in release_store.names(release_store.releases(wish.root)):
        marker = release_store.release_marker(wish.root, name, who)
        if marker is not None:
            kept.append(Kept(name, float(marker["made"]), str(marker["venv"])))
    environments = [
        name
        for name in release_store.names(release_store.environments(wish.root))
        if venvs.marker(wish.root, name, who) is not None
    ]
    return release_plan.to_prune(kept, environments, needed, wish.keep)


# --- shared directories -------------------------------------------------------------------------------------------


def _share(root: str, who: Account, tree: str, name: str) -> bool:
    """Link a directory that all releases share into a release; return whether content in the release was left out.

    What the first release that has a directory of that name brings is its initial content.
    """
    shared = os.path.join(root, "shared", name)
    brought = os.path.join(tree, name)
    with acting_as(who):
        brings = os.path.isdir(brought) and not os.path.islink(brought)
        if os.path.lexists(brought) and not brings:
            raise RollcallError(
                f"The release has {name}, which is not a directory, and is to have the shared directory there.",
                kind="wrong_use",
                remedies=[f"take '{name}' out of `shared`, or out of the release with `exclude`"],
            )
    fresh = not os.path.isdir(shared)
    if fresh:
        _make_shared(root, who, name, brought if brings else None)
    with acting_as(who):
        if brings:
            remove_tree(brought)
        os.makedirs(os.path.dirname(brought), exist_ok=True)
        os.symlink(shared, brought)
    return brings and not fresh


def _make_shared(root: str, who: Account, name: str, content: t.Optional[str]) -> None:
    """Make a shared directory with its content, whole or not at all."""
    top = os.path.join(root, "shared")
    above = top
    release_store.own_directory(top)
    for part in os.path.dirname(name).split("/"):
        if part:
            above = os.path.join(above, part)
            release_store.own_directory(above)
    fresh = tempfile.mkdtemp(prefix=release_store.MAKING, dir=top)
    try:
        os.chown(fresh, who.uid, who.gid)
        with acting_as(who):
            if content is not None:
                shutil.copytree(content, fresh, symlinks=True, dirs_exist_ok=True)
            os.chmod(fresh, 0o750)
        os.rename(fresh, os.path.join(top, name))
    except BaseException:
        release_store.remove(fresh)
        raise


# --- commands -----------------------------------------------------------------------------------------------------


def _run_all(
    wish: Wish,
    who: Account,
    argvs: t.Sequence[t.Sequence[str]],
    what: str,
    directory: str,
    place: t.Optional[str] = None,
) -> None:
    """Run commands one after the other in a release.

    Raises:
        RollcallError: one of them failed, and what that means by ``what`` it was.
    """
    means = {
        "build": "Nothing was stopped, and the release that is in place stays.",
        "before_switch": "Nothing was stopped, and the release that is in place stays.",
        "after_switch": f"Release {wish.id} is in place and its services were verified.",
    }[what]
    with contextlib.ExitStack() as stack:
        workshop = place or (stack.enter_context(release_store.workshop(wish.root, who)) if argvs else "")
        for argv in argvs:
            done = commands.run_in(directory, argv, who, place=workshop, more=wish.environment, timeout=wish.timeout)
            if not done.ok:
                raise commands.failure(
                    f"{what}: {commands.shown(argv)}", done, ["correct it, then run the same command again"], means
                )


@contextlib.contextmanager
def _as_errors(root: str) -> t.Iterator[None]:
    """Have what the system refuses told as an error of ours."""
    try:
        yield
    except OSError as exc:
        raise RollcallError(
            f"The release could not be made: {exc}. What is in place stays, and what was begun does not count.",
            evidence={"cause": str(exc)},
            remedies=[f"df -h {root}; df -i {root}; ls -ld {root}", "run the same command again"],
        ) from exc


def _result(
    wish: Wish,
    name: str,
    actions: t.Sequence[str],
    *,
    missing: t.Sequence[str] = (),
    ignored: t.Sequence[str] = (),
    pruned: t.Sequence[str] = (),
) -> t.Dict[str, t.Any]:
    return {
        "changed": bool(actions),
        "id": name,
        "path": release_directory(wish.root, name),
        "actions": list(actions),
        "missing": list(missing),
        "ignored": list(ignored),
        "pruned": list(pruned),
        "diff": {"prepared": "".join(f"{action}\n" for action in actions)},
    }
