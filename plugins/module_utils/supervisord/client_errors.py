# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Why supervisord did not answer, or did not do it: one code for each problem, and its words.

Every error of `Client` has its code in ``evidence["problem"]``.
"""

from __future__ import annotations

import errno
import os
import stat
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..host.accounts import user_name

ABSENT = "absent"  # no socket file
STALE = "stale"  # a socket file that nobody listens on
NOT_A_SOCKET = "not_a_socket"
TOO_LONG = "too_long"
DENIED = "denied"
SILENT = "silent"  # somebody holds the socket and does not answer
CLOSED = "closed"  # the connection ended before the answer
UNREACHABLE = "unreachable"  # any other error of the socket
STRANGER = "stranger"  # a supervisord answers, and it is another stack's
UNTRUSTED = "untrusted"  # who answers may not be the stack's supervisord, or is not who it says it is
UNAUTHORISED = "unauthorised"
GARBAGE = "garbage"
SHUTTING_DOWN = "shutting_down"
FAULT = "fault"  # refused by name: evidence["fault"] has supervisord's word for it

# Bytes of a socket's path that some system does not take: macOS takes 103 of them, Linux 107 (unix(7)).
_SHORTEST_TOO_LONG = 104

# Codes of xmlrpc.Faults of supervisor.
SHUTDOWN_STATE = 6
SPAWN_ERROR = 50
FAULT_NAMES: t.Mapping[int, str] = {
    1: "UNKNOWN_METHOD",
    2: "INCORRECT_PARAMETERS",
    3: "BAD_ARGUMENTS",
    4: "SIGNATURE_UNSUPPORTED",
    SHUTDOWN_STATE: "SHUTDOWN_STATE",
    10: "BAD_NAME",
    11: "BAD_SIGNAL",
    20: "NO_FILE",
    21: "NOT_EXECUTABLE",
    30: "FAILED",
    40: "ABNORMAL_TERMINATION",
    SPAWN_ERROR: "SPAWN_ERROR",
    60: "ALREADY_STARTED",
    70: "NOT_RUNNING",
    80: "SUCCESS",
    90: "ALREADY_ADDED",
    91: "STILL_RUNNING",
    92: "CANT_REREAD",
}
FAULT_TEXTS: t.Mapping[str, str] = {
    "SHUTDOWN_STATE": "supervisord is shutting down and takes no orders",
    "BAD_NAME": "supervisord does not know it; its configuration was not re-read or lacks it",
    "NO_FILE": "its command cannot be found",
    "NOT_EXECUTABLE": "its command cannot be executed",
    "ABNORMAL_TERMINATION": "it ended while starting",
    "SPAWN_ERROR": "it could not be spawned",
    "ALREADY_STARTED": "it is running already",
    "NOT_RUNNING": "it is not running",
    "ALREADY_ADDED": "it is in supervisord's active configuration already",
    "STILL_RUNNING": "it still runs and must be stopped first",
    "CANT_REREAD": "supervisord cannot read its configuration",
}
# A program in the state UNKNOWN, of which supervisord says no more.
LOST = "supervisord has lost track of its process (UNKNOWN); only a new supervisord gets it back"


def fault_text(code: int, text: str, subject: str = "") -> str:
    """Return a clause for one fault.

    supervisord says ``NAME: detail``; mostly the detail is just ``subject`` again.
    """
    name = FAULT_NAMES.get(code, f"fault {code}")
    detail = text.split(": ", 1)[1] if text.startswith(f"{name}: ") else ""
    if name not in FAULT_TEXTS:
        return f"{name}: {detail}" if detail else text or name
    return f"{FAULT_TEXTS[name]} ({name})" + (f": {detail}" if detail and detail != subject else "")


def problem(code: str, path: str, message: str, *, remedies: t.Sequence[str] = (), **evidence: t.Any) -> RollcallError:
    """Return an error of the supervisord at the socket ``path``."""
    return RollcallError(message, evidence={"problem": code, "socket": path, **evidence}, remedies=remedies)


def not_connected(path: str, exc: OSError, seconds: float) -> RollcallError:
    """Return the error for a connection that was not made within ``seconds`` (unix(7), connect(2))."""
    if isinstance(exc, FileNotFoundError):
        return problem(ABSENT, path, f"supervisord is not running: there is no socket at {path}")
    if isinstance(exc, ConnectionRefusedError):
        if not _is_socket(path):
            return problem(NOT_A_SOCKET, path, f"{path} is no socket: something else has been put in its place")
        return problem(
            STALE, path, f"supervisord is not running: the socket at {path} is a left-over, nobody listens on it"
        )
    if isinstance(exc, PermissionError):
        return problem(
            DENIED,
            path,
            f"uid {os.geteuid()} may not open supervisord's socket at {path}",
            remedies=[cures.AS_ROOT],
        )
    # EAGAIN: the queue of connections that supervisord does not take is full.
    if isinstance(exc, (TimeoutError, BlockingIOError)):
        return silent(path, "a connection", seconds, 0)
    return unreachable(path, exc)


def unreachable(path: str, exc: OSError) -> RollcallError:
    """Return the error for a socket that fails in no way of its own."""
    # Python itself refuses a path that is too long, without an errno.
    if exc.errno is None and len(os.fsencode(path)) >= _SHORTEST_TOO_LONG:
        return problem(
            TOO_LONG,
            path,
            f"the path of supervisord's socket is too long for a unix socket ({len(path)} bytes): {path}",
            remedies=[
                cures.then("give the stack a shorter root or run directory: 99 bytes are the limit, 95 on macOS")
            ],
        )
    if exc.errno in (errno.ENOTDIR, errno.ELOOP):
        return problem(ABSENT, path, f"supervisord is not running: there is no socket at {path} ({exc.strerror})")
    return problem(UNREACHABLE, path, f"cannot reach supervisord at {path}: {exc}")


def silent(path: str, call: str, seconds: float, received: int) -> RollcallError:
    """Return the error for a call that was not answered, or with ``received`` bytes only, within ``seconds``."""
    # Whose socket it is cannot be told from here: SO_PEERCRED gives the pid that called listen(), long gone maybe.
    how = f"has sent only {received} bytes of its answer to" if received else "has not answered"
    return problem(
        SILENT,
        path,
        f"somebody holds the socket {path} but {how} {call} within {seconds:g} s: "
        "supervisord hangs, is stopped, or is very busy",
        remedies=[cures.EMERGENCY],
        received=received,
    )


def closed(path: str, call: str) -> RollcallError:
    """Return the error for a connection that ended before the answer to a call."""
    text = f"supervisord at {path} closed the connection before it had answered {call}: it is ending, or crashed"
    return problem(CLOSED, path, text)


def untrusted(path: str, pid: t.Optional[int], uid: t.Optional[int], said: t.Optional[int] = None) -> RollcallError:
    """Return the error for a socket on which somebody else than a supervisord of the stack listens.

    Args:
        path: of the socket.
        pid: who listens, by the kernel's word; None where it says nothing, 0 for one outside of this pid namespace.
        uid: that process's user; None where it is not known.
        said: the pid that it says it has; None when it was not asked, because its user alone rules it out.
    """
    who = f"pid {pid}" if pid else "a process that cannot be seen from here"
    who += "" if uid is None else f" of user {user_name(uid)}"
    if said is None:
        text = f"{who} listens on supervisord's socket {path}, and only root and the stack's own user may"
    else:
        text = f"{who} listens on supervisord's socket {path} and says that it is pid {said}, which it is not"
        text = f"pid {said}, which answers on supervisord's socket {path}, is another user's" if pid == said else text
    return problem(
        UNTRUSTED, path, text, remedies=[cures.holder(path), cures.EMERGENCY], pid=pid or None, uid=uid, said=said
    )


def unauthorised(path: str, *, given: bool) -> RollcallError:
    """Return the error for a supervisord that wants a password; ``given``: another one, or a user name, was given."""
    if given:
        return problem(
            UNAUTHORISED,
            path,
            f"supervisord at {path} refuses the user name or the password that it was given",
            remedies=[cures.password(), cures.holder(path)],
        )
    return problem(
        UNAUTHORISED,
        path,
        f"supervisord at {path} wants a password and was given none; the configuration of a stack sets none, so it "
        "runs with another one",
        remedies=[cures.holder(path)],
    )


def garbage(path: str, what: str, **evidence: t.Any) -> RollcallError:
    """Return the error for an answer that is no XML-RPC of supervisord's."""
    text = f"what answers at {path} does not speak supervisord's XML-RPC: {what[:200]}"
    return problem(GARBAGE, path, text, detail=what[:200], **evidence)


def refused(path: str, call: str, subject: str, code: int, text: str) -> RollcallError:
    """Return the error for a call, about ``subject``, that supervisord answered with a fault."""
    if code == SHUTDOWN_STATE:
        text = f"supervisord at {path} is shutting down and takes no orders"
        return problem(SHUTTING_DOWN, path, text, fault="SHUTDOWN_STATE")
    return problem(
        FAULT,
        path,
        f"supervisord refused {f'{call} {subject}'.rstrip()}: {fault_text(code, text, subject)}",
        fault=FAULT_NAMES.get(code, str(code)),
        detail=text,
    )


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return True  # gone again: for the caller it was a socket that refused
