# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The version of the engine and of the collection: one and the same; tests/repo holds it equal to galaxy.yml's."""

from __future__ import annotations

VERSION = "0.2.0"


def is_newer(version: str, than: str) -> bool:
    """Return whether one version, such as 0.2.0, comes after another; one that cannot be read does not."""
    try:
        one, other = ([int(part) for part in text.split("-")[0].split(".")] for text in (version, than))
    except ValueError:
        return False
    return one > other


def upgrade(version: str) -> str:
    """Return the command that brings a controller to this version or a later one."""
    return f"ansible-galaxy collection install 'rollcall.supervisor:>={version}'"
