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
from .model import ALIVE, ANYONE, EXEC, HEALTH_KINDS, SECRET, TIMER, Health
from .places import Place
from .problems import value_of
from .references import Instance
from .written import Written


def health_of(written: Written, name: str, instance: t.Optional[Instance] = None) -> t.List[t.Dict[str, t.Any]]:
    """Return the health checks of a service as data of a `Health` each; none when it has none.

    A default one is for services that keep running, and that have the port that it asks.
    """
    merged, own = written.merged[name], "health" in written.own[name]
    health = value_of(merged, "health")
    if health is None:
        return []
    if value_of(merged, "kind") == TIMER:
        return []
    place = written.place(name, "health")
    if value_of(merged, "kind") == "oneshot":
        if own:
            written.problems.error(place, "a oneshot ends, so nothing is left to ask", corrections.REMOVE_CHECK)
        return []
    one = instance or written.instances[name][0]
    if isinstance(health, dict):
        found = [_one_of(written, name, place, health, one)]
    else:
        places = [(*place, index) for index in range(len(health))]
        found = [_one_of(written, name, *each, one) for each in zip(places, health)]
        _name_each(written, places, found)
    return [check for check in found if check is not None]


def _name_each(written: Written, places: t.Sequence[Place], checks: t.Sequence[t.Optional[t.Dict[str, t.Any]]]) -> None:
    """Give each of several checks a name: its own, or that of its kind, with a number where that is taken."""
    taken = {check["name"] for check in checks if check is not None and "name" in check}
    seen = set()
    for place, check in zip(places, checks):
        if check is None:
            continue
        if "name" in check and check["name"] in seen:
            reason = f"another check of the service is called {check['name']}"
            written.problems.error((*place, "name"), reason, corrections.another("name"))
        free = (f"{check['kind']}{number or ''}" for number in (0, *range(2, len(checks) + 2)))
        check.setdefault("name", next((one for one in free if one not in taken), ""))
        taken.add(check["name"])
        seen.add(check["name"])


def _one_of(
    written: Written, name: str, place: Place, asked: t.Mapping[str, t.Any], one: Instance
) -> t.Optional[t.Dict[str, t.Any]]:
    """Return one check of a service as data of a `Health`; None when there is none, or it cannot be used."""
    merged, own = written.merged[name], "health" in written.own[name]
    health = {key: value for key, value in asked.items() if value is not None}
    kinds = [kind for kind in HEALTH_KINDS if kind in health]
    over = one.socket if merged.get("port") is None and "port" not in health else ""
    if not own and merged.get("port") is None and not over and kinds != [EXEC]:
        return None
    if not own and isinstance(health.get("port"), int):
        written.problems.error((*place, "port"), "is not a default: every service has its own port", corrections.REMOVE)
    if len(kinds) != 1:
        word = " and ".join(kinds) if kinds else f"none of {', '.join(HEALTH_KINDS)}"
        written.problems.error(place, f"says {word}", corrections.ONE_QUESTION)
        return None
    (kind,) = kinds
    for key, declared in HEALTH.items():
        if key in health and declared.only and kind not in declared.only:
            written.problems.error((*place, key), f"is not a key of a check by {kind}", corrections.REMOVE)
    if kind == EXEC:
        return _program_of(written, name, place, health, one)
    if over:
        # What the defaults say of the network is for services that have a port.
        for key in (key for key in ("host", "answered_by") if key in health and own):
            written.problems.error((*place, key), "the service is asked over its socket", corrections.REMOVE)
        health = {key: value for key, value in health.items() if key not in ("host", "answered_by")}
    else:
        _check_port(written, name, place, health)
    _check_answer(written, name, place, health)
    filled = written.references.filled_in(place, health, one)
    if isinstance(filled.get("port"), str):
        filled["port"] = written.references.port_called((*place, "port"), one, filled["port"])
    if isinstance(filled.get("ca"), str):
        filled["ca"] = written.resolve((*place, "ca"), filled["ca"], written.root or "/")
    at = {"port": 0, "socket": over} if over else {"port": one.port}
    return {"kind": kind, **at, **fields_of(Health, HEALTH, filled)}


def shows_ready(written: Written, name: str) -> bool:
    """Return whether a health check of a service proves that it is ready."""
    return any(check.get("proves") != ALIVE for check in health_of(written, name))


def _program_of(
    written: Written, name: str, place: Place, health: t.Mapping[str, t.Any], instance: Instance
) -> t.Dict[str, t.Any]:
    command = written.command((*place, EXEC), value_of(health, EXEC, ()), name, instance, {})
    known = {key: value for key, value in health.items() if key in ("timeout", "name", "proves")}
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
