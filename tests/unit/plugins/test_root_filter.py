# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a stack lives, as far as its manifest says, whatever the state of the rest of it."""

from __future__ import annotations

import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.rollcall.supervisor.plugins import filter as filters
from ansible_collections.rollcall.supervisor.plugins.filter.root import root


@pytest.mark.parametrize(
    "data", [{"root": "/opt/a"}, {"stack": {"root": "/opt/a"}}, {"root": "/opt/a", "services": "not in order"}]
)
def test_the_root_is_found_in_either_form(data: t.Dict[str, t.Any]) -> None:
    assert root(data) == "/opt/a"


def test_data_goes_before_the_file_and_the_file_before_nothing(tmp_path: Path) -> None:
    file = tmp_path / "manifest.yml"
    file.write_text("stack:\n  root: /opt/file\n", encoding="utf-8")
    assert root({}, str(file)) == "/opt/file"
    assert root({"root": "/opt/a"}, str(file)) == "/opt/a"


def test_no_root_anywhere_says_what_to_set() -> None:
    with pytest.raises(AnsibleFilterError, match="set rollcall_stack with its root"):
        root({})


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(AnsibleFilterError, match=r"gone\.yml"):
        root({}, str(tmp_path / "gone.yml"))


def test_to_find_a_filter_loads_nothing_of_the_engine_but_its_errors() -> None:
    # To find one of them Ansible loads others, in every playbook.
    names = [path.stem for path in Path(filters.__path__[0]).glob("*.py") if path.stem != "__init__"]
    asked = "".join(f"import {filters.__name__}.{name}\n" for name in names)
    code = f"import sys\n{asked}print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = [name.partition(".supervisor.plugins.module_utils.")[2] for name in done.stdout.split()]
    assert {name.partition(".")[0] for name in loaded if name} == {"base"}
