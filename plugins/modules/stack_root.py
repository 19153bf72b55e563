#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_root
short_description: Make the directory of a stack, and note what was in it before
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
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.state import before


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    """Make what is missing."""
    root = module.params["root"]
    made = before.make_engine_directory(root, dry_run=module.check_mode)
    return {"changed": made, "before": before.names_before(root) or []}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"root": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except OSError as exc:
        module.fail_json(msg=f"The directory {module.params['root']} could not be made: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
