# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Who goes back when a rollout has failed, and how it is told what each host runs in the end. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_UNREACHABLE,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import count
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.one_way import one_way_words
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.rollout import (
    DONE,
    FAILED,
    INCONCLUSIVE,
    REVERTED,
)
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import LOST, Seen

REVERT = "revert"


class Stands(t.NamedTuple):
    """Where a host stands when a rollout has come to no further one.

    Attributes:
        outcome: how it has ended; empty where the rollout did not come to it.
        before: id of the generation that was in place before; empty when there was none.
        generation: id of the one that is in place now.
        one_way: the one-way steps that its record knows to have run.
    """

    outcome: str
    before: str = ""
    generation: str = ""
    one_way: t.Tuple[str, ...] = ()


def stands(one: Seen) -> Stands:
    """Return where a host stands that has nothing to do, because a rollout that was cut off has done it."""
    record = one.rollout
    if record is None:
        return Stands(DONE, one.generation, one.generation)
    return Stands(DONE, record["before"], one.generation, tuple(record["one_way"]))


class WayBack(t.NamedTuple):
    """Who goes back.

    Attributes:
        hosts: those that go back, in their order.
        stays: those that were done and do not go back, with why.
    """

    hosts: t.Tuple[str, ...] = ()
    stays: t.Mapping[str, str] = {}


def way_back(stand: t.Mapping[str, Stands], on_failure: str, budget: int) -> WayBack:
    """Return who goes back because more hosts than may have failed.

    What is inconclusive takes nobody back: it says nothing of what was rolled out. Nor does a host that was lost.

    Args:
        stand: by host, in the order in which the rollout went to them.
        on_failure: ``REVERT``, or anything else for nobody.
        budget: how many hosts may fail.
    """
    outcomes = [one.outcome for one in stand.values()]
    if on_failure != REVERT or INCONCLUSIVE in outcomes or outcomes.count(FAILED) <= budget:
        return WayBack()
    # What a host did not change it does not take back.
    done = [host for host in reversed(list(stand)) if stand[host].outcome == DONE and _is_changed(stand[host])]
    ran = one_way_of(stand.values())
    if ran:
        return WayBack((), dict.fromkeys(done, one_way_words(ran)))
    first = {host: "nothing ran there before" for host in done if not stand[host].before}
    return WayBack(tuple(host for host in done if host not in first), first)


def _is_changed(one: Stands) -> bool:
    return one.before != one.generation


def one_way_of(stand: t.Iterable[Stands]) -> t.Tuple[str, ...]:
    """Return the one-way steps that have run, each once."""
    return tuple(dict.fromkeys(name for one in stand for name in one.one_way))


def way_back_text(back: WayBack) -> str:
    """Return for people who goes back, and who does not; empty when nobody was to."""
    lines = [f"going back to what ran before: {', '.join(back.hosts)}"] if back.hosts else []
    lines += [f"stays on what was rolled out: {host}: {why}" for host, why in back.stays.items()]
    return "\n".join(lines)


def way_back_notes(before: t.Mapping[str, str], on_failure: str) -> t.List[str]:
    """Return what becomes of hosts that are done when another one fails, to be told before the rollout begins.

    Args:
        before: by host that it goes to the generation in place.
        on_failure: as for `way_back`.
    """
    if on_failure != REVERT or not before:
        return []
    lines = ["when a host fails, those that are done go back to what runs now, the last one first"]
    first = [host for host, generation in before.items() if not generation]
    return [*lines, *([f"  nothing runs yet on {', '.join(first)}: there what was rolled out stays"] if first else [])]


class Ended(t.NamedTuple):
    """What is known of a host at the end of a rollout.

    Attributes:
        outcome: how it has ended; empty where the rollout did not come to it.
        why: what failed; empty when nothing did.
        back: whether it runs again what ran before; None when it was not to go back.
        drained: whether it is still out of the balancer.
        drained_by: by what and since when, in words; empty when it is not, or nobody knows.
        runs: what it runs now: the id of a generation, and of a release where there is one; empty when nobody knows.
        stays: why it was not taken back although the rollout takes hosts back; empty when it was, or that is no matter.
    """

    outcome: str = ""
    why: str = ""
    back: t.Optional[bool] = None
    drained: bool = False
    drained_by: str = ""
    runs: str = ""
    stays: str = ""


def exit_code(ended: t.Mapping[str, Ended], left_out: t.Mapping[str, str]) -> int:
    """Return how a rollout ends as a command: 0, 1 when a host has not ended well, 4 when one was not reached."""
    if left_out or any(one.outcome == LOST for one in ended.values()):
        return EXIT_UNREACHABLE
    return EXIT_OK if all(one.outcome == DONE and not one.drained for one in ended.values()) else EXIT_FAILED


class Told(t.NamedTuple):
    """What there is to tell of a rollout besides its hosts.

    Attributes:
        id: of the rollout.
        back: the hosts that it takes back.
        reverts: whether it does nothing else.
        paused: why it has paused although no host has failed; empty when it has not.
        again: the command that has rolled out; empty where it is not known.
    """

    id: str
    back: t.Tuple[str, ...] = ()
    reverts: bool = False
    paused: str = ""
    again: str = ""


def result_text(ended: t.Mapping[str, Ended], left_out: t.Mapping[str, str], told: Told) -> str:
    """Return for people how a rollout has ended, the worst last.

    Args:
        ended: every host that it was to go to, in their order.
        left_out: hosts that it was not to go to, with why.
        told: the rest.
    """
    left = [host for host in told.back if ended[host].outcome in ("", DONE, LOST)]
    done = [host for host, one in ended.items() if one.outcome == DONE and host not in left]
    reverted = [host for host, one in ended.items() if one.outcome == REVERTED]
    waiting = [host for host, one in ended.items() if not one.outcome and host not in left]
    lines = [f"done: {', '.join(done)}"] if done else []
    lines += [f"went back, and runs again what ran before: {', '.join(reverted)}"] if reverted else []
    lines += [f"left out: {host}: {why}" for host, why in left_out.items()]
    lines += [f"not begun: {', '.join(waiting)}"] if waiting else []
    lines += [f"yet to go back: {', '.join(left)}"] if left else []
    for host, one in ended.items():
        if one.outcome not in ("", DONE, REVERTED):
            lines.append(f"{one.outcome}: {host}: {one.why}{_BACK[one.back]}")
    lines += [f"stays on what was rolled out: {host}: {one.stays}" for host, one in ended.items() if one.stays]
    for host, one in ended.items():
        if one.drained:
            how = f": {one.drained_by}" if one.drained_by else ""
            lines.append(f"still drained, or not up in the balancer: {host}{how}")
    code = exit_code(ended, left_out)
    lines += [f"paused: {told.paused}"] if told.paused else []
    lines += _running(ended) if code != EXIT_OK else []
    lines.append(
        f"rollout {told.id}: {_word(ended, code, told.paused)}, {_number(ended, left_out, told.reverts, left)}"
    )
    if code != EXIT_OK:
        lines += [f"  next: {_next(ended, left, told.reverts)}", *([f"    {told.again}"] if told.again else [])]
    return "\n".join(lines)


def _word(ended: t.Mapping[str, Ended], code: int, paused: str) -> str:
    """Return how a rollout has ended, in one word."""
    outcomes = {one.outcome for one in ended.values()}
    if code == EXIT_OK:
        return "OK"
    if REVERTED in outcomes and not outcomes & {DONE, LOST} and not any(one.back is False for one in ended.values()):
        return "REVERTED"
    if INCONCLUSIVE in outcomes or paused:
        return "PAUSED"
    return "INCOMPLETE" if outcomes <= {DONE} else "STOPPED"


def _number(ended: t.Mapping[str, Ended], left_out: t.Mapping[str, str], reverts: bool, left: t.Sequence[str]) -> str:
    wanted, what = (REVERTED, "gone back") if reverts else (DONE, "done")
    # Who has yet to go back is not done, whatever it has come to before.
    number = sum(one.outcome == wanted and host not in left for host, one in ended.items())
    return f"{number} of {count(len(ended) + len(left_out), 'host')} {what}"


def _running(ended: t.Mapping[str, Ended]) -> t.List[str]:
    """Return what each host runs now, hosts with the same in one line; nothing where none has said that."""
    hosts: t.Dict[str, t.List[str]] = {}
    for host, one in ended.items():
        hosts.setdefault(one.runs, []).append(host)
    unknown = hosts.pop("", [])
    if not hosts:
        return []
    lines = [f"now {', '.join(of)}: {runs}" for runs, of in hosts.items()]
    return [*lines, *([f"now {', '.join(unknown)}: nobody knows"] if unknown else [])]


def _next(ended: t.Mapping[str, Ended], left: t.Sequence[str], reverts: bool) -> str:
    if left:
        return cures.GO_ON_BACK
    if reverts and all(one.outcome == REVERTED for one in ended.values()):
        return cures.ROLL_OUT_AGAIN
    return cures.GO_ON


# Whether a host has gone back, for people.
_BACK: t.Mapping[t.Optional[bool], str] = {
    None: "",
    True: "; it runs again what ran before",
    False: "; it could not be taken back",
}
