#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: port_assign
short_description: Give every service of a stack its port on a host
version_added: 0.2.0
description:
  - Gives each service that has fallback ports the first of its ports that is free on the host, and remembers it.
  - A service keeps its port as long as the manifest still has it, and it is free or taken by the service itself.
  - Fails when a service gets no port, and tells which were tried and who has taken each. Nothing is changed then.
requirements:
  - The role P(rollcall.supervisor.bootstrap#role) has prepared the host. The engine that it installed does the work.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
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
  manifest:
    description:
      - The normalised manifest, as M(rollcall.supervisor.manifest_info) returns it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Check the manifest
  rollcall.supervisor.manifest_info:
    manifest: "{{ rollcall_stack }}"
  register: checked

- name: Ask this host for its ports
  rollcall.supervisor.port_assign:
    root: "{{ checked.manifest.root }}"
    manifest: "{{ checked.manifest }}"
  register: assigned

- name: Put them into the manifest
  rollcall.supervisor.manifest_info:
    manifest: "{{ rollcall_stack }}"
    ports: "{{ assigned.ports }}"
  register: checked
"""

RETURN = r"""
ok:
  description: Whether every service got its port.
  returned: always
  type: bool
ports:
  description: The port of every service that has one.
  returned: success
  type: dict
moved:
  description: Services whose port is another than before, or than their own first one.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: Its name.
      returned: always
      type: str
    from:
      description: The port it had, or would have had.
      returned: always
      type: int
    to:
      description: The port it has got.
      returned: always
      type: int
    reason:
      description: Why it could not have the other one.
      returned: always
      type: str
notes:
  description: Stacks of the host whose ports could not be read, each with the reason.
  returned: success
  type: list
  elements: str
error:
  description: Why a service got no port, with C(message), C(kind), C(evidence) and C(remedies).
  returned: failure
  type: dict
"""
