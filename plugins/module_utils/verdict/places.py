# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""May a stack be where its manifest wants it on this host: asked before anything is made, and before every change."""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.errors import Problem, RollcallError
from ..host import units
from ..host.accounts import user_name
from ..host.other_hands import Untrusted, untrusted, untrusted_within
from ..host.system_directories import forbidden
from ..manifest.model import Stack
from ..manifest.system_directories import known_directory
from ..ports import leases
from ..supervisord.places import engine_directory, engine_python

# What root executes and believes with all that is in it, by their names in the root; and which directories in it are
# the stack's user's.
TREES: t.Mapping[str, t.Sequence[str]] = {"engine": (), "bin": (), "lib": (), "generations": ("env",)}


def problems(stack: Stack) -> t.Iterator[Problem]:
    """Find what speaks against the root and the paths of a stack, each with its cure."""
    yield from forbidden(stack)
    for one in all_untrusted(stack.root, stack.paths.state):
        message = f"{one.reason}, and {user_name(os.geteuid())} runs the programs of the stack"
        yield Problem(place=one.path, message=message, cure=cure(one), severity="error")


def in_other_hands(stack: Stack) -> t.List[Untrusted]:
    """Return the directories of a stack that whoever runs this must trust, or above these, that others can change."""
    return untrusted_below(stack.root, stack.paths.state)


def untrusted_below(root: str, state: str) -> t.List[Untrusted]:
    """Return what others can change of the directories of the stack at ``root``; ``state`` is its state directory."""
    own = [os.path.join(root, name) for name in ("bin", "lib", "generations", "etc", "bin/rollcall")]
    engine = engine_directory(root)
    if os.geteuid() == 0:
        own.append(units.SYSTEM_UNITS)
    return untrusted([root, engine, os.path.join(engine, "rollcall"), engine_python(root), state, *own])


def all_untrusted(root: str, state: str) -> t.List[Untrusted]:
    """Return the same as `untrusted_below`, and the trees of the stack in which others can change anything.

    Of a tree its own directory is told, in the place of what is wrong in it. It takes some milliseconds.
    """
    found = untrusted_below(root, state)
    known = {one.path for one in found}
    trees = [
        tree
        for name, skipped in TREES.items()
        for tree in (untrusted_within(os.path.join(root, name), known, skipped),)
        if tree is not None
    ]
    within = tuple(f"{tree.path}{os.sep}" for tree in trees)
    rest = [one for one in found if not f"{one.path}{os.sep}".startswith(within)]
    return [*rest, *trees]


def notes(stack: Stack) -> t.List[str]:
    """Return a warning for a stack that runs and that others can change: a look does not call it failed for that."""
    found = in_other_hands(stack)
    if not found:
        return []
    first, *others = found
    more = f", and so do {len(others)} more" if others else ""
    return [f"others can change what {user_name(os.geteuid())} runs: {first.path} {first.reason}{more}. {cure(first)}"]


def cure(one: Untrusted) -> str:
    """Return what to do so that only whoever runs this can change a directory."""
    known = known_directory(one.path)
    if known is not None and known.of_user:
        # Its user could not use it any more.
        return cures.then("give the stack a root that is in nobody's home, such as one below /opt: stack.root")
    if one.inside:
        return cures.trust_all(user_name(os.geteuid()), one.path, *TREES[os.path.basename(one.path)])
    return cures.trust(user_name(os.geteuid()), one.path)


def require(stack: Stack) -> None:
    """Check that a stack may be where its manifest wants it.

    Raises:
        RollcallError: ``wrong_use``: a directory cannot be a stack's; ``refused``: another stack is around it or in it.
            Nothing was made.
    """
    found = list(problems(stack))
    if found:
        listed = "\n".join(f"  {one.place}: {one.message}. {one.cure}" for one in found)
        raise RollcallError(
            f"Stack {stack.name} cannot be where its manifest wants it; nothing was made or changed:\n{listed}",
            kind="wrong_use",
            evidence={"problems": [one.as_dict() for one in found]},
            remedies=[*dict.fromkeys(one.cure for one in found), cures.AGAIN],
        )
    leases.check_nesting(stack.root)
