#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: supervisor_program
short_description: Bring programs of a supervisord into a state, and wait until they are in it
version_added: 0.2.0
description:
  - Starts, stops, restarts, signals, adds and removes programs and groups of any supervisord, many in one task.
    Neither Rollcall nor C(supervisorctl) need be installed on the host.
  - Everything goes over one connection to supervisord's socket. Programs start and stop at the same time, not one after
    the other, and the task ends when supervisord reports the wanted state of each.
  - Fails before anything is done when names do not exist, and tells all of them.
  - A program that fails ends the waiting for it at once, with its state, its spawn error and what it has written since
    the task began. The task still waits for the others.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
attributes:
  check_mode:
    support: full
    details:
      - With O(state=present) supervisord reads its configuration in check mode, too, or nobody could tell what it has.
        Nothing is started, stopped, added or removed by that.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - O(state=restarted) and O(state=signalled) do something each time.
author:
  - Rollcall authors (@rollcall)
options:
  socket:
    description:
      - The socket of supervisord, C(file) in the section C(unix_http_server) of its configuration.
      - Exactly one of O(socket) and O(root) must be given.
    type: path
  root:
    description:
      - Directory of a stack that Rollcall has installed, whose supervisord is meant. Nothing is done while that
        stack is locked by another run.
    type: path
  name:
    description:
      - The programs. V(web) is a program or a whole group, V(shop:worker) a program of a group, V(shop:) or V(shop:*) a
        group, and V(all) is everything.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(started) is RUNNING, for O(stable_for) seconds without another process in between.
      - V(stopped) is without a process.
      - V(restarted) is V(started) with a process that is not the one before, and also starts what was down.
      - V(signalled) sends O(signal). Of a group or V(all), those that have no process are left out; a program that is
        named by itself must have one.
      - V(present) has the configuration read again and takes groups of it into the active one. What C(autostart) then
        starts is waited for as for V(started).
      - V(absent) stops all programs of the groups and takes the groups out of the active configuration. Files stay.
      - The last two are for whole groups, for supervisord knows no other way. A program without a group is a group of
        its own.
    type: str
    choices: [started, stopped, restarted, signalled, present, absent]
    required: true
  signal:
    description:
      - The signal for O(state=signalled), by name or number, such as V(HUP), V(SIGUSR1) or V(10).
    type: str
  update:
    description:
      - With O(state=present), stop groups whose configuration has changed and add them anew. Otherwise they run on as
        they are and are listed in RV(outdated).
    type: bool
    default: false
  stable_for:
    description:
      - Seconds that a process must have lived to count as started. Where C(startsecs) is as much or more, this adds no
        time.
    type: float
    default: 1
  timeout:
    description:
      - Seconds that everything may take, beyond the longest C(stopwaitsecs) and C(startsecs) of the programs
        themselves.
    type: float
    default: 30
  username:
    description:
      - User name, when the section C(unix_http_server) asks for one.
    type: str
  password:
    description:
      - Password that belongs to O(username).
    type: str
notes:
  - C(RUNNING) is what supervisord says of a process. Whether a service of a stack answers on its own port is what
    M(rollcall.supervisor.stack_verify) says.
  - supervisord's HTTP server on a TCP port is not used. The task runs on the host of the supervisord.
  - supervisord does not tell its configuration when a log of any program may have 2 GiB or more. A new group is then
    one entry of RV(programs) in check mode, and for O(timeout) the defaults of C(startsecs) and C(stopwaitsecs) count.
seealso:
  - module: rollcall.supervisor.stack_restart
"""

EXAMPLES = r"""
- name: Take new programs in, and those whose configuration has changed
  rollcall.supervisor.supervisor_program:
    socket: /run/supervisor.sock
    name: [web, shop]
    state: present
    update: true

- name: Restart two programs and a group at the same time
  rollcall.supervisor.supervisor_program:
    socket: /run/supervisor.sock
    name: [web, mail, "shop:*"]
    state: restarted

- name: Have all workers open their logs again
  rollcall.supervisor.supervisor_program:
    socket: /run/supervisor.sock
    name: shop
    state: signalled
    signal: USR2

- name: Stop everything of a stack
  rollcall.supervisor.supervisor_program:
    root: /opt/trading
    name: all
    state: stopped
"""

RETURN = r"""
programs:
  description: Each program that was meant. In check mode what it would be.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The program, with its group in front when that is called otherwise.
      returned: always
      type: str
    group:
      description: Its group.
      returned: always
      type: str
    action:
      description:
        - V(started), V(stopped), V(restarted), V(signalled), V(added) or V(removed); null when it was left alone.
      returned: always
      type: str
    before:
      description: Its state before, such as V(RUNNING), or V(absent).
      returned: always
      type: str
    after:
      description: Its state after.
      returned: always
      type: str
    pid_before:
      description: Its process before; null when it had none.
      returned: always
      type: int
    pid_after:
      description: Its process after; null when it has none, and in check mode for a process that is yet to be.
      returned: always
      type: int
actions:
  description: What was done, in this order, or would be.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: V(signal), V(stop), V(remove), V(add) or V(start).
      returned: always
      type: str
    name:
      description: The program; for V(remove) and V(add) the group.
      returned: always
      type: str
outdated:
  description: Groups that run on with another configuration than the files have. Empty unless O(state=present).
  returned: success
  type: list
  elements: str
error:
  description:
    - Why it did not come to that state, with C(message), C(kind), C(evidence) and C(remedies).
    - With the kind V(refused) or V(wrong_use) nothing was done.
  returned: failure
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.programs.execution import (
    SupervisordAddress,
    carry_out,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.programs.plan import STATES, WantedPrograms
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.module_end import end
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.words import Reader
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.known_secrets import without_secrets


def run(params: t.Mapping[str, t.Any], *, check_mode: bool) -> t.Dict[str, t.Any]:
    """Return the module's result."""
    where = SupervisordAddress(params["socket"], params["root"], params["username"], params["password"])
    wanted = WantedPrograms(
        tuple(params["name"]), params["state"], params["signal"], params["update"], params["stable_for"]
    )
    return carry_out(where, wanted, timeout=params["timeout"], dry_run=check_mode)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path"},
            "root": {"type": "path"},
            "name": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": list(STATES), "required": True},
            "signal": {"type": "str"},
            "update": {"type": "bool", "default": False},
            "stable_for": {"type": "float", "default": 1},
            "timeout": {"type": "float", "default": 30},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
        },
        mutually_exclusive=[("socket", "root")],
        required_one_of=[("socket", "root")],
        required_together=[("username", "password")],
        required_if=[("state", "signalled", ["signal"])],
        supports_check_mode=True,
    )
    root = module.params["root"]
    end(
        module,
        lambda: run(module.params, check_mode=module.check_mode),
        told=lambda found: without_secrets(found, root),
        reader=Reader(root),
    )


if __name__ == "__main__":
    main()
