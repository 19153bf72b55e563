# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a release is called, which environment it needs, and which old ones go: pure functions over facts."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import dataclass, field

from ..base.errors import RollcallError

# A directory's name below R/releases, so no path and nothing hidden.
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Git:
    """Where code comes from: a repository, and the branch, tag or commit of it."""

    url: str
    version: str = "HEAD"


@dataclass(frozen=True)
class Sent:
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
class Python:
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
class Wish:
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
    source: t.Union[str, Git] = ""
    code: Sent = Sent()
    wheels: Sent = Sent()
    strip: int = 0
    shared: t.Tuple[str, ...] = ()
    python: t.Optional[Python] = None
    build: t.Tuple[t.Tuple[str, ...], ...] = ()
    environment: t.Mapping[str, str] = field(default_factory=dict)
    before_switch: t.Tuple[t.Tuple[str, ...], ...] = ()
    after_switch: t.Tuple[t.Tuple[str, ...], ...] = ()
    keep: int = 5
    timeout: float = 600.0

    @property
    def origin(self) -> str:
        """The source as people know it."""
        return f"{self.source.url} {self.source.version}" if isinstance(self.source, Git) else self.source


def wish(params: t.Mapping[str, t.Any]) -> Wish:
    """Return what the options of the module say.

    Raises:
        RollcallError: ``wrong_use``: the source is none.
    """
    received = params["received"] or {}
    python = params["python"]
    made = Wish(
        root=params["root"],
        user=params["user"],
        id=params["id"] or "",
        source=_source(params["source"]),
        code=Sent(**received.get("code", {})),
        wheels=Sent(**received.get("wheels", {})),
        strip=params["strip"],
        shared=tuple(params["shared"]),
        python=None if python is None else Python(python["requirements"], python["python"], bool(python["wheels"])),
        build=_commands(params["build"]),
        environment={name: str(value) for name, value in params["environment"].items()},
        before_switch=_commands(params["before_switch"]),
        after_switch=_commands(params["after_switch"]),
        keep=params["keep"],
        timeout=params["timeout"],
    )
    check(made)
    return made


def _source(value: t.Any) -> t.Union[str, Git]:
    if isinstance(value, str) or value is None:
        return value or ""
    if not isinstance(value, t.Mapping) or "git" not in value or not set(value) <= {"git", "version"}:
        # Not the value itself: an address can have a password in it.
        found = f"has {', '.join(map(str, value))}" if isinstance(value, t.Mapping) else f"is a {type(value).__name__}"
        raise RollcallError(
            f"source {found}, and must be a path, or a mapping with `git` and `version`.", kind="wrong_use"
        )
    return Git(str(value["git"]), str(value.get("version", "HEAD")))


def _commands(lists: t.Sequence[t.Sequence[t.Any]]) -> t.Tuple[t.Tuple[str, ...], ...]:
    return tuple(tuple(str(word) for word in command) for command in lists)


def check(wish: Wish) -> None:
    """Find all that cannot be meant.

    Raises:
        RollcallError: ``wrong_use``, with every problem.
    """
    problems = []
    if wish.id and not ID.fullmatch(wish.id):
        problems.append(f"id: {wish.id!r} is no name of a directory: letters, digits, '.', '_' and '-', at most 64")
    problems += _shared_problems(wish.shared)
    for place in ("build", "before_switch", "after_switch"):
        if not all(getattr(wish, place)) or not all(command[0] for command in getattr(wish, place) if command):
            problems.append(f"{place}: each command is a list that begins with a program")
    if wish.python is not None and _leads_out(wish.python.requirements):
        problems.append(f"python.requirements: {wish.python.requirements!r} is no path within the release")
    if isinstance(wish.source, Git):
        problems += _git_problems(wish.source)
    if wish.keep < 1:
        problems.append(f"keep: {wish.keep} would keep nothing")
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


def _git_problems(git: Git) -> t.Iterator[str]:
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


def recipe(wish: Wish, interpreter: str) -> str:
    """Return 6 hex digits over all that makes a release of the code: another recipe makes another release.

    Args:
        wish: what is wanted.
        interpreter: which Python of this host the virtual environment is made with; empty without one.
    """
    python = None if wish.python is None else [wish.python.requirements, wish.wheels.digest, interpreter]
    text = json.dumps([wish.strip, wish.shared, python, wish.build, sorted(wish.environment.items())])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:6]


def release_id(wish: Wish, code: str, made_by: str) -> str:
    """Return the name of a release: the given one, or 12 digits of the code's digest or commit, and its recipe."""
    return wish.id or f"{code[:12]}-{made_by}"


def environment_id(requirements: t.Sequence[str], wheels: str, interpreter: str) -> str:
    """Return the name of a virtual environment: 16 hex digits over all that is installed into it.

    Args:
        requirements: the texts of the list and of all lists that it includes.
        wheels: the digest of the directory of wheels; empty for the index.
        interpreter: which Python it is made with.
    """
    text = json.dumps([requirements, wheels, interpreter])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)[\s=]*([^\s#]+)")
_LOCAL = re.compile(r"(?:-e\b|--editable\b|\.{0,2}/|\.$|file:)|[^#]*@\s*file:")


def included(text: str) -> t.List[str]:
    """Return the lists that a list of requirements includes, as it names them."""
    return [found[1] for line in text.splitlines() for found in [_INCLUDE.match(line.strip())] if found]


def local_requirements(text: str) -> t.List[str]:
    """Return the lines that install from a directory: a virtual environment is there for several releases."""
    return [line.strip() for line in text.splitlines() if _LOCAL.match(line.strip())]


# --- which old ones go --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """A release that is on the host.

    Attributes:
        id: its name.
        made: seconds since the epoch, by its marker.
        environment: the virtual environment that it links to; empty without one.
    """

    id: str
    made: float
    environment: str = ""


def to_prune(
    releases: t.Iterable[Kept], environments: t.Iterable[str], needed: t.Container[str], keep: int
) -> t.Tuple[t.List[str], t.List[str]]:
    """Return the releases that go and the virtual environments that go with them.

    Args:
        releases: those that are on the host.
        environments: the names of those that are on the host.
        needed: releases that stay whatever their age: those in place, on their way there, and of kept generations.
        keep: how many of the newest stay besides.
    """
    ordered = sorted(releases, key=lambda release: (release.made, release.id), reverse=True)
    going = [release for release in ordered[keep:] if release.id not in needed]
    used = {release.environment for release in ordered if release not in going}
    return sorted(release.id for release in going), sorted(name for name in environments if name not in used)
