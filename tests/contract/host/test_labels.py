# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels: read from the environment of processes, and whose of them count."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.labels import (
    label_of,
    trusted_uids,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Label
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.ours import find
from tests.support.configs import a_label
from tests.support.namespaces import NOBODY, as_nobody
from tests.support.victims import victim

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user, or a namespace of its own")


def test_a_label_is_read_and_found_by_its_root(tmp_path: Path) -> None:
    root = str(tmp_path)
    with victim("bystander", label=a_label(root, "api")) as ours, victim("bystander", label=a_label("/elsewhere")):
        assert label_of(ours.pid) == Label("test", root, "api", "0123456789ab")
        (found,) = find(root)
        assert (found.pid, found.label) == (ours.pid, label_of(ours.pid))
        assert [process.pid for process in find(f"{root}/")] == [ours.pid]
        assert label_of(os.getpid()) is None


@ROOT_ONLY
def test_the_label_of_a_stranger_does_not_count(tmp_path: Path) -> None:
    root = str(tmp_path)
    with victim("bystander", 0, "--uid", str(NOBODY), label=a_label(root)) as stranger:
        assert label_of(stranger.pid) is not None
        assert find(root) == []
        assert [process.pid for process in find(root, {NOBODY})] == [stranger.pid]


@ROOT_ONLY
def test_what_may_not_be_read_has_no_label(tmp_path: Path) -> None:
    with victim("bystander", label=a_label(str(tmp_path))) as held:
        assert as_nobody(lambda: label_of(held.pid)) is None
        assert as_nobody(lambda: [one.pid for one in find(str(tmp_path), {0, NOBODY})]) == []


def test_the_trusted_users_are_root_and_the_stacks_own(tmp_path: Path) -> None:
    assert trusted_uids(str(tmp_path)) == {0, os.getuid()}
    assert trusted_uids(str(tmp_path), "nobody") == {0, NOBODY}
    with pytest.raises(RollcallError, match="does not exist"):
        trusted_uids(str(tmp_path), "nosuchuser")
