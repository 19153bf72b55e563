# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What is wrong with the host: accounts, programs, space, directories, logs, modes and owners."""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..host.accounts import user_name
from . import repairs
from .facts import HostFacts, OwnPath
from .findings import ERROR, WARNING, FindingKind, Sighting
from .judge_installed import unavailable

# A log that is rotated may be somewhat over its size when it is; one that never is has no size of its own.
LOG_ROOM = 1024 * 1024
LOG_UNROTATED = 1024 * 1024 * 1024

# Which finding a problem of the host is, by the end of its place; all others are about space.
_PLACES = (
    (".port", "port_kernel"),
    (".directory", "command"),
    (".command[0]", "command"),
    ("stack.root", "forbidden_place"),
    ("stack.paths.run", "not_writable"),
    ("stack.paths.logs", "not_writable"),
    ("rollcall_release", "command"),
    # Told as an engine that is broken.
    ("engine/venv/bin/python", "engine_broken"),
)


def _problems(name: str) -> t.Callable[[HostFacts], t.Iterator[Sighting]]:
    """Return what finds the problems of the host that are this finding."""

    def judge(facts: HostFacts) -> t.Iterator[Sighting]:
        missing = {
            place
            for place, path in (
                ("stack.paths.run", facts.paths.run),
                ("stack.paths.logs", facts.paths.logs),
                ("stack.paths.state", facts.paths.state),
            )
            # Told as a missing directory.
            if path in facts.missing
        }
        for problem in facts.problems:
            place = problem["place"]
            if next((other for end, other in _PLACES if place.endswith(end)), "disk") == name and place not in missing:
                yield Sighting(place, problem["message"], problem["cure"])

    return judge


def _missing(facts: HostFacts) -> t.Iterator[Sighting]:
    for path in facts.missing:
        yield Sighting(path, "it does not exist", facts.own(cures.FIX))


def _owner(facts: HostFacts, path: str) -> str:
    """Return to whom the directory of a file belongs, who may put a link there; empty when that is whoever looks."""
    uid = next((own.uid for own in facts.own_paths if own.path == os.path.dirname(path)), None)
    owner = (facts.stack.user if facts.stack else None) or "" if uid is None else user_name(uid)
    return owner if facts.user == "root" != owner else ""


def _log_huge(facts: HostFacts) -> t.Iterator[Sighting]:
    for log in facts.logs:
        if log.size > (2 * log.limit + LOG_ROOM if log.limit else LOG_UNROTATED):
            rotated = f"rotated at {_size(log.limit)}" if log.limit else "never rotated"
            text = f"it has {_size(log.size)} and is to be {rotated}"
            yield Sighting(
                log.path, text, cures.as_owner(_owner(facts, log.path), cures.empty(log.path)), {"size": log.size}
            )


def _size(number: int) -> str:
    return f"{number / 1024 / 1024:.1f} MiB"


def _log_in_tmp(facts: HostFacts) -> t.Iterator[Sighting]:
    logs = os.path.realpath(facts.paths.logs)
    if _temporary(logs) and not _temporary(os.path.realpath(facts.root)):
        text = f"the logs are written to {logs}, which the host empties by itself"
        yield Sighting(facts.paths.logs, text, cures.then("set paths.logs in the manifest"))


def _temporary(path: str) -> bool:
    return path.startswith(("/tmp/", "/var/tmp/", "/dev/shm/"))


def _open(*, secret: bool) -> t.Callable[[HostFacts], t.Iterator[Sighting]]:
    """Return what finds files and directories with which others may do more than they need."""

    def judge(facts: HostFacts) -> t.Iterator[Sighting]:
        # What others may change of it is graver, and its cure is this one's as well.
        told = {one.path for one, _cure in facts.untrusted}
        for own in facts.own_paths:
            if _is_open(own) and own.secret == secret and own.path not in told:
                chmod = cures.as_owner(_owner(facts, own.path), cures.mode(own.mode & own.most, own.path))
                yield Sighting(
                    own.path,
                    f"its mode is {own.mode:04o}, and {own.most:04o} is enough",
                    facts.own(cures.FIX) if own.fixable else chmod,
                    {"mode": own.mode, "most": own.most},
                    fixable=own.fixable,
                )

    return judge


def _is_open(own: OwnPath) -> bool:
    return bool(own.mode & ~own.most & 0o7777)


def _unsafe_owner(facts: HostFacts) -> t.Iterator[Sighting]:
    told = {one.path for one, _cure in facts.untrusted}
    for own in facts.own_paths if _run_by_root(facts) else ():
        if own.uid != 0 and own.path not in told:
            text = f"it belongs to uid {own.uid}, who can have supervisord, which runs as root, do anything"
            yield Sighting(own.path, text, cures.give_all_to_root(own.path), {"uid": own.uid})


def _untrusted(facts: HostFacts) -> t.Iterator[Sighting]:
    own_paths = {own.path: own for own in facts.own_paths if _is_open(own)}
    for one, usual in facts.untrusted:
        text = f"it {one.reason}: they can change what user {facts.user} runs here"
        own = own_paths.get(one.path)
        if own is None:
            yield Sighting(one.path, text, usual, fixable=False)
            continue
        fixable = one.by_mode and own.fixable
        narrow = usual == cures.trust(facts.user, one.path)
        closed = cures.trust(facts.user, one.path, own.mode & own.most) if narrow else usual
        yield Sighting(
            one.path,
            f"{text}; its mode is {own.mode:04o}, and {own.most:04o} is enough",
            facts.own(cures.FIX) if fixable else closed,
            {"mode": own.mode, "most": own.most},
            fixable=fixable,
        )


def _mislabelled(facts: HostFacts) -> t.Iterator[Sighting]:
    for path, label in facts.mislabelled:
        has = f"its label is {label}" if label else "its label is another"
        text = f"{has}, and not the one of SELinux's policy: systemd may be refused to execute it"
        yield Sighting(path, text, cures.relabel(path), {"label": label})


def _run_by_root(facts: HostFacts) -> bool:
    """Return whether the stack's supervisord is root's: that which runs, else the one that would be started."""
    if facts.ours or facts.stack is None:
        return any(one.process.uid == 0 for one in facts.ours)
    return facts.stack.user == "root" or (
        facts.stack.user is None and any(own.uid == 0 for own in facts.own_paths if own.path == facts.root)
    )


KINDS = (
    # Where nothing can be written, hardly any other remedy works.
    FindingKind(
        "disk",
        ERROR,
        "no space or no inodes are left, or the file system is read-only",
        "make room, or mount it read-write",
        _problems("disk"),
    ),
    FindingKind(
        "account", ERROR, "the user of the stack does not exist", "`ansible-playbook site.yml`", unavailable("account")
    ),
    FindingKind(
        "command",
        ERROR,
        "the program or the directory of a service is missing",
        "install the program, or correct the manifest",
        _problems("command"),
    ),
    FindingKind(
        "directory_missing",
        ERROR,
        "a directory of the stack is missing",
        "`rollcall doctor --fix`",
        _missing,
        repairs.MAKE_DIRECTORY,
    ),
    FindingKind(
        "not_writable",
        ERROR,
        "the stack's user may not write to its directory",
        "`chown -h USER DIRECTORY`",
        _problems("not_writable"),
    ),
    FindingKind(
        "log_huge",
        WARNING,
        "a log is far over the size at which it is rotated",
        "`truncate -s 0 FILE`, as the user of the directory",
        _log_huge,
    ),
    FindingKind(
        "log_in_tmp", WARNING, "the logs are below /tmp, which is emptied", "`paths.logs` in the manifest", _log_in_tmp
    ),
    FindingKind(
        "secret_exposed",
        ERROR,
        "others may read a file or directory of secrets",
        "`rollcall doctor --fix`",
        _open(secret=True),
        repairs.CLOSE_TO_OTHERS,
    ),
    FindingKind(
        "unsafe_mode",
        WARNING,
        "others may do more with a file or directory than they need",
        "`rollcall doctor --fix`; `chmod` for the socket",
        _open(secret=False),
        repairs.CLOSE_TO_OTHERS,
        in_the_way=True,
    ),
    FindingKind(
        "forbidden_place",
        ERROR,
        "the root of the stack is a directory of the system or of a user",
        "another `root` in the manifest",
        _problems("forbidden_place"),
    ),
    FindingKind(
        "untrusted",
        ERROR,
        "others than root and who runs Rollcall can change a directory of the stack that they trust, or one above it",
        "`rollcall doctor --fix` for the mode of the stack's own; else `chown root: DIRECTORY && chmod go-w DIRECTORY`",
        _untrusted,
        repairs.CLOSE_TO_OTHERS,
    ),
    FindingKind(
        "unsafe_owner",
        ERROR,
        "supervisord runs as root over a directory that another user may change",
        "`chown -R 0:0 DIRECTORY`",
        _unsafe_owner,
    ),
    FindingKind(
        "mislabelled",
        WARNING,
        "SELinux enforces, and what starts the stack after a boot has not the label of its policy",
        "`restorecon -v FILE`",
        _mislabelled,
    ),
)
