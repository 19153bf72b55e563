# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.removing import remove
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases import archives
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases.members import Entry
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases.wanted import wanted_release
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.errors import error_text
from ansible_collections.rollcall.supervisor.plugins.modules.release import ARGUMENT_SPEC, REQUIRED_IF
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.facts import refuse_ours

CODE = "code"
WHEELS = "wheels"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Ask the host for a release, and send it what it turns out not to have: the code, the wheels."""

    TRANSFERS_FILES = True
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return the host's answer, once it has all it needs."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        refuse_ours(task_vars)
        _validated, arguments = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC, required_if=REQUIRED_IF)
        ours = tempfile.mkdtemp(dir=constants.DEFAULT_LOCAL_TMP)
        theirs = None
        try:
            # Before the module is: Ansible shows what that was called with, and an address can have a password in it.
            wanted_release(arguments)
            local = _local(arguments)
            received = {name: {"digest": place.digest} for name, place in local.items()}
            while True:
                answer = self._execute_module(module_args={**arguments, "received": received}, task_vars=task_vars)
                # Each is sent once: a host that still lacks it then has failed.
                lacks = answer.get("missing")
                asked = [name for name in local if isinstance(lacks, list) and name in lacks]
                missing = [name for name in asked if "archive" not in received[name]]
                if not missing:
                    break
                theirs = theirs or self._make_tmp_path()
                for name in missing:
                    packed = local[name].packed(os.path.join(ours, name))
                    path = self._connection._shell.join_path(theirs, name)
                    self._transfer_file(packed, path)
                    self._fixup_perms2((theirs, path), execute=False)
                    received[name].update(archive=path, sha256=archives.file_digest(packed))
            result.update(answer)
        except RollcallError as exc:
            result.update(changed=False, failed=True, msg=error_text(exc.as_dict()), error=exc.as_dict())
        finally:
            remove(ours)
            if theirs is not None:
                self._remove_tmp_path(theirs, force=True)
        return result


class _Place(t.NamedTuple):
    """Something on the controller: a tree, or an archive with no entries of its own."""

    path: str
    digest: str
    entries: t.Optional[t.Sequence[Entry]] = None

    def packed(self, path: str) -> str:
        """Return an archive of it; one that is made is made at ``path``."""
        if self.entries is None:
            return self.path
        try:
            archives.pack(self.path, self.entries, path)
            unchanged = archives.tree_digest(self.path, self.entries) == self.digest
        except OSError as exc:
            raise RollcallError(f"{self.path} could not be packed on the controller: {exc}.") from exc
        if not unchanged:
            raise RollcallError(f"{self.path} changed while it was packed.", remedies=[cures.AGAIN])
        return path


def _local(arguments: t.Mapping[str, t.Any]) -> t.Dict[str, _Place]:
    """Return what the controller has of a release."""
    found = {}
    if arguments["state"] == "ready" and isinstance(arguments["source"], str):
        found[CODE] = _place("source", arguments["source"], arguments["exclude"])
    wheels = (arguments["python"] or {}).get("wheels")
    if arguments["state"] == "ready" and wheels:
        found[WHEELS] = _place("python.wheels", wheels, [])
    return found


def _place(option: str, path: str, exclude: t.Sequence[str]) -> _Place:
    if not os.path.isabs(path):
        raise RollcallError(
            f"{option} is '{path}', which is no absolute path on the controller.",
            kind="wrong_use",
            remedies=[cures.beside_inventory(option, path)],
        )
    try:
        if os.path.isfile(path) and option == "source":
            return _Place(path, archives.file_digest(path))
        entries = archives.scan(path, exclude)
        return _Place(path, archives.tree_digest(path, entries), entries)
    except OSError as exc:
        raise RollcallError(f"{path} cannot be read on the controller: {exc}.", kind="wrong_use") from exc
