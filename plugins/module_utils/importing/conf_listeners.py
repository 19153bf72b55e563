# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.

"""The event listeners of a supervisord.conf, and the keys of programs that are theirs, carried over to its programs."""

from __future__ import annotations

import shlex
import typing as t

from .commands import words
from .conf_values import ConfSections, ExpansionNames, SectionValues
from .draft import Draft
from .listeners import EventListener, StartCondition, read_listener, read_wanted

# Keys of a program that supervisor does not know, and its event listeners or forks of it do.
_WAIT_KEYS = ("dependent_startup_wait_for", "wait_for", "depends_on")
LISTENER_KEYS = words("dependent_startup dependent_startup_inherit_priority") | frozenset(_WAIT_KEYS)


class ConfProcess(t.NamedTuple):
    """One process that supervisord would run. Processes are sorted by the first three fields.

    Attributes:
        group_priority: the priority of its group.
        group: the name of its group.
        priority: its own priority.
        name: its name.
        entry: its keys, as in a manifest.
        place: its place in the original.
        user: who ran it, if the original says so.
        program: the name of its section.
        waits: the processes that it waits for, and what it waits for.
    """

    group_priority: int
    group: str
    priority: int
    name: str
    entry: t.Dict[str, t.Any]
    place: str
    user: t.Optional[str]
    program: str
    waits: t.List[t.Tuple[ConfProcess, str]]

    def is_called(self, name: str) -> bool:
        """Return whether supervisor's own name for it, with the group or without, or its program's name is this one."""
        return name in (self.name, self.program, f"{self.group}:{self.name}", f"{self.group}:{self.program}")


class Listeners:
    """Carries event listeners over to the processes of a config.

    Args:
        draft: takes the notes.
        config: the sections.
        names: what may stand in every value.
        processes: all processes of the config.
    """

    def __init__(
        self, draft: Draft, config: ConfSections, names: ExpansionNames, processes: t.Sequence[ConfProcess]
    ) -> None:
        self._draft = draft
        self._config = config
        self._names = names
        self._processes = processes
        self._known: t.List[t.Tuple[str, EventListener]] = []

    def take(self, section: str) -> bool:
        """Return whether a section is an event listener that is known; it is carried over then."""
        try:
            argv = shlex.split(self._values(section).text("command") or "")
        except ValueError:
            return False
        listener = read_listener(argv)
        if listener is None:
            return False
        self._known.append((self._config.place(section), listener))
        return True

    def carry(self) -> None:
        """Carry over the listeners that were taken, and what programs wait for."""
        for place, listener in self._known:
            if listener.kind == "health":
                self._health(place, listener)
            elif listener.kind == "memory":
                self._draft.lost(
                    place,
                    "restarted what used too much memory, and nothing does so here",
                    "set a limit in the runtime; limits.memory is of the address space, and ends what exceeds it",
                )
            elif listener.kind == "alert":
                self._alert(place, listener)
            else:
                self._draft.minor(place, "started what waits for others, which depends_on does here")
        for section in self._config.sections("program:"):
            self._waits(section)

    def _values(self, section: str) -> SectionValues:
        names = ExpansionNames({})
        names.take(self._names)
        own = section.partition(":")[2].strip()
        names.update(program_name=own, group_name=own, process_num=0, numprocs=1)
        return SectionValues(self._draft, self._config, section, names)

    # --- what programs wait for ---

    def _waits(self, section: str) -> None:
        values = self._values(section)
        own = [process for process in self._processes if process.program == section.partition(":")[2].strip()]
        for key in _WAIT_KEYS:
            text = values.text(key)
            if text is None or not text.strip():
                continue
            for wanted in read_wanted(text.replace(",", " ") if key == "depends_on" else text):
                self._wait(values.place(key), own, wanted)
            self._draft.changed(
                values.place(key),
                "is depends_on here: a stop of what is waited for stops this one first, too",
                "write healthy for running where the other one has a health check",
            )

    def _wait(self, place: str, own: t.Sequence[ConfProcess], wanted: StartCondition) -> None:
        others = [process for process in self._processes if process.is_called(wanted.program) and process not in own]
        if not others or not wanted.level:
            what = "is no program of this config" if not others else "has a state that no manifest waits for"
            self._draft.lost(place, f"{wanted.program} {what}", "write depends_on by hand if it is needed")
            return
        for process in own:
            process.waits.extend((other, wanted.level) for other in others)

    # --- mail ---

    def _alert(self, place: str, listener: EventListener) -> None:
        alert = dict(listener.alert)
        if not alert or not self._draft.alert(alert):
            told = "told people what had ended, and whom and how it told cannot be carried over"
            self._draft.lost(place, told, "write watch: {alerts: [...]}, and have the stack watched")
            return
        told = (
            f"is an alert of watch.alerts, a mail to {', '.join(alert['to'])} by {alert['host']}, about every service"
        )
        if listener.unsaid:
            told += f"; {' and '.join(listener.unsaid)} is not carried over"
        self._draft.changed(place, told, "have the stack watched, and try it by: rollcall watch --test-alert")

    # --- httpok ---

    def _health(self, place: str, listener: EventListener) -> None:
        asked = [
            process
            for process in self._processes
            if listener.everything
            or process.group in listener.programs
            or any(map(process.is_called, listener.programs))
        ]
        exact = [process for process in asked if process.entry.get("port") == listener.port]
        asked = exact or asked
        if len(asked) != 1:
            why = "names no program of this config" if not asked else "asks one URL for several programs"
            self._draft.lost(place, f"{why}, so it is no health check", "write health below the service that answers")
            return
        (process,) = asked
        self._give(place, process, listener)

    def _give(self, place: str, process: ConfProcess, listener: EventListener) -> None:
        health = dict(listener.health)
        entry = process.entry
        if listener.host:
            health.update(host=listener.host, port=listener.port, answered_by="anyone")
        elif entry.get("port") is None:
            entry["port"] = listener.port
        elif entry["port"] != listener.port:
            health.update(port=listener.port)
        before = entry.get("health", [])
        entry["health"] = [*(before if isinstance(before, list) else [before]), health] if before else health
        told = f"is {'a' if before else 'the'} health check of {process.name}"
        if entry.get("port") == listener.port:
            told += f", which listens on {listener.port}"
        if listener.unsaid:
            told += f"; {' and '.join(listener.unsaid)} is not carried over"
        self._draft.changed(place, told, "see that it is so; the verdict asks it, and nobody restarts it")
