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

DEBIAN = ("postgresql", "redis-server", "redis-server", "/etc/redis/redis.conf")
REDHAT = ("postgresql-server", "redis", "redis", "/etc/redis/redis.conf")
SYSTEMS = {
    **dict.fromkeys([("Debian", "11"), ("Debian", "12"), ("Debian", "13"), ("Debian", "n/a")], DEBIAN),
    ("RedHat", "8"): (*REDHAT[:3], "/etc/redis.conf"),
    ("RedHat", "9"): REDHAT,
    ("RedHat", "10"): ("postgresql-server", "valkey", "valkey", "/etc/valkey/valkey.conf"),
}
PLAYBOOK = """
- hosts: all
  connection: local
  gather_facts: false
  vars_files: [{variables}]
  vars:
    __database_facts: {{ansible_facts: "{{{{ facts }}}}"}}
  tasks:
    - ansible.builtin.copy:
        content: "{{{{ __database_system | to_json }}}}"
        dest: "{place}/{{{{ inventory_hostname }}}}.json"
        mode: "0644"
"""


def test_each_system_has_the_names_that_its_distribution_gives(tmp_path: Path) -> None:
    hosts: t.Dict[str, t.Any] = {}
    for number, (family, version) in enumerate(SYSTEMS):
        facts = {"ansible_os_family": family, "ansible_distribution_major_version": version}
        hosts[f"host{number}"] = {"facts": facts, "ansible_python_interpreter": sys.executable}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    variables = ROOT / "roles" / "database" / "vars" / "main.yml"
    playbook = tmp_path / "names.yml"
    playbook.write_text(PLAYBOOK.format(variables=variables, place=tmp_path), encoding="utf-8")
    command = [f"{sys.prefix}/bin/ansible-playbook", "-i", str(tmp_path / "hosts.json"), str(playbook)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout
    assert "WARNING" not in done.stdout + done.stderr
    found = {}
    for number, system in enumerate(SYSTEMS):
        chosen = json.loads((tmp_path / f"host{number}.json").read_text(encoding="utf-8"))
        (postgresql,), (redis,) = chosen["postgresql"], chosen["redis"]
        assert chosen["postgresql_service"] == "postgresql"
        found[system] = (postgresql, redis, chosen["redis_service"], chosen["redis_config"])
    assert found == SYSTEMS
