# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a log is critical, and how much of it is shown."""

from __future__ import annotations

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import verify


@pytest.fixture
def stack() -> Stack:
    checked = check_manifest({"name": "test", "root": "/opt/test", "services": {"web": {"command": ["/x"]}}})
    assert checked.stack is not None
    return checked.stack


def traceback(frames: int, closing: str) -> str:
    lines = [line for n in range(frames) for line in (f'  File "f{n}.py", line 1, in f{n}', f"    f{n + 1}()")]
    return "\n".join(["Traceback (most recent call last):", *lines, closing])


def test_a_traceback_is_shown_with_the_exception_that_closes_it(stack: Stack) -> None:
    text = traceback(2, "ValueError: no")

    assert "\n".join(verify.critical_lines(stack, f"before\n{text}\nafter")) == text


@pytest.mark.parametrize("frames", [5, 50])
def test_of_a_long_traceback_its_beginning_and_its_end_are_shown(stack: Stack, frames: int) -> None:
    found = verify.critical_lines(stack, traceback(frames, "ImportError: cannot import name 'x'"))

    assert found[:2] == ["Traceback (most recent call last):", '  File "f0.py", line 1, in f0']
    assert found[3] == f"  ... {2 * frames - 8} lines ..."
    assert found[-1] == "ImportError: cannot import name 'x'"
    assert len(found) == 11


def test_a_traceback_that_is_cut_off_by_the_end_of_the_log_is_shown_as_far_as_it_goes(stack: Stack) -> None:
    text = 'Traceback (most recent call last):\n  File "f.py", line 1, in f'

    assert verify.critical_lines(stack, text) == text.splitlines()


def test_lines_that_only_speak_of_what_is_critical_are_not(stack: Stack) -> None:
    assert verify.critical_lines(stack, "UNCRITICAL\na Traceback (most recent call last):\nCRITICAL: disk") == [
        "CRITICAL: disk"
    ]
