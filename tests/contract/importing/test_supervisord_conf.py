# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A supervisord.conf is imported as supervisor reads it, and what is rendered from it runs the same programs.

The original is read by a real supervisor; so is the config that the project's own template makes of the import.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
import shutil
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from supervisor.options import EventListenerConfig, ServerOptions

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.importing.draft import Imported
from ansible_collections.rollcall.supervisor.plugins.module_utils.importing.importer import import_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.importing.yaml_text import as_yaml
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import check_file, load_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.config import Program
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.environment import private_files
from tests.support import configs, interpreters
from tests.support.rendering import render as render_config

ENVIRONMENT = {"HOME": "/home/app", "REGION": "eu; west # 1", "QUOTED": "it's", "PERCENT": "100%", "EMPTY": ""}


class Original(t.NamedTuple):
    """One process as a real supervisor would run it."""

    argv: t.List[str]
    environment: t.Dict[str, str]
    directory: t.Optional[str]
    startsecs: int
    startretries: int
    stopsignal: int
    stopwaitsecs: int
    stopasgroup: bool
    autorestart: str


class Refused(Exception):
    """supervisor does not start with this config."""


@pytest.fixture(scope="module")
def reader() -> t.Iterator[interpreters.Reader]:
    with interpreters.Reader(sys.executable) as reader:
        yield reader


@pytest.fixture
def place() -> t.Iterator[Path]:
    """A directory whose path leaves room for a socket's name."""
    directory = tempfile.mkdtemp(prefix="rc-")
    yield Path(directory).resolve()
    shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def known_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        monkeypatch.delenv(name)
    for name, value in {"PATH": os.defpath, **ENVIRONMENT}.items():
        monkeypatch.setenv(name, value)


def read_original(path: Path) -> t.List[Original]:
    """Return the processes of a config in the order of priorities, event listeners aside.

    Raises:
        Refused: supervisord would not start with it.
    """

    def refuse(message: object) -> t.NoReturn:
        raise Refused(str(message))

    options = ServerOptions()
    options.usage = refuse
    options.realize(args=["-c", str(path)], doc="", progname="supervisord")
    return [
        Original(
            shlex.split(process.command),
            process.environment,
            process.directory or options.directory,
            process.startsecs,
            process.startretries,
            process.stopsignal,
            process.stopwaitsecs,
            process.stopasgroup,
            str(getattr(process.autorestart, "__name__", process.autorestart)),
        )
        for group in options.process_group_configs
        for process in sorted(group.process_configs, key=lambda process: process.priority)
        if not isinstance(process, EventListenerConfig) and type(group).__name__ == "ProcessGroupConfig"
    ]


def import_file(path: Path, root: Path) -> Imported:
    """Import a config as the command does: with its directory, and a reader of what it includes."""

    def read(pattern: str) -> t.List[t.Tuple[str, str]]:
        found = glob.glob(os.path.join(path.parent, pattern))
        return [(name, Path(name).read_bytes().decode("utf-8")) for name in found]

    return import_text(
        path.read_bytes().decode("utf-8"),
        "supervisord",
        name="demo",
        root=str(root),
        environment=dict(os.environ),
        here=str(path.parent),
        read=read,
    )


def check(imported: Imported, root: Path) -> Stack:
    """Return the stack of an import, by way of the file that a user would keep; the check has nothing to say of it."""
    file = root / "stack.yml"
    file.write_text(as_yaml(imported), encoding="utf-8")
    result = check_file(str(file))
    assert result.problems == []
    assert result.stack is not None
    assert load_manifest(str(file)) == imported.manifest
    return result.stack


def read_back(reader: interpreters.Reader, stack: Stack, imported: Imported) -> t.Dict[str, Program]:
    """Return what a real supervisor reads out of the config that our template makes, launchers taken off again."""
    for directory in (stack.paths.run, stack.paths.logs):
        Path(directory).mkdir(parents=True, exist_ok=True)
    parsed = reader.read(render_config(stack))
    services = imported.manifest["stack"]["services"]
    files = private_files(stack, {name: entry.get("secrets", {}) for name, entry in services.items()})
    programs = {}
    for program in parsed.programs:
        command, private = program.command, files.get(program.name, {})
        if private:
            assert command[2].endswith("/launcher.py")
            command = command[5:]
        known = {**program.environment, **private}
        own = {name: value for name, value in known.items() if not name.startswith(("ROLLCALL_", "PORT_"))}
        programs[program.name] = Program(**{**vars(program), "command": command, "environment": own})
    return programs


AUTORESTART = {"RestartUnconditionally": "true", "RestartWhenExitUnexpected": "unexpected", "False": "false"}


def expected(original: Original, root: Path) -> t.Dict[str, t.Any]:
    """Return what must come back of a process: a relative program and no directory begin at the root."""
    directory = os.path.normpath(os.path.join(root, original.directory or ""))
    program, *arguments = original.argv
    if "/" in program:
        program = os.path.normpath(os.path.join(directory, program))
    return {
        "command": (program, *arguments),
        "environment": original.environment,
        "directory": directory,
        "startsecs": original.startsecs,
        "startretries": original.startretries,
        "stopsignal": f"{original.stopsignal:d}",
        "stopwaitsecs": original.stopwaitsecs,
        "stopasgroup": original.stopasgroup,
        "autorestart": AUTORESTART[original.autorestart],
    }


def seen(program: Program) -> t.Dict[str, t.Any]:
    import signal

    number = signal.Signals[f"SIG{program.stopsignal}"].value
    own = {key: getattr(program, key) for key in ("command", "environment", "directory", "startsecs", "startretries")}
    own.update({key: getattr(program, key) for key in ("stopwaitsecs", "stopasgroup", "autorestart")})
    return {**own, "stopsignal": str(number)}


ORIGINALS = {
    "one program": "[program:web]\ncommand=/bin/web --flag",
    "groups": """
        [program:web]
        command=/bin/web
        [program:worker]
        command=/bin/worker
        environment=GROUP="%(group_name)s"
        [program:alone]
        command=/bin/alone %(group_name)s
        [group:front]
        programs=web
        [group:back]
        programs=worker, web
        priority=1
        """,
    "numprocs": """
        [program:worker]
        command=/bin/worker --number %(process_num)d --of %(numprocs)d --name %(program_name)s
        process_name=%(program_name)s_%(process_num)02d
        numprocs=3
        numprocs_start=7
        directory=/srv/%(process_num)d
        environment=PORT="80%(process_num)02d",NUMBER=%(process_num)d
        [program:other]
        command=/bin/other
        process_name=p%(process_num)s
        numprocs=2
        [program:third]
        command=/bin/third
        process_name=p%(process_num)s
        numprocs=2
        """,
    "what one process was given stays for the next": """
        [program:worker]
        command=/bin/worker %(ENV_K0)s
        process_name=w%(process_num)d
        numprocs=2
        environment=K%(process_num)d="value"
        """,
    "priorities": """
        [program:last]
        command=/bin/last
        [program:first]
        command=/bin/first
        priority=1
        [program:b]
        command=/bin/b
        priority=20
        [program:a]
        command=/bin/a
        priority=30
        [program:negative]
        command=/bin/negative
        priority=-5
        [group:both]
        programs=a,b
        priority=10
        """,
    "event listeners": """
        [eventlistener:memmon]
        command=/bin/memmon
        events=TICK_60,PROCESS_STATE
        buffer_size=100
        numprocs=2
        process_name=%(program_name)s%(process_num)d
        [program:web]
        command=/bin/web
        stdout_events_enabled=true
        stdout_capture_maxbytes=1MB
        """,
    "fastcgi programs": """
        [fcgi-program:php]
        command=/bin/php-cgi
        socket=tcp://localhost:9002
        [program:web]
        command=/bin/web
        """,
    "variables of the environment": """
        [supervisord]
        environment=BASE="/srv/app",HOME="/nowhere"
        [program:web]
        command=%(ENV_BASE)s/bin/web --home %(ENV_HOME)s --own %(ENV_OWN)s --at "%(ENV_REGION)s"
        directory=%(ENV_BASE)s/%(program_name)s
        environment=OWN="%(ENV_BASE)s-1",EMPTY="%(ENV_EMPTY)s",PERCENT="%(ENV_PERCENT)s"
        [program:other]
        command=/bin/other %(ENV_PERCENT)s
        environment=HOME="%(ENV_HOME)s/mine",QUOTED="%(ENV_QUOTED)s"
        """,
    "quoted environments": """
        [program:web]
        command=/bin/web
        environment=A="a,b=c",B='say "x"',C="it's",D=plain-1.2/3:4+5(6),E="", F="  spaced  ",
            G="http://u@h:80/?q=1&r=2#f", H="back\\slash", I="100%%", J="a;b", K='{"k": [1]}', L="it's\\",M="tab	in",
            N="$HOME `id`",O="%%(here)s",P="ü 漢",
        """,
    "lines within quotes": """
        [program:web]
        command=/bin/web
        environment=KEY="first
            second",OTHER="x"
        """,
    "environments of all programs": """
        [supervisord]
        environment=LANG="C.UTF-8",PATH='/opt/bin:/bin',SHARED="all",LATER="%%%%"
        [program:web]
        command=/bin/web
        environment=SHARED="mine"
        [program:worker]
        command=/bin/worker %(ENV_SHARED)s
        """,
    "comments": """
        ; at the beginning
        # another one
        [program:web] ; of the section
        command=/bin/web --color=#fff a;b 'x#y' ; the rest
        ; between
        directory=/srv/app # of the directory
        environment=A="1",B="2" ; not C="3"
        startsecs=5 ; seconds
        """,
    "times, tries, signals and words": """
        [program:a]
        command=/bin/a
        startsecs=0
        startretries=0
        stopwaitsecs=0
        stopsignal=SIGINT
        autorestart=true
        [program:b]
        command=/bin/b
        startsecs=120
        startretries=1000
        stopwaitsecs=3600
        stopsignal=9
        autorestart=No
        autostart=off
        [program:c]
        command=/bin/c
        stopsignal=quit
        autorestart=Unexpected
        exitcodes=0,2
        stopasgroup=yes
        [program:d]
        command=/bin/d
        stopsignal=sigusr2
        autorestart=1
        killasgroup=true
        """,
    "logs": """
        [program:a]
        command=/bin/a
        stdout_logfile=/dev/stdout
        stdout_logfile_maxbytes=0
        redirect_stderr=true
        [program:b]
        command=/bin/b
        stdout_logfile=%(here)s/b.log
        stdout_logfile_maxbytes=1MB
        stdout_logfile_backups=2
        stderr_logfile=NONE
        [program:c]
        command=/bin/c
        stdout_syslog=true
        """,
    "names of all sorts": """
        [program:1st]
        command=/bin/first
        [program:a.b]
        command=/bin/ab
        [program:a_b]
        command=/bin/a_b
        [program:all]
        command=/bin/all
        [program:Web]
        command=/bin/web
        [program:web]
        command=/bin/web2
        """,
    "where it is": """
        [program:web]
        command=%(here)s/web --on %(host_node_name)s
        directory=%(here)s/..
        environment=HERE="%(here)s"
        """,
    "relative places": """
        [program:web]
        command=bin/web
        directory=/srv/app
        [program:worker]
        command=./worker
        [program:up]
        command=../up
        [program:looked-up]
        command=looked-up
        directory=sub
        """,
    "values over several lines": """
        [program:web]
        command=/bin/web
            --first
            --second "a b"
          --third
        environment=
            A="1",
            B="2"
        """,
    "defaults and sections that come twice": """
        [DEFAULT]
        startsecs=7
        user=nobody
        [program:web]
        command=/bin/old
        stopwaitsecs=4
        [program:worker]
        command=/bin/worker
        startsecs=2
        [program:web]
        command=/bin/new
        """,
    "a directory of supervisord's own": """
        [supervisord]
        directory=/usr
        [program:web]
        command=/bin/web
        [program:worker]
        command=/bin/worker
        directory=/srv
        """,
    "other ways to write": """
        [program: web]
        COMMAND : /bin/web
        StartSecs = 3
        [rpcinterface:supervisor]
        supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
        [unix_http_server]
        file=%(here)s/sock
        [inet_http_server]
        port=127.0.0.1:9001
        [supervisorctl]
        serverurl=unix:///tmp/sock
        [typo:web]
        command=/bin/typo
        """,
}


def unindented(text: str) -> str:
    """Return a config without the indentation of this file, and with a section of supervisord if it has none."""
    text = re.sub("^ {8}", "", text, flags=re.MULTILINE)
    return text if "[supervisord]" in text else f"[supervisord]\nlogfile=x.log\n{text}"


def compare(reader: interpreters.Reader, conf: Path) -> Imported:
    """Import a config, and hold every program that is rendered from it against the original's."""
    root = conf.parent.parent / "root"
    root.mkdir()
    originals = read_original(conf)
    assert originals
    imported = import_file(conf, root)
    stack = check(imported, root)
    programs = read_back(reader, stack, imported)
    found = [seen(programs[service.name]) for service in stack.services]
    assert found == [expected(original, root) for original in originals]
    return imported


@pytest.fixture
def conf(place: Path) -> Path:
    """Where a config is, beside nothing."""
    (place / "etc").mkdir()
    return place / "etc" / "supervisord.conf"


@pytest.mark.parametrize("original", ORIGINALS.values(), ids=ORIGINALS)
def test_what_is_rendered_from_an_import_runs_the_same_programs(
    reader: interpreters.Reader, conf: Path, original: str
) -> None:
    conf.write_text(unindented(original), encoding="utf-8")
    compare(reader, conf)


def test_line_ends_of_another_system_do_not_matter(reader: interpreters.Reader, conf: Path) -> None:
    conf.write_bytes(unindented(ORIGINALS["quoted environments"]).replace("\n", "\r\n").encode("utf-8"))
    compare(reader, conf)


def test_what_a_config_includes_comes_along(reader: interpreters.Reader, conf: Path) -> None:
    conf.write_text(
        "[supervisord]\nlogfile=x.log\n[include]\nfiles=conf.d/*.conf %(here)s/more.ini none/*\n"
        "[program:web]\ncommand=%(here)s/web\n",
        encoding="utf-8",
    )
    (conf.parent / "conf.d").mkdir()
    (conf.parent / "conf.d" / "b.conf").write_text("[program:b]\ncommand=%(here)s/b\n[program:web]\nstartsecs=9\n")
    (conf.parent / "conf.d" / "a.conf").write_text("[program:a]\ncommand=/bin/a\n[program:web]\nstartsecs=8\n")
    (conf.parent / "more.ini").write_text("[program:more]\ncommand=%(here)s/more\n[group:all_of_it]\nprograms=a,more\n")
    imported = compare(reader, conf)
    assert [note.message for note in imported.notes if "none/*" in note.message] == ["no file matches none/*"]


REFUSED = {
    "group of what is not there": (
        "[group:g]\nprograms=web,gone\n[program:web]\ncommand=x",
        "[group:g] programs (line 4)",
    ),
    "no number": ("[program:web]\ncommand=x\nstartsecs=soon", "[program:web] startsecs (line 5)"),
    "no truth value": ("[program:web]\ncommand=x\nautostart=maybe", "[program:web] autostart (line 5)"),
    "no word for restart": ("[program:web]\ncommand=x\nautorestart=maybe", "[program:web] autorestart (line 5)"),
    "no signal": ("[program:web]\ncommand=x\nstopsignal=HELLO", "[program:web] stopsignal (line 5)"),
    "no size": ("[program:web]\ncommand=x\nstdout_logfile_maxbytes=1TB", "stdout_logfile_maxbytes (line 5)"),
    "no exit codes": ("[program:web]\ncommand=x\nexitcodes=256", "[program:web] exitcodes (line 5)"),
    "no command": ("[program:web]\ndirectory=/", "[program:web] command (line 3)"),
    "no name": ("[program:a b]\ncommand=x", "[program:a b] (line 3)"),
    "unknown variable": ("[program:web]\ncommand=x %(ENV_GONE)s", "[program:web] command (line 4)"),
    "unknown name": ("[program:web]\ncommand=x\ndirectory=%(home)s", "[program:web] directory (line 5)"),
    "a lone percent sign": ("[program:web]\ncommand=date +%F", "[program:web] command (line 4)"),
    "variables without values": ("[program:web]\ncommand=x\nenvironment=A,B=1", "[program:web] environment (line 5)"),
    "an open quote": ('[program:web]\ncommand=x\nenvironment=A="1', "[program:web] environment (line 5)"),
    "many of one name": ("[program:web]\ncommand=x\nnumprocs=2", "[program:web] numprocs (line 5)"),
    "half of a group's stop": (
        "[program:web]\ncommand=x\nstopasgroup=1\nkillasgroup=0",
        "[program:web] killasgroup (line 6)",
    ),
    "no config": ("just words", "line 3"),
    "an include of nothing": ("[include]\nfile=x\n[program:web]\ncommand=x", "[include] files (line 3)"),
    "a program of two kinds": (
        "[group:g]\nprograms=p\n[program:p]\ncommand=x\n[fcgi-program:p]\ncommand=x\nsocket=tcp://h:1",
        "[group:g] programs (line 4)",
    ),
}


@pytest.mark.parametrize(("text", "where"), REFUSED.values(), ids=REFUSED)
def test_what_supervisor_refuses_is_refused_with_its_place(conf: Path, text: str, where: str) -> None:
    conf.write_text(f"[supervisord]\nlogfile=x.log\n{text}\n", encoding="utf-8")
    with pytest.raises(Refused):
        read_original(conf)
    with pytest.raises(RollcallError) as caught:
        import_file(conf, conf.parent)
    assert caught.value.kind == "wrong_use"
    assert where in caught.value.message
    assert caught.value.remedies


# --- any text whatever -------------------------------------------------------------------------------------------

PIECES = (
    *configs.PIECES,
    *("A=", "B=1,", "C='x'", '="', "',", ",,", "\n  ", "\n\t", " %(process_num)02d", "%(ENV_HOME)s", "%(ENV_A)s"),
    *("%(group_name)s", "%(host_node_name)s", "%(numprocs)d", "%(program_name)", "%d", "PORT=", "8000"),
)
_plain = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=3)
texts = st.lists(st.one_of(st.sampled_from(PIECES), _plain), max_size=6).map("".join)
_values = st.lists(st.one_of(st.sampled_from(PIECES).map(lambda piece: piece.replace("'", "")), _plain), max_size=4)
_pairs = st.tuples(st.sampled_from(["A", "B", "C_1", "PORT", "PORT_X"]), _values.map("".join))
_quoted = st.lists(_pairs.map(lambda pair: f"{pair[0]}='{pair[1]}'"), max_size=3).map(",".join)
environments = st.one_of(st.just(""), _quoted, texts)
# What a manifest cannot have at all: the service, or the variable, is left out with a note.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
VARIABLE = re.compile(r"(?!PORT\Z|PORT_|ROLLCALL_)[A-Za-z_][A-Za-z0-9_]*")
# Python puts in everything that there is, which supervisor lets it do.
POSITIONAL = re.compile(r"%(?![(])")


def refusal(conf: Path) -> t.Optional[str]:
    """Return why a config cannot be imported; None when it can."""
    try:
        import_file(conf, conf.parent)
    except RollcallError as exc:
        return exc.message
    return None


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command=texts, environment=environments, shared=environments, directory=texts)
@example(command="x", environment="A='1' ;B='2'", shared='A="%%%%"', directory="/srv")
@example(command="x %(ENV_A)s", environment="", shared='A="%%%%"', directory="/srv")
@example(command="sh -c 'a\n  b'", environment="A='a\n b'", shared="", directory="/srv")
@example(command="", environment="A='a\n b'", shared="A='c'", directory="")
@example(command="", environment="A='c'", shared="A='a\n b'", directory="")
def test_any_text_is_read_as_supervisor_reads_it_or_refused(
    conf: Path, command: str, environment: str, shared: str, directory: str
) -> None:
    shared = shared.replace("host_node_name", "here")  # which supervisor knows everywhere but here
    text = (
        f"[supervisord]\nlogfile=x.log\nenvironment={shared}\n"
        f"[program:web]\ncommand=/bin/web {command}\ndirectory=/d{directory}\nenvironment={environment}\n"
    )
    conf.write_bytes(text.encode("utf-8"))
    reason = refusal(conf)
    try:
        (original,) = read_original(conf)
    except (Refused, ValueError):  # a command that cannot be split is refused when it is started
        assert reason is not None
        return
    if reason is not None:
        unfit = any(CONTROL.search(part) for part in (*original.argv, original.directory or ""))
        assert unfit or (POSITIONAL.search(text.replace("%%", "")) and "% that stands for nothing" in reason), reason
        return
    imported = import_file(conf, conf.parent)
    (service,) = check(imported, conf.parent).services
    content = imported.manifest["stack"]
    secrets = {**content["defaults"].get("secrets", {}), **content["services"]["web"].get("secrets", {})}
    given = {**{name: value for name, value in secrets.items() if name not in service.env}, **service.env}
    assert given == {name: value for name, value in original.environment.items() if VARIABLE.fullmatch(name)}
    assert list(service.command[1:]) == original.argv[1:]
    assert service.directory == os.path.normpath(original.directory or "").replace("//", "/")
