#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_step
short_description: Have a host write down the step of a rollout that comes next
version_added: 0.2.0
description:
  - The record is written before the step is taken, so that a host that is lost in the middle says itself where it was.
  - Refuses where another rollout is at work.
  - A host that has no engine yet has no record, and is no failure.
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
  root:
    description:
      - Directory of the stack on the host, an absolute path.
    type: str
    required: true
  order:
    description:
      - RV(rollcall.supervisor.rollout_plan#module:order) of the rollout.
    type: dict
    required: true
  step:
    description:
      - The step that comes next, or by which the host has ended. V(back) begins the way back.
      - V(lead) and V(end) are for the first host. The rollout as a whole is recorded there from now on, or has ended.
    type: str
    choices: [begin, drain, run, undrain, soak, back, done, failed, inconclusive, reverted, lead, end]
    required: true
  drained:
    description:
      - By what the host is drained from now on; empty when it is not any more. Without it that stays as it was.
    type: str
  gate:
    description:
      - What M(rollcall.supervisor.rollout_gate) has returned for the batch. This host does not go back over the one-way
        steps that it names either.
    type: dict
    default: {}
  seconds:
    description:
      - How long the host may take for its rollout. By this and O(gate) RV(deadline) is worked out once for all the
        steps that follow.
    type: float
  fail:
    description:
      - Whether the task fails when it could not be written down. With V(false) RV(ok) says so.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Write down that it begins here
  rollcall.supervisor.rollout_step:
    root: /opt/shop
    order: "{{ rollout_decided.order }}"
    step: begin
"""

RETURN = r"""
ok:
  description: Whether it was written down, or there is nowhere to.
  returned: always
  type: bool
outcome:
  description: How the host has ended; empty when it has not.
  returned: always
  type: str
at:
  description: When that was by the clock of the controller, in seconds since the epoch.
  returned: always
  type: float
deadline:
  description: When the host's time is used up, in seconds since the epoch by the clock of the controller.
  returned: with O(seconds)
  type: float
rollout:
  description: The record.
  returned: when it was written down
  type: dict
generation:
  description: The generation that is in place; empty when there is none.
  returned: when it was written down
  type: str
release:
  description: The release of the application's code that its services run; empty without one.
  returned: when it was written down
  type: str
error:
  description: Why it could not be done, with C(message), C(kind), C(evidence) and C(remedies).
  returned: on such a failure
  type: dict
"""
