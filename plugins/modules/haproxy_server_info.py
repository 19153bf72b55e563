#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_server_info
short_description: See the servers of a host as HAProxy sees them
version_added: 0.2.0
description:
  - Tells of each server whether HAProxy sees it up, whether it is drained, and by whom. Changes nothing.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
  - rollcall.supervisor.balancer
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
author:
  - Rollcall authors (@rollcall)
seealso:
  - module: rollcall.supervisor.haproxy_server
"""

EXAMPLES = r"""
- name: See whether the balancer has the host
  rollcall.supervisor.haproxy_server_info:
    host: "{{ inventory_hostname }}"
  delegate_to: lb1
  register: seen
"""

RETURN = r"""
servers:
  description: The servers that are meant, as they are.
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
      description: For whom, as M(rollcall.supervisor.haproxy_server) was told; null when nothing is.
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
    - Why nothing could be said, with C(message), C(kind), C(evidence) and C(remedies). C(evidence.code) is
      V(no_server), V(silent) or V(garbage).
  returned: failure
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.drain import look, wanted_servers
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.module_end import end


def run(params: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Return the module's result."""
    return look(wanted_servers(params))


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "sockets": {"type": "list", "elements": "str", "default": ["/run/haproxy/admin.sock"]},
            "servers": {"type": "list", "elements": "str", "default": []},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "record_directory": {"type": "path", "default": "/var/lib/rollcall/drained"},
        },
        supports_check_mode=True,
    )
    end(module, lambda: run(module.params))


if __name__ == "__main__":
    main()
