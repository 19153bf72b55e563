# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What metrics cost: to make the text after a look, and to scrape it. ``python -m tests.benchmark.scrape``."""

from __future__ import annotations

import http.client
import statistics
import time
import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.watch import metrics
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch.symptoms import Sight
from tests.support.manifests import a_manifest, checked
from tests.support.processes import free_port
from tests.support.receivers import a_state
from tests.support.reports import row, status_report

SERVICES, TIMES = 50, 200


def measured(work: t.Callable[[], object]) -> str:
    """Return how long something takes, in milliseconds: the median, and the worst of many times."""
    found = []
    for _number in range(TIMES):
        began = time.perf_counter()
        work()
        found.append((time.perf_counter() - began) * 1000)
    return f"{statistics.median(found):.2f} ms, at worst {max(found):.2f} ms"


def main() -> None:
    """Print the figures."""
    port = free_port()
    stack = checked(a_manifest(watch={"metrics": {"port": port}}))
    rows = [row(f"service{number}", 8000 + number) for number in range(SERVICES)]
    sight, state, publisher = Sight(report=status_report(names=(), services=rows)), a_state(), metrics.Publisher()
    assert publisher.publish(stack, sight, state) == ""

    def scrape() -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/metrics")
        return len(connection.getresponse().read())

    print(f"{SERVICES} services, {scrape() / 1024:.0f} KiB of text, {TIMES} times each")
    print(f"a scrape: {measured(scrape)}")
    print(f"the text after a look: {measured(lambda: publisher.publish(stack, sight, state))}")
    publisher.end()


if __name__ == "__main__":
    main()
