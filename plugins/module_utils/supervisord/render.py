# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""supervisord.conf as the role ``services`` writes it, for a host that gives a service another port by itself.

The role's template stays what a person reads; a test holds the two to the same text. Pure.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..manifest.model import Stack
from .config import (
    SUPERVISORD_LOG_BACKUPS,
    SUPERVISORD_LOG_MAX_BYTES,
    USUAL_DESCRIPTORS,
    Program,
    descriptors,
    programs,
)
from .places import supervisord_log
from .quoting import quote_command, quote_environment, quote_value


def render(stack: Stack) -> str:
    """Return the config of a stack.

    Raises:
        Unrepresentable: names every place in the manifest whose value can be written in no way.
    """
    needed = descriptors(stack)
    lines = [
        f"; Written by Rollcall from the manifest of stack {quote_value(stack.name)}.",
        "; Changes made here are lost. Edit the manifest, then run: ansible-playbook site.yml",
        "",
        "[unix_http_server]",
        f"file={quote_value(stack.paths.socket)}",
        "chmod=0700",
        "",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "",
        "[supervisorctl]",
        f"serverurl={quote_value(f'unix://{stack.paths.socket}')}",
        "",
        "[supervisord]",
        f"identifier={quote_value(stack.name)}",
        f"pidfile={quote_value(stack.paths.pidfile)}",
        f"logfile={quote_value(supervisord_log(stack))}",
        f"logfile_maxbytes={SUPERVISORD_LOG_MAX_BYTES}",
        f"logfile_backups={SUPERVISORD_LOG_BACKUPS}",
        "loglevel=info",
        f"childlogdir={quote_value(stack.paths.logs)}",
        *([f"minfds={needed}"] if needed > USUAL_DESCRIPTORS else []),
        "nodaemon=true",
        "silent=true",
    ]
    for program in programs(stack):
        lines += ["", f"[program:{quote_value(program.name)}]", *_section(program)]
    return "\n".join([*lines, ""])


def _section(program: Program) -> t.Iterator[str]:
    for each in dataclasses.fields(program):
        value = getattr(program, each.name)
        if each.name not in ("name", "others") and value is not None:
            yield f"{each.name}={conf_value(value)}"


def conf_value(value: t.Any) -> str:
    """Return a value for its key: a list of text is a command, a list of numbers is joined, a mapping is variables.

    Raises:
        Unrepresentable: it can be written in no way.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, t.Mapping):
        return quote_environment(value)
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) if value and isinstance(value[0], int) else quote_command(value)
    return quote_value(str(value))
