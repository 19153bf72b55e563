# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which unix sockets the services of a manifest may have."""

from __future__ import annotations

import os
import re
import typing as t

from . import corrections
from .host_limits import SUFFIX_OF_SUPERVISORD
from .model import Paths
from .places import Place
from .problems import value_of
from .written import PUBLIC_DIRECTORIES, Written, inside

# What stands for something in other texts.
_FILLED_IN = re.compile(r"\{(?:port|socket|name|instance)(?:[:.][^{}]*)?\}")
# Below the root, where Rollcall keeps what is its own.
_OWN = ("bin", "engine", "lib", "generations", "releases", "current", "ports.json")


def check_sockets(written: Written, paths: t.Optional[Paths]) -> None:
    """Check the path of each socket: how long it is, where it lies, and that it is one service's alone.

    Args:
        written: the stack as it was read.
        paths: its directories; None while its root is not known.
    """
    holders: t.Dict[str, str] = {}
    for name in written.own:
        path: str = value_of(written.own[name], "socket", "")
        place: Place = ("services", name, "socket")
        if not path:
            continue
        if path.startswith("@"):
            written.problems.error(place, "names an abstract socket, which has no path", corrections.another("path"))
            continue
        text = _FILLED_IN.search(written.instances[name][-1].socket)
        if text is not None:
            message = f"{text.group()} stands for nothing in the path of a socket"
            written.problems.error(place, message, corrections.PLAIN_SOCKET)
            continue
        written.resolve(place, path, written.root or "/")
        # The longest, where it has instances.
        _one(written, place, written.instances[name][-1].socket, paths, meant=os.path.isabs(path))
        for instance in written.instances[name]:
            other = holders.setdefault(instance.socket, instance.name)
            if other == instance.name:
                continue
            own = other in (one.name for one in written.instances[name])
            cure = corrections.INSTANCE_IN_SOCKET if own else corrections.GIVE_ANOTHER
            written.problems.error(place, f"{instance.socket} is the socket of {other}, too", cure)
            break


def _one(written: Written, place: Place, path: str, paths: t.Optional[Paths], *, meant: bool) -> None:
    """Check the path of one socket (unix(7): sun_path has 108 bytes on Linux, the 0 at its end included).

    Args:
        written: the stack as it was read.
        place: of the path.
        path: absolute.
        paths: the directories of the stack; None while its root is not known.
        meant: whether it was written as an absolute path, and so is meant where it leads out of the root.
    """
    length, limit = len(os.fsencode(path)), written.host.socket_limit + SUFFIX_OF_SUPERVISORD
    if length > limit:
        message = f"{path} is {length} bytes long, and a socket's path may have {limit}"
        written.problems.error(place, message, corrections.SHORTER_SOCKET)
    if paths is None or written.root is None:
        return
    root = written.root
    if not inside(path, root):
        if any(inside(path, public) for public in PUBLIC_DIRECTORIES):
            written.problems.error(place, "lies where every user may write", corrections.OWN_DIRECTORY)
        elif meant and length <= limit:
            message = f"lies outside of {root}: who may write there can remove it, or listen in its place"
            written.problems.warning(place, message, corrections.SOCKET_BELOW)
    own = [os.path.join(root, name) for name in _OWN] + [paths.etc, paths.state, paths.logs]
    if path in (root, paths.run, paths.socket, paths.pidfile) or any(inside(path, each) for each in own):
        written.problems.error(place, f"{path} is Rollcall's own", corrections.another("path"))
