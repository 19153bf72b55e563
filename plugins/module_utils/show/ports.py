# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What the port tool answers, as text. Pure."""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.text import LONGEST, one_line, printable, readable_time, table
from .words import Data


def ports_text(data: Data) -> str:
    """Return the answer of an operation, which it names itself under ``operation``."""
    return printable(_TEXTS[data["operation"]](data))


def _show_config(data: Data) -> str:
    stack = data["manifest"]
    rules = stack["ports"]
    also, never = _listed(rules["also"]) or "none", _listed([*rules["avoid"], *rules["protect"]])
    lines = [
        f"stack {stack['name']} under {stack['root']}, manifest {stack['paths']['etc']}/manifest.json",
        f"range {rules['low']}-{rules['high']}, also {also}, never {never}",
    ]
    width = max((len(row["service"]) for row in data["ports"]), default=0)
    for row in data["ports"]:
        others = f"  or {_listed(row['fallback_ports'])}" if row["fallback_ports"] else ""
        socket = f"  {row['socket']}" if row["socket"] else ""
        moved = f", its own is {row['own_port']}" if row["port"] != row["own_port"] else ""
        lines.append(f"  {row['service']:<{width}}  {_number(row)}{moved}{others}{socket}")
    return "\n".join(lines)


def _number(data: Data) -> str:
    """Return a port as people write it; a dash where there is none."""
    return f"{data['port'] or '-'}{'/udp' if data['protocol'] == 'udp' else ''}"


def _check(data: Data) -> str:
    label = f"port {_number(data)}" + (f" ({data['service']})" if data["service"] else "")
    if data["free"]:
        leased = f", and leased to {data['leased_to']}" if data["leased_to"] else ""
        return f"{label} is free{leased}"
    return "\n".join(
        [
            f"{label} is taken: {one_line(data['reason'], LONGEST)}",
            *(f"  {_holder(holder)}" for holder in data["holders"]),
        ]
    )


def _holder(holder: Data) -> str:
    where = f"[{holder['address']}]" if holder["family"] == "ipv6" else holder["address"]
    why = f"{holder['provenance']}, {one_line(holder['reason'], LONGEST)}"
    if holder["pid"] is None:
        return f"{where}: {why}"
    unit = f", in {one_line(holder['unit'])}" if holder["unit"] else ""
    return f"{where}: {_process(holder)} since {readable_time(holder['started'])}{unit}: {why}"


def _process(data: Data) -> str:
    """Return a process in words on one line: its command line is anybody's, and may have lines of its own."""
    return f"pid {data['pid']} '{one_line(data['command'], LONGEST)}' of user {one_line(data['user'])}"


def _kill(data: Data) -> str:
    word = "would end" if data["check"] else "ended"
    lines = [f"{word} {_process(entry)}" for entry in data["ended"]]
    lines += [f"left alone: {_who(holder)}; add --supervised to stop it" for holder in data["kept"]]
    return "\n".join(lines or [f"port {_number(data)} is free; nothing was to be done"])


def _who(holder: Data) -> str:
    if holder["pid"] is None:
        return f"unknown owner ({holder['reason']})"
    return f"{_process(holder)} ({holder['provenance']})"


def _find_available(data: Data) -> str:
    return str(data["port"])


def _auto_fix(data: Data) -> str:
    would = "would be " if data["check"] else ""
    lines = [f"{would}freed: {entry}" for entry in data["freed"]]
    lines += [f"{would}moved: {entry}" for entry in data["moved"]]
    lines += [f"unresolved: {entry}" for entry in data["unresolved"]]
    lines += [f"next: {command}" for command in data["next"]]
    return "\n".join(lines or ["no conflict: every assigned port is the stack's own or free"])


def _list(data: Data) -> str:
    rows = [["pid", "provenance", "service", "ports", "user", "command"]]
    for row in data["processes"]:
        cells = (row["pid"], row["provenance"], row["service"], _listening(row), row["user"], row["command"])
        rows.append([str(cell or "-") for cell in cells])
    return table(rows)


def _listening(row: Data) -> str:
    return ", ".join([*map(str, row["ports"]), *(os.path.basename(path) for path in row["sockets"])])


def _update_config(data: Data) -> str:
    word = "would be" if data["check"] else "is"
    already = "" if data["changed"] else " already"
    text = f"{data['service']} {word} on port {data['port']} in {data['file']}{already}"
    follows = f"\nnext: {cures.INSTALL}"
    return text + (follows if data["changed"] else "")


def _listed(numbers: t.Iterable[int]) -> str:
    return ", ".join(str(number) for number in numbers)


_TEXTS: t.Mapping[str, t.Callable[[Data], str]] = {
    "show-config": _show_config,
    "check": _check,
    "kill": _kill,
    "find-available": _find_available,
    "auto-fix": _auto_fix,
    "home": _auto_fix,
    "list": _list,
    "update-config": _update_config,
}
