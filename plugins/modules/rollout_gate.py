#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_gate
short_description: Say whether a rollout goes on with its next batch
version_added: 0.2.0
description:
  - Says whether the next batch begins, from how the hosts have ended, how many others are up, and how long ago the last
    one was proved.
  - Works on the controller alone.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
author:
  - Rollcall authors (@rollcall)
options:
  rollout:
    description:
      - What M(rollcall.supervisor.rollout_plan) has returned. It has how many hosts must be up.
    type: dict
    required: true
  ended:
    description:
      - By host what M(rollcall.supervisor.rollout_judge) has returned, or the last M(rollcall.supervisor.rollout_step).
    type: dict
    default: {}
  failure_budget:
    description:
      - How many hosts may fail.
    type: int
    default: 0
  others:
    description:
      - The results of M(rollcall.supervisor.rollout_up_info) in a loop over the hosts that the batch does not have.
    type: list
    elements: dict
    default: []
  servers:
    description:
      - The results of M(rollcall.supervisor.haproxy_server_info) in a loop over pairs of such a host and a balancer.
    type: list
    elements: dict
    default: []
  since:
    description:
      - When that was asked first, in seconds since the epoch, as RV(since) of that time has it. Without it that is now.
    type: float
  patience:
    description:
      - How many seconds hosts that are not up are waited for.
    type: float
    default: 60
  progress:
    description:
      - How many seconds ago the last host may have been proved. V(0) is any time. Without it as O(rollout) has it.
    type: float
  rounds:
    description:
      - How many times longer a batch takes because it has more hosts than Ansible has forks.
    type: float
    default: 1
  runs:
    description:
      - By host RV(rollcall.supervisor.stack_apply#module:noted), for hosts that have nothing in O(ended).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: See whether the rollout goes on
  rollcall.supervisor.rollout_gate:
    rollout: "{{ rollout_decided }}"
  run_once: true
  register: rollout_may
"""

RETURN = r"""
go:
  description: Whether the next batch begins.
  returned: always
  type: bool
waits:
  description: Whether that is to be asked again in a moment.
  returned: always
  type: bool
why:
  description: Why the rollout pauses although nothing speaks against what is rolled out; empty when it does not.
  returned: always
  type: str
since:
  description: When that was asked first, in seconds since the epoch.
  returned: always
  type: float
one_way:
  description: The one-way steps that are known to have run in the rollout, on whichever host.
  returned: always
  type: list
  elements: str
until:
  description: When the time for progress is used up, in seconds since the epoch; 0 for never.
  returned: always
  type: float
rounds:
  description: What O(rounds) said.
  returned: always
  type: float
"""
