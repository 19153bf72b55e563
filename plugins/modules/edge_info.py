#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: edge_info
short_description: See which services a host runs, and on which ports
version_added: 0.2.0
description:
  - Tells what a balancer has to know of a host. The services are those that the manifest has for it, the ports those
    that the host's registry says; where nothing is installed, those of the manifest.
  - A host that cannot be reached is an answer as well, and no failure of this task.
  - The playbook C(rollcall.supervisor.edge) asks all hosts by it.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
  - rollcall.supervisor.manifest
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
  address:
    description: Where balancers find the host.
    type: str
    required: true
  weight:
    description: The share of the requests that each instance on it gets.
    type: int
    default: 100
seealso:
  - module: rollcall.supervisor.edge_plan
"""

EXAMPLES = r"""
- name: See what the host runs
  rollcall.supervisor.edge_info:
    manifest: "{{ rollcall_stack }}"
    address: "{{ ansible_host }}"
  register: edge_asked
"""

RETURN = r"""
problems:
  description: What was found in the manifest, with C(place), C(message), C(cure) and C(severity).
  returned: always
  type: list
  elements: dict
reached:
  description: Whether the host has answered.
  returned: success
  type: bool
why:
  description: Why it did not; empty when it did.
  returned: success
  type: str
address:
  description: Where balancers find it.
  returned: success
  type: str
weight:
  description: The share of the requests that each instance on it gets.
  returned: success
  type: int
services:
  description:
    - By service its C(kind), and its C(instances), each with its C(number), its C(ports) by their names, and its
      C(checks).
  returned: success
  type: dict
"""
