# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What the doctor has found out about a stack and its host, before anything is judged."""

from __future__ import annotations

import os
import shlex
import typing as t
from dataclasses import dataclass, field

from ..base.errors import RollcallError
from ..base.installation import Broken
from ..host.model import Process
from ..host.other_hands import Untrusted
from ..manifest.model import Paths, Stack
from ..state.stopped import Stopped
from ..supervisord import client_errors
from ..supervisord.discovery import SocketAnswer, Supervisord
from ..supervisord.settings import Settings
from ..verdict.observation import Observation

if t.TYPE_CHECKING:
    from ..base.documents import LastFailure
    from ..base.job_documents import TimerRow


class Unavailable(t.NamedTuple):
    """Something that could not be had: the name of the finding that it is, its subject, the reason and the remedy."""

    finding: str
    subject: str
    evidence: str
    remedy: str


@dataclass(frozen=True)
class Pidfile:
    """What the pid file names: the pid in it, None when it is no number, and the process that has it."""

    pid: t.Optional[int]
    process: t.Optional[Process]


@dataclass(frozen=True)
class OwnPath:
    """A file or directory of Rollcall's.

    Attributes:
        path: of it.
        mode: its permission bits.
        most: those that it may have.
        uid: of its owner.
        secret: whether it holds secrets.
        fixable: whether ``--fix`` may change its mode.
    """

    path: str
    mode: int
    most: int
    uid: int
    secret: bool = False
    fixable: bool = True


@dataclass(frozen=True)
class LogFile:
    """A log, its size in bytes, and the size at which it is rotated; 0 is never."""

    path: str
    size: int
    limit: int


@dataclass(frozen=True)
class LeftOvers:
    """What earlier runs have left in the stack's directories.

    Attributes:
        temporary: files and links that were never put in place.
        generations: directories of generations that were never finished.
        runs: how many records of runs there are more than are kept.
    """

    temporary: t.Tuple[str, ...] = ()
    generations: t.Tuple[str, ...] = ()
    runs: int = 0


class OtherLimit(t.NamedTuple):
    """A limit or niceness that a running process has, and should not have.

    Attributes:
        service: whose process it is; empty for supervisord.
        pid: of the process.
        key: of the manifest, such as ``limits.nofile``.
        has: the hard limit, or the niceness; a negative limit is unlimited.
        wanted: by the manifest; for supervisord by default.
    """

    service: str
    pid: int
    key: str
    has: int
    wanted: int


class Mislabelled(t.NamedTuple):
    """A file whose label is not the one that SELinux's policy has for it, and the label; empty when it is not known."""

    path: str
    label: str


@dataclass(frozen=True)
class Versions:
    """Which versions there are.

    Attributes:
        own: of the engine that looks.
        engine: of the installed one; None when none is installed, empty when it is not known.
        python: of the engine's virtual environment; empty when it is not known.
        configured: the supervisord that the stack runs by.
        on_path: every supervisord on the PATH.
    """

    own: str = ""
    engine: t.Optional[str] = ""
    python: t.Tuple[int, ...] = ()
    configured: str = ""
    on_path: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class HostFacts:
    """All that was found out.

    Attributes:
        name: of the stack; of its root's directory when no manifest can be read.
        root: of the stack.
        paths: of the stack.
        stack: the installed manifest; None when there is none that can be read.
        unavailable: what could not be had.
        supervisords: every supervisord of the host.
        own_answer: who answers at the stack's socket, when no supervisord of the stack runs.
        own_settings: what the installed config says of supervisord itself.
        pidfile: what the pid file names; None when there is none.
        seen: of the stack; None when it could not be looked at.
        labelled: every process that carries the stack's label.
        recycled: recorded pids, their service, and the other process that each is now.
        drift: rows of drift.drift.
        meta: of the generation in place.
        refusal: what the host's own supervisor has against the installed config.
        registry: whether the registry is current.
        problems: of the host, as preflight.check_host has them in its evidence.
        ports: what a flush would have against each port, with what is known of its listener.
        untrusted: what others can change of the directories that whoever runs this must trust, each with its cure.
        held: services that stay down, with the reason.
        stopped: what somebody has stopped by name.
        own_paths: files and directories of Rollcall's.
        missing: directories that are not there.
        logs: of the services and of supervisord.
        lost_logs: logs to which supervisord does not write any more, though it should.
        other_limits: what running processes have otherwise than the manifest says.
        mislabelled: what systemd executes and SELinux may refuse it.
        left_overs: of earlier runs.
        lock: the note of the process that has locked the stack; None when none has.
        unfinished: run and step of the newest run, when it never came to its end.
        failure: the last run that failed, as memory.last_failure returns it.
        unfinished_install: what an install has left to do, as last_steps.missing returns it.
        late_jobs: the timers whose job nobody has started although its time has passed.
        versions: of all that has one.
        damage: what is missing or damaged of the engine and its environment.
        user: who looks.
        unseen: how many processes this user may not look into.
    """

    name: str
    root: str
    paths: Paths
    stack: t.Optional[Stack] = None
    unavailable: t.Sequence[Unavailable] = ()
    supervisords: t.Sequence[Supervisord] = ()
    own_answer: SocketAnswer = field(default_factory=lambda: SocketAnswer(problem=client_errors.ABSENT))
    own_settings: Settings = field(default_factory=Settings)
    pidfile: t.Optional[Pidfile] = None
    seen: t.Optional[Observation] = None
    labelled: t.Sequence[Process] = ()
    recycled: t.Sequence[t.Tuple[int, str, Process]] = ()
    drift: t.Sequence[t.Mapping[str, t.Any]] = ()
    meta: t.Mapping[str, t.Any] = field(default_factory=dict)
    refusal: t.Optional[RollcallError] = None
    registry: bool = True
    problems: t.Sequence[t.Mapping[str, t.Any]] = ()
    ports: t.Mapping[int, RollcallError] = field(default_factory=dict)
    untrusted: t.Sequence[t.Tuple[Untrusted, str]] = ()
    held: t.Mapping[str, str] = field(default_factory=dict)
    stopped: Stopped = field(default_factory=dict)
    own_paths: t.Sequence[OwnPath] = ()
    missing: t.Sequence[str] = ()
    logs: t.Sequence[LogFile] = ()
    lost_logs: t.Sequence[str] = ()
    other_limits: t.Sequence[OtherLimit] = ()
    mislabelled: t.Sequence[Mislabelled] = ()
    left_overs: LeftOvers = LeftOvers()
    lock: t.Optional[t.Mapping[str, t.Any]] = None
    unfinished: t.Optional[t.Mapping[str, t.Any]] = None
    failure: t.Optional[LastFailure] = None
    unfinished_install: t.Sequence[str] = ()
    late_jobs: t.Sequence[TimerRow] = ()
    versions: Versions = Versions()
    damage: t.Sequence[Broken] = ()
    user: str = "root"
    unseen: int = 0

    @property
    def ours(self) -> t.List[Supervisord]:
        """The supervisords over this stack."""
        return [one for one in self.supervisords if one.ours]

    def own(self, command: str) -> str:
        """Return a cure that begins with ``rollcall`` as a command of this very stack, which can be copied."""
        return own_command(self.root, command)


def own_command(root: str, command: str) -> str:
    """Return a cure that begins with ``rollcall`` as a command of the stack at ``root``."""
    return f"{shlex.quote(os.path.join(root, 'bin', 'rollcall'))} {command.partition(' ')[2]}"
