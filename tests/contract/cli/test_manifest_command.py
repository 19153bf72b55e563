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


def test_what_is_wrong_is_told_as_by_a_check_and_beside_the_manifest(tmp_path: Path) -> None:
    path = tmp_path / "supervisord.conf"
    path.write_bytes(b"[supervisord]\n; h\xe4\n[program:a]\ncommand=a\n")
    done = rollcall("import", str(path), "--name", "trading")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error    line 2: is not UTF-8 text",
        "         cure: save it in UTF-8",
        f"{path}: FAILED, 1 error",
    ]


def test_files_of_another_host_and_ports_of_another_file_are_taken(tmp_path: Path) -> None:
    there = tmp_path / "etc" / "supervisor"
    there.mkdir(parents=True)
    (there / "supervisord.conf").write_text("[supervisord]\n[include]\nfiles=/etc/supervisor/*.ini\n", encoding="utf-8")
    (there / "web.ini").write_text("[program:web]\ncommand=%(here)s/web\n", encoding="utf-8")
    (tmp_path / "ports.json").write_text('{"assignments": {"web": 8042}}', encoding="utf-8")
    options = ("--include-root", str(tmp_path), "--ports", str(tmp_path / "ports.json"))
    found = services(str(there / "supervisord.conf"), *options)
    assert found["web"] == {"command": ["/etc/supervisor/web"], "port": 8042}


def test_notes_that_need_nothing_are_told_on_request(config: str) -> None:
    short = rollcall("import", config, "--name", "trading", MODE="fast").stdout
    whole = rollcall("import", config, "--name", "trading", "--all-notes", MODE="fast").stdout
    assert "what needs nothing: --all-notes" in short
    assert "cure: do nothing" in whole
    assert "cure: do nothing" not in short


# --- what an [include] leads to ---------------------------------------------------------------------------------------


def refused(config: Path, files: str) -> str:
    """Return what an import says that a config's ``[include]`` of these files makes impossible."""
    config.write_text(f"[include]\nfiles={files}\n{INCLUDED}", encoding="utf-8")
    done = rollcall("import", str(config), "--name", "trading", "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["ok"], "manifest" in said) == (2, False, False)
    assert len(done.stdout) < 5000
    return t.cast("str", said["error"]["message"])


def test_an_include_that_leads_through_everything_is_given_up(config: str, tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    for number in range(10):
        (deep / f"l{number}").symlink_to(".")
    said = refused(Path(config), f"deep/{'l*/' * 30}none")
    assert said.endswith("and to read what it finds takes more than 10 s. Nothing was imported.")


def test_an_include_of_too_many_files_is_refused(config: str, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(150):
        (many / f"{number}.conf").touch()
    Path(config).write_text(f"[include]\nfiles=many/*\n{INCLUDED}", encoding="utf-8")
    assert list(services(config)) == ["worker"]
    assert "and with it more than 200 files" in refused(Path(config), "many/* many/1*.conf")


def test_an_include_of_too_much_is_refused(config: str, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.conf").write_text(f"#{'x' * 400_000}\n", encoding="utf-8")
    assert "and with it more than 1024 KiB" in refused(Path(config), "a.conf b.conf c.conf")
    with (tmp_path / "huge.conf").open("wb") as huge:
        huge.truncate(1 << 40)
    assert "and with it more than 1024 KiB" in refused(Path(config), "*.conf")


def test_a_config_that_includes_itself_is_read_as_often_as_it_says(config: str) -> None:
    Path(config).write_text(f"[include]\nfiles=*.conf supervisord.conf\n{INCLUDED}", encoding="utf-8")
    assert list(services(config)) == ["worker"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads what others may not")
def test_a_config_of_somebody_else_leads_root_to_nothing_that_they_may_not_read(config: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.conf"
    secret.write_text("[program:secret]\ncommand=/bin/secret\n", encoding="utf-8")
    secret.chmod(0o600)
    Path(config).write_text(f"[include]\nfiles={secret} link.conf\n{INCLUDED}", encoding="utf-8")
    (tmp_path / "link.conf").symlink_to(secret)
    assert set(services(config)) == {"worker", "secret"}, "root's own config may name it"
    os.chown(config, 60123, 60123)
    done = rollcall("import", config, "--name", "trading", "--json")
    said = json.loads(done.stdout)
    assert set(said["manifest"]["stack"]["services"]) == {"worker"}
    lost = [note["message"] for note in said["notes"] if note["kind"] == "lost"]
    assert lost == [
        f"names {path}, and it is a file that those who can write there may not read"
        for path in (secret, tmp_path / "link.conf")
    ]
