# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks write files by their paths only where nobody else than who runs them can put another file in the way.

A module such as `copy` looks at a path and uses it again later. In a directory of the stack's user the engine writes.
"""

from __future__ import annotations

import typing as t

import yaml

from tests.support.repository import ROOT

WRITERS = {
    *("assemble", "blockinfile", "copy", "cron", "file", "get_url", "lineinfile", "replace", "synchronize", "tempfile"),
    *("template", "unarchive", "git", "pip", "script", "slurp", "fetch", "acl", "mount", "systemd"),
}
OF_ROOT, OF_OWN = "a directory of root's", "a directory of the user who installs"
# By file and where it writes, and whose directory that is.
ALLOWED = {
    "playbooks/manifest.yml: {{ output | realpath }}": "where the person who types it says, on the controller",
    "roles/bootstrap/tasks/on_path.yml: /etc/rollcall/stacks": OF_ROOT,
    "roles/bootstrap/tasks/on_path.yml: /etc/rollcall/stacks/{{ __bootstrap_stack.name }}": OF_ROOT,
    "roles/bootstrap/tasks/on_path.yml: /usr/local/bin/rollcall": OF_ROOT,
    "roles/bootstrap/tasks/on_path.yml: /etc/ansible/facts.d": OF_ROOT,
    "roles/bootstrap/tasks/on_path.yml: /etc/ansible/facts.d/rollcall.fact": OF_ROOT,
    "roles/bootstrap/tasks/prepare.yml: {{ __bootstrap_stack.root }}/lib/rollcall_ports.py": OF_ROOT,
    "roles/bootstrap/tasks/prepare.yml: {{ __bootstrap_engine }}/prepared": OF_ROOT,
    "roles/database/tasks/postgresql_undo.yml: {{ __database_checked.manifest.paths.state }}/undo": OF_ROOT,
    "roles/database/tasks/redis_undo.yml: {{ __database_checked.manifest.paths.state }}/undo": OF_ROOT,
    "roles/database/tasks/redis_undo.yml: {{ __database_checked.manifest.paths.state }}/undo/redis.json": OF_ROOT,
    "roles/database/tasks/redis_run.yml: {{ __database_system.redis_config }}": "what the package of Redis has made",
    "roles/drain/tasks/by_file.yml: {{ drain_file }}": "where its variable says, for the application's own check",
    "roles/drain/tasks/nginx.yml: {{ drain_nginx_file }}": OF_ROOT,
    "roles/drain/tasks/nginx_reload.yml: {{ drain_nginx_file }}": OF_ROOT,
    "roles/monitor/tasks/absent.yml: {{ __monitor_units }}/{{ __monitor_unit }}": OF_OWN,
    "roles/monitor/tasks/absent.yml: {{ __monitor_drop_in }}": OF_ROOT,
    "roles/monitor/tasks/absent.yml: {{ monitor_manifest.paths.state }}/watch.json": OF_OWN,
    "roles/monitor/tasks/absent.yml: {{ __monitor_apprise }}": OF_ROOT,
    "roles/monitor/tasks/absent.yml: {{ monitor_manifest.watch.metrics.textfile }}": "as the manifest's check allows",
    "roles/monitor/tasks/apprise.yml: {{ __monitor_apprise }}": OF_ROOT,
    "roles/monitor/tasks/apprise.yml: {{ __monitor_apprise }}/requirements.new": OF_ROOT,
    "roles/monitor/tasks/apprise.yml: {{ __monitor_apprise }}/requirements.txt": OF_ROOT,
    "roles/monitor/tasks/needrestart.yml: /etc/needrestart/conf.d": OF_ROOT,
    "roles/monitor/tasks/needrestart.yml: {{ __monitor_drop_in }}": OF_ROOT,
    "roles/monitor/tasks/present.yml: {{ __monitor_apprise }}": OF_ROOT,
    "roles/monitor/tasks/present.yml: {{ __monitor_units }}": OF_OWN,
    "roles/monitor/tasks/present.yml: {{ __monitor_units }}/{{ __monitor_unit }}": OF_OWN,
    "roles/services/tasks/boot_launchd.yml: {{ __services_boot.places.launchd }}": OF_OWN,
    "roles/services/tasks/boot_linger.yml: {{ services_boot_manifest.root }}/engine/lingering": OF_OWN,
    "roles/services/tasks/boot_remove.yml: {{ __services_boot.places[__services_boot_old] }}": OF_OWN,
    "roles/services/tasks/boot_systemd.yml: {{ __services_boot.places.user | dirname }}": OF_OWN,
    "roles/services/tasks/boot_systemd.yml: {{ __services_boot.places[__services_boot.kind] }}": OF_OWN,
    "roles/services/tasks/boot_timers.yml: {{ __services_boot_unit.path }}": OF_OWN,
}
UNDO = "roles/database/tasks/postgresql_undo.yml: {{ __database_checked.manifest.paths.state }}/undo/"


def written_in(tasks: t.Any) -> t.Iterator[str]:
    """Yield where the tasks of a file write by themselves; `?` where that cannot be told."""
    if isinstance(tasks, list):
        for one in tasks:
            yield from written_in(one)
    elif isinstance(tasks, dict):
        for key, value in tasks.items():
            if key in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers"):
                yield from written_in(value)
            elif key.rpartition(".")[2] in WRITERS and key.startswith(("ansible.", "community.")):
                yield str((value.get("dest") or value.get("path") or "?") if isinstance(value, dict) else "?")


def test_tasks_write_only_where_nobody_else_can() -> None:
    found = set()
    for folder in ("roles", "playbooks"):
        for path in sorted((ROOT / folder).rglob("*.yml")):
            where = path.relative_to(ROOT)
            if not {"molecule", "defaults", "meta", "vars"} & set(where.parts):
                found |= {f"{where}: {place}" for place in written_in(yaml.safe_load(path.read_text(encoding="utf-8")))}
    assert {one for one in found if not one.startswith(UNDO)} == set(ALLOWED)


def test_a_task_that_writes_elsewhere_is_found() -> None:
    text = "- block:\n    - ansible.builtin.copy: {dest: '{{ root }}/run/x', content: ''}\n      become: true\n"
    assert list(written_in(yaml.safe_load(text))) == ["{{ root }}/run/x"]
