# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The facts of a host take the place of no variable of this collection.

To Ansible each module's answer may have facts, and a fact goes before a variable of the inventory of the same name, and
before a role's default. So a host in other hands could say which directory its controller sends it as a release, or
which file its manifest is read from. What is read on the controller is read only where no fact has such a name.
"""

from __future__ import annotations

import typing as t

from ansible import constants
from ansible.errors import AnsibleActionFail

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import one_line

# Of the inventory's variables, and of each role's.
PREFIXES = ("rollcall_", "bootstrap_", "release_", "database_", "credentials_", "services_", "edge_")
MOST_NAMED = 10


def refuse_ours(task_vars: t.Optional[t.Mapping[str, t.Any]]) -> None:
    """End a task of a host that has facts with the names of our variables.

    Args:
        task_vars: the variables of the task, with the facts in ``ansible_facts``.

    Raises:
        AnsibleActionFail: it has, and Ansible uses facts as variables.
    """
    known = task_vars or {}
    facts = known.get("ansible_facts")
    if not constants.INJECT_FACTS_AS_VARS or not isinstance(facts, t.Mapping):
        return
    found = sorted(one_line(name, 60) for name in map(str, facts) if name.lstrip("_").startswith(PREFIXES))
    if found:
        host = known.get("inventory_hostname", "this host")
        raise AnsibleActionFail(
            f"The facts of {host} have the names of variables of this collection: {', '.join(found[:MOST_NAMED])}. "
            "A host does not decide what its controller reads: nothing was sent to it. Find out who has set them, and "
            "add --flush-cache; or write inject_facts_as_vars = false below [defaults] in ansible.cfg, and no fact is "
            "used as a variable."
        )
