# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the file of another tool has in it, the import ends soon, with a manifest or with what is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import parse_manifest
from tests.support.hostile import FUZZ, mutated, rollcall
from tests.unit.hostile.test_manifests import OLDER

SUPERVISORD = """\
[supervisord]
logfile=/var/log/x.log
user=svc
environment=A="b",C='d %(here)s'
[unix_http_server]
file=/run/x.sock
[program:web]
command=/opt/x/bin/web --port 80%(process_num)02d  ; comment
process_name=%(program_name)s_%(process_num)d
numprocs=3
numprocs_start=1
environment=PORT="8080",TOKEN="%(ENV_PATH)s"
autorestart=unexpected
exitcodes=0,2
stopsignal=INT
umask=022
stdout_logfile=/var/log/web-%(host_node_name)s.log
stdout_logfile_maxbytes=1MB
priority=1
directory=%(here)s/app
[group:all]
programs=web
[include]
files=conf.d/*.conf
"""
PROCFILE = """\
web: bin/web --port $PORT
worker: env A=1 sh -c "sleep 1 && exec bin/worker" > log 2>&1
release: bin/migrate
"""
PM2 = {
    "apps": [
        {"name": "web", "script": "app.js", "args": "--port 80 'a b'", "instances": 2, "exec_mode": "fork"},
        {"name": "job", "script": "job.py", "args": ["-v", 1, None], "env": {"PORT": 8000, "A": "b"}, "cwd": "/opt/x"},
        {
            "script": "bin/run me",
            "kill_timeout": "3s",
            "min_uptime": 5000,
            "max_restarts": "10",
            "stop_exit_codes": [0],
        },
        {"script": "x.sh", "instances": "4", "increment_var": "PORT", "port": "9000", "uid": "svc", "watch": True},
    ],
    "deploy": {},
}
ECOSYSTEM = "apps:\n  - name: web\n    script: app.js\n    env: {PORT: 8000}\n    instances: max\n"
VARIABLES = """\
# ports
export WEB_SERVER_PORT=8080
STORE_PORT="8001"   # the store
STORE_HOST=127.0.0.1
OTHER_HOST='db.example'
OTHER_PORT=5432
NAME=x y
"""


def assert_imported(content: bytes, *more: str) -> None:
    said = rollcall("manifest", "import", "-", "--name", "demo", *more, given=content)

    if said.code == 0 and "--json" not in more:
        assert not parse_manifest(said.output.encode()).failed
    elif said.code == 0:
        assert json.loads(said.output)["manifest"]["stack"]["services"]
    else:
        assert said.code == 2


@given(mutated(SUPERVISORD.encode()))
@FUZZ
def test_a_supervisord_conf(content: bytes) -> None:
    assert_imported(content, "--from", "supervisord")


@given(mutated(PROCFILE.encode()))
@FUZZ
def test_a_procfile(content: bytes) -> None:
    assert_imported(content, "--from", "procfile")


@given(mutated(json.dumps(PM2).encode(), ECOSYSTEM.encode()))
@FUZZ
def test_an_ecosystem_file(content: bytes) -> None:
    assert_imported(content, "--from", "pm2", "--json")


@given(mutated(OLDER.encode()))
@FUZZ
def test_a_port_manifest(content: bytes) -> None:
    assert_imported(content, "--from", "ports")


@given(mutated(VARIABLES.encode()))
@FUZZ
def test_variables_with_ports(content: bytes) -> None:
    assert_imported(content, "--from", "environment")


@given(mutated(*(text.encode() for text in (SUPERVISORD, PROCFILE, ECOSYSTEM, OLDER, VARIABLES))))
@FUZZ
def test_a_file_of_any_kind(content: bytes) -> None:
    assert_imported(content)


PROGRAM = "[program:web]\ncommand=/bin/web\n"
# Each took seconds, minutes or gigabytes, for a reader of its own kind.
COSTLY = {
    "a time with more digits than Python writes": (
        "pm2",
        f"apps: [{{name: web, script: a.js, kill_timeout: 0x{'9' * 5000}, min_uptime: '{'9' * 5000}'}}]\n",
    ),
    "blanks before no delimiter": ("supervisord", f"{PROGRAM}a{' ' * 200_000}b\n"),
    "lines that are nothing": ("supervisord", PROGRAM + "a\n" * 200_000),
    "lines with a comment alone to tell that they are nothing": ("supervisord", PROGRAM + "a ;=\n" * 100_000),
    "defaults for very many sections": (
        "supervisord",
        "[DEFAULT]\n" + "".join(f"a{n}=\n" for n in range(20_000)) + "".join(f"[program:{n}]\n" for n in range(20_000)),
    ),
    "a width": ("supervisord", "[program:web]\ncommand=/bin/web %(here)999999999s\n"),
    "a precision": ("supervisord", "[program:web]\ncommand=/bin/web %(process_num).999999999d\n"),
    "a width of a name in parentheses": (
        "supervisord",
        "[supervisord]\nenvironment=A(B)=x\n[program:web]\ncommand=/bin/web %(ENV_A(B))999999999s\n",
    ),
    "a name that stands for much": (
        "supervisord",
        f"[supervisord]\nenvironment=A={'x' * 30_000}\n[program:web]\ncommand=/bin/web {'%(ENV_A)s' * 3000}\n",
    ),
    "processes of many programs": (
        "supervisord",
        "".join(f"[program:a{n}]\ncommand=x\nnumprocs=1000\nprocess_name=%(process_num)d\n" for n in range(10_000)),
    ),
    "a pattern that no file system knows": ("supervisord", f"{PROGRAM}[include]\nfiles=a\0b\n"),
    "very many patterns": ("supervisord", f"{PROGRAM}[include]\nfiles={'/etc/* ' * 100_000}\n"),
    "a long name in thousands of places": (
        "supervisord",
        f"[program:{'x💩' * 30_000}]\ncommand=x\nnumprocs=900\nprocess_name=%(process_num)d\n"
        + "".join(f"a{n}=b\n" for n in range(9000)),
    ),
    "a pattern that is long": ("supervisord", f"{PROGRAM}[include]\nfiles={'[' * 300_000}\n"),
    "a long word": ("supervisord", f"[program:web]\ncommand=/bin/web {'x' * 900_000}\n"),
    "variables that are long": ("supervisord", f"{PROGRAM}environment=A={'x' * 900_000}\n"),
    "a long word of a Procfile": ("procfile", f"web: {'x' * 900_000}\n"),
    "lines of a Procfile that are nothing": ("procfile", "web: x\n" + "a\n" * 300_000),
    "names that are cut to the same": ("procfile", "".join(f"{'a' * 90}{n}: x\n" for n in range(9000))),
    "a quote that is long": ("procfile", f"""web: sh -c "{"x" * 900_000}"\n"""),
    "arguments that are long": ("pm2", json.dumps({"script": "x.js", "args": "x" * 900_000})),
    "JavaScript with a long text": ("pm2", f"{{script: 'x.js', args: '{'x' * 900_000}',}}"),
    "JavaScript with a long comment": ("pm2", f"{{script: 'x.js', /*{'*' * 900_000}"),
    "JavaScript with many commas": ("pm2", f"[{',' * 900_000}]"),
    "JavaScript with many blanks and commas": ("pm2", f"[{', ' * 450_000}]"),
    "JavaScript that is deep": ("pm2", f"{{script: {'[' * 900_000}"),
    "JavaScript with many names": ("pm2", f"{{{'a:1,' * 200_000}}}"),
    "JavaScript with a long name": ("pm2", f"{{script: {'x' * 900_000}}}"),
    "JavaScript with many backslashes": ("pm2", "{script: '" + "\\\\" * 450_000),
    "variables before a command": ("procfile", f"web: {'A=1 ' * 8000}x\n"),
    "an httpok that is long": ("supervisord", f"{PROGRAM}[eventlistener:a]\ncommand=httpok http://{'x' * 30_000}\n"),
    "instances of many apps": ("pm2", json.dumps({"apps": [{"script": "x.sh", "instances": 100}] * 4000})),
    "blanks before no comment": ("environment", f"A_PORT=8000{' ' * 400_000}x\n"),
    "more than a manifest can have": (
        "environment",
        "".join(f"A{n}_PORT={n + 1024}\n" for n in range(50_000)),
    ),
    "a text that is too large": ("procfile", f"web: x\n#{'x' * (1 << 20)}\n"),
}


@pytest.mark.parametrize("name", COSTLY)
def test_what_is_made_to_take_long_is_refused_or_imported_soon(name: str) -> None:
    kind, text = COSTLY[name]

    assert_imported(text.encode(), "--from", kind)


def test_a_pipe_among_the_included_files_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text(PROGRAM)
    os.mkfifo(tmp_path / "pipe.conf")
    config = tmp_path / "main"
    config.write_text("[include]\nfiles=*.conf /dev/zero\n[supervisord]\n")

    said = rollcall("manifest", "import", str(config), "--from", "supervisord", "--name", "demo", "--json")

    found = json.loads(said.output)
    assert list(found["manifest"]["stack"]["services"]) == ["web"]
    lost = [note["message"] for note in found["notes"] if note["kind"] == "lost"]
    assert lost == [
        f"names {tmp_path}/pipe.conf, and it is a pipe and no regular file",
        "names /dev/zero, and it is a device and no regular file",
    ]


def test_a_file_without_an_end_is_not_read_to_its_end() -> None:
    said = rollcall("manifest", "import", "/dev/zero", "--from", "procfile", "--name", "demo")

    assert said.code == 2
    assert "it is a device and no regular file" in said.errors
