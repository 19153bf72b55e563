#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_verify
short_description: Prove that a stack runs as its manifest says
version_added: 0.1.0
description:
  - Waits until every process has lived for its C(stable_for), then judges every check of the verdict.
  - Changes nothing.
  - Fails when a check fails, unless O(fail) is false.
requirements:
  - The role P(rollcall.supervisor.bootstrap#role) has prepared the host. The engine that it installed does the work.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
  - rollcall.supervisor.services
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
  soak:
    description:
      - How many seconds each service must have lived without an exit before the verdict.
    type: float
    default: 0
  fail:
    description:
      - Whether the task fails when a check of the verdict fails.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Prove that a stack runs as its manifest says
  rollcall.supervisor.stack_verify:
    root: /opt/trading
  register: trading
"""

RETURN = r"""
ok:
  description: Whether every check of the verdict passed.
  returned: always
  type: bool
report:
  description: What was seen, and the verdict.
  returned: when a stack is installed
  type: dict
  contains:
    stack:
      description: Name of the stack.
      returned: always
      type: str
    ok:
      description: Whether every check of the verdict passed.
      returned: always
      type: bool
    services:
      description: State, pid, port, health and listener of each service.
      returned: always
      type: list
      elements: dict
    checks:
      description: Each condition of the verdict with its evidence and the next command.
      returned: always
      type: list
      elements: dict
error:
  description: Why nothing could be said, with C(message), C(kind), C(evidence) and C(remedies).
  returned: on such a failure
  type: dict
"""
