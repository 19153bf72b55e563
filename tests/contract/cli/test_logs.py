# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rollcall logs``: what the services of a real stack have written, and what they write."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.support.commands import BOUND, rollcall
from tests.support.stacks import StackUnderTest, stack, two_services


@pytest.fixture(scope="module")
def running() -> t.Iterator[StackUnderTest]:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        yield made


def log_of(made: StackUnderTest, name: str) -> Path:
    return Path(made.paths.logs) / f"{name}.log"


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)


def test_the_last_lines_of_one_service_are_printed_as_they_are(running: StackUnderTest) -> None:
    append(log_of(running, "web"), "first\nsecond\nthird\n")
    done = rollcall(running, "logs", "web", "-n", "2")
    assert (done.code, done.out) == (0, "second\nthird\n")


def test_of_several_services_each_line_says_whose_it_is(running: StackUnderTest) -> None:
    append(log_of(running, "web"), "of the web\n")
    append(log_of(running, "worker"), "of the worker\n")
    done = rollcall(running, "logs", "-n", "1")
    assert done.code == 0
    assert {"web | of the web", "worker | of the worker"} <= set(done.out.splitlines())


def test_the_document_has_the_path_and_the_lines(running: StackUnderTest) -> None:
    append(log_of(running, "web"), "the last one\n")
    done = rollcall(running, "logs", "web", "--json", "-n", "1")
    assert json.loads(done.out)["logs"] == {
        "web": {"path": str(log_of(running, "web")), "lines": ["the last one"], "problem": None, "notes": []}
    }


def test_an_unknown_name_is_an_error_with_the_nearest(running: StackUnderTest) -> None:
    done = rollcall(running, "logs", "wbe")
    assert done.code == 2
    assert "did you mean web?" in done.err


def test_what_a_log_says_to_a_terminal_is_escaped(running: StackUnderTest) -> None:
    append(log_of(running, "web"), "\x1b[2J all gone\n")
    assert "\x1b" not in rollcall(running, "logs", "web", "-n", "1").out


@pytest.mark.skipif(os.geteuid() != 0, reason="a link of another user")
def test_a_log_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root's own\n", encoding="utf-8")
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        log_of(made, "web").unlink()
        log_of(made, "web").symlink_to(secret)
        done = rollcall(made, "logs", "web")
    assert "root's own" not in done.out
    assert "link" in done.out


def test_a_log_that_was_deleted_is_told_so_with_what_puts_it_back(running: StackUnderTest) -> None:
    path = Path(running.paths.logs, "web.log")
    before = path.read_text(encoding="utf-8")
    path.unlink()
    said = rollcall(running, "logs", "web").out
    assert f"it was deleted, and supervisord (pid {running.daemons()[0].pid}) goes on writing" in said
    assert said.rstrip().endswith(f"next: {running.command} doctor --fix")
    assert rollcall(running, "doctor", "--fix").code == 0
    assert path.read_text(encoding="utf-8").startswith(before)


def test_followed_logs_go_on_over_a_rotation_until_they_are_interrupted(running: StackUnderTest) -> None:
    log = log_of(running, "web")
    with subprocess.Popen(
        ["env", "--default-signal=INT,QUIT", running.command, "logs", "w?b", "-f", "-n", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as following:
        try:
            assert following.stdout is not None
            append(log, "before it\n")
            # The first line may be the last one of what was there.
            assert any(line == "before it\n" for line in iter(following.stdout.readline, ""))
            log.rename(log.with_name("web.log.1"))
            append(log.with_name("web.log.1"), "still into the old one\n")
            append(log, "into the new one\n")
            lines = [following.stdout.readline() for _unused in range(2)]
            assert lines == ["still into the old one\n", "into the new one\n"]
            # copytruncate, and another file in its place whose predecessor ended within a line.
            os.truncate(log, 0)
            append(log, "cut\nwithout an end")
            assert following.stdout.readline() == "cut\n"
            log.unlink()
            append(log, "replaced\n")
            lines = [following.stdout.readline() for _unused in range(2)]
            assert lines == ["without an end\n", "replaced\n"]
            following.send_signal(2)
            _out, said = following.communicate(timeout=BOUND)
            assert following.returncode == 130
            assert "Traceback" not in said
        finally:
            following.kill()


def test_a_secret_that_a_service_gets_while_its_log_is_followed_is_hidden() -> None:
    says = ["sh", "-c", 'echo "it is $TOKEN"; exec sleep 600']
    with stack({"web": {"command": says, "secrets": {"TOKEN": "the-first-one"}}}) as made:
        assert made.perform()["ok"]
        with subprocess.Popen([made.command, "logs", "-f"], stdout=subprocess.PIPE, text=True) as following:
            try:
                assert following.stdout is not None
                assert following.stdout.readline() == "it is ********\n"
                made.raw["services"]["web"]["secrets"]["TOKEN"] = "the-second-one"
                assert made.perform()["ok"]
                assert following.stdout.readline() == "it is ********\n"
            finally:
                following.kill()


def test_since_a_run_are_all_lines_since_it_began_over_a_rotation() -> None:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        log = log_of(made, "web")
        append(log, "of the first run\n")
        second = made.perform("quick")["run"]
        append(log, "of the second run\n")
        log.rename(log.with_name("web.log.1"))
        append(log, "after a rotation\n")
        made.perform("auto")
        append(log, "of a run with nothing to do\n")
        since = rollcall(made, "logs", "web", "--since", second[:18]).out.splitlines()
        assert [line for line in since if "run" in line or "rotation" in line] == [
            "of the second run",
            "after a rotation",
            "of a run with nothing to do",
        ]
        assert "of the first run" in rollcall(made, "logs", "web", "--since", "10m").out
        told = rollcall(made, "logs", "web", "--since", "10m", "-n", "1", "--json").data["logs"]["web"]
        assert told["lines"] == ["of a run with nothing to do"]
        assert "no line says when it was written; shown from its beginning on" in told["notes"][0]
