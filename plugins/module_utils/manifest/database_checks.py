# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The databases whose answer is part of the verdict, as a manifest names them."""

from __future__ import annotations

import typing as t

from . import corrections
from .document import WRONG
from .keys import QUERY, URL_VARIABLES
from .model import Health
from .places import Place
from .problems import value_of
from .written import Written


def databases_of(written: Written) -> t.List[t.Dict[str, t.Any]]:
    """Check the databases of a manifest, and return each as data of a `DatabaseCheck`."""
    given = value_of(value_of(written.fields, "checks", {}), "database")
    if given is None:
        return []
    place: Place = ("checks", "database")
    if not given:
        written.problems.error(place, "names no database", corrections.write_as("{sqlite: path of its file}"))
    found = []
    path = value_of(given, "sqlite")
    if path is not None:
        path = written.references.filled((*place, "sqlite"), path, None)
    if path is not None and written.root is not None:
        found.append({"kind": "sqlite", "path": written.resolve((*place, "sqlite"), path, written.root)})
    for kind in URL_VARIABLES:
        fields = value_of(given, kind)
        if fields is not None:
            fields = written.references.filled_in((*place, kind), fields, None)
            found.append(_server(written, (*place, kind), kind, fields))
    return found


def _server(written: Written, place: Place, kind: str, fields: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Check a database that is asked over a connection, and return it as data of a `DatabaseCheck`."""
    given = set(fields)
    fields = {key: value for key, value in fields.items() if value is not WRONG}
    if kind == "redis" and "service" not in given and "port" in given:
        if "variable" in given:
            written.problems.error(
                (*place, "variable"), "is a variable of no service", corrections.REMOVE_OR_NAME_SERVICE
            )
        return {"kind": kind, "host": Health.host, **fields}
    service, variable = fields.get("service"), fields.get("variable", URL_VARIABLES[kind])
    if "service" not in given:
        cure = corrections.url_of(variable, or_port=kind == "redis")
        written.problems.error(place, "names no service", cure)
    elif given & {"port", "host"}:
        written.problems.error(place, "names a service, and a host or port as well", corrections.REMOVE_ONE)
    elif service is not None:
        _has_variable(written, place, service, variable)
    query = {"query": QUERY} if kind == "postgresql" else {}
    return {"kind": kind, **query, **fields, "variable": variable}


def _has_variable(written: Written, place: Place, service: str, variable: str) -> None:
    """Check that a service has a variable. One in its ``requires_env`` may be given later, and holds it until then."""
    merged = written.merged.get(service)
    if merged is None:
        similar = written.problems.similar(service, written.own)
        written.problems.error(
            (*place, "service"),
            f"is not a service of this stack{similar}",
            corrections.DATABASE_SERVICE,
        )
    elif variable not in (*merged["env"], *merged["secrets"], *value_of(merged, "requires_env", ())):
        written.problems.error(
            place,
            f"{service} is not given the variable {variable}",
            corrections.DATABASE_VARIABLE,
        )
