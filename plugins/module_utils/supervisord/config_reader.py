# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Read a config on standard input with the host's own supervisor; print what it understood as one line of JSON.

A program of its own: ``parse_back`` hands its source to the interpreter that has supervisor, which need not
have anything else. It starts nothing and writes no file.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
import typing as t

OLDEST = (4, 2, 2)  # that Rollcall accepts


class ConfigRefused(Exception):
    """supervisor will not start with this config; its text says why."""


class _Stream(io.TextIOWrapper):
    """The config; supervisor puts its representation where the file's name belongs in an error."""

    def __repr__(self) -> str:
        return "this config"


def read_version() -> str:
    """Return supervisor's version, without importing what only some Python can import."""
    import supervisor

    with open(os.path.join(supervisor.__path__[0], "version.txt"), encoding="utf-8") as stream:
        return stream.read().strip()


def release(version: str) -> t.Tuple[int, ...]:
    """Return the leading numbers of a version: ``4.3.0.dev0`` is (4, 3, 0)."""
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def read_config(stream: t.IO[str]) -> t.Dict[str, t.Any]:
    """Return what supervisor understands of ``stream``.

    Raises:
        ConfigRefused: it would not start with it.
    """
    import tempfile

    tempfile.tempdir = "/"  # else supervisor has it looked for, which writes a file
    from supervisor.options import ServerOptions

    def refuse(message: object) -> t.NoReturn:
        raise ConfigRefused(str(message))

    options = ServerOptions()
    options.usage = refuse  # prints and exits otherwise
    options.configfile = stream
    options.realize(args=[], doc="", progname="supervisord")
    groups = options.process_group_configs
    return {
        "daemon": _daemon(options),
        "programs": [_program(group, process) for group in groups for process in group.process_configs],
    }


def _daemon(options: t.Any) -> t.Dict[str, t.Any]:
    section = options.configroot.supervisord
    return {
        "identifier": section.identifier,
        "pidfile": options.pidfile,
        "logfile": options.logfile,
        "logfile_maxbytes": section.logfile_maxbytes,
        "logfile_backups": section.logfile_backups,
        "childlogdir": section.childlogdir,
        "nodaemon": section.nodaemon,
        "silent": section.silent,
        "user": section.user,
        "environment": section.environment,
        "servers": [_server(server) for server in options.server_configs],
        "interfaces": [name for name, factory, extras in options.rpcinterface_factories],
    }


def _server(server: t.Mapping[str, t.Any]) -> str:
    if "file" not in server:
        return f"{server['host'] or '*'}:{server['port']}"
    guarded = "" if server["password"] is None else ", with a password"
    return f"{server['file']}, mode {server['chmod']:04o}{guarded}"


def _program(group: t.Any, process: t.Any) -> t.Dict[str, t.Any]:
    """Return every key of a program's section, set or not, as supervisor has it."""
    import signal

    keys = {name: getattr(process, name) for name in (*process.req_param_names, *process.optional_param_names)}
    plain = group.name == process.name and type(group).__name__ == "ProcessGroupConfig"
    return {
        **keys,
        "name": process.name if plain else f"{group.name}:{process.name}",
        # as supervisor.process.Subprocess.get_execv_args does it
        "command": shlex.split(process.command),
        "autorestart": _autorestart(process.autorestart),
        "stopsignal": signal.Signals(process.stopsignal).name[3:],
    }


def _autorestart(value: t.Any) -> str:
    """Return the word for what supervisor keeps as a class, or as False."""
    if value is False:
        return "false"
    return "true" if value.__name__ == "RestartUnconditionally" else "unexpected"


def main() -> None:
    """Print one line: ``version``, and unless that is too old either ``daemon`` and ``programs``, or ``refusal``."""
    answer: t.Dict[str, t.Any] = {"version": read_version()}
    try:
        if release(answer["version"]) >= OLDEST:
            answer.update(read_config(_Stream(sys.stdin.buffer, encoding="utf-8")))
    except (ConfigRefused, ValueError) as exc:
        answer["refusal"] = str(exc)
    sys.stdout.write(json.dumps(answer, default=str) + "\n")


if __name__ == "__main__":
    main()
