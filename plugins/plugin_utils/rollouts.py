# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Decides a rollout from what the hosts have answered: who goes in which order, who is left out, why nobody is touched.

Pure: it looks at nothing, and the same answers give the same decision.
"""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import count
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.rollout import (
    DONE,
    FAILED,
    INCONCLUSIVE,
    REVERTED,
    WORKING,
    rollout_words,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.away import is_only_away
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.playbook_record import error
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.said import told

if t.TYPE_CHECKING:
    from ansible_collections.rollcall.supervisor.plugins.module_utils.base.documents import ErrorData
    from ansible_collections.rollcall.supervisor.plugins.module_utils.base.rollout_documents import RolloutData

Data = t.Mapping[str, t.Any]

STOP, SKIP, REPAIR = "stop", "skip", "repair"

# How a host ends: as its record has it, or it was not there any more to write that down.
LOST = "lost"
# The kind of an error for a host that is not reached.
UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Seen:
    """What is known of one host before a rollout.

    Attributes:
        reached: whether it has answered at all.
        why: why it did not.
        version: of its engine; empty when there is none.
        healthy: whether every check of its verdict passed; None where nothing is installed.
        failing: the checks that failed, as ``check subject``.
        stopped: by whom its stack was stopped on purpose, and when; empty when it was not.
        refused: why the run to come would be refused; empty when it would not.
        cure: what to do about that on the host; empty when nobody has said it.
        changes: whether that run would change anything; True where that cannot be said.
        rollout: the last rollout that came to it; None when there was none.
        machine: what two names of one machine have in common; empty where that is not known.
        at_work: the run that has its stack locked; empty when there is none.
        generation: id of the one that is in place; empty when there is none.
        verified: whether that was ever proved, and has kept up since.
        release: of the application's code that is installed for its services; empty without one.
        running: the releases that its processes work in, run or have open.
        drains: by what this rollout drains it, as of the role drain.
        once: by oneshot of the manifest that runs on one host for all the host that it runs on.
        steps: those of them that the run to come would run here.
        one_way: those of these over which no host goes back by itself.
        over: one-way steps that have run since what the manifest has was in place here.
        moves: the services that get another port, with the old one and the new.
        limit: the seconds that the run to come takes at the longest, a way back included.
    """

    reached: bool
    why: str = ""
    version: str = ""
    healthy: t.Optional[bool] = None
    failing: t.Tuple[str, ...] = ()
    stopped: str = ""
    refused: str = ""
    cure: str = ""
    changes: bool = True
    rollout: t.Optional[RolloutData] = None
    machine: str = ""
    at_work: str = ""
    generation: str = ""
    verified: bool = False
    release: str = ""
    once: t.Mapping[str, str] = field(default_factory=dict)
    steps: t.Tuple[str, ...] = ()
    one_way: t.Tuple[str, ...] = ()
    over: t.Tuple[str, ...] = ()
    moves: t.Tuple[t.Tuple[str, int, int], ...] = ()
    limit: float = 0.0
    running: t.Tuple[str, ...] = ()
    drains: str = "none"

    @property
    def is_unfinished(self) -> bool:
        """Whether an earlier rollout has left something undone here."""
        return self.rollout is not None and (self.rollout["at_work"] or bool(self.rollout["drained"]))


def seen_of(answer: Data) -> Seen:
    """Return what the task that asked a host has registered; one that has failed or timed out is a host not reached."""
    if "seen" in answer:
        return Seen(**answer["seen"])
    if answer.get("asked") is False:
        # Its manifest, or what was said of the run to come, was nothing to ask it about.
        return Seen(reached=True, refused=told(str(answer.get("msg", ""))))
    return Seen(reached=False, why=told(str(answer.get("msg", "it has not answered"))))


def left_drained(decision: Decision, seen: t.Mapping[str, Seen]) -> t.List[str]:
    """Return the hosts that an earlier rollout has left drained."""
    records = {host: seen[host].rollout for host in decision.hosts}
    return [host for host, record in records.items() if record is not None and record["drained"]]


def how_ended(judged: t.Mapping[str, Data], noted: t.Mapping[str, Data]) -> t.Dict[str, Data]:
    """Return by host what is known of its end.

    Args:
        judged: what a task that was about its end has registered; empty for a host that had none.
        noted: what the task that has run its services has had it write down.
    """
    return {host: judged.get(host) or noted.get(host) or {} for host in (*judged, *noted)}


@dataclass(frozen=True)
class Wishes:
    """What the person has asked for.

    Attributes:
        unreachable: ``STOP`` or ``SKIP``: what becomes of the rollout when a host is not reached.
        unhealthy_before: ``STOP`` or ``REPAIR``: what becomes of it when a host is not healthy.
        takeover: id of a rollout whose controller is gone, as that person says; empty when they say nothing.
        dead: ids of rollouts whose controller is proved dead.
    """

    unreachable: str = STOP
    unhealthy_before: str = STOP
    takeover: str = ""
    dead: t.FrozenSet[str] = frozenset()

    @property
    def over(self) -> t.FrozenSet[str]:
        """Ids of the rollouts whose records may be taken over."""
        return self.dead | ({self.takeover} if self.takeover else set())


class Reason(t.NamedTuple):
    """Why no host is touched.

    Attributes:
        host: where that is so.
        what: as a sentence.
        cure: what to do about it.
    """

    host: str
    what: str
    cure: str


@dataclass(frozen=True)
class Decision:
    """What is to be done.

    Attributes:
        hosts: those that the rollout goes to, in their order; the first one leads.
        left_out: those that were not reached, with why: they lack what the others get.
        set_aside: those that are as somebody wants them to be, with why.
        idle: those that have nothing to do.
        reasons: why nobody is touched; empty when the rollout may begin.
        origin: id of the first of the rollouts with which this one goes on; empty when there is none.
        earlier: those that have nothing to do because that one has done them.
        reverts: whether that one was taking hosts back: then this one does, and brings nothing new.
        back: the hosts that it takes back then, in their order.
    """

    hosts: t.Tuple[str, ...] = ()
    left_out: t.Mapping[str, str] = field(default_factory=dict)
    set_aside: t.Mapping[str, str] = field(default_factory=dict)
    idle: t.Tuple[str, ...] = ()
    reasons: t.Tuple[Reason, ...] = ()
    origin: str = ""
    earlier: t.Tuple[str, ...] = ()
    reverts: bool = False
    back: t.Tuple[str, ...] = ()


def decide(seen: t.Mapping[str, Seen], wishes: Wishes, now: float) -> Decision:
    """Return what is to be done.

    Args:
        seen: by host, in the order of the inventory.
        wishes: what the person has asked for.
        now: in seconds since the epoch.
    """
    left_out: t.Dict[str, str] = {}
    set_aside: t.Dict[str, str] = {}
    reasons = _others_at_work(seen, wishes, now)
    cut_off = _cut_off(seen, wishes)
    reverts = any(record["back"] for record in cut_off)
    going: t.List[str] = []
    machines: t.Dict[str, str] = {}
    for host, one in seen.items():
        found = _reasons_of(host, one, wishes, reverts=reverts)
        reasons += found
        aside = f"is the same machine and stack as {machines[one.machine]}" if one.machine in machines else one.stopped
        if not one.reached:
            left_out[host] = f"not reached: {one.why}"
        elif aside:
            set_aside[host] = aside
        elif not found:
            going.append(host)
        if one.machine:
            machines.setdefault(one.machine, host)
    told = Decision(left_out=left_out, set_aside=set_aside, reasons=tuple(reasons))
    if cut_off:
        told = replace(told, origin=max(cut_off, key=lambda record: record["sign"])["origin"], reverts=reverts)
    return _to_take_back(told, seen, going) if reverts else _to_go_to(told, seen, going)


def _to_go_to(told: Decision, seen: t.Mapping[str, Seen], going: t.Sequence[str]) -> Decision:
    """Return a decision with the hosts that get the manifest, of those that take part."""
    busy = [host for host in going if seen[host].changes or seen[host].is_unfinished or seen[host].healthy is False]
    if not busy:
        return replace(told, idle=tuple(going))
    # The same host leads every rollout, whether there is something to do on it or not: there two of them meet.
    leader = going[0]
    order = sorted((host for host in busy if host != leader), key=lambda host: not seen[host].is_unfinished)
    idle = tuple(host for host in going if host not in busy and host != leader)
    earlier = tuple(host for host in idle if _was_brought_by(told.origin, seen[host]))
    return replace(told, hosts=(leader, *order), idle=idle, earlier=earlier)


def _to_take_back(told: Decision, seen: t.Mapping[str, Seen], going: t.Sequence[str]) -> Decision:
    """Return a decision with the hosts that go back, of those that take part; the last one comes first."""
    if not going:
        return told
    back = tuple(host for host in reversed(going) if _has_to_go_back(told.origin, seen[host]))
    others = tuple(host for host in going[1:] if host in back)
    return replace(told, hosts=(going[0], *others), back=back)


def _cut_off(seen: t.Mapping[str, Seen], wishes: Wishes) -> t.List[RolloutData]:
    """Return the records of rollouts that were cut off, and may be taken over."""
    records = [one.rollout for one in seen.values() if one.rollout is not None]
    return [record for record in records if record["at_work"] and record["id"] in wishes.over]


def _was_brought_by(origin: str, one: Seen) -> bool:
    """Return whether a rollout has brought a host another generation, and has not ended here otherwise than well."""
    record = one.rollout
    if record is None or not origin or record["origin"] != origin or record["step"] in (FAILED, REVERTED):
        return False
    return bool(record["before"]) and record["before"] != one.generation


def before(origin: str, one: Seen) -> str:
    """Return the generation that was in place on a host before a rollout began there; empty when there was none.

    Args:
        origin: id of the first of the rollouts that this one goes on with; empty when there is none.
        one: the host.
    """
    record = one.rollout
    if record is not None and (record["step"] in WORKING or (origin and record["origin"] == origin)):
        return record["before"]
    return one.generation


def one_way_of(origin: str, seen: t.Mapping[str, Seen]) -> t.Tuple[str, ...]:
    """Return the one-way steps that have run in the rollouts that go on with each other, by their first one's id."""
    records = [one.rollout for one in seen.values() if one.rollout is not None and one.rollout["origin"] == origin]
    return tuple(dict.fromkeys(step for record in records for step in record["one_way"]))


def _has_to_go_back(origin: str, one: Seen) -> bool:
    """Return whether a rollout that takes hosts back has yet to come to this one, or was cut off on it."""
    record = one.rollout
    if record is None or record["origin"] != origin:
        return False
    is_at_it = record["back"] and record["step"] in WORKING
    return is_at_it or _was_brought_by(origin, one)


def _is_others(one: Seen, wishes: Wishes) -> bool:
    """Return whether another rollout is at work on a host, whose record may not be taken over."""
    return one.rollout is not None and one.rollout["at_work"] and one.rollout["id"] not in wishes.over


def _others_at_work(seen: t.Mapping[str, Seen], wishes: Wishes, now: float) -> t.List[Reason]:
    """Return for each other rollout at work that nobody is touched because of it."""
    last: t.Dict[str, RolloutData] = {}
    hosts: t.Dict[str, t.List[str]] = {}
    for host, one in seen.items():
        if one.rollout is not None and _is_others(one, wishes):
            name = one.rollout["id"]
            hosts.setdefault(name, []).append(host)
            last[name] = max(last.get(name, one.rollout), one.rollout, key=lambda record: record["sign"])
    return [
        Reason(
            ", ".join(hosts[name]), f"another rollout is at work: {rollout_words(record, now)}", cures.take_over(name)
        )
        for name, record in last.items()
    ]


def _reasons_of(host: str, one: Seen, wishes: Wishes, *, reverts: bool) -> t.List[Reason]:
    """Return why nobody is touched because of this host, other rollouts left out.

    Whoever only goes back may be in trouble, and does not get what the manifest says.
    """
    if not one.reached:
        if wishes.unreachable == SKIP:
            return []
        return [Reason(host, f"cannot be reached: {one.why}", cures.SKIP_UNREACHABLE)]
    if _is_others(one, wishes):
        return []
    found = []
    if one.at_work:
        found.append(Reason(host, f"a run has locked the stack: {one.at_work}", cures.WAIT))
    elif one.refused and not reverts:
        cure = cures.and_again(one.cure) if one.cure else cures.MENDED
        found.append(Reason(host, f"the run would be refused: {one.refused}", cure))
    sick = one.healthy is False and not one.stopped and not one.is_unfinished
    if sick and not reverts and wishes.unhealthy_before == STOP:
        found.append(Reason(host, f"is not healthy: {', '.join(one.failing)}", cures.REPAIR_FIRST))
    return found


def in_batches(hosts: t.Sequence[str], sizes: t.Sequence[t.Union[int, str]]) -> t.List[t.Tuple[str, ...]]:
    """Return the batches that hosts go in, as Ansible's ``serial`` makes them of these sizes.

    Args:
        hosts: in their order.
        sizes: numbers of hosts, or percentages of all of them; the last one is repeated.
    """
    batches: t.List[t.Tuple[str, ...]] = []
    rest = list(hosts)
    left = list(sizes)
    while rest:
        size = left.pop(0) if len(left) > 1 else left[0]
        number = max(1, math.floor(len(hosts) * int(size[:-1]) / 100)) if isinstance(size, str) else size
        batches.append(tuple(rest[:number]))
        rest = rest[number:]
    return batches


def refusal(reasons: t.Sequence[Reason]) -> str:
    """Return for people why no host is touched, equal reasons together."""
    hosts: t.Dict[t.Tuple[str, str], t.List[str]] = {}
    for reason in reasons:
        hosts.setdefault((reason.what, reason.cure), []).append(reason.host)
    lines = ["No host was touched."]
    for (what, cure), of in hosts.items():
        lines += [f"  {', '.join(of)}: {what}", f"    next: {cure}"]
    return "\n".join(lines)


def refused(decision: Decision) -> ErrorData:
    """Return the error for a rollout that touches nobody."""
    return error(refusal(decision.reasons), "unreachable" if decision.left_out else "refused")


def all_left_out(decision: Decision) -> ErrorData:
    """Return the error for a fleet in which nobody has anything to do but those that were not reached."""
    return error(plan_text(decision, ()), "unreachable", remedies=[cures.GO_ON])


def plan_text(decision: Decision, batches: t.Sequence[t.Sequence[str]], notes: t.Sequence[str] = ()) -> str:
    """Return for people who goes when, and who does not.

    Args:
        decision: what is to be done.
        batches: the hosts that the rollout goes to.
        notes: what else there is to know before it begins.
    """
    if decision.reverts:
        hosts = ", ".join(decision.back) or "no host is left"
        lines = [
            f"Rollout {decision.origin} was taking hosts back when it was cut off. This goes on with that, and brings "
            f"nothing new: {hosts}"
        ]
    elif batches:
        lines = [f"{count(len(decision.hosts), 'host')} in {count(len(batches), 'batch', 'batches')}:"]
        lines += [f"  {number}  {', '.join(batch)}" for number, batch in enumerate(batches, 1)]
    else:
        lines = ["No host has anything to do."]
    if decision.idle:
        lines.append(f"nothing to do, and healthy: {', '.join(decision.idle)}")
    lines += [f"left out: {host}: {why}" for host, why in decision.left_out.items()]
    lines += [f"left as it is: {host}: {why}" for host, why in decision.set_aside.items()]
    return "\n".join([*lines, *notes])


class Judged(t.NamedTuple):
    """How a host has ended.

    Attributes:
        outcome: ``DONE``, ``FAILED``, ``INCONCLUSIVE`` or ``LOST``.
        go_back: whether it has yet to be taken back to what ran before.
        why: what failed, for people; empty when nothing did.
    """

    outcome: str
    go_back: bool
    why: str


def judge(run: Data, soak: Data, failed_task: str, failed_result: Data, *, touched: bool = True) -> Judged:
    """Return how a host has ended.

    Args:
        run: the result of its run; empty when it did not come to one.
        soak: the result of the look after the soak; empty when it did not come to one.
        failed_task: name of the task that failed; empty when none did.
        failed_result: the result of that task.
        touched: whether the host's services may have been touched.
    """
    said = " ".join(map(str, failed_result.get("items") or ()))
    why = told(said or str(failed_result.get("msg") or failed_result.get("stderr") or ""))
    words = f"{failed_task}: {why}" if failed_task and why else failed_task
    for result in (failed_result, soak, run):
        # What has used up its time may be frozen; what runs on the host goes on there.
        is_late = bool(result.get("timedout"))
        if is_late or result.get("unreachable") or (result.get("error") or {}).get("kind") == UNREACHABLE:
            # What fails for want of that result says nothing.
            reason = words if result is failed_result else told(str(result.get("msg", "")))
            return Judged(LOST, False, reason or "it was lost")
    for result, go_back in ((run, False), (soak, True)):
        if "ok" in result and not result["ok"]:
            if is_inconclusive(result):
                return Judged(INCONCLUSIVE, False, failing(result))
            return Judged(FAILED, go_back, failing(result) or told(str(result.get("msg", ""))))
    if not failed_task:
        return Judged(DONE, False, "")
    # What runs is proved, and what was to come after it failed: nobody can say whether users reach it. Where nothing
    # was touched yet, as when a balancer is silent, nothing is known of what was rolled out.
    return Judged(INCONCLUSIVE if run.get("ok") or not touched else FAILED, False, words)


def failing(result: Data) -> str:
    """Return the checks that failed in the report of a result; empty when it has none."""
    return ", ".join(f"{check['name']} {check['subject']}" for check in _failed_checks(result))


def is_inconclusive(judged: Data) -> bool:
    """Return whether all that failed is shared by the fleet, so that it says nothing of what was rolled out.

    A run that has gone back has found otherwise: what it brought had another database.
    """
    report = judged.get("report") or {}
    return not report.get("rolled_back") and is_only_away(report.get("checks", ()))


def _failed_checks(result: Data) -> t.List[Data]:
    """Return the checks that failed; of a run that went back those of what was given up."""
    report = result.get("report") or {}
    checks = (report.get("rolled_back") or report).get("checks", ())
    return [check for check in checks if not check["ok"]]
