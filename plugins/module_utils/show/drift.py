# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How manifest file, installed manifest, supervisord and listeners differ, as text. Pure."""

from __future__ import annotations

import typing as t

from ..base.text import printable, table

if t.TYPE_CHECKING:
    from ..base.command_documents import DriftDocument


def drift_text(data: DriftDocument) -> str:
    """Return a comparison: a line a service, and what does not agree below it."""
    rows = [["service", "file", "installed", "runs at", "state", "port"]]
    for row in data["services"]:
        cells = (row["name"], row["file"], row["installed"], row["runs_at"], row["running"], row["port"])
        rows.append([str(cell or "-") for cell in cells])
    head, *told = table(rows).splitlines()
    lines = [head]
    for line, row in zip(told, data["services"]):
        lines += [line, *(f"    {difference}" for difference in row["differences"])]
    if data["daemon"] is not None:
        lines.append(f"supervisord: {data['daemon']}")
    if data["keys"]:
        lines.append(f"The stack itself differs in the file: {', '.join(data['keys'])}")
    apart = sum(bool(row["differences"]) for row in data["services"])
    itself = " in the stack itself and" if data["keys"] else ""
    verdict = "no drift" if data["ok"] else f"DRIFT{itself} in {apart} of {len(data['services'])} services"
    lines.append(f"{data['stack']}: {verdict}")
    return printable("\n".join(lines))
