# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page as people have it: narrow and wide, light and dark, by keyboard, by ear, on paper, without script."""

from __future__ import annotations

import functools
import http.server
import threading
import typing as t
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from ansible_collections.rollcall.supervisor.plugins.module_utils.page import document
from tests.support import pages
from tests.support.browser import HEIGHT, NARROW, WIDE, chromium, shown
from tests.support.reports import failed, row, status_report
from tests.tools import axe_core

# The narrowest screen on which a page has to be read without scrolling sideways (WCAG 2.2, 1.4.10).
NARROWEST = 320
# What goes beyond the right edge of the window.
BESIDE = """
[...document.querySelectorAll('body *')]
  .filter(one => one.getBoundingClientRect().right > innerWidth + 0.5)
  .map(one => one.outerHTML.slice(0, 120))
"""
# What has the focus.
FOCUSED = """
(() => {
  const it = document.activeElement, box = it.getBoundingClientRect();
  const what = it.tagName + '.' + it.className, outline = getComputedStyle(it).outlineStyle;
  return {what, text: it.textContent, outline, top: box.top + scrollY, left: box.left};
})()
"""
COLOURS = "(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))"
LATER = pages.NOW + 200.0
HOSTILE = "\"><img src=x onerror=alert(1)><script>alert(2)</script>'`</pre></style>&lt;"
LONG = "a_service_whose_name_is_as_long_as_a_name_may_be_" * 2 + "x" * 60


@pytest.fixture(scope="module")
def browser() -> t.Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> t.Callable[[str], Path]:
    """The files of pages by their names, such as `5 broken`."""
    place = tmp_path_factory.mktemp("pages")

    @functools.cache
    def written(name: str) -> Path:
        path = place / f"{name.replace(' ', '-')}.html"
        path.write_text(document.page(_data(name)), encoding="utf-8")
        return path

    return written


def _data(name: str) -> t.Any:
    if name == "hostile":
        evidence = f"{HOSTILE}\n{HOSTILE}{'y' * 500}\n" * 5
        check = failed("running", LONG, evidence, f"tail {HOSTILE} {'z' * 200}", state="FATAL")
        of_stack = {"stack": HOSTILE, "root": f"/{HOSTILE}", "notes": [HOSTILE, LONG]}
        report = status_report([check], **of_stack, services=[row(LONG, 1), row(HOSTILE, 2)])
        told = pages.told(report, runs=[pages.run(1, 1.0, who=HOSTILE, mode=LONG, result=HOSTILE, message=HOSTILE)])
        return pages.page_data(pages.host(HOSTILE, told), pages.host(LONG, None, why=HOSTILE))
    hosts, kind = name.split()
    return pages.fleet(int(hosts), broken=kind == "broken")


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")


def violations(page: Page) -> t.List[str]:
    """Return what axe-core has against a page, each rule with the first places."""
    page.evaluate(axe_core.source())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [f"{one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]}" for one in found]


@pytest.mark.parametrize(
    ("name", "width", "dark"),
    [
        ("1 well", WIDE, False),
        ("1 broken", NARROW, True),
        ("5 broken", NARROW, False),
        ("5 broken", WIDE, True),
        ("14 broken", WIDE, False),
        ("hostile", NARROW, False),
    ],
)
def test_everybody_can_use_it(
    browser: Browser, files: t.Callable[[str], Path], name: str, width: int, dark: bool
) -> None:
    with shown(browser, files(name), width=width, dark=dark, now=LATER) as it:
        if name != "14 broken":
            unfold(it.page)
        assert violations(it.page) == []
        assert it.complaints == []
        # It needs nothing but itself.
        assert [address for address in it.requests if not address.startswith("data:")] == [files(name).as_uri()]


@pytest.mark.parametrize("name", ["1 broken", "5 well", "5 broken", "100 broken", "hostile"])
def test_nothing_is_beside_the_screen(browser: Browser, files: t.Callable[[str], Path], name: str) -> None:
    with shown(browser, files(name), now=LATER) as it:
        unfold(it.page)
        for width in (WIDE, 800, NARROW, NARROWEST):
            it.page.set_viewport_size({"width": width, "height": HEIGHT})
            assert it.page.evaluate(BESIDE) == [], width
            assert it.page.evaluate("document.documentElement.scrollWidth") <= width


def test_no_value_runs_or_becomes_an_element(browser: Browser, files: t.Callable[[str], Path]) -> None:
    with shown(browser, files("hostile"), now=LATER) as it:
        assert it.page.evaluate("[document.scripts.length, document.images.length]") == [1, 0]
        assert it.complaints == []
        assert HOSTILE[:40] in it.page.inner_text("main")


def test_by_keyboard_everything_is_reached_in_its_order_and_seen(
    browser: Browser, files: t.Callable[[str], Path]
) -> None:
    with shown(browser, files("5 broken"), now=LATER) as it:
        seen: t.List[t.Dict[str, t.Any]] = []
        for _press in range(40):
            it.page.keyboard.press("Tab")
            at = it.page.evaluate(FOCUSED)
            if at["what"].startswith("BODY"):
                break
            seen.append(at)
        assert seen[0]["text"] == "Skip to the problems"
        assert [at["what"].partition(".")[0] for at in seen[1:4]] == ["INPUT", "INPUT", "A"]
        assert all(at["outline"] == "solid" for at in seen)
        # As it is read: down the page, and on one line from the left to the right.
        places = [(round(at["top"] / 60), at["left"]) for at in seen[1:]]
        assert places == sorted(places)
        assert sum(at["what"] == "BUTTON.copy" for at in seen) >= 5

        it.page.keyboard.press("Home")
        it.page.reload()
        it.page.keyboard.press("Tab")
        it.page.keyboard.press("Enter")
        assert it.page.evaluate("document.activeElement.id") == "content"


def test_the_command_is_copied_in_one_click(browser: Browser, files: t.Callable[[str], Path]) -> None:
    command = "tail -n 50 /opt/trading/logs/trade_executor.log  # on web2"
    with shown(browser, files("5 broken"), now=LATER) as it:
        it.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        it.page.get_by_role("button", name=f"Copy: {command}").click()
        it.page.get_by_role("button", name=f"Copy: {command}").get_by_text("Copied").wait_for()
        assert it.page.evaluate("navigator.clipboard.readText()") == command
        assert it.page.inner_text("#said") == "Copied"


def test_the_command_is_copied_where_the_page_comes_without_tls(
    browser: Browser, files: t.Callable[[str], Path]
) -> None:
    path = files("1 broken")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(path.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with shown(browser, f"http://fleet.test:{server.server_address[1]}/{path.name}", now=LATER) as it:
                assert not it.page.evaluate("isSecureContext")
                it.page.get_by_role("button", name="Copy: tail").click()
                it.page.get_by_role("button", name="Copy: tail").get_by_text("Copied").wait_for()
                assert it.complaints == []
        finally:
            server.shutdown()


def test_search_and_filter_leave_what_is_meant(browser: Browser, files: t.Callable[[str], Path]) -> None:
    with shown(browser, files("100 broken"), now=LATER) as it:
        rows = it.page.locator("#fleet tbody tr:visible")
        assert rows.count() == 100
        it.page.get_by_role("radio", name="Need attention").check()
        assert rows.count() == 17
        assert it.page.inner_text("#found") == "17 of 100 hosts shown"
        it.page.get_by_role("searchbox").fill("db.example")
        assert rows.count() == 0
        assert it.page.locator("article:visible").count() == 1
        it.page.get_by_role("searchbox").fill("web5")
        found = it.page.locator("#fleet tbody th:visible").all_inner_texts()
        assert found == ["web50", "web51", "web52", "web5"]
        it.page.get_by_role("searchbox").fill("")
        it.page.get_by_role("radio", name="Well").check()
        assert rows.count() == 83
        assert it.page.locator("article:visible").count() == 0


def test_a_link_to_a_host_unfolds_it(browser: Browser, files: t.Callable[[str], Path]) -> None:
    with shown(browser, files("100 broken"), now=LATER) as it:
        assert not it.page.locator("#h100 table").is_visible()
        it.page.locator("#fleet").get_by_role("link", name="web100").click()
        it.page.locator("#h100 table").wait_for()


def test_by_ear_a_table_is_a_table_also_where_it_is_shown_as_cards(
    browser: Browser, files: t.Callable[[str], Path]
) -> None:
    with shown(browser, files("5 broken"), width=NARROW, now=LATER) as it:
        table = it.page.get_by_role("table", name="The hosts", exact=True)
        assert table.get_by_role("row").count() == 6
        assert table.get_by_role("columnheader").all_text_contents()[:3] == ["State", "Host", "Services up"]
        assert table.get_by_role("rowheader", name="web2").count() == 1
        for name in ("banner", "main", "contentinfo", "search"):
            assert it.page.get_by_role(name).count() == 1, name
        assert it.page.get_by_role("img", name="The hosts: 2 failed, 2 need attention, 1 well").count() == 1


def test_without_script_all_can_be_read(browser: Browser, files: t.Callable[[str], Path]) -> None:
    with shown(browser, files("5 broken"), width=NARROW, script=False) as it:
        text = it.page.inner_text("body")
        for told in ("2 of 5 hosts failed", "ConnectionError: the exchange closed", "tail -n 50", "Since 2026-11-21"):
            assert told in text, told
        assert not it.page.locator("#tools").is_visible()
        assert it.page.locator("button:visible").count() == 0
        it.page.locator("#h2 > summary").click()
        assert it.page.locator("#h2 table").is_visible()


def test_times_say_how_long_ago_and_an_old_page_says_that_it_is_old(
    browser: Browser, files: t.Callable[[str], Path]
) -> None:
    with shown(browser, files("5 well"), now=LATER) as it:
        assert "3 min ago" in it.page.inner_text("#made")
        assert it.page.inner_text("#age") == ""
        it.page.clock.fast_forward("26:00:00")
        assert it.page.inner_text("#age") == "This page is 1 d 2 h old. Things may be otherwise by now."


def test_on_paper_it_is_black_on_white_and_nothing_is_folded(browser: Browser, files: t.Callable[[str], Path]) -> None:
    with shown(browser, files("5 broken"), dark=True, now=LATER) as it:
        it.page.emulate_media(media="print", color_scheme="dark")
        it.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        colours = it.page.evaluate(COLOURS)
        assert colours == ["rgb(28, 33, 40)", "rgb(255, 255, 255)"]
        assert not it.page.locator("#tools").is_visible()
        assert it.page.locator("#h1 table").is_visible()
        assert it.complaints == []
