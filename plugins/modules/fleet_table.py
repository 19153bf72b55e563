#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_table
short_description: Make one table of a fleet
version_added: 0.2.0
description:
  - Makes one table of what M(rollcall.supervisor.rollout_info) has returned on each host. Hosts that are not well come
    first, then those whose release or engine few others have.
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
  answers:
    description:
      - What M(rollcall.supervisor.rollout_info) has returned, by host, in the order of the inventory.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Make the table
  rollcall.supervisor.fleet_table:
    answers: "{{ dict(__hosts | zip(__hosts | map('extract', hostvars, 'asked'))) }}"
  vars:
    __hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
  register: fleet
"""

RETURN = r"""
ok:
  description: Whether every host is well or stopped on purpose, is in use, and has no half-done rollout.
  returned: always
  type: bool
text:
  description: The table for people, and a line that sums it up.
  returned: always
  type: str
hosts:
  description:
    - By host what is known of it, with the C(verdict) in a word or two, and C(well). The keys are those of C(FleetHost)
      in C(docs/reference/report.schema.json).
  returned: always
  type: dict
"""
