# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of what makes a run over a stack."""

    DOCUMENTATION = r"""
options:
  on_failure:
    description:
      - What to do with a new generation whose verdict is not OK. V(leave) leaves it in place; V(rollback) restores the
        last verified generation and verifies it. The run fails in either case.
      - Without an earlier verified generation there is nothing to go back to, and it is left in place.
    type: str
    choices: [leave, rollback]
    default: leave
  automatic:
    description:
      - Whether a program asks for the run and not a person. Such a run counts against the C(restart_budget) of the
        manifest, and is refused when that is used up.
    type: bool
    default: false
  soak:
    description:
      - How many seconds each service must have lived without an exit before the verdict.
      - Without it the verdict waits for C(stable_for), and for a minute at the most where a service has ended by itself
        within 24 hours.
    type: float
    default: 0
  fail:
    description:
      - Whether the task fails when the run was refused, came to no verdict, or its verdict is not OK.
      - With V(false) the playbook asks C(ok) and fails with C(msg). Of a task that fails Ansible shows the whole
        result, and a report has hundreds of lines.
    type: bool
    default: true
"""
