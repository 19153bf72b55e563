# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What was in a root before Rollcall came: noted in the moment in which ROOT/engine is made, and never removed.

The note is a file of ROOT/engine, and both appear by one rename: wherever an install is cut off, there is no engine
without its note. Where there is none all the same, as after an engine of 0.1.0, nobody knows what was there before.
"""

from __future__ import annotations

import json
import os
import typing as t

from ..base.files import read_text, sync_directory, write_atomically
from ..base.removing import remove

# The note below ROOT/engine: after its first line, which is for people, a name in each line.
NAME = "before"
_TITLE = "# What was here before Rollcall came, a name in each line; it stays when the stack is removed:"
# What an install that was cut off may have left.
_MAKING = ".rollcall-making-"


def make_engine_directory(root: str, *, dry_run: bool = False) -> bool:
    """Make ROOT/engine, and the root itself, with the note of what was there before; return whether it was missing.

    Args:
        root: of the stack.
        dry_run: to say only whether it would be made.

    Raises:
        OSError: it cannot be made; there is no engine then.
    """
    import tempfile

    engine = os.path.join(root, "engine")
    if os.path.lexists(engine) or dry_run:
        return not os.path.lexists(engine)
    if not os.path.isdir(root):
        os.makedirs(root)
        os.chmod(root, 0o755)
    found = sorted(os.listdir(root))
    for name in found:
        if name.startswith(_MAKING):
            remove(os.path.join(root, name))
    names = [_line(name) for name in found if not name.startswith(_MAKING)]
    place = tempfile.mkdtemp(prefix=_MAKING, dir=root)
    write_atomically(os.path.join(place, NAME), "\n".join([_TITLE, *names]) + "\n", 0o644)
    os.chmod(place, 0o755)
    os.rename(place, engine)
    sync_directory(root)
    return True


def names_before(root: str) -> t.Optional[t.List[str]]:
    """Return what was in a root before Rollcall came; None when that is not known.

    Notes of 0.1.0 came from ls, which over SSH can put several names in one line: with a name that is not there, such a
    note says nothing.
    """
    try:
        text = read_text(os.path.join(root, "engine", NAME), errors="surrogateescape")
    except FileNotFoundError:
        return None
    title, *lines = text.splitlines() or [""]
    names = [_name(line) for line in lines]
    if title != _TITLE and not all(os.path.lexists(os.path.join(root, name)) for name in names):
        return None
    return names


def _line(name: str) -> str:
    """Return a name for its line: as it is, or as JSON where that would be another name, or several."""
    plain = name.isprintable() and name == name.strip() and not name.startswith('"')
    return name if plain else json.dumps(name)


def _name(line: str) -> str:
    try:
        name = json.loads(line) if line.startswith('"') else line
    except (ValueError, RecursionError):
        return line
    return name if isinstance(name, str) else line
