# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A small builder of HTML. Values become text and attributes of a tree of elements, and nothing else. Pure.

No text is ever put together with markup: the serialiser of Python's own library escapes every text and every attribute
of the tree (https://html.spec.whatwg.org/multipage/parsing.html). It writes the content of ``script`` and ``style`` as
it is, as HTML wants it, so these two take constants of ours only.
"""

from __future__ import annotations

import typing as t
from xml.etree import ElementTree

from ..base.text import inert

Element = ElementTree.Element
Child = t.Union[Element, str, None]
Value = t.Union[str, int, float, bool, None]

# Elements whose content is no HTML.
_RAW = ("script", "style")


def element(tag: str, *children: Child, **attributes: Value) -> Element:
    """Return an element.

    Args:
        tag: its name, a constant.
        children: what is in it, in this order: elements and texts; None is nothing.
        attributes: by their names, in which a line at the end is dropped and any other is a hyphen. True is an
            attribute without a value; False and None are none.
    """
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None and value is not False:
            made.set(name.rstrip("_").replace("_", "-"), "" if value is True else inert(str(value)))
    return extend(made, *children)


def extend(parent: Element, *children: Child) -> Element:
    """Add elements and texts to the end of an element, and return it.

    Raises:
        ValueError: a text is to go where it would be a program or a style.
    """
    for child in children:
        if isinstance(child, str):
            if parent.tag in _RAW:
                raise ValueError(f"no text goes into {parent.tag}")
            _add_text(parent, inert(child))
        elif child is not None:
            parent.append(child)
    return parent


def _add_text(parent: Element, text: str) -> None:
    if len(parent):
        last = parent[-1]
        last.tail = (last.tail or "") + text
    else:
        parent.text = (parent.text or "") + text


def constant(tag: t.Literal["script", "style"], content: str, **attributes: Value) -> Element:
    """Return a program or a style, which is a constant of ours.

    Raises:
        ValueError: its content would end it early.
    """
    if "</" in content or "<!--" in content:
        raise ValueError(f"that cannot stand in {tag}")
    made = element(tag, **attributes)
    made.text = content
    return made


def written(root: Element) -> str:
    """Return a document as text; the same tree is always the same text."""
    return "<!DOCTYPE html>\n" + ElementTree.tostring(root, encoding="unicode", method="html") + "\n"
