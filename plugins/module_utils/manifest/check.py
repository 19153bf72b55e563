# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The check that turns what somebody wrote into a `Stack`.

:func:`check_manifest` finds every problem at once, each with its place and its cure. It returns a `Stack` when none is
an error: every default filled in, every path absolute, secrets replaced by digests. A value is checked when it is read
(keys.py); how values fit together is checked in the modules named ``*_checks``.
"""

from __future__ import annotations

import json
import os
import typing as t

from ..base.errors import Problem
from . import corrections
from .database_checks import databases_of
from .document import Document, is_inventory_file
from .health_checks import health_of
from .host_limits import ANY_HOST, HostLimits
from .keys import CHECKS, SERVICE, STACK, fields_of
from .model import TIMER, Checks, Paths, Service, Stack
from .places import Place
from .port_checks import check_port_lists, check_shared_ports
from .problems import Problems, value_of
from .readers import mapping
from .references import Instance, check_literal_ports, check_secrets
from .relation_checks import (
    check_dependencies,
    check_deprecated,
    check_fleet,
    check_monitors,
    check_names,
    check_requirements,
    level_of,
)
from .secret_values import Digests
from .service_checks import check_commands, check_service, command_of, env_of, ready_timeout_of
from .socket_checks import check_sockets
from .system_directories import why_not
from .timer_checks import OF_SERVICES_ONLY, check_timers
from .watch_checks import watch_of
from .written import PUBLIC_DIRECTORIES, Written, inside

# Each set of secrets takes some 8 ms to digest.
MOST_SETS_OF_SECRETS = 100


class Checked(t.NamedTuple):
    """The result of a check: the stack, None when a problem is an error or a value is not known, and all problems."""

    stack: t.Optional[Stack]
    problems: t.List[Problem]


def check_manifest(
    data: t.Any,
    *,
    overlay: t.Any = None,
    lines: t.Optional[t.Mapping[Place, int]] = None,
    host: HostLimits = ANY_HOST,
    assigned: t.Optional[t.Mapping[str, int]] = None,
    release: t.Optional[str] = None,
    variables: bool = False,
) -> Checked:
    """Find all problems of a manifest, and normalise it when none is an error.

    Args:
        data: a mapping with ``stack``, the content of ``stack``, or a document of the older shape (``core_services``
            ...), which may have keys of today's shape, too.
        overlay: another one, merged over it key by key.
        lines: the line of each value of ``data`` by its place, when it was read from a file.
        host: what the hosts are taken to be.
        assigned: the port that a service, or an instance of one, has got on its host, by its name.
        release: the id of the application's release that the services run.
        variables: whether ``data`` may be variables of an inventory that have the manifest in one of them. There is no
            stack without an error then where a value is one that only a playbook knows, which is a warning.
    """
    document = document_of(data, from_file=lines is not None, variables=variables)
    if overlay is not None:
        document.add(overlay, from_file=False)
    problems = Problems(document, lines or {})
    if not document.raw and (problems.failed or document.templates):
        return Checked(None, problems.problems)
    fields = mapping("a stack", STACK).read(problems, (), document.raw)
    written = Written(problems, fields, host, assigned or {})
    _check_between_values(written)
    check_monitors(written, document.monitors)
    incomplete = problems.failed or document.templates
    return Checked(None if incomplete else _stack(written, release), problems.problems)


def document_of(data: t.Any, *, from_file: bool, variables: bool = False) -> Document:
    """Return the document that ``data`` are; see :func:`check_manifest`."""
    document = Document(STACK, SERVICE)
    if variables and is_inventory_file(data):
        document.add_variables(data)
    else:
        document.add(data, from_file=from_file)
    return document


def _check_between_values(written: Written) -> None:
    _check_required(written)
    _paths_of(written)
    databases_of(written)
    check_port_lists(written)
    check_names(written)
    check_commands(written)
    for name in written.own:
        check_service(written, name)
    check_shared_ports(written)
    check_sockets(written, _paths_of(written))
    # Empty where the key has no value.
    databases = value_of(value_of(written.fields, "checks", {}), "database") or {}
    check_literal_ports(written.problems, written.defaults, written.own, written.instances, databases)
    check_secrets(written.problems, written.own)
    check_dependencies(written)
    check_timers(written)
    check_fleet(written)
    check_requirements(written)
    watch_of(written)
    check_deprecated(written)
    _check_secrets(written)


def _check_required(written: Written) -> None:
    error = written.problems.error
    if "name" not in written.fields:
        error(("name",), "is missing", corrections.STACK_NAME)
    if "root" not in written.fields:
        error(("root",), "is missing", corrections.STACK_ROOT)
    if "services" not in written.fields or written.fields["services"] == {}:
        error(("services",), "there are no services", corrections.A_SERVICE)


def _paths_of(written: Written) -> t.Optional[Paths]:
    """Return the directories of the stack; None while the root is not known."""
    if written.root is None:
        return None
    given = value_of(written.fields, "paths", {})
    found = vars(Paths.of(written.root)).copy()
    for key in given:
        path = written.resolve(("paths", key), value_of(given, key, key), written.root)
        if any(inside(path, public) for public in PUBLIC_DIRECTORIES) and not inside(path, written.root):
            written.problems.error(("paths", key), "lies where every user may write", corrections.OWN_DIRECTORY)
        against = why_not(path)
        if against:
            written.problems.error(("paths", key), against, corrections.BELOW_SYSTEM)
        taken = [*(other for name, other in found.items() if name != key), written.root]
        taken += [os.path.join(written.root, name) for name in ("bin", "engine", "generations")]
        if path in taken:
            written.problems.error(
                ("paths", key), "is a directory that Rollcall has another use for", corrections.another("directory")
            )
        found[key] = path
    paths = Paths(**found)
    length = len(os.fsencode(paths.socket))
    if length > written.host.socket_limit:
        written.problems.error(
            ("paths", "run") if "run" in given else ("root",),
            f"makes the path of supervisord's socket {length} bytes long, and {written.host.socket_limit} work",
            corrections.SHORTER_ROOT,
        )
    return paths


def _check_secrets(written: Written) -> None:
    sets = {json.dumps(merged["secrets"], default=str, sort_keys=True) for merged in written.merged.values()}
    if len(sets) > MOST_SETS_OF_SECRETS:
        written.problems.error(
            ("services",),
            f"more than {MOST_SETS_OF_SECRETS} services have secrets of their own",
            corrections.SHARED_SECRETS,
        )


# --- the result --------------------------------------------------------------------------------------------------


def _stack(written: Written, release: t.Optional[str]) -> Stack:
    """Return the stack of a manifest without an error."""
    paths = _paths_of(written)
    if paths is None:
        raise ValueError("a manifest without a root has passed the check")
    digests = Digests(written.fields["name"])
    services = [
        _service(written, name, instance, digests)
        for name, instances in written.instances.items()
        for instance in instances
    ]
    databases = databases_of(written)
    return Stack.from_dict(
        {
            "name": written.fields["name"],
            "root": written.root,
            "paths": vars(paths),
            "services": [service for service in services if service.get("kind") != TIMER],
            "timers": [service for service in services if service.get("kind") == TIMER],
            "user": value_of(written.fields, "user"),
            "ports": vars(written.rules),
            "deprecated": {name: port for name, port in written.deprecated.items() if port is not None},
            "checks": {
                **fields_of(Checks, CHECKS, value_of(written.fields, "checks", {})),
                "databases": databases,
            },
            "written": _kept(written, services, databases, digests),
            "restart_budget": value_of(written.fields, "restart_budget", {}),
            "watch": watch_of(written),
            "release": release,
        }
    )


def _kept(
    written: Written, services: t.Sequence[t.Mapping[str, t.Any]], databases: t.Sequence[t.Any], digests: Digests
) -> t.Optional[t.Dict[str, t.Dict[str, t.Any]]]:
    """Return what names ports as it was written, for a host that may give another one; None where none may."""
    if not any(service.get("fallback_ports") for service in services):
        return None
    written.references.keep = True
    found: t.Dict[str, t.Dict[str, t.Any]] = {}
    again = (each for instances in written.instances.items() for each in ((instances[0], one) for one in instances[1]))
    for service, (name, instance) in zip(services, again):
        named = _service(written, name, instance, digests)
        other = {key: value for key, value in named.items() if value != service[key]}
        # The port of a check is a number, and is moved as one.
        if other.get("health"):
            other["health"] = _without_port(other["health"])
        if "more_health" in other:
            other["more_health"] = [_without_port(check) for check in other["more_health"]]
        if other:
            found[instance.name] = other
    named_by = databases_of(written)
    if named_by != databases:
        found[""] = {"databases": named_by}
    written.references.keep = False
    # As a host reads it.
    kept: t.Dict[str, t.Dict[str, t.Any]] = json.loads(json.dumps(found))
    return kept


def _without_port(check: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    return {key: value for key, value in check.items() if key != "port"}


def _service(written: Written, name: str, instance: Instance, digests: Digests) -> t.Dict[str, t.Any]:
    """Return a service as data of a `Service`: what was read, and over it what depends on other values."""
    merged = written.merged[name]
    checks = health_of(written, name, instance)
    data = {
        **fields_of(Service, SERVICE, merged),
        "name": instance.name,
        "command": command_of(written, name, instance),
        "env": env_of(written, name, instance),
        "directory": written.directory(name, instance),
        "secrets": digests.of(merged["secrets"]),
        "port": instance.port,
        "health": checks[0] if checks else None,
        "more_health": checks[1:],
        "depends_on": {
            each.name: level_of(written, other, level)
            for other, level in written.needs(name).items()
            for each in written.instances[other]
        },
        "own_port": instance.own_port,
        "fallback_ports": instance.fallback_ports,
        "port_name": instance.port_name,
        "more_ports": instance.more_ports,
        "socket": instance.socket,
        "udp_ports": {called: int(port) for called, port in instance.udp_ports.items()},
        "group": name if instance.number else "",
        "instance": instance.number,
        "requires_files": written.required_files(name, instance),
        "reload": written.reload(name, instance),
    }
    if data.get("kind") == TIMER:
        # What the defaults say to those that keep running.
        data = {key: value for key, value in data.items() if key not in OF_SERVICES_ONLY}
    if data.get("kind") in ("oneshot", TIMER):
        data["restart"] = "never"
    data["ready_timeout"] = ready_timeout_of(written, name)
    if "stop" in data:
        data["stop"] = _stop(data["stop"], value_of(written.own[name], "stop", {}))
    return data


def _stop(merged: t.Mapping[str, t.Any], own: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Return how a service is ended: its own signal and time go before several signals of the defaults."""
    stop = dict(merged)
    if "signals" not in own and ("signal" in own or "timeout" in own):
        stop.pop("signals", None)
    steps = stop.get("signals")
    if steps:
        stop.update(signal=steps[0]["signal"], timeout=sum(step["wait"] for step in steps))
    return stop
