# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The launcher becomes the command with the private variables, or says in one line why it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils import launcher

SHOW = "import json, os, sys; print(json.dumps([os.getpid(), sys.argv[1:], dict(os.environ)]))"


# What `make coverage` has in the environment of whoever it measures.
MEASURED = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}


def launch(*argv: str, env: t.Optional[t.Mapping[str, str]] = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", launcher.__file__, *argv],
        check=False,
        capture_output=True,
        encoding="utf-8",
        env={**MEASURED, **(env if env is not None else {"PATH": os.defpath})},
        timeout=60,
    )


def private(path: Path, content: t.Any, mode: int = 0o600) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("locale", ["C.UTF-8", "C", "POSIX", "en_US.ISO-8859-1"])
def test_it_hands_over_arguments_and_variables_exactly(tmp_path: Path, locale: str) -> None:
    variables = {"HARD": "'\"\n漢字 %(here)s \\", "EMPTY": "", "OLD": "new"}
    arguments = ["", "a b", "'\"", "é"]
    done = launch(
        private(tmp_path / "app.json", variables),
        *("--", sys.executable, "-X", "utf8", "-c", SHOW, *arguments),
        env={"OLD": "old", "KEPT": "x", "LC_ALL": locale},
    )
    assert done.returncode == 0, done.stderr
    _unused, got_arguments, got = json.loads(done.stdout)
    assert got_arguments == arguments
    assert {name: got[name] for name in (*variables, "KEPT")} == {**variables, "KEPT": "x"}


def test_it_is_the_command_afterwards(tmp_path: Path) -> None:
    path = private(tmp_path / "app.json", {})
    child = subprocess.Popen(
        [sys.executable, "-I", launcher.__file__, path, "--", sys.executable, "-c", SHOW], stdout=subprocess.PIPE
    )
    output, _unused = child.communicate(timeout=60)
    assert json.loads(output)[0] == child.pid


def test_the_command_is_looked_for_along_the_path_of_the_service(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    private(tmp_path / "bin" / "hello", "#!/bin/sh\necho found\n", 0o755)
    done = launch(private(tmp_path / "app.json", {"PATH": str(tmp_path / "bin")}), "--", "hello")
    assert (done.returncode, done.stdout) == (0, "found\n")


@pytest.mark.parametrize("mode", [0o604, 0o606, 0o601, 0o620, 0o666])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    done = launch(private(tmp_path / "app.json", {"KEY": "hunter2"}, mode), "--", "/bin/true")
    assert done.returncode == 78
    assert done.stderr == (
        f"rollcall launcher: {tmp_path}/app.json has mode {mode:04o}, so others can reach it; it must be 0600\n"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = private(tmp_path / "app.json", {})
    os.chown(path, 12345, 12345)
    done = launch(path, "--", "/bin/true")
    assert done.returncode == 78
    assert "belongs to uid 12345" in done.stderr


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '"x"', '{"A": 1}', '{"": "x"}', '{"A=B": "x"}', '{"A": "hunter2\\u0000"}', '{"A": "\\ud800"}'],
)
def test_a_file_that_holds_no_variables_is_refused_without_showing_it(tmp_path: Path, content: str) -> None:
    done = launch(private(tmp_path / "app.json", content), "--", "/bin/true")
    assert done.returncode == 78
    assert done.stderr.startswith(f"rollcall launcher: {tmp_path}/app.json ")
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    private(tmp_path / "real.json", {})
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    for name in ("missing.json", "pipe", "link.json", "."):
        done = launch(str(tmp_path / name), "--", "/bin/true")
        assert done.returncode == 78, name
        assert done.stderr.count("\n") == 1, name


@pytest.mark.parametrize("command", ["/nowhere/at/all", "/", "nothing-of-this-name"])
def test_a_command_that_cannot_be_started_is_named(tmp_path: Path, command: str) -> None:
    done = launch(private(tmp_path / "app.json", {}), "--", command)
    assert done.returncode == 78
    assert done.stderr.startswith(f"rollcall launcher: {command} cannot be started: ")
    assert done.stderr.count("\n") == 1


LIMITS = """
import json, os, resource
names = ("NOFILE", "NPROC", "CORE", "AS")
limits = [resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in names]
print(json.dumps([os.getpriority(os.PRIO_PROCESS, 0), *limits]))
"""


def test_it_sets_limits_and_niceness_and_needs_no_file_for_that() -> None:
    options = ("--limits", "nofile=333,nproc=4000,core=unlimited,memory=2000000000", "--nice", "7")
    done = launch(*options, "--", sys.executable, "-c", LIMITS)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [7, [333, 333], [4000, 4000], [-1, -1], [2_000_000_000, 2_000_000_000]]


def test_limits_go_with_a_private_file(tmp_path: Path) -> None:
    done = launch(
        *("--limits", "nofile=333", private(tmp_path / "app.json", {"TOKEN": "x"})),
        *("--", "/bin/sh", "-c", 'echo "$TOKEN $(ulimit -Hn)"'),
    )
    assert (done.returncode, done.stdout) == (0, "x 333\n")


@pytest.mark.parametrize(("limit", "why"), [("files=3", "is no limit"), ("nofile=many", "is no limit"), ("", "is no")])
def test_a_limit_that_is_none_is_named(limit: str, why: str) -> None:
    done = launch("--limits", limit, "--", "/bin/true")
    assert (done.returncode, done.stderr) == (78, f"rollcall launcher: {limit} {done.stderr.split(' ', 3)[3]}")
    assert why in done.stderr


def test_a_limit_above_the_hard_limit_is_told_with_that() -> None:
    # Root may raise it, unless it has lost that right.
    shell = 'ulimit -n 200; exec setpriv --bounding-set -sys_resource --inh-caps -sys_resource "$@"'
    command = [sys.executable, "-I", launcher.__file__, "--limits", "nofile=300", "--", "/bin/true"]
    done = subprocess.run(
        ["/bin/sh", "-c", shell if os.geteuid() == 0 else 'ulimit -n 200; exec "$@"', "sh", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert done.stderr == "rollcall launcher: the limit nofile=300 cannot be set: the hard limit is 200\n"


def test_as_a_shell_it_needs_no_file_and_a_broken_pipe_ends_the_command() -> None:
    # Of SIGPIPE and SIGXFSZ, 13 and 25, which Python ignores for itself (proc(5), /proc/PID/status).
    shown = "awk '/SigIgn/ {print $2}' /proc/self/status"
    done = launch("--as-shell", "--nice", "3", "--", "/bin/sh", "-c", f"{shown}; nice")
    mask, nice = done.stdout.split()
    assert not int(mask, 16) & (1 << 12 | 1 << 24)
    assert nice == "3"


@pytest.mark.parametrize(
    ("argv", "code"),
    [(["--", "/nowhere"], 127), (["--", "/"], 126), (["missing.json", "--", "true"], 126), ([], 126)],
)
def test_as_a_shell_it_says_by_its_exit_code_why_nothing_was_started(argv: t.List[str], code: int) -> None:
    done = launch("--as-shell", *argv)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("rollcall launcher: ")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["x"],
        ["x", "--"],
        ["x", "y", "z"],
        ["x", "--", ""],
        ["--nice"],
        ["--nice", "5"],
        ["--nice", "-5", "--", "x"],
    ],
)
def test_wrong_arguments_get_the_usage(argv: t.List[str]) -> None:
    done = launch(*argv)
    assert done.returncode == 78
    assert "usage: launcher.py [--limits NAME=NUMBER,...] [--nice NUMBER] [FILE] -- COMMAND" in done.stderr
