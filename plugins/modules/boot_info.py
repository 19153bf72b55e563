#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_info
short_description: See what starts a stack after a boot
version_added: 0.2.0
description:
  - Asks the host, by one command of its shell, for units of systemd and property lists of launchd that start a stack.
    Tells which of them is missing, differs or is not wanted. Changes nothing.
  - Fails when the user who installs cannot have what is wanted, and when another stack has the name already.
  - Used by the role P(rollcall.supervisor.services#role), which has the templates.
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
  manifest:
    description:
      - The normalised manifest, as M(rollcall.supervisor.manifest_info) returns it.
    type: dict
    required: true
  wanted:
    description:
      - What is to start the stack. V(auto) is V(systemd) where that runs and root installs, else V(none).
    type: str
    choices: [auto, systemd, user, launchd, none]
    default: auto
  after:
    description:
      - Units of systemd that are up before the stack starts.
    type: list
    elements: str
    default: []
  templates:
    description:
      - Directory on the controller with the templates C(unit.service.j2), C(launchd.plist.j2), C(job.service.j2) and
        C(job.timer.j2).
    type: path
    required: true
"""

EXAMPLES = r"""
- name: See what starts the stack after a boot
  rollcall.supervisor.boot_info:
    manifest: "{{ checked.manifest }}"
    templates: "{{ role_path }}/templates/boot"
  register: boot
"""

RETURN = r"""
kind:
  description: What is to start the stack, V(systemd), V(user), V(launchd) or V(none).
  returned: success
  type: str
install:
  description: Whether that is to be put there. False when it is there already, with this text, enabled and active.
  returned: success
  type: bool
present:
  description: Whether something of this kind is there already.
  returned: success
  type: bool
remove:
  description: The kinds that start the stack and are not to.
  returned: success
  type: list
  elements: str
settled:
  description: Whether all of it is as it is to be, so that nothing has to be put there or taken away.
  returned: success
  type: bool
places:
  description: The path of what starts the stack, by kind.
  returned: success
  type: dict
text:
  description: The content of that file; empty for V(none).
  returned: success
  type: str
timers_install:
  description: The units that run the jobs of timers and are not there as they are wanted, each with C(name), C(kind),
    C(path), C(text), and whether it is a C(timer).
  returned: success
  type: list
  elements: dict
timers_remove:
  description: The units that run jobs of the stack and are not to, with the same keys.
  returned: success
  type: list
  elements: dict
user:
  description: Who installs.
  returned: success
  type: str
environment:
  description: Variables by which C(systemctl --user) finds the service manager of that user.
  returned: success
  type: dict
unit:
  description: The name of the unit.
  returned: success
  type: str
service:
  description: The name that C(launchctl) knows the stack by.
  returned: success
  type: str
error:
  description:
    - Why the host has not answered, with C(message), C(kind), C(evidence) and C(remedies). A task with
      C(ignore_unreachable) fails with it, so that its rescue comes; for any other the host is unreachable.
  returned: when the host is lost and that is ignored
  type: dict
"""
