# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Without a step that an install was asked for, status and verify are not OK; they and doctor say what finishes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor import doctor
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import units
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import last_steps
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import verify
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack

# Holds the lock of the releases, as the module does that runs what comes after the switch.
LOCKS = """
import sys, time
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked
with locked(sys.argv[1], "root", "release"):
    print("locked", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the units of the system are, on a host with systemd."""
    monkeypatch.setattr(units, "SYSTEM_UNITS", str(tmp_path))
    monkeypatch.setattr(units, "USER_UNITS", str(tmp_path))
    monkeypatch.setattr(units, "RUNNING", str(tmp_path))
    return tmp_path


@pytest.fixture
def made(place: Path) -> t.Iterator[StackUnderTest]:
    assert place.is_dir()
    with stack({"worker": {}}) as one:
        yield one


def told(made: StackUnderTest) -> t.List[str]:
    """Return what is missing by the doctor, having seen that the rest says the same: ``--fix``, status and verify."""
    found = [one for one in doctor.doctor(made.root)["findings"] if one["name"] == "unfinished_install"]
    evidence = [line for one in found for line in one["evidence"].splitlines()]
    assert all(one["cure"] == cures.INSTALL for one in found)
    fixed = doctor.doctor(made.root, fix=True)["findings"]
    assert [one for one in fixed if one["name"] == "unfinished_install"] == found
    for report in (made.status(), verify.verify(made.paths)):
        check = check_of(report, "steps", "test")
        assert check["ok"] is not bool(evidence)
        assert check["data"].get("missing", []) == evidence
        assert check["next"] == (cures.INSTALL if evidence else None)
        others = {name for name, _subject in failed_checks(report)} - {"steps"}
        assert report["ok"] is not bool(evidence or others)
    return evidence


def unit_of(place: Path, root: str) -> Path:
    path = place / "rollcall-test.service"
    path.write_text(f'ExecStart="{root}/bin/rollcall" start\n', encoding="utf-8")
    return path


def enable(path: Path) -> None:
    wants = path.parent / "multi-user.target.wants"
    wants.mkdir()
    (wants / path.name).symlink_to(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="the units of the system are root's")
def test_a_unit_that_was_asked_for_is_told_until_it_starts_the_stack(made: StackUnderTest, place: Path) -> None:
    for wanted in ("auto", "systemd"):
        assert made.perform(boot=wanted)["ok"]
        (line,) = told(made)
        assert line.startswith(f"nothing starts the stack after a boot: {place}/rollcall-test.service is not there")

    path = unit_of(place, made.root)
    assert len(told(made)) == 1, "systemd does not start it by itself yet"
    enable(path)
    assert told(made) == []
    unit_of(place, "/opt/another")
    assert len(told(made)) == 1, "it is the unit of another stack"


def test_none_that_was_asked_for_is_not_missed(made: StackUnderTest) -> None:
    assert made.perform()["ok"]
    assert told(made) == [], "nobody has said what is to start it"
    assert made.perform(boot="systemd" if os.geteuid() == 0 else "user")["ok"]
    assert len(told(made)) == 1
    assert made.perform(boot="none")["ok"]
    assert told(made) == []


def test_a_run_that_fails_says_that_and_not_that_its_last_steps_are_missing(made: StackUnderTest) -> None:
    made.raw["services"]["worker"]["command"] = ["/bin/false"]
    assert not made.perform(boot="auto")["ok"]
    assert told(made) == []


def test_the_last_step_of_a_release_is_told_until_it_is_finished(made: StackUnderTest) -> None:
    assert made.perform()["ok"]
    os.makedirs(os.path.join(made.paths.state, "release"))
    last_steps.note_pending(made.root, "one")

    assert told(made) == ["release one was made ready, and no run has put it in place"]

    os.makedirs(os.path.join(made.root, "releases", "one"))
    made.release = "one"
    made.raw["services"]["worker"]["directory"] = "current"
    assert made.perform()["ok"]
    assert told(made) == ["release one is in place, and what comes after its switch was not finished"]
    last_steps.note_pending(made.root, None)
    assert told(made) == []


def test_what_is_still_at_work_is_not_missing(made: StackUnderTest) -> None:
    assert made.perform(boot="systemd" if os.geteuid() == 0 else "user")["ok"]
    assert len(told(made)) == 1
    release = Path(made.paths.state, "release")
    release.mkdir()
    takes_a_while = subprocess.Popen([sys.executable, "-c", LOCKS, str(release)], stdout=subprocess.PIPE)
    assert takes_a_while.stdout is not None
    try:
        assert takes_a_while.stdout.readline() == b"locked\n"
        assert told(made) == [], "a command after the switch takes a while"
    finally:
        takes_a_while.kill()
        takes_a_while.wait()
        takes_a_while.stdout.close()
    assert len(told(made)) == 1


def test_what_was_changed_for_a_run_that_did_not_come_is_told(made: StackUnderTest) -> None:
    assert made.perform()["ok"]
    record = Path(made.paths.state, "undo", "one.json")
    record.parent.mkdir(0o700)
    record.write_text(json.dumps({"what": "the password", "argv": ["true"], "stdin": ""}), encoding="utf-8")
    record.chmod(0o600)

    assert told(made) == ["the password was changed, and no run has come after that; this takes it back: rollcall undo"]

    made.raw["services"]["worker"]["env"] = {"VERSION": "2"}
    assert made.perform()["ok"]
    assert told(made) == []
