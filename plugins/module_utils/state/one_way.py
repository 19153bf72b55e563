# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which one-way steps have run: oneshots of ``once: fleet`` that do not say ``reversible: true``, such as a migration.

A generation remembers which of them were started while it was in place. No run goes back over one of these by itself.
"""

from __future__ import annotations

import os
import typing as t

from ..base.errors import RollcallError
from ..manifest.model import Paths, Stack
from .generations import generations_directory, ids_to_go_back_to, load_kept, read_kept_meta, read_meta, write_meta
from .rollout import WORKING, read_rollout


def one_way_steps(stack: Stack) -> t.List[str]:
    """Return the one-way steps of a manifest."""
    return [service.name for service in stack.services if service.is_one_way]


def record_one_way(stack: Stack, names: t.Iterable[str]) -> None:
    """Record, before they are started, those of some services that are one-way steps.

    Raises:
        OSError: it could not be written.
    """
    started = set(names).intersection(one_way_steps(stack))
    current = ids_to_go_back_to(stack.paths, stack.root)[:1]
    if not started or not current:
        return
    meta = read_meta(stack.paths, stack.root)
    known = _steps_of(meta)
    if not started.issubset(known):
        directory = os.path.join(generations_directory(stack.root), current[0])
        write_meta(directory, {**meta, "one_way": sorted(started.union(known))})


def one_way_since(paths: Paths, root: str, name: str) -> t.Tuple[str, ...]:
    """Return the one-way steps that have run since a generation was in place, the latest first.

    Args:
        paths: of the stack.
        root: of the stack.
        name: id of the generation; one that is not known counts as the oldest.
    """
    found: t.List[str] = []
    for one in ids_to_go_back_to(paths, root):
        if one == name:
            break
        found += _steps_of(read_kept_meta(root, one))
    return tuple(dict.fromkeys(found))


def one_way_over(paths: Paths, root: str, name: str) -> t.Tuple[str, ...]:
    """Return the one-way steps that keep a run from going back to a generation by itself.

    Those of a rollout that is at work here count as well: they have run on another host, for all.
    """
    record = read_rollout(paths.state)
    others = record.one_way if record is not None and record.step in WORKING else ()
    return tuple(dict.fromkeys((*one_way_since(paths, root, name), *others)))


def one_way_before(wanted: Stack) -> t.Tuple[str, ...]:
    """Return the one-way steps that have run since what a manifest has was in place; none when it never was.

    It was when a generation has the same manifest, or runs the same release. What the manifest calls reversible is no
    longer one of them.
    """
    paths, root, data = wanted.paths, wanted.root, wanted.to_dict()
    for name in ids_to_go_back_to(paths, root):
        try:
            there = load_kept(paths, root, name).stack
        except RollcallError:
            # It is of no use for a way back either.
            continue
        if there.to_dict() == data or (wanted.release and there.release == wanted.release):
            reversible = {service.name for service in wanted.services if service.reversible}
            return tuple(step for step in one_way_since(paths, root, name) if step not in reversible)
    return ()


def one_way_words(steps: t.Sequence[str]) -> str:
    """Return why there is no way back over steps, for people."""
    has, does = ("has", "does") if len(steps) == 1 else ("have", "do")
    return f"{', '.join(steps)} {has} run and {does} not say reversible: true"


def _steps_of(meta: t.Mapping[str, t.Any]) -> t.List[str]:
    known = meta.get("one_way", [])
    return [str(name) for name in known] if isinstance(known, list) else []
