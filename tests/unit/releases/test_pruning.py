# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which old releases and virtual environments go."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.releases.pruning import KeptRelease, to_prune

RELEASES = [KeptRelease(f"r{number}", number, f"v{number}") for number in range(1, 6)]
VENVS = ["v1", "v2", "v3", "v4", "v5", "v9"]


@pytest.mark.parametrize(
    ("needed", "keep", "gone", "venvs_gone"),
    [
        ((), 5, [], ["v9"]),
        ((), 2, ["r1", "r2", "r3"], ["v1", "v2", "v3", "v9"]),
        (("r1",), 2, ["r2", "r3"], ["v2", "v3", "v9"]),
        (("r1", "r2", "r3", "r4", "r5"), 1, [], ["v9"]),
        (("r4", "elsewhere"), 1, ["r1", "r2", "r3"], ["v1", "v2", "v3", "v9"]),
    ],
)
def test_the_newest_and_the_needed_stay(
    needed: t.Tuple[str, ...], keep: int, gone: t.List[str], venvs_gone: t.List[str]
) -> None:
    assert to_prune(RELEASES, VENVS, needed, keep) == (gone, venvs_gone)


def test_an_environment_stays_as_long_as_one_release_links_to_it() -> None:
    both = [KeptRelease("old", 1, "v"), KeptRelease("new", 2, "v"), KeptRelease("bare", 3)]
    assert to_prune(both, ["v"], (), 2) == (["old"], [])
    assert to_prune(both, ["v"], (), 1) == (["new", "old"], ["v"])
