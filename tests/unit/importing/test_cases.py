# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as people have them, in ``cases``: what each comes to, and what is told of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.cli.included import IncludedFiles
from ansible_collections.rollcall.supervisor.plugins.module_utils.importing.draft import Imported
from ansible_collections.rollcall.supervisor.plugins.module_utils.importing.importer import detect, import_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.importing.javascript import NotData, as_json
from ansible_collections.rollcall.supervisor.plugins.module_utils.importing.notes import Note
from ansible_collections.rollcall.supervisor.plugins.module_utils.importing.port_manifest import ports_of
from ansible_collections.rollcall.supervisor.plugins.module_utils.importing.yaml_text import as_yaml
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import check_file
from tests.support.examples import examples

CASES = Path(__file__).parent / "cases"
COMMAND = "ansible_collections.rollcall.supervisor.plugins.module_utils.cli.command"


def conf(text: str, **options: Any) -> Imported:
    """Return the import of a config, its first line aside."""
    told = {"name": "demo", "root": "/opt/demo", "environment": {}, "here": "/etc/demo", **options}
    return import_text(f"[supervisord]\n{text}", told.pop("kind", "supervisord"), **told)


def case(name: str, **options: Any) -> Imported:
    """Return the import of a file of ``cases``, recognised as the command recognises it."""
    return recognised(name, (CASES / name).read_text(encoding="utf-8"), **options)


def recognised(name: str, text: str, **options: Any) -> Imported:
    """Return the import of a file with this text as if it were among the cases."""
    files = IncludedFiles(str(CASES), None)
    told = {"name": "demo", "root": "/opt/demo", "environment": {}, "here": files.here, "read": files.read, **options}
    return import_text(text, detect(name, text), **told)


def refused(name: str, **options: Any) -> list[tuple[str, str, str]]:
    """Return why a file of ``cases`` is not imported: place, message and cure of each problem."""
    with pytest.raises(RollcallError) as caught:
        case(name, **options)
    return [(each["place"], each["message"], each["cure"]) for each in caught.value.evidence["problems"]]


def conf_of_pm2(*apps: dict[str, Any]) -> Imported:
    """Return the import of an ecosystem file with these apps."""
    return import_text(json.dumps({"apps": apps}), "pm2", name="demo", root="/opt/demo", environment={})


def services(found: Imported) -> dict[str, Any]:
    entries: dict[str, Any] = found.manifest["stack"]["services"]
    return entries


def notes(found: Imported, words: str) -> list[Note]:
    """Return the notes that have these words in their place or message."""
    return [note for note in found.notes if words in f"{note.place}: {note.message}"]


# --- users, directories, variables -------------------------------------------------------------------------------


def test_the_user_of_the_stack_is_that_of_most_programs_those_without_one_counted() -> None:
    found = case("user-minority.conf")
    assert "user" not in found.manifest["stack"]
    (note,) = notes(found, "a stack has one user")
    assert (note.kind, note.place) == ("lost", "[program:u] (line 8)")
    assert note.message == "ran as www-data; a stack has one user, and this one has whoever starts it"


def test_the_directory_of_the_file_that_was_put_in_is_noted() -> None:
    found = case("here.conf")
    assert services(found)["a"] == {"command": [f"{CASES}/bin/a"], "directory": str(CASES)}
    (note,) = notes(found, "%(here)s")
    assert note.kind == "changed"
    assert str(CASES) in note.message
    assert [place.partition(" (")[0] for place in note.places] == ["[program:a] directory", "[program:a] command"]


def test_the_directory_of_an_included_file_is_noted_and_that_of_a_log_is_not() -> None:
    text = "[program:b]\ncommand=%(here)s/b\nstdout_logfile=%(here)s/b.log\n"
    found = conf("[include]\nfiles=x.conf\n", read=lambda _pattern: [("/etc/other/x.conf", text)])
    (note,) = notes(found, "%(here)s")
    assert note.place == "[program:b] command (/etc/other/x.conf line 2)"
    assert "/etc/other" in note.message


def test_all_variables_that_are_missing_are_named_at_once() -> None:
    assert refused("several-env.conf") == [
        (
            "[program:a] command (line 3)",
            "names %(ENV_AAA)s, %(ENV_BBB)s, %(ENV_CCC)s, which stands for nothing here",
            "set it where the import runs: AAA=... BBB=... CCC=... rollcall manifest import ...",
        )
    ]


# --- [include] ---------------------------------------------------------------------------------------------------


def test_an_include_that_matches_nothing_is_the_reason_and_lost_keys_are_not() -> None:
    assert refused("include-nothing.conf") == [
        (
            "[include] files (line 4)",
            "no file matches /nowhere/conf.d/*.conf",
            "give the directory that is / of the original's host: --include-root DIR",
        )
    ]


def test_an_include_that_matches_nothing_beside_programs_is_noted() -> None:
    found = conf("[include]\nfiles=/a/*.conf b/*.conf\n[program:x]\ncommand=x\n", read=lambda _pattern: [])
    assert [note.kind for note in notes(found, "no file matches")] == ["lost", "lost"]


def test_an_include_with_a_missing_variable_has_no_second_problem() -> None:
    assert [(place, message) for place, message, _cure in refused("follow-up.conf")] == [
        ("[include] files (line 3)", "names %(ENV_NOWHERE)s, which stands for nothing here")
    ]


def test_an_include_of_an_included_file_is_not_followed_which_is_noted() -> None:
    found = case("nested-include.conf")
    assert list(services(found)) == ["q"]
    (note,) = notes(found, "supervisor does not follow it")
    assert (note.kind, note.place) == ("lost", f"[include] ({CASES}/inc/q.conf line 1)")


def test_files_are_included_as_on_the_host_that_they_come_from(tmp_path: Path) -> None:
    there = tmp_path / "etc" / "supervisor"
    (there / "conf.d").mkdir(parents=True)
    (there / "conf.d" / "a.conf").write_text("[program:a]\ncommand=%(here)s/a\n")
    (there / "b.conf").write_text("[program:b]\ncommand=%(here)s/b\n")
    text = "[include]\nfiles=/etc/supervisor/conf.d/*.conf b.conf\n"
    files = IncludedFiles(str(there), None, str(tmp_path))
    found = conf(text, here=files.here, read=files.read)
    assert services(found)["a"]["command"] == ["/etc/supervisor/conf.d/a"]
    assert services(found)["b"]["command"] == ["/etc/supervisor/b"]
    outside = IncludedFiles(str(there), None, str(tmp_path / "etc"))
    assert list(services(conf("[include]\nfiles=/supervisor/*.conf\n", here="/x", read=outside.read))) == ["b"]
    beside = IncludedFiles(str(there), None, str(tmp_path / "elsewhere"))
    assert [path for path, _text in beside.read(f"{there}/b.conf")] == [f"{there}/b.conf"]


# --- programs that end, and those that wait for others -----------------------------------------------------------


def test_a_program_that_ends_by_design_deserves_advice() -> None:
    found = case("ends-by-design.conf")
    (note,) = notes(found, "may end")
    assert (note.kind, note.place) == ("advice", "[program:setup] (line 2)")
    assert "kind: oneshot" in note.cure
    assert not notes(conf("[program:a]\ncommand=a\n"), "may end")
    assert notes(conf("[program:a]\ncommand=a\nstartsecs=0\n"), "may end")


def test_a_program_that_waits_for_another_depends_on_it() -> None:
    found = case("dependent-startup.conf")
    assert services(found) == {
        "a": {"command": ["/bin/a"]},
        "b": {"command": ["/bin/b"], "depends_on": {"a": "running"}},
    }
    assert not notes(found, "no key of a program")
    assert not notes(found, "was not started with supervisord")
    assert notes(found, "dependent_startup_wait_for (line 13)")[0].kind == "changed"


@pytest.mark.parametrize(
    ("waits", "needed"),
    [
        ("dependent_startup_wait_for=a:exited,running", {"a": "running"}),
        ("dependent_startup_wait_for=a", {"a": "running"}),
        ("dependent_startup_wait_for=g:a:running c:exited", {"a": "running", "c": "completed"}),
        ("wait_for=a:running", {"a": "running"}),
        ("depends_on=a, c", {"a": "running", "c": "running"}),
        ("dependent_startup_wait_for=a:fatal", None),
        ("dependent_startup_wait_for=gone:running", None),
        ("dependent_startup_wait_for=b:running", None),
    ],
)
def test_what_a_program_waits_for(waits: str, needed: dict[str, str] | None) -> None:
    found = conf(
        f"[program:a]\ncommand=a\n[program:b]\ncommand=b\n{waits}\n[program:c]\ncommand=c\n[group:g]\nprograms=a\n"
    )
    assert services(found)["b"].get("depends_on") == needed
    assert services(found)["c"].get("kind") == ("oneshot" if "completed" in (needed or {}).values() else None)
    assert bool(notes(found, "is no program of this config") or notes(found, "no manifest waits")) == (needed is None)


def test_programs_that_wait_for_each_other_are_imported_without() -> None:
    found = conf("[program:a]\ncommand=a\nwait_for=b\n[program:b]\ncommand=b\nwait_for=a\n")
    assert all("depends_on" not in entry for entry in services(found).values())
    assert [note.kind for note in notes(found, "which a manifest cannot have so")] == ["lost", "lost"]


def test_a_dependency_has_the_name_that_the_other_service_got() -> None:
    found = conf("[program:a.b]\ncommand=a\n[program:c]\ncommand=c\nwait_for=a.b\n")
    assert services(found)["c"]["depends_on"] == {"a_b": "running"}


# --- event listeners ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "variables", "port", "health"),
    [
        ("httpok -p web http://localhost:8080/up?x=1", "", 8080, {"http": "/up?x=1"}),
        ("/venv/bin/httpok --program=web -t 5 -c 204 -b fine http://127.0.0.1:8000", 'PORT="8000"', 8000,
         {"http": "/", "status": 204, "body": "fine"}),
        ("python -m superlance.httpok -p web -m x@example.com https://localhost:8443/", "", 8443, {"https": "/"}),
        ("httpok -p web http://proxy:80/", 'PORT="8000"', 8000,
         {"http": "/", "host": "proxy", "port": 80, "answered_by": "anyone", "timeout": 10}),
        ("httpok -p web http://localhost:8001/", 'PORT="8000"', 8000, {"http": "/", "port": 8001}),
    ],
)  # fmt: skip
def test_httpok_becomes_a_health_check(command: str, variables: str, port: int, health: dict[str, Any]) -> None:
    environment = f"environment={variables}\n" if variables else ""
    found = conf(f"[program:web]\ncommand=web\n{environment}[eventlistener:h]\ncommand={command}\nevents=TICK_60\n")
    entry = services(found)["web"]
    assert entry["port"] == port
    assert {key: value for key, value in entry["health"].items() if key != "timeout"} == {
        key: value for key, value in health.items() if key != "timeout"
    }
    (note,) = notes(found, "is the health check of web")
    assert ("the mail" in note.message) == ("-m" in command.split())


@pytest.mark.parametrize("whom", ["-a", "--any", "-g web", "--group=front", "-p front:web"])
def test_httpok_may_look_after_all_programs_or_a_group(whom: str) -> None:
    found = conf(
        "[program:web]\ncommand=web\nenvironment=PORT='8000'\n[program:other]\ncommand=x\nenvironment=PORT='8001'\n"
        + ("[group:front]\nprograms=web\n" if "front" in whom else "")
        + f"[eventlistener:h]\ncommand=httpok {whom} http://localhost:8000/\n"
    )
    assert services(found)["web"]["health"] == {"http": "/", "timeout": 10}
    assert "health" not in services(found)["other"]


def test_the_open_files_that_supervisord_made_sure_of_are_a_limit() -> None:
    found = conf("minfds=65536\n[program:a]\ncommand=a\n")
    assert found.manifest["stack"]["defaults"]["limits"] == {"nofile": 65536}
    assert "limits" not in conf("minfds=1024\n[program:a]\ncommand=a\n").manifest["stack"]["defaults"]


HERE = {"kind": "mail", "host": "127.0.0.1", "tls": "none"}


@pytest.mark.parametrize(
    ("command", "alert"),
    [
        ("crashmail -p web -m ops@x.com", {**HERE, "from": "ops@x.com", "to": ["ops@x.com"]}),
        ("/opt/bin/crashmail -a -o [prod] --email=ops@x.com", {**HERE, "from": "ops@x.com", "to": ["ops@x.com"]}),
        ("fatalmailbatch --toEmail=a@x.com,b@x.com --fromEmail=c@x.com",
         {**HERE, "from": "c@x.com", "to": ["a@x.com", "b@x.com"]}),
        ("crashmailbatch -t a@x.com -f c@x.com -H mail.x.com -u me -p hunter2",
         {"kind": "mail", "host": "mail.x.com", "from": "c@x.com", "to": ["a@x.com"]}),
    ],
)  # fmt: skip
def test_a_listener_that_sends_mail_is_an_alert(command: str, alert: dict[str, Any]) -> None:
    text = f"command={command}\nevents=PROCESS_STATE,TICK_60\n"
    found = conf(f"[program:web]\ncommand=web\n[eventlistener:h]\n{text}[eventlistener:again]\n{text}")

    assert found.manifest["stack"]["watch"] == {"alerts": [alert]}
    (note,) = notes(found, "watch.alerts")
    assert (note.kind, note.places) == ("changed", ("[eventlistener:h] (line 4)", "[eventlistener:again] (line 7)"))
    assert "hunter2" not in note.message
    assert ("its log-in is not carried over" in note.message) == ("-p hunter2" in command)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("httpok -p gone http://localhost:80/", "names no program of this config"),
        ("httpok -p web -p other http://localhost:8080/", "asks one URL for several programs"),
        ("memmon -p web=200MB", "too much memory"),
        ("crashmail -a", "whom and how it told cannot be carried over"),
        ("fatalmailbatch --toEmail=x --fromEmail=y", "whom and how it told cannot be carried over"),
        ("crashmailbatch --nonsense", "whom and how it told cannot be carried over"),
        ("superhooks -u http://localhost:8090/ -e FATAL", "whom and how it told cannot be carried over"),
        ("httpok -p web --nonsense http://localhost:8080/", "an event listener is no service"),
        ("httpok -p web", "an event listener is no service"),
        ("my-own-listener", "an event listener is no service"),
        ("'open", "an event listener is no service"),
    ],
)
def test_what_an_event_listener_did_is_told(command: str, words: str) -> None:
    programs = "[program:web]\ncommand=web\n[program:other]\ncommand=other\n"
    found = conf(f"{programs}[eventlistener:h]\ncommand={command}\nevents=TICK_60\n")
    (note,) = notes(found, words)
    assert (note.kind, note.place) == ("lost", "[eventlistener:h] (line 6)")
    assert all("health" not in entry for entry in services(found).values())


# --- commands and variables --------------------------------------------------------------------------------------


def test_ports_in_commands_and_variables_deserve_advice() -> None:
    found = case("ports-in-arguments.conf")
    seen = [note.cure.split()[2] for note in notes(found, "looks as if it listened")]
    assert seen == ["9800", "8006", "8004", "8008", "5001"]
    assert found.notes[0].kind == "advice"
    assert "looks as if it listened on 9800" in found.notes[0].message


def test_a_literal_unix_socket_of_a_known_server_becomes_its_socket() -> None:
    found = case("unix-sockets.conf")
    sockets = {name: entry["socket"] for name, entry in services(found).items() if "socket" in entry}
    assert sockets == {"a": "/srv/a/run/a.sock", "b": "/srv/b/b.sock", "c": "/srv/c/c.sock", "d": "/srv/d/d.sock"}
    assert len(services(found)) == 10
    assert [note.place.split()[0] for note in notes(found, "has no socket here")] == ["[program:h]", "[program:i]"]
    assert "/srv/b/b.sock is that of b" in notes(found, "has no socket here")[1].message


@pytest.mark.parametrize(
    ("command", "port"),
    [
        ("python manage.py runserver 9001", 9001),
        ("python -m http.server 9001", 9001),
        ("php -S localhost:9001", 9001),
        ("uwsgi --http-socket :9001", 9001),
        ("serve --listen tcp://0.0.0.0:9001", 9001),
        ("java -Dhttp.port=9001 -jar x.jar", 9001),
        ("java -jar x.jar --server.port=9001", 9001),
        ("sh -c 'exec puma -p 9001'", 9001),
        ("sh -c 'PORT=9001 exec puma'", 9001),
        ("env PORT=9001 puma", 9001),
        ("web --address=[::]:9001", 9001),
        ("mkdir -p 9001", None),
        ("sleep 9001", None),
        ("psql -p 5432", None),
        ("ssh -p 2222 host", None),
        ("worker --upstream http://127.0.0.1:9001", None),
        ("worker --db-port 5432", None),
        ("worker --broker redis://127.0.0.1:6379", None),
        ("web --port 70000", None),
        ("web 12:30", None),
    ],
)
def test_a_port_in_a_command_is_seen(command: str, port: int | None) -> None:
    seen = notes(conf(f"[program:a]\ncommand={command}\n"), "looks as if it listened")
    assert [int(note.cure.split()[2]) for note in seen] == ([] if port is None else [port])


@pytest.mark.parametrize(
    ("variable", "port"),
    [
        ("SERVER_PORT='9001'", 9001),
        ("LISTEN='0.0.0.0:9001'", 9001),
        ("HTTP_ADDR=':9001'", 9001),
        ("URL='http://0.0.0.0:9001/'", 9001),
        ("DB_PORT='5432'", None),
        ("DATABASE_URL='postgresql://h:5432/d'", None),
        ("API_URL='http://127.0.0.1:9001'", None),
    ],
)
def test_a_port_in_a_variable_is_seen(variable: str, port: int | None) -> None:
    seen = notes(conf(f"[program:a]\ncommand=a\nenvironment={variable}\n"), "looks as if it listened")
    assert [int(note.cure.split()[2]) for note in seen] == ([] if port is None else [port])


def test_signs_for_a_shell_deserve_advice() -> None:
    found = case("shell-signs.conf")
    seen = notes(found, "no shell reads it")
    assert [(note.kind, note.place, note.message.partition(" is ")[0]) for note in seen] == [
        ("advice", "[program:a] command (line 3)", "&"),
        ("advice", "[program:b] command (line 5)", "> 2>&1"),
    ]


@pytest.mark.parametrize(
    ("command", "signs"),
    [
        ("a && b", "&&"),
        ("a | b", "|"),
        ("a >>/var/log/x", ">>"),
        ("a $HOME/x ${X}", "$HOME $X"),
        ("a $HOME/x $HOME/y", "$HOME"),
        ("a `hostname`", "$(...)"),
        ("a $(hostname)", "$(...)"),
        ("a --key=s3cret$X", "$X"),
        ("a -> =>", None),
        ("a 100$ x&y", None),
        ("sh -c 'a && b > $HOME'", None),
        ("bash -lc 'a | b'", None),
    ],
)
def test_a_sign_for_a_shell_is_seen(command: str, signs: str | None) -> None:
    seen = notes(conf(f"[program:a]\ncommand={command}\n"), "no shell reads it")
    assert [note.message.partition(" is an arg")[0] for note in seen] == ([] if signs is None else [signs])


def test_a_misspelt_key_is_told_with_the_one_that_is_meant() -> None:
    found = case("misspelt-keys.conf")
    told = {note.place.split()[1]: note.message for note in notes(found, "it has no effect there, either")}
    assert "did you mean user?" in told["username"]
    assert "it has the groups of its user" in told["group"]
    assert "did you mean autostart?" in told["auto_start"]


def test_a_tab_in_an_argument_is_kept(tmp_path: Path) -> None:
    found = case("tab-in-command.conf")
    assert services(found)["a"]["command"] == ["/bin/a", "x\ty"]
    path = tmp_path / "stack.yml"
    path.write_text(as_yaml(found))
    result = check_file(str(path))
    assert result.problems == []
    assert result.stack is not None
    assert result.stack.services[0].command == ("/bin/a", "x\ty")


def test_a_time_to_stop_that_no_manifest_can_have_is_told_for_what_it_is() -> None:
    assert services(case("stopwaitsecs.conf"))["celery"]["stop"] == {"timeout": 432000}
    found = conf("[program:a]\ncommand=a\nstopwaitsecs=700000\n")
    (note,) = notes(found, "700000")
    assert "killed" in note.cure


# --- texts -------------------------------------------------------------------------------------------------------


def test_a_byte_order_mark_is_named() -> None:
    with pytest.raises(RollcallError) as caught:
        recognised("bom.conf", "\ufeff[supervisord]\n[program:a]\ncommand=/bin/a\n")
    (problem,) = caught.value.evidence["problems"]
    assert (problem["place"], problem["message"]) == ("line 1", "begins with a byte order mark")
    assert "without a byte order mark" in problem["cure"]


def test_what_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "supervisord.conf"
    path.write_bytes(b"[supervisord]\n; h\xe4\n[program:a]\ncommand=/bin/a\n")
    done = subprocess.run(
        [sys.executable, "-m", COMMAND, "manifest", "import", "--name", "demo", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "line 2: is not UTF-8 text\n         cure: save it in UTF-8\n" in done.stdout + done.stderr


def test_a_byte_order_mark_is_no_part_of_another_file() -> None:
    for text, kind in (("\ufeffweb: a\n", "procfile"), ("\ufeffWEB_PORT=8000\n", "environment")):
        assert list(services(import_text(text, kind, name="demo", root="/opt/demo", environment={}))) == ["web"]


# --- notes -------------------------------------------------------------------------------------------------------


def test_all_paths_of_logs_are_one_note_and_what_needs_nothing_is_told_on_request_only() -> None:
    found = case("log-notes.conf")
    (note,) = notes(found, "logs/NAME.log")
    assert len(note.places) == 4
    short, whole = as_yaml(found), as_yaml(found, all_notes=True)
    assert "[program:b] stderr_logfile" not in short
    assert "[program:b] stderr_logfile" in whole
    assert "do nothing" not in short
    assert "2 notes more of what needs nothing: --all-notes" in short
    assert whole.count("cure: do nothing") == 2


def test_secrets_and_ports_come_first() -> None:
    text = "[program:a]\ncommand=a --port 9001 --token x\nserverurl=x\nenvironment=API_KEY='x'\n[inet_http_server]\n"
    found = conf(text)
    first = [note.message.split()[0] for note in found.notes[:3]]
    assert sorted(first) == ["--port", "--token", "looks"]
    assert found.notes[3].kind == "lost"


# --- ports of their own ------------------------------------------------------------------------------------------


def test_a_registry_of_ports_is_a_port_manifest() -> None:
    found = case("registry.json")
    stack = found.manifest["stack"]
    assert stack["services"] == {"a": {"port": 8001}, "b": {"port": 8002}}
    assert stack["ports"] == {"avoid": [8080]}
    assert [note.place for note in found.notes if note.kind == "minor"] == ["version, next_port"]


@pytest.mark.parametrize(
    "registry",
    [
        {"a": 8001},
        {"ports": {"a": 8001}},
        {"allocations": {"a": {"port": 8001, "owner": "x"}}},
        {"assigned": {"8001": "a"}},
        {"port_registry": {"a": 8001}, "updated": "today"},
        {"services": {"a": {"port": 8001}}},
        [{"name": "a", "port": 8001}],
        {"ports": [{"service": "a", "port": 8001}]},
    ],
)
def test_registries_have_several_shapes(registry: Any) -> None:
    text = json.dumps(registry)
    assert detect("x.json", text) == "ports"
    assert services(import_text(text, "ports", name="demo", root="/opt/demo", environment={})) == {"a": {"port": 8001}}


@pytest.mark.parametrize("data", [{"width": "x"}, {"ports": {"a": 70000}}, {"ports": {"a": 1, "b": "x"}}, [1], [], {}])
def test_other_data_is_no_registry(data: Any) -> None:
    with pytest.raises(RollcallError):
        detect("x.json", json.dumps(data))


def test_a_port_that_a_service_has_got_is_not_advised() -> None:
    listener = "[eventlistener:h]\ncommand=httpok -p a http://localhost:9001/\n"
    program = "[program:a]\ncommand=a --port 9001\n"
    assert notes(conf(program), "looks as if it listened")
    assert not notes(conf(program + listener), "looks as if it listened")
    assert not notes(conf(program, ports={"a": 9001}), "looks as if it listened")


def test_a_file_beside_a_config_has_the_ports() -> None:
    ports = ports_of('{"core_services": {"web-app": {"port": 8001}, "b": {"port": 8002}, "gone": {"port": 8003}}}')
    found = conf(
        "[program:web_app]\ncommand=x\n[program:b]\ncommand=y\nenvironment=PORT='8005'\n[program:c]\ncommand=z\n",
        ports=ports,
    )
    assert {name: entry.get("port") for name, entry in services(found).items()} == {
        "web_app": 8001,
        "b": 8002,
        "c": None,
    }
    assert found.notes[0].place == "gone"
    assert notes(found, "the original says 8005")[0].kind == "changed"


def test_a_file_of_ports_without_any_is_refused() -> None:
    with pytest.raises(RollcallError, match="names no port of a service"):
        ports_of('{"core_services": {"a": {"port": null}}}')
    assert ports_of("stack: {services: {a: {port: 8001}}}") == {"a": 8001}


# --- Procfiles ---------------------------------------------------------------------------------------------------


def test_a_file_of_names_and_commands_is_a_procfile_whatever_it_is_called() -> None:
    assert services(case("procfile-as-pm2.txt")) == {"script": {"command": ["./a"]}, "worker": {"command": ["./b"]}}


def test_variables_before_a_command_need_no_shell() -> None:
    found = case("port-prefix.Procfile.txt")
    assert services(found)["web"] == {"command": ["bundle", "exec", "puma"], "port": 3000}
    assert services(found)["worker"] == {"command": ["bundle", "exec", "sidekiq"]}
    assert found.notes[0].message == "has no port here: port 3000 is the port of web"
    assert not notes(found, "by a shell")


@pytest.mark.parametrize(
    ("command", "entry"),
    [
        ("A=b C='d e' x y", {"command": ["x", "y"], "env": {"A": "b", "C": "d e"}}),
        ("A= x", {"command": ["x"], "env": {"A": ""}}),
        ("SERVER_PORT=9001 x", {"command": ["x"], "env": {"SERVER_PORT": "9001"}}),
        ("A=b $X", {"command": ["sh", "-c", "exec env A=b $X"]}),
        ("A=$X b", {"command": ["sh", "-c", "exec env A=$X b"]}),
        ("'A=b' c", {"command": ["sh", "-c", "exec 'A=b' c"]}),
        ("A=b", {"command": ["sh", "-c", "A=b"]}),
    ],
)
def test_what_stands_before_a_command(command: str, entry: dict[str, Any]) -> None:
    found = import_text(f"web: {command}\n", "procfile", name="demo", root="/opt/demo", environment={})
    assert services(found)["web"] == entry
    assert bool(notes(found, "listened on 9001")) == ("9001" in command)


# --- PM2 ---------------------------------------------------------------------------------------------------------


def app(**keys: Any) -> Imported:
    text = json.dumps({"apps": [{"name": "api", "script": "api.js", "cwd": "/srv", **keys}]})
    return import_text(text, "pm2", name="demo", root="/opt/demo", environment={})


def test_what_pm2_does_with_signals_pid_files_and_its_own_server() -> None:
    found = case("pm2-treekill-serve.json")
    assert found.manifest["stack"]["defaults"] == {
        "restart": "always",
        "stop": {"signal": "INT", "timeout": 1.6},
        "start": {"retries": 16},
    }
    assert services(found) == {
        "a": {"command": ["node", "--x", "a.js"], "stop": {"scope": "process"}},
        "s": {"command": ["python3", "-m", "http.server", "8080", "--directory", "./dist"], "port": 8080},
    }
    assert notes(found, "app a pid_file")[0].kind == "lost"
    assert notes(found, "counts for nothing beside node_args")[0].place == "app a interpreter_args (line 1)"
    assert notes(found, "http.server")[0].kind == "changed"


@pytest.mark.parametrize(
    ("keys", "kind", "words"),
    [
        ({"log_date_format": "HH:mm"}, "lost", "app api log_date_format (line 1): has no counterpart"),
        ({"time": True}, "lost", "app api time (line 1): has no counterpart"),
        ({"exec": "b.js"}, "lost", "app api exec (line 1): counts for nothing beside script"),
        ({"out": "/a", "out_file": "/b"}, "lost", "app api out (line 1): counts for nothing beside out_file"),
        ({"cwd": "~/app"}, "lost", "app api cwd (line 1): is below a home"),
        ({"cwd": "app"}, "changed", "app api cwd (line 1): is relative"),
        ({"env": {"SERVER_PORT": 9001}}, "advice", "looks as if it listened on 9001"),
        ({"script": "serve", "env": {"PM2_SERVE_SPA": "true"}}, "lost", "PM2_SERVE_SPA (line 1): python3 -m"),
    ],
)
def test_what_pm2_has_besides_is_noted(keys: Any, kind: str, words: str) -> None:
    assert [note.kind for note in notes(app(**keys), words)] == [kind]


def test_an_alias_counts_where_the_key_itself_is_empty() -> None:
    found = app(node_args="", interpreter_args="--x")
    assert services(found)["api"]["command"] == ["node", "--x", "api.js"]


def test_json_with_commas_and_comments_is_read_as_pm2_reads_it() -> None:
    found = case("pm2-javascript.json")
    assert services(found)["a"]["command"] == ["node", "a.js"]
    (note,) = notes(found, "is JavaScript and no JSON")
    # Python 3.13 names the comma, and older ones what comes after it.
    assert note.place in ("line 1, column 41", "line 1, column 42")
    assert "node -p" in note.cure


JAVASCRIPT = """\
// what runs here
module.exports = {
  apps: [{
    name: 'it\\'s', /* two
    lines */ script: "./a.js",
    env: { PORT: 0x1F90, RATIO: .5, "QUOTED": `plain`, U: '\\u0041\\x42', },
    max_restarts: +5, autorestart: false, cwd: undefined,
  }, ],
};
"""


def test_javascript_that_is_plain_data_is_read_with_its_lines() -> None:
    found = import_text(JAVASCRIPT, "pm2", name="demo", root="/opt/demo", environment={})
    ((_name, entry),) = services(found).items()
    assert entry == {
        "command": ["node", "./a.js"],
        "env": {"RATIO": "0.5", "QUOTED": "plain", "U": "AB"},
        "port": 8080,
        "start": {"retries": 5},
        "restart": "never",
    }
    assert notes(found, "is not set: it runs in the root")[0].place == "app it's cwd (line 3)"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"apps": [\n  {"script": process.env.X}]}', "line 2, column 14"),
        ('{"apps": [{"script": "a" + "b"}]}', "line 1, column 26"),
        ('{"apps": [{"script": `a${x}`}]}', "line 1, column 22"),
        ('{"apps": [{"script": require("x")}]}', "line 1, column 22"),
        ('{"apps": [{"script": "a.js", "n": 08a}]}', "line 1, column 35"),
        ('{"apps": [{"script": "open', "line 1, column 22"),
    ],
)
def test_javascript_that_would_have_to_be_run_is_named_with_its_place(text: str, place: str) -> None:
    with pytest.raises(RollcallError) as caught:
        import_text(text, "pm2", name="demo", root="/opt/demo", environment={})
    (problem,) = caught.value.evidence["problems"]
    assert problem["place"] == place
    assert "node -p" in problem["cure"]


@settings(max_examples=examples(100), deadline=None)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-(10**6), 10**6), st.text(max_size=8)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
        max_leaves=8,
    )
)
def test_json_is_javascript(data: Any) -> None:
    for text in (json.dumps(data, indent=1), json.dumps(data, ensure_ascii=False)):
        assert json.loads(as_json(text)) == data


@settings(max_examples=examples(100), deadline=None)
@given(st.text(st.sampled_from("{}[]:,;'\"`\\$ab01x.+-/*\n ()="), max_size=30))
def test_any_text_is_data_or_named_where_it_is_none(text: str) -> None:
    place = None
    try:
        as_json(text)
    except NotData as exc:
        place = (exc.line, exc.column)
    assert place is None or (1 <= place[0] <= text.count("\n") + 1 and place[1] >= 1)


def test_an_app_that_runs_at_times_alone_is_a_timer() -> None:
    app = {"name": "clean", "script": "clean.py", "cwd": "/srv/app", "args": "--all", "kill_timeout": 5000}
    job = {**app, "cron_restart": "0 3 * * *", "autorestart": False, "env": {"MODE": "x"}, "max_restarts": 3}
    found = conf_of_pm2(job, {**job, "name": "stays", "autorestart": True})

    assert services(found)["clean"] == {
        "kind": "timer",
        "command": ["python3", "clean.py", "--all"],
        "directory": "/srv/app",
        "env": {"MODE": "x", "PYTHONUNBUFFERED": "1"},
        "stop": {"timeout": 5},
        "cron": "0 3 * * *",
    }
    assert "kind" not in services(found)["stays"]
    assert [(note.kind, note.place.partition(" (")[0]) for note in notes(found, "cron_restart")] == [
        ("lost", "app stays cron_restart"),
        ("changed", "app clean cron_restart"),
    ]


@pytest.mark.parametrize("keys", [{"cron_restart": "*/10 * * * * *"}, {"cron_restart": "0 3 * * *", "instances": 2}])
def test_times_that_no_timer_can_have_are_told(keys: dict[str, Any]) -> None:
    found = conf_of_pm2({"name": "clean", "script": "clean.py", "autorestart": False, **keys})
    (note,) = notes(found, "cron_restart")
    assert (note.kind, note.message) == ("lost", "restarted it at these times, and nothing does so here")


def test_an_app_that_is_never_restarted_has_no_exit_codes() -> None:
    found = conf_of_pm2({"name": "a", "script": "a.js", "autorestart": False, "stop_exit_codes": [0, 2]})
    assert services(found)["a"]["restart"] == "never"


# --- the older port manifest, and others --------------------------------------------------------------------------


def test_monitors_are_checked_and_never_refuse_the_import() -> None:
    found = case("monitors.json")
    assert list(services(found)) == ["a", "b"]
    told = {note.place.partition(" (")[0]: note.message for note in found.notes}
    assert told["monitor_instances.m2.x"] == "port 5000 is to be avoided"
    assert told["monitor_instances.m3.y"] == "port 22 is protected: the host itself needs it"
    assert told["monitor_instances.m4.z"].startswith("port 9999 is outside the range")
    clashes = {
        "core_services": {"a": {"port": 8001}},
        "monitor_instances": {"m": {"x": 8001}, "n": {"y": 8002}, "o": {"z": 8002}},
    }
    text = json.dumps(clashes)
    clashing = import_text(text, "ports", name="demo", root="/opt/demo", environment={})
    assert notes(clashing, "port 8001 is the port of service a")
    assert notes(clashing, "port 8002 is the port of n.y, too")


def test_a_misspelt_port_is_an_error_with_what_is_meant() -> None:
    assert refused("legacy-typo.json") == [
        ("core_services.a.prot (line 1)", "is not read (did you mean port?)", "write it as port")
    ]


@pytest.mark.parametrize(
    ("name", "place", "words"),
    [
        ("merge-key.yml", "manifest (line 7)", "has a merge key (<<) in stack.services.api"),
        ("docker-compose.yml", "stack", "is a file of docker compose"),
    ],
)
def test_what_a_check_says_of_a_file(name: str, place: str, words: str) -> None:
    (problem,) = check_file(str(CASES / name)).problems
    assert problem.place == place
    assert words in problem.message


def test_a_tab_after_a_colon_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "stack.yml"
    path.write_text("stack:\n  name: t\n  root: /opt/t\n  services:\n    web: {command: [a], port:\t8001}\n")
    result = check_file(str(path))
    assert (result.problems, result.stack and result.stack.services[0].port) == ([], 8001)


@pytest.mark.parametrize("text", ["stack:\n\tname: t\n", "stack:\n  services:\n    a: {}\n  \tname: x\n"])
def test_a_tab_that_indents_is_told_for_what_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "stack.yml"
    path.write_text(text)
    (problem,) = check_file(str(path)).problems
    assert problem.message == "is not YAML: a tab indents the line, and only spaces may"
    assert problem.place == f"manifest (line {text.count(chr(10))})"


def test_a_port_out_of_range_is_told_with_the_range() -> None:
    found = conf("[program:a]\ncommand=a\nenvironment=PORT='70000'\n")
    assert found.notes[0].message == "is not a port number from 1 to 65535, so the service has no port"


def test_an_import_of_a_compose_file_says_what_to_do() -> None:
    text = (CASES / "docker-compose.yml").read_text()
    with pytest.raises(RollcallError, match="it describes containers") as caught:
        detect("docker-compose.yml", text)
    assert caught.value.remedies == ("write name: command of each container into a Procfile, and import that",)
