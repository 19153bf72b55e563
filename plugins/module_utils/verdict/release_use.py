# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which releases the processes of services have to do with, whatever the manifest calls them. Changes nothing.

A service may name its release by a spelling that is not seen in the manifest: by a variable, through another link, in a
script that it runs. The kernel knows what it works in, executes and has open; and its arguments and variables lead
somewhere.
"""

from __future__ import annotations

import os
import typing as t

from ..host import processes
from ..host.mounts import may_hang, mounts
from ..manifest.model import Stack
from ..manifest.release_paths import current_release, release_directory

if t.TYPE_CHECKING:
    from ..base.documents import Report

# These say where a process has been, not what it runs.
_PAST = ("OLDPWD=",)


def other_releases(stack: Stack, families: t.Mapping[str, t.Sequence[int]]) -> t.Dict[str, t.List[str]]:
    """Return by service the releases besides that of the manifest that its processes work in, run or have open.

    Args:
        stack: the manifest.
        families: the processes of each service.
    """
    if stack.release is None:
        return {}
    found = {}
    for service, family in families.items():
        used: t.Set[str] = set()
        for one in family:
            used |= releases_of(one, stack.root)
        if used - {stack.release}:
            found[service] = sorted(used - {stack.release})
    return found


def running_releases(stack: Stack, report: Report) -> t.Set[str]:
    """Return the ids of the releases that the processes of services work in, run, have open or are given.

    Args:
        stack: the manifest.
        report: of a look at it just now, which has looked at their children for other releases.
    """
    if stack.release is None:
        return set()
    used: t.Set[str] = set()
    for row in report["services"]:
        if row["pid"] is not None:
            used |= releases_of(row["pid"], stack.root)
    for check in report["checks"]:
        if (check["name"], check["code"]) == ("release", "other"):
            used |= set(check["data"]["others"])
    return used


def links_that_lead_elsewhere(stack: Stack) -> t.List[str]:
    """Return why a service that is started again would not run the release of the manifest; nothing when it would."""
    if stack.release is None:
        return []
    link, wanted = current_release(stack.root), release_directory(stack.root, stack.release)
    leads = os.path.realpath(link)
    return [] if leads == os.path.realpath(wanted) else [f"{link} leads to {leads}, and not to {wanted}"]


def releases_of(pid: int, root: str) -> t.Set[str]:
    """Return the ids of the releases of the stack at ``root`` that a process works in, runs, has open or is given."""
    directory = os.path.dirname(release_directory(os.path.realpath(root), "any"))
    used = {_id(path, directory) for path in processes.reader.open_paths(pid)}
    mounted = mounts()
    # A link is not followed on a file system that may not answer; a release is not there.
    given = (path if may_hang(path, mounted) else os.path.realpath(path) for path in _given(pid, root))
    used |= {_id(path, directory) for path in given}
    return used - {""}


def _given(pid: int, root: str) -> t.Iterator[str]:
    """Return the absolute paths among the arguments of a process, and those of its variables that are in the root."""
    arguments, variables = processes.reader.words(pid)
    yield from filter(os.path.isabs, arguments)
    for variable in variables:
        for part in variable.partition("=")[2].split(":"):
            # Following each would cost, and most lead elsewhere.
            if part.startswith(f"{root}/") and not variable.startswith(_PAST):
                yield part


def _id(path: str, directory: str) -> str:
    """Return the id of the release that a path is in; empty when it is in none."""
    return path[len(directory) + 1 :].split("/", 1)[0] if path.startswith(f"{directory}/") else ""
