# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of several directories share."""

from __future__ import annotations

import typing as t

import pytest

from tests.support.environments import quick_python
from tests.support.victims import Victim, innocent

__all__ = ["bystander", "quick_python"]


@pytest.fixture
def bystander() -> t.Iterator[Victim]:
    """A process that nothing here has any business with; it must be alive afterwards."""
    with innocent() as held:
        yield held
