# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What finds out whether everybody can use the page is the one that is pinned, wherever it comes from."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.tools import axe_core

ADDRESS = "http://registry.test/npm"


def archive(script: str) -> bytes:
    """Return a package of npm with a script."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as files:
        member = tarfile.TarInfo(axe_core.SCRIPT)
        member.size = len(script)
        files.addfile(member, io.BytesIO(script.encode()))
    return written.getvalue()


def test_only_the_archive_that_is_pinned_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right, asked = archive("axe"), list[str]()
    answers = [archive("other"), right]

    def fetched(address: str) -> bytes:
        asked.append(address)
        return answers.pop(0)

    wanted = axe_core.Pinned("1.2.3", f"sha512-{base64.b64encode(hashlib.sha512(right).digest()).decode()}")
    monkeypatch.setenv("ROLLCALL_CACHE", str(tmp_path))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", ADDRESS)
    monkeypatch.setattr(axe_core, "pinned", lambda: wanted)
    monkeypatch.setattr(axe_core, "fetched", fetched)

    with pytest.raises(axe_core.WrongArchiveError):
        axe_core.source()
    assert list(tmp_path.rglob("*.tgz")) == []
    assert axe_core.source() == "axe"
    assert asked == [f"{ADDRESS}/axe-core/-/axe-core-1.2.3.tgz"] * 2
    assert axe_core.source() == "axe", "it is fetched once"
    # What was kept and is damaged is fetched again.
    (kept,) = tmp_path.rglob("*.tgz")
    kept.write_bytes(b"damaged")
    answers.append(right)
    assert axe_core.source() == "axe"
    assert kept.read_bytes() == right


def test_the_lock_is_that_of_the_version_that_is_wanted() -> None:
    package = json.loads((axe_core.LOCK.parent / "package.json").read_text(encoding="utf-8"))
    assert package["devDependencies"] == {"axe-core": axe_core.pinned().version}
    assert axe_core.pinned().integrity.startswith("sha512-")
