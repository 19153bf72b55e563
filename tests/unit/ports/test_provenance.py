# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose listener it is and whether it may be ended: tables over facts."""

from __future__ import annotations

import dataclasses
import os
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Label, Listener, Process
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.ours import LABEL, Belonging
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import objections
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports.policies import ANY, OWNED, REFUSE
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports.provenance import (
    DUPLICATE,
    FOREIGN,
    ORPHAN,
    SUPERVISED,
    UNKNOWN,
    Holder,
    Supervision,
    classify,
    may_end,
    publishes,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.checks import kill_command

ROOT = "/opt/trading"
TRADING = 1001
OURS = Label("trading", ROOT, "api", "0123456789ab")
THEIRS = Label("other", "/opt/other", "api", "0123456789ab")
DAEMON, SECOND = 100, 200
ONE = Supervision(ROOT, {110: "api"}, frozenset({DAEMON}), DAEMON)
TWO = Supervision(ROOT, {110: "api"}, frozenset({DAEMON, SECOND}), DAEMON)
SILENT = Supervision(ROOT, {}, frozenset({DAEMON}), None)
SILENT_TWO = Supervision(ROOT, {}, frozenset({DAEMON, SECOND}), None)
DOWN = Supervision(ROOT)
# supervisord as pid 1 of a container.
FIRST = Supervision(ROOT, {110: "api"}, frozenset({1}), 1)
LEFT = ONE._replace(left_behind=frozenset({120}))
NO_STACK = Supervision()


def process(uid: int = TRADING, exe: str = "/usr/bin/python3", container: bool = False) -> Process:
    return Process(
        pid=111,
        ppid=110,
        start=5000,
        uid=uid,
        user=f"u{uid}",
        exe=exe,
        command=("python3", "main.py"),
        state="S",
        started_at=1.0,
        container=container,
    )


def belonging(label: t.Optional[Label], who: Process, facts: Supervision = ONE) -> Belonging:
    """Return whose a process is that is known by nothing but its label."""
    other = label is THEIRS or facts is NO_STACK
    own = label is not None and not other and who.uid in (0, TRADING) and not who.container
    return Belonging(LABEL if own else "", label, other)


@pytest.mark.parametrize(
    ("lineage", "label", "who", "facts", "provenance", "service"),
    [
        pytest.param([110, 100, 1], OURS, process(), ONE, SUPERVISED, "api", id="reported itself"),
        pytest.param([111, 110, 100, 1], OURS, process(), ONE, SUPERVISED, "api", id="child of a reported one"),
        pytest.param([110, 100, 1], None, process(), ONE, SUPERVISED, "api", id="reported, label overwritten"),
        pytest.param([110, 100, 1], OURS, process(uid=33), ONE, SUPERVISED, "api", id="reported, changed its user"),
        pytest.param(
            [111, 110], None, process(container=True), ONE, SUPERVISED, "api", id="container of a reported one"
        ),
        pytest.param([120, 100, 1], OURS, process(), ONE, SUPERVISED, None, id="below supervisord, not reported"),
        pytest.param([100, 1], None, process(), ONE, SUPERVISED, None, id="supervisord itself"),
        pytest.param(
            [120, 100, 1], OURS, process(), SILENT, SUPERVISED, None, id="below the only one, which is silent"
        ),
        pytest.param([120, 1], OURS, process(), ONE, ORPHAN, "api", id="labelled and held by none"),
        pytest.param([120, 100, 1], OURS, process(), LEFT, ORPHAN, "api", id="left behind, and below supervisord"),
        pytest.param([121, 120, 100, 1], OURS, process(), LEFT, ORPHAN, "api", id="below what was left behind"),
        pytest.param([110, 100, 1], OURS, process(), LEFT, SUPERVISED, "api", id="reported, another is left behind"),
        pytest.param([120, 1], OURS, process(uid=0), ONE, ORPHAN, "api", id="labelled, run by root"),
        pytest.param([120, 1], OURS, process(), DOWN, ORPHAN, "api", id="labelled, no supervisord left"),
        pytest.param([120, 1], OURS, process(), FIRST, ORPHAN, "api", id="labelled, supervisord is pid 1"),
        pytest.param([110, 1], OURS, process(), FIRST, SUPERVISED, "api", id="reported, supervisord is pid 1"),
        pytest.param([120, 200, 1], OURS, process(), TWO, DUPLICATE, "api", id="below a second supervisord"),
        pytest.param([120, 200, 1], None, process(), TWO, DUPLICATE, None, id="below a second one, label overwritten"),
        pytest.param([120, 100, 1], OURS, process(), SILENT_TWO, DUPLICATE, "api", id="two supervisords, both silent"),
        pytest.param([120, 1], None, process(), ONE, FOREIGN, None, id="no label"),
        pytest.param([120, 1], THEIRS, process(), ONE, FOREIGN, None, id="another stack's"),
        pytest.param([120, 1], OURS, process(uid=1002), ONE, FOREIGN, None, id="our label on another user's process"),
        pytest.param([120, 1], OURS, process(container=True), ONE, FOREIGN, None, id="our label in a container"),
        pytest.param([120, 1], None, process(container=True), ONE, FOREIGN, None, id="in a container"),
        pytest.param([120, 1], OURS, process(), NO_STACK, FOREIGN, None, id="judged without a stack"),
    ],
)
def test_provenance(
    lineage: t.List[int],
    label: t.Optional[Label],
    who: Process,
    facts: Supervision,
    provenance: str,
    service: t.Optional[str],
) -> None:
    judgement = classify(who, lineage, belonging(label, who, facts), facts)
    assert (judgement.provenance, judgement.service) == (provenance, service)
    assert judgement.reason


@pytest.mark.parametrize("facts", [ONE, TWO, SILENT, DOWN, NO_STACK])
def test_a_socket_without_a_visible_process_is_of_unknown_owner(facts: Supervision) -> None:
    assert classify(None, [], Belonging(), facts).provenance == UNKNOWN


@pytest.mark.parametrize(
    ("who", "label", "words"),
    [
        (process(container=True), None, "container"),
        (process(exe="/usr/bin/docker-proxy"), None, "for a container"),
        (process(), THEIRS, "stack other at /opt/other"),
        (process(uid=1002), OURS, "user u1002"),
        (process(), None, "not of this stack"),
    ],
)
def test_the_reason_for_foreign_says_what_it_is(who: Process, label: t.Optional[Label], words: str) -> None:
    judgement = classify(who, [111, 1], belonging(label, who), ONE)
    assert judgement.provenance == FOREIGN
    assert words in judgement.reason


@pytest.mark.parametrize(
    ("label", "who", "neighbour"),
    [
        (THEIRS, process(), THEIRS),
        (OURS, process(uid=1002), None),
        (None, process(), None),
        (THEIRS, process(container=True), None),
        (THEIRS, process(exe="/usr/bin/docker-proxy"), None),
        (THEIRS._replace(root="relative"), process(), None),
        (THEIRS._replace(service="a\n"), process(), None),
        (THEIRS._replace(service=""), process(), None),
    ],
)
def test_a_process_of_another_stack_is_known_by_what_it_carries(
    label: t.Optional[Label], who: Process, neighbour: t.Optional[Label]
) -> None:
    judgement = classify(who, [111, 1], Belonging("", label, other=True), ONE)
    assert (judgement.provenance, judgement.neighbour) == (FOREIGN, neighbour)


@pytest.mark.parametrize("policy", [OWNED, REFUSE])
def test_a_port_of_another_stack_is_left_to_it_and_its_own_command_stops_the_service(policy: str) -> None:
    listener = Listener("ipv4", "127.0.0.1", 8001, 1, 0, False)
    held = Holder(listener, process(), FOREIGN, None, "it is of stack other", neighbour=THEIRS)
    objection = objections.not_covered(held, "api", policy, "")
    assert objection.remedies == (cures.another_port("api"), "sudo -u u1001 /opt/other/bin/rollcall stop api")
    assert "which is not ours (it is of stack other). Stop api there if you must: sudo -u" in objection.sentence
    own = Holder(listener, process(uid=os.geteuid()), FOREIGN, None, "it is of stack other", neighbour=THEIRS)
    assert objections.not_covered(own, "api", policy, "").remedies[1] == "/opt/other/bin/rollcall stop api"
    # By status as well: what is killed its supervisord starts again.
    assert kill_command(own) == "/opt/other/bin/rollcall stop api"


@pytest.mark.parametrize(
    ("policy", "ended"),
    [(OWNED, {ORPHAN, DUPLICATE}), (REFUSE, set()), (ANY, {ORPHAN, DUPLICATE, FOREIGN})],
)
def test_what_each_policy_may_end(policy: str, ended: t.Set[str]) -> None:
    everything = (SUPERVISED, ORPHAN, DUPLICATE, FOREIGN, UNKNOWN)
    assert {provenance for provenance in everything if may_end(provenance, policy)} == ended
    with_supervised = ended | {SUPERVISED} if policy != REFUSE else ended
    assert {one for one in everything if may_end(one, policy, supervised=True)} == with_supervised


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (process(exe="/usr/bin/docker-proxy"), True),
        # Whose program may not be read is known by its command line.
        (process(exe="")._replace(command=("/usr/bin/conmon", "-c", "0123")), True),
        (process()._replace(command=("python3", "/usr/bin/docker-proxy")), False),
        (process(), False),
    ],
)
def test_what_holds_a_port_for_a_container_is_known_by_its_program(who: Process, expected: bool) -> None:
    assert publishes(who) is expected


def test_all_who_share_a_socket_are_told_and_its_inode_where_it_has_one() -> None:
    listener = Listener("ipv4", "0.0.0.0", 8001, 4711, TRADING)
    shared = Holder(listener, process(), FOREIGN, None, "it is not of this stack", pids=(111, 112))
    assert (shared.as_dict()["inode"], shared.as_dict()["pids"]) == (4711, [111, 112])
    # Where there are no inodes the number stands for the process.
    elsewhere = dataclasses.replace(shared, listener=listener._replace(inode=-111))
    assert elsewhere.as_dict()["inode"] is None


def test_a_holder_has_the_same_keys_with_and_without_a_process() -> None:
    listener = Listener("ipv4", "0.0.0.0", 8001, 4711, TRADING)
    seen = Holder(listener, process(), FOREIGN, None, "it is not of this stack")
    unseen = Holder(listener, None, UNKNOWN, None, "no process that holds it can be seen")
    assert seen.as_dict().keys() == unseen.as_dict().keys()
    assert unseen.as_dict()["pid"] is None
