# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The health checks of the services of a manifest."""

from __future__ import annotations

import re
import typing as t

from . import corrections
from .keys import EXEC_TIMEOUT, HEALTH, fields_of
from .model import ANYONE, EXEC, HEALTH_KINDS, SECRET, Health
from .places import Place
from .problems import value_of
from .references import Instance
from .written import Written


def health_of(written: Written, name: str, instance: t.Optional[Instance] = None) -> t.Optional[t.Dict[str, t.Any]]:
    """Return the health check of a service as data of a `Health`; None when it has none.

    A default one is for services that keep running, and that have the port that it asks.
    """
    merged, own = written.merged[name], "health" in written.own[name]
    health = value_of(merged, "health")
    if health is None:
        return None
    health = {key: value for key, value in health.items() if value is not None}
    kinds = [kind for kind in HEALTH_KINDS if kind in health]
    oneshot = value_of(merged, "kind") == "oneshot"
    if not own and (oneshot or (merged.get("port") is None and kinds != [EXEC])):
        return None
    place = written.place(name, "health")
    if not own and isinstance(health.get("port"), int):
        written.problems.error((*place, "port"), "is not a default: every service has its own port", corrections.REMOVE)
    if oneshot:
        written.problems.error(place, "a oneshot ends, so nothing is left to ask", corrections.REMOVE_CHECK)
    if len(kinds) != 1:
        word = " and ".join(kinds) if kinds else f"none of {', '.join(HEALTH_KINDS)}"
        written.problems.error(place, f"says {word}", corrections.ONE_QUESTION)
        return None
    (kind,) = kinds
    for key, declared in HEALTH.items():
        if key in health and declared.only and kind not in declared.only:
            written.problems.error((*place, key), f"is not a key of a check by {kind}", corrections.REMOVE)
    one = instance or written.instances[name][0]
    if kind == EXEC:
        return _program_of(written, name, place, health, one)
    _check_port(written, name, place, health)
    _check_answer(written, name, place, health)
    filled = written.references.filled_in(place, health, one)
    if isinstance(filled.get("port"), str):
        filled["port"] = written.references.port_called((*place, "port"), one, filled["port"])
    if isinstance(filled.get("ca"), str):
        filled["ca"] = written.resolve((*place, "ca"), filled["ca"], written.root or "/")
    return {"kind": kind, "port": one.port, **fields_of(Health, HEALTH, filled)}


def _program_of(
    written: Written, name: str, place: Place, health: t.Mapping[str, t.Any], instance: Instance
) -> t.Dict[str, t.Any]:
    command = written.command((*place, EXEC), value_of(health, EXEC, ()), name, instance, {})
    known = {key: value for key, value in health.items() if key == "timeout"}
    return {"kind": EXEC, "port": 0, "timeout": EXEC_TIMEOUT, **known, "command": command}


def _check_port(written: Written, name: str, place: Place, health: t.Mapping[str, t.Any]) -> None:
    merged = written.merged[name]
    if merged.get("port") is None and "port" not in health:
        written.problems.error(place, "the service has no port to ask", corrections.PORT_OR_NO_CHECK)
    elif isinstance(health.get("port"), int) and "instances" in merged:
        written.problems.error((*place, "port"), "every instance has its own port", corrections.REMOVE)
    answerer = health.get("answered_by", ANYONE)
    if answerer != ANYONE and answerer not in written.own:
        reason = f"{answerer} is not a service{written.problems.similar(answerer, written.own)}"
        written.problems.error((*place, "answered_by"), reason, corrections.answered_by(ANYONE))


def _check_answer(written: Written, name: str, place: Place, health: t.Mapping[str, t.Any]) -> None:
    """Check what is sent with a question over HTTP, and what is wanted of the answer."""
    for key in ("body", "json"):
        if value_of(health, "method") == "HEAD" and key in health:
            written.problems.error((*place, key), "an answer to HEAD has no body", corrections.NO_BODY)
    headers = value_of(health, "headers", {})
    for header in headers:
        for secret in re.findall(SECRET, str(value_of(headers, header, ""))):
            if secret not in written.merged[name]["secrets"]:
                reason = f"{name} has no secret {secret}"
                written.problems.error((*place, "headers", header), reason, corrections.secret_first(secret))
