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
  - rollcall.supervisor.apply
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
  returned: when there was a run, or the manifest is not in order
  type: bool
msg:
  description: Why it is not, in a few words.
  returned: when RV(ok) is false, or a rollout could not begin
  type: str
settled:
  description: Whether nothing is left to do, what starts the stack after a boot included.
  returned: when the manifest is in order
  type: bool
unprepared:
  description: Whether nothing was done because the host is not as the role bootstrap prepares it.
  returned: with O(begin), on such a host
  type: bool
begun:
  description:
    - What M(rollcall.supervisor.rollout_step) would have returned for the begin of the host's rollout. The task fails
      when it could not be written down, and there is no RV(ok) then.
  returned: with O(begin), on a host that is prepared
  type: dict
noted:
  description: What M(rollcall.supervisor.rollout_step) would have returned for the end of the host's rollout.
  returned: when O(rollout) was given, and the host is done
  type: dict
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
