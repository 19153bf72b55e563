#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_judge
short_description: Say how a host has ended in a rollout
version_added: 0.2.0
description:
  - Says from what the tasks of a host have registered how it has ended, and whether it has yet to be taken back.
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
  run:
    description:
      - The result of the run; empty when the host did not come to one.
    type: dict
    default: {}
  soak:
    description:
      - The result of the look after the soak; empty when the host did not come to one.
    type: dict
    default: {}
  touched:
    description:
      - Whether the host's services may have been touched. Where nothing was, nothing is known of what was rolled out.
    type: bool
    default: true
  one_way:
    description:
      - The one-way steps that have run in the rollout. Over them the host does not go back.
    type: list
    elements: str
    default: []
  failed_task:
    description:
      - Name of the task that failed; empty when none did.
    type: str
    default: ""
  failed_result:
    description:
      - The result of that task.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Judge how the host has ended
  rollcall.supervisor.rollout_judge:
    run: "{{ services_run | default({}) }}"
    failed_task: "{{ ansible_failed_task.name }}"
    failed_result: "{{ ansible_failed_result }}"
  register: rollout_judged
"""

RETURN = r"""
outcome:
  description:
    - V(done), V(failed), V(lost) when the host was not there any more, or V(inconclusive) when what failed says nothing
      of what was rolled out.
  returned: always
  type: str
go_back:
  description: Whether the host has yet to be taken back to what ran before.
  returned: always
  type: bool
restored:
  description: Whether its run has gone back by itself.
  returned: always
  type: bool
why:
  description: What failed; empty when nothing did.
  returned: always
  type: str
"""
