# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ports_text
author: Rollcall authors (@rollcall)
version_added: 0.2.0
short_description: The answer of the port tool, as text
description:
  - Turns what C(rollcall ports OPERATION --json) has printed into what it prints without C(--json).
options:
  _input:
    description: The answer as data.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say what it answered
  ansible.builtin.debug:
    msg: "{{ asked.stdout | from_json | rollcall.supervisor.ports_text }}"
"""

RETURN = r"""
_value:
  description: The text, a line for each thing that is said.
  type: str
"""

import json
import typing as t

from ansible.errors import AnsibleFilterError


def ports_text(answer: t.Mapping[str, t.Any]) -> str:
    """Return the text of an answer, or of the error that there is instead of one."""
    # Ansible loads every filter of a collection to find one.
    from ansible_collections.rollcall.supervisor.plugins.module_utils.show import errors, ports
    from ansible_collections.rollcall.supervisor.plugins.plugin_utils import answers

    try:
        known = answers.ports_answer(json.dumps(answer, default=str))
        return errors.error_text(known["error"]) if "error" in known else ports.ports_text(known)
    except (answers.Malformed, KeyError, TypeError, ValueError, AttributeError) as exc:
        # The manifest in an answer has any form. A number that is no time cannot be shown as one.
        why = str(exc) if isinstance(exc, answers.Malformed) else f"it cannot be shown: {type(exc).__name__}"
        raise AnsibleFilterError(f"What the port tool has answered is no answer of this version: {why}") from exc


class FilterModule:
    """The filter of this file."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """Return the filter by its name."""
        return {"ports_text": ports_text}
