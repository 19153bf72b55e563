# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of findings of the doctor's reference page, made from the table of the doctor."""

from __future__ import annotations

from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor.diagnosis import KINDS
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor.findings import FindingKind


def findings() -> str:
    """Return the table, a row a finding, in the order in which they are told."""
    head = "| finding | severity | what it is | remedy | what `--fix` does |\n|---|---|---|---|---|"
    return "\n".join([head, *(_row(kind) for kind in KINDS.values())])


def _row(kind: FindingKind) -> str:
    severity = f"{kind.severity}, of others {kind.others}" if kind.others else kind.severity
    repair = "-" if kind.repair is None else kind.repair.words
    return f"| `{kind.name}` | {severity} | {kind.meaning} | {kind.remedy} | {repair} |"
