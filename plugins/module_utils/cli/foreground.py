# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verb ``run``: a stack in the foreground, for a container without an init. It starts, verifies, and watches.

What Rollcall has to say goes to the error output; standard output is for what the services write, where that is wanted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
import typing as t

from ..base.errors import EXIT_FAILED, EXIT_OK, RollcallError
from ..base.text import printable
from ..state.generations import load_stack
from .console import Verb, option, paths_of

if t.TYPE_CHECKING:
    from ..base.documents import Report
    from ..base.watch_documents import WatchDocument
    from ..manifest.model import Stack
    from ..run.modes import Mode
    from ..run.request import Request

WHO = "rollcall run"
# Seconds between two looks whether somebody has asked for the end, and for which another run's lock is waited for.
POLL = 0.2
SUPERVISORD = "supervisord"
PATIENCE = 60.0
# A variable of its environment, by which it knows that it only goes on as another engine: nothing is to be started.
GOES_ON = "ROLLCALL_GOES_ON"

_ENDS = (signal.SIGTERM, signal.SIGINT)


class _Over(Exception):
    """The stack cannot go on; why, in words."""


class Foreground:
    """One stack in the foreground.

    Args:
        root: of the stack.
        critical: patterns of the services without which it ends; all of them when there is none.
        logs: whether the lines of the services go to standard output.

    Raises:
        RollcallError: no stack is installed, or a pattern names no service.
    """

    def __init__(self, root: str, critical: t.Sequence[str], *, logs: bool) -> None:
        from ..manifest.selection import selected

        self._root = root
        self._stack = load_stack(paths_of(root))
        names = [one.name for one in self._stack.services]
        self._patterns = tuple(critical)
        self._critical = frozenset(selected(self._stack, critical) if critical else names)
        self._logs = logs
        self._asked: t.List[int] = []

    def run(self) -> int:
        """Start, watch until somebody asks for the end or the stack cannot go on, and stop; return the exit code.

        Raises:
            RollcallError: nothing was started: it is refused.
        """
        for number in _ENDS:
            signal.signal(number, lambda number, _frame: self._asked.append(number))
        # The watcher heeds it. Before that, nothing that could be read again is known.
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)
        # What has come since the engine of before has ended, was kept.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
        goes_on = bool(os.environ.pop(GOES_ON, ""))
        while True:
            code = self._run_to_its_end(goes_on=goes_on)
            if code is not None:
                return code
            self._go_on()
            # It could not: it goes on as what it is.
            goes_on = True

    def _run_to_its_end(self, *, goes_on: bool) -> t.Optional[int]:
        """Do all of it, and return the exit code; None where another engine is to go on with it.

        Args:
            goes_on: whether the stack was started already.
        """
        with _followed(self._stack) if self._logs else contextlib.nullcontext():
            try:
                if not goes_on:
                    self._start()
                watched = EXIT_OK if self._asked else self._watch()
                if watched is None:
                    return None
                code = watched
            except _Over as exc:
                _say(f"rollcall run: {exc}; everything is stopped")
                code = EXIT_FAILED
            for number in _ENDS:
                # Who is impatient asks twice; it is stopped in order all the same.
                signal.signal(number, signal.SIG_IGN)
            return self._stop() or code

    def _go_on(self) -> None:
        """Become the engine that was installed since; the process stays the same, and so does all that runs."""
        command = ["rollcall", "run", *(["--logs"] if self._logs else [])]
        command += [f"--critical={pattern}" for pattern in self._patterns]
        _say("rollcall run: another engine was installed, and goes on with it")
        # Their handlers are lost by it, and a signal must not be.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        try:
            if not self._asked:
                os.execve(os.path.join(self._root, "bin", "rollcall"), command, {**os.environ, GOES_ON: "1"})
        except OSError as exc:
            _say(f"rollcall run: it cannot go on as the other engine: {exc.strerror}")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)

    # --- start -----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Start what does not run, and prove it.

        Raises:
            _Over: a critical service is not up.
            RollcallError: it is refused.
        """
        from ..run import dispatch
        from ..run.limits import limit_of
        from ..run.modes import AUTO, STOP

        request = self._request(AUTO)
        start, stop = (limit_of(one, self._stack) for one in (request, self._request(STOP)))
        _say(
            f"rollcall run: starts within {start:.0f} s at the latest; SIGTERM stops all in order, within {stop:.0f} s "
            "at the latest"
        )
        try:
            done = dispatch.begin(request, POLL, stays=True)
            while isinstance(done, dispatch.Going):
                if self._asked:
                    # What it has done stands, and is stopped in order.
                    os.kill(done.pid, signal.SIGKILL)
                    return
                done = dispatch.go_on(request, done, POLL, stays=True)
        except RollcallError as exc:
            if exc.kind != "failed" or self._asked:
                raise
            _tell(exc, self._root)
            raise _Over("it could not be started") from exc
        self._show(done)
        down = self._down()
        if down:
            raise _Over(f"it is not up: {', '.join(down)}")

    def _request(self, mode: Mode) -> Request:
        from ..run.request import Request

        return Request(root=self._root, mode=mode, who=WHO, paths=self._stack.paths)

    # --- watch -----------------------------------------------------------------------------------------------------

    def _watch(self) -> t.Optional[int]:
        """Watch until somebody asks for the end; return the exit code of that, and None for another engine.

        Raises:
            _Over: a critical service cannot go on, or supervisord has ended.
        """
        from ..watch.loop import Enough, Renewed, Stopped, Watcher

        def tell(document: WatchDocument) -> None:
            if self._asked:
                raise Stopped(self._asked[0])
            try:
                self._judge(document)
            except _Over as exc:
                raise Enough from exc

        waited = False
        while not self._asked:
            try:
                # What it cannot tell others is told here.
                watcher = Watcher(self._root, tell, warn=lambda text: _say(f"rollcall run: {printable(text)}"))
                with contextlib.closing(watcher):
                    watcher.watch()
            except Stopped:
                break
            except Enough as exc:
                raise t.cast("_Over", exc.__cause__) from None
            except Renewed:
                return None
            except RollcallError as exc:
                if exc.kind != "refused" or not waited:
                    _tell(exc, self._root)
                if exc.kind != "refused":
                    raise _Over("it cannot be watched") from exc
                # Somebody else watches; what it ends by is seen all the same.
                waited = True
                self._end_if(self._down())
                time.sleep(POLL)
        return EXIT_OK

    def _judge(self, document: WatchDocument) -> None:
        from ..show.watching import look_text

        if document["events"]:
            _say(look_text(document, whole=False))
        gave_up = {
            name
            for event in document["events"]
            if event["event"] == "gave_up"
            for name in event["incident"]["services"]
            if name in self._critical
        }
        if gave_up:
            raise _Over(f"no start helps any more: {', '.join(sorted(gave_up))}")
        down = self._down()
        if not self._is_untold(document, down):
            self._end_if(down)

    def _end_if(self, down: t.Sequence[str]) -> None:
        """Raise _Over when what is down keeps a critical service from going on."""
        # A watcher that may start services again gives them up by itself.
        if down and (down == [SUPERVISORD] or not self._stack.watch.restart):
            raise _Over(f"it is down for good: {', '.join(down)}")

    def _is_untold(self, document: WatchDocument, down: t.Sequence[str]) -> bool:
        """Return whether somebody is to be told why it ends, and was not: the next looks tell it."""
        noticed = [one for one in document["incidents"] if one["level"] == "noticed"]
        return bool(self._stack.watch.alerts) and any({*one["services"], one["id"]} & {*down} for one in noticed)

    def _states(self) -> t.Optional[t.Dict[str, str]]:
        from ..supervisord.client import client_of

        try:
            with client_of(self._stack) as client:
                return {name: program.state for name, program in client.programs().items()}
        except RollcallError:
            return None

    def _down(self) -> t.List[str]:
        """Return the critical services that supervisord does not start any more; itself where it has ended.

        Nothing while a run is at work, or where somebody has stopped the stack: that is on purpose.
        """
        from ..state.lock import locked_by
        from ..state.stopped import WHOLE, read_stopped
        from ..supervisord.running import supervisords_of

        if locked_by(self._stack.paths.state) or WHOLE in read_stopped(self._stack):
            return []
        states = self._states()
        if states is None:
            return [] if supervisords_of(self._stack) else [SUPERVISORD]
        return sorted(name for name in self._critical if states.get(name) == "FATAL")

    # --- stop ------------------------------------------------------------------------------------------------------

    def _stop(self) -> int:
        """Stop everything in order, and return the exit code of that."""
        from ..run import dispatch
        from ..run.limits import limit_of
        from ..run.modes import STOP

        request = self._request(STOP)
        began = time.monotonic()
        _say(f"rollcall run: stops in order, within {limit_of(request, self._stack):.0f} s at the latest")
        while True:
            try:
                report = dispatch.run(request)
                break
            except RollcallError as exc:
                if exc.kind == "refused" and time.monotonic() - began < PATIENCE:
                    # Somebody else's run has the lock.
                    time.sleep(POLL)
                    continue
                _tell(exc, self._root)
                return EXIT_FAILED
        if not report["ok"]:
            self._show(report)
        return EXIT_OK if report["ok"] else EXIT_FAILED

    # --- say -------------------------------------------------------------------------------------------------------

    def _show(self, report: Report) -> None:
        from ..show.roll_call import roll_call
        from ..show.words import terminal
        from ..state.known_secrets import without_secrets

        _say(roll_call(without_secrets(report, self._root), **terminal(sys.stderr)))


def _tell(error: RollcallError, root: str) -> None:
    from ..show.errors import error_text
    from ..show.words import Reader
    from ..state.known_secrets import without_secrets

    _say(error_text(without_secrets(error.as_dict(), root), reader=Reader(root)))


def _say(text: str) -> None:
    if text:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


@contextlib.contextmanager
def _followed(stack: Stack) -> t.Iterator[None]:
    """Have a child write to standard output what the services log from now on, until all is written at the end."""
    from ..verdict.log_lines import Log

    logs = [Log(stack, one.name) for one in (*stack.services, *stack.timers)]
    for log in logs:
        log.last(0)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            _follow(stack, logs)
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGUSR1)
        os.waitpid(pid, 0)


def _follow(stack: Stack, logs: t.Sequence[t.Any]) -> None:
    """Write each line with its service before it, until SIGUSR1 and the end of what is written by then."""
    from ..base.masking import masked
    from ..show.logs import prefixed
    from ..state.known_secrets import FreshSecrets

    ends: t.List[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # The end of the services is to be told as well.
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda number, _frame: ends.append(number))
    secrets, several = FreshSecrets(stack.paths, stack.root), len(logs) > 1
    while True:
        ending = bool(ends)
        lines = [(log.name, line) for log in logs for line in log.read()]
        known = secrets.now() if lines else []
        sys.stdout.write("".join(masked(f"{prefixed(name, line, several=several)}\n", known) for name, line in lines))
        sys.stdout.flush()
        if not lines:
            if ending:
                return
            time.sleep(POLL)


def _run(options: argparse.Namespace) -> int:
    from ..host.reaper import as_first_process

    def work() -> int:
        try:
            return Foreground(options.root, options.critical, logs=options.logs).run()
        except RollcallError as exc:
            _tell(exc, options.root)
            return exc.exit_code

    paths_of(options.root)
    return as_first_process(work) if os.getpid() == 1 else work()


VERBS: t.Mapping[str, Verb] = {
    "run": Verb(
        "start the stack, prove it, watch it and stay in the foreground, for a container; SIGTERM stops all in order",
        _run,
        (
            option("--logs", action="store_true", help="write to standard output what the services log"),
            option(
                "--critical",
                action="append",
                default=[],
                metavar="SERVICE",
                help="without which it ends, with exit code 1; * and ? stand for other characters; may be given more "
                "than once; all services by default",
            ),
        ),
        settings={"json": False},
    )
}
