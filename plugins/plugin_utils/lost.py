# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A host that is lost where the play ignores that: the task that has noticed it fails, and the rescue comes at once.

With ``ignore_unreachable`` Ansible goes on with the next task as if there had been a result. A condition of a ``meta``
task that looks for one is then no failure of the host, but ends the whole playbook.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.rollcall.supervisor.plugins.plugin_utils.playbook_record import error
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.said import told

if t.TYPE_CHECKING:
    from ansible.plugins.action import ActionBase


@contextlib.contextmanager
def lost_is_failure(action: ActionBase, result: t.Dict[str, t.Any]) -> t.Iterator[None]:
    """Have a lost connection be a failure of the task, where its play ignores that a host is not reached.

    Args:
        action: whose task it is.
        result: of the task; gets the failure.

    Raises:
        AnsibleConnectionFailure: the host is not reached, and the play does not ignore that.
    """
    try:
        yield
    except AnsibleConnectionFailure as exc:
        if not action._task.ignore_unreachable:
            raise
        lost = error(f"The host was lost: {told(str(exc))}", "unreachable")
        result.update(changed=False, failed=True, msg=lost["message"], error=lost)
