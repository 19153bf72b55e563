# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verb ``rollcall ports``: see who has taken which port, free one, find one, change one, put conflicts right."""

from __future__ import annotations

import argparse
import functools
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..base.port_numbers import protocol_of, read_port
from ..manifest.model import Stack, address_of
from .console import CHECK, JSON, POLICY, Option, Verb, announced, option, paths_of, show

Data = t.Dict[str, t.Any]


def _on_stack(work: t.Callable[[Stack, argparse.Namespace], Data], ends: bool, options: argparse.Namespace) -> int:
    """Do an operation on the installed stack and return the exit code; ``ends``: whether it may end processes."""
    from ..ports.flush import GRACE, KILL_GRACE
    from ..run.limits import run_limit
    from ..run.modes import FLUSH
    from ..state.generations import load_stack
    from ..verdict.limits import look_limit

    stack = load_stack(paths_of(options.root))
    limit = look_limit(stack)
    if ends:
        # What supervisord runs is stopped by its own time.
        slowest = max((service.stop.timeout for service in stack.services), default=0.0)
        limit = run_limit(stack, FLUSH, grace=GRACE, kill_grace=KILL_GRACE) + slowest
    with announced(f"ports {options.operation}", limit):
        data = work(stack, options)
    return _answer(data, options)


def _answer(data: Data, options: argparse.Namespace) -> int:
    from ..show.ports import ports_text

    answer = {**data, "operation": options.operation, "check": getattr(options, "check", False)}
    return show(answer, ports_text, options, whole="manifest" in data)


def _show_config(stack: Stack, _options: argparse.Namespace) -> Data:
    rows: t.List[t.Dict[str, t.Any]] = []
    for service in stack.services:
        first = {"service": service.name, "port": service.port, "own_port": service.own_port}
        if service.port is not None or not service.udp_ports:
            more = {"fallback_ports": list(service.fallback_ports), "socket": service.socket or None}
            rows.append({**first, "protocol": "tcp", **more})
        for name, port in service.other_ports.items():
            other = {"service": address_of(service.name, name), "port": int(port), "own_port": int(port)}
            rows.append({**other, "protocol": protocol_of(port), "fallback_ports": [], "socket": None})
    return {"ok": True, "manifest": stack.to_dict(), "ports": rows}


def _check(stack: Stack, options: argparse.Namespace) -> Data:
    from ..ports import tool

    return tool.check(stack, _named(options.port))


def _kill(stack: Stack, options: argparse.Namespace) -> Data:
    from ..ports import flush

    port = _named(options.port)
    done = flush.flush(
        stack,
        [port],
        policy=options.policy,
        supervised=options.supervised,
        dry_run=options.check,
        force=cures.force(f"ports kill {options.port}"),
    )
    return {"ok": not done.kept, "port": int(port), "protocol": protocol_of(port), **done.as_dict()}


def _find_available(stack: Stack, options: argparse.Namespace) -> Data:
    from ..ports import tool

    port = tool.find_available(stack, None if options.start is None else _valid(options.start))
    return {"ok": True, "port": port}


def _auto_fix(stack: Stack, options: argparse.Namespace) -> Data:
    from ..ports import tool

    return tool.auto_fix(stack, dry_run=options.check)


def _home(stack: Stack, options: argparse.Namespace) -> Data:
    from ..ports import tool

    return tool.go_home(stack, dry_run=options.check)


def _list(stack: Stack, _options: argparse.Namespace) -> Data:
    from ..ports import tool

    return {"ok": True, "processes": tool.process_rows(stack)}


def _update_config(options: argparse.Namespace) -> int:
    from ..manifest.edit import Change, edit_manifest

    done = edit_manifest(
        options.file,
        [Change(("services", options.service, "port"), _valid(options.port))],
        dry_run=options.check,
    )
    data = {"ok": True, "changed": done.changed, "file": options.file, "service": options.service, "port": options.port}
    return _answer(data, options)


def _named(text: str) -> int:
    """Return the port that somebody names, also one of UDP, such as 5353/udp."""
    port = read_port(text)
    if port is None:
        raise RollcallError(f"{text} is no port: write one from 1 to 65535, of UDP as 5353/udp.", kind="wrong_use")
    return port


def _valid(port: int) -> int:
    if not 1 <= port <= 65535:
        raise RollcallError(f"{port} is no port: they go from 1 to 65535.", kind="wrong_use")
    return port


def _operation(
    text: str, work: t.Callable[[Stack, argparse.Namespace], Data], *options: Option, ends: bool = False
) -> Verb:
    return Verb(text, functools.partial(_on_stack, work, ends), (JSON, *options))


PORT = option("port", metavar="PORT", type=int)
ANY_PORT = option("port", metavar="PORT", help="its number, of UDP as 5353/udp")

VERBS: t.Mapping[str, Verb] = {
    "ports": Verb(
        "see, free, find and change ports",
        operations={
            "show-config": _operation("the resolved manifest and the assigned ports; changes nothing", _show_config),
            "check": _operation("whether a port is free, and who listens on it; changes nothing", _check, ANY_PORT),
            "kill": _operation(
                "end what listens on an assigned port, unless it is not ours",
                _kill,
                ANY_PORT,
                POLICY,
                option("--supervised", action="store_true", help="also stop the service itself, by supervisord"),
                CHECK,
                ends=True,
            ),
            "find-available": _operation(
                "the first port of the range that a bind proves free; changes nothing",
                _find_available,
                option("start", metavar="START", type=int, nargs="?", help="where to begin"),
            ),
            "update-config": Verb(
                "change the port of a service in a manifest file; comments and layout stay",
                _update_config,
                (
                    JSON,
                    option("service", metavar="SERVICE"),
                    PORT,
                    option("--file", metavar="FILE", required=True, help="the manifest file"),
                    CHECK,
                ),
            ),
            "auto-fix": _operation(
                "end what is left over, and move services from ports that are not ours", _auto_fix, CHECK, ends=True
            ),
            "home": _operation("give services that have moved their own ports again", _home, CHECK),
            "list": _operation("every process of this stack, wherever it came from; changes nothing", _list),
        },
    )
}
