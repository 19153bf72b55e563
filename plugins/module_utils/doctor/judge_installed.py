# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What is wrong with what is installed: generation, config, registry, engine and versions."""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..supervisord.places import engine_python
from . import judge_supervisords
from .facts import HostFacts
from .findings import ERROR, NOTE, WARNING, FindingKind, Sighting

OLDEST_PYTHON = (3, 9)
# Differences between manifest and host that are findings of their own: about ports, and about services.
_TOLD_ELSEWHERE = ("port_taken", "not_listening", "socket", "not_running")


def unavailable(name: str) -> t.Callable[[HostFacts], t.Iterator[Sighting]]:
    """Return what finds things that could not be had, for which the look itself has named this finding."""

    def judge(facts: HostFacts) -> t.Iterator[Sighting]:
        return (Sighting(*one[1:]) for one in facts.unavailable if one.finding == name)

    return judge


def _config_refused(facts: HostFacts) -> t.Iterator[Sighting]:
    if facts.refusal is not None and "needed" not in facts.refusal.evidence:
        yield judge_supervisords.refused(facts)


def _drift(facts: HostFacts) -> t.Iterator[Sighting]:
    for row in facts.drift:
        told = zip(row["codes"], row["differences"])
        rest = [text for code, text in told if code not in _TOLD_ELSEWHERE]
        if rest:
            yield Sighting(row["name"], "; ".join(rest), facts.own(cures.START), {"row": dict(row)})


def _not_loaded(facts: HostFacts) -> t.Iterator[Sighting]:
    if facts.meta and facts.ours and not facts.meta.get("loaded", True):
        text = f"the generation behind {facts.paths.etc} was put in place, and supervisord still runs by the one before"
        yield Sighting(facts.name, text, facts.own(cures.FULL))


def _not_verified(facts: HostFacts) -> t.Iterator[Sighting]:
    if facts.meta and facts.ours and facts.meta.get("loaded", True) and not facts.meta.get("verified", True):
        text = f"the generation behind {facts.paths.etc} is not verified yet"
        yield Sighting(facts.name, text, facts.own(cures.START))


def _registry(facts: HostFacts) -> t.Iterator[Sighting]:
    if facts.stack is not None and not facts.registry:
        text = "it is missing or does not say what the manifest says: applications get no port, or a wrong one"
        yield Sighting(os.path.join(facts.root, "ports.json"), text, facts.own(cures.START))


def _engine_broken(facts: HostFacts) -> t.Iterator[Sighting]:
    yield from unavailable("engine_broken")(facts)
    python = engine_python(facts.root)
    for one in facts.damage:
        yield Sighting(one.subject, one.what, cures.another_python() if one.subject == python else cures.INSTALL)
    if facts.versions.engine is None and not facts.damage:
        text = "there is no engine in it: this stack can be neither restarted nor looked at from its host"
        yield Sighting(os.path.join(facts.root, "engine"), text, cures.INSTALL)


def _engine_version(facts: HostFacts) -> t.Iterator[Sighting]:
    known = facts.versions
    if known.engine and known.engine != known.own:
        text = f"installed is version {known.engine}, and version {known.own} looks at it"
        yield Sighting(os.path.join(facts.root, "engine"), text, cures.INSTALL)


def _python_too_old(facts: HostFacts) -> t.Iterator[Sighting]:
    python, venv = facts.versions.python, os.path.join(facts.root, "engine", "venv")
    if python and python < OLDEST_PYTHON:
        text = f"it is Python {_dotted(python)}, and {_dotted(OLDEST_PYTHON)} is needed"
        yield Sighting(venv, text, cures.another_python())


def _dotted(numbers: t.Iterable[int]) -> str:
    return ".".join(map(str, numbers))


def _other_supervisord(facts: HostFacts) -> t.Iterator[Sighting]:
    known = facts.versions
    if len(known.on_path) > 1:
        on_path = ", ".join(known.on_path)
        text = f"on the PATH are {on_path}; this stack runs by {known.configured}, whatever the PATH says"
        yield Sighting(facts.name, text, facts.own(cures.STATUS))


KINDS = (
    FindingKind(
        "not_installed", ERROR, "no generation is in place", "`ansible-playbook site.yml`", unavailable("not_installed")
    ),
    FindingKind(
        "unreadable",
        ERROR,
        "a file that Rollcall needs cannot be read, or is broken",
        "the file's own: `rm`, `ansible-playbook site.yml`, or `sudo`",
        unavailable("unreadable"),
    ),
    FindingKind(
        "config_refused",
        ERROR,
        "supervisor does not take the installed config, or reads something else out of it",
        "`ansible-playbook site.yml`; or correct what supervisor names",
        _config_refused,
    ),
    FindingKind("drift", WARNING, "what runs is not what is installed", "`rollcall start`", _drift),
    FindingKind(
        "not_loaded",
        WARNING,
        "the running supervisord has not loaded the generation in place",
        "`rollcall restart full`",
        _not_loaded,
    ),
    FindingKind(
        "not_verified",
        NOTE,
        "the verdict over the generation in place was never OK",
        "`rollcall start`",
        _not_verified,
    ),
    FindingKind(
        "registry_stale",
        WARNING,
        "the registry of ports does not say what the manifest says",
        "`rollcall start`",
        _registry,
    ),
    FindingKind(
        "engine_broken",
        ERROR,
        "the engine or its virtual environment is missing or damaged, or the stack's user cannot execute it",
        "`ansible-playbook site.yml`",
        _engine_broken,
    ),
    FindingKind(
        "engine_version",
        WARNING,
        "the installed engine is of another version than the one that looks",
        "`ansible-playbook site.yml`",
        _engine_version,
    ),
    FindingKind(
        "python_too_old",
        ERROR,
        "the engine's Python is older than 3.9",
        "`ansible-playbook site.yml -e bootstrap_python=PATH`",
        _python_too_old,
    ),
    FindingKind(
        "other_supervisord",
        NOTE,
        "several programs called supervisord are on the PATH",
        "none is needed",
        _other_supervisord,
    ),
)
