# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of several directories share."""

from __future__ import annotations

import os
import typing as t

import hypothesis
import pytest

from tests.support import deprecations, returns
from tests.support.interpreters import quick_python
from tests.support.victims import Victim, innocent

__all__ = ["bystander", "quick_python"]

# How long an example takes says more about what else the machine does than about the code.
# A run tries the examples that the run before tried: what fails is new. `make fuzz` tries others each time.
hypothesis.settings.register_profile("any machine", deadline=None, derandomize="FUZZ_EXAMPLES" not in os.environ)
hypothesis.settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--fault NUMBER``."""
    parser.addoption("--fault", type=int, metavar="NUMBER", help="run only tests for this fault of faults.md")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests for the fault that was asked for."""
    number = config.getoption("--fault")
    if number is not None:
        items[:] = [item for item in items if (number,) in (mark.args for mark in item.iter_markers("fault"))]


@pytest.fixture
def bystander() -> t.Iterator[Victim]:
    """A process that nothing here has any business with; it must be alive afterwards."""
    with innocent() as held:
        yield held


@pytest.fixture(scope="session", autouse=True)
def _recording(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[None]:
    """Playbooks write down what they return and what is deprecated, and use again what one has packed of a module."""
    base = tmp_path_factory.getbasetemp()
    # All workers of one run have the directory above their own.
    payloads = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "payloads"
    payloads.mkdir(exist_ok=True)
    with returns.recording(payloads), deprecations.recording():
        yield


@pytest.fixture(autouse=True)
def _results(_recording: None) -> t.Iterator[None]:
    """What the test's playbooks returned is as RETURN says, and nothing that they use of Ansible is deprecated."""
    yield
    seen = deprecations.recorded()
    returns.recorded()
    deprecations.refuse_ours(seen)
