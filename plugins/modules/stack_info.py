#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_info
short_description: See how a stack is
version_added: 0.1.0
description:
  - Returns the state of every service, who listens on its port, its health, and what is wrong.
  - Changes nothing.
  - A stack in trouble is reported, not a failure of this module, unless O(fail) is true.
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
  fail:
    description:
      - Whether the task fails when a check of the verdict fails.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: See how a stack is
  rollcall.supervisor.stack_info:
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
