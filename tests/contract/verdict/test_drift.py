# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`rollcall manifest drift`: the file, the installed manifest, supervisord and the listeners, side by side."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.support.commands import rollcall
from tests.support.processes import eventually, free_port
from tests.support.stacks import StackUnderTest, stack
from tests.support.victims import victim


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack({"web": {"port": free_port(), "health": {"http": "/health"}}, "worker": {}}) as made:
        assert made.perform()["ok"]
        yield made


def written(made: StackUnderTest) -> str:
    path = Path(made.root, "manifest.json")
    path.write_text(json.dumps({"stack": made.raw}), encoding="utf-8")
    return str(path)


def drift(made: StackUnderTest, *file: str) -> t.Tuple[int, t.Dict[str, t.List[str]]]:
    said = rollcall(made, "manifest", "drift", *file, "--json")
    assert said.data["ok"] is (said.code == 0)
    return said.code, {row["name"]: row["differences"] for row in said.data["services"]}


def test_what_is_installed_and_runs_has_not_drifted(running: StackUnderTest) -> None:
    assert drift(running) == (0, {"web": [], "worker": []})
    assert drift(running, written(running)) == (0, {"web": [], "worker": []})


def test_an_edit_that_was_not_applied_is_named_key_by_key(running: StackUnderTest) -> None:
    running.raw["services"]["worker"]["env"] = {"COLOUR": "blue"}
    running.raw["services"]["late"] = {}
    code, found = drift(running, written(running))
    assert (code, found["web"], found["late"]) == (1, [], ["is in the file and not installed"])
    assert found["worker"] == ["differs in the file: env"]
    del running.raw["services"]["web"]
    assert drift(running, written(running))[1]["web"] == ["is not in the file"]


def test_a_service_that_lost_its_port_to_another_is_named_with_who_has_it(running: StackUnderTest) -> None:
    port = running.raw["services"]["web"]["port"]
    running.supervisor().stop(["web"])
    with victim("listen", port) as foreign:
        code, found = drift(running)
    assert code == 1
    assert [f"pid {foreign.pid}" in difference for difference in found["web"]] == [True, False]
    assert found["web"][1] == "is STOPPED, and should run"


def test_a_silent_supervisord_is_drift(running: StackUnderTest) -> None:
    running.kill_daemon()
    done = subprocess.run([running.command, "manifest", "drift"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "supervisord: " in done.stdout


def test_a_file_that_is_no_manifest_is_wrong_use(running: StackUnderTest) -> None:
    running.raw["services"]["web"]["command"] = 7
    said = rollcall(running, "manifest", "drift", written(running), "--json")
    assert said.code == 2
    assert "rollcall manifest check" in said.remedies[0]


def test_a_service_that_does_not_run_has_drifted_and_one_that_is_held_has_not(running: StackUnderTest) -> None:
    running.supervisor().stop(["worker"])
    assert drift(running) == (1, {"web": [], "worker": ["is STOPPED, and should run"]})
    running.raw["services"]["worker"]["env"] = {"EXIT": "3"}
    assert not running.perform()["ok"]
    assert eventually(lambda: running.supervisor().programs()["worker"].state == "FATAL")
    code, found = drift(running)
    assert (code, found["worker"][0].split(":")[0]) == (1, "is FATAL")
    running.raw["services"]["worker"] = {"requires_files": ["/no/such/file"]}
    running.perform()
    assert drift(running) == (0, {"web": [], "worker": []})


def test_a_oneshot_that_failed_has_drifted_and_one_that_ran_to_its_end_has_not(running: StackUnderTest) -> None:
    running.raw["services"]["once"] = {"kind": "oneshot", "env": {"EXIT": "0"}}
    assert running.perform()["ok"]
    assert drift(running) == (0, {"web": [], "worker": [], "once": []})
    running.raw["services"]["once"]["env"]["EXIT"] = "3"
    running.perform()
    assert drift(running)[1]["once"] == ["is EXITED with status 3, and should run"]


# --- the stack itself ---------------------------------------------------------------------------------------------


def stack_drift(made: StackUnderTest, *file: str) -> t.Tuple[t.List[str], t.Dict[str, t.List[str]]]:
    """Return the keys of the stack that differ, and the differences of each service that has some."""
    said = rollcall(made, "manifest", "drift", *file, "--json")
    services = {row["name"]: row["differences"] for row in said.data["services"] if row["differences"]}
    assert said.data["ok"] is (said.code == 0) is not (said.data["keys"] or services)
    return said.data["keys"], services


KEYS: t.Sequence[t.Tuple[str, t.Any, str]] = (
    ("name", "other", "name"),
    ("root", "/srv/other", "root"),
    ("user", "nobody", "user"),
    ("ports", {"range": [1024, 65000], "avoid": [5001]}, "ports.avoid"),
    ("checks", {"logs": {"critical": ["BOOM"]}}, "checks.logs.critical"),
    ("deprecated", {"old": 18444}, "deprecated"),
    ("paths", {"logs": "/var/log/of-the-stack"}, "paths.logs"),
    ("restart_budget", {"restarts": 1}, "restart_budget.restarts"),
    ("watch", {"interval": 5}, "watch.interval"),
)


def test_a_key_of_the_stack_that_differs_in_the_file_is_drift(running: StackUnderTest) -> None:
    installed = dict(running.raw)
    path = Path(running.root, "manifest.json")
    for key, value, told in KEYS:
        path.write_text(json.dumps({"stack": {**installed, key: value}}), encoding="utf-8")
        keys, services = stack_drift(running, str(path))
        assert told in keys
        if key not in ("root", "paths", "ports"):
            assert (keys, services) == ([told], {})
        shown = rollcall(running, "manifest", "drift", str(path)).out
        assert told in shown
        assert "no drift" not in shown, key


def test_a_file_that_leaves_the_rest_to_the_inventory_is_compared_by_what_it_says(running: StackUnderTest) -> None:
    port = running.raw["services"]["web"]["port"]
    older: t.Dict[str, t.Any] = {
        "created": "2025-07-19",
        "core_services": {"web": {"port": port}},
        "watchdog_services": {"worker": {}},
    }
    path = Path(running.root, "ports.json")
    path.write_text(json.dumps(older), encoding="utf-8")
    assert stack_drift(running, str(path)) == ([], {})
    older["core_services"]["web"]["port"] = other = free_port()
    older["port_ranges"] = {"safe_range_start": min(port, other), "safe_range_end": max(port, other)}
    path.write_text(json.dumps(older), encoding="utf-8")
    assert stack_drift(running, str(path)) == (["ports.range"], {"web": ["differs in the file: port, own_port"]})
    del older["core_services"]["web"]
    older["deprecated_services"] = {"web": {"port": port}}
    path.write_text(json.dumps(older), encoding="utf-8")
    assert stack_drift(running, str(path))[1] == {"web": ["is not in the file"]}


def test_variables_of_an_inventory_are_compared_and_secrets_of_a_vault_left_out(running: StackUnderTest) -> None:
    path = Path(running.root, "all.yml")

    def write() -> None:
        path.write_text(json.dumps({"rollcall_stack": running.raw, "ansible_user": "deploy"}) + "\n", encoding="utf-8")

    running.raw["services"]["web"]["secrets"] = {"TOKEN": "{{ vault_token }}"}
    write()
    assert stack_drift(running, str(path)) == ([], {})
    running.raw["services"]["worker"]["env"] = {"COLOUR": "blue"}
    write()
    assert stack_drift(running, str(path)) == ([], {"worker": ["differs in the file: env"]})
    running.raw["services"]["worker"]["env"] = {"COLOUR": "{{ colour }}"}
    write()
    said = rollcall(running, "manifest", "drift", str(path), "--json")
    assert said.code == 2
    assert "rollcall_stack.services.worker.env.COLOUR" in said.message
