# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be corrected after a run that failed is told in one line."""

from __future__ import annotations

import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.run.outcome import what_failed
from tests.support.reports import check, failed


def test_what_failed_alike_is_told_once_and_what_only_waited_not_at_all() -> None:
    checks: t.Any = [
        failed("running", "web", "FATAL", None),
        failed("running", "api", "FATAL", None),
        failed("health", "feed", "no answer", None, code="wrong"),
        failed("running", "main_app", "it depends on web", None, code="dependency"),
        failed("port", "main_app", "nothing listens", None, code="free"),
        check("running", "worker", "RUNNING"),
    ]
    assert what_failed(checks) == "web, api (running); feed (health)"


def test_of_many_services_their_number_is_told() -> None:
    checks: t.Any = [failed("running", f"worker-{number}", "FATAL", None) for number in range(9)]
    assert what_failed(checks) == "9 services (running)"


def test_where_no_check_says_what_failed_it_is_above() -> None:
    assert what_failed([]) == "what is named above"
