# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest that is moved on its host is the one that the controller makes for the same ports."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.moving import moved

SERVICES: t.Mapping[str, t.Any] = {
    "web": {
        "command": ["bin/web-{port}", "--port={port}", "\\{port}", "--api={port:api}"],
        "port": 8001,
        "fallback_ports": [8011, 8012],
        "health": {"http": "/health?port={port}&{port:api}"},
        "directory": "work/{port}",
    },
    "api": {"command": ["/bin/api"], "port": 8002, "fallback_ports": [8013], "health": {"tcp": True}},
    "many": {"command": ["/bin/many", "{port}", "{instance}"], "instances": 2, "port": 8020, "fallback_ports": [8030]},
    "worker": {
        "command": ["/bin/worker"],
        "env": {"WEB": "http://localhost:{port:web}/", "KEPT": "{port", "ESCAPED": "\\{port:web} {port:web}"},
        "requires_files": ["ready-{port:api}"],
        "depends_on": ["web"],
    },
}
CHECKS = {"database": {"sqlite": "data/{port:web}.db"}}


def checked(assigned: t.Mapping[str, int]) -> Stack:
    raw = {
        "name": "shop",
        "root": "/opt/shop",
        "defaults": {"env": {"MINE": "{port:api}"}},
        "services": SERVICES,
        "checks": CHECKS,
    }
    done = check_manifest({"stack": raw}, assigned=assigned)
    assert done.stack is not None, [problem.as_dict() for problem in done.problems]
    # As the host has it.
    return Stack.from_dict(done.stack.to_dict())


@pytest.mark.parametrize(
    "ports",
    [{}, {"web": 8012}, {"api": 8013}, {"web": 8011, "api": 8013, "many-2": 8031}, {"many-1": 8030, "many-2": 8021}],
)
def test_who_names_a_port_follows_it(ports: t.Dict[str, int]) -> None:
    assert moved(checked({}), ports) == checked(ports)
    there = moved(checked({}), ports)
    assert moved(there, {"web": 8001, "api": 8002, "many-1": 8020, "many-2": 8021}) == checked({})


def test_a_manifest_in_which_nothing_can_move_keeps_nothing_for_it() -> None:
    plain = check_manifest(
        {"stack": {"name": "x", "root": "/opt/x", "services": {"a": {"command": ["/bin/a", "{port}"], "port": 8001}}}}
    ).stack
    assert plain is not None
    assert plain.written is None
    assert dataclasses.replace(plain) == Stack.from_dict(plain.to_dict())
