# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference lists what there is: commands, exit codes, playbooks, variables, modules, plugins."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import yaml

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import errors
from ansible_collections.rollcall.supervisor.plugins.module_utils.cli import command as cli
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.modes import RESTARTS
from tests.support.repository import ROOT

REFERENCE = ROOT / "docs" / "reference"
COMMAND = (REFERENCE / "command.md").read_text(encoding="utf-8")
PLAYBOOKS = (REFERENCE / "playbooks.md").read_text(encoding="utf-8")
MODULES = (REFERENCE / "modules.md").read_text(encoding="utf-8")


def rows(page: str) -> list[list[str]]:
    """Return the cells of every row of a page's tables; a bar within a cell is a slash."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.replace("\\|", "/").splitlines()
        if line.startswith("|")
    ]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_host_command_takes_what_is_said_of_it() -> None:
    told = [usage for row in rows(COMMAND) for usage in quoted(row[0]) if usage.startswith("rollcall ")]

    assert len(told) >= 20
    for usage in told:
        words = [word.strip("[]") for word in shlex.split(usage)[1:]]
        cli.parser().parse_args([word.split("/")[0] for word in words])


def test_every_verb_of_the_host_command_is_told() -> None:
    (verbs,) = (action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction))

    # ask is how a controller calls the engine.
    assert [verb for verb in set(verbs.choices) - {"ask", "job"} if f"`rollcall {verb}" not in COMMAND] == []


def test_every_exit_code_is_told() -> None:
    table = COMMAND.partition("## Exit codes")[2].partition("\n## ")[0]

    assert [int(row[0]) for row in rows(table) if row[0].isdigit()] == [
        *(errors.EXIT_OK, errors.EXIT_FAILED, errors.EXIT_WRONG_USE, errors.EXIT_REFUSED, errors.EXIT_UNREACHABLE)
    ]


def test_the_command_on_the_controller_takes_what_is_said_of_it() -> None:
    script = (ROOT / "restart").read_text(encoding="utf-8")
    taken = set(re.findall(r"[a-z]+", " ".join(re.findall(r"^  ([a-z |]+)\) (?:play=|usage)", script, re.MULTILINE))))
    told = {words[1] for row in rows(COMMAND) for usage in quoted(row[0]) if len(words := usage.split()) > 1} & taken

    # Of the modes there is a table, which is generated.
    assert told == taken - {name for mode in RESTARTS for name in mode.names}


def asked(path: Path) -> set[str]:
    """Return the variables that a playbook, or the defaults of a role, take from the command line."""
    text = path.read_text(encoding="utf-8")
    named = {name for pattern in (r"{name} \| default\(", r"{name} is defined") for name in _named(pattern, text)}
    return {name for name in named if not name.startswith(("_", "rollcall_", "ansible_"))}


def _named(pattern: str, text: str) -> list[str]:
    return re.findall(pattern.replace("{name}", r"(?<![\w.])([a-z_]+)"), text)


def test_every_playbook_is_told_with_the_variables_of_its_command_line() -> None:
    told = {quoted(row[0])[0]: set(quoted(row[2])) for row in rows(PLAYBOOKS.partition("### ")[0]) if quoted(row[0])}
    there = {path.stem: asked(path) for path in (ROOT / "playbooks").glob("*.yml")}
    # The role drain is in no playbook of ours.
    roles = [path for path in ROOT.glob("roles/*/defaults/main.yml") if path.parts[-3] != "drain"]
    for path in (*roles, ROOT / "playbooks/tasks/services.yml"):
        there["site"] |= asked(path)

    assert told == there


def test_every_variable_is_told() -> None:
    told = {name for row in rows(PLAYBOOKS) for cell in row for name in quoted(cell)}
    defaults = {
        name
        for path in ROOT.glob("roles/*/defaults/main.yml")
        for name in yaml.safe_load(path.read_text(encoding="utf-8"))
    }
    inventory = {
        name
        for path in [*ROOT.glob("roles/*/defaults/main.yml"), *ROOT.glob("playbooks/*.yml")]
        for name in re.findall(r"\brollcall_[a-z_]+\b", path.read_text(encoding="utf-8"))
    } - {"rollcall_release_id"}  # the role `release` sets it

    assert (defaults | inventory) - told - {"services_release"} == set()


def documented(path: Path) -> dict[str, str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".yml":
        return dict(yaml.safe_load(text)["DOCUMENTATION"])
    found = re.search(r'^DOCUMENTATION = r?"""(.*?)"""', text, re.DOTALL | re.MULTILINE)
    return dict(yaml.safe_load(found[1])) if found else {}


def test_every_module_and_plugin_is_told_in_its_own_words() -> None:
    modules = {
        f"`{path.stem}`": documented(path)["short_description"] for path in (ROOT / "plugins" / "modules").glob("*.py")
    }
    plugins = {
        f"{kind} `{path.stem}`": words["short_description"]
        for kind in ("callback", "filter", "lookup")
        for path in (ROOT / "plugins" / kind).iterdir()
        if path.suffix in (".py", ".yml") and (words := documented(path))
    }

    assert {row[0]: row[1] for row in rows(MODULES) if "`" in row[0]} == {**modules, **plugins}


def test_every_module_and_plugin_is_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("\\", "")
    names = [path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")]
    names += [
        path.stem
        for kind in ("callback", "filter", "lookup")
        for path in (ROOT / "plugins" / kind).iterdir()
        if path.suffix in (".py", ".yml") and documented(path)
    ]

    lost = [name for name in names if f"* rollcall.supervisor.{name} - " not in changelog]
    assert lost == [], "set version_added to the version in galaxy.yml, and run make changelog"
