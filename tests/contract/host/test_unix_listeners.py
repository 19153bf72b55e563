# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which unix sockets the kernel tells of, whatever somebody else has called his."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import unix_listeners


@pytest.mark.parametrize(
    "name", ["a\nb 1 2 wrong 4 5 no c", "a\u2028b 1 2 wrong 4 5 no c", "a\r1 2 3 4 5 6 7 8", " a  "]
)
def test_a_path_with_line_ends_in_it_breaks_no_look(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
        one.bind(name)
        other.bind("plain.sock")
        other.listen()
        found = {each.inode: each for each in unix_listeners.bound()}
    assert [each.listens for each in found.values() if each.path == "plain.sock"] == [True]
    whole = [each.path for each in found.values() if each.path == name]
    assert whole == ([] if "\n" in name else [name])
