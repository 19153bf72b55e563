# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forty questions of users: the index has a row for each, and a section of the page that it leads to answers it."""

from __future__ import annotations

import re
import typing as t

import pytest

from tests.support.questions import QUESTIONS, Question
from tests.support.repository import ROOT
from tests.support.runbook import anchor

DOCS = ROOT / "docs"
INDEX = (DOCS / "index.md").read_text(encoding="utf-8")
# What somebody wants, and where the index sends them.
ROWS = dict(re.findall(r"^\| ([^|]+) \| \[[^\]]+\]\(([^)]+)\) \|", INDEX.partition("## All pages")[0], re.MULTILINE))


def section(page: str, heading: str) -> str:
    """Return a page from a heading to the next one of its level or above; "" when there is no such heading."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(rf"^(#+) {re.escape(heading)}$\n", text, re.MULTILINE)
    if found is None:
        return ""
    rest = text[found.end() :]
    # A page's own heading has what comes before the first section.
    deeper = r"#{1,2} " if found[1] == "#" else rf"#{{1,{len(found[1])}}} "
    return re.split(rf"^{deeper}", rest, maxsplit=1, flags=re.MULTILINE)[0]


def test_there_are_forty() -> None:
    assert len(QUESTIONS) == len({one.asked for one in QUESTIONS}) == 40


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: t.cast(Question, question).asked)
def test_a_question_is_answered_where_the_index_sends_who_asks(question: Question) -> None:
    assert question.row in ROWS, "the index has a row for it"
    page, _sign, fragment = ROWS[question.row].partition("#")
    assert page == question.page
    # A link to a page leads to its beginning, from where its headings are seen.
    assert fragment in ("", anchor(question.heading))
    answer = section(page, question.heading)
    assert question.says in answer, f"{page} has no section {question.heading!r} that says so:\n{answer}"
