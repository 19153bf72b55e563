# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs within Ansible, in the process of the tests."""

from __future__ import annotations

import functools
import typing as t

import pytest
from ansible.utils.display import Display

from tests.support import deprecations
from tests.support.callbacks.deprecations import watch


@pytest.fixture(autouse=True)
def _deprecations(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[None]:
    """Fail when the test has made Ansible deprecate something of ours."""
    seen: t.List[t.Dict[str, t.Any]] = []
    watch(functools.partial(monkeypatch.setattr, Display), seen.append)
    yield
    deprecations.refuse_ours(seen)
