# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: secrets
author: Rollcall authors (@rollcall)
version_added: 0.1.0
short_description: The secret values of a manifest
description:
  - Takes the secrets of each service out of a manifest as it was written, for an option that is never logged.
positional: file
options:
  _input:
    description: The manifest as data.
    type: dict
    required: true
  file:
    description: The manifest file on the controller that the data is laid over; empty for none.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Run the services
  rollcall.supervisor.stack_restart:
    root: /opt/trading
    secrets: "{{ rollcall_stack | rollcall.supervisor.secrets }}"
"""

RETURN = r"""
_value:
  description: The secrets of each service that has any, by service and name of the variable.
  type: dict
"""

import typing as t


def secrets(data: t.Mapping[str, t.Any], file: str = "") -> t.Dict[str, t.Dict[str, str]]:
    """Return the secrets of a manifest, those of ``data`` over those of ``file``."""
    # Late: to look for one filter Ansible loads others, too.
    from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.secret_values import secret_values

    if not file:
        return secret_values(data)
    from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import load_manifest

    return secret_values(load_manifest(file), data)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """Return the filter by its name."""
        return {"secrets": secrets}
