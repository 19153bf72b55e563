# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Where the manifest's file, the installed manifest, the running supervisord and the listeners differ."""

from __future__ import annotations

import dataclasses
import typing as t

from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..host import processes
from ..host.labels import label_of
from ..manifest.model import Paths, Service, Stack
from ..manifest.revision import revision, runs_release
from ..ports import leases
from ..ports.needs import in_the_way, needs
from ..ports.provenance import SUPERVISED, Holder
from ..ports.survey import survey
from ..ports.unix_sockets import SocketSeen, look_at_sockets
from ..state.generations import is_edited, load_stack
from ..supervisord.active import altered_programs
from ..supervisord.client import ProgramState, client_of
from . import fitness
from .file_drift import read_file, stack_differences
from .observation import describe_state, in_order
from .release_edits import edited_files

if t.TYPE_CHECKING:
    from ..base.command_documents import DriftDocument, DriftRow
    from ..base.documents import DifferenceCode


class Difference(t.NamedTuple):
    """One difference.

    Attributes:
        code: for programs.
        text: for people.
    """

    code: DifferenceCode
    text: str


def drift(paths: Paths, file: t.Optional[str] = None, *, clock: Clock = SYSTEM) -> DriftDocument:
    """Return the differences of each service. Changes nothing.

    Args:
        paths: of the installed stack.
        file: a manifest file to compare with; None compares the other three.
        clock: of all deadlines.

    Raises:
        RollcallError: nothing is installed, or the file is no manifest.
    """
    installed = load_stack(paths)
    written = None if file is None else read_file(file, installed, leases.load(paths.state))
    programs, altered, silence = _programs(installed, clock)
    holders = _holders(installed, written, programs, clock)
    pids = {program.pid: name for name, program in programs.items() if program.pid}
    sockets = look_at_sockets(installed, installed.services, pids)
    names = list(dict.fromkeys([*_names(written), *_names(installed), *programs]))
    rows = [_row(name, written, installed, programs, silence, holders) for name in names]
    _add_not_running(rows, installed, programs)
    _add_edits(rows, installed)
    _add_sockets(rows, installed, programs, sockets)
    for row in rows:
        if row["name"] in altered:
            row["differences"].append(altered[row["name"]])
            row["codes"].append("altered")
    apart = [] if written is None else stack_differences(written, installed)
    return {
        "ok": silence is None and not apart and not any(row["differences"] for row in rows),
        "stack": installed.name,
        "file": file,
        "daemon": silence,
        "keys": apart,
        "services": rows,
    }


def _programs(stack: Stack, clock: Clock) -> t.Tuple[t.Dict[str, ProgramState], t.Dict[str, str], t.Optional[str]]:
    """Return the programs of supervisord, why some of them are not as installed, and why it does not answer."""
    try:
        with client_of(stack, clock=clock) as client:
            programs = dict(client.programs())
            altered = altered_programs(stack, client, programs, edited=is_edited(stack.paths, stack.root))
    except RollcallError as exc:
        return {}, {}, exc.message
    known = {service.name for service in stack.services}
    return programs, {name: why for name, why in altered.items() if name in known}, None


def _holders(
    installed: Stack, written: t.Optional[Stack], programs: t.Mapping[str, ProgramState], clock: Clock
) -> t.Dict[int, t.List[Holder]]:
    stacks = [installed, *([] if written is None else [written])]
    ports = {port for stack in stacks for service in stack.services for port in service.all_ports.values()}
    pids = {program.pid: name for name, program in programs.items() if program.pid}
    return survey(installed, sorted(ports), pids, clock=clock)


def _names(stack: t.Optional[Stack]) -> t.List[str]:
    return [] if stack is None else [service.name for service in stack.services]


def _service(stack: t.Optional[Stack], name: str) -> t.Optional[Service]:
    return next((service for service in stack.services if service.name == name), None) if stack is not None else None


def _row(
    name: str,
    written: t.Optional[Stack],
    installed: Stack,
    programs: t.Mapping[str, ProgramState],
    silence: t.Optional[str],
    holders: t.Mapping[int, t.Sequence[Holder]],
) -> DriftRow:
    in_file, here, program = _service(written, name), _service(installed, name), programs.get(name)
    label = label_of(program.pid) if program is not None and program.pid else None
    ports = next((list(one.all_ports.values()) for one in (here, in_file) if one is not None and one.all_ports), [])
    listeners = holders.get(ports[0], ()) if ports else ()
    differences = [*_against_file(written, in_file, here), *_against_supervisord(installed, here, program, silence)]
    if label is not None and here is not None and label.revision != revision(installed, here):
        text = f"runs at revision {label.revision}, installed is {revision(installed, here)}"
        differences.append(Difference("revision", text))
    differences += _against_user(installed, program)
    for port in ports:
        differences += _against_listeners(name, here, program, holders.get(port, ()), port)
    return {
        "name": name,
        "file": None if in_file is None or written is None else revision(written, in_file),
        "installed": None if here is None else revision(installed, here),
        "running": None if program is None else program.state,
        "runs_at": None if label is None else label.revision,
        "port": ports[0] if ports else None,
        "listener": listeners[0].summary if listeners else None,
        "differences": [difference.text for difference in differences],
        "codes": [difference.code for difference in differences],
    }


def _add_not_running(rows: t.Sequence[DriftRow], installed: Stack, programs: t.Mapping[str, ProgramState]) -> None:
    """Add that a service does not run which should; one that waits for something should not."""
    services = {service.name: service for service in installed.services}
    down = [row for row in rows if row["name"] in programs and row["name"] in services]
    down = [row for row in down if not in_order(services[row["name"]], programs[row["name"]])]
    held = fitness.held(installed) if down else {}
    for row in down:
        if row["name"] not in held:
            row["differences"].append(f"is {describe_state(programs[row['name']])}, and should run")
            row["codes"].append("not_running")


def _add_sockets(
    rows: t.Sequence[DriftRow],
    installed: Stack,
    programs: t.Mapping[str, ProgramState],
    sockets: t.Mapping[str, SocketSeen],
) -> None:
    """Add to each service that runs why it does not listen on its unix socket, or not alone."""
    for row in rows:
        here, program = _service(installed, row["name"]), programs.get(row["name"])
        running = program is not None and program.state == "RUNNING"
        why = sockets[here.socket].why_not(here) if here is not None and here.socket and running else ""
        if why:
            row["differences"].append(why)
            row["codes"].append("socket")


def _add_edits(rows: t.Sequence[DriftRow], installed: Stack) -> None:
    """Add to each service that runs the release which files of it have changed since it was verified."""
    edited = edited_files(installed)
    running = {service.name for service in installed.services if edited and runs_release(installed, service)}
    for row in rows:
        if row["name"] in running:
            more = f" and {len(edited) - 1} more" if len(edited) > 1 else ""
            text = f"its release {installed.release} was changed after it was verified: {edited[0]}{more}"
            row["differences"].append(text)
            row["codes"].append("release_edited")


def _against_file(
    written: t.Optional[Stack], in_file: t.Optional[Service], here: t.Optional[Service]
) -> t.Iterator[Difference]:
    if written is None:
        return
    if in_file is None:
        yield Difference("not_in_file", "is not in the file")
    elif here is None:
        yield Difference("not_installed", "is in the file and not installed")
    else:
        there = dataclasses.asdict(here)
        changed = [key for key, value in dataclasses.asdict(in_file).items() if value != there[key]]
        if changed:
            yield Difference("differs", f"differs in the file: {', '.join(changed)}")


def _against_supervisord(
    installed: Stack, here: t.Optional[Service], program: t.Optional[ProgramState], silence: t.Optional[str]
) -> t.Iterator[Difference]:
    if silence is not None:
        return
    if here is None and program is not None:
        yield Difference("unknown_program", f"runs under supervisord and is not in the manifest of {installed.name}")
    elif here is not None and program is None:
        yield Difference("no_program", "is installed, and supervisord does not know it")


def _against_user(installed: Stack, program: t.Optional[ProgramState]) -> t.Iterator[Difference]:
    """Tell that its supervisord runs as another user; a service may well have changed its own."""
    pid = processes.reader.parent(program.pid) if program is not None and program.pid else 0
    supervisord = processes.describe(pid) if pid > 1 else None
    wanted = "" if supervisord is None else fitness.wanted_user(installed, supervisord.uid)
    if supervisord is not None and wanted:
        yield Difference("user", f"was started as user {supervisord.user}, and {wanted} is to run it")


def _against_listeners(
    name: str,
    here: t.Optional[Service],
    program: t.Optional[ProgramState],
    listeners: t.Sequence[Holder],
    port: int,
) -> t.Iterator[Difference]:
    needed = () if here is None else needs(here, listeners, port)
    own = [holder for holder in listeners if holder.provenance == SUPERVISED and holder.service in (name, None)]
    strangers = [holder for holder in listeners if holder not in own and in_the_way(holder, needed)]
    for holder in strangers:
        yield Difference("port_taken", f"port {port} is taken by {holder.summary}")
    running = program is not None and program.state == "RUNNING"
    if here is not None and running and not own and not strangers:
        yield Difference("not_listening", f"nothing listens on port {port}")
