# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a run are the same wherever it is asked for, and an action takes the options that its page tells."""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import typing as t
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import yaml

from ansible_collections.rollcall.supervisor.plugins.action.stack_restart import ActionModule
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_UNREACHABLE,
    EXIT_WRONG_USE,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.cli import command as cli
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports.policies import OWNED, POLICIES
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.modes import MODES, RELOAD, RERUN, RESTARTS
from tests.support.repository import ROOT

COLLECTION = "ansible_collections.rollcall.supervisor.plugins"
ACTIONS = sorted(path.stem for path in ROOT.glob("plugins/action/*.py"))
# What an operator can ask ./restart for, besides a restart: the verbs of the host's command, a rollout and the table of
# its fleet, and its help.
LOOKS = {"flush", "status", "doctor", "acknowledge", "rollout", "fleet", "help"}


def documented(module: str) -> t.Dict[str, t.Any]:
    """Return the options on a module's page, those of its fragments included."""
    page = yaml.safe_load(importlib.import_module(f"{COLLECTION}.modules.{module}").DOCUMENTATION)
    options = dict(page.get("options", {}))
    for fragment in page["extends_documentation_fragment"]:
        name = fragment.removeprefix("rollcall.supervisor.")
        shared = importlib.import_module(f"{COLLECTION}.doc_fragments.{name}").ModuleDocFragment.DOCUMENTATION
        options.update(yaml.safe_load(shared)["options"])
    return options


class Asked(Exception):
    """Ends an action once its argument spec is known."""


def taken(action: str) -> t.Tuple[t.Dict[str, t.Any], t.Sequence[t.Sequence[str]]]:
    """Return the argument spec that an action checks its task against, and what is only given together."""
    found: t.Dict[str, t.Any] = {}

    def tell(argument_spec: t.Dict[str, t.Any], **more: t.Any) -> t.NoReturn:
        found.update(spec=argument_spec, together=more.get("required_together") or ())
        raise Asked

    name = f"{COLLECTION}.action.{action}"
    task = MagicMock(async_val=0, check_mode=False, args={})
    one = importlib.import_module(name).ActionModule(task, *(MagicMock() for _unused in range(5)))
    one.validate_argument_spec = tell
    with pytest.raises(Asked):
        one.run(task_vars={})
    return found["spec"], found["together"]


def plain(option: t.Mapping[str, t.Any]) -> SimpleNamespace:
    """Return what an argument spec and a page say of an option in the same way."""
    return SimpleNamespace(
        type=option.get("type", "str"),
        default=option.get("default"),
        choices=list(option.get("choices") or ()),
        required=bool(option.get("required")),
        elements=option.get("elements"),
    )


def usage() -> str:
    """Return what ./restart says of itself."""
    return subprocess.run(
        ["sh", str(ROOT / "restart"), "help"], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def words_of_restart() -> t.Set[str]:
    """Return the modes that ./restart takes, as its own text has them."""
    (told,) = re.findall(r"^Modes:\n(.*?)\n\n", usage(), re.DOTALL | re.MULTILINE)
    words = set(re.findall(r"^  ([a-z]+)", told, re.MULTILINE))
    return words | set(re.findall(r"also called (\w+)", told))


def restarts_of_host() -> argparse.Action:
    """Return the argument of ``rollcall restart`` that takes the mode."""
    (verbs,) = (action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction))
    (mode,) = (action for action in verbs.choices["restart"]._actions if action.dest == "mode")
    return t.cast(argparse.Action, mode)


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_takes_what_its_page_tells(action: str) -> None:
    spec, _together = taken(action)
    page = documented(action)

    assert sorted(spec) == sorted(page)
    for name, option in spec.items():
        assert plain(option) == plain(page[name]), f"{action}: {name}"


@pytest.mark.parametrize("action", ACTIONS)
def test_what_an_action_wants_together_is_among_its_options(action: str) -> None:
    spec, together = taken(action)

    assert {name for names in together for name in names} <= set(spec)


def test_every_name_means_one_mode() -> None:
    names = [name for mode in MODES for name in mode.names]

    assert sorted(names) == sorted(set(names))


def test_a_restart_has_the_same_words_on_controller_and_host() -> None:
    on_host = restarts_of_host()

    assert words_of_restart() - LOOKS - {RERUN.name, RELOAD.name} == {name for mode in RESTARTS for name in mode.names}
    assert on_host.default == "full"


def test_a_policy_has_the_same_words_wherever_it_is_given() -> None:
    # The command and the argument specs of plugins derive theirs from the engine's; pages and roles cannot.
    role = yaml.safe_load((ROOT / "roles/services/meta/argument_specs.yml").read_text(encoding="utf-8"))
    flush = documented("port_flush")["policy"]

    assert tuple(flush["choices"]) == POLICIES
    assert flush["default"] == OWNED
    assert tuple(role["argument_specs"]["main"]["options"]["services_port_policy"]["choices"]) == POLICIES


def test_every_mode_has_a_verb_on_the_host() -> None:
    (verbs,) = (action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction))

    assert {mode.verb for mode in MODES} <= set(verbs.choices)


def test_the_restart_command_takes_each_word_that_it_tells(tmp_path: Path) -> None:
    # A controller on which ansible-playbook only says what it was called with.
    command = tmp_path / "restart"
    command.write_text((ROOT / "restart").read_text(encoding="utf-8"), encoding="utf-8")
    playbook = tmp_path / ".venv" / "bin" / "ansible-playbook"
    playbook.parent.mkdir(parents=True)
    playbook.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    playbook.chmod(0o755)
    for word in words_of_restart() - {"help"}:
        done = subprocess.run(["sh", str(command), word], capture_output=True, text=True, check=False, timeout=60)
        first, *others = done.stdout.split()
        assert done.returncode == 0, done.stderr
        assert (ROOT / first).is_file()
        assert first == f"playbooks/{word if word in LOOKS else 'restart'}.yml"
        assert others == ([] if word in LOOKS else ["-e", f"mode={word}"])


def test_the_playbooks_restart_in_full_unless_told_otherwise_and_flush_restarts_nothing() -> None:
    def asked(playbook: str) -> t.Dict[str, str]:
        (play,) = yaml.safe_load((ROOT / "playbooks" / playbook).read_text(encoding="utf-8"))
        assert play["tasks"][-1]["ansible.builtin.import_tasks"] == "tasks/run.yml"
        return dict(play["vars"]["__rollcall_run"])

    (task, _verdict) = yaml.safe_load((ROOT / "playbooks" / "tasks" / "run.yml").read_text(encoding="utf-8"))
    assert task["rollcall.supervisor.stack_restart"]["mode"] == "{{ __rollcall_run.mode }}"
    assert asked("restart.yml")["mode"] == "{{ mode | default('full') }}"
    assert asked("flush.yml")["mode"] == "flush"
    assert asked("restart.yml")["policy"] == asked("flush.yml")["policy"]


def test_every_exit_code_is_told_on_controller_and_host() -> None:
    codes = {EXIT_OK, EXIT_FAILED, EXIT_WRONG_USE, EXIT_REFUSED}
    on_controller = {int(code) for code in re.findall(r"^  (\d)  ", usage(), re.MULTILINE)}

    assert on_controller == codes | {EXIT_UNREACHABLE}
    assert all(re.search(rf"\b{code} ", str(cli.parser().epilog)) for code in codes)


def test_the_policies_of_the_command_are_those_of_the_module() -> None:
    policies = ActionModule.OPTIONS["policy"]["choices"]
    (case,) = re.findall(r"^  ([a-z| ]+)\) set -- -e .port_flush_policy", (ROOT / "restart").read_text("utf-8"), re.M)

    assert case.split(" | ") == policies
    assert all(f"({word}" in usage() or f"{word})" in usage() for word in policies)
