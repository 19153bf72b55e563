# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: port
author: Rollcall authors (@rollcall)
version_added: 0.1.0
short_description: The port of a service
description:
  - Gives the port that the manifest assigns to a service, for templates of other roles, such as a load balancer's.
  - With O(host), the port that a service has got on that host. It is in the local fact C(rollcall), which the role
    P(rollcall.supervisor.bootstrap#role) installs there, so the host's facts must have been gathered before.
  - An unknown service, or one without a port, is an error and never a default.
options:
  _terms:
    description: Names of services. Of several ports it is the first; another one is C(main_app.metrics).
    type: list
    elements: str
    required: true
  manifest:
    description: The manifest as data. The variable C(rollcall_stack) unless given.
    type: dict
  host:
    description: Name of the host in the inventory that the services run on. Without it the manifest is asked.
    type: str
  stack:
    description: Which stack of that O(host). May be left out when there is one only.
    type: str
"""

EXAMPLES = r"""
- name: Show the address of the main application
  ansible.builtin.debug:
    msg: "http://localhost:{{ lookup('rollcall.supervisor.port', 'main_app') }}/"

- name: Show where it is on another host, whose facts have been gathered
  ansible.builtin.debug:
    msg: "http://app1:{{ lookup('rollcall.supervisor.port', 'main_app', host='app1') }}/"
"""

RETURN = r"""
_raw:
  description: The ports, in the order of the names.
  type: list
  elements: int
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import one_line
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.errors import problems_text
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import answers

# TCP's ports are below this.
PORTS = 1 << 16


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible-core comes without types
    """Look a port up in the manifest."""

    def run(self, terms: t.Sequence[str], variables: t.Any = None, **kwargs: t.Any) -> t.List[int]:
        """Return the port of each service named."""
        self.set_options(var_options=variables, direct=kwargs)
        host = self.get_option("host")
        ports = self._of_manifest(variables or {}) if host is None else self._of_host(host, variables["hostvars"])
        unknown = [term for term in terms if term not in ports]
        if unknown:
            raise AnsibleLookupError(f"No port for {', '.join(unknown)}. With a port: {', '.join(ports) or 'none'}.")
        return [ports[term] for term in terms]

    def _of_manifest(self, variables: t.Mapping[str, t.Any]) -> t.Dict[str, int]:
        data = self.get_option("manifest")
        if data is None:
            if "rollcall_stack" not in variables:
                raise AnsibleLookupError("There is no manifest: set rollcall_stack, or give manifest=.")
            data = self._templar.template(variables["rollcall_stack"])
        checked = check_manifest(data)
        if checked.stack is None:
            raise AnsibleLookupError(problems_text([problem.as_dict() for problem in checked.problems]))
        return checked.stack.ports_by_address

    def _of_host(self, host: str, hostvars: t.Mapping[str, t.Any]) -> t.Dict[str, int]:
        if host not in hostvars:
            raise AnsibleLookupError(f"The inventory has no host '{host}'.")
        fact = hostvars[host].get("ansible_local", {}).get("rollcall")
        if fact is None:
            raise AnsibleLookupError(
                f"The facts of {host} lack ansible_local.rollcall: they were not gathered, or before Rollcall came. "
                "Gather them with ansible.builtin.setup. It needs the role bootstrap to have run there as root, with "
                "bootstrap_on_path."
            )
        try:
            known: t.Dict[str, t.Any] = answers.admitted(fact, answers.PortsFact, "it")[0]
        except answers.Malformed as exc:
            why = one_line(fact) if isinstance(fact, str) else exc
            raise AnsibleLookupError(f"The fact rollcall of {host} is broken: {why}") from exc
        if "error" in known:
            raise AnsibleLookupError(f"The fact rollcall of {host} is broken: {known['error']}")
        stack = self._stack_of(host, known["stacks"])
        ports = {name: entry["port"] for name, entry in stack.get("services", {}).items()}
        for name, entry in stack.get("services", {}).items():
            ports.update({f"{name}.{called}": port for called, port in entry.get("ports", {}).items()})
        wrong = [name for name, port in ports.items() if port is not None and not 0 < port < PORTS]
        if wrong:
            raise AnsibleLookupError(f"The fact rollcall of {host} is broken: {wrong[0]} has no port of TCP.")
        return {name: port for name, port in ports.items() if port is not None}

    def _stack_of(self, host: str, stacks: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
        name, known = self.get_option("stack"), ", ".join(stacks) or "none"
        if name is None and len(stacks) != 1:
            raise AnsibleLookupError(f"Which stack of {host}? Say it with stack=. There are: {known}.")
        if name is None:
            (name,) = stacks
        if name not in stacks:
            raise AnsibleLookupError(f"There is no stack '{name}' on {host}. There are: {known}.")
        stack: t.Mapping[str, t.Any] = stacks[name]
        if "error" in stack:
            raise AnsibleLookupError(f"Stack {name} of {host}: {stack['error']}.")
        return stack
