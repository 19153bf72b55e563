# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verb ``rollcall ports``: see who holds which port, free one, find one, change one, put conflicts right.

What an operation needs is imported by it alone: every other verb of the command loads this module, too.
"""

from __future__ import annotations

import argparse
import time
import typing as t

from ..base.errors import RollcallError
from ..manifest.model import Stack
from ..run import limits as run_limits
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
    check = operation("check", "whether a port is free, and by whom it is held; changes nothing")
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
        return _update(options)
    from ..ports import flush
    from ..state import journal
    from ..verdict import limits

    stack = journal.load_stack(paths_of(options.root))
    ending = options.operation in ("kill", "auto-fix")
    grace, kill_grace = flush.GRACE, flush.KILL_GRACE
    limit = run_limits.of_run(stack, "flush", grace=grace, kill_grace=kill_grace) if ending else limits.of_look(stack)
    with announced(f"ports {options.operation}", limit):
        data, text = _OPERATIONS[options.operation](stack, options)
    return show(data, text, as_json=options.json)


def _show_config(stack: Stack, _options: argparse.Namespace) -> t.Tuple[Data, str]:
    rows = [
        {
            "service": service.name,
            "port": service.port,
            "own_port": service.own_port,
            "fallback_ports": list(service.fallback_ports),
        }
        for service in stack.services
    ]
    data = {"ok": True, "manifest": stack.to_dict(), "ports": rows}
    rules = stack.ports
    lines = [f"stack {stack.name} under {stack.root}, manifest {stack.paths.manifest}"]
    never = _listed((*rules.avoid, *rules.protect))
    lines.append(f"range {rules.low}-{rules.high}, also {_listed(rules.also) or 'none'}, never {never}")
    width = max((len(service.name) for service in stack.services), default=0)
    for service in stack.services:
        others = f"  or {_listed(service.fallback_ports)}" if service.fallback_ports else ""
        moved = f", its own is {service.own_port}" if service.port != service.own_port else ""
        lines.append(f"  {service.name:<{width}}  {service.port or '-'}{moved}{others}")
    return data, "\n".join(lines)


def _check(stack: Stack, options: argparse.Namespace) -> t.Tuple[Data, str]:
    from ..ports import tool as ports

    data = ports.check(stack, _valid(options.port))
    label = f"port {data['port']}" + (f" ({data['service']})" if data["service"] else "")
    if data["free"]:
        leased = f", and leased to {data['leased_to']}" if data["leased_to"] else ""
        return data, f"{label} is free{leased}"
    lines = [f"{label} is held: {data['reason']}"]
    lines += [f"  {_holder(holder)}" for holder in data["holders"]]
    return data, "\n".join(lines)


def _holder(holder: t.Mapping[str, t.Any]) -> str:
    where = f"[{holder['address']}]" if holder["family"] == "ipv6" else holder["address"]
    if holder["pid"] is None:
        return f"{where}: {holder['provenance']}, {holder['reason']}"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["started"]))
    unit = f", in {holder['unit']}" if holder["unit"] else ""
    return (
        f"{where}: pid {holder['pid']} '{holder['command']}' of user {holder['user']} since {since}{unit}: "
        f"{holder['provenance']}, {holder['reason']}"
    )


def _kill(stack: Stack, options: argparse.Namespace) -> t.Tuple[Data, str]:
    from ..ports import flush

    done = flush.flush(
        stack,
        [_valid(options.port)],
        policy=options.policy,
        supervised=options.supervised,
        dry_run=options.check,
    )
    data = {"ok": not done.kept, **done.as_dict()}
    word = "would end" if options.check else "ended"
    lines = [f"{word} pid {entry.pid} '{' '.join(entry.command)}' of user {entry.user}" for entry in done.ended]
    lines += [f"left alone: {holder.summary}; add --supervised to stop it" for holder in done.kept]
    return data, "\n".join(lines or [f"port {options.port} is free; nothing was to be done"])


def _find(stack: Stack, options: argparse.Namespace) -> t.Tuple[Data, str]:
    from ..ports import tool as ports

    port = ports.find_available(stack, None if options.start is None else _valid(options.start))
    return {"ok": True, "port": port}, str(port)


def _auto_fix(stack: Stack, options: argparse.Namespace) -> t.Tuple[Data, str]:
    from ..ports import tool as ports

    data = ports.auto_fix(stack, dry_run=options.check)
    would = "would be " if options.check else ""
    lines = [f"{would}freed: {entry}" for entry in data["freed"]]
    lines += [f"{would}moved: {entry}" for entry in data["moved"]]
    lines += [f"unresolved: {entry}" for entry in data["unresolved"]]
    lines += [f"next: {command}" for command in data["next"]]
    return data, "\n".join(lines or ["no conflict: every assigned port is the stack's own or free"])


def _list(stack: Stack, _options: argparse.Namespace) -> t.Tuple[Data, str]:
    from ..ports import tool as ports

    rows = ports.processes_of(stack)
    lines = [
        f"{row['pid']:>8}  {row['provenance']:<11}  {row['service'] or '-':<24}  {_listed(row['ports']) or '-':<11}  "
        f"{row['user']:<10}  {row['command']}"
        for row in rows
    ]
    head = f"{'pid':>8}  {'provenance':<11}  {'service':<24}  {'ports':<11}  {'user':<10}  command"
    return {"ok": True, "processes": rows}, "\n".join([head, *lines])


def _update(options: argparse.Namespace) -> int:
    from ..manifest import edit as manifest_edit

    done = manifest_edit.edit(
        options.file,
        [manifest_edit.Change(("services", options.service, "port"), _valid(options.port))],
        dry_run=options.check,
    )
    word = "would be" if options.check else "is"
    text = f"{options.service} {word} on port {options.port} in {options.file}" + ("" if done.changed else " already")
    if done.changed:
        text += "\nnext: ansible-playbook site.yml: config and services follow the manifest"
    return show({"ok": True, "changed": done.changed, "file": options.file}, text, as_json=options.json)


def _valid(port: int) -> int:
    if not 1 <= port <= 65535:
        raise RollcallError(f"{port} is no port: they go from 1 to 65535.", kind="wrong_use")
    return port


def _listed(numbers: t.Iterable[int]) -> str:
    return ", ".join(str(number) for number in numbers)


_OPERATIONS: t.Mapping[str, t.Callable[[Stack, argparse.Namespace], t.Tuple[Data, str]]] = {
    "show-config": _show_config,
    "check": _check,
    "kill": _kill,
    "find-available": _find,
    "auto-fix": _auto_fix,
    "list": _list,
}
