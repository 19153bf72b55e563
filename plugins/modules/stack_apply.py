#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_apply
short_description: Apply a manifest to a host, and prove it
version_added: 0.2.0
description:
  - Checks the manifest, has the host give a port to every service with fallback ports, renders C(supervisord.conf), and
    has the host bring the stack to that with the smallest change and verify it.
  - So it does in one task what M(rollcall.supervisor.manifest_info), M(rollcall.supervisor.port_assign) and
    M(rollcall.supervisor.stack_restart) do one after another. The host is asked for ports only when a service has
    fallback ports, and a second time when one was taken meanwhile.
  - In check mode a host whose engine is another version, or that has none, is not asked. RV(unplanned) says so.
requirements:
  - The role P(rollcall.supervisor.bootstrap#role) has prepared the host. The engine that it installed does the work.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
  - rollcall.supervisor.manifest
  - rollcall.supervisor.flush
  - rollcall.supervisor.run
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - Idempotent with O(mode=auto).
author:
  - Rollcall authors (@rollcall)
options:
  release:
    description:
      - The id of the release of the application's code that the services are to run, as M(rollcall.supervisor.release)
        returns it. Without it they run none.
    type: str
  home:
    description:
      - Whether services that have moved to a fallback port get their own ports again, where these are free. Otherwise a
        service keeps the port that it has.
    type: bool
    default: false
  start_stopped:
    description:
      - Whether services that somebody has stopped by name are started, too. Otherwise they stay stopped.
    type: bool
    default: false
  standing:
    description:
      - Commands that have run before and whose changes no way back takes back, such as a migration of a database. They
        are named when the run goes back, and in check mode.
    type: list
    elements: str
    default: []
  boot:
    description:
      - What is to start the stack after a boot, once it is verified. The host notes it, and tells when it is not there.
        The role P(rollcall.supervisor.services#role) installs it. Without a word nothing is noted.
    type: str
    choices: ["", auto, systemd, user, launchd, none]
    default: ""
  template:
    description:
      - Path on the controller of the Jinja template of C(supervisord.conf). Its one variable is C(stack), the
        normalised manifest, and it has the filters of this collection.
    type: path
    required: true
  mode:
    description:
      - What is restarted, as in M(rollcall.supervisor.stack_restart).
    type: str
    choices: [auto, full, quick, emergency, master, force]
    default: auto
"""

EXAMPLES = r"""
- name: Bring the stack to what its manifest says
  rollcall.supervisor.stack_apply:
    manifest: "{{ rollcall_stack }}"
    template: "{{ role_path }}/templates/supervisord.conf.j2"
"""

RETURN = r"""
ok:
  description: Whether the run came to a verdict and every check of it passed; in check mode, whether it is planned.
  returned: always
  type: bool
msg:
  description: Why it is not, in a few words.
  returned: when RV(ok) is false
  type: str
unplanned:
  description: Why nothing could be planned for this host, a sentence. The task is changed then.
  returned: in check mode, when that is so
  type: str
manifest:
  description: The normalised manifest, with the ports that were given, and digests in the place of secrets.
  returned: when the manifest is in order
  type: dict
problems:
  description: What was found in the manifest, with C(place), C(message), C(cure) and C(severity).
  returned: always
  type: list
  elements: dict
moved:
  description: Services whose port is another than before, as in M(rollcall.supervisor.port_assign).
  returned: when the services have their ports
  type: list
  elements: dict
report:
  description: The verdict, with everything that was seen and done, as M(rollcall.supervisor.stack_restart) returns it.
  returned: when the run came to a verdict, or is planned
  type: dict
error:
  description:
    - Why the run was refused or could not come to a verdict, with C(message), C(kind), C(evidence) and C(remedies).
    - C(standing) says how the stack is now. Its C(state) is C(as_it_was), C(up), C(down) or C(unknown); C(running) of
      C(services) run; C(since) is when it went down, in seconds since the epoch, and C(next) the command to run next.
  returned: on such a failure
  type: dict
"""
