# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sweep ends what carries a stack's label and is not kept."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ansible_collections.rollcall.supervisor.plugins.module_utils.host.sweep import sweep
from tests.support.configs import a_label
from tests.support.processes import is_alive
from tests.support.victims import victim


def test_a_sweep_ends_what_is_labelled_and_not_kept(tmp_path: Path) -> None:
    root = str(tmp_path)
    mark = a_label(root)
    with contextlib.ExitStack() as started:
        orphans, daemon, kept = (
            started.enter_context(victim(kind, label=mark)) for kind in ("shared", "daemon", "shared")
        )
        other = started.enter_context(victim("bystander", label=a_label("/elsewhere")))
        stranger = started.enter_context(victim("bystander"))
        ended = sweep(root, keep=[kept.pid])
        assert {one.pid for one in ended} >= {orphans.pid, *orphans.pids, daemon.pid}
        assert {one.result for one in ended} <= {"ended", "gone"}
        assert not any(is_alive(pid) for pid in (orphans.pid, *orphans.pids, daemon.pid))
        assert all(is_alive(pid) for pid in (kept.pid, *kept.pids, stranger.pid, other.pid))
        assert sweep(root, keep=[kept.pid]) == []


def test_a_sweep_ends_the_deepest_first(tmp_path: Path) -> None:
    with victim("shared", label=a_label(str(tmp_path))) as master:
        ended = sweep(str(tmp_path))
        assert [one.pid for one in ended].index(master.pid) == len(master.pids)


def test_a_sweep_escalates(tmp_path: Path) -> None:
    with victim("deaf", label=a_label(str(tmp_path))) as deaf:
        (ended,) = sweep(str(tmp_path), grace=0.1)
        assert (ended.pid, ended.signals, ended.result) == (deaf.pid, ("TERM", "KILL"), "ended")


def test_a_sweep_of_an_empty_root_does_nothing(tmp_path: Path) -> None:
    assert sweep(str(tmp_path)) == []
