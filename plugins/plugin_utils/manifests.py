# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A manifest as a task is given it: as data, as a file on the controller, or as a file with data laid over it."""

from __future__ import annotations

import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import count
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import check_file, load_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.secret_values import secret_values
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.errors import problems_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.words import names_of
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.placement import placed
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.played import has_roll_call

if t.TYPE_CHECKING:
    from ansible_collections.rollcall.supervisor.plugins.module_utils.base.documents import ProblemData

# What an action that takes a manifest has in its argument spec.
OPTIONS: t.Mapping[str, t.Any] = {"manifest": {"type": "dict", "default": {}}, "file": {"type": "path"}}

Arguments = t.Mapping[str, t.Any]


def check_into(
    result: t.Dict[str, t.Any],
    arguments: Arguments,
    *,
    ports: t.Optional[t.Mapping[str, t.Any]] = None,
    release: t.Optional[str] = None,
    where: t.Optional[t.Mapping[str, t.Any]] = None,
) -> t.Optional[Stack]:
    """Check a task's manifest, and put what was found into its result: a failure with every problem, or warnings.

    Args:
        result: of the task.
        arguments: of the task, with those of `OPTIONS`.
        ports: the port that a service has got on the host, by the service's name.
        release: id of the release that the services run.
        where: the task's variables, by which services that run on other hosts are left out; None leaves out none.

    Returns:
        The stack; None when a problem is an error.
    """
    data = arguments["manifest"] or None
    assigned = {str(service): int(port) for service, port in (ports or {}).items()}
    if arguments["file"] is None:
        checked = check_manifest(data or {}, assigned=assigned, release=release)
    else:
        checked = check_file(arguments["file"], overlay=data, assigned=assigned, release=release)
    problems = [problem.as_dict() for problem in checked.problems]
    result.update(changed=False, problems=problems)
    if checked.stack is None:
        result.update(failed=True, msg=_message(problems))
    else:
        result["warnings"] = [f"{found['place']}: {found['message']}. {found['cure']}" for found in problems]
        return of_host(result, checked.stack, where or {})
    return None


def _message(problems: t.Sequence[ProblemData]) -> str:
    """Return what a task says that fails by its manifest.

    ansible-core prints the message of a failed task twice, as an error and in its result, and the roll call tells all
    problems once more. So where there is a roll call, the message has their places alone.
    """
    if not has_roll_call():
        return problems_text(problems)
    places = [problem["place"] for problem in problems if problem["severity"] == "error"]
    told = count(len(places), "error")
    return f"The manifest has {told}: {names_of(places)}. The roll call at the end tells what to write instead."


def of_host(result: t.Dict[str, t.Any], stack: Stack, where: t.Mapping[str, t.Any]) -> t.Optional[Stack]:
    """Return the part of a manifest that is for the task's host, and tell what it depends on that is not."""
    groups, host = where.get("groups"), str(where.get("inventory_hostname", ""))
    if not groups or not host:
        return stack
    part = placed(stack, host, groups)
    if not part.stack.services:
        result.update(failed=True, msg=f"No service of the manifest runs on {host}: its hosts are others.")
        return None
    result["warnings"] += [f"{pair} runs on another host, and is not waited for" for pair in part.apart]
    return part.stack


def secrets_of(arguments: Arguments) -> t.Dict[str, t.Dict[str, str]]:
    """Return the secrets of a task's manifest, by service and variable.

    Raises:
        RollcallError: the file cannot be read.
    """
    if arguments["file"] is None:
        return secret_values(arguments["manifest"])
    return secret_values(load_manifest(arguments["file"]), arguments["manifest"])
