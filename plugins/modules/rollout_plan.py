#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_plan
short_description: Decide a rollout from what the hosts have answered
version_added: 0.2.0
description:
  - Decides who goes in which order and in which batch, or fails with every reason why no host is touched.
  - The same host leads every rollout, the first of the inventory that can take part. There two of them meet.
  - Hosts on which an earlier rollout has left something undone come before all others. Hosts on which there is nothing
    to do are left alone.
  - Fails as well when the only hosts that may have something to do were not reached.
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
  batches:
    description:
      - How many hosts go at once, as the play keyword C(serial) takes it. The last one is repeated.
    type: raw
    default: 100%
  unreachable:
    description:
      - What becomes of the rollout when a host cannot be reached. V(stop) touches nobody; V(skip) leaves it out.
    type: str
    choices: [stop, skip]
    default: stop
  unhealthy_before:
    description:
      - What becomes of it when a host is not healthy. V(stop) touches nobody; V(repair) goes to it like to any other.
    type: str
    choices: [stop, repair]
    default: stop
  takeover:
    description:
      - The id of a rollout whose controller is gone, so that its hosts may be gone on with.
    type: str
    default: ""
  drain:
    description:
      - By what the hosts are drained, as of the role P(rollcall.supervisor.drain#role). It decides what becomes of a
        service that gets another port.
    type: str
    default: none
  numbers:
    description:
      - Numbers that were given for the rollout, by variable. What is none is a reason to touch nobody.
    type: dict
    default: {}
  min_up:
    description:
      - How many hosts, or which share of them, such as V(80%), must be up before a batch begins and while it is away.
    type: raw
    default: 0
  on_failure:
    description:
      - What becomes of the hosts that are done when another one fails. V(stop) leaves them; V(revert) has them go back.
        The text says so before.
    type: str
    choices: [stop, revert]
    default: stop
"""

EXAMPLES = r"""
- name: Decide who goes when
  rollcall.supervisor.rollout_plan:
    answers: "{{ dict(__hosts | zip(__hosts | map('extract', hostvars, 'rollout_asked'))) }}"
    batches: [1, "25%"]
  vars:
    __hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
  register: rollout_decided
"""

RETURN = r"""
id:
  description: The id of this rollout.
  returned: always
  type: str
order:
  description: What each host is told of it. C(id); C(origin), the id of the first of the rollouts that this one goes on
    with, or its own; C(by), who started it, as user@controller; C(controller), the process that it is, with C(boot),
    C(namespace), C(pid) and C(start); C(over), ids of rollouts whose hosts may be gone on with; C(first), the host
    that leads.
  returned: always
  type: dict
hosts:
  description: The hosts that it goes to, in their order.
  returned: always
  type: list
  elements: str
batches:
  description: The same in batches.
  returned: always
  type: list
  elements: list
left_out:
  description: Hosts that were not reached, with why. They lack what the others get.
  returned: always
  type: dict
set_aside:
  description: Hosts that are as somebody wants them to be, such as stopped, with why.
  returned: always
  type: dict
idle:
  description: Hosts that are healthy, and have nothing to do.
  returned: always
  type: list
  elements: str
reverts:
  description: Whether a rollout was cut off while it took hosts back. Then this one does that, and brings nothing new.
  returned: always
  type: bool
back:
  description: The hosts that go back then, in their order.
  returned: always
  type: list
  elements: str
earlier:
  description: By host that a rollout has done before it was cut off, and that has nothing to do, where it stands, with
    C(before) and C(generation).
  returned: always
  type: dict
steps:
  description: The oneshots that would run on one host for all of them. That host is the first one.
  returned: always
  type: list
  elements: str
one_way:
  description: One-way steps that have run already in the rollout with which this one goes on.
  returned: always
  type: list
  elements: str
before:
  description: By host the generation that was in place before the rollout began there; empty where there was none.
  returned: always
  type: dict
generations:
  description: By host the generation that is in place; empty where there is none.
  returned: always
  type: dict
began:
  description: When it began, in seconds since the epoch.
  returned: always
  type: float
group:
  description: The hosts that count where some must be up.
  returned: always
  type: list
  elements: str
min_up:
  description: How many of them must be up.
  returned: always
  type: int
ports:
  description: By host the ports that services move between, each by the other one.
  returned: always
  type: dict
drained:
  description: The hosts that an earlier rollout has left drained.
  returned: always
  type: list
  elements: str
still_out:
  description: The hosts that an earlier rollout has left drained and that are well, where O(min_up) says how
    many have to be up.
  returned: always
  type: list
  elements: str
limits:
  description: By host how many seconds it may take.
  returned: always
  type: dict
progress:
  description: How many seconds ago the last host may have been proved.
  returned: always
  type: float
roots:
  description: By host the directory of its stack.
  returned: always
  type: dict
error:
  description: That hosts were left out and no other one has anything to do, with C(message), C(kind), C(evidence) and
    C(remedies).
  returned: on such a failure
  type: dict
text:
  description: Who goes when, for people.
  returned: always
  type: str
"""
