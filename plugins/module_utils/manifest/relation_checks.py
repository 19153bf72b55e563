# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What lies between the services of a manifest: names, dependencies, requirements, and services that are no more."""

from __future__ import annotations

import itertools
import typing as t

from . import corrections
from .document import WRONG, Source
from .graph import cycles
from .health_checks import shows_ready
from .legacy import Monitor
from .model import GIVEN_TO_ALL, address_of, port_variable, port_variables
from .places import Place, kind_of
from .port_checks import reasons_to_list
from .problems import value_of
from .references import Instance
from .timer_checks import is_timer
from .values import NAME_LENGTH
from .written import Written

_MOST_CYCLES = 10


def check_names(written: Written) -> None:
    """Check that no two services, instances included, share a name or the variable of their ports."""
    taken: t.Dict[str, str] = {}
    error = written.problems.error
    for name, instances in written.instances.items():
        place: Place = ("services", name)
        for instance in instances:
            if len(instance.name) > NAME_LENGTH:
                error(place, f"the name of its instance {instance.name} is too long", corrections.SHORTER_SERVICE)
            if instance.number and instance.name in written.own:
                error(place, f"its instance {instance.name} has the name of a service", corrections.RENAME_ONE)
                continue
            variable = port_variable(instance.name)
            other = taken.setdefault(variable, instance.name)
            if other != instance.name:
                error(place, f"shares the variable {variable} with {other}", corrections.RENAME_ONE)
    _check_variables_of_ports(written, taken)


def _check_variables_of_ports(written: Written, taken: t.Dict[str, str]) -> None:
    """Check that no two ports share a variable; ``taken`` has the services by those of theirs."""
    for name, instances in written.instances.items():
        for instance in instances:
            for port in filter(None, instance.all_ports):
                variable, own = port_variable(instance.name, port), address_of(instance.name, port)
                other = taken.setdefault(variable, own)
                if other != own:
                    reason = f"shares the variable {variable} with {other}"
                    written.problems.error(written.port_place(name, port), reason, corrections.RENAME_ONE)


def check_dependencies(written: Written) -> None:
    """Check that each service can wait for what it depends on, and that no service waits for itself."""
    graph = {name: [other for other in written.needs(name) if other in written.own] for name in written.own}
    for name in written.own:
        for other, level in written.needs(name).items():
            _dependency(written, ("services", name, "depends_on", other), other, level)
    for cycle in itertools.islice(cycles(graph), _MOST_CYCLES):
        written.problems.error(
            ("services", cycle[0], "depends_on"),
            f"these services depend on each other in a circle: {' -> '.join(cycle)}",
            corrections.REMOVE_DEPENDENCY,
        )


def _dependency(written: Written, place: Place, other: str, level: t.Any) -> None:
    error = written.problems.error
    read = value_of(written.fields, "services", {})
    if level is WRONG:
        return
    if other not in read:
        reason = "is deprecated, so it is never started" if other in written.deprecated else "is not a service"
        error(place, f"{reason}{written.problems.similar(other, read)}", corrections.DEPENDENCY)
        return
    merged = written.merged.get(other)
    if merged is None or merged.get("kind") is WRONG or is_timer(written, other):
        # What is wrong with that is said where timers are checked.
        return
    oneshot = value_of(merged, "kind") == "oneshot"
    if oneshot and level in ("running", "healthy"):
        error(place, f"{other} is a oneshot, which runs to its end", corrections.COMPLETED)
    elif level == "completed" and not oneshot:
        error(place, f"{other} keeps running, so it never completes", corrections.HEALTHY_OR_ONESHOT)
    elif (
        level == "healthy"
        and merged.get("port") is None
        and not _ports_of_udp(written, other)
        and not value_of(merged, "socket")
        and not (value_of(written.own[other], "health") and shows_ready(written, other))
    ):
        error(place, f"{other} has neither a health check nor a port or socket", corrections.RUNNING_OR_CHECK)


def _ports_of_udp(written: Written, name: str) -> t.Mapping[str, int]:
    return written.instances[name][0].udp_ports


def level_of(written: Written, other: str, level: t.Optional[str]) -> str:
    """Return the level of a dependency; one that was left open is the highest that the other service can show."""
    if level is not None:
        return level
    if value_of(written.merged[other], "kind") == "oneshot":
        return "completed"
    return "healthy" if shows_ready(written, other) else "running"


def check_fleet(written: Written) -> None:
    """Check what the services say of the hosts that they run on."""
    error = written.problems.error
    for name in written.own:
        merged = written.merged[name]
        once, oneshot = value_of(merged, "once"), value_of(merged, "kind") == "oneshot"
        alone = [key for key in ("singleton", "once") if value_of(merged, key)]
        if once and not oneshot:
            error(
                written.place(name, "once"),
                "is for a oneshot, and this service keeps running",
                corrections.ONCE_IS_ONESHOT,
            )
        if once and value_of(merged, "singleton"):
            error(written.place(name, "singleton"), "stands beside once, which says that", corrections.REMOVE_SINGLETON)
        if value_of(merged, "reversible") and not once:
            error(written.place(name, "reversible"), "is for a oneshot of once", corrections.REVERSIBLE_OF_ONCE)
        if alone and not value_of(merged, "hosts"):
            error(written.place(name, alone[0]), "has no hosts to choose one of", corrections.HOSTS_OF_ONE)


def check_requirements(written: Written) -> None:
    """Check that nothing is required twice; warn of a variable that nothing gives as things are."""
    lists: t.Dict[Place, t.Tuple[str, ...]] = {}
    held: t.Dict[t.Tuple[Place, str], t.List[str]] = {}
    for name in (name for name in written.own if not is_timer(written, name)):
        place, variables = written.place(name, "requires_env"), value_of(written.merged[name], "requires_env", ())
        lists[written.place(name, "requires_files")] = written.required_files(name)
        lists[place] = variables
        for instance in written.instances[name] if variables else ():
            given = _given(written, name, instance)
            for index, variable in enumerate(variables):
                if variable not in given:
                    held.setdefault(((*place, index), variable), []).append(instance.name)
    for place, items in lists.items():
        seen: t.Set[str] = set()
        for index, item in enumerate(items):
            if item in seen:
                written.problems.error((*place, index), "is in the list twice", corrections.REMOVE)
            seen.add(item)
    for (place, variable), names in held.items():
        who = ", ".join(names[:20]) + (" and others" if len(names) > 20 else "")
        written.problems.warning(
            place, f"nothing gives {variable} a value: {who} will be held", corrections.GIVE_VARIABLE
        )


def _given(written: Written, name: str, instance: Instance) -> t.Set[str]:
    """Return the variables that a service's process will have, and that are not empty."""
    told = [each for other in written.needs(name) for each in written.instances.get(other, ())]
    given = {variable for each in (*told, instance) for variable in port_variables(each.name, each.all_ports)}
    given |= GIVEN_TO_ALL
    if instance.port is not None:
        given.add("PORT")
    if instance.number:
        given.add("INSTANCE")
    own = {**written.merged[name]["env"], **written.merged[name]["secrets"]}
    empty = {variable for variable, value in own.items() if value == ""}
    return (given | set(own)) - empty


def _holders(written: Written) -> t.Dict[t.Optional[int], str]:
    return {
        port: name
        for name, instances in written.instances.items()
        for instance in instances
        for port in (instance.own_port, *instance.more_ports.values(), *instance.udp_ports.values())
    }


def check_deprecated(written: Written) -> None:
    """Check that a deprecated service is none of the stack; warn when its port has a service now."""
    holders = _holders(written)
    for name, port in written.deprecated.items():
        if name in written.own:
            written.problems.error(
                ("deprecated", name), "is a service of this stack, too", corrections.REMOVE_HERE_OR_THERE
            )
        elif port in holders and port is not None:
            written.problems.warning(
                ("deprecated", name),
                f"port {port} is now the port of {holders[port]}: where {name} still runs, it is in the way",
                corrections.gone(name),
            )


def _monitored_port(written: Written, source: Source, port: int) -> None:
    """Warn of a port that no service of the stack could have: nobody starts the monitor here, so it is no error."""
    rules, host = written.rules, written.host
    reasons = reasons_to_list(port, rules.low, rules.high, host.ephemeral)
    if port in rules.protect:
        told, cure = f"port {port} is protected: the host itself needs it", corrections.another("port")
    elif port in rules.avoid:
        told, cure = f"port {port} is to be avoided", corrections.NOT_AVOIDED
    elif port not in rules.also and reasons:
        told, cure = f"port {port} {' and '.join(reasons)}", corrections.listed(port)
    else:
        return
    written.problems.monitor(source, told, cure, "warning")


def check_monitors(written: Written, monitors: t.Sequence[t.Tuple[Source, Monitor]]) -> None:
    """Check ``monitor_instances`` of an older document: nothing is started for them, but no port may clash."""
    holders = _holders(written)
    taken: t.Dict[int, str] = {}
    for source, monitor in monitors:
        port = monitor.port
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
            written.problems.monitor(
                source,
                f"is {kind_of(port)}, not a port number from 1 to 65535",
                corrections.a_whole_number(1, 65535),
                "error",
            )
            continue
        _monitored_port(written, source, port)
        other = taken.setdefault(port, f"{monitor.instance}.{monitor.service}")
        if other != f"{monitor.instance}.{monitor.service}":
            written.problems.monitor(
                source, f"port {port} is the port of {other}, too", corrections.GIVE_ANOTHER, "error"
            )
        if holders.get(port, monitor.service) != monitor.service:
            written.problems.monitor(
                source, f"port {port} is the port of service {holders[port]}", corrections.GIVE_ANOTHER, "error"
            )
    if monitors:
        written.problems.monitor(
            monitors[0][0],
            "monitor_instances are checked for clashes, and not started",
            corrections.RUN_MONITOR,
            "warning",
        )
