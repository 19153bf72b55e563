# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Where the unit of systemd is that starts a stack after a boot, and whether it is there. systemd is not asked."""

from __future__ import annotations

import os
import typing as t

from ..base.files import read_text

SYSTEM_UNITS = "/etc/systemd/system"
USER_UNITS = os.path.join(".config", "systemd", "user")
# Where systemd is the init of this host.
RUNNING = "/run/systemd/system"


def unit_name(stack: str) -> str:
    """Return the name of the unit of a stack. Names of stacks need no escaping: letters, digits, _ and -."""
    return f"rollcall-{stack}.service"


def directory(uid: int) -> str:
    """Return where the units of a user are; root's are those of the system.

    Raises:
        KeyError: there is no such user.
    """
    import pwd

    return SYSTEM_UNITS if uid == 0 else os.path.join(pwd.getpwuid(uid).pw_dir, USER_UNITS)


def is_of(path: str, root: str) -> bool:
    """Return whether the unit in a file is that of the stack at ``root``: another stack may have the same name.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return f'"{root}/bin/rollcall"' in read_text(path)


def is_enabled(path: str) -> bool:
    """Return whether systemd starts a unit by itself: a target wants it."""
    # Late: only where a unit is looked for.
    import glob

    return bool(glob.glob(os.path.join(glob.escape(os.path.dirname(path)), "*.wants", os.path.basename(path))))


def job_unit(stack: str) -> str:
    """Return the name of the unit that runs the jobs of a stack, one for all: ``@`` is in no name of a stack."""
    return f"rollcall-{stack}@.service"


def timer_name(stack: str, timer: str) -> str:
    """Return the name of the unit that starts the job of a timer."""
    return f"rollcall-{stack}@{timer}.timer"


def timers_of(stack: str, place: str) -> t.List[str]:
    """Return the files of the units that start jobs of a stack, in a directory of systemd."""
    # Late: only where a unit is looked for.
    import glob

    return sorted(glob.glob(os.path.join(glob.escape(place), timer_name(stack, "*"))))
