# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping a supervisord of ten services: as the engine does it, poked all the while, and waited for in silence."""

from __future__ import annotations

import psutil

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Deadline
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import descent
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import life
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import DOWN, Client, wait_states
from tests.benchmark.arena import Stopwatch, Took, is_alive
from tests.benchmark.places import Plain

PATIENCE = 60.0


def stop_poked(place: Plain) -> Took:
    """Return what it took until it was gone, stopped as in a full restart: all services together, then itself."""
    (daemon,) = place.daemons()
    watch = Stopwatch()
    with Client(str(place.socket)) as client:
        client.stop(place.services)
        wait_states(client, place.services, DOWN, deadline=Deadline(PATIENCE), interval=descent.POLL)
        life.stop_supervisord(client, daemon.pid, timeout=PATIENCE)
    return _checked(daemon, watch.read())


def stop_silent(place: Plain) -> Took:
    """Return what it took until it was gone when it is told once and then left alone."""
    (daemon,) = place.daemons()
    watch = Stopwatch()
    place.call("shutdown")
    daemon.wait(PATIENCE)
    return _checked(daemon, watch.read())


def _checked(daemon: psutil.Process, took: Took) -> Took:
    if is_alive(daemon):
        raise RuntimeError(f"supervisord (pid {daemon.pid}) is still there")
    return took
