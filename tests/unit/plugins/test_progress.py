# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far hosts are, as lines: which step, what is waited for, and for how long by now."""

from __future__ import annotations

import io
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.show.steps import step_at
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.progress import (
    Area,
    News,
    progress_line,
    progress_lines,
)


def news(step: str, *waits: t.Tuple[str, str, float], applies: bool = True) -> News:
    told = [{"name": name, "what": what, "said": "", "seconds": seconds} for name, what, seconds in waits]
    progress: t.Any = {"run": "20260531-140500-abcd", "step": step, "seconds": 20.0, "waits": told}
    return News(100.0, applies, progress)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (news("start", ("web", "health", 12.0)), "web1: step 10/12 web health, waits for web (health), 14 s"),
        (
            news("start", ("web", "health", 3.0), ("worker", "start", 1.0)),
            "web1: step 9/12 services RUNNING, waits for web (health) and worker (start), 5 s",
        ),
        (news("stop", ("web\n", "stop", 1.0)), "web1: step 6/12 supervisor config, waits for web (stop), 3 s"),
        (news("verify"), "web1: step 12/12 verdict, 22 s"),
        (news("stop", ("web", "stop", 1.0), applies=False), "web1: at 'stop', waits for web (stop), 3 s"),
    ],
)
def test_a_line_says_the_step_what_is_waited_for_and_for_how_long_by_now(said: News, line: str) -> None:
    number, name = step_at(said.progress["step"], [one["what"] for one in said.progress["waits"]])
    assert f"{number}/12 {name}" in line or not said.applies
    assert progress_line("web1", said, 102.0) == line


def test_of_many_hosts_the_first_are_shown_and_the_rest_is_counted() -> None:
    lines = progress_lines({f"web{number}": news("verify") for number in range(100)}, 100.0)
    assert (len(lines), lines[-1]) == (9, "and 92 more hosts")


def test_a_line_with_letters_of_two_columns_does_not_go_on_in_the_next() -> None:
    stream = io.StringIO()
    Area(stream).draw(["\u5b57" * 30, "plain"], 20)
    assert stream.getvalue() == "\u5b57" * 9 + "\nplain\n"
