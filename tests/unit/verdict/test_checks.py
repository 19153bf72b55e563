# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of checks: each of them holds on a stack that is well, and fails with each of its codes when it should."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import Problem, RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.job_documents import JobRun, TimerRow
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Label, Listener, Process
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.socket_files import (
    LISTENED,
    OTHER,
    STALE,
    UNKNOWN,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.turnover import DyingChildren
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports.provenance import Holder
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports.unix_sockets import SocketSeen
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes.answers import DatabaseAnswer, HealthAnswer
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lives import Book, Exit, Lives
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.stopped import WHOLE, StoppedByHand
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import ProgramState
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.checks import CHECKS
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.conditions import CONDITIONS
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.install_steps import NAMES as STEPS
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.judge import (
    Case,
    CheckKind,
    Expectation,
    judge,
    result_of,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.observation import (
    Halted,
    LogSeen,
    Observation,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.stop_checks import (
    STOP_BY_NAME_CHECKS,
    STOP_CHECKS,
)

MANIFEST = {
    "name": "test",
    "root": "/opt/test",
    "services": {
        "web": {"command": ["/x"], "port": 8001, "health": {"http": "/"}, "depends_on": {"worker": "started"}},
        "worker": {
            "command": ["/x"],
            "socket": "run/w.sock",
            "env": {"REDIS_URL": "redis://127.0.0.1:6379"},
            "health": {"exec": ["/ready"], "proves": "ready"},
        },
    },
    "checks": {"database": {"redis": {"service": "worker"}}},
}


@pytest.fixture(scope="module")
def stack() -> Stack:
    checked = check_manifest(MANIFEST, release="r2")
    assert checked.stack is not None, checked.problems
    return checked.stack


def program(name: str, pid: int, state: str = "RUNNING", exit_status: int = 0) -> ProgramState:
    return ProgramState(name, state, pid, 1.0, 0.0, 9.0, exit_status, "", "", born=pid, age=9.0)


def process(pid: int, service: str = "") -> Process:
    label = Label("test", "/opt/test", service, "r1")
    return Process(pid, 1, pid, 0, "root", "/x", ("/x",), "S", 1.0, label=label)


def listener(provenance: str, service: t.Optional[str], pid: int = 9) -> Holder:
    return Holder(Listener("ipv4", "127.0.0.1", 8001, 1, 0, False), process(pid), provenance, service, "")


def at_socket(state: str, *holders: Holder) -> t.Dict[str, SocketSeen]:
    return {SOCKET: SocketSeen(SOCKET, state, "a file", 0, holders)}


SOCKET = "/opt/test/run/w.sock"
PROGRAMS = {"web": program("web", 11), "worker": program("worker", 12)}
OWN = listener("supervised", "web", 11)
REDIS = DatabaseAnswer(True, "PONG", None, 0.1, reached=True)
LOST = DatabaseAnswer(False, "no route", None, 0.1, reached=False)
REFUSED = DatabaseAnswer(False, "password refused", None, 0.1, reached=True)
GONE = {"web": program("web", 0, "EXITED"), "worker": PROGRAMS["worker"]}


def seen(**other: t.Any) -> Observation:
    """Return what is seen of a stack that is well, but for what is said otherwise."""
    well = {
        "supervisords": [process(10)],
        "supervisord": process(10),
        "version": "4.3.0",
        "programs": PROGRAMS,
        "holders": {8001: [OWN]},
        "sockets": at_socket(LISTENED, listener("supervised", "worker", 12)),
        "health": {
            "web": HealthAnswer(True, "HTTP 200", 200, 0.1),
            "worker": HealthAnswer(True, "exit code 0", None, 0.1),
        },
        "databases": {"redis": REDIS},
    }
    return Observation(**{**well, **other})


def missing(place: str) -> t.List[Problem]:
    return [Problem(place, "does not exist", "")]


FAR = HealthAnswer(True, "HTTP 200", 200, 0.1, "192.0.2.1", local=False)
DRAINED = HealthAnswer(False, "exit code 1", None, 0.1)
NEAR = HealthAnswer(True, "HTTP 200", 200, 0.1, "127.0.0.1")
STRANGER = listener("foreign", None)

# Name and code of a check, what was seen otherwise, and what the run adds.
LAST: JobRun = {
    "start": 1.0,
    "end": 2.0,
    "result": "failed",
    "exit_code": 3,
    "by": "systemd",
    "why": "",
    "times": 1,
}
TIMER: TimerRow = {
    "name": "cleanup",
    "schedule": "every 1h",
    "running": False,
    "last": LAST,
    "failed": False,
    "next": 3601.0,
    "late": False,
}
FAILING: t.Sequence[t.Tuple[str, str, t.Mapping[str, t.Any], Expectation]] = (
    ("files", "unusable", {"files": missing("stack.paths.run")}, Expectation()),
    ("dependencies", "unusable", {"dependencies": missing("stack.services.web")}, Expectation()),
    ("supervisord", "silent", {"supervisord": None}, Expectation()),
    ("supervisord", "rival", {"supervisords": [process(10), process(99)]}, Expectation()),
    (
        "supervisord",
        "stopped",
        {"supervisord": None, "supervisords": [], "programs": {}},
        Expectation(stopped={WHOLE: StoppedByHand("ada", 0.0)}),
    ),
    ("user", "other", {"wanted_user": "trading"}, Expectation()),
    ("config", "differs", {"altered": {"web": "another command"}}, Expectation()),
    ("held", "missing", {"programs": {}}, Expectation(held={"worker": "it needs a file"})),
    ("held", "dependency", {"programs": {}}, Expectation(held={"worker": "it needs a file", "web": "it waits"})),
    ("running", "unknown", {"programs": {}}, Expectation()),
    ("running", "down", {"programs": GONE}, Expectation()),
    ("running", "not_ready", {}, Expectation(failed={"web": "not ready after 3 s"})),
    (
        "running",
        "dependency",
        {"programs": GONE},
        Expectation(failed={"web": "not started"}, blocked={"web": "worker"}),
    ),
    ("running", "background", {"programs": GONE, "orphans": [process(77, "web")]}, Expectation()),
    ("running", "halted", {"halted": {"web": Halted(11, "T")}}, Expectation()),
    ("stable", "replaced", {}, Expectation(first={"web": (5, 5)})),
    ("lives", "recovering", {"book": Book(lives={"web": Lives("r", (Exit(1e9, 4.0, 1),))}), "at": 1e9}, Expectation()),
    ("lives", "loop", {"book": Book(lives={"web": Lives("r", (Exit(1e9),) * 2)}), "at": 1e9}, Expectation()),
    ("restarted", "same", {}, Expectation(before={"web": (11, 11)})),
    (
        "orphans",
        "earlier",
        {"orphans": [process(99, "web")], "detached": [process(99, "web")]},
        Expectation(untouched=["web"]),
    ),
    ("workers", "dying", {"dying": {"web": DyingChildren(11, 3, "exit code 1")}}, Expectation()),
    ("release", "other", {"other_releases": {"web": ["r1"]}}, Expectation()),
    ("port", "free", {"holders": {}}, Expectation()),
    ("port", "taken", {"holders": {8001: [listener("foreign", None)]}}, Expectation()),
    ("port", "taken", {"holders": {8001: [OWN, listener("orphan", "web")]}}, Expectation()),
    ("socket", "free", {"sockets": {}}, Expectation()),
    ("socket", "free", {"sockets": at_socket(STALE)}, Expectation()),
    ("socket", "taken", {"sockets": at_socket(LISTENED, listener("foreign", None))}, Expectation()),
    ("socket", "taken", {"sockets": at_socket(LISTENED, listener("supervised", "web"))}, Expectation()),
    ("socket", "file", {"sockets": at_socket(OTHER)}, Expectation()),
    ("socket", "unseen", {"sockets": at_socket(UNKNOWN)}, Expectation()),
    ("health", "wrong", {"health": {"web": HealthAnswer(False, "HTTP 500", 500, 0.1)}}, Expectation()),
    ("health", "another", {"health": {"web": FAR}}, Expectation()),
    ("health", "another", {"health": {"web": NEAR}, "holders": {8001: [STRANGER, OWN]}}, Expectation()),
    ("health", "not_asked", {"health": {}}, Expectation()),
    ("ready", "not_ready", {"health": {"worker": DRAINED}}, Expectation()),
    ("ready", "lost", {"health": {"worker": DRAINED}}, Expectation(started=["worker"])),
    ("ready", "not_asked", {"health": {}}, Expectation()),
    ("reached", "unreachable", {"databases": {"redis": LOST}}, Expectation()),
    ("database", "wrong", {"databases": {"redis": REFUSED}}, Expectation()),
    ("logs", "critical", {"logs": {"web": LogSeen(["CRITICAL no"])}}, Expectation()),
    ("logs", "gap", {"logs": {"web": LogSeen(gaps=["it is gone"])}}, Expectation()),
    ("logs", "unfit", {"logs": {"web": LogSeen(unfit=("/opt/app/logs/web.log", "it is a link"))}}, Expectation()),
    ("logs", "in_use", {"logs": {"worker": LogSeen(in_use=["Address already in use"])}}, Expectation()),
    ("logs", "earlier", {"logs": {"web": LogSeen(["CRITICAL no"], earlier=True)}}, Expectation()),
    ("removed", "taken", {}, Expectation(freed={"old": [listener("orphan", "old")]})),
    ("orphans", "left_over", {"orphans": [process(99)]}, Expectation()),
    ("timer", "failed", {}, Expectation(timers=[{**TIMER, "failed": True}])),
    ("timer", "late", {}, Expectation(timers=[{**TIMER, "late": True}])),
    ("steps", "missing", {}, Expectation(unfinished=["nothing starts the stack after a boot"])),
)
STOP_FAILING: t.Sequence[t.Tuple[str, str, t.Mapping[str, t.Any]]] = (
    ("stopped", "alive", {}),
    ("orphans", "left_over", {"orphans": [process(99)]}),
    ("port", "taken", {"holders": {8001: [listener("unknown", None)]}}),
)


STOP_BY_NAME_FAILING: t.Sequence[t.Tuple[str, str, t.Mapping[str, t.Any]]] = (
    ("stopped", "alive", {}),
    ("stopped", "unseen", {"supervisord": None}),
    ("orphans", "left_over", {"orphans": [process(99)]}),
    ("port", "taken", {"holders": {8001: [listener("unknown", None)]}}),
)


def failed(kinds: t.Sequence[CheckKind], case: Case) -> t.Set[t.Tuple[str, str]]:
    return {(check.kind.name, check.proof.code) for check in judge(kinds, case) if not check.ok}


def test_a_stack_that_is_well_holds_every_check_in_the_order_of_the_table(stack: Stack) -> None:
    lives = {name: (one.pid, one.born) for name, one in PROGRAMS.items()}
    before = {"web": (1, 1)}
    expected = Expectation(before=before, first=lives, freed={"old": [listener("foreign", None)]}, unfinished=())
    logs = {name: LogSeen() for name in PROGRAMS}

    checks = judge(CHECKS, Case(stack, seen(logs=logs), expected))

    assert all(check.ok for check in checks)
    assert [(check.kind.name, check.subject) for check in checks] == [
        *[(name, "test") for name in ("files", "dependencies", "supervisord", "user", "config")],
        *[(name, "web") for name in ("running", "stable", "restarted", "release", "port", "health")],
        *[(name, "worker") for name in ("running", "stable", "release", "socket", "ready")],
        *[(name, "redis of worker") for name in ("reached", "database")],
        *[("logs", name) for name in ("web", "worker")],
        ("removed", "old"),
        ("orphans", "test"),
        ("steps", "test"),
    ]
    assert result_of(checks) == "ok"


@pytest.mark.parametrize(
    ("restart", "status", "advised"),
    [("never", 0, True), ("unexpected", 0, True), ("always", 0, False), ("never", 1, False)],
)
def test_a_service_that_has_ended_well_may_be_meant_as_a_oneshot(restart: str, status: int, advised: bool) -> None:
    data = {**MANIFEST, "services": {"web": {"command": ["/x"], "restart": restart}}, "checks": {}}
    ended = check_manifest(data).stack
    assert ended is not None
    gone = {"web": program("web", 0, "EXITED", status)}

    checks = judge(CHECKS, Case(ended, seen(programs=gone, holders={}, health={}, databases={}), Expectation()))

    (running,) = [check for check in checks if check.kind.name == "running"]
    assert running.proof.code == "down"
    assert ("kind: oneshot" in running.proof.evidence) == advised


@pytest.mark.parametrize(("name", "code", "other", "expected"), FAILING)
def test_a_check_fails_with_the_code_of_what_is_wrong(
    stack: Stack, name: str, code: str, other: t.Mapping[str, t.Any], expected: Expectation
) -> None:
    assert (name, code) in failed(CHECKS, Case(stack, seen(**other), expected))


def test_a_stranger_on_a_socket_is_told_once_and_its_answer_refers_to_that() -> None:
    service = {"command": ["/x"], "socket": SOCKET, "health": {"http": "/"}}
    asked = check_manifest({**MANIFEST, "services": {"web": service}, "checks": {}}).stack
    assert asked is not None
    answered = {"web": HealthAnswer(True, "200 in 1 ms", 200, 0.1)}
    checks = judge(CHECKS, Case(asked, seen(sockets=at_socket(LISTENED, STRANGER), health=answered), Expectation()))
    proofs = {check.kind.name: check.proof for check in checks if not check.ok}
    assert "is listened to by pid 9" in proofs["socket"].evidence
    assert proofs["health"].code == "another"
    assert "pid 9" not in proofs["health"].evidence
    assert proofs["health"].next == proofs["socket"].next


def test_a_service_that_has_ended_and_is_not_noticed_yet_is_told_with_what_its_log_says(stack: Stack) -> None:
    ended = seen(halted={"web": Halted(11, "Z")}, logs={"web": LogSeen(tail="the key is refused")})
    proof = next(check.proof for check in judge(CHECKS, Case(stack, ended)) if check.kind.name == "running")
    assert "pid 11 has ended" in proof.evidence
    assert "the key is refused" in proof.evidence
    assert (proof.code, (proof.next or "").split()[0]) == ("halted", "rollcall")


@pytest.mark.parametrize(("name", "code", "other"), STOP_FAILING)
def test_a_check_of_a_stop_fails_with_the_code_of_what_is_left(
    stack: Stack, name: str, code: str, other: t.Mapping[str, t.Any]
) -> None:
    assert (name, code) in failed(STOP_CHECKS, Case(stack, seen(**other)))


@pytest.mark.parametrize(("name", "code", "other"), STOP_BY_NAME_FAILING)
def test_a_check_of_a_stop_by_name_fails_with_the_code_of_what_is_left(
    stack: Stack, name: str, code: str, other: t.Mapping[str, t.Any]
) -> None:
    assert (name, code) in failed(STOP_BY_NAME_CHECKS, Case(stack, seen(**other)))


def test_a_stop_that_left_nothing_holds(stack: Stack) -> None:
    checks = judge(STOP_CHECKS, Case(stack, Observation()))
    assert [check.kind.name for check in checks] == ["stopped", "orphans"]
    assert all(check.ok for check in checks)


def test_the_tables_name_every_code_once_and_no_other() -> None:
    assert {(kind.name, code) for kind in CHECKS for code in kind.codes} == {row[:2] for row in FAILING}
    assert {(kind.name, code) for kind in STOP_CHECKS for code in kind.codes} == {row[:2] for row in STOP_FAILING}
    by_name = {(kind.name, code) for kind in STOP_BY_NAME_CHECKS for code in kind.codes}
    assert by_name == {row[:2] for row in STOP_BY_NAME_FAILING}


def test_every_condition_is_proved_by_a_check_that_belongs_to_a_step() -> None:
    assert {kind.condition for kind in CHECKS} - {0} == set(CONDITIONS)
    assert {kind.step for kind in (*CHECKS, *STOP_CHECKS)} <= set(range(1, len(STEPS) + 1))
    assert len({kind.name for kind in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize(
    ("held", "programs", "result"),
    [
        ({"worker": "it needs a file"}, {"web": PROGRAMS["web"]}, "held"),
        ({"worker": "it needs a file"}, {}, "degraded"),
        ({"worker": "it needs a file"}, PROGRAMS, "ok"),
    ],
)
def test_a_service_that_waits_is_held_and_whatever_else_fails_makes_it_degraded(
    stack: Stack, held: t.Mapping[str, str], programs: t.Mapping[str, ProgramState], result: str
) -> None:
    assert result_of(judge(CHECKS, Case(stack, seen(programs=programs), Expectation(held=held)))) == result


@pytest.mark.parametrize(
    ("other", "cure"),
    [({}, cures.FULL), ({"supervisord": None, "supervisords": [], "silence": RollcallError("gone")}, cures.START)],
)
def test_who_ends_left_over_processes_starts_a_supervisord_that_is_gone(
    stack: Stack, other: t.Mapping[str, t.Any], cure: str
) -> None:
    checks = judge(CHECKS, Case(stack, seen(orphans=[process(99)], **other), Expectation()))
    (found,) = [check for check in checks if check.kind.name == "orphans"]
    assert found.proof.next == cure
    assert found.proof.evidence.startswith("1 process of this stack still runs, ")


def test_the_database_of_a_held_service_is_not_judged(stack: Stack) -> None:
    case = Case(stack, seen(programs={}, databases={"redis": LOST}), Expectation(held={"worker": "it needs a file"}))
    assert not {"reached", "database"} & {check.kind.name for check in judge(CHECKS, case)}
