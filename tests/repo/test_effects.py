# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of each thing outside of a generation that an install changes, a test proves what the page says of the way back."""

from __future__ import annotations

import re
import typing as t

import pytest

from tests.support.repository import ROOT

PAGE = ROOT / "docs" / "explanation" / "effects.md"
WAY_BACK, REDIS = "tests/playbooks/test_way_back.py", "tests/playbooks/test_way_back_redis.py"
RELEASES, FIRST = "tests/playbooks/test_releases.py", "tests/playbooks/test_first_install.py"
BEFORE = "tests/playbooks/test_said_before.py"

# By the first words of its line.
TRIALS: t.Mapping[str, t.Sequence[str]] = {
    "the password of a PostgreSQL role": (
        f"{WAY_BACK}::test_a_password_that_was_rotated_is_set_back_with_the_generation",
        f"{WAY_BACK}::test_a_password_that_nobody_may_read_is_said_to_stay_before_it_is_set",
        f"{WAY_BACK}::test_a_role_that_had_no_password_and_no_right_to_log_in_has_none_again",
    ),
    "the owner of a PostgreSQL database": (
        f"{WAY_BACK}::test_the_owner_of_a_database_is_set_back_with_the_generation",
        f"{WAY_BACK}::test_what_a_first_install_has_set_is_taken_back_with_it",
    ),
    "the password of Redis": (
        f"{REDIS}::test_a_password_of_redis_is_set_back_with_the_generation",
        f"{REDIS}::test_a_first_install_that_is_taken_back_leaves_redis_as_it_was",
    ),
    "a file of the role `credentials`": (
        f"{WAY_BACK}::test_a_run_that_is_refused_leaves_the_services_with_what_they_had",
    ),
    "the user of the stack": (
        "tests/contract/run/test_user_changes.py::test_a_way_back_gives_the_files_to_the_user_before",
        "tests/contract/run/test_user_changes.py::test_that_no_way_back_leads_to_root_is_said_before",
    ),
    "the port that a service got": (
        "tests/contract/run/test_way_back.py::test_a_way_back_counts_the_ports_of_the_generation_it_restores",
    ),
    "account, directories and engine": (
        f"{FIRST}::test_with_rollback_all_that_it_made_is_taken_back_and_what_was_there_before_stays",
    ),
    "a role or a database that is made": (f"{BEFORE}::test_a_database_that_is_made_is_said_to_stay",),
    "what `before_switch` changes": (f"{BEFORE}::test_what_comes_before_the_switch_is_said_to_stay",),
    "what a oneshot of `once: fleet` changes, such as a migration": (
        "tests/contract/run/test_way_back.py::test_over_a_one_way_step_that_has_run_nothing_goes_back_by_itself",
    ),
    "what a oneshot changes": (f"{BEFORE}::test_what_a_oneshot_changes_is_said_to_stay",),
    "a process that is ended on a port": (
        "tests/playbooks/test_ports.py::test_kill_in_check_mode_says_what_it_would_end_and_ends_nothing",
    ),
    "what `after_switch` changes": (
        f"{RELEASES}::test_versions_go_up_and_back_and_only_what_runs_from_the_release_restarts",
    ),
    "releases that are removed": (
        f"{RELEASES}::test_what_no_generation_belongs_to_goes_and_what_one_could_go_back_to_stays",
    ),
    "the unit that starts the stack": (
        "tests/playbooks/test_cut_short.py::test_a_run_that_fails_does_not_come_to_the_boot_unit",
    ),
}


def lines() -> list[str]:
    table = PAGE.read_text(encoding="utf-8").partition("|---|---|---|\n")[2].partition("\n\n")[0]
    return [line.strip("| ") for line in table.splitlines()]


def test_every_line_of_the_page_has_a_trial() -> None:
    assert [line for line in lines() if not line.startswith(tuple(TRIALS))] == []
    assert [words for words in TRIALS if not any(line.startswith(words) for line in lines())] == []


def test_every_line_says_what_becomes_of_it() -> None:
    assert {line.split("|")[1].strip() for line in lines()} == {"undone", "said before", "last"}


@pytest.mark.parametrize("trial", [one for trials in TRIALS.values() for one in trials])
def test_every_trial_is_there(trial: str) -> None:
    path, _colons, name = trial.partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
