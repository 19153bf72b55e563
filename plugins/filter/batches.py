# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: batches
author: Rollcall authors (@rollcall)
version_added: 0.1.0
short_description: Batches of hosts, as play keyword serial takes them
description:
  - Takes batches as they come from an inventory, from C(-e) with JSON, or from C(-e batches='[1, "50%"]'),
    which Ansible splits at its white space.
positional: rest, variable
options:
  _input:
    description: A number, a percentage, a list of them, or the JSON text of one.
    type: raw
    required: true
  rest:
    description: What Ansible split off from the text, its variable C(_raw_params).
    type: str
    default: ""
  variable:
    description: Name of the variable that they come from, for the words of an error.
    type: str
    default: batches
"""

EXAMPLES = r"""
- name: Canary first, then halves
  hosts: all
  serial: "{{ '[1, \"50%\"]' | rollcall.supervisor.batches }}"
"""

RETURN = r"""
_value:
  description: Sizes of the batches.
  type: list
  elements: raw
"""

import json
import re
import typing as t

from ansible.errors import AnsibleFilterError


def batches(value: t.Any, rest: str = "", variable: str = "batches") -> t.List[t.Union[int, str]]:
    """Return sizes of batches: whole numbers above 0, or percentages.

    Raises:
        AnsibleFilterError: it is none of the accepted forms.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        text = f"{value} {rest}".strip()
        try:
            value = json.loads(text)
        except ValueError as exc:
            raise AnsibleFilterError(
                f"""{variable} is not a list: {text}. Write it as -e {variable}='[1, "50%"]'."""
            ) from exc
    sizes = value if isinstance(value, list) else [value]
    if not sizes:
        raise AnsibleFilterError(
            f"{variable} is an empty list; a batch is a number of hosts or a percentage such as '50%'."
        )
    for size in sizes:
        if not re.fullmatch(r"[1-9][0-9]*|(100|[1-9][0-9]?)%", str(size)) or isinstance(size, bool):
            raise AnsibleFilterError(
                f"{variable} holds {size!r}; a batch is a number of hosts or a percentage such as '50%'."
            )
    return [int(size) if not str(size).endswith("%") else str(size) for size in sizes]


class FilterModule:
    """The filter of this file."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """Return the filter by its name."""
        return {"batches": batches}
