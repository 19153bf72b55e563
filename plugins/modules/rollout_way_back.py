#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_way_back
short_description: Decide which hosts of a rollout go back
version_added: 0.2.0
description:
  - Decides, when a rollout has come to no further host, whether those that are done go back to what ran before, and in
    which order. The last one comes first.
  - They go back only when more hosts than may have failed. What is inconclusive takes nobody back, nor does a host that
    was lost.
  - Nobody goes back over a one-way step that has run.
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
      - What M(rollcall.supervisor.rollout_plan) has returned. One that goes on with going back has decided.
    type: dict
    required: true
  on_failure:
    description:
      - What becomes of the hosts that are done. V(stop) leaves them; V(revert) has them go back.
    type: str
    choices: [stop, revert]
    default: stop
  batches:
    description:
      - How many hosts go at once, as for M(rollcall.supervisor.rollout_plan).
    type: raw
    default: 100%
  failure_budget:
    description:
      - How many hosts may fail.
    type: int
    default: 0
  ended:
    description:
      - By host what M(rollcall.supervisor.rollout_judge) has returned, or the last M(rollcall.supervisor.rollout_step).
    type: dict
    default: {}
  noted:
    description:
      - By host that has failed the M(rollcall.supervisor.rollout_step) that has written that down.
    type: dict
    default: {}
  runs:
    description:
      - By host RV(rollcall.supervisor.stack_apply#module:noted), for hosts that have nothing in O(ended).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Decide which hosts go back
  rollcall.supervisor.rollout_way_back:
    rollout: "{{ rollout_decided }}"
    on_failure: revert
    ended: "{{ dict(rollout_decided.hosts | zip(rollout_decided.hosts | map('extract', hostvars, 'rollout_judged'))) }}"
  register: rollout_returns
"""

RETURN = r"""
hosts:
  description: The hosts that go back, in their order.
  returned: always
  type: list
  elements: str
batches:
  description: The same in batches.
  returned: always
  type: list
  elements: list
stays:
  description: Hosts that are done and do not go back although the rollout takes hosts back, with why.
  returned: always
  type: dict
text:
  description: The same for people; empty when nobody was to go back.
  returned: always
  type: str
"""
