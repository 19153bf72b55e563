# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: root
author: Rollcall authors (@rollcall)
version_added: 0.2.0
short_description: The directory of a stack
description:
  - Takes the root out of a manifest as it was written, without checking the rest of it.
  - So a stack can be looked at and restarted while somebody's edit of its manifest is not yet in order.
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
- name: Restart
  rollcall.supervisor.stack_restart:
    root: "{{ rollcall_stack | rollcall.supervisor.root }}"
    mode: full
"""

RETURN = r"""
_value:
  description: The directory of the stack.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError


def root(data: t.Mapping[str, t.Any], file: str = "") -> str:
    """Return the root of a manifest; what ``data`` says goes before what ``file`` says."""
    found = _root_of(data)
    if found is None and file:
        # Late: to look for one filter Ansible loads others, too, in every playbook.
        from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import load_manifest

        try:
            found = _root_of(load_manifest(file))
        except RollcallError as exc:
            raise AnsibleFilterError(exc.text()) from exc
    if found is None:
        raise AnsibleFilterError("No root of a stack: set rollcall_stack with its root, or rollcall_manifest_file.")
    return str(found)


def _root_of(data: t.Any) -> t.Any:
    """Return ``root``, or that of ``stack``."""
    if not isinstance(data, t.Mapping):
        return None
    inner = data.get("stack")
    return inner.get("root", data.get("root")) if isinstance(inner, t.Mapping) else data.get("root")


class FilterModule:
    """The filter of this file."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """Return the filter by its name."""
        return {"root": root}
