# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What an edge publishes, as data: between the controller, which plans it, and the balancer's host, which does it."""

from __future__ import annotations

import dataclasses
import typing as t

from ..base.errors import Problem, problems_error
from ..base.text import one_line
from .published import EdgeCheck, EdgeConfig, EdgeServer, EdgeService, EdgeTls

WAITS = ("connect", "client", "server")
_TEXTS = ("socket", "states", "user", "group", "chroot", "log", "extra")
_T = t.TypeVar("_T")


def data_of(service: EdgeService) -> t.Dict[str, t.Any]:
    """Return a service as data."""
    return dataclasses.asdict(service)


def service_of(data: t.Mapping[str, t.Any]) -> EdgeService:
    """Return the service in data of `data_of`; what Ansible has made text of is read as what it was.

    Raises:
        TypeError: a key is unknown, or a value is of another type.
        ValueError: a number is none.
        KeyError: a key is missing.
    """
    given = dict(data)
    tls = given.pop("tls", None)
    checks = tuple(
        _made(EdgeCheck, {**each, "headers": tuple((str(name), str(value)) for name, value in each["headers"])})
        for each in given.pop("checks")
    )
    servers = tuple(_made(EdgeServer, each) for each in given.pop("servers"))
    return _made(
        EdgeService,
        {
            **given,
            "bind": tuple(map(str, given["bind"])),
            "tls": None if tls is None else _made(EdgeTls, tls),
            "checks": checks,
            "servers": servers,
        },
    )


def _made(cls: t.Type[_T], data: t.Mapping[str, t.Any]) -> _T:
    """Return a data class of data, whose texts and numbers are made what its fields are."""
    kinds: t.Mapping[str, t.Callable[[t.Any], t.Any]] = {"str": str, "int": int, "float": float, "bool": _truth}
    fields = {field.name: str(field.type) for field in dataclasses.fields(t.cast("t.Any", cls))}
    return cls(**{key: kinds.get(fields.get(key, ""), lambda value: value)(value) for key, value in data.items()})


def _truth(value: t.Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def config_of(options: t.Mapping[str, t.Any]) -> EdgeConfig:
    """Return the configuration that the options of the module haproxy_config say.

    Raises:
        RollcallError: ``wrong_use``: one of them is none.
    """
    problems: t.List[Problem] = []
    services = []
    for number, data in enumerate(options["services"]):
        try:
            services.append(service_of(data))
        except (TypeError, ValueError, KeyError, AttributeError) as exc:
            edit = "give what the module edge_plan has returned"
            problems.append(Problem(f"services[{number}]", f"is no service: {one_line(str(exc))}", edit))
    waits: t.Dict[str, float] = {}
    for key, value in options["timeouts"].items():
        try:
            waits[str(key)] = float(value)
        except (TypeError, ValueError):
            problems.append(Problem(f"timeouts.{key}", f"{one_line(str(value))!r} is no number", "write seconds"))
        if key not in WAITS:
            problems.append(Problem(f"timeouts.{key}", "is unknown", f"write {', '.join(WAITS)}"))
    if problems:
        raise problems_error("This cannot be published", problems, code="wrong")
    given: t.Dict[str, t.Any] = {**{key: options[key] for key in _TEXTS}, **waits}
    return EdgeConfig(tuple(services), **given)
