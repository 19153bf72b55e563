# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every accepted supervisor reads exactly the manifest out of the config, and what it refuses is told in its words."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack, Start, Stop
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import config, life
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import Client
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.environment import private_files
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.parse_back import (
    Parsed,
    compare,
    parse_back,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.places import engine_python, log_file
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.quoting import Unrepresentable
from tests.support import configs, interpreters
from tests.support.configs import made, service
from tests.support.rendering import TEMPLATES, render

TIMEOUT = 60.0


@pytest.fixture(params=interpreters.VERSIONS, scope="module")
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def python(version: str) -> str:
    return interpreters.python_with(version)


@pytest.fixture(scope="module")
def reader(python: str) -> t.Iterator[interpreters.Reader]:
    with interpreters.Reader(python) as reader:
        yield reader


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("stack"))


@pytest.fixture
def short_root() -> t.Iterator[Path]:
    """A root whose path leaves room for a socket's name."""
    directory = tempfile.mkdtemp(prefix="rc-")
    yield Path(directory)
    shutil.rmtree(directory)


def parse(python: str, text: str) -> Parsed:
    return parse_back(python, text, timeout=TIMEOUT)


# --- what is written comes back --------------------------------------------------------------------------------------


def arguments_and_variables(the_stack: Stack, parsed: Parsed) -> t.Tuple[t.Tuple[str, ...], t.Dict[str, str]]:
    """Return what the process of the stack's one service gets in the end, by way of the launcher where there is one."""
    (program,) = parsed.programs
    command = program.command
    in_file = private_files(the_stack, {}).get("app", {})
    if in_file:
        launcher = (engine_python(the_stack.root), "-I", f"{the_stack.root}/engine/rollcall/launcher.py")
        assert command[:5] == (*launcher, f"{the_stack.root}/etc/env/app.json", "--")
        command = command[5:]
    return command, {**program.environment, **in_file}


def refused(the_stack: Stack) -> t.List[str]:
    """Return the places that are refused; the template then fails with each of them."""
    try:
        config.programs(the_stack)
    except Unrepresentable as exc:
        with pytest.raises(AnsibleFilterError) as caught:
            render(the_stack)
        places = [place for place, reason in exc.problems]
        assert all(place in str(caught.value) for place in places)
        return places
    return []


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    argv=configs.commands, env=st.dictionaries(configs.names, configs.hostile_values, max_size=4), where=configs.values
)
@example(argv=("%%(", "%(here)s", "%"), env={"A": "%%(here)s", "B": "%"}, where="%(here)s ; # %")
@example(argv=("a", " ;", " #", ""), env={"A": " ;", "B": " #", "C": ""}, where="x")
@example(argv=("a",), env={"A": "\n[program:evil]\ncommand=/bin/id"}, where="x")
def test_every_argument_and_every_variable_comes_back_exactly(
    reader: interpreters.Reader, root: str, argv: t.Tuple[str, ...], env: t.Dict[str, str], where: str
) -> None:
    the_stack = made(root, service(command=argv, env=env, directory=f"/d{where}d"))
    parsed = reader.read(render(the_stack))
    assert compare(the_stack, parsed) == []
    command, variables = arguments_and_variables(the_stack, parsed)
    assert command == argv
    assert {name: variables[name] for name in env} == env
    assert parsed.programs[0].directory == f"/d{where}d"


@pytest.mark.fault(36)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(argv=st.lists(configs.hostile_values, min_size=1, max_size=3).map(tuple), where=configs.hostile_values)
def test_a_hostile_value_comes_back_exactly_or_is_refused_with_its_place(
    reader: interpreters.Reader, root: str, argv: t.Tuple[str, ...], where: str
) -> None:
    directory = f"/d{where}"
    the_stack = made(root, service(command=argv, directory=directory))
    places = refused(the_stack)
    if places:
        assert all(place.startswith("stack.services.app.") for place in places)
        return
    parsed = reader.read(render(the_stack))
    assert compare(the_stack, parsed) == []
    assert (parsed.programs[0].command, parsed.programs[0].directory) == (argv, directory)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=configs.hostile_values.map(lambda text: text.replace("/", "").replace("\0", "")))
def test_a_root_is_read_exactly_or_refused(reader: interpreters.Reader, root: str, where: str) -> None:
    below = os.path.join(root, f"r{where}")
    the_stack = configs.stack(below, service())
    places = refused(the_stack)
    if places:
        assert "stack.paths.logs" in places
        return
    made(below)
    assert compare(the_stack, reader.read(render(the_stack))) == []


def test_every_kind_of_service_comes_back(python: str, version: str, tmp_path: Path) -> None:
    the_stack = made(
        str(tmp_path),
        service("plain"),
        service("once", kind="oneshot", restart="never"),
        service(
            "web", port=3000, restart="always", stop=Stop("INT", 0.5), start=Start(0.0, 0), secrets={"KEY": "digest"}
        ),
        service("after.web-1", depends_on={"web": "healthy"}, restart="never", log_max_bytes=0, log_backups=0),
    )
    parsed = parse(python, render(the_stack))
    assert parsed.supervisor_version == version
    assert compare(the_stack, parsed) == []
    assert [program.name for program in parsed.programs] == ["after.web-1", "once", "plain", "web"]


def test_a_hundred_services_are_read_within_the_time_that_a_run_gives_it(python: str, tmp_path: Path) -> None:
    the_stack = made(str(tmp_path), *(service(f"app{number}", port=8000 + number) for number in range(100)))
    # The reading itself is refused when it takes longer; how long it takes is for the benchmark.
    assert compare(the_stack, parse(python, render(the_stack))) == []


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("/logs/app.log", "/gone/app.log", "/gone/app.log does not exist"),
        ("/logs/supervisord.log", "/gone/supervisord.log", "/gone/supervisord.log does not exist"),
        ("silent=true", "user=nobody-of-this-name", "Invalid user name nobody-of-this-name"),
        ("autostart=false", "user=nobody-of-this-name", "Invalid user name nobody-of-this-name"),
        ("[program:app]", "[group:all]\nprograms=missing\n[program:app]", "[group:all] names unknown program"),
        ("killasgroup=true", "killasgroup=false", "Cannot set stopasgroup=true and killasgroup=false"),
        ("startsecs=1", "startsecs=soon", "soon"),
        ("stopsignal=TERM", "stopsignal=NONE", "value 'NONE' is not a valid signal name"),
        ("command=", "command=%(nothing)s ", "nothing"),
        ("command=", "command='", "No closing quotation"),
        ("environment=", "environment=A=,", "Unexpected end of key/value pairs"),
        ("[supervisord]", "[other]", "does not include supervisord section"),
        ("[unix_http_server]", "nonsense\n[unix_http_server]", "no section headers"),
    ],
)
def test_a_config_is_refused_in_supervisors_own_words(
    python: str, version: str, tmp_path: Path, old: str, new: str, words: str
) -> None:
    text = render(made(str(tmp_path), service()))
    assert old in text
    with pytest.raises(RollcallError) as caught:
        parse(python, text.replace(old, new))
    assert caught.value.kind == "wrong_use"
    assert words in caught.value.evidence["refusal"]
    assert words in caught.value.message
    assert caught.value.evidence["supervisor"] == version
    assert "TextIOWrapper" not in caught.value.message


@pytest.mark.fault(48)
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("autostart=false", "autostrat=false", "app: autostart: wanted False, got True"),
        ("command=", "command=/bin/true ; ", "app: command: wanted ['/bin/sleep', '60'], got ['/bin/true']"),
        ("[program:app]", "[program:evil]\ncommand=/bin/id\n[program:app]", "evil: a program in the config"),
        ("[program:app]", "[group:all]\nprograms=app\n[program:app]", "all:app: a program in the config"),
        ("autostart=false", "autostart=false\nnumprocs=1\nuser=root", "app: uid: wanted nothing, got '0'"),
        ("silent=true", "silent=true\nenvironment=A='b'", "app: environment.A: wanted nothing, got 'b'"),
        ("[program:app]", "[DEFAULT]\nstartsecs=9\n[program:app]\n", "app: startretries: wanted 3, got 5"),
        ("chmod=0700", "chmod=0777", ", mode 0777'"),
        ("[supervisord]", "[inet_http_server]\nport=*:9001\n[supervisord]", "'*:9001'"),
    ],
)
def test_what_supervisor_accepts_in_silence_is_told(python: str, tmp_path: Path, old: str, new: str, told: str) -> None:
    the_stack = made(str(tmp_path), service())
    text = render(the_stack)
    assert old in text
    changed = text.replace(old, new).replace(
        "startretries=3", "startretries=5" if "DEFAULT" in new else "startretries=3"
    )
    differences = compare(the_stack, parse(python, changed))
    assert any(told in difference for difference in differences), differences


def test_reading_starts_nothing_and_writes_nothing(python: str, tmp_path: Path) -> None:
    mark = tmp_path / "started"
    the_stack = made(str(tmp_path / "root"), service(command=("/usr/bin/touch", str(mark))))
    text = render(the_stack).replace("autostart=false", "autostart=true")
    before = sorted(tmp_path.rglob("*"))
    site = Path(python).parents[1]
    code = sorted(site.rglob("*"))
    parse(python, text)
    assert sorted(tmp_path.rglob("*")) == before
    assert sorted(site.rglob("*")) == code


def test_nothing_of_the_callers_environment_reaches_the_reader(
    python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "supervisor.py").write_text("raise SystemExit('taken from the wrong place')", encoding="utf-8")
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.chdir(tmp_path)
    the_stack = made(str(tmp_path / "漢字"), service(env={"A": "é"}))
    assert compare(the_stack, parse(python, render(the_stack))) == []


# --- when it cannot be asked -----------------------------------------------------------------------------------------


@pytest.mark.fault(24)
def test_a_supervisor_that_is_too_old_is_refused_with_its_version(tmp_path: Path) -> None:
    old = interpreters.python_with(interpreters.TOO_OLD)
    with pytest.raises(RollcallError, match=r"supervisor 4\.1\.0 of .* is too old; Rollcall needs 4\.2\.2") as caught:
        parse(old, render(made(str(tmp_path), service())))
    assert caught.value.kind == "wrong_use"
    assert caught.value.evidence["supervisor"] == "4.1.0"


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_an_interpreter_that_hangs_is_ended_at_the_deadline(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(RollcallError, match=r"did not finish reading the config within 0\.3 s") as caught:
        parse_back(script(tmp_path / "python", "exec sleep 600"), "", timeout=0.3)
    assert time.monotonic() - began < 60
    assert caught.value.kind == "failed"


def test_an_interpreter_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RollcallError, match="cannot be run: No such file or directory") as caught:
        parse(str(tmp_path / "python"), "")
    assert caught.value.remedies == (cures.INSTALL,)


def test_an_interpreter_without_supervisor_says_so(tmp_path: Path) -> None:
    with pytest.raises(RollcallError, match="No module named 'supervisor'"):
        parse(script(tmp_path / "python", f'exec {sys.executable} -S "$@"'), "")


def test_an_answer_that_is_none_is_an_error_with_its_text(tmp_path: Path) -> None:
    with pytest.raises(RollcallError) as caught:
        parse(script(tmp_path / "python", "echo hello"), "")
    assert caught.value.evidence["stdout"] == "hello\n"


# --- a real daemon ---------------------------------------------------------------------------------------------------

SHOW = "import json, os, sys; json.dump([sys.argv[1:], dict(os.environ)], open('seen', 'w'))"


def test_a_process_gets_its_arguments_and_variables_exactly(python: str, short_root: Path) -> None:
    arguments = ("", " ;x #y", "100% %(here)s", "'\"\\", "é漢字", "{{ 1 }}")
    env = {"SOFT": "it's ;100% #%(here)s", "HARD": "'\"\n\\", "WIDE": "漢字"}
    command = (sys.executable, "-X", "utf8", "-c", SHOW, *arguments)
    once = service(command=command, env=env, secrets={"KEY": "d"}, kind="oneshot", directory=str(short_root))
    the_stack = made(str(short_root), once)
    paths = the_stack.paths
    os.makedirs(paths.env_dir)
    interpreters.install_engine(the_stack.root, python)
    for name, content in private_files(the_stack, {"app": {"KEY": "s3\ncret"}}).items():
        with open(os.open(f"{paths.env_dir}/{name}.json", os.O_WRONLY | os.O_CREAT, 0o600), "w") as stream:
            json.dump(content, stream)
    Path(paths.config).write_text(render(the_stack), encoding="utf-8")
    daemon = life.start_supervisord(
        engine_python(the_stack.root),
        paths.config,
        socket_path=paths.socket,
        environment={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"},
        log=f"{paths.logs}/out",
        cwd=the_stack.root,
        timeout=TIMEOUT,
    )
    client = Client(paths.socket)
    try:
        assert client.start(["app"]) == {"app": None}
        until = time.monotonic() + TIMEOUT
        while client.programs()["app"].state != "EXITED" and time.monotonic() < until:
            time.sleep(0.02)
        assert client.programs()["app"].exit_status == 0, Path(log_file(the_stack, "app")).read_text()
    finally:
        life.stop_supervisord(client, daemon, timeout=TIMEOUT)
    got_arguments, got = json.loads((short_root / "seen").read_text(encoding="utf-8"))
    assert tuple(got_arguments) == arguments
    assert {name: got[name] for name in env} == env
    assert got["KEY"] == "s3\ncret"
    assert got["ROLLCALL_SERVICE"] == "app"


# --- Ansible itself --------------------------------------------------------------------------------------------------


def ansible_renders(the_stack: Stack, directory: Path) -> subprocess.CompletedProcess[str]:
    """Render with Ansible's own template lookup, from data that it does not trust, into ``directory/out``."""
    (directory / "stack.json").write_text(json.dumps(the_stack.to_dict()), encoding="utf-8")
    template = f"lookup('ansible.builtin.template', '{TEMPLATES}/supervisord.conf.j2', template_vars={{'stack': read}})"
    task = {
        "ansible.builtin.copy": {"dest": f"{directory}/out", "content": f"{{{{ {template} }}}}"},
        "vars": {"read": f"{{{{ lookup('ansible.builtin.file', '{directory}/stack.json') | from_json }}}}"},
    }
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}
    (directory / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    command = ["ansible-playbook", "-i", "localhost,", "-e", f"ansible_python_interpreter={sys.executable}", "play.yml"]
    command[0] = str(Path(sys.executable).with_name(command[0]))
    return subprocess.run(command, check=False, capture_output=True, encoding="utf-8", cwd=directory, timeout=60)


@pytest.mark.fault(36)
def test_ansible_renders_the_same_and_executes_nothing(tmp_path: Path) -> None:
    env = {"A": "{{ lookup('pipe', 'id') }} é ;x", "B": "{% raw %}", "C": "'\""}
    the_stack = configs.stack("/srv/demo", service(command=("/bin/{{ 1 + 1 }}", "{#"), env=env, port=8001))
    done = ansible_renders(the_stack, tmp_path)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "out").read_text(encoding="utf-8") == render(the_stack)


def test_ansible_names_every_place_that_is_refused(tmp_path: Path) -> None:
    done = ansible_renders(configs.stack("/srv/demo", service(command=("a\n", "b", "\r"))), tmp_path)
    assert done.returncode != 0
    assert "stack.services.app.command[0]: it contains the control character" in done.stdout
    assert "stack.services.app.command[2]: it contains the control character" in done.stdout
