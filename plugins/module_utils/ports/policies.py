# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which listeners a flush may end: the words alone, because a controller needs nothing of what judges them."""

from __future__ import annotations

OWNED = "owned"
REFUSE = "refuse"
ANY = "any"
POLICIES = (OWNED, REFUSE, ANY)
