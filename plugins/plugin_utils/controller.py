# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The process of the controller that a playbook is, and whether that of another one is proved dead."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import socket
import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import one_line
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes

if t.TYPE_CHECKING:
    from ansible_collections.rollcall.supervisor.plugins.module_utils.base.rollout_documents import ControllerData


def this_controller() -> ControllerData:
    """Return the process of ``ansible-playbook``; its workers are children of it."""
    pid = os.getpid() if multiprocessing.parent_process() is None else os.getppid()
    return {"boot": _boot(), "namespace": _namespace(), "pid": pid, "start": _start(pid)}


def who() -> str:
    """Return who runs the playbook, as ``user@controller``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return one_line(f"{user}@{socket.gethostname()}", 120)


def is_dead(other: ControllerData) -> bool:
    """Return whether the process of another controller is proved dead.

    Pids mean the same in the same boot and the same namespace only (pid_namespaces(7)); of any other controller nothing
    can be proved from here.
    """
    if not other["boot"] or not other["namespace"] or not other["start"]:
        return False
    if (other["boot"], other["namespace"]) != (_boot(), _namespace()):
        return False
    return _start(other["pid"]) != other["start"]


def _boot() -> str:
    try:
        return processes.boot_id()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _start(pid: int) -> int:
    """Return the clock ticks from boot to the start of a process; 0 when there is none, or it cannot be seen."""
    try:
        return processes.start_time(pid)
    except ImportError:
        # On macOS it takes psutil, which a controller need not have.
        return 0
