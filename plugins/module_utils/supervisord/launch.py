# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How a command is started with what a service has: its user, directory, limits, variables and secrets.

supervisord starts the service itself so, `rollcall exec` what a person calls, and whoever asks with a program.
"""

from __future__ import annotations

import os
import typing as t

from ..host.accounts import require_account
from ..manifest.model import UNLIMITED, Service, Stack
from .environment import divide_variables, supervisord_environment
from .places import engine_python

if t.TYPE_CHECKING:
    from ..host.becoming import Rights

# The launcher's own word, written again: an older collection may have put its launcher here, and looks must go on.
_AS_SHELL = "--as-shell"


class Launch(t.NamedTuple):
    """What starts a command as a service is started.

    Attributes:
        argv: program and arguments, by absolute path: the launcher, which reads the secrets and becomes the command.
        environment: all its variables, without those that only the private file has.
        directory: where it runs.
        rights: its account and umask, and the limits that the launcher sets.
    """

    argv: t.Tuple[str, ...]
    environment: t.Mapping[str, str]
    directory: str
    rights: Rights


def launched(stack: Stack, service: Service, *, private: bool) -> t.Tuple[str, ...]:
    """Return the command that becomes the service's own, which the launcher does where anything is to be set before.

    Args:
        stack: the manifest.
        service: one of its services.
        private: whether it has a private file.
    """
    words = _words(stack, service, private=private)
    return _launcher(stack, words, service.command) if words else tuple(service.command)


def _words(stack: Stack, service: Service, *, private: bool) -> t.List[str]:
    """Return what the launcher is told of a service."""
    words: t.List[str] = []
    limits = limits_of(service)
    if limits:
        told = (f"{name}={'unlimited' if value == UNLIMITED else value}" for name, value in limits.items())
        words += ["--limits", ",".join(told)]
    if service.nice:
        words += ["--nice", str(service.nice)]
    if private:
        words.append(os.path.join(stack.paths.env_dir, f"{service.name}.json"))
    return words


def limits_of(service: Service) -> t.Dict[str, int]:
    """Return the limits that a service has of its own."""
    return {name: value for name, value in vars(service.limits).items() if value is not None}


def _launcher(stack: Stack, words: t.Sequence[str], command: t.Sequence[str]) -> t.Tuple[str, ...]:
    launcher = os.path.join(stack.root, "engine", "rollcall", "launcher.py")
    return (engine_python(stack.root), "-I", launcher, *words, "--", *command)


def launch(
    stack: Stack, service: Service, command: t.Sequence[str], more: t.Optional[t.Mapping[str, str]] = None
) -> Launch:
    """Return what starts a command with the rights, limits and variables of a service, without being a process of it.

    It has the labels of the service, because the application may read them, and one more, ``ROLLCALL_EXEC``: so no
    run ends it, and no verdict counts it. It exits with 126 or 127, as in a shell, when it cannot be started.

    Args:
        stack: the installed manifest.
        service: of it.
        command: program and arguments; a program with a ``/`` that is not absolute is below the service's directory.
        more: variables besides; the service's own come first.

    Raises:
        RollcallError: ``wrong_use``: there is no such user, or it is another one and this is not root.
    """
    # Late import: a controller, which writes configs and launches nothing, compiles what it imports in each run.
    from ..host.becoming import Rights
    from ..host.labels import LABEL_EXEC

    who = require_account(stack.user)
    in_config, in_file = divide_variables(stack, service)
    words = _words(stack, service, private=bool(in_file or service.secrets))
    given = {**(more or {}), **supervisord_environment(stack, who, "")}
    return Launch(
        argv=_launcher(stack, [_AS_SHELL, *words], command),
        environment={**given, **in_config, LABEL_EXEC: "1"},
        directory=service.directory,
        rights=Rights(who, int(service.umask, 8), limits_of(service)),
    )
