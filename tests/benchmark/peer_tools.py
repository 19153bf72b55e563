# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the peers: from the package indexes into the cache, each version and each digest as it is pinned."""

from __future__ import annotations

import os
import shutil
import sys
import venv
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.benchmark.arena import CACHE, HERE, Arena, Failure

PYTHON_LIST = HERE / "peers.txt"
NPM = HERE / "npm"


def from_pypi(arena: Arena) -> Path:
    """Return where the commands of honcho and circus are."""

    def install(place: Path) -> None:
        venv.create(place, with_pip=True, symlinks=True)
        pip = [str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        arena.run([*pip, "--requirement", str(PYTHON_LIST)]).must("pip install")

    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return _once(f"peers-{python}-{zlib.crc32(PYTHON_LIST.read_bytes()):08x}", install) / "bin"


def from_npm(arena: Arena) -> Path:
    """Return where the command of PM2 is; no script of a package is run for it."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise Failure("there is no npm here")
    lock = NPM / "package-lock.json"

    def install(place: Path) -> None:
        place.mkdir()
        for name in ("package.json", lock.name):
            shutil.copy(NPM / name, place)
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund"]
        arena.run([npm, "ci", "--prefix", str(place), *quiet]).must("npm ci")

    return _once(f"npm-{zlib.crc32(lock.read_bytes()):08x}", install) / "node_modules" / ".bin"


def _once(name: str, install: Callable[[Path], None]) -> Path:
    """Return a directory of the cache that is there only when it is whole."""
    place, mark = CACHE / "benchmark" / name, f"{os.getpid()}"
    whole = place / "whole"
    if not whole.exists():
        # An environment of Python has its own path in its commands: it cannot be made elsewhere and moved.
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        install(place)
        whole.write_text(mark, encoding="utf-8")
    return place
