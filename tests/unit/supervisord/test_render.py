# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine writes the same config as the role's template."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.render import render
from tests.support import rendering

PLAIN: t.Mapping[str, t.Any] = {"web": {"command": ["/bin/web", "--port={port}", "50%"], "port": 8001}}
STACKS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "plain": PLAIN,
    "secrets and what only a file can carry": {
        "web": {"command": ["/bin/web"], "secrets": {"KEY": "x"}, "env": {"A": "'\"", "B": "a b;c", "C": "ä%"}}
    },
    "all that a service may say": {
        "web": {
            "command": ["/bin/sh", "-c", 'it\'s "quoted" # ; %(x)s'],
            "directory": "/srv/a b",
            "umask": "027",
            "restart": "never",
            "stop": {"signal": "INT", "timeout": 1.5},
            "start": {"seconds": 2.5, "retries": 7},
            "log": {"max_bytes": 5_000_000, "backups": 2},
        },
        "once": {"command": ["/bin/true"], "kind": "oneshot"},
        "many": {"command": ["/bin/x", "{instance}"], "instances": 3, "port": 8050},
    },
    "more than one step of descriptors": {f"s{number}": {"command": ["/bin/x"]} for number in range(350)},
}


@pytest.mark.parametrize("kind", STACKS)
@pytest.mark.parametrize("name", ["trading", "a-b_c"])
def test_it_is_the_text_of_the_template(kind: str, name: str) -> None:
    checked = check_manifest(
        {
            "stack": {
                "name": name,
                "root": "/opt/a b" if kind == "plain" else "/opt/x",
                **{"ports": {"range": [8000, 8100]}, "services": STACKS[kind]},
            }
        }
    )
    assert checked.stack is not None, checked.problems
    assert render(checked.stack) == rendering.render(checked.stack)
