# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: logs_text
author: Rollcall authors (@rollcall)
version_added: 0.2.0
short_description: The logs of a host's services, as text
description:
  - Turns what C(rollcall logs --json) has printed into what it prints without C(--json).
options:
  _input:
    description: What it has printed, one document of JSON.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the logs
  ansible.builtin.debug:
    msg: "{{ asked.stdout | rollcall.supervisor.logs_text | split('\n') }}"
"""

RETURN = r"""
_value:
  description: The text. Of several services each line begins with the name of its service.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError


def logs_text(text: str) -> str:
    """Return the lines of logs as text, or of the error that there is instead of them."""
    # Ansible loads every filter of a collection to find one.
    from ansible_collections.rollcall.supervisor.plugins.module_utils.show import errors, logs
    from ansible_collections.rollcall.supervisor.plugins.plugin_utils import answers

    try:
        known = answers.logs_answer(str(text))
    except answers.Malformed as exc:
        raise AnsibleFilterError(f"What the host has answered is no answer of this version: {exc}") from exc
    if "error" in known:
        return errors.error_text(known["error"])
    return logs.logs_text(known["logs"]) or "Nothing was written."


class FilterModule:
    """The filter of this file."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """Return the filter by its name."""
        return {"logs_text": logs_text}
