# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Supervisords are known by their command lines and their labels."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host.labels import (
    LABEL_SERVICE,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.running import (
    supervisord_options,
    supervisords_over,
)
from tests.support.configs import a_label
from tests.support.processes import eventually

CONFIG = """
[supervisord]
nodaemon=true
pidfile={root}/supervisord.pid
logfile={root}/supervisord.log
[unix_http_server]
file={root}/s
"""


@contextlib.contextmanager
def supervisord(root: Path, *options: str, cwd: t.Optional[Path] = None) -> t.Iterator[subprocess.Popen[bytes]]:
    """Start a real supervisord without programs and end it."""
    (root / "supervisord.conf").write_text(CONFIG.format(root=root), encoding="utf-8")
    command = [sys.executable, "-m", "supervisor.supervisord", *options]
    daemon = subprocess.Popen(
        command, cwd=cwd or root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        # The pid file is the last thing it writes before its loop.
        assert eventually((root / "supervisord.pid").exists)
        yield daemon
    finally:
        daemon.kill()
        daemon.wait()


@pytest.mark.parametrize(
    "options",
    [
        ["-c", "{root}/supervisord.conf"],
        ["-c", "supervisord.conf"],
        ["-c../{name}/supervisord.conf"],
        ["--configuration", "{root}/supervisord.conf"],
        ["--configuration={root}/supervisord.conf"],
    ],
)
def test_a_supervisord_is_found_by_its_config_however_it_is_given(tmp_path: Path, options: t.List[str]) -> None:
    given = [option.format(root=tmp_path, name=tmp_path.name) for option in options]
    with supervisord(tmp_path, *given) as daemon:
        config = tmp_path / "supervisord.conf"
        (tmp_path / "link.conf").symlink_to(config)
        for path in (config, tmp_path / "link.conf"):
            assert [process.pid for process in supervisords_over(str(path))] == [daemon.pid]
        assert supervisords_over(str(tmp_path / "other.conf")) == []


def test_a_supervisord_is_found_after_its_socket_was_deleted(tmp_path: Path) -> None:
    with supervisord(tmp_path, "-c", str(tmp_path / "supervisord.conf")) as daemon:
        (tmp_path / "s").unlink()
        (tmp_path / "supervisord.pid").unlink()
        assert [process.pid for process in supervisords_over(str(tmp_path / "supervisord.conf"))] == [daemon.pid]


def test_what_only_names_the_config_is_no_supervisord(tmp_path: Path) -> None:
    config = str(tmp_path / "supervisord.conf")
    child = subprocess.Popen([sys.executable, "-c", "input()", "supervisord", "-c", config], stdin=subprocess.PIPE)
    try:
        assert supervisords_over(config) == []
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ("/usr/bin/supervisord -n -c x", ["-n", "-c", "x"]),
        ("/venv/bin/python3 /venv/bin/supervisord -c x", ["-c", "x"]),
        ("python3 -E -s -X dev -m supervisor.supervisord -c x", ["-c", "x"]),
        ("python3 -m supervisor.supervisorctl -c x", None),
        ("python3 main.py supervisord -c x", None),
        ("sudo supervisord -c x", None),
        ("vi supervisord.conf", None),
        ("python3", None),
        ("", None),
    ],
)
def test_the_command_line_of_a_supervisord(arguments: str, options: t.Optional[t.List[str]]) -> None:
    assert supervisord_options(arguments.split()) == options


def test_a_labelled_supervisord_is_found_by_its_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in a_label(str(tmp_path)).items():
        if name != LABEL_SERVICE:
            monkeypatch.setenv(name, value)
    with supervisord(tmp_path, "-c", str(tmp_path / "supervisord.conf")) as daemon:
        monkeypatch.undo()
        elsewhere = "/nowhere/supervisord.conf"
        assert supervisords_over(elsewhere) == []
        assert [process.pid for process in supervisords_over(elsewhere, str(tmp_path))] == [daemon.pid]
