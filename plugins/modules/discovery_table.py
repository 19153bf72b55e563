#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: discovery_table
short_description: Make one table of where services are
version_added: 0.2.0
description:
  - Makes one table of every port of every service of all hosts, from what M(rollcall.supervisor.rollout_info) has
    returned on each of them with O(rollcall.supervisor.rollout_info#module:endpoints=true).
  - Works on the controller alone. M(rollcall.supervisor.discovery_file) writes it for other tools.
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
  addresses:
    description:
      - By host where the controller reaches it. Without one it is its name.
    type: dict
    default: {}
  own_addresses:
    description:
      - By host where others reach it, when that is another address.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Make the table
  rollcall.supervisor.discovery_table:
    answers: "{{ dict(__hosts | zip(__hosts | map('extract', hostvars, 'asked'))) }}"
  vars:
    __hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
  register: discovery
"""

RETURN = r"""
text:
  description: The table for people, what is not known, and a line that sums it up.
  returned: always
  type: str
unknown:
  description: By host why it is not known what it has.
  returned: always
  type: dict
cure:
  description: What to do about those; empty when every host is known.
  returned: always
  type: str
hosts:
  description: By host its C(address), C(own_address) and C(release), its C(endpoints), and C(why) these are not known.
  returned: always
  type: dict
"""
