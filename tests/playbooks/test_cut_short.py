# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An install that does not come to its last steps."""

from __future__ import annotations

import pytest

from tests.support.playbooks import play, prepare
from tests.support.stacks import stack

pytestmark = pytest.mark.usefixtures("bystander")


def test_a_run_that_fails_does_not_come_to_the_boot_unit() -> None:
    with stack({"web": {"command": ["/bin/false"]}}) as made:
        prepare(made)

        failed = play(made, "site.yml", services_boot="systemd")

        assert failed.returncode == 2
        assert "12/12 Verdict" in failed.stdout
        assert "Boot | " not in failed.stdout
