#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_server
short_description: Drain the servers of a host in HAProxy, and bring them back
version_added: 0.2.0
description:
  - Speaks with the runtime socket of one or several HAProxys, 2.6 or later. Nothing need be installed on their host.
  - Everything is under one deadline. The task ends when HAProxy says that it is so, and never before.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
  - rollcall.supervisor.balancer
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
  state:
    description:
      - V(drained) lets a server get no new requests, waits until it has no session, and puts it into maintenance. A
        server that is down gets none, so nothing is waited for. All servers of the host are drained before the first
        is in maintenance.
      - V(ready) brings back what this module has taken out. A server gets its first request when a check that began
        then has passed, and the task ends when HAProxy sees it up.
      - A server that somebody else has taken out stays as it is, and RV(servers[].owner) is V(other).
    type: str
    choices: [drained, ready]
    required: true
  timeout:
    description:
      - Seconds that sessions have to end, or that HAProxy has to see the servers up.
      - A server that is not up by then is a failure. It is ready all the same, and gets requests when HAProxy sees it
        up.
    type: float
    default: 60
  policy:
    description:
      - What is done with sessions that are left after O(timeout).
      - V(fail) puts the servers that were in use before into use again, and fails.
      - V(force) ends the sessions.
    type: str
    choices: [fail, force]
    default: fail
  others_up:
    description:
      - How many other servers of each backend must be up. With fewer nothing is drained, and the task fails.
    type: int
    default: 0
  by:
    description:
      - For whom, such as the id of a rollout. It is returned as RV(drained.by) until the servers are back.
    type: str
    default: ''
  ports:
    description:
      - With V(ready), the port that a server has by now, by the one that HAProxy has for it. HAProxy is told before the
        server gets its first request. Its configuration file is left as it is.
    type: dict
    default: {}
notes:
  - In C(mode http) a session is a request, and an idle connection is none. In C(mode tcp) a connection is a session as
    long as it is open, also an idle one; a C(timeout client) that is shorter than O(timeout) ends it.
  - A reload of HAProxy forgets what was ordered by its socket. A reload while this module waits is made good; one after
    that is not. The old process of a reload keeps its sessions, and nobody sees them.
"""

EXAMPLES = r"""
- name: Take a host out of the balancer
  rollcall.supervisor.haproxy_server:
    host: "{{ inventory_hostname }}"
    state: drained
    timeout: 120
    others_up: 1
  delegate_to: lb1

- name: Bring it back, and wait until the balancer sees it up
  rollcall.supervisor.haproxy_server:
    host: "{{ inventory_hostname }}"
    state: ready
  delegate_to: lb1
"""

RETURN = r"""
servers:
  description: The servers that are meant, as they are at the end; in check mode as they are.
  returned: success
  type: list
  elements: dict
  contains:
    balancer:
      description: The runtime socket of its HAProxy.
      returned: always
      type: str
    backend:
      description: Its backend.
      returned: always
      type: str
    server:
      description: Its name there.
      returned: always
      type: str
    address:
      description: Where HAProxy finds it.
      returned: always
      type: str
    port:
      description: The port there; null when it has none.
      returned: always
      type: int
    status:
      description: What HAProxy calls its state, such as V(UP), V(DOWN), V(DRAIN), V(MAINT) or V(no check).
      returned: always
      type: str
    state:
      description: V(ready), V(draining) or V(drained). One that is V(ready) may be down.
      returned: always
      type: str
    up:
      description:
        - Whether it is ready and HAProxy sees it up, by a check that has passed. Without a check HAProxy takes every
          server for up.
      returned: always
      type: bool
    checked:
      description: Whether a check of its own says so.
      returned: always
      type: bool
    check:
      description: What the last check has said, such as V(L7OK); null when there is none, and in maintenance.
      returned: always
      type: str
    sessions:
      description: How many sessions it has.
      returned: always
      type: int
    idle:
      description: Seconds since it was last given a session; null when it never was.
      returned: always
      type: int
    owner:
      description: Who has taken it out, V(rollcall) or V(other); null when it is ready.
      returned: always
      type: str
drained:
  description: What this module has taken out and not brought back.
  returned: success
  type: dict
  contains:
    by:
      description: For whom, as O(by); null when nothing is.
      returned: always
      type: str
    since:
      description: Since when, in seconds since the epoch; null when nothing is.
      returned: always
      type: float
    servers:
      description: The servers, as C(BACKEND/SERVER).
      returned: always
      type: list
      elements: str
error:
  description:
    - Why it did not come to that, with C(message), C(kind), C(evidence) and C(remedies). C(evidence.code) is
      V(no_server), V(too_few), V(sessions), V(not_up), V(silent), V(denied) or V(garbage).
    - With the kind V(refused) or V(wrong_use) nothing was done.
  returned: failure
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.drain import drain, undrain, wanted_servers
from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.plan import DRAIN_POLICIES, FAIL
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.module_end import end


def run(params: t.Mapping[str, t.Any], *, check_mode: bool) -> t.Dict[str, t.Any]:
    """Return the module's result."""
    wanted = wanted_servers(params, params["by"])
    if params["state"] == "ready":
        ports = {int(old): int(new) for old, new in params["ports"].items()}
        return undrain(wanted, timeout=params["timeout"], ports=ports, dry_run=check_mode)
    return drain(
        wanted,
        timeout=params["timeout"],
        policy=params["policy"],
        others_up=params["others_up"],
        dry_run=check_mode,
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "sockets": {"type": "list", "elements": "str", "default": ["/run/haproxy/admin.sock"]},
            "servers": {"type": "list", "elements": "str", "default": []},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "record_directory": {"type": "path", "default": "/var/lib/rollcall/drained"},
            "state": {"type": "str", "choices": ["drained", "ready"], "required": True},
            "timeout": {"type": "float", "default": 60},
            "policy": {"type": "str", "choices": list(DRAIN_POLICIES), "default": FAIL},
            "others_up": {"type": "int", "default": 0},
            "by": {"type": "str", "default": ""},
            "ports": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    end(module, lambda: run(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
