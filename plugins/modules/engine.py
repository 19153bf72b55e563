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
  - Writes the engine of the collection into C(ROOT/engine/rollcall), and the command C(ROOT/bin/rollcall).
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
  archive:
    description:
      - A zip archive on the host with the files of the engine.
      - It need not be given. The action makes it from the collection and brings it to the host.
    type: path
  state_directory:
    description:
      - The directory with the state of the stack. It is locked while the engine is replaced, as it is by every run, so
        that no run loses its own engine on the way. Fails at once when a run is under way.
    type: path
"""

EXAMPLES = r"""
- name: Install the engine
  rollcall.supervisor.engine:
    root: /opt/trading
    state_directory: /opt/trading/state
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
error:
  description: Why nothing was replaced, with C(message), C(kind), C(evidence) and C(remedies).
  returned: when a run is under way, or the state cannot be locked
  type: dict
"""

import contextlib
import hashlib
import os
import re
import shlex
import sys
import typing as t
import zipfile

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.cures import AS_ROOT, INSTALL
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.installation import FILES
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.removing import remove, remove_empty
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked

ARGUMENT_SPEC = {
    "root": {"type": "path", "required": True},
    "archive": {"type": "path"},
    "state_directory": {"type": "path"},
}

# `python ROOT/engine` runs this: the directory itself is then the place packages are looked up in.
ENTRY = """\
import gc
import os
import sys

# So many objects are made between two searches for those that only name each other. A command makes few of these. To
# search after every 700 objects, as Python does by itself, takes a twentieth of a short command.
gc.set_threshold(50_000)
try:
    from rollcall.base.interrupts import end_when_interrupted

    # First: what is imported next takes most of the time of a short command.
    end_when_interrupted()
    from rollcall.cli.command import run

    run()
except KeyboardInterrupt:
    os._exit(130)
except Exception as exc:
    said = repr(exc)
    if not isinstance(exc, (ImportError, SyntaxError)):
        from rollcall.base import installation

        if not list(installation.damaged_files("{root}")):
            raise
        # What the command had in hand may be secret.
        said = exc.__class__.__name__
    sys.stderr.write(f"FAILED: the engine of this stack is broken; the services run without it: {said}\\n")
    # The command says how that is mended; it needs no Python for it.
    os.execv("{root}/bin/rollcall", ["rollcall", "mend"])
"""

COMMAND = """\
#!/bin/sh
# Rollcall's command for the stack under {root}.
# A service that calls this must not be taken for one of the processes that it is to end.
unset ROLLCALL_STACK ROLLCALL_ROOT ROLLCALL_SERVICE ROLLCALL_REVISION
broken() {{
  by=$(sed -n -E 's/.*"by": "(([^"\\\\]|\\\\.)*)".*/\\1/p' '{root}/etc/meta.json' 2>/dev/null)
  # As JSON has it. A letter by its number is not made out here.
  case $by in
    *'\\u'*) by= ;;
    *) by=$(printf '%s\\n' "$by" | sed 's/\\\\\\(["\\\\]\\)/\\1/g') ;;
  esac
  # Who is not root may only be without the right to look.
  [ "$(id -u)" = 0 ] || echo '  next: {as_root}' >&2
  printf '  next: %s  # on the controller\\n' "${{by:-{install}}}" >&2
  exit 1
}}
# What is below calls this where it finds that it is not whole.
[ "$1" != mend ] || broken
# In a copy of the root this is still the command of the stack that was copied, and the person there means another one.
if [ "$0" != '{root}/bin/rollcall' ]; then
  own=$(readlink -f "$0")
  if [ -e '{root}/bin/rollcall' ] && [ -e "${{own%/*}}/../engine" ] && ! [ "${{own%/*}}/.." -ef '{root}' ]; then
    echo "REFUSED: $own is a copy, and the stack that it is for is under {root}: nothing was done." >&2
    echo "  next: {quoted}/bin/rollcall $*" >&2
    exit 2
  fi
fi
if [ -d '{root}/engine' ] && ! [ -x '{root}/engine' ]; then
  echo 'FAILED: {root}/engine may not be looked into.' >&2
  echo '  next: {as_root}' >&2
  exit 1
fi
if ! [ -x '{root}/engine/venv/bin/python' ] || ! [ -e '{root}/engine/rollcall/cli/command.py' ]; then
  echo 'FAILED: the engine of the stack under {root} is broken; the services run without it.' >&2
  broken
fi
# Python would print a traceback on Ctrl-C while it starts. It heeds Ctrl-C as soon as it can.
trap '' INT
exec '{root}/engine/venv/bin/python' -E -s -X utf8 '{root}/engine' --root '{root}' "$@"
"""


# A collection of version 0.1.0 writes its own __main__.py over ours. That file finds this function, and so this engine,
# which answers that the two versions are not the same.
CLI = """\
def main():
    from .command import main as run

    return run()
"""


def read_archive(path: str) -> t.Dict[str, str]:
    """Return the text of every file of an engine that was packed, by its path within.

    Raises:
        OSError, ValueError, zipfile.BadZipFile: it cannot be read, or is not the archive of an engine.
    """
    with zipfile.ZipFile(path) as packed:
        sources = {name: packed.read(name).decode("utf-8") for name in packed.namelist()}
    strange = [name for name in sources if not re.fullmatch(r"(?:[a-z_]+/)*[a-z0-9_]+\.py", name)]
    if strange:
        raise ValueError(f"{path} contains '{strange[0]}', which is no file of an engine")
    return sources


def wanted_files(root: str, sources: t.Mapping[str, str]) -> t.Dict[str, t.Tuple[str, int]]:
    """Return text and mode of every file that is to be there, by its path, in the order in which they are written.

    Whoever starts the engine meanwhile gets the old one or the new one whole. A directory is a package only with its
    `__init__.py`; until then a module of that name, which engines before 0.2.0 had, goes before it.

    Args:
        root: directory of the stack.
        sources: the text of every file of the engine, by its path within.
    """
    package = os.path.join(root, "engine", "rollcall")
    texts = {**sources, "__init__.py": "", "cli/__init__.py": CLI}
    order = sorted(texts, key=lambda name: (name == "cli/__init__.py", os.path.basename(name) == "__init__.py", name))
    # First: a collection that is older then knows better than to replace what is only half there.
    files = {os.path.join(root, "engine", "version"): (f"{version_of(sources)}\n", 0o644)}
    files.update({os.path.join(package, name): (texts[name], 0o644) for name in order})
    files[os.path.join(root, "engine", "__main__.py")] = (ENTRY.replace("{root}", root), 0o644)
    files[os.path.join(root, "bin", "rollcall")] = (
        COMMAND.format(root=root, quoted=shlex.quote(root), install=INSTALL, as_root=AS_ROOT),
        0o755,
    )
    files[os.path.join(root, "engine", FILES)] = (_listing(root, files), 0o644)
    return files


def _listing(root: str, files: t.Mapping[str, t.Tuple[str, int]]) -> str:
    """Return a line for each file, by which whoever looks later sees whether it is still what was installed."""
    digests = {path: hashlib.sha256(text.encode("utf-8")).hexdigest() for path, (text, _mode) in files.items()}
    return "".join(f"{digest}  {os.path.relpath(path, root)}\n" for path, digest in digests.items())


def version_of(sources: t.Mapping[str, str]) -> str:
    """Return the version of an engine."""
    return str(re.findall(r'^VERSION = "(.*)"', sources["base/version.py"], re.MULTILINE)[0])


def read(path: str) -> t.Optional[t.Tuple[str, int]]:
    """Return text and mode of a file; None when it does not exist."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read(), os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        return None


def stale_files(root: str, wanted: t.Container[str]) -> t.List[str]:
    """Return the modules of another engine that this one does not have, with their bytecode."""
    found = []
    for directory, _folders, names in os.walk(os.path.join(root, "engine", "rollcall")):
        cache = os.path.basename(directory) == "__pycache__"
        place = os.path.dirname(directory) if cache else directory
        for name in sorted(names):
            source = os.path.join(place, f"{name.partition('.')[0]}.py")
            if name.endswith((".py", ".pyc")) and source not in wanted:
                found.append(os.path.join(directory, name))
    return sorted(found)


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


def remove_empty_directories(directory: str) -> None:
    """Remove the directories below ``directory`` in which nothing is left."""
    for place, _folders, _names in os.walk(directory, topdown=False):
        remove_empty(place)


def without_runs(state: t.Optional[str]) -> t.ContextManager[None]:
    """Keep runs away from the engine, where there is a stack that could be run.

    Raises:
        RollcallError: ``refused``: a run is under way.
    """
    if state is None or not os.path.isdir(state):
        return contextlib.nullcontext()
    return locked(state, "ansible", "install the engine")


def replace(
    module: AnsibleModule, wanted: t.Mapping[str, t.Tuple[str, int]], different: t.Iterable[str], stale: t.Iterable[str]
) -> None:
    """Write what differs and remove what is stale."""
    root = module.params["root"]
    # Until all is there, the host is not prepared for anything.
    remove(os.path.join(root, "engine", "prepared"), missing_ok=True)
    for path in different:
        write(module, path, *wanted[path])
    for path in stale:
        remove(path, missing_ok=True)
    remove_empty_directories(os.path.join(root, "engine", "rollcall"))
    compile_all(root)


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    """Install what differs."""
    root = module.params["root"]
    sources = read_archive(module.params["archive"])
    wanted = wanted_files(root, sources)
    different = [path for path, content in wanted.items() if read(path) != content]
    stale = stale_files(root, wanted)
    files = [*different, *stale]
    if files and not module.check_mode:
        with without_runs(module.params["state_directory"]):
            replace(module, wanted, different, stale)
    return {
        "changed": bool(files),
        "files": files,
        "version": version_of(sources),
        # The files by their number: nobody reads the names of hundreds.
        "diff": {"prepared": f"engine {version_of(sources)}: write {len(different)} files, remove {len(stale)}\n"},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except RollcallError as exc:
        module.fail_json(msg=f"The engine was not replaced. {exc.message}", error=exc.as_dict())
    except (OSError, ValueError, zipfile.BadZipFile) as exc:
        module.fail_json(msg=f"The engine could not be installed under {module.params['root']}: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
