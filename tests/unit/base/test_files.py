# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files: small records and last lines."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.files import (
    read_last_lines,
    read_record,
    write_record,
)


def first(data: t.Any) -> int:
    return int(data["numbers"][0])


def test_a_record_is_read_as_it_was_written_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_record(str(path), {"numbers": [7]})
    assert read_record(str(path), first, 0, "The record") == 7
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_missing_record_is_the_default(tmp_path: Path) -> None:
    assert read_record(str(tmp_path / "none.json"), first, 3, "The record") == 3


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '{"numbers": []}', '{"numbers": ["x"]}', '{"numbers": 1}'])
def test_a_record_that_holds_something_else_is_an_error_with_its_remedy(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(RollcallError, match=f"^The record in {path} cannot be read: ") as told:
        read_record(str(path), first, 3, "The record", ["rm it"])
    assert told.value.remedies == ("rm it",)
    assert told.value.evidence["path"] == str(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a stranger")
def test_who_may_not_read_a_record_is_sent_to_root_and_not_told_to_remove_it(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text("{}")
    path.chmod(0o600)
    os.seteuid(65534)
    try:
        with pytest.raises(RollcallError) as told:
            read_record(str(path), first, 3, "The record", ["rm it"])
    finally:
        os.seteuid(0)
    assert told.value.remedies == (cures.AS_ROOT,)


def test_a_directory_in_a_records_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RollcallError, match=r"cannot be read: .*it is a directory"):
        read_record(str(tmp_path), first, 3, "The record")


def test_the_read_last_lines_are_those_with_text_behind_the_start(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"old\none  \n\n \xff\nthree\n")
    with path.open("rb") as stream:
        assert read_last_lines(stream.fileno(), 2) == [" \N{REPLACEMENT CHARACTER}", "three"]
        assert read_last_lines(stream.fileno(), 9, start=4) == ["one", " \N{REPLACEMENT CHARACTER}", "three"]
        assert read_last_lines(stream.fileno(), 9, limit=7) == ["three"]
        assert read_last_lines(stream.fileno(), 9, start=100) == []
