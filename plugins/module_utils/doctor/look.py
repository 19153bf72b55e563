# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Everything that can be found out about a stack and its host. Changes nothing, and judges nothing.

It works where nothing else does: without a generation in place, with a manifest or record that is broken, with a
supervisord that is dead or does not answer. What cannot be looked at is a fact of its own.
"""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.files import read_text
from ..base.opening import NotPlain, open_plain
from ..host import answering, bind, births, ours, processes
from ..host.accounts import user_name
from ..host.apart import TooLong, apart
from ..host.model import Process
from ..host.other_hands import Untrusted
from ..host.trust import Trust
from ..manifest.model import Paths, Stack
from ..ports import leases
from ..ports.flush import flush
from ..ports.provenance import SUPERVISED
from ..run import preflight
from ..state import last_steps, registry
from ..state.generations import current_id, load_stack, read_meta
from ..state.lock import locked_by, locked_by_other
from ..state.memory import last_failure
from ..state.runs import unfinished_run
from ..state.stopped import read_stopped
from ..supervisord import discovery
from ..supervisord.discovery import SocketAnswer, discover
from ..supervisord.places import engine_directory, engine_python
from ..supervisord.settings import Settings, read_settings
from ..verdict import drift, fitness, places, status
from ..verdict.limits import FILES
from ..verdict.observation import Observation
from . import labels, lost_logs, own_paths
from .facts import HostFacts, LeftOvers, LogFile, Pidfile, Unavailable, Versions, own_command
from .other_limits import other_limits

if t.TYPE_CHECKING:
    from ..base.job_documents import TimerRow

# Seconds for finding out what is in the way on the ports; what is left then is told without its unit.
PORTS_PATIENCE = 10.0
# How long a port is given to become free while it is looked at.
PORT_GRACE = 0.2

_T = t.TypeVar("_T")


def look(root: str, *, clock: Clock = SYSTEM) -> HostFacts:
    """Return all that can be found out about a stack and its host. Changes nothing."""
    return _Look(root, clock).facts()


class _Look:
    """One look, and what could not be read on the way."""

    def __init__(self, root: str, clock: Clock) -> None:
        self._root = os.path.normpath(root)
        self._clock = clock
        self._unavailable: t.Dict[str, Unavailable] = {}
        self._denied: t.Dict[str, None] = {}

    def facts(self) -> HostFacts:
        """Return everything; a part that cannot be had is a failure, and the others are had all the same."""
        stack = self._stack()
        paths = Paths.of(self._root) if stack is None else stack.paths
        answering.require(own_paths.directories(paths, self._root))
        trust = Trust(self._root) if stack is None else Trust.of(stack)
        found = discover(paths.config, self._root, trust, clock=self._clock)
        alone = not any(one.ours for one in found)
        common: t.Dict[str, t.Any] = {
            "name": os.path.basename(self._root) if stack is None else stack.name,
            "root": self._root,
            "paths": paths,
            "stack": stack,
            "supervisords": found,
            "own_answer": discovery.ask(paths.socket, trust=trust, clock=self._clock) if alone else SocketAnswer(),
            "own_settings": read_settings(paths.config) if os.path.exists(paths.config) else Settings(),
            "pidfile": self._try(paths.pidfile, lambda: _pidfile(paths.pidfile)),
            "labelled": self._try(self._root, lambda: ours.find(self._root)) or [],
            "recycled": self._try(self._root, lambda: list(_recycled(self._root))) or [],
            "meta": self._try(paths.etc, lambda: read_meta(paths, self._root)) or {},
            "own_paths": self._try(self._root, lambda: list(own_paths.own_paths(paths, self._root))) or [],
            "missing": [path for path in own_paths.directories(paths, self._root) if not os.path.isdir(path)],
            "untrusted": self._untrusted(paths),
            "mislabelled": self._try(self._root, lambda: labels.mislabelled(self._root)) or [],
            "left_overs": self._try(paths.state, lambda: own_paths.left_overs(paths, self._root)) or LeftOvers(),
            "lock": self._try(paths.state, lambda: locked_by_other(paths.state)),
            "unfinished": self._try(paths.state, lambda: unfinished_run(paths.state)),
            "failure": self._try(paths.state, lambda: last_failure(paths.state, locked_by(paths.state).get("run"))),
            "versions": self._try(engine_directory(self._root), lambda: own_paths.versions(self._root)) or Versions(),
            "damage": self._try(engine_directory(self._root), lambda: own_paths.damage(self._root, stack)) or [],
            "user": user_name(os.geteuid()),
            "unseen": processes.count_hidden(),
        }
        more = {} if stack is None else self._of_stack(stack)
        if self._denied:
            remedy = cures.as_root(own_command(self._root, cures.DOCTOR))
            text = f"user {common['user']} may not read {', '.join(self._denied)}"
            self._fail("unreadable", self._root, text, remedy)
        return HostFacts(**common, **more, unavailable=tuple(self._unavailable.values()))

    def _stack(self) -> t.Optional[Stack]:
        paths = Paths.of(self._root)
        try:
            if current_id(paths) is None:
                raise RollcallError(f"{paths.etc} does not exist: no generation is in place", kind="wrong_use")
            return load_stack(paths)
        except RollcallError as exc:
            name = "not_installed" if exc.kind == "wrong_use" else "unreadable"
            if isinstance(exc.__cause__, PermissionError):
                self._denied[paths.manifest] = None
                return None
            # As long as a broken one is in place, an install would want to read it, too.
            anew = cures.then(cures.remove(paths.etc))
            remedy = anew if exc.kind == "failed" else (*exc.remedies, cures.INSTALL)[0]
            self._fail(name, paths.etc, exc.message, remedy)
            return None

    def _late_jobs(self, stack: Stack) -> t.List[TimerRow]:
        rows = self._try(stack.paths.state, lambda: status.timer_rows(stack, self._clock)) or []
        return [row for row in rows if row["late"]]

    def _of_stack(self, stack: Stack) -> t.Dict[str, t.Any]:
        """Return what takes a manifest."""
        paths = stack.paths
        if stack.user is not None and not _exists(stack.user):
            evidence = f"there is no such user, who is to run stack {stack.name}"
            self._fail("account", stack.user, evidence, cures.INSTALL)
            return {"registry": registry.is_current(stack), **_logs(stack, None)}
        seen = self._try(stack.name, lambda: self._observed(stack))
        self._try(paths.state, lambda: leases.load(paths.state))
        rows: t.Sequence[t.Mapping[str, t.Any]] = []
        if seen is not None and seen.supervisord is not None:
            rows = self._try(paths.manifest, lambda: drift.drift(paths, clock=self._clock)["services"]) or []
        return {
            "seen": seen,
            "unfinished_install": self._try(paths.state, lambda: last_steps.missing(stack)) or (),
            "late_jobs": self._late_jobs(stack) if seen is not None and seen.supervisord is not None else (),
            "drift": rows,
            "refusal": self._refusal(stack),
            "registry": registry.is_current(stack),
            "problems": self._problems(stack),
            "ports": {} if seen is None else self._try(stack.name, lambda: _ports(stack, seen, self._clock)) or {},
            "held": self._try(paths.env_dir, lambda: fitness.held(stack)) or {},
            "stopped": self._try(paths.state, lambda: read_stopped(stack)) or {},
            "other_limits": [] if seen is None else other_limits(stack, seen),
            **_logs(stack, seen),
        }

    def _observed(self, stack: Stack) -> Observation:
        return status.observe(stack, clock=self._clock)

    def _refusal(self, stack: Stack) -> t.Optional[RollcallError]:
        """Return what the host's own supervisor has against the installed config."""
        python = engine_python(self._root)
        if not os.access(python, os.X_OK):
            self._fail("engine_broken", python, "it is missing or cannot be executed", cures.INSTALL)
            return None
        try:
            preflight.prove_config(stack, read_text(stack.paths.config), installed=True)
        except RollcallError as exc:
            return exc
        except (OSError, ValueError) as exc:
            self._fail("unreadable", stack.paths.config, f"it cannot be read: {exc}", cures.INSTALL)
        return None

    def _untrusted(self, paths: Paths) -> t.List[t.Tuple[Untrusted, str]]:
        return [(one, places.cure(one)) for one in places.all_untrusted(self._root, paths.state)]

    def _problems(self, stack: Stack) -> t.List[t.Mapping[str, t.Any]]:
        try:
            # Rights have findings of their own.
            preflight.check_host(stack, rights=False)
        except RollcallError as exc:
            # Without problems it is that this user may not judge: what it cannot look into is a finding of its own.
            return list(exc.evidence.get("problems", []))
        return []

    def _try(self, subject: str, get: t.Callable[[], _T]) -> t.Optional[_T]:
        """Return what ``get`` returns; None when it cannot be had, which is a failure with its reason."""
        try:
            return get()
        except RollcallError as exc:
            path = str(exc.evidence.get("path", subject))
            if isinstance(exc.__cause__, PermissionError):
                self._denied[path] = None
            else:
                self._fail("unreadable", path, exc.message, (cures.INSTALL, *exc.remedies)[-1])
        except PermissionError as exc:
            self._denied[str(exc.filename or subject)] = None
        except NotPlain as exc:
            self._fail("unreadable", exc.path, exc.words, cures.move_away(exc.path))
        except (OSError, ValueError, KeyError, TypeError) as exc:
            path = str(getattr(exc, "filename", None) or subject)
            self._fail("unreadable", path, f"it cannot be read: {type(exc).__name__}: {exc}", cures.INSTALL)
        return None

    def _fail(self, name: str, subject: str, evidence: str, remedy: str) -> None:
        # The same file is needed for several things, and told once.
        self._unavailable.setdefault(subject, Unavailable(name, subject, evidence, remedy))


def _logs(stack: Stack, seen: t.Optional[Observation]) -> t.Dict[str, t.Any]:
    """Return the logs, and those to which supervisord does not write any more, found by a child."""

    def find() -> t.List[t.Any]:
        logs = [[one.path, one.size, one.limit] for one in own_paths.log_files(stack)]
        return [logs, [] if seen is None else lost_logs.lost_logs(stack, seen)]

    try:
        logs, lost = apart(find, FILES)
    except TooLong:
        # That the file system of the logs does not answer is a problem which fitness tells.
        return {}
    return {"logs": [LogFile(*one) for one in logs], "lost_logs": lost}


def _exists(user: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _pidfile(path: str) -> t.Optional[Pidfile]:
    try:
        text = read_text(path, most=64, errors="replace", opened=open_plain).strip()
    except FileNotFoundError:
        return None
    pid = int(text) if text.isdigit() and 0 < int(text) < 2**31 else None
    process = None if pid is None else processes.describe(pid)
    return Pidfile(pid, None if process is None or process.state in "ZX" else process)


def _recycled(root: str) -> t.Iterator[t.Tuple[int, str, Process]]:
    for (pid, start), label in births.recorded(root).processes.items():
        process = processes.describe(pid)
        if process is not None and process.start != start:
            yield pid, label.service, process


def _ports(stack: Stack, seen: Observation, clock: Clock) -> t.Dict[int, RollcallError]:
    """Return what a flush has against each port of the stack: it judges, and touches nothing."""
    found: t.Dict[int, RollcallError] = {}
    deadline = Deadline(PORTS_PATIENCE, clock)
    for port, holders in seen.holders.items():
        strange = any(holder.provenance != SUPERVISED for holder in holders)
        if not strange and (holders or bind.bindable(port) is None):
            continue
        if deadline.expired:
            found[port] = RollcallError(f"Port {port} is taken, and there was no time to see how to free it.")
            continue
        try:
            flush(stack, [port], kill_grace=PORT_GRACE, dry_run=True, force=cures.FORCE, clock=clock)
        except RollcallError as exc:
            found[port] = exc
    return found
