# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import os
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import check_file
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.errors import problems_text
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine_files import COLLECTION, engine_files


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Check the manifest on the controller; nothing reaches the host."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return the normalised manifest, or fail with every problem at once."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "manifest": {"type": "dict", "default": {}},
                "file": {"type": "path"},
                "ports": {"type": "dict", "default": {}},
                "release": {"type": "str"},
            }
        )
        raw = arguments["manifest"] or None
        assigned = {str(service): int(port) for service, port in arguments["ports"].items()}
        on_host = {"assigned": assigned, "release": arguments["release"]}
        checked = (
            check_manifest(raw or {}, **on_host)
            if arguments["file"] is None
            else check_file(arguments["file"], overlay=raw, **on_host)
        )
        problems = [problem.as_dict() for problem in checked.problems]
        result.update(changed=False, problems=problems)
        if checked.stack is None:
            result.update(failed=True, msg=problems_text(problems))
            return result
        result["warnings"] = [f"{found['place']}: {found['message']}. {found['cure']}" for found in problems]
        data = checked.stack.to_dict()
        result.update(manifest=data, fingerprint=fingerprint(data))
        return result


def fingerprint(data: t.Mapping[str, t.Any]) -> str:
    """Return a digest of all that ``bootstrap`` puts on a host: engine, its own files, account and directories."""
    digest = hashlib.sha256(json.dumps([data["name"], data["user"], data["root"], data["paths"]]).encode("utf-8"))
    for name, content in engine_files().items():
        digest.update(name.encode("utf-8") + b"\0" + content)
    files = os.path.join(COLLECTION, "roles", "bootstrap", "files")
    for path in sorted(entry.path for entry in os.scandir(files) if entry.is_file()):
        with open(path, "rb") as stream:
            digest.update(stream.read())
    return digest.hexdigest()[:16]
