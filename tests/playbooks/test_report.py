# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook report over a host with a stack, one without, and one that is lost; and the command on a host."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.rollcall.supervisor.plugins.module_utils.page import memory
from tests.support.commands import rollcall
from tests.support.playbooks import PLAYBOOK
from tests.support.processes import free_port
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest, stack

UNREACHABLE = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}


def report(place: Path, made: StackUnderTest, *arguments: str, **h1: t.Any) -> subprocess.CompletedProcess[str]:
    """Run the playbook over h1 with the stack, h2 with none, h3 that is lost, and h4 without a manifest."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    bare = {**made.raw, "root": str(place / "none")}
    hosts = {
        "h1": {**local, "rollcall_stack": made.raw, **h1},
        "h2": {**local, "rollcall_stack": bare},
        "h3": {**UNREACHABLE, "rollcall_stack": made.raw},
        "h4": local,
    }
    inventory = place / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    options = ["-i", str(inventory), "-e", f"report={place}/page.html", *arguments]
    command = [str(PLAYBOOK), "playbooks/report.yml", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=400)


def test_the_page_is_written_whatever_it_says_and_remembers_when_a_host_was_last_reached(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    with stack({"web": {"port": free_port(), "health": {"http": "/"}}}) as made:
        assert made.perform()["ok"]
        assert report(tmp_path, made, "--check", "--limit", "h4").returncode == 0
        assert not page.exists()

        done = report(tmp_path, made)
        assert done.returncode == 0, done.stdout
        assert f"3 of 4 hosts failed: {page}" in done.stdout
        text = page.read_text(encoding="utf-8")
        assert page.stat().st_mode & 0o777 == 0o640
        seen = memory.remembered(text)
        assert (seen["h1"].lost, seen["h3"].last) == (None, None)
        assert seen["h3"].lost is not None

        # What is remembered stays, of those who are not asked as well.
        lost = report(tmp_path, made, "--limit", "h1,h3", **UNREACHABLE)
        assert lost.returncode == 0, lost.stdout
        now = memory.remembered(page.read_text(encoding="utf-8"))
        assert now["h1"].last == seen["h1"].last
        assert now["h1"].lost is not None
        assert now["h3"].lost == seen["h3"].lost
        assert now["h2"] == seen["h2"]
        assert "2 hosts of the inventory not asked" in page.read_text(encoding="utf-8")

        page.write_text("<html>somebody's own</html>", encoding="utf-8")
        refused = report(tmp_path, made)
        assert refused.returncode != 0
        assert page.read_text(encoding="utf-8") == "<html>somebody's own</html>"

        told = rollcall(made, "report", "--json", "--output", str(tmp_path / "host.html")).data
        assert (told["ok"], told["well"]) == (True, True)
        assert memory.is_ours((tmp_path / "host.html").read_text(encoding="utf-8"))
