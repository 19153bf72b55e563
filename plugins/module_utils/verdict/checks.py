# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The checks of the verdict, each one entry of a table, and the functions that judge them. Pure.

A new check is an entry of `CHECKS` and the function that judges it. Its place in the report, the step and the condition
that it belongs to, and its row in docs/explanation/verdict.md follow from the entry.
"""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.errors import Problem
from ..base.port_numbers import nobody_on
from ..base.text import count, readable_time
from ..host.halted import ENDED, STOPPED
from ..host.model import Process
from ..manifest.model import Service, Stack
from ..ports.needs import in_the_way, needs
from ..ports.provenance import FOREIGN, UNKNOWN, Holder
from ..supervisord.client import ProgramState
from ..supervisord.client_errors import ABSENT, STALE
from . import conditions, install_steps
from .away import DATABASE, REACHED
from .conditions import EARLIER, NOT_READY
from .judge import STOPPED as BY_HAND
from .judge import Case, CheckKind, Proof
from .judge_databases import databases, judge_database, judge_reached
from .judge_health import judge_health, judge_ready
from .judge_logs import judge_logs
from .judge_running import how_it_ended, judge_config, judge_lives, judge_workers
from .judge_sockets import judge_socket
from .judge_timers import judge_timer, timers
from .observation import Observation, completed, describe_state, identity, in_order, listener_of, owns

# --- who is judged ------------------------------------------------------------------------------------------------


def the_stack(case: Case) -> t.Sequence[t.Tuple[str, t.Any]]:
    return [(case.stack.name, case.stack)]


def _held_services(case: Case) -> t.Sequence[t.Tuple[str, t.Any]]:
    return [(service.name, service) for service in case.stack.services if case.is_held(service)]


def _services_to_run(case: Case) -> t.Sequence[t.Tuple[str, t.Any]]:
    return [
        (service.name, service)
        for service in case.stack.services
        if not case.is_held(service) and not case.is_stopped(service)
    ]


def all_services(case: Case) -> t.Sequence[t.Tuple[str, t.Any]]:
    return [(service.name, service) for service in case.stack.services]


def _logged_services(case: Case) -> t.Sequence[t.Tuple[str, t.Any]]:
    # What a service wrote when it was stopped is judged when it is started again.
    return [(service.name, service) for service in case.stack.services if not case.is_stopped(service)]


def _removed_services(case: Case) -> t.Sequence[t.Tuple[str, t.Any]]:
    return list(case.expected.freed.items())


def _whole_install(case: Case) -> t.Sequence[t.Tuple[str, t.Any]]:
    # A run comes before the last steps of its install: only a look knows whether they were taken.
    return [] if case.expected.unfinished is None else [(case.stack.name, case.expected.unfinished)]


# --- the stack ----------------------------------------------------------------------------------------------------


def _files(case: Case, _stack: Stack) -> Proof:
    return _installed(case.seen.files)


def _dependencies(case: Case, _stack: Stack) -> Proof:
    return _installed(case.seen.dependencies)


def _installed(problems: t.Sequence[Problem]) -> Proof:
    if not problems:
        return Proof("all are there")
    lines = [f"{problem.place}: {problem.message}" for problem in problems]
    return Proof("\n".join(lines), "unusable", problems[0].cure, {"problems": lines})


def _supervisord(case: Case, stack: Stack) -> Proof:
    seen, rivals = case.seen, case.seen.rivals
    if case.whole_stopped is not None:
        return Proof(case.whole_stopped.words, BY_HAND, cures.START)
    if seen.supervisord is None:
        return _silent(stack, seen)
    if rivals:
        pids = ", ".join(str(process.pid) for process in rivals)
        evidence = f"pid {seen.supervisord.pid} answers, but pid {pids} runs over the same config as well"
        return Proof(evidence, "rival", cures.FULL)
    data = {"pid": seen.supervisord.pid, "version": seen.version}
    return Proof(f"pid {seen.supervisord.pid} answers (supervisor {seen.version})", data=data)


def _silent(stack: Stack, seen: Observation) -> Proof:
    error = seen.silence
    evidence = error.message if error is not None else "no supervisord runs over this stack"
    if seen.supervisords:
        pids = ", ".join(f"pid {process.pid}" for process in seen.supervisords)
        if error is not None and error.evidence.get("problem") in (ABSENT, STALE):
            socket = "is gone" if error.evidence["problem"] == ABSENT else "is not its own any more"
            evidence = f"supervisord lives ({pids}), and its socket {stack.paths.socket} {socket}: it cannot be asked"
        else:
            evidence += f"; alive over this config: {pids}"
    return Proof(evidence, "silent", _silence_cure(seen))


def _silence_cure(seen: Observation) -> str:
    if seen.silence is not None and seen.silence.remedies:
        return seen.silence.remedies[0]
    return cures.FULL if seen.supervisords else cures.START


def _user(case: Case, stack: Stack) -> t.Optional[Proof]:
    seen = case.seen
    if seen.supervisord is None:
        return None
    data = {"user": seen.supervisord.user, "wanted": seen.wanted_user or seen.supervisord.user}
    if not seen.wanted_user:
        return Proof(f"supervisord, and so every service, runs as {seen.supervisord.user}", data=data)
    evidence = (
        f"supervisord (pid {seen.supervisord.pid}), and so every service, runs as {seen.supervisord.user}, and stack "
        f"{stack.name} must run as {seen.wanted_user}"
    )
    return Proof(evidence, "other", cures.FULL, data)


def _orphans(case: Case, _stack: Stack) -> Proof:
    orphans = case.seen.orphans
    if not orphans:
        return Proof("none")
    keepers = case.seen.keepers
    many = len(orphans) != 1
    lines = [
        f"{count(len(orphans), 'process', 'processes')} of this stack still {'run' if many else 'runs'}, "
        f"and its supervisord does not hold {'them' if many else 'it'}:",
        *(f"pid {process.pid} '{process.shown}' of user {process.user}" for process in orphans),
        *(f"pid {pid} is {keeper}, which starts it again" for pid, keeper in keepers.items()),
    ]
    data = {"pids": [process.pid for process in orphans], "kept": sorted(keepers)}
    # A start ends them as well where no supervisord runs, which is what has to be cured first.
    alone = case.seen.silence is not None and not case.seen.supervisords
    cure = cures.DOCTOR if keepers else cures.START if alone else cures.FULL
    detached = {process.pid for process in case.seen.detached}
    by = [process.label.service for process in orphans if process.pid in detached and process.label is not None]
    if by:
        lines.append(f"{by[0]} runs and has put it into the background; where that is meant, say so: detaches: true")
        # A restart ends it, and the service puts the next one there.
        cure = cures.detaches(by[0]) if len(by) == len(orphans) and not keepers else cure
    # What a run leaves alone has done that, and the run is not undone for it.
    others = len(by) == len(orphans) and all(name in case.expected.untouched for name in by)
    return Proof("\n".join(lines), EARLIER if others else "left_over", cure, data)


def _steps(_case: Case, unfinished: t.Sequence[str]) -> Proof:
    if not unfinished:
        return Proof("all are done")
    return Proof("\n".join(unfinished), "missing", cures.INSTALL, {"missing": list(unfinished)})


# --- a service ----------------------------------------------------------------------------------------------------


def _held(case: Case, service: Service) -> Proof:
    needed = next((name for name in service.depends_on if name in case.expected.held), None)
    reason = case.expected.held[service.name]
    return (
        Proof(reason, "missing", _bring(service))
        if needed is None
        else Proof(reason, "dependency", data={"depends_on": needed})
    )


def _bring(service: Service) -> str:
    # A variable comes with an install alone; a file is there when somebody has brought it.
    return cures.bring(cures.INSTALL if service.requires_env else cures.START)


def _running(case: Case, service: Service) -> Proof:
    program = case.seen.programs.get(service.name)
    if program is None:
        return _down(case, service, "unknown", "supervisord does not know it", {})
    data: t.Dict[str, t.Any] = {
        "state": program.state,
        "pid": program.pid,
        "exit_status": program.exit_status,
        "spawn_error": program.spawn_error,
    }
    if case.program(service) is not None:
        return Proof(_as_wanted(case, service, program), data=data)
    halted = case.seen.halted.get(service.name)
    if halted is not None and halted.state == ENDED:
        # It has ended just now: supervisord reads that at its next turn, and starts it again or not.
        return _down(case, service, "halted", halted.text, {**data, "halted": halted.pid, "kernel": halted.state})
    if halted is not None:
        cure = cures.go_on(halted.pid) if halted.state == STOPPED else cures.FULL
        return Proof(halted.text, "halted", cure, {**data, "halted": halted.pid, "kernel": halted.state})
    left = _left_processes(case, service)
    if left and not program.pid and program.exit_status == 0:
        return _backgrounded(case, service, left, data)
    blocker = case.expected.blocked.get(service.name)
    if blocker is not None:
        return _down(case, service, "dependency", describe_state(program), {**data, "depends_on": blocker})
    code = "not_ready" if in_order(service, program) else "down"
    state = describe_state(program)
    if service.kind == "service" and service.restart != "always" and completed(program):
        state += ", and stays so; a service that is meant to end is kind: oneshot in the manifest"
    return _down(case, service, code, state, data)


def _as_wanted(case: Case, service: Service, program: ProgramState) -> str:
    if case.has_ended_well(service):
        return f"ended, exit code 0, at {readable_time(program.stop)}, as it is meant to"
    return "ran to its end" if service.kind == "oneshot" else f"RUNNING as pid {program.pid}"


def _down(case: Case, service: Service, code: str, state: str, data: t.Mapping[str, t.Any]) -> Proof:
    evidence = case.with_tail(f"{_reason(case, service, state)}{how_it_ended(case, service)}", service)
    return Proof(evidence, code, cures.logs(service.name), data)


def _reason(case: Case, service: Service, state: str) -> str:
    reason = case.expected.failed.get(service.name)
    return state if reason is None or reason == state else f"{reason}; now {state}"


def _left_processes(case: Case, service: Service) -> t.List[Process]:
    """Return the processes of a service that no supervisord of the stack holds."""
    return [process for process in case.seen.orphans if process.label and process.label.service == service.name]


def _backgrounded(case: Case, service: Service, left: t.Sequence[Process], data: t.Mapping[str, t.Any]) -> Proof:
    program = case.seen.programs[service.name]
    evidence = (
        f"it puts itself into the background: pid {left[0].pid} '{left[0].shown}' of it lives on, and what supervisord "
        f"started has ended ({_reason(case, service, describe_state(program))})"
    )
    cure = cures.then("have it stay in the foreground by an option of its own (nginx: daemon off, redis: daemonize no)")
    return Proof(evidence, "background", cure, {**data, "background": [process.pid for process in left]})


def _stable(case: Case, service: Service) -> t.Optional[Proof]:
    program = case.program(service)
    if program is None or service.kind != "service" or case.has_ended_well(service):
        return None
    first = case.expected.first.get(service.name)
    data = {"pid": program.pid, "uptime": round(program.age, 1), "stable_for": service.stable_for}
    if first is None or first == identity(program):
        return Proof(f"pid {program.pid} kept over {service.stable_for:g} s", data=data)
    now = f"is gone, now pid {program.pid}" if program.pid != first[0] else "has ended"
    evidence = case.with_tail(f"its process did not last: pid {first[0]} {now}", service)
    return Proof(evidence, "replaced", cures.logs(service.name), data)


def _restarted(case: Case, service: Service) -> t.Optional[Proof]:
    program, before = case.program(service), case.expected.before.get(service.name)
    ended = case.has_ended_well(service)
    if program is None or before is None or service.kind != "service" or ended:
        return None
    evidence = f"pid {before[0]} before, {program.pid} now"
    data = {"before": before[0], "after": program.pid}
    return Proof(evidence, data=data) if before != identity(program) else Proof(evidence, "same", cures.FULL, data)


def _release(case: Case, service: Service) -> t.Optional[Proof]:
    wanted = case.stack.release
    if wanted is None or case.program(service) is None:
        return None
    others = list(case.seen.other_releases.get(service.name, ()))
    data = {"release": wanted, "others": others}
    if not others:
        return Proof(f"it has nothing of another release than {wanted}", data=data)
    evidence = f"it runs from release {', '.join(others)}, and {wanted} is in place"
    return Proof(evidence, "other", cures.FULL, data)


def _port(case: Case, service: Service) -> t.Optional[Proof]:
    if case.has_ended_well(service):
        return None
    proofs = [_one_port(case, service, port) for port in service.all_ports.values()]
    if not proofs:
        return None
    wrong = next((proof for proof in proofs if proof.code), None)
    return wrong or proofs[0]._replace(evidence="; ".join(proof.evidence for proof in proofs))


def _one_port(case: Case, service: Service, port: int) -> Proof:
    holder = listener_of(service, case.seen, port)
    if holder is None:
        return Proof(nobody_on(port), "free", cures.listener(port))
    data = {
        "port": port,
        "address": holder.listener.address,
        "pid": None if holder.process is None else holder.process.pid,
        "provenance": holder.provenance,
    }
    others = [other for other in case.seen.holders.get(port, ()) if not owns(service, other)]
    needed = needs(service, case.seen.holders[port], port) if owns(service, holder) else ()
    strangers = [other for other in others if in_the_way(other, needed)]
    if not strangers:
        beside = "; ".join(f"{other.summary} listens beside it, on {other.listener.place}" for other in others)
        return Proof(f"port {port} is its own{f'; {beside}' if beside else ''}", data=data)
    stranger = strangers[0]
    remedy = kill_command(stranger) if stranger.provenance in (FOREIGN, UNKNOWN) else cures.FULL
    return Proof(f"port {port} is taken by {stranger.summary}", "taken", remedy, data)


def kill_command(holder: Holder) -> str:
    """Return the command that ends the listener on a port, or the one that finds it.

    A flush advises to stop the unit or container that would start it again; to find that, it asks the host.
    """
    if holder.process is None:
        return cures.listener(holder.listener.port)
    from ..ports.objections import end_or_stop  # late: it is for what is wrong

    return end_or_stop(holder)


def _removed(_case: Case, holders: t.Sequence[Holder]) -> Proof:
    ours = [holder for holder in holders if holder.provenance not in (FOREIGN, UNKNOWN)]
    if not ours:
        return Proof("it is stopped and its port is free")
    evidence = f"it is removed, and its port {ours[0].listener.port} is still taken by {ours[0].summary}"
    return Proof(evidence, "taken", cures.FULL)


# --- the tables ---------------------------------------------------------------------------------------------------

ORPHANS = CheckKind(
    "orphans",
    0,
    install_steps.VERDICT,
    "no process of the stack is left that its supervisord does not hold, but what a service detaches and says so",
    {"left_over": "there are such processes"},
    the_stack,
    _orphans,
)

# In the order of the report.
CHECKS: t.Sequence[CheckKind] = (
    CheckKind(
        "files",
        conditions.FILES,
        install_steps.VERDICT,
        "the directories of the stack and of its services are there and can be used",
        {"unusable": "one is missing, or cannot be used"},
        the_stack,
        _files,
    ),
    CheckKind(
        "dependencies",
        conditions.DEPENDENCIES,
        install_steps.VERDICT,
        "the user of the stack can run the program of each service",
        {"unusable": "one is missing, or cannot be run"},
        the_stack,
        _dependencies,
    ),
    CheckKind(
        "supervisord",
        conditions.SUPERVISORD,
        install_steps.ANSWERS,
        "exactly one supervisord runs over the stack, and it answers on its socket",
        {
            "silent": "none answers",
            "rival": "a second one runs over the stack",
            BY_HAND: "somebody has stopped the stack",
        },
        the_stack,
        _supervisord,
    ),
    CheckKind(
        "user",
        conditions.SUPERVISORD,
        install_steps.ANSWERS,
        "supervisord, and so every service that does not change its user itself, runs as the user of the stack",
        {"other": "it runs as another user"},
        the_stack,
        _user,
    ),
    CheckKind(
        "config",
        conditions.SUPERVISORD,
        install_steps.ANSWERS,
        "supervisord runs the programs, and no others, as the installed config says, and that is as it was installed",
        {"differs": "one is another, or runs with another command or setting; or what is installed was edited"},
        the_stack,
        judge_config,
    ),
    CheckKind(
        "held",
        conditions.SERVICES,
        install_steps.RUNNING,
        "the service waits for nothing",
        {"missing": "it lacks a file or a variable", "dependency": "a service that it depends on is held"},
        _held_services,
        _held,
    ),
    CheckKind(
        "running",
        conditions.SERVICES,
        install_steps.RUNNING,
        "the service is RUNNING; a oneshot, or a service that ends by design, has ended with exit code 0",
        {
            "unknown": "supervisord does not know it",
            "down": "it is in another state",
            "halted": "its process is there and does nothing: it is stopped, or hangs in the kernel",
            "not_ready": "it runs, and was not ready in time",
            "dependency": "it was not started, because a service that it depends on is not up",
            "background": "it has put itself into the background, where supervisord cannot see it",
        },
        _services_to_run,
        _running,
    ),
    CheckKind(
        "stable",
        conditions.SERVICES,
        install_steps.RUNNING,
        "its process is the one that this run saw first, and has lived for `stable_for`",
        {"replaced": "it is another process"},
        _services_to_run,
        _stable,
    ),
    CheckKind(
        "lives",
        conditions.SERVICES,
        install_steps.RUNNING,
        "it has not ended by itself, or has lived for [long enough](lives.md) since",
        {"recovering": "it has ended once, and not lived for long since", "loop": "it keeps ending"},
        _services_to_run,
        judge_lives,
    ),
    CheckKind(
        "workers",
        conditions.SERVICES,
        install_steps.RUNNING,
        "the workers that the service starts of its own program [do not die again and again](lives.md#workers)",
        {"dying": "its process lives, and its workers end at once with an error, one after the other"},
        _services_to_run,
        judge_workers,
    ),
    CheckKind(
        "restarted",
        conditions.SERVICES,
        install_steps.RUNNING,
        "a service that had to be restarted has another process than before",
        {"same": "it is the same process"},
        _services_to_run,
        _restarted,
    ),
    CheckKind(
        "release",
        conditions.SERVICES,
        install_steps.RUNNING,
        "no process of the service works in another release than that of the manifest, executes one or has one open",
        {"other": "one does"},
        _services_to_run,
        _release,
    ),
    CheckKind(
        "port",
        conditions.HEALTH,
        install_steps.HEALTH,
        "the process that listens on the service's port, at the service's address, is its own, or a child of it",
        {"free": "nobody listens there", "taken": "another process listens there"},
        _services_to_run,
        _port,
    ),
    CheckKind(
        "socket",
        conditions.HEALTH,
        install_steps.HEALTH,
        "the process that listens on the service's unix socket is its own, or a child of it",
        {
            "free": "nobody listens there",
            "taken": "another process listens there",
            "file": "something else than a socket is there",
            "unseen": "it cannot be seen who listens there",
        },
        _services_to_run,
        judge_socket,
    ),
    CheckKind(
        "health",
        conditions.HEALTH,
        install_steps.HEALTH,
        "the service gave the answers that the manifest wants of it while it is alive, each within its time",
        {
            "wrong": "it gave another answer, or none",
            "another": "what answers there is another process, and the check does not say so (`answered_by`)",
            "not_asked": "it does not run",
        },
        _services_to_run,
        judge_health,
    ),
    CheckKind(
        "ready",
        conditions.HEALTH,
        install_steps.HEALTH,
        "it gave the answers that say that it [is ready](#alive-and-not-ready), where these are others",
        {
            NOT_READY: "it is alive and not ready, or warming up",
            "lost": "the run has started it, and it was ready, and is not any more",
            "not_asked": "it does not run",
        },
        _services_to_run,
        judge_ready,
    ),
    CheckKind(
        REACHED,
        conditions.DATABASE,
        install_steps.DATABASE,
        "the address of the database accepts connections",
        {"unreachable": "nothing accepts the connection"},
        databases,
        judge_reached,
    ),
    CheckKind(
        DATABASE,
        conditions.CONNECTION,
        install_steps.DATABASE,
        "the database answers with the URL that the service has",
        {"wrong": "it does not, or refuses"},
        databases,
        judge_database,
    ),
    CheckKind(
        "logs",
        conditions.LOGS,
        install_steps.VERDICT,
        "no line of the log matches `checks.logs.critical`, and all of it could be read, since it was last judged good",
        {
            "critical": "there are such lines",
            "gap": "a part of the log is gone, or could not be read and judged in time",
            "in_use": "it has no port, listens on none, and has found an address in use",
            "unfit": "in its place is a link, a pipe or a device, or a file that the user of the services may not read",
            EARLIER: "one of the first three, and it was so before the run began",
        },
        _logged_services,
        judge_logs,
    ),
    CheckKind(
        "removed",
        0,
        install_steps.VERDICT,
        "the port of a service that was taken out is free of the stack",
        {"taken": "a process of the stack still listens there"},
        _removed_services,
        _removed,
    ),
    ORPHANS._replace(
        codes={**ORPHANS.codes, EARLIER: "services that run, and that a run leaves alone, have detached them"}
    ),
    CheckKind(
        "timer",
        0,
        install_steps.VERDICT,
        "the last run of the timer's job ended with exit code 0, and it is not late; for a look alone",
        {
            "failed": "that run failed, and nobody has acknowledged it: rollcall acknowledge",
            "late": "the time of a run has passed, and nobody has started it",
        },
        timers,
        judge_timer,
    ),
    CheckKind(
        "steps",
        0,
        install_steps.VERDICT,
        "the install has come to all of its steps; for a look alone, for a run comes before the last ones",
        {"missing": "it was cut off, and one is missing"},
        _whole_install,
        _steps,
    ),
)
