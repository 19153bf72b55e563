# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The variables of a service: those in supervisord.conf, and in its private file those that the config cannot carry."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..host.accounts import Account, clean_environment
from ..manifest.model import Service, Stack, port_variables
from ..manifest.revision import revision
from .quoting import CONTROL, VARIABLE, why_unquotable, why_unwritable


def label_variables(stack: Stack, service: Service) -> t.Dict[str, str]:
    """Return the variables by which a process is known as this service's, and as of which revision."""
    return {
        "ROLLCALL_STACK": stack.name,
        "ROLLCALL_ROOT": stack.root,
        "ROLLCALL_SERVICE": service.name,
        "ROLLCALL_REVISION": revision(stack, service),
    }


def supervisord_environment(stack: Stack, who: Account, revision_wanted: str) -> t.Dict[str, str]:
    """Return the whole environment of supervisord: nothing of the caller's own reaches the services.

    UTF-8 is set because supervisord fails on non-ASCII values under a C locale; the labels tell whose it is. Python
    keeps its standard output back when that is no terminal, and a log would lack what matters: a service is unbuffered
    unless its own ``env`` says otherwise. This stands here and not in each program's section because no revision is
    made of it: an upgrade of Rollcall restarts nothing, and the next start of supervisord brings it.

    Args:
        stack: whose it is.
        who: runs it.
        revision_wanted: of its config, from ``config.supervisord_revision``.
    """
    return {
        **clean_environment(who),
        "HOME": who.home,
        "PYTHONUNBUFFERED": "1",
        "ROLLCALL_STACK": stack.name,
        "ROLLCALL_ROOT": stack.root,
        "ROLLCALL_REVISION": revision_wanted,
    }


def service_variables(stack: Stack, service: Service) -> t.Dict[str, str]:
    """Return the variables of a service, its secrets aside: ports, its own, and the labels.

    A variable of the manifest wins over a port, and a label over everything.
    """
    variables = {}
    for each in (*map(stack.service, service.depends_on), service):
        ports = port_variables(each.name, each.all_ports)
        variables.update({variable: str(port) for variable, port in ports.items()})
    if service.port is not None:
        variables["PORT"] = str(service.port)
    if service.instance:
        variables["INSTANCE"] = str(service.instance)
    return {**variables, **service.env, **label_variables(stack, service)}


def divide_variables(stack: Stack, service: Service) -> t.Tuple[t.Dict[str, str], t.Dict[str, str]]:
    """Return a service's variables as those for the config and those that only its private file can carry.

    Secrets are in neither: they belong to the file, and their values are known on the controller alone.
    """
    in_config: t.Dict[str, str] = {}
    in_file: t.Dict[str, str] = {}
    for name, value in sorted(service_variables(stack, service).items()):
        if name not in service.secrets:
            (in_config if why_unquotable(value) is None else in_file)[name] = value
    return in_config, in_file


def services_with_private_file(stack: Stack) -> t.List[str]:
    """Return the services that are started with a private file: for secrets, or values that the config cannot carry."""
    return [
        service.name for service in stack.entries.values() if service.secrets or divide_variables(stack, service)[1]
    ]


def why_impossible(name: str, value: str) -> t.Optional[str]:
    """Return why no process can be given this variable; None when one can."""
    if not VARIABLE.match(name):
        return "a variable's name consists of letters, digits and '_', and does not begin with a digit"
    if name.startswith("ROLLCALL_"):
        return "variables that begin with ROLLCALL_ are the labels by which a process is known"
    if "\0" in value:  # execve(2): it ends the string
        return "it contains a zero byte"
    return why_unwritable(CONTROL.sub("", value))


def private_files(stack: Stack, secrets: t.Mapping[str, t.Mapping[str, str]]) -> t.Dict[str, t.Dict[str, str]]:
    """Return the private file of each service that has one: its secrets, and what the config cannot carry.

    The services in it are exactly those whose private file :func:`programs` names to the launcher.

    Args:
        stack: the normalised manifest, which knows only the digests of the secrets.
        secrets: the secrets themselves, by service; instances have those of their service.

    Raises:
        RollcallError: a secret that the manifest names has no value here, or one that no process can be given.
    """
    files = {}
    problems = []
    for service in stack.entries.values():
        content = divide_variables(stack, service)[1]
        written = service.group or service.name
        values = secrets.get(written, {})
        for name in service.secrets:
            reason = why_impossible(name, values[name]) if name in values else "it has no value"
            if reason is None:
                content[name] = values[name]
            else:
                problems.append((f"stack.services.{written}.secrets.{name}", reason))
        if content:
            files[service.name] = content
    if problems:
        raise RollcallError(
            "Secrets that cannot reach their service: " + "; ".join(f"{place}: {why}" for place, why in problems) + ".",
            kind="wrong_use",
            evidence={"problems": [{"place": place, "message": why} for place, why in problems]},
            remedies=[cures.then("give each secret its value in the inventory, from a vault")],
        )
    return files
