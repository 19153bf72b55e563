# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In what order services depend on each other, and what stands on what."""

from __future__ import annotations

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.graph import dependents, levels
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from tests.support.manifests import a_manifest, a_service, checked


def a_diamond() -> Stack:
    return checked(
        a_manifest(
            {
                "web": a_service(depends_on=["left", "right"]),
                "left": a_service(depends_on=["base"]),
                "right": a_service(depends_on=["base"]),
                "base": a_service(),
                "alone": a_service(),
            }
        )
    )


def test_levels_put_each_service_after_all_that_it_needs() -> None:
    assert levels(a_diamond()) == [["base", "alone"], ["left", "right"], ["web"]]


def test_levels_of_a_circle_are_an_error_and_no_endless_loop() -> None:
    data = a_diamond().to_dict()
    data["services"][3]["depends_on"] = {"web": "running"}

    with pytest.raises(RollcallError, match="wait for each other"):
        levels(Stack.from_dict(data))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["base"], {"base", "left", "right", "web"}),
        (["left"], {"left", "web"}),
        (["web", "alone"], {"web", "alone"}),
        (["gone"], {"gone"}),
        ([], set()),
    ],
)
def test_dependents_are_all_that_stand_on_it(names: list[str], expected: set[str]) -> None:
    assert dependents(a_diamond(), names) == expected
