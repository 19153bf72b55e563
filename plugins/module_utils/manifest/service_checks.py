# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The commands and times of each service of a manifest."""

from __future__ import annotations

import math
import typing as t

from . import corrections
from .health_checks import health_of
from .model import EXPECTED, TIMER, Service, Start
from .port_checks import check_ports
from .problems import value_of
from .references import Instance
from .written import Written


def check_commands(written: Written) -> None:
    """Check that every service has a command."""
    without = [name for name, merged in written.merged.items() if "command" not in merged]
    if without and len(without) == len(written.own):
        message = f"no service has a command: {', '.join(without[:20])}"
        written.problems.error(("defaults", "command"), message, corrections.COMMANDS)
    else:
        for name in without:
            written.problems.error(("services", name), "has no command", corrections.COMMANDS)


def check_service(written: Written, name: str) -> None:
    """Check what one service says of itself."""
    merged, own = written.merged[name], written.own[name]
    for instance in written.instances[name]:
        command_of(written, name, instance)
        env_of(written, name, instance)
    check_ports(written, name)
    health_of(written, name)
    _times(written, name)
    for variable in sorted(set(value_of(own, "env", {})) & set(value_of(own, "secrets", {}))):
        written.problems.error(("services", name, "secrets", variable), "is in env, too", corrections.KEEP_IN_ONE)
    if value_of(merged, "kind") == "oneshot" and value_of(own, "restart", "never") != "never":
        written.problems.error(("services", name, "restart"), "a oneshot runs once", corrections.REMOVE_OR_SERVICE)
    if value_of(merged, "ends") == EXPECTED and value_of(merged, "kind") != TIMER:
        place = written.place(name, "ends")
        if value_of(merged, "kind") == "oneshot":
            written.problems.error(place, "a oneshot ends in any case", corrections.REMOVE)
        elif value_of(merged, "restart") == "always":
            written.problems.error(place, "restart: always starts it again whenever it ends", corrections.REMOVE)


def command_of(written: Written, name: str, instance: Instance) -> t.Tuple[str, ...]:
    """Return a service's command: ``{port}`` and ``{instance}`` filled in, in a default one ``{name}``, too."""
    command: t.Tuple[str, ...] = value_of(written.merged[name], "command", ())
    place = written.place(name, "command")
    filled_in = {}
    if "command" not in written.own[name]:
        if instance.port is None and any("{port}" in argument.replace("\\{port}", "") for argument in command):
            if written.merged[name].get("port") is None:
                written.problems.error(
                    ("services", name),
                    "has no port, and defaults.command has {port}",
                    corrections.PORT_OR_COMMAND,
                )
            return ()
        filled_in["{name}"] = name
    return written.command(place, command, name, instance, filled_in)


def env_of(written: Written, name: str, instance: Instance) -> t.Dict[str, str]:
    """Return a service's variables, with the ports that they name."""
    given: t.Mapping[str, t.Any] = written.merged[name]["env"]
    return {
        variable: written.references.filled(written.place(name, "env", variable), text, instance)
        if isinstance(text, str)
        else text
        for variable, text in given.items()
    }


def _times(written: Written, name: str) -> None:
    """Check that no crash loop can pass for a service that runs, and that the service can be ready in time."""
    merged = written.merged[name]
    if value_of(merged, "kind") in ("oneshot", TIMER):
        return
    seconds = value_of(value_of(merged, "start", {}), "seconds", Start().seconds)
    stable = value_of(merged, "stable_for", Service.stable_for)
    if seconds + stable < 1:
        keys = ("stable_for",) if written.place(name, "stable_for")[-1] == "stable_for" else ("start", "seconds")
        written.problems.error(
            written.place(name, *keys),
            f"start.seconds ({seconds:g}) and stable_for ({stable:g}) come to less than 1 second, and a service "
            "that ends and is started over and over would look well in between",
            corrections.SECOND_TOGETHER,
        )
    ready, grace = ready_timeout_of(written, name), value_of(value_of(merged, "start", {}), "grace", Start.grace)
    if ready < grace:
        written.problems.error(
            written.place(name, "ready_timeout"),
            f"the service has {ready:g} seconds to be ready, and may warm up for {grace:g} (start.grace)",
            corrections.LONGER_READY,
        )
    if ready <= math.ceil(seconds):
        written.problems.error(
            written.place(name, "ready_timeout"),
            f"the service has {ready:g} seconds to be ready, and counts as started after {math.ceil(seconds)}",
            corrections.LONGER_READY,
        )


def ready_timeout_of(written: Written, name: str) -> float:
    """Return the seconds that a service has to be ready; where nothing is said, not less than it may warm up for."""
    merged = written.merged[name]
    grace: float = value_of(value_of(merged, "start", {}), "grace", Start.grace)
    ready: float = value_of(merged, "ready_timeout", max(Service.ready_timeout, grace))
    return ready
