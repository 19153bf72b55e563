#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_config
short_description: Publish services with HAProxy, without a lost connection
version_added: 0.2.0
description:
  - Writes the whole C(haproxy.cfg), and has a running HAProxy, 2.6 or later, be as it says.
  - Servers come, go and move by the runtime socket. Anything else that has changed needs a reload, in which each server
    keeps its state. What is drained or in maintenance stays so.
  - HAProxy itself has to take the file for right before it is put in place.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
author:
  - Rollcall authors (@rollcall)
options:
  services:
    description:
      - What is published, as M(rollcall.supervisor.edge_plan) returns it.
    type: list
    elements: dict
    required: true
  path:
    description: The configuration.
    type: path
    default: /etc/haproxy/haproxy.cfg
  program:
    description: Path of HAProxy.
    type: path
    default: /usr/sbin/haproxy
  socket:
    description: Path of the runtime socket that the configuration gets.
    type: str
    default: /run/haproxy/admin.sock
  states:
    description: Path of the file by which a new process of HAProxy is told the states of its servers.
    type: str
    default: /var/lib/haproxy/rollcall.states
  user:
    description: The user that HAProxy runs as; empty for whoever starts it.
    type: str
    default: haproxy
  group:
    description: Its group; empty for that one's.
    type: str
    default: haproxy
  chroot:
    description: Its root directory; empty for none.
    type: str
    default: /var/lib/haproxy
  log:
    description: Where it logs, a socket or an address; empty for nowhere.
    type: str
    default: /dev/log
  timeouts:
    description: Seconds to C(connect) to a server, and that C(client) and C(server) may be silent.
    type: dict
    default: {}
  extra:
    description: Sections of your own, at the end of the configuration.
    type: str
    default: ''
  reload:
    description: The command that starts HAProxy, or has it read its configuration again.
    type: list
    elements: str
    default: [systemctl, reload-or-restart, haproxy]
  replace:
    description:
      - Whether a configuration is replaced that Rollcall has not made. One that is as the package of Debian has brought
        it is replaced in any case.
    type: bool
    default: false
  timeout:
    description:
      - Seconds that a reload may take, and that new servers have to be up before others are taken out in their favour.
    type: float
    default: 30
  drain_timeout:
    description: Seconds that sessions have to end of a server that is taken out.
    type: float
    default: 60
  policy:
    description:
      - What is done with sessions that are left after O(drain_timeout).
      - V(fail) puts the server into use again, and fails. V(force) ends them.
    type: str
    choices: [fail, force]
    default: fail
  record_directory:
    description: Directory of the records of what was drained, see M(rollcall.supervisor.haproxy_server).
    type: path
    default: /var/lib/rollcall/drained
notes:
  - The runtime socket forgets nothing of O(services) when HAProxy is restarted, for the file has the same.
seealso:
  - module: rollcall.supervisor.edge_plan
  - module: rollcall.supervisor.haproxy_server
"""

EXAMPLES = r"""
- name: Publish
  rollcall.supervisor.haproxy_config:
    services: "{{ planned.services }}"
"""

RETURN = r"""
reloaded:
  description: Whether HAProxy was started, or has read its configuration anew; in check mode whether it would.
  returned: success
  type: bool
servers:
  description: The servers that have changed.
  returned: success
  type: list
  elements: dict
  contains:
    backend:
      description: Its backend, which is called as its service.
      returned: always
      type: str
    server:
      description: Its name there.
      returned: always
      type: str
    change:
      description:
        - V(added), V(moved), V(weighted), V(removed), or V(returned) where an earlier run was cut off removing it.
      returned: always
      type: str
error:
  description:
    - Why it did not come to that, with C(message), C(kind), C(evidence) and C(remedies). C(evidence.code) is V(wrong),
      V(foreign), V(rejected), V(not_loaded), V(different), or one of M(rollcall.supervisor.haproxy_server).
    - With the kind V(refused) or V(wrong_use), and with the code V(rejected), nothing was done.
  returned: failure
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.edge import EdgePlace, converge
from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.edge_data import config_of
from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.plan import DRAIN_POLICIES, FAIL
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.module_end import end


def run(params: t.Mapping[str, t.Any], *, check_mode: bool) -> t.Dict[str, t.Any]:
    """Return the module's result."""
    place = EdgePlace(
        config=params["path"],
        program=params["program"],
        reload=tuple(params["reload"]),
        replace=params["replace"],
        timeout=params["timeout"],
        drain_timeout=params["drain_timeout"],
        policy=params["policy"],
        records=params["record_directory"],
    )
    return converge(config_of(params), place, dry_run=check_mode)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "services": {"type": "list", "elements": "dict", "required": True},
            "path": {"type": "path", "default": "/etc/haproxy/haproxy.cfg"},
            "program": {"type": "path", "default": "/usr/sbin/haproxy"},
            "socket": {"type": "str", "default": "/run/haproxy/admin.sock"},
            "states": {"type": "str", "default": "/var/lib/haproxy/rollcall.states"},
            "user": {"type": "str", "default": "haproxy"},
            "group": {"type": "str", "default": "haproxy"},
            "chroot": {"type": "str", "default": "/var/lib/haproxy"},
            "log": {"type": "str", "default": "/dev/log"},
            "timeouts": {"type": "dict", "default": {}},
            "extra": {"type": "str", "default": "", "no_log": True},
            "reload": {"type": "list", "elements": "str", "default": ["systemctl", "reload-or-restart", "haproxy"]},
            "replace": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 30},
            "drain_timeout": {"type": "float", "default": 60},
            "policy": {"type": "str", "choices": list(DRAIN_POLICIES), "default": FAIL},
            "record_directory": {"type": "path", "default": "/var/lib/rollcall/drained"},
        },
        supports_check_mode=True,
    )
    end(module, lambda: run(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
