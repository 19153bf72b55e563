# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a watcher tells: what may stand below ``watch``, and what every target comes to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.manifests import a_manifest, a_service, checked, problem, problems

HOOK = {"kind": "webhook", "url": "https://example.com/alerts"}
MAIL = {"kind": "mail", "host": "mail.example.com", "from": "rollcall@example.com", "to": ["oncall@example.com"]}


def watched(services: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    own = {"web": a_service(port=8000, fallback_ports=[8001], secrets={"HOOK": "https://hooks.example.com/T0/B0"})}
    return a_manifest(own if services is None else services, watch=keys)


def test_every_target_has_all_keys_a_name_of_its_own_and_absolute_paths() -> None:
    alerts = [
        {"kind": "discord", "url": "{secret:HOOK}", "level": "critical"},
        {"kind": "discord", "url_file": "credentials/other"},
        {**HOOK, "name": "discord2", "token": "{secret:HOOK}", "per_hour": 3, "ca": "/etc/ca.pem"},
        {**MAIL, "tls": "tls", "user": "me", "password_file": "credentials/mail"},
    ]
    watch = checked(
        watched(
            alerts=alerts,
            heartbeat={"url": "https://hc.example.com/{secret:HOOK}"},
            metrics={"textfile": "/var/lib/node_exporter/shop.prom", "port": 9464},
        )
    ).watch

    assert [each["name"] for each in watch.alerts] == ["discord", "discord3", "discord2", "mail"]
    assert len({tuple(each) for each in watch.alerts}) == 1, "all have the same keys"
    assert [each["level"] for each in watch.alerts] == ["critical", "degraded", "degraded", "degraded"]
    assert [each["per_hour"] for each in watch.alerts] == [10, 10, 3, 10]
    assert watch.alerts[1]["url_file"] == "/opt/trading/credentials/other"
    assert (watch.alerts[3]["port"], watch.alerts[3]["to"]) == (465, ["oncall@example.com"])
    assert watch.heartbeat == {
        "url": "https://hc.example.com/{secret:HOOK}",
        "url_file": "",
        "ca": "",
        "every": 60.0,
    }
    assert watch.metrics == {"textfile": "/var/lib/node_exporter/shop.prom", "port": 9464}


def test_nobody_is_told_where_nothing_is_said() -> None:
    watch = checked(watched()).watch

    assert (watch.alerts, watch.heartbeat, watch.metrics) == ((), None, {})


@pytest.mark.parametrize(
    ("keys", "place", "message"),
    [
        ({"alerts": [{**HOOK, "user": "me"}]}, "alerts[0].user", "is not a key of an alert by webhook"),
        ({"alerts": [HOOK, {**HOOK, "name": "a"}, {**HOOK, "name": "a"}]}, "alerts[2].name", "target is called a"),
        ({"alerts": [{"kind": "slack", "url": "{secret:NONE}"}]}, "alerts[0].url", "no service has a secret NONE"),
        ({"metrics": {"port": 8000}}, "metrics.port", "is a port of web, too"),
        ({"metrics": {"port": 8001}}, "metrics.port", "is a port of web, too"),
    ],
)
def test_a_problem_is_named_at_its_place(keys: dict[str, Any], place: str, message: str) -> None:
    found = problem(watched(**keys))

    assert found.place == f"stack.watch.{place}"
    assert message in found.message


def test_a_secret_that_stands_in_the_manifest_is_refused_and_not_repeated() -> None:
    words = "T0-very-secret"
    told = problems(
        watched(
            alerts=[
                {"kind": "slack", "url": f"https://hooks.example.com/{words}"},
                {**HOOK, "token": words},
                {**HOOK, "url": f"https://me:{words}@example.com/", "name": "other"},
                {**MAIL, "user": "me", "password": words},
            ]
        )
    )

    assert [each.place for each in told] == [
        *("stack.watch.alerts[0].url", "stack.watch.alerts[1].token"),
        *("stack.watch.alerts[2].url", "stack.watch.alerts[3].password"),
    ]
    assert words not in str(told)


def test_a_secret_that_services_have_with_different_values_is_none_to_send() -> None:
    services = {name: a_service(secrets={"HOOK": name}) for name in ("a", "b")}
    found = problem(watched(services, alerts=[{"kind": "slack", "url": "{secret:HOOK}"}]))

    assert "different values for the secret HOOK" in found.message
