# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a release is called, which environment it needs, and which old ones go: pure functions over facts."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ..base.errors import RollcallError

# A directory's name below R/releases, so no path and nothing hidden.
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class GitSource:
    """Where code comes from: a repository, and the branch, tag or commit of it."""

    url: str
    version: str = "HEAD"


@dataclass(frozen=True)
class SentFile:
    """What the controller has: the digest of it, and the archive of it on this host; empty when it was not sent.

    Attributes:
        digest: over the content; empty when there is none.
        archive: path on this host.
        sha256: of that file.
    """

    digest: str = ""
    archive: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class PythonEnvironment:
    """The virtual environment of a release.

    Attributes:
        requirements: path of the list, in the release.
        python: the interpreter of this host that it is made with.
        wheels: whether everything comes from a directory of wheels on the controller.
    """

    requirements: str = "requirements.txt"
    python: str = "python3"
    wheels: bool = False


@dataclass(frozen=True)
class WantedRelease:
    """What is wanted of a release.

    Attributes:
        root: of the stack.
        user: of the stack; None is whoever runs this.
        id: its name; empty when it is to be made from the content.
        source: the place on the controller, for people; or where git has it.
        code: what was sent of it.
        wheels: what was sent of the wheels.
        strip: leading directories of an archive's names that are taken off.
        shared: directories that all releases have in common.
        python: None for no virtual environment.
        build: commands that build it.
        environment: variables of all commands.
        before_switch: commands before it is put in place.
        after_switch: commands after its services were verified.
        keep: how many of the newest stay.
        timeout: seconds that each command may take.
    """

    root: str
    user: t.Optional[str] = None
    id: str = ""
    source: t.Union[str, GitSource] = ""
    code: SentFile = SentFile()
    wheels: SentFile = SentFile()
    strip: int = 0
    shared: t.Tuple[str, ...] = ()
    python: t.Optional[PythonEnvironment] = None
    build: t.Tuple[t.Tuple[str, ...], ...] = ()
    environment: t.Mapping[str, str] = field(default_factory=dict)
    before_switch: t.Tuple[t.Tuple[str, ...], ...] = ()
    after_switch: t.Tuple[t.Tuple[str, ...], ...] = ()
    keep: int = 5
    timeout: float = 600.0

    @property
    def origin(self) -> str:
        """The source as people know it."""
        return f"{self.source.url} {self.source.version}" if isinstance(self.source, GitSource) else self.source


def wanted_release(params: t.Mapping[str, t.Any]) -> WantedRelease:
    """Return what the options of the module say.

    Raises:
        RollcallError: ``wrong_use``: the source is none.
    """
    received = params["received"] or {}
    made = WantedRelease(
        root=params["root"],
        user=params["user"],
        id=params["id"] or "",
        source=_source(params["source"]),
        code=SentFile(**received.get("code", {})),
        wheels=SentFile(**received.get("wheels", {})),
        strip=params["strip"],
        shared=tuple(params["shared"]),
        python=_python(params["python"]),
        build=_commands(params["build"]),
        environment={name: str(value) for name, value in params["environment"].items()},
        before_switch=_commands(params["before_switch"]),
        after_switch=_commands(params["after_switch"]),
        keep=params["keep"],
        timeout=params["timeout"],
    )
    check(made)
    return made


def _source(value: t.Any) -> t.Union[str, GitSource]:
    if isinstance(value, str) or value is None:
        return value or ""
    if not isinstance(value, t.Mapping) or "git" not in value or not set(value) <= {"git", "version"}:
        # Not the value itself: an address can have a password in it.
        found = f"has {', '.join(map(str, value))}" if isinstance(value, t.Mapping) else f"is a {type(value).__name__}"
        raise RollcallError(
            f"source {found}, and must be a path, or a mapping with `git` and `version`.", kind="wrong_use"
        )
    return GitSource(str(value["git"]), str(value.get("version", "HEAD")))


def _python(option: t.Optional[t.Mapping[str, t.Any]]) -> t.Optional[PythonEnvironment]:
    if option is None:
        return None
    return PythonEnvironment(option["requirements"], option["python"], bool(option["wheels"]))


def _commands(lists: t.Sequence[t.Sequence[t.Any]]) -> t.Tuple[t.Tuple[str, ...], ...]:
    return tuple(tuple(str(word) for word in command) for command in lists)


def check(wanted: WantedRelease) -> None:
    """Find all that cannot be meant.

    Raises:
        RollcallError: ``wrong_use``, with every problem.
    """
    problems = []
    if wanted.id and not ID.fullmatch(wanted.id):
        problems.append(f"id: {wanted.id!r} is no name of a directory: letters, digits, '.', '_' and '-', at most 64")
    problems += _shared_problems(wanted.shared)
    for place in ("build", "before_switch", "after_switch"):
        if not all(getattr(wanted, place)) or not all(command[0] for command in getattr(wanted, place) if command):
            problems.append(f"{place}: each command is a list that begins with a program")
    if wanted.python is not None and _leads_out(wanted.python.requirements):
        problems.append(f"python.requirements: {wanted.python.requirements!r} is no path within the release")
    if isinstance(wanted.source, GitSource):
        problems += _git_problems(wanted.source)
    if wanted.keep < 1:
        problems.append(f"keep: {wanted.keep} would keep nothing")
    if problems:
        raise RollcallError(
            "The release cannot be made as it is described; nothing was touched:\n"
            + "\n".join(f"  {problem}" for problem in problems),
            kind="wrong_use",
            evidence={"problems": problems},
        )


def _leads_out(path: str) -> bool:
    parts = path.split("/")
    return not path or path.startswith("/") or ".." in parts or any(part in ("", ".") for part in parts)


def _shared_problems(names: t.Sequence[str]) -> t.Iterator[str]:
    for name in names:
        if _leads_out(name) or name.split("/")[0] == "venv":
            yield f"shared: {name!r} is no path of a directory within the release"
        # The user may write to the one above, and root would make a directory there.
        for other in names:
            if name.startswith(f"{other}/"):
                yield f"shared: {name!r} is within {other!r}, which is shared as a whole"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"shared: {name!r} is there twice"


def _git_problems(git: GitSource) -> t.Iterator[str]:
    if not git.url or git.url.startswith("-"):
        yield f"source.git: {git.url!r} is no address of a repository"
    if not git.version or git.version.startswith("-"):
        yield f"source.version: {git.version!r} is no branch, tag or commit"
    # Over HTTP what stands before the host alone is often a token.
    if re.search(r"://[^/@]*:[^/@]*@|^https?://[^/]*@", git.url, re.IGNORECASE):
        yield (
            "source.git: a password or token in the address is shown by ps, and all users of the host can read where a "
            "release comes from; give the stack's user a key or git credentials"
        )
