# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which processes are supervisords, and over which config: known by their command lines, whatever their sockets do."""

from __future__ import annotations

import os
import shlex
import typing as t

from ..base.text import has_control
from ..host import processes
from ..host.apart import answers
from ..host.homes import Home
from ..host.labels import label_of
from ..host.model import Process
from ..host.mounts import may_hang, mounts
from ..host.roots import Views
from ..host.trust import Trust

if t.TYPE_CHECKING:
    from ..manifest.model import Stack

# Every command line of a supervisord has this word.
NAME = "supervisord"
# Where a supervisord that was told no config looks for one at last.
DEFAULT_CONFIGS = ("/etc/supervisord.conf", "/etc/supervisor/supervisord.conf")


def supervisords_over(
    config_path: str,
    root: t.Optional[str] = None,
    among: t.Optional[t.Iterable[int]] = None,
    known: t.Optional[t.Mapping[int, Process]] = None,
    *,
    trust: t.Optional[Trust] = None,
) -> t.List[Process]:
    """Return the live supervisords over a config, whatever has become of their sockets and pid files.

    Args:
        config_path: the config. It is compared by what its path is for the process: one in another mount namespace, or
            with another root, may have another stack at the same path.
        root: also those that carry the label of the stack at this root and no service's.
        among: look at these pids alone; None means every process.
        known: processes that have been described just before, by pid.
        trust: whose processes count; None counts those of every user.
    """
    found: t.Dict[int, Process] = {}
    views = Views()
    for pid in processes.pids() if among is None else among:
        seen = None if known is None else known.get(pid)
        options = supervisord_options(processes.reader.command(pid, NAME) if seen is None else seen.command)
        if options is None or not (_reads_config(pid, options, config_path, views) or _is_labelled(pid, root, views)):
            continue
        process = processes.describe(pid)
        if process is None or process.container or process.ended:
            continue
        if trust is None or trust.accepts(process):
            found[pid] = process
    # Between fork and exec a new program still has supervisord's own command line: it is no second supervisord.
    return [process for process in found.values() if process.ppid not in found]


def supervisords_of(
    stack: Stack,
    among: t.Optional[t.Iterable[int]] = None,
    known: t.Optional[t.Mapping[int, Process]] = None,
) -> t.List[Process]:
    """Return the live supervisords of a stack: those over its config of its own user and of root.

    What another user runs over that config is none, whatever its command line and its label say.

    Args:
        stack: the manifest.
        among: look at these pids alone; None means every process.
        known: processes that have been described just before, by pid.
    """
    return supervisords_over(stack.paths.config, stack.root, among, known, trust=Trust.of(stack))


def all_supervisords() -> t.List[Process]:
    """Return every living supervisord that can be seen, whoever's it is; those in containers have `container` set."""
    found: t.Dict[int, Process] = {}
    for pid in processes.pids():
        options = supervisord_options(processes.reader.command(pid, NAME))
        process = processes.describe(pid) if options is not None else None
        if process is not None and not process.ended:
            found[pid] = process
    # Between fork and exec a new program still has supervisord's own command line; one that another one runs has not.
    return [
        process
        for process in found.values()
        if process.ppid not in found or found[process.ppid].command != process.command
    ]


def supervisord_options(arguments: t.Sequence[str]) -> t.Optional[t.Sequence[str]]:
    """Return the options of a supervisord's command line, or None when it is another program's."""
    if not arguments:
        return None
    name = os.path.basename(arguments[0])
    if name == NAME:
        return arguments[1:]
    if "python" not in name and "pypy" not in name:
        return None
    rest = list(arguments[1:])
    while rest:
        argument = rest.pop(0)
        if argument == "-m":
            return rest[1:] if rest[:1] == [f"supervisor.{NAME}"] else None
        if not argument.startswith("-"):
            return rest if os.path.basename(argument) == NAME else None
        if argument in ("-X", "-W"):
            del rest[:1]
    return None


def config_of(process: Process) -> t.Optional[str]:
    """Return the absolute path of the config that a supervisord reads; None when that cannot be seen.

    One that was told none takes the first of several places (supervisor.options.Options.__init__). Those beside its
    own program are left out here.
    """
    options = supervisord_options(process.command) or ()
    if any(option.startswith(("-c", "--configuration")) for option in options):
        return _given_config(process.pid, options)
    cwd = processes.reader.working_directory(process.pid)
    names = ("supervisord.conf", "etc/supervisord.conf") if cwd else ()
    places = [*(os.path.join(cwd, name) for name in names), *DEFAULT_CONFIGS]
    return next((place for place in places if _is_there(place)), None)


def _is_there(path: str) -> bool:
    return answers(path) if may_hang(path, mounts()) else os.path.exists(path)


def program_of(pid: int) -> t.Optional[Home]:
    """Return which program of which live supervisord above it a process is; None when there is no such supervisord."""
    above = processes.ancestors(pid)
    supervisord = next((one for one in above if supervisord_options(processes.reader.command(one)) is not None), None)
    if supervisord is None:
        return None
    told = processes.reader.environment(pid, "SUPERVISOR_")
    name = ":".join(told[key] for key in ("SUPERVISOR_GROUP_NAME", "SUPERVISOR_PROCESS_NAME") if key in told)
    url = told.get("SUPERVISOR_SERVER_URL")
    # Whoever runs it has chosen these words, and they become a part of a command that is told.
    if not name or not url or has_control(name + url):
        return Home(f"supervisord pid {supervisord}", "")
    stop = shlex.join(["supervisorctl", "-s", url, "stop", name])
    return Home(f"program {name} of supervisord pid {supervisord}", stop)


def _reads_config(pid: int, options: t.Sequence[str], wanted: str, views: Views) -> bool:
    given = _given_config(pid, options)
    return given is not None and views.is_same(pid, given, wanted)


def _given_config(pid: int, options: t.Sequence[str]) -> t.Optional[str]:
    """Return the config that the options name, made absolute; None when they name none or it cannot be told."""
    given = None
    for number, option in enumerate(options):
        if option in ("-c", "--configuration"):
            given = options[number + 1] if number + 1 < len(options) else None
        elif option.startswith("--configuration="):
            given = option[len("--configuration=") :]
        elif option.startswith("-c") and not option.startswith("--"):
            given = option[2:]
    if not given or os.path.isabs(given):
        return given or None
    cwd = processes.reader.working_directory(pid)
    return os.path.join(cwd, given) if cwd else None


def _is_labelled(pid: int, root: t.Optional[str], views: Views) -> bool:
    """Return whether a process carries the label of the stack at ``root`` and of no service."""
    label = None if root is None else label_of(pid)
    return label is not None and not label.service and views.names_stack(pid, label, root or "")
