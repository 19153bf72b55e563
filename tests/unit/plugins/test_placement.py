# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each host gets the services that the manifest has for it, and no others."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.manifests import check_into
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.placement import placed

GROUPS = {
    "all": ["lb", "w1", "w2", "w3", "db"],
    "ungrouped": ["lb"],
    "web": ["w1", "w2", "w3"],
    "web_canary": ["w1"],
    "data": ["db"],
}


def raw(**services: t.Any) -> t.Dict[str, t.Any]:
    made = {name: {"command": ["/bin/true"], **keys} for name, keys in services.items()}
    return {"stack": {"name": "shop", "root": "/opt/shop", "services": made}}


def manifest(**services: t.Any) -> Stack:
    checked = check_manifest(raw(**services))
    assert checked.stack is not None, checked.problems
    return checked.stack


@pytest.mark.parametrize(
    ("keys", "hosts"),
    [
        ({}, ["lb", "w1", "w2", "w3", "db"]),
        ({"hosts": ["web"]}, ["w1", "w2", "w3"]),
        ({"hosts": ["web", "!w2"]}, ["w1", "w3"]),
        ({"hosts": ["!data", "!lb"]}, ["w1", "w2", "w3"]),
        ({"hosts": ["w?", "db"]}, ["w1", "w2", "w3", "db"]),
        ({"hosts": ["web_*"]}, ["w1"]),
        ({"hosts": ["data", "web"], "singleton": True}, ["w1"]),
        ({"hosts": ["web"], "kind": "oneshot", "once": "fleet"}, ["w1"]),
        ({"hosts": ["nowhere"]}, []),
    ],
)
def test_a_service_runs_where_its_hosts_say(keys: t.Any, hosts: t.Sequence[str]) -> None:
    stack = manifest(base={}, one=keys)

    found = [
        host for host in GROUPS["all"] if "one" in {each.name for each in placed(stack, host, GROUPS).stack.services}
    ]

    assert found == list(hosts)


def test_what_runs_elsewhere_is_not_waited_for_and_is_named() -> None:
    stack = manifest(
        db={"hosts": ["data"]},
        web={"hosts": ["web"], "depends_on": {"db": "running", "local": "running"}},
        local={},
    )

    part = placed(stack, "w2", GROUPS)

    assert {one.name: dict(one.depends_on) for one in part.stack.services} == {"web": {"local": "running"}, "local": {}}
    assert part.apart == ["web: db"]
    assert part.elsewhere == {"db": ["db"]}
    # The other services are what they were: nothing restarts because of where it runs.
    assert part.stack.services[1] == stack.services[2]


def test_a_task_gets_the_part_of_its_host_and_a_host_without_any_service_is_told() -> None:
    arguments = {"manifest": raw(web={"hosts": ["web"]}), "file": None}
    result: t.Dict[str, t.Any] = {}

    there = check_into(result, arguments, where={"groups": GROUPS, "inventory_hostname": "w1"})
    assert there is not None
    assert [one.name for one in there.services] == ["web"]

    nowhere = check_into(result, arguments, where={"groups": GROUPS, "inventory_hostname": "db"})
    assert nowhere is None
    assert result["failed"]
    assert "No service of the manifest runs on db" in result["msg"]
