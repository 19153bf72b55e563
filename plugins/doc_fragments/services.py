# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The option of what can be about some services of a stack only."""

    DOCUMENTATION = r"""
options:
  services:
    description:
      - Which services it is about; all of them when it is empty. A run is about what depends on them as well.
      - The name of a service with instances stands for all of these; V(*), V(?) and V([...]) stand for other
        characters, as in a shell.
      - An unknown name is an error, and nothing is touched.
    type: list
    elements: str
    default: []
"""
