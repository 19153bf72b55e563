# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollcall beside its peers: what each says of a service that does not answer, and how long things take.

``python -m tests.benchmark peers`` does it alone. A peer that cannot be installed here is named as left out, with why.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.benchmark import peer_tools
from tests.benchmark.arena import Arena, Failure, Took, wait_until
from tests.benchmark.peer_places import (
    Circus,
    Honcho,
    Ours,
    Peer,
    Pm2,
    Said,
    Supervisorctl,
    Systemd,
    SystemdAsking,
    Units,
    Written,
)
from tests.benchmark.places import Host, Plain, Rollcall, demo_services
from tests.benchmark.table import spread

OURS, OURS_AT_ONCE = "Rollcall", "Rollcall, `stable_for` 0"
# Nobody depends on it, and it has a port.
SERVICE = "system_monitor"
# What the application of that service does from its next start on.
FAULTS: Mapping[str, Mapping[str, str]] = {
    "runs and never listens": {"LISTEN_AFTER": "86400"},
    "answers with 503": {"HEALTH_STATUS": "503"},
    "ends as soon as it is started": {"CRASH_AFTER": "0.05"},
    "ends 1.5 s after each start": {"CRASH_AFTER": "1.5"},
}
FROZEN = "is frozen while it runs (SIGSTOP)"
# Seconds from the end of a restart until its peer is asked for the status: nobody can say that it came too soon.
LATER = 3.0
# Seconds in which all have to answer, and seconds for one answer.
PATIENCE, ANSWER = 60.0, 2.0
PAUSE = 0.01
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class DefaultHost(Host):
    """A host of Rollcall's as it comes: a service has to have lived for two seconds."""

    def manifest(self) -> dict[str, object]:
        manifest = super().manifest()
        del manifest["defaults"]["stable_for"]
        return manifest


# --- what is seen from outside ----------------------------------------------------------------------------------------


def answering(peer: Peer, service: str) -> int | None:
    """Return the pid that says on the port of a service that it is well; None when nobody does."""
    port = peer.place.services[service]["port"]
    try:
        with _OPENER.open(f"http://{peer.address}:{port}/health", timeout=ANSWER) as answer:
            body = json.loads(answer.read(65536))
    except (OSError, ValueError):
        # HTTP errors are OSErrors too.
        return None
    return int(body["pid"]) if body.get("status") == "ok" else None


def with_port(peer: Peer) -> list[str]:
    """Return the services that have a port."""
    return [name for name, service in peer.place.services.items() if "port" in service]


class Watch(threading.Thread):
    """Looks all the while whether some services answer, each by another process than before.

    Args:
        peer: whose.
        services: which.
        before: the pid that answered for each before.
    """

    def __init__(self, peer: Peer, services: Sequence[str], before: Mapping[str, int | None]) -> None:
        super().__init__(daemon=True)
        self._peer = peer
        self._services = services
        self._before = before
        self._until = time.monotonic() + PATIENCE
        self._ended = threading.Event()
        self.moment: float | None = None

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        while time.monotonic() < self._until and not self._ended.wait(PAUSE):
            if all(self._is_new(service) for service in self._services):
                self.moment = time.monotonic()
                return

    def _is_new(self, service: str) -> bool:
        pid = answering(self._peer, service)
        return pid is not None and pid != self._before.get(service)

    def seen(self) -> float:
        """Wait for it, and return when all of them answered.

        Raises:
            Failure: they did not.
        """
        self.join()
        if self.moment is None:
            silent = [service for service in self._services if not self._is_new(service)]
            raise Failure(f"{self._peer.name}: after {PATIENCE:g} s these do not answer anew: {', '.join(silent)}")
        return self.moment


# --- how long it takes ------------------------------------------------------------------------------------------------


@dataclass
class Step:
    """Times of one kind of change: until its command had ended, and until all services answered."""

    command: list[Took] = field(default_factory=list)
    answers: list[Took] = field(default_factory=list)

    def add(self, said: Said, answered: float) -> None:
        """Keep one change."""
        if said.code is not None:
            self.command.append(Took(said.ended - said.began, 0.0))
        self.answers.append(Took(answered - said.began, 0.0))

    def cells(self) -> list[str]:
        """Return the two cells of the table."""
        if not self.answers:
            return ["no such command", ""]
        return [spread(self.command) if self.command else "runs on", spread(self.answers)]


@dataclass
class PeerTimes:
    """What one peer took, in the order it was measured."""

    name: str
    cold: Step = field(default_factory=Step)
    restart: Step = field(default_factory=Step)
    one: Step = field(default_factory=Step)
    status: list[Took] = field(default_factory=list)

    def cells(self) -> list[str]:
        """Return the row of the table."""
        status = spread(self.status) if self.status else "no such command"
        runs = str(len(self.cold.answers))
        return [self.name, *self.cold.cells(), *self.restart.cells(), *self.one.cells(), status, runs]


TIMES_HEAD = (
    "what runs the ten services",
    "cold start: command",
    "all answer",
    "restart: command",
    "all answer",
    "restart of one: command",
    "it answers",
    "status",
    "runs",
)


def changed(peer: Peer, step: Step, services: Sequence[str], change: Callable[[], Said | None]) -> None:
    """Make a change and keep how long it took; nothing where there is no command for it.

    Raises:
        Failure: the command ended with another code than 0, or the services did not answer.
    """
    with Watch(peer, services, {service: answering(peer, service) for service in services}) as watch:
        said = change()
        if said is None:
            return
        if said.code not in (0, None):
            raise Failure(f"{peer.name} ended with {said.code}:\n{said.output[-2000:]}")
        step.add(said, watch.seen())


def measure(peer: Peer, times: PeerTimes) -> None:
    """Measure one peer once, from nothing to nothing."""
    everything = with_port(peer)
    changed(peer, times.cold, everything, peer.start)
    changed(peer, times.restart, everything, peer.restart)
    changed(peer, times.one, [SERVICE], lambda: peer.restart_one(SERVICE))
    said = peer.status()
    if said is not None:
        times.status.append(Took(said.ended - said.began, 0.0))
    peer.end()


# --- what is said of a service that does not answer -------------------------------------------------------------------


@dataclass(frozen=True)
class Spoken:
    """What one peer said of a service that did not answer.

    Attributes:
        fault: what the service does.
        peer: who says it.
        restart: how its restart ended; None when it was not asked.
        restart_words: what it said of the service.
        status: how its status ended; None when it has none.
        status_words: what it said of the service.
    """

    fault: str
    peer: str
    restart: Said | None
    restart_words: str
    status: Said | None
    status_words: str

    @property
    def lies(self) -> list[str]:
        """Which of its commands ended with 0, which says that all is well."""
        asked = {"restart": self.restart, "status": self.status}
        return [name for name, said in asked.items() if said is not None and said.code == 0]

    @property
    def is_mute(self) -> bool:
        """Whether it has no command that has ended, and so no exit code to go by."""
        return all(said is None or said.code is None for said in (self.restart, self.status))

    def cells(self) -> list[str]:
        """Return the row of the table."""
        return [
            self.fault,
            self.peer,
            _told(self.restart, self.restart_words, "not asked"),
            _told(self.status, self.status_words, "no such command"),
        ]


SPOKEN_HEAD = ("the service", "what runs it", "restart: exit code, words", "status: exit code, words")
LONGEST = 110


def _told(said: Said | None, words: str, otherwise: str) -> str:
    """Return an exit code and the words, for a table."""
    if said is None:
        return otherwise
    code = "runs on" if said.code is None else str(said.code)
    short = words if len(words) <= LONGEST else f"{words[:LONGEST]}..."
    return f"{code}: `{short.replace('|', '/').replace('`', '')}`" if short else f"{code}: says nothing"


def speak(peer: Peer, fault: str) -> Spoken:
    """Break a service, restart everything, and return what is said of it; afterwards all is well again.

    Raises:
        Failure: the service answers all the same.
    """
    peer.misbehave(SERVICE, FAULTS[fault])
    said = peer.restart()
    asked = time.monotonic() + LATER
    wait_until(lambda: time.monotonic() >= asked, "the time to ask has come", LATER + 1)
    if isinstance(peer, Honcho):
        said = peer.now()
    status = peer.status()
    if fault in ("runs and never listens", "answers with 503") and answering(peer, SERVICE) is not None:
        raise Failure(f"{peer.name}: {SERVICE} answers, and it was made not to")
    peer.behave()
    return spoken(peer, fault, said, status)


def freeze(peer: Peer) -> Spoken:
    """Freeze a service, and return what the status says of it; afterwards all is well again."""
    process = peer.process(SERVICE)
    process.suspend()
    try:
        status = peer.status()
        if answering(peer, SERVICE) is not None:
            raise Failure(f"{peer.name}: {SERVICE} answers, and it is frozen")
    finally:
        process.resume()
    return spoken(peer, FROZEN, None, status)


def spoken(peer: Peer, fault: str, restart: Said | None, status: Said | None) -> Spoken:
    """Return the row of one fault."""

    def words(said: Said | None) -> str:
        return "" if said is None else peer.words(said, SERVICE)

    return Spoken(fault, peer.name, restart, words(restart), status, words(status))


def truth(peer: Peer) -> Iterator[Spoken]:
    """Yield what a peer says of each fault."""
    everything = with_port(peer)
    for fault in FAULTS:
        well(peer, everything)
        yield speak(peer, fault)
        peer.end()
    well(peer, everything)
    yield freeze(peer)
    peer.end()


def well(peer: Peer, services: Sequence[str]) -> None:
    """Start everything, and see that it answers."""
    with Watch(peer, services, {}) as watch:
        peer.start()
        watch.seen()


def summary(spoken: Sequence[Spoken]) -> list[list[str]]:
    """Return a row for each peer: which of its commands said OK, for each fault."""
    faults = list(dict.fromkeys(one.fault for one in spoken))
    names = list(dict.fromkeys(one.peer for one in spoken))
    found = {(one.peer, one.fault): one for one in spoken}
    cells = {key: ", ".join(one.lies) or ("says nothing" if one.is_mute else "no") for key, one in found.items()}
    return [["", *faults], *([name, *(cells.get((name, fault), "") for fault in faults)] for name in names)]


# --- all of it --------------------------------------------------------------------------------------------------------


@dataclass
class Findings:
    """What came of it.

    Attributes:
        spoken: what was said of services that did not answer.
        times: what each peer took.
        left_out: peers that could not be installed, each with why.
        versions: of those that were.
    """

    spoken: list[Spoken] = field(default_factory=list)
    times: list[PeerTimes] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)


def ours(arena: Arena, name: str, kind: type[Host], directory: str) -> Ours:
    """Return Rollcall, installed by site.yml and stopped."""
    host = kind(arena.path / directory, demo_services(arena))
    Rollcall(arena, directory, [host]).play("site.yml")
    peer = Ours(arena, host)
    peer.name = name
    peer.end()
    return peer


def makers(arena: Arena) -> Mapping[str, Callable[[], Peer]]:
    """Return how each one is made, by its name."""

    def written(directory: str) -> Written:
        return Written(arena.path / directory, demo_services(arena))

    def units(directory: str) -> Units:
        return Units(arena.path / directory, demo_services(arena))

    return {
        OURS: lambda: ours(arena, OURS, DefaultHost, "peer-ours"),
        OURS_AT_ONCE: lambda: ours(arena, OURS_AT_ONCE, Host, "peer-at-once"),
        Supervisorctl.name: lambda: Supervisorctl(arena, Plain(arena.path / "peer-ctl", demo_services(arena))),
        Honcho.name: lambda: Honcho(arena, written("honcho"), peer_tools.from_pypi(arena)),
        Circus.name: lambda: Circus(arena, written("circus"), peer_tools.from_pypi(arena)),
        Pm2.name: lambda: Pm2(arena, written("pm2"), peer_tools.from_npm(arena)),
        Systemd.name: lambda: Systemd(arena, units("units")),
        SystemdAsking.name: lambda: SystemdAsking(arena, units("asking")),
    }


def compare(arena: Arena, rounds: int, ready: Callable[[], None], say: Callable[[str], None]) -> Findings:
    """Make all, measure them by turns, each once before without counting it, and hear what they say of the faults.

    Args:
        arena: where everything happens.
        rounds: of the measurements.
        ready: called before each round.
        say: tells the user how far it is.
    """
    found = Findings()
    with contextlib.ExitStack() as stack:
        peers = []
        for name, make in makers(arena).items():
            try:
                peer = make()
            except Failure as exc:
                if name in (OURS, OURS_AT_ONCE):
                    raise
                found.left_out.append(f"{name}: {exc}".splitlines()[0])
                say(f"left out: {name}: {exc}")
                continue
            peers.append(peer)
            stack.callback(peer.close)
            said = peer.version()
            found.versions += [] if said in found.versions else [said]
        found.times = [PeerTimes(peer.name) for peer in peers]
        for number in range(rounds + 1):
            ready()
            for peer, times in zip(peers, found.times, strict=True):
                measure(peer, times if number else PeerTimes(peer.name))
        for times in found.times:
            say("  ".join(times.cells()))
        for peer in peers:
            if peer.name == OURS_AT_ONCE:
                continue
            for one in truth(peer):
                say("  ".join(one.cells()))
                found.spoken.append(one)
    # All that is said of one fault stands together.
    order = [*FAULTS, FROZEN]
    found.spoken.sort(key=lambda one: order.index(one.fault))
    return found
