# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus is told: its own parser reads every line, and rules and dashboard ask for nothing else."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import socket
import subprocess
import time
import typing as t
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.rollcall.supervisor.plugins.module_utils.watch import metrics, metrics_server
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch.metrics_server import MetricsServer
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch.outbox import new_outbox
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch.symptoms import Sight
from tests.support.manifests import a_manifest, checked
from tests.support.processes import free_port
from tests.support.receivers import THEN, a_state, an_event
from tests.support.reports import failed, row, status_report
from tests.support.repository import ROOT

RULES = ROOT / "examples" / "monitoring" / "rollcall.rules.yml"
DASHBOARD = ROOT / "examples" / "monitoring" / "rollcall.grafana.json"
# Words of PromQL's own, its labels and its matching, beside metrics.
NAME = re.compile(r"\b(rollcall_[a-z_]+)\b")

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples_of(text: bytes) -> Samples:
    """Return what the official parser reads."""
    found: Samples = {}
    for family in text_string_to_metric_families(text.decode("utf-8")):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found


def told(report: t.Any = None, root: str = "/opt/trading", **state: t.Any) -> tuple[bytes, Samples]:
    """Return what is told of a look, as text and as the parser reads it."""
    stack = checked(a_manifest(root=root))
    sight = Sight(report=report, rollout=t.cast("t.Any", {"drained": "haproxy"}))
    facts = metrics.Facts({"web": THEN}, {("full", "ok"): THEN, ("auto", "degraded"): THEN + 1}, 2)
    text = metrics.text_of(stack.name, metrics.values_of(stack, sight, a_state(**state), facts))
    return text, samples_of(text)


def everything() -> t.Any:
    """Return a report in which there is something of every kind."""
    rows = [
        row("web", 8000, exits=3, latency_ms=12.5),
        row("stolen", 8001, provenance="foreign", health="failed"),
        row("off", 8002, state="STOPPED", pid=None, stopped={"by": "me", "at": THEN, "along": None}, health="none"),
        row("by_socket", None, socket="/run/x", provenance="supervised"),
        row("strange", None, state="A state of the future"),
    ]
    timer = {
        "name": "nightly",
        "schedule": "1h",
        "running": False,
        "last": None,
        "failed": True,
        "next": 1,
        "late": False,
    }
    checks = [
        failed("port", "stolen", "taken", None, pid=1),
        failed("supervisord", "trading", "stopped", None, code="stopped"),
    ]
    return status_report(checks, services=rows, timers=[timer], held={"strange": "no file"})


def test_the_parser_of_prometheus_reads_every_line_and_every_metric_is_told() -> None:
    box = {**new_outbox(), "sent": 4, "problem": "answered 404", "held_back": 2}
    text, samples = told(everything(), incidents=[an_event()["incident"]], deliveries={"targets": {"discord": box}})

    assert len(samples) == len([line for line in text.decode().splitlines() if not line.startswith("#")])
    assert {name for name, _labels in samples} == set(metrics.BY_NAME)
    for (name, labels), _value in samples.items():
        assert {label for label, _text in labels} == {"stack", *metrics.BY_NAME[name].labels}, name
        assert dict(labels)["stack"] == "trading"
        assert (metrics.BY_NAME[name].kind == metrics.COUNTER) is name.endswith("_total")
    assert not any("pid" in dict(labels) for _name, labels in samples)

    def value(name: str, **labels: str) -> float:
        return samples[(f"rollcall_{name}", tuple(sorted({"stack": "trading", **labels}.items())))]

    assert (value("service_state", service="web", state="RUNNING"), value("service_ok", service="web")) == (1, 1)
    assert (value("service_state", service="strange", state="UNKNOWN"), value("service_held", service="strange")) == (
        1,
        1,
    )
    assert (value("service_port_owned", service="web"), value("service_port_owned", service="stolen")) == (1, 0)
    assert (value("service_ok", service="stolen"), value("checks_failed", check="port")) == (0, 1)
    assert (value("service_ok", service="off"), value("service_stopped", service="off")) == (1, 1)
    assert (value("service_start_time_seconds", service="web"), value("service_restarts_total", service="web")) == (
        THEN,
        3,
    )
    assert [dict(labels)["check"] for name, labels in samples if name == "rollcall_checks_failed"] == ["port"]
    assert value("service_health_seconds", service="web") == 0.0125
    assert (value("last_run_timestamp_seconds", mode="full", result="ok"), value("restart_budget_left")) == (THEN, 3)
    assert (value("drained"), value("verdict_ok"), value("verdict", result="degraded")) == (1, 0, 1)
    assert (value("alerts_sent_total", target="discord"), value("alerts_failing", target="discord")) == (4, 1)
    assert (value("watch_incidents", level="critical"), value("watch_level", level="ok")) == (1, 1)
    for name in ("service_state", "verdict", "watch_level"):
        of_one = [value for (each, labels), value in samples.items() if each == f"rollcall_{name}"]
        assert set(of_one) == {0, 1}


def test_a_counter_does_not_begin_anew_while_no_supervisord_answers() -> None:
    _text, samples = told(status_report(names=(), services=[row("web", 8000, state="UNKNOWN", exits=0)]))

    assert "rollcall_service_restarts_total" not in {name for name, _labels in samples}


def test_a_look_that_failed_tells_that_it_did_and_nothing_of_services() -> None:
    _text, samples = told(None)

    assert samples[("rollcall_watch_look_ok", (("stack", "trading"),))] == 0
    assert not any(name.startswith(("rollcall_service", "rollcall_verdict")) for name, _labels in samples)


@hypothesis.settings(max_examples=40)
# A manifest has no two services of one name.
@hypothesis.given(st.text(min_size=1, max_size=60).filter(lambda text: text.isprintable() and text != "b"))
def test_no_value_of_a_label_can_make_a_line(text: str) -> None:
    report = status_report(names=(), services=[row(text, 8000), row("b", 1)], generation={"id": text, "verified": True})
    written, samples = told(report)

    names = {dict(labels)["service"] for name, labels in samples if name == "rollcall_service_ok"}
    assert names == {text, "b"}
    assert all(line.startswith(("rollcall_", "# ")) for line in written.decode().splitlines())


# --- who asks -------------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> t.Iterator[MetricsServer]:
    made = MetricsServer(0)
    made.text = b"rollcall_drained 0\n"
    yield made
    made.close()


def asked(server: MetricsServer, method: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_a_scrape_gets_the_text_of_the_last_look_and_nothing_else_is_there(server: MetricsServer) -> None:
    assert asked(server, "GET", "/metrics") == (200, b"rollcall_drained 0\n")
    assert asked(server, "HEAD", "/metrics?x=1") == (200, b"")
    assert [asked(server, "GET", path)[0] for path in ("/", "/../etc/passwd", "/metrics/")] == [404] * 3
    assert asked(server, "POST", "/metrics")[0] == 405
    server.text = b"rollcall_drained 1\n"
    assert asked(server, "GET", "/metrics")[1] == b"rollcall_drained 1\n"


def test_any_number_that_says_nothing_keeps_no_scrape_waiting(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_server, "SECONDS", 60.0)
    with contextlib.ExitStack() as silent:
        for _each in range(20):
            silent.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        assert asked(server, "GET", "/metrics") == (200, b"rollcall_drained 0\n")
        # One that does not take its answer, which no buffer of a socket holds, either.
        server.text = b"x" * 20_000_000
        deaf = silent.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        deaf.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        status, body = asked(server, "GET", "/metrics")
        assert (status, len(body)) == (200, 20_000_000)


def test_who_is_slow_or_talks_nonsense_keeps_nobody_waiting_for_long(server: MetricsServer) -> None:
    with (
        socket.create_connection(("127.0.0.1", server.port)),
        socket.create_connection(("127.0.0.1", server.port)) as nonsense,
    ):
        nonsense.sendall(b"\x00" * 10_000)
        began = time.monotonic()
        assert asked(server, "GET", "/metrics")[0] == 200
        assert time.monotonic() - began < 30


def test_a_watcher_tells_by_file_and_port_and_says_when_it_cannot(tmp_path: Path) -> None:
    port = free_port()
    path = tmp_path / "rollcall.prom"
    stack = checked(a_manifest(root=str(tmp_path), watch={"metrics": {"textfile": str(path), "port": port}}))
    publisher, sight = metrics.Publisher(), Sight(report=everything())
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        assert f"port {port} cannot be listened on" in publisher.publish(stack, sight, a_state())
    assert samples_of(path.read_bytes())
    assert path.stat().st_mode & 0o777 == 0o644
    assert publisher.publish(stack, sight, a_state(looks=2)) == ""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    assert connection.getresponse().read() == path.read_bytes()

    path.unlink()
    path.mkdir()
    assert f"{path} cannot be written" in publisher.publish(stack, sight, a_state())
    publisher.end()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


# --- rules and dashboard --------------------------------------------------------------------------------------------


def expressions() -> dict[str, str]:
    """Return every expression of the rules and of the dashboard, by its place."""
    rules = [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
    found = {rule["alert"]: rule["expr"] for rule in rules}
    assert len(found) == len(rules)
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel["targets"]:
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    return found


def test_rules_and_dashboard_ask_for_metrics_and_labels_that_there_are() -> None:
    for place, expression in expressions().items():
        names = NAME.findall(expression)
        assert names, place
        assert set(names) <= set(metrics.BY_NAME), place
        for name, selector in re.findall(r"(rollcall_[a-z_]+)\{([^}]*)\}", expression):
            labels = set(re.findall(r"([a-z_]+)\s*=~?", selector))
            assert labels <= {"stack", "instance", *metrics.BY_NAME[name].labels}, place
        for label, value in re.findall(r'([a-z]+)="([A-Za-z]+)"', expression):
            known = {"level": metrics.LEVELS, "state": metrics.STATES, "result": metrics.RESULTS}
            assert label not in known or value in known[label], place
    every = {name for expression in expressions().values() for name in NAME.findall(expression)}
    assert len(every) > 20


def test_every_rule_says_what_is_wrong_where_and_what_to_do() -> None:
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            known = {label for name in NAME.findall(rule["expr"]) for label in metrics.BY_NAME[name].labels}
            texts = rule["annotations"]
            assert set(texts) == {"summary", "description"}
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert {"stack", "instance"} <= set(re.findall(r"\$labels\.(\w+)", texts["summary"]))
            used = set(re.findall(r"\$labels\.(\w+)", "".join(texts.values())))
            assert used <= {"stack", "instance", *known}, rule["alert"]


def test_the_dashboard_can_be_imported_as_it_is() -> None:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    variables = {each["name"] for each in board["templating"]["list"]}
    assert variables == {"datasource", "stack", "instance"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["title"]
        assert panel["description"]
        assert all(each["datasource"]["uid"] == "${datasource}" for each in (panel, *panel["targets"]))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_takes_rules_expressions_and_metrics(tmp_path: Path) -> None:
    rules = [
        {"record": f"rollcall:expression{number}", "expr": text.replace("$stack", ".*").replace("$instance", ".*")}
        for number, text in enumerate(expressions().values())
    ]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}), encoding="utf-8")
    for checked_file in (path, RULES):
        done = subprocess.run(["promtool", "check", "rules", checked_file], capture_output=True, check=False)
        assert done.returncode == 0, done
    text = told(everything())[0]
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
