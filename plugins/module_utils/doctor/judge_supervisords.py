# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What is wrong with the supervisords of a host: each by itself, and several together."""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..supervisord import client_errors, config_reader
from ..supervisord.discovery import SocketAnswer, Supervisord
from .facts import HostFacts
from .findings import ERROR, WARNING, FindingKind, Sighting

# How one that lives is: as it must be, or what is wrong with it first of all.
_FINE, _STOPPED, _SOCKET_GONE, _SOCKET_TAKEN, _DEAF, _NOT_ASKED = range(6)

# How one is, in a few words, by why it does not answer.
_WORDS = {
    client_errors.ABSENT: "its socket is gone",
    client_errors.STALE: "its socket is dead",
    client_errors.SILENT: "does not answer",
    client_errors.DENIED: "may not be asked",
    client_errors.UNAUTHORISED: "wants a password",
    client_errors.SHUTTING_DOWN: "is shutting down",
}


def _condition(facts: HostFacts, one: Supervisord) -> int:
    """Return what is wrong with a supervisord first of all: what follows from that is no finding of its own."""
    answer = one.answer
    if one.process.state in ("T", "t"):
        return _STOPPED
    if answer is None or one.answers:
        return _FINE
    no_socket = answer.problem in (client_errors.ABSENT, client_errors.STALE)
    if one.young and (no_socket or answer.problem == client_errors.SILENT):
        return _FINE
    if no_socket:
        return _SOCKET_GONE
    if _on_socket(answer) in _with_the_same_socket(facts, one):
        # Told as two supervisords with one path, or as a split brain.
        return _FINE
    stranger = answer.problem == client_errors.SILENT and _on_socket(answer) not in (None, one.pid)
    taken = (client_errors.GARBAGE, client_errors.NOT_A_SOCKET, client_errors.UNTRUSTED)
    if stranger or answer.pid is not None or answer.problem in taken:
        return _SOCKET_TAKEN
    if answer.problem == client_errors.SILENT:
        return _DEAF
    return _NOT_ASKED if one.ours else _FINE


def _on_socket(answer: SocketAnswer) -> t.Optional[int]:
    """Return the pid of who is on the socket; None when that cannot be told."""
    return answer.pid if answer.pid is not None else answer.peer


def _with_the_same_socket(facts: HostFacts, one: Supervisord) -> t.Set[int]:
    path = _socket(one)
    return {other.pid for other in facts.supervisords if path and _socket(other) == path} - {one.pid}


def _socket(one: Supervisord) -> str:
    return "" if one.settings.socket is None else os.path.normpath(one.settings.socket)


def _in(facts: HostFacts, condition: int) -> t.Iterator[t.Tuple[Supervisord, SocketAnswer]]:
    """Return the supervisords of this host that are in a condition; what a container has is not this host's."""
    for one in facts.supervisords:
        if not one.process.container and _condition(facts, one) == condition:
            yield one, one.answer or SocketAnswer()


def _about(facts: HostFacts, one: Supervisord, evidence: str, remedy: str, **data: t.Any) -> Sighting:
    subject = facts.name if one.ours else one.config or f"pid {one.pid}"
    known = {"pid": one.pid, "socket": one.settings.socket or None, **data}
    return Sighting(subject, evidence, remedy, known, ours=one.ours)


def _start_again(facts: HostFacts, one: Supervisord, command: str) -> str:
    """Return the command for this stack's own, and what is to be done with one of somebody else."""
    return facts.own(command) if one.ours else cures.end_and_start(one.pid)


def _down(facts: HostFacts) -> t.Iterator[Sighting]:
    if not facts.ours and facts.stack is not None:
        text = f"no supervisord runs over {facts.paths.config}"
        yield Sighting(facts.name, text, facts.own(cures.START))


def _split_brain(facts: HostFacts) -> t.Iterator[Sighting]:
    if len(facts.ours) > 1:
        each = "; ".join(f"pid {one.pid} of user {one.process.user}, {_words(one)}" for one in facts.ours)
        hung = any(_stopped(one) or _problem(one) == client_errors.SILENT for one in facts.ours)
        text = f"{len(facts.ours)} supervisords run over {facts.paths.config}: {each}"
        remedy = facts.own(cures.EMERGENCY if hung else cures.FULL)
        yield Sighting(facts.name, text, remedy, {"pids": [one.pid for one in facts.ours]})


def _stopped(one: Supervisord) -> bool:
    return one.process.state in ("T", "t")


def _problem(one: Supervisord) -> str:
    return "" if one.answer is None else one.answer.problem


def _words(one: Supervisord) -> str:
    """Return how one is, in a few words."""
    if one.answers:
        return "answers"
    if _stopped(one):
        return "stopped by a signal"
    if one.answer is None:
        return "not asked"
    if one.answer.pid is not None:
        return f"pid {one.answer.pid} answers on its socket"
    return _WORDS.get(one.answer.problem, "cannot be asked")


def _stopped_by_signal(facts: HostFacts) -> t.Iterator[Sighting]:
    for one, _answer in _in(facts, _STOPPED):
        text = f"{_who(one)} is stopped by a signal (state {one.process.state}): it answers nobody and watches nothing"
        yield _about(facts, one, text, cures.go_on(one.pid))


def _deaf(facts: HostFacts) -> t.Iterator[Sighting]:
    for one, answer in _in(facts, _DEAF):
        text = f"{_who(one)} does not answer: {answer.detail}"
        yield _about(facts, one, text, _start_again(facts, one, cures.EMERGENCY))


def _socket_gone(facts: HostFacts) -> t.Iterator[Sighting]:
    for one, answer in _in(facts, _SOCKET_GONE):
        deleted = answer.problem == client_errors.ABSENT
        how = "was deleted" if deleted else "was replaced by one that nobody listens on"
        text = f"{_who(one)} lives, and its socket {one.settings.socket or ''} {how}: nobody can reach it"
        yield _about(facts, one, text, _start_again(facts, one, cures.FULL))


def _socket_taken(facts: HostFacts) -> t.Iterator[Sighting]:
    for one, answer in _in(facts, _SOCKET_TAKEN):
        other, socket = _on_socket(answer), one.settings.socket or ""
        text = f"{_who(one)} lives, and {_pid(other, 'somebody else')} is on its socket {socket}"
        text += f": {answer.detail}" if answer.detail else ""
        yield _about(facts, one, text, _end_on_socket(other, socket), holder=other)
    passing = (client_errors.ABSENT, client_errors.STALE, client_errors.DENIED)
    if not facts.ours and facts.own_answer.problem not in passing:
        socket, other = facts.paths.socket, facts.own_answer.pid or facts.own_answer.peer
        text = f"no supervisord of this stack runs, and {_pid(other, 'somebody')} has its socket {socket}"
        yield Sighting(socket, text, _end_on_socket(other, socket), {"pid": other, "socket": socket})


def _pid(pid: t.Optional[int], unknown: str) -> str:
    return unknown if pid is None else f"pid {pid}"


def _end_on_socket(pid: t.Optional[int], socket: str) -> str:
    """Return the command that ends who is on a socket; one that shows it where that cannot be told from here."""
    return cures.holder(socket) if pid is None else cures.end(pid)


def _shared(attribute: str, word: str, option: str) -> t.Callable[[HostFacts], t.Iterator[Sighting]]:
    """Return what finds a path that two supervisords have in common; several over this stack are a split brain."""

    def judge(facts: HostFacts) -> t.Iterator[Sighting]:
        groups: t.Dict[str, t.List[Supervisord]] = {}
        for one in facts.supervisords:
            path = getattr(one.settings, attribute)
            if path and not one.process.container:
                groups.setdefault(os.path.normpath(path), []).append(one)
        for path, all_of_them in groups.items():
            # Whoever may not run the stack can name its path in a config, and cannot take it.
            with_ours = any(one.ours for one in all_of_them)
            group = [one for one in all_of_them if one.trusted or not with_ours]
            strangers = [one for one in group if not one.ours]
            if len(group) < 2 or not strangers:
                continue
            each = "; ".join(f"{one.process.summary} by {one.config}" for one in group)
            yield Sighting(
                path,
                f"{len(group)} supervisords have the {word} {path}: {each}. "
                "The one that ends first takes it from the other",
                cures.another_path(str(strangers[-1].config), word, option, strangers[-1].pid),
                {"pids": [one.pid for one in group], "configs": [one.config for one in group]},
                ours=len(strangers) < len(group),
            )

    return judge


def _not_asked(facts: HostFacts) -> t.Iterator[Sighting]:
    for one, answer in _in(facts, _NOT_ASKED):
        denied = answer.problem == client_errors.DENIED
        yield _about(
            facts, one, answer.detail, cures.as_root(facts.own(cures.DOCTOR)) if denied else facts.own(cures.FULL)
        )


def _inet_server(facts: HostFacts) -> t.Iterator[Sighting]:
    configs = [
        (one.config or "", one.settings, one.ours, one.pid) for one in facts.supervisords if not one.process.container
    ]
    if not facts.ours:
        configs.append((facts.paths.config, facts.own_settings, True, 0))
    for path, settings, ours, pid in configs:
        for inet in settings.inet:
            faults = [
                *([] if inet.guarded else ["without a password"]),
                *(["from other hosts"] if inet.exposed else []),
            ]
            if faults:
                edit = cures.guard(path, pid)
                yield Sighting(
                    path,
                    f"its supervisord takes orders on {inet.address or 'a port'} {' and '.join(faults)}",
                    cures.INSTALL if ours else edit,
                    {"address": inet.address, "password": inet.guarded},
                    ours=ours,
                )


def _too_old(facts: HostFacts) -> t.Iterator[Sighting]:
    oldest = ".".join(map(str, config_reader.OLDEST))
    for one, answer in _in(facts, _FINE):
        numbers = config_reader.release(answer.version)
        if one.ours and one.answers and numbers and numbers < config_reader.OLDEST:
            text = f"{_who(one)} is supervisor {answer.version}; {oldest} or later is needed"
            yield Sighting(facts.name, text, cures.INSTALL, {"version": answer.version})
    if facts.refusal is not None and "needed" in facts.refusal.evidence:
        yield refused(facts)


def refused(facts: HostFacts) -> Sighting:
    """Return what the host's own supervisor has against the installed config."""
    error = t.cast(RollcallError, facts.refusal)
    remedy = error.remedies[0] if error.remedies else cures.INSTALL
    return Sighting(facts.paths.config, error.message, remedy, error.evidence)


def _who(one: Supervisord) -> str:
    return f"supervisord {one.process.summary}"


KINDS = (
    FindingKind("supervisord_down", ERROR, "no supervisord runs over the stack", "`rollcall start`", _down),
    FindingKind(
        "split_brain",
        ERROR,
        "several supervisords run over the stack",
        "`rollcall restart full`; `rollcall restart emergency` when one of them is stopped or does not answer",
        _split_brain,
    ),
    FindingKind(
        "supervisord_stopped",
        ERROR,
        "a supervisord is stopped by a signal",
        "`kill -CONT PID`",
        _stopped_by_signal,
        others=WARNING,
    ),
    FindingKind(
        "supervisord_deaf",
        ERROR,
        "a supervisord has its socket and does not answer",
        "`rollcall restart emergency`",
        _deaf,
        others=WARNING,
    ),
    FindingKind(
        "socket_gone",
        ERROR,
        "a supervisord lives and its socket was deleted or replaced",
        "`rollcall restart full`",
        _socket_gone,
        others=WARNING,
    ),
    FindingKind(
        "socket_taken",
        ERROR,
        "somebody else answers on the socket of a supervisord",
        "`kill PID` of who has it, then what the doctor says next",
        _socket_taken,
        others=WARNING,
    ),
    FindingKind(
        "shared_socket",
        ERROR,
        "two supervisords have the same path for their socket",
        "another `file=` in the config of the other one",
        _shared("socket", "socket", "file= of [unix_http_server]"),
        others=WARNING,
    ),
    FindingKind(
        "shared_pidfile",
        ERROR,
        "two supervisords have the same pid file",
        "another `pidfile=` in the config of the other one",
        _shared("pidfile", "pid file", "pidfile= of [supervisord]"),
        others=WARNING,
    ),
    FindingKind(
        "not_asked",
        WARNING,
        "the stack's supervisord cannot be asked",
        "`sudo rollcall doctor`; `rollcall restart full` when it wants a password",
        _not_asked,
    ),
    FindingKind(
        "inet_server",
        ERROR,
        "a supervisord takes orders over TCP without a password or from beyond loopback",
        "`ansible-playbook site.yml`; in a config of others a password and `port=127.0.0.1:9001`",
        _inet_server,
        others=WARNING,
    ),
    FindingKind(
        "supervisor_too_old",
        ERROR,
        "supervisor is older than 4.2.2",
        "`ansible-playbook site.yml`",
        _too_old,
    ),
)
