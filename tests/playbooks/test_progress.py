# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""While a run waits, the controller says for each host what for: in place on a terminal, in lines elsewhere."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ara.setup import callback_plugins

from tests.support.playbooks import BOUND, command_of, outcome
from tests.support.processes import free_port
from tests.support.repository import ROOT
from tests.support.stacks import APP, StackUnderTest, stack

# Asks ARA as its own commands do, within a process of its own: Django is set up once in each.
ASKS = """
import json
from ara.clients.offline import AraOfflineClient
client = AraOfflineClient(run_sql_migrations=False)
found = {name: client.get(f"/api/v1/{name}")["results"] for name in ("playbooks", "tasks", "results", "hosts")}
found["run"] = client.get(f"/api/v1/results/{next(one['id'] for one in found['results'] if one['changed'])}")
print(json.dumps(found))
"""
WAITS = re.compile(r"here: at 'start', waits for web \(port\), (\d+) s")


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    command = ["sh", "-c", f"while [ -e ill ]; do sleep 0.1; done; exec {sys.executable} {APP} web"]
    with stack(
        {"web": {"command": command, "port": free_port(), "health": {"http": "/health"}, "ready_timeout": 300}}
    ) as one:
        assert one.perform()["ok"]
        Path(one.root, "ill").touch()
        yield one


def environment(made: StackUnderTest, **others: str) -> t.Dict[str, str]:
    told = {"ROLLCALL_OUTCOME": str(Path(made.root) / "outcome.json"), "ROLLCALL_PROGRESS": "0.5", "TERM": "xterm"}
    return {**os.environ, **told, **others}


def test_on_a_terminal_a_line_is_renewed_in_place_and_gone_at_the_end(made: StackUnderTest) -> None:
    master, slave = pty.openpty()
    command = command_of(made, "playbooks/restart.yml")
    with subprocess.Popen(command, cwd=ROOT, env=environment(made), stdin=slave, stdout=slave, stderr=slave) as run:
        os.close(slave)
        said, deadline = "", time.monotonic() + BOUND
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    said += os.read(master, 65_536).decode()
                except OSError:
                    break
            if len(WAITS.findall(said)) >= 3:
                Path(made.root, "ill").unlink(missing_ok=True)
        assert run.wait(BOUND) == 0, said
    os.close(master)
    seconds = [int(number) for number in WAITS.findall(said)]
    assert len(seconds) >= 3, said
    assert seconds == sorted(seconds)
    # What a terminal has on it in the end: each drawing was taken away before anything else.
    assert WAITS.search(shown(said)) is None, shown(said)
    assert "1 of 1 service up" in shown(said)
    assert outcome(made)["ok"]


def shown(said: str) -> str:
    """Return what is left on a terminal: `ESC [ N A`, return, `ESC [ J` take N lines away."""
    lines: t.List[str] = []
    for part in re.split(r"(\x1b\[\d+A\r\x1b\[J)", said):
        taken = re.match(r"\x1b\[(\d+)A", part)
        if taken is not None and part.endswith("J"):
            assert lines[-1] == "", "the cursor was at the beginning of a line"
            del lines[-1 - int(taken[1]) :]
            lines.append("")
        else:
            first, *rest = part.split("\n")
            lines = [*lines[:-1], (lines[-1] if lines else "") + first, *rest]
    return "\n".join(lines)


def test_a_format_of_data_on_standard_output_is_left_alone(made: StackUnderTest) -> None:
    others = {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal", "ANSIBLE_FORCE_COLOR": "false"}
    with subprocess.Popen(
        command_of(made, "playbooks/restart.yml"),
        cwd=ROOT,
        env=environment(made, **others),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stderr is not None
        line = next(line for line in run.stderr if WAITS.search(line))
        assert "\x1b" not in line
        Path(made.root, "ill").unlink()
        out, _err = run.communicate(timeout=BOUND)
    assert run.returncode == 0
    assert WAITS.search(out) is None
    report = json.loads((Path(made.root) / "outcome.json").read_text(encoding="utf-8"))["hosts"]["here"]["reports"][0]
    assert report["ok"]
    assert report["mode"] == "full", "the answer is that of the run that was begun by the first question"


def test_json_on_standard_output_stays_json_to_the_end(made: StackUnderTest) -> None:
    # As that of ansible.posix, which comes in a collection of its own.
    others = {
        "ANSIBLE_STDOUT_CALLBACK": "jsonl",
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests" / "support" / "callbacks"),
    }
    with subprocess.Popen(
        command_of(made, "playbooks/restart.yml"),
        cwd=ROOT,
        env=environment(made, **others),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stderr is not None
        assert any(WAITS.search(line) for line in run.stderr)
        Path(made.root, "ill").unlink()
        out, err = run.communicate(timeout=BOUND)
    assert run.returncode == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["task", "ok", "task", "ok", "task", "stats"]
    assert events[3]["result"]["report"]["ok"]
    assert "1 of 1 service up" in err
    assert outcome(made)["ok"]


def test_ara_records_every_task_host_and_result_of_a_run_that_was_waited_for(
    made: StackUnderTest, tmp_path: Path
) -> None:
    known = environment(
        made,
        ANSIBLE_CALLBACK_PLUGINS=os.pathsep.join([os.environ["ANSIBLE_CALLBACK_PLUGINS"], callback_plugins]),
        ARA_BASE_DIR=str(tmp_path / "ara"),
    )
    with subprocess.Popen(
        command_of(made, "playbooks/restart.yml"),
        cwd=ROOT,
        env=known,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        assert any(WAITS.search(line) for line in run.stdout)
        Path(made.root, "ill").unlink()
        out, err = run.communicate(timeout=BOUND)
    assert run.returncode == 0, err
    assert "1 of 1 service up" in out
    asked = [sys.executable, "-c", ASKS]
    said = subprocess.run(asked, env=known, capture_output=True, text=True, check=True, timeout=BOUND).stdout
    found = json.loads(said.splitlines()[-1])

    assert [playbook["status"] for playbook in found["playbooks"]] == ["completed"]
    assert sorted((task["name"], task["status"]) for task in found["tasks"]) == [
        ("Batch | Stop when a host was lost before", "completed"),
        ("Run | Have the host do it, mode full", "completed"),
        ("Succeed only when every service has answered", "completed"),
    ]
    (host,) = found["hosts"]
    assert (host["name"], host["ok"], host["changed"], host["failed"]) == ("here", 2, 1, 0)
    assert len(found["results"]) == len(found["tasks"])
    assert found["run"]["content"]["report"]["run"] == outcome(made)["run"]
