# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes to manifest files: the one place, and nothing else, whatever the file looks like."""

from __future__ import annotations

import builtins
import fcntl
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest import edit
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.edit import Change, edit_manifest, rewrite
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import parse_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.layout import GONE
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.plain_data import same
from tests.support.examples import examples
from tests.unit.manifest.test_properties import PATIENT, good_manifests

# Nothing in it is where a program that writes YAML would put it.
ODD = """\
---
# the trading stack

stack:   # ours
    name:  trading
    root: "/opt/trading"
    ports: {range: [8000, 8100], also: [3000],}
    defaults:
        command: [venv/bin/python, "{name}.py", "--port={port}"]   # shared
        env: {LOG_LEVEL: info}

    services:
        main_app:
            description: The web page
            port:   3000    # people know it
            health: {http: /health}
            depends_on:
            - cache
            # and more to come

        # the cache
        cache:
            port: 8005
            description: &text |+
                What it is for.

        'quoted':
            port: 8006
            env:
                A: 'one'
                # last
    # end
    deprecated:
      old: 8002
...
# the very end"""

OLDER = """\
{
  "core_services": {
    "main_app": {"port": 3000, "description": "Web", "status": "active"},
    "executor":    {"port" : 8001,
       "description": "Orders \\u00e9 é"}
  },
  "watchdog_services": {
    "monitor": {
      "port": null
    }
  },
  "deprecated_services": {"poller": {"port": 8002}},
  "port_ranges": {"safe_range_start": 8000, "safe_range_end": 8100},
  "notes": {"avoid_ports": [5000, 7000]}
}"""

INVENTORY = """\
# Variables of all hosts.
api_token: !vault |
  $ANSIBLE_VAULT;1.1;AES256
  3132
common: &common {LOG: info}
debug: yes
rollcall_stack:
  name: demo
  root: "{{ playbook_dir }}/.demo"
  defaults: {command: [run, "{{ api_token }}"], env: *common}
  services:
    web: &web
      port: 8000
      secrets: {TOKEN: !vault abc, KEY: hunter2}
    api: *web
    store: {port: 8001, health: }
    merged:
      <<: *web
      port: 8003
"""


def after(text: str, *changes: Change, path: str = "manifest.yml") -> str:
    """Return the text after changes."""
    return rewrite(path, text.encode("utf-8"), changes)[1].text


def refusal(text: str, *changes: Change, path: str = "manifest.yml") -> RollcallError:
    """Return why changes are refused."""
    with pytest.raises(RollcallError) as caught:
        rewrite(path, text.encode("utf-8"), changes)
    return caught.value


def outcome(content: bytes, change: Change) -> str | RollcallError:
    """Return the text after a change, or why there is none; nothing else is ever raised."""
    try:
        return rewrite("manifest.yml", content, [change])[1].text
    except RollcallError as exc:
        return exc


def put(*place: str, to: Any) -> Change:
    return Change(place, to)


def gone(*place: str) -> Change:
    return Change(place, present=False)


def lines_changed(before: str, now: str) -> tuple[list[str], list[str]]:
    """Return the lines that only the one and only the other has, without those they begin and end with."""
    old, new = before.splitlines(), now.splitlines()
    while old and new and old[0] == new[0]:
        old, new = old[1:], new[1:]
    while old and new and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    return old, new


# --- YAML --------------------------------------------------------------------------------------------------------

PORTS = "    ports: {range: [8000, 8100], also: [3000],}"


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        (
            put("services", "main_app", "port", to=8001),
            ["            port:   3000    # people know it"],
            ["            port:   8001    # people know it"],
        ),
        (put("stack", "services", "cache", "port", to=8007), ["            port: 8005"], ["            port: 8007"]),
        # quotes
        (put("root", to="/srv/trading"), ['    root: "/opt/trading"'], ['    root: "/srv/trading"']),
        (put("services", "quoted", "env", "A", to="08"), ["                A: 'one'"], ["                A: '08'"]),
        (put("services", "quoted", "env", "A", to=1), ["                A: 'one'"], ["                A: 1"]),
        (put("services", "quoted", "env", "B", to="12:30"), [], ["                B: '12:30'"]),
        (put("services", "quoted", "env", "B", to="yes"), [], ["                B: 'yes'"]),
        (put("services", "quoted", "env", "B", to="2026-01-01"), [], ["                B: '2026-01-01'"]),
        (put("services", "quoted", "env", "B", to="a: #b"), [], ["                B: 'a: #b'"]),
        (put("services", "quoted", "env", "B", to="{{ x }}"), [], ["                B: '{{ x }}'"]),
        (put("services", "quoted", "env", "B", to=""), [], ["                B: ''"]),
        (put("services", "quoted", "env", "B", to="☺ it's"), [], ["                B: ☺ it's"]),
        (put("services", "quoted", "env", "B", to="tab\there"), [], ['                B: "tab\\there"']),
        (put("services", "quoted", "env", "B", to=True), [], ["                B: true"]),
        (put("services", "quoted", "env", "B", to=1e16), [], ["                B: 1.0e+16"]),
        # lists and mappings on one line
        (put("ports", "also", to=[3000, 4000]), [PORTS], ["    ports: {range: [8000, 8100], also: [3000, 4000],}"]),
        (put("ports", "avoid", to=[]), [PORTS], ["    ports: {range: [8000, 8100], also: [3000], avoid: [],}"]),
        (gone("ports", "range"), [PORTS], ["    ports: {also: [3000],}"]),
        (
            put("defaults", "command", to="bin/run {name}"),
            ['        command: [venv/bin/python, "{name}.py", "--port={port}"]   # shared'],
            ["        command: 'bin/run {name}'   # shared"],
        ),
        (gone("defaults", "env", "LOG_LEVEL"), ["        env: {LOG_LEVEL: info}"], ["        env: {}"]),
        # lists and mappings by indentation
        (put("services", "main_app", "depends_on", to=["cache", "quoted"]), [], ["            - quoted"]),
        (
            put("services", "main_app", "depends_on", to={"cache": "running"}),
            ["            - cache"],
            ["                cache: running"],
        ),
        (
            put("services", "main_app", "depends_on", to=[]),
            ["            depends_on:", "            - cache"],
            ["            depends_on: []"],
        ),
        (
            put("services", "main_app", "health", to=None),
            ["            health: {http: /health}"],
            ["            health: null"],
        ),
        (
            gone("services", "quoted", "env", "A"),
            ["            env:", "                A: 'one'"],
            ["            env: {}"],
        ),
        (gone("services", "main_app", "health"), ["            health: {http: /health}"], []),
        (
            gone("services", "quoted"),
            [
                "        'quoted':",
                "            port: 8006",
                "            env:",
                "                A: 'one'",
                "                # last",
            ],
            [],
        ),
        # what is not there yet
        (put("services", "cache", "stop", "timeout", to=5), [], ["            stop: {timeout: 5}"]),
        (put("deprecated", "older", to=8009), [], ["      older: 8009"]),
        (
            put("checks", "logs", "critical", to=["a", "b"]),
            [],
            ["    checks:", "        logs:", "            critical: [a, b]"],
        ),
        (
            put("services", "new", to={"port": 8050, "env": {"A": "no", "B": "x y"}, "depends_on": ["cache"]}),
            [],
            [
                "        new:",
                "            port: 8050",
                "            env: {A: 'no', B: x y}",
                "            depends_on: [cache]",
            ],
        ),
        # texts of several lines
        (
            put("services", "cache", "description", to="one line"),
            ["            description: &text |+", "                What it is for.", ""],
            ["            description: &text one line"],
        ),
    ],
    ids=lambda value: ".".join(value.place) if isinstance(value, Change) else "",
)
def test_one_value_is_changed_and_the_rest_stays(change: Change, old: list[str], new: list[str]) -> None:
    now = after(ODD, change)

    assert lines_changed(ODD, now) == (old, new)
    assert after(now, change) == now


def test_a_value_that_is_there_is_not_written_again() -> None:
    assert after(ODD, put("services", "main_app", "port", to=3000), put("ports", "range", to=[8000, 8100])) == ODD
    assert after(ODD, gone("services", "main_app", "stop"), gone("services", "none", "port")) == ODD


def test_a_mapping_is_changed_key_by_key() -> None:
    wanted = {"port": 8010, "health": {"http": "/health", "status": 204}, "description": "The web page"}

    assert lines_changed(ODD, after(ODD, put("services", "main_app", to=wanted))) == (
        [
            "            port:   3000    # people know it",
            "            health: {http: /health}",
            "            depends_on:",
            "            - cache",
        ],
        ["            port:   8010    # people know it", "            health: {http: /health, status: 204}"],
    )


def test_changes_are_carried_out_one_after_the_other() -> None:
    swapped = after(
        ODD, put("services", "cache", "port", to=8006), put("services", "quoted", "port", to=8005), gone("deprecated")
    )

    assert swapped == ODD.replace("8005", "X").replace("8006", "8005").replace("X", "8006").replace(
        "    deprecated:\n      old: 8002\n", ""
    )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("last", ["", "\n"])
@pytest.mark.parametrize(
    ("change", "new"),
    [
        (put("services", "a", "port", to=8009), "stack:\n  services:\n    a:\n      port: 8009\n  root: /r"),
        (put("services", "a", "env", to={"A": "b"}), None),
        (put("name", to="x"), "stack:\n  services:\n    a:\n      port: 8001\n  root: /r\n  name: x"),
        (gone("root"), "stack:\n  services:\n    a:\n      port: 8001"),
    ],
)
def test_line_ends_a_byte_order_mark_and_a_missing_last_line_end_stay(
    end: str, bom: str, last: str, change: Change, new: str | None
) -> None:
    old = "stack:\n  services:\n    a:\n      port: 8001\n  root: /r"
    new = new or old.replace("8001", "8001\n      env: {A: b}")
    content = (bom + old + last).replace("\n", end).encode()
    if change.place == ("root",):
        # It is required, and its error is not held against anybody as long as it is there already.
        with pytest.raises(RollcallError, match="is missing"):
            rewrite("m.yml", content, [change])
        return
    before, now = rewrite("m.yml", content, [change])

    assert (now.bom + now.text).encode() == (bom + new + last).replace("\n", end).encode()
    assert (before.bom + before.text).encode() == content


@pytest.mark.parametrize(
    ("old", "change", "new"),
    [
        ("services:\n", put("services", to={"a": {"port": 1}}), "services:\n  a: {port: 1}\n"),
        ("a:  # c\nb: 1\n", put("a", to={"x": {"y": 1}}), "a:  # c\n  x: {y: 1}\nb: 1\n"),
        ("a: 1 # c\n", put("a", to={"x": {"y": 1}}), "a: # c\n  x: {y: 1}\n"),
        ("a: # c\n  # d\n  x: 1\n", put("a", to=5), "a: 5 # c\n  # d\n"),
        ("a: &x\n  y: 1\n", put("a", to=5), "a: 5\n"),
        ("a: &x 1\n", put("a", to=5), "a: &x 5\n"),
        ("a: ! x\n", put("a", to=5), "a: 5\n"),
        ("a: {b, c}\n", put("a", "b", to=5), "a: {b: 5, c}\n"),
        ("a: {b: , c: 1}\n", put("a", "b", to=5), "a: {b: 5 , c: 1}\n"),
        ("a: {}\n", put("a", "b", to=5), "a: {b: 5}\n"),
        ("a: |\n  x\n\n\nb: 1\n", put("a", to="y"), "a: y\n\n\nb: 1\n"),
        ("a: >-\n  x\n", put("b", to=1), "a: >-\n  x\nb: 1\n"),
        ("a: 'x\n  y'\nb: 1\n", put("a", to="z"), "a: 'z'\nb: 1\n"),
        (
            "a: {\n  b: 1, # one\n  c: 2  # two\n}\n",
            put("a", "d", to=3),
            "a: {\n  b: 1, # one\n  c: 2,  # two\n  d: 3\n}\n",
        ),
        ("a: {\n  b: 1,\n  c: 2}\n", put("a", "d", to=3), "a: {\n  b: 1,\n  c: 2,\n  d: 3}\n"),
        ("a: {\n  b: 1, # one\n  c: 2  # two\n}\n", gone("a", "c"), "a: {\n  b: 1 # one\n}\n"),
        ("a: {\n  b: 1, # one\n  c: 2,\n}\n", gone("a", "b"), "a: {\n  c: 2,\n}\n"),
        ("a: {b: 1, c: 2}\n", gone("a", "b"), "a: {c: 2}\n"),
        ("a: 1\nb:\n  c: 2", gone("b", "c"), "a: 1\nb: {}"),
        ("a: 1\nb: 2", gone("b"), "a: 1"),
        ("a: 1\n\n# for b\nb: 2\nc: 3\n", gone("b"), "a: 1\n\n# for b\nc: 3\n"),
        ("? a\n: 1\nb: 2\n", put("b", to=3), "? a\n: 1\nb: 3\n"),
        ("'a':    1\n", put("a", to=2), "'a':    2\n"),
        ("a:\n  - x\n", put("a", to=["x", "y"]), "a:\n  - x\n  - y\n"),
        ("a: [x]\n", put("a", to=["x", {"y": [1]}]), "a: [x, {y: [1]}]\n"),
        ("a: 1\n", put("b", to=["x", {"y": 1}]), "a: 1\nb:\n  - x\n  - {y: 1}\n"),
    ],
)
def test_every_way_of_writing_yaml(old: str, change: Change, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # None of these is a manifest.
    monkeypatch.setattr(edit, "_refuse_worse", lambda *_arguments: None)

    assert after(old, change) == new


# --- JSON and the older shape --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        (put("services", "executor", "port", to=8003), ['"port" : 8001'], ['"port" : 8003']),
        (put("services", "monitor", "port", to=8003), ["null"], ["8003"]),
        (put("services", "monitor", "restart", to="always"), ["null"], ['null,\n      "restart": "always"']),
        (put("services", "main_app", "health", to={"http": "/é"}), [], None),
        (put("core_services", "main_app", "status", to="x"), ['"active"'], ['"x"']),
        (put("deprecated", "poller", to=8004), ["8002"], ["8004"]),
        (gone("deprecated", "poller"), ['{"poller": {"port": 8002}}'], ["{}"]),
        (put("ports", "avoid", to=[5000]), ["[5000, 7000]"], ["[5000]"]),
        (put("port_ranges", "safe_range_end", to=8200), ["8100"], ["8200"]),
        (gone("ports", "range"), ['  "port_ranges": {"safe_range_start": 8000, "safe_range_end": 8100},\n'], [""]),
        (put("ports", "also", to=[3000]), ["7000]}"], ['7000]},\n  "ports": {"also": [3000]}']),
        (gone("notes"), [',\n  "notes": {"avoid_ports": [5000, 7000]}'], [""]),
        (
            put("services", "new", to={"port": 8050}),
            ['é"}\n  }'],
            ['é"},\n    "new": {\n      "port": 8050\n    }\n  }'],
        ),
        (
            gone("services", "main_app"),
            ['    "main_app": {"port": 3000, "description": "Web", "status": "active"},\n'],
            [""],
        ),
    ],
    ids=lambda value: ".".join(value.place) if isinstance(value, Change) else "",
)
def test_json_is_changed_where_the_older_shape_has_it(change: Change, old: list[str], new: list[str] | None) -> None:
    if new is None:
        assert "percent-encoded" in refusal(OLDER, change, path="m.json").text()
        return
    assert OLDER.count(old[0]) == 1 or old[0] in ("null", "8001", '"active"')
    now = after(OLDER, change, path="m.json")

    assert now == OLDER.replace(old[0], new[0])
    assert after(now, change, path="m.json") == now
    # The same text is YAML by its name, and JSON all the same.
    assert after(OLDER, change) == now


def test_json_without_blanks_stays_so() -> None:
    old = '{"core_services":{"a":{"port":8001}}}'

    assert after(old, put("services", "b", to={"port": 8002}), path="m.json") == (
        '{"core_services":{"a":{"port":8001},"b":{"port":8002}}}'
    )


def test_our_own_keys_beside_older_ones_count_first() -> None:
    both = "stack:\n  services:\n    web: {health: {http: /}, port: 8001}\n    api: {health: {http: /}}\n" + (
        "core_services:\n  web: {port: 8002}\n  api: {port: 8003}\n"
    )

    assert after(both, put("services", "web", "port", to=8005)) == both.replace("8001", "8005")
    assert after(both, put("services", "api", "port", to=8005)) == both.replace("8003", "8005")
    healthy = gone("services", "web", "health")
    assert after(both, healthy, gone("services", "web", "port")) == both.replace(
        "health: {http: /}, port: 8001", ""
    ).replace("port: 8002", "")


def test_a_range_of_the_older_shape_is_two_places() -> None:
    refused = refusal(OLDER, put("ports", "range", to=[8000, 8200]), path="m.json")

    assert refused.kind == "wrong_use"
    assert "port_ranges.safe_range_end" in refused.message


# --- variables of an inventory -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        (put("services", "store", "port", to=8009), "port: 8001", "port: 8009"),
        (put("services", "store", "health", to={"tcp": True}), "health: }", "health: {tcp: true} }"),
        (put("services", "merged", "port", to=8009), "port: 8003", "port: 8009"),
        (put("services", "api", to={"port": 8007}), "api: *web", "api: {port: 8007}"),
        (put("defaults", "env", to={"LOG": "all"}), "env: *common", "env: {LOG: all}"),
        (put("name", to="{{ name }}"), "name: demo", "name: '{{ name }}'"),
    ],
)
def test_a_variable_of_an_inventory_is_changed_and_the_others_stay(change: Change, old: str, new: str) -> None:
    if change.place == ("name",):
        assert "cannot be used" in refusal(INVENTORY, change).message
        return
    assert after(INVENTORY, change) == INVENTORY.replace(old, new)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (put("services", "web", "port", to=8009), "services.api.port"),
        (put("services", "api", "port", to=8009), "services.api.port"),
        (gone("services", "web"), "services.web"),
        (put("defaults", "env", "LOG", to="all"), "defaults.env.LOG"),
        (gone("services", "merged", "secrets"), "services.merged.secrets"),
        (put("services", "merged", "secrets", "KEY", to="x"), "services.merged.secrets"),
    ],
)
def test_what_an_alias_ties_to_another_place_is_refused(change: Change, where: str) -> None:
    refused = refusal(INVENTORY, change)

    assert refused.kind == "refused"
    assert where in refused.message


def test_secrets_are_not_shown() -> None:
    before, now = rewrite("all.yml", INVENTORY.encode(), [put("services", "store", "port", to=8009)])

    assert before.shown() == INVENTORY.replace("!vault abc", "********").replace("hunter2", "********")
    assert now.shown() == before.shown().replace("8001", "8009")


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "change", "words"),
    [
        (ODD, put("services", "main_ap", "port", to=8001), "did you mean main_app?"),
        (ODD, put("services", "main_app", "port", to=22), "port 22 is protected"),
        (ODD, put("services", "main_app", "port", to=8005), "port 8005 is the port of main_app, too"),
        (ODD, put("services", "main_app", "port", to="8005"), "is text, not a port number"),
        (ODD, put("services", "main_app", "port", "number", to=1), "is a number, not a mapping"),
        (ODD, put("services", "main_app", "prot", to=8001), "is not a key of a service (did you mean port?)"),
        (ODD, gone("services", "cache"), "main_app.depends_on.cache (line 17): is not a service"),
        (ODD, gone("services"), "there are no services"),
        (ODD, gone("ports", "also"), "port 3000 is outside the range 8000-8100"),
        (ODD, Change(()), "needs a place"),
        (ODD, Change(("stack",)), "needs a place"),
        (ODD, Change(("services", "")), "needs a place"),
        (ODD, put("name", to={1, 2}), "is not plain data"),
        (ODD, put("stable_for", to=float("nan")), "is not plain data"),
        (ODD, put("name", to="\ud800"), "is not plain data"),
        (ODD, put("name", to=10**20), "is not plain data"),
        ("services: {a: {port: 1}, a: {port: 2}}\n", put("services", "a", "port", to=8001), "in the manifest twice"),
        ("other: 1\n", put("services", "a", "port", to=8001), "'a' is not a service"),
        ("- a\n", put("name", to="x"), "is a list, not a mapping"),
        ("null\n", put("name", to="x"), "is empty, not a mapping"),
        ("a: 1\n---\nb: 2\n", put("name", to="x"), "more than one document"),
        ("a: [&x [*x]]\n", put("name", to="x"), "not finished"),
        ("a: !x [&x [*x]]\n", put("name", to="x"), "not finished"),
        (f"a: {'x' * 140_000} # !\nb: *x\n", put("name", to="x"), "larger than 128 KiB"),
    ],
)
def test_wrong_use_is_refused_with_its_reason(text: str, change: Change, words: str) -> None:
    refused = refusal(text, change)

    assert refused.kind == "wrong_use"
    assert words in refused.message


def test_all_errors_that_a_change_brings_are_named() -> None:
    refused = refusal(ODD, put("services", "main_app", "port", to=22), put("services", "cache", "prot", to=1))

    assert [problem["place"] for problem in refused.evidence["problems"]] == [
        "stack.services.cache.prot (line 27)",
        "stack.services.main_app.port (line 15)",
    ]
    assert len(refused.remedies) == 2


@pytest.mark.parametrize(
    ("text", "change"),
    [
        # another service has the wrong port
        ("services: {a: {port: 22}, b: {port: 8001}}\n", put("services", "b", "port", to=8002)),
        # one of three on one port is moved: what is said of the third names another one then
        ("services: {a: {port: 8001}, b: {port: 8001}, c: {port: 8001}}\n", put("services", "a", "port", to=8002)),
        # nobody has a command, which is told with the names of all
        ("services: {a: {port: 8001}}\n", put("services", "b", to={"port": 8002})),
        # the wrong value itself is only made another one that is right
        ("services: {a: {port: 22}}\n", put("services", "a", "port", to=8002)),
        # text that is read otherwise than it looks
        ("services: {a: {port: 08080}, b: {}}\n", put("services", "b", "port", to=8002)),
    ],
)
def test_an_error_that_is_there_keeps_nobody_from_changing_something_else(text: str, change: Change) -> None:
    assert after(text, change) != text


@pytest.mark.parametrize(
    ("text", "change", "words"),
    [
        ("services: {a: {port: 22}}\n", put("services", "a", "port", to=5000), "port 5000 is to be avoided"),
        (
            "services: {a: {port: 8001}, b: {port: 9999}}\n",
            put("services", "a", "port", to=9999),
            "is the port of a, too",
        ),
    ],
)
def test_one_error_does_not_excuse_another(text: str, change: Change, words: str) -> None:
    assert words in refusal(text, change).message


def test_without_the_library_yaml_is_refused_and_json_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def fake(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("ruamel"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", fake)
    refused = refusal("name: trading\n", put("name", to="other"))

    assert "has no ruamel.yaml" in refused.message
    assert "pip install ruamel.yaml" in refused.remedies[0]
    assert after("name: trading\n", put("name", to="trading")) == "name: trading\n"
    assert after('{"name": "trading"}', put("name", to="other")) == '{"name": "other"}'


# --- the file --------------------------------------------------------------------------------------------------------


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.yml"
    path.write_text(ODD, encoding="utf-8")
    return path


def test_the_file_is_replaced_with_its_mode_and_through_a_link(manifest: Path, tmp_path: Path) -> None:
    manifest.chmod(0o640)
    link = tmp_path / "links" / "current.yml"
    link.parent.mkdir()
    link.symlink_to("../manifest.yml")

    done = edit_manifest(str(link), [put("services", "cache", "port", to=8009)])

    assert done.changed
    assert (done.before, done.after) == (ODD, ODD.replace("8005", "8009"))
    assert manifest.read_text(encoding="utf-8") == done.after
    assert link.is_symlink()
    assert stat.S_IMODE(manifest.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["links", "manifest.yml"]
    assert [path.name for path in link.parent.iterdir()] == ["current.yml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to somebody else")
def test_the_owner_stays(manifest: Path) -> None:
    os.chown(manifest, 65534, 65533)
    edit_manifest(str(manifest), [put("services", "cache", "port", to=8009)])

    assert (manifest.stat().st_uid, manifest.stat().st_gid) == (65534, 65533)


def test_what_would_change_nothing_does_not_touch_the_file(manifest: Path) -> None:
    before = manifest.stat()
    done = edit_manifest(str(manifest), [put("services", "cache", "port", to=8005)])

    assert not done.changed
    assert done.before == done.after == ODD
    assert (manifest.stat().st_ino, manifest.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_dry_run_says_the_same_and_writes_nothing(manifest: Path) -> None:
    change = put("services", "cache", "port", to=8009)
    with manifest.open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = edit_manifest(str(manifest), [change], dry_run=True)

    assert manifest.read_text(encoding="utf-8") == ODD
    assert edit_manifest(str(manifest), [change]) == said


def test_somebody_else_is_waited_for_and_then_named(manifest: Path) -> None:
    with manifest.open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(RollcallError) as caught:
            edit_manifest(str(manifest), [put("name", to="other")], timeout=0.05)

    assert caught.value.kind == "refused"
    assert "0.05 seconds" in caught.value.message
    assert manifest.read_text(encoding="utf-8") == ODD


@pytest.mark.parametrize("kind", ["missing", "directory", "pipe", "dangling"])
def test_what_is_no_file_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "manifest.yml"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "dangling":
        path.symlink_to("nowhere")
    with pytest.raises(RollcallError) as caught:
        edit_manifest(str(path), [put("name", to="x")])

    assert str(path) in caught.value.message
    assert caught.value.text().count("\n") <= 1


# --- properties -------------------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**16), 10**16),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
        st.sampled_from(["yes", "08", "12:30", "~", "<<", "=", "- a", "a: b", "#", "[", "{{ x }}", "2026-01-01", " "]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), inner),
    ),
    max_leaves=8,
)


def styled(data: Any, style: str, indent: int) -> str:
    """Return a manifest as one of several programs would write it."""
    if style == "json":
        return json.dumps(data, indent=indent or None, ensure_ascii=bool(indent % 2))
    flow = {"block": False, "mixed": None, "flow": True}[style]
    text: str = yaml.safe_dump(
        data, default_flow_style=flow, indent=indent or 2, sort_keys=False, allow_unicode=True, width=10**6
    )
    return text


@st.composite
def places(draw: st.DrawFn, data: dict[str, Any]) -> tuple[str, ...]:
    """Return a place of a manifest, which may be missing."""
    services = data["stack"]["services"]
    service = draw(st.sampled_from(sorted(services)))
    own = ("services", service)
    return draw(
        st.sampled_from(
            [
                ("name",),
                ("user",),
                ("ports", "also"),
                ("defaults", "env", "A"),
                own,
                *[(*own, key) for key in ("port", "command", "env", "description", "stop", "depends_on")],
                *[(*own, "env", name) for name in services[service]["env"]],
                (*own, "env", "NEW"),
                (*own, "stop", "timeout"),
                (*own, "stop", "signal"),
            ]
        )
    )


def without(data: Any, place: tuple[str, ...]) -> Any:
    """Return data without a place, and without mappings that have nothing else in them."""
    if len(place) == 1 or place[0] not in data:
        return {key: value for key, value in data.items() if key != place[0]}
    below = without(data[place[0]] or {}, place[1:]) if isinstance(data[place[0]] or {}, dict) else {}
    return {key: below if key == place[0] else value for key, value in data.items() if key != place[0] or below}


@given(
    good_manifests(),
    st.data(),
    st.sampled_from(["block", "mixed", "flow", "json"]),
    st.integers(0, 4),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(PATIENT, max_examples=examples(100))
def test_an_edit_changes_the_addressed_value_alone_and_only_once(
    data: dict[str, Any], draw: st.DataObject, style: str, indent: int, end: str
) -> None:
    text = styled(data, style, indent)
    assume("\r" not in text)
    text = text.replace("\n", end)
    place = draw.draw(places(data))
    change = Change(place, draw.draw(VALUES), draw.draw(st.booleans()))
    read = parse_manifest(text.encode())
    assume(not read.failed)
    path = "m.json" if style == "json" else "m.yml"
    # Whether the manifest is a good one afterwards is none of this test's business.
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(edit, "_refuse_worse", lambda *_arguments: None)
        now = after(text, change, path=path)
        again = after(now, change, path=path)

    found = parse_manifest(now.encode(), json_only=style == "json")
    value: Any = found.data["stack"]
    for key in place:
        value = value.get(key, GONE) if isinstance(value, dict) else GONE
    assert [flaw for flaw in found.problems if flaw.severity == "error"] == []
    assert same(value, change.value if change.present else GONE)
    assert without(found.data["stack"], place) == without(read.data["stack"], place)
    assert again == now
    assert now.count("\n") == now.count(end)


@st.composite
def commented(draw: st.DrawFn, text: str) -> str:
    """Return YAML of short lines with comments and blank lines wherever they may be."""
    lines = []
    for number, line in enumerate(text.splitlines()):
        kind = draw(st.sampled_from(["none", "behind", "before", "blank"]))
        if kind == "before":
            lines.append(f"{' ' * draw(st.integers(0, 12))}# comment {number}: port: 1")
        lines += [""] * (kind == "blank")
        lines.append(f"{line}  # comment {number}" if kind == "behind" else line)
    return "\n".join(lines)


@given(good_manifests(), st.data(), st.integers(2, 4))
@PATIENT
def test_comments_and_blank_lines_stay_where_they_are(data: dict[str, Any], draw: st.DataObject, indent: int) -> None:
    text = draw.draw(commented(styled(data, "mixed", indent)))
    name = draw.draw(st.sampled_from(sorted(data["stack"]["services"])))
    now = after(text, put("services", name, "port", to=8077)).split("\n")
    (index,) = [index for index, line in enumerate(text.split("\n")) if line != now[index]]
    old = text.split("\n")[index]

    assert len(now) == len(text.split("\n"))
    assert now[index] == re.sub("port: (null|[0-9]+)", "port: 8077", old)

    added = after(
        text, put("services", name, "env", "ADDED", to="one"), put("services", name, "stop", "signal", to="INT")
    )
    assert [line for line in added.split("\n") if line in text.split("\n")].count("") >= text.split("\n").count("")
    assert re.findall("# comment.*", added) == re.findall("# comment.*", text)


@given(good_manifests(), st.data())
@PATIENT
def test_a_manifest_that_was_cut_off_is_refused_or_keeps_what_is_left(
    data: dict[str, Any], draw: st.DataObject
) -> None:
    text = styled(data, "block", 2)
    cut = text[: draw.draw(st.integers(0, len(text) - 1))]
    name = next(iter(data["stack"]["services"]))
    now = outcome(cut.encode(), put("services", name, "port", to=8077))

    if isinstance(now, RollcallError):
        assert now.kind in ("wrong_use", "refused")
    else:
        assert [line for line in cut.splitlines() if "port:" not in line and line not in now.splitlines()] == []
        assert "8077" in now


@given(good_manifests(), st.data(), st.integers(0, 4))
@PATIENT
def test_json_that_was_cut_off_is_refused(data: dict[str, Any], draw: st.DataObject, indent: int) -> None:
    text = styled(data, "json", indent)
    cut = text[: draw.draw(st.integers(0, len(text) - 1))]

    assert refusal(cut, put("name", to="other"), path="m.json").kind == "wrong_use"


@given(st.binary(max_size=200))
@PATIENT
def test_no_bytes_make_an_edit_raise_anything_else(content: bytes) -> None:
    assert outcome(content, put("name", to="x"))


@given(st.text(st.sampled_from("ab:- \n[]{},&*!|>'\"#?%1.\t\\<"), max_size=60))
@settings(PATIENT, max_examples=examples(100))
def test_no_yaml_makes_an_edit_raise_anything_else(text: str) -> None:
    now = outcome(f"{text}\nname: trading\n".encode(), put("name", to="other"))

    assert isinstance(now, RollcallError) or now == f"{text}\nname: other\n"
