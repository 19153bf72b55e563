#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_root
short_description: Make the directory of a stack where it may be, and note what was in it before
version_added: 0.2.0
description:
  - Makes C(ROOT/engine) together with the note of what was in C(ROOT) before, in one step. A removal leaves what is
    noted there.
  - Does nothing when C(ROOT/engine) exists.
  - Used by the role P(rollcall.supervisor.bootstrap#role).
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
  root:
    description:
      - Directory of the stack.
    type: path
    required: true
  manifest:
    description:
      - The normalised manifest. With it, all directories of the stack are made, those of logs and sockets for its user,
        and nothing is made where the stack cannot be on this host.
      - Refused are directories of the system and of users, by whatever links or mounts they are reached, and a root
        that is in another stack's or holds one.
    type: dict
"""

EXAMPLES = r"""
- name: Make the directory of the stack
  rollcall.supervisor.stack_root:
    root: /opt/trading
"""

RETURN = r"""
before:
  description: What was in the directory before Rollcall; empty when that is not known.
  returned: success
  type: list
  elements: str
error:
  description: Why nothing was made, with C(message), C(kind), C(evidence) and C(remedies).
  returned: failure
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import before
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.directories import make_directories
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import places


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    """Make what is missing."""
    root = module.params["root"]
    given = module.params["manifest"]
    stack = None if given is None else Stack.from_dict({**given, "root": root})
    if stack is not None:
        places.require(stack)
    made = [root] if before.make_engine_directory(root, dry_run=module.check_mode) else []
    if stack is not None:
        made += make_directories(stack, dry_run=module.check_mode)
    return {"changed": bool(made), "before": before.names_before(root) or []}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"root": {"type": "path", "required": True}, "manifest": {"type": "dict"}},
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except RollcallError as exc:
        module.fail_json(msg=exc.text(), error=exc.as_dict())
    except OSError as exc:
        module.fail_json(msg=f"The directory {module.params['root']} could not be made: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
