#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: edge_plan
short_description: Decide what a balancer publishes
version_added: 0.2.0
description:
  - Decides from what the hosts have answered to M(rollcall.supervisor.edge_info) which servers each service has, and
    how a HAProxy asks whether they are well. It is the health check of the manifest, as far as HAProxy can ask it.
  - Names all problems at once. A host that has not answered is one.
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
  services:
    description:
      - What is published, by the name of a service of the manifest.
      - Each has C(bind), an address with a port or a list of them, and may have C(mode), C(port), C(balance),
        C(certificate), C(ca), C(interval), C(rise) and C(fall).
    type: dict
    required: true
  answers:
    description: What M(rollcall.supervisor.edge_info) has returned, by host, in the order of the inventory.
    type: dict
    required: true
seealso:
  - module: rollcall.supervisor.haproxy_config
"""

EXAMPLES = r"""
- name: Decide what is published
  rollcall.supervisor.edge_plan:
    services: {web: {bind: "*:80"}}
    answers: "{{ dict(__hosts | zip(__hosts | map('extract', hostvars, 'edge_asked'))) }}"
  vars:
    __hosts: "{{ groups['app'] }}"
  register: planned
"""

RETURN = r"""
problems:
  description: Why nothing is published, with C(place), C(message), C(cure) and C(severity).
  returned: always
  type: list
  elements: dict
notes:
  description: What of the health checks HAProxy does not ask; warnings as well.
  returned: always
  type: list
  elements: str
services:
  description: What M(rollcall.supervisor.haproxy_config) takes.
  returned: always
  type: list
  elements: dict
"""
