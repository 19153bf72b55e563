# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commit that a release is made of, and the archive of its collection: the same bytes wherever it is made."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.prefix) / "bin"


class ReleaseError(Exception):
    """A release cannot be made of this, or is not what it has to be; the text says what to do."""


@dataclass(frozen=True)
class Source:
    """The commit that a release is made of.

    Attributes:
        commit: its name.
        time: when it was committed, in seconds since 1970: what every file of the release has as its time.
        version: of the collection, as galaxy.yml has it there.
    """

    commit: str
    time: int
    version: str

    @property
    def name(self) -> str:
        """What files of this release are called, without a suffix."""
        return f"rollcall-supervisor-{self.version}"


def run(
    *command: str | Path, cwd: Path = ROOT, environment: Mapping[str, str] | None = None, seconds: float = 600
) -> str:
    """Run a command to its end and return what it printed on its standard output.

    Raises:
        ReleaseError: it did not exit with 0; with the end of all that it printed.
    """
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode != 0:
        words = " ".join(str(word) for word in command)
        raise ReleaseError(f"{words[:300]} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-6000:]}")
    return done.stdout


def source() -> Source:
    """Return what a release is made of now.

    Raises:
        ReleaseError: something is not committed: nobody else could make the same release.
    """
    changed = run("git", "status", "--porcelain").strip()
    if changed:
        raise ReleaseError(
            f"A release is made of a commit, and this is in none:\n{changed}\nCommit it, or put it away."
        )
    commit, time = run("git", "log", "-1", "--format=%H %ct").split()
    return Source(commit, int(time), str(galaxy()["version"]))


def galaxy() -> dict[str, object]:
    """Return galaxy.yml."""
    return dict(yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8")))


def changelog_problems(version: str) -> list[str]:
    """Return why the changelog cannot be that of ``version``; nothing where it can."""
    releases = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text(encoding="utf-8"))["releases"]
    page = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    problems = []
    if version not in releases:
        problems.append(f"changelogs/changelog.yaml has no {version}")
    elif f"\n## v{version.replace('.', chr(92) + '.')}\n" not in page:
        problems.append(f"CHANGELOG.md has no section v{version}")
    listed = {name for entry in releases.values() for name in entry.get("fragments", [])}
    there = {path.name for path in (ROOT / "changelogs" / "fragments").glob("*.yml")}
    problems += [f"changelogs/fragments/{name} is in no version" for name in sorted(there - listed)]
    return [*problems, "run: make changelog"] if problems else []


def build_collection(made_of: Source, directory: Path) -> Path:
    """Build the collection of a commit and return its archive, in ``directory``."""
    with tempfile.TemporaryDirectory(prefix="rollcall-release-") as name:
        tree = Path(name) / "tree"
        tree.mkdir()
        with tarfile.open(fileobj=io.BytesIO(_exported(made_of.commit))) as exported:
            exported.extractall(tree)
        run(BIN / "ansible-galaxy", "collection", "build", "--output-path", name, cwd=tree)
        entries = read(Path(name) / f"{made_of.name}.tar.gz")
    path = directory / f"{made_of.name}.tar.gz"
    path.write_bytes(compressed(packed(in_order(entries), made_of.time)))
    return path


def _exported(commit: str) -> bytes:
    return subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True, timeout=60).stdout


@dataclass(frozen=True)
class Entry:
    """A file of an archive, or a directory, which has no content."""

    name: str
    content: bytes | None
    executable: bool = False


def read(archive: Path) -> list[Entry]:
    """Return what an archive has.

    Raises:
        ReleaseError: it has something that is neither a file nor a directory.
    """
    entries = []
    with tarfile.open(archive) as opened:
        for member in opened:
            content = opened.extractfile(member)
            if content is None and not member.isdir():
                raise ReleaseError(f"{member.name} in {archive.name} is neither a file nor a directory.")
            executable = content is not None and bool(member.mode & 0o100)
            entries.append(Entry(member.name, None if content is None else content.read(), executable))
    return entries


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries of a collection by name, its list of files, too: else it is as the disk has them."""
    by_name = {entry.name: entry for entry in entries}
    files = json.loads(by_name["FILES.json"].content or b"")
    files["files"].sort(key=lambda one: str(one["name"]))
    listed = json.dumps(files, indent=1).encode()
    manifest = json.loads(by_name["MANIFEST.json"].content or b"")
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(listed).hexdigest()
    first = [Entry("MANIFEST.json", json.dumps(manifest, indent=1).encode()), Entry("FILES.json", listed)]
    return [*first, *(by_name[name] for name in sorted(by_name) if name not in ("MANIFEST.json", "FILES.json"))]


def packed(entries: Iterable[Entry], time: int) -> bytes:
    """Return a tar archive of these entries in this order, all of root and of that time."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for entry in entries:
            member = tarfile.TarInfo(entry.name)
            member.mtime = time
            member.mode = 0o755 if entry.content is None or entry.executable else 0o644
            if entry.content is None:
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            else:
                member.size = len(entry.content)
                archive.addfile(member, io.BytesIO(entry.content))
    return stream.getvalue()


def compressed(content: bytes) -> bytes:
    """Return ``content`` as gzip has it, without a name and a time."""
    return gzip.compress(content, compresslevel=9, mtime=0)


def digests(paths: Iterable[Path]) -> str:
    """Return the digests of files as ``sha256sum --check`` reads them, by name."""
    ordered = sorted(paths, key=lambda path: path.name)
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in ordered)
