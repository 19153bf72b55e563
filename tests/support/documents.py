# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validates documents by the schema: the helpers that get one pass it through here."""

from __future__ import annotations

import functools
import json
import sys
import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.checks import CHECKS
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.stop_checks import (
    STOP_BY_NAME_CHECKS,
    STOP_CHECKS,
)
from tests.tools import report_schema

CODES: t.Dict[str, t.Set[t.Optional[str]]] = {}
for _kind in (*CHECKS, *STOP_CHECKS, *STOP_BY_NAME_CHECKS):
    CODES.setdefault(_kind.name, {None}).update(_kind.codes)

# What each verb prints with --json; those that are missing print a report.
OF_VERBS = {
    ("history",): "HistoryDocument",
    ("logs",): "LogsDocument",
    ("report",): "PageDocument",
    ("port",): "ServicePortDocument",
    ("doctor",): "DoctorDocument",
    ("watch",): "WatchDocument",
    ("acknowledge",): "AcknowledgeDocument",
    ("ports", "show-config"): "PortsConfigDocument",
    ("ports", "check"): "PortCheckDocument",
    ("ports", "kill"): "PortKillDocument",
    ("ports", "find-available"): "PortFindDocument",
    ("ports", "auto-fix"): "PortFixDocument",
    ("ports", "list"): "PortsListDocument",
    ("ports", "update-config"): "PortUpdateDocument",
    ("manifest", "check"): "ManifestCheckDocument",
    ("manifest", "import"): "ManifestImportDocument",
    ("manifest", "drift"): "DriftDocument",
    ("watch", "--test-alert"): "AlertTestDocument",
}


def document_of(arguments: t.Sequence[str]) -> str:
    """Return which document a command line of ``rollcall`` asks for."""
    if arguments[0] == "history" and any(not word.startswith("-") for word in arguments[1:]):
        return "RunDocument"
    return OF_VERBS.get(tuple(arguments[:2])) or OF_VERBS.get(tuple(arguments[:1]), "Report")


def validated(data: t.Any, document: str) -> t.Any:
    """Return a document that has the keys and types of the schema, and no other key.

    Raises:
        AssertionError: it has not; the message names every place.
    """
    faults = [f"{fault.json_path}: {fault.message[:300]}" for fault in _validator(document).iter_errors(data)]
    if document == "Report":
        faults += [
            f"check {check['name']} has the code {check['code']}"
            for check in data["checks"]
            if check["code"] not in CODES[check["name"]]
        ]
    if faults:
        raise AssertionError(f"no {document}: {'; '.join(faults)}")
    return data


def parsed(text: str, arguments: t.Sequence[str]) -> t.Any:
    """Return what ``rollcall`` printed for a command line with ``--json``, validated."""
    data = json.loads(text)
    if "timer" in data:
        return validated(data, "JobHistoryDocument" if "runs" in data else "JobDocument")
    return validated(data, "ErrorDocument" if "error" in data else document_of(arguments))


@functools.cache
def _validator(document: str) -> t.Any:
    # With this package jsonschema compiles grammars of addresses for two seconds. No format is checked here.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import jsonschema

    return jsonschema.Draft202012Validator({**report_schema.schema(closed=True), "$ref": f"#/$defs/{document}"})
