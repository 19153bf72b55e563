# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials reach the host as private files; who needs them waits for them, and is restarted when they change."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import credentials
from tests.support.playbooks import outcome, play, prepare
from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, stack

pytestmark = pytest.mark.usefixtures("bystander")

FIRST, SECOND = "planted-first-5d1e", "planted-second-77aa"


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    services = {
        "feed": {"requires_files": ["credentials/feed.pem"], "port": free_port(), "health": {"http": "/health"}},
        "trader": {"depends_on": ["feed"]},
        "web": {},
    }
    with stack(services) as one:
        prepare(one)
        yield one


def put(made: StackUnderTest, text: str) -> Path:
    place = Path(made.root, "credentials", "feed.pem")
    place.parent.mkdir(exist_ok=True)
    place.write_text(text, encoding="utf-8")
    return place


def test_a_file_that_changed_restarts_who_needs_it_and_what_depends_on_that(made: StackUnderTest) -> None:
    place = put(made, FIRST)
    assert made.perform()["ok"]
    before = made.pids()
    assert made.perform()["changed"] is False
    put(made, SECOND)
    done = made.perform(installed=True)
    assert done["ok"]
    assert {action["subject"]: action["reason"] for action in done["actions"]} == {
        "feed": f"its file {place} changed",
        "trader": "it depends on feed",
    }
    after = made.pids()
    assert {name for name in before if before[name] != after[name]} == {"feed", "trader"}
    assert made.perform()["changed"] is False


def test_a_run_that_is_killed_before_it_has_recorded_a_file_starts_its_service_anew(made: StackUnderTest) -> None:
    put(made, FIRST)
    assert made.perform()["ok"]
    put(made, SECOND)
    made.killed_at("verify", "auto")
    assert {action["subject"] for action in made.perform()["actions"]} == {"feed", "trader"}
    assert made.perform()["changed"] is False


@pytest.mark.fault(47)
def test_nothing_of_a_file_is_kept_but_a_keyed_digest(made: StackUnderTest) -> None:
    put(made, FIRST)
    assert made.perform()["ok"]
    kept = Path(credentials.path(made.generation().stack))
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert FIRST not in kept.read_text(encoding="utf-8")
    (digest,) = json.loads(kept.read_text(encoding="utf-8"))["services"]["feed"].values()
    found = subprocess.run(["sha256sum"], input=FIRST, capture_output=True, text=True, check=True).stdout
    assert not found.startswith(digest)


def test_a_broken_record_is_an_error_with_its_cure(made: StackUnderTest) -> None:
    put(made, FIRST)
    assert made.perform()["ok"]
    Path(credentials.path(made.generation().stack)).write_text("{", encoding="utf-8")
    with pytest.raises(RollcallError, match="cannot be read") as caught:
        made.perform()
    assert caught.value.remedies[0].startswith("rm ")


def test_site_holds_a_service_until_its_credentials_come_and_the_playbook_delivers_and_rotates(
    made: StackUnderTest,
) -> None:
    held = play(made, "site.yml", services_boot="none")
    assert held.returncode != 0
    assert outcome(made)["result"] == "held"
    before = made.pids()
    assert set(before) == {"web"}

    def deliver(text: t.Optional[str], *arguments: str) -> t.Tuple[int, str]:
        done = play(
            made, "playbooks/credentials.yml", "-vvv", *arguments, rollcall_credentials={"credentials/feed.pem": text}
        )
        assert FIRST not in done.stdout + done.stderr
        assert SECOND not in done.stdout + done.stderr
        return done.returncode, done.stdout

    assert deliver(FIRST, "--check", "--diff")[0] == 0
    assert not Path(made.root, "credentials").exists()
    assert deliver(FIRST, "--diff")[0] == 0
    place = Path(made.root, "credentials", "feed.pem")
    assert (place.read_text(encoding="utf-8"), stat.S_IMODE(place.stat().st_mode)) == (FIRST, 0o600)
    assert set(made.pids()) == {"feed", "trader", "web"}
    assert deliver(FIRST)[1].count("changed=0") == 1

    first = made.pids()
    assert deliver(SECOND, "--diff")[0] == 0
    assert {name for name in first if made.pids()[name] != first[name]} == {"feed", "trader"}
    assert deliver(None)[0] == 0, "what runs is left alone when its file goes"
    assert not place.exists()
    for directory, _directories, names in os.walk(made.root):
        for name in names:
            text = Path(directory, name)
            if text.is_file() and not text.is_symlink() and text.stat().st_size < 1_000_000 and name != "hosts.json":
                assert FIRST.encode() not in text.read_bytes(), text


def test_a_directory_is_not_removed_as_a_credential(made: StackUnderTest) -> None:
    place = put(made, FIRST).parent / "old" / "key.pem"
    place.parent.mkdir()
    place.write_text(SECOND, encoding="utf-8")
    done = play(made, "playbooks/credentials.yml", rollcall_credentials={"credentials/old": None})
    assert done.returncode == 2
    assert "is a directory, and no credential: it is left alone" in done.stdout
    assert place.read_text(encoding="utf-8") == SECOND


def test_paths_that_lead_out_of_the_root_are_refused_each_by_its_name(made: StackUnderTest) -> None:
    paths = ("/etc/passwd", "../feed.pem", "a/../../b", "feed.pem", "a//b", "./a")
    assert made.perform()["result"] == "held"
    done = play(made, "playbooks/credentials.yml", rollcall_credentials=dict.fromkeys(paths, FIRST))
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    for path in paths:
        refusal = f"'{path}' in credentials_files is no path of a file in a directory below the stack's root"
        assert refusal in said.replace("''", "'"), (path, done.stdout)
    assert FIRST not in done.stdout
