# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the config must say of a manifest, what goes to private files, and how a difference is told."""

from __future__ import annotations

import dataclasses
import re
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.filter.config import FilterModule
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack, Start, Stop
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.revision import revision
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import config, config_reader
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.config import (
    Program,
    supervisord_revision,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.environment import private_files
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.parse_back import Parsed, compare
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.quoting import Unrepresentable
from tests.support.configs import names, service, stack, values
from tests.support.rendering import render

ROOT = "/srv/demo"
FILTERS = FilterModule().filters()


def program_of(the_stack: Stack, name: str = "app") -> Program:
    return next(program for program in config.programs(the_stack) if program.name == name)


# --- programs ------------------------------------------------------------------------------------------------------


def test_a_service_becomes_a_program() -> None:
    app = service(
        command=("venv/bin/python", "main.py"),
        directory="/srv/app",
        stop=Stop(signal="INT", timeout=7.2),
        start=Start(seconds=1.5, retries=5),
        restart="always",
        log_max_bytes=5,
        log_backups=0,
    )
    program = program_of(stack(ROOT, app))
    assert program.command == ("venv/bin/python", "main.py")
    assert program.directory == "/srv/app"
    assert (program.stopsignal, program.stopwaitsecs) == ("INT", 8)
    assert (program.startsecs, program.startretries) == (2, 5)
    assert program.stdout_logfile == "/srv/demo/logs/app.log"
    assert (program.stdout_logfile_maxbytes, program.stdout_logfile_backups) == (5, 0)
    assert not program.autostart
    assert program.stopasgroup
    assert program.killasgroup


@pytest.mark.parametrize(
    ("kind", "restart", "autorestart"),
    [
        ("service", "always", "true"),
        ("service", "unexpected", "unexpected"),
        ("service", "never", "false"),
        ("oneshot", "never", "false"),
        ("oneshot", "always", "false"),
    ],
)
def test_restart_is_written_in_supervisors_words(kind: str, restart: str, autorestart: str) -> None:
    assert program_of(stack(ROOT, service(kind=kind, restart=restart))).autorestart == autorestart


def test_a_one_shot_may_end_at_once() -> None:
    assert program_of(stack(ROOT, service(kind="oneshot", start=Start(seconds=3.0, retries=3)))).startsecs == 0


def test_a_program_knows_its_port_and_those_it_depends_on() -> None:
    the_stack = stack(
        ROOT,
        service("trade-manager", port=4000, depends_on={"store": "running"}),
        service("app", port=3000, depends_on={"trade-manager": "healthy"}),
        service("store", port=8001),
    )
    variables = program_of(the_stack).environment
    ports = {name: value for name, value in variables.items() if name.startswith("PORT")}
    assert ports == {"PORT": "3000", "PORT_APP": "3000", "PORT_TRADE_MANAGER": "4000"}


def test_a_program_carries_the_marks_it_is_known_by() -> None:
    the_stack = stack(ROOT, service(env={"PORT": "1", "A": "b"}, port=3000))
    variables = program_of(the_stack).environment
    assert variables["ROLLCALL_STACK"] == "demo"
    assert variables["ROLLCALL_ROOT"] == ROOT
    assert variables["ROLLCALL_SERVICE"] == "app"
    assert variables["ROLLCALL_REVISION"] == revision(the_stack, the_stack.services[0])
    assert (variables["A"], variables["PORT"]) == ("b", "1")


def test_what_one_service_needs_changes_no_other_section() -> None:
    before = stack(ROOT, service("one"), service("two"))
    after = stack(ROOT, service("one", env={"A": "b"}), service("two"), service("three"))
    assert program_of(before, "two") == program_of(after, "two")


# --- what the config cannot carry ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["a\nb", "'\"", "'quoted'", "it's \\", "tab\tand\x1b[0m"])
def test_a_value_the_config_cannot_carry_goes_to_the_private_file(value: str) -> None:
    the_stack = stack(ROOT, service(command=("/bin/app", "-x"), env={"HARD": value, "EASY": "x"}))
    program = program_of(the_stack)
    assert "HARD" not in program.environment
    assert program.environment["EASY"] == "x"
    assert program.command == (
        f"{ROOT}/engine/venv/bin/python",
        "-I",
        f"{ROOT}/engine/rollcall/launcher.py",
        f"{ROOT}/etc/env/app.json",
        "--",
        "/bin/app",
        "-x",
    )
    assert private_files(the_stack, {}) == {"app": {"HARD": value}}


def test_a_secret_is_in_the_private_file_alone() -> None:
    the_stack = stack(ROOT, service(secrets={"KEY": "digest"}), service("plain"))
    assert private_files(the_stack, {"app": {"KEY": "hunter2"}}) == {"app": {"KEY": "hunter2"}}
    assert "hunter2" not in render(the_stack)
    assert "launcher.py" in program_of(the_stack).command[2]
    assert program_of(the_stack, "plain").command == ("/bin/sleep", "60")


def test_every_secret_without_a_value_is_named_but_no_value_is() -> None:
    the_stack = stack(ROOT, service(secrets={"KEY": "d", "TOKEN": "d", "FINE": "d"}))
    with pytest.raises(RollcallError) as caught:
        private_files(the_stack, {"app": {"TOKEN": "hunter2\0", "FINE": "swordfish"}})
    assert caught.value.kind == "wrong_use"
    assert "stack.services.app.secrets.KEY: it has no value" in caught.value.text()
    assert "stack.services.app.secrets.TOKEN: it contains a zero byte" in caught.value.text()
    assert "hunter2" not in str(caught.value.as_dict())
    assert "swordfish" not in str(caught.value.as_dict())


@given(
    st.dictionaries(names, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), max_size=4),
    st.sets(names, max_size=2),
)
def test_each_variable_is_in_one_place_and_both_sides_agree_on_it(env: t.Dict[str, str], secret: t.Set[str]) -> None:
    the_stack = stack(ROOT, service(env=env, secrets=dict.fromkeys(secret, "digest")))
    program = program_of(the_stack)
    files = private_files(the_stack, {"app": dict.fromkeys(secret, "value")})
    assert ("app" in files) == ("--" in program.command)
    in_file = files.get("app", {})
    assert not set(in_file) & set(program.environment)
    merged = {**program.environment, **in_file}
    assert {name: merged[name] for name in env if name not in secret} == {
        name: value for name, value in env.items() if name not in secret
    }


def test_all_that_can_be_written_in_no_way_is_named_at_once() -> None:
    the_stack = stack(
        "/srv/100%",
        service("bad name", command=("a", "b\nc", "\x7f"), directory=" /"),
        service(env={"ZERO": "\0", "1X": "x", "ROLLCALL_ROOT": "/", "HALF": "\ud800"}, secrets={"ROLLCALL_KEY": "d"}),
    )
    with pytest.raises(Unrepresentable) as caught:
        config.programs(the_stack)
    assert [place for place, reason in caught.value.problems] == [
        "stack.paths.run",
        "stack.paths.logs",
        "stack.services.bad name",
        "stack.services.bad name.command[1]",
        "stack.services.bad name.command[2]",
        "stack.services.bad name.directory",
        "stack.services.app.env.ZERO",
        "stack.services.app.env.1X",
        "stack.services.app.env.ROLLCALL_ROOT",
        "stack.services.app.env.HALF",
        "stack.services.app.secrets.ROLLCALL_KEY",
    ]
    assert caught.value.kind == "wrong_use"


@pytest.mark.parametrize("root", ["/srv/a ;b", "/srv/a #b", "/srv/%(here)s", "/srv/a\nb"])
def test_a_path_that_a_log_cannot_have_is_refused(root: str) -> None:
    with pytest.raises(Unrepresentable, match=r"stack\.paths\.logs"):
        config.programs(stack(root, service()))


# --- the daemon's own revision -------------------------------------------------------------------------------------


def test_the_daemons_revision_is_of_its_own_sections_alone() -> None:
    plain = render(stack(ROOT, service()))
    other_programs = render(stack(ROOT, service("other", env={"A": "b"}), service("third")))
    assert supervisord_revision(plain) == supervisord_revision(other_programs)
    assert supervisord_revision(plain) == supervisord_revision("; a comment\n\n" + plain)
    assert supervisord_revision(plain) != supervisord_revision(render(stack("/srv/other", service())))
    assert supervisord_revision(plain) != supervisord_revision(plain.replace("loglevel=info", "loglevel=debug"))


@pytest.mark.parametrize(("count", "wanted"), [(1, None), (338, None), (339, 2048), (679, 2048), (680, 3072)])
def test_supervisord_may_open_what_its_programs_need(count: int, wanted: t.Optional[int]) -> None:
    made = stack(ROOT, *(service(f"s{number}") for number in range(count)))
    assert config.descriptors(made) == (wanted or config.USUAL_DESCRIPTORS)
    assert re.findall(r"^minfds=(.*)$", render(made), re.MULTILINE) == ([] if wanted is None else [str(wanted)])


# --- compare -------------------------------------------------------------------------------------------------------


def as_parsed(the_stack: Stack) -> Parsed:
    """Return what a supervisor that understands everything would answer."""
    daemon = {
        "identifier": "demo",
        "pidfile": f"{ROOT}/run/supervisord.pid",
        "logfile": f"{ROOT}/logs/supervisord.log",
        "logfile_maxbytes": 10_000_000,
        "logfile_backups": 3,
        "childlogdir": f"{ROOT}/logs",
        "nodaemon": True,
        "silent": True,
        "user": None,
        "environment": {},
        "servers": [f"{ROOT}/run/supervisor.sock, mode 0700"],
        "interfaces": ["supervisor"],
    }
    return Parsed("4.3.0", config.programs(the_stack), daemon)


def test_the_same_is_no_difference() -> None:
    the_stack = stack(ROOT, service(), service("other"))
    assert compare(the_stack, as_parsed(the_stack)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"command": ("/bin/sleep", "6")}, "app: command: wanted ['/bin/sleep', '60'], got ['/bin/sleep', '6']"),
        ({"autostart": True}, "app: autostart: wanted False, got True"),
        ({"startsecs": 9}, "app: startsecs: wanted 1, got 9"),
        ({"stdout_logfile": "/tmp/x"}, "app: stdout_logfile: wanted '/srv/demo/logs/app.log', got '/tmp/x'"),
        ({"others": {"uid": "0"}}, "app: uid: wanted nothing, got '0'"),
    ],
)
def test_a_difference_is_told_by_program_and_key(change: t.Dict[str, t.Any], told: str) -> None:
    the_stack = stack(ROOT, service())
    parsed = as_parsed(the_stack)
    changed = [dataclasses.replace(parsed.programs[0], **change)]
    assert compare(the_stack, parsed._replace(programs=changed)) == [told]


def test_a_difference_of_a_variable_names_it() -> None:
    the_stack = stack(ROOT, service(env={"A": "b", "C": "d"}))
    parsed = as_parsed(the_stack)
    variables = {**parsed.programs[0].environment, "A": "x", "NEW": "y"}
    del variables["C"]
    changed = [dataclasses.replace(parsed.programs[0], environment=variables)]
    assert compare(the_stack, parsed._replace(programs=changed)) == [
        "app: environment.A: wanted 'b', got 'x'",
        "app: environment.C: wanted 'd', got nothing",
        "app: environment.NEW: wanted nothing, got 'y'",
    ]


def test_missing_and_extra_programs_are_told() -> None:
    parsed = as_parsed(stack(ROOT, service(), service("extra")))
    assert compare(stack(ROOT, service(), service("missing")), parsed) == [
        "missing: not a program in the config",
        "extra: a program in the config, not in the manifest",
    ]


def test_a_difference_of_the_daemon_is_told() -> None:
    the_stack = stack(ROOT, service())
    parsed = as_parsed(the_stack)
    daemon = {**parsed.daemon, "pidfile": "/run/x.pid", "servers": [*parsed.daemon["servers"], "*:9001"]}
    assert compare(the_stack, parsed._replace(daemon=daemon)) == [
        "supervisord: pidfile: wanted '/srv/demo/run/supervisord.pid', got '/run/x.pid'",
        "supervisord: servers: wanted ['/srv/demo/run/supervisor.sock, mode 0700'], "
        "got ['/srv/demo/run/supervisor.sock, mode 0700', '*:9001']",
    ]


# --- filters and versions ------------------------------------------------------------------------------------------


def test_the_filters_write_what_the_engine_does() -> None:
    assert FILTERS["conf_value"](True) == "true"
    assert FILTERS["conf_value"](False) == "false"
    assert FILTERS["conf_value"](0) == "0"
    assert FILTERS["conf_value"]("100%") == "100%%"
    assert FILTERS["conf_command"](["a", "b c"]) == "a 'b c'"
    assert FILTERS["conf_environment"]({"A": "b"}) == "A='b'"
    assert [program["name"] for program in FILTERS["programs"](stack(ROOT, service()).to_dict())] == ["app"]


def test_a_filter_fails_with_the_place() -> None:
    with pytest.raises(AnsibleFilterError, match=r"stack\.services\.app\.command\[0\]: it contains the control char"):
        FILTERS["programs"](stack(ROOT, service(command=("\n",))).to_dict())


@given(values)
def test_what_looks_like_jinja_is_text(value: str) -> None:
    the_stack = stack(ROOT, service(env={"A": value}))
    assert render(the_stack) == render(Stack.from_dict(the_stack.to_dict()))
    assert render(the_stack).count("\n[") == 5


@pytest.mark.parametrize(
    ("version", "numbers"), [("4.2.2", (4, 2, 2)), ("4.3.0.dev0", (4, 3, 0)), ("5.0", (5, 0)), ("3.4.0", (3, 4, 0))]
)
def test_a_version_is_read_by_its_numbers(version: str, numbers: t.Tuple[int, ...]) -> None:
    assert config_reader.release(version) == numbers
