# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What to order next, so that servers are drained, or are in use again: decided from one look, before it is done.

A server of somebody else's maintenance is one that is not in use and that we have not taken out. It is left alone.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .haproxy import Order, ServerKey, ServerView

Views = t.Mapping[ServerKey, ServerView]

# What is done with sessions that are left at the deadline: end them, or give up and put the servers back.
FORCE, FAIL = "force", "fail"
DRAIN_POLICIES = (FAIL, FORCE)


@dataclasses.dataclass(frozen=True)
class NextOrders:
    """What to do after a look.

    Attributes:
        orders: to be given in this order.
        waiting: the servers that are not yet as they should be.
    """

    orders: t.Tuple[t.Tuple[Order, ServerKey], ...] = ()
    waiting: t.Tuple[ServerKey, ...] = ()

    @property
    def done(self) -> bool:
        """Whether all is as it should be."""
        return not (self.orders or self.waiting)


@dataclasses.dataclass
class DrainMemory:
    """What a drain, or an undrain, has to remember from look to look.

    Attributes:
        ours: servers that we have taken out, now or earlier.
        down: servers that were down when they were taken out: nothing has to be waited for.
        distrusted: servers whose next checks alone say that they are up again.
    """

    ours: t.Set[ServerKey]
    down: t.Set[ServerKey] = dataclasses.field(default_factory=set)
    distrusted: t.Set[ServerKey] = dataclasses.field(default_factory=set)


def others(views: Views, wanted: t.Iterable[ServerKey], ours: t.Container[ServerKey]) -> t.List[ServerKey]:
    """Return the servers that somebody else has taken out."""
    return [key for key in wanted if key in views and _others(views[key], ours)]


def next_of_drain(
    views: Views, wanted: t.Sequence[ServerKey], theirs: t.Container[ServerKey], memory: DrainMemory
) -> NextOrders:
    """Return what to do next so that servers get no requests and have no sessions.

    All are told to drain, all are waited for, and only then are they in maintenance: until then, each can be given back
    at once. A reload of HAProxy forgets all of it, and then it is begun anew.

    Args:
        views: all servers, as they are now.
        wanted: those that are meant. One that is not there any more is drained.
        theirs: those that somebody else has taken out; they are waited for, and have no orders.
        memory: is kept up.
    """
    here = [views[key] for key in wanted if key in views]
    drain = tuple(view.key for view in here if view.key not in theirs and not (view.maint or view.drain))
    busy = tuple(view.key for view in here if _has_work(view, memory))
    memory.down.difference_update(drain)
    if drain or busy:
        return NextOrders(tuple(("drain", key) for key in drain), tuple(dict.fromkeys((*drain, *busy))))
    out = [view for view in here if not view.maint and view.key not in theirs]
    memory.down.update(view.key for view in out if not view.up)
    return NextOrders(tuple(("maint", view.key) for view in out))


def by_force(views: Views, wanted: t.Sequence[ServerKey], theirs: t.Container[ServerKey]) -> NextOrders:
    """Return what to do at the deadline so that servers get no requests and have no sessions."""
    here = [views[key] for key in wanted if key in views]
    orders: t.List[t.Tuple[Order, ServerKey]] = [
        ("maint", view.key) for view in here if not view.maint and view.key not in theirs
    ]
    orders += [("cut", view.key) for view in here if view.sessions]
    return NextOrders(tuple(orders), tuple(view.key for view in here if view.sessions))


def next_of_undrain(
    views: Views, wanted: t.Sequence[ServerKey], theirs: t.Container[ServerKey], memory: DrainMemory
) -> NextOrders:
    """Return what to do next so that servers are in use, and HAProxy has itself seen that they are up.

    HAProxy counts a server that comes out of maintenance as up before it has tried. So it is only drained first, and
    told to be down: then only checks that begin now say that it is up, and it gets no request before.

    Args:
        views: all servers, as they are now.
        wanted: those that are meant.
        theirs: those that somebody else has taken out; they are left so.
        memory: is kept up.
    """
    orders: t.List[t.Tuple[Order, ServerKey]] = []
    waiting: t.List[ServerKey] = []
    for key in wanted:
        view = views.get(key)
        if key in theirs:
            continue
        if view is None:
            waiting.append(key)
        elif view.maint or view.drain:
            if not view.checked or (key in memory.distrusted and not view.maint and view.up and view.passed):
                orders.append(("ready", key))
            elif view.maint or key not in memory.distrusted:
                orders += [("drain", key), ("distrust", key)]
                memory.distrusted.add(key)
            waiting.append(key)
        elif not (view.up and view.passed and view.in_use):
            waiting.append(key)
    return NextOrders(tuple(orders), tuple(waiting))


def _others(view: ServerView, ours: t.Container[ServerKey]) -> bool:
    if view.maint or view.drain:
        return view.key not in ours
    return view.inherited and view.tracked not in ours


def _has_work(view: ServerView, memory: DrainMemory) -> bool:
    """Return whether a server has to be waited for."""
    if view.key in memory.down or (view.drain and not view.up and not view.maint):
        return False
    return view.sessions + view.queued > 0
