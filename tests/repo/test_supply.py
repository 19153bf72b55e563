# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of the packages that are installed on hosts: the bill of materials, and the audit by advisories."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from tests.support.repository import ROOT
from tests.tools import audit

LOCK = (ROOT / "roles" / "bootstrap" / "files" / "requirements.txt").read_text(encoding="utf-8")


def advisory(name: str, *events: dict[str, str], **more: Any) -> dict[str, Any]:
    """Return an advisory in the OSV format, as the database has them for PyPI."""
    package = {"ecosystem": "PyPI", "name": name}
    affected = {"package": package, "ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}
    return {"id": "PYSEC-0000-1", "summary": "it leaks", "affected": [affected], **more}


def run_audit(*arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.tools.audit", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)


def test_the_bill_of_materials_has_every_locked_package_with_all_its_digests(tmp_path: Path) -> None:
    made = [tmp_path / "one.json", tmp_path / "two.json"]
    for path in made:
        subprocess.run([ROOT / "tests/tools/sbom.sh", path], check=True, capture_output=True, timeout=200)
    assert made[0].read_bytes() == made[1].read_bytes()
    components = json.loads(made[0].read_text(encoding="utf-8"))["components"]
    listed = dict(audit.PIN.findall(LOCK))
    assert {component["name"]: component["version"] for component in components} == listed
    digests = {
        one["content"] for component in components for at in component["externalReferences"] for one in at["hashes"]
    }
    assert digests == {line.split("sha256:")[1][:64] for line in LOCK.splitlines() if "sha256:" in line}


@pytest.mark.parametrize(
    ("events", "affected"),
    [
        ([{"introduced": "0"}], True),
        ([{"introduced": "0"}, {"fixed": "1.0"}], False),
        ([{"introduced": "0"}, {"fixed": "2.0"}], True),
        ([{"introduced": "0"}, {"fixed": "1.5"}], False),
        ([{"introduced": "0"}, {"last_affected": "1.5"}], True),
        ([{"introduced": "0"}, {"last_affected": "1.4.9"}], False),
        ([{"introduced": "1.6"}], False),
        ([{"introduced": "0"}, {"fixed": "0.9"}, {"introduced": "1.2"}, {"fixed": "1.10"}], True),
        ([{"introduced": "1.2"}, {"fixed": "1.10"}, {"introduced": "0"}, {"fixed": "0.9"}], True),
    ],
)
def test_a_version_is_affected_by_the_ranges_of_an_advisory(events: list[dict[str, str]], affected: bool) -> None:
    entry = advisory("six", *events)["affected"][0]
    assert audit.is_affected(Version("1.5"), entry) is affected


def test_a_version_is_affected_when_an_advisory_lists_it() -> None:
    assert audit.is_affected(Version("1.5"), {"versions": ["1.4", "1.5.0"]})
    assert not audit.is_affected(Version("1.5"), {"versions": ["1.4"]})


@pytest.mark.parametrize("form", ["object", "list", "lines", "directory", "archive"])
def test_an_affected_package_is_named_with_what_mends_it_and_needs_no_network(tmp_path: Path, form: str) -> None:
    told = [
        advisory("PyYAML", {"introduced": "0"}, {"fixed": "99.1"}),
        advisory("six", {"introduced": "0"}, {"fixed": "0.1"}),
        advisory("psutil", {"introduced": "0"}, withdrawn="2026-01-01T00:00:00Z"),
    ]
    path = tmp_path / "advisories"
    if form == "object":
        path.write_text(json.dumps(told[0], indent=1), encoding="utf-8")
    elif form == "list":
        path.write_text(json.dumps(told), encoding="utf-8")
    elif form == "lines":
        path.write_text("\n".join(map(json.dumps, told)), encoding="utf-8")
    elif form == "directory":
        path.mkdir()
        for number, one in enumerate(told):
            (path / f"{number}.json").write_text(json.dumps(one), encoding="utf-8")
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for number, one in enumerate(told):
                archive.writestr(f"{number}.json", json.dumps(one))
    done = run_audit(path)
    assert done.returncode == 1, done
    assert "roles/bootstrap/files/requirements.txt: pyyaml 6" in done.stdout
    assert "PYSEC-0000-1: it leaks; fixed in 99.1" in done.stdout
    assert "six" not in done.stdout
    assert "psutil" not in done.stdout


def test_a_list_of_advisories_without_one_for_what_is_pinned_is_good(tmp_path: Path) -> None:
    path = tmp_path / "advisories.json"
    path.write_text(json.dumps(advisory("nothing-of-ours", {"introduced": "0"})), encoding="utf-8")
    done = run_audit(path)
    assert (done.returncode, done.stdout.split(": ")[-1]) == (0, "0 affected\n")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "no JSON", "[" * 100_000, '["text"]', '{"affected": [{"package": {"name": "x"}}]}']
)
def test_a_file_that_has_no_advisory_for_python_proves_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "advisories.json"
    path.write_text(text, encoding="utf-8")
    done = run_audit(path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert run_audit(tmp_path / "none").returncode == 2
