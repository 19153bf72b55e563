# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The logs of all hosts: one block a host, and a word of the host that was not reached."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.playbooks import play
from tests.support.processes import free_port
from tests.support.stacks import stack, two_services


def test_each_host_shows_its_lines_and_a_lost_one_is_said() -> None:
    with stack(two_services()) as made:
        run = made.perform()["run"]
        with Path(made.paths.logs, "web.log").open("a", encoding="utf-8") as log:
            log.write("one\ntwo\x1b[2J\nthree\n")
        more = Path(made.root) / "more.json"
        lost = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": free_port()}
        more.write_text(
            json.dumps({"all": {"hosts": {"lost": {**lost, "rollcall_stack": made.raw}}}}), encoding="utf-8"
        )
        done = play(made, "playbooks/logs.yml", "-i", str(more), "-e", "services=web", "-e", "lines=2")
        assert done.returncode == 4, done.stdout
        assert "[here] two\\x1b[2J\nthree\n" in done.stdout
        assert "one" not in done.stdout.split("\n")
        assert "lost" in done.stdout
        assert "UNREACHABLE" in done.stdout
        since = play(made, "playbooks/logs.yml", "-e", f"since={run}", "-e", "services=web,worker")
        assert since.returncode == 0, since.stdout
        assert "web | three\n" in since.stdout
        wrong = play(made, "playbooks/logs.yml", "-e", "services=wbe")
        assert wrong.returncode == 2
        assert "did you mean web?" in wrong.stdout
