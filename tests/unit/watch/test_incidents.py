# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a watcher makes of its looks: which causes there are, what is told of them and when, what it starts again."""

from __future__ import annotations

import collections
import functools
import typing as t

import hypothesis
import pytest
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import readable_time
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch import restarts
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch.incidents import (
    REMEMBERED,
    StackPlace,
    begin,
    next_state,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch.symptoms import (
    DISK_FULL,
    Sight,
    Space,
    symptoms,
)
from tests.support.documents import validated
from tests.support.manifests import a_manifest, a_service, checked
from tests.support.reports import failed, row, status_report

PLACE = StackPlace("trading", "web1", "/opt/trading")
URL = "postgresql://127.0.0.1:5432/main"
SERVICES = {
    "pg": a_service(port=8032),
    "api": a_service(port=8001, env={"DATABASE_URL": URL}, depends_on={"pg": "running"}),
    "web": a_service(port=8002, env={"DB": URL}, depends_on=["api"]),
    "mailer": a_service(env={"OTHER": "x"}),
}
CHECKS = {"database": {"postgresql": {"service": "api"}}}
NAMES = tuple(SERVICES)
DOWN = failed("running", "web", "FATAL: Exited too quickly", "rollcall logs web", code="down", state="FATAL")
ILL = failed("health", "web", "no answer within 2 s", "curl x", code="wrong", status=0)


@functools.cache
def a_stack(**watch: t.Any) -> Stack:
    return checked(a_manifest(SERVICES, checks=CHECKS, watch={"grace": 0, **watch}))


def seen(*checks: t.Any, **other: t.Any) -> Sight:
    """Return a look that saw these checks fail; keys of a report among ``other`` go into it."""
    own = {key: other.pop(key) for key in list(other) if key in Sight._fields}
    return Sight(report=status_report(checks, names=NAMES, **other), boot="b", booted=1.0, **own)


def down(name: str) -> t.Any:
    return failed("running", name, "FATAL: Exited too quickly", f"rollcall logs {name}", code="down", state="FATAL")


def watched(stack: Stack, sights: t.Sequence[Sight], *, state: t.Any = None, at: float = 100_000.0) -> t.Any:
    """Return the memory after these looks, one an interval, and what was told: (look, event, id)."""
    state = begin(15.0) if state is None else state
    told = []
    for number, sight in enumerate(sights):
        now = at + number * stack.watch.interval
        state, events = next_state(state, stack, sight, now, PLACE)
        told += [(number, event["event"], event["incident"]["id"]) for event in events]
    return validated(state, "WatchState"), told


# --- causes -------------------------------------------------------------------------------------------------------

REACHED = failed(
    "reached", "postgresql of api", "connection refused", "pg_isready", code="unreachable", kind="postgresql"
)
SILENT = failed("supervisord", "trading", "no supervisord runs over this stack", "rollcall start", code="silent")
UNKNOWN = [failed("running", name, "supervisord does not know it", None, code="unknown") for name in NAMES]
FULL = Space("/opt/trading", DISK_FULL, "/opt/trading: no inode is free", "df -h")


@pytest.mark.parametrize(
    ("sight", "causes"),
    [
        pytest.param(seen(down("web")), {"service:web": ["web"]}, id="one service"),
        pytest.param(
            seen(down("api"), ILL), {"service:api": ["api", "web"]}, id="what depends on a service waits for it"
        ),
        pytest.param(
            seen(REACHED, failed("health", "api", "500", None, code="wrong", status=500), ILL, down("mailer")),
            {"database:postgresql of api": ["api", "web"], "service:mailer": ["mailer"]},
            id="a database, and all that has its URL; a stranger to it stays alone",
        ),
        pytest.param(
            seen(SILENT, *UNKNOWN, failed("orphans", "trading", "1 process", None, code="left_over", pids=[1])),
            {"supervisord": list(NAMES)},
            id="without supervisord nothing else is told",
        ),
        pytest.param(seen(down("web"), REACHED, spaces=[FULL]), {"disk": list(NAMES)}, id="a full disk"),
        pytest.param(
            seen(SILENT, *UNKNOWN, spaces=[FULL], lost_logs=["/opt/trading/logs/web.log"]),
            {"disk": list(NAMES), "supervisord": list(NAMES)},
            id="a supervisord that is gone is a cause of its own",
        ),
        pytest.param(
            seen(
                failed("port", "web", "port 8002 is taken by pid 7 'nc'", "kill 7", port=8002), down("web"), down("api")
            ),
            {"service:web": ["web"], "service:api": ["api"]},
            id="a port that was stolen follows from nothing",
        ),
        pytest.param(Sight(hung=30.0), {"look": []}, id="a look that hangs"),
        pytest.param(
            Sight(error={"message": "no stack", "kind": "failed", "evidence": {}, "remedies": []}),
            {"look": []},
            id="a look that fails",
        ),
        pytest.param(
            seen(down("web"), run_at_work={"who": "ada", "verb": "x", "pid": 1, "since": "", "run": None, "start": 1}),
            {},
            id="a run is at work",
        ),
        pytest.param(
            seen(
                down("web"),
                run_at_work={"who": "ada", "verb": "x", "pid": 1, "since": "", "run": None, "start": 1},
                overdue="the run at work is stopped by a signal",
            ),
            {"run": []},
            id="a run that hangs",
        ),
        pytest.param(seen(unfinished_run={"run": "r1", "step": "stop"}), {"run": []}, id="a run whose owner is dead"),
        pytest.param(seen(SILENT, result="stopped"), {}, id="stopped on purpose"),
        pytest.param(seen(failed("held", "web", "it needs the file x", None, code="missing")), {}, id="held"),
    ],
)
def test_a_cause_swallows_what_follows_from_it(sight: Sight, causes: dict[str, list[str]]) -> None:
    state, told = watched(a_stack(degraded_after=1), [sight])

    assert {one["id"]: one["services"] for one in state["incidents"]} == causes
    assert [(event, scope) for _look, event, scope in told] == [("degraded", scope) for scope in causes]


def test_the_first_words_are_the_cause_and_how_many_wait() -> None:
    sight = seen(REACHED, failed("health", "api", "500", None, code="wrong", status=500), ILL)
    state, _told = watched(a_stack(), [sight])

    (incident,) = state["incidents"]
    assert incident["why"] == "database postgresql of api is down: connection refused (api, web affected)"
    assert incident["next"] == ["pg_isready"]


def test_a_service_that_is_started_again_and_again_is_no_service_that_starts() -> None:
    starting = failed("running", "web", "STARTING", None, code="down", state="STARTING")
    ended = row("web", 8002, uptime=3, last_exit={"at": 99_996.0, "lived": 4.0, "code": 1, "signal": None})
    fresh = row("web", 8002, uptime=3)

    assert symptoms(a_stack(), seen(starting, services=[fresh]), 100_000.0) == []
    assert [one.code for one in symptoms(a_stack(), seen(starting, services=[ended]), 100_000.0)] == ["down"]


def test_a_service_that_has_just_ended_does_not_hang() -> None:
    ended = failed("running", "web", "pid 7 has ended", None, code="halted", state="RUNNING", kernel="Z")
    stopped = failed("running", "web", "pid 7 is stopped", None, code="halted", state="RUNNING", kernel="T")

    assert [one.why for one in symptoms(a_stack(), seen(ended), 100_000.0)] == ["web is down: pid 7 has ended"]
    assert [one.why for one in symptoms(a_stack(), seen(stopped), 100_000.0)] == ["web hangs: pid 7 is stopped"]


@pytest.mark.parametrize(
    ("code", "data", "why"),
    [
        (
            "recovering",
            {"exits": 1, "exit_code": None, "signal": "SIGKILL"},
            "has ended by itself at {} (SIGKILL), and runs again",
        ),
        ("recovering", {"exits": 1, "exit_code": None, "signal": None}, "has ended by itself at {}, and runs again"),
        (
            "loop",
            {"exits": 20, "exit_code": 3, "signal": None},
            "keeps ending: 20 times within 24 hours, last at {} (exit code 3); it runs now",
        ),
    ],
)
def test_of_earlier_lives_the_end_is_told(code: str, data: dict[str, t.Any], why: str) -> None:
    last = 99_990.0
    check = failed("lives", "web", "it ended by itself once, look again later", None, code=code, last=last, **data)

    assert [one.why for one in symptoms(a_stack(), seen(check), 100_000.0)] == [
        f"web {why.format(readable_time(last))}"
    ]


# --- levels, grace, recovery --------------------------------------------------------------------------------------

BAD, GOOD = seen(DOWN), seen()


def test_an_incident_is_told_when_it_is_degraded_when_it_is_critical_and_when_it_is_over() -> None:
    _state, told = watched(a_stack(), [GOOD, *[BAD] * 8, *[GOOD] * 8])

    assert told == [(2, "degraded", "service:web"), (4, "critical", "service:web"), (10, "recovered", "service:web")]


def test_what_is_over_is_called_as_it_was_told() -> None:
    lives = failed("lives", "web", "it ended", None, code="recovering", exits=1, last=1.0, exit_code=1, signal=None)
    state, _told = watched(a_stack(), [BAD, BAD, seen(lives)])

    (incident,) = state["incidents"]
    assert (incident["told"], incident["why"].endswith("runs again")) == (
        "web is down: FATAL: Exited too quickly",
        True,
    )


def test_what_nobody_has_to_be_woken_for_is_never_critical() -> None:
    orphans = seen(failed("orphans", "trading", "1 process", None, code="left_over", pids=[1]))
    _state, told = watched(a_stack(), [orphans] * 20)

    assert [event for _look, event, _scope in told] == ["degraded"]


def test_a_cause_that_comes_to_light_later_takes_what_nobody_was_told() -> None:
    late = seen(REACHED, ILL)
    state, told = watched(a_stack(), [seen(ILL), late, late, seen(ILL), GOOD])

    assert told == [(2, "degraded", "database:postgresql of api"), (4, "recovered", "database:postgresql of api")]
    assert state["incidents"] == []


def test_nothing_is_counted_for_a_while_after_a_run_or_a_boot() -> None:
    stack = a_stack(grace=60)
    after_run = [seen(DOWN, run="r1", ended=100_000.0)] * 7
    after_boot = [seen(DOWN)._replace(booted=99_999.0)] * 7

    for sights in (after_run, after_boot):
        state, told = watched(stack, sights)
        assert [(look, event) for look, event, _scope in told] == [(5, "degraded")]
    state, _told = watched(stack, after_run[:2])
    assert (state["level"], state["incidents"]) == ("grace", [])


def test_a_run_that_ended_before_the_clock_was_set_back_has_its_grace_once() -> None:
    ahead = seen(DOWN, run="r1", ended=100_000.0 + 86_400)
    state, told = watched(a_stack(grace=60), [ahead] * 9)

    assert told == [(5, "degraded", "service:web"), (7, "critical", "service:web")]
    state, told = watched(a_stack(grace=60), [ahead._replace(run="r2")] * 4, state=state, at=100_200.0)
    assert (state["level"], told) == ("critical", []), "another run"
    assert state["grace_until"] == 100_260.0


def test_a_look_within_which_a_run_began_counts_nothing() -> None:
    """What the report saw before is as it was, and the rest is looked at while services stop."""
    torn = seen()._replace(lost_logs=["/opt/shop/logs/web.log"], locked=True)
    stack = a_stack(grace=0)
    _state, told = watched(stack, [torn] * 3)
    assert told == []
    _state, told = watched(stack, [torn._replace(locked=False)] * 3)
    assert [event for _look, event, _scope in told] == ["degraded"]


def test_a_look_that_fails_beside_a_run_counts_nothing_and_one_beside_a_run_that_hangs_does() -> None:
    broken = Sight(error=RollcallError("web.log: No such file or directory").as_dict(), locked=True)
    stack = a_stack(grace=0)
    assert watched(stack, [broken] * 3)[1] == []
    assert watched(stack, [broken._replace(locked=False)] * 3)[1] != []
    assert watched(stack, [broken._replace(overdue="it goes on for longer")] * 3)[1] != []


def test_a_look_that_hangs_makes_nothing_better_or_worse() -> None:
    _state, told = watched(a_stack(), [BAD, BAD, *[Sight(hung=20.0)] * 3, BAD, *[GOOD] * 3])

    assert told == [
        (1, "degraded", "service:web"),
        (3, "degraded", "look"),
        (6, "recovered", "look"),
        (7, "recovered", "service:web"),
    ]


def test_what_comes_back_has_to_be_well_for_longer_each_time_and_is_forgotten_after_an_hour() -> None:
    stack = a_stack()
    pattern = [BAD, BAD, GOOD, GOOD]
    state, told = watched(stack, pattern * 60)

    assert len([event for _look, event, _scope in told if event == "recovered"]) == 1, "told once that it is over"
    quiet, _told = watched(stack, [GOOD] * 300, state=state, at=200_000.0)
    assert (quiet["incidents"], quiet["seen_before"]) == ([], {})


LOOKS = {
    "good": GOOD,
    "web": BAD,
    "api": seen(down("api"), ILL),
    "database": seen(REACHED, ILL),
    "gone": seen(SILENT, *UNKNOWN),
    "full": seen(DOWN, spaces=[FULL]),
    "hung": Sight(hung=9.0),
    "run": seen(DOWN, run_at_work={"who": "a", "verb": "x", "pid": 1, "since": "", "run": None, "start": 1}),
}


@hypothesis.given(
    st.lists(st.sampled_from(sorted(LOOKS)), max_size=80), st.integers(1, 4), st.integers(0, 4), st.integers(0, 60)
)
def test_whatever_is_seen_an_incident_is_told_once_for_each_level(
    names: list[str], degraded: int, more: int, grace: int
) -> None:
    stack = a_stack(degraded_after=degraded, critical_after=degraded + more, grace=grace)
    state = begin(15.0)
    open_now: dict[str, str] = {}
    for number, name in enumerate(names):
        now = 100_000.0 + 15 * number
        state, events = next_state(state, stack, LOOKS[name], now, PLACE)
        assert now >= state["grace_until"] or not events, "nothing is told in the time of grace"
        counted = collections.Counter((event["event"], event["incident"]["id"]) for event in events)
        assert not counted or max(counted.values()) == 1
        for event in events:
            scope, kind = event["incident"]["id"], event["event"]
            before = open_now.get(scope, "")
            assert (before, kind) in {
                *(("", "degraded"), ("", "critical"), ("degraded", "critical")),
                *(("degraded", "recovered"), ("critical", "recovered")),
            }
            open_now[scope] = "" if kind == "recovered" else kind
        told = {one["id"]: one["level"] for one in state["incidents"] if one["level"] != "noticed"}
        assert told == {scope: level for scope, level in open_now.items() if level}
        assert len({one["id"] for one in state["incidents"]}) == len(state["incidents"])


@hypothesis.given(st.lists(st.booleans(), min_size=240, max_size=240))
def test_whatever_flaps_does_not_spam(bad: list[bool]) -> None:
    """An hour of looks: not more than a handful of mails."""
    _state, told = watched(a_stack(), [BAD if each else GOOD for each in bad])

    assert len(told) <= 3 * (240 * 15 / REMEMBERED + 5)


# --- starting again -----------------------------------------------------------------------------------------------


def to_start(stack: Stack, sight: Sight, looks: int = 2) -> t.Any:
    state, _told = watched(stack, [sight] * looks)
    found = restarts.next_start(stack, sight, state)
    return None if found is None else restarts.service_to_start(found)


WORK = {"who": "a", "verb": "x", "pid": 1, "since": "", "run": None, "start": 1}


@pytest.mark.parametrize(
    ("sight", "wanted"),
    [
        pytest.param(BAD, "web", id="a service that is down by itself"),
        pytest.param(seen(ILL), None, id="one that is ill"),
        pytest.param(seen(REACHED, DOWN), None, id="its database is down"),
        pytest.param(seen(down("api"), DOWN), "api", id="what the others wait for, and not they"),
        pytest.param(seen(DOWN, spaces=[FULL]), None, id="the disk is full"),
        pytest.param(seen(DOWN, run_at_work=WORK), None, id="a run is at work"),
        pytest.param(
            seen(failed("running", "web", "STOPPED", None, code="down", state="STOPPED")), None, id="supervisorctl stop"
        ),
        pytest.param(
            seen(failed("running", "web", "BACKOFF", None, code="down", state="BACKOFF")), None, id="supervisord tries"
        ),
    ],
)
def test_only_what_is_down_by_itself_is_started_again(sight: Sight, wanted: str | None) -> None:
    assert to_start(a_stack(restart=True), sight) == wanted
    assert to_start(a_stack(), sight) is None, "nobody has allowed it"
    assert to_start(a_stack(restart=True), sight, looks=1) is None, "one failed look is none"


def test_a_service_is_not_started_for_ever() -> None:
    stack = a_stack(restart=True)
    state, _told = watched(stack, [BAD, BAD])
    events: list[str] = []
    for _time in range(restarts.MOST):
        incident = restarts.next_start(stack, BAD, state)
        assert incident is not None
        state, told = restarts.settled(state, incident["id"], restarts.Attempt(False, False, "FAILED"), 1.0, PLACE)
        events += [event["event"] for event in told]
    incident = restarts.next_start(stack, BAD, state)
    assert incident is not None
    assert incident["restarts"] == restarts.MOST
    state, told = restarts.gave_up(state, incident["id"], "it is down again", 2.0, PLACE)
    assert [*events, *(event["event"] for event in told)] == ["restarted"] * restarts.MOST + ["gave_up"]
    assert restarts.next_start(stack, BAD, state) is None
    assert validated(state, "WatchState")["incidents"][0]["evidence"].startswith(
        "not started again any more: it is down"
    )


def test_a_budget_that_is_used_up_is_given_up_at_once_and_remembered_when_it_comes_back() -> None:
    stack = a_stack(restart=True)
    state, _told = watched(stack, [BAD, BAD])
    state, told = restarts.settled(state, "service:web", restarts.Attempt(False, True, "budget"), 1.0, PLACE)
    assert [event["event"] for event in told] == ["gave_up"]
    state, _told = watched(stack, [GOOD, GOOD, BAD, BAD], state=state, at=100_100.0)
    assert restarts.next_start(stack, BAD, state) is None
