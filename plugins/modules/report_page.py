#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: report_page
short_description: Write the page of a fleet
version_added: 0.2.0
description:
  - Writes one file of HTML that needs nothing else, of what M(rollcall.supervisor.report_info) has returned on each
    host. Problems come first, each with its evidence and the command to copy.
  - A host that was not reached is told with since when, and never with how it was before. The page remembers that
    itself, so give the same path each time.
  - Works on the controller alone. The file is replaced as a whole. One that is no page of Rollcall is left alone.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - The page says when it was made.
author:
  - Rollcall authors (@rollcall)
options:
  path:
    description:
      - The file, on the controller. Its directory must be there. A new file has the mode 0640; one that is there keeps
        its own.
    type: path
    required: true
  answers:
    description:
      - What M(rollcall.supervisor.report_info) has returned, by host, in the order of the inventory.
    type: dict
    required: true
  inventory:
    description:
      - All hosts that there are. What is remembered of one that was not asked this time is kept.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Write the page
  rollcall.supervisor.report_page:
    path: /var/www/fleet.html
    answers: "{{ dict(__hosts | zip(__hosts | map('extract', hostvars, 'report_asked'))) }}"
    inventory: "{{ groups['all'] }}"
  vars:
    __hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
well:
  description: Whether there is nothing to see to on any host.
  returned: success
  type: bool
bytes:
  description: The size of the page.
  returned: success
  type: int
text:
  description: In a few words how the hosts are, and the file.
  returned: success
  type: str
error:
  description: Why it was not written, with C(message), C(kind), C(evidence) and C(remedies).
  returned: failure
  type: dict
"""
