# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every cure of what cannot be imported is done as it says: the problem is gone, and no other came."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import Problem, RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.cli.included import IncludedFiles
from ansible_collections.rollcall.supervisor.plugins.module_utils.importing.importer import KINDS, detect, import_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest import corrections as c
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import check_file
from tests.support.corrections import Edit, Trial, carried_out, replaced
from tests.support.manifests import a_manifest

CONF = "[supervisord]\n[program:web]\ncommand=/bin/web\n"
PM2 = '{"apps": [{"name": "web", "script": "web.js"}]}'
PORTS = '{"core_services": {"web": {"port": 8000}}}'
WHOLE = "a whole number"


def another(text: str) -> Edit:
    """Return the edit that takes another file."""
    return lambda _text, _place: text


# By the name of a cure in manifest/corrections.py; the kind of file is an option.
TRIALS: dict[str, list[Trial]] = {
    "SUPERVISORD_CONF": [
        Trial("command=/bin/web\n" + CONF, c.SUPERVISORD_CONF, replaced("command=/bin/web\n", "")),
    ],
    "CORRECT_OR_REMOVE": [
        Trial(f"{CONF}directory\n", c.CORRECT_OR_REMOVE, replaced("directory\n", "")),
        Trial(f"{CONF}directory\n", c.CORRECT_OR_REMOVE, replaced("directory\n", "directory=/srv\n")),
        Trial(PORTS[:-1] + ', "defaults": 1}', c.CORRECT_OR_REMOVE, replaced(', "defaults": 1', ""), {"kind": "ports"}),
    ],
    "CORRECT_LIST": [
        Trial(f"{CONF}[group:all]\nprograms=web,wbe\n", c.CORRECT_LIST, replaced(",wbe", "")),
    ],
    "FILES_OR_NO_SECTION": [
        Trial(f"{CONF}[include]\n", c.FILES_OR_NO_SECTION, replaced("[include]\n", "")),
        Trial(f"{CONF}[include]\n", c.FILES_OR_NO_SECTION, replaced("[include]\n", "[include]\nfiles=a.ini\n"),
              {"read": lambda _pattern: [("/etc/a.ini", "")]}),
    ],
    "NO_BYTE_ORDER_MARK": [Trial(f"\ufeff{CONF}", c.NO_BYTE_ORDER_MARK, replaced("\ufeff", ""))],
    "NO_PERCENT": [Trial(f"{CONF}directory=/srv/%(who)s\n", c.NO_PERCENT, replaced("%(", "%%("))],
    "PLAIN_PERCENT": [Trial(f"{CONF}directory=/srv/100%\n", c.PLAIN_PERCENT, replaced("100%", "100%%"))],
    "supervisord_wants": [
        Trial(f"{CONF}startsecs=soon\n", c.supervisord_wants(WHOLE), replaced("soon", "5")),
        Trial(f"{CONF}autostart=maybe\n", c.supervisord_wants("true or false"), replaced("maybe", "true")),
        Trial(f"{CONF}stopsignal=GO\n", c.supervisord_wants("a signal"), replaced("GO", "INT")),
        Trial(f"{CONF}environment=A\n", c.supervisord_wants("KEY='value',KEY='value'"), replaced("=A", "=A='b'")),
    ],
    "PROCESS_NUMBER": [
        Trial(f"{CONF}numprocs=2\n", c.PROCESS_NUMBER,
              replaced("numprocs=2\n", "numprocs=2\nprocess_name=%(program_name)s-%(process_num)d\n"))],
    "FEWER_PROCESSES": [
        Trial(f"{CONF}numprocs=2000\nprocess_name=w%(process_num)d\n", c.FEWER_PROCESSES, replaced("2000", "2"))],
    "BOTH_GROUPS": [
        Trial(f"{CONF}stopasgroup=true\nkillasgroup=false\n", c.BOTH_GROUPS, edit)
        for edit in (replaced("killasgroup=false", "killasgroup=true"), replaced("stopasgroup=true", "stopasgroup=no"))
    ],
    "ADD_COMMAND": [
        Trial(f"{CONF}[program:b]\n", c.ADD_COMMAND, replaced("[program:b]\n", "[program:b]\ncommand=/bin/b\n"))],
    "OTHER_FILE": [Trial('[supervisord]\n', c.OTHER_FILE, another(CONF))],
    "PROCFILE": [Trial("nothing\n", c.PROCFILE, another("web: bin/web\n"), {"kind": "procfile"})],
    "REMOVE_ONE": [
        Trial("web: a\nweb: b\n", c.REMOVE_ONE, replaced("web: a\n", ""), {"kind": "procfile"})],
    "ECOSYSTEM": [Trial("{}", c.ECOSYSTEM, another(PM2), {"kind": "pm2"})],
    "AN_APP": [Trial('{"apps": ["web.js"]}', c.AN_APP, replaced('"web.js"', '{"script": "web.js"}'), {"kind": "pm2"})],
    "A_SCRIPT": [
        Trial('{"apps": [{"name": "a"}]}', c.A_SCRIPT, replaced('"a"', '"a", "script": "a.js"'), {"kind": "pm2"})],
    "NAME_INTERPRETER": [
        Trial('{"apps": [{"script": "a.ts"}]}', c.NAME_INTERPRETER,
              replaced('"a.ts"', '"a.ts", "interpreter": "ts-node"'), {"kind": "pm2"})],
    "WRITE_TEXT": [Trial(PM2.replace('"web",', "5,"), c.WRITE_TEXT, replaced("5,", '"5",'), {"kind": "pm2"})],
    "WRITE_LIST": [
        Trial(PM2.replace("}]", ', "args": 5}]'), c.WRITE_LIST, replaced("5", '["5"]'), {"kind": "pm2"}),
        Trial(PM2.replace("}]", ', "args": "a \'b"}]'), c.WRITE_LIST, replaced('"a \'b"', '["a", "\'b"]'),
              {"kind": "pm2"}),
    ],
    "WRITE_WHOLE": [
        Trial(PM2.replace("}]", ', "max_restarts": "x"}]'), c.WRITE_WHOLE, replaced('"x"', "5"), {"kind": "pm2"})],
    "WRITE_TIME": [
        Trial(PM2.replace("}]", ', "kill_timeout": "x"}]'), c.WRITE_TIME, replaced('"x"', '"5s"'), {"kind": "pm2"}),
        Trial(PM2.replace("}]", ', "kill_timeout": "x"}]'), c.WRITE_TIME, replaced('"x"', "5000"), {"kind": "pm2"}),
    ],
    "write_as": [
        Trial(PM2.replace("}]", ', "env": ["A=1"]}]'), c.write_as("NAME: value"), replaced('["A=1"]', '{"A": 1}'),
              {"kind": "pm2"})],
    "PRINT_AS_JSON": [
        Trial('{"apps": [{"script": process.argv[0]}]}', c.PRINT_AS_JSON, replaced("process.argv[0]", '"a.js"'),
              {"kind": "pm2"})],
    "PORT_MANIFEST": [Trial("{}", c.PORT_MANIFEST, another(PORTS), {"kind": "ports"})],
    "PORT_VARIABLES": [
        Trial("WEB=8000\n", c.PORT_VARIABLES, replaced("WEB", "WEB_SERVER_PORT"), {"kind": "environment"})],
}  # fmt: skip
# What no edit of the text is, and the test of each.
OF_COMMANDS = {
    "FILE_NOT_TEXT": "test_a_file_that_includes_others_or_names_its_place_is_imported_as_a_file",
    "OTHER_TOOL": "test_programs_of_other_tools_are_written_as_a_procfile_and_that_is_imported",
    "JOBS": "test_lines_of_a_crontab_are_timers",
    "COMPOSE": "test_containers_are_written_as_a_procfile_and_that_is_imported",
    "INCLUDE_ROOT": "test_files_of_another_host_are_found_below_the_directory_that_is_its_root",
    "export": "test_a_variable_of_the_environment_is_set_where_the_import_runs",
    "kind": "test_a_kind_that_is_not_known_is_one_of_those_that_are_named",
    "say_kind": "test_a_file_that_is_not_recognised_is_imported_when_its_kind_is_said",
    "run_script": "test_an_ecosystem_file_that_is_a_program_is_imported_from_what_node_prints",
}


def look(text: str, *, kind: str = "supervisord", **options: Any) -> list[Problem]:
    """Return why a text cannot be imported."""
    told = {"name": "demo", "root": "/opt/demo", "environment": {}, **options}
    try:
        import_text(text, kind, **told)
    except RollcallError as exc:
        found = exc.evidence.get("problems")
        return (
            [Problem("", exc.message, cure) for cure in exc.remedies]
            if found is None
            else [Problem(**problem) for problem in found]
        )
    return []


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, trials in TRIALS.items() for number in range(len(trials))]
)
def test_the_edit_that_a_cure_describes_lets_it_be_imported(name: str, number: int) -> None:
    trial = TRIALS[name][number]

    carried_out(trial, lambda text: look(text, **trial.options), str)


def test_a_file_that_includes_others_or_names_its_place_is_imported_as_a_file() -> None:
    including, here = f"{CONF}[include]\nfiles=*.ini\n", f"{CONF}directory=%(here)s\n"

    assert [problem.cure for problem in look(including)] == [c.FILE_NOT_TEXT]
    assert [problem.cure for problem in look(here)] == [c.FILE_NOT_TEXT]
    assert look(including, here="/etc", read=lambda _pattern: [("/etc/a.ini", "")]) == []
    assert look(here, here="/etc") == []


def test_a_variable_of_the_environment_is_set_where_the_import_runs() -> None:
    text = f"{CONF}directory=%(ENV_PLACE)s\n"

    assert [problem.cure for problem in look(text)] == [c.export(["PLACE"])]
    assert look(text, environment={"PLACE": "/srv"}) == []


def test_files_of_another_host_are_found_below_the_directory_that_is_its_root(tmp_path: Path) -> None:
    text = "[supervisord]\n[include]\nfiles=/etc/of-the-original/*.conf\n"
    beside = tmp_path / "etc" / "of-the-original"
    beside.mkdir(parents=True)
    (beside / "web.conf").write_text("[program:web]\ncommand=%(here)s/web\n")
    own, theirs = IncludedFiles("/srv", None), IncludedFiles("/srv", None, str(tmp_path))

    assert [problem.cure for problem in look(text, here=own.here, read=own.read)] == [c.INCLUDE_ROOT]
    assert look(text, here=theirs.here, read=theirs.read) == []


def test_a_kind_that_is_not_known_is_one_of_those_that_are_named() -> None:
    assert [problem.cure for problem in look(CONF, kind="systemd")] == [c.kind(KINDS)]
    assert look(CONF, kind=KINDS[KINDS.index("supervisord")]) == []


def test_a_file_that_is_not_recognised_is_imported_when_its_kind_is_said() -> None:
    text = "web: bin/web\n# and more\nsomething else\n"

    with pytest.raises(RollcallError) as caught:
        detect("x", text)

    assert caught.value.remedies == (c.say_kind(KINDS),)
    assert look(text, kind="procfile") == []


def test_containers_are_written_as_a_procfile_and_that_is_imported() -> None:
    with pytest.raises(RollcallError) as caught:
        detect("compose.yml", "services:\n  web:\n    image: nginx\n    command: nginx -g 'daemon off;'\n")
    procfile = "web: nginx -g 'daemon off;'\n"

    assert caught.value.remedies == (c.COMPOSE,)
    assert detect("Procfile", procfile) == "procfile"
    assert look(procfile, kind="procfile") == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("app.service", "[Unit]\nDescription=x\n[Service]\nExecStart=/bin/web --port 8010\n"),
        ("circus.ini", "[circus]\n[watcher:web]\ncmd = /bin/web\n"),
        ("process-compose.yaml", "version: '0.5'\nprocesses:\n  web:\n    command: /bin/web\n"),
    ],
)
def test_programs_of_other_tools_are_written_as_a_procfile_and_that_is_imported(name: str, text: str) -> None:
    with pytest.raises(RollcallError, match="which is not imported") as caught:
        detect(name, text)
    procfile = "web: /bin/web --port 8010\n"

    assert caught.value.remedies == (c.OTHER_TOOL,)
    assert detect("Procfile", procfile) == "procfile"
    assert look(procfile, kind="procfile") == []


@pytest.mark.parametrize("line", ["*/5 0 * * 1-5 bin/poll --all", "@daily bin/poll --all"])
def test_lines_of_a_crontab_are_timers(line: str) -> None:
    with pytest.raises(RollcallError, match="is a crontab") as caught:
        detect("jobs.txt", f"# of trader\nMAILTO=ops\n{line}\n")
    timer = {"kind": "timer", "cron": "*/5 0 * * 1-5", "command": ["bin/poll", "--all"]}

    assert caught.value.remedies == (c.JOBS,)
    assert check_manifest(a_manifest(services={"web": {"command": ["web"]}, "poll": timer})).problems == []


def test_a_manifest_is_checked_by_the_command_that_is_told(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(str(a_manifest()).replace("'", '"'))

    with pytest.raises(RollcallError) as caught:
        detect(str(path), path.read_text())

    assert caught.value.remedies == (cures.check_manifest(str(path)),)
    assert check_file(str(path)).problems == []


@pytest.mark.parametrize(
    ("name", "exported"),
    [("it's ecosystem.config.js", "module.exports = found;"), ("it's ecosystem.mjs", "export default found;")],
)
def test_an_ecosystem_file_that_is_a_program_is_imported_from_what_node_prints(
    name: str, exported: str, tmp_path: Path
) -> None:
    script = tmp_path / name
    script.write_text(f"const found = {PM2};\n{exported}\n")
    with pytest.raises(RollcallError) as caught:
        detect(str(script), script.read_text())
    (cure,) = caught.value.remedies
    command, _and, rest = cure.partition(", and ")
    assert rest == "import that"
    assert cure == c.run_script(command.rpartition(" > ")[0])
    if shutil.which("node") is None:
        pytest.skip("there is no node here")

    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, timeout=60)

    written = (tmp_path / "ecosystem.json").read_text()
    assert detect("ecosystem.json", written) == "pm2"
    assert look(written, kind="pm2") == []
