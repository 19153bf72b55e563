# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The code of a release: from what the controller has sent, or from git."""

from __future__ import annotations

import os
import re
import shutil
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..host import commands
from ..host.accounts import Account, acting_as, clean_environment
from ..manifest.model import DEFAULT_PATH
from . import archives
from .members import Entry
from .wanted import GitSource, SentFile, WantedRelease

_COMMIT = re.compile(r"[0-9a-f]{40}")
# Left free for the stack itself when an archive is unpacked.
RESERVE, RESERVED_FILES = 64 * 1024 * 1024, 1000


def fetch_code(wanted: WantedRelease, who: Account, code: str, place: str, tree: str) -> None:
    """Put the code into the empty directory ``tree``."""
    if isinstance(wanted.source, GitSource):
        packed = _exported(wanted, wanted.source, who, code, place)
        # In a directory of the user's, who could have put anything there.
        with acting_as(who):
            unpack_code(wanted, packed, who, tree)
    else:
        verify_sent(wanted.code)
        unpack_code(wanted, wanted.code.archive, who, tree, wanted.strip)


def unpack_code(wanted: WantedRelease, packed: str, who: Account, tree: str, strip: int = 0) -> None:
    """Unpack an archive into an empty directory of the user's, when there is room for it."""
    with archives.opened(packed, strip, name=wanted.origin) as members:
        _check_room(wanted, [entry for entry, _opener in members], tree)
        with acting_as(who):
            archives.unpack(members, tree)


def _check_room(wanted: WantedRelease, entries: t.Sequence[Entry], tree: str) -> None:
    """Check that there is room for a tree. Raises RollcallError."""
    numbers = os.statvfs(tree)
    needed, files = archives.room_for(entries, numbers.f_frsize)
    free = max(0, numbers.f_bavail * numbers.f_frsize - RESERVE)
    # A file system that makes its inodes as they are needed has 0 of them.
    left = max(0, numbers.f_favail - RESERVED_FILES) if numbers.f_files else files
    if needed > free or files > left:
        what = (
            f"{needed // 1024} KiB, and {wanted.root} has {free // 1024} KiB for it"
            if needed > free
            else f"{files} files and directories, and {wanted.root} has room for {left}"
        )
        raise RollcallError(
            f"The release needs {what}.",
            evidence={"needed": needed, "free": free, "files": files, "files_free": left},
            remedies=[cures.space(wanted.root), cures.AGAIN],
        )


def verify_sent(sent: SentFile) -> None:
    """Check that an archive is what the controller has sent."""
    if archives.file_digest(sent.archive) != sent.sha256:
        raise RollcallError(f"{sent.archive} is not what the controller has sent.", remedies=[cures.AGAIN])


def current_commit(wanted: WantedRelease, git: GitSource, who: Account) -> str:
    """Return the commit that a branch, tag or commit is now."""
    if _COMMIT.fullmatch(git.version):
        return git.version
    names = [f"refs/tags/{git.version}^{{}}", f"refs/tags/{git.version}", f"refs/heads/{git.version}", git.version]
    lines = _git(wanted, who, ["ls-remote", "--", git.url, *names], "/")
    found = {words[1]: words[0] for words in (line.split() for line in lines) if len(words) == 2}
    for name in names:
        if _COMMIT.fullmatch(found.get(name, "")):
            return found[name]
    raise RollcallError(
        f"{git.url} has no branch and no tag {git.version}.",
        kind="wrong_use",
        evidence={"output": lines},
        remedies=[cures.remote(git.url)],
    )


def _exported(wanted: WantedRelease, git: GitSource, who: Account, commit: str, place: str) -> str:
    """Return an archive of a commit, in a directory of the user's."""
    repository, packed = os.path.join(place, "tmp", "git"), os.path.join(place, "tmp", "code.tar")
    _git(wanted, who, ["init", "--quiet", "--bare", repository], place)
    try:
        _git(wanted, who, ["fetch", "--quiet", "--depth=1", "--", git.url, commit], repository)
    except RollcallError:
        # Not every server gives a single commit.
        everything = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        _git(wanted, who, ["fetch", "--quiet", "--", git.url, *everything], repository)
    _git(wanted, who, ["archive", "--format=tar", f"--output={packed}", commit], repository)
    return packed


def _git(wanted: WantedRelease, who: Account, arguments: t.Sequence[str], cwd: str) -> t.Sequence[str]:
    """Run git as the stack's user, whose keys are in its home, and return the lines it printed. It asks nothing."""
    program = shutil.which("git", path=wanted.environment.get("PATH", DEFAULT_PATH))
    if program is None:
        raise RollcallError(
            "The release comes from git, and git is not installed on this host.",
            kind="wrong_use",
            remedies=[cures.then("install git on the host, or take the code from a directory on the controller")],
        )
    own = {"HOME": who.home, "GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    environment = {**clean_environment(who), **own, **wanted.environment}
    done = commands.run([program, *arguments], who, cwd=cwd, environment=environment, timeout=wanted.timeout)
    if not done.ok:
        raise commands.failure(
            f"git {arguments[0]}", done, [cures.correct("the address, the version or the user's key")]
        )
    return done.output
