# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A watcher that tells others: one alert when a service fails and one when it is well, metrics, heartbeat, a trial."""

from __future__ import annotations

import http.client
import json
import time
import typing as t
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.contract.watch.test_watch import WATCH, faulty, watching
from tests.support.commands import rollcall
from tests.support.documents import validated
from tests.support.processes import eventually, free_port, kill
from tests.support.receivers import HttpReceiver
from tests.support.stacks import stack


def values(text: bytes) -> dict[tuple[str, str], float]:
    """Return the values of metrics by their name and the service that they are of."""
    families = text_string_to_metric_families(text.decode())
    return {(one.name, one.labels.get("service", "")): one.value for family in families for one in family.samples}


def scraped(port: int) -> dict[tuple[str, str], float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    return values(connection.getresponse().read())


def test_others_are_told_of_each_cause_once_and_of_its_end_and_metrics_follow() -> None:
    with HttpReceiver() as receiver, stack({}) as made:
        port, textfile = free_port(), Path(made.root, "rollcall.prom")
        watch: t.Any = {
            **WATCH,
            "degraded_after": 2,
            "alerts": [{"kind": "webhook", "url": f"{receiver.url}/{{secret:KEY}}"}],
            "heartbeat": {"url": f"{receiver.url}/ping"},
            "metrics": {"textfile": str(textfile), "port": port},
        }
        made.raw["watch"] = watch
        faulty(made, "web", restart="never", secrets={"KEY": "a-very-secret-key"})
        assert made.perform("full")["ok"]

        tried = rollcall(made, "watch", "--test-alert", "--json")
        assert tried.code == 0, tried
        assert [each["ok"] for each in validated(json.loads(tried.out), "AlertTestDocument")["targets"]] == [True, True]
        assert "a-very-secret-key" not in tried.out
        assert sorted(request.path for request in receiver.taken) == ["/a-very-secret-key", "/ping"]
        receiver.answers = [(404, {}), (404, {})]
        again = rollcall(made, "watch", "--test-alert")
        assert again.code == 1
        assert again.out.count("answered 404") == 2
        receiver.taken.clear()

        with watching(made) as watcher:
            assert eventually(watcher.is_calm)
            kill(made.pids()["web"])
            assert eventually(lambda: "degraded" in [kind for kind, _scope in watcher.told()])
            assert rollcall(made, "start", "web").code in (0, 1)
            assert eventually(lambda: "recovered" in [kind for kind, _scope in watcher.told()])
            assert eventually(watcher.is_calm)
            posts = [request.data for request in receiver.taken if request.method == "POST"]
            assert eventually(lambda: len([r for r in receiver.taken if r.method == "POST"]) == 2), posts
            posts = [request.data for request in receiver.taken if request.method == "POST"]
            assert [(post["alert"], post["subject"]) for post in posts] == [("degraded", "web"), ("recovered", "web")]
            assert all(validated(post, "AlertDocument") for post in posts)
            assert [request.method for request in receiver.taken].count("GET") == 1

            # What is sent is told by the look after it.
            assert eventually(lambda: scraped(port)["rollcall_alerts_sent_total", ""] == 2)
            told = scraped(port)
            assert (told["rollcall_service_ok", "web"], told["rollcall_watch_look_ok", ""]) == (1, 1)
            assert 0 <= time.time() - told["rollcall_service_start_time_seconds", "web"] < 600
            assert values(textfile.read_bytes()).keys() == told.keys()
        memory = Path(made.paths.state, "watch.json").read_text(encoding="utf-8")
        assert "a-very-secret-key" not in memory


@pytest.mark.exhaustive
def test_one_look_of_a_timer_waits_for_what_it_sends() -> None:
    with HttpReceiver() as receiver, stack({}) as made:
        made.raw["watch"] = {**WATCH, "grace": 0, "alerts": [{"kind": "webhook", "url": receiver.url}]}
        faulty(made, "web", restart="never")
        assert made.perform("full")["ok"]
        kill(made.pids()["web"])
        assert eventually(lambda: rollcall(made, "watch", "--once").code == 1)
        assert [request.data["alert"] for request in receiver.taken] == ["degraded"]
