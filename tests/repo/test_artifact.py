# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release is made of, as far as it can be seen at once: the files of its archive, its changelog, its locks."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.utils import canonicalize_name

from tests.release.build import Entry, changelog_problems, compressed, in_order, packed, read
from tests.release.bundle import TEXT
from tests.release.contents import differences
from tests.support.playbooks import archive
from tests.support.repository import ROOT, tracked
from tests.tools.audit import PIN


def test_the_archive_holds_what_is_meant_and_packs_to_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    built = archive(tmp_path)
    entries = read(built)
    held = {entry.name for entry in entries if entry.content is not None}
    assert differences(held, [str(path.relative_to(ROOT)) for path in tracked()]) == []

    packages = [compressed(packed(in_order(some), 1)) for some in (entries, list(reversed(entries)))]
    assert packages[0] == packages[1]
    executable = {entry.name for entry in entries if entry.executable}
    assert {"restart", "rollout"} <= executable


def test_a_file_that_nobody_meant_and_one_that_is_missing_are_named() -> None:
    known = ["README.md", "plugins/modules/engine.py", "tests/conftest.py"]
    held = ["MANIFEST.json", "FILES.json", "README.md", "tests/conftest.py"]
    assert differences(held, known) == [
        "it has tests/conftest.py, which is not meant to be there",
        "it has no plugins/modules/engine.py",
    ]


def test_a_version_without_an_entry_in_the_changelog_is_named() -> None:
    first, *_others, last = changelog_problems("0.0.9")
    assert (first, last) == ("changelogs/changelog.yaml has no 0.0.9", "run: make changelog")


def test_what_controllers_install_from_a_bundle_is_what_is_pinned_and_each_package_has_digests() -> None:
    lock, pinned = (
        (ROOT / "requirements" / name).read_text(encoding="utf-8") for name in ("controller.txt", "run.txt")
    )
    locked, wanted = (
        {(canonicalize_name(name), version) for name, version in PIN.findall(text)} for text in (lock, pinned)
    )
    assert wanted
    assert wanted <= locked, "run: make lock"
    entries = re.split(r"\n(?=[a-z])", lock.partition("\n")[2].strip())
    assert len(entries) == len(locked)
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_page_on_installing_has_the_commands_that_the_bundle_has() -> None:
    first, _site = re.findall(r"```shell\n(.*?)```", TEXT.read_text(encoding="utf-8"), re.DOTALL)
    page = (ROOT / "docs" / "how-to" / "install.md").read_text(encoding="utf-8")
    assert f"```shell\n{first.replace('VERSION', '*')}```" in page


def test_an_entry_is_as_it_was_before_it_was_packed(tmp_path: Path) -> None:
    entries = [Entry("a", None), Entry("a/b", b"text"), Entry("c", b"", executable=True)]
    path = tmp_path / "some.tar.gz"
    path.write_bytes(compressed(packed(entries, 1)))
    assert read(path) == entries
