# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a value is, it becomes text or an attribute, and never markup."""

from __future__ import annotations

import typing as t
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import inert
from ansible_collections.rollcall.supervisor.plugins.module_utils.page.elements import constant, element, written

# What a parser of HTML has a meaning for comes often.
PARTS = ("<", ">", "&", '"', "'", "/", "=", "!", "--", "[", "]", ";", " ", "\n", "\t", "\0", "\x1b", "\ud800", "\u202e")
WORDS = ("script", "</script>", "<!--", "]]>", "&lt;", "onload=", "javascript:", "style", "é", "x", "7")
WRITTEN_BY_OTHERS = st.lists(st.sampled_from([*PARTS, *WORDS]), max_size=8).map("".join) | st.text()


class Reader(HTMLParser):
    """Keeps the elements of a document, with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: t.List[t.Tuple[str, t.Dict[str, t.Optional[str]]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: t.List[t.Tuple[str, t.Optional[str]]]) -> None:
        """Keep an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep text."""
        self.text += data


@given(WRITTEN_BY_OTHERS, WRITTEN_BY_OTHERS)
def test_a_value_is_read_as_the_text_or_the_attribute_that_it_was(text: str, value: str) -> None:
    read = Reader(written(element("p", "a", element("b", text), text, title=value)).partition("\n")[2])
    assert read.elements == [("p", {"title": inert(value)}), ("b", {})]
    assert read.text == f"a{inert(text)}{inert(text)}\n"


def test_an_attribute_is_there_or_not_or_without_a_value() -> None:
    made = element("input", type="radio", checked=True, hidden=False, title=None, aria_label="x", for_="q", value=3)
    assert made.attrib == {"type": "radio", "checked": "", "aria-label": "x", "for": "q", "value": "3"}


@pytest.mark.parametrize("tag", ["script", "style"])
def test_no_text_goes_where_it_would_be_a_program_or_a_style(tag: t.Any) -> None:
    with pytest.raises(ValueError, match=tag):
        element(tag, "alert(1)")
    with pytest.raises(ValueError, match=tag):
        constant(tag, "x</script>")
    with pytest.raises(ValueError, match=tag):
        constant(tag, "<!-- x")
