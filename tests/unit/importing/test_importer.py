# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a supervisord.conf, a Procfile, an ecosystem file, a port manifest or variables; what is noted."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.importing.draft import Imported
from ansible_collections.rollcall.supervisor.plugins.module_utils.importing.importer import KINDS, detect, import_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.importing.notes import Note
from ansible_collections.rollcall.supervisor.plugins.module_utils.importing.yaml_text import as_yaml
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import parse_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Service, Stack, Start, Stop
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import config
from tests.support import configs
from tests.support.examples import examples
from tests.support.rendering import render as render_config
from tests.support.repository import ROOT

PLANTED = "pl4nted-t0ken"
DAEMON = "[supervisord]\nlogfile=x.log\n"


def imported(text: str, kind: str = "supervisord", **options: Any) -> Imported:
    """Return what a text comes to, for a stack called demo."""
    told = {"name": "demo", "root": "/opt/demo", "environment": {}, "here": "/etc/demo", **options}
    return import_text(textwrap.dedent(text), kind, **told)


def services(found: Imported) -> dict[str, Any]:
    entries: dict[str, Any] = found.manifest["stack"]["services"]
    return entries


def problems(text: str, kind: str = "supervisord", **options: Any) -> dict[str, str]:
    """Return the messages of a refused import by place; each has a cure."""
    with pytest.raises(RollcallError) as caught:
        imported(text, kind, **options)
    assert caught.value.kind == "wrong_use"
    found = caught.value.evidence["problems"]
    assert all(problem["cure"] in caught.value.remedies for problem in found)
    return {problem["place"]: problem["message"] for problem in found}


def noted(found: Imported, kind: str, words: str) -> Note:
    """Return the one note of a kind that has these words, in its place or its message; it has a cure."""
    (note,) = [note for note in found.notes if note.kind == kind and words in f"{note.place}: {note.message}"]
    assert note.cure
    return note


def checked(found: Imported, **options: Any) -> Stack:
    """Return the stack of an import, read from the text that is rendered of it."""
    loaded = parse_manifest(as_yaml(found).encode("utf-8"))
    assert loaded.problems == []
    assert loaded.data == found.manifest
    result = check_manifest(loaded.data, lines=loaded.lines, **options)
    assert [problem for problem in result.problems if problem.severity == "error"] == []
    assert result.stack is not None
    return result.stack


# --- supervisord.conf --------------------------------------------------------------------------------------------


def program(*lines: str, before: str = DAEMON) -> str:
    """Return a config of one program, web."""
    return "\n".join([before, "[program:web]", "command=/bin/web", *lines, ""])


def test_a_config_becomes_a_manifest() -> None:
    found = imported(
        """\
        [supervisord]
        user=trader
        environment=LANG="C.UTF-8"

        [program:web]
        command=gunicorn "main app" --port=80%(process_num)02d ; the web
        process_name=%(program_name)s_%(process_num)d
        numprocs=2
        directory=/opt/demo/app
        environment=PORT="80%(process_num)02d",MODE='a,b'
        autorestart=true
        startsecs=5
        startretries=9
        stopsignal=INT
        stopwaitsecs=30
        redirect_stderr=true
        stopasgroup=true
        stdout_logfile_maxbytes=1MB
        stdout_logfile_backups=2
        """
    )
    common = {
        "directory": "/opt/demo/app",
        "env": {"MODE": "a,b"},
        "stop": {"signal": "INT", "timeout": 30},
        "start": {"seconds": 5, "retries": 9},
        "restart": "always",
        "log": {"max_bytes": 1048576, "backups": 2},
    }
    assert found.manifest == {
        "stack": {
            "name": "demo",
            "user": "trader",
            "root": "/opt/demo",
            "defaults": {"log": {"max_bytes": 52428800, "backups": 10}, "env": {"LANG": "C.UTF-8"}},
            "services": {
                "web_0": {"command": ["gunicorn", "main app", "--port=8000"], "port": 8000, **common},
                "web_1": {"command": ["gunicorn", "main app", "--port=8001"], "port": 8001, **common},
            },
        }
    }
    assert [note.kind for note in found.notes] == ["changed", "changed", "advice"]
    assert noted(found, "advice", "is gunicorn, whose workers").place == "[program:web] (line 5)"
    assert noted(found, "changed", "became 2 services").place == "[program:web] numprocs (line 8)"
    assert checked(found).services[0].env == {"LANG": "C.UTF-8", "MODE": "a,b"}


@pytest.mark.parametrize(
    ("text", "kind", "place", "words"),
    [
        (program("serverurl=http://x"), "lost", "[program:web] serverurl (line 6)", "no counterpart"),
        (program("stdout_syslog=true"), "lost", "[program:web] stdout_syslog (line 6)", "the log is a file"),
        (program("stdout_logfile=syslog"), "lost", "[program:web] stdout_logfile (line 6)", "the log is a file"),
        (program("stdout_events_enabled=1"), "lost", "[program:web] stdout_events_enabled (line 6)", "event listeners"),
        (program("priority=5"), "lost", "[program:web] priority (line 6)", "services are listed in its order"),
        (program("exitcodes=0,2"), "lost", "[program:web] exitcodes (line 6)", "0 alone is expected"),
        (program("autostart=false"), "changed", "[program:web] autostart (line 6)", "a run starts every service"),
        (program("stopsignal=WINCH"), "changed", "[program:web] stopsignal (line 6)", "is TERM here, as WINCH"),
        (program("startsecs=9000"), "changed", "[program:web] startsecs (line 6)", "is 3600 here, as 9000"),
        (program("stdout_logfile=/var/log/web"), "changed", "stdout_logfile (line 6)", "is not written: each"),
        (program("stdout_logfile=NONE"), "minor", "[program:web] stdout_logfile (line 6)", "is none"),
        (program("stderr_logfile=/var/log/err"), "changed", "stderr_logfile (line 6)", "is not written: each"),
        (program(), "minor", "[program:web] (line 4)", "stderr in one log with stdout"),
        (program(), "minor", "[program:web] (line 4)", "takes its children along when it must be killed"),
        (
            "[program:a]\ncommand=/v/celery -A x worker\nstopasgroup=1",
            "advice",
            "[program:a]",
            "is celery, whose workers",
        ),
        (program(), "changed", "[program:web] (line 4)", "has no directory"),
        (program(), "changed", "every program", "supervisord's own environment"),
        (program(), "minor", "[supervisord] logfile (line 2)", "left to Rollcall"),
        (program("directory=app"), "changed", "[program:web] directory (line 6)", "is relative"),
        (program("directory=~/app"), "lost", "[program:web] directory (line 6)", "is no path"),
        (program("direktory=/app"), "advice", "[program:web] direktory (line 6)", "no key of a program"),
        (program("user=1000"), "lost", "[program:web] (line 4)", "user 1000 is not the name"),
        (program("numprocs=0", before="[program:other]\ncommand=x"), "lost", "[program:web] numprocs", "no process"),
        (program(before="[group:g]\nprograms=web"), "lost", "[group:g] (line 1)", "services by themselves"),
        (program(before="[eventlistener:e]\ncommand=x"), "lost", "[eventlistener:e] (line 1)", "no service"),
        (program(before="[fcgi-program:f]\ncommand=x"), "lost", "[fcgi-program:f] (line 1)", "opens its socket"),
        (program(before="[inet_http_server]\nport=9001"), "lost", "[inet_http_server] (line 1)", "unix socket alone"),
        (program(before="[rpcinterface:x]\na=b"), "lost", "[rpcinterface:x] (line 1)", "no counterpart"),
        (program(before="[unix_http_server]\nfile=/s"), "minor", "[unix_http_server] (line 1)", "left to Rollcall"),
        (program(before="[progam:x]\ncommand=x"), "advice", "[progam:x] (line 1)", "no section that supervisor knows"),
        (program(before="[supervisord]\nminprocs=9"), "lost", "[supervisord] minprocs (line 2)", "no counterpart"),
        (program(before="[supervisord]\nminfds=9"), "minor", "[supervisord] minfds (line 2)", "no more open files"),
        (program(before="[supervisord]\nminfds=9999"), "changed", "[supervisord] minfds (line 2)", "limits.nofile"),
        (program(before=""), "advice", "the file", "has no [supervisord]"),
        ("[program:web]\ncommand=web --port 8080", "advice", "[program:web] command (line 2)", "listened on 8080"),
        ("[program:web]\ncommand=web -b :8080", "advice", "[program:web] command (line 2)", "listened on 8080"),
        ("[program:web]\ncommand=web --bind=0.0.0.0:81", "advice", "[program:web] command (line 2)", "listened on 81"),
        ("[program:web]\ncommand=web --db-password=x", "advice", "[program:web] command (line 2)", "like a secret"),
        ("[program:web]\ncommand=bin/web", "changed", "[program:web] command (line 2)", "in the service's directory"),
        ("[program:a]\ncommand=a 'b\n[program:b]\ncommand=b", "lost", "[program:a] command (line 2)", "is no command"),
        ("[program:a.b]\ncommand=x", "changed", "[program:a.b] (line 1)", "a.b is called a_b here"),
    ],
)
def test_what_a_manifest_has_not_or_not_so_is_noted(text: str, kind: str, place: str, words: str) -> None:
    note = noted(imported(text), kind, words)
    assert place in note.place


def test_a_note_that_holds_of_many_is_told_once() -> None:
    found = imported("[program:a]\ncommand=a\nserverurl=x\n[program:b]\ncommand=b\nserverurl=y\n")
    assert (
        noted(found, "lost", "no counterpart").place == "[program:a] serverurl (line 3), [program:b] serverurl (line 6)"
    )


@pytest.mark.parametrize(
    ("text", "umasks"),
    [
        ("[supervisord]\n[program:a]\ncommand=a\n", ["022"]),
        ("[supervisord]\n[program:a]\ncommand=a\numask=0\n", ["000"]),
        ("[supervisord]\numask=077\n[program:a]\ncommand=a\n[program:b]\ncommand=b\numask=002\n", ["077", "002"]),
    ],
)
def test_programs_keep_the_umask_that_they_had(text: str, umasks: list[str]) -> None:
    found = imported(text)
    assert not [note for note in found.notes if "umask" in note.place]
    assert [service.umask for service in checked(found).services] == umasks


@pytest.mark.parametrize(
    ("stopped", "defaults", "written"),
    [
        (["stopasgroup=true", "stopasgroup=true"], None, [{}, {}]),
        (["killasgroup=true", "killasgroup=true"], {"scope": "process"}, [{}, {}]),
        (["", "stopasgroup=true\nstopsignal=INT"], {"scope": "process"}, [{}, {"signal": "INT", "scope": "group"}]),
    ],
)
def test_programs_are_stopped_as_they_were(
    stopped: list[str], defaults: dict[str, str] | None, written: list[dict[str, str]]
) -> None:
    found = imported("".join(f"[program:p{number}]\ncommand=x\n{text}\n" for number, text in enumerate(stopped)))
    assert found.manifest["stack"]["defaults"].get("stop") == defaults
    assert [entry.get("stop", {}) for entry in services(found).values()] == written


@pytest.mark.parametrize(
    ("command", "pool"),
    [
        ("venv/bin/celery --app x worker", "celery"),
        ("python -m celery -A x worker", "celery"),
        ("celery -A x beat", None),
        ("bundle exec puma -C config/puma.rb", "puma"),
        ("uvicorn x:app --workers 4", "uvicorn"),
        ("uvicorn x:app", None),
        ("/usr/sbin/php-fpm8.2 --nodaemonize", "php-fpm"),
        ("sh -c 'exec gunicorn x:app > log'", "gunicorn"),
        ("uwsgi --ini x.ini", "uwsgi"),
        ("bin/sidekiq", "sidekiq"),
        ("python manage.py --before all of them gunicorn", None),
    ],
)
def test_a_program_with_workers_of_its_own_deserves_advice_where_its_group_is_stopped(
    command: str, pool: str | None
) -> None:
    text = f"[program:a]\ncommand={command}\n"
    advised = [note.message for note in imported(text + "stopasgroup=true\n").notes if "whose workers" in note.message]
    assert [message.split()[1].rstrip(",") for message in advised] == ([] if pool is None else [pool])
    assert not [note for note in imported(text).notes if "whose workers" in note.message]
    told = [note for note in imported(f"a: {command}\n", "procfile").notes if "whose workers" in note.message]
    assert len(told) == (pool is not None)


def test_a_umask_that_supervisord_would_refuse_is_a_problem() -> None:
    for wrong in ("9", "u=rw", "1777", "-1"):
        with pytest.raises(RollcallError) as caught:
            imported(f"[program:a]\ncommand=a\numask={wrong}\n")
        assert "umask" in str(caught.value.evidence["problems"])


def test_services_follow_the_priorities() -> None:
    found = imported("[program:c]\ncommand=c\n[program:b]\ncommand=b\npriority=2\n[program:a]\ncommand=a\npriority=1\n")
    assert list(services(found)) == ["a", "b", "c"]
    assert all("depends_on" not in entry for entry in services(found).values())


def test_processes_of_one_name_are_told_apart_by_their_groups() -> None:
    text = "[program:{0}]\ncommand=x\nprocess_name=p%(process_num)d\nnumprocs=2\n"
    found = imported(text.format("a") + text.format("b"))
    assert list(services(found)) == ["a-p0", "a-p1", "b-p0", "b-p1"]
    assert "a:p0 is called a-p0 here" in {note.message for note in found.notes}


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["1st", "all", "supervisord"], ["service_1st", "all_2", "supervisord_2"]),
        (["a.b", "a_b", "A-B"], ["A-B", "a_b_2", "a_b_3"]),
        (["x" * 70], ["x" * 63]),
        (["x" * 70 + "1", "x" * 70 + "2"], ["x" * 63, "x" * 58 + "_2"]),
        (["é"], ["service"]),
    ],
)
def test_every_name_becomes_one_that_a_manifest_can_have(names: list[str], wanted: list[str]) -> None:
    found = imported("".join(f"[program:{name}]\ncommand=x\n" for name in names))
    assert sorted(services(found)) == sorted(wanted)
    checked(found)


@pytest.mark.parametrize(
    ("users", "stack_user", "others"),
    [
        ([None, None], None, []),
        (["app", "app"], "app", []),
        (["app", "web", "app"], "app", ["ran as web; a stack has one user, and this one has app"]),
        (["app", None], "app", ["ran as whoever started it; a stack has one user, and this one has app"]),
    ],
)
def test_a_stack_has_one_user_and_others_are_noted(
    users: list[str | None], stack_user: str | None, others: list[str]
) -> None:
    found = imported(
        "".join(f"[program:p{n}]\ncommand=x\n" + (f"user={user}\n" if user else "") for n, user in enumerate(users))
    )
    assert found.manifest["stack"].get("user") == stack_user
    assert [note.message for note in found.notes if note.message.startswith("ran as")] == others


@pytest.mark.parametrize(
    ("value", "port", "rules", "words"),
    [
        ("8010", 8010, {}, None),
        ("3000", 3000, {"also": [3000]}, None),
        ("40000", 40000, {"also": [40000]}, None),
        ("5000", 5000, {"also": [5000], "avoid": [7000, 9000, 10000]}, "taken off that list"),
        ("08080", 8080, {}, "is written 8080 now"),
        ("22", None, {}, "protected"),
        ("80", None, {}, "root only"),
        ("http", None, {}, "is not a port number"),
        ("70000", None, {}, "is not a port number"),
    ],
)
def test_port_in_the_environment_becomes_the_port(value: str, port: int | None, rules: Any, words: str | None) -> None:
    found = imported(program(f'environment=PORT="{value}",A="b"'))
    assert services(found)["web"].get("port") == port
    assert services(found)["web"]["env"] == {"A": "b"}
    assert found.manifest["stack"].get("ports", {}) == rules
    messages = [note.message for note in found.notes if "port" in note.message or "written" in note.message]
    told = [message for message in messages if "/" not in message]
    assert [words in message for message in told] == ([True] if words else [])  # type: ignore[operator]
    checked(found)


def test_no_two_services_get_one_port() -> None:
    found = imported('[supervisord]\nenvironment=PORT="8000"\n[program:a]\ncommand=a\n[program:b]\ncommand=b\n')
    assert [entry.get("port") for entry in services(found).values()] == [8000, None]
    assert "port 8000 is the port of a" in noted(found, "lost", "[program:b]").message


@pytest.mark.parametrize(
    ("assignment", "entry", "kind", "words"),
    [
        ("PORT_CACHE='8001'", {}, "lost", "Rollcall itself gives"),
        ("ROLLCALL_STACK='x'", {}, "lost", "Rollcall itself gives"),
        ("A-B='x'", {}, "lost", "not the name of a variable"),
        ("A='x\n  y'", {"secrets": {"A": "x\ny"}}, "changed", "is a secret now"),
        ("A='x\x1b[0m'", {}, "lost", "control character"),
        ("API_KEY='x'", {"env": {"API_KEY": "x"}}, "advice", "looks like a secret"),
        ("DATABASE_URL='pg://u:pw@h/db'", {"env": {"DATABASE_URL": "pg://u:pw@h/db"}}, "advice", "looks like a secret"),
    ],
)
def test_a_variable_that_needs_a_look_is_noted(assignment: str, entry: Any, kind: str, words: str) -> None:
    found = imported(program(f"environment={assignment}"))
    own = {key: value for key, value in services(found)["web"].items() if key in ("env", "secrets")}
    assert own == entry
    name = assignment.partition("=")[0]
    assert noted(found, kind, words).place == f"[program:web] environment (line 6) {name}"
    checked(found)


@pytest.mark.parametrize("name", ["MONKEY", "KEYBOARD", "PWD", "AUTHOR", "PASSENGERS"])
def test_an_ordinary_variable_is_not_taken_for_a_secret(name: str) -> None:
    assert not [note for note in imported(program(f"environment={name}='x'")).notes if "secret" in note.message]


def test_what_came_from_the_environment_of_the_import_is_noted() -> None:
    found = imported(
        program("environment=MINE='1'", "directory=%(ENV_BASE)s/%(ENV_MINE)s"), environment={"BASE": "/srv", "X": "y"}
    )
    assert services(found)["web"]["directory"] == "/srv/1"
    assert noted(found, "changed", "%(ENV_BASE)s").place == "[program:web] directory (line 7)"
    assert not [note for note in found.notes if "MINE" in note.message]


def test_a_service_that_no_manifest_can_have_is_left_out_with_a_note() -> None:
    found = imported("[program:a]\ncommand=sh -c 'one\n  two'\n[program:b]\ncommand=b\n")
    assert list(services(found)) == ["b"]
    assert (
        "is left out: stack.services.a.command[2]: contains the control character"
        in noted(found, "lost", "a.com").message
    )


def test_braces_that_mean_the_port_here_are_noted() -> None:
    assert noted(imported(program("environment=PORT='8000'").replace("/bin/web", "x {port}")), "changed", "{port}")


def test_all_problems_are_told_at_once() -> None:
    text = """\
        [supervisord]
        [program:a]
        command=a %(gone)s
        startsecs=soon
        autostart=perhaps
        [program:b]
        environment=A
        [group:g]
        programs=c
        """
    assert problems(text) == {
        "[program:a] command (line 3)": "names %(gone)s, which stands for nothing here",
        "[program:a] startsecs (line 4)": "is not a whole number",
        "[program:a] autostart (line 5)": "is not true or false",
        "[program:b] command (line 6)": "the program has no command",
        "[program:b] environment (line 7)": "is not KEY='value',KEY='value'",
        "[group:g] programs (line 9)": "program c is not there",
    }


def test_every_line_that_is_none_of_a_config_is_named() -> None:
    assert list(problems("[program:a]\ncommand=a\nnonsense\n[b\n")) == ["line 3", "line 4"]
    assert list(problems("nonsense\n[program:a]\n")) == ["line 1"]


def test_a_config_without_programs_is_refused_with_what_it_has() -> None:
    found = problems("[eventlistener:e]\ncommand=x\nevents=TICK_5\n")
    assert list(found) == ["the original", "[eventlistener:e] (line 1)"]


def test_a_config_that_includes_or_names_its_directory_needs_to_be_a_file() -> None:
    assert list(problems("[include]\nfiles=*.conf\n[program:a]\ncommand=a")) == ["[include] files (line 2)"]
    assert list(problems("[program:a]\ncommand=%(here)s/a", here=None)) == ["[program:a] command (line 2)"]


def test_an_included_file_is_named_where_it_matters() -> None:
    asked = []

    def read(pattern: str) -> list[tuple[str, str]]:
        asked.append(pattern)
        return [
            ("/etc/demo/b.conf", "[program:b]\ncommand=b\nserverurl=x\n"),
            ("/etc/demo/a.conf", "[program:a]\ncommand=a\n"),
        ]

    found = imported("[include]\nfiles=*.conf\n", read=read)
    assert asked == ["*.conf"]
    assert list(services(found)) == ["a", "b"]
    assert noted(found, "lost", "serverurl").place == "[program:b] serverurl (/etc/demo/b.conf line 3)"


@pytest.mark.parametrize(("name", "root", "place"), [("1", "/opt/x", "stack.name"), ("x", "opt/x", "stack.root")])
def test_a_name_and_root_that_no_stack_can_have_are_refused(name: str, root: str, place: str) -> None:
    assert list(problems(program(), name=name, root=root)) == [place]


def test_no_note_and_no_problem_repeats_a_value() -> None:
    shown = f'TOKEN="{PLANTED}",A-B="{PLANTED}",PORT_X="{PLANTED}",PORT="{PLANTED}",C="{PLANTED}\n  {PLANTED}"'
    command = f"command=x --token {PLANTED} --password={PLANTED} 'a\n  {PLANTED}'"
    found = imported(f"[program:a]\ncommand=a\nenvironment={shown}\n[program:b]\n{command}\n")
    assert PLANTED not in str(found.notes)
    for text in (f"[program:a]\ncommand=a\nenvironment=A={PLANTED},B", f"[program:a]\ncommand={PLANTED} %(no)s"):
        assert PLANTED not in str(problems(text))


# What the config's own rules leave of a value; and the services whose names the import has no need to change.
_services = st.lists(
    st.builds(
        lambda name, command, env, numbers, restart, signal: configs.service(
            name,
            command=("/bin/app", *command),
            env=env,
            directory="/srv/x",
            start=Start(float(numbers[0]), numbers[1]),
            stop=Stop(signal, float(numbers[2])),
            restart=restart,
        ),
        st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True).filter(lambda name: name not in ("all", "supervisord")),
        configs.commands.map(lambda argv: [argument.replace("\t", " ") for argument in argv]),
        st.dictionaries(configs.names.filter(lambda name: not name.startswith("PORT")), configs.values, max_size=3),
        st.tuples(st.integers(0, 3600), st.integers(0, 1000), st.integers(0, 3600)),
        st.sampled_from(["always", "unexpected", "never"]),
        st.sampled_from(["TERM", "HUP", "INT", "QUIT", "KILL", "USR1", "USR2"]),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda service: service.name,
)


@settings(max_examples=examples(100), deadline=None)
@given(_services)
def test_our_own_config_imports_as_the_manifest_it_was_made_from(wanted: list[Service]) -> None:
    stack = configs.stack("/opt/demo", *wanted)
    found = checked(imported(render_config(stack)))
    kept = {program.name: program for program in config.programs(stack)}
    assert {service.name for service in found.services} == set(kept)
    for service in found.services:
        program = kept[service.name]
        env = {name: value for name, value in program.environment.items() if not name.startswith("ROLLCALL_")}
        assert (service.command, service.env, service.directory) == (program.command, env, program.directory)
        assert service.start == Start(float(program.startsecs), program.startretries)
        assert service.stop == Stop(program.stopsignal, float(program.stopwaitsecs))
        assert {"always": "true", "never": "false"}.get(service.restart, "unexpected") == program.autorestart
        assert (service.log_max_bytes, service.log_backups) == (program.stdout_logfile_maxbytes, 3)


# --- a Procfile --------------------------------------------------------------------------------------------------


def test_a_procfile_becomes_a_manifest() -> None:
    found = imported("# processes\nweb: bundle exec web -C 'my config.rb'\n\nworker:  python -m worker\n", "procfile")
    assert services(found) == {
        "web": {"command": ["bundle", "exec", "web", "-C", "my config.rb"]},
        "worker": {"command": ["python", "-m", "worker"]},
    }
    assert [note.kind for note in found.notes] == ["advice"]
    checked(found)


@pytest.mark.parametrize(
    ("command", "script"),
    [
        ("puma -p $PORT", "exec puma -p $PORT"),
        ('puma -p "$PORT"', 'exec puma -p "$PORT"'),
        ("puma -p ${PORT:-80}", "exec puma -p ${PORT:-80}"),
        ("cd app && npm start", "cd app && exec npm start"),
        ("a && b && c d", "a && b && exec c d"),
        ("RAILS_ENV=production puma -q $X", "exec env RAILS_ENV=production puma -q $X"),
        ("A=$B puma", "exec env A=$B puma"),
        ("app > log 2>&1", "exec app > log 2>&1"),
        ("app *.yml", "exec app *.yml"),
        ("a; b", "a; b"),
        ("a | b", "a | b"),
        ("a || b", "a || b"),
        ("a &", "a &"),
        ("a $(b)", "a $(b)"),
        ("(a)", "(a)"),
        ("exec a $B", "exec a $B"),
        ("A=1 cd $B", "A=1 cd $B"),
        ("A=$B", "A=$B"),
        ("source env.sh && app", "source env.sh && exec app"),
        ("a ';' \"it's $X's\"", "exec a ';' \"it's $X's\""),
        ("echo 'open", "exec echo 'open"),
    ],
)
def test_a_command_for_a_shell_is_given_to_one(command: str, script: str) -> None:
    found = imported(f"web: {command}\n", "procfile")
    assert services(found)["web"]["command"] == ["sh", "-c", script]
    assert noted(found, "changed", "by a shell").place == "web (line 1)"


@pytest.mark.parametrize(
    "command",
    [
        "printf '%s|' a 'b c' \"d e\" f\\ g",
        "printf '%s|' '$X;' \"it's\" \\$X",
        "printf '%s|' \"$X\" $X",
        "cd / && printf '%s|' \"$PWD\"",
        "A='1 2' B=3 printenv A B",
        "X=5; printf $X",
        "printf a && printf b || printf c",
        "printf abc | tr b d",
        "printf '%s|' $(printf x) `printf y`",
        "printf '%s|' /bi[n] /us{r,r}",
        "printf a 2>&1 >/dev/null",
        "exec printf $X",
        "printf a#b # rest",
    ],
)
def test_a_command_says_the_same_as_under_a_shell(command: str) -> None:
    entry = services(imported(f"web: {command}\n", "procfile"))["web"]
    argv = entry["command"]
    environment = {"PATH": "/usr/bin:/bin", "X": "in x"}
    before = subprocess.run(["sh", "-c", command], capture_output=True, check=True, env=environment, timeout=60)
    own = {**environment, **entry.get("env", {})}
    after = subprocess.run(argv, capture_output=True, check=True, env=own, timeout=60)
    assert after.stdout == before.stdout


def test_a_process_that_wants_its_port_is_told_what_foreman_gave() -> None:
    found = imported("one: a\ntwo: b --port $PORT\n", "procfile")
    assert "5100" in noted(found, "lost", "two (line 2)").message
    assert "port" not in services(found)["two"]


def test_release_is_a_oneshot() -> None:
    found = imported("release: ./migrate\nweb: ./web\n", "procfile")
    assert services(found)["release"] == {"kind": "oneshot", "command": ["./migrate"]}
    assert noted(found, "changed", "oneshot").place == "release (line 1)"
    checked(found)


def test_lines_that_are_no_process_are_noted_and_two_of_one_name_refused() -> None:
    found = imported("web: a\nnonsense\n", "procfile")
    assert noted(found, "lost", "line 2")
    assert list(problems("web: a\nweb: b\n", "procfile")) == ["web (line 2)"]
    assert list(problems("\n# nothing\n", "procfile")) == ["the Procfile"]


# --- PM2 ---------------------------------------------------------------------------------------------------------


def app(**keys: Any) -> Imported:
    """Return the import of an ecosystem file with one app, api.js."""
    return imported(json.dumps({"apps": [{"name": "api", "script": "api.js", "cwd": "/srv", **keys}]}), "pm2")


def test_an_ecosystem_file_becomes_a_manifest() -> None:
    found = imported(
        """\
        apps:
          - name: api
            script: dist/api.js
            args: --verbose "two words"
            node_args: [--max-old-space-size=512]
            cwd: /srv/api
            env: {NODE_ENV: production, PORT: 8010, RATIO: 1.0, FLAG: true, DEEP: {a: [1]}}
            max_restarts: 5
            min_uptime: 90s
            kill_timeout: 3500
          - script: ./job.py
            autorestart: false
            cwd: /srv/job
        """,
        "pm2",
    )
    assert found.manifest["stack"]["defaults"] == {
        "stop": {"signal": "INT", "timeout": 1.6},
        "restart": "always",
        "start": {"retries": 16},
    }
    assert services(found) == {
        "api": {
            "command": ["node", "--max-old-space-size=512", "dist/api.js", "--verbose", "two words"],
            "directory": "/srv/api",
            "env": {"NODE_ENV": "production", "RATIO": "1", "FLAG": "true", "DEEP": '{"a":[1]}'},
            "port": 8010,
            "stop": {"timeout": 3.5},
            "start": {"seconds": 90, "retries": 5},
            "ready_timeout": 120,
        },
        "job": {
            "command": ["python3", "./job.py"],
            "directory": "/srv/job",
            "env": {"PYTHONUNBUFFERED": "1"},
            "restart": "never",
        },
    }
    assert checked(found).services[0].stop == Stop("INT", 3.5)


@pytest.mark.parametrize(
    ("keys", "command"),
    [
        ({"script": "app.mjs"}, ["node", "app.mjs"]),
        ({"script": "run.sh", "args": ["a b", 1]}, ["bash", "run.sh", "a b", "1"]),
        ({"script": "npm", "args": "run start"}, ["npm", "run", "start"]),
        ({"script": "npm run start && x"}, ["bash", "-c", "npm run start && x"]),
        ({"script": "bin/app", "interpreter": "none", "args": "-v"}, ["bin/app", "-v"]),
        ({"script": "app.py", "interpreter": "/venv/bin/python"}, ["/venv/bin/python", "app.py"]),
        (
            {"script": "app.ts", "exec_interpreter": "tsx", "interpreterArgs": "--inspect"},
            ["tsx", "--inspect", "app.ts"],
        ),
        ({"script": "app.js", "interpreter": "node@20.1.0"}, ["node", "app.js"]),
    ],
)
def test_a_script_is_run_as_pm2_runs_it(keys: Any, command: list[str]) -> None:
    assert services(app(**keys))["api"]["command"] == command


@pytest.mark.parametrize(
    ("keys", "kind", "words"),
    [
        ({"watch": True}, "lost", "app api watch (line 1): has no counterpart"),
        ({"max_memory_restart": "1G"}, "lost", "app api max_memory_restart (line 1): has no counterpart"),
        ({"cron": "0 0 * * *"}, "lost", "app api cron_restart (line 1): restarted it at these times"),
        ({"surprise": 1}, "lost", "app api surprise (line 1): has no counterpart"),
        ({"env_production": {"A": "b"}}, "lost", "app api env_production (line 1): is not carried over"),
        ({"stop_exit_codes": [0, 3]}, "lost", "app api stop_exit_codes (line 1): only 0"),
        ({"instances": "max"}, "lost", "app api instances (line 1): as many as there are processors"),
        ({"instances": 4}, "lost", "app api instances (line 1): 4 that share a port"),
        ({"exec_mode": "cluster", "instances": 4}, "lost", "app api instances (line 1): 4 that share a port"),
        ({"out_file": "/var/log/x"}, "changed", "app api out_file (line 1): is not written"),
        ({"cwd": None}, "changed", "app api cwd (line 1): is not set"),
        ({"script": "tool"}, "changed", "app api script (line 1): is run as a program"),
        ({"interpreter": "node@20"}, "changed", "node@20 is node here"),
        ({"max_restarts": 5000}, "changed", "app api max_restarts (line 1): is 1000 here, as 5000"),
        ({"env": {"DB_PASSWORD": "x"}}, "advice", "app api env (line 1) DB_PASSWORD: looks like a secret"),
        ({"args": "--port 8080"}, "advice", "app api args (line 1): --port looks as if"),
    ],
)
def test_what_pm2_has_and_a_manifest_has_not_is_noted(keys: Any, kind: str, words: str) -> None:
    found = app(**keys)
    noted(found, kind, words)
    checked(found)


def test_what_says_nothing_in_pm2_is_not_noted() -> None:
    before = len(app().notes)
    assert len(app(watch=False, ignore_watch=[], vizion=True, max_memory_restart=None, env_x={}).notes) == before


def test_instances_that_share_nothing_become_services() -> None:
    found = app(script="worker.py", instances=2, exec_mode="fork", increment_var="PORT", env={"PORT": 8010})
    numbered = [(name, entry["port"], entry["env"]) for name, entry in services(found).items()]
    assert numbered == [
        ("api-0", 8010, {"PYTHONUNBUFFERED": "1", "NODE_APP_INSTANCE": "0"}),
        ("api-1", 8011, {"PYTHONUNBUFFERED": "1", "NODE_APP_INSTANCE": "1"}),
    ]


def test_every_app_that_cannot_be_read_is_named() -> None:
    apps = [{"name": "a"}, {"name": "b", "script": "b.ts"}, 7, {"name": "c", "script": "c.js", "kill_timeout": "soon"}]
    apps += [{"name": "d", "script": 1}, {"name": "e", "script": "e.js", "env": "A=b", "args": {"a": 1}}]
    assert list(problems(json.dumps({"apps": apps}), "pm2")) == [
        "app a script (line 1)",
        "app b interpreter (line 1)",
        "apps[2]",
        "app c kill_timeout (line 1)",
        "app d script (line 1)",
        "app e args (line 1)",
        "app e env (line 1)",
    ]


def test_a_text_that_is_no_ecosystem_file_is_refused() -> None:
    assert list(problems("apps: [}", "pm2")) == ["the file (line 1)"]
    assert problems('{"deploy": {}}', "pm2") == {"the file": "has no apps"}
    assert list(problems("apps:\n  - script: a.js\n    watch: yes\n", "pm2")) == ["apps[0].watch (line 3)"]


# --- variables ---------------------------------------------------------------------------------------------------


def test_variables_become_ports_of_services() -> None:
    found = imported(
        "# old\nexport WEB_SERVER_PORT=3000\nWEB_SERVER_HOST='0.0.0.0'\nAPI_PORT=\"8001\" # api\nLOG_LEVEL=debug\n"
        "DB_PORT=5432\nDB_HOST=db.example.com\nnonsense\nTCP_PORT=tcp://10.0.0.1:80\n",
        "environment",
    )
    assert found.manifest["stack"]["services"] == {
        "web_server": {"env": {"WEB_SERVER_HOST": "0.0.0.0"}, "port": 3000},
        "api": {"port": 8001},
    }
    assert found.manifest["stack"]["ports"] == {"also": [3000]}
    assert "PORT_WEB_SERVER" in noted(found, "changed", "WEB_SERVER_PORT").message
    assert noted(found, "lost", "says nothing of a command").place == "WEB_SERVER_PORT, API_PORT"
    assert noted(found, "lost", "another host").place == "DB_HOST"
    assert noted(found, "lost", "belongs to no port").place == "LOG_LEVEL"
    assert noted(found, "lost", "not a port number").place == "TCP_PORT"
    assert noted(found, "lost", "line 8")
    checked(found, overlay={"stack": {"defaults": {"command": ["true"]}}})


def test_without_a_text_the_environment_itself_is_read() -> None:
    found = imported("", "environment", environment={"WEB_SERVER_PORT": "8000", "HOME": "/root"})
    assert services(found) == {"web_server": {"port": 8000}}
    assert not [note for note in found.notes if "HOME" in note.place]
    assert list(problems("", "environment", environment={"HOME": "/root"})) == ["the variables"]


# --- the older port manifest -------------------------------------------------------------------------------------

OLDER = {
    "core_services": {"main_app": {"port": 3000, "description": "Web", "status": "active"}},
    "watchdog_services": {"monitor": {"port": None, "description": "Watches", "status": "off"}},
    "deprecated_services": {"db_poller": {"port": 8002}},
    "monitor_instances": {"monitor": {"main_app": 3000}},
    "port_ranges": {"safe_range_start": 8000, "safe_range_end": 8050},
    "notes": {"avoid_ports": [5000, 7000]},
}


def test_a_port_manifest_becomes_ours_but_for_the_commands() -> None:
    found = imported(json.dumps(OLDER), "ports")
    assert found.manifest == {
        "stack": {
            "name": "demo",
            "root": "/opt/demo",
            "ports": {"range": [8000, 8050], "avoid": [5000, 7000], "also": [3000]},
            "services": {
                "main_app": {"port": 3000, "description": "Web"},
                "monitor": {"port": None, "description": "Watches"},
            },
            "deprecated": {"db_poller": 8002},
        }
    }
    assert noted(found, "lost", "no command").place == "main_app, monitor"
    assert noted(found, "advice", "not started")
    assert noted(found, "advice", "watchdog_services.monitor.status (line 1)")
    checked(found, overlay={"stack": {"defaults": {"command": ["{name}"]}}})


def test_what_is_wrong_with_a_port_manifest_is_told_with_its_place() -> None:
    wrong = {"core_services": {"a": {"port": 5000}, "b": {"port": "x"}, "c": {"port": 8001}, "d": {"port": 8001}}}
    assert list(problems(json.dumps(wrong, indent=1), "ports")) == [
        "core_services.b.port (line 7)",
        "core_services.a.port (line 4)",
        "core_services.d.port (line 13)",
    ]
    assert list(problems("{", "ports")) == ["the file (line 1)"]
    assert list(problems("[1]", "ports")) == ["the file"]


def test_a_port_manifest_that_has_commands_lacks_nothing() -> None:
    found = imported(json.dumps({**OLDER, "defaults": {"command": ["{name}"]}}), "ports")
    assert not [note for note in found.notes if note.kind == "lost"]
    checked(found)


@pytest.mark.parametrize("key", ["defaults", "services", "ports"])
def test_an_odd_key_beside_a_port_manifest_is_a_problem_and_no_crash(key: str) -> None:
    assert list(problems(json.dumps({**OLDER, key: 7}), "ports")) == [f"stack.{key}"]


# --- which kind it is --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text", "kind"),
    [
        ("/etc/supervisor/supervisord.conf", "; x\n[supervisord]\n", "supervisord"),
        ("app.ini", "[program:x]\ncommand=x\n", "supervisord"),
        ("x.conf", "[include]\nfiles=*\n", "supervisord"),
        ("Procfile", "web: x\n", "procfile"),
        ("Procfile.dev", "web: x; y\n", "procfile"),
        ("processes", "# x\nweb: x\nworker: y\n", "procfile"),
        ("ecosystem.json", '{"apps": [{"script": "a.js"}]}', "pm2"),
        ("process.yml", "apps:\n  - script: a.js\n", "pm2"),
        ("one.json", '{"script": "a.js"}', "pm2"),
        ("list.json", '[{"name": "x", "cmd": "a.js"}]', "pm2"),
        ("ports.json", json.dumps(OLDER), "ports"),
        ("ecosystem.config.js", "// mine\nmodule.exports = {apps: [{script: 'a.js', },]};\n", "pm2"),
        ("-", "script: ./a\nworker: ./b\n", "procfile"),
        ("services.yml", "services: ./a\nstack: ./b\n", "procfile"),
        ("one.yml", "script: a.js\nname: x\n", "pm2"),
        (".env", "# x\nexport WEB_SERVER_PORT=1\nA=b\n", "environment"),
    ],
)
def test_a_file_is_known_by_its_name_and_content(path: str, text: str, kind: str) -> None:
    assert detect(path, text) == kind


@pytest.mark.parametrize(
    ("path", "text", "remedy"),
    [
        ("ecosystem.config.js", "module.exports = {}", "node -p 'JSON.stringify(require("),
        ("stack.yml", "stack: {name: x}", "rollcall manifest check stack.yml"),
        ("stack.yml", "services: {}", "rollcall manifest check stack.yml"),
        ("compose.yml", "services:\n  web: {image: nginx}\n", "into a Procfile"),
        ("broken.json", '{"core_services": {"a"}}', "restore the file"),
        ("broken.json", '{"apps": [{"script": process.argv[0]}]}', "print it where it runs"),
        ("broken.json", '{"core_services": [}', "restore the file"),
        ("broken.yml", "stack:\n  name: [\n", "restore the file"),
        ("ecosystem.config.js", "module.exports = {apps: [{script: process.env.X}]}", "JSON.stringify(require("),
        ("eco.config.js", "const x = 1;\nmodule.exports = {apps: []}", "JSON.stringify(require("),
        ("notes.txt", "hello\n", "supervisord, ports, procfile, pm2, environment"),
        ("empty", "", "supervisord, ports, procfile, pm2, environment"),
    ],
)
def test_a_file_that_is_none_of_them_is_refused_with_what_to_do(path: str, text: str, remedy: str) -> None:
    with pytest.raises(RollcallError) as caught:
        detect(path, text)
    assert caught.value.kind == "wrong_use"
    assert remedy in caught.value.remedies[0]


def test_a_kind_that_is_unknown_is_refused() -> None:
    with pytest.raises(RollcallError, match="'docker' is nothing that can be imported"):
        imported("", "docker")


# --- as YAML -----------------------------------------------------------------------------------------------------


def test_a_manifest_is_written_as_people_write_it() -> None:
    notes = (Note("[program:a] umask (line 3)", "has no counterpart", "do without", "lost"),)
    stack = {
        "name": "demo",
        "ports": {"also": [3000]},
        "services": {
            "web": {
                "command": ["sh", "-c", "exec app > log", "--port=80", "-p", "0080", "yes", "", "12:30"],
                "env": {"ON": "off", "EMPTY": "", "TEXT": 'say "x"\t\\ é\u2028'},
                "port": None,
                "stop": {"timeout": 3.5},
            }
        },
    }
    assert as_yaml(Imported({"stack": stack}, notes)) == textwrap.dedent(
        """\
        # Imported. See to these notes, then remove them, and run: rollcall manifest check FILE
        #
        # lost     [program:a] umask (line 3): has no counterpart
        #          cure: do without

        stack:
          name: demo
          ports:
            also: [3000]
          services:
            web:
              command: [sh, -c, "exec app > log", --port=80, -p, "0080", "yes", "", "12:30"]
              env: {"ON": "off", EMPTY: "", TEXT: "say \\"x\\"\\x09\\\\ é\\u2028"}
              port: null
              stop: {timeout: 3.5}
        """
    )


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
WORDS = st.sampled_from(
    ["yes", "No", "null", "~", "1e3", "0x1f", "010", "-", "--", "- x", "a: b", "#", "%a", "@", "`", "=", "<<"]
)
DATA = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**6), 10**6), TEXT, WORDS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(TEXT, WORDS), inner, min_size=1, max_size=4)
    ),
    max_leaves=15,
)


@settings(max_examples=examples(100), deadline=None)
@given(st.dictionaries(st.one_of(TEXT, WORDS), DATA, min_size=1, max_size=4), st.text(), st.text())
def test_what_is_rendered_is_read_as_the_same_data(data: dict[str, Any], message: str, cure: str) -> None:
    text = as_yaml(Imported({"stack": data}, (Note("x", message, cure),)))
    loaded = parse_manifest(text.encode("utf-8"))
    assert loaded.problems == []
    assert loaded.data == {"stack": data}


def test_a_key_of_any_length_is_read_as_the_same_data() -> None:
    data = {"a" * 5000: {"b" * 5000: 1, "c": [{"d" * 5000: 2}]}, "e": {"f" * 5000: 3}}
    loaded = parse_manifest(as_yaml(Imported({"stack": data}, ())).encode())
    assert (loaded.data, loaded.problems) == ({"stack": data}, [])


def test_a_note_is_data_for_machines() -> None:
    assert Note("a", "b", "c").as_dict() == {"place": "a", "message": "b", "cure": "c", "kind": "lost"}


def test_the_example_of_the_page_comes_to_what_it_says() -> None:
    page = (ROOT / "docs" / "how-to" / "import.md").read_text(encoding="utf-8")
    original, wanted = (re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)[0] for kind in ("ini", "yaml"))
    found = imported(original, name="trading", root="/opt/trading", here="/opt/trading")
    assert as_yaml(Imported(found.manifest, ())) == wanted
    assert all(f"`{kind}`" in page for kind in KINDS)
