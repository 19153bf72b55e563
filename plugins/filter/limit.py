# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: limit
author: Rollcall authors (@rollcall)
version_added: 0.2.0
short_description: Seconds that a run of a stack takes at the longest
description:
  - The sum of the deadlines of all that the run may wait for, and what C(rollcall) itself waits beyond them.
  - For what starts C(rollcall) and has a limit of its own, such as a unit of systemd.
positional: mode
options:
  _input:
    description: The manifest as M(rollcall.supervisor.manifest_info) returns it.
    type: dict
    required: true
  mode:
    description: What the run is to do, as option O(rollcall.supervisor.stack_restart#module:mode), or V(stop).
    type: str
    default: auto
"""

EXAMPLES = r"""
- name: Say by when the stack has come up
  ansible.builtin.debug:
    msg: "{{ checked.manifest | rollcall.supervisor.limit('auto') }} seconds"
"""

RETURN = r"""
_value:
  description: Whole seconds.
  type: int
"""

import math
import typing as t


def limit(data: t.Mapping[str, t.Any], mode: str = "auto") -> int:
    """Return the whole seconds after which a run has ended, or has been left to itself."""
    # Ansible loads every filter of a collection to find one, and these load most of the engine.
    from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
    from ansible_collections.rollcall.supervisor.plugins.module_utils.ports.flush import GRACE, KILL_GRACE
    from ansible_collections.rollcall.supervisor.plugins.module_utils.run import limits
    from ansible_collections.rollcall.supervisor.plugins.module_utils.run.modes import mode_named

    stack = Stack.from_dict(data)
    seconds = limits.run_limit(stack, mode_named(mode), grace=GRACE, kill_grace=KILL_GRACE)
    return math.ceil(seconds + limits.SLACK)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """Return the filter by its name."""
        return {"limit": limit}
