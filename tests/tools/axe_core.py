# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""axe-core from a registry of npm, without npm: the version and the digest of requirements/browser, kept in the cache.

Run as a program it fetches what is not kept, so that tests in a browser need no network.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import typing as t
import urllib.request

from tests.support.interpreters import cache
from tests.support.repository import ROOT

LOCK = ROOT / "requirements" / "browser" / "package-lock.json"
PUBLIC = "https://registry.npmjs.org/"
SCRIPT = "package/axe.min.js"
# Seconds for all of it: it has 700 KB.
BOUND = 120


class Pinned(t.NamedTuple):
    """What the lock says of it."""

    version: str
    integrity: str


class WrongArchiveError(Exception):
    """What came has another digest than the lock has."""


def pinned() -> Pinned:
    """Return what is wanted."""
    entry = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]["node_modules/axe-core"]
    return Pinned(entry["version"], entry["integrity"])


def registry() -> str:
    """Return the address of the registry: as npm's own variable has it, else its configuration, else the public one."""
    named = next((os.environ[name] for name in os.environ if name.lower() == "npm_config_registry"), "")
    if not named and shutil.which("npm") is not None:
        command = ["npm", "config", "get", "registry"]
        named = subprocess.run(command, capture_output=True, text=True, check=True, timeout=BOUND).stdout.strip()
    return f"{(named or PUBLIC).rstrip('/')}/"


def source() -> str:
    """Return the program, of the archive that is kept; it is fetched where none is.

    Raises:
        WrongArchiveError: it is another one than is pinned; it is not kept.
        OSError: the registry does not answer.
    """
    wanted = pinned()
    kept = cache() / "npm" / f"axe-core-{wanted.version}.tgz"
    archive = kept.read_bytes() if kept.exists() else b""
    if not _is(archive, wanted):
        archive = fetched(f"{registry()}axe-core/-/axe-core-{wanted.version}.tgz")
        if not _is(archive, wanted):
            raise WrongArchiveError(f"axe-core {wanted.version} of {registry()} is not the one that {LOCK.name} has")
        kept.parent.mkdir(parents=True, exist_ok=True)
        # Whoever else fetches it meanwhile finds all of it or nothing.
        new = kept.with_suffix(f".{os.getpid()}")
        new.write_bytes(archive)
        new.rename(kept)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as files:
        script = files.extractfile(SCRIPT)
        assert script is not None
        return script.read().decode("utf-8")


def fetched(address: str) -> bytes:
    """Return what is at an address."""
    with urllib.request.urlopen(address, timeout=BOUND) as answer:
        return bytes(answer.read())


def _is(archive: bytes, wanted: Pinned) -> bool:
    """Return whether an archive has the digest that is wanted (Subresource Integrity)."""
    kind, _, digest = wanted.integrity.partition("-")
    return base64.b64encode(hashlib.new(kind, archive).digest()).decode() == digest


if __name__ == "__main__":
    source()
