# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a manifest's file has in it, the check ends soon, with a verdict or with problems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from tests.support.hostile import FUZZ, contained, mutated, rollcall
from tests.support.repository import ROOT

YAML = """\
stack:
  name: trading
  root: /opt/trading
  user: svc
  ports: {range: [8000, 8100], avoid: [8050], also: [9000]}
  defaults: &common
    env: {LANG: C.UTF-8, RATE: 1.5}
    stop: {signal: TERM, timeout: 10}
  services:
    store:
      command: [bin/store, --port, "{port}"]
      port: 8001
      fallback_ports: [8002, 8003]
      health: {kind: http, path: /health, status: 200, body: ok}
      secrets: {TOKEN: 'a b'}
    web:
      command: [bin/web, --store, "http://127.0.0.1:{port:store}"]
      port: 8010
      instances: 3
      depends_on: {store: healthy}
      requires_files: [conf/web.yml]
      restart: always
      log: {max_bytes: 1000000, backups: 3}
  deprecated: {old: 8099}
  checks:
    logs: {critical: ["ERROR", "Traceback"]}
    database: {postgresql: {service: web, variable: DATABASE_URL, query: SELECT 1}}
"""
OLDER = (ROOT / "examples" / "legacy" / "port_manifest.json").read_text(encoding="utf-8")
NEWER = json.dumps(
    {
        "stack": {
            "name": "demo",
            "root": "/opt/demo",
            "services": {"web": {"command": ["bin/web"], "port": 8000, "env": {"A": "b"}, "depends_on": []}},
        }
    }
)
INVENTORY = (
    "rollcall_stack:\n  name: '{{ name }}'\n  root: !unsafe /opt/x\n  services: {web: {command: [x]}}\nother: 1\n"
)


@given(mutated(YAML.encode(), INVENTORY.encode()))
@FUZZ
def test_the_check_of_a_yaml_file_says_what_is_wrong_with_it(tmp_path_factory: Any, content: bytes) -> None:
    assert_checked(place(tmp_path_factory, "stack.yml"), content)


@given(mutated(OLDER.encode(), NEWER.encode()), st.sampled_from(["stack.json", "stack.yml"]))
@FUZZ
def test_the_check_of_a_json_file_of_either_shape_says_what_is_wrong_with_it(
    tmp_path_factory: Any, content: bytes, name: str
) -> None:
    assert_checked(place(tmp_path_factory, name), content)


# What a playbook may hand over, or the reader of another format: nothing but data, and of any depth.
KEYS = (
    "stack name root services web command port env secrets health depends_on defaults core_services watchdog_services "
    "monitor_instances port_ranges notes instances ports checks rollcall_stack"
)
WORDS = st.sampled_from(
    [*KEYS.split(), "{port:web}", "{{ x }}", "\ud800", "\0", "A" * 100_000, "/opt/x", "", "<<", "\u202e", "..", "%(x)s"]
)
LEAVES = st.one_of(
    WORDS,
    st.none(),
    st.booleans(),
    st.floats(),
    st.sampled_from([0, -1, 8000, 65_536, 10**30]),
    # Python refuses to write a number of more digits than 4300 in base 10; YAML has them in base 16.
    st.sampled_from([400, 5000]).map(lambda digits: 10**digits),
    st.binary(max_size=3),
)
DATA = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(WORDS, LEAVES), inner, max_size=4),
        st.tuples(inner, st.sampled_from([100, 10_000])).map(lambda told: nested(*told)),
    ),
    max_leaves=12,
)


def nested(value: Any, levels: int) -> Any:
    """Return a value below so many lists and mappings."""
    for level in range(levels):
        value = {"services": value} if level % 2 else [value]
    return value


@given(
    DATA,
    st.sampled_from(["name", "root", "services", "ports", "defaults", "checks", "paths", "user", ""]),
    st.booleans(),
)
@FUZZ
def test_the_check_of_plain_data_says_what_is_wrong_with_it(value: Any, key: str, in_service: bool) -> None:
    stack = json.loads(NEWER)["stack"]
    stack["services"]["web"].update({key: value} if in_service else {})
    data = value if not key else {"stack": {**stack, **({} if in_service else {key: value})}}

    with contained():
        result = check_manifest(data, overlay={"stack": {"user": "svc"}})
        problems = [problem.as_dict() for problem in result.problems]

    assert (result.stack is None) == any(problem["severity"] == "error" for problem in problems)
    json.dumps(problems).encode()


def place(tmp_path_factory: Any, name: str) -> Path:
    base: Path = tmp_path_factory.getbasetemp()
    return base / name


def assert_checked(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    said = rollcall("manifest", "check", str(path), "--json")

    found = json.loads(said.output)
    assert (said.code == 0) == found["ok"]
    assert found["ok"] or any(problem["severity"] == "error" for problem in found["problems"])
    assert all(problem["place"] and problem["message"] and problem["cure"] for problem in found["problems"])


def test_a_database_check_without_a_value_beside_ports_that_may_move(tmp_path: Path) -> None:
    path = tmp_path / "stack.yml"
    path.write_text(
        "stack:\n  name: demo\n  root: /opt/demo\n  checks: {database: null}\n"
        "  services: {web: {command: [bin/web], port: 8000, fallback_ports: [8001]}}\n"
    )

    assert rollcall("manifest", "check", str(path)).code in (0, 1)
