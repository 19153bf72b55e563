# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The checks ``config`` and ``lives``: by what supervisord runs the services, and how long they last. Pure."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.text import readable_time
from ..manifest.model import Service, Stack
from ..state.lives import Exit
from .judge import Case, Proof
from .lives import STEADY
from .observation import dying_text

MINUTE = 60.0
# An exit longer ago than this is told with its date.
HALF_A_DAY = 43_200.0


def judge_lives(case: Case, service: Service) -> t.Optional[Proof]:
    """Judge the lives before the present one; where it does not run, the check `running` has failed."""
    program, stands = case.program(service), case.seen.standing(service)
    if program is None or stands is None:
        return None
    if not stands.counted:
        return Proof("it has not ended by itself within 24 hours")
    last = stands.counted[-1]
    ended = f"it ended by itself {_times(len(stands.counted))} within 24 hours, last at {described_exit(last)}"
    until = case.seen.at + stands.asks - program.age
    data = {
        "exits": len(stands.counted),
        "last": last.at,
        "exit_code": last.code,
        "signal": last.signal or None,
        "lived": None if last.lived is None else round(last.lived, 1),
        "asks": round(stands.asks, 1),
        "until": round(until, 1),
    }
    if stands.word == STEADY:
        return Proof(f"{ended}; its present life is longer than that asks for", data=data)
    evidence = (
        f"{ended}. It has lived for {program.age:.1f} s since, and must live for more than {stands.asks:.0f} s: look "
        f"again at {readable_time(until)[11:]}"
    )
    return Proof(case.with_tail(evidence, service), stands.word, cures.logs(service.name), data)


def judge_workers(case: Case, service: Service) -> t.Optional[Proof]:
    """Judge the children of a service that runs; where none of them dies there is nothing to tell."""
    found = case.seen.dying.get(service.name)
    if found is None or case.program(service) is None:
        return None
    evidence = case.with_tail(dying_text(found), service)
    data = {"parent": found.parent, "ends": found.ends}
    return Proof(evidence, "dying", cures.logs(service.name), data)


def how_it_ended(case: Case, service: Service) -> str:
    """Return how often a service that does not run has ended by itself, since when, and how for the last time.

    It follows the word for its state: a service that keeps ending reads STARTING at some moments, and that is no cause.
    """
    stands = case.seen.standing(service)
    if stands is None or not stands.counted:
        return ""
    first, last = stands.counted[0], stands.counted[-1]
    how = f"with exit code {last.code}" if last.code is not None else f"by {last.signal}" if last.signal else "unseen"
    when = readable_time(last.at)[0 if case.seen.at - last.at > HALF_A_DAY else 11 :]
    if len(stands.counted) == 1:
        return f", ended once, {how} at {when}"
    span = case.seen.at - (first.at - (first.lived or 0.0))
    within = f"{span:.0f} s" if span < 2 * MINUTE else f"{span / MINUTE:.0f} min"
    return f", ended {len(stands.counted)} times in {within}, last {how} at {when}"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def described_exit(one: Exit) -> str:
    """Return when and how a life ended."""
    lived = "" if one.lived is None else f" after {one.lived:.1f} s"
    how = f"exit code {one.code}" if one.code is not None else one.signal or "nobody saw how: it has another process"
    return f"{readable_time(one.at)} ({how}{lived})"


def judge_config(case: Case, _stack: Stack) -> t.Optional[Proof]:
    if case.seen.supervisord is None:
        return None
    altered, edited = case.seen.altered, case.seen.edited
    if not altered and not edited:
        return Proof("supervisord runs every program by the installed config")
    lines = [*edited, *(f"{name}: {why}" for name, why in altered.items())]
    return Proof("\n".join(lines), "differs", cures.INSTALL, {"programs": dict(altered)})
