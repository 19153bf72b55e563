# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Is the host fit for the stack: its account, directories, programs, and what services require. Changes nothing."""

from __future__ import annotations

import functools
import os
import stat
import typing as t

from ..base import cures
from ..base.errors import Problem, RollcallError
from ..host.accounts import Account, acting_as, find_account, readable_by_uid, require_account, user_name
from ..host.answering import served_mount
from ..host.apart import Works, answers_in_time, apart_each, begin_each
from ..host.mounts import mounts
from ..manifest.graph import held_back
from ..manifest.model import DEFAULT_PATH, GIVEN_TO_ALL, Service, Stack
from ..manifest.release_paths import current_release, release_directory
from ..manifest.revision import runs_release
from ..state import registry
from ..state.generations import load_environment
from ..supervisord.places import engine_python
from .limits import FILES

# Bytes. A config, a record and a few log lines need less; with less, supervisord fails in ways that are hard to read.
MINIMUM_FREE = 8 * 1024 * 1024
# Seconds in which a file system that is suspected answers.
HUNG = 0.5


def account(stack: Stack) -> Account:
    """Return the account that runs the services: the stack's user, or whoever runs this.

    Raises:
        RollcallError: the user does not exist, or is not the one running this and this is not root.
    """
    who = require_account(stack.user)
    owner = os.stat(stack.root).st_uid if os.path.isdir(stack.root) else who.uid
    if stack.user is None and who.uid == 0 and owner != 0:
        name = user_name(owner)
        raise RollcallError(
            f"Stack {stack.name} is run by user '{name}', to whom {stack.root} belongs, and this is root: its files "
            f"would become root's, and {name} could not use them any more. Nothing was stopped or changed.",
            kind="wrong_use",
            evidence={"root": stack.root, "owner": name},
            remedies=[cures.as_user(name, cures.STATUS), cures.then("name the user in the manifest: user")],
        )
    return who


def wanted_user(stack: Stack, uid: int) -> str:
    """Return the user who must run the stack; empty when that is the user of ``uid``, or is not known.

    A manifest that names nobody means whoever made its state directory.
    """
    try:
        wanted = find_account(stack.user).uid if stack.user is not None else os.stat(stack.paths.state).st_uid
    except FileNotFoundError:
        return ""
    return "" if wanted == uid else user_name(wanted)


def held(
    stack: Stack,
    environment: t.Optional[t.Mapping[str, t.Mapping[str, str]]] = None,
    awaited: str = "",
    delivered: t.Collection[str] = (),
) -> t.Dict[str, str]:
    """Return the services that are to stay down, with the reason: something they require is missing, or held itself.

    Args:
        stack: the manifest.
        environment: the variables of the services' private files; None reads those that are installed.
        awaited: the directory of a release that is yet to come; what is inside of it is taken as there.
        delivered: files that will be there when the run begins, as check mode knows.

    Raises:
        RollcallError: the private files cannot be read, or there is no such user.
    """
    if not any(service.requires_files or service.requires_env for service in stack.services):
        return {}
    variables = load_environment(stack) if environment is None else environment

    def lacks(service: Service) -> str:
        return _lacks(stack, service, variables.get(service.name, {}), awaited, delivered)

    lacking = {service.name: lacks(service) for service in stack.services if not service.requires_files}
    foreign = [service for service in stack.services if service.requires_files]
    if foreign:
        # One that does not answer is no reason to stop a service; `begin_fit` tells it.
        works = {service.name: functools.partial(lacks, service) for service in foreign}
        lacking.update(apart_each(works, FILES))
    return held_back(stack, {name: what for name, what in lacking.items() if what})


def _lacks(
    stack: Stack, service: Service, private: t.Mapping[str, str], awaited: str, delivered: t.Collection[str]
) -> str:
    """Return what a service requires and does not have, in words; empty when it has all."""
    parts = []
    who = find_account(stack.user)
    for path in service.requires_files:
        real = as_installed(stack, path)
        if path in delivered or _inside(real, awaited):
            continue
        if not os.path.exists(real):
            parts.append(f"the file {path}, which does not exist")
        elif not may(real, who, 0o4):
            parts.append(f"the file {path}, which user {who.name} may not read")
    if service.requires_env:
        from ..supervisord.environment import service_variables  # late: few services require a variable

        known = {**dict.fromkeys(GIVEN_TO_ALL, "given"), **service_variables(stack, service), **private}
        parts += [f"the variable {name}, which is not set" for name in service.requires_env if not known.get(name)]
    return f"it needs {', and '.join(parts)}" if parts else ""


def absent_release(stack: Stack) -> str:
    """Return where the release of the manifest would be when it is not on this host; else nothing."""
    place = "" if stack.release is None else release_directory(stack.root, stack.release)
    return "" if os.path.isdir(place) else place


def _without_release(stack: Stack) -> t.Iterator[Problem]:
    """Find that services run from the release in place, and the manifest has none: the link would lead nowhere."""
    if stack.release is None and registry.leads_to_release(stack):
        named = [one.name for one in stack.entries.values() if runs_release(stack, one)]
        if named:
            place = current_release(stack.root)
            message = f"there is none, and {', '.join(named)} run from {place}, which would lead nowhere"
            yield problem(
                "rollcall_release", message, cures.then("keep it in the inventory, or have them run from elsewhere")
            )


def _inside(path: str, directory: str) -> bool:
    return bool(directory) and (path == directory or path.startswith(f"{directory}/"))


def as_installed(stack: Stack, path: str) -> str:
    """Return where a path leads once the manifest is installed: before that, ``current`` is still another release."""
    current = current_release(stack.root)
    if stack.release is None or not (path == current or path.startswith(f"{current}/")):
        return path
    return release_directory(stack.root, stack.release) + path[len(current) :]


# Which directories are missing or cannot be used, and which programs of the services.
Fitness = t.Tuple[t.List[Problem], t.List[Problem]]
Look = t.Callable[[], Fitness]


def begin_fit(stack: Stack) -> Look:
    """Begin to look for what is unfit, as the one who runs the services; return what waits for it, to be called once.

    A child looks: the file system of a service may never answer, and then that is its problem.
    """
    looks = fit_works(stack)
    answered = begin_each(*looks)
    return lambda: fit_of(stack, answered())


def none() -> Fitness:
    """Return that nothing is unfit, for who looks later."""
    return [], []


def fit_works(stack: Stack) -> Works:
    """Return what a child is to do for `fit_of`."""
    return _works(stack, "", False, _nothing)


def fit_of(stack: Stack, answers: t.Mapping[str, t.Any]) -> Fitness:
    """Return what a child has found by `fit_works`: what is unfit, and that it was not done in time."""
    return _fitness(stack, answers)[1]


def begin_fit_to_start(
    stack: Stack, awaited: str, *, given: bool, besides: t.Callable[[Stack], t.Iterable[Problem]]
) -> t.Callable[[], t.Tuple[Fitness, Fitness]]:
    """Begin to look for what is unfit for a start; return what waits for it, to be called once.

    That returns what is unfit for a start, and what is unfit as it is now.

    Args:
        stack: the manifest.
        awaited: the directory of a release that is yet to come; what is inside of it is not looked for.
        given: whether the stack's own directories and logs are given to its user before anything starts.
        besides: finds what else is unfit in the stack's own directories.
    """
    answered = begin_each(*_works(stack, awaited, given, besides))
    return lambda: _fitness(stack, answered())


def _nothing(_stack: Stack) -> t.Iterable[Problem]:
    return ()


def _works(stack: Stack, awaited: str, given: bool, besides: t.Callable[[Stack], t.Iterable[Problem]]) -> Works:
    """Return what a child is to do for `_fitness`; arguments as `begin_fit_to_start`."""

    def look(name: str) -> t.List[t.List[t.Dict[str, t.Any]]]:
        who = find_account(stack.user)
        if name:
            files, programs = _of_service(stack, stack.entries[name], who, awaited)
            first = now = files
        else:
            files, programs = _of_stack(stack, who, awaited)
            now = [*_directories(stack, who, given=False), *files]
            first = [*_directories(stack, who, given=True), *files] if given else list(now)
            first += besides(stack)
        return [[problem._asdict() for problem in problems] for problems in (first, now, programs)]

    return Works({name: functools.partial(look, name) for name in _names(stack)}, FILES)


def _names(stack: Stack) -> t.List[str]:
    return ["", *stack.entries]


def _fitness(stack: Stack, answers: t.Mapping[str, t.Any]) -> t.Tuple[Fitness, Fitness]:
    """Return what a child has found for the stack and its services, and that one of these took too long."""
    names = _names(stack)
    found = [[[Problem(**one) for one in problems] for problems in answers[name]] for name in names if name in answers]
    late = [name for name in names if name not in answers]
    hangs = [_hangs(stack, late[0])] if late else []
    first, now, programs = ([one for each in found for one in each[number]] for number in (0, 1, 2))
    return ([*hangs, *first], programs), ([*hangs, *now], programs)


def _of_stack(stack: Stack, who: Account, awaited: str) -> t.Tuple[t.List[Problem], t.List[Problem]]:
    problems = []
    absent = absent_release(stack)
    if absent and absent != awaited:
        problems.append(problem(absent, "the release does not exist on this host", cures.INSTALL))
    problems += _without_release(stack)
    return problems, list(_interpreter(stack, who))


def _of_service(
    stack: Stack, service: Service, who: Account, awaited: str
) -> t.Tuple[t.List[Problem], t.List[Problem]]:
    problems = []
    real = as_installed(stack, service.directory)
    if not _inside(real, awaited) and not os.path.isdir(real):
        place = f"stack.services.{service.name}.directory"
        problems.append(problem(place, f"{service.directory} does not exist", cures.make_directory(service.directory)))
    # Whether it lacks them, `held` judges; here it only shows whether they answer.
    for path in service.requires_files:
        os.path.exists(as_installed(stack, path))
    return problems, list(_program(stack, service, who, awaited))


def _hangs(stack: Stack, name: str) -> Problem:
    """Return the problem that the file system of a service, or of the stack where it has no name, does not answer."""
    if not name:
        paths, place = [stack.paths.run, stack.paths.logs], "stack.paths"
    else:
        service = stack.entries[name]
        program = service.command[0]
        programs = [program] if os.path.isabs(program) else _search_path(service)
        paths = [service.directory, *programs, *service.requires_files]
        place = f"stack.services.{name}"
    known = mounts()
    served = {path: served_mount(path, known) for path in paths if os.path.isabs(path)}
    silent = {path: point for path, point in served.items() if point and not answers_in_time(path, point, HUNG)}
    if not silent:
        return problem(
            place, f"its files do not answer within {FILES:g} s: {', '.join(paths)}", cures.manifest_or_host()
        )
    (path, point), *_others = silent.items()
    message = f"its files do not answer within {FILES:g} s: {path}, on the file system at {point}"
    return problem(place, message, cures.unmount_hung(point))


def _interpreter(stack: Stack, who: Account) -> t.Iterator[Problem]:
    """Find that the engine's Python, which runs supervisord, is one that the stack's user may not execute."""
    python = engine_python(stack.root)
    # Who is neither root nor that user cannot act as it, and so cannot tell.
    if os.access(python, os.X_OK) and os.geteuid() in (0, who.uid):
        with acting_as(who):
            able = os.access(python, os.X_OK, effective_ids=True)
        if not able:
            message = f"user {who.name} may not execute it: it leads to {os.path.realpath(python)}"
            yield problem(python, message, cures.another_python())


def _directories(stack: Stack, who: Account, *, given: bool) -> t.Iterator[Problem]:
    root = os.path.realpath(stack.root)
    if not os.path.isdir(stack.paths.state):
        # Each run makes it, so somebody has removed it: nothing is known of earlier lives, or of what a way back needs.
        yield problem("stack.paths.state", f"directory {stack.paths.state} does not exist", cures.FIX)
    for place, path in (("stack.paths.run", stack.paths.run), ("stack.paths.logs", stack.paths.logs)):
        if not os.path.isdir(path):
            yield problem(place, f"directory {path} does not exist", cures.FIX)
        elif not may(path, who, 0o3) and not (given and os.path.realpath(path).startswith(f"{root}/")):
            message = f"user {who.name} may not write to {path}"
            yield problem(place, message, cures.give(who.name, os.path.realpath(path)))
    readable = readable_by_uid(who.uid)
    for name in ("supervisord.log", "supervisord.out", *(f"{name}.log" for name in stack.entries)):
        path = os.path.join(stack.paths.logs, name)
        try:
            seen = os.lstat(path)
        except (FileNotFoundError, PermissionError):
            # Who looks may not be who runs the stack, and then cannot tell.
            continue
        if not stat.S_ISREG(seen.st_mode):
            what = "a link" if stat.S_ISLNK(seen.st_mode) else "no regular file"
            yield problem(path, f"is {what}, and a log is a regular file", cures.move_away(path))
            continue
        owners = {who.uid, os.stat(stack.paths.logs).st_uid} if given else {who.uid}
        if seen.st_uid not in owners and (seen.st_nlink > 1 or not readable(seen)):
            # It may be a file of somebody else's under a second name, which must not be given away.
            message = f"belongs to {user_name(seen.st_uid)}, and what is in it may not be for user {who.name}"
            yield problem(path, message, cures.move_away(path))
        elif not given and not may(path, who, 0o2):
            writable = cures.as_owner(who.name if who.other else "", cures.mode("u+w", path))
            cure = writable if seen.st_uid == who.uid else cures.give(who.name, path)
            yield problem(path, f"user {who.name} may not write to it", cure)


def _program(stack: Stack, service: Service, who: Account, awaited: str) -> t.Iterator[Problem]:
    """Find the program as supervisord's child will: absolute, or along the PATH of the service."""
    place = f"stack.services.{service.name}"
    program = service.command[0]
    if os.path.isabs(program):
        real = as_installed(stack, program)
        if _inside(real, awaited):
            return
        if not os.path.exists(real):
            yield problem(
                f"{place}.command[0]", f"{program} does not exist", cures.correct("the command, or install the program")
            )
        elif os.path.isdir(real) or not may(real, who, 0o1):
            yield problem(
                f"{place}.command[0]", f"user {who.name} may not execute {program}", cures.mode("+x", program)
            )
    else:
        places = [as_installed(stack, entry) for entry in _search_path(service)]
        if not any(_inside(folder, awaited) or _is_program(os.path.join(folder, program)) for folder in places):
            path = os.pathsep.join(places)
            yield problem(
                f"{place}.command[0]",
                f"'{program}' is not on the PATH {path}",
                cures.correct("the command, or install the program"),
            )


def _search_path(service: Service) -> t.List[str]:
    return service.env.get("PATH", DEFAULT_PATH).split(os.pathsep)


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def may(path: str, who: Account, bits: int) -> bool:
    """Return whether ``who`` has the permission ``bits`` (4 read, 2 write, 1 execute or search) on ``path``.

    Judged from the mode bits as path_resolution(7) describes them, because root, asking for itself, may anything. Where
    these refuse it, root asks the kernel as that user: a list of access (acl(5)) may give what the mode does not show.
    """
    if who.uid == os.geteuid():
        return os.access(path, bits)
    if who.uid == 0 or _has_by_mode(path, who, bits):
        return True
    if os.geteuid() != 0:
        return False
    with acting_as(who):
        return os.access(path, bits, effective_ids=True)


def _has_by_mode(path: str, who: Account, bits: int) -> bool:
    status = os.stat(path)
    if status.st_uid == who.uid:
        shift = 6
    elif status.st_gid in who.groups:
        shift = 3
    else:
        shift = 0
    return (status.st_mode >> shift) & bits == bits


def problem(place: str, message: str, cure: str) -> Problem:
    return Problem(place=place, message=message, cure=cure, severity="error")


def lacks_space(path: str, least: int) -> t.Iterator[Problem]:
    """Find that a file system is read-only, or has less than ``least`` bytes or no inode left."""
    numbers = os.statvfs(path)
    free = numbers.f_bavail * numbers.f_frsize
    if numbers.f_flag & os.ST_RDONLY:
        yield problem(
            path,
            "is on a file system mounted read-only",
            cures.writable(path),
        )
    elif free < least or (numbers.f_files and numbers.f_favail == 0):
        room = (
            f"{free // 1024} KiB are free, and {least // 1024} KiB are needed" if free < least else "no inode is free"
        )
        yield problem(path, f"the disk is full: {room}. Make room there", cures.space(path))
