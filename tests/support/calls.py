# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of the engine in a test: what one raises, how long one takes, and the identity of a process to call with."""

from __future__ import annotations

import time
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Identity


def error_of(call: t.Callable[[], t.Any]) -> RollcallError:
    """Return the RollcallError that a call raises."""
    with pytest.raises(RollcallError) as caught:
        call()
    return caught.value


def timed(call: t.Callable[[], t.Any]) -> tuple[float, t.Any]:
    """Return the seconds that a call took, and what it returned."""
    began = time.monotonic()
    result = call()
    return time.monotonic() - began, result


def identity_of(pid: int) -> Identity:
    """Return the identity of a process that is there."""
    process = processes.describe(pid)
    assert process is not None
    return process.identity
