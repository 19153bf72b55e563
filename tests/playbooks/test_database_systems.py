# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role `database` calls packages, services and files of each system. Of Red Hat's nothing has been run."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

from tests.support.repository import ROOT


def names(postgresql: str, redis: str, service: str, config: str) -> t.Dict[str, t.Any]:
    return {
        "postgresql": [postgresql],
        "postgresql_service": "postgresql",
        "redis": [redis],
        "redis_service": service,
        "redis_config": config,
    }


DEBIAN = names("postgresql", "redis-server", "redis-server", "/etc/redis/redis.conf")
SYSTEMS = {
    **dict.fromkeys([("Debian", "11"), ("Debian", "12"), ("Debian", "13"), ("Debian", "n/a")], DEBIAN),
    ("RedHat", "8"): names("postgresql-server", "redis", "redis", "/etc/redis.conf"),
    ("RedHat", "9"): names("postgresql-server", "redis", "redis", "/etc/redis/redis.conf"),
    ("RedHat", "10"): names("postgresql-server", "valkey", "valkey", "/etc/valkey/valkey.conf"),
}
PLAYBOOK = """
- hosts: all
  gather_facts: false
  vars_files: [{variables}]
  vars:
    __database_facts: {{ansible_facts: "{{{{ facts }}}}"}}
  tasks:
    - ansible.builtin.assert:
        that: __database_system == wanted
"""


def test_each_system_has_the_names_that_its_distribution_gives(tmp_path: Path) -> None:
    hosts = {
        f"host{number}": {
            "facts": {"ansible_os_family": family, "ansible_distribution_major_version": version},
            "wanted": wanted,
        }
        for number, ((family, version), wanted) in enumerate(SYSTEMS.items())
    }
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    playbook = tmp_path / "names.yml"
    playbook.write_text(PLAYBOOK.format(variables=ROOT / "roles" / "database" / "vars" / "main.yml"), encoding="utf-8")
    command = [f"{sys.prefix}/bin/ansible-playbook", "-i", str(tmp_path / "hosts.json"), str(playbook)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("ok=1") == len(SYSTEMS)
    assert "WARNING" not in done.stdout + done.stderr
