# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has is known or it is not: a host without ports is told from one that nobody could ask."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.version import VERSION
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.discovery import discovered, discovery_text
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import Seen

GOOD = Seen(reached=True, version=VERSION, healthy=True, release="v2", running=("v1",))
PORT = {
    **{"stack": "trading", "service": "web", "group": "", "instance": 0, "port_name": "metrics", "port": 8005},
    **{"protocol": "udp", "address": "127.0.0.1", "health": "ok", "stopped": True, "checks": []},
}


def answer(seen: Seen, **more: t.Any) -> t.Dict[str, t.Any]:
    return {"seen": dataclasses.asdict(seen), **more}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (answer(GOOD, endpoints=[PORT]), ""),
        (answer(Seen(reached=True)), ""),
        (answer(Seen(reached=False, why="no route")), "no route"),
        (answer(Seen(reached=True, version="0.0.1")), "another engine"),
        (answer(Seen(reached=True, version=VERSION, refused="may not be read")), "may not be read"),
        ({"failed": True, "msg": "Timed out"}, "Timed out"),
        ({}, "it has not answered"),
    ],
)
def test_a_host_is_known_or_it_is_said_why_not(said: t.Any, why: str) -> None:
    found = discovered(said, "10.0.0.1", "")

    assert found["why"] == why
    assert (found["endpoints"] is None) == bool(why)


def test_the_table_has_a_line_for_each_port_and_for_each_host_that_is_not_known() -> None:
    hosts = {"a": discovered(answer(GOOD, endpoints=[PORT]), "10.0.0.1", ""), "b": discovered({}, "10.0.0.2", "")}

    _head, row, _blank, unknown, last = discovery_text(hosts).splitlines()

    assert row.split() == ["a", "trading", "web", "metrics", "8005/udp", "10.0.0.1", "stopped", "v1"]
    assert unknown == "not known: b: it has not answered"
    assert last == "1 port on 1 host, 1 not known"
