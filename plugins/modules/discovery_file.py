#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: discovery_file
short_description: Write where services are for Prometheus or Consul
version_added: 0.2.0
description:
  - Writes a file of targets for the C(file_sd_configs) of Prometheus, or a file of service definitions for an agent of
    Consul, of what M(rollcall.supervisor.discovery_table) has returned.
  - The file is replaced as a whole, and only when its content is another one. One that something else has written is
    left alone.
  - Needs no engine on the host.
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
      - The file. Its directory must be there. For Prometheus its name ends in C(.json).
    type: path
    required: true
  kind:
    description:
      - Who reads it.
      - With V(consul) it is for the agent on the host itself, and its checks ask as the verdict does, on that host.
    type: str
    choices: [prometheus, consul]
    required: true
  hosts:
    description:
      - The hosts, as M(rollcall.supervisor.discovery_table) returns them.
    type: dict
    required: true
  inventory:
    description:
      - For Prometheus all hosts that there are, in their order. One that is not among O(hosts) keeps its entries. The
        entries of any other host are taken out.
    type: list
    elements: str
    default: []
  ports:
    description:
      - For Prometheus the names of the ports that it asks; C(all) is every port of TCP.
    type: list
    elements: str
    default: [metrics]
  lost:
    description:
      - For Prometheus what becomes of the entries of a host that was not reached.
      - V(keep) leaves them as they were, V(drop) takes them out.
    type: str
    choices: [keep, drop]
    default: keep
  interval:
    description:
      - For Consul how many seconds pass from one check to the next.
    type: float
    default: 10
"""

EXAMPLES = r"""
- name: Write the targets of Prometheus
  rollcall.supervisor.discovery_file:
    path: /etc/prometheus/rollcall.json
    kind: prometheus
    hosts: "{{ discovery.hosts }}"
    inventory: "{{ groups['all'] }}"
  delegate_to: monitor
  run_once: true
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
entries:
  description: How many ports are in it.
  returned: success
  type: int
kept:
  description: Hosts whose entries are as they were, because they were not asked, or did not answer.
  returned: success
  type: list
  elements: str
dropped:
  description: Hosts whose entries were taken out.
  returned: success
  type: list
  elements: str
missing:
  description: Hosts that did not answer, and have never had an entry that could be kept.
  returned: success
  type: list
  elements: str
notes:
  description: What Consul asks less of than the verdict does.
  returned: success
  type: list
  elements: str
error:
  description: Why it was not written, with C(message), C(kind), C(evidence) and C(remedies).
  returned: failure
  type: dict
"""

import json
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.files import (
    need_directory,
    read_text_record,
    replace_file,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.opening import open_followed
from ansible_collections.rollcall.supervisor.plugins.module_utils.show import discovery
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.module_end import end

PROMETHEUS = "prometheus"
CONSUL = "consul"
OURS = {PROMETHEUS: discovery.is_ours_for_prometheus, CONSUL: discovery.is_ours_for_consul}
# Anybody may read it: it has no secrets, and Prometheus and Consul have users of their own.
MODE = 0o644


def run(params: t.Mapping[str, t.Any], *, check_mode: bool) -> t.Dict[str, t.Any]:
    """Return the module's result."""
    path, kind = params["path"], params["kind"]
    if kind == PROMETHEUS and not path.endswith(".json"):
        raise RollcallError(
            f"Prometheus takes a file with targets as JSON only when its name ends in .json: {path}",
            kind="wrong_use",
            remedies=[cures.then(f"name it {path}.json", cures.AGAIN)],
        )
    need_directory(path)
    before = read_text_record(path, str, "", "What is", opened=open_followed)
    old = _known(path, kind, before)
    if kind == PROMETHEUS:
        wanted = discovery.targets(
            params["hosts"], params["ports"], old, keep=params["lost"] == "keep", inventory=params["inventory"]
        )
        told = {"kept": wanted.kept, "dropped": wanted.dropped, "missing": wanted.missing, "notes": []}
        entries, after = len(wanted.groups), discovery.as_file(wanted.groups)
    else:
        found = [discovery.definitions(host, known, params["interval"]) for host, known in params["hosts"].items()]
        services = [service for one in found for service in one.services]
        told = {"kept": [], "dropped": [], "missing": [], "notes": [note for one in found for note in one.notes]}
        entries, after = len(services), discovery.as_file({"services": services})
    changed = before != after
    if changed and not check_mode:
        replace_file(path, after, MODE, cures.AGAIN)
    diff = {"before_header": path, "after_header": path, "before": before, "after": after}
    return {"changed": changed, "path": path, "entries": entries, **told, "diff": diff if changed else {}}


def _known(path: str, kind: str, text: str) -> t.Any:
    """Return what a file has that was written here; nothing where there is none.

    Raises:
        RollcallError: ``refused``: something else has written it.
    """
    try:
        data = json.loads(text) if text else None
    except (ValueError, RecursionError):
        data = text
    if data is not None and not OURS[kind](data):
        raise RollcallError(
            f"{path} has entries that Rollcall has not written, so it is left alone.",
            kind="refused",
            evidence={"path": path},
            remedies=[cures.move_away(path), cures.AGAIN],
        )
    return data or []


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "kind": {"type": "str", "choices": [PROMETHEUS, CONSUL], "required": True},
            "hosts": {"type": "dict", "required": True},
            "inventory": {"type": "list", "elements": "str", "default": []},
            "ports": {"type": "list", "elements": "str", "default": ["metrics"]},
            "lost": {"type": "str", "choices": ["keep", "drop"], "default": "keep"},
            "interval": {"type": "float", "default": 10},
        },
        supports_check_mode=True,
    )
    end(module, lambda: run(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
