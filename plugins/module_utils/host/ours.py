# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Is a process of the stack at a root, and how is that known? The one place that answers; it changes nothing.

A process is ours by the first of these that holds (docs/design/0009-what-is-ours.md):

- ``recorded``: a run has recorded this very process, whatever its user is now;
- ``session``: it is of the session that a supervisord of the stack leads or led;
- ``label``: its environment names the stack, and its user is one whose word counts;
- ``cgroup``: it is in the control group of the stack's unit;
- ``number``: it has inherited the number that the stack's supervisord was started with, and is of no container;
- ``descent``: it descends from a process that is ours, and has no other home. In another pid namespace only descent
  from a supervisord counts: what a container is told is not ours to trust.

What cannot be known is not ours.
"""

from __future__ import annotations

import os
import typing as t

from . import homes, processes
from .births import recorded
from .inheritance import number_of
from .labels import label_of, trusted_uids
from .model import Identity, Label, Place, Process
from .roots import Views

RECORDED, SESSION, LABEL = "recorded", "session", "label"
CGROUP, NUMBER, DESCENT = "cgroup", "number", "descent"

# Seconds. A child of a supervisord that is older than this, and that it does not report, is no program of it.
SETTLED = 1.0

# How often processes are looked for again that have come while others were looked at; mostly there are few or none.
MOST_ROUNDS = 20

# What runs a container lives on by itself; it leaves the stack that has started it.
CONTAINER_KEEPERS = frozenset({"conmon", "crun", "runc", "containerd-shim", "containerd-shim-runc-v2", "dockerd"})


class Belonging(t.NamedTuple):
    """Whose a process is, and how that is known.

    Attributes:
        how: one of the six words above; empty when it is not ours.
        label: as what it was started; when it is not ours, what it says of itself.
        other: whether it says that it is of another stack.
    """

    how: str = ""
    label: t.Optional[Label] = None
    other: bool = False


class _FamilySearch:
    """What a search for the processes of a stack has found so far.

    Args:
        besides: pids to leave out.
        others: pids of this very process and those above it; takes those of other stacks.
    """

    def __init__(self, besides: t.Container[int], others: t.Set[int]) -> None:
        self._besides = besides
        self.others = others
        self.places: t.Dict[int, Place] = {}
        self.known: t.Dict[int, Belonging] = {}

    def rules_out(self, pid: int) -> bool:
        """Return whether a process that was looked at is none of the stack's, whatever it says."""
        return pid in self._besides or pid in self.others or self.places[pid].ended

    def below(self) -> t.Dict[int, t.List[int]]:
        """Return the children of each process that was looked at."""
        found: t.Dict[int, t.List[int]] = {}
        for pid, place in self.places.items():
            found.setdefault(place.ppid, []).append(pid)
        return found


class Ownership:
    """What proves that processes are of the stack at ``root``, as it is recorded now.

    Args:
        root: the stack's root directory.
        uids: the users whose labels count; None means ``labels.trusted_uids`` of the root.

    Raises:
        RollcallError: the record is broken.
    """

    def __init__(self, root: str, uids: t.Optional[t.Collection[int]] = None) -> None:
        self.root = root
        self._uids = trusted_uids(root) if uids is None else uids
        # Only what root runs can become any user.
        self._by_root = not any(self._uids)
        self._births = recorded(root)
        self._sessions = {leader[0]: (leader[1], serial) for leader, serial in self._births.sessions.items()}
        self._pids = {pid for pid, _start in self._births.processes}
        self._leaders: t.Dict[int, bool] = {}
        self._views = Views()
        self._number = number_of(root)

    def of(self, process: Process) -> Belonging:
        """Return whose one process is, by what it is itself: see ``of_lineage`` for what it descends from."""
        return self._of(process.pid, process.place, process)

    def of_lineage(self, process: Process, lineage: t.Sequence[int]) -> Belonging:
        """Return whose a process is, also by what it descends from.

        Args:
            process: that is asked about.
            lineage: its pid, its parent's, and so on upwards.
        """
        own = self.of(process)
        if own.how or own.other or leaves(process.pid):
            return own
        inside = processes.reader.in_container(process.pid)
        for pid in lineage[1:]:
            place = processes.reader.place_of(pid) if pid > 1 else None
            above = Belonging(other=True) if place is None else self._of(pid, place)
            if above.how and (not inside or self._is_supervisord(pid, above)):
                return Belonging(DESCENT, above.label)
            if above.other or leaves(pid):
                break
        return own

    def find(self, besides: t.Container[int] = (), among: t.Optional[t.Iterable[int]] = None) -> t.List[Process]:
        """Return every living process of the stack, each with its label; this very one and those above it are left out.

        Args:
            besides: pids to leave out, with all that descends from them.
            among: look at these pids alone; None means every process.
        """
        search = _FamilySearch(besides, set(processes.own_lineage()))
        described: t.Dict[int, t.Optional[Process]] = {}
        looked: t.Set[int] = set()
        pids = list(processes.pids() if among is None else among)
        for _round in range(MOST_ROUNDS):
            looked.update(pids)
            self._judge(search, _places(pids))
            self._add_descendants(search)
            described.update((pid, processes.describe(pid)) for pid in search.known if pid not in described)
            # One that has ended meanwhile may have started another before, which was not there yet.
            pids = [] if among is not None else [pid for pid in processes.pids() if pid not in looked]
            if not pids:
                break
        return [
            process._replace(label=search.known[pid].label)
            for pid, process in described.items()
            if process is not None and not process.ended and not self._is_rollcall(process)
        ]

    def _judge(self, search: _FamilySearch, places: t.Mapping[int, Place]) -> None:
        """Add to what is known, and to what is another's, by what each process is itself."""
        search.places.update(places)
        for pid, place in places.items():
            if search.rules_out(pid):
                continue
            found = self._of(pid, place)
            if found.how:
                search.known[pid] = found
            elif found.other:
                search.others.add(pid)

    def _add_descendants(self, search: _FamilySearch) -> None:
        known, below = search.known, search.below()
        # What descends from a supervisord comes first: only that proves anything in another pid namespace.
        queue = [(pid, self._is_supervisord(pid, belonging)) for pid, belonging in known.items() if pid > 1]
        queue.sort(key=lambda entry: entry[1])
        while queue:
            parent, supervised = queue.pop()
            for pid in below.get(parent, ()):
                if pid in known or search.rules_out(pid):
                    continue
                if leaves(pid) or (processes.reader.in_container(pid) and not supervised):
                    continue
                known[pid] = Belonging(DESCENT, known[parent].label)
                queue.append((pid, supervised))

    def _of(self, pid: int, place: Place, process: t.Optional[Process] = None) -> Belonging:
        births = self._births

        def uid() -> int:
            seen = process or processes.describe(pid)
            return -1 if seen is None else seen.uid

        label = births.processes.get((pid, place.start)) if pid in self._pids else None
        if label is not None and self._may_say(uid):
            return Belonging(RECORDED, label)
        said = label_of(pid, None if process is None else process.container)
        named = self._views.names_stack(pid, said, self.root)
        own = said if named and said is not None else Label("", self.root, "", "")
        if self._in_session(pid, place) and self._may_say(uid):
            return Belonging(SESSION, own)
        if named and uid() in self._uids:
            return Belonging(LABEL, own)
        if said is None or named:
            if place.session != pid and self._leads(place.session):
                return Belonging(SESSION, own)
            if births.cgroup and self._in_cgroup(pid) and self._may_say(uid):
                return Belonging(CGROUP, own)
            if self._has_number(pid) and (uid() in self._uids or (self._by_root and self._may_say(uid))):
                return Belonging(NUMBER, own)
        return Belonging("", said, other=said is not None and not named)

    def _may_say(self, uid: t.Callable[[], int]) -> bool:
        """Return whether the record counts for a process of this user: root does not take a user's word for others."""
        return self._births.writer == 0 or os.geteuid() != 0 or self._births.writer == uid()

    def _in_session(self, pid: int, place: Place) -> bool:
        """Return whether a process is of a recorded session.

        While a session has members, no process and no other session gets its number (setsid(2)). After that it may be
        used again; the serial number tells, and where there is none, the leader.
        """
        start, serial = self._sessions.get(place.session, (0, 0))
        if not start or place.start < start:
            return False
        now = processes.reader.session_serial(pid)
        if serial and now:
            return now == serial
        return processes.start_time(place.session) == start

    def _leads(self, leader: int) -> bool:
        """Return whether a session is led by a living supervisord of the stack that no run has recorded."""
        if leader not in self._leaders:
            label = label_of(leader) if leader else None
            named = label is not None and not label.service and self._views.names_stack(leader, label, self.root)
            process = processes.describe(leader) if named else None
            own = process is not None and process.uid in self._uids and process.session == leader
            self._leaders[leader] = own
        return self._leaders[leader]

    def _is_supervisord(self, pid: int, belonging: Belonging) -> bool:
        """Return whether a process of the stack is a supervisord: it has no service, and leads the session."""
        return pid in self._sessions or (
            belonging.label is not None and not belonging.label.service and self._leads(pid)
        )

    def _in_cgroup(self, pid: int) -> bool:
        cgroup = self._births.cgroup
        return any(path == cgroup or path.startswith(f"{cgroup}/") for path in processes.reader.cgroups(pid))

    def _has_number(self, pid: int) -> bool:
        """Return whether a process has the stack's number; what a service has put into a container is not the stack's.

        Everybody can read the number and give it to processes of his own. So of a stack that root does not run, it
        counts for its users alone: otherwise anybody could have each verdict fail.
        Of one that root runs, such a process is ended as left over, which hurts nobody else.
        """
        if not self._number or processes.reader.locks_limit(pid) != self._number:
            return False
        home = homes.home_of(pid)
        contained = home is not None and home.is_container and home != homes.home_of(os.getpid())
        return not (contained or processes.reader.in_container(pid) or keeps_container(pid))

    def _is_rollcall(self, process: Process) -> bool:
        """Return whether a process is a command of Rollcall's own, which may have been started in the stack's unit."""
        return os.path.join(self.root, "engine") in process.command


def held_by(
    lineage: t.Sequence[int],
    supervisords: t.Container[int],
    reported: t.Optional[t.Container[int]],
) -> bool:
    """Return whether a supervisord holds a process: it runs it as a program, or below one.

    supervisord is the reaper of all that descends from it, so what its programs have left behind are its children, too.
    These it does not know.

    Args:
        lineage: the pid of the process, its parent's, and so on upwards.
        supervisords: pids of the supervisords of the stack.
        reported: pids of the programs that they report; None when none of them says.
    """
    if reported is not None and any(pid in reported for pid in lineage):
        return True
    at = next((number for number, pid in enumerate(lineage) if pid in supervisords), None)
    if at is None:
        return False
    return at == 0 or not left_behind(lineage[at - 1], lineage[at], reported)


def left_behind(child: int, supervisord: int, reported: t.Optional[t.Container[int]]) -> bool:
    """Return whether a child of a supervisord is none of its programs, but was left to it by one.

    supervisord gives each program a process group of its own, in its own session (supervisor.process.Subprocess).
    """
    place, above = processes.reader.place_of(child), processes.reader.place_of(supervisord)
    if place is None or above is None or place.group == above.group:
        # It has just been forked.
        return False
    if place.session != above.session or place.group != child:
        return True
    return reported is not None and child not in reported and processes.age(place.start) > SETTLED


def left_over(
    root: str,
    uids: t.Optional[t.Collection[int]],
    supervisords: t.Iterable[int],
    reported: t.Optional[t.Collection[int]],
) -> t.List[Process]:
    """Return the processes of the stack at ``root`` that none of its supervisords holds; arguments as `held_by`."""
    alive = frozenset(supervisords)
    found = Ownership(root, uids).find(besides=() if reported is None else reported)
    lineages = processes.lineages([process.pid for process in found], found)
    return [process for process in found if not held_by(lineages[process.pid], alive, reported)]


def leaves(pid: int) -> bool:
    """Return whether a process has another home than what it descends from: then its descent says nothing."""
    home = homes.home_of(pid)
    if home is not None and home != homes.home_of(processes.reader.parent(pid)):
        return True
    return keeps_container(pid)


def keeps_container(pid: int) -> bool:
    """Return whether a process is one that keeps a container alive."""
    return os.path.basename((processes.reader.command(pid) or ("",))[0]) in CONTAINER_KEEPERS


def _places(pids: t.Iterable[int]) -> t.Dict[int, Place]:
    places = ((pid, processes.reader.place_of(pid)) for pid in pids)
    return {pid: place for pid, place in places if place is not None}


def find(root: str, uids: t.Optional[t.Collection[int]] = None, *, besides: t.Container[int] = ()) -> t.List[Process]:
    """Return every living process of the stack at ``root``; arguments and errors as `Ownership` and its ``find``."""
    return Ownership(root, uids).find(besides)


def family(root: str, uids: t.Optional[t.Collection[int]], supervisords: t.Iterable[int]) -> t.List[Process]:
    """Return the processes of the stack that descend from these supervisords, parents before their children."""
    # All processes of a container are below a supervisord that is its pid 1: there it proves nothing.
    above = frozenset(pid for pid in supervisords if pid > 1)
    if not above:
        return []
    found = Ownership(root, uids).find(among=[*above, *(pid for one in above for pid in processes.below(one))])
    lineages = processes.lineages([process.pid for process in found], found)
    below = [process for process in found if above.intersection(lineages[process.pid][1:])]
    return sorted(below, key=lambda process: len(lineages[process.pid]))


def identities(found: t.Iterable[Process]) -> t.Dict[Identity, Label]:
    """Return the label of each process, by its identity, for the record."""
    return {process.identity: process.label for process in found if process.label is not None}
