# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of an inventory's variables, such as group_vars/all.yml, with the manifest in `rollcall_stack`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import Problem
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import Checked, check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import check_file
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.keys import SERVICE, STACK
from tests.support.repository import ROOT

GOOD = """\
---
ansible_user: deploy
yes_or_no: yes
file_mode: 0644
encrypted: !vault |
  $ANSIBLE_VAULT;1.1;AES256
  3031
rollcall_stack:
  name: trading
  root: /opt/trading
  services:
    web:
      command: [run]
      port: 8001
      secrets:
        TOKEN: "{{ vault_token }}"
        KEY: !vault |
          $ANSIBLE_VAULT;1.1;AES256
          3032
"""


def checked(tmp_path: Path, text: str) -> Checked:
    path = tmp_path / "all.yml"
    path.write_text(text, encoding="utf-8")
    return check_file(str(path), variables=True)


def told(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(problem.severity, problem.place) for problem in problems]


def test_it_is_taken_as_it_is_and_other_variables_are_not_looked_at(tmp_path: Path) -> None:
    result = checked(tmp_path, GOOD)
    assert result.problems == []
    assert result.stack is not None
    assert [service.port for service in result.stack.services] == [8001]


def test_a_fault_is_named_as_it_is_written_with_its_line(tmp_path: Path) -> None:
    result = checked(tmp_path, GOOD.replace("port: 8001", "prot: 8001").replace("root: /opt/trading", "root: yes"))
    assert told(result.problems) == [
        ("error", "rollcall_stack.root (line 10)"),
        ("error", "rollcall_stack.services.web.prot (line 14)"),
    ]


def test_a_manifest_with_the_key_stack_may_stand_in_the_variable(tmp_path: Path) -> None:
    nested = re.sub(r"^(  .*)$", r"  \1", GOOD.partition("rollcall_stack:\n")[2], flags=re.MULTILINE)
    result = checked(tmp_path, f"rollcall_stack:\n  stack:\n{nested}".replace("command:", "comand:"))
    assert told(result.problems) == [
        ("error", "rollcall_stack.stack.services.web.comand (line 7)"),
        ("error", "rollcall_stack.stack.defaults.command (line 2)"),
    ]


def test_what_only_a_playbook_knows_is_said_and_the_rest_is_checked(tmp_path: Path) -> None:
    text = GOOD.replace("port: 8001", 'port: "{{ base_port + 1 }}"\n      kind: odd')
    result = checked(tmp_path, text.replace("command: [run]", 'command: ["{{ python }}", app.py]'))
    assert result.stack is None
    assert told(result.problems) == [
        ("warning", "rollcall_stack.services.web.command (line 13)"),
        ("warning", "rollcall_stack.services.web.port (line 14)"),
        ("error", "rollcall_stack.services.web.kind (line 15)"),
    ]


def test_a_manifest_that_is_a_template_as_a_whole_is_not_called_checked(tmp_path: Path) -> None:
    result = checked(tmp_path, 'rollcall_stack: "{{ base | combine(own) }}"\n')
    assert result.stack is None
    assert told(result.problems) == [("warning", "rollcall_stack (line 1)")]


@settings(deadline=None)
@given(
    stack=st.sets(st.sampled_from(sorted(STACK))),
    service=st.sets(st.sampled_from(sorted(SERVICE))),
)
def test_no_template_is_an_error_in_any_place(stack: set[str], service: set[str]) -> None:
    data: dict[str, Any] = {
        "name": "trading",
        "root": "/opt/trading",
        "services": {"web": {"command": ["run"], "port": 8001}, "other": {"command": ["run"]}},
    }
    known: dict[str, Any] = {"health": {"http": "/"}, "checks": {"logs": {"critical": []}}}
    data["services"]["web"].update({key: known.get(key, "{{ x }}") for key in service})
    data.update(dict.fromkeys(stack, "{{ x }}"))
    result = check_manifest({"rollcall_stack": data}, lines={}, variables=True)
    assert [problem for problem in result.problems if problem.severity == "error"] == []
    assert (result.stack is None) == bool(stack | (service - {"health"}))


def test_outside_of_an_inventory_a_tag_is_refused_and_the_variable_no_key(tmp_path: Path) -> None:
    path = tmp_path / "m.yml"
    path.write_text(GOOD, encoding="utf-8")
    assert "has the tag '!vault'" in check_file(str(path)).problems[0].message
    path.write_text("stack:\n  name: !vault x\n", encoding="utf-8")
    assert "has the tag '!vault'" in check_file(str(path), variables=True).problems[0].message


@pytest.mark.parametrize("example", sorted(ROOT.glob("inventories/*/group_vars/all*")))
def test_the_inventories_of_the_examples_pass(example: Path) -> None:
    file = example if example.is_file() else example / "main.yml"
    problems = check_file(str(file), variables=True).problems
    assert [problem for problem in problems if problem.severity == "error"] == []
