# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`rollcall manifest import` and what it prints, as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.support.documents import parsed
from tests.support.repository import ROOT

ENGINE = (
    "from ansible_collections.rollcall.supervisor.plugins.module_utils.cli.command import main;"
    " raise SystemExit(main())"
)

SUPERVISORD = """\
[include]
files = conf.d/*.conf

[program:web]
command=/usr/bin/python3 web.py --mode=%(ENV_MODE)s
environment=PORT="8000",GREETING="a;b c"
"""
INCLUDED = """\
[program:worker]
command=/bin/sleep 1000
"""
ECOSYSTEM = {"apps": [{"name": "api", "script": "/srv/api.py", "interpreter": "python3", "env": {"PORT": 8001}}]}
OLDER = {"core_services": {"main_app": {"port": 8000, "description": "The page.", "status": "active"}}}


def rollcall(*arguments: str, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ENGINE, "manifest", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "worker.conf").write_text(INCLUDED, encoding="utf-8")
    path = tmp_path / "supervisord.conf"
    path.write_text(SUPERVISORD, encoding="utf-8")
    return str(path)


def services(*arguments: str, **more: t.Any) -> t.Dict[str, t.Any]:
    done = rollcall("import", *arguments, "--name", "trading", "--json", **more)
    assert done.returncode == 0, done.stdout + done.stderr
    found: t.Dict[str, t.Any] = parsed(done.stdout, ["manifest", "import"])["manifest"]
    found = found.get("stack", found)
    return t.cast(t.Dict[str, t.Any], found["services"])


def test_a_config_with_its_included_files_becomes_a_manifest_that_checks_clean(config: str, tmp_path: Path) -> None:
    done = rollcall("import", config, "--name", "trading", MODE="fast")
    assert done.returncode == 0, done.stderr
    written = tmp_path / "manifest.yml"
    written.write_text(done.stdout, encoding="utf-8")
    assert rollcall("check", str(written)).returncode == 0
    found = services(config, MODE="fast")
    assert set(found) == {"web", "worker"}
    assert found["web"]["command"] == ["/usr/bin/python3", "web.py", "--mode=fast"]
    assert (found["web"]["port"], found["web"]["env"]) == (8000, {"GREETING": "a;b c"})


def test_what_it_is_is_recognised_by_what_is_in_it(tmp_path: Path) -> None:
    for name, text in (
        ("ecosystem.json", json.dumps(ECOSYSTEM)),
        ("Procfile", "api: python3 /srv/api.py\n"),
    ):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        assert list(services(str(path))) == ["api"]
    older = tmp_path / "ports.json"
    older.write_text(json.dumps(OLDER), encoding="utf-8")
    assert list(services(str(older))) == ["main_app"]


def test_standard_input_and_the_environment_are_taken_as_well() -> None:
    assert list(services("-", "--from", "procfile", text="api: python3 /srv/api.py\n")) == ["api"]
    assert services("--from", "environment", WEB_SERVER_PORT="8002")["web_server"]["port"] == 8002


def test_what_cannot_be_recognised_is_wrong_use_and_says_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing in particular, really\n", encoding="utf-8")
    done = rollcall("import", str(path), "--name", "trading")
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be recognised" in done.stderr
    assert "supervisord, ports, procfile, pm2, environment" in done.stderr


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    done = rollcall("import", str(tmp_path / "none.conf"), "--name", "trading")
    assert done.returncode == 2
    assert "cannot be read" in done.stderr


def test_a_missing_variable_of_the_config_is_named(config: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "MODE"}
    assert "MODE" not in environment
    done = rollcall("import", config, "--name", "trading")
    assert done.returncode == 2
    assert "MODE" in done.stderr
