#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_remove
short_description: Take the files of a stack off a host
version_added: 0.2.0
description:
  - Removes the directory of a stack, and the links by which the command C(rollcall) and other stacks find it. With the
    last stack of the host the command and the local fact go as well.
  - Refuses a directory that Rollcall has not made, a home directory, and one in which something is mounted.
  - What Rollcall has not made stays, and is named. What others have put into its own directories, such as
    V(shared) and V(logs), goes with these, and is named as well.
  - The stack must have been stopped, and its unit taken away. The playbook C(rollcall.supervisor.remove) does all of it
    in order.
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
  root:
    description:
      - Directory of the stack on the host, an absolute path.
    type: path
    required: true
  manifest:
    description:
      - The normalised manifest, as M(rollcall.supervisor.manifest_info) returns it.
    type: dict
    required: true
  keep:
    description:
      - Entries of the directory that stay, by their names, such as V(shared) and V(logs).
    type: list
    elements: str
    default: []
  found:
    description:
      - Entries of the directory that were there before the install that is taken back. They stay as well, except those
        that Rollcall makes itself.
    type: list
    elements: str
    default: []
  only_unverified:
    description:
      - Whether to touch nothing when a generation of the stack was ever verified.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Take the stack off the host, all but its data and logs
  rollcall.supervisor.stack_remove:
    root: "{{ checked.manifest.root }}"
    manifest: "{{ checked.manifest }}"
    keep: [shared, logs]
"""

RETURN = r"""
removed:
  description: What was removed, or would be, the account included that RV(account) names.
  returned: success
  type: list
  elements: str
with_it:
  description: What goes although Rollcall has not made it, for it is in one of its own directories, such as V(shared).
  returned: success
  type: list
  elements: str
left:
  description: What is left although it may belong to the stack, each with the reason.
  returned: success
  type: list
  elements: str
account:
  description: The account that was made for the stack, and that nothing else needs; this module leaves it.
  returned: success
  type: str
installed:
  description: Whether there is an engine that can stop the stack.
  returned: success
  type: bool
verified:
  description: Whether a generation of the stack was ever verified.
  returned: success
  type: bool
statement:
  description: What has become of a first install, for people; empty when a generation was verified.
  returned: success
  type: str
error:
  description: Why nothing was removed, with C(message), C(kind), C(evidence) and C(remedies).
  returned: failure
  type: dict
"""

import contextlib
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.masking import masked
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import removal, request
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import undo
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import was_verified
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.known_secrets import known_secrets
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked

ARGUMENT_SPEC: t.Dict[str, t.Any] = {
    "root": {"type": "path", "required": True},
    "manifest": {"type": "dict", "required": True},
    "keep": {"type": "list", "elements": "str", "default": []},
    "found": {"type": "list", "elements": "str", "default": []},
    "only_unverified": {"type": "bool", "default": False},
}


@contextlib.contextmanager
def _alone(state: str) -> t.Iterator[None]:
    """Hold the stack's lock, where there is one, so that nothing is taken from under a run."""
    if not os.path.isdir(state):
        yield
        return
    with locked(state, request.who(), "remove"):
        yield


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    """Decide what goes, and remove it unless this is check mode."""
    root = module.params["root"]
    stack = Stack.from_dict({**module.params["manifest"], "root": root})
    host = removal.look()
    installed = os.path.isdir(os.path.join(root, "etc")) and os.path.exists(os.path.join(root, "bin", "rollcall"))
    verified = was_verified(stack.paths, root)
    if verified and module.params["only_unverified"]:
        decided = removal.NOTHING
    else:
        decided = removal.decide(stack, module.params["keep"], host, module.params["found"])
    taken_back: t.List[undo.TakenBack] = []
    if not module.check_mode:
        with _alone(stack.paths.state):
            if not verified and module.params["only_unverified"]:
                taken_back = undo.take_back(stack.paths.state)
            removal.carry_out(decided, host)
    return {
        "changed": bool(decided.inside or decided.outside or decided.root),
        "removed": decided.removed,
        "with_it": list(decided.with_it),
        "left": list(decided.left),
        "account": decided.account or "",
        "installed": installed,
        "verified": verified,
        "statement": "" if verified else _statement(stack, decided, taken_back, stays=module.check_mode),
        "diff": {"prepared": "".join(f"remove {what}\n" for what in (*decided.removed, *decided.with_it))},
    }


def _statement(stack: Stack, decided: removal.Removal, taken_back: t.Sequence[undo.TakenBack], *, stays: bool) -> str:
    made = removal.statement(stack, decided, taken_back=not stays)
    return " ".join([made, *(f"{one.words[:1].upper()}{one.words[1:]}." for one in taken_back)])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    # Before they are gone with the rest.
    secrets = known_secrets(module.params["root"])
    try:
        result = run(module)
    except RollcallError as exc:
        module.fail_json(msg=masked(exc.text(), secrets), error=masked(exc.as_dict(), secrets))
    except OSError as exc:
        module.fail_json(msg=f"The stack at {module.params['root']} could not be removed: {exc}")
    module.exit_json(**masked(result, secrets))


if __name__ == "__main__":
    main()
