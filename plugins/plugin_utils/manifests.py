# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A manifest as a task is given it: as data, as a file on the controller, or as a file with data laid over it."""

from __future__ import annotations

import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import check_file, load_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.secret_values import secret_values
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.errors import problems_text

# What an action that takes a manifest has in its argument spec.
OPTIONS: t.Mapping[str, t.Any] = {"manifest": {"type": "dict", "default": {}}, "file": {"type": "path"}}

Arguments = t.Mapping[str, t.Any]


def check_into(
    result: t.Dict[str, t.Any],
    arguments: Arguments,
    *,
    ports: t.Optional[t.Mapping[str, t.Any]] = None,
    release: t.Optional[str] = None,
) -> t.Optional[Stack]:
    """Check a task's manifest, and put what was found into its result: a failure with every problem, or warnings.

    Args:
        result: of the task.
        arguments: of the task, with those of `OPTIONS`.
        ports: the port that a service has got on the host, by the service's name.
        release: id of the release that the services run.

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
        result.update(failed=True, msg=problems_text(problems))
    else:
        result["warnings"] = [f"{found['place']}: {found['message']}. {found['cure']}" for found in problems]
    return checked.stack


def secrets_of(arguments: Arguments) -> t.Dict[str, t.Dict[str, str]]:
    """Return the secrets of a task's manifest, by service and variable.

    Raises:
        RollcallError: the file cannot be read.
    """
    if arguments["file"] is None:
        return secret_values(arguments["manifest"])
    return secret_values(load_manifest(arguments["file"]), arguments["manifest"])
