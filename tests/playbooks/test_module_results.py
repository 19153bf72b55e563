# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module once as a task that succeeds and once as one that fails; each result is as its RETURN says.

tests/conftest.py checks so for every playbook of every test. Here no module is left out.
"""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.edge_data import data_of
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.publishing import publication
from tests.support import haproxy, returns
from tests.support.playbooks import play
from tests.support.processes import free_port
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest, stack, two_services

Options = t.Dict[str, t.Any]

NOWHERE = "/nonexistent"
ROLLOUT: Options = {
    "id": "20261101-000000-aaaa",
    "order": {
        "id": "20261101-000000-aaaa",
        "by": "ada@desk",
        "controller": {"boot": "", "namespace": "", "pid": 1, "start": 0},
        "over": [],
        "origin": "20261101-000000-aaaa",
        "first": "here",
    },
    "one_way": [],
    "drained": [],
    "hosts": ["here"],
    "left_out": {},
    "earlier": {},
    "back": [],
    "reverts": False,
    "generations": {"here": ""},
    "steps": [],
    "began": 0.0,
    "min_up": 0,
    "progress": 0.0,
}

PUBLISHED = {
    "reached": True,
    "address": "localhost",
    "services": {"web": {"kind": "service", "instances": [{"number": 0, "ports": {"": 8010}, "checks": []}]}},
}


def manifest(raw: t.Mapping[str, t.Any]) -> Options:
    checked = check_manifest({"stack": dict(raw)}).stack
    assert checked is not None
    return checked.to_dict()


def succeeding(made: StackUnderTest, place: Path, socket: str) -> t.Dict[str, Options]:
    """Return options for each module with which it succeeds, and the task's other keys."""
    balanced = {"host": "app1", "sockets": [socket], "record_directory": str(place / "drained")}
    (service,) = map(data_of, publication({"web": {"bind": "*:80"}}, {"here": PUBLISHED}).services)
    unused = {"socket": str(place / "unused.sock"), **dict.fromkeys(("user", "group", "chroot", "log"), "")}
    installed, templates = {"root": made.root}, ROOT / "roles" / "services" / "templates"
    return {
        "manifest_info": {"manifest": made.raw},
        "bootstrap_info": {"manifest": made.raw},
        "boot_info": {"manifest": manifest(made.raw), "wanted": "none", "templates": str(templates / "boot")},
        "database_info": {"url": f"redis://127.0.0.1:{free_port()}"},
        "engine": {"root": str(place / "engine")},
        "engine_packages": {"root": str(place / "none"), "requirements": "supervisor"},
        "manifest_edit": {"path": str(place / "manifest.json"), "service": "web", "port": free_port()},
        "port_assign": {**installed, "manifest": manifest(made.raw)},
        "port_info": installed,
        "port_flush": {**installed, "supervised": True},
        "supervisor_program": {**installed, "name": ["worker"], "state": "restarted"},
        "release": {"root": str(place / "released"), "source": str(place / "code")},
        "rollout_info": {
            "manifest": made.raw,
            "template": str(templates / "supervisord.conf.j2"),
            "endpoints": True,
        },
        "rollout_plan": {"answers": {"here": {"root": made.root, "seen": {"reached": True}}}},
        "rollout_step": {**installed, "order": ROLLOUT["order"], "step": "begin"},
        "rollout_judge": {},
        "rollout_result": {"rollout": {**ROLLOUT, "hosts": []}},
        "rollout_way_back": {"rollout": ROLLOUT},
        "rollout_gate": {"rollout": ROLLOUT},
        "rollout_up_info": installed,
        "report_info": installed,
        "report_page": {"path": str(place / "page.html"), "answers": {}},
        "fleet_table": {"answers": {}},
        "edge_info": {"manifest": made.raw, "address": "localhost"},
        "edge_plan": {"services": {"web": {"bind": "*:80"}}, "answers": {"here": PUBLISHED}},
        "haproxy_config": {"services": [service], "path": str(place / "haproxy.cfg"), **unused},
        "discovery_table": {"answers": {}},
        "discovery_file": {"path": str(place / "targets.json"), "kind": "prometheus", "hosts": {}},
        "haproxy_server": {**balanced, "state": "ready"},
        "haproxy_server_info": balanced,
        "stack_apply": {"manifest": made.raw, "template": str(templates / "supervisord.conf.j2")},
        "stack_info": installed,
        "stack_verify": installed,
        "stack_doctor": installed,
        "stack_acknowledge": installed,
        "stack_restart": installed,
        "stack_remove": {**installed, "manifest": manifest(made.raw)},
        "stack_root": {"root": str(place / "fresh")},
        "stack_credentials": {**installed, "state_directory": made.paths.state, "files": {"credentials/feed": "x"}},
    }


def failing(made: StackUnderTest, place: Path) -> t.Dict[str, Options]:
    """Return the options with which each module fails, where they are not those above with another root."""
    return {
        "manifest_info": {"manifest": {}},
        "bootstrap_info": {"manifest": {}},
        "boot_info": {"wanted": "systemd" if os.geteuid() else "user"},
        "database_info": {"timeout": "soon"},
        "engine": {"archive": str(place / "manifest.json")},
        "engine_packages": {"python": "false"},
        "manifest_edit": {"service": "nobody"},
        "release": {"source": "code"},
        "rollout_info": {"manifest": {}},
        "rollout_plan": {"answers": {"here": {}}},
        "rollout_step": {"step": "fly"},
        "rollout_judge": {"run": "soon"},
        "rollout_result": {"rollout": ROLLOUT},
        "rollout_way_back": {"batches": "soon"},
        "rollout_gate": {"failure_budget": "soon"},
        "rollout_up_info": {"root": "none"},
        "report_info": {"root": "none"},
        "report_page": {"answers": "soon"},
        "fleet_table": {"answers": "soon"},
        "edge_info": {"manifest": {}},
        "edge_plan": {"services": {}},
        "haproxy_config": {"services": [{}]},
        "discovery_table": {"answers": "soon"},
        "discovery_file": {"path": str(place / "targets.txt")},
        "haproxy_server": {"sockets": [str(place / "none.sock")]},
        "haproxy_server_info": {"sockets": [str(place / "none.sock")]},
        "stack_apply": {"manifest": {}},
        "stack_root": {"root": str(place / "manifest.json" / "below")},
        "stack_remove": {"root": str(place), "manifest": manifest({**made.raw, "root": str(place)})},
    }


def test_what_every_module_returns_is_documented(tmp_path: Path) -> None:
    for name in ("code", "state"):
        (tmp_path / name).mkdir()
    (tmp_path / "code" / "app.py").write_text("print()\n", encoding="utf-8")
    servers = "backend web\n  server app1 127.0.0.1:{port1}\n"
    with (
        stack(two_services()) as made,
        locked(str(tmp_path / "state"), "ada", "restart"),
        haproxy.running(servers) as balancer,
    ):
        assert made.perform()["ok"]
        (tmp_path / "manifest.json").write_text(json.dumps({"stack": made.raw}), encoding="utf-8")
        succeed, fail = succeeding(made, tmp_path, balancer.socket), failing(made, tmp_path)
        assert set(succeed) == set(returns.DOCUMENTS)
        dry = {"port_flush", "engine_packages", "haproxy_config", "stack_remove"}
        tasks: t.List[Options] = []
        for module, options in succeed.items():
            name = f"rollcall.supervisor.{module}"
            wrong = {**options, **fail.get(module, {"root": NOWHERE})}
            tasks += [{name: options, "check_mode": module in dry}, {name: wrong, "ignore_errors": True}]
        playbook = tmp_path / "play.json"
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")

        done = play(made, str(playbook))

        assert done.returncode == 0, done.stdout
        assert sorted(returns.recorded()) == [
            (module, failed) for module in sorted(succeed) for failed in (False, True)
        ]
