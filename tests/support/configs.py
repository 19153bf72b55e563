# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stacks made from the data classes, without the manifest's own checks, to render configs of."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import (
    Checks,
    Paths,
    PortRules,
    Service,
    Stack,
    Start,
    Stop,
)

# Texts with a meaning in one of the languages that a value passes through.
PIECES = (
    *(" ;", " #", "\t;", "\u00a0#", ";", "#"),
    *("%", "%%", "%(", "%(here)s", "%(program_name)s", "%(ENV_PATH)s", "%s"),
    *("'", '"', "'\"'", "\\", "\\'", '\\"', "$HOME", "`id`"),
    *("{{ 1 + 1 }}", "{% raw %}", "{#", "=", ",", "A=b,C=d", "[program:x]"),
    *(" ", "  ", "\t", "\u00a0", "\u2028", "\u3000", "\ufeff", "é", "漢字", "😀"),
    *("--", "-", "~", "*", ":", "none", "//", ".."),
)
# What ends a line for configparser, Python or a terminal, and NUL, which no process can be given.
CONTROLS = ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\x1b[0m", "\x7f", "\n[program:evil]\ncommand=id\n")

_plain = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=4)
values = st.lists(st.one_of(st.sampled_from(PIECES), _plain), max_size=8).map("".join)
hostile_values = st.lists(st.one_of(st.sampled_from(PIECES + CONTROLS), _plain), max_size=8).map("".join)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(lambda name: "ROLLCALL_" not in name)
commands = st.lists(values, min_size=1, max_size=5).filter(lambda argv: argv[0] != "").map(tuple)


def service(name: str = "app", **other: t.Any) -> Service:
    """Return a service that differs from the plainest one only in ``other``."""
    plain: t.Dict[str, t.Any] = {
        "name": name,
        "description": "",
        "kind": "service",
        "command": ("/bin/sleep", "60"),
        "directory": "/",
        "env": {},
        "secrets": {},
        "port": None,
        "health": None,
        "depends_on": {},
        "stop": Stop(signal="TERM", timeout=10.0),
        "start": Start(seconds=1.0, retries=3),
        "stable_for": 2.0,
        "ready_timeout": 30.0,
        "restart": "unexpected",
        "log_max_bytes": 10_000_000,
        "log_backups": 3,
    }
    return Service(**{**plain, **other})


def stack(root: str, *services: Service, **other: t.Any) -> Stack:
    """Return a stack below ``root``; nothing is made there."""
    paths = Paths(**{name: os.path.join(root, name) for name in ("etc", "run", "state", "logs")})
    plain: t.Dict[str, t.Any] = {
        "name": "demo",
        "user": None,
        "root": root,
        "paths": paths,
        "ports": PortRules(),
        "services": services,
        "deprecated": {},
        "checks": Checks(),
    }
    return Stack(**{**plain, **other})


def made(root: str, *services: Service, **other: t.Any) -> Stack:
    """Return a stack whose directories exist."""
    wanted = stack(root, *services, **other)
    for path in (wanted.paths.run, wanted.paths.logs):
        os.makedirs(path, exist_ok=True)
    return wanted


def a_stack(root: t.Union[str, Path], *ports: int, **rules: t.Any) -> t.Any:
    """Return a manifest with a service ``service0``, ``service1`` … on each of the ports; nothing of it is installed.

    Args:
        root: the stack's root directory.
        ports: one for each service.
        rules: for PortRules.
    """
    services = tuple(
        Service(name=f"service{number}", command=("/bin/true",), directory=str(root), port=port)
        for number, port in enumerate(ports)
    )
    return Stack(
        name="test",
        root=str(root),
        paths=Paths.of(str(root)),
        services=services,
        ports=PortRules(**rules),
    )


def a_label(root: str, service: str = "victim", stack: str = "test") -> t.Dict[str, str]:
    """Return the label, in environment variables, that a process of the stack at ``root`` carries."""
    return {
        "ROLLCALL_STACK": stack,
        "ROLLCALL_ROOT": root,
        "ROLLCALL_SERVICE": service,
        "ROLLCALL_REVISION": "0123456789ab",
    }
