# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A manifest file as it compares with the installed manifest.

A file may be a part of the manifest: the rest stands in the inventory, which a host does not have. What such a file
does not say is taken from the installed manifest, so that only what it says is compared.
"""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Mapping

from ..base import cures
from ..base.errors import RollcallError
from ..manifest.check import check_manifest, document_of
from ..manifest.document import FILE_VARIABLE, Document, has_template
from ..manifest.file import Loaded, joined, read_manifest
from ..manifest.keys import CHECKS, SERVICE
from ..manifest.model import Checks, Service, Stack
from ..manifest.readers import Key

if t.TYPE_CHECKING:
    from ..base.errors import Problem

# What a stack has beside its services, by the keys of a manifest.
STACK_KEYS = ("name", "root", "user", "paths", "ports", "deprecated", "checks", "restart_budget", "watch")
# Keys of a manifest that are fields of other names.
_FIELDS: t.Mapping[str, t.Tuple[str, ...]] = {
    "range": ("low", "high"),
    "database": ("databases",),
    "port": ("own_port",),
}


def read_file(file: str, installed: Stack, assigned: t.Mapping[str, int]) -> Stack:
    """Return the stack that a manifest file would make of the installed one.

    Args:
        file: the manifest, a part of it, or a file of an inventory's variables with the manifest in one of them.
        installed: the stack that is installed.
        assigned: the ports that services have got on this host, by their names.

    Raises:
        RollcallError: ``wrong_use``: the file is no manifest, or has values that only a playbook knows.
    """
    loaded = read_manifest(file, variables=True)
    if loaded.data is None:
        raise _not_comparable(file, loaded.problems)
    document = document_of(loaded.data, from_file=True, variables=True)
    partial = _is_partial(document, loaded)
    checked = check_manifest(
        loaded.data,
        overlay=_what_is_missing(document, installed) if partial else None,
        lines=loaded.lines,
        assigned=assigned,
        release=installed.release,
        variables=True,
    )
    if checked.stack is None or loaded.failed:
        raise _not_comparable(file, joined(loaded.problems, checked.problems))
    return _laid_over(document, checked.stack, installed, partial=partial)


def stack_differences(written: Stack, installed: Stack) -> t.List[str]:
    """Return the keys beside ``services`` in which two stacks differ, such as ``ports.avoid``."""
    found: t.List[str] = []
    for key in STACK_KEYS:
        one, other = getattr(written, key), getattr(installed, key)
        if one == other:
            continue
        if dataclasses.is_dataclass(one):
            fields = [
                each.name for each in dataclasses.fields(one) if getattr(one, each.name) != getattr(other, each.name)
            ]
            found += dict.fromkeys(f"{key}.{_key_of(field)}" for field in fields)
        else:
            found.append(key)
    return found


def _key_of(field: str) -> str:
    if field == "log_critical":
        return "logs.critical"
    return next((key for key, fields in _FIELDS.items() if field in fields), field)


def _not_comparable(file: str, problems: t.Sequence[Problem]) -> RollcallError:
    first = next((problem for problem in problems if problem.severity == "error"), problems[0])
    return RollcallError(
        f"{file} is no manifest that could be compared: {first.place} {first.message}.",
        kind="wrong_use",
        evidence={"problems": [problem.as_dict() for problem in problems]},
        remedies=[cures.check_manifest(file)],
    )


# --- a file that is a part of the manifest ------------------------------------------------------------------------


def _mapping(data: t.Any, key: str) -> t.Mapping[str, t.Any]:
    value = data.get(key) if isinstance(data, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _without_command(document: Document) -> t.List[str]:
    services = _mapping(document.raw, "services")
    if "command" in _mapping(document.raw, "defaults"):
        return []
    return [name for name in services if "command" not in _mapping(services, name)]


def _is_partial(document: Document, loaded: Loaded) -> bool:
    """Return whether the manifest has more than the file: a part that it needs is missing, or named elsewhere."""
    if not {"name", "root"} <= document.raw.keys() or _without_command(document):
        return True
    return isinstance(loaded.data, Mapping) and FILE_VARIABLE in loaded.data


def _what_is_missing(document: Document, installed: Stack) -> t.Dict[str, t.Any]:
    """Return what the check wants of a manifest and the file leaves to the inventory."""
    rules, paths = installed.ports, installed.paths
    given: t.Dict[str, t.Mapping[str, t.Any]] = {
        "ports": {"range": [rules.low, rules.high], "also": rules.also, "avoid": rules.avoid, "protect": rules.protect},
        "paths": {"run": paths.run, "logs": paths.logs},
    }
    missing: t.Dict[str, t.Any] = {
        key: {name: value for name, value in values.items() if name not in _mapping(document.raw, key)}
        for key, values in given.items()
    }
    missing.update({key: getattr(installed, key) for key in ("name", "root") if key not in document.raw})
    missing["services"] = {name: {"command": ["true"]} for name in _without_command(document)}
    return {"stack": missing}


def _laid_over(document: Document, written: Stack, installed: Stack, *, partial: bool) -> Stack:
    """Return what was written, with the installed value of everything that the file does not say."""
    here = {service.name: service for service in installed.services}
    services = [
        _service(document.raw, service, here[service.name], partial=partial) if service.name in here else service
        for service in written.services
    ]
    kept: t.Dict[str, t.Any] = {}
    if partial:
        kept = {key: getattr(installed, key) for key in STACK_KEYS if key not in (*document.raw, "ports", "paths")}
        said = _fields(CHECKS, _mapping(document.raw, "checks"))
        kept["checks"] = _replaced(installed.checks, written.checks, said)
    return dataclasses.replace(written, services=tuple(services), **kept)


def _service(raw: t.Mapping[str, t.Any], written: Service, installed: Service, *, partial: bool) -> Service:
    defaults, own = _mapping(raw, "defaults"), _mapping(_mapping(raw, "services"), written.group or written.name)
    secrets = {**_mapping(defaults, "secrets"), **_mapping(own, "secrets")}
    if partial:
        return _replaced(installed, written, _fields(SERVICE, {**defaults, **own}))
    if not secrets or has_template(secrets):
        # The inventory has them.
        return dataclasses.replace(written, secrets=installed.secrets)
    return written


def _fields(keys: t.Mapping[str, Key], said: t.Mapping[str, t.Any]) -> t.Set[str]:
    """Return the names of the fields that the keys of a mapping become."""
    names: t.Set[str] = set()
    for name in said:
        key = keys[name]
        names |= {name, key.field or name, *_FIELDS.get(name, ())}
        names |= {below.field or other for other, below in (key.type.keys or {}).items()}
    return names


_Fielded = t.TypeVar("_Fielded", Checks, Service)


def _replaced(installed: _Fielded, written: _Fielded, fields: t.Set[str]) -> _Fielded:
    """Return a copy of a data class with some fields of another one."""
    said = {each.name: getattr(written, each.name) for each in dataclasses.fields(installed) if each.name in fields}
    return dataclasses.replace(installed, **said)
