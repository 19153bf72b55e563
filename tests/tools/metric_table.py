# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of metrics of the page about Prometheus, made from their declarations."""

from __future__ import annotations

from ansible_collections.rollcall.supervisor.plugins.module_utils.watch.metrics import METRICS


def metrics() -> str:
    """Return the table, a row a metric, in the order in which they are told."""
    head = "| metric | kind | labels beside `stack` | what it is |\n|---|---|---|---|"
    rows = (
        f"| `{one.name}` | {one.kind} | {', '.join(f'`{label}`' for label in one.labels)} | {one.text} |"
        for one in METRICS
    )
    return "\n".join([head, *rows])
