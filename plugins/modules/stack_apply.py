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
  - rollcall.supervisor.flush
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
  manifest:
    description:
      - The manifest as data. Together with O(file) it is laid over what the file says.
    type: dict
    default: {}
  file:
    description:
      - A manifest file on the controller, YAML or JSON. Its text is data; nothing in it is executed.
    type: path
  release:
    description:
      - The id of the release of the application's code that the services are to run, as M(rollcall.supervisor.release)
        returns it. Without it they run none.
    type: str
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
  on_failure:
    description:
      - What becomes of a new generation that does not hold. V(leave) leaves it in place; V(rollback) restores the last
        generation whose verdict held and verifies it. The run fails in either case.
      - Without an earlier verified generation there is nothing to go back to, and it is left in place.
    type: str
    choices: [leave, rollback]
    default: leave
  automatic:
    description:
      - Whether a program asks for the run and not a person. Such a run counts against the C(restart_budget) of the
        manifest, and is refused when that is spent.
    type: bool
    default: false
  fail:
    description:
      - Whether the task fails when the run was refused, came to no verdict, or its verdict does not hold.
      - With V(false) that is for the playbook to ask, by RV(ok) and RV(msg). Ansible shows the whole result of a task
        that fails, and a report has hundreds of lines.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Bring the stack to what its manifest says
  rollcall.supervisor.stack_apply:
    manifest: "{{ rollcall_stack }}"
    template: "{{ role_path }}/templates/supervisord.conf.j2"
"""

RETURN = r"""
ok:
  description: Whether the run came to a verdict and every condition of it held; in check mode, whether it is planned.
  returned: always
  type: bool
msg:
  description: Why it is not, in a few words.
  returned: when RV(ok) is false
  type: str
unplanned:
  description: Why nothing could be planned for this host, a sentence. RV(changed) is true then.
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
  description: The verdict, with everything that was seen and done.
  returned: when the run came to a verdict, or in check mode
  type: dict
  contains:
    stack:
      description: Name of the stack.
      returned: always
      type: str
    ok:
      description: Whether every condition held.
      returned: always
      type: bool
    result:
      description:
        - V(ok), V(held), V(degraded), V(rolled_back) or V(rollback_failed), or V(planned) in check mode.
        - Only V(ok) is success.
      returned: always
      type: str
    mode:
      description: The mode of the run.
      returned: always
      type: str
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
    actions:
      description: What was done, or would be in check mode, and why.
      returned: always
      type: list
      elements: dict
    generation:
      description: Which generation is in place, by its C(id), and whether it is C(verified).
      returned: when there is one
      type: dict
    held:
      description: Services that stay down because something they require is missing, with the reason.
      returned: always
      type: dict
    limit:
      description: Seconds that the run could have taken at the longest.
      returned: always
      type: float
    manifest_digest:
      description: What tells this manifest, with its config and private files, from others.
      returned: always
      type: str
    notes:
      description: What did not answer or refused on the way, where the run went on all the same.
      returned: always
      type: list
      elements: str
    signals:
      description: Processes outside of supervisord that were ended.
      returned: always
      type: list
      elements: dict
    timings:
      description:
        - Seconds of each phase; C(running) and C(healthy) are those from the start of the services until the last of
          them was RUNNING, and had answered.
      returned: always
      type: dict
    run:
      description: Id of the run, the name of its record on the host.
      returned: always
      type: str
error:
  description:
    - Why the run was refused or could not come to a verdict, with C(message), C(kind), C(evidence) and C(remedies).
  returned: on such a failure
  type: dict
"""
