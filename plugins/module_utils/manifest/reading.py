# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The text of a manifest that is edited, its data, and where everything stands in the text."""

from __future__ import annotations

import codecs
import functools
import json
import re
import typing as t

from ..base.errors import Problem, RollcallError, problems_error
from .check import check_manifest
from .file import joined, parse_manifest
from .json_layout import JsonLayout
from .layout import Layout
from .yaml_layout import YamlLayout

# The variable of an inventory that holds a manifest.
VARIABLE = "rollcall_stack"


@functools.lru_cache(maxsize=4)
def layout_of(text: str, is_json: bool) -> Layout:
    """Return the layout of a text, JSON or YAML.

    Raises:
        RollcallError: ``wrong_use``: it is YAML, and ruamel.yaml is missing or cannot read it.
    """
    return JsonLayout(text) if is_json else YamlLayout(text)


class Reading(t.NamedTuple):
    """The text of a manifest and its data.

    Attributes:
        text: the text without a byte order mark.
        bom: the byte order mark, or ''.
        is_json: whether it is JSON, which needs no library.
        data: the data of the text.
        lines: the line of each value by its place.
        flaws: the problems of the text itself.
    """

    text: str
    bom: str
    is_json: bool
    data: t.Any
    lines: t.Mapping[t.Any, int]
    flaws: t.List[Problem]

    def problems(self) -> t.List[Problem]:
        """Return all problems of the manifest."""
        data, lines, flaws = self.data, self.lines, self.flaws
        if isinstance(data, dict) and VARIABLE in data:
            # The problems of other variables are left out.
            inside = f"stack.{VARIABLE}"
            flaws = [
                flaw._replace(place=flaw.place.replace(inside, "stack", 1))
                for flaw in flaws
                if flaw.place.startswith((inside, "manifest"))
            ]
            data = data[VARIABLE]
            lines = {place[1:]: line for place, line in lines.items() if place[:1] == (VARIABLE,)}
        return joined(flaws, check_manifest(data, lines=lines).problems)

    def shown(self) -> str:
        """Return the text with asterisks for the values of secrets."""
        return layout_of(self.text, self.is_json).shown() if "secrets" in self.text else self.text


def reading_of(path: str, content: bytes) -> Reading:
    """Read a manifest to its end.

    Raises:
        RollcallError: ``wrong_use``: it is empty, cut off, or cannot be read for another reason.
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
        # Variables of an inventory may have tags and merge keys. They stay in the text.
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
    # Of several mappings, the first one counts.
    for part in reversed(below) if isinstance(below, list) else [below]:
        merged.update(_merged(part) if isinstance(part, dict) else {})
    merged.update({key: _merged(value) for key, value in data.items() if key != "<<"})
    return merged


def _unusable(path: str, problems: t.Sequence[Problem]) -> RollcallError:
    return problems_error(f"The manifest {path} cannot be changed", problems, path=path)
