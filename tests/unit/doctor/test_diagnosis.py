# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor's judgement, by tables: from what was found to findings, and the page that explains them."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor import diagnosis
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor.diagnosis import KINDS
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor.facts import (
    HostFacts,
    LeftOvers,
    LogFile,
    Mislabelled,
    OtherLimit,
    OwnPath,
    Pidfile,
    Unavailable,
    Versions,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor.findings import ERROR, NOTE, WARNING, Finding
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Label, Listener, Process
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.other_hands import Untrusted
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import (
    Checks,
    DatabaseCheck,
    Health,
    Paths,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports.provenance import FOREIGN, SUPERVISED, Holder
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports.unix_sockets import SocketSeen
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes.answers import DatabaseAnswer, HealthAnswer
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lives import Book, Exit, Lives
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.stopped import StoppedByHand
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import client_errors, discovery
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import CALL_TIMEOUT, ProgramState
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.discovery import SocketAnswer, Supervisord
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.settings import (
    InetServer,
    Settings,
    read_settings,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.observation import Observation
from tests.support import configs

HOME = "/opt/my stack"
PATHS = Paths.of(HOME)
STACK = configs.stack(HOME, configs.service("web", port=8010), configs.service("worker"))
WEB_SOCKET = f"{HOME}/run/web.sock"
WITH_SOCKET = configs.stack(HOME, configs.service("web", socket=WEB_SOCKET), configs.service("worker"))
SOCKET = Settings(socket=PATHS.socket, pidfile=PATHS.pidfile)
ELSEWHERE = Settings(socket="/run/other.sock", pidfile="/run/other.pid")


def process(pid: int, ppid: int = 1, *, state: str = "S", service: str = "", uid: int = 1000) -> Process:
    label = Label("demo", HOME, service, "0" * 12)
    return Process(pid, ppid, pid * 10, uid, "ada", "/usr/bin/x", ("run", str(pid)), state, 0.0, label=label)


def supervisord(pid: int = 100, *, ours: bool = True, **more: t.Any) -> Supervisord:
    known = {
        "process": process(pid),
        "config": PATHS.config if ours else f"/etc/other{pid}.conf",
        "settings": SOCKET if ours else Settings(f"/run/other{pid}.sock", f"/run/other{pid}.pid"),
        "answer": SocketAnswer(pid, "4.3.0", peer=pid),
    }
    return Supervisord(ours=ours, **{**known, **more})


def mute(problem: str, pid: int = 100, peer: t.Optional[int] = None, **more: t.Any) -> Supervisord:
    return supervisord(pid, answer=SocketAnswer(problem=problem, detail="no answer", peer=peer), **more)


def program(name: str, state: str = "RUNNING") -> ProgramState:
    return ProgramState(name, state, 200, 1.0, 0.0, 9.0, 0, "", "")


def seen(**more: t.Any) -> Observation:
    programs = {"worker": program("worker"), "web": program("web")}
    holders: t.Dict[int, t.Any] = {}
    return Observation(**{"supervisord": process(100), "programs": programs, "holders": holders, **more})


def ended(age: float) -> Observation:
    """Return what is seen of a service that has ended so many seconds ago, and lives since."""
    alive = program("worker", "RUNNING")._replace(age=age)
    book = Book(lives={"worker": Lives("r", (Exit(1e9 - age, 4.0, 3),))})
    return seen(programs={"worker": alive}, book=book, at=1e9)


def on_port(provenance: str, address: str) -> Holder:
    listener = Listener("ipv6" if ":" in address else "ipv4", address, 8010, 1, 0, True)
    return Holder(listener, process(200), provenance, "web" if provenance == SUPERVISED else None, "")


BESIDE = [on_port(SUPERVISED, "127.0.0.1"), on_port(FOREIGN, "::1")]
OPEN = Listener("ipv4", "0.0.0.0", 9100, 2, 0)


def facts(**more: t.Any) -> HostFacts:
    """Return those of a host on which all is well, but for what is said otherwise."""
    stack = configs.stack(HOME, configs.service("worker"))
    known: t.Dict[str, t.Any] = {
        "name": "demo",
        "root": HOME,
        "paths": PATHS,
        "stack": stack,
        "supervisords": [supervisord(), supervisord(900, ours=False)],
        "pidfile": Pidfile(100, process(100)),
        "seen": seen(),
        "labelled": [process(200, 100, service="worker")],
        "meta": {"loaded": True, "verified": True},
        "own_paths": [OwnPath(PATHS.run, 0o700, 0o700, 0), OwnPath(PATHS.env_dir, 0o700, 0o700, 0, secret=True)],
        "logs": [LogFile(f"{PATHS.logs}/worker.log", 9_000_000, 10_000_000)],
        "versions": Versions("1.0", "1.0", (3, 9, 2), "/opt/venv/bin/supervisord", ("/usr/bin/supervisord",)),
    }
    return HostFacts(**{**known, **more})


def asked(check: DatabaseCheck, detail: str) -> t.Dict[str, t.Any]:
    """Return the facts of a database that does not do."""
    stack = dataclasses.replace(configs.stack(HOME, configs.service("worker")), checks=Checks((check,)))
    return {"stack": stack, "seen": seen(databases={check.kind: DatabaseAnswer(False, detail, None, 1.0)})}


def error(message: str, *remedies: str, **evidence: t.Any) -> RollcallError:
    return RollcallError(message, evidence=evidence, remedies=remedies)


def problem(place: str, message: str) -> t.Dict[str, str]:
    return {"place": place, "message": message, "cure": "do this", "severity": "error"}


# The facts, the finding's name, its severity, its subject, and something that its evidence or its cure says.
ROLLCALL = "'/opt/my stack/bin/rollcall' "
LATE_JOB = {"name": "cleanup", "next": 3600.0, "late": True}
FAILED_RUN = {
    "run": "r",
    "result": "rolled_back",
    "step": None,
    "message": None,
    "checks": [{"name": "health", "subject": "web", "evidence": "HTTP 500"}],
}
ROWS: t.Sequence[t.Tuple[t.Dict[str, t.Any], str, str, str, str]] = (
    ({"seen": seen(wanted_user="trading")}, "wrong_user", ERROR, "demo", "must run as trading"),
    ({"supervisords": []}, "supervisord_down", ERROR, "demo", f"{ROLLCALL}start"),
    ({"supervisords": [supervisord(), supervisord(101)]}, "split_brain", ERROR, "demo", f"{ROLLCALL}restart full"),
    (
        {"supervisords": [supervisord(), mute(client_errors.SILENT, 101, 101)]},
        "split_brain",
        ERROR,
        "demo",
        f"{ROLLCALL}restart emergency",
    ),
    (
        {"supervisords": [mute(client_errors.SILENT, process=process(100, state="T"))]},
        "supervisord_stopped",
        ERROR,
        "demo",
        "kill -CONT 100",
    ),
    (
        {"supervisords": [supervisord(), mute(client_errors.SILENT, 900, ours=False, process=process(900, state="T"))]},
        "supervisord_stopped",
        WARNING,
        "/etc/other900.conf",
        "kill -CONT 900",
    ),
    ({"supervisords": [mute(client_errors.SILENT, peer=100)]}, "supervisord_deaf", ERROR, "demo", "restart emergency"),
    ({"supervisords": [mute(client_errors.SILENT)]}, "supervisord_deaf", ERROR, "demo", "restart emergency"),
    (
        {"supervisords": [supervisord(), mute(client_errors.SILENT, 900, 900, ours=False)]},
        "supervisord_deaf",
        WARNING,
        "/etc/other900.conf",
        "kill -TERM 900",
    ),
    ({"supervisords": [mute(client_errors.ABSENT)]}, "socket_gone", ERROR, "demo", "was deleted"),
    ({"supervisords": [mute(client_errors.STALE)]}, "socket_gone", ERROR, "demo", "nobody listens on"),
    (
        {"supervisords": [supervisord(), mute(client_errors.ABSENT, 900, ours=False)]},
        "socket_gone",
        WARNING,
        "/etc/other900.conf",
        "kill -TERM 900",
    ),
    ({"supervisords": [mute(client_errors.SILENT, peer=7)]}, "socket_taken", ERROR, "demo", "kill 7"),
    ({"supervisords": [mute(client_errors.GARBAGE)]}, "socket_taken", ERROR, "demo", "fuser -v"),
    (
        {"supervisords": [supervisord(answer=SocketAnswer(7, "4.3.0"))]},
        "socket_taken",
        ERROR,
        "demo",
        "pid 7 is on its socket",
    ),
    (
        {"supervisords": [supervisord(), mute(client_errors.SILENT, 900, 7, ours=False)]},
        "socket_taken",
        WARNING,
        "/etc/other900.conf",
        "kill 7",
    ),
    (
        {"supervisords": [supervisord(), supervisord(900, ours=False, settings=Settings(PATHS.socket, "/p"))]},
        "shared_socket",
        ERROR,
        PATHS.socket,
        "give /etc/other900.conf another socket",
    ),
    (
        {
            "supervisords": [
                supervisord(),
                *(supervisord(pid, ours=False, settings=Settings("/s", f"/{pid}")) for pid in (8, 9)),
            ]
        },
        "shared_socket",
        WARNING,
        "/s",
        "give /etc/other9.conf another socket",
    ),
    (
        {"supervisords": [supervisord(), supervisord(900, ours=False, settings=Settings("/s", PATHS.pidfile))]},
        "shared_pidfile",
        ERROR,
        PATHS.pidfile,
        "pidfile= of [supervisord]",
    ),
    (
        {
            "supervisords": [
                supervisord(),
                *(supervisord(pid, ours=False, settings=Settings(f"/{pid}", "/p")) for pid in (8, 9)),
            ]
        },
        "shared_pidfile",
        WARNING,
        "/p",
        "give /etc/other9.conf another pid file",
    ),
    ({"supervisords": [mute(client_errors.DENIED)]}, "not_asked", WARNING, "demo", f"sudo {ROLLCALL}doctor"),
    ({"supervisords": [mute(client_errors.UNAUTHORISED)]}, "not_asked", WARNING, "demo", "restart full"),
    (
        {"supervisords": [supervisord(settings=Settings(PATHS.socket, PATHS.pidfile, (InetServer("*:9001", False),)))]},
        "inet_server",
        ERROR,
        PATHS.config,
        "on *:9001 without a password and from other hosts",
    ),
    (
        {
            "supervisords": [
                supervisord(),
                supervisord(900, ours=False, settings=Settings(inet=(InetServer("127.0.0.1:9001", False),))),
            ]
        },
        "inet_server",
        WARNING,
        "/etc/other900.conf",
        "without a password",
    ),
    (
        {"supervisords": [supervisord(answer=SocketAnswer(100, "4.2.1"))]},
        "supervisor_too_old",
        ERROR,
        "demo",
        "4.2.2 or later",
    ),
    ({"refusal": error("too old", "get another", needed="4.2.2")}, "supervisor_too_old", ERROR, PATHS.config, "too"),
    ({"seen": seen(orphans=[process(300, service="worker")])}, "orphan", ERROR, "worker", "as pid 200 besides"),
    ({"seen": seen(orphans=[process(300)])}, "orphan", ERROR, "demo", "pid 300"),
    (
        {"labelled": [process(200, 100, service="worker"), process(201, 100, service="worker")]},
        "duplicate",
        ERROR,
        "worker",
        "pid 201",
    ),
    ({"pidfile": Pidfile(900, process(900))}, "pidfile_foreign", WARNING, PATHS.pidfile, "restart full"),
    (
        {"pidfile": Pidfile(900, process(900)), "supervisords": [supervisord(900, ours=False)], "stack": None},
        "pidfile_foreign",
        WARNING,
        PATHS.pidfile,
        "rm '/opt/my stack/run/supervisord.pid'",
    ),
    ({"pidfile": Pidfile(7, process(7))}, "pidfile_reused", WARNING, PATHS.pidfile, "no supervisord"),
    ({"recycled": [(7, "worker", process(7))]}, "recycled_pid", NOTE, "worker", "pid 7"),
    ({"stack": STACK, "ports": {8010: error("Port 8010 is taken", "kill 7")}}, "port_held", ERROR, "web", "kill 7"),
    (
        {"problems": [problem("stack.services.web.port", "port 40000")]},
        "port_kernel",
        WARNING,
        "stack.services.web.port",
        "do",
    ),
    (
        {"seen": seen(programs={"worker": program("worker", "FATAL")})},
        "not_healthy",
        ERROR,
        "worker",
        "FATAL",
    ),
    (asked(DatabaseCheck("sqlite", "/x.db"), "locked"), "not_healthy", ERROR, "database", "locked"),
    (
        asked(DatabaseCheck("postgresql", service="worker", variable="DATABASE_URL"), "connection refused"),
        "not_healthy",
        ERROR,
        "postgresql of worker",
        "refused",
    ),
    (
        {
            "stack": configs.stack(HOME, configs.service("worker", health=Health("exec", 0, proves="ready"))),
            "seen": seen(health={"worker": HealthAnswer(False, "exit code 1", None, 0.1)}),
        },
        "not_ready",
        NOTE,
        "worker",
        "exit code 1",
    ),
    ({"seen": ended(0.0)}, "not_lasting", ERROR, "worker", "exit code 3 after 4.0 s"),
    ({"seen": ended(3600.0)}, "has_ended", NOTE, "worker", "exit code 3 after 4.0 s"),
    ({"stack": STACK, "seen": seen(holders={8010: BESIDE})}, "listens_beside", WARNING, "web", "localhost:8010"),
    ({"seen": seen(elsewhere={"worker": [OPEN]})}, "listens_elsewhere", NOTE, "worker", "every address of the host"),
    (
        {
            "seen": seen(programs={"worker": program("worker", "STOPPED")._replace(pid=0)}),
            "stopped": {"worker": StoppedByHand("ada", 2e9, "web")},
        },
        "stopped",
        NOTE,
        "worker",
        ", together with web",
    ),
    ({"held": {"worker": "it needs a file"}}, "held", NOTE, "worker", "it needs a file"),
    (
        {"unavailable": [Unavailable("not_installed", PATHS.etc, "none", "site")]},
        "not_installed",
        ERROR,
        PATHS.etc,
        "none",
    ),
    ({"unavailable": [Unavailable("unreadable", "/x", "broken", "rm /x")]}, "unreadable", ERROR, "/x", "rm /x"),
    ({"unavailable": [Unavailable("account", "ada", "no user", "add")]}, "account", ERROR, "ada", "no user"),
    ({"refusal": error("refused", "correct it")}, "config_refused", ERROR, PATHS.config, "correct it"),
    (
        {
            "drift": [
                {
                    "name": "worker",
                    "port": 1,
                    "codes": ["port_taken", "revision"],
                    "differences": ["port 1 is taken by x", "runs at another revision"],
                }
            ]
        },
        "drift",
        WARNING,
        "worker",
        "runs at",
    ),
    ({"meta": {"loaded": False, "verified": False}}, "not_loaded", WARNING, "demo", "restart full"),
    ({"meta": {"loaded": True, "verified": False}}, "not_verified", NOTE, "demo", "start"),
    ({"registry": False}, "registry_stale", WARNING, f"{HOME}/ports.json", "start"),
    ({"versions": Versions("1.0", None)}, "engine_broken", ERROR, f"{HOME}/engine", "no engine"),
    ({"versions": Versions("1.0", "0.9")}, "engine_version", WARNING, f"{HOME}/engine", "0.9"),
    ({"versions": Versions(python=(3, 8, 10))}, "python_too_old", ERROR, f"{HOME}/engine/venv", "3.8.10"),
    ({"versions": Versions(configured="/v/s", on_path=("/a/s", "/b/s"))}, "other_supervisord", NOTE, "demo", "/v/s"),
    (
        {"problems": [problem("stack.services.web.command[0]", "gone")]},
        "command",
        ERROR,
        "stack.services.web.command[0]",
        "gone",
    ),
    (
        {"problems": [problem("stack.services.web.directory", "gone")]},
        "command",
        ERROR,
        "stack.services.web.directory",
        "gone",
    ),
    ({"problems": [problem(PATHS.state, "has 0 KiB free")]}, "disk", ERROR, PATHS.state, "0 KiB"),
    ({"missing": [PATHS.logs]}, "directory_missing", ERROR, PATHS.logs, "doctor --fix"),
    (
        {"problems": [problem("stack.paths.logs", "may not write")]},
        "not_writable",
        ERROR,
        "stack.paths.logs",
        "may not",
    ),
    (
        {"logs": [LogFile("/l/a.log", 30_000_000, 10_000_000)]},
        "log_huge",
        WARNING,
        "/l/a.log",
        "truncate -s 0 /l/a.log",
    ),
    ({"logs": [LogFile("/l/a.log", 2 << 30, 0)]}, "log_huge", WARNING, "/l/a.log", "never rotated"),
    (
        {"paths": dataclasses.replace(PATHS, logs="/tmp/logs"), "pidfile": None},
        "log_in_tmp",
        WARNING,
        "/tmp/logs",
        "paths.logs",
    ),
    (
        {"own_paths": [OwnPath("/e/web.json", 0o604, 0o600, 0, secret=True)]},
        "secret_exposed",
        ERROR,
        "/e/web.json",
        "0604",
    ),
    ({"own_paths": [OwnPath(PATHS.run, 0o755, 0o700, 0)]}, "unsafe_mode", WARNING, PATHS.run, "doctor --fix"),
    (
        {"own_paths": [OwnPath(PATHS.socket, 0o777, 0o700, 0, fixable=False)]},
        "unsafe_mode",
        WARNING,
        PATHS.socket,
        "chmod 700 '/opt/my stack/run/supervisor.sock'",
    ),
    (
        {
            "supervisords": [supervisord(process=process(100, uid=0))],
            "own_paths": [OwnPath(PATHS.logs, 0o750, 0o750, 1000)],
        },
        "unsafe_owner",
        ERROR,
        PATHS.logs,
        "uid 1000",
    ),
    (
        {"mislabelled": [Mislabelled("/opt/my stack/bin/rollcall", "user_tmp_t")]},
        "mislabelled",
        WARNING,
        "/opt/my stack/bin/rollcall",
        "restorecon -v '/opt/my stack/bin/rollcall'",
    ),
    (
        {"untrusted": [(Untrusted("/opt", "belongs to user eve"), "chown -h root: /opt && chmod go-w /opt")]},
        "untrusted",
        ERROR,
        "/opt",
        "chown -h root: /opt",
    ),
    (
        {"problems": [problem("stack.root", "is in /etc, which belongs to the system")]},
        "forbidden_place",
        ERROR,
        "stack.root",
        "is in /etc",
    ),
    ({"lock": {"who": "ada", "verb": "full", "pid": 7, "since": "noon"}}, "locked", WARNING, "demo", "ada runs 'full'"),
    ({"unfinished": {"run": "r", "step": "stop"}}, "unfinished_run", WARNING, "demo", "at its step 'stop'"),
    (
        {"other_limits": [OtherLimit("web", 7, "limits.core", -1, 0)]},
        "other_limits",
        WARNING,
        "web",
        "pid 7 has limits.core unlimited, and should have 0",
    ),
    (
        {"other_limits": [OtherLimit("", 7, "nice", -1, 0)]},
        "other_limits",
        WARNING,
        "demo",
        "every service, has nice -1",
    ),
    ({"lost_logs": ["/logs/web.log"]}, "log_lost", WARNING, "/logs/web.log", "goes on writing"),
    (
        {"unfinished_install": ("release two was made ready, and no run has put it in place",)},
        "unfinished_install",
        WARNING,
        "demo",
        "release two was made ready",
    ),
    ({"late_jobs": [LATE_JOB]}, "late_job", WARNING, "cleanup", "nothing has started it"),
    ({"failure": FAILED_RUN}, "failed_run", WARNING, "demo", "run r ended ROLLED BACK"),
    ({"left_overs": LeftOvers(generations=("/g/x",))}, "unfinished_generation", WARNING, "/g/x", "doctor --fix"),
    ({"left_overs": LeftOvers(temporary=("/g/x.new",))}, "temporary_file", WARNING, "/g/x.new", "doctor --fix"),
    (
        {"supervisords": [], "stack": None, "own_answer": SocketAnswer(problem=client_errors.STALE)},
        "stale_socket",
        WARNING,
        PATHS.socket,
        "doctor --fix",
    ),
    (
        {
            "supervisords": [],
            "stack": None,
            "own_answer": SocketAnswer(problem=client_errors.SILENT, peer=7),
            "pidfile": None,
        },
        "socket_taken",
        ERROR,
        PATHS.socket,
        "kill 7",
    ),
    (
        {"stack": WITH_SOCKET, "seen": seen(sockets={WEB_SOCKET: SocketSeen(WEB_SOCKET, "other", "a link")})},
        "socket_held",
        ERROR,
        "web",
        "run/web.sock.saved",
    ),
    ({"pidfile": Pidfile(7, None)}, "stale_pidfile", WARNING, PATHS.pidfile, "no such process"),
    ({"pidfile": Pidfile(None, None)}, "stale_pidfile", WARNING, PATHS.pidfile, "it names no pid"),
    ({"left_overs": LeftOvers(runs=3)}, "old_runs", NOTE, f"{PATHS.state}/runs", "3 more"),
    ({"unseen": 12, "user": "ada"}, "unseen", NOTE, "demo", "as user ada 12 processes could not be looked into"),
)


def test_where_all_is_well_nothing_is_found() -> None:
    assert diagnosis.diagnose(facts()) == []


@pytest.mark.parametrize(("more", "name", "severity", "subject", "said"), ROWS, ids=[row[1] for row in ROWS])
def test_each_is_found_by_its_facts(
    more: t.Dict[str, t.Any], name: str, severity: str, subject: str, said: str
) -> None:
    found = [one for one in diagnosis.diagnose(facts(**more)) if one.name == name]
    assert [(one.severity, one.subject) for one in found] == [(severity, subject)]
    assert said in f"{found[0].evidence}\n{found[0].remedy}"
    assert found[0].fixed is None


def test_every_kind_has_a_row() -> None:
    assert {row[1] for row in ROWS} == set(KINDS)
    assert {row[1] for row in ROWS if row[2] == WARNING and KINDS[row[1]].others} == {
        name for name, kind in KINDS.items() if kind.others
    }


@pytest.mark.parametrize(
    "more",
    [
        # What was started just now has not come to its socket yet.
        {"supervisords": [mute(client_errors.ABSENT, young=True)]},
        # What a container has under these paths is none of this host's files.
        {"supervisords": [supervisord(process=process(100)._replace(container=True), ours=False), supervisord(101)]},
        {"supervisords": [supervisord(settings=Settings(PATHS.socket, inet=(InetServer("127.0.0.1:9001", True),)))]},
    ],
)
def test_what_is_as_it_must_be_or_told_elsewhere_is_no_finding(more: t.Dict[str, t.Any]) -> None:
    pidfile = Pidfile(more["supervisords"][-1].pid, process(1)) if "supervisords" in more else facts().pidfile
    assert diagnosis.diagnose(facts(**more, pidfile=pidfile)) == []


def test_a_missing_directory_is_told_once() -> None:
    problems = [problem("stack.paths.logs", f"directory {PATHS.logs} does not exist")]
    found = diagnosis.diagnose(facts(problems=problems, missing=[PATHS.logs]))
    assert [one.name for one in found] == ["directory_missing"]


def test_a_run_at_work_has_no_left_overs() -> None:
    lock = {"who": "ada", "verb": "full", "pid": 7, "since": "noon"}
    left = LeftOvers(("/x.new",), ("/g",), 1)
    found = diagnosis.diagnose(facts(lock=lock, left_overs=left, unfinished={"run": "r", "step": "stop"}))
    assert [(one.name, "at its step 'stop'" in one.evidence) for one in found] == [("locked", True)]


def test_errors_come_first_and_alone_fail() -> None:
    found = diagnosis.diagnose(facts(unseen=1, left_overs=LeftOvers(("/x.new",)), registry=False, missing=[PATHS.run]))
    assert [one.severity for one in found] == [ERROR, WARNING, WARNING, NOTE]
    assert not diagnosis.passed(found)
    assert diagnosis.passed(found[1:])
    assert diagnosis.passed([dataclasses.replace(found[0], fixed=True)])


# What is told first, and what can be cured only afterwards.
FIRST_AND_NEXT: t.Sequence[t.Tuple[t.Dict[str, t.Any], t.Sequence[str]]] = (
    ({"supervisords": [], "stack": STACK, "ports": {8010: error("x", "kill 7")}}, ["port_held", "supervisord_down"]),
    (
        {"supervisords": [], "problems": [problem("stack.services.web.command[0]", "x")]},
        ["command", "supervisord_down"],
    ),
    ({"supervisords": [], "missing": [PATHS.logs]}, ["directory_missing", "supervisord_down"]),
    (
        {"supervisords": [], "own_paths": [OwnPath(PATHS.state, 0o777, 0o700, 0)]},
        ["unsafe_mode", "supervisord_down"],
    ),
    (
        {"supervisords": [], "unavailable": [Unavailable("account", "ada", "x", cures.INSTALL)], "missing": ["/x"]},
        ["account", "directory_missing", "supervisord_down"],
    ),
    (
        {
            "supervisords": [],
            "unavailable": [Unavailable("unreadable", "/x", "x", "rm /x")],
            "problems": [problem("stack.paths.state", "read-only")],
        },
        ["disk", "unreadable", "supervisord_down"],
    ),
    (
        {"lock": {"who": "a", "verb": "b", "pid": 7, "since": "c"}, "missing": ["/x"]},
        ["locked", "directory_missing"],
    ),
)


@pytest.mark.parametrize(("more", "expected"), FIRST_AND_NEXT, ids=[" ".join(row[1]) for row in FIRST_AND_NEXT])
def test_a_remedy_comes_after_those_that_it_needs(more: t.Dict[str, t.Any], expected: t.Sequence[str]) -> None:
    found = [one.name for one in diagnosis.diagnose(facts(**more)) if one.severity != NOTE]
    assert [name for name in found if name in expected] == expected


def test_what_was_put_right_is_what_is_not_found_again() -> None:
    gone = Finding("stale_socket", WARNING, "/s", "e", "c", fixable=True)
    kept = Finding("unsafe_mode", WARNING, "/m", "e", "c", fixable=True)
    other = Finding("orphan", ERROR, "web", "e", "c")
    settled = diagnosis.settled([(gone, "removed it"), (kept, "could not: no")], [other, kept])
    assert [(one.name, one.fixed, one.data.get("done")) for one in settled] == [
        ("stale_socket", True, "removed it"),
        ("orphan", None, None),
        ("unsafe_mode", False, "could not: no"),
    ]


# --- a config of somebody else ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[unix_http_server]\nfile=%(here)s/s.sock ; here\n", Settings(socket="{here}/s.sock")),
        ("[unix_http_server]\nfile=/tmp/%(ENV_X)s.sock\n", Settings()),
        ("[supervisord]\npidfile=/run/100%%.pid\n", Settings(pidfile="/run/100%.pid")),
        ("[inet_http_server]\nport=*:9001\n", Settings(inet=(InetServer("*:9001", False),))),
        ("[inet_http_server]\nport=9001\npassword=x\n", Settings(inet=(InetServer("9001", True),))),
        ("[include]\nfiles=more/*.ini\n", Settings(inet=(InetServer("localhost:1", False),))),
        ("", Settings()),
    ],
)
def test_a_config_is_read_as_far_as_it_speaks_of_the_daemon(tmp_path: t.Any, text: str, wanted: Settings) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "one.ini").write_text("[inet_http_server]\nport=localhost:1\n", encoding="utf-8")
    path = tmp_path / "supervisord.conf"
    path.write_text(text, encoding="utf-8")
    place = None if wanted.socket is None else wanted.socket.format(here=tmp_path)
    assert read_settings(str(path)) == dataclasses.replace(wanted, socket=place)


@pytest.mark.parametrize("bad", [b"no section", b"\xff\xfe", None])
def test_a_config_that_cannot_be_read_says_why(tmp_path: t.Any, bad: t.Optional[bytes]) -> None:
    path = tmp_path / "supervisord.conf"
    if bad is not None:
        path.write_bytes(bad)
    assert str(path) in read_settings(str(path)).problem


@pytest.mark.parametrize(
    ("address", "exposed"),
    [
        *((address, True) for address in ("9001", "*:9001", ":9001", "0.0.0.0:9001", "[::]:9001")),
        *((address, False) for address in ("127.0.0.1:9001", "localhost:9001", "[::1]:9001")),
    ],
)
def test_a_port_alone_is_for_every_host(address: str, exposed: bool) -> None:
    assert InetServer(address, True).exposed is exposed


def test_what_a_status_finds_well_the_doctor_does_not_call_deaf() -> None:
    assert discovery.PATIENCE >= CALL_TIMEOUT
