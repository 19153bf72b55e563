# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stop sees of a program, look by look, and when it calls it down."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import SYSTEM
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.descent import Descent
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import Client, ProgramState


class Told:
    """Stands for supervisord: says one state after the other, and counts how often it is told to stop."""

    def __init__(self, *states: str) -> None:
        self._states = list(states)
        self.stops = 0

    def programs(self) -> t.Dict[str, ProgramState]:
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        return {"web": ProgramState("web", state, 0, 1.0, 0.0, 9.0, 0, "", "")}

    def stop(self, _names: t.Sequence[str]) -> None:
        self.stops += 1


@pytest.mark.parametrize(
    ("states", "stops", "looks"),
    [
        (("STOPPED",), 1, 1),
        (("STOPPING", "STOPPING", "STOPPED"), 1, 3),
        # It has ended by itself for good.
        (("EXITED", "EXITED"), 1, 2),
        # It had just ended by itself when it was told to, and was started again.
        (("EXITED", "STARTING", "STOPPED"), 2, 3),
        (("BACKOFF", "STOPPED"), 2, 2),
        (("RUNNING", "EXITED", "STARTING", "STOPPING", "STOPPED"), 3, 5),
    ],
)
def test_what_is_started_again_while_it_is_told_to_stop_is_told_again(
    states: t.Sequence[str], stops: int, looks: int
) -> None:
    said = Told(*states)
    client = t.cast(Client, said)
    descent = Descent({}, {}, {"web": set()}, sweep=lambda _names: None, lost=False, clock=SYSTEM, asked={})
    looked = 0
    while descent.busy and looked < 10:
        descent.step(client)
        looked += 1
    assert (said.stops, looked, descent.down) == (stops, looks, {"web"})
