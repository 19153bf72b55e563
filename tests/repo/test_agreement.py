# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said in two places is the same in both: options, versions, names, commands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.version import VERSION
from tests.support.repository import ROOT, tracked

ROLES = sorted(path.parent for path in ROOT.glob("roles/*/tasks"))
SCENARIOS = sorted(path.parent for path in ROOT.glob("molecule/*/molecule.yml"))
PINS = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?==([^\s#]+)", re.MULTILINE)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def keys_of_defaults(value: Any) -> Any:
    """Return the keys of a default, those of the mappings within it included; a list is not looked into."""
    return {key: keys_of_defaults(inner) for key, inner in value.items()} if isinstance(value, dict) and value else None


def keys_of_options(options: dict[str, Any]) -> Any:
    """Return the keys that have a default in an argument spec, those of sub-options included.

    What is in a default that is computed is only in the spec.
    """
    return {
        name: keys_of_options(option["options"])
        if option.get("options") and option["type"] == "dict" and "default" in option
        else None
        for name, option in options.items()
    }


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_documents_the_inputs_it_has(role: Path) -> None:
    options = load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    required = {name for name, option in options.items() if option.get("required")}
    documented = {name: option for name, option in options.items() if name not in required}
    assert keys_of_options(documented) == keys_of_defaults(load(role / "defaults" / "main.yml"))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_documents_the_defaults_it_has(role: Path) -> None:
    options = load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    for name, value in load(role / "defaults" / "main.yml").items():
        # A default that is computed is described in words.
        if not (isinstance(value, str) and "{{" in value):
            assert options[name].get("default") == value, name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_prefixes_its_inputs(role: Path) -> None:
    assert [name for name in load(role / "defaults" / "main.yml") if not name.startswith(f"{role.name}_")] == []


def test_galaxy_and_engine_have_one_version() -> None:
    assert load(ROOT / "galaxy.yml")["version"] == VERSION


def test_the_action_group_is_the_modules_of_one_stack() -> None:
    # A default given to the group reaches every module in it, so all of them must know the option.
    modules = {
        path.stem for path in ROOT.glob("plugins/modules/*.py") if "\n  root:\n" in path.read_text(encoding="utf-8")
    }
    assert set(load(ROOT / "meta" / "runtime.yml")["action_groups"]["stack"]) == modules


def test_every_scenario_has_tests() -> None:
    # Molecule only warns when the verifier finds none.
    assert SCENARIOS
    without = [path.name for path in SCENARIOS if not list((path / "tests").glob("test_*.py"))]
    assert without == []


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_side_effect_of_a_scenario_is_there(scenario: Path) -> None:
    # Molecule skips all of them with a mere warning when there is no side_effect.yml.
    steps = [step.split() for step in load(scenario / "molecule.yml")["scenario"]["test_sequence"]]
    named = {name for step in steps if step[0] == "side_effect" for name in (step[1:] or ["side_effect.yml"])}
    wanted = {*named, "side_effect.yml"} if named else set()
    assert {path.name for path in scenario.glob("side_effect*.yml")} == wanted


def test_every_version_is_pinned_once() -> None:
    # Files for other versions of ansible-core differ on purpose; the last is written from run.txt, with digests.
    other = {"core-2.20.txt", "core-2.21.txt", "controller.txt"}
    listed = sorted((ROOT / "requirements").glob("*.txt"))
    files = [path for path in listed if not path.is_symlink() and path.name not in other]
    pins: dict[str, set[str]] = {}
    for path in files:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] not in "#-"]
        assert all(PINS.match(line) and "#" in line for line in lines), f"a line of {path} has no version or no reason"
        for name, version in PINS.findall(path.read_text(encoding="utf-8")):
            pins.setdefault(name.lower(), set()).add(version)
    assert {name: versions for name, versions in pins.items() if len(versions) > 1} == {}


def test_what_is_installed_on_hosts_is_what_is_pinned_and_every_file_of_it_has_a_digest() -> None:
    pinned = (ROOT / "requirements" / "host.txt").read_text(encoding="utf-8")
    locked = (ROOT / "roles" / "bootstrap" / "files" / "requirements.txt").read_text(encoding="utf-8")

    def packages(text: str) -> dict[str, str]:
        return {re.sub("[._]", "-", name).lower(): version for name, version in PINS.findall(text)}

    assert packages(locked) == packages(pinned), "make lock writes it anew"
    for entry in re.split(r"\n(?=\S)", locked.partition("\n")[2].strip()):
        assert re.fullmatch(r"\S+==\S+( \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry


def test_what_is_installed_for_apprise_is_what_is_pinned_and_every_file_of_it_has_a_digest() -> None:
    pinned = (ROOT / "requirements" / "apprise.txt").read_text(encoding="utf-8")
    locked = (ROOT / "roles" / "monitor" / "files" / "apprise.txt").read_text(encoding="utf-8")

    assert set(PINS.findall(pinned)) <= set(PINS.findall(locked)), "make lock writes it anew"
    for entry in re.split(r"\n(?=\S)", locked.partition("\n")[2].strip()):
        assert re.fullmatch(r"\S+==\S+( ; [^\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry


def test_what_is_measured_beside_rollcall_is_what_is_pinned_and_every_package_of_it_has_a_digest() -> None:
    benchmark = ROOT / "tests" / "benchmark"
    pinned = (ROOT / "requirements" / "peers.txt").read_text(encoding="utf-8")
    locked = (benchmark / "peers.txt").read_text(encoding="utf-8")
    assert set(PINS.findall(pinned)) <= set(PINS.findall(locked)), "make lock writes it anew"
    for entry in re.split(r"\n(?=\S)", locked.partition("\n")[2].strip()):
        assert re.fullmatch(r"\S+==\S+( ; [^\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry

    wanted = json.loads((benchmark / "npm" / "package.json").read_text(encoding="utf-8"))["dependencies"]
    packages = json.loads((benchmark / "npm" / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert packages.pop("")["dependencies"] == wanted, "npm install --package-lock-only writes it anew"
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert [name for name, package in packages.items() if not package["integrity"].startswith("sha512-")] == []


def test_every_script_that_make_runs_is_there() -> None:
    recipes = re.sub(r"^#.*", "", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = re.findall(r"tests/tools/[\w/]+\.(?:py|sh)", recipes)
    named += [f"{name.replace('.', '/')}.py" for name in re.findall(r"-m (tests\.tools\.\w+)", recipes)]

    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_commands_of_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    documents = [path for path in tracked() if path.suffix == ".md"]
    assert ROOT / "README.md" in documents
    for path in documents:
        # Only in code, inline or in a block: in prose, make is a verb.
        code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", path.read_text(encoding="utf-8"), re.DOTALL))
        named = set(re.findall(r"(?:^|[`\s;&])make ([a-z][a-z-]*)", code))
        assert named <= targets, f"{path.name} names make targets that do not exist: {sorted(named - targets)}"
