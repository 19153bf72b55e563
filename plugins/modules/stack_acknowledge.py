#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_acknowledge
short_description: Say that what was wrong with a stack until now is known
version_added: 0.2.0
description:
  - Acknowledges the last run that failed, and the critical lines in the logs. They are not told or judged any more.
  - It says what it has acknowledged. With nothing to acknowledge it changes nothing.
  - It repairs nothing.
requirements:
  - The role P(rollcall.supervisor.bootstrap#role) has prepared the host. The engine that it installed does the work.
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
"""

EXAMPLES = r"""
- name: Say that what was wrong until now is known
  rollcall.supervisor.stack_acknowledge:
    root: /opt/trading
"""

RETURN = r"""
ok:
  description: Whether the engine has answered.
  returned: always
  type: bool
report:
  description: What was acknowledged.
  returned: when the engine has answered
  type: dict
  contains:
    stack:
      description: Name of the stack.
      returned: always
      type: str
    ok:
      description: Always true.
      returned: always
      type: bool
    root:
      description: Its directory.
      returned: always
      type: str
    host:
      description: Name of the host.
      returned: always
      type: str
    check:
      description: Whether it was only asked what would be acknowledged.
      returned: always
      type: bool
    who:
      description: Who has acknowledged it.
      returned: always
      type: str
    changed:
      description: Whether there was anything to acknowledge.
      returned: always
      type: bool
    failure:
      description: The last run that failed; null when there is none.
      returned: always
      type: dict
    logs:
      description: Of each log that has some, its critical lines, and before them the parts that cannot be judged.
      returned: always
      type: dict
    exits:
      description: How often each service has ended by itself that did.
      returned: always
      type: dict
    jobs:
      description: The last run of the job of each timer of which that has failed.
      returned: always
      type: dict
text:
  description: The same for people.
  returned: when the engine has answered
  type: str
error:
  description: Why nothing could be done, with C(message), C(kind), C(evidence) and C(remedies).
  returned: on such a failure
  type: dict
"""
