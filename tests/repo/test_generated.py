# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated parts of files are equal to what ``make generate`` would write."""

from __future__ import annotations

import pytest

from tests.tools.generate import BLOCKS, Block


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.path}: {block.name}")
def test_a_generated_part_is_as_it_would_be_written_now(block: Block) -> None:
    page = block.file.read_text(encoding="utf-8")

    assert page == block.put_into(page), "run: make generate"


def test_the_names_of_the_parts_of_a_file_are_told_apart() -> None:
    for block in BLOCKS:
        others = [other.name for other in BLOCKS if other.path == block.path and other is not block]
        assert block.name not in others
