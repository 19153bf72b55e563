#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: manifest_edit
short_description: Change a manifest file in place
version_added: 0.2.0
description:
  - Changes single values of a manifest file. Every other byte of it stays, and so do comments, quotes, order, layout,
    anchors and what is encrypted by C(ansible-vault).
  - The file may be YAML or JSON, a manifest with or without C(stack), one of the older shape, or variables of an
    inventory with C(rollcall_stack) among them.
  - Refuses a change that would bring errors into the manifest, and tells all of them. Refuses one that would change
    another place as well, through an alias. Errors that are there already do not prevent other changes.
  - Replaces the file atomically under a lock. Two changes at the same time are both kept, and a reader sees the old
    file or the new one. Mode, owner and a symbolic link stay.
requirements:
  - ruamel.yaml on the Python that runs the module, and PyYAML, for YAML. JSON needs neither.
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
  path:
    description:
      - The manifest file.
    type: path
    required: true
  service:
    description:
      - A service of the manifest that is to have O(port).
    type: str
  port:
    description:
      - The port of O(service).
    type: int
  changes:
    description:
      - More changes, made in this order, all or none.
    type: list
    elements: dict
    default: []
    suboptions:
      place:
        description:
          - The keys that lead to the value, as they are below C(stack). In a file of the older shape, the value is
            found at its place there.
          - Keys that are missing on the way are made, but a service that is missing is an error.
        type: list
        elements: str
        required: true
      value:
        description:
          - The new value; null when it is left out. A mapping is compared with the one in the file key by key. Keys
            that are not here are removed from the file, whose order and comments stay.
          - Values below C(secrets) are in no result. A task with C(no_log) keeps it out of the host's own log as well.
        type: raw
      state:
        description:
          - Whether the value is to be there.
        type: str
        choices: [present, absent]
        default: present
  timeout:
    description:
      - Seconds to wait while another change of the same file is written.
    type: float
    default: 10
notes:
  - Manifests are usually on the controller, so the task is usually delegated to C(localhost).
  - In the diff the values of C(secrets) are replaced by asterisks.
"""

EXAMPLES = r"""
- name: Give a service another port
  rollcall.supervisor.manifest_edit:
    path: "{{ inventory_dir }}/group_vars/all.yml"
    service: main_app
    port: 8010
  delegate_to: localhost

- name: Let a service wait for the cache, and take the web check away
  rollcall.supervisor.manifest_edit:
    path: /etc/trading/manifest.yml
    changes:
      - place: [services, main_app, depends_on, cache]
        value: healthy
      - place: [services, main_app, health]
        state: absent
"""

RETURN = r"""
problems:
  description: The problems that the manifest has, with C(place), C(message), C(cure) and C(severity).
  returned: success
  type: list
  elements: dict
error:
  description: Why nothing was changed, with C(message), C(kind), C(evidence) and C(remedies).
  returned: failure
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.edit import Change, edit_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.module_end import end


def wanted(params: t.Mapping[str, t.Any]) -> t.List[Change]:
    """Return the changes that the options ask for."""
    port = [] if params["service"] is None else [Change(("services", params["service"], "port"), params["port"])]
    others = [
        Change(tuple(change["place"]), change["value"], change["state"] == "present") for change in params["changes"]
    ]
    return port + others


def run(params: t.Mapping[str, t.Any], *, check_mode: bool) -> t.Dict[str, t.Any]:
    """Return the module's result."""
    path = params["path"]
    done = edit_manifest(path, wanted(params), dry_run=check_mode, timeout=params["timeout"])
    return {
        "changed": done.changed,
        "problems": [problem.as_dict() for problem in done.problems],
        "diff": {"before": done.before, "after": done.after, "before_header": path, "after_header": path},
    }


def secret_texts(value: t.Any, within: bool = False) -> t.Iterator[str]:
    """Return what is below a key ``secrets``, or all texts of a value that is ``within`` one."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from secret_texts(inner, within or key == "secrets")
    elif isinstance(value, list):
        for inner in value:
            yield from secret_texts(inner, within)
    elif within and value not in (None, ""):
        yield str(value)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "service": {"type": "str"},
            "port": {"type": "int"},
            "changes": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "place": {"type": "list", "elements": "str", "required": True},
                    "value": {"type": "raw"},
                    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                },
            },
            "timeout": {"type": "float", "default": 10},
        },
        required_together=[("service", "port")],
        supports_check_mode=True,
    )
    # What Ansible takes out of the result, in which it shows what the module was called with.
    for change in module.params["changes"]:
        module.no_log_values.update(secret_texts(change["value"], "secrets" in change["place"]))
    end(module, lambda: run(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
