# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the record of lives by the log and by the processes that there are now."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lives import (
    NOBODY,
    Book,
    Exit,
    Lives,
    followed,
    forgiven,
    started_anew,
    with_revisions,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import ProgramState
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.life_log import LifeEvent

NOW = 1000.0
DAEMON = (10, 1)


def program(pid: int, age: float = 5.0) -> ProgramState:
    return ProgramState("web", "RUNNING", pid, 0, 0, 0, 0, "", "", born=pid * 10, age=age)


def born(pid: int, at: float) -> LifeEvent:
    return LifeEvent(at, "born", "web", pid)


def exited(at: float, code: int = 1) -> LifeEvent:
    return LifeEvent(at, "exited", "web", code=code)


def stopped(at: float) -> LifeEvent:
    return LifeEvent(at, "stopped", "web", signal="SIGTERM")


def lives_after(
    before: t.Optional[Lives], events: t.Sequence[LifeEvent], now: t.Optional[ProgramState], *, daemon: t.Any = DAEMON
) -> Lives:
    book = Book(DAEMON, (1, 1), {} if before is None else {"web": before})
    found = followed(book, events, (1, 9), {"web": now}, daemon, NOW)
    assert found.mark == (1, 9)
    return found.lives["web"]


FIRST = Lives("r1", life=(7, 70), since=900.0)


def test_every_exit_of_the_log_is_one_with_its_life() -> None:
    events = [exited(904), born(8, 905), exited(909.5, 2), born(9, 910)]
    found = lives_after(FIRST, events, program(9, 90))
    assert found.exits == (Exit(904, 4.0, 1), Exit(909.5, 4.5, 2))
    assert (found.life, found.since) == ((9, 90), 910)


@pytest.mark.parametrize(
    "events",
    [
        [stopped(950), born(8, 951)],
        # supervisord was told to end, and others heard of it first.
        [LifeEvent(950, "leaving"), exited(951), LifeEvent(960, "started"), born(8, 961)],
        [LifeEvent(960, "started"), born(8, 961)],
    ],
)
def test_an_order_is_no_exit(events: t.Sequence[LifeEvent]) -> None:
    assert lives_after(FIRST, events, program(8)).exits == ()


def test_after_a_new_supervisord_exits_count_again() -> None:
    events = [LifeEvent(950, "leaving"), LifeEvent(960, "started"), born(8, 961), exited(962), born(9, 963)]
    assert lives_after(FIRST, events, program(9)).exits == (Exit(962, 1.0, 1),)


def test_another_process_that_nobody_speaks_of_is_an_exit_that_nobody_saw() -> None:
    assert lives_after(FIRST, [], program(8, 3.0)).exits == (Exit(NOW - 3.0),)
    # Also where the pid is used again.
    assert lives_after(FIRST, [], program(7)._replace(born=71)).exits == (Exit(NOW - 5.0),)
    # A cut log: it begins after the birth of the process that lives.
    assert lives_after(FIRST, [exited(950), born(9, 951)], program(11)).exits == (Exit(950, 50.0, 1), Exit(995))


def test_the_same_process_is_no_exit_whatever_the_log_has_lost() -> None:
    assert lives_after(FIRST, [], program(7)).exits == ()
    assert lives_after(FIRST, [], None).exits == ()


def test_a_log_that_is_younger_than_the_look_accuses_nobody() -> None:
    found = lives_after(FIRST, [born(8, 950), exited(999.9), born(9, 999.95)], program(8))
    assert [one.lived for one in found.exits] == [pytest.approx(49.9)]


def test_another_supervisord_explains_another_process() -> None:
    assert lives_after(FIRST, [], program(8), daemon=(11, 2)).exits == ()


def test_without_a_record_only_what_follows_the_last_order_counts() -> None:
    events = [born(5, 1), exited(3), born(6, 4), stopped(90), born(8, 91), exited(99), born(9, 100)]
    assert lives_after(None, events, program(9, NOW - 100)).exits == (Exit(99, 8.0, 1),)


def test_a_wall_clock_that_was_set_back_makes_no_life_shorter_than_nothing() -> None:
    assert lives_after(FIRST, [exited(100)], None).exits == (Exit(100, 0.0, 1),)


@pytest.mark.parametrize("ahead", [3600.0, -9 * 3600.0, 19_800.0])
def test_a_log_in_another_time_zone_is_read_by_what_the_kernel_says_of_a_birth(ahead: float) -> None:
    events = [exited(950 + ahead), born(8, 951.25 + ahead)]
    assert lives_after(FIRST, events, program(8, 49)).exits == (Exit(950, 50.0, 1),)


@pytest.mark.parametrize(
    ("end", "counts"),
    [
        (LifeEvent(950, "exited", "web", signal="SIGTERM"), False),
        (LifeEvent(950, "exited", "web", code=0, expected=True), False),
        (LifeEvent(950, "exited", "web", code=143), False),
        # A crash that supervisord is ended for, as some do, stays one.
        (LifeEvent(950, "exited", "web", signal="SIGSEGV"), True),
        (exited(950), True),
        (LifeEvent(940, "exited", "web", signal="SIGTERM"), True),
    ],
)
def test_what_was_told_to_end_together_with_supervisord_has_not_ended_by_itself(end: LifeEvent, counts: bool) -> None:
    events = [end, LifeEvent(950.5, "leaving", signal="SIGTERM"), LifeEvent(960, "started"), born(8, 961)]
    assert bool(lives_after(FIRST, events, program(8, 39)).exits) is counts


def test_a_supervisord_that_starts_a_program_has_not_left() -> None:
    events = [LifeEvent(940, "leaving", signal="SIGTERM"), born(7, 941), exited(950), born(8, 951)]
    assert lives_after(FIRST, events, program(8, 49)).exits == (Exit(950, 9.0, 1),)


def test_another_supervisord_that_logs_no_birth_at_all_is_silent() -> None:
    book, other = Book(DAEMON, (1, 1), {"web": FIRST}), (11, 2)

    def silent(book: Book, events: t.Sequence[LifeEvent], daemon: t.Any) -> bool:
        return followed(book, events, (1, 9), {"web": program(8, 39)}, daemon, NOW).silent

    assert not silent(book, [], DAEMON)
    assert not silent(book, [LifeEvent(960, "started")], other)
    assert not silent(book, [born(8, 961)], other)
    assert not silent(Book(), [], other)
    found = followed(book, [stopped(950)], (1, 9), {"web": program(8, 39)}, other, NOW)
    assert found.silent
    # It stays so, until there is another one.
    assert silent(found, [], other)
    assert silent(found, [], NOBODY)
    assert not silent(found, [LifeEvent(970, "started")], (12, 3))


def test_a_restart_keeps_the_past_of_the_same_revision_alone() -> None:
    book = Book(DAEMON, (1, 1), {"web": FIRST._replace(exits=(Exit(5, 1.0, 1),)), "old": Lives("r1", (Exit(1),))})
    found = started_anew(book, {"web": "r1", "old": "r2", "new": "r1"}).lives
    assert found["web"] == FIRST._replace(exits=(Exit(5, 1.0, 1),), life=NOBODY, since=0.0)
    assert found["old"] == Lives("r2")
    assert found["new"] == Lives("r1")


def test_what_is_forgiven_and_what_has_a_revision() -> None:
    book = Book(DAEMON, (1, 1), {"web": FIRST._replace(exits=(Exit(5),), earlier=3), "two": Lives(exits=(Exit(5),))})
    assert forgiven(book).lives == {"web": FIRST, "two": Lives()}
    assert with_revisions(book, {"web": "r9", "two": "r2"}).lives == {
        "web": book.lives["web"],
        "two": Lives("r2", (Exit(5),)),
    }
