# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A manifest out of a port manifest of the older shape: its services, ports and rules. It has no commands."""

from __future__ import annotations

import typing as t

from ..base.port_numbers import is_port
from ..manifest import corrections
from ..manifest.check import check_manifest
from ..manifest.document import Document
from ..manifest.file import parse_manifest
from ..manifest.keys import SERVICE, STACK
from ..manifest.legacy import recognise
from ..manifest.model import PortRules
from ..manifest.port_checks import reasons_to_list
from . import port_registry
from .draft import Draft, Imported


def manifest_of(text: str, name: str, root: str) -> Imported:
    """Return the manifest that a port manifest becomes, with notes.

    Raises:
        RollcallError: ``wrong_use``: the text is not a port manifest, or has errors.
    """
    draft = Draft(name, root, commands=False)
    loaded = parse_manifest(text.encode("utf-8", "replace"))
    draft.refuse_text(loaded.problems)
    data = loaded.data
    if not (isinstance(data, dict) and recognise(data)):
        registry = port_registry.as_older_shape(data)
        if registry is not None:
            for key in port_registry.unread(data):
                draft.minor(key, "belongs to the registry that gave the ports, and is not carried over")
            data = registry
    if not isinstance(data, dict) or not recognise(data):
        draft.problem("the file", "has neither core_services nor watchdog_services", corrections.PORT_MANIFEST)
        draft.refuse()
    document = Document(STACK, SERVICE)
    document.add(data, from_file=True)
    for key in ("defaults", "ports", "services"):
        if not isinstance(document.raw.get(key, {}), dict):  # the overlay would hide it
            draft.problem(f"stack.{key}", "is not a mapping", corrections.CORRECT_OR_REMOVE)
    draft.refuse()
    also = _outside(document.raw)
    own: t.Dict[str, t.Any] = {"name": name, "root": root, **({"ports": {"also": also}} if also else {})}
    common = _mapping(document.raw, "defaults")
    overlay = own if "command" in common else {**own, "defaults": {"command": ["true"]}}
    # What is never carried over does not refuse what is.
    carried = {key: value for key, value in data.items() if key != "monitor_instances"}
    draft.refuse(check_manifest(carried, overlay={"stack": overlay}, lines=loaded.lines).problems)
    for problem in check_manifest(data, overlay={"stack": overlay}, lines=loaded.lines).problems:
        note = draft.advice if problem.severity == "warning" else draft.lost
        note(problem.place, problem.message, problem.cure)
    document.add({"stack": own}, from_file=False)
    silent = [service for service, entry in document.raw["services"].items() if "command" not in entry]
    if silent and "command" not in common:
        draft.lost(
            ", ".join(silent),
            "the original has no command",
            "give each its command, or all of them defaults.command with {name} and {port} in it",
        )
    return Imported({"stack": {key: document.raw[key] for key in STACK if document.raw.get(key)}}, draft.notes())


def ports_of(text: str) -> t.Dict[str, int]:
    """Return the ports in a manifest of today's shape or the older one, or in a registry, by the names of services.

    Raises:
        RollcallError: ``wrong_use``: the text is none of these.
    """
    draft = Draft("", "")
    loaded = parse_manifest(text.encode("utf-8", "replace"))
    draft.refuse_text(loaded.problems)
    data = loaded.data
    if not (isinstance(data, dict) and (recognise(data) or "stack" in data)):
        data = port_registry.as_older_shape(data) or data
    document = Document(STACK, SERVICE)
    document.add(data, from_file=True)
    services = document.raw.get("services") if isinstance(document.raw, dict) else None
    found = {
        str(name): entry["port"]
        for name, entry in (services.items() if isinstance(services, dict) else ())
        if isinstance(entry, dict) and is_port(entry.get("port"))
    }
    if not found:
        draft.problem("the file of --ports", "names no port of a service", corrections.PORT_MANIFEST)
        draft.refuse()
    return found


def _mapping(data: t.Mapping[str, t.Any], key: str) -> t.Mapping[str, t.Any]:
    """Return a mapping in another one; an empty one when it is absent or no mapping, which is a problem elsewhere."""
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _outside(raw: t.Mapping[str, t.Any]) -> t.List[int]:
    """Return the list for ``ports.also``: the ports in it, and those of services that are not in the range."""
    rules, given, services = PortRules(), _mapping(raw, "ports"), _mapping(raw, "services")
    also = [port for port in _list(given, "also") if is_port(port)]
    span = [port for port in _list(given, "range") if is_port(port)]
    low, high = span if len(span) == 2 else (rules.low, rules.high)
    refused = {*(port for port in _list(given, "avoid") or rules.avoid if is_port(port)), *rules.protect}
    ports: t.List[t.Any] = [_mapping(services, name).get("port") for name in services]
    for port in filter(is_port, ports):
        if reasons_to_list(port, low, high) and port not in refused:
            also.append(port)
    return sorted(set(also))


def _list(data: t.Mapping[str, t.Any], key: str) -> t.Sequence[t.Any]:
    value = data.get(key)
    return value if isinstance(value, (list, tuple)) else ()
