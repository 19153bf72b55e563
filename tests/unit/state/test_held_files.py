# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a process has open, whatever it closes meanwhile."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.state import log_spans


def test_a_descriptor_that_is_closed_while_they_are_read_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "web.log", os.listdir

    def with_one_that_is_gone(place: t.Any) -> t.List[str]:
        return ["999999", *real(place)]

    monkeypatch.setattr(os, "listdir", with_one_that_is_gone)
    with path.open("w", encoding="utf-8"):
        held = log_spans.held_files([os.getpid()])
    assert str(path) in [one.name for one in held]


def test_of_a_process_that_is_gone_nothing_is_open() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert log_spans.held_files([pid]) == []
