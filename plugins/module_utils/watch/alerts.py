# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Tells the targets of a stack what has happened to its incidents, and calls its heartbeat.

A child of the watcher sends it all, to all targets at once: what hangs hangs there, and what it takes to speak with a
far end is in the child's memory alone. No look waits for it. What is not taken stays in the watcher's memory, and is
sent again after a later look.
"""

from __future__ import annotations

import os
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.text import one_line
from ..host.apart import Begun, TooLong
from ..manifest.alert_keys import CRITICAL
from ..state.watching import Kinds, fits
from . import messages, outbox
from .targets import AlertTarget, heartbeat_of, targets_of

if t.TYPE_CHECKING:
    from ..base.alert_documents import AlertDocument, AlertMemory, AlertTestDocument, Heartbeats, TargetTried
    from ..base.watch_documents import WatchEvent, WatchState
    from ..manifest.model import Stack
    from .delivery import SendResult
    from .incidents import StackPlace

# Seconds for all that is sent at once, and the alerts that one target gets then at the most.
SECONDS, MOST_AT_ONCE = 120.0, 5
# How often it is looked whether all of it was sent, in seconds.
_INTERVAL = 0.01
# Levels at which nothing is wrong, or is counted.
_WELL = ("ok", "grace")

# What is taken for granted of what is remembered.
_TIME: t.Tuple[type, ...] = (int, float, type(None))
_BEATS: Kinds = {"called": _TIME, "failed_at": _TIME, "problem": (str, type(None))}

# By target the outcome of each alert, in their order; after one that was not taken there are no more. None: the
# heartbeat's.
Outcomes = t.Dict[t.Optional[str], t.List["SendResult"]]


def send_all(
    stack: Stack, wanted: t.Mapping[str, t.Sequence[AlertDocument]], *, beat: bool, clock: Clock = SYSTEM
) -> Outcomes:
    """Send alerts to targets, to all of them at once, and return what became of each.

    Args:
        stack: the installed manifest.
        wanted: by target the alerts, in their order.
        beat: whether the heartbeat is called as well.
        clock: of the deadline.
    """
    # Late: only who sends something needs them.
    import threading

    from ..state.known_secrets import without_secrets
    from . import delivery

    found: Outcomes = {}
    heartbeat = heartbeat_of(stack)
    # A service may write a secret into its log, or answer with it.
    told = without_secrets({name: list(alerts) for name, alerts in wanted.items()}, stack.root)

    def send(target: AlertTarget) -> None:
        outcomes = found.setdefault(target.name, [])
        for alert in told[target.name]:
            outcomes.append(delivery.send(stack, target, alert))
            if not outcomes[-1].ok:
                return

    def call() -> None:
        if heartbeat is not None:
            found[None] = [delivery.call(stack, heartbeat)]

    threads = [
        threading.Thread(target=send, args=(target,), daemon=True)
        for target in targets_of(stack)
        if target.name in wanted
    ]
    threads += [threading.Thread(target=call, daemon=True)] if beat and heartbeat is not None else []
    for thread in threads:
        thread.start()
    Deadline(SECONDS, clock).poll(lambda: not any(thread.is_alive() for thread in threads), _INTERVAL)
    return {name: list(outcomes) for name, outcomes in found.items()}


class Courier:
    """Delivers the alerts of one stack, look by look. What it remembers is in the watcher's memory.

    Args:
        clock: where the time comes from.
    """

    def __init__(self, *, clock: Clock = SYSTEM) -> None:
        self._clock = clock
        self._child: t.Optional[Begun] = None
        self._sent: t.Dict[str, t.List[AlertDocument]] = {}
        self._beats = False

    @property
    def reader(self) -> t.Optional[int]:
        """What becomes readable when `go_on` has something to do; None while nothing is sent."""
        return None if self._child is None else self._child.reader

    def take(self, stack: Stack, events: t.Sequence[WatchEvent], state: WatchState, place: StackPlace) -> None:
        """Take up what has happened at a look, for each target what it is told.

        Args:
            stack: the installed manifest.
            events: what has happened.
            state: the watcher's memory after this look; it is changed.
            place: whose watcher it is.
        """
        kept = state.get("deliveries")
        memory = memory_of(kept)
        targets = targets_of(stack)
        # Of a memory that cannot be read nobody knows what waited in it, and for whom.
        new = outbox.new_outbox if _is_memory(kept) else lambda: outbox.read_outbox(None)
        memory["targets"] = {one.name: memory["targets"].get(one.name) or new() for one in targets}
        for target in targets:
            box, now = memory["targets"][target.name], self._clock.wall()
            outbox.let_go(box, place, now, target.per_hour)
            for event in events:
                if _wants(target, event):
                    outbox.put(box, messages.alert_of(event), now, target.per_hour)
        state["deliveries"] = t.cast("t.Dict[str, t.Any]", memory)

    def begin(self, stack: Stack, state: WatchState) -> None:
        """Have sent what is due, unless something is being sent already.

        Args:
            stack: the installed manifest.
            state: the watcher's memory, after `take`; it is changed.
        """
        if self._child is not None:
            return
        memory = memory_of(state.get("deliveries"))
        now = self._clock.wall()
        due = {name: outbox.due(box, now)[:MOST_AT_ONCE] for name, box in memory["targets"].items()}
        self._sent = {name: alerts for name, alerts in due.items() if alerts}
        self._beats = state["level"] in _WELL and _is_due(stack, memory, now)
        if self._beats:
            memory["heartbeat"]["called"] = now
            state["deliveries"] = t.cast("t.Dict[str, t.Any]", memory)
        if self._sent or self._beats:
            wanted, beat = self._sent, self._beats
            try:
                self._child = Begun(lambda: _as_data(send_all(stack, wanted, beat=beat)), SECONDS + 1)
            except OSError as exc:
                self._record(memory, {}, f"no process can be begun to send it: {exc.strerror}", state)

    def go_on(self, state: WatchState) -> bool:
        """Take in what became of what was sent, and return whether that is over. To be called when `reader` is ready.

        Args:
            state: the watcher's memory; it is changed.
        """
        if self._child is None or not self._child.read():
            return False
        child, self._child = self._child, None
        try:
            outcomes, problem = _of_data(child.answer()), ""
        except TooLong:
            outcomes, problem = {}, f"did not come to an end within {SECONDS:g} s"
        except (RollcallError, OSError, RuntimeError) as exc:
            # What nobody has foreseen: it is told as a problem of the targets, and must not end the watcher.
            last = exc.message if isinstance(exc, RollcallError) else (str(exc).strip().splitlines() or [""])[-1]
            outcomes, problem = {}, f"could not be sent: {one_line(last, 300)}"
        self._record(memory_of(state.get("deliveries")), outcomes, problem, state)
        return True

    def end(self) -> None:
        """Give up what is being sent: the next watcher sends it."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _record(self, memory: AlertMemory, outcomes: Outcomes, problem: str, state: WatchState) -> None:
        now = self._clock.wall()
        # Of a target that is no more nothing is remembered.
        for name, box in memory["targets"].items():
            alerts, results = self._sent.get(name, []), outcomes.get(name, [])
            for alert, result in zip(alerts, results):
                if result.ok:
                    outbox.sent(box, alert, now)
                else:
                    outbox.failed(box, alert, now, result.answer, again=result.again, after=result.after)
            if alerts and not results:
                outbox.failed(box, alerts[0], now, problem or f"did not take it within {SECONDS:g} s", again=True)
        if self._beats:
            beat = next(iter(outcomes.get(None, [])), None)
            why = problem if beat is None else "" if beat.ok else beat.answer
            memory["heartbeat"]["failed_at"] = now if why else None
            memory["heartbeat"]["problem"] = why or None
        state["deliveries"] = t.cast("t.Dict[str, t.Any]", memory)


def _as_data(outcomes: Outcomes) -> t.List[t.Any]:
    return [[name, [list(result) for result in results]] for name, results in outcomes.items()]


def _of_data(data: t.Sequence[t.Any]) -> Outcomes:
    from .delivery import SendResult

    return {name: [SendResult(*result) for result in results] for name, results in data}


def _is_due(stack: Stack, memory: AlertMemory, now: float) -> bool:
    """Return whether the heartbeat is to be called: not at every look, and at once after a clock was set back."""
    wanted, last = stack.watch.heartbeat, memory["heartbeat"]["called"]
    # Not later than at the next look, which comes some milliseconds early or late.
    return wanted is not None and (last is None or not 0 <= now - last < wanted["every"] - 0.5)


def memory_of(kept: t.Any) -> AlertMemory:
    """Return what the delivery remembers, as far as it can be read; a new memory where there is none yet."""
    known = kept if isinstance(kept, dict) else {}
    targets, beats = known.get("targets"), known.get("heartbeat")
    never: Heartbeats = {"called": None, "failed_at": None, "problem": None}
    return {
        "targets": {
            name: outbox.read_outbox(box) for name, box in (targets if isinstance(targets, dict) else {}).items()
        },
        "heartbeat": t.cast("Heartbeats", beats) if fits(beats, _BEATS) else never,
    }


def _is_memory(kept: t.Any) -> bool:
    """Return whether this is what a delivery remembers, or nothing yet."""
    return not kept or (isinstance(kept, dict) and isinstance(kept.get("targets"), dict))


def problems_of(state: WatchState) -> t.Dict[str, str]:
    """Return by target, and for the heartbeat, why the last trial to send failed; empty text where it did not."""
    memory = memory_of(state.get("deliveries"))
    found = {f"alerts to {name}": box["problem"] or "" for name, box in memory["targets"].items()}
    return {**found, "heartbeat": memory["heartbeat"]["problem"] or ""}


def _wants(target: AlertTarget, event: WatchEvent) -> bool:
    """Return whether a target is told of an event: all, or only of incidents that are critical."""
    return target.level != CRITICAL or CRITICAL in (event["event"], event["incident"]["level"])


def try_all(stack: Stack, *, clock: Clock = SYSTEM) -> AlertTestDocument:
    """Send a trial to each target and call the heartbeat, all at once; return what each has answered."""
    host, targets, heartbeat = os.uname().nodename, targets_of(stack), heartbeat_of(stack)
    alert = messages.trial(stack.name, host, stack.root, clock.wall())
    outcomes = send_all(stack, {target.name: [alert] for target in targets}, beat=True, clock=clock)
    tried = [_tried(target, outcomes.get(target.name)) for target in targets]
    tried += [] if heartbeat is None else [_tried(heartbeat, outcomes.get(None))]
    ok = bool(tried) and all(each["ok"] for each in tried)
    return {"ok": ok, "stack": stack.name, "root": stack.root, "host": host, "targets": tried}


def _tried(target: AlertTarget, results: t.Optional[t.Sequence[SendResult]]) -> TargetTried:
    told: TargetTried = {"target": target.name, "kind": target.kind, "ok": False, "answer": "", "seconds": SECONDS}
    if not results:
        return {**told, "answer": f"did not come to an end within {SECONDS:g} s"}
    result = results[0]
    return {**told, "ok": result.ok, "answer": result.answer, "seconds": round(result.seconds, 3)}
