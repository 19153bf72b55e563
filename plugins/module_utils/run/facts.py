# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What is known of a stack before a run changes anything: gathered from what was seen and from what is installed."""

from __future__ import annotations

import typing as t

from ..host.labels import label_of
from ..manifest.model import Stack, address_of
from ..manifest.revision import changed_keys, revision
from ..state import registry
from ..state.generations import Generation, is_left, is_loaded, read_meta
from ..state.stopped import WHOLE, Stopped
from ..supervisord.config import supervisord_revision
from ..verdict.observation import Observation, stopped_by_hand
from ..verdict.readiness import trouble
from ..verdict.release_use import links_that_lead_elsewhere
from .plan import ProgramFacts, StackFacts

if t.TYPE_CHECKING:
    from ..state.credentials import ChangedFiles


def stack_facts(
    seen: Observation,
    installed: t.Optional[Generation],
    wanted: Generation,
    *,
    changed_files: ChangedFiles,
    held: t.Mapping[str, str],
    stopped: Stopped,
) -> StackFacts:
    """Return the facts that a plan is made of.

    Args:
        seen: what was seen of the stack.
        installed: the current generation; None when there is none, or it cannot be read.
        wanted: the generation to bring about.
        changed_files: which services have files that have changed since they read them.
        held: by service why it is not to be started.
        stopped: services that were stopped by name.
    """
    known = wanted.stack if installed is None else installed.stack
    by_name = {name: one for name, one in stopped.items() if name != WHOLE}
    return StackFacts(
        supervisord=_supervisord_revision(seen),
        supervisord_wanted=supervisord_revision(wanted.config),
        wanted_user=seen.wanted_user,
        programs=_programs(seen, installed, wanted, changed_files.restart),
        reloads=changed_files.reload,
        orphans=len(seen.orphans),
        rivals=tuple(process.pid for process in seen.rivals),
        held=held,
        stopped={name: one for name, one in by_name.items() if stopped_by_hand(name, by_name, seen) is not None},
        ports=_ports(known),
        same_generation=installed is not None and installed.digest == wanted.digest and _links_are_right(wanted.stack),
    )


def _ports(stack: Stack) -> t.Dict[str, int]:
    """Return the first port of each service by the service's name, and its others as web.metrics."""
    first = {service.name: service.port for service in stack.services if service.port is not None}
    others = ((service.name, *other) for service in stack.services for other in service.other_ports.items())
    return {**first, **{address_of(name, called): port for name, called, port in others}}


def _links_are_right(stack: Stack) -> bool:
    """Return whether the links that other programs read lead to the stack as it is in the manifest."""
    if not registry.is_current(stack):
        return False
    return stack.release is None or (registry.leads_to_release(stack) and not links_that_lead_elsewhere(stack))


def _supervisord_revision(seen: Observation) -> t.Optional[str]:
    """Return the revision of the live supervisord; None when none answers, '' when it carries no label."""
    if seen.supervisord is None:
        return None
    label = label_of(seen.supervisord.pid)
    return "" if label is None else label.revision


def _programs(
    seen: Observation, installed: t.Optional[Generation], wanted: Generation, changed_files: t.Mapping[str, str]
) -> t.Dict[str, ProgramFacts]:
    services = {service.name: service for service in wanted.stack.services}
    sections = _sections(wanted.config)
    old_sections = {} if installed is None else _sections(installed.config)
    meta = {} if installed is None else read_meta(installed.stack.paths, installed.stack.root)
    # What the last run has left alone runs by an earlier section, which says nothing against it.
    seen = seen._replace(altered={name: why for name, why in seen.altered.items() if not is_left(meta, name)})
    found = {}
    for name, program in seen.programs.items():
        why = None
        if name in services:
            unhealthy = trouble(services[name], seen)
            why = changed_files.get(name) if unhealthy is None else unhealthy.text
        runs_at = None
        # supervisord itself tells, when it reads the wanted config, whether that has another section for it.
        if installed is not None and (old_sections.get(name) == sections.get(name) or is_left(meta, name)):
            runs_at = _revision_of(installed, meta, name, program.pid)
        same = installed is wanted or (
            installed is not None and _entry(installed.stack, name) == _entry(wanted.stack, name)
        )
        changed = [] if same else _changed_keys(installed, wanted, name)
        found[name] = ProgramFacts(program.state, program.pid, runs_at, why, same, tuple(changed))
    return found


def _changed_keys(installed: t.Optional[Generation], wanted: Generation, name: str) -> t.List[str]:
    """Return by which keys the entries of a service differ; none where it is new, gone, or nothing is installed."""
    if installed is None or None in (_entry(installed.stack, name), _entry(wanted.stack, name)):
        return []
    return changed_keys(installed.stack, wanted.stack, name)


def _entry(stack: Stack, name: str) -> t.Optional[str]:
    """Return the revision of a service of a manifest; None when it has none of that name."""
    service = next((service for service in stack.services if service.name == name), None)
    return None if service is None else revision(stack, service)


def _sections(config: str) -> t.Dict[str, str]:
    """Return the section of each program in the text of a config, by the program's name."""
    parts = (part.partition("]\n") for part in config.split("\n[program:")[1:])
    return {name: text.partition("\n[")[0] for name, _bracket, text in parts}


def _revision_of(installed: Generation, meta: t.Mapping[str, t.Any], name: str, pid: int) -> t.Optional[str]:
    """Return the revision that a program runs at: from its process's label, else from the manifest that is loaded.

    A program that overwrites its environment to show a title, as redis-server does, has no label left.
    """
    label = label_of(pid) if pid else None
    if label is not None:
        return label.revision
    if not is_loaded(meta, name):
        return None
    return _entry(installed.stack, name)
