# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest change, as a table: what is there and what is wanted, and what is then done."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.graph import held_back
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Service, Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.revision import revision
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import modes, plan
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.modes import mode_named
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.plan import (
    ProgramFacts,
    RunPlan,
    StackFacts,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.plan_by_name import make_plan

SUPERVISORD = "0123456789ab"


def a_stack(**services: t.Mapping[str, t.Any]) -> Stack:
    checked = check_manifest(
        {"name": "test", "root": "/opt/test", "defaults": {"command": ["sleep"]}, "services": services}
    )
    assert checked.stack is not None, checked.problems
    return checked.stack


CHAIN = a_stack(
    base={"port": 8000}, middle={"depends_on": ["base"], "port": 8001}, top={"depends_on": ["middle"]}, alone={}
)


def well(service: Service, **different: t.Any) -> ProgramFacts:
    facts = {"state": "RUNNING", "pid": 100, "revision": revision(CHAIN, service), "trouble": None, **different}
    return ProgramFacts(**facts)


def facts(**different: t.Any) -> StackFacts:
    """A stack that runs as it should, but for what is ``different``: programs by name, or facts of the whole."""
    programs = {service.name: well(service) for service in CHAIN.services}
    for name in list(different):
        if name in programs or isinstance(different[name], ProgramFacts):
            programs[name] = different.pop(name)
    return StackFacts(
        **{"supervisord": SUPERVISORD, "supervisord_wanted": SUPERVISORD, "programs": programs, **different}
    )


def of(stack: Stack, name: str, **different: t.Any) -> ProgramFacts:
    return well(stack.service(name), **different)


def test_nothing_to_do_is_an_empty_plan() -> None:
    assert make_plan(CHAIN, facts(), modes.AUTO).actions == []


@pytest.mark.parametrize(
    ("different", "restarted"),
    [
        ({"base": of(CHAIN, "base", revision="old")}, ["base", "middle", "top"]),
        ({"middle": of(CHAIN, "middle", trouble="health: refused")}, ["middle", "top"]),
        ({"top": of(CHAIN, "top", revision=None)}, ["top"]),
        ({"alone": of(CHAIN, "alone", revision="old")}, ["alone"]),
        ({"top": of(CHAIN, "top", state="FATAL", pid=0)}, ["top"]),
        ({"base": of(CHAIN, "base", state="EXITED", pid=0)}, ["base", "middle", "top"]),
    ],
)
def test_what_changed_or_is_not_well_is_restarted_with_its_dependents(
    different: t.Dict[str, ProgramFacts], restarted: t.List[str]
) -> None:
    made = make_plan(CHAIN, facts(**different), modes.AUTO)
    assert list(made.start) == restarted
    assert made.supervisord == plan.KEEP
    assert all(made.reasons[name] for name in restarted)


def test_a_program_no_longer_in_the_manifest_is_stopped_and_removed() -> None:
    made = make_plan(CHAIN, facts(old=ProgramFacts("RUNNING", 7, "x")), modes.AUTO)
    assert (made.stop, made.remove, made.start) == (("old",), ("old",), ())
    assert [str(action) for action in made.actions] == [
        "stop old: no longer in the manifest",
        "remove old: no longer in the manifest",
    ]


def test_services_stop_before_what_they_depend_on() -> None:
    assert make_plan(CHAIN, facts(), modes.FULL).stop == ("top", "middle", "alone", "base")


@pytest.mark.parametrize("mode", ["full", "quick"])
def test_a_restart_touches_everything(mode: str) -> None:
    made = make_plan(CHAIN, facts(), mode_named(mode))
    assert made.supervisord == plan.RESTART
    assert made.start == ("base", "middle", "top", "alone")
    assert made.flush == ((8000, 8001) if mode == "full" else ())


def test_another_setting_of_the_daemon_or_none_at_all_means_the_whole_stack() -> None:
    assert make_plan(CHAIN, facts(supervisord="other"), modes.AUTO).supervisord == plan.RESTART
    gone = make_plan(CHAIN, facts(supervisord=None, programs={}), modes.AUTO)
    assert (gone.supervisord, gone.stop, gone.flush) == (plan.START, (), (8000, 8001))


def test_a_second_supervisord_over_the_stack_means_the_whole_stack() -> None:
    assert make_plan(CHAIN, facts(rivals=1), modes.AUTO).supervisord == plan.RESTART


def test_a_stop_of_what_does_not_run_does_nothing() -> None:
    assert make_plan(CHAIN, facts(supervisord=None, programs={}), modes.STOP).actions == []


def test_a_flush_only_frees_ports() -> None:
    made = make_plan(CHAIN, facts(), modes.FLUSH)
    assert (made.flush, made.actions) == ((8000, 8001), [])


def test_an_unknown_mode_is_an_error() -> None:
    with pytest.raises(RollcallError, match="no mode 'fast'"):
        mode_named("fast")


running = st.builds(
    ProgramFacts,
    state=st.sampled_from(["RUNNING", "STARTING", "BACKOFF", "FATAL", "EXITED", "STOPPED"]),
    pid=st.sampled_from([0, 100]),
    revision=st.sampled_from([None, "old", *(revision(CHAIN, service) for service in CHAIN.services)]),
    trouble=st.sampled_from([None, "health: refused"]),
)


@given(
    st.dictionaries(st.sampled_from(["base", "middle", "top", "alone", "old"]), running),
    st.sampled_from([None, SUPERVISORD, "other"]),
    st.booleans(),
)
def test_properties_of_the_smallest_change(
    programs: t.Dict[str, ProgramFacts], daemon: t.Optional[str], same: bool
) -> None:
    seen = StackFacts(daemon, SUPERVISORD, programs if daemon else {}, same_generation=same)
    made: RunPlan = make_plan(CHAIN, seen, modes.AUTO)
    names = [service.name for service in CHAIN.services]
    # Whatever is stopped is started again or gone from the manifest; whatever starts frees its port first.
    assert all(name in made.start or name not in names for name in made.stop)
    assert {CHAIN.service(name).port for name in made.start} - {None} <= set(made.flush)
    # Who depends on a started service is started too, and after it in no stop order.
    for service in CHAIN.services:
        if any(name in made.start for name in service.depends_on):
            assert service.name in made.start
    order = plan.level_numbers(CHAIN)
    for earlier, later in zip(made.stop, made.stop[1:]):
        assert order.get(earlier, len(order)) >= order.get(later, len(order))
    # What is left alone is as it should be.
    for service in CHAIN.services:
        if service.name not in made.start:
            program = programs[service.name]
            # What the installed manifest says of it is for the words of a reason alone.
            as_it_should_be = well(service, pid=program.pid)
            assert program == as_it_should_be._replace(same_entry=program.same_entry, changed=program.changed)


# --- what is held, removed, or runs a second time -------------------------------------------------------------------

HELD = {"middle": "it needs the file /x, which does not exist", "top": "it depends on middle, which is held"}


def down(name: str, **different: t.Any) -> ProgramFacts:
    return of(CHAIN, name, **{"state": "STOPPED", "pid": 0, **different})


@pytest.mark.parametrize(
    ("names", "said"),
    [((), "No service of stack test has reload"), (("a",), "a has no reload"), (("a", "b"), "a, b have no reload")],
)
def test_who_has_no_reload_is_told(names: t.Sequence[str], said: str) -> None:
    stack = a_stack(a={}, b={})
    with pytest.raises(RollcallError) as caught:
        plan.reload_plan(stack, facts(), names, None)
    assert caught.value.message == f"{said} in the manifest. Nothing was touched."


def test_what_lacks_something_holds_back_all_that_depends_on_it() -> None:
    assert held_back(CHAIN, {"middle": HELD["middle"]}) == HELD


def test_what_is_held_and_down_stays_down_and_is_no_action() -> None:
    made = make_plan(CHAIN, facts(middle=down("middle"), top=down("top"), held=HELD), modes.AUTO)
    assert made.actions == []
    assert made.held == HELD


def test_what_is_held_and_runs_as_it_should_is_left_alone() -> None:
    assert make_plan(CHAIN, facts(held=HELD), modes.AUTO).actions == []


def test_what_is_held_and_would_be_restarted_is_stopped_with_its_dependents() -> None:
    made = make_plan(CHAIN, facts(middle=of(CHAIN, "middle", revision="old"), held=HELD), modes.AUTO)
    assert (made.stop, made.start) == (("top", "middle"), ())
    assert [str(action) for action in made.actions] == [
        f"stop {name}: held: {HELD[name]}" for name in ("top", "middle")
    ]


@pytest.mark.parametrize("mode", ["full", "quick", "emergency"])
def test_a_restart_of_everything_starts_nothing_that_is_held(mode: str) -> None:
    made = make_plan(CHAIN, facts(held=HELD), mode_named(mode))
    assert set(made.start) == {"base", "alone"}
    assert set(made.stop) == {"base", "middle", "top", "alone"}


@pytest.mark.parametrize("mode", ["auto", "full", "emergency"])
def test_every_other_supervisord_is_ended_and_named(mode: str) -> None:
    made = make_plan(CHAIN, facts(rivals=(7, 8)), mode_named(mode))
    assert made.supervisord == plan.RESTART
    assert [str(action) for action in made.actions if action.verb == "end"] == [
        "end supervisord pid 7: it runs over the same stack",
        "end supervisord pid 8: it runs over the same stack",
    ]


def test_a_supervisord_that_does_not_answer_is_ended_and_not_doubled() -> None:
    made = make_plan(CHAIN, facts(supervisord=None, programs={}, rivals=(7,)), modes.EMERGENCY)
    assert made.supervisord == plan.RESTART
    assert "end supervisord pid 7: it runs over the same stack and does not answer on its socket" in map(
        str, made.actions
    )


def test_the_port_of_a_removed_service_is_to_be_free_unless_another_has_it_now() -> None:
    ports = {"old": 8050, "older": 8001, **{service.name: service.port or 0 for service in CHAIN.services}}
    made = make_plan(CHAIN, facts(old=ProgramFacts("RUNNING", 7, "x"), ports=ports), modes.AUTO)
    assert made.freed == {"old": 8050}
