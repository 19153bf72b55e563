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
import time
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..base.files import write_atomically
from ..base.removing import mounts_in
from ..host import commands
from ..host.accounts import Account, acting_as, require_account
from ..manifest.release_paths import release_directory
from ..state import last_steps
from . import store, venvs
from .identity import recipe, release_id
from .pruning import KeptRelease, to_prune
from .shared import share
from .source import current_commit, fetch_code
from .wanted import GitSource, WantedRelease

# --- before the switch --------------------------------------------------------------------------------------------


def make_ready(wanted: WantedRelease, *, dry_run: bool = False, clock: Clock = SYSTEM) -> t.Dict[str, t.Any]:
    """Have a release on this host, whole and built, and its ``before_switch`` commands run unless it is in place.

    Args:
        wanted: what is wanted.
        dry_run: to say only what would be done.
        clock: where the time comes from.

    Returns:
        ``changed``, ``id``, ``path``, ``actions`` in words, ``ignored`` shared directories whose content in the release
        was left out, and ``missing``: ``code`` or ``wheels`` when these have to be sent first; then nothing was done.

    Raises:
        RollcallError: ``wrong_use`` and ``refused``: nothing was touched; ``failed``: it could not be built, or a
            command failed. What is in place stays there.
    """
    who = require_account(wanted.user)
    with _as_errors(wanted.root), contextlib.ExitStack() as stack:
        if not dry_run:
            stack.enter_context(store.locked_releases(wanted.root, clock))
            store.remove_unfinished(wanted.root)
        facts = _look(wanted, who)
        actions = _actions(wanted, facts)
        if dry_run or (facts.to_build and not isinstance(wanted.source, GitSource) and not wanted.code.archive):
            missing = [] if dry_run else ["code"]
            return _result(wanted, facts.id, actions, missing=missing)
        try:
            ignored = _make(wanted, who, facts, clock)
        except venvs.WheelsNeeded:
            return _result(wanted, facts.id, actions, missing=["wheels"])
        if not facts.in_place:
            # Before the commands: what is on its way there is not pruned by another run.
            last_steps.note_pending(wanted.root, facts.id)
            _run_all(wanted, who, wanted.before_switch, "before_switch", release_directory(wanted.root, facts.id))
        return _result(wanted, facts.id, actions, ignored=ignored)


class _ReleaseFacts(t.NamedTuple):
    """What is on the host.

    Attributes:
        id: of the release that is wanted.
        code: the digest of its code, or its commit.
        recipe: the digest of how it is made.
        interpreter: which Python its environment is made with; empty without one.
        record: what its own record says; None when it is not there.
        environment: whether the virtual environment that it links to is there, or it needs none.
        in_place: whether it is the current one.
    """

    id: str
    code: str
    recipe: str
    interpreter: str
    record: t.Optional[t.Mapping[str, t.Any]]
    environment: bool
    in_place: bool

    @property
    def to_build(self) -> bool:
        """Whether it has to be built."""
        return self.record is None


def _look(wanted: WantedRelease, who: Account) -> _ReleaseFacts:
    interpreter = venvs.interpreter_of(wanted, who) if wanted.python else ""
    code = current_commit(wanted, wanted.source, who) if isinstance(wanted.source, GitSource) else wanted.code.digest
    how = recipe(wanted, interpreter)
    name = release_id(wanted, code, how)
    record = store.release_record(wanted.root, name, who)
    if record is None and os.path.lexists(release_directory(wanted.root, name)):
        path = release_directory(wanted.root, name)
        raise RollcallError(
            f"{path} is there and has no record of Rollcall's, so it is left alone.",
            kind="refused",
            remedies=[cures.move_away(path), cures.then("give the release another id")],
        )
    if record is not None and (record.get("code"), record.get("recipe")) != (code, how):
        what = "other code" if record.get("code") != code else "the same code in another way"
        raise RollcallError(
            f"Release {name} is on this host and was made of {what}. A release never changes.",
            kind="wrong_use",
            evidence={"id": name, "there": dict(record), "wanted": {"code": code, "recipe": how}},
            remedies=[cures.then("give it another id, or none")],
        )
    environment = str(record["venv"]) if record else ""
    whole = not environment or venvs.is_whole(wanted.root, environment, who)
    return _ReleaseFacts(name, code, how, interpreter, record, whole, store.current_release_id(wanted.root) == name)


def _actions(wanted: WantedRelease, facts: _ReleaseFacts) -> t.List[str]:
    """Return what is to be done, in words."""
    actions = []
    if facts.to_build:
        actions.append(f"build release {facts.id} from {wanted.origin}")
    elif not facts.environment:
        actions.append(f"build the virtual environment of release {facts.id} anew")
    if not facts.in_place:
        actions += [f"run before the switch: {commands.shown(command)}" for command in wanted.before_switch]
    return actions


def _make(wanted: WantedRelease, who: Account, facts: _ReleaseFacts, clock: Clock) -> t.List[str]:
    """Build what is not there; return the shared directories whose content in the release was left out."""
    final = release_directory(wanted.root, facts.id)
    if not facts.to_build:
        if not facts.environment:
            with store.workshop(wanted.root, who) as place:
                venvs.ensure_venv(wanted, who, facts.interpreter, final, place)
        return []
    with store.workshop(wanted.root, who) as place:
        tree = os.path.join(place, "tree")
        fetch_code(wanted, who, facts.code, place, tree)
        environment = ""
        if wanted.python is not None:
            environment = venvs.ensure_venv(wanted, who, facts.interpreter, tree, place)
        ignored = [name for name in wanted.shared if share(wanted.root, who, tree, name)]
        if environment:
            venvs.link_venv(wanted, who, tree, environment)
        _run_all(wanted, who, wanted.build, "build", tree, place)
        record = {
            "id": facts.id,
            "source": wanted.origin,
            "code": facts.code,
            "recipe": facts.recipe,
            "venv": environment,
            "made": clock.wall(),
            "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.wall())),
        }
        with acting_as(who):
            write_atomically(os.path.join(tree, store.RECORD_FILE), json.dumps(record, indent=2) + "\n", 0o644)
            os.chmod(tree, 0o755)
        # A rename can reach the disk before the content of the files does.
        os.sync()
        os.rename(tree, final)
        return ignored


# --- after the switch ---------------------------------------------------------------------------------------------


def finish_switch(wanted: WantedRelease, *, dry_run: bool = False, clock: Clock = SYSTEM) -> t.Dict[str, t.Any]:
    """Run the ``after_switch`` commands of a release that has just been put in place and verified, and prune old ones.

    Args:
        wanted: with the ``id`` of the release.
        dry_run: to say only what would be done.
        clock: where the time comes from.

    Returns:
        The same as :func:`make_ready`, with the releases and virtual environments that went in ``pruned``, and those
        that could not, because something is mounted in them, in ``left``.

    Raises:
        RollcallError: another release is in place; or a command failed: the release is in place all the same.
    """
    who, venvs_of = require_account(wanted.user), store.venvs_directory(wanted.root)
    with _as_errors(wanted.root), contextlib.ExitStack() as stack:
        stays: t.List[str] = []
        if not dry_run:
            stack.enter_context(store.locked_releases(wanted.root, clock))
            stays += store.remove_unfinished(wanted.root)
        there = store.current_release_id(wanted.root)
        if not dry_run and there != wanted.id:
            raise RollcallError(
                f"Release {wanted.id} is not in place, {there or 'none'} is.",
                evidence={"wanted": wanted.id, "in_place": there},
                remedies=[cures.INSTALL],
            )
        # In a dry run the release need not be there yet.
        due = there != wanted.id or last_steps.pending_release(wanted.root) == wanted.id
        to_run = wanted.after_switch if due else ()
        releases, environments = _prunable(wanted, who)
        places = {
            **{f"release {name}": release_directory(wanted.root, name) for name in releases},
            **{f"virtual environment {name}": os.path.join(venvs_of, name) for name in environments},
        }
        mounted = {what: mounts_in(path) for what, path in places.items()}
        actions = [f"run after the switch: {commands.shown(command)}" for command in to_run]
        actions += [f"remove {what}" for what in places if not mounted[what]]
        if not dry_run:
            _run_all(wanted, who, to_run, "after_switch", release_directory(wanted.root, wanted.id))
            last_steps.note_pending(wanted.root, None)
            stays += _discard({what: path for what, path in places.items() if not mounted[what]})
        gone = [os.path.basename(path) for what, path in places.items() if not mounted[what]]
        left = [
            f"{what} is old and stays: {', '.join(found)} is mounted in it" for what, found in mounted.items() if found
        ]
        return _result(wanted, wanted.id, actions, pruned=gone, left=[*left, *stays])


def _discard(places: t.Mapping[str, str]) -> t.List[str]:
    """Remove what is old, and return what cannot be, and why: the release that is wanted is in place all the same."""
    left = []
    for what, path in places.items():
        try:
            store.discard(path)
        except OSError as exc:
            left.append(f"{what} is old, counts no more, and could not be removed: {exc}")
    return left


def _prunable(wanted: WantedRelease, who: Account) -> t.Tuple[t.List[str], t.List[str]]:
    needed = {
        name
        for name in (wanted.id, store.current_release_id(wanted.root), last_steps.pending_release(wanted.root))
        if name
    }
    needed |= store.releases_of_generations(wanted.root)
    kept = []
    for name in store.visible_names(store.releases_directory(wanted.root)):
        record = store.release_record(wanted.root, name, who)
        if record is not None:
            kept.append(KeptRelease(name, float(record["made"]), str(record["venv"])))
    environments = [
        name
        for name in store.visible_names(store.venvs_directory(wanted.root))
        if venvs.venv_record(wanted.root, name, who) is not None
    ]
    return to_prune(kept, environments, needed, wanted.keep)


# --- commands -----------------------------------------------------------------------------------------------------


def _run_all(
    wanted: WantedRelease,
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
        "after_switch": f"Release {wanted.id} is in place and its services were verified.",
    }[what]
    with contextlib.ExitStack() as stack:
        room = place or (stack.enter_context(store.workshop(wanted.root, who)) if argvs else "")
        for argv in argvs:
            done = commands.run_in(directory, argv, who, place=room, more=wanted.environment, timeout=wanted.timeout)
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
            remedies=[cures.space(root), cures.rights(root), cures.AGAIN],
        ) from exc


def _result(
    wanted: WantedRelease,
    name: str,
    actions: t.Sequence[str],
    *,
    missing: t.Sequence[str] = (),
    ignored: t.Sequence[str] = (),
    pruned: t.Sequence[str] = (),
    left: t.Sequence[str] = (),
) -> t.Dict[str, t.Any]:
    return {
        "changed": bool(actions),
        "id": name,
        "path": release_directory(wanted.root, name),
        "actions": list(actions),
        "missing": list(missing),
        "ignored": list(ignored),
        "pruned": list(pruned),
        "left": list(left),
        "diff": {"prepared": "".join(f"{action}\n" for action in actions)},
    }
