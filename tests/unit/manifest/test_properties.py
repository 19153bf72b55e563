# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds of every manifest: no crash, no secret told, nothing lost, no order that breaks a dependency."""

from __future__ import annotations

import json
import string
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import parse_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.graph import cycles, dependents, levels
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.keys import HEALTH, SERVICE, STACK
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.secret_values import secret_values
from tests.support.examples import examples
from tests.support.manifests import a_manifest, a_service

PLANTED = "pl4nted-t0ken"

# A machine that is busy with other tests is no failure of these.
PATIENT = settings(max_examples=examples(60), deadline=None)

KEYS = sorted(
    {*STACK, *SERVICE, *HEALTH}
    | {"stack", "core_services", "watchdog_services", "monitor_instances", "port_ranges", "notes", "critical", "sqlite"}
    | {"restarts", "within", "signal", "seconds", "range", "also", "avoid", "run", "main_app", "A", "", "a:b"}
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["/opt/x", "main_app", "oneshot", "healthy", "TERM", "x | y", "'", "{port}", 8000, 22, 6000, 10**400]
    ),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=4), st.integers()), inner, max_size=6),
    ),
    max_leaves=30,
)
NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=8).filter(lambda name: name not in ("all", "supervisord"))
# What neither a process nor a config has trouble with, and some that only a config has.
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)
VARIABLES = st.text(string.ascii_uppercase, min_size=1, max_size=6).filter(lambda name: name != "PORT")


@st.composite
def good_manifests(draw: st.DrawFn) -> dict[str, Any]:
    """Return a manifest that is in order: services depend on earlier ones only."""
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    services: dict[str, Any] = {}
    for number, name in enumerate(names):
        services[name] = a_service(
            command=["run", *draw(st.lists(TEXT, max_size=3))],
            port=draw(st.sampled_from([None, 8000 + number])),
            env=draw(st.dictionaries(VARIABLES, st.one_of(TEXT, st.booleans(), st.integers()), max_size=3)),
            depends_on=draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else [],
            kind=draw(st.sampled_from(["service", "oneshot"])),
            stop={"timeout": draw(st.floats(0, 3600))},
            requires_files=draw(st.lists(NAMES, max_size=2, unique=True)),
            requires_env=draw(st.lists(st.sampled_from(["PATH", "HOME", "ROLLCALL_ROOT"]), unique=True)),
            # Each set of secrets takes its time.
            secrets={"lower_case": draw(TEXT)} if number == 0 else {},
        )
    order = draw(st.permutations(names))
    budget = {"restarts": draw(st.integers(1, 1000)), "within": draw(st.floats(1, 604_800))}
    return a_manifest({name: services[name] for name in order}, restart_budget=budget)


@given(ANYTHING, st.none() | ANYTHING)
@PATIENT
def test_no_data_makes_the_check_raise(data: Any, overlay: Any) -> None:
    result = check_manifest(data, overlay=overlay)

    assert (result.stack is None) == any(item.severity == "error" for item in result.problems)
    assert all(item.place and item.message and item.cure for item in result.problems)
    assert all(isinstance(value, dict) for value in secret_values(data, overlay).values())
    json.dumps([item.as_dict() for item in result.problems]).encode("utf-8")


@given(st.sampled_from(KEYS), ANYTHING, st.booleans())
@PATIENT
def test_no_value_in_a_good_manifest_makes_the_check_raise(key: str, value: Any, in_service: bool) -> None:
    data = a_manifest({"main_app": a_service(**{key: value})}) if in_service else a_manifest(**{key: value})

    check_manifest(data)


@given(good_manifests())
@PATIENT
def test_a_good_manifest_is_kept_whole(data: dict[str, Any]) -> None:
    result = check_manifest(data)

    assert result.problems == []
    assert result.stack is not None
    assert Stack.from_dict(json.loads(json.dumps(result.stack.to_dict()))) == result.stack
    for service in result.stack.services:
        written = data["stack"]["services"][service.name]
        assert list(service.command) == written["command"]
        assert list(service.requires_files) == [f"/opt/trading/{path}" for path in written["requires_files"]]
        assert list(service.requires_env) == written["requires_env"]
        assert {name: service.env[name] for name in written["env"]} == {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in written["env"].items()
        }


@given(good_manifests())
@PATIENT
def test_levels_and_dependents_agree_with_the_dependencies(data: dict[str, Any]) -> None:
    stack = check_manifest(data).stack
    assert stack is not None
    ordered = levels(stack)
    height = {name: number for number, level in enumerate(ordered) for name in level}

    assert sorted(height) == sorted(service.name for service in stack.services)
    assert sum(map(len, ordered)) == len(stack.services)
    for service in stack.services:
        assert all(height[other] < height[service.name] for other in service.depends_on)
        standing_on_it = dependents(stack, [service.name])
        for other in stack.services:
            assert (other.name in standing_on_it) == (
                other.name == service.name or bool(standing_on_it & set(other.depends_on))
            )


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=8))
@PATIENT
def test_a_circle_is_found_exactly_when_there_is_one(graph: dict[str, list[str]]) -> None:
    circles = list(cycles(graph))

    for cycle in circles:
        assert cycle[0] == cycle[-1]
        assert all(after in graph[before] for before, after in zip(cycle, cycle[1:]))
    left = dict(graph)
    while True:
        free = [name for name, needs in left.items() if not any(need in left for need in needs)]
        if not free:
            break
        for name in free:
            del left[name]
    assert bool(circles) == bool(left)


def plant(value: Any) -> Any:
    """Return ``value`` with the planted token in every text of it, keys excepted."""
    if isinstance(value, str):
        return PLANTED + value
    if isinstance(value, list):
        return [plant(item) for item in value]
    if isinstance(value, dict):
        return {key: plant(item) for key, item in value.items()}
    return value


@given(ANYTHING, st.booleans())
@PATIENT
def test_no_problem_and_no_stack_shows_a_secret(value: Any, default: bool) -> None:
    secrets = {"secrets": plant(value)}
    data = a_manifest(defaults=secrets) if default else a_manifest({"main_app": a_service(**secrets)})

    result = check_manifest(data)

    assert PLANTED not in repr(result)
    assert result.stack is None or PLANTED not in json.dumps(result.stack.to_dict())


@given(st.binary(max_size=200))
@PATIENT
def test_no_bytes_make_the_loader_raise(content: bytes) -> None:
    loaded = parse_manifest(content)

    assert all(item.place and item.message and item.cure for item in loaded.problems)


@given(st.text(st.sampled_from("ab:- \n[]{},&*!|>'\"#?%1.\t\\"), max_size=60))
@PATIENT
@example("\t[]")
def test_what_the_loader_takes_is_what_the_standard_library_or_pyyaml_reads(text: str) -> None:
    loaded = parse_manifest(text.encode())
    if loaded.failed:
        return

    try:
        # A tab before a bracket is JSON, and not YAML.
        expected = json.loads(text)
    except ValueError:
        expected = yaml.load(text, Loader=yaml.CSafeLoader)
    assert loaded.data == expected


@given(ANYTHING.filter(lambda value: isinstance(value, (dict, list))))
@PATIENT
def test_json_is_read_as_the_standard_library_reads_it(value: Any) -> None:
    text = json.dumps(value)
    loaded = parse_manifest(text.encode(), json_only=True)
    if loaded.failed:
        # A number that is none, or that is too large.
        assert "number" in loaded.problems[0].message or "twice" in loaded.problems[0].message
        return

    assert loaded.data == json.loads(text)


@given(good_manifests(), st.data())
@PATIENT
def test_a_cut_off_json_manifest_is_refused(data: dict[str, Any], draw: st.DataObject) -> None:
    text = json.dumps(data)
    end = draw.draw(st.integers(0, len(text) - 1))

    assert parse_manifest(text[:end].encode(), json_only=True).failed
