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

import typing as t


def ports_text(answer: t.Mapping[str, t.Any]) -> str:
    """Return the text of an answer, or of the error that there is instead of one."""
    # Ansible loads every filter of a collection to find one.
    from ansible_collections.rollcall.supervisor.plugins.module_utils.show import errors, ports

    error: t.Any = answer.get("error")
    return errors.error_text(error) if error else ports.ports_text(answer)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """Return the filter by its name."""
        return {"ports_text": ports_text}
