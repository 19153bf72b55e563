# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Restarts services under a supervisord that stays: each is started as soon as nothing that it concerns is in the way.

What holds up the start of a service: its own process, what depends on it and is to stop, and who still has its port.
"""

from __future__ import annotations

import typing as t

from ..base.errors import RollcallError
from ..manifest.model import Service
from ..state.waiting import Wait
from ..supervisord.client import Client
from .order import needs_of, stopped_before
from .rolling import Groups
from .takedown import TakeDown

Names = t.Sequence[str]


class Work(t.NamedTuple):
    """What is done with some services on the way, each time recorded before.

    Attributes:
        stop: told the services that are about to be told to stop.
        flush: frees the ports of services, one after the other.
        start: told the services that are about to start.
    """

    stop: t.Callable[[Names], None]
    flush: t.Callable[[Names], None]
    start: t.Callable[[Names], None]


class Ways(t.NamedTuple):
    """What is to become of which services.

    Attributes:
        stop: they stop.
        start: they start.
        changed: programs whose section has changed: replaced as soon as they are down.
        removed: programs that are no more: removed as soon as they are down.
        rolling: instances that are restarted one after the other, each when the one before it is up.
    """

    stop: Names
    start: Names
    changed: Names
    removed: Names
    rolling: Groups


class Turnover:
    """The stops of a restart, and which services may start by now; `BringUp` starts them.

    Args:
        takedown: ends what runs.
        client: of the supervisord that stays; it has read the wanted config.
        ways: what is to become of which services.
        work: what is done on the way.

    Attributes:
        failed: by service that is not started the reason.
        rolling: all instances that are restarted one after the other.
    """

    def __init__(
        self,
        takedown: TakeDown,
        client: Client,
        ways: Ways,
        work: Work,
    ) -> None:
        stop, start = ways.stop, ways.start
        self._takedown = takedown
        self._client = client
        self._work = work
        self._stops = frozenset(stop)
        services = takedown.services
        known = [name for name in stop if name in services]
        # By instance what must be up before it stops: those before it, and what it needs and is started.
        self._earlier = {
            name: (*(one for one in services[name].depends_on if one in start), *names[:place])
            for names in ways.rolling
            for place, name in enumerate(names)
        }
        self.rolling = frozenset(self._earlier)
        order = stopped_before(services, known, together=False, replaced=frozenset(start), rolling=self.rolling)
        self._descent = takedown.descent(
            {**{name: set() for name in stop}, **order}, lost=False, narrow=True, told=work.stop
        )
        needs = needs_of(services, known, self.rolling)
        ports = {name: takedown.ports_of(name) for name in stop}
        # By service to start: those that must be down by then.
        self._first = {
            name: {
                other
                for other in stop
                if other == name
                or (name in needs.get(other, ()) and other not in self.rolling)
                or not ports[other].isdisjoint(services[name].all_ports.values())
                or services[name].socket in takedown.sockets_of(other)
            }
            for name in start
        }
        self._changed, self._removed = set(ways.changed), set(ways.removed)
        self._errors: t.List[RollcallError] = []
        self.failed: t.Dict[str, str] = {}

    @property
    def left(self) -> t.Set[str]:
        """The services that run on as they were, although they were to be restarted."""
        return self._descent.stuck

    @property
    def busy(self) -> bool:
        """Whether a service is still on its way down, or a program that is down is still to be taken over."""
        return self._descent.busy or bool(self._settled())

    @property
    def pause(self) -> float:
        """Seconds until the next step is worth while."""
        return self._descent.pause

    def waits(self) -> t.List[Wait]:
        """Return what is waited for on the way down."""
        return self._descent.waits()

    def step(self, up: t.Container[str], failed: t.Container[str]) -> None:
        """Go on with the stops, and have supervisord take over what has changed.

        Args:
            up: the services that have been started and are ready.
            failed: those that were to start and are not up.

        Raises:
            RollcallError: supervisord does not answer.
        """
        for name, earlier in self._earlier.items():
            lost = next((one for one in earlier if one in failed), None)
            if lost is not None and name not in self.failed and name not in up and name not in self._descent.down:
                self._descent.give_up(name)
                self.failed[name] = f"not restarted, it runs on as it was: {lost} did not come up"
        self._descent.step(self._client, lambda name: all(one in up for one in self._earlier.get(name, ())))
        for name in self._first:
            stuck = self._first[name] & self._descent.stuck
            if stuck and name not in self.failed:
                self.failed[name] = f"not restarted: {', '.join(sorted(stuck))} did not stop"
        for name in sorted(self._settled()):
            self._client.remove(name)
            if name in self._changed:
                self._client.add(name)
            self._changed.discard(name)
            self._removed.discard(name)

    def _settled(self) -> t.Set[str]:
        """Return the programs that supervisord can take over: they do not run."""
        return (self._changed | self._removed) - (self._stops - self._descent.down)

    def may_start(self, name: str) -> bool:
        """Return whether nothing is in the way of a start any more."""
        return self._first[name] <= self._descent.down

    def prepare(self, services: t.Sequence[Service]) -> t.List[Service]:
        """End what is left over of services, and free their ports; return those that can start then."""
        able = self._cleared([service.name for service in services])
        if able:
            self._work.start(able)
        return [service for service in services if service.name in able]

    def _cleared(self, names: Names) -> t.List[str]:
        try:
            if self._stops.intersection(names):
                self._takedown.sweep(services=names, nameless=not self.busy)
            self._work.flush(names)
        except RollcallError as exc:
            if len(names) > 1:
                return [name for name in names if self._cleared([name])]
            self.failed[names[0]] = exc.message
            self._errors.append(exc)
            return []
        return list(names)

    def refuse(self) -> None:
        """Raise where a service could not be restarted: it did not stop, or its port is not free.

        Raises:
            RollcallError: why; the others have been restarted.
        """
        self._descent.refuse()
        if self._errors:
            raise self._errors[0]
