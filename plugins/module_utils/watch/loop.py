# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The watcher: a process that looks at a stack again and again, remembers, tells, and may start a service again.

Each look is made by a child, which takes with it whatever hangs, and whatever a look has in memory. So the watcher
itself is small, answers its signals at once, and notices a look that does not end.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.installation import FILES
from ..base.text import one_line
from ..host.apart import Begun, TooLong, hanging
from ..host.started import tell_started
from ..manifest.model import Paths, Stack
from ..state.generations import current_id, load_stack
from ..state.watching import keep_watch, left_deliveries, only_watcher, read_watch
from ..supervisord.places import engine_directory
from ..verdict.limits import look_limit
from . import restarts
from .alerts import SECONDS, Courier, problems_of
from .incidents import NOTICED, Events, StackPlace, begin, next_state
from .look import look, sight_of
from .metrics import Publisher
from .symptoms import Sight, is_finding

if t.TYPE_CHECKING:
    from ..base.watch_documents import WatchDocument, WatchState

# Seconds from one look of the doctor to the next: it costs as much as many looks.
DOCTOR = 600.0
# Seconds that the doctor has beyond a look.
DOCTOR_LONGER = 60.0
# Looks that hang in the kernel, where nobody can end them: with so many none is begun before one of them is gone.
MOST_HANGING = 5
# Who asks for the runs of a watcher.
WHO = "rollcall watch"

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(Exception):
    """A signal has asked the watcher to end: its number."""


class Enough(Exception):
    """Whoever is told has no use for a watcher any more."""


class Renewed(Exception):
    """The engine was replaced since the watcher began: what it would load from now on is another one's."""


class Watcher:
    """Watches one stack.

    Args:
        root: of the stack.
        tell: takes what each look has brought, and whether something has happened.
        warn: takes a sentence about what the watcher cannot tell others, and about that it can again.
        clock: of looks and deadlines.

    Raises:
        RollcallError: no stack is installed, or another watcher looks at it.
    """

    def __init__(
        self,
        root: str,
        tell: t.Callable[[WatchDocument], None],
        *,
        warn: t.Callable[[str], None] = lambda _text: None,
        clock: Clock = SYSTEM,
    ) -> None:
        self._root = root
        self._tell = tell
        self._clock = clock
        self._load()
        self._lock = only_watcher(self.stack.paths.state)
        self.state = self._remembered()
        self._sight = Sight()
        self._doctor_at: t.Optional[float] = None
        self._attempt: t.Optional[t.Tuple[str, Begun]] = None
        self._courier = Courier(clock=clock)
        self._publisher = Publisher(clock=clock)
        self._warn = warn
        self._problems: t.Dict[str, str] = {}
        self._wake, self._woken = -1, -1
        self._engine = _engine_of(root)

    def _load(self) -> None:
        paths = Paths.of(self._root)
        self._generation = current_id(paths) or ""
        self.stack = load_stack(paths)
        self._place = StackPlace(self.stack.name, os.uname().nodename, self._root)

    def _remembered(self) -> WatchState:
        try:
            known = read_watch(self.stack.paths.state)
        except OSError as exc:
            raise RollcallError(f"What the watcher remembers cannot be read: {exc}", kind="wrong_use") from exc
        if known is not None:
            return known
        # What is wrong is seen again; what was to be told is lost unless it is read.
        return {**begin(self.stack.watch.interval), "deliveries": left_deliveries(self.stack.paths.state)}

    def watch(self) -> None:
        """Look until a signal ends it.

        Raises:
            Stopped: a signal has asked it to end.
            Renewed: another engine was installed. SIGHUP is ignored from then on, also by what takes over.
            Enough: ``tell`` has raised it; what has happened until then was sent before.
        """
        with self._heeding():
            try:
                self._go_on()
            except Enough:
                self._send_last()
                raise

    def _go_on(self) -> None:
        while True:
            if _engine_of(self._root) != self._engine and self._attempt is None:
                raise Renewed
            due = Deadline(self.stack.watch.interval, self._clock)
            self._look()
            while not due.expired:
                if self._waited(due):
                    break

    def _send_last(self) -> None:
        """Have sent what has happened: no later look of this watcher does. Others wait for it, so not for ever."""
        until = Deadline(SECONDS, self._clock)
        self._courier.begin(self.stack, self.state)
        while self._courier.reader is not None and not until.expired:
            self._waited(until)
            self._courier.begin(self.stack, self.state)

    def close(self) -> None:
        """Let another watcher look at the stack."""
        os.close(self._lock)

    def once(self) -> None:
        """Look once, and wait for the service that is started again, where one is, and for what is sent.

        Raises:
            Stopped: a signal has asked it to end.
        """
        with self._heeding():
            self._look()
            while self._attempt is not None or self._courier.reader is not None:
                self._waited(Deadline(60.0, self._clock))

    # --- signals ---------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _heeding(self) -> t.Iterator[None]:
        """Have signals wake whoever waits, and say so; what is at work of the watcher's own is ended at the end."""
        # What a child does not touch stays one with its parent's memory.
        gc.collect()
        gc.freeze()
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        before: t.Dict[int, t.Any] = {number: signal.signal(number, _heard) for number in _SIGNALS}
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        on_purpose = False
        try:
            self._say_problems({"systemd": tell_started()})
            yield
            on_purpose = True
        except (Stopped, Enough):
            on_purpose = True
            raise
        except Renewed:
            # The program that takes over has no handler for a while, and reads the manifest anyway.
            before[signal.SIGHUP] = signal.SIG_IGN
            raise
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._wake)
            os.close(self._woken)
            if self._attempt is not None:
                # The run itself goes on: nobody has to wait for it.
                self._attempt[1].end()
            self._courier.end()
            self._publisher.end()
            if on_purpose:
                # It is not missed.
                self._keep({**self.state, "interval": 0.0})

    def _waited(self, until: Deadline, child: t.Optional[Begun] = None) -> bool:
        """Wait until something happens; return whether it is that ``child`` has said something, or a signal woke.

        Raises:
            Stopped: a signal has asked the watcher to end.
        """
        readers = [self._wake]
        readers += [] if child is None else [child.reader]
        readers += [] if self._attempt is None else [self._attempt[1].reader]
        readers += [] if self._courier.reader is None else [self._courier.reader]
        ready = select.select(readers, [], [], until.remaining())[0]
        if self._wake in ready:
            told = set(os.read(self._wake, 4096))
            if told & {signal.SIGTERM, signal.SIGINT}:
                if child is not None:
                    child.end()
                raise Stopped(signal.SIGINT if signal.SIGINT in told else signal.SIGTERM)
            # SIGHUP: the manifest is read again, and looked at once.
            self._generation = "" if signal.SIGHUP in told else self._generation
            return child is None
        if self._attempt is not None and self._attempt[1].reader in ready and self._attempt[1].read():
            self._settle()
        if self._courier.reader in ready and self._courier.go_on(self.state):
            self._say_problems(problems_of(self.state))
            self._keep(self.state)
        return child is not None and child.reader in ready

    # --- a look ----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Look once, and tell what that has brought."""
        began = self._clock.monotonic()
        if not self._generation:
            with contextlib.suppress(RollcallError):
                # Where it cannot be read, the look says so.
                self._load()
        dear = self._is_dear(began)
        self._sight = self._seen(dear)
        # What it has seen beside a run is not counted.
        if dear and self._sight.findings is not None and not self._sight.locked:
            self._doctor_at = began
        now = self._clock.wall()
        self.state, events = next_state(self.state, self.stack, self._sight, now, self._place)
        self.state["seconds"] = round(self._clock.monotonic() - began, 3)
        events = [*events, *self._start(now)]
        self._finish(events)
        if self._sight.generation != self._generation:
            self._generation = ""

    def _is_dear(self, now: float) -> bool:
        """Return whether the doctor is asked: seldom, and again at once about what has come or gone."""
        if self._doctor_at is None or now - self._doctor_at >= DOCTOR:
            # The first look is to be a quick one.
            return self.state["looks"] > 0
        fresh = (one for one in self.state["incidents"] if is_finding(one["id"]))
        return any(one["level"] == NOTICED or one["id"] in self.state["recovering"] for one in fresh)

    def _seen(self, dear: bool) -> Sight:
        """Have a child look, and return what it has seen.

        Raises:
            Stopped: a signal has asked the watcher to end.
        """
        seconds = look_limit(self.stack) + (DOCTOR_LONGER if dear else 0.0)
        stack, generation = self.stack, self._generation
        if hanging() >= MOST_HANGING:
            return Sight(hung=seconds)
        try:
            child = Begun(lambda: _in_child(lambda: look(stack, generation, dear=dear)), seconds)
        except OSError as exc:
            return Sight(error=RollcallError(f"no process can be begun for a look: {exc.strerror}").as_dict())
        until = Deadline(seconds, self._clock)
        while not until.expired:
            if self._waited(until, child) and child.read():
                break
        else:
            child.end()
            return Sight(hung=seconds)
        try:
            return sight_of(child.answer())
        except TooLong:
            killed = "the process that looked was killed before it had ended: memory may be short"
            return Sight(error=RollcallError(killed).as_dict())
        except (RollcallError, OSError, RuntimeError) as exc:
            message = (
                exc.message if isinstance(exc, RollcallError) else one_line(str(exc).strip().splitlines()[-1], 300)
            )
            return Sight(error=RollcallError(message).as_dict())

    def _finish(self, events: Events) -> None:
        """Keep what is remembered, and tell what has happened."""
        self._courier.take(self.stack, events, self.state, self._place)
        self._courier.begin(self.stack, self.state)
        unpublished = self._publisher.publish(self.stack, self._sight, self.state)
        self._say_problems({**problems_of(self.state), "metrics": unpublished})
        self._keep(self.state)
        told = [one for one in self.state["incidents"] if one["level"] != NOTICED]
        self._tell(
            {
                "ok": not told,
                "stack": self.stack.name,
                "root": self._root,
                "host": self._place.host,
                "at": self.state["at"],
                "seconds": self.state["seconds"],
                "level": self.state["level"],
                "incidents": self.state["incidents"],
                "events": events,
            }
        )

    def _keep(self, state: WatchState) -> None:
        # A full disk is an incident of its own; what is remembered stays here for as long as the watcher runs.
        with contextlib.suppress(OSError):
            keep_watch(self.stack.paths.state, state)

    def _say_problems(self, now: t.Mapping[str, str]) -> None:
        """Say once what cannot be told to others, and once that it can be again."""
        for subject, problem in now.items():
            if problem != self._problems.get(subject, ""):
                self._warn(f"{subject}: {problem or 'well again'}")
                self._problems[subject] = problem

    # --- restarts --------------------------------------------------------------------------------------------------

    def _start(self, now: float) -> Events:
        """Have a service started again that is down by itself, or give it up; return what is to be told."""
        if self._attempt is not None:
            return []
        incident = restarts.next_start(self.stack, self._sight, self.state)
        if incident is None:
            return []
        if incident["restarts"] >= restarts.MOST:
            why = f"it was started {incident['restarts']} times and is down again"
            self.state, events = restarts.gave_up(self.state, incident["id"], why, now, self._place)
            return events
        name, stack = restarts.service_to_start(incident), self.stack
        seconds = 2 * look_limit(stack) + 3600.0
        # Where there can be no process just now, it is tried again after the next look.
        with contextlib.suppress(OSError):
            self._attempt = (incident["id"], Begun(lambda: _in_child(lambda: _started(stack, name)), seconds))
        return []

    def _settle(self) -> None:
        """Take in what came of starting a service again."""
        scope, child = t.cast("t.Tuple[str, Begun]", self._attempt)
        self._attempt = None
        try:
            attempt = restarts.Attempt(**child.answer())
        except (RollcallError, OSError, RuntimeError, TooLong) as exc:
            attempt = restarts.Attempt(False, False, one_line(str(exc) or "it did not end", 300))
        if not attempt.said:
            # Another run has the lock: it is tried again when that has ended. Or somebody has stopped the service.
            return
        self.state, events = restarts.settled(self.state, scope, attempt, self._clock.wall(), self._place)
        self._finish(events)


def _engine_of(root: str) -> t.Tuple[int, int]:
    """Return what tells the engine that is installed from others: the list of its files, which is written last."""
    try:
        status = os.stat(os.path.join(engine_directory(root), FILES))
    except OSError:
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)


def _heard(_number: int, _frame: t.Any) -> None:
    """Do nothing: the number of the signal is written where the watcher waits (signal.set_wakeup_fd)."""


def _in_child(work: t.Callable[[], t.Any]) -> t.Any:
    """Do work in a child, without what the watcher does about signals."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    # A terminal sends it to all of a group; the watcher ends its child.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    return work()


def _started(stack: Stack, name: str) -> t.Dict[str, t.Any]:
    """Start a service as ``rollcall start NAME --automatic`` does, and return what came of it; no words: not now."""
    # Late imports: the watcher itself never needs them, and a child of it seldom.
    from ..run import dispatch
    from ..run.modes import AUTO
    from ..run.request import Request
    from ..show.roll_call import verdict_line

    asked: t.Dict[str, t.Any] = {"automatic": True, "services": (name,), "dependents": False, "watcher": True}
    request = Request(root=stack.root, mode=AUTO, who=WHO, paths=stack.paths, **asked)
    try:
        report = dispatch.run(request)
    except RollcallError as exc:
        refused = exc.kind == "refused"
        if refused and any(exc.evidence.get(key) is not None for key in ("lock", "stopped")):
            return {"ok": False, "refused": False, "said": ""}
        return {"ok": False, "refused": refused, "said": one_line(exc.message, 300)}
    row = next((one for one in report["services"] if one["name"] == name), None)
    if row is not None and row["state"] == "RUNNING" and row["health"] in ("ok", "none"):
        # Whether it lasts, the next looks tell: a verdict cannot be OK so soon after an exit.
        return {"ok": True, "refused": False, "said": f"it runs as pid {row['pid']}"}
    return {"ok": report["ok"], "refused": False, "said": one_line(verdict_line(report), 300)}
