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


def test_the_watcher_runs_and_has_looked(host: Any) -> None:
    assert host.service(UNIT).is_running
    assert host.service(UNIT).is_enabled
    end = time.monotonic() + 40
    while time.monotonic() < end:
        known = host.run("cat /opt/shop/state/watch.json")
        memory = json.loads(known.stdout) if known.rc == 0 else {}
        if memory and host.check_output("date +%s") and float(host.check_output("date +%s")) - memory["at"] < 20:
            break
        time.sleep(0.5)
    # What was broken before the last run is over after a while; what has begun since is no business of a healthy host.
    since = memory["grace_until"] - GRACE
    assert [incident for incident in memory["incidents"] if incident["since"] > since] == []
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
    known = json.loads(host.check_output("cat /opt/shop/state/watch.json"))["looks"]
    end = time.monotonic() + 40
    while time.monotonic() < end:
        if json.loads(host.check_output("cat /opt/shop/state/watch.json"))["looks"] > known:
            break
        time.sleep(0.5)
    else:
        raise AssertionError("it does not look")
    now = host.check_output(f"systemctl show --property MainPID --property NRestarts {UNIT}").split()
    assert now == [f"MainPID={pid}", "NRestarts=0"]
