#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Bring a release of an application's code to a host, and build it
version_added: 0.2.0
description:
  - Brings the code from a directory or an archive on the controller, or from git, to C(ROOT/releases/ID), with its
    virtual environment, its shared directories, and what else builds it. A release that is there never changes.
  - Nothing is sent and nothing is built when the host has that release already.
  - It does not switch to the release. That is done together with the manifest, by
    M(rollcall.supervisor.stack_restart); services run from C(ROOT/current).
  - Used by the role P(rollcall.supervisor.release#role).
extends_documentation_fragment:
  - rollcall.supervisor.attributes
attributes:
  check_mode:
    support: full
    details:
      - Asks a git repository which commit it has, also in check mode.
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
  user:
    description:
      - User of the stack, who owns everything in a release and runs all commands. Without it, the user who runs the
        module.
    type: str
  state:
    description:
      - V(ready) brings the release to the host, and runs O(before_switch) unless the release is in place already.
      - V(in_place) comes after the switch. It runs O(after_switch) when the release was made ready since those commands
        last ran, and removes old releases. It fails when another release is in place.
    type: str
    choices: [ready, in_place]
    default: ready
  id:
    description:
      - The name of the release. Without it, 12 digits of the code's digest or of the commit, and 6 of how it is built.
      - Needed with O(state=in_place).
    type: str
  source:
    description:
      - The absolute path of a directory or an archive on the controller, or a mapping with C(git), the address of a
        repository as the host reaches it, and C(version), a branch, tag or commit, by default C(HEAD).
      - Needed with O(state=ready).
    type: raw
  exclude:
    description:
      - Patterns of what is left out of a directory. A pattern with a C(/) in it is compared with the path from the top,
        any other with the name.
    type: list
    elements: str
    default: [.git, __pycache__, .venv]
  strip:
    description:
      - How many leading directories are taken off the names in an archive.
    type: int
    default: 0
  shared:
    description:
      - Directories of the release that all releases have in common. They are in C(ROOT/shared) and linked to.
      - What the first release brings in such a directory is its initial content. What later ones bring is left out,
        with a warning.
    type: list
    elements: str
    default: []
  python:
    description:
      - The virtual environment of the release, C(venv) in it. Without it there is none.
      - It is shared by all releases with the same list, wheels and Python, and built when one of them changes.
    type: dict
    suboptions:
      requirements:
        description:
          - Path in the release of a list of requirements, or of a lock file in that format.
        type: str
        default: requirements.txt
      python:
        description:
          - The Python of the host that it is made with.
        type: str
        default: python3
      wheels:
        description:
          - The absolute path of a directory on the controller with wheels of everything in the list. Without it the
            package index is used.
        type: path
  build:
    description:
      - Commands that run in the new release, in this order, each a list of program and arguments.
      - Every command of this module runs as O(user), without a shell, with C(venv/bin) first on its C(PATH), an empty
        home, and nothing of this task's environment.
    type: list
    elements: list
    default: []
  environment:
    description:
      - Variables for all commands, git and pip included. C(ps) shows them, so do not put secrets here.
    type: dict
    default: {}
  before_switch:
    description:
      - Commands that run in the release when it is complete and not yet in place. When one fails, the task fails, and
        nothing was stopped. They may run more than once for one release.
    type: list
    elements: list
    default: []
  after_switch:
    description:
      - Commands that run in the release after it is in place and its services were verified.
    type: list
    elements: list
    default: []
  keep:
    description:
      - How many of the newest releases are kept. A release that a generation on the host needs is kept as well. Each is
        kept with its virtual environment.
    type: int
    default: 5
  timeout:
    description:
      - Seconds that each command may take.
    type: float
    default: 600
  received:
    description:
      - What the controller has sent. Set by the action of this module, never by hand.
    type: dict
notes:
  - A release can be read by all users of the host. Secrets belong into C(secrets) of the manifest or into files of
    their own.
  - Submodules of a git repository are not fetched.
seealso:
  - module: rollcall.supervisor.stack_restart
"""

EXAMPLES = r"""
- name: Have the code of a directory ready
  rollcall.supervisor.release:
    root: /opt/trading
    user: trading
    source: "{{ inventory_dir }}/../app"
    shared: [data]
    python:
      requirements: requirements.txt
  register: trading

- name: Have a tag ready that npm builds
  rollcall.supervisor.release:
    root: /opt/shop
    source: {git: "https://git.example.org/shop.git", version: v2.1}
    build:
      - [npm, ci]
      - [npm, run, build]
    before_switch:
      - [bin/check-config]

- name: Prune, once the services were verified
  rollcall.supervisor.release:
    root: /opt/trading
    user: trading
    state: in_place
    id: "{{ trading.id }}"
"""

RETURN = r"""
id:
  description: The name of the release.
  returned: success
  type: str
path:
  description: Its directory.
  returned: success
  type: str
actions:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
ignored:
  description: Shared directories whose content in the release was left out.
  returned: success
  type: list
  elements: str
missing:
  description: What had to be sent first; empty once the task has ended.
  returned: success
  type: list
  elements: str
pruned:
  description: Releases and virtual environments that were removed, or would be.
  returned: success
  type: list
  elements: str
left:
  description: Old releases and virtual environments that stay, because something is mounted in them.
  returned: success
  type: list
  elements: str
error:
  description: Why it did not come to that state, with C(message), C(kind), C(evidence) and C(remedies).
  returned: failure
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases.lifecycle import finish_switch, make_ready
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases.wanted import wanted_release
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.errors import error_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.words import Reader
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.known_secrets import without_secrets

ARGUMENT_SPEC: t.Dict[str, t.Any] = {
    "root": {"type": "path", "required": True},
    "user": {"type": "str"},
    "state": {"type": "str", "choices": ["ready", "in_place"], "default": "ready"},
    "id": {"type": "str"},
    "source": {"type": "raw"},
    "exclude": {"type": "list", "elements": "str", "default": [".git", "__pycache__", ".venv"]},
    "strip": {"type": "int", "default": 0},
    "shared": {"type": "list", "elements": "str", "default": []},
    "python": {
        "type": "dict",
        "options": {
            "requirements": {"type": "str", "default": "requirements.txt"},
            "python": {"type": "str", "default": "python3"},
            "wheels": {"type": "path"},
        },
    },
    "build": {"type": "list", "elements": "list", "default": []},
    "environment": {"type": "dict", "default": {}},
    "before_switch": {"type": "list", "elements": "list", "default": []},
    "after_switch": {"type": "list", "elements": "list", "default": []},
    "keep": {"type": "int", "default": 5},
    "timeout": {"type": "float", "default": 600},
    "received": {"type": "dict"},
}

REQUIRED_IF = (("state", "ready", ["source"]), ("state", "in_place", ["id"]))


def run(params: t.Mapping[str, t.Any], *, check_mode: bool) -> t.Dict[str, t.Any]:
    """Return the module's result."""
    perform = make_ready if params["state"] == "ready" else finish_switch
    return perform(wanted_release(params), dry_run=check_mode)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        required_if=REQUIRED_IF,
        supports_check_mode=True,
    )
    try:
        result = run(module.params, check_mode=module.check_mode)
    except RollcallError as exc:
        error = without_secrets(exc.as_dict(), module.params["root"])
        module.fail_json(msg=error_text(error, reader=Reader(module.params["root"])), error=error)
    # Commands of the application may have said them.
    result = without_secrets(result, module.params["root"])
    for name in result["ignored"]:
        module.warn(f"The release brings {name}, which is shared and has content already: what it brings is left out.")
    for what in result["left"]:
        module.warn(f"{what[0].upper()}{what[1:]}.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
