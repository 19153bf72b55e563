# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a host knows of a rollout: whose it is, at which step it is here, and whether the host is drained.

The record is written before the step that it names. So a host that was lost in the middle says itself where it was.
"""

from __future__ import annotations

import os
import typing as t
from contextlib import nullcontext

from ..base import cures
from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..base.files import read_record, write_record
from ..base.text import one_line, readable_time, span
from .lock import locked

if t.TYPE_CHECKING:
    from ..base.rollout_documents import RolloutData

# The steps of a host, in their order; BACK begins its way back. By the last four it has ended here.
BEGIN, DRAIN, RUN, UNDRAIN, SOAK, BACK = WORKING = ("begin", "drain", "run", "undrain", "soak", "back")
DONE, FAILED, INCONCLUSIVE, REVERTED = ENDED = ("done", "failed", "inconclusive", "reverted")
# What the first host has besides them: it leads from now on, or the rollout has ended on all hosts.
LEAD, END = OF_THE_WHOLE = ("lead", "end")
STEPS = (*WORKING, *ENDED, *OF_THE_WHOLE)

# Seconds to wait for a run that has the stack's lock, before a rollout begins here.
PATIENCE = 5.0
# Characters that are kept of what a controller says of itself.
_MOST = 200


class Controller(t.NamedTuple):
    """The process that a rollout is, on its controller.

    Attributes:
        boot: the controller's boot, as ``processes.boot_id`` returns it.
        namespace: of its pids, as the link ``/proc/self/ns/pid`` names it (namespaces(7)); empty without one.
        pid: the process.
        start: clock ticks from boot to its start; 0 when that is not known.
    """

    boot: str
    namespace: str
    pid: int
    start: int


class Rollout(t.NamedTuple):
    """A rollout, as one host knows it.

    Attributes:
        id: of the rollout.
        by: who started it, as ``user@controller``.
        controller: the process that it is.
        began: when it began here, in seconds since the epoch.
        sign: when it last gave a sign of life here, in seconds since the epoch.
        step: one of ``WORKING`` and ``ENDED``.
        before: id of the generation that was in place when it began; empty when there was none.
        drained: by what it has drained this host, such as haproxy; empty when the host is not drained.
        since: when it drained it, in seconds since the epoch; 0 when it did not.
        leads: whether the rollout as a whole is recorded here and has not ended.
        origin: id of the first rollout of those that have gone on with each other, this one included; empty when it is
            this one. What they have done together is one thing.
        back: whether it goes back here, or has gone back.
        one_way: the one-way steps that have run in it so far, on whichever host: no host goes back over them.
    """

    id: str
    by: str
    controller: Controller
    began: float
    sign: float
    step: str
    before: str
    drained: str = ""
    since: float = 0.0
    leads: bool = False
    origin: str = ""
    back: bool = False
    one_way: t.Tuple[str, ...] = ()

    @property
    def is_at_work(self) -> bool:
        """Whether the rollout has not ended, here or as a whole."""
        return self.leads or self.step in WORKING

    def as_data(self) -> RolloutData:
        """Return it as JSON has it."""
        told = {
            **self._asdict(),
            "controller": self.controller._asdict(),
            "at_work": self.is_at_work,
            "origin": self.origin or self.id,
            "one_way": list(self.one_way),
        }
        return t.cast("RolloutData", told)


class Order(t.NamedTuple):
    """What a controller has a host write down.

    Attributes:
        id: of its rollout.
        by: who started it.
        controller: the process that it is.
        step: that comes now, one of ``STEPS``.
        drained: by what the host is drained from now on, empty when it is not any more; None leaves it as it is.
        leads: whether the rollout as a whole is recorded here.
        over: ids of rollouts that are proved dead, or that a person has said may be taken over.
        origin: id of the first rollout of those that it goes on with; empty when it goes on with none.
        one_way: the one-way steps that are known to have run in it.
    """

    id: str
    by: str
    controller: Controller
    step: str
    drained: t.Optional[str] = None
    leads: bool = False
    over: t.Tuple[str, ...] = ()
    origin: str = ""
    one_way: t.Tuple[str, ...] = ()


def rollout_words(record: RolloutData, now: float) -> str:
    """Return whose a rollout is and when it last gave a sign of life, for people.

    Args:
        record: as a host tells it.
        now: in seconds since the epoch.
    """
    return (
        f"{one_line(record['id'])} of {one_line(record['by'])}, begun {readable_time(record['began'])}, "
        f"at its step '{record['step']}', last sign of life {span(round(max(0.0, now - record['sign'])))} ago"
    )


def path(state: str) -> str:
    """Return the file with the record."""
    return os.path.join(state, "rollout.json")


def read_rollout(state: str) -> t.Optional[Rollout]:
    """Return the last rollout that this host knows; None when there is none.

    Raises:
        RollcallError: the record is there and cannot be read.
    """
    none: t.Optional[Rollout] = None
    return read_record(path(state), _parse, none, "The record of the rollout", [cures.remove(path(state))])


def _parse(data: t.Any) -> Rollout:
    told = data["controller"]
    controller = Controller(str(told["boot"]), str(told["namespace"]), int(told["pid"]), int(told["start"]))
    if data["step"] not in (*WORKING, *ENDED):
        raise ValueError(f"{one_line(str(data['step']), 40)!r} is no step")
    return Rollout(
        str(data["id"]),
        str(data["by"]),
        controller,
        float(data["began"]),
        float(data["sign"]),
        str(data["step"]),
        str(data["before"]),
        str(data["drained"]),
        float(data["since"]),
        bool(data["leads"]),
        str(data.get("origin") or data["id"]),
        bool(data.get("back", False)),
        tuple(str(name) for name in data.get("one_way", ())),
    )


def follow(state: str, order: Order, before: str, *, dry_run: bool = False, clock: Clock = SYSTEM) -> Rollout:
    """Write down a step of a rollout before it is taken, and return the record.

    Args:
        state: the stack's state directory.
        order: what is written down.
        before: id of the generation in place, which is kept when the rollout begins here.
        dry_run: whether it is only seen whether that could be done.
        clock: of the times.

    Raises:
        RollcallError: ``refused``: another rollout is at work here, or a run has the stack's lock.
        RollcallError: the record cannot be read.
        OSError: it could not be written; it is as it was.
    """
    begins = order.step == BEGIN and not dry_run
    with locked(state, order.by, "rollout", patience=PATIENCE, clock=clock) if begins else nullcontext():
        record = next_record(read_rollout(state), order, before, clock.wall())
        if not dry_run:
            write_record(path(state), record.as_data())
        return record


def next_record(found: t.Optional[Rollout], order: Order, before: str, now: float) -> Rollout:
    """Return the record with a step of a rollout.

    Args:
        found: the record so far.
        order: what is written down.
        before: id of the generation in place.
        now: in seconds since the epoch.

    Raises:
        RollcallError: ``refused``: another rollout is at work here.
    """
    other = found is not None and found.id != order.id
    if found is not None and other and found.is_at_work and found.id not in order.over:
        raise RollcallError(
            f"Another rollout is at work on this host: {rollout_words(found.as_data(), now)}.",
            kind="refused",
            evidence={"rollout": found.as_data()},
            remedies=[cures.take_over(found.id)],
        )
    origin = order.origin or order.id
    if found is None or (other and (found.origin or found.id) != origin):
        new = Rollout(order.id, order.by[:_MOST], order.controller, now, now, _first_step(order), before, origin=origin)
        if found is not None:
            # What another one had drained is ours to undrain. What ran before one that did not end is gone back to.
            kept = found.before if found.step in WORKING else before
            new = new._replace(before=kept, drained=found.drained, since=found.since)
        found = new
    elif other:
        # It goes on with that one: what ran before the first of them is what ran before it.
        found = found._replace(id=order.id, by=order.by[:_MOST], controller=order.controller, leads=False)
    step = found.step if order.step in OF_THE_WHOLE else order.step
    drained = found.drained if order.drained is None else order.drained[:_MOST]
    since = 0.0 if not drained else found.since if found.drained else now
    leads = order.step != END and (found.leads or order.leads)
    back = order.step == BACK or (found.back and order.step != BEGIN)
    ran = tuple(dict.fromkeys((*found.one_way, *order.one_way)))
    return found._replace(sign=now, step=step, drained=drained, since=since, leads=leads, back=back, one_way=ran)


def _first_step(order: Order) -> str:
    """Return the step of a host that a rollout comes to first: one that only leads it has nothing to do itself."""
    return DONE if order.step in OF_THE_WHOLE else BEGIN
