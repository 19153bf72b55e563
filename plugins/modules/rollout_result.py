#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_result
short_description: Tell how a rollout has ended
version_added: 0.2.0
description:
  - Tells how each host has ended, and fails unless all of them have ended well and none was left out.
  - Works on the controller alone.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
author:
  - Rollcall authors (@rollcall)
options:
  rollout:
    description:
      - What M(rollcall.supervisor.rollout_plan) has returned.
    type: dict
    required: true
  ended:
    description:
      - By host what M(rollcall.supervisor.rollout_judge) has returned, or the last M(rollcall.supervisor.rollout_step).
    type: dict
    default: {}
  back:
    description:
      - By host the result of its way back, where it had to go back after its run.
    type: dict
    default: {}
  drained:
    description:
      - By host the last M(rollcall.supervisor.rollout_step) that said whether it is drained.
    type: dict
    default: {}
  noted:
    description:
      - By host that has failed the M(rollcall.supervisor.rollout_step) that has written that down.
    type: dict
    default: {}
  returned:
    description:
      - By host that was done and went back what O(ended) has for the way forth.
    type: dict
    default: {}
  returned_noted:
    description:
      - By host that could not go back the M(rollcall.supervisor.rollout_step) that has written that down.
    type: dict
    default: {}
  paused:
    description:
      - Why the rollout has paused although no host has failed, as M(rollcall.supervisor.rollout_gate) says it.
    type: str
    default: ""
  way_back:
    description:
      - What M(rollcall.supervisor.rollout_way_back) has returned.
    type: dict
    default: {}
  runs:
    description:
      - By host RV(rollcall.supervisor.stack_apply#module:noted), for hosts that have nothing in O(ended).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Tell how every host has ended
  rollcall.supervisor.rollout_result:
    rollout: "{{ rollout_decided }}"
    ended: "{{ dict(rollout_decided.hosts | zip(rollout_decided.hosts | map('extract', hostvars, 'rollout_judged'))) }}"
"""

RETURN = r"""
ok:
  description: Whether all hosts have ended well, and none was left out.
  returned: always
  type: bool
exit_code:
  description: 0 when it is ok, 4 when a host was not reached or was left out, else 1.
  returned: always
  type: int
text:
  description: The same for people.
  returned: always
  type: str
hosts:
  description: By host its C(outcome), C(why) it failed, whether it went C(back), whether it is still
    C(drained) and C(drained_by) what and since when, what it C(runs) now, and why it C(stays) where the others
    went back.
  returned: always
  type: dict
"""
