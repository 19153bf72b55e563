# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What check mode says of a host that cannot plan yet."""

from __future__ import annotations

from ansible_collections.rollcall.supervisor.plugins.action.stack_apply import first_install
from tests.support.manifests import a_manifest, a_service, checked


def test_a_first_install_is_told_from_the_manifest_with_ports_sockets_and_timers() -> None:
    ports = {"http": 8000, "query": "8001/udp"}
    stack = checked(
        a_manifest(
            {
                "web": a_service(port=8002),
                "both": a_service(ports=ports, socket="run/b.sock"),
                "idle": a_service(),
                "cleanup": a_service(kind="timer", cron="0 3 * * *"),
            }
        )
    )
    assert first_install(stack).splitlines()[1:-1] == [
        "install supervisor and the engine under /opt/trading",
        "start web on port 8002",
        "start both on ports 8000, 8001/udp and /opt/trading/run/b.sock",
        "start idle",
        "add timer cleanup: 0 3 * * *",
    ]
