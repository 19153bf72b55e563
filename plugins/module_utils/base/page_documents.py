# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What the page of a fleet is made of. Types only, as in documents.py."""

from __future__ import annotations

import typing as t

from .command_documents import RunSummary
from .documents import ErrorData, Report
from .rollout_documents import RolloutData
from .watch_documents import WatchState


class HostTold(t.TypedDict):
    """What a host tells of itself for the page.

    Attributes:
        at: When it was looked at, in seconds since the epoch.
        report: How its stack is; null when that cannot be told.
        error: Why that cannot be told; null when it is.
        runs: The latest runs, the newest first.
        rollout: The last rollout that came to it; null when there was none.
        watch: What the watcher remembers; null when there is none.
        release: The release of the application's code that is installed; empty without one.
        engine: Version of its engine.
    """

    at: float
    report: t.Optional[Report]
    error: t.Optional[ErrorData]
    runs: t.List[RunSummary]
    rollout: t.Optional[RolloutData]
    watch: t.Optional[WatchState]
    release: str
    engine: str


class PageHost(t.TypedDict):
    """One host of the page.

    Attributes:
        name: What the inventory calls it.
        told: What it has told; null when it was not reached, or has nothing to tell.
        reached: Whether it has answered.
        why: Why it did not, or has nothing to tell; empty when it has told something.
        last_reached: When it last answered, in seconds since the epoch; null when it never did for this page.
        lost_since: When it first did not answer any more, in seconds since the epoch; null when it has answered.
        by: The command with which its manifest is applied; empty when that is not known.
        next: The command that asks it again; empty when there is none.
        roll_out: The command that goes on with a rollout; empty when that is not known.
    """

    name: str
    told: t.Optional[HostTold]
    reached: bool
    why: str
    last_reached: t.Optional[float]
    lost_since: t.Optional[float]
    by: str
    next: str
    roll_out: str


class PageData(t.TypedDict):
    """All that a page is made of: the same data makes the same page.

    Attributes:
        at: When it was made, in seconds since the epoch.
        hosts: Those that were asked, in the order of the inventory.
        not_asked: How many hosts of the inventory were not asked.
    """

    at: float
    hosts: t.List[PageHost]
    not_asked: int


class PageDocument(t.TypedDict):
    """What rollcall report prints with --json.

    Attributes:
        ok: Always true: the page could be made.
        well: Whether there is nothing to see to.
        output: The file that was written; null when none was asked for.
        page: What the page is made of.
    """

    ok: bool
    well: bool
    output: t.Optional[str]
    page: PageData
