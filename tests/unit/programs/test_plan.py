# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided about programs of a supervisord, from what it says of them."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.programs.plan import (
    STATES,
    ProgramPlan,
    SupervisorFacts,
    WantedPrograms,
    plan_programs,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import ProgramConfig, ProgramState

EVERY_STATE = ("STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL")
DOWN = ("STOPPED", "EXITED", "FATAL")


def program(name: str, state: str = "RUNNING", *, age: float = 100) -> ProgramState:
    pid = 7 if state in ("RUNNING", "STARTING", "STOPPING") else 0
    return ProgramState(name, state, pid, 1000.0 - age, 0.0, 1000.0, 0, "", "")


def config(name: str, *, autostart: bool = True, priority: int = 999) -> ProgramConfig:
    return ProgramConfig(name, autostart, 1.0, 10.0, (999, priority))


def facts(**states: str) -> SupervisorFacts:
    """Return facts in which each program has a state; ``shop__worker`` is ``shop:worker``."""
    named = {name.replace("__", ":"): state for name, state in states.items()}
    return SupervisorFacts(
        {name: program(name, state) for name, state in named.items()}, {name: config(name) for name in named}
    )


def plan(state: str, *names: str, of: SupervisorFacts, **more: t.Any) -> ProgramPlan:
    return plan_programs(WantedPrograms(names, state, **more), of)


def refusal(state: str, *names: str, of: SupervisorFacts, **more: t.Any) -> RollcallError:
    with pytest.raises(RollcallError) as caught:
        plan(state, *names, of=of, **more)
    return caught.value


# --- one program, each state ------------------------------------------------------------------------------------------

# state -> stop, down, start, up, after
STARTED = {
    "STOPPED": (False, False, True, True, "RUNNING"),
    "EXITED": (False, False, True, True, "RUNNING"),
    "FATAL": (False, False, True, True, "RUNNING"),
    "STOPPING": (False, True, True, True, "RUNNING"),
    "BACKOFF": (True, True, True, True, "RUNNING"),
    "STARTING": (False, False, False, True, "STARTING"),
    "RUNNING": (False, False, False, False, "RUNNING"),
}
STOPPED = {
    "STOPPED": (False, False, False, False, "STOPPED"),
    "EXITED": (False, False, False, False, "EXITED"),
    "FATAL": (False, False, False, False, "FATAL"),
    "STOPPING": (False, True, False, False, "STOPPED"),
    "BACKOFF": (True, True, False, False, "STOPPED"),
    "STARTING": (True, True, False, False, "STOPPED"),
    "RUNNING": (True, True, False, False, "STOPPED"),
}
RESTARTED = {
    **dict.fromkeys(DOWN, (False, False, True, True, "RUNNING")),
    "STOPPING": (False, True, True, True, "RUNNING"),
    **dict.fromkeys(("BACKOFF", "STARTING", "RUNNING"), (True, True, True, True, "RUNNING")),
}


@pytest.mark.parametrize("state", EVERY_STATE)
@pytest.mark.parametrize(
    ("wanted", "table"),
    [("started", STARTED), ("stopped", STOPPED), ("restarted", RESTARTED)],
    ids=lambda one: str(one)[:9],
)
def test_each_state_leads_to_what_has_to_be_done(
    wanted: str, table: dict[str, tuple[bool, bool, bool, bool, str]], state: str
) -> None:
    made = plan(wanted, "web", of=facts(web=state))
    found = tuple(bool(orders) for orders in (made.stop, made.down, made.start, made.up))
    assert (*found, made.rows[0].after) == table[state]
    assert made.changed == bool(made.stop or made.start)
    assert (made.rows[0].action is not None) == made.changed


@pytest.mark.parametrize(("age", "watched"), [(0, True), (1, True), (2, False), (100, False)])
def test_a_process_that_is_younger_than_it_must_be_is_watched_and_left_alone(age: float, watched: bool) -> None:
    of = SupervisorFacts({"web": program("web", age=age)})
    made = plan("started", "web", of=of, stable_for=1.0)
    assert (made.up == ("web",), made.changed) == (watched, False)


@pytest.mark.parametrize(
    ("state", "action"), [("RUNNING", "restarted"), ("STOPPING", "restarted"), ("FATAL", "started")]
)
def test_a_restart_of_what_was_down_is_called_a_start(state: str, action: str) -> None:
    assert plan("restarted", "web", of=facts(web=state)).rows[0].action == action


# --- who is meant -----------------------------------------------------------------------------------------------------

STACK = facts(web="STOPPED", shop__a="STOPPED", shop__b="STOPPED", mixed="STOPPED", mixed__other="STOPPED")


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (["web"], {"web"}),
        (["web:web"], {"web"}),
        (["web:*"], {"web"}),
        (["shop:a"], {"shop:a"}),
        (["shop"], {"shop:a", "shop:b"}),
        (["shop:"], {"shop:a", "shop:b"}),
        (["shop:*"], {"shop:a", "shop:b"}),
        (["mixed"], {"mixed", "mixed:other"}),
        (["mixed:mixed"], {"mixed"}),
        (["mixed:other", "web", "web"], {"mixed:other", "web"}),
        (["all"], set(STACK.programs)),
        (["all", "web"], set(STACK.programs)),
        ([], set()),
    ],
)
def test_a_name_means_a_program_a_member_a_group_or_all(names: list[str], meant: set[str]) -> None:
    made = plan("started", *names, of=STACK)
    assert set(made.start) == meant
    assert len(made.start) == len(meant), "each once"


def test_all_of_a_supervisord_without_programs_is_nothing() -> None:
    assert not plan("restarted", "all", of=SupervisorFacts({})).changed


def test_unknown_names_are_told_all_at_once_with_those_that_exist() -> None:
    error = refusal("started", "wbe", "web", "shop:c", "nobody:*", "a", of=STACK)
    assert error.kind == "wrong_use"
    assert error.evidence["problems"] == [
        "supervisord knows no program or group 'wbe' (did you mean web?)",
        "supervisord knows no program or group 'shop:c' (did you mean shop:b?)",
        "supervisord knows no program or group 'nobody:*'",
        "supervisord knows no program or group 'a'",
    ]
    assert error.evidence["known"] == ["mixed", "mixed:other", "shop", "shop:a", "shop:b", "web"]
    assert "It has mixed, mixed:other, shop" in error.message
    assert "state: present" in error.remedies[0]


def test_of_many_known_names_a_message_has_some_and_says_how_many_more() -> None:
    error = refusal("stopped", "x", of=facts(**{f"p{number:03}": "RUNNING" for number in range(50)}))
    assert error.message.count("p0") == 20
    assert "and 30 more" in error.message
    assert len(error.evidence["known"]) == 50


@pytest.mark.parametrize("wanted", ["started", "stopped", "restarted", "signalled", "absent"])
def test_a_program_that_supervisord_has_lost_is_refused_whatever_is_wanted(wanted: str) -> None:
    error = refusal(wanted, "all", of=facts(web="UNKNOWN", other="RUNNING"), signal="HUP")
    assert error.kind == "refused"
    assert "lost track of the process of web" in error.message


def test_a_lost_program_is_in_nobodys_way_who_did_not_ask_for_it() -> None:
    assert plan("stopped", "other", of=facts(web="UNKNOWN", other="RUNNING")).stop == ("other",)


# --- order ------------------------------------------------------------------------------------------------------------


def test_programs_start_by_priority_and_stop_the_other_way_round() -> None:
    of = SupervisorFacts(
        {name: program(name) for name in ("a", "b", "c")},
        {"a": config("a", priority=30), "b": config("b", priority=10), "c": config("c", priority=20)},
    )
    made = plan("restarted", "all", of=of)
    assert (made.start, made.stop) == (("b", "c", "a"), ("a", "c", "b"))
    assert [row.name for row in made.rows] == ["a", "b", "c"], "as supervisord lists them"


# --- signals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", ["HUP", "SIGHUP", "hup", "1", "USR1"])
def test_a_signal_is_known_by_its_names_and_number(signal: str) -> None:
    made = plan("signalled", "web", of=facts(web="RUNNING"), signal=signal)
    assert (made.signal, made.stop, made.up) == (("web",), (), ())
    assert made.diff()["after"] == {"web": f"RUNNING, signalled {signal}"}


@pytest.mark.parametrize(("signal", "hint"), [("HPU", "HUP"), ("99", ""), ("0", ""), ("-1", ""), ("KIL", "KILL")])
def test_a_signal_that_does_not_exist_is_refused(signal: str, hint: str) -> None:
    error = refusal("signalled", "web", of=facts(web="RUNNING"), signal=signal)
    assert f"there is no signal '{signal}'" in error.message
    assert ("did you mean" in error.message) == bool(hint)
    assert hint in error.message
    assert error.remedies == ()


@pytest.mark.parametrize("state", [state for state in EVERY_STATE if state not in ("RUNNING", "STARTING")])
def test_who_is_named_must_have_a_process_for_the_signal(state: str) -> None:
    error = refusal("signalled", "web", of=facts(web=state, other="RUNNING"), signal="HUP")
    assert f"web has no process that could take a signal ({state})" in error.message


@pytest.mark.parametrize("names", [["all"], ["shop"], ["shop:*"]])
def test_of_many_those_get_the_signal_that_can(names: list[str]) -> None:
    made = plan("signalled", *names, of=facts(shop__a="RUNNING", shop__b="FATAL"), signal="HUP")
    assert made.signal == ("shop:a",)
    assert [row.action for row in made.rows] == ["signalled", None]


def test_a_member_that_is_named_beside_its_group_must_have_a_process() -> None:
    refusal("signalled", "shop", "shop:b", of=facts(shop__a="RUNNING", shop__b="FATAL"), signal="HUP")


# --- groups -----------------------------------------------------------------------------------------------------------


def reread(**more: t.Any) -> SupervisorFacts:
    """Return facts where ``web`` is active, ``new`` and ``pair`` are only in the configuration, ``old`` only active."""
    known = {
        "web": config("web"),
        "new": config("new"),
        "pair:on": config("pair:on"),
        "pair:off": config("pair:off", autostart=False),
    }
    given: dict[str, t.Any] = {"configs": known, "added": ("new", "pair"), "removed": ("old",), **more}
    return SupervisorFacts({"web": program("web"), "old": program("old", "FATAL")}, **given)


def test_a_group_of_the_configuration_is_added_and_what_starts_by_itself_waited_for() -> None:
    made = plan("present", "pair", "web", of=reread())
    assert (made.add, made.start, made.up) == (("pair",), (), ("pair:on",))
    assert made.diff() == {
        "before": {"pair:on": "absent", "pair:off": "absent", "web": "RUNNING"},
        "after": {"pair:on": "RUNNING", "pair:off": "STOPPED", "web": "RUNNING"},
    }


def test_all_that_is_present_is_everything_of_the_configuration() -> None:
    made = plan("present", "all", of=reread())
    assert made.add == ("new", "pair")
    assert made.outdated == ("old",), "it runs on, and the files have it no more"


def test_what_is_there_already_is_present() -> None:
    assert not plan("present", "web", "old", of=reread()).changed


def test_a_group_that_nobody_configured_cannot_be_present() -> None:
    error = refusal("present", "pairs", "web", of=reread())
    assert "supervisord's configuration has no group 'pairs' (did you mean pair?)" in error.message
    assert "It has new, old, pair, web." in error.message


def test_a_changed_group_runs_on_unless_it_is_to_be_updated() -> None:
    of = reread(changed=("web",))
    kept, updated = plan("present", "web", of=of), plan("present", "web", of=of, update=True)
    assert (kept.changed, kept.outdated) == (False, ("web",))
    assert updated.actions() == [
        {"action": "stop", "name": "web"},
        {"action": "remove", "name": "web"},
        {"action": "add", "name": "web"},
    ]
    assert (updated.up, updated.outdated) == (("web",), ())
    assert updated.diff() == {"before": {"web": "RUNNING"}, "after": {"web": "RUNNING, added anew"}}


def test_an_update_shows_members_that_come_and_go() -> None:
    of = SupervisorFacts(
        {"pair:on": program("pair:on"), "pair:gone": program("pair:gone", "STOPPED")},
        {"pair:on": config("pair:on"), "pair:come": config("pair:come")},
        changed=("pair",),
    )
    made = plan("present", "pair", of=of, update=True)
    assert made.diff() == {
        "before": {"pair:on": "RUNNING", "pair:gone": "STOPPED", "pair:come": "absent"},
        "after": {"pair:on": "RUNNING, added anew", "pair:gone": "absent", "pair:come": "RUNNING"},
    }
    assert [row.action for row in made.rows] == ["added", "removed", "added"]


def test_an_update_of_what_the_files_have_no_more_leaves_it_alone() -> None:
    made = plan("present", "old", of=reread(), update=True)
    assert (made.changed, made.outdated) == (False, ("old",))


def test_a_group_is_added_even_when_supervisord_cannot_say_what_is_in_it() -> None:
    made = plan("present", "pair", of=reread(configs={}))
    assert (made.add, made.unsure, made.up) == (("pair",), ("pair",), ())
    assert made.diff() == {"before": {"pair": "absent"}, "after": {"pair": "present"}}


@pytest.mark.parametrize(
    ("state", "stop", "down"), [("RUNNING", True, True), ("STOPPING", False, True), ("EXITED", False, False)]
)
def test_a_group_is_stopped_before_it_is_removed(state: str, stop: bool, down: bool) -> None:
    made = plan("absent", "shop", of=facts(shop__a=state, web="RUNNING"))
    assert (bool(made.stop), bool(made.down), made.remove) == (stop, down, ("shop",))
    assert made.diff() == {"before": {"shop:a": state}, "after": {"shop:a": "absent"}}


def test_what_is_not_there_is_absent() -> None:
    made = plan("absent", "nobody", "other:*", of=facts(web="RUNNING"))
    assert (made.changed, made.rows) == (False, ())


def test_all_that_is_absent_is_everything() -> None:
    assert set(plan("absent", "all", of=STACK).remove) == {"web", "shop", "mixed"}


@pytest.mark.parametrize("wanted", ["present", "absent"])
def test_one_member_can_neither_come_nor_go_alone(wanted: str) -> None:
    error = refusal(wanted, "shop:a", "mixed:other", of=STACK)
    assert "'shop:a' is one program of group shop, and supervisord adds and removes whole groups" in error.message
    assert "'mixed:other'" in error.message


@pytest.mark.parametrize("wanted", ["present", "absent"])
@pytest.mark.parametrize("name", ["web", "web:", "web:*", "web:web"])
def test_a_group_has_several_spellings(wanted: str, name: str) -> None:
    assert [row.name for row in plan(wanted, name, of=STACK).rows] == ["web"]


# --- the plan and what it shows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", STATES)
@pytest.mark.parametrize("state", EVERY_STATE)
def test_a_diff_shows_a_difference_just_when_something_is_done(wanted: str, state: str) -> None:
    made = plan(wanted, "all", of=facts(web=state, shop__a=state), signal="HUP")
    shown = made.diff()
    assert (shown["before"] != shown["after"]) == made.changed
    assert set(shown["before"]) == {row.name for row in made.rows}
