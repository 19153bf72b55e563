# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is secret of a stack is known from its private files and from what was delivered to it, and hangs nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.state import undo
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.deliveries import deliver
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.known_secrets import (
    MOST_DELIVERED,
    known_secrets,
    without_secrets,
)

pytestmark = pytest.mark.fault(47)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir(mode=0o700)
    private = tmp_path / "generations" / "1" / "env"
    private.mkdir(parents=True)
    (private / "web.json").write_text(json.dumps({"A": "planted-1"}), encoding="utf-8")
    return tmp_path


def given(root: Path, **files: str) -> None:
    deliver(str(root), str(root / "state"), None, {f"credentials/{name}": text for name, text in files.items()})


def told(root: Path, text: str) -> str:
    return without_secrets({"log": [text]}, str(root))["log"][0]


def test_a_stack_that_was_delivered_nothing_has_what_is_in_its_private_files(root: Path) -> None:
    assert known_secrets(str(root)) == ["planted-1"]
    assert known_secrets(str(root / "nowhere")) == []


def test_what_was_delivered_is_told_to_nobody(root: Path) -> None:
    given(root, feed="first\nplanted-2\n", key="planted-3")
    assert told(root, "first planted-1 planted-2 planted-3") == "first ******** ******** ********"


def test_what_was_delivered_before_is_told_to_nobody_while_it_can_come_back(root: Path) -> None:
    given(root, feed="planted-2")
    undo.forget(str(root / "state"))
    given(root, feed="planted-3")
    assert told(root, "planted-2 planted-3") == "******** ********"
    undo.forget(str(root / "state"))
    assert told(root, "planted-2 planted-3") == "planted-2 ********"


@pytest.mark.parametrize("kind", ["link", "pipe", "directory", "gone", "large", "binary"])
def test_what_is_no_credential_any_more_hides_nothing_and_hangs_nothing(root: Path, kind: str) -> None:
    given(root, feed="planted-2", other="planted-3")
    path = root / "credentials" / "feed"
    path.unlink()
    if kind == "link":
        (root / "elsewhere").write_text("planted-4", encoding="utf-8")
        path.symlink_to(root / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "large":
        path.write_text("planted-4\n" + "x" * MOST_DELIVERED, encoding="utf-8")
    elif kind == "binary":
        path.write_bytes(b"\0\xff\nplanted-4\n")
    assert told(root, "planted-3 planted-4") == "******** planted-4"
