# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another user is to run a stack that runs: everything then runs as that user, or nothing was stopped."""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.drift import drift
from tests.support.interpreters import own_interpreter, python_of_all
from tests.support.namespaces import NOBODY
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack, two_services

pytestmark = [
    pytest.mark.usefixtures("bystander"),
    pytest.mark.skipif(os.geteuid() != 0 or python_of_all() is None, reason="takes on another user"),
]


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    """A stack of root's that runs, with an interpreter that everybody may run."""
    python = python_of_all()
    assert python is not None
    with stack(two_services()) as one:
        own_interpreter(one, python)
        os.unlink(one.program)
        os.symlink(python, one.program)
        os.chmod(one.root, 0o755)
        assert one.perform()["ok"]
        yield one


def users(made: StackUnderTest) -> t.Set[int]:
    """Return the users of all that runs."""
    pids = [daemon.pid for daemon in made.daemons()]
    return {
        process.uid for pid in (*pids, *processes.descendants(pids)) for process in [processes.describe(pid)] if process
    }


@pytest.mark.parametrize("mode", ["auto", "full", "quick"])
def test_a_new_user_runs_everything_at_once_and_has_the_files(made: StackUnderTest, mode: str) -> None:
    made.raw["user"] = "nobody"
    report = made.perform(mode)
    assert report["ok"], failed_checks(report)
    assert users(made) == {NOBODY}
    assert {path.stat().st_uid for path in Path(made.paths.logs).iterdir()} == {NOBODY}
    assert drift(made.paths)["ok"]
    for again in ("auto", "full"):
        report = made.perform(again, installed=True)
        assert report["ok"], failed_checks(report)
    assert users(made) == {NOBODY}


def test_a_stack_that_runs_as_another_user_than_its_own_is_not_called_well(made: StackUnderTest) -> None:
    """As an engine before this one left it: the manifest was installed, and what ran went on."""
    text = Path(made.paths.manifest).read_text(encoding="utf-8")
    assert '"user": null' in text
    Path(made.paths.manifest).write_text(text.replace('"user": null', '"user": "nobody"'), encoding="utf-8")
    check = check_of(made.status(), "user", "test")
    assert (check["code"], check["data"]) == ("other", {"user": "root", "wanted": "nobody"})
    assert check["next"] == "rollcall restart full"
    found = drift(made.paths)
    assert not found["ok"]
    assert {code for row in found["services"] for code in row["codes"]} >= {"user"}


def test_a_user_who_may_not_write_to_the_applications_directories_is_refused_and_everything_runs_on(
    made: StackUnderTest,
) -> None:
    uploads = Path(made.root, "shared", "uploads")
    uploads.mkdir(parents=True)
    uploads.chmod(0o750)
    before = made.pids()
    made.raw["user"] = "nobody"
    with pytest.raises(RollcallError, match="user nobody may not write to it") as told:
        made.perform()
    assert told.value.remedies[0] == f"chown -R nobody: {uploads}"
    assert made.pids() == before
    subprocess.run(shlex.split(told.value.remedies[0]), check=True)
    assert made.perform()["ok"]


def test_a_link_among_the_logs_is_not_given_away(made: StackUnderTest) -> None:
    precious = Path(made.root, "precious")
    precious.touch()
    os.symlink(precious, Path(made.paths.logs, "web.log.1"))
    os.link(precious, Path(made.paths.logs, "worker.log.1"))
    made.raw["user"] = "nobody"
    assert made.perform()["ok"]
    assert precious.stat().st_uid == 0


def test_going_back_to_root_is_refused_as_long_as_the_other_user_may_write(made: StackUnderTest) -> None:
    made.raw["user"] = "nobody"
    assert made.perform()["ok"]
    before = made.pids()
    del made.raw["user"]
    with pytest.raises(RollcallError, match="belongs to user nobody, and supervisord runs as root"):
        made.perform()
    assert made.pids() == before
    for path in (made.paths.run, made.paths.logs):
        os.chown(path, 0, 0)
    report = made.perform()
    assert report["ok"], failed_checks(report)
    assert users(made) == {0}


def test_a_way_back_gives_the_files_to_the_user_before(made: StackUnderTest) -> None:
    made.raw["user"] = "daemon"
    assert made.perform()["ok"]
    made.raw["user"] = "nobody"
    made.raw["services"]["worker"]["command"] = ["/bin/false"]
    assert restart.describe_plan(made.request())["notes"] == []

    report = made.perform(on_failure="rollback")

    assert report["result"] == "rolled_back", failed_checks(report)
    owner = pwd.getpwnam("daemon").pw_uid
    assert users(made) == {owner}
    assert {path.stat().st_uid for path in Path(made.paths.logs).iterdir()} == {owner}
    assert made.status()["ok"]


def test_that_no_way_back_leads_to_root_is_said_before(made: StackUnderTest) -> None:
    made.raw["user"] = "nobody"

    notes = restart.describe_plan(made.request())["notes"]

    assert notes == ["no way back takes back that nobody runs the stack, and no longer root"]
