# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many examples a test of a property tries."""

from __future__ import annotations

import os

# The fewest that are still worth a test.
FEWEST = 10


def examples(number: int) -> int:
    """Return ``number``; a tenth of it with FEW_EXAMPLES set, for another stage of the same run tries all of them."""
    return max(FEWEST, number // 10) if os.environ.get("FEW_EXAMPLES") else number


def fuzz_examples() -> int:
    """Return how many examples a property of hostile input tries: FUZZ_EXAMPLES of them where that is set."""
    return int(os.environ.get("FUZZ_EXAMPLES") or examples(100))
