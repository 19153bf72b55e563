# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Virtual environments of releases: one for all with the same list, wheels and Python, built where it stays.

It cannot be moved, so it is marked when it is whole. One that is not is removed and built anew.
"""

from __future__ import annotations

import json
import os
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..base.files import read_text, write_atomically
from ..base.opening import NotPlain, open_followed
from ..host import commands
from ..host.accounts import Account, acting_as, clean_environment
from . import store
from .identity import environment_id, included, local_requirements
from .source import unpack_code, verify_sent
from .wanted import WantedRelease

RECORD_FILE = ".rollcall-venv.json"
INTERPRETER_TIMEOUT = 20.0

# What must be equal for a virtual environment made with one Python to serve with another.
INTERPRETER = (
    "import sys, sysconfig; sys.exit('Python 3.6 or later is needed') if sys.version_info < (3, 6) else "
    "print(sys.implementation.cache_tag, sysconfig.get_platform(), sys.executable)"
)


class WheelsNeeded(Exception):
    """The environment has to be built, and the wheels that it is built from are still on the controller."""


def interpreter_of(wanted: WantedRelease, who: Account) -> str:
    """Return which Python the virtual environment is made with, as far as that makes a difference."""
    python = _python(wanted)
    done = commands.run(
        [python, "-I", "-c", INTERPRETER],
        who,
        cwd="/",
        environment={**clean_environment(who), **wanted.environment},
        timeout=INTERPRETER_TIMEOUT,
    )
    if not done.ok or not done.output:
        raise commands.failure(python, done, ["name another Python of this host with python.python"])
    return done.output[-1]


def _python(wanted: WantedRelease) -> str:
    return "python3" if wanted.python is None else wanted.python.python


def ensure_venv(wanted: WantedRelease, who: Account, interpreter: str, tree: str, place: str) -> str:
    """Return the name of the virtual environment for the requirements in ``tree``, built when it is not whole."""
    with acting_as(who):
        texts = _requirements(wanted, tree)
    name = environment_id(texts, wanted.wheels.digest, interpreter)
    if not is_whole(wanted.root, name, who):
        if wanted.python is not None and wanted.python.wheels and not wanted.wheels.archive:
            raise WheelsNeeded
        _build(wanted, who, name, tree, place)
    return name


def _requirements(wanted: WantedRelease, tree: str) -> t.List[str]:
    """Return the texts of the list of requirements and of all that it includes."""
    first = "" if wanted.python is None else wanted.python.requirements
    texts: t.Dict[str, str] = {}
    waiting = [first]
    while waiting:
        name = waiting.pop()
        try:
            # It may be a link: what the user may not read, the user's rights do not open.
            texts[name] = read_text(os.path.join(tree, name), opened=open_followed)
        except (FileNotFoundError, NotPlain, UnicodeDecodeError) as exc:
            raise RollcallError(
                f"The release has no list of requirements {name} that can be read.",
                kind="wrong_use",
                evidence={"cause": str(exc)},
                remedies=[cures.then("name it with python.requirements, or leave `python` out")],
            ) from exc
        local = local_requirements(texts[name])
        if local:
            raise RollcallError(
                f"{name} installs from a directory of the release: {local[0]}. A virtual environment serves all "
                "releases with the same list, so it cannot hold the code of one.",
                kind="wrong_use",
                evidence={"lines": local},
                remedies=[cures.then("set PYTHONPATH in the service's env, or put a wheel of it into python.wheels")],
            )
        for inner in included(texts[name]):
            path = os.path.normpath(os.path.join(os.path.dirname(name), inner))
            if path not in texts and "://" not in inner and not path.startswith(("/", "..")):
                waiting.append(path)
    return [text for _name, text in sorted(texts.items())]


def _build(wanted: WantedRelease, who: Account, name: str, tree: str, place: str) -> None:
    directory = os.path.join(store.venvs_directory(wanted.root), name)
    if os.path.lexists(directory):
        if venv_record(wanted.root, name, who) is None and os.listdir(directory):
            raise RollcallError(
                f"{directory} is there and has no record of Rollcall's, so it is left alone.",
                kind="refused",
                remedies=[cures.move_away(directory), cures.AGAIN],
            )
        store.discard(directory)
    store.ensure_own_directory(store.venvs_directory(wanted.root))
    os.mkdir(directory, 0o700)
    os.chmod(directory, 0o755)
    os.chown(directory, who.uid, who.gid)
    _mark(directory, who, whole=False)
    links = []
    if wanted.wheels.archive:
        verify_sent(wanted.wheels)
        wheels = os.path.join(place, "wheels")
        unpack_code(wanted, wanted.wheels.archive, who, wheels)
        links = ["--no-index", "--find-links", wheels]
    # -I: the working directory is the release's, and what is in it would be taken for modules of Python and of pip.
    pip = [os.path.join(directory, "bin", "python"), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
    requirements = "" if wanted.python is None else wanted.python.requirements
    for step, what, command in (
        ("make", "making the virtual environment", [_python(wanted), "-I", "-m", "venv", directory]),
        ("install", "installing what the release requires", [*pip, "install", "--quiet", "-r", requirements, *links]),
        ("check", "pip check", [*pip, "check"]),
    ):
        done = commands.run_in(tree, command, who, place=place, more=wanted.environment, timeout=wanted.timeout)
        if not done.ok:
            raise commands.failure(f"{what} ({commands.shown(command)})", done, _remedies(wanted, step))
    os.sync()
    _mark(directory, who, whole=True)


def _remedies(wanted: WantedRelease, step: str) -> t.List[str]:
    """Return what helps, by the step that failed."""
    if step == "make":
        return [f"apt install python3-venv, or the package of {_python(wanted)} with venv"]
    if step == "check":
        return ["make the versions in the list agree; a lock file does"]
    if wanted.wheels.archive:
        return ["pip download --only-binary :all: -d WHEELS -r REQUIREMENTS, with the Python of this host"]
    return [
        "correct the list, or take everything from the controller with python.wheels",
        "what has to be compiled needs a compiler on the host, or a wheel",
    ]


def _mark(directory: str, who: Account, *, whole: bool) -> None:
    with acting_as(who):
        text = json.dumps({"whole": whole}) + "\n"
        write_atomically(os.path.join(directory, RECORD_FILE), text, 0o644)


def venv_record(root: str, name: str, who: Account) -> t.Optional[t.Dict[str, t.Any]]:
    """Return what the record of a virtual environment says; None when there is none of ours."""
    return store.read_user_record(os.path.join(store.venvs_directory(root), name, RECORD_FILE), who)


def is_whole(root: str, name: str, who: Account) -> bool:
    """Return whether a virtual environment was built to its end, and still has its Python."""
    known = venv_record(root, name, who)
    python = os.path.join(store.venvs_directory(root), name, "bin", "python")
    return known is not None and bool(known.get("whole")) and os.path.exists(python)


def link_venv(wanted: WantedRelease, who: Account, tree: str, name: str) -> None:
    """Link a virtual environment into a release that is being made.

    Raises:
        RollcallError: ``wrong_use``: the release has something of that name itself.
    """
    with acting_as(who):
        link = os.path.join(tree, "venv")
        if os.path.lexists(link):
            raise RollcallError(
                "The release has something called venv, where the link to its virtual environment has to be.",
                kind="wrong_use",
                remedies=[cures.then("leave it out with `exclude`, or take it out of the repository")],
            )
        os.symlink(os.path.join(store.venvs_directory(wanted.root), name), link)
