# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Why a port is not freed, in words: what is in the way, and the commands that put it right."""

from __future__ import annotations

import os
import shlex
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..host import homes, processes
from ..host.ending import Ended
from ..host.homes import Home
from ..host.model import Label, Process
from ..supervisord.running import program_of
from .policies import REFUSE
from .provenance import FOREIGN, UNKNOWN, Holder, publishes
from .traces import PortTraces, described


class Objection(t.NamedTuple):
    """Why a port is not freed: a sentence, the facts, and the commands that put it right."""

    sentence: str
    evidence: t.Mapping[str, t.Any]
    remedies: t.Tuple[str, ...] = ()


def error(objections: t.Sequence[Objection], kind: str, evidence: t.Mapping[str, t.Any]) -> RollcallError:
    """Return all objections as one error, each sentence and remedy once."""
    remedies = dict.fromkeys(remedy for objection in objections for remedy in objection.remedies)
    return RollcallError(
        "\n".join(dict.fromkeys(objection.sentence for objection in objections)),
        kind=kind,
        evidence={**evidence, "objections": [dict(objection.evidence) for objection in objections]},
        remedies=list(remedies),
    )


# --- before anything is ended -------------------------------------------------------------------------------------


def unseen(holder: Holder, service: str) -> Objection:
    """Object that no process can be seen that listens there: none can be ended."""
    port = holder.listener.port
    sentence = f"{_label(port, service)} is taken, owner unknown: {holder.reason}."
    return Objection(sentence, holder.as_dict(), find_commands(port))


def unbindable(port: int, service: str, reason: str, seen: PortTraces) -> Objection:
    """Object that no process listens on the port, and that it cannot be bound all the same."""
    nobody = "no process that can be seen listens on it" if _blind() else "no process listens on it"
    sentence = f"{_label(port, service)} is taken, owner unknown: {reason}, and {nobody}"
    evidence = {
        "port": port,
        "provenance": UNKNOWN,
        "reason": reason,
        "used_by": [process.as_dict() for process in seen.users],
        "time_wait": seen.remembered,
    }
    commands = tuple(f"kill {process.pid}" for process in seen.users) or find_commands(port)
    return Objection("; ".join([sentence, *seen.hints]) + ".", evidence, commands)


def not_answered_for(holder: Holder, service: str) -> Objection:
    """Object that it is below a supervisord that does not answer for it, and would start it again."""
    sentence = f"{_held(holder, service)}: {holder.reason}, and would start it again."
    return Objection(sentence, holder.as_dict(), (cures.EMERGENCY,))


def never_flushed(holder: Holder, service: str, reason: str) -> Objection:
    """Object that the port is one of those that are never flushed."""
    command = end_command(holder)
    sentence = f"{_held(holder, service)}, and is never flushed: {reason}. End it yourself if you must: {command}."
    return Objection(sentence, holder.as_dict(), (command, cures.another_port(service)))


def untouchable(holder: Holder, service: str, reason: str) -> Objection:
    """Object that the process is never ended; names the container or socket unit that it listens for, if known."""
    port, process = holder.listener.port, t.cast(Process, holder.process)
    start = f"{_held(holder, service)}, which is never ended: {reason}"
    other_port = cures.another_port(service)
    if publishes(process):
        commands = _publisher_commands(process, port)
        sentence = f"{start}{_in_unit(holder)}. Stop the container: {commands[0]}."
        return Objection(sentence, holder.as_dict(), (*commands, other_port))
    home = homes.socket_unit(process, port)
    if home is None:
        return Objection(f"{start}.", holder.as_dict(), (other_port,))
    sentence = f"{start}. It listens for {home.name}: stop that with {home.stop}."
    return Objection(sentence, {**holder.as_dict(), "unit": home.name}, (home.stop, other_port))


def not_covered(holder: Holder, service: str, policy: str, force: str) -> Objection:
    """Object that the policy does not cover a holder of this provenance; ``force``: what ends it all the same."""
    held, command = _held(holder, service), end_command(holder)
    if holder.neighbour is not None:
        sentence = f"{held}, which is not ours ({holder.reason}). "
        sentence += f"Stop {holder.neighbour.service} there if you must: {command}."
        return Objection(sentence, holder.as_dict(), (cures.another_port(service), command))
    if policy == REFUSE:
        sentence = f"{held} ({holder.provenance}), and the policy is to refuse. End it with: {command}."
        remedies: t.Tuple[str, ...] = (command, cures.AGAIN)
    else:
        sentence = f"{held}, which is not ours ({holder.reason}{_in_unit(holder)}). End it with: {command}."
        remedies = (command, force or cures.override(holder.listener.port), cures.another_port(service))
    return Objection(sentence, holder.as_dict(), remedies)


def not_permitted(holder: Holder, service: str) -> Objection:
    """Object that the process is another user's."""
    command = end_command(holder)
    sentence = f"{_held(holder, service)}, which only that user or root may end. End it with: sudo {command}."
    return Objection(sentence, holder.as_dict(), (cures.AS_ROOT, cures.as_root(command)))


def too_many(victims: t.Sequence[Process], limit: int, stack: str) -> Objection:
    """Object that more processes would be ended than may be at once."""
    count = len(victims)
    sentence = f"{count} processes listen on the ports of stack {stack}, and at most {limit} are ended at once."
    return Objection(sentence, {"pids": [process.pid for process in victims]}, (cures.most_victims(count),))


# --- after it was tried -------------------------------------------------------------------------------------------


def not_ended(entry: Ended) -> Objection:
    """Say that a process was to be ended and lives."""
    sent = ", ".join(entry.signals) or "no signal"
    sentence = f"pid {entry.pid} of user {entry.user} did not end ({sent} in {entry.seconds:.1f} s): {entry.reason}."
    return Objection(sentence, entry.as_dict(), (cures.kill(entry.pid),))


def taken_again(holder: Holder, service: str) -> Objection:
    """Say that a port was freed and has another listener, and what brings that back."""
    process, label = holder.process, _label(holder.listener.port, service)
    if process is None:
        return Objection(f"{label} was freed and is taken again: {holder.reason}.", holder.as_dict())
    parent = processes.describe(process.ppid) if process.ppid > 1 else None
    home = _home(holder) or (homes.home_of(process.pid) if parent is None else None)
    origins = [] if home is None else [home.name]
    if parent is not None:
        origins.append(described(parent))
    command = home.stop if home is not None else ""
    if not command:
        command = cures.end(parent.pid) if parent is not None else end_command(holder)
    sentence = (
        f"{label} was freed and taken again by {described(process)}: "
        f"{', '.join(origins) or 'something that cannot be seen'} brings it back. Stop that first: {command}."
    )
    return Objection(sentence, {**holder.as_dict(), "parent": None if parent is None else parent.as_dict()}, (command,))


def still_shared(holder: Holder, rounds: int) -> Objection:
    """Say that new processes with the same socket were found each time the others had ended."""
    sentence = f"After {rounds} rounds there are still new processes that share the sockets."
    return Objection(sentence, holder.as_dict(), (end_command(holder),))


def still_closing(port: int, service: str, reason: str, remembered: int, seconds: float) -> Objection:
    """Say that the kernel did not forget the closed connections of a port in time."""
    sentence = (
        f"{_label(port, service)} is not free after {seconds:g} s: {reason}. No process holds "
        f"it, but connections that are closed, {remembered} of them in TIME_WAIT: the kernel remembers them "
        "for 60 s. There is nobody to end; wait and try again."
    )
    evidence = {"port": port, "provenance": UNKNOWN, "reason": reason, "time_wait": remembered}
    return Objection(sentence, evidence, (cures.closing(port), cures.AGAIN))


# --- words and commands -------------------------------------------------------------------------------------------


def _label(port: int, service: str) -> str:
    return f"Port {port} ({service})"


def _held(holder: Holder, service: str) -> str:
    return f"{_label(holder.listener.port, service)} is taken by {described(t.cast(Process, holder.process))}"


def end_command(holder: Holder) -> str:
    """Return the command that ends a holder for good: what would be brought back is stopped where it comes from."""
    if holder.process is None:
        return find_commands(holder.listener.port)[0]
    home = _home(holder)
    return home.stop if home is not None and home.stop else cures.end(holder.process.pid)


def end_or_stop(holder: Holder) -> str:
    """Return the command that ends a process which listens, or stops the service of another stack that it is.

    To find what else would bring it back, `end_command` asks the host.
    """
    process = t.cast(Process, holder.process)
    return cures.end(process.pid) if holder.neighbour is None else _service_of(holder.neighbour, process).stop


def find_commands(port: int) -> t.Tuple[str, ...]:
    """Return the commands that show who listens on a port."""
    if os.geteuid() == 0:
        return (cures.listener(port),)
    return (cures.AS_ROOT, cures.as_root(cures.listener(port)))


def _home(holder: Holder) -> t.Optional[Home]:
    """Return what brings a foreign process back when it is ended: the container, supervisord or unit it belongs to."""
    process = holder.process
    if process is None or holder.provenance != FOREIGN:
        return None
    if holder.neighbour is not None:
        return _service_of(holder.neighbour, process)
    program = None if process.container else program_of(process.pid)
    home = homes.home_of(process.pid) if program is None else None
    # What this run lives in itself is no answer: to stop it would end the run.
    return program or (home if home != homes.home_of(os.getpid()) else None)


def _service_of(label: Label, process: Process) -> Home:
    """Return the service of another stack, and that stack's own command, so that it knows what was stopped and by whom.

    The label is what whoever runs the process has written: nobody else is told to run a command of that root.
    """
    command = shlex.join([f"{label.root}/bin/rollcall", "stop", label.service])
    if process.uid != os.geteuid():
        command = cures.as_user(process.user, command)
    return Home(f"service {label.service} of stack {label.stack}", command)


def _publisher_commands(process: Process, port: int) -> t.Tuple[str, ...]:
    """Return the commands that stop a container that has taken a port, or that find it."""
    home = homes.home_of(process.pid)
    if home is not None and home.is_container and home.stop:
        return (home.stop,)
    return cures.containers(port)


def _in_unit(holder: Holder) -> str:
    return "" if holder.unit in (None, homes.home_name(os.getpid())) else f", in {holder.unit}"


def _blind() -> bool:
    """Return whether there may be processes that this one cannot look into."""
    return os.geteuid() != 0 or not homes.in_first_namespace()
