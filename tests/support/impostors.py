# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of strangers that look like the supervisord of a stack: by their command line, and by what they answer.

Run as a program this is one: ``impostors.py UID SOCKET ANSWERS ...``. It becomes the user, and when there is a socket
it answers each call on it as the JSON in ANSWERS says; ``"own"`` there is its own pid.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import typing as t
import xmlrpc.client

# Without a name on any host.
EVE = 60123


def main() -> None:
    uid, path, answers = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    if uid != os.geteuid():
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    if path:
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        os.chmod(path, 0o777)
        server.listen()
        print("ready", flush=True)
        while True:
            with server.accept()[0] as connection, contextlib.suppress(OSError):
                while _answer(connection, answers):
                    pass
    if os.getuid() != os.geteuid():
        # It runs by a program that is set-uid.
        os.setresuid(uid, uid, uid)
        os.setresgid(uid, uid, uid)
    print("ready", flush=True)
    while True:
        time.sleep(60)


def _answer(connection: socket.socket, answers: t.Mapping[str, t.Any]) -> bool:
    """Answer one call; return whether another may come."""
    request = b""
    while b"</methodCall>" not in request:
        piece = connection.recv(65536)
        if not piece:
            return False
        request += piece
    found = re.search(rb"<methodName>supervisor\.(\w+)", request)
    method = found.group(1).decode() if found else ""
    value = json.loads(json.dumps(answers.get(method, True)).replace('"own"', str(os.getpid())))
    body = xmlrpc.client.dumps((value,), methodresponse=True, allow_none=True).encode()
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return True


def answers_of(pid: t.Union[int, str] = "own", **programs: t.Union[int, str]) -> t.Dict[str, t.Any]:
    """Return what one says that is a supervisord with this pid, and runs these programs as these pids."""
    now = int(time.time())
    row = {
        "start": now - 100,
        "stop": 0,
        "now": now,
        "state": 20,
        "statename": "RUNNING",
        "spawnerr": "",
        "exitstatus": 0,
        "logfile": "",
        "stdout_logfile": "",
        "stderr_logfile": "",
        "description": "pid 1, uptime 0:01:40",
    }
    rows = [{**row, "name": name, "group": name, "pid": number} for name, number in programs.items()]
    return {
        "getState": {"statename": "RUNNING", "statecode": 1},
        "getPID": pid,
        "getSupervisorVersion": "4.3.0",
        "getAllProcessInfo": rows,
        "getAllConfigInfo": [],
    }


@contextlib.contextmanager
def ready(command: t.Sequence[str], env: t.Mapping[str, str], **options: t.Any) -> t.Iterator[subprocess.Popen[str]]:
    """Start a process, yield it when it has printed ``ready``, and end it afterwards.

    Args:
        command: its arguments.
        env: its environment but for PATH.
        options: more of subprocess.Popen.
    """
    environment = {"PATH": os.environ["PATH"], **env}
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, **options)
    try:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        yield started
    finally:
        started.kill()
        started.communicate()


@contextlib.contextmanager
def impostor(
    config: str,
    uid: int,
    *,
    socket_path: str = "",
    answers: t.Optional[t.Mapping[str, t.Any]] = None,
    env: t.Optional[t.Mapping[str, str]] = None,
    python: str = sys.executable,
    started_as: int = 0,
) -> t.Iterator[subprocess.Popen[str]]:
    """Start a process called ``supervisord -c CONFIG`` of a user, and end it afterwards.

    Args:
        config: of the stack that it pretends to run.
        uid: its user.
        socket_path: where it listens; empty for nowhere.
        answers: what it says there, by method.
        env: more of its environment.
        python: the interpreter that it really is.
        started_as: the user who starts it, before it becomes ``uid``; matters when the interpreter is set-uid.
    """
    command = ["supervisord", __file__, str(uid), socket_path, json.dumps(answers or {}), "-c", config]
    who: t.Dict[str, t.Any] = {"user": started_as, "extra_groups": []} if started_as else {}
    executable = os.path.realpath(python)
    with ready(command, env or {}, executable=executable, start_new_session=True, **who) as started:
        yield started


if __name__ == "__main__":
    main()
