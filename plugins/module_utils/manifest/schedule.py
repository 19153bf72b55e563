# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""When a job of a timer runs: the five fields of cron, and a time between two starts. Pure; times are local ones.

A timer of systemd is written of these, and the next time of a job is worked out of the same.
"""

from __future__ import annotations

import datetime
import re
import time
import typing as t

from .model import Service

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# As systemd calls the days, by the numbers that cron has for them.
_DAYS_OF_SYSTEMD = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_NUMBER = re.compile(r"[0-9]{1,2}\Z")
# A 29 February that is also a certain day of the week comes back within so many years.
_YEARS = 41
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(?:[0-9]{1,9}[dhms])+\Z")


class _Field(t.NamedTuple):
    """One of the five: what it is called, its numbers, and the names of the first ones."""

    called: str
    low: int
    high: int
    names: t.Tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _DAYS),
)


class Cron(t.NamedTuple):
    """When a job runs.

    Attributes:
        minutes: of the hour.
        hours: of the day.
        days: of the month.
        months: 1 to 12.
        weekdays: 0 to 6, from Sunday on.
        either: whether a day of ``days`` or one of ``weekdays`` is enough, as cron has it where both are given.
    """

    minutes: t.FrozenSet[int]
    hours: t.FrozenSet[int]
    days: t.FrozenSet[int]
    months: t.FrozenSet[int]
    weekdays: t.FrozenSet[int]
    either: bool

    def on(self, day: datetime.date) -> bool:
        """Return whether it runs on a day."""
        if day.month not in self.months:
            return False
        found = (day.day in self.days, day.isoweekday() % 7 in self.weekdays)
        return any(found) if self.either else all(found)

    def after(self, moment: datetime.datetime) -> t.Optional[datetime.datetime]:
        """Return the first minute after a moment at which it runs; None when that never comes."""
        first = moment.replace(second=0, microsecond=0) + datetime.timedelta(minutes=1)
        for number in range(_YEARS * 366):
            day = first.date() + datetime.timedelta(days=number)
            if not self.on(day):
                continue
            begin = (first.hour, first.minute) if number == 0 else (0, 0)
            for hour in sorted(self.hours):
                for minute in sorted(self.minutes):
                    if (hour, minute) >= begin:
                        return datetime.datetime(day.year, day.month, day.day, hour, minute)
        return None

    def calendar(self) -> t.List[str]:
        """Return it as systemd.time(7) writes it, one text or two, of which either is enough."""
        days = "*" if len(self.days) == 31 else _listed(self.days)
        months = "*" if len(self.months) == 12 else _listed(self.months)
        clock = f"{'*' if len(self.hours) == 24 else _listed(self.hours)}:{_listed(self.minutes)}:00"
        week = "" if len(self.weekdays) == 7 else f"{','.join(_DAYS_OF_SYSTEMD[day] for day in sorted(self.weekdays))} "
        if self.either:
            return [f"*-{months}-{days} {clock}", f"{week}*-{months}-* {clock}"]
        return [f"{week}*-{months}-{days} {clock}"]


def _listed(numbers: t.Iterable[int]) -> str:
    return ",".join(f"{number:02d}" for number in sorted(numbers))


def parse_cron(text: str) -> t.Tuple[t.Optional[Cron], t.List[str]]:
    """Return what five fields of cron say, None when they say nothing, and every problem as a sentence's predicate."""
    words = text.split()
    if len(words) != len(_FIELDS):
        return None, [f"has {len(words)} fields, and a time of cron has {len(_FIELDS)}"]
    problems: t.List[str] = []
    read = [_numbers(field, word, problems) for field, word in zip(_FIELDS, words)]
    if problems:
        return None, problems
    minutes, hours, days, months, weekdays = read
    cron = Cron(
        minutes,
        hours,
        days,
        months,
        frozenset(day % 7 for day in weekdays),
        not words[2].startswith("*") and not words[4].startswith("*"),
    )
    # A leap year, so that its 29 February counts.
    if cron.after(datetime.datetime(2024, 1, 1)) is None:
        return None, ["is a day that never comes"]
    return cron, []


def _numbers(field: _Field, word: str, problems: t.List[str]) -> t.FrozenSet[int]:
    """Return the numbers that a field means; adds every problem of it."""
    found: t.Set[int] = set()
    for part in word.split(","):
        span, slash, step_text = part.partition("/")
        step = _whole(step_text) if slash else 1
        low, high = _ends(field, span, bool(slash))
        if step is None or low is None or high is None:
            problems.append(f"has a {field.called} that cannot be read: {part[:20]!r}")
        elif not (field.low <= low <= field.high and field.low <= high <= field.high):
            problems.append(f"has a {field.called} that is not from {field.low} to {field.high}: {part[:20]!r}")
        elif low > high or step < 1:
            problems.append(f"has a {field.called} that means nothing: {part[:20]!r}")
        else:
            found.update(range(low, high + 1, step))
    return frozenset(found)


def _ends(field: _Field, span: str, stepped: bool) -> t.Tuple[t.Optional[int], t.Optional[int]]:
    """Return the first and the last number of a part of a field; None for one that cannot be read."""
    if span == "*":
        # Day 7 is day 0 once more.
        return field.low, field.high - (field.high == 7)
    first, dash, last = span.partition("-")
    low = _named(field, first)
    if dash:
        return low, _named(field, last)
    return low, field.high if stepped else low


def _named(field: _Field, word: str) -> t.Optional[int]:
    if word.lower() in field.names:
        return field.names.index(word.lower()) + field.low
    return _whole(word)


def _whole(word: str) -> t.Optional[int]:
    return int(word) if _NUMBER.match(word) else None


def parse_duration(text: str) -> t.Optional[int]:
    """Return the seconds of a text such as ``15m`` or ``1h30m``; None when it is no such text."""
    if not _DURATION.match(text):
        return None
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([dhms])", text))


def shown_duration(seconds: float) -> str:
    """Return seconds as a text that `parse_duration` reads, such as ``1h30m``."""
    rest, told = int(seconds), ""
    for unit, size in sorted(_UNITS.items(), key=lambda item: -item[1]):
        number, rest = divmod(rest, size)
        told += f"{number}{unit}" if number else ""
    return told or "0s"


def schedule_of(timer: Service) -> str:
    """Return when a job runs, for people: ``every 15m``, or its five fields."""
    return f"every {shown_duration(timer.every)}" if timer.every else timer.cron


def next_time(timer: Service, last: float) -> float:
    """Return when a job is to start next.

    Args:
        timer: checked.
        last: when it started the last time, in seconds since the epoch; or when the timer itself began.
    """
    if timer.every:
        return last + timer.every
    cron, problems = parse_cron(timer.cron)
    moment = None if cron is None else cron.after(datetime.datetime.fromtimestamp(last))
    if moment is None:
        raise ValueError(f"{timer.name}: {'; '.join(problems)}")
    return time.mktime(moment.timetuple())


def timer_lines(timer: Service) -> t.List[str]:
    """Return the lines of systemd.timer(5) that say when a job runs."""
    if timer.every:
        seconds = f"{timer.every:g}s"
        return [f"OnActiveSec={seconds}", f"OnUnitActiveSec={seconds}"]
    cron, problems = parse_cron(timer.cron)
    if cron is None:
        raise ValueError(f"{timer.name}: {'; '.join(problems)}")
    # What was missed while the host was down is made up for, once.
    return [*(f"OnCalendar={calendar}" for calendar in cron.calendar()), "Persistent=true"]
