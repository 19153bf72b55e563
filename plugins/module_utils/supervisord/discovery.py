# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Every supervisord of a host, of any user: its config, its socket, and what it answers.

They are only asked for their pid and version: one that is not ours may run with any config.
"""

from __future__ import annotations

import functools
import os
import socket
import threading
import typing as t
from dataclasses import asdict, dataclass, field, replace

from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..base.text import has_control
from ..host import processes, unix_listeners
from ..host.answering import silent_mount
from ..host.apart import ANSWER, answers, begin_each
from ..host.labels import label_of
from ..host.model import Label, Process
from ..host.mounts import may_hang, mounts
from ..host.rights import with_rights_of
from ..host.roots import sees_as_we_do
from ..host.trust import Trust, peer_of
from . import running
from .client import CALL_TIMEOUT, Client
from .settings import Settings, read_settings, settings_of

if t.TYPE_CHECKING:
    from ..base.command_documents import SupervisordRow

# Seconds that one supervisord has to answer each of the two questions: no fewer than a run or a look gives it, or the
# doctor calls deaf what they find well, and tells to end it.
PATIENCE = CALL_TIMEOUT
# Seconds after its start in which a supervisord need not answer yet: on a slow and busy machine it needs some.
STARTING = 5.0
# How many are asked at the same time.
AT_ONCE = 32
# Seconds in which the config of one is read, besides those after which its file system is known not to answer; and how
# many supervisords of other users are looked into.
READING = ANSWER + 2.0
MOST_STRANGERS = 50


@dataclass(frozen=True)
class SocketAnswer:
    """What a supervisord answered on its socket.

    Attributes:
        pid: of the supervisord that answered; None when none did.
        version: of supervisor; empty when none answered.
        problem: why none answered, one of the codes of ``client_errors``.
        detail: the same in words.
        peer: when none answered, the pid that listens on the socket; None when that is not known.
    """

    pid: t.Optional[int] = None
    version: str = ""
    problem: str = ""
    detail: str = ""
    peer: t.Optional[int] = None


@dataclass(frozen=True)
class Supervisord:
    """One living supervisord.

    Attributes:
        process: its process.
        ours: whether it runs over the stack that is looked at.
        config: the file that it reads; None when that is not known.
        settings: what that file says now; it may have loaded something else.
        label: of the stack that it belongs to, this one or another; None without one, or when it cannot be read.
        answer: what it answered; None when it was not asked, because it has no socket or runs in a container.
        young: whether it was started just now, and may not listen on its socket yet.
        seen: whether this user may read its environment, and so its label.
        trusted: whether its user may run the stack that is looked at.
    """

    process: Process
    ours: bool = False
    config: t.Optional[str] = None
    settings: Settings = field(default_factory=Settings)
    label: t.Optional[Label] = None
    answer: t.Optional[SocketAnswer] = None
    young: bool = False
    seen: bool = True
    trusted: bool = True

    @property
    def pid(self) -> int:
        """The pid."""
        return self.process.pid

    @property
    def answers(self) -> bool:
        """Whether this process, not another one, answered on its socket."""
        return self.answer is not None and self.answer.pid == self.pid

    def as_dict(self) -> SupervisordRow:
        """Return it as data."""
        label, answer = self.label, self.answer
        return {
            "pid": self.pid,
            "user": self.process.user,
            "command": self.process.command_line,
            "started": self.process.started_at,
            "state": self.process.state,
            "container": self.process.container,
            "ours": self.ours,
            "seen": self.seen,
            "stack": None if label is None else label.stack,
            "root": None if label is None else label.root,
            "config": self.config,
            "socket": self.settings.socket,
            "pidfile": self.settings.pidfile,
            "inet": [inet.address for inet in self.settings.inet],
            "answers": self.answers,
            "answered_by": None if answer is None else answer.pid,
            "version": answer.version or None if answer is not None and self.answers else None,
            "detail": self.settings.problem if answer is None else answer.detail,
        }


def discover(config_path: str, root: str, trust: Trust, *, clock: Clock = SYSTEM) -> t.List[Supervisord]:
    """Return every living supervisord that can be seen, with its answer; those over this config are ``ours``.

    What other users run is looked into with their rights, and only the first of them are.

    Args:
        config_path: the config of the stack.
        root: the stack's root directory.
        trust: who may be its supervisord.
        clock: of the deadlines.
    """
    over = running.supervisords_over(config_path, root)
    ours = {process.identity for process in over if trust.accepts(process)}
    pretending = {process.identity for process in over} - ours
    found = [
        _known(process, process.identity in ours, trusted=trust.covers(process.pid, process.uid))
        for process in sorted(running.all_supervisords(), key=lambda process: process.start)
    ]
    looked: t.Dict[int, Supervisord] = {}
    foreign = [one for one in found if one.config is not None and one.process.uid not in (0, os.geteuid())]
    for number, one in enumerate([one for one in foreign if one.process.identity not in pretending]):
        if number >= MOST_STRANGERS:
            why = f"it was not looked into: there are {len(foreign)} supervisords of other users"
            looked[one.pid] = replace(one, settings=Settings(problem=why))
    for one in found:
        if one.process.identity in pretending:
            why = f"user {one.process.user} may not run this stack: it only has the command line"
            looked[one.pid] = replace(one, settings=Settings(problem=why))
    looked.update(_looked_into([one for one in foreign if one.pid not in looked], clock))
    own = _read_apart([one for one in found if one.config and one.pid not in looked], clock)
    sockets = dict.fromkeys(one.settings.socket for one in own if one.settings.socket and not one.process.container)
    said = ask_all([path for path in sockets if path], clock=clock)
    looked.update((one.pid, replace(one, answer=_answer(one, said))) for one in own)
    return [looked.get(one.pid, one) for one in found]


def _answer(one: Supervisord, said: t.Mapping[str, SocketAnswer]) -> t.Optional[SocketAnswer]:
    return None if one.process.container else said.get(one.settings.socket or "")


def discovery_seconds(number: int) -> float:
    """Return how long `discover` waits for this many supervisords at the longest."""
    return (READING + 4 * PATIENCE) * -(-number // AT_ONCE)


def _known(process: Process, ours: bool, *, trusted: bool) -> Supervisord:
    """Return what is known of a supervisord without a look into what it names."""
    # The paths of a process in a container, or in another mount namespace, are not those of this host.
    elsewhere = process.container or (os.geteuid() == 0 and not sees_as_we_do(process.pid))
    own = label_of(process.pid, process.container)
    return Supervisord(
        process,
        ours,
        None if elsewhere and not ours else _shown(running.config_of(process)),
        label=own if own is not None and not own.service else None,
        young=processes.age(process.start) < STARTING,
        seen=os.geteuid() in (0, process.uid),
        trusted=trusted,
    )


def _shown(path: t.Optional[str]) -> t.Optional[str]:
    """Return a path; None when it has control characters: a command that was told with it would be another."""
    return path if path is None or not has_control(path) else None


def _read_apart(own: t.Sequence[Supervisord], clock: Clock) -> t.List[Supervisord]:
    """Return supervisords of this user and of root with their settings; children read them, for a pattern of
    ``[include]`` may search all of a file system.
    """
    found: t.List[Supervisord] = []
    for first in range(0, len(own), AT_ONCE):
        begun = [
            (one, begin_each({"": functools.partial(_settings_and_no_answer, str(one.config))}, READING, clock=clock))
            for one in own[first : first + AT_ONCE]
        ]
        found += [_told(one, wait) for one, wait in begun]
    return found


def _settings_and_no_answer(config: str) -> t.Dict[str, t.Any]:
    return {"settings": asdict(_settings(config)), "answer": None}


def _settings(config: str) -> Settings:
    if may_hang(config, mounts()) and not answers(config):
        return Settings(problem=f"{config} is on a file system that does not answer")
    found = read_settings(config)
    silent = next((path for path in (found.socket, found.pidfile) if path and silent_mount(path) is not None), None)
    return found if silent is None else Settings(problem=f"{silent} is on a file system that does not answer")


# --- those of other users -----------------------------------------------------------------------------------------


def _looked_into(strangers: t.Sequence[Supervisord], clock: Clock) -> t.Dict[int, Supervisord]:
    """Return supervisords of other users with their settings and answers, by pid.

    For each a child looks, with the rights of its user: its config may name what is only root's to read or to open,
    and files and answers may be made to take for ever. It has `READING`, and what the questions may take.
    """
    found: t.Dict[int, Supervisord] = {}
    for first in range(0, len(strangers), AT_ONCE):
        begun = [
            (one, begin_each({"": _look_of(one)}, READING + 2 * PATIENCE, clock=clock))
            for one in strangers[first : first + AT_ONCE]
        ]
        for one, wait in begun:
            found[one.pid] = _told(one, wait)
    return found


def _look_of(one: Supervisord) -> t.Callable[[], t.Any]:
    def look() -> t.Dict[str, t.Any]:
        settings = _settings(str(one.config))
        asked = settings.socket is not None and not one.process.container
        return {"settings": asdict(settings), "answer": asdict(ask(str(settings.socket))) if asked else None}

    return with_rights_of(one.process, look)


def _told(one: Supervisord, wait: t.Callable[[], t.Mapping[str, t.Any]]) -> Supervisord:
    """Return a supervisord with what the child tells of it; its user may end the child, or have it fail."""
    try:
        told = wait()
    except (OSError, RollcallError, RuntimeError):
        return replace(one, settings=Settings(problem=f"{one.config} could not be looked into as {one.process.user}"))
    if not told:
        return replace(one, settings=Settings(problem=f"{one.config} could not be read in time"))
    answer = told[""]["answer"]
    return replace(
        one,
        settings=settings_of(told[""]["settings"]),
        answer=None if answer is None else SocketAnswer(**answer),
    )


# --- what it says itself ------------------------------------------------------------------------------------------


def ask_all(paths: t.Sequence[str], *, clock: Clock = SYSTEM) -> t.Dict[str, SocketAnswer]:
    """Return the answer on each socket. Asks many at the same time; each has `PATIENCE` for each of two questions."""
    answers: t.Dict[str, SocketAnswer] = {}

    def work(path: str) -> None:
        answers[path] = ask(path, clock=clock)

    for first in range(0, len(paths), AT_ONCE):
        threads = [threading.Thread(target=work, args=(path,), daemon=True) for path in paths[first : first + AT_ONCE]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()  # each question has a timeout
    return answers


def ask(path: str, *, trust: t.Optional[Trust] = None, clock: Clock = SYSTEM) -> SocketAnswer:
    """Return the answer on a socket; with ``trust`` that of who may be the stack's supervisord, and of nobody else."""
    try:
        with Client(path, timeout=PATIENCE, clock=clock, trust=trust) as client:
            return SocketAnswer(client.pid(), client.version())
    except RollcallError as exc:
        return SocketAnswer(problem=str(exc.evidence["problem"]), detail=exc.message, peer=_holder(path))


def _holder(path: str) -> t.Optional[int]:
    """Return the pid that listens on a socket; None when that is not known."""
    pids = unix_listeners.holders(path)
    if not pids:
        return None
    # The kernel tells the pid that called listen(2). When that process has since forked into the background and ended,
    # the pid may be another's. When two sockets were bound to one path, it tells which of them is there now.
    opener = _opener(path)
    if opener in pids:
        return opener
    return pids.pop() if len(pids) == 1 else None


def _opener(path: str) -> t.Optional[int]:
    """Return the pid that called listen(2) for a socket; None when that is not known."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # connecting to a socket with a full queue would wait
        try:
            probe.connect(path)
            peer = peer_of(probe)
        except OSError:
            # `ask` has already told what is wrong with the socket.
            return None
    return None if peer is None else peer.pid or None
