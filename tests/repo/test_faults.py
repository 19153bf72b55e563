# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault that Rollcall must survive has its tests, and part by part it is written down which.

A test that is called ``test_fault_NN_...`` stands for fault NN by its name; the table names those that stand for a part
of one without saying so, and the files that hold them.
"""

from __future__ import annotations

import ast
import functools
import re
import typing as t

import pytest

from tests.support.repository import ROOT

NUMBERED = re.compile(r"test_fault_(\d\d)_")

FOUND = "tests/fault/test_ports_found.py"
ENDED = "tests/fault/test_ports_ended.py"
REFUSED = "tests/fault/test_ports_refused.py"
RESTART = "tests/fault/test_restart_faults.py"
EMERGENCY = "tests/fault/test_emergency.py"
WRITERS = "tests/fault/test_manifest_writers.py"
SUPERVISOR = "tests/contract/supervisord/test_client.py"
HEALTH = "tests/contract/probes/test_health.py"
DATABASES = "tests/contract/probes/test_databases.py"
PARSE_BACK = "tests/contract/supervisord/test_config_parse_back.py"
PROBLEMS = "tests/unit/manifest/test_problems.py"
FILE = "tests/unit/manifest/test_file.py"
ROLLBACK = "tests/contract/run/test_rollback.py"
RELEASES = "tests/playbooks/test_releases.py"
BARE = "tests/playbooks/test_bare_host.py"
CREDENTIALS = "tests/playbooks/test_credentials.py"
DATABASE = "tests/playbooks/test_database_role.py"
PROGRAM = "tests/contract/programs/test_supervisor_program.py"
DOCTOR = "tests/contract/doctor/test_doctor.py"
ACTION = "tests/unit/plugins/test_engine_action.py"
PLANTED = "tests/fault/test_planted_token.py"

# Fault: what of it, and where that is tested.
PARTS: t.Mapping[int, t.Mapping[str, t.Tuple[str, str]]] = {
    1: {
        "a client is never touched": (FOUND, "test_a_client_of_the_port_is_neither_seen_nor_touched"),
        "not even with its own end on the port": (
            FOUND,
            "test_a_client_whose_own_end_has_the_port_is_named_and_never_ended",
        ),
    },
    2: {
        "several listeners, shared ones, daemons": (
            FOUND,
            "test_every_process_that_holds_the_port_is_found_and_ended",
        ),
        "a master goes before its workers": (FOUND, "test_a_master_is_ended_before_the_workers_it_would_replace"),
        "free only when none is left": (
            FOUND,
            "test_a_port_is_not_called_free_while_a_copy_of_the_listener_is_on_its_way",
        ),
    },
    3: {"family, address and port": (FOUND, "test_a_holder_is_found_on_every_family_and_address")},
    4: {
        "bound and not listening": (
            FOUND,
            "test_a_port_that_is_bound_and_not_listened_on_is_not_called_free",
        ),
        "no visible pid": (FOUND, "test_a_listener_that_no_process_holds_is_not_called_free"),
        "another user's, without root": (
            FOUND,
            "test_the_listener_of_another_user_is_not_called_free_without_root",
        ),
    },
    5: {
        "waited out": (FOUND, "test_connections_that_are_only_remembered_are_waited_out"),
        "up to the deadline, hunting nobody": (
            FOUND,
            "test_what_is_remembered_for_longer_than_the_deadline_is_a_failure_that_names_it_and_nobody",
        ),
    },
    6: {
        "published by a container": (REFUSED, "test_the_container_that_a_port_is_published_for_is_named"),
        "another pid namespace": (
            REFUSED,
            "test_a_holder_in_another_pid_namespace_is_refused_and_the_namespace_named",
        ),
        "socket activation": (REFUSED, "test_a_port_that_pid_1_holds_is_refused_and_the_socket_unit_named"),
    },
    7: {
        "reused between look-up and signal": (
            ENDED,
            "test_a_pid_that_is_used_again_after_the_look_up_is_not_signalled",
        ),
    },
    8: {
        "an ancestor": (REFUSED, "test_an_ancestor_of_this_run_is_never_ended"),
        "sshd": (REFUSED, "test_sshd_is_never_ended"),
        "pid 1": (REFUSED, "test_pid_1_is_never_ended"),
    },
    9: {
        "refused with all that is known": (
            REFUSED,
            "test_a_foreign_process_is_refused_with_all_that_is_known_and_the_way_out",
        ),
        "any": (REFUSED, "test_the_policy_any_ends_a_foreign_process"),
        "at most 32": (REFUSED, "test_more_than_32_processes_are_not_ended"),
    },
    10: {
        "TERM ignored": (ENDED, "test_what_ignores_term_is_killed_and_the_escalation_is_reported"),
        "stopped": (ENDED, "test_what_is_stopped_is_continued_so_that_it_can_end_by_itself"),
    },
    11: {"bounded and reported": (ENDED, "test_a_process_in_state_d_is_a_bounded_and_reported_failure")},
    12: {
        "noticed after one cycle": (ENDED, "test_what_brings_the_holder_back_is_named_after_one_cycle"),
        "a unit": (ENDED, "test_a_unit_that_brings_the_holder_back_is_named"),
        "a second supervisor": (ENDED, "test_a_second_supervisord_that_brings_the_holder_back_is_named"),
    },
    13: {"its parent named": (ENDED, "test_a_zombie_is_not_signalled_and_its_parent_is_named")},
    14: {"says who would die": (REFUSED, "test_a_dry_run_says_who_would_be_ended_and_touches_nothing")},
    15: {
        "avoided and protected": (REFUSED, "test_a_port_that_is_never_flushed_is_not_even_when_it_is_assigned"),
        "22": (REFUSED, "test_port_22_is_never_flushed_whatever_the_manifest_says"),
    },
    16: {
        "an orphan without its label": (
            RESTART,
            "test_an_orphan_that_overwrote_its_environment_is_known_by_the_record_of_the_run",
        ),
    },
    20: {
        "two supervisords": (RESTART, "test_a_second_supervisord_over_the_stack_is_ended_and_one_is_left"),
        "a hung one": (RESTART, "test_a_stopped_supervisord_is_named_within_bounds_and_nothing_is_touched"),
        "emergency over a socket that answers nothing": (
            EMERGENCY,
            "test_a_socket_that_takes_calls_and_never_answers_is_got_out_of_the_way",
        ),
    },
    21: {"a missing command": (RESTART, "test_a_command_that_does_not_exist_is_found_before_anything_is_stopped")},
    22: {
        "a socket path that is too long": (SUPERVISOR, "test_a_socket_path_that_is_too_long_is_named_with_its_length")
    },
    24: {"below 4.2.2": (PARSE_BACK, "test_a_supervisor_that_is_too_old_is_refused_with_its_version")},
    25: {"supervisord itself": (SUPERVISOR, "test_a_daemon_starts_with_nothing_of_ours")},
    28: {"a service that exits 0": (RESTART, "test_a_service_that_exits_0_is_a_failure")},
    30: {
        "the request goes to no proxy": (HEALTH, "test_proxy_variables_are_ignored"),
        "the body is capped": (HEALTH, "test_an_endless_body_is_read_up_to_the_cap_only"),
        "a wrong banner": (HEALTH, "test_a_wrong_banner_is_shown"),
    },
    31: {"damaged": (DATABASES, "test_a_damaged_database_is_told")},
    33: {"every cycle": (PROBLEMS, "test_several_circles_are_all_named")},
    36: {
        "comes back exactly, or is refused with its place": (
            PARSE_BACK,
            "test_a_hostile_value_comes_back_exactly_or_is_refused_with_its_place",
        ),
        "never executed": (PARSE_BACK, "test_ansible_renders_the_same_and_executes_nothing"),
    },
    37: {
        "every value": (PROBLEMS, "test_a_fault_is_named_at_its_place"),
        "names": (PROBLEMS, "test_a_name_that_means_something_else_is_refused"),
        "duplicate keys": (FILE, "test_equal_keys_are_all_found_with_their_lines"),
        "08080, yes": (FILE, "test_what_yaml_reads_otherwise_than_people_is_refused"),
        "alias bombs": (FILE, "test_a_text_that_is_no_plain_yaml_is_refused"),
        "10 MB": (FILE, "test_a_file_of_10_mb_is_refused_unread"),
        "all at once": (PROBLEMS, "test_all_problems_are_found_at_once"),
        "in under a second": (PROBLEMS, "test_thousands_of_problems_are_found_in_under_a_second"),
    },
    38: {"unreadable": (FILE, "test_a_file_that_may_not_be_read_is_an_error")},
    39: {
        "a killed writer": (
            WRITERS,
            "test_a_writer_that_is_killed_leaves_a_whole_file_no_lock_and_nothing_that_is_in_the_way",
        )
    },
    42: {
        "also when supervisord does not come up": (
            ROLLBACK,
            "test_a_generation_whose_supervisord_does_not_come_up_gives_way_as_well",
        ),
        "its release, and by the playbook": (
            RELEASES,
            "test_versions_go_up_and_back_and_only_what_runs_from_the_release_restarts",
        ),
        "its failure is its own result": (ROLLBACK, "test_when_the_way_back_fails_that_is_a_result_of_its_own"),
        "or cannot be begun": (ROLLBACK, "test_when_the_way_back_cannot_be_gone_both_failures_are_told"),
        "cut off on its way": (ROLLBACK, "test_a_worker_killed_on_its_way_back_leaves_what_a_rerun_converges"),
    },
    46: {
        "no virtual environments": (BARE, "test_without_root_what_is_missing_is_named"),
        "cannot be installed": (BARE, "test_a_failed_installation_says_what_the_package_manager_said"),
    },
    47: {
        "who looks would find it": (PLANTED, "test_what_looks_for_tokens_finds_them"),
        "in arguments and environments too": (PLANTED, "test_who_watches_the_processes_sees_them"),
        "what is kept of a file": (CREDENTIALS, "test_nothing_of_a_file_is_kept_but_a_keyed_digest"),
        "the log of the database's server": (DATABASE, "test_another_password_and_another_owner_are_set"),
        "supervisord's own password": (PROGRAM, "test_a_password_opens_it_and_is_in_no_result"),
        "an answer's texts": (ACTION, "test_a_secret_that_a_service_has_logged_is_taken_out_wherever_it_is"),
        "a problem with a secret": (PROBLEMS, "test_no_problem_repeats_a_secret"),
    },
    48: {
        "what is read back shows it": (PARSE_BACK, "test_what_supervisor_accepts_in_silence_is_told"),
        "the doctor says so": (DOCTOR, "test_a_directory_that_its_service_could_change_under_root_is_told"),
        "of others' supervisords too": (
            DOCTOR,
            "test_an_open_http_server_is_a_warning_of_others_and_an_error_of_ours",
        ),
    },
}

# The faults of the fleet, 43 to 45, are not all there yet.
SURVIVED = (*range(1, 43), *range(46, 49))


def functions(path: str) -> t.Set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"), path)
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@functools.cache
def by_name() -> t.Dict[int, t.List[str]]:
    """Return the tests that say by their name which fault they are for."""
    found: t.Dict[int, t.List[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name in functions(str(path.relative_to(ROOT))):
            numbered = NUMBERED.match(name)
            if numbered:
                found.setdefault(int(numbered[1]), []).append(name)
    return found


@pytest.mark.parametrize("number", SURVIVED)
def test_every_fault_has_a_test_that_names_it_or_is_named_here(number: int) -> None:
    assert by_name().get(number) or PARTS.get(number)


@pytest.mark.parametrize(("path", "name"), [entry for parts in PARTS.values() for entry in parts.values()], ids=str)
def test_what_the_table_names_is_there(path: str, name: str) -> None:
    assert name in functions(path)


def test_a_test_that_says_its_fault_is_not_in_the_table_as_well() -> None:
    assert not [name for parts in PARTS.values() for _path, name in parts.values() if NUMBERED.match(name)]


def test_no_test_is_for_a_fault_that_there_is_not() -> None:
    assert set(by_name()) <= set(range(1, 49))
