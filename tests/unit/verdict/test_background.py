# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of which services a verdict looks for processes in the background that its first look may have missed."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import ProgramState
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.verify import ended_to_background


def state_of(state: str, *, pid: int = 0, status: int = 0) -> ProgramState:
    return ProgramState("web", state, pid, 1.0, 2.0, 3.0, status, "", "")


@pytest.mark.parametrize(
    ("entry", "program", "failed", "looked_for"),
    [
        # With start.seconds 0 supervisord reports it as RUNNING before it has ended: it has not failed to start.
        ({}, state_of("EXITED"), (), True),
        ({}, state_of("FATAL"), ("web",), True),
        ({}, state_of("EXITED", status=1), (), False),
        ({}, state_of("RUNNING", pid=7), (), False),
        ({}, state_of("STOPPED"), (), False),
        ({"kind": "oneshot"}, state_of("EXITED"), (), False),
        ({"ends": "expected", "restart": "never"}, state_of("EXITED"), (), False),
    ],
)
def test_who_ended_with_code_0_and_was_to_stay_is_looked_for_in_the_background(
    entry: dict[str, t.Any], program: ProgramState, failed: tuple[str, ...], looked_for: bool
) -> None:
    raw = {"name": "test", "root": "/opt/test", "services": {"web": {"command": ["/x"], **entry}}}
    stack = check_manifest(raw).stack
    assert stack is not None
    assert ended_to_background(stack, {"web": program}, failed) == ({"web"} if looked_for else set())
