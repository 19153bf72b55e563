# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""May a stack be where its manifest wants it on this host: asked before anything is made, and before every change."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.errors import Problem, RollcallError
from ..host.system_directories import forbidden
from ..manifest.model import Stack
from ..ports import leases


def problems(stack: Stack) -> t.Iterator[Problem]:
    """Find what speaks against the root and the paths of a stack, each with its cure."""
    yield from forbidden(stack)


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
