# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The layout of a JSON text."""

from __future__ import annotations

import json
import re
import typing as t

from .layout import Layout, Node, nested


class JsonLayout(Layout):
    """The layout of a text that is JSON."""

    _SPACE = re.compile(r"[ \t\r\n]*")

    def __init__(self, text: str) -> None:
        self.text = text
        self.gap = ":" if re.search(r'":\S', text) and not re.search(r'":\s', text) else ": "
        self._decoder = json.JSONDecoder()
        self.root = self._value(self._behind_space(0))

    def _behind_space(self, at: int) -> int:
        found = self._SPACE.match(self.text, at)
        return at if found is None else found.end()

    def _value(self, at: int) -> Node:
        kind = self.text[at]
        if kind not in "{[":
            value, end = self._decoder.raw_decode(self.text, at)
            text = isinstance(value, str)
            return Node("scalar", at, end, text=value if text else "", quote='"' if text else "")
        node = Node(kind, at, at)
        at = self._behind_space(at + 1)
        while self.text[at] not in "}]":
            if kind == "{":
                key = self._value(at)
                node.keys.append(key)
                at = self._behind_space(self.text.index(":", key.end) + 1)
            value = self._value(at)
            node.values.append(value)
            at = self._behind_space(value.end)
            if self.text[at] == ",":
                at = self._behind_space(at + 1)
        node.end = at + 1
        return node

    def written(self, value: t.Any, in_flow: bool, like: t.Optional[Node]) -> str:  # noqa: ARG002 - JSON always is in brackets
        step = re.search(r"\n([ \t]+)", self.text)
        if like is not None and like.collection:
            spread = "\n" in self.text[like.start : like.end]
        else:
            spread = step is not None and nested(value)
        if spread and isinstance(value, (dict, list)):
            return json.dumps(value, ensure_ascii=False, indent=step[1] if step else 2)
        return json.dumps(value, ensure_ascii=False, separators=("," if self.gap == ":" else ", ", self.gap))
