# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has installed the collection checks and imports manifests on the controller, without a host."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import yaml

from tests.support.playbooks import PLAYBOOK
from tests.support.repository import ROOT

GROUP_VARS = """
rollcall_stack:
  name: shop
  root: /opt/shop
  services:
    web:
      command: [venv/bin/python, app.py]
      port: 8001
      secrets: {KEY: "{{ vault_key }}"}
"""
CONF = """
[program:web]
command=python3 app.py
environment=PASSWORD="hunter2"
"""


def played(place: Path, *variables: str) -> subprocess.CompletedProcess[str]:
    """Run the playbook in a directory of somebody's project."""
    given = [word for variable in variables for word in ("-e", variable)]
    return subprocess.run(
        [str(PLAYBOOK), str(ROOT / "playbooks" / "manifest.yml"), *given],
        cwd=place,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


def written(place: Path, name: str, text: str) -> t.Tuple[Path, str]:
    (place / name).write_text(text, encoding="utf-8")
    return place, f"file={name}"


def test_the_variables_of_a_group_pass_as_the_readme_has_them_and_templates_stay_text(tmp_path: Path) -> None:
    done = played(*written(tmp_path, "all.yml", GROUP_VARS))

    assert done.returncode == 0, done.stdout
    assert "all.yml: OK" in done.stdout
    assert "vault_key" not in done.stderr


def test_every_problem_is_told_and_the_playbook_fails(tmp_path: Path) -> None:
    broken = GROUP_VARS.replace("port: 8001", "prot: 8001").replace("root: /opt", "root: opt")

    done = played(*written(tmp_path, "all.yml", broken), "op=check")

    assert done.returncode != 0
    for words in ("rollcall_stack.root (line 4)", "did you mean port?", "all.yml: FAILED, 2 errors"):
        assert words in done.stdout, done.stdout


def test_another_tools_file_becomes_a_manifest_in_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    place, file = written(tmp_path, "supervisord.conf", CONF)

    done = played(place, "op=import", file, "stack=shop", "to=/srv/shop", "output=stack.yml")

    assert done.returncode == 0, done.stdout
    assert "hunter2" not in done.stdout
    made = place / "stack.yml"
    assert made.stat().st_mode & 0o777 == 0o600
    stack = yaml.safe_load(made.read_text(encoding="utf-8"))["stack"]
    assert (stack["name"], stack["root"], list(stack["services"])) == ("shop", "/srv/shop", ["web"])
    checked = played(place, "file=stack.yml")
    assert checked.returncode == 0, checked.stdout


def test_files_of_another_host_and_ports_of_another_file_are_imported_from_the_controller(tmp_path: Path) -> None:
    there = tmp_path / "copy" / "etc" / "supervisor"
    there.mkdir(parents=True)
    (there / "web.ini").write_text(CONF, encoding="utf-8")
    written(there, "supervisord.conf", "[supervisord]\n[include]\nfiles=/etc/supervisor/*.ini\n")
    written(tmp_path, "ports.json", '{"assignments": {"web": 8042}}')
    file = "file=copy/etc/supervisor/supervisord.conf"
    options = ("op=import", file, "stack=shop", "output=stack.yml", "ports=ports.json", "all_notes=true")

    alone = played(tmp_path, *options)

    assert alone.returncode != 0
    assert "--include-root DIR" in alone.stdout, alone.stdout
    assert "supervisord.conf: FAILED, 1 error" in alone.stdout
    done = played(tmp_path, *options, "include_root=copy")
    assert done.returncode == 0, done.stdout
    made = (tmp_path / "stack.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(made)["stack"]["services"]["web"]["port"] == 8042
    assert "cure: do nothing" in made


def test_what_is_missing_is_said_with_what_to_type(tmp_path: Path) -> None:
    for variables in ((), ("op=import", "file=x"), ("op=other", "file=x")):
        done = played(tmp_path, *variables)
        assert done.returncode != 0
        assert "-e op=check -e file=FILE, or -e op=import -e file=FILE -e stack=NAME" in " ".join(done.stdout.split())
