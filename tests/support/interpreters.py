# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interpreters for tests: with a version of supervisor, for one stack, or quick at making virtual environments."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import stat
import subprocess
import sys
import typing as t
import zlib
from pathlib import Path

import psutil
import pytest
import supervisor

from ansible_collections.rollcall.supervisor.plugins.module_utils import launcher
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import config_reader
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.config import Program
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.parse_back import Parsed

if t.TYPE_CHECKING:
    from tests.support.stacks import StackUnderTest

# The oldest that is accepted, the one of Debian 12 and Ubuntu 22.04 and later, and the one that `bootstrap` installs.
VERSIONS = ("4.2.2", "4.2.5", "4.3.0")
TOO_OLD = "4.1.0"


def cache() -> Path:
    """Return where they are kept; it may be removed at any time."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.environ.get("ROLLCALL_CACHE") or os.path.join(home, "rollcall"))


def python_with(version: str) -> str:
    """Return an interpreter of this Python's version that can import supervisor ``version``; made when missing."""
    directory = cache() / f"supervisor-{version}"
    python = directory / "bin" / "python"
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(cache() / f"supervisor-{version}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes ask at once
        if not _usable(python):
            shutil.rmtree(directory, ignore_errors=True)
            _make(directory, version)
    return str(python)


def _usable(python: Path) -> bool:
    if not python.exists():  # nor what it links to
        return False
    wanted = f"import sys, supervisor.options; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    tried = subprocess.run([python, "-I", "-W", "ignore", "-c", wanted], check=False, capture_output=True, timeout=60)
    return tried.returncode == 0


def _make(directory: Path, version: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True, timeout=120)
    packages = directory / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    # Up to 4.2 it imports pkg_resources, which newer setuptools no longer have.
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(packages)]
    subprocess.run([*command, f"supervisor=={version}", "setuptools<81"], check=True, timeout=600)


# Reads one config after the other, so that a property test does not start an interpreter for each.
SERVE = """
import io, json, sys
reader = {"__name__": "reader"}
exec(sys.argv[1], reader)
version = reader["read_version"]()
for line in sys.stdin:
    answer = {"version": version}
    try:
        stream = reader["_Stream"](io.BytesIO(json.loads(line).encode("utf-8")), encoding="utf-8")
        answer.update(reader["read_config"](stream))
    except (reader["ConfigRefused"], ValueError) as exc:
        answer["refusal"] = str(exc)
    print(json.dumps(answer, default=str), flush=True)
"""


class Reader:
    """A long-lived ``config_reader`` in the interpreter ``python``."""

    def __init__(self, python: str) -> None:
        source = Path(config_reader.__file__).read_text(encoding="utf-8")
        self._process = subprocess.Popen(
            [python, "-I", "-B", "-X", "utf8", "-W", "ignore", "-c", SERVE, source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            cwd="/",
        )

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.communicate(timeout=60)

    def read(self, text: str) -> Parsed:
        """Return what supervisor understands of ``text``, as ``config.parse_back`` would."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise AssertionError("both are pipes")
        stdin.write(json.dumps(text) + "\n")
        stdin.flush()
        answer: t.Dict[str, t.Any] = json.loads(stdout.readline())
        if "refusal" in answer:
            raise AssertionError(f"supervisor refuses: {answer['refusal']}\n{text}")
        programs = [Program.from_dict(program) for program in answer["programs"]]
        return Parsed(answer["version"], programs, answer["daemon"])


def install_engine(root: str, python: str) -> None:
    """Put what a service's command needs below a stack's root: the virtual environment and the launcher."""
    engine = Path(root) / "engine"
    engine.mkdir()
    (engine / "venv").symlink_to(Path(python).parents[1])
    (engine / "rollcall").symlink_to(Path(launcher.__file__).parent)


def own_interpreter(
    made: StackUnderTest, base: str = sys.executable, *, at_start: str = "", whole: bool = False
) -> None:
    """Give the stack a virtual environment with supervisor and psutil under its own root.

    Args:
        made: the stack; nothing of it runs yet.
        base: the Python behind it.
        at_start: Python code that runs in every interpreter of it before anything else.
        whole: whether it has all that the tests' own has, so that an install finds nothing missing.
    """
    place = Path(made.root, "engine", "venv")
    place.unlink()
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").symlink_to(os.path.realpath(base))
    (place / "pyvenv.cfg").write_text(f"home = {os.path.dirname(os.path.realpath(base))}\n", encoding="utf-8")
    packages = place / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    packages.mkdir(parents=True)
    found = [Path(str(package.__file__)).parent for package in (supervisor, psutil)]
    if whole:
        found = [path for path in found[0].parent.iterdir() if path.suffix != ".pth" and path.name != "__pycache__"]
        for command in Path(sys.prefix, "bin").iterdir():
            if not command.name.startswith("python"):
                (place / "bin" / command.name).symlink_to(command)
    for path in found:
        (packages / path.name).symlink_to(path)
    if at_start:
        (packages / "at_start.py").write_text(at_start, encoding="utf-8")
        # A line that begins with `import` is executed (site, in Python's library reference).
        (packages / "at_start.pth").write_text("import at_start\n", encoding="utf-8")


ASK_PATH = "import os, sys; print(os.path.realpath(sys.executable), end='')"


def python_of_all() -> t.Optional[str]:
    """Return a Python of the tests' own version that every user may run; None when this machine has none."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    candidates = [os.path.realpath(sys.executable), shutil.which(name, path="/usr/bin:/usr/local/bin") or ""]
    return next((path for path in candidates if path and _open_to_all(Path(path))), None)


def another_python() -> t.Optional[str]:
    """Return a Python of the tests' own version that is another installation; None when this machine has none."""
    name, own = f"python{sys.version_info[0]}.{sys.version_info[1]}", os.path.realpath(sys.executable)
    # What is on the PATH may be a script that starts one.
    told = [
        subprocess.run([path, "-I", "-c", ASK_PATH], capture_output=True, text=True, check=False, timeout=60).stdout
        for path in (os.path.join(directory, name) for directory in os.get_exec_path())
        if os.access(path, os.X_OK)
    ]
    return next((path for path in told if path and path != own), None)


def _open_to_all(program: Path) -> bool:
    return all(path.stat().st_mode & stat.S_IXOTH for path in (program, *program.parents))


def give_to(made: StackUnderTest, user: str, uid: int, gid: int) -> None:
    """Make the stack one of another user, as the role bootstrap does when root runs it."""
    python = python_of_all()
    assert python is not None
    own_interpreter(made, python)
    os.unlink(made.program)
    os.symlink(python, made.program)
    os.chmod(made.root, 0o755)
    for path in (made.paths.run, made.paths.logs):
        os.chown(path, uid, gid)
    made.raw["user"] = user


SCRIPT = """\
#!/bin/sh
case "$*" in
"-I -m venv "* | "-m venv "*)
  for directory; do :; done
  mkdir -p "$directory" && exec cp -a {template}/. "$directory" ;;
*) exec {python} "$@" ;;
esac
"""


@pytest.fixture(scope="session")
def quick_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python like that of the tests, whose `-m venv DIRECTORY` copies one that is there, for all workers and runs."""
    version = platform.python_version()
    template = cache() / f"environment-{version}-{zlib.crc32(os.path.realpath(sys.executable).encode()):08x}"
    cache().mkdir(parents=True, exist_ok=True)
    with open(f"{template}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (template / "whole").exists():
            shutil.rmtree(template, ignore_errors=True)
            subprocess.run([sys.executable, "-I", "-m", "venv", str(template)], check=True, timeout=100)
            (template / "whole").touch()
    program = tmp_path_factory.mktemp("python") / "quick-python"
    program.write_text(SCRIPT.format(template=template, python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    return str(program)
