# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What was acknowledged, as text. Pure."""

from __future__ import annotations

import typing as t

from ..base.text import count, printable, readable_time
from .last_failure import last_failure_words
from .words import indented

if t.TYPE_CHECKING:
    from ..base.command_documents import AcknowledgeDocument


def acknowledged_text(data: AcknowledgeDocument) -> str:
    """Return what was, or would be, acknowledged: a line for each thing, the lines of logs below theirs."""
    where = f"{data['stack']} on {data['host']}"
    if not data["changed"]:
        return printable(f"{where}: there is nothing to acknowledge")
    lines = [f"{where}: {'would be acknowledged' if data['check'] else 'acknowledged'} by {data['who']}"]
    if data["failure"] is not None:
        lines.append(f"  {last_failure_words(data['failure'])}")
    for name, found in data["logs"].items():
        lines.append(f"  {count(len(found), 'line')} about the log of {name}:")
        lines += indented("\n".join(found), 4)
    lines += [f"  {name} has ended by itself {count(number, 'time')}" for name, number in data["exits"].items()]
    lines += [
        f"  the job {name} of {readable_time(run['start'])}, which has failed" for name, run in data["jobs"].items()
    ]
    return printable("\n".join(lines))
