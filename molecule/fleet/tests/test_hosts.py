# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts from outside after all rollouts: each runs the last version and has its users, no rollout is at work."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import eyes
from tests.support.haproxy import statuses

ROOT = "/opt/shop"


@pytest.fixture
def view(host: Any) -> eyes.View:
    return eyes.look(host)


def test_the_last_version_holds_the_port_under_the_one_supervisord(view: eyes.View) -> None:
    (daemon,) = view.supervisord(ROOT)
    (pid,) = view.listeners[8000]
    assert daemon.pid in view.ancestors(pid)
    environment = view.processes[pid].environment
    assert (environment["VERSION"], environment["HEALTH_STATUS"]) == ("4", "200")


def test_no_rollout_is_at_work(host: Any) -> None:
    record = json.loads(host.file(f"{ROOT}/state/rollout.json").content_string)
    assert (record["step"], record["drained"], record["leads"]) == ("done", "", False)


def test_the_balancer_has_the_host_up(host: Any) -> None:
    place = host.backend.get_variables()["container_place"]
    assert statuses(f"{place}/balancer/admin.sock")[f"page/{host.backend.get_hostname()}"] == "UP"


def test_the_bystander_lives(host: Any, view: eyes.View) -> None:
    (pid,) = (int(word) for word in host.file("/root/bystander").content_string.split())
    assert pid in view.processes
