# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The report that Rollcall answers with, and parts of other documents: every key, its type, and what it says.

docs/reference/report.schema.json is made from this file and command_documents.py, from the types and the lists of
attributes, and the tests validate every document against it. Only types are here: modules import these files under
``TYPE_CHECKING``, so that no command pays for them.
"""

from __future__ import annotations

import typing as t

from .job_documents import TimerRow

Facts = t.Dict[str, t.Any]
Provenance = t.Literal["supervised", "orphan", "duplicate", "foreign", "unknown"]
DifferenceCode = t.Literal[
    "not_in_file",
    "not_installed",
    "differs",
    "unknown_program",
    "no_program",
    "not_running",
    "revision",
    "port_taken",
    "not_listening",
    "socket",
    "user",
    "release_edited",
    "altered",
]
Family = t.Literal["ipv4", "ipv6"]
ErrorKind = t.Literal["failed", "wrong_use", "refused", "unreachable"]
Ending = t.Literal["ended", "gone", "changed", "zombie", "survived", "stuck", "planned"]
ServiceKind = t.Literal["service", "oneshot"]
StepState = t.Literal["ok", "changed", "FAILED", "HELD", "-", "not reached", "unknown"]
Result = t.Literal["ok", "held", "not_ready", "stopped", "degraded", "rolled_back", "rollback_failed", "planned"]


# --- parts --------------------------------------------------------------------------------------------------------


class StandingData(t.TypedDict):
    """How a run that did not end well has left the stack.

    Attributes:
        state: as_it_was - the run has ended, started and replaced nothing; up - services run; down - none does;
            unknown - it could not be seen.
        running: How many services run, oneshots left out; null when that was not looked at.
        services: How many there are, oneshots left out; null when that was not looked at.
        since: When the run stopped what ran, in seconds since the epoch; null when the stack is not down, or was down
            before.
        next: The command to run next; null when the stack is as it was, or up.
    """

    state: t.Literal["as_it_was", "up", "down", "unknown"]
    running: t.Optional[int]
    services: t.Optional[int]
    since: t.Optional[float]
    next: t.Optional[str]


class _Error(t.TypedDict):
    message: str
    kind: ErrorKind
    evidence: Facts
    remedies: t.List[str]


class ErrorData(_Error, total=False):
    """Why there is no answer, or no good one.

    Attributes:
        message: One sentence, what failed, on what, and the last state seen.
        kind: failed - it was tried; wrong_use - the input is at fault; refused - Rollcall will not do it;
            unreachable - the controller could not reach the host. Nothing was touched with wrong_use, nor with
            refused unless standing says so.
        evidence: Facts behind the message. Which keys there are depends on the error.
        remedies: Commands or edits to try next, the most likely first.
        standing: How the run has left the stack; absent where no run ended by this error.
    """

    standing: StandingData


class ProblemData(t.TypedDict):
    """One thing that is wrong with a manifest or a host before anything is done.

    Attributes:
        place: Where it is, such as stack.services.web.port.
        message: What is wrong.
        cure: What to do about it; empty when there is nothing to do.
        severity: An error keeps the manifest from use, a warning does not.
    """

    place: str
    message: str
    cure: str
    severity: t.Literal["error", "warning"]


class ExitData(t.TypedDict):
    """The end of a process that nobody ordered.

    Attributes:
        at: When it ended, in seconds since the epoch; of an end that nobody saw, when the next process began.
        lived: Seconds for which that process had lived; null when that is not known.
        code: Its exit code; null when a signal ended it, or nobody saw it.
        signal: The name of that signal, such as SIGSEGV; null when none did.
    """

    at: float
    lived: t.Optional[float]
    code: t.Optional[int]
    signal: t.Optional[str]


class StoppedData(t.TypedDict):
    """That somebody has stopped a service by name, or the whole stack.

    A service that was stopped by name stays so until it is started by name, or by a restart of all services.

    Attributes:
        by: Who.
        at: When, in seconds since the epoch.
        along: The service that was named, where this one was stopped because it depends on that; else null.
    """

    by: str
    at: float
    along: t.Optional[str]


class AskedData(t.TypedDict):
    """One health check of a service, and its last answer.

    Attributes:
        name: What the check is called, or its kind, such as http.
        proves: What a good answer proves.
        ok: Whether the answer was the wanted one, and the service's own.
        latency_ms: Milliseconds that it took; null when it was not asked.
        answer: It in words; null when it was not asked.
    """

    name: str
    proves: t.Literal["alive", "ready", "both"]
    ok: bool
    latency_ms: t.Optional[float]
    answer: t.Optional[str]


class ServiceRow(t.TypedDict):
    """One service, as the roll call has it.

    Attributes:
        name: Name of the service.
        kind: service, or oneshot for one that runs to its end.
        state: The state that supervisord tells; UNKNOWN when it does not know the service or does not answer.
        pid: Its process; null when it has none.
        port: The port that it has on this host, of several the first; null when it has none.
        ports: All its ports by their names; empty where the only one has no name.
        udp: The names of those that are of UDP.
        socket: The path of the unix socket that it listens on; null when it has none.
        health: none when it has no health check, was stopped by name, or, in check mode, runs by other checks until it
            is restarted. Else ok when each answer was the wanted one, not_ready when it is alive and not ready, or
            warming up, and failed when it is ill or does not run.
        latency_ms: Milliseconds that its slowest answer took; null when it was not asked.
        answer: What it answered, in words, of several answers the first bad one; null when it was not asked.
        asked: Each of its health checks, and the last answer.
        listener_pid: Process that listens on its port, or on its socket where it has no port; null when nobody does or
            it cannot be seen.
        provenance: Whose that listener is; null when nobody listens.
        uptime: Seconds since its process started; null when it has none.
        exits: How often its process has ended without an order since it has its present revision.
        last_exit: The last time that it did; null when it never did.
        stopped: Who has stopped it, or the whole stack, when it is down for that reason; else null.
        downtime: Seconds from when this run told it to stop until its new process was ready: healthy, where it has a
            port or a health check, else running. Null when the run did not stop it, or it is not up again.
    """

    name: str
    kind: ServiceKind
    state: str
    pid: t.Optional[int]
    port: t.Optional[int]
    ports: t.Dict[str, int]
    udp: t.List[str]
    socket: t.Optional[str]
    health: t.Literal["none", "ok", "not_ready", "failed"]
    latency_ms: t.Optional[float]
    answer: t.Optional[str]
    asked: t.List[AskedData]
    listener_pid: t.Optional[int]
    provenance: t.Optional[Provenance]
    uptime: t.Optional[int]
    exits: int
    last_exit: t.Optional[ExitData]
    stopped: t.Optional[StoppedData]
    downtime: t.Optional[float]


class CheckData(t.TypedDict):
    """One check of the verdict.

    Attributes:
        name: Which check it is.
        subject: The service or database that was judged, or the stack.
        ok: Whether it passed.
        code: What is wrong, as a word for programs; null when it passed. The reference lists the codes of each check.
        evidence: What was seen, in one or several lines, for people.
        next: The command or edit to try next; null when it passed or nothing can be advised.
        data: The evidence for programs. Which keys there are depends on the check and its code.
        condition: Which of the eight conditions of success it proves; null when it proves none of them.
        step: To which of the twelve steps of an install it belongs.
    """

    name: str
    subject: str
    ok: bool
    code: t.Optional[str]
    evidence: str
    next: t.Optional[str]
    data: Facts
    condition: t.Optional[int]
    step: int


class ActionData(t.TypedDict):
    """Something that a run did, or would do.

    Attributes:
        action: What, such as start, stop, restart, install or end.
        subject: The service, the process or the part of the stack that it is done to.
        reason: Why, in words.
    """

    action: str
    subject: str
    reason: str


class Signalled(t.TypedDict):
    """A process outside of supervisord's care that was to be ended, and how that went.

    Attributes:
        pid: The process.
        start: Clock ticks from boot to its start; pid and start together are never used again.
        exe: Path of its program; empty when it may not be read.
        user: User of the process; empty when it was gone before it was looked at.
        command: Its command line; empty when it was gone before it was looked at.
        signals: Names of the signals that were sent, in order; none to what supervisord has stopped.
        result: ended; gone - it was before any signal; changed - it is another process, and was not signalled; zombie -
            not signalled; survived - it lives; stuck - it hangs in the kernel; planned - it would be ended.
        seconds: How long that took.
        reason: Why, where the result does not say it.
    """

    pid: int
    start: int
    exe: str
    user: str
    command: str
    signals: t.List[str]
    result: Ending
    seconds: float
    reason: str


class GenerationInPlace(t.TypedDict):
    """The generation that is in place.

    Attributes:
        id: Its id, which is that of the run that installed it.
        verified: Whether its verdict was ever ok, and none of its services has kept ending since.
    """

    id: str
    verified: bool


class UnfinishedRun(t.TypedDict):
    """A run that was cut off before its end.

    Attributes:
        run: Its id.
        step: The step that it was at.
    """

    run: str
    step: str


class FailedCheck(t.TypedDict):
    """A check that failed, as the record of a run keeps it.

    Attributes:
        name: Which check it is.
        subject: The service or database that was judged, or the stack.
        code: What was wrong, as a word for programs.
        evidence: What was seen; a long one is cut.
        next: The command or edit that was advised; null when there was none.
    """

    name: str
    subject: str
    code: t.Optional[str]
    evidence: str
    next: t.Optional[str]


class LastFailure(t.TypedDict):
    """The last run that failed. It is told until a later run is good, or until rollcall acknowledge.

    Attributes:
        run: Its id.
        time: When it began, in seconds since the epoch; null when its record is damaged.
        who: Who asked for it; null when its record is damaged.
        mode: Its mode; null when its record is damaged.
        result: As in the report, or the kind of the error it ended with; cut off when it has no end.
        step: The step that it was cut off at; null when it has ended.
        message: The message of the error that it ended with; null when there was none.
        checks: The checks that failed; after a way back, those of the generation that was given up come first.
    """

    run: str
    time: t.Optional[float]
    who: t.Optional[str]
    mode: t.Optional[str]
    result: str
    step: t.Optional[str]
    message: t.Optional[str]
    checks: t.List[FailedCheck]


class _RunAtWork(t.TypedDict):
    who: str
    verb: str
    pid: int
    since: str
    run: t.Optional[str]
    start: t.Optional[int]


class WaitData(t.TypedDict):
    """One thing that a run waits for.

    Attributes:
        name: Of the service.
        what: That its process ends (stop), that its start seconds pass (start), for its port to be taken or free
            (port), for a good answer to its health check (health), that it has lived for a while (stable), or that a
            oneshot has done its work (end).
        said: The last that was seen of it, in words; may be empty.
        seconds: For how long by now.
    """

    name: str
    what: t.Literal["stop", "start", "port", "health", "stable", "end"]
    said: str
    seconds: float


class ProgressData(t.TypedDict):
    """How far a run is that is at work.

    Attributes:
        run: Its id.
        step: The step that it is at; empty before the first.
        seconds: For how long it is at work.
        waits: What it waits for.
    """

    run: str
    step: str
    seconds: float
    waits: t.List[WaitData]


class RunAtWork(_RunAtWork, total=False):
    """The run that has the stack's lock just now.

    Attributes:
        who: Who asked for it.
        verb: What was asked for.
        pid: Its process.
        since: When it took the lock, in local time.
        run: Its id; null when it keeps no record.
        start: Clock ticks from boot to the start of its process; null when that is not known.
        step: The step that it is at; absent when it keeps no record.
        waits: What it waits for; absent when it keeps no record.
    """

    step: str
    waits: t.List[WaitData]


class WatcherData(t.TypedDict):
    """What is known of the watcher of a stack.

    Attributes:
        at: Its last look, in seconds since the epoch.
        age: How many seconds ago that was.
        interval: Seconds from one look to the next; 0 when nobody has promised another one, as it was ended on purpose.
        level: What that look has found: ok, grace while nothing is counted, degraded or critical.
        incidents: The why of each incident that is degraded or critical.
        silent: Whether it has not looked for longer than it may have taken.
    """

    at: float
    age: float
    interval: float
    level: t.Literal["ok", "grace", "degraded", "critical"]
    incidents: t.List[str]
    silent: bool


_From = t.TypedDict("_From", {"from": t.Optional[GenerationInPlace]})


class RolledBack(_From):
    """The way back to the last verified generation, after a new one failed.

    Attributes:
        from: The generation that was given up; null when it was not in place yet.
        to: The generation that was restored.
        release: The release of the application's code that belongs to it; null without one.
        checks: The checks that failed of the generation that was given up.
        error: Why that came to no verdict; null when it did.
    """

    to: str
    release: t.Optional[str]
    checks: t.List[CheckData]
    error: t.Optional[ErrorData]


class HolderData(t.TypedDict):
    """A listening socket, together with one process that has it open.

    Attributes:
        port: The port.
        protocol: Whether it is a port of TCP or of UDP. A socket of UDP is bound and does not listen.
        family: ipv4 or ipv6.
        address: Address that it listens on.
        inode: Inode of the socket; null where the system has none.
        pids: All processes that have this socket open; each has an entry of its own.
        pid: Process that has the socket open; null when none can be seen.
        user: User of the process; null when none can be seen.
        command: Command line of the process; null when none can be seen.
        started: Start of the process, in seconds since the epoch; null when none can be seen.
        provenance: Whose it is; supervised, orphan, duplicate, foreign or unknown.
        service: The service of the stack that it is, or was; null when it is none.
        unit: Unit of systemd or container in which the process runs; null when it is in none, or was not looked for.
        reason: Why it has this provenance.
    """

    port: int
    protocol: t.Literal["tcp", "udp"]
    family: Family
    address: str
    inode: t.Optional[int]
    pids: t.List[int]
    pid: t.Optional[int]
    user: t.Optional[str]
    command: t.Optional[str]
    started: t.Optional[float]
    provenance: Provenance
    service: t.Optional[str]
    unit: t.Optional[str]
    reason: str


class StepData(t.TypedDict):
    """One of the twelve steps of an install.

    Attributes:
        number: Its number, from 1.
        name: What it is called.
        state: How it ended; - stands for nothing to do.
        seconds: How long it took; null when nobody has measured that.
        said: What there is to say of it, in a few words.
    """

    number: int
    name: str
    state: StepState
    seconds: t.Optional[float]
    said: str


class LogData(t.TypedDict):
    """The end of the log of one service.

    Attributes:
        path: Of the log.
        lines: Its last lines, the latest last; each is cut after 16384 characters.
        problem: Why it is not shown, in words; null when it is.
        notes: What is to be known of the lines, in words: what of them is missing, and from when on they are.
    """

    path: str
    lines: t.List[str]
    problem: t.Optional[str]
    notes: t.List[str]


class LogsDocument(t.TypedDict):
    """What rollcall logs prints.

    Attributes:
        ok: Always true.
        logs: The end of each log, by service.
    """

    ok: bool
    logs: t.Dict[str, LogData]


# --- the report ---------------------------------------------------------------------------------------------------


class Report(t.TypedDict):
    """What a look at a stack or a run of it found, with the same keys for all of them.

    A look is rollcall status or verify, and the modules stack_info and stack_verify. A run is rollcall start, stop,
    restart, rollback or flush, and the module stack_restart.

    Attributes:
        stack: Name of the stack.
        root: Its directory.
        host: Name of the host.
        ok: Whether every check passed; of a plan, that it can be carried out.
        result: ok, held - nothing failed, and some services wait for something - stopped - nothing is wrong but that
            somebody has stopped the stack - or degraded; after a run that went
            back, rolled_back or rollback_failed; in check mode planned.
        services: One entry for each service, in the order of the manifest; of a look or a run by name, only the
            services that it is about.
        timers: One entry for each timer, in the order of the manifest; none of a look or a run by name.
        whole: Whether that is all services of the stack.
        checks: The checks of the verdict; none in check mode and after a flush.
        address: Web address of the first service that answers HTTP; null when none does.
        logs: Directory of the logs.
        held: Services that stay down because something that they require is missing, each with the reason.
        generation: The generation that is in place; null when there is none.
        limit: Seconds that this could have taken at the longest.
        unfinished_run: An earlier run that was cut off; null when there is none.
        last_failure: The last run that failed, until a later run is good or it is acknowledged; null when there is
            none, and for that run itself.
        run_at_work: The run that has the stack's lock just now; null when there is none, and for a run itself.
        watcher: The watcher of the stack; null when none has ever looked, and for a run.
        next: Commands to run next, the most useful first.
        mode: The mode of the run; null for a look.
        changed: Whether the run changed anything, or would in check mode; null for a look.
        actions: What the run did, or would do in check mode.
        signals: Processes outside of supervisord's care that the run was to end.
        notes: What did not answer or refused on the way, where the run went on anyway.
        manifest_digest: What tells this manifest, with its config and private files, from others; null for a look.
        run: Id of the run, the name of its record on the host; null for a look and in check mode.
        seconds: How long the run took; null for a look and in check mode.
        timings: Seconds of each step of the run; running and healthy are those from the start of the services until
            the last of them was RUNNING, and had answered.
        rolled_back: The way back to the last verified generation; null when the run did not go back.
        standing: How a run whose verdict is not ok has left the stack; null for any other, and for a look.
    """

    stack: str
    root: str
    host: str
    ok: bool
    result: Result
    services: t.List[ServiceRow]
    timers: t.List[TimerRow]
    whole: bool
    checks: t.List[CheckData]
    address: t.Optional[str]
    logs: str
    held: t.Dict[str, str]
    generation: t.Optional[GenerationInPlace]
    limit: float
    unfinished_run: t.Optional[UnfinishedRun]
    last_failure: t.Optional[LastFailure]
    run_at_work: t.Optional[RunAtWork]
    watcher: t.Optional[WatcherData]
    next: t.List[str]
    mode: t.Optional[str]
    changed: t.Optional[bool]
    actions: t.List[ActionData]
    signals: t.List[Signalled]
    notes: t.List[str]
    manifest_digest: t.Optional[str]
    run: t.Optional[str]
    seconds: t.Optional[float]
    timings: t.Dict[str, float]
    rolled_back: t.Optional[RolledBack]
    standing: t.Optional[StandingData]
