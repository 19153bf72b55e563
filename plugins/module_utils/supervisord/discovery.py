# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Every supervisord of a host, whoever's it is: its config, its socket, and what it says when it is asked.

They are only asked who they are. What is not ours may have been started by anything, with any config.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import typing as t
from dataclasses import dataclass, field, replace

from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..host import processes, socket_owners
from ..host.labels import label_of
from ..host.model import Label, Process
from . import running
from .client import Client
from .settings import Settings, read_settings

if t.TYPE_CHECKING:
    from ..base.command_documents import SupervisordRow

# Seconds that one supervisord has for each of the two questions.
PATIENCE = 1.0
# Seconds from its start in which a supervisord need not answer: it takes half a second on a busy machine.
STARTING = 2.0
# How many are asked at the same time.
AT_ONCE = 32
# Of the flags in /proc/net/unix: the socket listens (linux/net.h, __SO_ACCEPTCON).
_ACCEPTS = 0x10000


@dataclass(frozen=True)
class SocketAnswer:
    """What came of asking at a socket.

    Attributes:
        pid: of the supervisord that answered; None when none did.
        version: its version.
        problem: why none did: one of the codes of ``client_errors``.
        detail: the same in words.
        peer: where none did: the pid of who listens there; None when that cannot be told.
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
        process: of it.
        ours: whether it runs over the stack that is looked at.
        config: the file that it reads; None when that cannot be seen.
        settings: what is in there now, which may not be what it has loaded.
        label: of the stack that it belongs to, this one or another.
        seen: whether this user may look into it; a label that may not be read is not the same as none.
        answer: what came of asking; None when it was not asked: it has no socket, or lives in a container.
        young: whether it was started just now, and so may not have come to its socket yet.
    """

    process: Process
    ours: bool = False
    config: t.Optional[str] = None
    settings: Settings = field(default_factory=Settings)
    label: t.Optional[Label] = None
    answer: t.Optional[SocketAnswer] = None
    young: bool = False
    seen: bool = True

    @property
    def pid(self) -> int:
        """Its pid."""
        return self.process.pid

    @property
    def answers(self) -> bool:
        """Whether it has answered itself."""
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


def discover(config_path: str, root: str, *, clock: Clock = SYSTEM) -> t.List[Supervisord]:
    """Return every living supervisord that can be seen, asked who it is; those over this config are ``ours``.

    Args:
        config_path: the config of the stack.
        root: the stack's root directory.
        clock: of the deadlines.
    """
    ours = {process.identity for process in running.supervisords_over(config_path, root)}
    found = [_known(process, process.identity in ours) for process in running.all_supervisords()]
    known = (one.settings.socket for one in found if not one.process.container)
    answers = ask_all(list(dict.fromkeys(path for path in known if path)), clock=clock)
    return [
        one if one.process.container else replace(one, answer=answers.get(one.settings.socket or ""))
        for one in sorted(found, key=lambda one: one.process.start)
    ]


def discovery_seconds(number: int) -> float:
    """Return how long `discover` waits for this many supervisords at the longest."""
    return 2 * PATIENCE * -(-number // AT_ONCE)


def _known(process: Process, ours: bool) -> Supervisord:
    # What a container has under a path is none of this host's files.
    config = None if process.container else running.config_of(process)
    own = label_of(process.pid, process.container)
    label = own if own is not None and not own.service else None
    return Supervisord(
        process,
        ours,
        config,
        Settings() if config is None else read_settings(config),
        label,
        young=processes.age(process.start) < STARTING,
        seen=os.geteuid() in (0, process.uid),
    )


# --- what it says itself ------------------------------------------------------------------------------------------


def ask_all(paths: t.Sequence[str], *, clock: Clock = SYSTEM) -> t.Dict[str, SocketAnswer]:
    """Ask at many sockets at once who answers there; each has `PATIENCE` for each of two questions."""
    answers: t.Dict[str, SocketAnswer] = {}

    def work(path: str) -> None:
        answers[path] = ask(path, clock=clock)

    for first in range(0, len(paths), AT_ONCE):
        threads = [threading.Thread(target=work, args=(path,), daemon=True) for path in paths[first : first + AT_ONCE]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()  # each question is bounded
    return answers


def ask(path: str, *, clock: Clock = SYSTEM) -> SocketAnswer:
    """Ask at a socket who answers there."""
    try:
        with Client(path, timeout=PATIENCE, clock=clock) as client:
            return SocketAnswer(client.pid(), client.version())
    except RollcallError as exc:
        return SocketAnswer(problem=str(exc.evidence["problem"]), detail=exc.message, peer=_holder(path))


def _holder(path: str) -> t.Optional[int]:
    """Return the pid of who listens on a socket; None when that cannot be told."""
    listening = list(_listening(path))
    if not listening:
        return None
    found = socket_owners.find_owners(listening, sharing=socket_owners.EVERY)
    pids = {pid for holding in found.pids.values() for pid in holding}
    # The kernel names who called listen(2): one that went into the background by a fork has ended since, and its pid
    # may be anybody's. Where two sockets were bound to one path, it tells which of them is there.
    opener = _opener(path)
    if opener in pids:
        return opener
    return pids.pop() if len(pids) == 1 else None


def _listening(path: str) -> t.Iterator[int]:
    """Find the inodes of the sockets that listen by this path (proc(5), /proc/net/unix)."""
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as stream:
            lines = stream.read().splitlines()[1:]
    except FileNotFoundError:
        return
    for line in lines:
        fields = line.split(None, 7)
        # supervisord binds to a name with its pid behind it, and then links the socket to the name that was wanted.
        if len(fields) == 8 and int(fields[3], 16) & _ACCEPTS and re.sub(r"\.\d+$", "", fields[7]) == path:
            yield int(fields[6])


def _opener(path: str) -> t.Optional[int]:
    """Return the pid that called listen(2) for a socket; None where the kernel does not say, or it cannot be opened."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # with a full queue connecting would wait
        try:
            probe.connect(path)
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        except OSError:
            # The question before has said what is wrong with it.
            return None
    return int.from_bytes(credentials[:4], sys.byteorder) or None
