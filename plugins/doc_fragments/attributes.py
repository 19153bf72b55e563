# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What every module says of its behaviour."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Predicts the change without making it.
  diff_mode:
    description: Returns what changed, or would change.
  idempotent:
    description: A second identical run reports no change.
"""
