# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The version of the engine and of the collection: one and the same; tests/repo holds it equal to galaxy.yml's."""

from __future__ import annotations

VERSION = "0.2.0"
