# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the manifest's reference page, made from the declarations of its keys."""

from __future__ import annotations

import dataclasses
import functools
import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest import alert_keys, keys
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import NO_RESTART, Service, Start
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.readers import Key, Words

_RESTARTS = {each.name: each.metadata != NO_RESTART for each in dataclasses.fields(Service)}
_RESTARTS.update((f"start.{each.name}", each.metadata != NO_RESTART) for each in dataclasses.fields(Start))


def _shown(default: t.Any) -> str:
    """Return a default as the page has it."""
    if isinstance(default, Words):
        return str(default)
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, (int, float)):
        return f"{default:g}" if isinstance(default, float) else str(default)
    if isinstance(default, tuple):
        return f"`[{', '.join(map(str, default))}]`" if default else "none"
    return f"`{default}`"


def _rows(table: Mapping[str, Key], prefix: str = "") -> Iterator[tuple[str, Key]]:
    """Return the keys of a table by their names on the page; those of inner mappings instead of the mappings."""
    for name, key in table.items():
        if key.type.keys:
            yield from _rows(key.type.keys, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", key


def _either(kinds: Sequence[str]) -> str:
    *others, last = (f"`{kind}`" for kind in kinds)
    return f"{', '.join(others)} or {last}" if others else last


def _text(key: Key) -> str:
    return f"with {_either(key.only)}: {key.text}" if key.only else key.text


def _table(rows: t.Iterable[tuple[str, Key]]) -> str:
    lines = ["| key | type | default | what it is |", "|---|---|---|---|"]
    lines += [f"| `{name}` | {key.type.words} | {_shown(key.default)} | {_text(key)} |" for name, key in rows]
    return "\n".join(lines)


def _table_of_a_service(rows: t.Iterable[tuple[str, Key]]) -> str:
    """Return a table that tells for each key whether a change restarts the service."""
    lines = ["| key | type | default | restarts | what it is |", "|---|---|---|---|---|"]
    for name, key in rows:
        whole = _RESTARTS.get(key.field or name.partition(".")[0])
        restarts = "yes" if _RESTARTS.get(name, whole) else "no"
        lines.append(f"| `{name}` | {key.type.words} | {_shown(key.default)} | {restarts} | {_text(key)} |")
    return "\n".join(lines)


# The keys of a service that have keys themselves and no heading of their own on the page.
_IN_A_SERVICE = {name: keys.SERVICE[name] for name in ("stop", "start", "reload", "limits", "log")}

TABLES: Mapping[str, Callable[[], str]] = {
    "stack": functools.partial(_table, keys.STACK.items()),
    "paths": functools.partial(_table, keys.PATHS.items()),
    "ports": functools.partial(_table, keys.PORTS.items()),
    "checks": functools.partial(_table, list(_rows(keys.CHECKS))),
    "restart_budget": functools.partial(_table, keys.RESTART_BUDGET.items()),
    "watch": functools.partial(_table, keys.WATCH.items()),
    "alerts": functools.partial(_table, alert_keys.ALERT.items()),
    "heartbeat": functools.partial(_table, alert_keys.HEARTBEAT.items()),
    "metrics": functools.partial(_table, alert_keys.METRICS.items()),
    "service": functools.partial(_table_of_a_service, keys.SERVICE.items()),
    "service-parts": functools.partial(_table_of_a_service, list(_rows(_IN_A_SERVICE))),
    "health": functools.partial(_table, keys.HEALTH.items()),
}
