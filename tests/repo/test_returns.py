# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The RETURN of each module says what the schema says, and tests read documents through the helpers that validate."""

from __future__ import annotations

import ast
import typing as t

import pytest

from tests.support import returns
from tests.support.repository import ROOT
from tests.tools import report_schema

SCHEMA = report_schema.schema()["$defs"]
# The types of JSON Schema by that of a RETURN.
TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "list": "array", "dict": "object"}
# Documents of many keys, of which RETURN has those that a playbook asks for.
LONG = {"Report", "DoctorDocument"}
# Functions that start a command with --json by themselves, and why `tests.support.commands.rollcall` is not for them.
STARTERS = {
    "status": "an older engine answers",
    "test_a_worker_that_is_killed_is_told_with_the_step_it_was_at": "looks on while it runs",
    "test_interrupted_it_waits_for_ansible_playbook_to_end_and_says_so": "there is no document",
    "test_of_two_restarts_at_once_one_goes_on_and_the_other_is_refused": "runs two at once",
    "test_whoever_starts_the_engine_while_it_is_replaced_gets_one_that_is_whole": "an older engine answers",
    "watching": "goes on for as long as it is let, and prints a document each time",
    "waiter": "is killed, and nobody reads what it prints",
    "written_to": "its output cannot be written",
}


def test_every_module_says_which_documents_it_returns() -> None:
    assert set(returns.DOCUMENTS) == {path.stem for path in returns.MODULES.glob("*.py")}


@pytest.mark.parametrize("module", sorted(returns.DOCUMENTS))
def test_the_documents_in_a_return_have_the_keys_and_types_of_the_schema(module: str) -> None:
    documented, documents = returns.returned_by(module), returns.DOCUMENTS[module]
    assert set(documents) <= set(documented)
    for key in {"error", "problems", "report", "holders"} & set(documented):
        assert key in documents, key
    assert [
        fault
        for key, document in documents.items()
        if "contains" in documented[key]
        for fault in faults(documented[key]["contains"], document, f"{key}.")
    ] == []


def faults(told: returns.Data, document: str, place: str) -> t.Iterator[str]:
    """Say which documented keys the schema does not have, or has with another type, and which are not documented."""
    keys = SCHEMA[document]["properties"]
    yield from (f"{place}{key} is not documented" for key in keys if key not in told and document not in LONG)
    for key, entry in told.items():
        wanted = keys.get(key, {"type": "of nothing"})
        if TYPES[entry["type"]] not in kinds(wanted):
            yield f"{place}{key} is {kinds(wanted)}"
        elif entry["type"] == "list" and TYPES[entry["elements"]] not in kinds(wanted["items"]):
            yield f"{place}{key} is a list of {kinds(wanted['items'])}"
        elif "null" in kinds(wanted) and "null" not in str(entry["description"]) and document not in LONG:
            yield f"{place}{key} can be null"
        elif "contains" in entry:
            part = wanted.get("items", wanted)["$ref"].rpartition("/")[2]
            yield from faults(entry["contains"], part, f"{place}{key}.")


def kinds(entry: returns.Data) -> t.Set[str]:
    """Return the types that a part of the schema allows."""
    if "$ref" in entry:
        return {"object"}
    if "anyOf" in entry:
        return {kind for each in entry["anyOf"] for kind in kinds(each)}
    if "enum" in entry:
        return {"null" if each is None else "string" for each in entry["enum"]}
    return {entry["type"]} if isinstance(entry["type"], str) else set(entry["type"])


def test_what_is_printed_with_json_is_validated() -> None:
    """A command line is a list; the helpers take the words one by one."""
    found = {
        function.name
        for place in ("contract", "fault", "playbooks", "support", "unit")
        for path in (ROOT / "tests" / place).rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.List) and any(getattr(word, "value", None) == "--json" for word in node.elts)
    }
    assert found == set(STARTERS)
