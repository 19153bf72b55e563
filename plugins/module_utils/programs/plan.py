# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What has to be done so that programs of a supervisord are started, stopped, restarted, signalled, present or absent.

Decided from what supervisord says of them, before anything is done; check mode shows what the real run carries out.
supervisord adds and removes whole groups, and a program that is in no group is one of its own name.
"""

from __future__ import annotations

import dataclasses
import signal as signals
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..supervisord.client import ProgramConfig, ProgramState

STATES = ("started", "stopped", "restarted", "signalled", "present", "absent")
ALL = "all"
# What supervisord will stop when told to; BACKOFF has no process, but will have one.
_ALIVE = frozenset({"RUNNING", "STARTING", "BACKOFF"})
_HEARS = frozenset({"RUNNING", "STARTING"})
_LOST = "UNKNOWN"
_ABSENT = "absent"
_LISTED = 20  # names in a message; the evidence has all
_COMPARED = 400  # names looked through for a similar one


@dataclasses.dataclass(frozen=True)
class WantedPrograms:
    """What is wanted, and of whom.

    Args:
        names: programs (``web``), members (``group:web``), groups (``group``, ``group:`` or ``group:*``) or ``all``.
        state: one of STATES.
        signal: for ``signalled``: a name with or without SIG, or a number.
        update: for ``present``: whether a group is added anew when its configuration has changed.
        stable_for: seconds that a process must live before it counts as started.
    """

    names: t.Tuple[str, ...]
    state: str
    signal: t.Optional[str] = None
    update: bool = False
    stable_for: float = 1.0


@dataclasses.dataclass(frozen=True)
class SupervisorFacts:
    """What supervisord says.

    Args:
        programs: the active ones.
        configs: those of the configuration as it was last read; nothing when supervisord cannot say.
        added: for ``present``: groups that only the configuration has.
        changed: for ``present``: groups that the configuration has otherwise.
        removed: for ``present``: groups that the configuration has no more.
    """

    programs: t.Mapping[str, ProgramState]
    configs: t.Mapping[str, ProgramConfig] = dataclasses.field(default_factory=dict)
    added: t.Tuple[str, ...] = ()
    changed: t.Tuple[str, ...] = ()
    removed: t.Tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ProgramRow:
    """One program: its state before and after, what is done to it, and what only a diff has to say."""

    name: str
    before: str
    after: str
    action: t.Optional[str] = None
    note: str = ""


@dataclasses.dataclass(frozen=True)
class ProgramPlan:
    """What is to be done, in this order, and who must have come to rest in between.

    Args:
        signal: programs that are sent the signal.
        stop: programs that are told to stop.
        down: programs that must have no process before it goes on, those that stop already among them.
        remove: groups that leave the active configuration.
        add: groups that are taken into it.
        start: programs that are told to start.
        up: programs that must be RUNNING, and stay it, in the end.
        unsure: groups of ``add`` of which supervisord does not say beforehand what they consist of.
        rows: each program that was meant.
        outdated: groups that were meant and run with another configuration than the files have.
    """

    signal: t.Tuple[str, ...] = ()
    stop: t.Tuple[str, ...] = ()
    down: t.Tuple[str, ...] = ()
    remove: t.Tuple[str, ...] = ()
    add: t.Tuple[str, ...] = ()
    start: t.Tuple[str, ...] = ()
    up: t.Tuple[str, ...] = ()
    unsure: t.Tuple[str, ...] = ()
    rows: t.Tuple[ProgramRow, ...] = ()
    outdated: t.Tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.actions())

    def actions(self) -> t.List[t.Dict[str, str]]:
        """Return what is to be done, in order: ``action`` and the ``name`` of a program or group."""
        orders = ("signal", "stop", "remove", "add", "start")
        return [{"action": order, "name": name} for order in orders for name in getattr(self, order)]

    def diff(self) -> t.Dict[str, t.Dict[str, str]]:
        """Return each program's state before and after what is done; what others do to it is no part of it."""
        after = {row.name: row.before if row.action is None else row.after for row in self.rows}
        notes = {row.name: f", {row.note}" for row in self.rows if row.note}
        return {
            "before": {row.name: row.before for row in self.rows},
            "after": {name: state + notes.get(name, "") for name, state in after.items()},
        }


@dataclasses.dataclass(frozen=True)
class _Move:
    """What happens to one program."""

    after: str
    action: t.Optional[str] = None
    stop: bool = False
    down: bool = False
    start: bool = False
    up: bool = False
    note: str = ""


def plan_programs(wanted: WantedPrograms, facts: SupervisorFacts) -> ProgramPlan:
    """Return what has to be done.

    Raises:
        RollcallError: ``wrong_use`` for names or a signal that do not exist, ``refused`` for programs that supervisord
            has lost track of. All of them at once, and nothing is done.
    """
    if wanted.state in ("present", "absent"):
        return _of_groups(wanted, facts)
    return _of_programs(wanted, facts)


def group_of(name: str) -> str:
    """Return the group of a program."""
    return name.partition(":")[0]


# --- programs -----------------------------------------------------------------------------------------------------


def _of_programs(wanted: WantedPrograms, facts: SupervisorFacts) -> ProgramPlan:
    named, unknown = _programs_meant(wanted.names, facts)
    problems = []
    if wanted.state == "signalled":
        problems = _unfit_signal(wanted.signal)
        # Whoever names a program wants it to get the signal; whoever names a group, those of it that can.
        problems += [
            f"{name} has no process that could take a signal ({facts.programs[name].state})"
            for name, singly in named.items()
            if singly and facts.programs[name].state not in _HEARS | {_LOST}
        ]
    _refuse(unknown, problems, facts, named)
    moves = {name: _move(wanted, facts.programs[name]) for name in named}
    plan = _ordered(moves, facts)
    if wanted.state == "signalled":
        return dataclasses.replace(plan, signal=tuple(name for name, move in moves.items() if move.action))
    return plan


def _move(wanted: WantedPrograms, program: ProgramState) -> _Move:
    state = program.state
    alive, stopping = state in _ALIVE, state == "STOPPING"
    if wanted.state == "signalled":
        return _Move(state, "signalled", note=f"signalled {wanted.signal}") if state in _HEARS else _Move(state)
    if wanted.state == "stopped":
        return _stopped(state)
    if wanted.state == "restarted":
        action, note = ("restarted", "restarted") if alive or stopping else ("started", "")
        return _Move("RUNNING", action, stop=alive, down=alive or stopping, start=True, up=True, note=note)
    if state in _HEARS:
        # One that has just been started, by whomever, may be about to fail.
        young = state == "STARTING" or program.now - program.start <= wanted.stable_for
        return _Move(state, up=young)
    # supervisord is between two tries: a try of our own shows at once how it fares.
    return _Move("RUNNING", "started", stop=alive, down=alive or stopping, start=True, up=True)


def _stopped(state: str) -> _Move:
    if state in _ALIVE:
        return _Move("STOPPED", "stopped", stop=True, down=True)
    return _Move("STOPPED" if state == "STOPPING" else state, down=state == "STOPPING")


def _programs_meant(names: t.Iterable[str], facts: SupervisorFacts) -> t.Tuple[t.Dict[str, bool], t.List[str]]:
    """Return the programs that are meant, each with whether it was named by itself, and what is wrong with names."""
    groups: t.Dict[str, t.List[str]] = {}
    for program in facts.programs:
        groups.setdefault(group_of(program), []).append(program)
    meant: t.Dict[str, bool] = {}
    problems = []
    for name in names:
        group, colon, member = name.partition(":")
        # A program in the group of its own name is known by that alone.
        program = group if member == group else name
        if name == ALL:
            chosen, singly = list(facts.programs), False
        elif colon and member not in ("", "*"):
            chosen, singly = [program] if program in facts.programs else [], True
        else:
            chosen = groups.get(group, [])
            singly = not colon and chosen == [group]
        if not chosen and name != ALL:
            problems.append(_unknown(name, "program or group", [*facts.programs, *groups]))
        for one in chosen:
            meant[one] = meant.get(one, False) or singly
    return meant, problems


def _unfit_signal(signal: t.Optional[str]) -> t.List[str]:
    text = (signal or "").upper()
    numbers = {str(int(one)) for one in signals.Signals}
    if text in numbers or text in signals.Signals.__members__ or f"SIG{text}" in signals.Signals.__members__:
        return []
    names = [name[3:] for name in signals.Signals.__members__]
    return [_unknown(str(signal), "signal", names, who="there is")]


# --- groups -------------------------------------------------------------------------------------------------------


def _of_groups(wanted: WantedPrograms, facts: SupervisorFacts) -> ProgramPlan:
    active = {group_of(name) for name in facts.programs}
    # What is not active is absent already, whether it ever existed or not.
    known = None if wanted.state == "absent" else active | set(facts.added)
    meant, unknown, problems = _groups_meant(wanted.names, sorted(active | set(facts.added)), known)
    stale = set(facts.changed) | set(facts.removed)
    anew = [group for group in meant if wanted.state == "present" and wanted.update and group in facts.changed]
    leaving = [group for group in meant if group in active and (wanted.state == "absent" or group in anew)]
    coming = [group for group in meant if wanted.state == "present" and (group not in active or group in anew)]
    _refuse(unknown, problems, facts, [name for name in facts.programs if group_of(name) in leaving])
    moves: t.Dict[str, _Move] = {}
    for group in meant:
        for name in _members(group, facts, configured=group in coming):
            moves[name] = _group_move(name, facts, leaving=group in leaving, coming=group in coming)
    return dataclasses.replace(
        _ordered(moves, facts),
        remove=tuple(leaving),
        add=tuple(coming),
        unsure=tuple(group for group in coming if not facts.configs),
        outdated=tuple(
            group for group in meant if wanted.state == "present" and group in stale and group not in coming
        ),
    )


def _members(group: str, facts: SupervisorFacts, *, configured: bool) -> t.List[str]:
    """Return the programs that a group has or, when it is ``configured`` anew, will have; itself when nobody knows."""
    names = [name for name in facts.programs if group_of(name) == group]
    if configured:
        names += [name for name in facts.configs if group_of(name) == group and name not in names]
    return names or ([group] if configured else [])


def _group_move(name: str, facts: SupervisorFacts, *, leaving: bool, coming: bool) -> _Move:
    program, config = facts.programs.get(name), facts.configs.get(name)
    before = _ABSENT if program is None else program.state
    gone = _stopped(before) if leaving and program is not None else _Move(before)
    if coming and (config is not None or not facts.configs):
        up = config is not None and config.autostart
        after = "present" if config is None else "RUNNING" if up else "STOPPED"
        note = "added anew" if program is not None else ""
        return dataclasses.replace(gone, after=after, action="added", up=up, note=note)
    if leaving and program is not None:
        return dataclasses.replace(gone, after=_ABSENT, action="removed")
    return gone


def _groups_meant(
    names: t.Iterable[str], every: t.Sequence[str], known: t.Optional[t.Container[str]]
) -> t.Tuple[t.List[str], t.List[str], t.List[str]]:
    """Return the groups that are meant, which names are unknown, and what else is wrong with them.

    Args:
        names: as they were given.
        every: the groups that ``all`` stands for.
        known: the groups that may be named; None when any may.
    """
    meant: t.Dict[str, None] = {}
    unknown, problems = [], []
    for name in names:
        group, _colon, member = name.partition(":")
        if name == ALL:
            meant.update(dict.fromkeys(every))
        elif member not in ("", "*", group):
            problems.append(f"'{name}' is one program of group {group}, and supervisord adds and removes whole groups")
        elif known is not None and group not in known:
            unknown.append(_unknown(group, "group", every, who="supervisord's configuration has"))
        else:
            meant[group] = None
    return list(meant), unknown, problems


# --- what both need -----------------------------------------------------------------------------------------------


def _ordered(moves: t.Mapping[str, _Move], facts: SupervisorFacts) -> ProgramPlan:
    """Return a plan with who moves how: they start by supervisord's priorities, and stop the other way round."""
    names = sorted(moves, key=lambda name: (_priority(name, facts), name))
    return ProgramPlan(
        stop=tuple(name for name in reversed(names) if moves[name].stop),
        down=tuple(name for name in reversed(names) if moves[name].down),
        start=tuple(name for name in names if moves[name].start),
        up=tuple(name for name in names if moves[name].up),
        rows=tuple(_row(name, move, facts) for name, move in moves.items()),
    )


def _priority(name: str, facts: SupervisorFacts) -> t.Tuple[int, int]:
    config = facts.configs.get(name)
    return (999, 999) if config is None else config.priority  # supervisord's own default


def _row(name: str, move: _Move, facts: SupervisorFacts) -> ProgramRow:
    program = facts.programs.get(name)
    return ProgramRow(name, _ABSENT if program is None else program.state, move.after, move.action, move.note)


def _unknown(name: str, what: str, known: t.Sequence[str], *, who: str = "supervisord knows") -> str:
    import difflib

    close = difflib.get_close_matches(name, known[:_COMPARED], 1)
    return f"{who} no {what} '{name}'" + (f" (did you mean {close[0]}?)" if close else "")


def _refuse(
    unknown: t.Sequence[str], problems: t.Sequence[str], facts: SupervisorFacts, touched: t.Iterable[str]
) -> None:
    """Raise when names are unknown, when something else is wrong, or when a program that is touched is lost."""
    lost = [
        f"supervisord has lost track of the process of {name} ({_LOST}), and only a new supervisord gets it back"
        for name in touched
        if facts.programs[name].state == _LOST
    ]
    found = [*unknown, *problems, *lost]
    if not found:
        return
    known = sorted({*facts.programs, *map(group_of, facts.programs), *facts.added})
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    listed = f" It has {', '.join(known[:_LISTED]) or 'none at all'}{more}." if unknown else ""
    raise RollcallError(
        f"Nothing was done: {'; '.join(found)}.{listed}",
        kind="wrong_use" if unknown or problems else "refused",
        evidence={"problems": found, "known": known},
        remedies=[cures.NAMES] if unknown else [],
    )
