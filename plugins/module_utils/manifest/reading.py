# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A manifest's text, what it says, and where everything stands in it."""

from __future__ import annotations

import codecs
import functools
import json
import re
import typing as t

from ..base.errors import Problem, RollcallError, problems_error
from .check import check_manifest
from .file import parse_manifest
from .json_layout import JsonLayout
from .layout import Layout
from .yaml_layout import YamlLayout

# The variable of an inventory that holds a manifest.
VARIABLE = "rollcall_stack"


@functools.lru_cache(maxsize=4)
def layout_of(text: str, is_json: bool) -> Layout:
    """Return the layout of a text that the engine's own reader has taken for JSON or for YAML.

    Raises:
        RollcallError: ``wrong_use``: it is YAML, and ruamel.yaml is not there, or cannot read it.
    """
    return JsonLayout(text) if is_json else YamlLayout(text)


class Reading(t.NamedTuple):
    """A manifest's text, and what it says.

    Attributes:
        text: all of it but for a byte order mark.
        bom: the byte order mark, or ''.
        is_json: whether it is JSON, for which no library is needed.
        data: what it says.
        lines: the line of each value by its place.
        flaws: what is wrong with the text itself.
    """

    text: str
    bom: str
    is_json: bool
    data: t.Any
    lines: t.Mapping[t.Any, int]
    flaws: t.List[Problem]

    def problems(self) -> t.List[Problem]:
        """Return all that is wrong with the manifest."""
        data, lines, flaws = self.data, self.lines, self.flaws
        if isinstance(data, dict) and VARIABLE in data:
            # Other variables are nobody's business here.
            inside = f"stack.{VARIABLE}"
            flaws = [
                flaw._replace(place=flaw.place.replace(inside, "stack", 1))
                for flaw in flaws
                if flaw.place.startswith((inside, "manifest"))
            ]
            data = data[VARIABLE]
            lines = {place[1:]: line for place, line in lines.items() if place[:1] == (VARIABLE,)}
        places = {flaw.place for flaw in flaws if flaw.severity == "error"}
        return flaws + [
            problem for problem in check_manifest(data, lines=lines).problems if problem.place not in places
        ]

    def shown(self) -> str:
        """Return the text as it may be shown: with asterisks for the values of secrets."""
        return layout_of(self.text, self.is_json).shown() if "secrets" in self.text else self.text


def reading_of(path: str, content: bytes) -> Reading:
    """Read a manifest to its end.

    Raises:
        RollcallError: ``wrong_use``: it is empty, cut off, or otherwise none that can be read.
    """
    loaded = parse_manifest(content, json_only=path.endswith(".json"))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise _unusable(path, loaded.problems) from exc
    bom = "\ufeff" if content.startswith(codecs.BOM_UTF8) else ""
    is_json = path.endswith(".json") or _is_json(text)
    data = loaded.data
    if data is None and not is_json and re.search("!|<<", text):
        # Variables of an inventory may have tags and merge keys; a manifest of its own may not, and keeps them.
        loaded = parse_manifest(layout_of(text, is_json).plain_text().encode("utf-8"))
        data = _merged(loaded.data)
    found = Reading(text, bom, is_json, data, loaded.lines, loaded.problems)
    if not isinstance(data, dict):
        raise _unusable(path, loaded.problems if loaded.failed else found.problems())
    return found


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _merged(data: t.Any) -> t.Any:
    """Return data with its merge keys (``<<``) resolved, as Ansible reads them."""
    if isinstance(data, list):
        return [_merged(item) for item in data]
    if not isinstance(data, dict):
        return data
    merged: t.Dict[t.Any, t.Any] = {}
    below = data.get("<<", [])
    # Of several the first one counts.
    for part in reversed(below) if isinstance(below, list) else [below]:
        merged.update(_merged(part) if isinstance(part, dict) else {})
    merged.update({key: _merged(value) for key, value in data.items() if key != "<<"})
    return merged


def _unusable(path: str, problems: t.Sequence[Problem]) -> RollcallError:
    return problems_error(f"The manifest {path} cannot be changed", problems, path=path)
