# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system's own Chromium without a window, for pages that are files: what it complains of is kept."""

from __future__ import annotations

import contextlib
import os
import shutil
import typing as t
from pathlib import Path

from playwright.sync_api import Browser, Page, Request, sync_playwright

# By Debian's name and by that of others.
NAMES = ("chromium", "chromium-browser", "google-chrome")
# What a browser does on its own account: it would ask hosts outside for it.
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    # A name that is not this machine's: what it serves without TLS is not secure to the browser.
    "--host-resolver-rules=MAP fleet.test 127.0.0.1",
)
NARROW, WIDE = 390, 1440
HEIGHT = 900


@contextlib.contextmanager
def chromium() -> t.Iterator[Browser]:
    """Run the browser, and end it afterwards."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    assert program is not None, "there is no Chromium: tests/tools/browser.sh installs it"
    # Root has no sandbox to put it into.
    more = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=[*QUIET, *more])
        try:
            yield browser
        finally:
            browser.close()


class Shown(t.NamedTuple):
    """A page that is open in the browser.

    Attributes:
        page: it.
        complaints: what the browser has to say of it, such as errors and what its policy has refused.
        requests: addresses that it has asked for.
    """

    page: Page
    complaints: t.List[str]
    requests: t.List[str]


@contextlib.contextmanager
def shown(
    browser: Browser,
    address: t.Union[str, Path],
    *,
    width: int = WIDE,
    dark: bool = False,
    script: bool = True,
    now: t.Optional[float] = None,
) -> t.Iterator[Shown]:
    """Open a page.

    Args:
        browser: of it.
        address: of the page, or its file.
        width: of the window, in pixels.
        dark: whether the person prefers dark colours.
        script: whether programs of pages run.
        now: the time that the page is told, in seconds since the epoch; None for what it is.
    """
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT},
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
        timezone_id="UTC",
    )
    try:
        page = context.new_page()
        complaints: t.List[str] = []
        requests: t.List[str] = []

        def keep(request: Request) -> None:
            requests.append(request.url)

        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", keep)
        if now is not None:
            page.clock.install(time=now)
        page.goto(address.as_uri() if isinstance(address, Path) else address)
        yield Shown(page, complaints, requests)
    finally:
        context.close()
