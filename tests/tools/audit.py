# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the pinned packages with published advisories: ``make audit ADVISORIES=PATH``. Needs no network.

PATH has advisories in the OSV format (https://ossf.github.io/osv-schema/): one, a list, one a line, a directory of such
files, or a zip archive of them, as the database is published for PyPI. Exit code 1: a pinned version is affected;
2: PATH cannot be read, or has no advisory for PyPI at all.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[2]
# What is installed on hosts, on a controller and by the example, in this order; developers' tools come last.
LISTS = (
    "roles/bootstrap/files/requirements.txt",
    "roles/monitor/files/apprise.txt",
    "requirements/controller.txt",
    "examples/django/requirements.txt",
    "requirements/molecule.txt",
    "requirements/test.txt",
    "requirements/dev.txt",
)
PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?==([^\s#;\\]+)", re.MULTILINE)
ECOSYSTEM = "PyPI"


class Pin(NamedTuple):
    """A package with its version, and the list that names it."""

    name: str
    version: Version
    where: str


class Finding(NamedTuple):
    """An advisory that affects a pinned version.

    Attributes:
        pin: what is pinned.
        advisory: its identifier.
        fixed: the versions in which it is fixed, as it says; empty where it names none.
        summary: of it, in one line.
    """

    pin: Pin
    advisory: str
    fixed: tuple[str, ...]
    summary: str


def pins(root: Path = ROOT) -> list[Pin]:
    """Return every package that a list of the project pins."""
    return [
        Pin(canonicalize_name(name), Version(version), where)
        for where in LISTS
        for name, version in PIN.findall((root / where).read_text(encoding="utf-8"))
    ]


def advisories(path: Path) -> Iterator[Mapping[str, Any]]:
    """Return the advisories in a file, a directory or a zip archive.

    Raises:
        ValueError: something in it is no JSON.
        OSError: it cannot be read.
    """
    if path.is_dir():
        for inner in sorted(path.rglob("*.json")):
            yield from _parsed(inner.read_text(encoding="utf-8"), str(inner))
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".json"):
                    yield from _parsed(archive.read(name).decode("utf-8"), f"{path}: {name}")
    else:
        yield from _parsed(path.read_text(encoding="utf-8"), str(path))


def _parsed(text: str, where: str) -> list[Mapping[str, Any]]:
    try:
        try:
            found = json.loads(text)
        except ValueError:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"{where} is neither JSON nor JSON by line: {exc}") from exc
    listed = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in listed):
        raise ValueError(f"{where} has something that is no advisory")
    return listed


def is_affected(version: Version, affected: Mapping[str, Any]) -> bool:
    """Return whether a version is among those that an entry of an advisory names."""
    if any(_version(listed) == version for listed in affected.get("versions", ())):
        return True
    return any(
        _in_range(version, one.get("events", ()))
        for one in affected.get("ranges", ())
        if one.get("type") in ("ECOSYSTEM", "SEMVER")
    )


def _in_range(version: Version, events: Any) -> bool:
    """Return whether the last event at or before a version begins a range; ``0`` is before every version."""
    inside = False
    told = [(_version(value), kind) for event in events for kind, value in event.items()]
    for at, kind in sorted(((at, kind) for at, kind in told if at is not None), key=lambda one: one[0]):
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def audit(listed: list[Pin], published: list[Mapping[str, Any]]) -> list[Finding]:
    """Return the advisories that affect what is pinned; those that were withdrawn do not count."""
    by_name: dict[str, list[Pin]] = {}
    for pin in listed:
        by_name.setdefault(pin.name, []).append(pin)
    found = []
    for advisory in published:
        for affected in () if advisory.get("withdrawn") else advisory.get("affected", ()):
            package = affected.get("package", {})
            if package.get("ecosystem") != ECOSYSTEM:
                continue
            fixed = tuple(
                event["fixed"]
                for one in affected.get("ranges", ())
                for event in one.get("events", ())
                if "fixed" in event and one.get("type") != "GIT"
            )
            summary = " ".join(str(advisory.get("summary", "")).split())
            for pin in by_name.get(canonicalize_name(package.get("name", "")), ()):
                if is_affected(pin.version, affected):
                    found.append(Finding(pin, str(advisory.get("id")), fixed, summary))
    return sorted(set(found), key=lambda one: (LISTS.index(one.pin.where), one.pin.name, one.advisory))


def main(arguments: list[str]) -> int:
    """Print what is affected, and return the exit code."""
    if len(arguments) != 1:
        print("name a file, a directory or a zip archive of advisories: make audit ADVISORIES=PATH", file=sys.stderr)
        return 2
    try:
        published = list(advisories(Path(arguments[0])))
    except (OSError, ValueError) as exc:
        print(f"the advisories cannot be read: {exc}", file=sys.stderr)
        return 2
    ours = [one for one in published if any(_is_ours(affected) for affected in one.get("affected", ()))]
    if not ours:
        print(f"{arguments[0]} has no advisory for {ECOSYSTEM}, so it proves nothing", file=sys.stderr)
        return 2
    listed = pins()
    found = audit(listed, ours)
    for one in found:
        better = f"; fixed in {', '.join(one.fixed)}" if one.fixed else "; it names no version that is fixed"
        print(f"{one.pin.where}: {one.pin.name} {one.pin.version}: {one.advisory}: {one.summary}{better}")
    many = "advisory" if len(ours) == 1 else "advisories"
    print(f"{len(listed)} pins compared with {len(ours)} {many}: {len(found)} affected")
    return 1 if found else 0


def _is_ours(affected: Mapping[str, Any]) -> bool:
    return bool(affected.get("package", {}).get("ecosystem") == ECOSYSTEM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
