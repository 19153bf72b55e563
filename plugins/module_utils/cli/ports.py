# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verb ``rollcall ports``: see who holds which port, free one, find one, change one, put conflicts right.

What an operation needs is imported by it alone: every other verb of the command loads this module, too.
"""

from __future__ import annotations

import argparse
import typing as t

from ..base.errors import RollcallError
from ..manifest.model import Stack
from ..run.limits import run_limit
from ..run.modes import FLUSH
from .console import add_policy, announced, paths_of, show

Data = t.Dict[str, t.Any]

HELP = "see, free, find and change ports"


def add(verbs: t.Any) -> None:
    """Add the verb with its operations to the command line's parser."""
    tool = verbs.add_parser("ports", help=HELP)
    operations = tool.add_subparsers(dest="operation", metavar="OPERATION", required=True)

    def operation(name: str, text: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = operations.add_parser(name, help=text, description=f"{text.capitalize()}.")
        added.add_argument("--json", action="store_true", help="print JSON instead of text")
        return added

    operation("show-config", "the resolved manifest and the assigned ports; changes nothing")
    check = operation("check", "whether a port is free, and by whom it is taken; changes nothing")
    kill = operation("kill", "end what listens on an assigned port, unless it is not ours")
    for one in (check, kill):
        one.add_argument("port", metavar="PORT", type=int)
    add_policy(kill)
    kill.add_argument("--supervised", action="store_true", help="also stop the service itself, by supervisord")
    find = operation("find-available", "the first port of the range that a bind proves free; changes nothing")
    find.add_argument("start", metavar="START", type=int, nargs="?", help="where to begin")
    update = operation("update-config", "change the port of a service in a manifest file; comments and layout stay")
    update.add_argument("service", metavar="SERVICE")
    update.add_argument("port", metavar="PORT", type=int)
    update.add_argument("--file", metavar="FILE", required=True, help="the manifest file")
    fix = operation("auto-fix", "end what is left over, and move services from ports that are not ours")
    for changing in (kill, update, fix):
        changing.add_argument("--check", action="store_true", help="say what would be done; change nothing")
    operation("list", "every process of this stack, wherever it came from; changes nothing")


def run(options: argparse.Namespace) -> int:
    """Run one operation and return the exit code.

    Args:
        options: as parsed; ``update-config`` works without a root.

    Raises:
        RollcallError: as the operation says.
    """
    if options.operation == "update-config":
        return _update_config(options)
    from ..ports import flush
    from ..state.generations import load_stack
    from ..verdict import limits

    stack = load_stack(paths_of(options.root))
    ending = options.operation in ("kill", "auto-fix")
    grace, kill_grace = flush.GRACE, flush.KILL_GRACE
    limit = run_limit(stack, FLUSH, grace=grace, kill_grace=kill_grace) if ending else limits.look_limit(stack)
    with announced(f"ports {options.operation}", limit):
        data = _OPERATIONS[options.operation](stack, options)
    return _answer(data, options)


def _answer(data: Data, options: argparse.Namespace) -> int:
    from ..show.ports import ports_text

    answer = {**data, "operation": options.operation, "check": getattr(options, "check", False)}
    return show(answer, lambda: ports_text(answer), as_json=options.json)


def _show_config(stack: Stack, _options: argparse.Namespace) -> Data:
    rows = [
        {
            "service": service.name,
            "port": service.port,
            "own_port": service.own_port,
            "fallback_ports": list(service.fallback_ports),
        }
        for service in stack.services
    ]
    return {"ok": True, "manifest": stack.to_dict(), "ports": rows}


def _check(stack: Stack, options: argparse.Namespace) -> Data:
    from ..ports import tool

    return tool.check(stack, _valid(options.port))


def _kill(stack: Stack, options: argparse.Namespace) -> Data:
    from ..ports import flush

    done = flush.flush(
        stack,
        [_valid(options.port)],
        policy=options.policy,
        supervised=options.supervised,
        dry_run=options.check,
    )
    return {"ok": not done.kept, "port": options.port, **done.as_dict()}


def _find_available(stack: Stack, options: argparse.Namespace) -> Data:
    from ..ports import tool

    port = tool.find_available(stack, None if options.start is None else _valid(options.start))
    return {"ok": True, "port": port}


def _auto_fix(stack: Stack, options: argparse.Namespace) -> Data:
    from ..ports import tool

    return tool.auto_fix(stack, dry_run=options.check)


def _list(stack: Stack, _options: argparse.Namespace) -> Data:
    from ..ports import tool

    return {"ok": True, "processes": tool.processes_of(stack)}


def _update_config(options: argparse.Namespace) -> int:
    from ..manifest.edit import Change, edit_manifest

    done = edit_manifest(
        options.file,
        [Change(("services", options.service, "port"), _valid(options.port))],
        dry_run=options.check,
    )
    data = {"ok": True, "changed": done.changed, "file": options.file, "service": options.service, "port": options.port}
    return _answer(data, options)


def _valid(port: int) -> int:
    if not 1 <= port <= 65535:
        raise RollcallError(f"{port} is no port: they go from 1 to 65535.", kind="wrong_use")
    return port


_OPERATIONS: t.Mapping[str, t.Callable[[Stack, argparse.Namespace], Data]] = {
    "show-config": _show_config,
    "check": _check,
    "kill": _kill,
    "find-available": _find_available,
    "auto-fix": _auto_fix,
    "list": _list,
}
