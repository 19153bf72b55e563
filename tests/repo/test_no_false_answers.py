# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No task takes its own failure for an answer: one that may fail asks whether it was executed at all."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from tests.support.repository import ROOT, tracked

PLACES = ("roles", "playbooks", "examples")
FILES = [path for path in tracked() if path.suffix == ".yml" and path.relative_to(ROOT).parts[0] in PLACES]


class _Loader(yaml.SafeLoader):
    """Reads a file of tasks; a tag of Ansible's is nothing that matters here."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


def tasks(data: t.Any) -> t.Iterator[t.Mapping[str, t.Any]]:
    """Yield every mapping within that could be a task."""
    if isinstance(data, dict):
        yield data
    for inner in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from tasks(inner)


def swallows(task: t.Mapping[str, t.Any]) -> bool:
    """Return whether a task goes on when its module has failed to do anything at all."""
    condition = task.get("failed_when", "")
    # As Ansible reads it: a boolean, a word for one, or an expression. `x is defined` fails where there is no answer.
    never = str(condition).strip().lower() in ("false", "no", "never", "off", "0", "[]") or condition == []
    return never or bool(task.get("ignore_errors", False))


def test_no_task_takes_its_own_failure_for_an_answer() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {task.get('name')}"
        for path in FILES
        for task in tasks(yaml.load(path.read_text(encoding="utf-8"), _Loader))
        if swallows(task)
    ]

    assert found == []
    assert len(FILES) > 40


@pytest.mark.parametrize("text", ["failed_when: false", "failed_when: 'no'", "failed_when: []", "ignore_errors: true"])
def test_a_task_that_does_is_found(text: str) -> None:
    (task,) = yaml.safe_load(f"- {text}")
    assert swallows(task)


@pytest.mark.parametrize("text", ["failed_when: done.rc is not defined", "failed_when: done.rc > 1", "name: x"])
def test_a_task_that_tells_its_failure_from_an_answer_is_not(text: str) -> None:
    (task,) = yaml.safe_load(f"- {text}")
    assert not swallows(task)
