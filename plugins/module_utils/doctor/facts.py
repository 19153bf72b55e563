# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What is wrong with a host that a stack runs on: from what was found there to findings with their cures. Pure."""

from __future__ import annotations

import dataclasses
import os
import shlex
import typing as t
from dataclasses import dataclass, field

from ..base.errors import RollcallError
from ..host.model import Process
from ..manifest.model import Paths, Stack
from ..state.lock import describe_lock
from ..supervisord import client_errors, config_reader
from ..supervisord.discovery import SocketAnswer, Supervisord
from ..supervisord.settings import Settings
from ..verdict.observation import Observation, trouble

ERROR = "error"
WARNING = "warning"
NOTE = "note"
OLDEST_PYTHON = (3, 9)
INSTALL = "ansible-playbook site.yml"
EMERGENCY = "restart emergency"
FULL = "restart full"
# A log that is rotated may be somewhat over its size when it is; one that never is has no size of its own.
LOG_ROOM = 1024 * 1024
LOG_UNROTATED = 1024 * 1024 * 1024


class Kind(t.NamedTuple):
    """A kind of finding.

    Attributes:
        severity: error, warning or note.
        meaning: what it is, for the reference.
        cure: what is to be done about it, for the reference; a finding names the very command.
        fix: what ``--fix`` does about it; empty when that is nothing.
        others: its severity when it is about a supervisord that is not of this stack; empty when it never is.
    """

    severity: str
    meaning: str
    cure: str
    fix: str = ""
    others: str = ""


# In the order in which they are told. docs/reference/doctor.md has them in this order, too.
KINDS: t.Mapping[str, Kind] = {
    # supervisord
    "supervisord_down": Kind(ERROR, "no supervisord runs over the stack", "`rollcall start`"),
    "split_brain": Kind(
        ERROR,
        "several supervisords run over the stack",
        "`rollcall restart full`; `rollcall restart emergency` when one of them is stopped or does not answer",
    ),
    "supervisord_stopped": Kind(ERROR, "a supervisord is stopped by a signal", "`kill -CONT PID`", others=WARNING),
    "supervisord_deaf": Kind(
        ERROR,
        "a supervisord holds its socket and does not answer",
        "`rollcall restart emergency`",
        others=WARNING,
    ),
    "socket_gone": Kind(
        ERROR,
        "a supervisord lives and its socket was deleted or replaced",
        "`rollcall restart full`",
        others=WARNING,
    ),
    "socket_taken": Kind(
        ERROR,
        "somebody else answers on the socket of a supervisord",
        "`kill PID` of who has it, then what the doctor says next",
        others=WARNING,
    ),
    "shared_socket": Kind(
        ERROR,
        "two supervisords have the same path for their socket",
        "another `file=` in the config of the other one",
        others=WARNING,
    ),
    "shared_pidfile": Kind(
        ERROR,
        "two supervisords have the same pid file",
        "another `pidfile=` in the config of the other one",
        others=WARNING,
    ),
    "not_asked": Kind(
        WARNING,
        "the stack's supervisord cannot be asked",
        "`sudo rollcall doctor`; `rollcall restart full` when it wants a password",
    ),
    "inet_server": Kind(
        ERROR,
        "a supervisord takes orders over TCP without a password or from beyond loopback",
        "`ansible-playbook site.yml`; in a config of others a password and `port=127.0.0.1:9001`",
        others=WARNING,
    ),
    "supervisor_too_old": Kind(ERROR, "supervisor is older than 4.2.2", "`ansible-playbook site.yml`"),
    # processes
    "orphan": Kind(ERROR, "a process of the stack that no supervisord of it holds", "`rollcall restart full`"),
    "duplicate": Kind(ERROR, "a service runs twice", "`rollcall restart full`"),
    "pidfile_foreign": Kind(
        WARNING,
        "the pid file names another supervisord",
        "`rollcall restart full`; `rm` of the file while the stack is down",
    ),
    "pidfile_reused": Kind(
        WARNING,
        "the pid file names a process that is no supervisord",
        "`rollcall doctor --fix`",
        fix="removes the file",
    ),
    "recycled_pid": Kind(
        NOTE,
        "a recorded pid is another process by now",
        "`rollcall doctor --fix`",
        fix="drops it from the record",
    ),
    # the services
    "port_held": Kind(
        ERROR,
        "an assigned port is taken by what is not the stack's, or by nobody that can be seen",
        "the command that ends its holder for good; the finding's data has the override and the other ways",
    ),
    "port_kernel": Kind(
        WARNING,
        "the kernel gives an assigned port to clients, or to root alone",
        "`sysctl -w net.ipv4.ip_local_reserved_ports=PORT`, or another port",
    ),
    "not_healthy": Kind(
        ERROR,
        "a service, or the database, is not as it must be",
        "`rollcall start`; `rollcall status` for the database",
    ),
    "held": Kind(
        NOTE,
        "a service stays down because something that it requires is missing",
        "bring what it requires, then `rollcall start`",
    ),
    # what is installed
    "not_installed": Kind(ERROR, "no generation is in place", "`ansible-playbook site.yml`"),
    "unreadable": Kind(
        ERROR,
        "a file that Rollcall needs cannot be read, or is broken",
        "the file's own: `rm`, `ansible-playbook site.yml`, or `sudo`",
    ),
    "config_refused": Kind(
        ERROR,
        "supervisor does not take the installed config, or reads something else out of it",
        "`ansible-playbook site.yml`; or correct what supervisor names",
    ),
    "drift": Kind(WARNING, "what runs is not what is installed", "`rollcall start`"),
    "not_loaded": Kind(
        WARNING,
        "the running supervisord has not loaded the generation in place",
        "`rollcall restart full`",
    ),
    "not_verified": Kind(NOTE, "the verdict over the generation in place has never held", "`rollcall start`"),
    "registry_stale": Kind(WARNING, "the registry of ports does not say what the manifest says", "`rollcall start`"),
    "engine_broken": Kind(ERROR, "the engine, or its virtual environment, is missing", "`ansible-playbook site.yml`"),
    "engine_version": Kind(
        WARNING,
        "the installed engine is of another version than the one that looks",
        "`ansible-playbook site.yml`",
    ),
    "python_too_old": Kind(
        ERROR,
        "the engine's Python is older than 3.9",
        "`ansible-playbook site.yml -e bootstrap_python=PATH`, the old environment removed before",
    ),
    "other_supervisord": Kind(NOTE, "several programs called supervisord are on the PATH", "none is needed"),
    # the host
    "account": Kind(ERROR, "the user of the stack does not exist", "`ansible-playbook site.yml`"),
    "command": Kind(
        ERROR,
        "the program or the directory of a service is missing",
        "install the program, or correct the manifest",
    ),
    "disk": Kind(
        ERROR,
        "no space or no inodes are left, or the file system is read-only",
        "make room, or mount it read-write",
    ),
    "directory_missing": Kind(
        ERROR,
        "a directory of the stack is missing",
        "`rollcall doctor --fix`",
        fix="makes it, for its owner",
    ),
    "not_writable": Kind(ERROR, "the stack's user may not write to its directory", "`chown USER DIRECTORY`"),
    "log_huge": Kind(WARNING, "a log is far over the size at which it is rotated", "`truncate -s 0 FILE`"),
    "log_in_tmp": Kind(WARNING, "the logs are below /tmp, which is emptied", "`paths.logs` in the manifest"),
    # who may read and write it
    "secret_exposed": Kind(
        ERROR,
        "others may read a file or directory of secrets",
        "`rollcall doctor --fix`",
        fix="takes the permission away",
    ),
    "unsafe_mode": Kind(
        WARNING,
        "others may do more with a file or directory than they need",
        "`rollcall doctor --fix`; `chmod` for the socket",
        fix="takes the permission away",
    ),
    "unsafe_owner": Kind(
        ERROR,
        "supervisord runs as root over a directory that another user may change",
        "`chown -R 0:0 DIRECTORY`",
    ),
    # left over
    "locked": Kind(WARNING, "a run is at work: what is seen here will change", "wait for it"),
    "unfinished_run": Kind(WARNING, "the last run was cut off", "`rollcall start`"),
    "unfinished_generation": Kind(
        WARNING,
        "a generation that was never finished",
        "`rollcall doctor --fix`",
        fix="removes it",
    ),
    "temporary_file": Kind(WARNING, "a file that was never finished", "`rollcall doctor --fix`", fix="removes it"),
    "stale_socket": Kind(WARNING, "a socket on which nobody listens", "`rollcall doctor --fix`", fix="removes it"),
    "stale_pidfile": Kind(WARNING, "a pid file of nobody", "`rollcall doctor --fix`", fix="removes it"),
    "old_runs": Kind(NOTE, "more records of runs than are kept", "`rollcall doctor --fix`", fix="removes the oldest"),
    "unseen": Kind(NOTE, "processes that this user may not look into", "`sudo rollcall doctor`"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        name: one of `KINDS`.
        severity: error, warning or note.
        subject: the service, file, process or stack that it is about.
        evidence: what was seen, for people.
        cure: the command to run, or the edit to make.
        data: the same facts for machines.
        fixable: whether ``--fix`` does it.
        fixed: whether it has; None when that was not asked for.
    """

    name: str
    severity: str
    subject: str
    evidence: str
    cure: str
    data: t.Mapping[str, t.Any] = field(default_factory=dict)
    fixable: bool = False
    fixed: t.Optional[bool] = None

    def as_dict(self) -> t.Dict[str, t.Any]:
        """Return the finding as data."""
        return {**dataclasses.asdict(self), "data": dict(self.data)}


@dataclass(frozen=True)
class Failure:
    """Something that could not be read: the kind of finding, its subject, the reason and the cure."""

    name: str
    subject: str
    evidence: str
    cure: str


@dataclass(frozen=True)
class Pidfile:
    """What the pid file names: the pid in it, None when it is no number, and the process that has it."""

    pid: t.Optional[int]
    process: t.Optional[Process]


@dataclass(frozen=True)
class Entry:
    """A file or directory of Rollcall's: its mode, the most that it may have, its owner, and if it holds secrets."""

    path: str
    mode: int
    most: int
    uid: int
    secret: bool = False
    fixable: bool = True


@dataclass(frozen=True)
class Log:
    """A log file, its size in bytes, and the size at which it is rotated; 0 is never."""

    path: str
    size: int
    limit: int


@dataclass(frozen=True)
class Leftovers:
    """What earlier runs have left in the stack's directories.

    Attributes:
        temporary: files and links that were never put in place.
        generations: directories of generations that were never finished.
        runs: how many records of runs there are more than are kept.
    """

    temporary: t.Tuple[str, ...] = ()
    generations: t.Tuple[str, ...] = ()
    runs: int = 0


@dataclass(frozen=True)
class Versions:
    """Which versions there are: of the engine that looks and the installed one, of Python, and where supervisord is.

    ``engine`` is None when none is installed; ``python`` is empty when it is not known.
    """

    own: str = ""
    engine: t.Optional[str] = ""
    python: t.Tuple[int, ...] = ()
    configured: str = ""
    on_path: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """All that was found.

    Attributes:
        name: of the stack; of its root's directory when no manifest can be read.
        root: of the stack.
        paths: of the stack.
        stack: the installed manifest; None when there is none that can be read.
        failures: what could not be read.
        daemons: every supervisord of the host.
        own_answer: who answers at the stack's socket.
        own_settings: what the installed config says of the daemon.
        pidfile: what the pid file names; None when there is none.
        seen: of the stack; None when it could not be looked at.
        labelled: every process that carries the stack's label.
        recycled: recorded pids, their service, and the other process that each is now.
        drift: rows of drift.drift.
        meta: of the generation in place.
        refusal: what the host's own supervisor has against the installed config.
        registry: whether the registry is current.
        problems: of the host, from preflight.check_host.
        ports: what a flush would have against each port, with what is known of its holder.
        held: services that stay down, with the reason.
        entries: files and directories of Rollcall's.
        missing: directories that are not there.
        logs: of the services and of supervisord.
        leftovers: of earlier runs.
        lock: the note of the process that has locked the stack; None when none has.
        unfinished: run and step of the newest run, when it never came to its end.
        versions: of all that has one.
        user: who looks.
        unseen: how many processes this user may not look into.
    """

    name: str
    root: str
    paths: Paths
    stack: t.Optional[Stack] = None
    failures: t.Sequence[Failure] = ()
    daemons: t.Sequence[Supervisord] = ()
    own_answer: SocketAnswer = field(default_factory=lambda: SocketAnswer(problem=client_errors.ABSENT))
    own_settings: Settings = field(default_factory=Settings)
    pidfile: t.Optional[Pidfile] = None
    seen: t.Optional[Observation] = None
    labelled: t.Sequence[Process] = ()
    recycled: t.Sequence[t.Tuple[int, str, Process]] = ()
    drift: t.Sequence[t.Mapping[str, t.Any]] = ()
    meta: t.Mapping[str, t.Any] = field(default_factory=dict)
    refusal: t.Optional[RollcallError] = None
    registry: bool = True
    problems: t.Sequence[t.Mapping[str, t.Any]] = ()
    ports: t.Mapping[int, RollcallError] = field(default_factory=dict)
    held: t.Mapping[str, str] = field(default_factory=dict)
    entries: t.Sequence[Entry] = ()
    missing: t.Sequence[str] = ()
    logs: t.Sequence[Log] = ()
    leftovers: Leftovers = Leftovers()
    lock: t.Optional[t.Mapping[str, t.Any]] = None
    unfinished: t.Optional[t.Mapping[str, t.Any]] = None
    versions: Versions = Versions()
    user: str = "root"
    unseen: int = 0

    @property
    def ours(self) -> t.List[Supervisord]:
        """The supervisords over this stack."""
        return [daemon for daemon in self.daemons if daemon.ours]


def diagnose(facts: Facts) -> t.List[Finding]:
    """Return all that is wrong or worth knowing: errors, then warnings and notes, each in the order of `KINDS`."""
    found = [finding for judge in _JUDGES for finding in judge(facts)]
    severities, names = (ERROR, WARNING, NOTE), list(KINDS)
    return sorted(found, key=lambda finding: (severities.index(finding.severity), names.index(finding.name)))


def passed(findings: t.Iterable[Finding]) -> bool:
    """Return whether no error is left."""
    return not any(finding.severity == ERROR and not finding.fixed for finding in findings)


def _finding(
    name: str, subject: str, evidence: str, cure: str, *, ours: bool = True, fixable: bool = True, **data: t.Any
) -> Finding:
    kind = KINDS[name]
    severity = kind.severity if ours else kind.others
    return Finding(name, severity, subject, evidence, cure, {"ours": ours, **data}, fixable and bool(kind.fix))


def command(facts: Facts, words: str) -> str:
    """Return a command of this stack's own ``rollcall``, as it can be copied."""
    return command_of(facts.root, words)


def command_of(root: str, words: str) -> str:
    """Return a command of the ``rollcall`` of the stack at ``root``."""
    return f"{shlex.quote(os.path.join(root, 'bin', 'rollcall'))} {words}"


def settled(tried: t.Iterable[t.Tuple[Finding, str]], left: t.Sequence[Finding]) -> t.List[Finding]:
    """Return the findings after something was put right, those that were first.

    Args:
        tried: what was to be put right, and what was done.
        left: what was found afterwards.
    """
    still = {(finding.name, finding.subject) for finding in left}
    done = {(finding.name, finding.subject): text for finding, text in tried}
    fixed = [
        dataclasses.replace(finding, fixed=True, data={**finding.data, "done": text})
        for finding, text in tried
        if (finding.name, finding.subject) not in still
    ]
    failed = [
        dataclasses.replace(
            finding,
            fixed=False if finding.fixable else None,
            data={**finding.data, **({"done": done[key]} if (key := (finding.name, finding.subject)) in done else {})},
        )
        for finding in left
    ]
    return [*fixed, *failed]


def _who(process: Process) -> str:
    return f"pid {process.pid} '{process.shown}' of user {process.user}"


# --- supervisord --------------------------------------------------------------------------------------------------


def _daemons(facts: Facts) -> t.Iterator[Finding]:
    """Judge every supervisord by itself, and those of this stack together."""
    yield from _together(facts)
    for daemon in facts.daemons:
        if not daemon.process.container:
            yield from _one(facts, daemon)
            yield from _inet(daemon.config or "", daemon.settings, daemon.ours)
    if not facts.ours:
        yield from _inet(facts.paths.config, facts.own_settings, True)


def _together(facts: Facts) -> t.Iterator[Finding]:
    ours, socket = facts.ours, facts.paths.socket
    if not ours and facts.stack is not None:
        yield _finding(
            "supervisord_down",
            facts.name,
            f"no supervisord runs over {facts.paths.config}",
            command(facts, "start"),
        )
    if not ours and facts.own_answer.problem not in (client_errors.ABSENT, client_errors.STALE, client_errors.DENIED):
        who = facts.own_answer.pid or facts.own_answer.peer
        yield _finding(
            "socket_taken",
            socket,
            f"no supervisord of this stack runs, and {f'pid {who}' if who else 'somebody'} holds its socket {socket}",
            f"kill {who}" if who else f"fuser -v {shlex.quote(socket)}",
            pid=who,
            socket=socket,
        )
    if len(ours) > 1:
        each = "; ".join(f"pid {daemon.pid} of user {daemon.process.user}, {_condition(daemon)}" for daemon in ours)
        hung = any(_stopped(daemon) or _silent(daemon) for daemon in ours)
        yield _finding(
            "split_brain",
            facts.name,
            f"{len(ours)} supervisords run over {facts.paths.config}: {each}",
            command(facts, EMERGENCY if hung else FULL),
            pids=[daemon.pid for daemon in ours],
        )


def _stopped(daemon: Supervisord) -> bool:
    return daemon.process.state in ("T", "t")


def _silent(daemon: Supervisord) -> bool:
    return daemon.answer is not None and daemon.answer.problem == client_errors.SILENT


def _condition(daemon: Supervisord) -> str:
    """Return how a supervisord is, in a few words."""
    if daemon.answers:
        return "answers"
    if _stopped(daemon):
        return "stopped by a signal"
    if daemon.answer is None:
        return "not asked"
    if daemon.answer.pid is not None:
        return f"pid {daemon.answer.pid} answers on its socket"
    return {
        client_errors.ABSENT: "its socket is gone",
        client_errors.STALE: "its socket is dead",
        client_errors.SILENT: "does not answer",
        client_errors.DENIED: "may not be asked",
        client_errors.UNAUTHORISED: "wants a password",
        client_errors.SHUTTING_DOWN: "is shutting down",
    }.get(daemon.answer.problem, "cannot be asked")


def _one(facts: Facts, daemon: Supervisord) -> t.Iterator[Finding]:
    """Judge one supervisord and its socket."""
    answer, socket = daemon.answer, daemon.settings.socket or ""
    who = f"supervisord {_who(daemon.process)}"
    about: t.Dict[str, t.Any] = {"ours": daemon.ours, "pid": daemon.pid, "socket": socket or None}
    subject = facts.name if daemon.ours else daemon.config or f"pid {daemon.pid}"
    if _stopped(daemon):
        # Its silence has this one reason.
        yield _finding(
            "supervisord_stopped",
            subject,
            f"{who} is stopped by a signal (state {daemon.process.state}): it answers nobody and watches nothing",
            f"kill -CONT {daemon.pid}",
            **about,
        )
        return
    if answer is None or daemon.answers:
        if daemon.ours and daemon.answers and answer is not None and _too_old(answer.version):
            text = f"{who} is supervisor {answer.version}; {_oldest()} or later is needed"
            yield _finding("supervisor_too_old", subject, text, INSTALL, version=answer.version)
        return
    if daemon.young and answer.problem in (client_errors.ABSENT, client_errors.STALE, client_errors.SILENT):
        return
    if answer.problem in (client_errors.ABSENT, client_errors.STALE):
        how = "was deleted" if answer.problem == client_errors.ABSENT else "was replaced by one that nobody listens on"
        yield _finding(
            "socket_gone",
            subject,
            f"{who} lives, and its socket {socket} {how}: nobody can reach it",
            command(facts, FULL) if daemon.ours else f"kill -TERM {daemon.pid}, and start it again as it was started",
            **about,
        )
        return
    yield from _misheard(facts, daemon, answer, socket, who, subject, about)


def _misheard(
    facts: Facts,
    daemon: Supervisord,
    answer: SocketAnswer,
    socket: str,
    who: str,
    subject: str,
    about: t.Mapping[str, t.Any],
) -> t.Iterator[Finding]:
    """Judge a supervisord on whose socket somebody is, and not itself that answers."""
    other = answer.pid if answer.pid is not None else answer.peer
    rivals = {rival.pid for rival in facts.daemons if _same(rival.settings.socket, socket)} - {daemon.pid}
    if other in rivals:
        # Told as two supervisords with one path, or as a split brain.
        return
    garbage = answer.problem in (client_errors.GARBAGE, client_errors.NOT_A_SOCKET)
    if (
        garbage
        or answer.pid is not None
        or (answer.problem == client_errors.SILENT and other not in (None, daemon.pid))
    ):
        holder = f"pid {other}" if other is not None else "somebody else"
        yield _finding(
            "socket_taken",
            subject,
            f"{who} lives, and {holder} is on its socket {socket}" + (f": {answer.detail}" if answer.detail else ""),
            # What cannot be told from here is not ended by a command either.
            f"kill {other}" if other is not None else f"fuser -v {shlex.quote(socket)}",
            **{**about, "holder": other},
        )
    elif answer.problem == client_errors.SILENT:
        yield _finding(
            "supervisord_deaf",
            subject,
            f"{who} does not answer: {answer.detail}",
            command(facts, EMERGENCY)
            if daemon.ours
            else f"kill -TERM {daemon.pid}, and start it again as it was started",
            **about,
        )
    elif daemon.ours:
        denied = answer.problem == client_errors.DENIED
        cure = f"sudo {command(facts, 'doctor')}" if denied else command(facts, FULL)
        yield _finding("not_asked", subject, answer.detail, cure, **about)


def _same(one: t.Optional[str], other: t.Optional[str]) -> bool:
    return bool(one) and bool(other) and os.path.normpath(one or "") == os.path.normpath(other or "")


def _shared(facts: Facts) -> t.Iterator[Finding]:
    """Find paths that two supervisords have in common; several over this stack are a split brain."""
    for name, key, word, option in (
        ("shared_socket", "socket", "socket", "file= of [unix_http_server]"),
        ("shared_pidfile", "pidfile", "pid file", "pidfile= of [supervisord]"),
    ):
        groups: t.Dict[str, t.List[Supervisord]] = {}
        for daemon in facts.daemons:
            path = getattr(daemon.settings, key)
            if path and not daemon.process.container:
                groups.setdefault(os.path.normpath(path), []).append(daemon)
        for path, group in groups.items():
            strangers = [daemon for daemon in group if not daemon.ours]
            if len(group) < 2 or not strangers:
                continue
            each = "; ".join(f"{_who(daemon.process)} by {daemon.config}" for daemon in group)
            yield _finding(
                name,
                path,
                f"{len(group)} supervisords have the {word} {path}: {each}. "
                "The one that ends first takes it from the other",
                f"give {strangers[-1].config} another {word}: {option}; then start that one anew",
                ours=len(strangers) < len(group),
                pids=[daemon.pid for daemon in group],
                configs=[daemon.config for daemon in group],
            )


def _inet(path: str, settings: Settings, ours: bool) -> t.Iterator[Finding]:
    for inet in settings.inet:
        faults = [
            *([] if inet.guarded else ["without a password"]),
            *(["from other hosts"] if inet.exposed else []),
        ]
        if faults:
            edit = f"remove [inet_http_server] from {path}, or give it port=127.0.0.1:9001, username and password"
            yield _finding(
                "inet_server",
                path,
                f"its supervisord takes orders on {inet.address or 'a port'} {' and '.join(faults)}",
                f"{INSTALL}: it installs the config anew" if ours else edit,
                ours=ours,
                address=inet.address,
                password=inet.guarded,
            )


def _too_old(version: str) -> bool:
    numbers = config_reader.release(version)
    return bool(numbers) and numbers < config_reader.OLDEST


def _oldest() -> str:
    return ".".join(map(str, config_reader.OLDEST))


# --- processes ----------------------------------------------------------------------------------------------------


def _processes(facts: Facts) -> t.Iterator[Finding]:
    holders = {daemon.pid for daemon in facts.ours}
    running: t.Dict[str, t.List[Process]] = {}
    for process in facts.labelled:
        if process.label is not None and process.label.service and process.ppid in holders:
            running.setdefault(process.label.service, []).append(process)
    for service, twice in running.items():
        if len(twice) > 1:
            yield _finding(
                "duplicate",
                service,
                "it runs more than once: " + "; ".join(f"{_who(one)}, below pid {one.ppid}" for one in twice),
                command(facts, FULL),
                pids=[one.pid for one in twice],
            )
    for orphan in () if facts.seen is None else facts.seen.orphans:
        service = orphan.label.service if orphan.label is not None else ""
        beside = [process.pid for process in running.get(service, ())]
        text = f"{_who(orphan)} carries this stack's label, and no supervisord of the stack holds it"
        if beside:
            text += f"; supervisord runs {service} as pid {beside[0]} besides"
        yield _finding(
            "orphan", service or facts.name, text, command(facts, FULL), pid=orphan.pid, service=service, beside=beside
        )
    for pid, service, process in facts.recycled:
        text = f"pid {pid}, recorded as {service or 'supervisord'}, is {_who(process)} by now; it is left alone"
        yield _finding("recycled_pid", service or facts.name, text, command(facts, "doctor --fix"), pid=pid)


def _pidfile(facts: Facts) -> t.Iterator[Finding]:
    found, path = facts.pidfile, facts.paths.pidfile
    if found is None or (found.pid is not None and found.pid in {daemon.pid for daemon in facts.ours}):
        return
    fix = command(facts, "doctor --fix")
    said = "no pid" if found.pid is None else f"pid {found.pid}"
    if found.process is None:
        yield _finding("stale_pidfile", path, f"it names {said}, and there is no such process", fix, pid=found.pid)
    elif found.pid not in {daemon.pid for daemon in facts.daemons}:
        text = f"it names {_who(found.process)}, which is no supervisord"
        yield _finding("pidfile_reused", path, text, fix, pid=found.pid)
    else:
        cure = command(facts, FULL) if facts.ours else f"rm {shlex.quote(path)}"
        text = f"it names {_who(found.process)}, which is a supervisord and not of this stack"
        yield _finding("pidfile_foreign", path, text, cure, pid=found.pid)


def _stale_socket(facts: Facts) -> t.Iterator[Finding]:
    if not facts.ours and facts.own_answer.problem == client_errors.STALE:
        text = "nobody listens on it, and no supervisord of this stack runs"
        yield _finding("stale_socket", facts.paths.socket, text, command(facts, "doctor --fix"))


# --- the services -------------------------------------------------------------------------------------------------


def _ports(facts: Facts) -> t.Iterator[Finding]:
    for port, objection in facts.ports.items():
        name = next((one.name for one in facts.stack.services if one.port == port), "") if facts.stack else ""
        yield _finding(
            "port_held",
            name or str(port),
            objection.message,
            objection.remedies[0] if objection.remedies else command(facts, f"ports check {port}"),
            port=port,
            remedies=list(objection.remedies),
            **{key: value for key, value in objection.evidence.items() if key == "holders"},
        )


def _services(facts: Facts) -> t.Iterator[Finding]:
    for name, reason in facts.held.items():
        yield _finding("held", name, reason, f"bring what it needs, then: {command(facts, 'start')}")
    if facts.seen is None or facts.stack is None:
        return
    for check in facts.stack.checks.databases:
        answer = facts.seen.databases.get(check.kind)
        if answer is not None and not answer.ok and check.service not in facts.held:
            yield _finding("not_healthy", check.subject or "database", answer.detail, command(facts, "status"))
    if facts.seen.supervisord is None or facts.lock is not None:
        # Without a supervisord that answers nothing is known of any service, and a run at work is just changing them.
        return
    for service in facts.stack.services:
        found = None if service.name in facts.held else trouble(service, facts.seen)
        if found is not None and not (service.port in facts.ports and found.check == "port"):
            yield _finding("not_healthy", service.name, found.text, command(facts, "start"))


# --- what is installed --------------------------------------------------------------------------------------------


def _installed(facts: Facts) -> t.Iterator[Finding]:
    for failure in facts.failures:
        yield _finding(failure.name, failure.subject, failure.evidence, failure.cure)
    if facts.refusal is not None:
        error = facts.refusal
        name = "supervisor_too_old" if "needed" in error.evidence else "config_refused"
        cure = error.remedies[0] if error.remedies else INSTALL
        yield _finding(name, facts.paths.config, error.message, cure, **error.evidence)
    for row in facts.drift:
        rest = [text for text in row["differences"] if not _about_port(text, row["port"])]
        if rest:
            yield _finding("drift", row["name"], "; ".join(rest), command(facts, "start"), row=dict(row))
    if facts.meta and facts.ours and not facts.meta.get("loaded", True):
        text = f"the generation behind {facts.paths.etc} was put in place, and supervisord still runs by the one before"
        yield _finding("not_loaded", facts.name, text, command(facts, FULL))
    elif facts.meta and facts.ours and not facts.meta.get("verified", True):
        text = f"the verdict over the generation behind {facts.paths.etc} has not held yet"
        yield _finding("not_verified", facts.name, text, command(facts, "start"))
    if facts.stack is not None and not facts.registry:
        path = os.path.join(facts.root, "ports.json")
        text = "it is missing or does not say what the manifest says: applications get no port, or a wrong one"
        yield _finding("registry_stale", path, text, command(facts, "start"))


def _about_port(text: str, port: t.Optional[int]) -> bool:
    """Return whether a difference is told as one of the ports or of the services already."""
    return text.startswith((f"port {port} is taken", f"nothing listens on port {port}"))


def _versions(facts: Facts) -> t.Iterator[Finding]:
    known = facts.versions
    if known.engine is None:
        text = "there is no engine in it: this stack can be neither restarted nor looked at from its host"
        yield _finding("engine_broken", os.path.join(facts.root, "engine"), text, INSTALL)
    elif known.engine and known.engine != known.own:
        text = f"installed is version {known.engine}, and version {known.own} looks at it"
        yield _finding("engine_version", os.path.join(facts.root, "engine"), text, INSTALL)
    if known.python and known.python < OLDEST_PYTHON:
        text = f"it is Python {'.'.join(map(str, known.python))}, and {'.'.join(map(str, OLDEST_PYTHON))} is needed"
        cure = (
            f"rm -r {shlex.quote(os.path.join(facts.root, 'engine', 'venv'))}, then {INSTALL} -e bootstrap_python=PATH"
        )
        yield _finding("python_too_old", os.path.join(facts.root, "engine", "venv"), text, cure)
    if len(known.on_path) > 1:
        text = (
            f"on the PATH are {', '.join(known.on_path)}; this stack runs by {known.configured}, whatever the PATH says"
        )
        yield _finding(
            "other_supervisord", facts.name, text, f"none is needed; {command(facts, 'status')} asks the right one"
        )


# --- the host -----------------------------------------------------------------------------------------------------

_PLACES = (
    (".port", "port_kernel"),
    (".directory", "command"),
    (".command[0]", "command"),
    ("stack.paths.run", "not_writable"),
    ("stack.paths.logs", "not_writable"),
    ("rollcall_release", "command"),
)


def _host(facts: Facts) -> t.Iterator[Finding]:
    for path in facts.missing:
        yield _finding("directory_missing", path, "it does not exist", command(facts, "doctor --fix"))
    for problem in facts.problems:
        place = problem["place"]
        name = next((name for ending, name in _PLACES if place.endswith(ending)), "disk")
        if "does not exist" in problem["message"] and name == "not_writable":
            continue  # told as a missing directory
        yield _finding(name, place, problem["message"], problem["cure"])
    for log in facts.logs:
        most = 2 * log.limit + LOG_ROOM if log.limit else LOG_UNROTATED
        if log.size > most:
            rotated = f"rotated at {_size(log.limit)}" if log.limit else "never rotated"
            text = f"it has {_size(log.size)} and is to be {rotated}"
            yield _finding("log_huge", log.path, text, f"truncate -s 0 {shlex.quote(log.path)}", size=log.size)
    logs = os.path.realpath(facts.paths.logs)
    if _temporary(logs) and not _temporary(os.path.realpath(facts.root)):
        text = f"the logs are written to {logs}, which the host empties by itself"
        yield _finding("log_in_tmp", facts.paths.logs, text, f"set paths.logs in the manifest, then {INSTALL}")


def _temporary(path: str) -> bool:
    return path.startswith(("/tmp/", "/var/tmp/", "/dev/shm/"))


def _size(number: int) -> str:
    return f"{number / 1024 / 1024:.1f} MiB"


def _modes(facts: Facts) -> t.Iterator[Finding]:
    for entry in facts.entries:
        extra = entry.mode & ~entry.most & 0o7777
        if extra:
            yield _finding(
                "secret_exposed" if entry.secret else "unsafe_mode",
                entry.path,
                f"its mode is {entry.mode:04o}, and {entry.most:04o} is enough",
                command(facts, "doctor --fix")
                if entry.fixable
                else f"chmod {entry.mode & entry.most:o} {shlex.quote(entry.path)}",
                fixable=entry.fixable,
                mode=entry.mode,
                most=entry.most,
            )
    if _run_by_root(facts):
        for entry in facts.entries:
            if entry.uid != 0:
                text = f"it belongs to uid {entry.uid}, who can have supervisord, which runs as root, do anything"
                yield _finding(
                    "unsafe_owner", entry.path, text, f"chown -R 0:0 {shlex.quote(entry.path)}", uid=entry.uid
                )


def _run_by_root(facts: Facts) -> bool:
    """Return whether the stack's supervisord is root's: that which runs, else the one that would be started."""
    if facts.ours or facts.stack is None:
        return any(daemon.process.uid == 0 for daemon in facts.ours)
    return facts.stack.user == "root" or (
        facts.stack.user is None and any(entry.uid == 0 for entry in facts.entries if entry.path == facts.root)
    )


# --- left over ----------------------------------------------------------------------------------------------------


def _left_over(facts: Facts) -> t.Iterator[Finding]:
    if facts.lock is not None:
        text = describe_lock({**facts.lock, "step": facts.unfinished["step"] if facts.unfinished else None})
        yield _finding("locked", facts.name, text, f"{command(facts, 'doctor')}  # when it has ended", **facts.lock)
        # What a run has begun is not left over while it is at work.
        return
    fix = command(facts, "doctor --fix")
    if facts.unfinished is not None:
        text = f"run {facts.unfinished['run']} was cut off at its step '{facts.unfinished['step']}'"
        yield _finding("unfinished_run", facts.name, text, command(facts, "start"), **facts.unfinished)
    for path in facts.leftovers.generations:
        yield _finding("unfinished_generation", path, "a run was cut off while it wrote this", fix)
    for path in facts.leftovers.temporary:
        yield _finding("temporary_file", path, "whoever wrote it was cut off before it was put in place", fix)
    if facts.leftovers.runs:
        text = f"{facts.leftovers.runs} more records of runs than are kept"
        yield _finding("old_runs", os.path.join(facts.paths.state, "runs"), text, fix, number=facts.leftovers.runs)


def _sight(facts: Facts) -> t.Iterator[Finding]:
    if facts.unseen:
        many = f"{facts.unseen} process{'es' if facts.unseen > 1 else ''}"
        text = f"as user {facts.user} {many} could not be looked into"
        # In a container root may be without it.
        capability = "give this container the capability SYS_PTRACE"
        cure = capability if facts.user == "root" else f"sudo {command(facts, 'doctor')}"
        yield _finding("unseen", facts.name, text, cure, user=facts.user, processes=facts.unseen)


_JUDGES: t.Sequence[t.Callable[[Facts], t.Iterator[Finding]]] = (
    _daemons,
    _shared,
    _processes,
    _pidfile,
    _stale_socket,
    _ports,
    _services,
    _installed,
    _versions,
    _host,
    _modes,
    _left_over,
    _sight,
)
