# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Whether what this process has started lives on when the session ends in which it was started.

logind may end all that a session has started with it (logind.conf(5), KillUserProcesses).
"""

from __future__ import annotations

import re

from ..base.errors import RollcallError
from . import proc
from .accounts import clean_environment, find_account

ANSWER = 2.0
# What pam_systemd puts a session into (systemd.special(7), user.slice).
_SESSION = re.compile(r"/session-[^/]+\.scope(/|\n|\Z)")
_MANAGER = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")


def may_be_left() -> bool:
    """Return whether a child of this process certainly lives on when the caller's session ends."""
    try:
        groups = proc.read("/proc/self/cgroup").decode("utf-8", "replace")
    except OSError:
        # No Linux: there is nothing that would end it.
        return True
    if not _SESSION.search(groups):
        return True
    from .commands import run  # late: most who ask are in no session

    argv = ["busctl", "--no-pager", "get-property", *_MANAGER, "KillUserProcesses"]
    try:
        who = find_account(None)
        said = run(argv, who, cwd="/", environment=clean_environment(who), timeout=ANSWER)
    except (OSError, RollcallError):
        return False
    return said.ok and [line.strip() for line in said.output] == ["b false"]
