# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each task that ends a play with words of its own has a trial in which it does, and what it advises helps."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

from tests.support.repository import ROOT

BARE, BROKEN = "tests/playbooks/test_bare_host.py", "tests/playbooks/test_broken_interpreter.py"
DATABASE, CREDENTIALS = "tests/playbooks/test_database_role.py", "tests/playbooks/test_credentials.py"
DRAIN = "tests/playbooks/test_drain.py"
FIRST, PORTS = "tests/playbooks/test_first_install.py", "tests/playbooks/test_ports.py"

# By role or playbook, and by the task's name: the trial. What stands in a scenario of Molecule is named by its file.
TRIALS: t.Mapping[str, t.Mapping[str, str]] = {
    "roles/bootstrap": {
        "Require a Python that can run the engine": f"{BARE}::test_a_python_that_is_too_old_is_told_in_one_sentence",
        "Say that there is no Python": f"{BARE}::test_a_host_without_python_is_told_in_one_sentence",
        "Say what check mode cannot see": f"{BARE}::test_check_mode_says_that_it_cannot_see_further",
        "Say why there is still no Python": f"{BARE}::test_a_failed_installation_says_what_the_package_manager_said",
        "Say why it could not be taken back": f"{FIRST}::test_another_run_at_work_is_not_taken_the_ground_from",
        "Say that it cannot be seen what was made": (
            f"{BROKEN}::test_what_was_made_is_not_called_gone_because_nobody_could_look"
        ),
        "Say what has become of a first install": (
            f"{FIRST}::test_without_a_word_it_stays_and_how_to_take_it_off_is_said"
        ),
        "End with what has failed": f"{FIRST}::test_what_has_held_once_is_never_taken_back",
    },
    "roles/database": {
        "PostgreSQL | Say why it could not be asked": (
            f"{DATABASE}::test_a_server_that_cannot_be_administered_is_told"
        ),
        "PostgreSQL | Say why it was not made": f"{DATABASE}::test_what_the_server_does_not_make_is_told_in_its_words",
        "Require one whose packages are known": f"{DATABASE}::test_on_an_unknown_system_nothing_is_installed",
        "Require a name": f"{DATABASE}::test_what_cannot_be_is_refused_before_anything_is_done",
        "PostgreSQL | Refuse what no name and no password can have": (
            f"{DATABASE}::test_what_cannot_be_is_refused_before_anything_is_done"
        ),
        "Redis | Refuse what no password can have": f"{DATABASE}::test_a_redis_is_asked_with_its_password",
        "PostgreSQL | Require that it can": f"{DATABASE}::test_an_existing_database_is_only_asked",
        "Redis | Require that it can": f"{DATABASE}::test_a_redis_is_asked_with_its_password",
    },
    "roles/credentials": {
        "Refuse paths outside of the stack's root": (
            f"{CREDENTIALS}::test_paths_that_lead_out_of_the_root_are_refused_each_by_its_name"
        ),
    },
    "roles/monitor": {
        "Require systemd": "tests/playbooks/test_monitor.py::test_without_systemd_it_is_said_what_to_do_instead",
    },
    "roles/drain": {
        "Refuse what cannot be done": f"{DRAIN}::test_haproxy_drains_and_brings_back_under_load_from_a_plain_python",
        "Say why it was not drained": f"{DRAIN}::test_haproxy_drains_and_brings_back_under_load_from_a_plain_python",
        "Require each of them": (f"{DRAIN}::test_nginx_is_told_by_its_upstream_file_and_what_it_refuses_is_taken_back"),
        "Say why nginx was not told": (
            f"{DRAIN}::test_nginx_is_told_by_its_upstream_file_and_what_it_refuses_is_taken_back"
        ),
        "Require that no request is left, unless the policy is to end it": (
            f"{DRAIN}::test_what_nginx_still_serves_at_the_deadline_is_ended_by_the_policy_alone"
        ),
        "Require that it says so, unless the policy is to go on": (
            f"{DRAIN}::test_the_applications_own_ways_each_drain_and_bring_back"
        ),
    },
    "roles/services": {
        "Succeed only when every check has passed": (
            f"{FIRST}::test_without_a_word_it_stays_and_how_to_take_it_off_is_said"
        ),
        "Say who can allow it": "molecule/debian/side_effect.yml",
    },
    "playbooks": {
        "Succeed only when no error is left": (
            "tests/contract/doctor/test_doctor.py"
            "::test_over_the_fleet_it_says_the_same_and_fails_while_an_error_is_left"
        ),
        "Discovery | Require a word for hosts that are not known": (
            "tests/playbooks/test_discovery.py"
            "::test_what_hosts_have_is_written_for_others_and_a_lost_host_never_goes_in_silence"
        ),
        "Fleet | Succeed only when every host is well": (
            "tests/playbooks/test_rollout.py"
            "::test_what_is_wrong_anywhere_is_told_for_all_hosts_before_the_first_is_touched"
        ),
        "Back | Go on only when what ran before answers": (
            "tests/playbooks/test_rollout.py"
            "::test_hosts_that_are_done_go_back_as_well_and_what_was_cut_off_of_that_goes_on"
        ),
        "Fail where the answer is no": (f"{PORTS}::test_the_port_tool_answers_over_the_fleet_and_its_exit_code_tells"),
        "Fail where there is an error instead": (
            "tests/playbooks/test_logs.py::test_each_host_shows_its_lines_and_a_lost_one_is_said"
        ),
        "Require a confirmation": "molecule/debian/side_effect_remove.yml",
        "Require what is to be done, and with which file": (
            "tests/playbooks/test_manifest_playbook.py::test_what_is_missing_is_said_with_what_to_type"
        ),
        "Succeed only when it can be used": (
            "tests/playbooks/test_manifest_playbook.py::test_every_problem_is_told_and_the_playbook_fails"
        ),
        "Stop when a host was lost before": (
            "tests/playbooks/test_site_batches.py"
            "::test_the_first_lost_host_stops_the_batches_and_no_further_host_is_touched"
        ),
        "Succeed only when every service has answered": (
            "tests/playbooks/test_restart_command.py"
            "::test_a_service_that_crashes_ends_it_with_1_and_the_service_is_named"
        ),
    },
}


def ending_tasks() -> t.Iterator[tuple[str, str]]:
    """Yield the role or playbook and the name of each task that ends a play."""
    for path in sorted([*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/**/*.yml")]):
        place = path.relative_to(ROOT)
        owner = str(Path(*place.parts[:2])) if place.parts[0] == "roles" else "playbooks"
        yield from ((owner, name) for name in _names(yaml.safe_load(path.read_text(encoding="utf-8"))))


def _names(part: t.Any) -> t.Iterator[str]:
    if isinstance(part, list):
        for one in part:
            yield from _names(one)
    elif isinstance(part, dict):
        if part.keys() & {"ansible.builtin.fail", "ansible.builtin.assert"}:
            yield part["name"]
        for key in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always"):
            yield from _names(part.get(key))


def test_every_task_that_ends_a_play_has_a_trial() -> None:
    assert [
        f"{owner}: {name}"
        for owner, name in ending_tasks()
        if not any(name.endswith(words) for words in TRIALS.get(owner, ()))
    ] == []


def test_no_trial_is_of_a_task_that_is_not_there() -> None:
    there = list(ending_tasks())
    assert [
        f"{owner}: {words}"
        for owner, trials in TRIALS.items()
        for words in trials
        if not any(of == owner and name.endswith(words) for of, name in there)
    ] == []


@pytest.mark.parametrize("trial", sorted({one for trials in TRIALS.values() for one in trials.values()}))
def test_every_trial_is_there(trial: str) -> None:
    path, _colons, name = trial.partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not name or re.search(rf"^def {name}\(", text, re.MULTILINE)
