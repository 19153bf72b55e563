#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_info
short_description: Test whether an application can connect to its database
version_added: 0.2.0
description:
  - Connects to PostgreSQL or Redis as an application would, by its URL, and asks C(SELECT 1) or C(PING).
  - The same as the check C(database) of a verdict, for a database that no stack uses yet. Changes nothing.
requirements:
  - For PostgreSQL, pg8000. The role P(rollcall.supervisor.bootstrap#role) installs it with the engine, whose Python
    C(ROOT/engine/venv/bin/python) is to run this module.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
author:
  - Rollcall authors (@rollcall)
options:
  url:
    description:
      - The address of the database and the user, such as C(postgresql://user:password@host/name) or
        C(redis://:password@host).
      - Special characters of a user or password are percent-encoded.
    type: str
    required: true
  user:
    description:
      - The account that runs the application. When the module runs as root, it connects to a unix socket as this user.
      - Without it, the user who runs the module.
    type: str
  timeout:
    description:
      - Seconds that the whole test may take.
    type: float
    default: 5.0
"""

EXAMPLES = r"""
- name: See whether the application gets in
  rollcall.supervisor.database_info:
    url: "postgresql://shop:{{ vault_database_password | urlencode }}@127.0.0.1/shop"
  vars:
    ansible_python_interpreter: /opt/shop/engine/venv/bin/python
  register: shop_database
"""

RETURN = r"""
ok:
  description: Whether the database let it in and answered.
  returned: success
  type: bool
detail:
  description: What it said, in words; the password is not among them.
  returned: success
  type: str
  sample: "127.0.0.1:5432: password refused for user \"shop\", or there is no such role"
reached:
  description: Whether something took the connection, whatever it then said.
  returned: success
  type: bool
command:
  description: What asks it by hand; null when the URL could not be read.
  returned: success
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rollcall.supervisor.plugins.module_utils.probes import databases


def run(params: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Return the module's result."""
    kind = "redis" if params["url"].lower().startswith(("redis", "unix:")) else "postgresql"
    answer = databases.ask_url(kind, params["url"], user=params["user"], timeout=params["timeout"])
    return {
        "changed": False,
        "ok": answer.ok,
        "detail": answer.detail,
        "reached": answer.reached,
        "command": answer.command,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True, "no_log": True},
            "user": {"type": "str"},
            "timeout": {"type": "float", "default": 5.0},
        },
        supports_check_mode=True,
    )
    module.exit_json(**run(module.params))


if __name__ == "__main__":
    main()
