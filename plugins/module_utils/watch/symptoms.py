# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""From one look to its symptoms: what is wrong, and from what else each may follow. Pure.

Nothing is judged here a second time: the checks of the verdict and the findings of the doctor have their codes, and by
these it is said what a watcher makes of them, and which cause swallows them.
"""

from __future__ import annotations

import typing as t

from ..base.text import one_line, readable_time, span
from ..host.halted import ENDED
from ..manifest.graph import dependencies, levels
from ..manifest.model import DatabaseCheck, Service, Stack
from ..verdict.away import DATABASE, REACHED
from ..verdict.conditions import is_not_ready
from ..verdict.judge import STOPPED

if t.TYPE_CHECKING:
    from ..base.command_documents import FindingData
    from ..base.documents import CheckData, ErrorData, Report
    from ..base.rollout_documents import RolloutData

DEGRADED, CRITICAL = "degraded", "critical"

# The codes of what the watcher sees itself; all others are those of checks and findings.
LOOK_HUNG, LOOK_FAILED = "look_hung", "look_failed"
RUN_HUNG, RUN_CUT_OFF = "run_hung", "run_cut_off"
DISK_FULL, DISK_READ_ONLY, DISK_NEARLY_FULL = "disk_full", "disk_read_only", "disk_nearly_full"
LOG_LOST, DRAINED, NOT_STARTED = "log_lost", "drained", "not_started"
DATABASE_DOWN = "database_down"

# Scopes: what an incident is about, however its code changes from look to look.
LOOK, RUN, DISK, SUPERVISORD, DRAIN = "look", "run", "disk", "supervisord", "drain"
_SERVICE, _DATABASE, _FINDING = "service:", "database:", "doctor:"

# Seconds without a sign of life after which a rollout that is at work has left a host drained.
FORGOTTEN = 3600.0
# Seconds after the end of a process within which supervisord starts the next one.
_STARTED_AGAIN = 60.0
# Characters and lines of evidence that are kept.
_MOST_EVIDENCE, _MOST_LINES = 2000, 20
# Characters of what one line says.
_LONGEST = 300
# Findings of the doctor that no check of the verdict makes, and that a stack can be lost by.
_OF_DOCTOR = frozenset(
    (
        *("account", "secret_exposed", "untrusted", "unsafe_owner", "forbidden_place"),
        *("unreadable", "config_refused", "engine_broken", "log_huge"),
    )
)


_DISKS = {DISK_FULL: "disk full", DISK_READ_ONLY: "disk read-only", DISK_NEARLY_FULL: "disk nearly full"}


class Symptom(t.NamedTuple):
    """One thing that is wrong at one look.

    Attributes:
        scope: what it is about, for programs; at one look there is one symptom of a scope.
        code: what is wrong.
        subject: what it is about, for people.
        services: that suffer from it.
        why: one line in words.
        evidence: what was seen.
        next: what to do.
        worst: the level that it can come to.
        under: the scopes that it follows from where one of them is ill as well, the deepest cause first.
        startable: whether it is a service that is down by itself, which a start may cure.
    """

    scope: str
    code: str
    subject: str
    services: t.Tuple[str, ...]
    why: str
    evidence: str = ""
    next: t.Tuple[str, ...] = ()
    worst: str = CRITICAL
    under: t.Tuple[str, ...] = ()
    startable: bool = False


class Space(t.NamedTuple):
    """A file system of the stack on which room is short: its path, which code that is, it in words, and its cure."""

    path: str
    code: str
    words: str
    cure: str


class Sight(t.NamedTuple):
    """What one look has seen.

    Attributes:
        report: of the stack; None where it could not be looked at.
        error: why not.
        hung: seconds after which the look was given up; 0 for one that has ended.
        spaces: file systems that are full, or nearly.
        lost_logs: logs that are not the files to which supervisord writes.
        rollout: the last one that this host knows.
        findings: of the doctor; None where it was not asked.
        run: the newest run that is recorded; empty where there is none.
        ended: when it ended, in seconds since the epoch; 0 where it has not.
        overdue: in words, that a run at work goes on for longer than it can, or is stopped; empty where none does.
        boot: what tells this boot from others.
        booted: when it began, in seconds since the epoch.
        generation: the id of the generation that was looked at.
        locked: whether somebody had locked the stack at any moment of the look. A run that began or ended within it
            changes what the rest of it sees.
    """

    report: t.Optional[Report] = None
    error: t.Optional[ErrorData] = None
    hung: float = 0.0
    spaces: t.Sequence[Space] = ()
    lost_logs: t.Sequence[str] = ()
    rollout: t.Optional[RolloutData] = None
    findings: t.Optional[t.Sequence[FindingData]] = None
    run: str = ""
    ended: float = 0.0
    overdue: str = ""
    boot: str = ""
    booted: float = 0.0
    generation: str = ""
    locked: bool = False


def is_finding(scope: str) -> bool:
    """Return whether a scope is that of a finding of the doctor, who is not asked at every look."""
    return scope.startswith(_FINDING)


def service_of(scope: str) -> str:
    """Return the service that a scope is about; empty for any other."""
    return scope[len(_SERVICE) :] if scope.startswith(_SERVICE) else ""


def symptoms(stack: Stack, sight: Sight, now: float) -> t.List[Symptom]:
    """Return what is wrong, each scope once, in the order of causes before what follows from them.

    Args:
        stack: the manifest.
        sight: what was seen.
        now: in seconds since the epoch.
    """
    found = [
        *_of_look(stack, sight),
        *_of_runs(stack, sight),
        *_of_host(stack, sight, now),
        *_of_report(stack, sight, now),
        *_of_doctor(stack, sight),
    ]
    first: t.Dict[str, Symptom] = {}
    for one in found:
        first.setdefault(one.scope, one)
    return list(first.values())


def _of_look(stack: Stack, sight: Sight) -> t.Iterator[Symptom]:
    if sight.hung:
        why = f"a look at stack {stack.name} did not end within {sight.hung:.0f} s: something of the host hangs"
        yield Symptom(LOOK, LOOK_HUNG, stack.name, (), why, next=("rollcall doctor",))
    elif sight.error is not None:
        why = f"stack {stack.name} cannot be looked at: {_line(sight.error['message'])}"
        yield Symptom(LOOK, LOOK_FAILED, stack.name, (), why, next=tuple(sight.error["remedies"][:3]))


def _of_runs(stack: Stack, sight: Sight) -> t.Iterator[Symptom]:
    report = sight.report
    if sight.overdue:
        yield Symptom(RUN, RUN_HUNG, stack.name, (), sight.overdue, next=("rollcall status", "rollcall doctor"))
    elif report is not None and report["unfinished_run"] is not None and report["run_at_work"] is None:
        cut = report["unfinished_run"]
        why = f"run {cut['run']} was cut off at its step '{cut['step']}', and nobody has gone on with it"
        yield Symptom(RUN, RUN_CUT_OFF, stack.name, (), why, next=("rollcall start",), worst=DEGRADED)


def _of_host(stack: Stack, sight: Sight, now: float) -> t.Iterator[Symptom]:
    for space in sorted(sight.spaces, key=lambda one: one.code == DISK_NEARLY_FULL):
        grave = space.code != DISK_NEARLY_FULL
        services, worst = (_names(stack), CRITICAL) if grave else ((), DEGRADED)
        why = f"{_DISKS[space.code]}: {_line(space.words)}"
        yield Symptom(DISK, space.code, space.path, services, why, next=(space.cure,), worst=worst)
    if sight.lost_logs:
        count = len(sight.lost_logs)
        which = sight.lost_logs[0] + (f" and {count - 1} more" if count > 1 else "")
        why = f"log deleted under supervisord: {which}; what is written there is lost at the next restart"
        evidence = "\n".join(sight.lost_logs)
        names = tuple(name for name in _names(stack) if any(path.endswith(f"/{name}.log") for path in sight.lost_logs))
        fix = ("rollcall doctor --fix",)
        yield Symptom("logs", LOG_LOST, which, names, why, _cut(evidence), fix, DEGRADED, (SUPERVISORD,))
    rollout = sight.rollout
    if rollout is not None and rollout["drained"]:
        silent = now - rollout["sign"]
        if not rollout["at_work"] or silent > FORGOTTEN:
            how = "has ended" if not rollout["at_work"] else f"gave no sign of life for {span(round(silent))}"
            why = (
                f"nobody takes this host back: drained by {_line(rollout['drained'])} since "
                f"{readable_time(rollout['since'])}, and rollout {_line(rollout['id'])} of {_line(rollout['by'])} {how}"
            )
            again = "run the same rollout again: it goes on with the hosts that are not done"
            yield Symptom(DRAIN, DRAINED, stack.name, (), why, next=(again,), worst=DEGRADED)


def _of_report(stack: Stack, sight: Sight, now: float) -> t.Iterator[Symptom]:
    report = sight.report
    if report is None or report["result"] == "stopped":
        return
    failed = [check for check in report["checks"] if not check["ok"] and _counts(stack, report, check, now)]
    kinds: t.Sequence[t.Tuple[int, CheckData]] = sorted(
        ((_RANKS.get(_kind(check), _LAST), check) for check in failed), key=lambda ranked: ranked[0]
    )
    for _rank, check in kinds:
        yield _symptom(stack, report, check, sight)


def _kind(check: CheckData) -> t.Tuple[str, t.Optional[str]]:
    """Return what a check is ranked by: its name, with its code where that says more than that it failed."""
    pair = (check["name"], check["code"])
    return pair if pair in _RANKS else (check["name"], None)


# What of several things that are wrong with one service is told: what causes the others comes first. The codes of a
# check that are not named have the rank of its name.
_ORDER: t.Sequence[t.Tuple[str, t.Optional[str]]] = (
    ("supervisord", None),
    (REACHED, None),
    (DATABASE, None),
    ("port", "taken"),
    ("socket", None),
    ("running", "halted"),
    ("running", None),
    ("workers", None),
    ("port", None),
    ("health", "wrong"),
    ("health", None),
    ("lives", None),
    ("ready", None),
    ("release", None),
)
_RANKS = {kind: number for number, kind in enumerate(_ORDER)}
_LAST = len(_ORDER)
# What nobody has to be woken for: it is told once, as degraded. Codes of a check that are not named may be critical.
_MILD = frozenset(
    (
        *(("lives", "recovering"), ("orphans", "left_over"), ("orphans", "earlier"), ("config", "differs")),
        *(("release", "other"), ("steps", "missing"), ("timer", "failed"), ("timer", "late"), ("user", "other")),
        *(("dependencies", "unusable"), ("files", "unusable"), ("logs", "critical"), ("supervisord", "rival")),
    )
)
# What follows from nothing but a supervisord that is gone, and has left its services behind.
_OWN_CAUSES = frozenset((("port", "taken"), ("socket", "taken"), ("running", "halted"), ("release", "other")))


def _counts(stack: Stack, report: Report, check: CheckData, now: float) -> bool:
    """Return whether a failed check is trouble: what is held, was stopped by hand, or is warming up is none."""
    if check["name"] == "held" or check["code"] == STOPPED or check["code"] == "not_asked":
        return False
    row = next((row for row in report["services"] if row["name"] == check["subject"]), None)
    uptime = None if row is None else row["uptime"]
    if row is None or uptime is None:
        return True
    if check["name"] == "running" and check["data"].get("state") == "STARTING":
        # One that is started because it has ended may do so for ever.
        last = row["last_exit"]
        return last is not None and now - last["at"] < uptime + _STARTED_AGAIN
    grace = next((one.start.grace for one in stack.services if one.name == check["subject"]), 0.0)
    return not is_not_ready(check["name"], check["code"]) or uptime >= grace


def _symptom(stack: Stack, report: Report, check: CheckData, sight: Sight) -> Symptom:
    name, code, subject = check["name"], check["code"] or "", check["subject"]
    worst = DEGRADED if (name, code) in _MILD else CRITICAL
    evidence, command = _cut(check["evidence"]), () if check["next"] is None else (check["next"],)
    said = _line(check["evidence"].partition("\n")[0])
    by_name = {service.name: service for service in stack.services}
    if name == "supervisord":
        told = _of_supervisord(stack, report, code, said, sight)
        return told._replace(evidence=evidence, next=command, worst=worst)
    if name in (REACHED, DATABASE):
        database = next((one for one in stack.checks.databases if (one.subject or stack.name) == subject), None)
        who = () if database is None else users(stack, database)
        shown = database.subject or f"sqlite {database.path}" if database is not None else subject
        under = [SUPERVISORD] * bool(_server(stack, database))
        under += [f"{_SERVICE}{one}" for one in _server(stack, database)]
        why = f"database {shown} {'is down' if name == REACHED else 'answers wrongly'}: {said}"
        return Symptom(
            f"{_DATABASE}{subject}",
            DATABASE_DOWN,
            f"database {shown}",
            who,
            why,
            evidence,
            command,
            worst,
            (DISK, *under),
        )
    if subject in by_name:
        word = _word(check)
        down = (name, code) == ("running", "down") and by_name[subject].kind == "service"
        # STOPPED is what somebody has told supervisord to stop, with supervisorctl for one; nothing gets so by itself.
        startable = down and check["data"].get("state") in ("FATAL", "EXITED")
        own = (name, code) in _OWN_CAUSES
        under_all = (SUPERVISORD,) if own else causes_of(stack, by_name[subject])
        why = _of_lives(check) if name == "lives" else f"{subject} {word}: {said}"
        scope = f"{_SERVICE}{subject}"
        return Symptom(scope, code, subject, (subject,), why, evidence, command, worst, under_all, startable)
    under_stack = (SUPERVISORD,) if name in ("orphans", "user", "config") else (DISK,) if name == "files" else ()
    why = f"{_WORDS.get((name, ''), name)}: {said}"
    services = (subject,) if subject in stack.entries else ()
    return Symptom(f"{name}:{subject}", code, subject, services, why, evidence, command, worst, under_stack)


# What is said of a subject, by check and code.
_WORDS: t.Mapping[t.Tuple[str, str], str] = {
    ("port", "taken"): "has lost its port",
    ("port", ""): "does not listen",
    ("socket", ""): "does not listen on its socket",
    ("running", "halted"): "hangs",
    ("running", ""): "is down",
    ("workers", ""): "has workers that die",
    ("health", ""): "is ill",
    ("ready", ""): "is not ready",
    ("lives", "recovering"): "has ended by itself",
    ("lives", ""): "keeps ending",
    ("release", ""): "runs another release",
    ("orphans", ""): "processes without a supervisord",
    ("config", ""): "drift",
    ("files", ""): "files",
    ("dependencies", ""): "programs",
    ("user", ""): "wrong user",
    ("steps", ""): "the install is not finished",
    ("timer", ""): "job",
    ("logs", ""): "log",
}


def _word(check: CheckData) -> str:
    """Return what is said of a service of which a check has failed."""
    name, code = check["name"], check["code"] or ""
    if code == "halted" and check["data"].get("kernel") == ENDED:
        # It ended a moment ago, and nothing of it hangs.
        code = ""
    return _WORDS.get((name, code), _WORDS.get((name, ""), name))


def _of_lives(check: CheckData) -> str:
    """Return in words how often a service that runs has ended by itself; how long it must live is evidence."""
    data = check["data"]
    number = t.cast("int", data["exits"])
    how = data["signal"] or ("" if data["exit_code"] is None else f"exit code {data['exit_code']}")
    last = readable_time(t.cast("float", data["last"])) + (f" ({how})" if how else "")
    if number == 1:
        return f"{check['subject']} {_word(check)} at {last}, and runs again"
    return f"{check['subject']} {_word(check)}: {number} times within 24 hours, last at {last}; it runs now"


def _of_supervisord(stack: Stack, report: Report, code: str, said: str, sight: Sight) -> Symptom:
    """Return that no supervisord answers, or two run; after a boot, that nothing has started the stack."""
    names = _names(stack)
    if code == "rival":
        return Symptom(SUPERVISORD, code, "supervisord", (), f"two supervisords over one stack: {said}")
    generation = report["generation"]
    since_boot = 0.0 < sight.ended < sight.booted
    if generation is not None and since_boot and not any(row["pid"] for row in report["services"]):
        why = f"stack {stack.name} has not come up since the boot at {readable_time(sight.booted)}: {said}"
        return Symptom(SUPERVISORD, NOT_STARTED, "supervisord", names, why)
    return Symptom(SUPERVISORD, code, "supervisord", names, f"supervisord gone: {said}")


def _of_doctor(stack: Stack, sight: Sight) -> t.Iterator[Symptom]:
    for finding in sight.findings or ():
        if finding["name"] not in _OF_DOCTOR or not finding["data"].get("ours", True):
            continue
        why = f"{finding['subject']}: {_line(finding['evidence'].partition(chr(10))[0])}"
        scope = f"{_FINDING}{finding['name']}:{finding['subject']}"
        evidence, next_ = _cut(finding["evidence"]), (finding["cure"],)
        services = (finding["subject"],) if finding["subject"] in stack.entries else ()
        yield Symptom(
            scope, finding["name"], finding["subject"], services, why, evidence, next_, DEGRADED, (SUPERVISORD,)
        )


# --- what follows from what ---------------------------------------------------------------------------------------


def causes_of(stack: Stack, service: Service) -> t.Tuple[str, ...]:
    """Return the scopes from which trouble of a service may follow, the deepest first."""
    below = dependencies(stack, [service.name])
    needed = [name for level in levels(stack) for name in level if name in below]
    everyone = {service.name, *needed}
    databases = [one for one in stack.checks.databases if everyone.intersection(users(stack, one))]
    return (
        DISK,
        SUPERVISORD,
        *(f"{_DATABASE}{one.subject or stack.name}" for one in databases),
        *(f"{_SERVICE}{name}" for name in needed),
    )


def users(stack: Stack, database: DatabaseCheck) -> t.Tuple[str, ...]:
    """Return the services that use a database: those that have its URL, of whichever variable; or that ask its port."""
    if not database.service:
        return tuple(
            service.name
            for service in stack.services
            if database.port is not None and any(f":{database.port}" in value for value in service.env.values())
        )
    urls = {
        (kind, value)
        for service in stack.services
        if database.service in (service.name, service.group)
        for kind, known in (("env", service.env), ("secret", service.secrets))
        for value in [known.get(database.variable)]
        if value
    }
    return tuple(
        service.name
        for service in stack.services
        if database.service in (service.name, service.group)
        or any(("env", value) in urls for value in service.env.values())
        or any(("secret", value) in urls for value in service.secrets.values())
    )


def _server(stack: Stack, database: t.Optional[DatabaseCheck]) -> t.List[str]:
    """Return the service of the stack that is the database itself, by its port; none where that is not known."""
    port = None if database is None else database.port
    if database is not None and database.service:
        variable = (
            service.env.get(database.variable, "") for service in stack.services if service.name == database.service
        )
        url = next(variable, "")
        ports = [service for service in stack.services if service.port and f":{service.port}" in url]
        return [service.name for service in ports[:1] if service.name != database.service]
    return [service.name for service in stack.services if port is not None and service.port == port]


def _names(stack: Stack) -> t.Tuple[str, ...]:
    return tuple(service.name for service in stack.services)


def _line(text: str) -> str:
    return one_line(text, _LONGEST)


def _cut(text: str) -> str:
    return "\n".join(text[:_MOST_EVIDENCE].splitlines()[:_MOST_LINES])
