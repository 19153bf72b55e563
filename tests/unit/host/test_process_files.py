# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Linux writes of a process in the moment of its end, which lasts too short to be met on purpose."""

from __future__ import annotations

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import proc

REST = " ".join(["0"] * 13 + ["1", "0", "4711", *["0"] * 30])
# As read while the parent waited for a process (Linux 6.18): without parent, group and session.
REAPED = f"4242 (python3) X 0 -1 -1 {REST}\n".encode()
ZOMBIE = f"4242 (python3) Z 17 4242 17 {REST}\n".encode()


def test_a_process_that_is_just_being_reaped_is_gone_and_nobodys_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proc, "read", lambda *_words, **_more: REAPED)
    assert proc.place_of(4242) is None
    assert proc.start_time(4242) == 0
    assert not proc.alive(4242, 4711)


def test_a_zombie_is_still_its_parents_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proc, "read", lambda *_words, **_more: ZOMBIE)
    place = proc.place_of(4242)
    assert place is not None
    assert (place.ppid, place.start, place.ended) == (17, 4711, True)
