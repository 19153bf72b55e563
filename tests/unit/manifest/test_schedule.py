# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a job runs: what cron's five fields and ``every`` mean, the next time, and what systemd is told."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest import schedule
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Service, Stack
from tests.support.manifests import a_manifest, a_service, checked, problems

MONDAY = datetime.datetime(2026, 11, 30, 20, 15, 30)


def listed(numbers: range) -> str:
    return ",".join(f"{number:02d}" for number in numbers)


def cron(text: str) -> schedule.Cron:
    found, wrong = schedule.parse_cron(text)
    assert wrong == []
    assert found is not None
    return found


def timer(**keys: Any) -> Service:
    (found,) = with_timer(**keys).timers
    return found


def with_timer(**keys: Any) -> Stack:
    return checked(a_manifest({"web": a_service(), "cleanup": a_service(kind="timer", **keys)}))


@pytest.mark.parametrize(
    ("text", "following", "calendar"),
    [
        ("* * * * *", "2026-11-30 20:16", [f"*-*-* *:{listed(range(60))}:00"]),
        ("0 3 * * *", "2026-12-01 03:00", ["*-*-* 03:00:00"]),
        ("*/15 * * * *", "2026-11-30 20:30", ["*-*-* *:00,15,30,45:00"]),
        ("15 20 * * *", "2026-12-01 20:15", ["*-*-* 20:15:00"]),
        ("16 20 * * *", "2026-11-30 20:16", ["*-*-* 20:16:00"]),
        ("0 3 * * 1-5", "2026-12-01 03:00", ["Mon,Tue,Wed,Thu,Fri *-*-* 03:00:00"]),
        ("0 3 * * 7", "2026-12-06 03:00", ["Sun *-*-* 03:00:00"]),
        ("0 3 * * sun,Sat", "2026-12-05 03:00", ["Sun,Sat *-*-* 03:00:00"]),
        ("30 4 1,15 * 5", "2026-12-01 04:30", ["*-*-01,15 04:30:00", "Fri *-*-* 04:30:00"]),
        ("0 0 */2 * 1", "2026-12-07 00:00", [f"Mon *-*-{listed(range(1, 32, 2))} 00:00:00"]),
        ("0 0 29 2 *", "2028-02-29 00:00", ["*-02-29 00:00:00"]),
        ("0 12 31 jan,Dec *", "2026-12-31 12:00", ["*-01,12-31 12:00:00"]),
        ("10-20/5 8/6 * * *", "2026-11-30 20:20", ["*-*-* 08,14,20:10,15,20:00"]),
        ("  5   6 * *   * ", "2026-12-01 06:05", ["*-*-* 06:05:00"]),
    ],
)
def test_five_fields_mean_what_cron_means(text: str, following: str, calendar: list[str]) -> None:
    found = cron(text)
    moment = found.after(MONDAY)
    assert moment is not None
    assert moment.isoformat(" ", "minutes") == following
    assert found.calendar() == calendar


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ["has 0 fields"]),
        ("0 3 * *", ["has 4 fields"]),
        ("0 3 * * * root", ["has 6 fields"]),
        ("60 24 0 13 8", ["minute", "hour", "day of the month", "month", "day of the week"]),
        ("x 3 * * y", ["minute", "day of the week"]),
        ("1,,2 3 * * *", ["minute"]),
        ("5-1 3 * * *", ["minute"]),
        ("*/0 3 * * *", ["minute"]),
        ("-1 3 * * *", ["minute"]),
        ("0 3 L * *", ["day of the month"]),
        ("0 3 * * mon#2", ["day of the week"]),
        ("@daily", ["has 1 fields"]),
        ("0 0 31 2,4 *", ["never comes"]),
    ],
)
def test_every_problem_of_the_fields_is_told(text: str, told: list[str]) -> None:
    found, wrong = schedule.parse_cron(text)
    assert found is None
    assert len(wrong) == len(told)
    assert all(words in reason for words, reason in zip(told, wrong))


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    spans = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    part = st.one_of(
        st.just("*"), number.map(str), spans, st.tuples(spans, st.integers(1, 20)).map("{0[0]}/{0[1]}".format)
    )
    return st.lists(part, min_size=1, max_size=3).map(",".join)


@settings(deadline=None)
@given(
    text=st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7)).map(" ".join),
    moment=st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2090, 1, 1)),
)
def test_the_next_time_is_the_first_minute_that_every_field_allows(text: str, moment: datetime.datetime) -> None:
    found = cron(text)
    following = found.after(moment)
    assert following is not None
    assert following > moment
    assert following.minute in found.minutes
    assert following.hour in found.hours
    assert found.on(following.date())
    # No minute of the hours before is one that they allow.
    minute = datetime.timedelta(minutes=1)
    between = [following - number * minute for number in range(1, 300)]
    earlier = [one for one in between if one > moment]
    assert not any(one.minute in found.minutes and one.hour in found.hours and found.on(one.date()) for one in earlier)


@given(st.integers(1, 366 * 86_400))
def test_a_time_is_read_as_it_is_told(seconds: int) -> None:
    assert schedule.parse_duration(schedule.shown_duration(seconds)) == seconds


def test_a_timer_is_none_of_the_services_and_does_without_their_defaults() -> None:
    services = {
        "web": a_service(port=8000, requires_env=[], stable_for=2),
        "cleanup": a_service(kind="timer", every="1h30m", env={"URL": "{port:web}"}, timeout=60, secrets={"KEY": "x"}),
    }
    defaults = {"restart": "always", "health": {"http": "/"}, "requires_env": ["NONE_GIVES_IT"], "stable_for": 0}
    stack = checked(a_manifest(services, defaults=defaults))
    (found,) = stack.timers
    assert [one.name for one in stack.services] == ["web"]
    assert (found.restart, found.health, found.requires_env, found.env) == ("never", None, (), {"URL": "8000"})
    assert (found.every, found.timeout, schedule.schedule_of(found)) == (5400, 60, "every 1h30m")
    assert Stack.from_dict(stack.to_dict()) == stack


def test_all_that_is_wrong_with_timers_is_told_at_once() -> None:
    services = {
        "web": a_service(depends_on=["cleanup"], cron="0 3 * * *"),
        "cleanup": a_service(kind="timer", port=8001, restart="never", every="1h", cron="0 3 * * *"),
        "poll": a_service(kind="timer"),
    }
    found = {problem.place.removeprefix("stack.services.") for problem in problems(a_manifest(services))}
    assert found == {
        *("web.depends_on.cleanup", "web.cron", "cleanup.port", "cleanup.restart", "cleanup.cron", "poll"),
    }
    (alone,) = problems(a_manifest({"cleanup": a_service(kind="timer", every="1h")}))
    assert alone.place == "stack.services"


def test_systemd_is_told_the_same_as_the_manifest() -> None:
    assert schedule.timer_lines(timer(every="90s")) == ["OnActiveSec=90s", "OnUnitActiveSec=90s"]
    assert schedule.timer_lines(timer(cron="0 3 1 * mon")) == [
        "OnCalendar=*-*-01 03:00:00",
        "OnCalendar=Mon *-*-* 03:00:00",
        "Persistent=true",
    ]
    now = MONDAY.timestamp()
    assert schedule.next_time(timer(every="90s"), now) == now + 90
    assert schedule.next_time(timer(cron="0 3 * * *"), now) == datetime.datetime(2026, 12, 1, 3).timestamp()
