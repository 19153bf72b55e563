#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: port_flush
short_description: Free the ports of a stack
version_added: 0.1.0
description:
  - Ends the processes that listen on ports of a stack and proves by a bind that the ports are free.
  - Only ports that the stack's manifest assigns are touched, and never those it avoids or protects, or that of SSH.
  - Looks at everything first. When a port is taken by something that O(policy) does not cover, nothing is ended.
  - Sends TERM, and CONT to a stopped process, waits O(grace) seconds, sends KILL, and waits O(kill_grace) seconds.
    Identifies each process again right before each signal, so that a pid that was used again is never signalled.
  - Names, and never ends, a process that listens for a container, and a socket unit of systemd.
  - When something may start the ended process again, watches the port for three seconds. Fails when the port is taken
    again, and names what did it.
requirements:
  - The role P(rollcall.supervisor.bootstrap#role) has prepared the host.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
  - rollcall.supervisor.flush
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
  root:
    description:
      - Directory of the stack.
    type: path
    required: true
  ports:
    description:
      - Ports to free. Without it, all that the stack assigns.
    type: list
    elements: int
  overrides:
    description:
      - Another policy for some of the stack's ports. A mapping of the port to V(owned), V(refuse) or V(any).
    type: dict
    default: {}
  supervised:
    description:
      - Also stop the services that supervisord runs on these ports. Otherwise they are left alone.
    type: bool
    default: false
  time_wait:
    description:
      - Seconds to wait for closed connections that the kernel still remembers, when nothing else keeps a port from
        being bound. There is no process to end then, and they pass in 60 seconds.
    type: float
    default: 61
  max_victims:
    description:
      - When more processes than this would be ended, none is.
    type: int
    default: 32
"""

EXAMPLES = r"""
- name: End what is left over from a stack on its ports
  rollcall.supervisor.port_flush:
    root: /opt/trading

- name: Free one port, whoever has taken it
  rollcall.supervisor.port_flush:
    root: /opt/trading
    ports: [8001]
    policy: any

- name: Free all ports, one of them whoever has taken it
  rollcall.supervisor.port_flush:
    root: /opt/trading
    overrides:
      8001: any
"""

RETURN = r"""
# begin generated flushed
freed:
  description: Ports that were taken and are free now, or would be.
  returned: success
  type: list
  elements: int
ended:
  description: Processes that were ended, or would be.
  returned: success
  type: list
  elements: dict
  contains:
    pid:
      description: The process.
      returned: always
      type: int
    start:
      description: Clock ticks from boot to its start; pid and start together are never used again.
      returned: always
      type: int
    exe:
      description: Path of its program; empty when it may not be read.
      returned: always
      type: str
    user:
      description: User of the process; empty when it was gone before it was looked at.
      returned: always
      type: str
    command:
      description: Its command line; empty when it was gone before it was looked at.
      returned: always
      type: str
    signals:
      description: Names of the signals that were sent, in order; none to what supervisord has stopped.
      returned: always
      type: list
      elements: str
    result:
      description:
        - ended; gone - it was before any signal; changed - it is another process, and was not signalled; zombie - not
          signalled; survived - it lives; stuck - it hangs in the kernel; planned - it would be ended.
      returned: always
      type: str
    seconds:
      description: How long that took.
      returned: always
      type: float
    reason:
      description: Why, where the result does not say it.
      returned: always
      type: str
kept:
  description: Holders that were left alone because supervisord runs them.
  returned: success
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
holders:
  description: Everything that had taken one of the ports before.
  returned: success
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
# end generated flushed
error:
  description:
    - Why the ports were not flushed, with C(message), C(kind), C(evidence) and C(remedies).
    - With the kind V(refused) or V(wrong_use) nothing was ended.
  returned: failure
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Paths
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import flush
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports.policies import OWNED, POLICIES
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.module_end import end
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import load_stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.known_secrets import without_secrets


def _diff(done: flush.Flushed) -> t.Dict[str, t.Dict[str, t.Optional[str]]]:
    """Return who has taken each port before and after; nobody has a port that is freed."""
    before: t.Dict[str, t.Optional[str]] = {}
    for holder in done.holders:
        port = str(holder.listener.port)
        others = before.get(port)
        before[port] = holder.summary if others is None else f"{others}; {holder.summary}"
    freed = {str(port) for port in done.freed}
    return {"before": before, "after": {port: None if port in freed else who for port, who in before.items()}}


def run(params: t.Mapping[str, t.Any], *, check_mode: bool) -> t.Dict[str, t.Any]:
    """Return the module's result."""
    done = flush.flush(
        load_stack(Paths.of(params["root"])),
        params["ports"],
        policy=params["policy"],
        overrides=params["overrides"],
        supervised=params["supervised"],
        grace=params["grace"],
        kill_grace=params["kill_grace"],
        time_wait=params["time_wait"],
        max_victims=params["max_victims"],
        dry_run=check_mode,
    )
    return {**done.as_dict(), "diff": _diff(done)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "ports": {"type": "list", "elements": "int"},
            "policy": {"type": "str", "choices": list(POLICIES), "default": OWNED},
            "overrides": {"type": "dict", "default": {}},
            "supervised": {"type": "bool", "default": False},
            "grace": {"type": "float", "default": 5},
            "kill_grace": {"type": "float", "default": 2},
            "time_wait": {"type": "float", "default": 61},
            "max_victims": {"type": "int", "default": 32},
        },
        supports_check_mode=True,
    )
    root = module.params["root"]
    end(
        module,
        lambda: run(module.params, check_mode=module.check_mode),
        told=lambda found: without_secrets(found, root),
    )


if __name__ == "__main__":
    main()
