# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where one host does something for all, all have done what comes before, whatever strategy is configured."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from tests.support.repository import ROOT

PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
INCLUDES = ("ansible.builtin.include_tasks", "ansible.builtin.import_tasks")
# Each host sees to it by itself whether one was lost: nothing of another is needed that was not there before.
OF_EACH = "Batch | Stop when a host was lost before"


def once(tasks: t.Any, place: Path) -> t.Iterator[str]:
    """Return the names of the tasks that one host does for all, those of files that are named in full included."""
    for task in tasks or ():
        if task.get("run_once") and task["name"] != OF_EACH:
            yield task["name"]
        for key in ("block", "rescue", "always"):
            yield from once(task.get(key), place)
        for include in INCLUDES:
            file = task.get(include)
            if isinstance(file, str) and "{{" not in file:
                yield from once(yaml.safe_load((place / file).read_text(encoding="utf-8")), (place / file).parent)


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_play_in_which_one_host_does_something_for_all_is_linear(path: Path) -> None:
    for play in yaml.safe_load(path.read_text(encoding="utf-8")):
        alone = list(once(play.get("tasks"), path.parent))
        assert not alone or play.get("strategy") == "linear", (path.name, play["name"], alone)
