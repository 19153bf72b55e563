#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_packages
short_description: Make the virtual environment of Rollcall's engine
version_added: 0.2.0
description:
  - Makes C(ROOT/engine/venv) with supervisor and what the engine needs, from the package index, or from wheels of the
    controller, which are sent as one archive.
  - Notes what was installed after pip has succeeded, so that an installation that was cut off is done again.
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
  python:
    description:
      - The Python that the environment is made with.
    type: str
    default: python3
  requirements:
    description:
      - What is installed, the text of a requirements file of pip.
    type: str
    required: true
  wheels:
    description:
      - Directory on the controller with the wheels of all requirements. Without it, the package index is used.
    type: path
  archive:
    description:
      - Archive of that directory on the host.
      - It need not be given. The action makes it and brings it to the host.
    type: path
"""

EXAMPLES = r"""
- name: Install supervisor and what the engine needs
  rollcall.supervisor.engine_packages:
    root: /opt/trading
    requirements: "{{ lookup('ansible.builtin.file', 'requirements.txt') }}"
"""

RETURN = r"""
environment:
  description: Path of the virtual environment.
  returned: success
  type: str
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.removing import remove
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases.archives import opened, unpack

ARGUMENT_SPEC = {
    "root": {"type": "path", "required": True},
    "python": {"type": "str", "default": "python3"},
    "requirements": {"type": "str", "required": True},
    "wheels": {"type": "path"},
    "archive": {"type": "path"},
}


def read(path: str) -> str:
    """Return the text of a file; empty when it does not exist."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def execute(module: AnsibleModule, argv: t.Sequence[str]) -> None:
    """Run a command; the module fails with it."""
    code, output, error = module.run_command(list(argv))
    if code != 0:
        last = ((error or output).strip().splitlines() or ["it said nothing"])[-1]
        command = " ".join(argv[:3])
        module.fail_json(
            msg=f"'{command} ...' ended with exit code {code}: {last}", rc=code, stdout=output, stderr=error
        )


def unpack_wheels(archive: str, directory: str) -> None:
    """Replace a directory by the content of an archive.

    Raises:
        RollcallError, OSError: it is damaged, or cannot be written.
    """
    fresh = f"{directory}.new"
    for path in (fresh, directory):
        remove(path, missing_ok=True)
    os.mkdir(fresh, 0o755)
    with opened(archive) as members:
        unpack(members, fresh)
    os.rename(fresh, directory)


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    """Make what is missing."""
    engine = os.path.join(module.params["root"], "engine")
    environment, listed = os.path.join(engine, "venv"), os.path.join(engine, "requirements.txt")
    pip = os.path.join(environment, "bin", "pip")
    wanted = module.params["requirements"].rstrip("\n") + "\n"
    there = os.path.exists(os.path.join(environment, "bin", "supervisord")) and read(listed) == wanted
    changed = not os.path.exists(pip) or not there
    if changed and not module.check_mode:
        if not os.path.exists(pip):
            execute(module, [module.params["python"], "-m", "venv", environment])
        source: t.List[str] = []
        if module.params["archive"]:
            wheels = os.path.join(engine, "wheels")
            unpack_wheels(module.params["archive"], wheels)
            source = ["--no-index", "--find-links", wheels]
        with open(f"{listed}.new", "w", encoding="utf-8") as stream:
            stream.write(wanted)
        options = ["--quiet", "--disable-pip-version-check", "--no-cache-dir", "--requirement", f"{listed}.new"]
        execute(module, [pip, "install", *options, *source])
        os.replace(f"{listed}.new", listed)
    return {"changed": changed, "environment": environment}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except (RollcallError, OSError) as exc:
        module.fail_json(msg=f"The engine's environment under {module.params['root']} could not be made: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
