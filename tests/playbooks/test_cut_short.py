# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An install that does not come to its last steps: the host knows what is missing when its controller was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor import doctor
from tests.support.commands import rollcall
from tests.support.playbooks import BOUND, command_of, play, prepare
from tests.support.processes import eventually
from tests.support.releases import write
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest, failed_checks, stack

pytestmark = pytest.mark.usefixtures("bystander")


def test_a_run_that_fails_does_not_come_to_the_boot_unit() -> None:
    with stack({"web": {"command": ["/bin/false"]}}) as made:
        prepare(made)

        failed = play(made, "site.yml", services_boot="systemd")

        assert failed.returncode == 2
        assert "12/12 Verdict" in failed.stdout
        assert "Boot | " not in failed.stdout


def killed(made: StackUnderTest, when: t.Callable[[], bool], **variables: t.Any) -> None:
    """Run site.yml, and kill it and all that it has started on the controller as soon as something is so."""
    prepare(made)
    running = subprocess.Popen(
        command_of(made, "site.yml", **variables),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert eventually(when, BOUND)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait(BOUND)


def findings(made: StackUnderTest) -> t.Dict[str, str]:
    return {one["name"]: one["evidence"] for one in doctor.doctor(made.root)["findings"]}


@pytest.mark.long
@pytest.mark.fault(40)
def test_what_a_killed_controller_has_not_come_to_is_told_with_what_finishes_it(tmp_path: Path) -> None:
    code, after = tmp_path / "code", tmp_path / "after"
    write(code, {"VERSION": "1"})
    release = {"source": str(code), "after_switch": [["touch", str(after)]]}
    with stack({"web": {"directory": "current", "stable_for": 10}}) as made:
        runs = Path(made.paths.state, "runs")

        def verifies() -> bool:
            return any('"verify"' in path.read_text(encoding="utf-8") for path in runs.glob("*.jsonl"))

        killed(made, verifies, rollcall_release=release, services_boot="systemd")
        assert eventually(lambda: not made.is_locked())

        assert failed_checks(made.status()) == [("steps", "test")], "the run has ended well without its controller"
        assert not after.exists()
        missing = findings(made)["unfinished_install"]
        assert "is in place, and what comes after its switch was not finished" in missing
        assert "nothing starts the stack after a boot: /etc/systemd/system/rollcall-test.service is not" in missing
        looked = rollcall(made, "status")
        assert (looked.code, " site.yml  # on the controller" in looked.out) == (1, True), looked.out

        done = play(made, "site.yml", rollcall_release=release)

        assert done.returncode == 0, done.stdout
        assert after.exists()
        assert "unfinished_install" not in findings(made)
        assert made.status()["ok"]


def test_what_was_changed_before_a_run_that_a_killed_controller_never_began_is_taken_back_by_hand(
    tmp_path: Path,
) -> None:
    began = tmp_path / "began"
    with stack({"web": {}}) as made:
        prepare(made)
        secret = Path(made.root, "credentials", "key.pem")
        first = play(made, "site.yml", rollcall_credentials={"credentials/key.pem": "old"})
        assert first.returncode == 0, first.stdout

        killed(
            made,
            began.exists,
            rollcall_credentials={"credentials/key.pem": "new"},
            services_standing="{{ lookup('ansible.builtin.pipe', 'touch " + str(began) + "; sleep 600') | list }}",
        )

        assert secret.read_text(encoding="utf-8") == "new"
        assert failed_checks(made.status()) == [("steps", "test")]
        told = findings(made)["unfinished_install"]
        assert told.startswith("the file credentials/key.pem was changed, and no run has come after that")
        assert told.endswith("this takes it back: rollcall undo")
        assert rollcall(made, "undo").code == 0
        assert secret.read_text(encoding="utf-8") == "old"
        assert "unfinished_install" not in findings(made)
