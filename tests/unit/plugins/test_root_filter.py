# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a stack lives, as far as its manifest says, whatever the state of the rest of it."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError

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
