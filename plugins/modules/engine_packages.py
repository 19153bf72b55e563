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
  - Looks at every file of every package, as the stack's user. What is missing or damaged is installed again; where that
    does not mend it, or another Python is asked for, the environment is made from anew.
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
      - Where it has digests, only files with these are installed, and only wheels.
    type: str
    required: true
  wheels:
    description:
      - Directory on the controller with the wheels of all requirements. Without it, the package index is used.
    type: path
  user:
    description:
      - The account that runs the services, and so has to be able to use the environment.
    type: str
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
error:
  description: Why it could not be made, with C(message), C(kind), C(evidence) and C(remedies).
  returned: failure
  type: dict
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures, installation
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.removing import remove
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases.archives import opened, unpack

ARGUMENT_SPEC = {
    "root": {"type": "path", "required": True},
    "python": {"type": "str", "default": "python3"},
    "requirements": {"type": "str", "required": True},
    "wheels": {"type": "path"},
    "archive": {"type": "path"},
    "user": {"type": "str"},
}


# What tells two interpreters apart: a virtual environment's is the one that it was made with.
# Bytes that the environment takes on disk, with what pip needs while it makes it.
ROOM = 64 * 1024 * 1024
# Characters of an error of pip that are told in the sentence; all of it is in the evidence.
LONGEST = 600
# Lines of what a command that failed has told.
MOST_LINES = 30
BASE = "import os, sys; print(os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable))"


class Environment:
    """The engine's virtual environment, and what it must be."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.root: str = module.params["root"]
        self.engine = os.path.join(self.root, "engine")
        self.path = os.path.join(self.engine, "venv")
        self.python = os.path.join(self.path, "bin", "python")
        self.listed = os.path.join(self.engine, "requirements.txt")
        self.wanted: str = module.params["requirements"].rstrip("\n") + "\n"

    def broken(self) -> t.List[str]:
        """Return what is missing or damaged, as sentences; a list with one entry where its Python does not even run."""
        command = [
            self.python,
            "-I",
            "-c",
            _program(),
            installation.PACKAGES,
            self.root,
            self.module.params["user"] or "",
        ]
        code, output, error = self._run(command)
        lines = output.splitlines()
        if code == 0 and lines == ["whole yes"]:
            return []
        said = [line.partition(" ")[2] for line in lines if line.startswith("broken ")]
        return said or [f"{self.python} does not run: {_last_line(error or output)}"]

    def is_of_wanted_python(self) -> bool:
        """Return whether it was made with the Python that is asked for."""
        (_code, own, _error), (_code, wanted, _error) = (
            self._run([python, "-I", "-c", BASE]) for python in (self.python, self.module.params["python"])
        )
        return bool(own) and own == wanted

    def has_pip(self) -> bool:
        """Return whether packages can be put into it."""
        return self._run([self.python, "-m", "pip", "--version"])[0] == 0

    def is_listed(self) -> bool:
        """Return whether the packages that are asked for are those that were installed."""
        try:
            with open(self.listed, encoding="utf-8") as stream:
                return stream.read() == self.wanted
        except FileNotFoundError:
            return False

    def install(self, source: t.Sequence[str]) -> None:
        """Bring it to what it must be: in place where that does it, else from anew.

        Raises:
            RollcallError: neither does; what was there before is there again.
        """
        if self.is_of_wanted_python() and self.has_pip():
            self._fill(source)
            if not self.broken():
                return
        # What was there is whole but of another Python, or cannot be mended; until the new one is, it is kept.
        old = f"{self.path}.old"
        remove(old, missing_ok=True)
        if os.path.lexists(self.path):
            os.rename(self.path, old)
        try:
            self._execute([self.module.params["python"], "-m", "venv", self.path])
            self._fill(source)
            left = self.broken()
            if left:
                raise RollcallError(". ".join(left[:3]))
        except RollcallError:
            if os.path.lexists(old):
                remove(self.path, missing_ok=True)
                os.rename(old, self.path)
            raise
        remove(old, missing_ok=True)

    def _fill(self, source: t.Sequence[str]) -> None:
        fresh = f"{self.listed}.new"
        with open(fresh, "w", encoding="utf-8") as stream:
            stream.write(self.wanted)
        # Read by the stack's user, whatever the umask is.
        os.chmod(fresh, 0o644)
        options = ["--quiet", "--disable-pip-version-check", "--no-cache-dir", "--requirement", fresh]
        if "--hash=" in self.wanted:
            # A source distribution would be built with tools that no digest holds.
            options += ["--require-hashes", "--only-binary", ":all:"]
        self._execute([self.python, "-m", "pip", "install", *options, *source], [] if source else [cures.packages()])
        os.replace(fresh, self.listed)

    def _run(self, argv: t.Sequence[str]) -> t.Tuple[int, str, str]:
        """Return exit code and output of a command; 127 when it cannot be executed at all."""
        try:
            return t.cast(
                "t.Tuple[int, str, str]", self.module.run_command(list(argv), handle_exceptions=False, umask=0o022)
            )
        except OSError as exc:
            return 127, "", f"{argv[0]}: {exc.strerror}"

    def _execute(self, argv: t.Sequence[str], remedies: t.Sequence[str] = ()) -> None:
        """Run a command.

        Raises:
            RollcallError: it failed; with these remedies.
        """
        code, output, error = self._run(argv)
        if code != 0:
            error = _short(error)
            said = _last_error(error) or _last_line(error or output)
            raise RollcallError(
                f"'{' '.join(argv[:4])} ...' ended with exit code {code}: {said}",
                evidence={"rc": code, "stdout": output, "stderr": error},
                remedies=remedies,
            )


def _short(text: str) -> str:
    """Return what a command has told, each kind of warning once: without an index pip warns at every try.

    Two warnings are of one kind when they begin with the same two words, such as ``WARNING: Retrying``.
    """
    kept: t.Dict[t.Tuple[str, ...], str] = {}
    for number, line in enumerate(text.splitlines()):
        kind = tuple(line.split()[:2]) if line.startswith("WARNING: ") else (line, str(number))
        kept.setdefault(kind, line)
    return "\n".join(list(kept.values())[-MOST_LINES:])


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def _last_error(text: str) -> str:
    """Return the last error that pip tells, in one line; empty where it tells none. What it is about follows it."""
    _before, sign, told = f"\n{text}".rpartition("\nERROR: ")
    return f"ERROR: {' '.join(told.split())}"[:LONGEST] if sign else ""


def _program() -> str:
    """Return the text of the program that looks; within an Ansible module it is no file but a member of an archive."""
    spec = installation.__spec__
    source = None if spec is None else t.cast(t.Any, spec.loader).get_source(spec.name)
    if source is None:
        raise RollcallError("installation.py of the engine has no source.")
    return str(source)


def unpack_wheels(archive: str, directory: str) -> None:
    """Replace a directory by the content of an archive.

    Raises:
        RollcallError, OSError: it is damaged, or cannot be written.
    """
    fresh = f"{directory}.new"
    remove(fresh, missing_ok=True)
    try:
        with opened(archive) as members:
            os.mkdir(fresh, 0o755)
            unpack(members, fresh)
        remove(directory, missing_ok=True)
        os.rename(fresh, directory)
    finally:
        remove(fresh, missing_ok=True)


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    """Make what is missing."""
    environment = Environment(module)
    changed = not environment.is_listed() or bool(environment.broken()) or not environment.is_of_wanted_python()
    if changed and not module.check_mode:
        source: t.List[str] = []
        if module.params["archive"]:
            wheels = os.path.join(environment.engine, "wheels")
            unpack_wheels(module.params["archive"], wheels)
            source = ["--no-index", "--find-links", wheels]
        environment.install(source)
    return {"changed": changed, "environment": environment.path}


def _remedies(root: str, exc: Exception) -> t.List[str]:
    """Return what to do when it could not be made; what pip and venv say of a full disk does not name it."""
    told = exc.remedies if isinstance(exc, RollcallError) else ()
    try:
        room = os.statvfs(root)
    except OSError:
        room = None
    if room and (room.f_bavail * room.f_frsize < ROOM or (room.f_files and not room.f_favail)):
        return [cures.space(root), cures.put_right(cures.INSTALL)]
    return list(told) or [cures.put_right(cures.INSTALL)]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except (RollcallError, OSError) as exc:
        more = exc.evidence if isinstance(exc, RollcallError) else {}
        what = f"The engine's environment under {module.params['root']} could not be made: {exc}"
        told = RollcallError(what, evidence=more, remedies=_remedies(module.params["root"], exc))
        module.fail_json(msg=what, error=told.as_dict(), **more)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
