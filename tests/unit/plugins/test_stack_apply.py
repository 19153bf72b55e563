# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What check mode says of a host that cannot plan yet, and how a rollout begins in the task that runs the services."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.rollcall.supervisor.plugins.action.stack_apply import ActionModule, first_install
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine_files import fingerprint
from tests.support.manifests import a_manifest, a_service, checked

STACK = checked(a_manifest({"web": a_service()}))
ORDER = {"id": "r2", "by": "ann@desk", "controller": {}, "over": [], "origin": "r2", "first": "h1"}
ARGUMENTS = {
    "rollout": ORDER,
    "begin": {"gate": {"one_way": ["migrate"], "until": 5.0}, "python": "python3", "on_path": True},
}


class Host(ActionModule):
    """The action with a host that says what it is told to; `asked` has the questions that the engine got."""

    def __init__(self, prepared: str, answer: dict[str, Any]) -> None:
        self._host_name = "h1"
        self._said = f"prepared {prepared}\nwhole yes\n"
        self._answer = answer
        self.asked: list[tuple[str, Any]] = []

    def _low_level_execute_command(self, *_arguments: Any) -> dict[str, Any]:
        return {"rc": 0, "stdout": self._said, "stderr": ""}

    def ask(self, _root: str, verb: str, arguments: Any) -> dict[str, Any]:
        self.asked.append((verb, arguments))
        return self._answer


def test_a_first_install_is_told_from_the_manifest_with_ports_sockets_and_timers() -> None:
    ports = {"http": 8000, "query": "8001/udp"}
    stack = checked(
        a_manifest(
            {
                "web": a_service(port=8002),
                "both": a_service(ports=ports, socket="run/b.sock"),
                "idle": a_service(),
                "cleanup": a_service(kind="timer", cron="0 3 * * *"),
            }
        )
    )
    assert first_install(stack).splitlines()[1:-1] == [
        "install supervisor and the engine under /opt/trading",
        "start web on port 8002",
        "start both on ports 8000, 8001/udp and /opt/trading/run/b.sock",
        "start idle",
        "add timer cleanup: 0 3 * * *",
    ]


def test_a_rollout_begins_on_a_host_that_is_prepared_before_anything_else_is_asked() -> None:
    record = {"id": "r2", "step": "begin"}
    host = Host(fingerprint(STACK.to_dict()), {"ok": True, "changed": False, "rollout": record})
    result: dict[str, Any] = {}

    assert host._begins(result, ARGUMENTS, STACK)

    [(verb, question)] = host.asked
    assert (verb, question["step"], question["leads"], question["one_way"]) == (
        "rollout_step",
        "begin",
        True,
        ["migrate"],
    )
    assert result["begun"]["rollout"] == record
    assert "failed" not in result


@pytest.mark.parametrize("prepared", ["", "another"])
def test_on_a_host_that_is_not_as_it_was_prepared_nothing_is_done(prepared: str) -> None:
    host = Host(prepared, {})
    result: dict[str, Any] = {}

    assert not host._begins(result, ARGUMENTS, STACK)

    assert (result, host.asked) == ({"unprepared": True}, [])


def test_where_a_rollout_cannot_begin_there_was_no_run_to_judge() -> None:
    error = {"message": "another one is at work", "kind": "refused", "evidence": {}, "remedies": []}
    refused = {"ok": False, "changed": False, "failed": True, "msg": "another one is at work", "error": error}
    host = Host(fingerprint(STACK.to_dict()), refused)
    result: dict[str, Any] = {}

    assert not host._begins(result, ARGUMENTS, STACK)

    assert (result["failed"], result["error"]) == (True, error)
    assert "ok" not in result
