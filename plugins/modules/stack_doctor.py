#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_doctor
short_description: Find what is wrong with a stack and its host
version_added: 0.2.0
description:
  - Looks over every supervisord of the host, and the stack's processes, ports, files, modes and versions.
  - Each finding has its evidence and the command or edit that cures it.
  - Changes nothing unless O(fix) is true. No process is ended or started in any case.
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
  fix:
    description:
      - Whether to put right what is safe, under the lock of the stack.
      - That is left-over files, modes of Rollcall's own files, missing directories and old records.
    type: bool
    default: false
  fail:
    description:
      - Whether the task fails when an error is left.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: See what is wrong
  rollcall.supervisor.stack_doctor:
    root: /opt/trading
  register: trading

- name: Put right what is safe, and fail when an error is left
  rollcall.supervisor.stack_doctor:
    root: /opt/trading
    fix: true
    fail: true
"""

RETURN = r"""
ok:
  description: Whether no error is left.
  returned: always
  type: bool
report:
  description: What was found.
  returned: when the engine has answered
  type: dict
  contains:
    stack:
      description: Name of the stack, or of its directory when no manifest can be read.
      returned: always
      type: str
    ok:
      description: Whether no error is left.
      returned: always
      type: bool
    findings:
      description:
        - Each has C(name), C(severity) (error, warning or note), C(subject), C(evidence), C(cure), C(data), C(fixable)
          and C(fixed), which is null when nothing was to be done about it.
      returned: always
      type: list
      elements: dict
    supervisors:
      description:
        - Every supervisord of the host with its config, socket, pid file, owner, stack and version, and if it answers.
      returned: always
      type: list
      elements: dict
    limit:
      description: Seconds that this takes at the longest.
      returned: always
      type: float
text:
  description: The same for people.
  returned: when the engine has answered
  type: str
error:
  description: Why nothing could be said, with C(message), C(kind), C(evidence) and C(remedies).
  returned: on such a failure
  type: dict
"""
