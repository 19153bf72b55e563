# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task says that fails by its manifest, which ansible-core prints twice."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.plugin_utils import manifests
from tests.support.manifests import one


@pytest.mark.parametrize("told", [True, False])
def test_the_problems_are_told_by_the_task_or_by_the_roll_call(told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "has_roll_call", lambda: told)
    result: t.Dict[str, t.Any] = {}
    assert manifests.check_into(result, {"manifest": one(prot=8000), "file": None}) is None
    assert (result["failed"], len(result["problems"])) == (True, 1)
    assert "stack.services.main_app.prot" in result["msg"]
    assert ("did you mean port?" in result["msg"]) is not told
    assert ("The manifest has 1 error: " in result["msg"]) is told
