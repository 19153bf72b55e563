#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report_info
short_description: See what a host has for the page of the fleet
version_added: 0.2.0
description:
  - Asks a host how its stack is, for its latest runs, for the last rollout that came to it, and for what its watcher
    remembers. Nothing is written.
  - A host that cannot be reached is an answer as well, and no failure of this task, and so is one without an engine.
  - M(rollcall.supervisor.report_page) makes one page of it.
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
- name: See what the host has for the page
  rollcall.supervisor.report_info:
    root: /opt/trading
  register: report_asked
"""

RETURN = r"""
ok:
  description: Always true.
  returned: always
  type: bool
reached:
  description: Whether the host has answered.
  returned: always
  type: bool
why:
  description: Why it did not; empty when it did.
  returned: always
  type: str
by:
  description: The command with which its manifest is applied.
  returned: always
  type: str
host:
  description:
    - What it has told. The keys are those of C(HostTold) in C(docs/reference/report.schema.json).
  returned: when the host has answered
  type: dict
"""
