# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml over several hosts: a host that fails or cannot be reached keeps the next ones from being touched."""

from __future__ import annotations

import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = Path(sys.prefix) / "bin" / "ansible-playbook"

INVENTORY = """\
all:
  hosts:
    first:
{first}
    second:
      ansible_connection: local
  vars:
    ansible_python_interpreter: {python}
    bootstrap_on_path: false
    services_boot: none
    rollcall_stack:
      name: batch
      root: {root}/{{{{ inventory_hostname }}}}
      services:
        sleeper: {{command: [sleep, "1000"]}}
"""

UNREACHABLE = """\
      ansible_connection: ssh
      ansible_host: 127.0.0.1
      ansible_port: 1
"""
FAILING = """\
      ansible_connection: local
      bootstrap_python: /bin/false
"""


def site(tmp_path: Path, first: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(INVENTORY.format(first=first.rstrip(), python=sys.executable, root=tmp_path), encoding="utf-8")
    return subprocess.run(
        [str(PLAYBOOK), "site.yml", "-i", str(inventory), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


@pytest.mark.parametrize("first", [UNREACHABLE, FAILING], ids=["unreachable", "failing"])
@pytest.mark.parametrize("batches", ['[1, "50%"]', "1"])
def test_the_first_lost_host_stops_the_batches_and_no_further_host_is_touched(
    tmp_path: Path, first: str, batches: str
) -> None:
    done = site(tmp_path, first, "-e", f"batches={batches}")
    assert done.returncode != 0
    assert not (tmp_path / "second").exists()
    if first == UNREACHABLE:
        assert "No further host is touched" in done.stdout
        assert "Lost: first" in done.stdout


def test_a_batch_that_is_none_is_refused_before_any_host(tmp_path: Path) -> None:
    done = site(tmp_path, FAILING, "-e", "batches=some")
    assert done.returncode != 0
    assert "a batch is a number of hosts or a percentage" in done.stdout + done.stderr
    assert not (tmp_path / "first").exists()


def test_a_bad_manifest_is_told_in_full_before_the_host_is_touched(tmp_path: Path) -> None:
    broken: t.List[str] = [
        "-e",
        '{"rollcall_stack": {"name": "x:y", "root": "relative", "services": {"a": {"prot": 1}}}}',
    ]
    done = site(tmp_path, FAILING, *broken)
    assert done.returncode != 0
    for word in ("stack.name", "stack.root", "prot"):
        assert word in done.stdout
    assert not (tmp_path / "second").exists()
