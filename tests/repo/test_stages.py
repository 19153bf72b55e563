# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test run plays what there is to be played."""

from __future__ import annotations

from tests.support.repository import ROOT
from tests.tools.stages import STAGES


def test_every_scenario_of_molecule_is_a_stage() -> None:
    scenarios = {path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")}
    stages = {stage.name.partition("-")[2] for stage in STAGES if stage.group == "molecule"}
    assert stages == scenarios
