# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the proofs of a release share: the release that was just made, its bundle unpacked, tools of their own."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tarfile
import typing as t
import venv
import zlib
from pathlib import Path

import pytest

from tests.release.build import ROOT, Source, run, source
from tests.release.containers import Container
from tests.support.interpreters import cache


class Release(t.NamedTuple):
    """What was made: the commit, and the files."""

    made_of: Source
    directory: Path
    collection: Path
    materials: Path
    bundle: Path


@pytest.fixture(scope="session")
def release() -> Release:
    """The release that ``make release`` has just made."""
    if "ROLLCALL_RELEASE" not in os.environ:
        pytest.fail("These tests try a release that was just made: run make release.")
    directory, made_of = Path(os.environ["ROLLCALL_RELEASE"]), source()
    place = directory / made_of.name
    return Release(made_of, directory, Path(f"{place}.tar.gz"), Path(f"{place}.cdx.json"), Path(f"{place}-bundle.tar"))


@pytest.fixture(scope="session")
def unpacked(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the bundle unpacks to."""
    place = tmp_path_factory.mktemp("bundle")
    with tarfile.open(release.bundle) as archive:
        archive.extractall(place)
    (directory,) = place.iterdir()
    return directory


@pytest.fixture(scope="session")
def commands(unpacked: Path) -> list[list[str]]:
    """The commands of each block of the bundle's page, in their order."""
    page = (unpacked / "INSTALL.md").read_text(encoding="utf-8")
    return [block.splitlines() for block in re.findall(r"^```shell\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)]


@pytest.fixture(scope="session")
def tools() -> Path:
    """The directory of commands of an environment with requirements/release.txt; made when missing."""
    texts = b"".join((ROOT / "requirements" / name).read_bytes() for name in ("release.txt", "run.txt"))
    place = cache() / f"release-{zlib.crc32(texts):08x}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{place}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "whole").exists():
            shutil.rmtree(place, ignore_errors=True)
            venv.create(place, with_pip=True, symlinks=True)
            run(place / "bin" / "pip", "install", "--quiet", "--requirement", ROOT / "requirements" / "release.txt")
            (place / "whole").touch()
    return place / "bin"


@pytest.fixture
def lonely(unpacked: Path) -> t.Iterator[Container]:
    """A host that has no network at all: Debian as debootstrap makes it, with the bundle under /bundle."""
    with Container("--network=none", f"--volume={unpacked}:/bundle:ro") as container:
        yield container
