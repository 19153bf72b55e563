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
  - An unknown service, or one without a port, is an error and never a default.
options:
  _terms:
    description: Names of services.
    type: list
    elements: str
    required: true
  manifest:
    description: The manifest as data. The variable C(rollcall_stack) unless given.
    type: dict
"""

EXAMPLES = r"""
- name: Show the address of the main application
  ansible.builtin.debug:
    msg: "http://localhost:{{ lookup('rollcall.supervisor.port', 'main_app') }}/"
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

from ansible_collections.rollcall.supervisor.plugins.module_utils import manifest_check, report


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible-core comes without types
    """Look a port up in the manifest."""

    def run(self, terms: t.Sequence[str], variables: t.Any = None, **kwargs: t.Any) -> t.List[int]:
        """Return the port of each service named."""
        self.set_options(var_options=variables, direct=kwargs)
        data = self.get_option("manifest")
        if data is None:
            if "rollcall_stack" not in (variables or {}):
                raise AnsibleLookupError("There is no manifest: set rollcall_stack, or give manifest=.")
            data = self._templar.template(variables["rollcall_stack"])
        checked = manifest_check.check(data)
        if checked.stack is None:
            raise AnsibleLookupError(report.problems([problem.as_dict() for problem in checked.problems]))
        ports = {service.name: service.port for service in checked.stack.services if service.port is not None}
        unknown = [term for term in terms if term not in ports]
        if unknown:
            raise AnsibleLookupError(f"No port for {', '.join(unknown)}. With a port: {', '.join(ports) or 'none'}.")
        return [ports[term] for term in terms]
