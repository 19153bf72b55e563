# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a restart was one: looked at from outside, with nothing of Rollcall and nothing of supervisorctl."""

from __future__ import annotations

import json
import urllib.request
import xmlrpc.client
from collections.abc import Mapping
from http.client import HTTPException

from tests.benchmark.places import Place

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def failures(place: Place, before: Mapping[str, set[int]]) -> list[str]:
    """Return why the services are not what a restart should have made of them; empty when they are.

    Args:
        place: where they run.
        before: the pids of each service before; a service without an entry had none.
    """
    daemons = place.daemons()
    if len(daemons) != 1:
        return [f"{len(daemons)} supervisords"]
    found = [] if answers(place, daemons[0].pid) else ["supervisord does not answer on its socket"]
    for name, processes in place.running().items():
        children = [process for process in processes if process.ppid() == daemons[0].pid]
        if len(children) != len(processes):
            found.append(f"{name}: an orphan is left")
        if len(children) != 1:
            found.append(f"{name}: {len(children)} processes")
            continue
        pid = children[0].pid
        if pid in before.get(name, ()):
            found.append(f"{name}: still pid {pid}")
        port = place.services[name].get("port")
        if port is not None:
            answering = answering_pid(port)
            if answering != pid:
                found.append(f"{name}: pid {pid}, and its port is answered by {answering or 'nobody'}")
    return found


def answers(place: Place, pid: int) -> bool:
    """Whether the supervisord with this pid can be reached where its users look for it."""
    try:
        return bool(place.call("getPID") == pid)
    except (OSError, HTTPException, xmlrpc.client.Error):
        return False


def answering_pid(port: int) -> int | None:
    """Return the pid that says it is well on a port's /health; None when nobody does."""
    try:
        with _OPENER.open(f"http://127.0.0.1:{port}/health", timeout=2.0) as answer:
            body = json.loads(answer.read(65536))
    except (OSError, ValueError):
        # HTTP errors are OSErrors too.
        return None
    return int(body["pid"]) if body.get("status") == "ok" else None
