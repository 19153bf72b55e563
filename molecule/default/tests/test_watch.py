# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watcher of app2, which its inventory asks for, as systemd and its file say it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

UNIT = "rollcall-shop.watch.service"
GRACE = 60  # seconds, as manifests without `watch.grace` have it


@pytest.fixture(autouse=True)
def watched(host: Any) -> None:
    if host.backend.get_hostname() != "app2":
        pytest.skip("this host is not watched")


def memory_of(host: Any) -> dict[str, Any]:
    """Return what the watcher has written; empty before its first look."""
    known = host.run("cat /opt/shop/state/watch.json")
    memory: dict[str, Any] = json.loads(known.stdout) if known.rc == 0 else {}
    return memory


def trouble(host: Any) -> list[Any]:
    """Return why the watcher of a healthy host is not as it should be: too old a look, or what has begun there."""
    memory = memory_of(host)
    age = float(host.check_output("date +%s")) - memory.get("at", 0)
    # What was broken before the last run is over after a while.
    since = memory.get("grace_until", 0) - GRACE
    return [
        *([{"seconds since its look": age}] if age >= 20 else []),
        *[incident for incident in memory.get("incidents", []) if incident["since"] > since],
    ]


def test_the_watcher_runs_and_has_looked(host: Any) -> None:
    assert host.service(UNIT).is_running
    assert host.service(UNIT).is_enabled
    end = time.monotonic() + 120
    # On a busy machine an answer may have come late: that has passed with the next looks.
    while (found := trouble(host)) and time.monotonic() < end:
        time.sleep(0.5)
    assert not found
    told = json.loads(host.run("/opt/shop/bin/rollcall status --json").stdout)["watcher"]
    assert not told["silent"], told


def test_needrestart_would_leave_the_stack_alone(host: Any) -> None:
    asks = "our %nrconf; do $ARGV[0]; die $@ if $@; print grep { $ARGV[1] =~ /$_/ } keys %{$nrconf{override_rc}}"
    for unit, told in (("rollcall-shop.service", True), (UNIT, True), ("rollcall-shop2.service", False)):
        said = host.check_output("perl -e %s /etc/needrestart/conf.d/rollcall-shop.conf %s", asks, unit)
        assert bool(said) is told, (unit, said)


def test_a_reload_right_after_the_start_does_not_end_it(host: Any) -> None:
    asked = f"systemctl restart {UNIT} && systemctl show --property MainPID --value {UNIT} && systemctl reload {UNIT}"
    pid = host.check_output(asked)
    known = memory_of(host)["looks"]
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if memory_of(host)["looks"] > known:
            break
        time.sleep(0.5)
    else:
        raise AssertionError("it does not look")
    now = host.check_output(f"systemctl show --property MainPID --property NRestarts {UNIT}").split()
    assert now == [f"MainPID={pid}", "NRestarts=0"]
