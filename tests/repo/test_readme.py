# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README tells the truth: its sample, its manifest, its playbooks."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from tests.support.repository import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
DEMO = ROOT / "inventories" / "demo" / "group_vars" / "all.yml"
DJANGO = ROOT / "inventories" / "django" / "group_vars" / "all" / "main.yml"


def block(name: str) -> str:
    """Return what stands in the code block between two marks."""
    found = re.search(rf"<!-- {name}: begin -->\n```\w+\n(.*?)```\n<!-- {name}: end -->", README, re.DOTALL)
    assert found is not None, name
    return found[1]


def filled(value: Any) -> Any:
    """Return data with something in the place of each template."""
    if isinstance(value, dict):
        return {key: filled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner) for inner in value]
    return re.sub(r"{{.*?}}", "/srv/rollcall", value) if isinstance(value, str) else value


@pytest.mark.parametrize(
    "text",
    [block("manifest"), DEMO.read_text(encoding="utf-8"), DJANGO.read_text(encoding="utf-8")],
    ids=["readme", "demo", "django"],
)
def test_the_manifest_is_one_without_a_problem(text: str) -> None:
    checked = check_manifest(filled(yaml.safe_load(text)["rollcall_stack"]))

    assert [problem.as_dict() for problem in checked.problems] == []


def test_the_sample_is_of_the_demo() -> None:
    demo = yaml.safe_load(DEMO.read_text(encoding="utf-8"))["rollcall_stack"]
    rows = re.findall(r"^ok +(\w+) +RUNNING +\d+ +(\d+|-) ", block("roll call"), re.MULTILINE)

    assert {name: None if port == "-" else int(port) for name, port in rows} == {
        name: service.get("port") for name, service in demo["services"].items()
    }
    assert re.search(r"^demo on ada: OK, 10 of 10 services up, 8 of 8 answered ", block("roll call"), re.MULTILINE)


def test_a_stranger_reads_it_in_one_go() -> None:
    assert len(README.splitlines()) <= 120


def test_every_playbook_named_exists() -> None:
    named = set(re.findall(r"rollcall\.supervisor\.([a-z]+)`", README)) - {"roll"}

    assert named >= {"site", "restart", "status"}
    assert [name for name in named if not (ROOT / "playbooks" / f"{name}.yml").is_file()] == []
