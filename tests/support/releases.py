# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small applications to make releases of, wheels made by hand, and what the controller sends of both."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import subprocess
import sys
import typing as t
import zipfile
from pathlib import Path

from ansible_collections.rollcall.supervisor.plugins.module_utils.releases import archives, lifecycle
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases.wanted import (
    PythonEnvironment,
    SentFile,
    WantedRelease,
)
from tests.support.repository import ROOT

EXCLUDE = (".git", "__pycache__", ".venv")


def write(directory: Path, files: t.Mapping[str, str]) -> Path:
    """Write files, by their path below ``directory``, and return the directory."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory


def wheel(directory: Path, name: str, version: str, requires: t.Sequence[str] = ()) -> Path:
    """Make a wheel with one module, whose ``VERSION`` is its version, and return its path."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    files = {
        f"{name}.py": f"VERSION = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},{_record(text)},{len(text.encode())}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    directory.mkdir(parents=True, exist_ok=True)
    made = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as packed:
        for path, text in files.items():
            packed.writestr(path, text)
    return made


def locked_wheels(lock: Path, directory: Path) -> str:
    """Return a directory with all that a lock names, for this Python; only what is not kept is fetched.

    Args:
        lock: a requirements file with digests.
        directory: where it is to be found, as `wheels`.
    """
    link, version = directory / "wheels", f"{sys.version_info[0]}.{sys.version_info[1]}"
    script = [str(ROOT / "tests" / "tools" / "wheels.sh"), str(lock), version, str(link)]
    subprocess.run(script, check=True, capture_output=True, timeout=100)
    return str(link)


def _record(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return f"sha256={digest.decode().rstrip('=')}"


def sent(source: Path, place: Path) -> SentFile:
    """Return what the controller sends of a directory or an archive, packed below ``place``."""
    if source.is_file():
        digest = archives.file_digest(str(source))
        return SentFile(digest, str(source), digest)
    entries = archives.scan(str(source), EXCLUDE)
    digest = archives.tree_digest(str(source), entries)
    path = place / f"{digest[:12]}.tar.gz"
    archives.pack(str(source), entries, str(path))
    return SentFile(digest, str(path), archives.file_digest(str(path)))


class Host:
    """A stack's root and what is wanted of releases there, as the role asks for it.

    Args:
        root: of the stack; it exists.
        place: a directory for what is sent.
        python: what virtual environments are made with.
        more: of the wish.
    """

    def __init__(self, root: Path, place: Path, python: str = sys.executable, **more: t.Any) -> None:
        self.root = root
        self.place = place
        self.python = python
        self.wish = WantedRelease(root=str(root), **more)

    def asks(self, source: Path, **more: t.Any) -> WantedRelease:
        """Return the wish for a release of ``source``, with all that could be sent."""
        return dataclasses.replace(self.wish, source=str(source), code=sent(source, self.place), **more)

    def with_wheels(self, wheels: Path, **more: t.Any) -> t.Dict[str, t.Any]:
        """Return what to add to a wish for a virtual environment from wheels."""
        return {
            "python": PythonEnvironment(python=self.python, wheels=True),
            "wheels": sent(wheels, self.place),
            **more,
        }

    def ready(self, source: Path, **more: t.Any) -> t.Dict[str, t.Any]:
        """Make a release ready."""
        return lifecycle.make_ready(self.asks(source, **more))

    def release(self, done: t.Mapping[str, t.Any]) -> Path:
        """Return the directory of a release."""
        return self.root / "releases" / str(done["id"])

    def switch(self, name: str, generation: str = "1") -> None:
        """Put the release in place, as the engine does with a generation of it."""
        directory = self.root / "generations" / generation
        directory.mkdir(parents=True)
        (directory / "release").symlink_to(f"../../releases/{name}")
        for link, target in ((self.root / "etc", f"generations/{generation}"), (self.root / "current", "etc/release")):
            link.unlink(missing_ok=True)
            link.symlink_to(target)

    def left_over(self) -> t.List[str]:
        """Return what was being made or removed and is still there."""
        return [str(path) for name in ("releases", "venvs", "shared") for path in self.root.glob(f"{name}/.*")]
