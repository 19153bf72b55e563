# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apprise as the role monitor installs it, and an alert by it to a real far end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.watch import by_apprise
from tests.support.commands import rollcall
from tests.support.documents import validated
from tests.support.playbooks import BOUND, PLAYBOOK
from tests.support.receivers import HttpReceiver
from tests.support.releases import locked_wheels
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest, stack

LOCK = ROOT / "roles" / "monitor" / "files" / "apprise.txt"
# As whom the services run where root installs: it must be able to read what is installed.
USER = "games" if os.geteuid() == 0 else None
KEY = "a-key-of-apprise"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Everything that Apprise needs, as the how-to has it brought to a host without a package index."""
    return locked_wheels(LOCK, tmp_path_factory.mktemp("wheels"))


@contextlib.contextmanager
def told_by_apprise(receiver: HttpReceiver) -> t.Iterator[StackUnderTest]:
    """A stack whose only target is a far end of Apprise."""
    more = {} if USER is None else {"user": USER}
    with stack({"web": {"command": ["sleep", "600"]}}, **more) as made:
        Path(made.root).chmod(0o755)
        url = Path(made.root, "credentials", "far_end")
        url.parent.mkdir()
        url.touch(0o600)
        url.write_text(f"{receiver.url.replace('http', 'json')}/{KEY}\n", encoding="utf-8")
        made.raw["watch"] = {"alerts": [{"kind": "apprise", "url_file": "credentials/far_end"}]}
        assert made.perform("full")["ok"]
        yield made


def install(made: StackUnderTest, place: Path, wheels: str, *arguments: str) -> tuple[int, int]:
    """Run the tasks of the role that install Apprise, and return the exit code and how many have changed something.

    They need no systemd, as the others do. The umask lets nobody else read what is made.
    """
    variables = {
        "monitor_manifest": made.generation().stack.to_dict(),
        "monitor_apprise_pip_options": ["--no-index", "--find-links", wheels],
        "__monitor_apprise": f"{made.root}/lib/apprise",
        "__monitor_apprise_wanted": LOCK.read_text(encoding="utf-8"),
    }
    role = {"name": "rollcall.supervisor.monitor", "tasks_from": "apprise.yml"}
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.include_role": role, "vars": variables}],
    }
    (place / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    known = ["-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
    done = subprocess.run(
        ["sh", "-c", 'umask 077; exec "$@"', "sh", str(PLAYBOOK), *known, str(place / "play.yml"), *arguments],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND,
    )
    recap = re.search(r"changed=(\d+)", done.stdout)
    assert recap is not None, done.stdout + done.stderr
    return done.returncode, int(recap[1])


@pytest.mark.long
def test_apprise_is_installed_once_and_tells_a_far_end(tmp_path: Path, wheels: str) -> None:
    with HttpReceiver() as receiver, told_by_apprise(receiver) as made:
        there = Path(by_apprise.python_of(made.root))
        without = rollcall(made, "watch", "--test-alert")
        assert (without.code, receiver.taken) == (1, [])
        assert "-e monitor_apprise=true" in without.out

        code, _changed = install(made, tmp_path, wheels, "--check")
        assert (code, there.exists()) == (0, False)
        # Where it comes to nothing, it does not count as installed.
        code, _changed = install(made, tmp_path, str(tmp_path / "nothing"))
        assert (code, there.exists()) == (2, True)
        # What wanted another version is made anew.
        Path(made.root, "lib", "apprise", "requirements.txt").write_text("apprise==1.0\n", encoding="utf-8")
        assert install(made, tmp_path, wheels) == (0, 4)
        assert install(made, tmp_path, wheels) == (0, 0)

        tried = rollcall(made, "watch", "--test-alert", "--json")
        assert tried.code == 0, tried
        (target,) = validated(json.loads(tried.out), "AlertTestDocument")["targets"]
        assert (target["target"], target["ok"], target["answer"]) == ("apprise", True, "taken")
        (request,) = receiver.taken
        assert (request.method, request.path) == ("POST", f"/{KEY}")
        assert "This is a trial" in request.data["title"]
        assert KEY not in tried.out
