# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the verdict's pages, made from the tables of checks."""

from __future__ import annotations

import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.checks import CHECKS
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.conditions import CONDITIONS
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.judge import CheckKind
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.stop_checks import (
    STOP_BY_NAME_CHECKS,
    STOP_CHECKS,
)
from tests.tools import report_schema


def checks() -> str:
    """Return the checks by the condition that each proves, and at the end those that prove none."""
    lines = ["| condition | check | it passes when |", "|---|---|---|"]
    for number, name in {**CONDITIONS, 0: ""}.items():
        label = f"{number} {name}" if name else ""
        for kind in CHECKS:
            if kind.condition == number:
                lines.append(f"| {label} | `{kind.name}` | {kind.passes_when} |".replace("|  |", "| |"))
                label = ""
    return "\n".join(lines)


def codes() -> str:
    """Return what can be wrong with each check."""
    lines = ["| check | code | what is wrong |", "|---|---|---|"]
    told: t.List[CheckKind] = []
    by_name = (" after a stop by name", STOP_BY_NAME_CHECKS)
    for title, kinds in (("", CHECKS), (" after a stop", STOP_CHECKS), by_name):
        for kind in kinds:
            if kind in told:
                continue
            told.append(kind)
            lines += [f"| `{kind.name}`{title} | `{code}` | {meaning} |" for code, meaning in kind.codes.items()]
    return "\n".join(lines)


def documents() -> str:
    """Return the documents that the command prints, with the part of the schema that each has."""
    said = report_schema.sentences()
    rows = [(said[name].about, name) for name in report_schema.all_documents() if name.endswith("Document")]
    lines = ["| part of the schema | what it is |", "|---|---|"]
    return "\n".join(lines + [f"| `{name}` | {about} |" for about, name in rows])


def report() -> str:
    """Return the keys of the report."""
    keys = report_schema.sentences()["Report"].keys
    return "\n".join(["| key | what it says |", "|---|---|", *(f"| `{key}` | {text} |" for key, text in keys.items())])
