# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Look a host and a stack over, say what is wrong and what cures it, and put right what is safe to put right.

It works where nothing else does: without a generation in place, with a manifest or record that is broken, with a
supervisord that is dead or does not answer. What cannot be looked at is a finding of its own.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.version import VERSION
from ..host import bind, processes
from ..host.accounts import user_name
from ..host.labels import labelled_processes, record_labels, recorded_labels
from ..host.model import Process
from ..manifest.model import DEFAULT_PATH, Paths, Stack
from ..ports import flush, leases
from ..ports.provenance import SUPERVISED
from ..run import preflight
from ..state import registry
from ..state.generations import current_id, load_stack, read_meta
from ..state.lock import locked, locked_by
from ..state.log_marks import log_mark
from ..state.runs import KEEP_RUNS, prune_runs, runs_directory, unfinished_run
from ..supervisord import discovery, life
from ..supervisord.client import CALL_TIMEOUT
from ..supervisord.config import SUPERVISORD_LOG_MAX_BYTES
from ..supervisord.discovery import SocketAnswer, discover, discovery_seconds
from ..supervisord.places import engine_directory, engine_python, log_file
from ..supervisord.running import all_supervisords
from ..supervisord.settings import Settings, read_settings
from ..verdict import drift, fitness, limits, status
from ..verdict.observation import Observation
from . import diagnosis
from .diagnosis import Entry, Facts, Failure, Finding, Leftovers, Log, Pidfile, Versions

# Seconds for finding out what is in the way on the ports; what is left then is told without its unit.
PORTS_PATIENCE = 10.0
# How long a port is given to become free while it is looked at.
PORT_GRACE = 0.2
# Which directories of a stack there are, and the most that their modes may be.
_PRIVATE, _LOGS, _PUBLIC = 0o700, 0o750, 0o755

_T = t.TypeVar("_T")


def doctor(
    root: str, *, fix: bool = False, dry_run: bool = False, who: str = "", clock: Clock = SYSTEM
) -> t.Dict[str, t.Any]:
    """Look everything over and return the findings; with ``fix`` put right what is safe.

    Safe is what ends no process and starts none: left-over files, modes, directories that are missing.

    Args:
        root: of the stack.
        fix: whether to put right what can be.
        dry_run: say of that only what would be done.
        who: for the lock's note.
        clock: of all deadlines.

    Returns:
        ``ok``: no error is left; ``findings`` and ``supervisors`` as data; ``changed``; ``limit``: seconds it may take.

    Raises:
        RollcallError: ``refused``: with ``fix``, the stack is locked; ``wrong_use``: this user may not lock it.
    """
    began = clock.monotonic()
    if fix and not dry_run:
        facts, findings = _fixed(root, who, clock)
    else:
        facts = look(root, clock=clock)
        findings = diagnosis.diagnose(facts)
    fixable = any(finding.fixable for finding in findings)
    return {
        "stack": facts.name,
        "root": root,
        "host": os.uname().nodename,
        "ok": diagnosis.passed(findings),
        "changed": any(finding.fixed for finding in findings) or (fix and dry_run and fixable),
        "fix": fix,
        "check": dry_run,
        "findings": [finding.as_dict() for finding in findings],
        "supervisors": [daemon.as_dict() for daemon in facts.daemons],
        "seconds": round(clock.monotonic() - began, 3),
        "limit": _limit(facts.stack, len(facts.daemons), fix and not dry_run),
    }


def limit(root: str, *, fix: bool = False) -> float:
    """Return the seconds that it takes at the longest, by the deadlines of all that it asks.

    Args:
        root: of the stack.
        fix: whether something is to be put right: then it looks twice.
    """
    return _limit(_installed(root), len(all_supervisords()), fix)


def _installed(root: str) -> t.Optional[Stack]:
    """Return the installed manifest; None when none can be read, of which the reason is a finding."""
    try:
        return load_stack(Paths.of(root))
    except RollcallError:
        # Told by _Look._stack.
        return None


def _limit(stack: t.Optional[Stack], number: int, fix: bool) -> float:
    seconds = discovery_seconds(number) + discovery_seconds(1) + limits.SLACK
    if stack is not None:
        seconds += limits.look_limit(stack) + CALL_TIMEOUT + preflight.PARSE_BACK_TIMEOUT
        seconds += PORTS_PATIENCE + CALL_TIMEOUT
    return 2 * seconds if fix else seconds


# --- looking ------------------------------------------------------------------------------------------------------


def look(root: str, *, clock: Clock = SYSTEM) -> Facts:
    """Return all that can be found out about a stack and its host. Changes nothing."""
    return _Look(root, clock).facts()


class _Look:
    """One look, and what could not be read on the way."""

    def __init__(self, root: str, clock: Clock) -> None:
        self._root = os.path.normpath(root)
        self._clock = clock
        self._failures: t.Dict[str, Failure] = {}
        self._denied: t.Dict[str, None] = {}

    def facts(self) -> Facts:
        """Return everything; a part that cannot be had is a failure, and the others are had all the same."""
        stack = self._stack()
        paths = Paths.of(self._root) if stack is None else stack.paths
        found = discover(paths.config, self._root, clock=self._clock)
        alone = not any(daemon.ours for daemon in found)
        common: t.Dict[str, t.Any] = {
            "name": os.path.basename(self._root) if stack is None else stack.name,
            "root": self._root,
            "paths": paths,
            "stack": stack,
            "daemons": found,
            "own_answer": discovery.ask(paths.socket, clock=self._clock) if alone else SocketAnswer(),
            "own_settings": read_settings(paths.config) if os.path.exists(paths.config) else Settings(),
            "pidfile": self._try(paths.pidfile, lambda: _pidfile(paths.pidfile)),
            "labelled": self._try(self._root, lambda: labelled_processes(self._root)) or [],
            "recycled": self._try(self._root, lambda: list(_recycled(self._root))) or [],
            "meta": self._try(paths.etc, lambda: read_meta(paths, self._root)) or {},
            "entries": self._try(self._root, lambda: list(_entries(paths, self._root))) or [],
            "missing": [path for path in _directories(paths, self._root) if not os.path.isdir(path)],
            "leftovers": self._try(paths.state, lambda: _leftovers(paths, self._root)) or Leftovers(),
            "lock": self._try(paths.state, lambda: _locked_by_other(paths.state)),
            "unfinished": self._try(paths.state, lambda: unfinished_run(paths.state)),
            "versions": self._try(engine_directory(self._root), lambda: _versions(self._root)) or Versions(),
            "user": user_name(os.geteuid()),
            "unseen": processes.count_hidden(),
        }
        more = {} if stack is None else self._of_stack(stack)
        if self._denied:
            cure = f"sudo {diagnosis.command_of(self._root, 'doctor')}"
            text = f"user {common['user']} may not read {', '.join(self._denied)}"
            self._fail("unreadable", self._root, text, cure)
        return Facts(**common, **more, failures=tuple(self._failures.values()))

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
            anew = f"rm {shlex.quote(paths.etc)}, then {diagnosis.INSTALL}"
            cure = anew if exc.kind == "failed" else (*exc.remedies, diagnosis.INSTALL)[0]
            self._fail(name, paths.etc, exc.message, cure)
            return None

    def _of_stack(self, stack: Stack) -> t.Dict[str, t.Any]:
        """Return what takes a manifest."""
        paths = stack.paths
        if stack.user is not None and not _exists(stack.user):
            cure = f"{diagnosis.INSTALL} makes it"
            self._fail("account", stack.user, f"there is no such user, who is to run stack {stack.name}", cure)
            return {"registry": registry.is_current(stack), "logs": list(_logs(stack))}
        seen = self._try(stack.name, lambda: self._observed(stack))
        self._try(paths.state, lambda: leases.load(paths.state))
        rows: t.Sequence[t.Mapping[str, t.Any]] = []
        if seen is not None and seen.supervisord is not None:
            rows = self._try(paths.manifest, lambda: drift.drift(paths, clock=self._clock)["services"]) or []
        return {
            "seen": seen,
            "drift": rows,
            "refusal": self._refusal(stack),
            "registry": registry.is_current(stack),
            "problems": self._problems(stack),
            "ports": {} if seen is None else self._try(stack.name, lambda: _ports(stack, seen, self._clock)) or {},
            "held": self._try(paths.env_dir, lambda: fitness.held(stack)) or {},
            "logs": list(_logs(stack)),
        }

    def _observed(self, stack: Stack) -> Observation:
        return status.observe(stack, clock=self._clock)

    def _refusal(self, stack: Stack) -> t.Optional[RollcallError]:
        """Return what the host's own supervisor has against the installed config."""
        python = engine_python(self._root)
        if not os.access(python, os.X_OK):
            self._fail("engine_broken", python, "it is missing or cannot be executed", diagnosis.INSTALL)
            return None
        try:
            with open(stack.paths.config, encoding="utf-8") as stream:
                preflight.prove_config(stack, stream.read())
        except RollcallError as exc:
            if "differences" not in exc.evidence:
                return exc
            # It was proved before it was installed: somebody has edited it since.
            return RollcallError(exc.message, evidence=exc.evidence, remedies=[f"{diagnosis.INSTALL}: it replaces it"])
        except (OSError, ValueError) as exc:
            self._fail("unreadable", stack.paths.config, f"it cannot be read: {exc}", diagnosis.INSTALL)
        return None

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
                self._fail("unreadable", path, exc.message, (diagnosis.INSTALL, *exc.remedies)[-1])
        except PermissionError as exc:
            self._denied[str(exc.filename or subject)] = None
        except (OSError, ValueError, KeyError, TypeError) as exc:
            path = str(getattr(exc, "filename", None) or subject)
            self._fail("unreadable", path, f"it cannot be read: {type(exc).__name__}: {exc}", diagnosis.INSTALL)
        return None

    def _fail(self, name: str, subject: str, evidence: str, cure: str) -> None:
        # The same file is needed for several things, and told once.
        self._failures.setdefault(subject, Failure(name, subject, evidence, cure))


def _exists(user: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _pidfile(path: str) -> t.Optional[Pidfile]:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            text = stream.read(64).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    pid = int(text) if text.isdigit() and 0 < int(text) < 2**31 else None
    process = None if pid is None else processes.describe(pid)
    return Pidfile(pid, None if process is None or process.state in "ZX" else process)


def _recycled(root: str) -> t.Iterator[t.Tuple[int, str, Process]]:
    for (pid, start), label in recorded_labels(root).items():
        process = processes.describe(pid)
        if process is not None and process.start != start:
            yield pid, label.service, process


def _ports(stack: Stack, seen: Observation, clock: Clock) -> t.Dict[int, RollcallError]:
    """Return what a flush has against each port of the stack: it judges, and touches nothing."""
    found: t.Dict[int, RollcallError] = {}
    deadline = Deadline(PORTS_PATIENCE, clock)
    for port, holders in seen.holders.items():
        strange = [holder for holder in holders if holder.provenance != SUPERVISED]
        if not strange and (holders or bind.bindable(port) is None):
            continue
        if deadline.expired:
            found[port] = RollcallError(f"Port {port} is taken, and there was no time to see how to free it.")
            continue
        try:
            flush.flush(stack, [port], kill_grace=PORT_GRACE, dry_run=True, clock=clock)
        except RollcallError as exc:
            found[port] = exc
    return found


# --- files and directories ----------------------------------------------------------------------------------------


def _directories(paths: Paths, root: str) -> t.Dict[str, int]:
    """Return the directories that a stack has for good, and the modes they are made with."""
    return {root: _PUBLIC, paths.state: _PRIVATE, paths.run: _PRIVATE, paths.logs: _LOGS}


def _entries(paths: Paths, root: str) -> t.Iterator[Entry]:
    """Find what is Rollcall's own, with the most that its modes may be."""
    etc = os.path.realpath(paths.etc)
    engine = engine_directory(root)
    wanted = {
        **_directories(paths, root),
        **dict.fromkeys([os.path.join(root, "generations"), etc, os.path.join(root, "bin"), engine], _PUBLIC),
        os.path.join(engine, "rollcall"): _PUBLIC,
        os.path.join(root, "bin", "rollcall"): _PUBLIC,
        os.path.join(etc, os.path.basename(paths.manifest)): 0o640,
        os.path.join(etc, os.path.basename(paths.config)): 0o640,
        paths.socket: _PRIVATE,
    }
    for path, most in wanted.items():
        yield from _entry(path, most)
    env_dir = os.path.join(etc, os.path.basename(paths.env_dir))
    yield from _entry(env_dir, _PRIVATE, secret=True)
    for name in sorted(os.listdir(env_dir)) if os.path.isdir(env_dir) else ():
        yield from _entry(os.path.join(env_dir, name), 0o600, secret=True)


def _entry(path: str, most: int, *, secret: bool = False) -> t.Iterator[Entry]:
    try:
        seen = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISLNK(seen.st_mode):
        # A socket cannot be opened, and by its path another one's mode could be changed: it is left to a command.
        plain = stat.S_ISREG(seen.st_mode) or stat.S_ISDIR(seen.st_mode)
        yield Entry(path, stat.S_IMODE(seen.st_mode), most, seen.st_uid, secret, plain)


def _logs(stack: Stack) -> t.Iterator[Log]:
    for service in stack.services:
        path = log_file(stack, service.name)
        yield Log(path, log_mark(path)[1], service.log_max_bytes)
    for name in ("supervisord.log", "supervisord.out"):
        path = os.path.join(stack.paths.logs, name)
        yield Log(path, log_mark(path)[1], SUPERVISORD_LOG_MAX_BYTES)


def _leftovers(paths: Paths, root: str) -> Leftovers:
    """Find what runs that were cut off have left. While one is at work, that may be its own."""
    store = os.path.join(root, "generations")
    current = current_id(paths)
    unfinished = [
        path
        for path in _inside(store)
        if os.path.isdir(path) and os.path.basename(path) != current and not os.path.exists(f"{path}/meta.json")
    ]
    places = [
        *dict.fromkeys((root, os.path.dirname(paths.etc))),
        paths.state,
        runs_directory(paths.state),
        *_inside(store),
    ]
    places += [os.path.join(path, os.path.basename(paths.env_dir)) for path in _inside(store)]
    temporary = [
        path
        for place in places
        if not any(place.startswith(other) for other in unfinished)
        for path in _inside(place)
        if path.endswith(".new") and (os.path.islink(path) or os.path.isfile(path))
    ]
    records = {os.path.basename(path).split(".")[0] for path in _inside(runs_directory(paths.state))}
    return Leftovers(tuple(temporary), tuple(unfinished), max(0, len(records) - KEEP_RUNS))


def _inside(directory: str) -> t.List[str]:
    try:
        return [os.path.join(directory, name) for name in sorted(os.listdir(directory))]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _locked_by_other(state: str) -> t.Optional[t.Dict[str, t.Any]]:
    """Return the note of the process that has locked the stack; None when none has, or it is this one."""
    note = locked_by(state)
    return None if not note or note.get("pid") == os.getpid() else note


# --- versions -----------------------------------------------------------------------------------------------------


def _versions(root: str) -> Versions:
    engine = engine_directory(root)
    folders = dict.fromkeys([*os.environ.get("PATH", "").split(os.pathsep), *DEFAULT_PATH.split(":")])
    there = [os.path.join(folder, "supervisord") for folder in folders if folder]
    on_path = {os.path.realpath(path): path for path in reversed(there) if os.access(path, os.X_OK)}
    return Versions(
        own=VERSION,
        engine=_match(os.path.join(engine, "rollcall", "base", "version.py"), r'^VERSION = "(.*)"'),
        python=tuple(
            map(int, re.findall(r"\d+", _match(f"{engine}/venv/pyvenv.cfg", r"^version\S* = (.*)") or "")[:3])
        ),
        configured=os.path.join(engine, "venv", "bin", "supervisord"),
        on_path=tuple(reversed(on_path.values())),
    )


def _match(path: str, pattern: str) -> t.Optional[str]:
    """Return what a pattern finds in a file; None when it finds nothing or there is no such file."""
    try:
        with open(path, encoding="utf-8") as stream:
            found = re.search(pattern, stream.read(), re.MULTILINE)
    except FileNotFoundError:
        return None
    return None if found is None else found.group(1)


# --- putting right ------------------------------------------------------------------------------------------------


def _fixed(root: str, who: str, clock: Clock) -> t.Tuple[Facts, t.List[Finding]]:
    """Put right what is safe, under the stack's lock, and look again: what is gone then is fixed.

    Raises:
        RollcallError: ``refused``: the stack is locked; ``wrong_use``: this user may not lock it, or there is no root.
    """
    if not os.path.isdir(root):
        raise RollcallError(
            f"There is nothing to put right: {root} does not exist.", kind="wrong_use", remedies=[diagnosis.INSTALL]
        )
    stack = _installed(root)
    state = Paths.of(root).state if stack is None else stack.paths.state
    made = _first_directory(root, state)
    with locked(state, who, "doctor --fix", clock=clock):
        before = look(root, clock=clock)
        tried = [(finding, _repair(before, finding)) for finding in diagnosis.diagnose(before) if finding.fixable]
        facts = look(root, clock=clock) if tried else before
    left = diagnosis.diagnose(facts)
    return facts, [*made, *diagnosis.settled(tried, left)]


def _first_directory(root: str, state: str) -> t.List[Finding]:
    """Make the state directory, in which the lock is, when it is missing."""
    if os.path.isdir(state):
        return []
    os.makedirs(state, mode=_PRIVATE)
    missing = Facts(os.path.basename(root), root, Paths.of(root), missing=[state])
    found = next(one for one in diagnosis.diagnose(missing) if one.name == "directory_missing")
    return diagnosis.settled([(found, "made it")], [])


def _repair(facts: Facts, finding: Finding) -> str:
    """Put one finding right; return what was done, or why it could not be."""
    try:
        return _REPAIRS[finding.name](facts, finding.subject)
    except FileNotFoundError:
        return "it was gone already"
    except OSError as exc:
        return f"could not: {exc.strerror}"
    except RollcallError as exc:
        return f"could not: {exc.message}"


def _clean(facts: Facts, subject: str) -> str:
    life.remove_left_overs(facts.paths.socket, facts.paths.pidfile)
    return "could not: something lives behind it now" if os.path.lexists(subject) else "removed it"


def _forget(facts: Facts, _subject: str) -> str:
    """Keep those recorded processes that still live."""
    known = recorded_labels(facts.root)
    kept = {identity: label for identity, label in known.items() if processes.alive(identity)}
    record_labels(facts.root, kept)
    return "dropped it from the record"


def _make(facts: Facts, path: str) -> str:
    mode = _directories(facts.paths, facts.root)[path]
    os.makedirs(path, mode=mode)
    if facts.stack is not None and path in (facts.paths.run, facts.paths.logs):
        who = fitness.account(facts.stack)
        os.chown(path, who.uid, who.gid)
    os.chmod(path, mode)
    return "made it"


def _tighten(facts: Facts, path: str) -> str:
    entry = next(entry for entry in facts.entries if entry.path == path)
    # What is opened is what is changed: nobody can put a link in its place meanwhile.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = stat.S_IMODE(os.fstat(handle).st_mode) & entry.most
        os.fchmod(handle, mode)
    finally:
        os.close(handle)
    return f"its mode is {mode:04o} now"


def _unlink(_facts: Facts, path: str) -> str:
    os.unlink(path)
    return "removed it"


def _remove_tree(_facts: Facts, path: str) -> str:
    shutil.rmtree(path)
    return "removed it"


def _prune(facts: Facts, _subject: str) -> str:
    prune_runs(facts.paths.state)
    return f"kept the newest {KEEP_RUNS}"


_REPAIRS: t.Mapping[str, t.Callable[[Facts, str], str]] = {
    "stale_socket": _clean,
    "stale_pidfile": _clean,
    "pidfile_reused": _clean,
    "recycled_pid": _forget,
    "directory_missing": _make,
    "secret_exposed": _tighten,
    "unsafe_mode": _tighten,
    "temporary_file": _unlink,
    "unfinished_generation": _remove_tree,
    "old_runs": _prune,
}
