# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The shell command that asks a health check by hand. Pure."""

from __future__ import annotations

import shlex
import typing as t

from ..base import cures
from ..manifest.model import EXEC, HTTPS, TLS, Health
from ..probes.health import LOCAL, is_http, secrets_named


def health_command(service: str, health: Health, user: str = "") -> str:
    """Return the shell command that asks as a health check does, and shows the answer.

    Args:
        service: whose check it is.
        health: the check. No secret can be in a command, so of a check with one `rollcall` shows the answer.
        user: as whom a unix socket is connected to; empty for whoever runs the command.
    """
    user = user if health.socket else ""
    if health.kind == EXEC:
        return cures.execute(service, *health.command)
    if secrets_named(health):
        return cures.look_at(service)
    if is_http(health):
        return cures.as_owner(user, shlex.join(_curl(health)))
    if health.socket:
        # openssl 3 asks over a unix socket as well.
        way = ("openssl", "s_client", "-unix", health.socket) if health.kind == TLS else ("nc", "-vU", health.socket)
        return cures.as_owner(user, shlex.join(way)) + (" < /dev/null" if health.kind == TLS else "")
    host = _in_brackets(health.host)
    if health.kind == TLS:
        return shlex.join(_openssl(health, host)) + " < /dev/null"
    return f"nc -v {health.host} {health.port}"


def _curl(health: Health) -> t.Iterator[str]:
    yield from ("curl", "-sS", "-i")
    if any(char in health.path for char in "[]{}"):
        # curl would take them for several addresses.
        yield "--globoff"
    if health.method == "HEAD":
        yield "--head"
    elif health.method != "GET":
        yield from ("-X", health.method)
    for name, value in health.headers.items():
        # An empty header is written with a semicolon (curl(1)).
        yield from ("-H", f"{name}: {value}" if value else f"{name};")
    if health.kind == HTTPS:
        yield from ("--cacert", health.ca) if health.ca and health.verify else ()
        yield from () if health.verify else ("-k",)
    if health.socket:
        yield from ("--unix-socket", health.socket, f"{health.kind}://{health.server_name or LOCAL}{health.path}")
        return
    host, port = _in_brackets(health.host), health.port
    if health.server_name:
        name = _in_brackets(health.server_name)
        yield from ("--connect-to", f"{name}:{port}:{host}:{port}")
        host = name
    yield f"{health.kind}://{host}:{port}{health.path}"


def _openssl(health: Health, host: str) -> t.Iterator[str]:
    yield from ("openssl", "s_client", "-connect", f"{host}:{health.port}")
    name = health.server_name or health.host
    is_address = ":" in name or name.replace(".", "").isdigit()
    yield from () if is_address else ("-servername", name)
    if health.verify:
        yield from ("-verify_return_error", "-verify_ip" if is_address else "-verify_hostname", name)
        yield from ("-CAfile", health.ca) if health.ca else ()


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host else host
