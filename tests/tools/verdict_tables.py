# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the verdict's pages, made from the tables of checks."""

from __future__ import annotations

from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.checks import CHECKS, STOP_CHECKS
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.conditions import CONDITIONS
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
    for title, kinds in (("", CHECKS), (" after a stop", STOP_CHECKS)):
        for kind in kinds:
            if kind in CHECKS and title:
                continue
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
