# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What the command prints besides reports, and the outcome of a playbook: every key, its type, and what it says.

Only types are here, as in documents.py.
"""

from __future__ import annotations

import typing as t

from .documents import (
    DifferenceCode,
    ErrorData,
    Facts,
    FailedCheck,
    HolderData,
    LastFailure,
    ProblemData,
    Signalled,
)
from .job_documents import JobRun

# --- the other documents of the command ---------------------------------------------------------------------------


class ErrorDocument(t.TypedDict):
    """What every command prints when it ends with an error.

    Attributes:
        ok: Always false.
        error: What is wrong.
    """

    ok: t.Literal[False]
    error: ErrorData


class RunSummary(t.TypedDict):
    """One run, as rollcall history tells it.

    Attributes:
        run: Its id.
        time: When it began, in seconds since the epoch; null when its record is damaged.
        who: Who asked for it; null when its record is damaged.
        mode: Its mode; null when its record is damaged.
        services: The services that it was asked for by name, or patterns of them; empty for all.
        automatic: Whether a program asked for it.
        manifest: Digest of the manifest that it was to bring about; null when it did not come to a plan.
        actions: What it was to do, each as one line.
        result: As in the report, or the kind of the error it ended with; running or cut off when it has no end.
        step: The step that it is at, or was cut off at; null when it has ended.
        seconds: How long it took, or when the last step began; null when its record is damaged.
        changed: Whether it changed anything; null when it has no verdict.
        message: The message of the error that it ended with; null when there was none.
        failed: The checks that failed, each with its subject.
        checks: The same, each with its evidence; those of a generation that was given up come first.
        signals: Processes outside of supervisord's care that it was to end.
        timings: Seconds of each step.
    """

    run: str
    time: t.Optional[float]
    who: t.Optional[str]
    mode: t.Optional[str]
    services: t.List[str]
    automatic: bool
    manifest: t.Optional[str]
    actions: t.List[str]
    result: str
    step: t.Optional[str]
    seconds: t.Optional[float]
    changed: t.Optional[bool]
    message: t.Optional[str]
    failed: t.List[str]
    checks: t.List[FailedCheck]
    signals: t.List[Signalled]
    timings: t.Dict[str, float]


class AcknowledgeDocument(t.TypedDict):
    """What rollcall acknowledge prints; the module stack_acknowledge has it as its report.

    Attributes:
        ok: Always true.
        stack: Name of the stack.
        root: Its directory.
        host: Name of the host.
        changed: Whether there was anything to acknowledge.
        check: Whether it was only asked what would be acknowledged.
        who: Who has acknowledged it.
        failure: The last run that failed; null when there is none.
        logs: Of each log that has some, its critical lines, and before them the parts that cannot be judged.
        exits: How often each service has ended by itself that did.
        jobs: The last run of the job of each timer of which that has failed.
    """

    ok: bool
    stack: str
    root: str
    host: str
    changed: bool
    check: bool
    who: str
    failure: t.Optional[LastFailure]
    logs: t.Dict[str, t.List[str]]
    exits: t.Dict[str, int]
    jobs: t.Dict[str, JobRun]


class KeptGeneration(t.TypedDict):
    """A generation that is kept.

    Attributes:
        id: Its id, which is that of the run that installed it.
        verified: Whether its verdict was ever ok.
        in_place: Whether it is the one that is in place.
        digest: What tells this manifest, with its config and private files, from others.
    """

    id: str
    verified: bool
    in_place: bool
    digest: str


class HistoryDocument(t.TypedDict):
    """What rollcall history prints.

    Attributes:
        ok: Always true.
        runs: The latest runs, the newest first.
        generations: The generations that are kept, the newest first; rollcall rollback goes back to any of them.
    """

    ok: bool
    runs: t.List[RunSummary]
    generations: t.List[KeptGeneration]


class RunDocument(RunSummary):
    """What rollcall history RUN prints.

    Attributes:
        ok: Always true.
        steps: The record of the run, step by step. Which keys a step has besides step, at and time depends on it.
    """

    ok: bool
    steps: t.List[Facts]


class ServicePortDocument(t.TypedDict):
    """What rollcall port NAME prints.

    Attributes:
        ok: Always true.
        name: The service.
        port: Its port.
    """

    ok: bool
    name: str
    port: int


class _PortsDocument(t.TypedDict):
    """What every operation of rollcall ports prints.

    Attributes:
        ok: Whether the answer is yes, or all was done.
        operation: The operation that was called.
        check: Whether it was only to say what it would do.
    """

    ok: bool
    operation: str
    check: bool


class AssignedPort(t.TypedDict):
    """The ports of a service.

    Attributes:
        service: The service.
        port: The port that it has on this host; null when it has none.
        own_port: The port that the manifest gives it first; null when it has none.
        protocol: Whether it is a port of TCP or of UDP.
        fallback_ports: The ports that it may have instead.
        socket: The path of its unix socket; null when it has none.
    """

    service: str
    port: t.Optional[int]
    own_port: t.Optional[int]
    protocol: t.Literal["tcp", "udp"]
    fallback_ports: t.List[int]
    socket: t.Optional[str]


class PortsConfigDocument(_PortsDocument):
    """What rollcall ports show-config prints.

    Attributes:
        manifest: The normalised manifest.
        ports: The ports of each service.
    """

    manifest: Facts
    ports: t.List[AssignedPort]


class PortState(t.TypedDict):
    """Whether a port is free, and who has taken it.

    Attributes:
        port: The port.
        protocol: Whether it is of TCP or of UDP.
        service: Service of the stack that has the port; null when none has.
        free: Whether a server could listen on it, on every address.
        reason: Why not; null when it is free.
        complete: Whether all who have taken the port are told. False when another may be among the processes that could
            not be looked into, or cannot be seen. True when only closed connections keep it.
        unreadable: How many processes could not be looked into. Those that the system does not even list do not count.
        holders: Who listens, one entry for each socket and process.
    """

    port: int
    protocol: t.Literal["tcp", "udp"]
    service: t.Optional[str]
    free: bool
    reason: t.Optional[str]
    complete: bool
    unreadable: int
    holders: t.List[HolderData]


class PortCheckDocument(_PortsDocument, PortState):
    """What rollcall ports check PORT prints.

    Attributes:
        leased_to: The other stack of this host that has the port; null when none has.
    """

    leased_to: t.Optional[str]


class FlushedData(t.TypedDict):
    """What a flush did, or would do.

    Attributes:
        changed: Whether a process was ended, or would be.
        freed: Ports that were taken and are free now, or would be.
        ended: Processes that were ended, or would be.
        kept: Holders that were left alone because supervisord runs them.
        holders: Everything that had taken one of the ports before.
    """

    changed: bool
    freed: t.List[int]
    ended: t.List[Signalled]
    kept: t.List[HolderData]
    holders: t.List[HolderData]


class PortKillDocument(_PortsDocument, FlushedData):
    """What rollcall ports kill PORT prints.

    Attributes:
        port: The port.
        protocol: Whether it is of TCP or of UDP.
    """

    port: int
    protocol: t.Literal["tcp", "udp"]


class PortFindDocument(_PortsDocument):
    """What rollcall ports find-available prints.

    Attributes:
        port: The first port of the range that is free and that no service has.
    """

    port: int


class PortFixDocument(_PortsDocument):
    """What rollcall ports auto-fix prints.

    Attributes:
        changed: Whether a process was ended or a service moved, or would be.
        freed: What was freed, in words.
        moved: Which services got another port, in words.
        unresolved: What is still wrong, in words.
        next: Commands to run next.
    """

    changed: bool
    freed: t.List[str]
    moved: t.List[str]
    unresolved: t.List[str]
    next: t.List[str]


class StackProcess(t.TypedDict):
    """A process of the stack.

    Attributes:
        pid: The process.
        ppid: Its parent.
        user: Its user.
        command: Its command line.
        state: The letter that the kernel has for its state.
        started: Its start, in seconds since the epoch.
        provenance: supervisord, or whose it is.
        service: The service that it is of; null when that is not known.
        ports: The ports that it listens on.
        sockets: The paths of those unix sockets of services that it listens on.
    """

    pid: int
    ppid: int
    user: str
    command: str
    state: str
    started: float
    provenance: str
    service: t.Optional[str]
    ports: t.List[int]
    sockets: t.List[str]


class PortsListDocument(_PortsDocument):
    """What rollcall ports list prints.

    Attributes:
        processes: Every process of the stack, the oldest first.
    """

    processes: t.List[StackProcess]


class PortUpdateDocument(_PortsDocument):
    """What rollcall ports update-config prints.

    Attributes:
        changed: Whether the file was changed, or would be.
        file: The manifest file.
        service: The service.
        port: Its port.
    """

    changed: bool
    file: str
    service: str
    port: int


class ManifestCheckDocument(t.TypedDict):
    """What rollcall manifest check FILE prints.

    Attributes:
        ok: Whether there is no error.
        problems: What was found.
    """

    ok: bool
    problems: t.List[ProblemData]


class ImportNote(t.TypedDict):
    """Something of the original that the imported manifest does not have, or has in another way.

    Attributes:
        place: Where it is in the original.
        message: What became of it.
        cure: What to do about it.
        kind: lost, changed, advice where all was carried over, or minor where there is nothing to do.
    """

    place: str
    message: str
    cure: str
    kind: t.Literal["lost", "changed", "advice", "minor"]


class ManifestImportDocument(t.TypedDict):
    """What rollcall manifest import prints.

    Attributes:
        ok: Always true.
        kind: What was imported.
        manifest: The manifest that it comes to.
        notes: What that does not have, or has in another way.
    """

    ok: bool
    kind: str
    manifest: Facts
    notes: t.List[ImportNote]


class DriftRow(t.TypedDict):
    """One service, as the manifest file, the installed manifest, supervisord and the listeners know it.

    Attributes:
        name: The service.
        file: Its revision by the file; null when it is not in it, or no file was given.
        installed: Its revision by the installed manifest; null when it is not in it.
        running: Its state in supervisord; null when supervisord does not know it or does not answer.
        runs_at: The revision that its process carries; null when it has none.
        port: Its port by the installed manifest, else by the file; null when it has none.
        listener: Who listens there, in a few words; null when nobody does.
        differences: What does not agree, in words.
        codes: The same, as words for programs, in the same order.
    """

    name: str
    file: t.Optional[str]
    installed: t.Optional[str]
    running: t.Optional[str]
    runs_at: t.Optional[str]
    port: t.Optional[int]
    listener: t.Optional[str]
    differences: t.List[str]
    codes: t.List[DifferenceCode]


class DriftDocument(t.TypedDict):
    """What rollcall manifest drift prints.

    Attributes:
        ok: Whether all agree.
        stack: Name of the stack.
        file: The manifest file that was compared; null without one.
        daemon: Why supervisord does not answer; null when it does.
        keys: The keys beside services in which the file differs from the installed manifest, such as ports.avoid.
        services: One entry for each service that any of them knows.
    """

    ok: bool
    stack: str
    file: t.Optional[str]
    daemon: t.Optional[str]
    keys: t.List[str]
    services: t.List[DriftRow]


# --- the doctor ---------------------------------------------------------------------------------------------------


class FindingData(t.TypedDict):
    """One thing that is wrong with a host, or worth knowing.

    Attributes:
        name: What it is; the reference lists the findings.
        severity: An error makes the doctor fail, a warning and a note do not.
        subject: The service, file, process or stack that it is about.
        evidence: What was seen, for people.
        cure: The command to run, or the edit to make.
        data: The evidence for programs. Which keys there are depends on the finding.
        fixable: Whether the doctor can put it right itself.
        fixed: Whether it has; null when that was not asked for.
    """

    name: str
    severity: t.Literal["error", "warning", "note"]
    subject: str
    evidence: str
    cure: str
    data: Facts
    fixable: bool
    fixed: t.Optional[bool]


class SupervisordRow(t.TypedDict):
    """One supervisord of the host.

    Attributes:
        pid: Its process.
        user: Its user.
        command: Its command line.
        started: Its start, in seconds since the epoch.
        state: The letter that the kernel has for its state.
        container: Whether it runs in a container.
        ours: Whether it runs over this stack.
        seen: Whether its environment could be read.
        stack: The stack that it carries the label of; null when it has none.
        root: The root of that stack; null when it has none.
        config: Its config; null when that is not known.
        socket: Its socket; null when it has none or that is not known.
        pidfile: Its pid file; null when that is not known.
        inet: Addresses of its own web servers.
        answers: Whether it answers on its socket.
        answered_by: The pid that answered there; null when none did.
        version: Version of supervisor; null when it does not answer.
        detail: Why it does not answer, or what its config does not say.
    """

    pid: int
    user: str
    command: str
    started: float
    state: str
    container: bool
    ours: bool
    seen: bool
    stack: t.Optional[str]
    root: t.Optional[str]
    config: t.Optional[str]
    socket: t.Optional[str]
    pidfile: t.Optional[str]
    inet: t.List[str]
    answers: bool
    answered_by: t.Optional[int]
    version: t.Optional[str]
    detail: t.Optional[str]


class DoctorDocument(t.TypedDict):
    """What rollcall doctor prints; the module stack_doctor has it as its report.

    Attributes:
        stack: Name of the stack, or of its directory when no manifest can be read.
        root: Directory of the stack.
        host: Name of the host.
        ok: Whether no error is left.
        changed: Whether something was put right, or would be in check mode.
        fix: Whether it was to put right what it can.
        check: Whether it was only to say what it would do.
        findings: What was found, errors first.
        supervisors: Every supervisord of the host.
        seconds: How long it took.
        limit: Seconds that it could have taken at the longest.
    """

    stack: str
    root: str
    host: str
    ok: bool
    changed: bool
    fix: bool
    check: bool
    findings: t.List[FindingData]
    supervisors: t.List[SupervisordRow]
    seconds: float
    limit: float
