# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Become a service's command with its limits and the variables of its private file.

``launcher.py [--limits nofile=65536,core=unlimited] [--nice 5] [FILE] -- COMMAND [ARGUMENT ...]``. The form ``FILE --
COMMAND`` stands in every config that earlier versions have installed. With ``--as-shell`` before all of it, it starts
the command as a shell does: a broken pipe ends it, and the exit code says why it cannot be started.

supervisord runs it in the command's place, so secrets are neither in its config nor in a list of processes. It becomes
the command (execve(2)): the pid, the session and the open files are the same. A program of its own, for `python -I`.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import stat
import sys
import typing as t

EX_CONFIG = 78  # sysexits.h; none of a shell's own codes

# getrlimit(2), by the keys of a manifest.
_RESOURCES = {
    "nofile": resource.RLIMIT_NOFILE,
    "nproc": resource.RLIMIT_NPROC,
    "core": resource.RLIMIT_CORE,
    "memory": resource.RLIMIT_AS,
}
_AS_SHELL = "--as-shell"
# A shell's own codes (POSIX, Shell Command Language, 2.8.2).
NOT_EXECUTABLE, NOT_FOUND = 126, 127
_OPTIONS = ("--limits", "--nice")
_USAGE = "usage: launcher.py [--limits NAME=NUMBER,...] [--nice NUMBER] [FILE] -- COMMAND [ARGUMENT ...]"


class Unusable(Exception):
    """Why the command cannot be started, as one sentence.

    Args:
        why: the sentence.
        code: what a shell would exit with.
    """

    def __init__(self, why: str, code: int = NOT_EXECUTABLE) -> None:
        super().__init__(why)
        self.code = code


def read_variables(path: str) -> t.Dict[bytes, bytes]:
    """Return the variables in the JSON object in ``path``, in UTF-8 whatever the locale of the service.

    Raises:
        Unusable: it cannot be read, others may read or write it, its owner is neither this user nor root, or it does
            not hold variables.
    """
    try:
        # The checks are made on the open file: what they see is what is read. A pipe must not hold the start up.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, encoding="utf-8") as stream:
            _check_private(path, os.fstat(descriptor))
            variables = json.load(stream)
    except OSError as exc:
        raise Unusable(f"{path} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        # Neither the text nor its neighbourhood: they are secret.
        raise Unusable(f"{path} is not valid JSON") from exc
    if not isinstance(variables, dict) or not all(_is_variable(*item) for item in variables.items()):
        raise Unusable(f"{path} does not hold an object of names and texts")
    return {name.encode("utf-8"): value.encode("utf-8") for name, value in variables.items()}


def _check_private(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Unusable(f"{path} is not a regular file")
    if status.st_uid not in (0, os.geteuid()):
        raise Unusable(f"{path} belongs to uid {status.st_uid}, not to this process's uid {os.geteuid()} or root")
    if status.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        mode = stat.S_IMODE(status.st_mode)
        raise Unusable(f"{path} has mode {mode:04o}, so others can reach it; it must be 0600")


def _is_variable(name: str, value: t.Any) -> bool:
    """Return whether execve(2) can hand it over: C strings, the name without ``=``, and no half of a surrogate pair."""
    if not isinstance(value, str) or not name or "=" in name or "\0" in name + value:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in name + value)


def set_limits(text: str) -> None:
    """Set limits, such as ``nofile=65536,core=unlimited``, soft and hard alike.

    Raises:
        Unusable: one of them is above the hard limit, or is none.
    """
    for word in text.split(","):
        name, _equals, number = word.partition("=")
        if name not in _RESOURCES or not (number == "unlimited" or (number.isdigit() and len(number) < 20)):
            raise Unusable(f"{word} is no limit")
        limit = resource.RLIM_INFINITY if number == "unlimited" else int(number)
        try:
            resource.setrlimit(_RESOURCES[name], (limit, limit))
        except (OSError, ValueError) as exc:
            most = resource.getrlimit(_RESOURCES[name])[1]
            most_shown = "unlimited" if most == resource.RLIM_INFINITY else most
            raise Unusable(f"the limit {word} cannot be set: the hard limit is {most_shown}") from exc


def main(argv: t.Sequence[str]) -> t.NoReturn:
    """Become the command that ``argv`` names, or say in one line why not and exit 78, or as a shell would."""
    as_shell = argv[:1] == [_AS_SHELL]
    try:
        options, path, command = _divided(argv[1:] if as_shell else argv)
        if path:
            os.environb.update(read_variables(path))
        if "--nice" in options:
            # Only root may go below what it has; the command is started all the same, and the doctor tells it.
            with contextlib.suppress(PermissionError):
                os.setpriority(os.PRIO_PROCESS, 0, int(options["--nice"]))
        # Last: a limit of memory holds for this program, too.
        if "--limits" in options:
            set_limits(options["--limits"])
        if as_shell:
            _heed_broken_pipes()
        _become(command)
    except Unusable as exc:
        sys.stderr.write(f"rollcall launcher: {exc}\n")
        raise SystemExit(exc.code if as_shell else EX_CONFIG) from exc


def _divided(argv: t.Sequence[str]) -> t.Tuple[t.Dict[str, str], str, t.Sequence[str]]:
    """Return the options, the private file, empty where there is none, and the command."""
    options: t.Dict[str, str] = {}
    rest = list(argv)
    while len(rest) > 1 and rest[0] in _OPTIONS:
        options[rest[0]] = rest[1]
        del rest[:2]
    path = rest.pop(0) if rest and rest[0] != "--" else ""
    if len(rest) < 2 or rest[0] != "--" or not rest[1] or not options.get("--nice", "0").isdigit():
        raise Unusable(_USAGE)
    return options, path, rest[1:]


def _heed_broken_pipes() -> None:
    """Let the command be ended by what Python ignores for itself, and so would have it ignore (signal(7))."""
    import signal

    for name in ("SIGPIPE", "SIGXFSZ"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def _become(command: t.Sequence[str]) -> t.NoReturn:
    try:
        os.execvpe(command[0], list(command), os.environ)  # along the PATH of the service
    except OSError as exc:
        code = NOT_FOUND if isinstance(exc, (FileNotFoundError, NotADirectoryError)) else NOT_EXECUTABLE
        raise Unusable(f"{command[0]} cannot be started: {exc.strerror}", code) from exc


if __name__ == "__main__":
    main(sys.argv[1:])
