# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every cure has a trial that proves it, and every cure that is told is one of them.

Those for a host are in base/cures.py. Those of a manifest, or of another tool's file, are edits of the very value that
they name: they are in manifest/corrections.py.
"""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest import corrections
from tests.support.repository import ENGINE, ROOT
from tests.unit.importing import test_corrections as of_imports
from tests.unit.manifest import test_corrections as of_manifests

FAULT, DOCTOR = "tests/fault/test_cures.py", "tests/contract/doctor/test_doctor.py"
OTHERS_CURES = "tests/fault/test_cures_of_others.py"
BALANCER = "tests/contract/balancer/test_haproxy.py"
EDGE = "tests/contract/balancer/test_edge.py::test_what_cannot_be_is_refused_and_what_ran_before_runs_on"
PLAYBOOKS, MENDING = "tests/playbooks/test_cures.py", "tests/playbooks/test_mending.py"
ROLLOUT = "tests/playbooks/test_rollout.py"
WISHES = "tests/unit/plugins/test_rollout_wishes.py"
GATE = "tests/unit/plugins/test_rollout_gate.py::test_batches_that_take_too_many_away_are_all_refused_at_once"
STEPS = (
    "tests/unit/plugins/test_rollout_steps.py"
    "::test_what_runs_once_for_all_runs_before_any_other_host_gets_the_new_version"
)

# By the name of a cure in base/cures.py: the trial in which what is broken is whole after it.
TRIALS: t.Mapping[str, str] = {
    "packages": f"{MENDING}::test_a_host_without_a_package_index_is_told_to_bring_wheels",
    "INSTALL": f"{MENDING}::test_what_was_broken_since_is_told_and_the_printed_command_mends_it",
    "start": (
        "tests/contract/run/test_by_name.py::test_what_the_command_prints_names_the_services_and_what_starts_them_again"
    ),
    "restart": "tests/contract/run/test_rerun.py::test_a_service_that_keeps_running_is_restarted_instead",
    "timers_without_systemd": "tests/contract/run/test_jobs.py::"
    "test_a_timer_that_is_taken_out_ends_its_job_and_a_manifest_without_a_runner_is_refused",
    "rerun": "tests/contract/run/test_rerun.py::test_without_a_name_the_oneshots_are_told",
    "execute": "tests/contract/cli/test_exec.py::test_of_several_services_one_must_be_named",
    "STATUS": f"{DOCTOR}::test_several_supervisords_on_the_path_are_noted_with_the_right_one",
    "look_at": (
        "tests/contract/probes/test_health_secrets.py"
        "::test_a_question_with_a_secret_is_asked_again_by_the_command_that_is_told"
    ),
    "START": f"{FAULT}::test_the_log_says_what_is_missing_and_start_ends_it",
    "FULL": f"{DOCTOR}::test_a_live_supervisord_without_its_socket_is_found_and_ended_properly",
    "EMERGENCY": f"{DOCTOR}::test_a_supervisord_that_accepts_and_never_answers_is_deaf",
    "detaches": (
        "tests/contract/run/test_detached.py::test_what_is_not_declared_is_told_and_left_and_undoes_no_change_of_others"
    ),
    "DOCTOR": f"{FAULT}::test_status_and_doctor_name_the_same_cure_when_nothing_runs",
    "FIX": f"{DOCTOR}::test_fix_puts_right_what_is_safe_and_says_each_once",
    "HISTORY": f"{FAULT}::test_a_run_that_failed_can_be_looked_up_and_acknowledged",
    "ACKNOWLEDGE": f"{FAULT}::test_a_run_that_failed_can_be_looked_up_and_acknowledged",
    "UNDO": (
        "tests/playbooks/test_cut_short.py"
        "::test_what_was_changed_before_a_run_that_a_killed_controller_never_began_is_taken_back_by_hand"
    ),
    "RESTART": f"{DOCTOR}::test_a_live_supervisord_without_its_socket_is_found_and_ended_properly",
    "ROLLBACK": f"{FAULT}::test_where_no_generation_is_verified_one_that_is_kept_can_be_gone_to",
    "PORTS": f"{FAULT}::test_a_service_that_gets_no_port_is_told_who_has_them_and_which_one_is_free",
    "FREE_PORT": f"{FAULT}::test_a_service_that_gets_no_port_is_told_who_has_them_and_which_one_is_free",
    "AUTO_FIX": f"{FAULT}::test_a_service_that_gets_no_port_is_told_who_has_them_and_which_one_is_free",
    "FORCE": f"{DOCTOR}::test_a_port_that_a_stranger_holds_is_named_with_the_override",
    "FORCE_INSTALL": f"{PLAYBOOKS}::test_a_stranger_on_a_new_port_is_ended_by_the_command_that_is_told",
    "WATCHED": "molecule/default/tests/test_watch.py::test_the_watcher_runs_and_has_looked",
    "TAKE_OFF": f"{PLAYBOOKS}::test_a_first_install_that_failed_is_taken_off_by_the_command_that_is_told",
    "HOME": "tests/playbooks/test_ports.py::test_who_names_a_port_follows_it_there_and_back",
    "GO_HOME": "tests/playbooks/test_ports.py::test_who_names_a_port_follows_it_there_and_back",
    "beside_inventory": "tests/playbooks/test_releases.py::test_a_source_that_is_not_there_is_one_sentence",
    "SKIP_UNREACHABLE": f"{ROLLOUT}::test_what_is_wrong_anywhere_is_told_for_all_hosts_before_the_first_is_touched",
    "REPAIR_FIRST": f"{ROLLOUT}::test_what_is_wrong_anywhere_is_told_for_all_hosts_before_the_first_is_touched",
    "KEEP_OR_DROP": (
        "tests/playbooks/test_discovery.py"
        "::test_what_hosts_have_is_written_for_others_and_a_lost_host_never_goes_in_silence"
    ),
    "GO_ON": (f"{ROLLOUT}::test_a_version_that_does_not_come_up_is_taken_back_on_the_first_host_and_reaches_no_other"),
    "SAY_REVERSIBLE": (
        "tests/contract/run/test_way_back.py::test_over_a_one_way_step_that_has_run_nothing_goes_back_by_itself"
    ),
    "STEP_FIRST": STEPS,
    "ONE_FIRST": f"{ROLLOUT}::test_once_a_migration_has_run_on_the_canary_no_host_goes_back_and_that_is_said_before",
    "STEP_HOST": STEPS,
    "BRING_PORT": (
        "tests/unit/plugins/test_rollout_ports.py::test_a_port_that_the_balancer_cannot_follow_keeps_all_from_it"
    ),
    "DRAIN_WAY": f"{WISHES}::test_who_is_out_by_another_way_is_not_called_back",
    "same_drain": f"{ROLLOUT}::test_who_was_drained_by_another_way_is_not_told_to_be_back",
    "number_of": f"{WISHES}::test_what_is_no_number_keeps_all_from_it",
    "and_again": "tests/unit/plugins/test_rollouts.py::test_what_keeps_one_host_from_it_keeps_all",
    "MENDED": f"{ROLLOUT}::test_who_was_drained_by_another_way_is_not_told_to_be_back",
    "MIN_UP": GATE,
    "SMALLER_BATCHES": GATE,
    "less_up": GATE,
    "GO_ON_BACK": f"{ROLLOUT}::test_hosts_that_are_done_go_back_as_well_and_what_was_cut_off_of_that_goes_on",
    "ROLL_OUT_AGAIN": f"{ROLLOUT}::test_hosts_that_are_done_go_back_as_well_and_what_was_cut_off_of_that_goes_on",
    "take_over": f"{ROLLOUT}::test_a_rollout_of_a_controller_that_cannot_be_seen_is_gone_on_with_as_it_is_told",
    "AGAIN": f"{FAULT}::test_a_directory_that_is_gone_is_made",
    "WAIT": f"{FAULT}::test_a_run_that_is_waited_for_ends_and_the_same_command_does_it",
    "AS_ROOT": f"{FAULT}::test_who_may_not_is_told_who_may",
    "BECOME": f"{FAULT}::test_who_may_not_is_told_who_may",
    "mutable": "tests/fault/test_standing.py::test_what_nobody_can_remove_is_told_before_anything_is_stopped",
    "MOUNT_PROC": f"{FAULT}::test_the_processes_of_a_host_are_mounted_again",
    "HARD_LIMIT": f"{FAULT}::test_every_look_shows_what_it_is_for",
    "raise_limit": (
        "tests/contract/run/test_descriptors.py::test_a_shell_whose_hard_limit_is_raised_as_told_can_do_what_was_refused"
    ),
    "password": "tests/contract/programs/test_supervisor_program.py::test_a_password_opens_it_and_is_in_no_result",
    "history": f"{FAULT}::test_a_run_that_failed_can_be_looked_up_and_acknowledged",
    "check_port": f"{FAULT}::test_a_service_that_gets_no_port_is_told_who_has_them_and_which_one_is_free",
    "check_manifest": f"{FAULT}::test_a_manifest_with_an_error_is_named_by_the_command_that_is_told",
    "rollback": f"{FAULT}::test_where_no_generation_is_verified_one_that_is_kept_can_be_gone_to",
    "then": f"{PLAYBOOKS}::test_after_a_rollback_the_correction_and_the_command_that_is_told_install_it",
    "correct": f"{PLAYBOOKS}::test_after_a_rollback_the_correction_and_the_command_that_is_told_install_it",
    "manifest_or_host": f"{PLAYBOOKS}::test_after_a_rollback_the_correction_and_the_command_that_is_told_install_it",
    "put_right": f"{FAULT}::test_the_log_says_what_is_missing_and_start_ends_it",
    "bring": f"{FAULT}::test_a_service_that_waits_is_started_when_what_it_needs_was_brought",
    "another_port": f"{PLAYBOOKS}::test_a_stranger_on_a_new_port_is_left_alone_when_the_service_gets_another_one",
    "another_python": f"{MENDING}::test_another_python_is_taken_when_another_one_is_asked_for",
    "working_python": "tests/playbooks/test_bare_host.py::"
    "test_a_python_of_ansible_that_does_not_run_is_told_with_the_variable_that_names_another",
    "as_root": f"{DOCTOR}::test_without_rights_it_says_what_it_could_not_see",
    "LOGS": f"{FAULT}::test_the_log_says_what_is_missing_and_start_ends_it",
    "logs": f"{FAULT}::test_the_log_says_what_is_missing_and_start_ends_it",
    "log": f"{FAULT}::test_every_look_shows_what_it_is_for",
    "space": f"{FAULT}::test_every_look_shows_what_it_is_for",
    "rights": f"{FAULT}::test_every_look_shows_what_it_is_for",
    "holder": f"{FAULT}::test_every_look_shows_what_it_is_for",
    "listener": f"{FAULT}::test_every_look_shows_what_it_is_for",
    "process": f"{FAULT}::test_every_look_shows_what_it_is_for",
    "closing": f"{FAULT}::test_closed_connections_are_shown",
    "remote": f"{FAULT}::test_a_repository_shows_what_it_has",
    "end": f"{FAULT}::test_a_stranger_on_a_port_is_ended_by_the_command_that_is_told",
    "kill": f"{FAULT}::test_a_process_that_does_not_end_when_asked_ends_when_it_is_killed",
    "go_on": f"{FAULT}::test_the_holder_of_a_lock_that_is_stopped_can_be_let_go_on_or_be_killed",
    "move_away": f"{FAULT}::test_what_is_in_the_place_of_the_generation_is_moved_away",
    "remove": f"{DOCTOR}::test_broken_files_are_findings_and_no_tracebacks",
    "relabel": (
        "tests/contract/doctor/test_labels.py::test_a_file_with_another_label_is_told_and_the_cure_gives_it_its_own"
    ),
    "as_owner": "tests/fault/test_planted_files.py::test_a_log_that_became_a_link_since_the_look_is_not_followed",
    "empty": f"{DOCTOR}::test_a_log_that_was_never_rotated_is_told",
    "give": f"{DOCTOR}::test_users_that_do_not_exist_or_may_not_write_are_told",
    "give_all": (
        "tests/contract/run/test_user_changes.py"
        "::test_a_user_who_may_not_write_to_the_applications_directories_is_refused_and_everything_runs_on"
    ),
    "give_all_to_root": f"{DOCTOR}::test_a_directory_that_its_service_could_change_under_root_is_told",
    "trust": (
        "tests/contract/run/test_places.py"
        "::test_what_others_can_change_is_told_by_all_and_refused_and_the_cure_cures_it"
    ),
    "trust_all": (
        "tests/contract/run/test_places.py"
        "::test_a_stack_that_was_given_to_its_user_as_a_whole_is_mended_by_what_is_printed"
    ),
    "mode": f"{FAULT}::test_a_program_that_nobody_may_execute_is_made_executable",
    "make_directory": f"{FAULT}::test_a_directory_that_is_gone_is_made",
    "writable": f"{FAULT}::test_a_file_system_is_made_writable_again",
    "reserve": f"{FAULT}::test_a_port_is_taken_from_those_that_the_kernel_gives_away",
    "unmount_hung": "tests/fault/test_foreign_files_hang.py::test_the_printed_command_takes_the_file_system_away",
    "unmount": f"{FAULT}::test_what_is_mounted_in_a_directory_is_taken_away_before_it_is_removed",
    "most_victims": f"{FAULT}::test_more_victims_than_are_allowed_are_ended_by_the_option_that_is_told",
    "force": f"{FAULT}::test_a_stranger_on_a_port_is_ended_by_the_override_that_is_told",
    "override": f"{FAULT}::test_a_task_that_frees_ports_is_told_its_own_option",
    "STOP": (
        "tests/fault/test_what_is_ours.py"
        "::test_stopped_is_not_said_while_one_that_cannot_be_proved_ours_holds_the_services_socket"
    ),
    "NAMES": (
        "tests/contract/programs/test_supervisor_program.py::test_unknown_names_are_told_at_once_and_nothing_is_done"
    ),
    "OWN_COMMAND": f"{OTHERS_CURES}::test_the_command_of_the_controller_names_the_one_that_knows_its_stack",
    "as_user": f"{OTHERS_CURES}::test_a_stack_of_another_user_is_run_by_that_user",
    "another_path": f"{OTHERS_CURES}::test_another_supervisord_with_the_same_path_gets_one_of_its_own",
    "guard": f"{OTHERS_CURES}::test_another_supervisord_that_takes_orders_from_everybody_is_guarded",
    "reload": f"{OTHERS_CURES}::test_another_supervisord_that_takes_orders_from_everybody_is_guarded",
    "end_and_start": f"{OTHERS_CURES}::test_another_supervisord_that_nobody_reaches_is_ended_and_started_again",
    "containers": f"{OTHERS_CURES}::test_the_container_that_publishes_a_port_is_shown",
    "REPLACE_CONFIG": EDGE,
    "FORCE_REMOVAL": EDGE,
    "CONFIG_OF_BALANCER": EDGE,
    "BALANCER_LOG": EDGE,
    "BALANCER_SOCKET": f"{BALANCER}::test_what_cannot_be_done_is_told_and_changes_nothing",
    "BALANCER_LEVEL": f"{BALANCER}::test_what_cannot_be_done_is_told_and_changes_nothing",
    "SERVER_NAMES": f"{BALANCER}::test_what_cannot_be_done_is_told_and_changes_nothing",
    "OTHER_SERVERS": f"{BALANCER}::test_what_cannot_be_done_is_told_and_changes_nothing",
    "FORCE_DRAIN": f"{BALANCER}::test_sessions_that_are_left_are_ended_by_the_policy_that_is_told",
    "BALANCER_CHECK": (
        f"{BALANCER}::test_a_server_that_comes_back_gets_nothing_before_a_check_that_began_then_has_passed"
    ),
    "take_off": f"{PLAYBOOKS}::test_a_first_install_that_failed_is_taken_off_by_the_command_that_is_told",
}
PLUGINS = ENGINE.parent
# What no test can do: why.
NOT_TRIED: t.Mapping[str, str] = {
    "CAPABILITY": "a container has to be made anew for it, and not every kernel refuses one that is without it",
}
# No cures: what tells of them.
HELPERS = {"SAME", "is_of_no_place", "parts", "shows"}

# Where a cure stands: the argument of these calls, and these keyword arguments and variables.
CALLS = {"Proof": 2, "Sighting": 2, "problem": 2}
KEYWORDS = {"remedies"}
VARIABLES = {"remedies", "remedy", "cure"}
# Where `problem` is another function, whose cures are a keyword.
OTHERS = {"client_errors.py"}
# Rooms whose cures are edits of a manifest, or of the file of another tool, and where one stands there.
EDITS = {"manifest", "importing"}
EDIT_CALLS = {"Refused": 1, "NotJson": 1, "_unreadable": 1, "_variables": 1, "_value_reader": 1}
EDIT_CALLS |= dict.fromkeys(["error", "warning", "_error", "_warning", "monitor", "problem", "_wrong", "_refuse"], 2)
EDIT_CALLS |= {"Problem": 2, "PlacedProblem": 2, "wrong_type": 3, "flaw": 3, "matching": 3, "list_of": 3, "named": 3}


def names(module: t.Any = cures) -> set[str]:
    """Return everything that base/cures.py makes, or another module of cures."""
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return {name for name in found if not name.startswith("_")} - HELPERS


def places(tree: ast.AST, calls: t.Optional[t.Mapping[str, int]] = None) -> t.Iterator[ast.expr]:
    """Yield each expression that stands where a cure does; ``calls`` are those of base/cures.py by default."""
    calls = CALLS if calls is None else calls
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from (each.value for each in node.keywords if each.arg in KEYWORDS)
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            position = calls.get(called)
            if position is not None and len(node.args) > position:
                yield node.args[position]
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in VARIABLES:
            yield node.value


def texts(expression: ast.expr) -> list[str]:
    """Return the texts that are written out in an expression, and not within the call of a cure."""
    if isinstance(expression, (ast.Call, ast.Compare)):
        return []
    if isinstance(expression, ast.Subscript):
        return texts(expression.value)
    if isinstance(expression, (ast.Constant, ast.JoinedStr)):
        text = ast.unparse(expression)
        return [text] if isinstance(expression, ast.JoinedStr) or isinstance(expression.value, str) else []
    return [text for child in ast.iter_child_nodes(expression) if isinstance(child, ast.expr) for text in texts(child)]


@pytest.mark.parametrize("name", sorted(names()))
def test_every_cure_has_a_trial(name: str) -> None:
    assert (name in TRIALS) != (name in NOT_TRIED), f"{name}: write a trial, and its name into TRIALS"
    if name in TRIALS:
        path, _colons, function = TRIALS[name].partition("::")
        assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), TRIALS[name]


def test_no_trial_is_of_a_cure_that_is_not_there() -> None:
    assert {*TRIALS, *NOT_TRIED} - names() == set()


def test_every_cure_that_is_told_is_one_of_them() -> None:
    found = []
    plugins = [
        path for kind in ("action", "callback", "modules", "plugin_utils") for path in (PLUGINS / kind).glob("*.py")
    ]
    for path in sorted([*ENGINE.rglob("*.py"), *plugins]):
        room = path.relative_to(PLUGINS).parts[1]
        calls = EDIT_CALLS if room in EDITS else CALLS
        tree = ast.parse(path.read_text(encoding="utf-8"))
        told = places(tree, {} if path.name in OTHERS else calls)
        found += [f"{path.relative_to(PLUGINS)}:{place.lineno}: {text}" for place in told for text in texts(place)]

    assert found == []


def test_every_edit_that_is_told_has_a_trial() -> None:
    tables: list[t.Mapping[str, t.Any]] = [of_manifests.OF_DATA, of_manifests.OF_TEXT, of_imports.TRIALS]
    tried = {name for table in tables for name, trials in table.items() if trials}
    by_name = [(of_manifests, of_manifests.OF_FILES), (of_imports, of_imports.OF_COMMANDS)]
    tried |= {name for tests, table in by_name for name, test in table.items() if callable(getattr(tests, test))}

    assert names(corrections) - tried == set(), "write a trial"
    assert tried - names(corrections) == set()


def test_a_cure_that_is_written_out_is_found() -> None:
    tree = ast.parse("raise RollcallError('x', remedies=[cures.AGAIN, 'rm -r /', *exc.remedies, f'kill {pid}'])")

    assert [text for place in places(tree) for text in texts(place)] == ["'rm -r /'", "f'kill {pid}'"]
