# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of what takes a manifest as it was written."""

    DOCUMENTATION = r"""
options:
  manifest:
    description:
      - The manifest as data. With O(file), it is merged over the manifest of the file.
    type: dict
    default: {}
  file:
    description:
      - A manifest file on the controller, YAML or JSON. Its text is data; nothing in it is executed.
    type: path
"""
