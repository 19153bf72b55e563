# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How batches may be written, and what is refused."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.rollcall.supervisor.plugins.filter.batches import batches


@pytest.mark.parametrize(
    ("value", "rest", "sizes"),
    [
        ("100%", "", ["100%"]),
        (5, "", [5]),
        ("5", "", [5]),
        ([1, "50%"], "", [1, "50%"]),
        ('[1, "50%"]', "", [1, "50%"]),
        # What Ansible makes of -e batches='[1, "50%"]' and of a longer list.
        ("[1,", '"50%"]', [1, "50%"]),
        ("[1,", '5, "25%"]', [1, 5, "25%"]),
    ],
)
def test_every_spelling_that_people_use_gives_the_sizes(value: t.Any, rest: str, sizes: t.List[t.Any]) -> None:
    assert batches(value, rest) == sizes


def test_it_is_said_how_the_very_variable_is_written() -> None:
    with pytest.raises(AnsibleFilterError, match="Write it as -e rollout_batches="):
        batches("[1, 25%]", "", "rollout_batches")


@pytest.mark.parametrize("value", ["0", 0, -1, "0%", "101%", "half", True, None, [], [1, "x"], "[1,"])
def test_anything_else_is_refused_with_what_a_batch_is(value: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="batch"):
        batches(value)
