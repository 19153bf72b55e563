# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The matrix: every supported ansible-core under each of its Pythons, a session for each pair.

``nox --list`` names the sessions, ``nox -s core-2.20-3.13`` runs one, ``nox -s core-2.20-3.13 -- sanity`` a part of it:
``units``, ``playbooks``, ``sanity``. ``few`` is the part that ``make test`` has: what is run within Ansible. A Python
that is not there is said and left out, or ends the run where CI is set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox

# Each ansible-core and the Pythons of controllers, as its own release notes have them. requirements/core-*.txt pins it.
CORES = {
    "2.19": ("3.11", "3.12", "3.13"),
    "2.20": ("3.12", "3.13", "3.14"),
    "2.21": ("3.12", "3.13", "3.14"),
}

PARTS = {
    "units": ("tests/unit",),
    "playbooks": ("tests/playbooks",),
    # What runs within Ansible, and what the engine asks of Python itself more than others.
    "few": (
        *("tests/playbooks/test_site_batches.py", "tests/playbooks/test_release_to_come.py"),
        *("tests/playbooks/test_deprecations.py", "tests/unit/plugins", "tests/unit/supervisord"),
        *("tests/unit/host", "tests/unit/base"),
    ),
}

ROOT = Path(__file__).resolve().parent
TOOLS = ROOT / "tests" / "tools"

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"


def _show_interpreters() -> None:
    """Let nox find the interpreters that pyenv keeps, whether or not somebody has selected them."""
    if "PYENV_VERSION" not in os.environ and shutil.which("pyenv"):
        listed = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=True).stdout
        os.environ["PYENV_VERSION"] = ":".join(listed.split())


def _copy(session: nox.Session, core: str) -> Path:
    """Return a copy of the checkout whose ``.venv`` is the session's, with what is pinned for the version."""
    copy = ROOT / ".cache" / "versions" / session.name
    # All of it is copied anew: no file stays that is gone here.
    shutil.rmtree(copy, ignore_errors=True)
    _of_lib(session, "copy_checkout", copy)
    session.install("-q", "-r", f"requirements/core-{core}.txt")
    (copy / ".venv").symlink_to(session.virtualenv.location)
    _of_lib(session, "make_importable", copy)
    return copy


def _of_lib(session: nox.Session, function: str, *arguments: Path) -> None:
    """Call a function of the scripts."""
    command = f'. {TOOLS}/lib.sh; {function} "$@"'
    session.run("bash", "-euc", command, function, *map(str, arguments), external=True, silent=True)


def _sanity(session: nox.Session) -> None:
    session.run(str(TOOLS / "ansible-test.sh"), "sanity", external=True)


def _pytest(session: nox.Session, copy: Path, part: str) -> None:
    environment = {"FEW_EXAMPLES": "yes"} if part == "few" else {}
    with session.chdir(copy):
        session.run("pytest", "-q", "-n", "4", "--dist", "worksteal", *PARTS[part], env=environment)


def _run(session: nox.Session, core: str) -> None:
    """Run the parts that are asked for, or all but the few."""
    wanted = session.posargs or ["units", "playbooks", "sanity"]
    unknown = set(wanted) - {*PARTS, "sanity"}
    if unknown:
        session.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join([*PARTS, 'sanity'])}")
    # Programs that ask for the environment take this one, and not that of whoever calls nox.
    session.env["VIRTUAL_ENV"] = session.virtualenv.location
    session.env["PYENV_VERSION"] = None  # it was for nox
    copy = _copy(session, core)
    for part in wanted:
        if part in PARTS:
            _pytest(session, copy, part)
    if "sanity" in wanted:
        _sanity(session)


_show_interpreters()
for _core, _pythons in CORES.items():

    @nox.session(name=f"core-{_core}", python=_pythons)
    def _tests(session: nox.Session, core: str = _core) -> None:
        """Units, playbooks and sanity."""
        _run(session, core)
