# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question with a secret in it, in a whole stack."""

from __future__ import annotations

from tests.support.commands import rollcall
from tests.support.processes import free_port
from tests.support.stacks import check_of, stack

SECRET = "planted-token-of-the-check"


def test_a_question_with_a_secret_is_asked_again_by_the_command_that_is_told() -> None:
    headers = {"Authorization": "Bearer {secret:TOKEN}"}
    service = {
        "port": free_port(),
        "secrets": {"TOKEN": SECRET},
        "ready_timeout": 4,
        "health": {"http": "/nothing/here", "status": 204, "headers": headers, "timeout": 30},
    }
    with stack({"web": service}) as made:
        report = made.perform()
        command = check_of(report, "health", "web")["next"]
        assert command == "rollcall status web"
        shown = rollcall(made, *command.split()[1:])
        assert ", wanted 204" in shown.out
        assert SECRET not in str(report) + shown.out + shown.err
