# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Take a host's servers out of its balancers and bring them back: one look after the other, under one deadline."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import typing as t
from urllib.parse import quote

from ..base import cures
from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.text import count, one_line
from .haproxy import DENIED, SILENT, HAProxy, ServerKey, ServerView
from .plan import FORCE, DrainMemory, NextOrders, Views, by_force, next_of_drain, next_of_undrain, others
from .published import host_of
from .record import DrainRecord, read_drained, write_drained

# Codes of errors, in ``evidence["code"]``, beside those of haproxy.py.
NO_SERVER = "no_server"  # HAProxy knows none that is meant
TOO_FEW = "too_few"  # a backend would have too few other servers
SESSIONS = "sessions"  # sessions are left at the deadline
NOT_UP = "not_up"  # HAProxy does not see it up at the deadline

# Seconds between two looks.
POLL = 0.2
# Seconds in which sessions that HAProxy was told to end have ended.
_CUT_SECONDS = 5.0
# Seconds to the next look when the deadline has passed, and how many there are then at the most.
_SOONEST = 0.02
_LATE_LOOKS = 3
_MOST_TOLD = 10


@dataclasses.dataclass(frozen=True)
class WantedServers:
    """Which servers are meant, and by whom.

    Attributes:
        balancers: addresses of the HAProxys, see `HAProxy`.
        servers: patterns as of a shell, such as ``web/app1`` or ``*/app1``.
        addresses: IP addresses; a server with one of them is meant too.
        record: path of the file that says what we have taken out.
        by: who asks, for that file.
        host: the servers of this name, and of its instances ``HOST:N``, are meant in every backend; empty for none.
    """

    balancers: t.Tuple[str, ...]
    servers: t.Tuple[str, ...]
    addresses: t.Tuple[str, ...]
    record: str
    by: str = ""
    host: str = ""


def wanted_servers(options: t.Mapping[str, t.Any], by: str = "") -> WantedServers:
    """Return the servers of a host, from ``host``, ``sockets``, ``servers``, ``addresses`` and ``record_directory``.

    Args:
        options: as of the module haproxy_server; without servers and addresses those of the host's name are meant.
        by: who asks.
    """
    # Whatever the host is called, it is one name of a file.
    record = os.path.join(options["record_directory"], f"{quote(options['host'], safe='')}.json")
    addresses = tuple(options["addresses"])
    servers = tuple(options["servers"])
    host = "" if servers or addresses else options["host"]
    return WantedServers(tuple(options["sockets"]), servers, addresses, record, by, host)


def look(wanted: WantedServers, *, clock: Clock = SYSTEM) -> t.Dict[str, t.Any]:
    """Return ``servers``: those that are meant, as they are now, and ``drained``: what our record says.

    Raises:
        RollcallError: a HAProxy does not answer, or the record cannot be read.
    """
    fleet = _Balancers(wanted, clock)
    views = fleet.views()
    seen = fleet.result(views, views, fleet.meant(views), changed=False)
    del seen["diff"]
    return seen


def drain(
    wanted: WantedServers,
    *,
    timeout: float,
    policy: str,
    others_up: int = 0,
    dry_run: bool = False,
    clock: Clock = SYSTEM,
) -> t.Dict[str, t.Any]:
    """Take servers out: no new requests, then no sessions, then maintenance.

    Args:
        wanted: the servers.
        timeout: seconds that sessions have to end.
        policy: what is done with those that are left, one of `DRAIN_POLICIES`.
        others_up: of each backend, how many other servers must be up and in use, or nothing is done.
        dry_run: only say what would be done.
        clock: where the time comes from.

    Returns:
        ``changed``, ``servers``, ``drained`` and ``diff``.

    Raises:
        RollcallError: a HAProxy does not answer or refuses; no server is meant; too few others would be up; sessions
            are left. Then the servers that were in use before are again, where HAProxy takes the order.
    """
    fleet = _Balancers(wanted, clock)
    views = fleet.views()
    keys = fleet.meant(views)
    theirs = others(views, keys, fleet.record.servers)
    new = [key for key in keys if key not in theirs and not (views[key].maint or views[key].drain)]
    _require_others(views, keys, new, others_up)
    ours = [key for key in keys if key not in theirs]
    changed = any(not views[key].maint for key in ours)
    if dry_run:
        return fleet.result(views, views, keys, changed=changed, planned=dict.fromkeys(ours, "MAINT"))
    memory = DrainMemory(set(fleet.record.servers))
    fleet.remember(new)
    memory.ours.update(new)
    deadline = Deadline(timeout, clock)
    try:
        last = fleet.follow(lambda seen: next_of_drain(seen, keys, theirs, memory), deadline)
        if last is not None:
            if policy != FORCE:
                raise _not_drained(last, keys, timeout)
            fleet.follow(lambda seen: by_force(seen, keys, theirs), Deadline(_CUT_SECONDS, clock), must=True)
    except RollcallError as exc:
        raise fleet.given_back(exc, new) from exc
    return fleet.result(views, fleet.views(), keys, changed=changed)


def undrain(
    wanted: WantedServers,
    *,
    timeout: float,
    ports: t.Optional[t.Mapping[int, int]] = None,
    dry_run: bool = False,
    clock: Clock = SYSTEM,
) -> t.Dict[str, t.Any]:
    """Bring servers back that we have taken out, and wait until each HAProxy sees them up by checks that began now.

    Args:
        wanted: the servers.
        timeout: seconds that HAProxy has to see them up.
        ports: the port that a server has by now, by the one that it had before.
        dry_run: only say what would be done.
        clock: where the time comes from.

    Returns:
        ``changed``, ``servers``, ``drained`` and ``diff``.

    Raises:
        RollcallError: a HAProxy does not answer or refuses; no server is meant; one is not up at the deadline. It is
            then no longer drained all the same, and HAProxy gives it requests as soon as it sees it up.
    """
    fleet = _Balancers(wanted, clock)
    views = fleet.views()
    keys = fleet.meant(views)
    theirs = others(views, keys, fleet.record.servers)
    ours = [key for key in keys if key not in theirs and (views[key].maint or views[key].drain)]
    if dry_run:
        return fleet.result(views, views, keys, changed=bool(ours), planned=dict.fromkeys(ours, "UP"))
    memory = DrainMemory(set(fleet.record.servers))
    try:
        # As long as they are out: nobody is asked at a port where nobody listens.
        fleet.move({key: (ports or {})[views[key].port] for key in ours if views[key].port in (ports or {})}, views)
        last = fleet.follow(lambda seen: next_of_undrain(seen, keys, theirs, memory), Deadline(timeout, clock))
        if last is not None:
            raise _not_up(last, keys, theirs, timeout)
    except RollcallError as exc:
        raise fleet.given_back(exc, ours) from exc
    after = fleet.views()
    gone = [key for key in fleet.record.servers if key not in after and key.balancer in wanted.balancers]
    fleet.forget([*(key for key in keys if key not in theirs), *gone])
    return fleet.result(views, after, keys, changed=bool(ours))


class _Balancers:
    """The HAProxys of one call, and what was taken out of them."""

    def __init__(self, wanted: WantedServers, clock: Clock) -> None:
        self._wanted = wanted
        self._clock = clock
        self._balancers = {address: HAProxy(address, clock) for address in wanted.balancers}
        self.record = read_drained(wanted.record)

    def views(self) -> t.Dict[ServerKey, ServerView]:
        """Return all servers of all of them."""
        return {key: view for balancer in self._balancers.values() for key, view in balancer.servers().items()}

    def meant(self, views: Views) -> t.List[ServerKey]:
        """Return the servers that are meant, in their order.

        Raises:
            RollcallError: ``wrong_use``: a pattern or an address names none, in all of the HAProxys.
        """
        named = {name: [key for key in views if fnmatch.fnmatchcase(str(key), name)] for name in self._wanted.servers}
        named.update({ip: [key for key in views if views[key].address == ip] for ip in self._wanted.addresses})
        if self._wanted.host:
            named[f"*/{self._wanted.host}"] = [key for key in views if host_of(key.server) == self._wanted.host]
        missing = [name for name, keys in named.items() if not keys]
        if missing or not named:
            there = [str(key) for key in views]
            raise RollcallError(
                f"{count(len(missing), 'name or address', 'names or addresses')} of no server: {', '.join(missing)}. "
                f"Those at {', '.join(self._wanted.balancers)} are: {one_line(', '.join(there), 1000) or 'none'}.",
                kind="wrong_use",
                evidence={"code": NO_SERVER, "missing": missing, "servers": there[:100]},
                remedies=[cures.SERVER_NAMES],
            )
        return list(dict.fromkeys(key for keys in named.values() for key in keys))

    def follow(
        self, decide: t.Callable[[Views], NextOrders], deadline: Deadline, *, must: bool = False
    ) -> t.Optional[Views]:
        """Look and give orders until nothing is left to do, or until the deadline.

        Args:
            decide: what to do next.
            deadline: of all of it.
            must: whether it is an error when something is left.

        Returns:
            None, or what was seen at the deadline.

        Raises:
            RollcallError: a HAProxy refuses an order, or has not answered when the deadline passed.
        """
        late = 0
        while True:
            try:
                views = self.views()
                step = decide(views)
                for order, key in step.orders:
                    self._balancers[key.balancer].order(order, key)
            except RollcallError as exc:
                # In a reload nobody listens for a moment.
                if exc.evidence.get("code") != SILENT or deadline.expired:
                    raise
            else:
                if step.done:
                    return None
                late += deadline.expired
                # What was ordered at the deadline is seen through, and no more of it: somebody may order the contrary.
                if late > _LATE_LOOKS or (late and not step.orders):
                    if must:
                        raise _not_drained(views, step.waiting, deadline.seconds)
                    return views
            self._clock.sleep(min(POLL, max(deadline.remaining(), _SOONEST)))

    def move(self, ports: t.Mapping[ServerKey, int], views: Views) -> None:
        """Tell servers their other ports.

        Raises:
            RollcallError: a HAProxy does not answer, or has not taken it.
        """
        for key, port in ports.items():
            self._balancers[key.balancer].move(key, views[key].address, port)
        after = self.views() if ports else {}
        left = [str(key) for key, port in ports.items() if key not in after or after[key].port != port]
        if left:
            raise RollcallError(
                f"HAProxy has not taken the other port of {', '.join(left)}.",
                evidence={"code": DENIED, "servers": left},
                remedies=[cures.BALANCER_LEVEL],
            )

    def remember(self, keys: t.Iterable[ServerKey]) -> None:
        """Write down, before it is done, that servers are taken out by us."""
        before = self.record
        by, since = (before.by, before.since) if before.servers else (self._wanted.by, self._clock.wall())
        self._write(DrainRecord(by, since, before.servers | frozenset(keys)))

    def forget(self, keys: t.Iterable[ServerKey]) -> None:
        """Write down that servers are in use again."""
        self._write(dataclasses.replace(self.record, servers=self.record.servers - frozenset(keys)))

    def given_back(self, error: RollcallError, keys: t.Sequence[ServerKey]) -> RollcallError:
        """Put servers into use as they are, and return the error, which says so."""
        failed: t.Dict[ServerKey, str] = {}
        silent: t.Set[str] = set()
        for key in keys:
            if key.balancer in silent:
                failed[key] = "its HAProxy does not answer"
                continue
            try:
                self._balancers[key.balancer].order("ready", key)
            except RollcallError as exc:
                silent.update([key.balancer] if exc.evidence.get("code") == SILENT else [])
                failed[key] = exc.message
        # Some may never have been taken out.
        seen = {} if silent else self.views()
        left = [f"{key}: {why}" for key, why in failed.items() if key not in seen or not seen[key].in_use]
        back = [key for key in keys if key not in failed or (key in seen and seen[key].in_use)]
        self.forget(back)
        told = f" In use: {_listed(map(str, back))}." if back else ""
        told += f" MAY BE LEFT DRAINED: {_listed(left)}." if left else ""
        return RollcallError(
            error.message + told,
            kind=error.kind,
            evidence={**error.evidence, "in_use": list(map(str, back)), "left_drained": left},
            remedies=error.remedies,
        )

    def result(
        self,
        before: Views,
        after: Views,
        keys: t.Sequence[ServerKey],
        *,
        changed: bool,
        planned: t.Optional[t.Mapping[ServerKey, str]] = None,
    ) -> t.Dict[str, t.Any]:
        """Return what is told: every server that is meant, what we have taken out, and the difference."""
        rows = [row_of(after[key], self.record) for key in keys if key in after]
        coming = {key: (planned or {}).get(key, after[key].status) for key in keys if key in after}
        return {
            "changed": changed,
            "servers": rows,
            "drained": {
                "by": self.record.by or None,
                "since": self.record.since or None,
                "servers": sorted(map(str, self.record.servers)),
            },
            "diff": {
                "before": _lines({key: before[key].status for key in keys if key in before}),
                "after": _lines(coming),
            },
        }

    def _write(self, record: DrainRecord) -> None:
        record = record if record.servers else DrainRecord()
        if record != self.record:
            write_drained(self._wanted.record, record)
            self.record = record


def row_of(view: ServerView, record: DrainRecord) -> t.Dict[str, t.Any]:
    """Return a server as data."""
    ours = view.key in record.servers
    return {
        "balancer": view.key.balancer,
        "backend": view.key.backend,
        "server": view.key.server,
        "address": view.address,
        "port": view.port or None,
        "status": view.status,
        "state": "ready" if view.in_use else "drained" if view.maint or view.inherited else "draining",
        "up": view.up and view.passed and view.in_use,
        "checked": view.checked,
        "check": view.check or None,
        "sessions": view.sessions,
        "idle": view.idle,
        "owner": None if view.in_use else "rollcall" if ours else "other",
    }


def _require_others(views: Views, keys: t.Sequence[ServerKey], new: t.Iterable[ServerKey], wanted: int) -> None:
    """Check that enough other servers are up in each backend of which one is about to be taken out.

    Raises:
        RollcallError: ``refused``: there are too few; nothing was done.
    """
    few = {}
    for balancer, backend in dict.fromkeys((key.balancer, key.backend) for key in new):
        here = [view for view in views.values() if (view.key.balancer, view.key.backend) == (balancer, backend)]
        up = [view for view in here if view.key not in keys and view.up and view.passed and view.in_use]
        if len(up) < wanted:
            few[backend] = [view.text() for view in here if view.key not in keys]
    if few:
        told = "; ".join(f"{backend}: {_listed(seen) or 'there is no other'}" for backend, seen in few.items())
        raise RollcallError(
            f"Fewer than {count(wanted, 'other server')} would be up in {', '.join(few)}. Nothing was drained. {told}.",
            kind="refused",
            evidence={"code": TOO_FEW, "wanted": wanted, "backends": few},
            remedies=[cures.OTHER_SERVERS],
        )


def _not_drained(views: Views, keys: t.Sequence[ServerKey], seconds: float) -> RollcallError:
    busy = [views[key] for key in keys if key in views and views[key].sessions + views[key].queued]
    return RollcallError(
        f"Sessions are left after {seconds:g} s: {_listed(view.text() for view in busy)}.",
        evidence={"code": SESSIONS, "servers": [view.text() for view in busy], "seconds": seconds},
        remedies=[cures.FORCE_DRAIN],
    )


def _not_up(views: Views, keys: t.Sequence[ServerKey], theirs: t.Container[ServerKey], seconds: float) -> RollcallError:
    down = [key for key in keys if key not in theirs and not (key in views and _is_up(views[key]))]
    seen = [views[key].text() if key in views else f"{key} is not there any more" for key in down]
    return RollcallError(
        f"HAProxy does not see {count(len(down), 'server')} up after {seconds:g} s: {_listed(seen)}.",
        evidence={"code": NOT_UP, "servers": seen, "seconds": seconds},
        remedies=[cures.BALANCER_CHECK],
    )


def _is_up(view: ServerView) -> bool:
    return view.up and view.passed and view.in_use


def _listed(texts: t.Iterable[str]) -> str:
    told = list(texts)
    more = f"; and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
    return "; ".join(told[:_MOST_TOLD]) + more


def _lines(states: t.Mapping[ServerKey, str]) -> str:
    return "".join(f"{key.balancer} {key} {state}\n" for key, state in states.items())
