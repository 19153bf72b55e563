#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_credentials
short_description: Deliver files that only the user of a stack can read
version_added: 0.2.0
description:
  - Writes and removes files below the directory of a stack, in directories that the stack's user may change meanwhile.
  - No link is followed. Where others than root can change a directory, the files in it are written and removed with the
    rights of the stack's user. A link in the place of a file is replaced; one in the place of a directory is refused.
  - Before a file changes, it is kept for a run that goes back. An OK verdict forgets that.
  - Used by the role P(rollcall.supervisor.credentials#role).
extends_documentation_fragment:
  - rollcall.supervisor.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Names the files, and shows nothing of what is in them.
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
  state_directory:
    description:
      - Directory of what the stack remembers.
    type: path
    required: true
  user:
    description:
      - Who is to read the files, where root runs this. Any other user writes them for itself.
    type: str
  files:
    description:
      - The files by their paths below the stack's root, each with its content. Null takes a file away.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Deliver the certificate of the feed
  rollcall.supervisor.stack_credentials:
    root: /opt/trading
    state_directory: /opt/trading/state
    user: trading
    files:
      credentials/feed.pem: "{{ vault_feed_certificate }}"
      credentials/old.pem: null
"""

RETURN = r"""
files:
  description: The paths of the files that were written or removed, or would be.
  returned: success
  type: list
  elements: str
written:
  description: Those of RV(files) that were written, or would be.
  returned: success
  type: list
  elements: str
error:
  description: Why nothing was delivered, with C(message), C(kind), C(evidence) and C(remedies).
  returned: failure
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.deliveries import deliver, dumped


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    """Deliver what is missing."""
    options = module.params
    files = {str(path): None if content is None else dumped(content) for path, content in options["files"].items()}
    root, state, user = options["root"], options["state_directory"], options["user"]
    changed = deliver(root, state, user, files, dry_run=module.check_mode)
    lines = [f"{'remove' if files[path] is None else 'write'} {path}\n" for path in changed]
    written = [path for path in changed if files[path] is not None]
    return {"changed": bool(changed), "files": changed, "written": written, "diff": {"prepared": "".join(lines)}}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "state_directory": {"type": "path", "required": True},
            "user": {"type": "str"},
            "files": {"type": "dict", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except RollcallError as exc:
        module.fail_json(msg=exc.text(), error=exc.as_dict())
    except OSError as exc:
        module.fail_json(msg=f"A file below {module.params['root']} could not be delivered: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
