# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that wait for a file or a variable are held, and so is what depends on them: down, said, and never ok."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.roll_call import roll_call
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import verify
from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack


@pytest.fixture
def waiting() -> t.Iterator[StackUnderTest]:
    services = {
        "feed": {"requires_files": ["credentials/feed.pem"], "port": free_port(), "health": {"http": "/health"}},
        "trader": {"depends_on": ["feed"]},
        "web": {"port": free_port(), "health": {"http": "/health"}},
    }
    with stack(services) as made:
        yield made


def deliver(made: StackUnderTest) -> None:
    os.makedirs(os.path.join(made.root, "credentials"), exist_ok=True)
    Path(made.root, "credentials", "feed.pem").write_text("secret", encoding="utf-8")


def test_a_service_without_its_file_is_held_with_its_dependents_and_the_rest_runs(waiting: StackUnderTest) -> None:
    done = waiting.perform()
    assert not done["ok"]
    assert done["result"] == "held"
    assert failed_checks(done) == [("held", "feed"), ("held", "trader")]
    assert "credentials/feed.pem, which does not exist" in check_of(done, "held", "feed")["evidence"]
    assert check_of(done, "held", "trader")["evidence"] == "it depends on feed, which is held"
    assert set(waiting.pids()) == {"web"}


def test_held_is_a_word_of_its_own_in_the_roll_call_and_the_exit_code_is_1(waiting: StackUnderTest) -> None:
    waiting.perform()
    done = subprocess.run([waiting.command, "status"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert ": HELD, 2 of 3 services: feed, trader" in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith(("HELD", "ok", "FAILED"))] == [
        *("HELD", "HELD", "ok"),
        *("HELD",),
    ]
    assert "trader waits for feed" in done.stdout
    assert "rollcall start" in done.stdout


def test_a_second_run_over_held_services_changes_nothing(waiting: StackUnderTest) -> None:
    waiting.perform()
    before = waiting.pids()
    again = waiting.perform()
    assert (again["changed"], again["actions"], again["result"]) == (False, [], "held")
    assert waiting.pids() == before


def test_when_the_file_is_there_a_run_starts_what_was_held_and_nothing_else(waiting: StackUnderTest) -> None:
    waiting.perform()
    before = waiting.pids()
    deliver(waiting)
    planned = restart.describe_plan(waiting.request())
    assert {entry["subject"] for entry in planned["actions"]} == {"feed", "trader"}
    done = waiting.perform()
    assert done["ok"]
    assert done["actions"] == planned["actions"]
    assert waiting.pids()["web"] == before["web"]
    assert set(waiting.pids()) == {"feed", "trader", "web"}


def test_what_runs_is_left_alone_when_its_file_goes_and_held_after_a_restart(waiting: StackUnderTest) -> None:
    deliver(waiting)
    assert waiting.perform()["ok"]
    os.unlink(os.path.join(waiting.root, "credentials", "feed.pem"))
    assert waiting.perform()["actions"] == []
    assert waiting.status()["ok"]
    done = waiting.perform("full", installed=True)
    assert done["result"] == "held"
    assert set(waiting.pids()) == {"web"}
    assert "held: it needs the file" in next(one["reason"] for one in done["actions"] if one["subject"] == "feed")


def test_a_held_service_whose_manifest_entry_changes_is_stopped_and_not_started(waiting: StackUnderTest) -> None:
    deliver(waiting)
    assert waiting.perform()["ok"]
    os.unlink(os.path.join(waiting.root, "credentials", "feed.pem"))
    waiting.raw["services"]["feed"]["env"] = {"NEW": "1"}
    done = waiting.perform()
    assert done["result"] == "held"
    assert set(waiting.pids()) == {"web"}
    assert waiting.perform()["changed"] is False


def test_a_required_variable_counts_when_it_has_a_value_also_a_secret_one() -> None:
    services = {
        "empty": {"requires_env": ["API_KEY"], "secrets": {"API_KEY": ""}},
        "unset": {"requires_env": ["API_KEY"]},
        "secret": {"requires_env": ["API_KEY", "PATH"], "secrets": {"API_KEY": "s3cret"}},
        "plain": {"requires_env": ["MODE"], "env": {"MODE": "paper"}},
    }
    with stack(services) as made:
        done = made.perform()
        assert failed_checks(done) == [("held", "empty"), ("held", "unset")]
        assert check_of(done, "held", "unset")["evidence"] == "it needs the variable API_KEY, which is not set"
        assert set(made.pids()) == {"secret", "plain"}
        seen = verify.verify(made.paths)
        assert failed_checks(seen) == failed_checks(done)
        assert "s3cret" not in json.dumps(done) + roll_call(done)
