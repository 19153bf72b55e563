#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_up_info
short_description: See whether a host is up and has its users
version_added: 0.2.0
description:
  - Asks a host whether its verdict is good and whether a rollout has it drained. Nothing is written.
  - A host that cannot be reached is an answer as well, and no failure of this task.
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
  patience:
    description:
      - How many seconds the host has to answer; V(0) for any time. One that does not is not reached, and no failure of
        this task, as it would be with Ansible's C(timeout).
    type: float
    default: 0
"""

EXAMPLES = r"""
- name: See whether the host is up
  rollcall.supervisor.rollout_up_info:
    root: /opt/shop
  register: seen
"""

RETURN = r"""
up:
  description: Whether it is healthy and not drained.
  returned: always
  type: bool
why:
  description: Why it is not up; empty when it is.
  returned: always
  type: str
"""
