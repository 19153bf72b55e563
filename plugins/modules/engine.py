#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: engine
short_description: Install Rollcall's engine and its command on a host
version_added: 0.1.0
description:
  - Writes the engine that this very module carries into C(ROOT/engine/rollcall), and the command C(ROOT/bin/rollcall).
  - So the installed engine and the one that modules use are the same version.
  - Used by the role P(rollcall.supervisor.bootstrap#role), which makes the virtual environment that it runs under.
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
      - Directory of the stack.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Install the engine
  rollcall.supervisor.engine:
    root: /opt/trading
"""

RETURN = r"""
files:
  description: The files that were written or removed, or would be.
  returned: success
  type: list
  elements: str
version:
  description: Version of the engine.
  returned: success
  type: str
"""

import os
import sys
import types
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils import (
    accounts,
    archives,
    ask,
    assign,
    boot,
    bringup,
    budget,
    cli,
    cli_doctor,
    cli_manifest,
    cli_ports,
    clock,
    commands,
    config,
    config_reader,
    console,
    credentials,
    daemons,
    database_urls,
    databases,
    diagnosis,
    dispatch,
    doctor,
    drift,
    errors,
    files,
    fitness,
    flush,
    health,
    history,
    import_draft,
    import_pm2,
    import_supervisord,
    journal,
    launcher,
    leases,
    limits,
    manifest,
    manifest_check,
    manifest_edit,
    manifest_file,
    manifest_import,
    manifest_layout,
    manifest_legacy,
    manifest_values,
    plan,
    ports,
    preflight,
    processes,
    program_plan,
    programs,
    provenance,
    registry,
    release_code,
    release_plan,
    release_store,
    releases,
    removal,
    report,
    request,
    restart,
    run_limits,
    sockets,
    status,
    steps,
    supervisor,
    takedown,
    text,
    venvs,
    verdict,
    verify,
    version,
    wire,
    worker,
)

ENGINE: t.Sequence[types.ModuleType] = (
    accounts,
    archives,
    ask,
    assign,
    boot,
    bringup,
    budget,
    cli,
    cli_doctor,
    cli_manifest,
    cli_ports,
    clock,
    commands,
    config,
    config_reader,
    credentials,
    console,
    daemons,
    database_urls,
    databases,
    diagnosis,
    dispatch,
    doctor,
    drift,
    errors,
    files,
    fitness,
    flush,
    health,
    history,
    import_draft,
    import_pm2,
    import_supervisord,
    journal,
    launcher,
    leases,
    limits,
    manifest,
    manifest_check,
    manifest_edit,
    manifest_file,
    manifest_import,
    manifest_layout,
    manifest_legacy,
    manifest_values,
    plan,
    ports,
    preflight,
    processes,
    program_plan,
    programs,
    provenance,
    registry,
    removal,
    release_code,
    release_plan,
    release_store,
    releases,
    report,
    request,
    restart,
    run_limits,
    sockets,
    status,
    steps,
    supervisor,
    takedown,
    text,
    venvs,
    verdict,
    verify,
    version,
    wire,
    worker,
)

# `python ROOT/engine` runs this: the directory itself is then the place packages are looked up in.
ENTRY = """\
from rollcall.cli import main

raise SystemExit(main())
"""

COMMAND = """\
#!/bin/sh
# Rollcall's command for the stack under {root}.
# A service that calls this must not be taken for one of the processes that it is to end.
unset ROLLCALL_STACK ROLLCALL_ROOT ROLLCALL_SERVICE ROLLCALL_REVISION
if ! [ -x '{root}/engine/venv/bin/python' ] || ! [ -e '{root}/engine/rollcall/cli.py' ]; then
  echo 'FAILED: the engine of the stack under {root} is broken; the services run without it.' >&2
  echo '  next: ansible-playbook site.yml' >&2
  echo '  next: the entry "By hand" of the runbook' >&2
  exit 1
fi
exec '{root}/engine/venv/bin/python' -E -s -X utf8 '{root}/engine' --root '{root}' "$@"
"""


def source(module: types.ModuleType) -> str:
    """Return the text of a module as it came with this one, from Ansible's archive or from a checkout."""
    loader: t.Any = module.__loader__
    text = loader.get_source(module.__name__)
    if text is None:
        raise OSError(f"the source of {module.__name__} did not come along")
    return str(text)


def wanted_files(root: str) -> t.Dict[str, t.Tuple[str, int]]:
    """Return text and mode of every file of the engine, by path."""
    package = os.path.join(root, "engine", "rollcall")
    files = {
        os.path.join(package, f"{module.__name__.rsplit('.', 1)[1]}.py"): (source(module), 0o644) for module in ENGINE
    }
    files[os.path.join(package, "__init__.py")] = ("", 0o644)
    files[os.path.join(root, "engine", "__main__.py")] = (ENTRY, 0o644)
    files[os.path.join(root, "bin", "rollcall")] = (COMMAND.format(root=root), 0o755)
    return files


def read(path: str) -> t.Optional[t.Tuple[str, int]]:
    """Return text and mode of a file; None when it does not exist."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read(), os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        return None


def stale_files(root: str, wanted: t.Container[str]) -> t.List[str]:
    """Return modules of an earlier engine that this one does not have."""
    package = os.path.join(root, "engine", "rollcall")
    try:
        names = os.listdir(package)
    except FileNotFoundError:
        return []
    paths = [os.path.join(package, name) for name in sorted(names) if name.endswith(".py")]
    return [path for path in paths if path not in wanted]


def write(module: AnsibleModule, path: str, text: str, mode: int) -> None:
    """Replace a file atomically, as Ansible does it."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = os.path.join(module.tmpdir, os.path.basename(path))
    with open(temporary, "w", encoding="utf-8") as stream:
        stream.write(text)
    module.atomic_move(temporary, path)
    # Not before: the move gives a new file the umask's mode, and a replaced one the mode that it had.
    os.chmod(path, mode)


def compile_all(root: str) -> None:
    """Compile the engine ahead: the stack's user may not write beside it, and start-up time counts."""
    import compileall

    if not compileall.compile_dir(os.path.join(root, "engine", "rollcall"), quiet=1):
        raise OSError(f"the engine does not compile under Python {sys.version.split()[0]}")


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    """Install what differs."""
    root = module.params["root"]
    wanted = wanted_files(root)
    different = [path for path, content in sorted(wanted.items()) if read(path) != content]
    stale = stale_files(root, wanted)
    if not module.check_mode:
        for path in different:
            write(module, path, *wanted[path])
        for path in stale:
            os.unlink(path)
        if different:
            compile_all(root)
    files = [*different, *stale]
    return {
        "changed": bool(files),
        "files": files,
        "version": version.VERSION,
        "diff": {
            "prepared": "".join(f"write {path}\n" for path in different) + "".join(f"remove {path}\n" for path in stale)
        },
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"root": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except OSError as exc:
        module.fail_json(msg=f"The engine could not be installed under {module.params['root']}: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
