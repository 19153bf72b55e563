# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page: one document that needs nothing else, of a measure, and no value of a host is anything but text in it."""

from __future__ import annotations

import base64
import copy
import hashlib
import itertools
import re
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.page import document, memory
from ansible_collections.rollcall.supervisor.plugins.module_utils.page.script import SCRIPT
from ansible_collections.rollcall.supervisor.plugins.module_utils.page.style import STYLE
from tests.support import pages
from tests.support.documents import validated
from tests.support.reports import NAMES, failed, status_report
from tests.unit.page.test_elements import WRITTEN_BY_OTHERS, Reader

SIZE = 1 << 20
ELEMENTS = re.findall(
    r"\S+",
    """
    a article b body button caption code dd details div dl dt fieldset footer form h1 h2 h3 h4 head header
    html i input label legend li link main meta ol output p pre rect script section small span style summary
    svg table tbody td th thead time title tr wbr
    """,
)
ATTRIBUTES = re.findall(
    r"\S+",
    """
    aria-hidden aria-label aria-labelledby autocomplete charset checked class content data-kind datetime for
    height hidden href http-equiv id lang name open preserveaspectratio rel role scope tabindex type value
    viewbox width x y
    """,
)


def replaced(data: t.Any, text: t.Callable[[], str]) -> t.Any:
    """Return data in which every text is another one, and so is each name that others have given."""
    if isinstance(data, str):
        return text()
    if isinstance(data, list):
        return [replaced(one, text) for one in data]
    if isinstance(data, dict):
        free = {"timings", "ports", "held"}
        return {
            key: {text(): inner for inner in value.values()} if key in free else replaced(value, text)
            for key, value in data.items()
        }
    return data


def everything() -> t.Any:
    """Return the data of a page that has everything which a page can have."""
    data = pages.fleet(6, broken=True)
    timer = {"name": "cleanup", "schedule": "03:00", "running": False, "failed": True, "next": pages.NOW, "late": False}
    last = {"start": 1.0, "end": 2.0, "result": "failed", "exit_code": 1, "by": "systemd", "why": "", "times": 1}
    report = data["hosts"][0]["told"]["report"]
    report.update(timers=[{**timer, "last": last}], notes=["a note"], held={"web": "x"})
    report["run_at_work"] = {"who": "anna", "verb": "restart", "pid": 1, "since": "10:00", "run": None, "start": None}
    report["services"][0].update(ports={"http": 1}, socket="/run/x.sock", answer="x", health="failed")
    report["services"][1].update(stopped={"by": "anna", "at": pages.NOW, "along": None})
    error = {"message": "x", "kind": "failed", "evidence": {}, "remedies": ["y"]}
    data["hosts"][5]["told"].update(report=None, error=error)
    told = data["hosts"][0]["told"]
    told["watch"] = pages.watch(pages.incident("disk", "disk"), at=pages.NOW - 9000.0)
    return data


@given(st.data())
@settings(max_examples=60)
def test_no_value_makes_markup_or_a_program(data: st.DataObject) -> None:
    texts = itertools.cycle(data.draw(st.lists(WRITTEN_BY_OTHERS, min_size=1, max_size=20)))
    hostile = replaced(everything(), lambda: next(texts))
    read = Reader(document.page(hostile))
    assert {tag for tag, _attributes in read.elements} <= set(ELEMENTS)
    assert {name for _tag, attributes in read.elements for name in attributes} <= set(ATTRIBUTES)
    assert [attributes for tag, attributes in read.elements if tag in ("script", "style")] == [{}, {}]
    places = {attributes["id"] for _tag, attributes in read.elements if "id" in attributes}
    links = [attributes["href"] or "" for tag, attributes in read.elements if tag == "a"]
    assert [link for link in links if link[:1] != "#" or link[1:] not in places] == []


def test_the_data_of_these_tests_is_what_hosts_tell() -> None:
    for broken in (False, True):
        validated(pages.fleet(100, broken=broken), "Page")
    validated(everything(), "Page")


def test_the_same_data_is_the_same_page_and_is_left_as_it_was() -> None:
    data = everything()
    before = copy.deepcopy(data)
    assert document.page(data) == document.page(data)
    assert data == before


def test_a_page_names_its_program_and_its_style_and_fetches_nothing() -> None:
    read = Reader(document.page(pages.fleet(5, broken=True)))
    (policy,) = [given["content"] or "" for _tag, given in read.elements if given.get("http-equiv")]
    for kind, content in (("script-src", SCRIPT), ("style-src", STYLE)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy.split("; ")
    assert "default-src 'none'" in policy
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    assert "fetch(" not in SCRIPT


def body(data: t.Any) -> str:
    """Return what is read of a page, without its style and its program."""
    return Reader(document.page(data).partition("</style>")[2].partition("<script>")[0]).text


def with_long_evidence(hosts: int) -> t.Any:
    """Return a fleet in which everything has failed, each service in its own way and at great length."""
    made = []
    for number in range(hosts):
        lines = [f"{number} {line} {'x' * 500}" for line in range(200)]
        checks = [
            failed("running", name, "\n".join([name, *lines]), f"tail {name}", state="FATAL") for name in NAMES
        ] + [failed("orphans", f"trading{number}", "\n".join(lines), "kill 1")]
        said = pages.told(status_report(checks, host=f"web{number}"))
        made.append(pages.host(f"web{number}", {**said, "runs": [pages.run(1, 1.0, message="\n".join(lines))] * 10}))
    return pages.page_data(*made)


@pytest.mark.parametrize("broken", ["well", "broken", "everything"])
def test_a_hundred_hosts_are_less_than_a_mebibyte(broken: str) -> None:
    data = with_long_evidence(100) if broken == "everything" else pages.fleet(100, broken=broken == "broken")
    assert len(document.page(data).encode("utf-8")) < SIZE


def test_what_is_wrong_comes_first_with_what_was_seen_and_the_command() -> None:
    text = body(pages.fleet(5, broken=True))
    order = ["2 of 5 hosts failed, 2 more need attention", "Problems (5)", "NOT REACHED", "HELD", "Host by host"]
    assert sorted(order, key=text.index) == order
    assert "ConnectionError: the exchange closed the session" in text
    assert "tail -n 50 /opt/trading/logs/trade_executor.log  # on web2" in text
    assert "active_trade_supervisor waits for trade_executor" in text
    assert "Watcher: critical after 12 looks, restarted 2 times, has given up" in text


def test_a_host_that_was_not_reached_is_told_with_since_when_and_nothing_of_before() -> None:
    lost = pages.host("web1", None)
    # Whatever somebody has put in beside that.
    text = body(pages.page_data({**lost, "told": pages.well("web1")["told"]}))
    assert "Not reached" in text
    assert re.search(r"Since [-0-9: ]{19}\. Last reached [-0-9: ]{19}", text)
    assert "main_app" not in text
    assert "OK" not in text


def test_equal_problems_of_several_hosts_are_one() -> None:
    data = pages.page_data(*(pages.without_database(f"web{number}") for number in range(40)))
    read = Reader(document.page(data))
    assert [tag for tag, _ in read.elements].count("article") == 1
    assert "database main on web0, web1, web2 and 37 more" in read.text
    assert "The same on 39 other hosts" in read.text


def test_a_fleet_that_is_well_says_so_and_who_was_not_asked() -> None:
    data = pages.fleet(3, broken=False)
    data["not_asked"] = 2
    assert document.is_well(data)
    text = body(data)
    assert document.headline(data) == "All 3 hosts are well"
    assert "There is nothing to see to." in text
    assert "2 hosts of the inventory not asked" in text


def test_a_watcher_that_is_silent_is_a_problem_and_one_that_looks_is_none() -> None:
    at = pages.NOW - 600.0
    known = {"at": at, "age": 598.0, "interval": 15.0, "level": "ok", "incidents": [], "silent": True}
    silent = pages.host("web1", pages.told(status_report(watcher=known), watch=pages.watch(at=at)))
    assert not document.is_well(pages.page_data(silent))
    assert "the watcher has not looked for 9 min 58 s" in body(pages.page_data(silent))
    assert document.is_well(pages.fleet(1, broken=False))
    # One that was ended on purpose has promised no further look.
    ended = status_report(watcher={**known, "interval": 0.0, "silent": False})
    assert document.is_well(pages.page_data(pages.host("web1", pages.told(ended, watch=pages.watch(at=at)))))


def test_an_incident_that_no_check_tells_of_is_told_and_one_that_nobody_is_told_of_is_not() -> None:
    disk = pages.incident("space", "disk", why="the disk is nearly full", next=["df -h /opt/trading"])
    early = pages.incident("slow", "main_app", level="noticed")
    host = pages.host("web1", pages.told(status_report(), watch=pages.watch(disk, early)))
    text = body(pages.page_data(host))
    assert "CRITICAL disk" in " ".join(text.split())
    assert "df -h /opt/trading" in text
    assert "noticed" not in text


def test_what_a_page_remembers_is_read_from_it_and_another_file_is_none() -> None:
    data = pages.fleet(5, broken=True)
    text = document.page(data, {"web9": memory.Reached(3.5), "web1": memory.Reached(1.0)})
    assert memory.is_ours(text)
    known = memory.remembered(text)
    assert known["web1"] == memory.Reached(pages.NOW)
    assert known["web4"] == memory.Reached(pages.NOW - 10_000.0, pages.NOW - 5400.0)
    assert known["web9"] == memory.Reached(3.5)
    assert not memory.is_ours("<html><meta name=generator content='Word'></html>")
    assert memory.remembered("") == {}


@pytest.mark.parametrize("content", ["[", "[]", '{"a": 1}', '{"a": ["x", null]}', '{"a": [NaN, null]}', '{"a": []}'])
def test_what_is_damaged_is_not_remembered(content: str) -> None:
    page = document.page(pages.fleet(1, broken=False))
    mark = f'name="{memory.REMEMBERED}" content="'
    begin = page.index(mark) + len(mark)
    damaged = page[:begin] + content.replace('"', "&quot;") + page[page.index('"', begin) :]
    assert memory.is_ours(damaged)
    assert memory.remembered(damaged) == {}


def test_since_when_a_host_is_lost_is_kept_until_it_answers() -> None:
    first = memory.refreshed(memory.Reached(), True, 10.0)
    lost = memory.refreshed(first, False, 20.0)
    assert lost == memory.Reached(10.0, 20.0)
    assert memory.refreshed(lost, False, 30.0) == lost
    assert memory.refreshed(lost, True, 40.0) == memory.Reached(40.0)
