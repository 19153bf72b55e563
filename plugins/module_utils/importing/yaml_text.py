# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""An imported manifest as YAML, with the notes as comments at its top."""

from __future__ import annotations

import re
import textwrap
import typing as t

from ..base.text import count
from .commands import words
from .draft import Imported
from .notes import MINOR

_WIDTH = 110
# A longer key must be announced (YAML 1.1, 10.2).
_LONGEST_KEY = 1000
_PLAIN = re.compile(r"(--?)?[A-Za-z_/][A-Za-z0-9_./@+=-]*\Z")
# Words that a version of YAML takes for something else than text.
_NOT_TEXT = words("null true false yes no on off y n")


def as_yaml(imported: Imported, *, all_notes: bool = False) -> str:
    """Return the manifest as YAML, with the notes as comments at its top.

    Args:
        imported: the manifest and its notes.
        all_notes: whether to tell those that need nothing, and every place, as well.
    """
    told = [note for note in imported.notes if all_notes or note.kind != MINOR]
    lines = []
    for note in told:
        place = note.place if all_notes else note.few_places()
        lines += _comment(f"{note.kind:8} {place}: {note.message}", "# ", "#          ")
        lines += _comment(f"cure: {note.cure}", "#          ", "#                ")
    hidden = len(imported.notes) - len(told)
    if hidden:
        lines.append(f"# {count(hidden, 'note')} more of what needs nothing: --all-notes")
    if lines:
        lines = ["# Imported. See to these notes, then remove them, and run: rollcall manifest check FILE", "#", *lines]
        lines.append("")
    return "\n".join([*lines, *_block(imported.manifest, "")]) + "\n"


def _comment(text: str, first: str, others: str) -> t.List[str]:
    visible = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
    return textwrap.wrap(
        visible,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _block(mapping: t.Mapping[str, t.Any], indent: str) -> t.List[str]:
    """Return the lines of a mapping. A short value without mappings or lists in it stands on one line."""
    lines = []
    for key, value in mapping.items():
        flow = f"{indent}{_key(key, indent)} {_flow(value)}"
        nested = isinstance(value, dict) and any(isinstance(inner, (dict, list)) for inner in value.values())
        if isinstance(value, dict) and value and (nested or len(flow) > _WIDTH):
            lines += [f"{indent}{_key(key, indent)}", *_block(value, indent + "  ")]
        else:
            lines.append(flow)
    return lines


def _key(key: t.Any, indent: t.Optional[str] = None) -> str:
    """Return a key and its colon, on a line of a block with this indent or, with None, within a line."""
    written = _scalar(key)
    if len(written) <= _LONGEST_KEY:
        return f"{written}:"
    return f"? {written} :" if indent is None else f"? {written}\n{indent}:"


def _flow(value: t.Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: t.Any) -> str:
    """Return a scalar that every YAML parser reads in the same way: text in quotes unless it is a plain word."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    if _PLAIN.match(value) and value.lower() not in _NOT_TEXT:
        return str(value)
    return '"' + "".join(_escaped(sign) for sign in value) + '"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    if sign.isprintable():
        return sign
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
