#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: port_info
short_description: Tell whether TCP ports are free, and who has taken them
version_added: 0.1.0
description:
  - Shows for each port who listens on it, on which address, and whose process it is.
  - A port is called free only when a bind has proved it. Changes nothing.
requirements:
  - With O(root), the role P(rollcall.supervisor.bootstrap#role) has prepared the host.
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
  ports:
    description:
      - Ports to look at. Without it, those that the stack at O(root) assigns.
    type: list
    elements: int
  root:
    description:
      - Directory of a stack, to tell its own processes from others. Without it, every process is V(foreign).
    type: path
notes:
  - Only root sees the processes of all users. A listener whose process cannot be seen is reported as V(unknown), and
    RV(ports[].complete) is false for its port.
"""

EXAMPLES = r"""
- name: See who has taken the ports of a stack
  rollcall.supervisor.port_info:
    root: /opt/trading
  register: trading

- name: Look at two ports of a host without a stack
  rollcall.supervisor.port_info:
    ports: [8001, 8080]
"""

RETURN = r"""
ports:
  description: One entry for each port.
  returned: success
  type: list
  elements: dict
  contains:
    # begin generated ports
    port:
      description: The port.
      returned: always
      type: int
    protocol:
      description: Whether it is of TCP or of UDP.
      returned: always
      type: str
    service:
      description: Service of the stack that has the port; null when none has.
      returned: always
      type: str
    free:
      description: Whether a server could listen on it, on every address.
      returned: always
      type: bool
    reason:
      description: Why not; null when it is free.
      returned: always
      type: str
    complete:
      description:
        - Whether all who have taken the port are told. False when another may be among the processes that could not be
          looked into, or cannot be seen. True when only closed connections keep it.
      returned: always
      type: bool
    unreadable:
      description: How many processes could not be looked into. Those that the system does not even list do not count.
      returned: always
      type: int
    holders:
      description: Who listens, one entry for each socket and process.
      returned: always
      type: list
      elements: dict
      contains:
        port:
          description: The port.
          returned: always
          type: int
        protocol:
          description: Whether it is a port of TCP or of UDP. A socket of UDP is bound and does not listen.
          returned: always
          type: str
        family:
          description: ipv4 or ipv6.
          returned: always
          type: str
        address:
          description: Address that it listens on.
          returned: always
          type: str
        inode:
          description: Inode of the socket; null where the system has none.
          returned: always
          type: int
        pids:
          description: All processes that have this socket open; each has an entry of its own.
          returned: always
          type: list
          elements: int
        pid:
          description: Process that has the socket open; null when none can be seen.
          returned: always
          type: int
        user:
          description: User of the process; null when none can be seen.
          returned: always
          type: str
        command:
          description: Command line of the process; null when none can be seen.
          returned: always
          type: str
        started:
          description: Start of the process, in seconds since the epoch; null when none can be seen.
          returned: always
          type: float
        provenance:
          description: Whose it is; supervised, orphan, duplicate, foreign or unknown.
          returned: always
          type: str
        service:
          description: The service of the stack that it is, or was; null when it is none.
          returned: always
          type: str
        unit:
          description:
            - Unit of systemd or container in which the process runs; null when it is in none, or was not looked for.
          returned: always
          type: str
        reason:
          description: Why it has this provenance.
          returned: always
          type: str
    # end generated ports
error:
  description: Why nothing could be said, with C(message), C(kind), C(evidence) and C(remedies).
  returned: failure
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Paths
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import survey
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.module_end import end
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import load_stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.known_secrets import without_secrets


def run(params: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Return the module's result."""
    stack = None if params["root"] is None else load_stack(Paths.of(params["root"]))
    return {"changed": False, "ports": survey.inspect(stack, params["ports"])}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "ports": {"type": "list", "elements": "int"},
            "root": {"type": "path"},
        },
        required_one_of=[("ports", "root")],
        supports_check_mode=True,
    )
    root = module.params["root"]
    end(module, lambda: run(module.params), told=lambda found: without_secrets(found, root))


if __name__ == "__main__":
    main()
