# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules return, for their pages, made from the documents in the engine's room ``base``."""

from __future__ import annotations

import textwrap
import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.command_documents import FlushedData, PortState
from tests.tools import report_schema

WIDTH = 120
TYPES = {bool: "bool", int: "int", float: "float", str: "str"}


def port_states() -> str:
    """Return the keys of each port on the page of the module port_info."""
    return _keys(PortState, 4, "always")


def flushed() -> str:
    """Return the keys of a flush on the page of the module port_flush, but for ``changed``, which Ansible tells."""
    return _keys(FlushedData, 0, "success", without="changed")


def _keys(document: t.Any, indent: int, returned: str, *, without: str = "") -> str:
    said = report_schema.sentences()[document.__name__].keys
    found = []
    for key, hint in t.get_type_hints(document).items():
        if key != without:
            lines = [f"{key}:", *_description(said[key], WIDTH - indent), f"  returned: {returned}", *_type(hint)]
            found.append(textwrap.indent("\n".join(lines), " " * indent))
            part = (t.get_args(hint) or (hint,))[0]
            if t.is_typeddict(part):
                found += [f"{' ' * indent}  contains:", _keys(part, indent + 4, "always")]
    return "\n".join(found)


def _description(sentence: str, width: int) -> list[str]:
    """Return a sentence in YAML, in quotes when YAML would read a plain one as a mapping or a comment."""
    text = f'"{sentence}"' if ": " in sentence or " #" in sentence else sentence
    if len(text) <= width - len("  description: "):
        return [f"  description: {text}"]
    lines = textwrap.wrap(text, width, initial_indent="    - ", subsequent_indent=" " * 6, break_on_hyphens=False)
    return ["  description:", *lines]


def _type(hint: t.Any) -> list[str]:
    """Return Ansible's name of the type; null is not named."""
    hints = [each for each in t.get_args(hint) or (hint,) if each is not type(None)]
    if t.get_origin(hint) is list:
        return ["  type: list", f"  elements: {TYPES.get(hints[0], 'dict')}"]
    if t.get_origin(hint) is t.Literal:
        return ["  type: str"]
    return [f"  type: {TYPES.get(hints[0], 'dict')}"]
