# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundle: one archive with the collection and the wheels of controllers and hosts, where there is no network."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from tests.release.build import ROOT, Entry, ReleaseError, Source, packed, run

# On what a controller runs, with the ansible-core of requirements/run.txt, and what a host may have.
CONTROLLERS = ("3.11", "3.12", "3.13")
HOSTS = ("3.9", "3.10", "3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
# The lists of both, with digests; the bundle has the first one under its own name.
CONTROLLER_LIST = ROOT / "requirements" / "controller.txt"
HOST_LIST = ROOT / "roles" / "bootstrap" / "files" / "requirements.txt"
TEXT = Path(__file__).parent / "INSTALL.md"


def wheels(requirements: Path, pythons: tuple[str, ...]) -> dict[str, bytes]:
    """Return the wheels of a list for all these versions of Python and all kinds of machine, by their names."""
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="rollcall-release-") as name:
        for python in pythons:
            for machine in MACHINES:
                link = Path(name) / f"{python}-{machine}"
                run(ROOT / "tests" / "tools" / "wheels.sh", requirements, python, link, machine)
                found.update({path.name: path.read_bytes() for path in link.iterdir()})
    strange = [name for name in found if not name.endswith(".whl")]
    if strange:
        raise ReleaseError(f"These are no wheels: {', '.join(sorted(strange))}.")
    return found


def text(made_of: Source) -> str:
    """Return the page that the bundle has: how it is installed."""
    return TEXT.read_text(encoding="utf-8").replace("VERSION", made_of.version)


def build_bundle(made_of: Source, collection: Path, materials: Path) -> Path:
    """Make the bundle beside the collection and return it.

    Args:
        made_of: the commit.
        collection: its archive.
        materials: its bill of materials.
    """
    files = {
        "INSTALL.md": text(made_of).encode(),
        "controller.txt": CONTROLLER_LIST.read_bytes(),
        collection.name: collection.read_bytes(),
        materials.name: materials.read_bytes(),
        **{f"wheels/controller/{name}": content for name, content in wheels(CONTROLLER_LIST, CONTROLLERS).items()},
        **{f"wheels/hosts/{name}": content for name, content in wheels(HOST_LIST, HOSTS).items()},
    }
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    files["SHA256SUMS"] = sums.encode()
    top = f"{made_of.name}-bundle"
    directories = [top, *(f"{top}/{name}" for name in ("wheels", "wheels/controller", "wheels/hosts"))]
    entries = [Entry(name, None) for name in directories]
    entries += [Entry(f"{top}/{name}", files[name]) for name in sorted(files)]
    path = collection.parent / f"{top}.tar"  # wheels are compressed already
    path.write_bytes(packed(entries, made_of.time))
    return path
