#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_info
short_description: See how a host stands before a rollout
version_added: 0.2.0
description:
  - Asks a host what runs on it, whether that is well, which rollout came to it last, and what the run to come would do.
  - The run is planned and proved as in check mode. Nothing is written.
  - A host that cannot be reached is an answer as well, and no failure of this task.
  - The playbook C(rollcall.supervisor.rollout) asks all hosts at once by it, before it touches the first.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
  - rollcall.supervisor.manifest
  - rollcall.supervisor.flush
  - rollcall.supervisor.run
  - rollcall.supervisor.apply
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
  plan:
    description:
      - Whether the run to come is planned. That cannot be done for a release which the host has not got yet.
    type: bool
    default: true
  endpoints:
    description:
      - Whether every port of its services is told, with where and how each is asked.
    type: bool
    default: false
  drain:
    description:
      - By what the rollout to come drains the host, as of the role P(rollcall.supervisor.drain#role).
    type: str
    default: none
  patience:
    description:
      - How many seconds the host has to answer; V(0) for any time. One that does not is not reached, and no failure of
        this task, as it would be with Ansible's C(timeout).
    type: float
    default: 0
"""

EXAMPLES = r"""
- name: See how the host stands
  rollcall.supervisor.rollout_info:
    manifest: "{{ rollcall_stack }}"
    template: "{{ playbook_dir }}/supervisord.conf.j2"
  register: rollout_asked
"""

RETURN = r"""
problems:
  description: What was found in the manifest, with C(place), C(message), C(cure) and C(severity).
  returned: always
  type: list
  elements: dict
asked:
  description: False, as the manifest or an option is nothing to ask the host about.
  returned: when the host was not asked
  type: bool
root:
  description: Directory of the stack on the host.
  returned: when the manifest is in order
  type: str
endpoints:
  description: Every port of its services, as the generation in place has them.
  returned: when it was asked for, and the host has answered with an engine of this version
  type: list
  elements: dict
  contains:
    stack:
      description: Name of the stack.
      returned: always
      type: str
    service:
      description: Name of the service.
      returned: always
      type: str
    group:
      description: For an instance the service that it is an instance of; empty for others.
      returned: always
      type: str
    instance:
      description: For an instance its number, from 1; 0 for others.
      returned: always
      type: int
    port_name:
      description: What the port is called; empty for the only one of a service that gives it no name.
      returned: always
      type: str
    port:
      description: The port that it has on this host.
      returned: always
      type: int
    protocol:
      description: tcp or udp.
      returned: always
      type: str
    address:
      description: Where to ask it on its own host.
      returned: always
      type: str
    health:
      description: How the service is; none, ok, not_ready or failed.
      returned: always
      type: str
    stopped:
      description: Whether somebody has stopped it, or the whole stack.
      returned: always
      type: bool
    checks:
      description: The health checks that ask this port; C(AskedHow) in C(docs/reference/report.schema.json).
      returned: always
      type: list
      elements: dict
seen:
  description: What is known of the host.
  returned: when the manifest is in order
  type: dict
  contains:
    reached:
      description: Whether it has answered.
      returned: always
      type: bool
    why:
      description: Why it did not; empty when it did.
      returned: always
      type: str
    version:
      description: Version of its engine; empty when there is none.
      returned: always
      type: str
    healthy:
      description: Whether every check of its verdict passed; null where nothing is installed.
      returned: always
      type: bool
    failing:
      description: The checks that failed, each with its subject.
      returned: always
      type: list
      elements: str
    stopped:
      description: By whom its stack was stopped on purpose, and when; empty when it was not.
      returned: always
      type: str
    refused:
      description: Why the run to come would be refused; empty when it would not.
      returned: always
      type: str
    cure:
      description: What to do about that on the host; empty when nobody has said it.
      returned: always
      type: str
    changes:
      description: Whether that run would change anything; true where that cannot be said.
      returned: always
      type: bool
    rollout:
      description: The last rollout that came to it; null when there was none.
      returned: always
      type: dict
    machine:
      description: What two names of one machine have in common; empty where that is not known.
      returned: always
      type: str
    at_work:
      description: The run that has its stack locked; empty when there is none.
      returned: always
      type: str
    generation:
      description: The generation that is in place; empty when there is none.
      returned: always
      type: str
    verified:
      description: Whether that was ever proved, and has kept up since.
      returned: always
      type: bool
    release:
      description: The release of the application's code that is installed for its services; empty without one.
      returned: always
      type: str
    running:
      description: The releases that its processes work in, run or have open.
      returned: always
      type: list
      elements: str
    drains:
      description: By what the rollout to come drains it.
      returned: always
      type: str
    once:
      description: By oneshot of the manifest that runs on one host for all the host that it runs on.
      returned: always
      type: dict
    steps:
      description: Those of them that the run to come would run here.
      returned: always
      type: list
      elements: str
    one_way:
      description: Those of these over which no host goes back by itself.
      returned: always
      type: list
      elements: str
    moves:
      description: The services that get another port, each with the old one and the new.
      returned: always
      type: list
      elements: list
    limit:
      description: The seconds that the run to come takes at the longest, a way back included.
      returned: always
      type: float
    over:
      description: One-way steps that have run since what the manifest has was in place here.
      returned: always
      type: list
      elements: str
"""
