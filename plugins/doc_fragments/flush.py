# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of everything that may end a process on a port."""

    DOCUMENTATION = r"""
options:
  policy:
    description:
      - What may be ended on a port of the stack.
      - V(owned) ends what is left over from this stack, and refuses when anything else has taken a port.
      - V(refuse) ends nothing and refuses when a port is taken.
      - V(any) also ends processes that are not of this stack. It never ends pid 1, a user's systemd, sshd, a process
        that listens for a container, or one that this run was started from.
    type: str
    choices: [owned, refuse, any]
    default: owned
  grace:
    description:
      - Seconds between TERM and KILL.
    type: float
    default: 5
  kill_grace:
    description:
      - Seconds to wait after KILL before a process is reported as stuck.
    type: float
    default: 2
"""
