# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a stack has in its directories: the modes they may have, logs, what runs have left behind, versions."""

from __future__ import annotations

import os
import re
import stat
import typing as t

from ..base import installation
from ..base.files import read_text
from ..base.installation import Broken
from ..base.text import last_lines
from ..base.version import VERSION
from ..manifest.model import DEFAULT_PATH, Paths, Stack
from ..manifest.release_paths import current_release
from ..state import registry
from ..state.directories import LOGS, PRIVATE, PUBLIC
from ..state.generations import current_id
from ..state.lock import locked_by_other
from ..state.memory import last_failure
from ..state.runs import old_runs, runs_directory
from ..supervisord.config import SUPERVISORD_LOG_MAX_BYTES
from ..supervisord.places import engine_directory, engine_python, log_file
from .facts import LeftOvers, LogFile, OwnPath, Versions

_PROOF_SECONDS = 20.0


def directories(paths: Paths, root: str) -> t.Dict[str, int]:
    """Return the directories that a stack has for good, and the modes they are made with."""
    return {root: PUBLIC, paths.state: PRIVATE, paths.run: PRIVATE, paths.logs: LOGS}


def own_paths(paths: Paths, root: str) -> t.Iterator[OwnPath]:
    """Find what is Rollcall's own, with the most that its modes may be."""
    etc = os.path.realpath(paths.etc)
    engine = engine_directory(root)
    wanted = {
        **directories(paths, root),
        **dict.fromkeys([*(os.path.join(root, name) for name in ("generations", "bin", "lib")), etc, engine], PUBLIC),
        os.path.join(engine, "rollcall"): PUBLIC,
        os.path.join(root, "bin", "rollcall"): PUBLIC,
        os.path.join(etc, os.path.basename(paths.manifest)): 0o640,
        os.path.join(etc, os.path.basename(paths.config)): 0o640,
        paths.socket: PRIVATE,
    }
    for path, most in wanted.items():
        yield from _own_path(path, most)
    env_dir = os.path.join(etc, os.path.basename(paths.env_dir))
    yield from _own_path(env_dir, PRIVATE, secret=True)
    for name in sorted(os.listdir(env_dir)) if os.path.isdir(env_dir) else ():
        yield from _own_path(os.path.join(env_dir, name), 0o600, secret=True)


def _own_path(path: str, most: int, *, secret: bool = False) -> t.Iterator[OwnPath]:
    try:
        seen = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISLNK(seen.st_mode):
        # A socket cannot be opened, and by its path another one's mode could be changed: it is left to a command.
        plain = stat.S_ISREG(seen.st_mode) or stat.S_ISDIR(seen.st_mode)
        yield OwnPath(path, stat.S_IMODE(seen.st_mode), most, seen.st_uid, secret, plain)


def log_files(stack: Stack) -> t.Iterator[LogFile]:
    for service in stack.services:
        path = log_file(stack, service.name)
        yield LogFile(path, _size(path), service.log_max_bytes)
    for name in ("supervisord.log", "supervisord.out"):
        path = os.path.join(stack.paths.logs, name)
        yield LogFile(path, _size(path), SUPERVISORD_LOG_MAX_BYTES)


def _size(path: str) -> int:
    """Return how many bytes a log has; 0 for what is none of its own: that must not be emptied."""
    try:
        seen = os.lstat(path)
    except FileNotFoundError:
        return 0
    return seen.st_size if stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1 else 0


def left_overs(paths: Paths, root: str) -> LeftOvers:
    """Find what runs that were cut off have left. While one is at work, that may be its own."""
    store = os.path.join(root, "generations")
    current = current_id(paths)
    unfinished = [
        path
        for path in _inside(store)
        if os.path.isdir(path) and os.path.basename(path) != current and not os.path.exists(f"{path}/meta.json")
    ]
    places = [paths.state, runs_directory(paths.state), *_inside(store)]
    places += [os.path.join(path, os.path.basename(paths.env_dir)) for path in _inside(store)]
    temporary = [
        path
        for place in places
        if not any(place.startswith(other) for other in unfinished)
        for path in _inside(place)
        if path.endswith(".new") and (os.path.islink(path) or os.path.isfile(path))
    ]
    # In the root others have files as well: of a run there are links alone, each by one name.
    links = (f"{path}.new" for path in (registry.path(root), current_release(root), paths.etc))
    temporary += [path for path in links if os.path.islink(path)]
    failure = last_failure(paths.state)
    old = old_runs(paths.state, None if failure is None else failure["run"])
    return LeftOvers(tuple(temporary), tuple(unfinished), len(old))


def _inside(directory: str) -> t.List[str]:
    try:
        return [os.path.join(directory, name) for name in sorted(os.listdir(directory))]
    except (FileNotFoundError, NotADirectoryError):
        return []


def versions(root: str) -> Versions:
    engine = engine_directory(root)
    folders = dict.fromkeys([*os.environ.get("PATH", "").split(os.pathsep), *DEFAULT_PATH.split(":")])
    there = [os.path.join(folder, "supervisord") for folder in folders if folder]
    on_path = {os.path.realpath(path): path for path in reversed(there) if os.access(path, os.X_OK)}
    return Versions(
        own=VERSION,
        engine=_match(os.path.join(engine, "rollcall", "base", "version.py"), r'^VERSION = "(.*)"'),
        python=tuple(
            map(int, re.findall(r"\d+", _match(f"{engine}/venv/pyvenv.cfg", r"^version\S* = (.*)") or "")[:3])
        ),
        configured=os.path.join(engine, "venv", "bin", "supervisord"),
        on_path=tuple(reversed(on_path.values())),
    )


def damage(root: str, stack: t.Optional[Stack]) -> t.List[Broken]:
    """Return what is missing or damaged of the engine and its environment, as the stack's user finds it.

    The engine's own Python is asked, in a process that takes the rights of that user.
    """
    import subprocess

    python = engine_python(root)
    if not os.access(python, os.X_OK):
        # A finding of its own, as soon as a manifest is there to be proved.
        return []
    if not os.path.exists(os.path.join(engine_directory(root), installation.FILES)):
        # The last that an install writes: there is nothing yet that the files could be compared with.
        return []
    state = Paths.of(root).state if stack is None else stack.paths.state
    before = locked_by_other(state)
    user = "" if stack is None or stack.user is None else stack.user
    command = [python, "-I", str(installation.__file__), installation.ENGINE, root, user]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PROOF_SECONDS, check=False)
    lines = [line.partition(" ") for line in done.stdout.splitlines()]
    told = [rest.partition(": ") for word, _blank, rest in lines if word == "broken"]
    if not told and done.returncode != 0:
        told = [(python, ": ", f"it does not run: {(last_lines(done.stderr, 1) or ['it says nothing'])[0]}")]
    if before is not None or locked_by_other(state) is not None:
        # It may be the engine that is replaced: for a moment it is neither the old one nor the new one.
        return []
    return [Broken(subject, what) for subject, _colon, what in told]


def _match(path: str, pattern: str) -> t.Optional[str]:
    """Return what a pattern finds in a file; None when it finds nothing or there is no such file."""
    try:
        found = re.search(pattern, read_text(path), re.MULTILINE)
    except FileNotFoundError:
        return None
    return None if found is None else found.group(1)
