# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are told say what is meant, whatever services are called."""

from __future__ import annotations

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.cli.command import parser
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.modes import RESTARTS

MODE_NAMES = [name for mode in RESTARTS for name in mode.names]


@pytest.mark.parametrize("service", [*MODE_NAMES, "web", "all-of-it"])
def test_the_command_that_restarts_a_service_restarts_that_alone(service: str) -> None:
    words = cures.restart(service, "worker").split()[1:]
    options = parser(words).parse_args(words)
    # A word that is no mode is the first of the names.
    named = options.names if options.mode in MODE_NAMES else [options.mode, *options.names]
    assert named == [service, "worker"]
