# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What Prometheus is told of a stack: every metric, declared once, and its values after a look.

The library of Prometheus writes the text. It is imported where there are metrics to tell, and nowhere else: it takes
longer to load than ``rollcall status`` takes.
"""

from __future__ import annotations

import typing as t

from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..base.files import write_atomically
from ..base.text import one_line
from ..base.version import VERSION
from ..host import processes
from ..state import budget
from ..state.history import recorded_runs
from ..verdict.judge import STOPPED
from .metrics_server import MetricsServer

if t.TYPE_CHECKING:
    from ..base.documents import CheckData, Report, ServiceRow
    from ..base.watch_documents import WatchState
    from ..manifest.model import Stack
    from .symptoms import Sight

GAUGE, COUNTER = "gauge", "counter"
# As supervisord has them, and what is told where it does not know a service.
STATES = ("STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL", "UNKNOWN")
RESULTS = ("ok", "held", "not_ready", "stopped", "degraded")
LEVELS = ("ok", "grace", "degraded", "critical")
INCIDENT_LEVELS = ("noticed", "degraded", "critical")
# Of so many runs the last of each mode and result is told.
RUNS = 20


class Metric(t.NamedTuple):
    """One metric.

    Attributes:
        name: of it.
        kind: GAUGE or COUNTER.
        text: what it is.
        labels: that it has beside ``stack``.
    """

    name: str
    kind: str
    text: str
    labels: t.Tuple[str, ...] = ()


_STACK = "rollcall"
_OF_A_SERVICE = ("service",)
METRICS: t.Tuple[Metric, ...] = (
    Metric(f"{_STACK}_watch_last_look_timestamp_seconds", GAUGE, "When the watcher finished its last look."),
    Metric(f"{_STACK}_watch_interval_seconds", GAUGE, "From one look of the watcher to the next."),
    Metric(f"{_STACK}_watch_look_seconds", GAUGE, "How long the last look took."),
    Metric(f"{_STACK}_watch_look_ok", GAUGE, "1 when the last look came to an end and could see the stack, else 0."),
    Metric(f"{_STACK}_watch_looks_total", COUNTER, "Looks of the watcher since it began."),
    Metric(f"{_STACK}_watch_level", GAUGE, "1 for the level of the worst incident, 0 for the others.", ("level",)),
    Metric(f"{_STACK}_watch_incidents", GAUGE, "Incidents that are not over, by their level.", ("level",)),
    Metric(
        f"{_STACK}_info",
        GAUGE,
        "Always 1; the labels say where the stack is, and by which version.",
        ("root", "version"),
    ),
    Metric(
        f"{_STACK}_generation_info",
        GAUGE,
        "Always 1; the labels say which generation is in place, and whether its verdict was ever ok.",
        ("generation", "verified"),
    ),
    Metric(f"{_STACK}_verdict_ok", GAUGE, "1 when every check of the last look passed, else 0."),
    Metric(f"{_STACK}_verdict", GAUGE, "1 for the result of the last look, 0 for the others.", ("result",)),
    Metric(f"{_STACK}_checks_failed", GAUGE, "How often a check has failed at the last look.", ("check",)),
    Metric(
        f"{_STACK}_service_state",
        GAUGE,
        "1 for the state that supervisord tells, 0 for the others.",
        ("service", "state"),
    ),
    Metric(
        f"{_STACK}_service_ok",
        GAUGE,
        "1 when no check of the service failed at the last look, else 0. One that is held or was stopped is 1.",
        _OF_A_SERVICE,
    ),
    Metric(f"{_STACK}_service_start_time_seconds", GAUGE, "When the process of a service began.", _OF_A_SERVICE),
    Metric(
        f"{_STACK}_service_restarts_total",
        COUNTER,
        "How often its process has ended without an order since the service has its present revision; absent while no "
        "supervisord answers.",
        _OF_A_SERVICE,
    ),
    Metric(
        f"{_STACK}_service_healthy",
        GAUGE,
        "1 when each health check was good, else 0; absent where there is none to make.",
        _OF_A_SERVICE,
    ),
    Metric(f"{_STACK}_service_health_seconds", GAUGE, "How long its slowest health check took.", _OF_A_SERVICE),
    Metric(
        f"{_STACK}_service_port_owned",
        GAUGE,
        "1 when the service itself listens on its port or socket, else 0; absent where it has none.",
        _OF_A_SERVICE,
    ),
    Metric(
        f"{_STACK}_service_held", GAUGE, "1 when it stays down because something is missing, else 0.", _OF_A_SERVICE
    ),
    Metric(f"{_STACK}_service_stopped", GAUGE, "1 when somebody has stopped it on purpose, else 0.", _OF_A_SERVICE),
    Metric(f"{_STACK}_timer_failed", GAUGE, "1 when the last run of a timer's job failed, else 0.", ("timer",)),
    Metric(f"{_STACK}_timer_late", GAUGE, "1 when the job of a timer is due and was not started, else 0.", ("timer",)),
    Metric(
        f"{_STACK}_last_run_timestamp_seconds",
        GAUGE,
        f"When the last run of each mode and result began, among the last {RUNS}.",
        ("mode", "result"),
    ),
    Metric(f"{_STACK}_run_at_work", GAUGE, "1 while a run has the lock of the stack, else 0."),
    Metric(f"{_STACK}_restart_budget", GAUGE, "How many automatic restarts there may be within the budget's time."),
    Metric(f"{_STACK}_restart_budget_left", GAUGE, "How many of them are left."),
    Metric(f"{_STACK}_drained", GAUGE, "1 while a rollout has drained the host, else 0."),
    Metric(f"{_STACK}_alerts_sent_total", COUNTER, "Alerts that a target has taken.", ("target",)),
    Metric(
        f"{_STACK}_alerts_dropped_total",
        COUNTER,
        "Alerts that were given up, as the target did not take them.",
        ("target",),
    ),
    Metric(
        f"{_STACK}_alerts_held_back_total", COUNTER, "Alerts that were held back: there were too many.", ("target",)
    ),
    Metric(f"{_STACK}_alerts_waiting", GAUGE, "Alerts that are still to be sent.", ("target",)),
    Metric(f"{_STACK}_alerts_failing", GAUGE, "1 when the last trial to send to a target failed, else 0.", ("target",)),
)
BY_NAME: t.Mapping[str, Metric] = {metric.name: metric for metric in METRICS}

Labels = t.Tuple[str, ...]
# By metric the values, each with those of its labels.
Values = t.Dict[str, t.List[t.Tuple[Labels, float]]]


class Facts(t.NamedTuple):
    """What stands in no report and no memory of the watcher.

    Attributes:
        starts: when the process of each service began, in seconds since the epoch.
        runs: when the last run of each mode and result began.
        spent: automatic restarts that count against the budget.
    """

    starts: t.Mapping[str, float]
    runs: t.Mapping[t.Tuple[str, str], float]
    spent: int


def values_of(stack: Stack, sight: Sight, state: WatchState, facts: Facts) -> Values:
    """Return all that is told after a look. Pure."""
    found: Values = {}

    def put(name: str, value: float, *labels: str) -> None:
        found.setdefault(f"{_STACK}_{name}", []).append((labels, float(value)))

    put("info", 1, stack.root, VERSION)
    put("watch_last_look_timestamp_seconds", state["at"])
    put("watch_interval_seconds", stack.watch.interval)
    put("watch_look_seconds", state["seconds"])
    put("watch_look_ok", sight.report is not None)
    put("watch_looks_total", state["looks"])
    for level in LEVELS:
        put("watch_level", state["level"] == level, level)
    for level in INCIDENT_LEVELS:
        put("watch_incidents", sum(each["level"] == level for each in state["incidents"]), level)
    put("restart_budget", stack.restart_budget.restarts)
    put("restart_budget_left", max(0, stack.restart_budget.restarts - facts.spent))
    put("drained", bool(sight.rollout and sight.rollout["drained"]))
    for (mode, result), began in sorted(facts.runs.items()):
        put("last_run_timestamp_seconds", began, mode, result)
    for target, box in sorted(state["deliveries"].get("targets", {}).items()):
        put("alerts_sent_total", box["sent"], target)
        put("alerts_dropped_total", box["dropped"], target)
        put("alerts_held_back_total", box["held_back"], target)
        put("alerts_waiting", len(box["waiting"]), target)
        put("alerts_failing", box["problem"] is not None, target)
    if sight.report is not None:
        _put_report(put, sight.report, facts)
    return found


def _put_report(put: t.Callable[..., None], report: Report, facts: Facts) -> None:
    put("verdict_ok", report["ok"])
    for result in RESULTS:
        put("verdict", report["result"] == result, result)
    failing = [check for check in report["checks"] if not check["ok"] and not _is_meant(check)]
    failed, ill = [check["name"] for check in failing], {check["subject"] for check in failing}
    for name in sorted(set(failed)):
        put("checks_failed", failed.count(name), name)
    if report["generation"] is not None:
        put("generation_info", 1, report["generation"]["id"], str(report["generation"]["verified"]).lower())
    put("run_at_work", report["run_at_work"] is not None)
    for row in report["services"]:
        put("service_ok", row["name"] not in ill, row["name"])
        _put_service(put, row, row["name"] in report["held"], facts.starts.get(row["name"]))
    for timer in report["timers"]:
        put("timer_failed", timer["failed"], timer["name"])
        put("timer_late", timer["late"], timer["name"])


def _is_meant(check: CheckData) -> bool:
    """Return whether a check fails by no more than that a service is held, or that somebody has stopped it."""
    return check["name"] == "held" or check["code"] == STOPPED


def _put_service(put: t.Callable[..., None], row: ServiceRow, held: bool, began: t.Optional[float]) -> None:
    name = row["name"]
    state = row["state"] if row["state"] in STATES else STATES[-1]
    for each in STATES:
        put("service_state", state == each, name, each)
    if row["state"] != "UNKNOWN":
        # Without a supervisord the lives of its services are not known: a 0 would be read as a counter that began anew.
        put("service_restarts_total", row["exits"], name)
    put("service_held", held, name)
    put("service_stopped", row["stopped"] is not None, name)
    if began is not None:
        put("service_start_time_seconds", began, name)
    if row["health"] != "none":
        put("service_healthy", row["health"] == "ok", name)
    if row["latency_ms"] is not None:
        put("service_health_seconds", row["latency_ms"] / 1000, name)
    if row["port"] is not None or row["socket"] is not None:
        put("service_port_owned", row["provenance"] == "supervised", name)


class _Told:
    """What the library writes as text: a collector, as it calls that."""

    def __init__(self, stack: str, values: Values) -> None:
        self._stack = stack
        self._values = values

    def collect(self) -> t.Iterator[t.Any]:
        """Yield the metrics that have a value, in the order in which they are declared."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        families = {COUNTER: CounterMetricFamily, GAUGE: GaugeMetricFamily}
        for metric in METRICS:
            if metric.name in self._values:
                family = families[metric.kind](metric.name, metric.text, labels=("stack", *metric.labels))
                for labels, value in self._values[metric.name]:
                    family.add_metric((self._stack, *labels), value)
                yield family


def text_of(stack: str, values: Values) -> bytes:
    """Return values in the text format of Prometheus.

    Raises:
        RollcallError: its library is not there.
    """
    try:
        from prometheus_client.exposition import generate_latest
    except ImportError as exc:
        raise RollcallError(f"The library of Prometheus cannot be loaded: {exc}.") from exc
    return generate_latest(_Told(stack, values))


class Publisher:
    """Tells Prometheus what each look has seen: by a file, on a port, or both.

    Args:
        clock: where the time comes from.
    """

    def __init__(self, *, clock: Clock = SYSTEM) -> None:
        self._clock = clock
        self._server: t.Optional[MetricsServer] = None
        self._starts: t.Dict[t.Tuple[int, int], float] = {}
        self._runs: t.Tuple[t.Any, t.Mapping[t.Tuple[str, str], float]] = (None, {})

    def publish(self, stack: Stack, sight: Sight, state: WatchState) -> str:
        """Tell what a look has seen, and return in words why that was not possible; empty when it was.

        Args:
            stack: the installed manifest.
            sight: what the look has seen.
            state: the watcher's memory after it.
        """
        path, port = stack.watch.metrics.get("textfile", ""), stack.watch.metrics.get("port", 0)
        if self._server is not None and self._server.port != port:
            self.end()
        if not path and not port:
            return ""
        problems = []
        try:
            text = text_of(stack.name, values_of(stack, sight, state, self._facts(stack, sight)))
            if path:
                write_atomically(path, text.decode("utf-8"), 0o644)
        except RollcallError as exc:
            return exc.message
        except OSError as exc:
            problems.append(f"{path} cannot be written: {exc.strerror or exc}")
        try:
            if port:
                self._server = self._server or MetricsServer(port)
                self._server.text = text
        except OSError as exc:
            problems.append(f"port {port} cannot be listened on: {exc.strerror or exc}")
        return one_line("; ".join(problems), 500)

    def end(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _facts(self, stack: Stack, sight: Sight) -> Facts:
        """Return what is read beside the look. What cannot be read is told at the look itself, and is left out here."""
        try:
            spent = len(budget.spent(stack, clock=self._clock))
            if self._runs[0] != (sight.run, sight.ended):
                self._runs = ((sight.run, sight.ended), _last_runs(stack))
        except RollcallError:
            spent = 0
        rows = sight.report["services"] if sight.report is not None else ()
        return Facts(self._started(rows), self._runs[1], spent)

    def _started(self, rows: t.Iterable[ServiceRow]) -> t.Dict[str, float]:
        """Return when processes began. Of each it is told the same at all looks, however the clock is adjusted."""
        before, self._starts = self._starts, {}
        found: t.Dict[str, float] = {}
        for row in rows:
            pid = row["pid"]
            ticks = processes.start_time(pid) if pid is not None else 0
            if pid is not None and ticks:
                began = before.get((pid, ticks), round(self._clock.wall() - processes.age(ticks)))
                self._starts[(pid, ticks)] = found[row["name"]] = began
        return found


def _last_runs(stack: Stack) -> t.Dict[t.Tuple[str, str], float]:
    found: t.Dict[t.Tuple[str, str], float] = {}
    for run in recorded_runs(stack.paths, most=RUNS)["runs"]:
        if run["time"] is not None and run["mode"] is not None:
            # The latest comes first.
            found.setdefault((run["mode"], run["result"]), run["time"])
    return found
