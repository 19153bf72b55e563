# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON Schema of every document that Rollcall answers with, made from the types in the engine's room ``base``."""

from __future__ import annotations

import ast
import json
import re
import typing as t
from pathlib import Path

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import (
    alert_documents,
    command_documents,
    documents,
    job_documents,
    outcome_documents,
    page_documents,
    rollout_documents,
    watch_documents,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ABOUT = (
    "Every document that Rollcall answers with; this schema itself is that of the report. "
    "Keys may be added in any release. A key that is here keeps its name, its type and its meaning."
)
# A key and the sentence about it, in a list of attributes.
KEY = re.compile(r"^(\w+): (.*)$")


class Documented(t.NamedTuple):
    """What the docstring of a document says.

    Attributes:
        about: its first line.
        keys: the sentence about each key, those of its bases included.
    """

    about: str
    keys: dict[str, str]


# Where documents and their parts are; one that is a base of another comes first.
DOCUMENTS = (
    *(job_documents, rollout_documents, documents, command_documents),
    *(outcome_documents, watch_documents, alert_documents, page_documents),
)


def all_documents() -> dict[str, type]:
    """Return the documents and their parts by name, without the private bases."""
    return {
        name: found
        for module in DOCUMENTS
        for name, found in vars(module).items()
        if t.is_typeddict(found) and isinstance(found, type) and not name.startswith("_")
    }


def part_name(name: str) -> str:
    """Return the name of a class in the schema, where no class of the engine has that name already."""
    return name.removesuffix("Data")


def sentences() -> dict[str, Documented]:
    """Return what the docstring of each document says, by the document's name."""
    found: dict[str, Documented] = {}
    texts = [Path(str(module.__file__)).read_text(encoding="utf-8") for module in DOCUMENTS]
    for node in (node for text in texts for node in ast.parse(text).body):
        if isinstance(node, ast.ClassDef):
            about, _attributes, listed = (ast.get_docstring(node) or "").partition("Attributes:\n")
            keys = {}
            for base in node.bases:
                if isinstance(base, ast.Name) and base.id in found:
                    keys.update(found[base.id].keys)
            found[node.name] = Documented(" ".join(about.split()), {**keys, **_listed(listed)})
    return found


def _listed(text: str) -> dict[str, str]:
    """Return the keys of a list of attributes, each with its sentence in one line."""
    keys: dict[str, str] = {}
    for line in text.splitlines():
        match = KEY.match(line.strip()) if len(line) - len(line.lstrip()) <= 4 else None
        if match:
            keys[match[1]] = match[2]
        elif line.strip():
            last = next(reversed(keys))
            keys[last] = f"{keys[last]} {line.strip()}"
    return keys


def schema(*, closed: bool = False) -> dict[str, t.Any]:
    """Return the schema.

    Args:
        closed: whether a key that is not declared is wrong: for tests, not for those who use it.
    """
    said = sentences()
    parts = {part_name(name): _of_document(part, said[name], closed=closed) for name, part in all_documents().items()}
    return {"$schema": DIALECT, "title": "Rollcall", "description": ABOUT, "$ref": "#/$defs/Report", "$defs": parts}


def schema_text() -> str:
    """Return the schema as its file has it."""
    return json.dumps(schema(), indent=2)


def _of_document(part: type, said: Documented, *, closed: bool) -> dict[str, t.Any]:
    hints = t.get_type_hints(part)
    if set(hints) != set(said.keys):
        raise ValueError(f"{part.__name__}: with a type or a sentence, not both: {set(hints) ^ set(said.keys)}")
    keys = {key: {"description": said.keys[key], **of_type(hint)} for key, hint in hints.items()}
    required = [key for key in hints if key in part.__required_keys__]  # type: ignore[attr-defined]
    found = {"description": said.about, "type": "object", "properties": keys, "required": required}
    return {**found, "additionalProperties": False} if closed else found


def of_type(hint: t.Any) -> dict[str, t.Any]:
    """Return the schema of a type."""
    origin, arguments = t.get_origin(hint), t.get_args(hint)
    plain = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    if hint in plain:
        return {"type": plain[hint]}
    if hint is t.Any:
        return {}
    if t.is_typeddict(hint):
        return {"$ref": f"#/$defs/{part_name(hint.__name__)}"}
    if origin is t.Literal:
        return {"enum": list(arguments)}
    if origin is t.Union:
        return _of_union([of_type(each) for each in arguments])
    if origin is list:
        return {"type": "array", "items": of_type(arguments[0])}
    if origin is dict and arguments[0] is str:
        inner = of_type(arguments[1])
        return {"type": "object", "additionalProperties": inner} if inner else {"type": "object"}
    raise TypeError(f"{hint} has no counterpart in JSON Schema here")


def _of_union(parts: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    if all(set(part) == {"type"} for part in parts):
        return {"type": [part["type"] for part in parts]}
    if {"type": "null"} in parts and any("enum" in part for part in parts) and len(parts) == 2:
        return {"enum": [*next(part["enum"] for part in parts if "enum" in part), None]}
    return {"anyOf": parts}
