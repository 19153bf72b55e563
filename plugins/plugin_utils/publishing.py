# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Who answers for a published service, and how HAProxy asks whether it does: decided from what the hosts have told.

Pure: it is made of what the inventory publishes and of what each host has answered.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.published import (
    MODES,
    EdgeCheck,
    EdgeConfig,
    EdgeServer,
    EdgeService,
    EdgeTls,
    problems_of,
    server_name,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import Problem
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import one_line
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import (
    ALIVE,
    HTTP,
    HTTPS,
    SECRET,
    TCP,
    TLS,
    Health,
    Service,
    Stack,
)

Data = t.Dict[str, t.Any]

# What may stand in an entry of `edge_services`, and what it must be.
KEYS: t.Mapping[str, t.Tuple[t.Tuple[type, ...], str]] = {
    "bind": ((str, list, tuple), 'a text such as "*:80", or a list'),
    "mode": ((str,), " or ".join(MODES)),
    "port": ((str,), "the name of a port of the service"),
    "balance": ((str,), "roundrobin or leastconn"),
    "certificate": ((str,), "a path on the balancer's host"),
    "ca": ((str,), "a path on the balancer's host"),
    "interval": ((int, float), "a number of seconds"),
    "rise": ((int,), "a number"),
    "fall": ((int,), "a number"),
}
_LOOPBACK = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::")


class Publication(t.NamedTuple):
    """What is to be published.

    Attributes:
        services: what is written.
        problems: why it is not.
        notes: what of the health checks HAProxy does not ask.
    """

    services: t.Tuple[EdgeService, ...]
    problems: t.Tuple[Problem, ...]
    notes: t.Tuple[str, ...]


# --- what a host tells ---------------------------------------------------------------------------------------------


def published_by(stack: Stack) -> Data:
    """Return what a balancer has to know of each service of a host, as data: its ports, and how it is asked.

    Args:
        stack: the part of the manifest that is for the host, with the ports that the host has.
    """
    told: Data = {}
    for service in stack.services:
        entry = told.setdefault(service.group or service.name, {"kind": service.kind, "instances": []})
        ports = {name: int(port) for name, port in _ports(service).items()}
        asked = [_check(health, ports) for health in service.all_health]
        entry["instances"].append({"number": service.instance, "ports": ports, "checks": asked})
    return told


def _ports(service: Service) -> t.Dict[str, int]:
    own = {} if service.port is None else {service.port_name: service.port}
    return {**own, **service.more_ports}


def _check(health: Health, ports: t.Mapping[str, int]) -> Data:
    on = [name for name, port in ports.items() if port == health.port and health.host in _LOOPBACK]
    return {
        "name": health.name or health.kind,
        "kind": health.kind,
        "alive": health.proves == ALIVE,
        # The name of the port that is asked; None when it is none of the service's on this host.
        "on": on[0] if on and not health.socket else None,
        "secret": any(re.search(SECRET, value) for value in health.headers.values()),
        "json": bool(health.json),
        "verify": health.verify,
        "server_name": health.server_name,
        "timeout": health.timeout,
        **_question(health),
    }


def _question(health: Health) -> Data:
    """Return the fields of an `EdgeCheck`."""
    headers = [[name, value] for name, value in health.headers.items() if name.lower() != "host"]
    own = [value for name, value in health.headers.items() if name.lower() == "host"]
    return {
        "ask": {
            "http": health.kind in (HTTP, HTTPS),
            "path": health.path,
            "status": health.status,
            "method": health.method,
            "host": own[0] if own else health.server_name or health.host,
            "headers": headers,
            "body": health.body or "",
            "send": health.send or "",
            "expect": health.expect or "",
        }
    }


# --- what is published ---------------------------------------------------------------------------------------------


def publication(services: t.Any, answers: t.Mapping[str, Data]) -> Publication:
    """Return what is to be published, with every problem at once.

    Args:
        services: by its name, how a service is published: see `KEYS`.
        answers: by host, in the order of the inventory: ``reached``, ``why``, ``address``, ``weight``, ``services``.
    """
    problems = [*_of_hosts(answers)]
    if not isinstance(services, dict) or not services:
        edit = 'write what is published, such as {web: {bind: "*:80"}}'
        return Publication((), (*problems, Problem("edge_services", "publishes nothing", edit)), ())
    made, notes = [], []
    for name, entry in services.items():
        found = [*_of_entry(str(name), entry)]
        problems += found
        if not found:
            builder = _Builder(str(name), entry, answers)
            service = builder.service()
            problems += builder.problems
            notes += builder.notes
            made += [] if service is None else [service]
    # The paths are the module's own.
    problems += [*problems_of(EdgeConfig(tuple(made), socket="/", states="/"))]
    return Publication(tuple(made), tuple(dict.fromkeys(problems)), tuple(dict.fromkeys(notes)))


def _of_hosts(answers: t.Mapping[str, Data]) -> t.Iterator[Problem]:
    if not answers:
        yield Problem("rollcall_hosts", "no host has services", "name the hosts of the application")
    for host, answer in answers.items():
        if not answer.get("reached"):
            why = answer.get("why") or answer.get("msg") or "it was not asked"
            edit = "bring it back, run it without --limit, or take the host out of the inventory's group"
            yield Problem(host, f"nobody knows what it runs: {one_line(str(why), 300)}", edit)


def _of_entry(name: str, entry: t.Any) -> t.Iterator[Problem]:
    place = f"edge_services.{name}"
    if not isinstance(entry, dict):
        yield Problem(place, "says nothing of how it is published", 'write {bind: "*:80"}')
        return
    if "bind" not in entry:
        yield Problem(f"{place}.bind", "is missing", 'write an address and a port, such as "*:80"')
    for key, value in entry.items():
        if key not in KEYS:
            yield Problem(f"{place}.{key}", "is unknown", f"write one of {', '.join(KEYS)}")
        elif not isinstance(value, KEYS[key][0]) or isinstance(value, bool):
            yield Problem(f"{place}.{key}", f"is not {KEYS[key][1]}", f"write {KEYS[key][1]}")


class _Builder:
    """One service that is published."""

    def __init__(self, name: str, entry: Data, answers: t.Mapping[str, Data]) -> None:
        self._name, self._entry, self._answers = name, entry, answers
        self._place = f"edge_services.{name}"
        self.problems: t.List[Problem] = []
        self.notes: t.List[str] = []

    def service(self) -> t.Optional[EdgeService]:
        """Return the service; None when nobody runs it, or not so that it could be published."""
        run_by = {host: data["services"][self._name] for host, data in self._runners()}
        if not run_by:
            known = sorted({name for answer in self._answers.values() for name in answer.get("services", {})})
            edit = f"write the name of a service, of {', '.join(known) or 'none that there are'}"
            self._problem("", "runs on no host", edit)
            return None
        if any(told["kind"] != "service" for told in run_by.values()):
            self._problem("", "does not keep running, so nobody can ask it", "publish a service that does")
            return None
        port = self._port(run_by)
        if port is None:
            return None
        servers = [
            EdgeServer(
                server_name(host, one["number"]),
                str(self._answers[host].get("address") or ""),
                one["ports"][port],
                int(self._answers[host].get("weight") or 100),
            )
            for host, told in run_by.items()
            for one in told["instances"]
        ]
        return self._asked(port, run_by, tuple(servers))

    def _runners(self) -> t.Iterator[t.Tuple[str, Data]]:
        for host, answer in self._answers.items():
            if answer.get("reached") and self._name in answer.get("services", {}):
                yield host, answer

    def _port(self, run_by: t.Mapping[str, Data]) -> t.Optional[str]:
        """Return the name of the port that is published; None when there is none."""
        every = [one["ports"] for told in run_by.values() for one in told["instances"]]
        wanted = self._entry.get("port")
        if wanted is None and all(every):
            return str(next(iter(every[0])))
        if wanted is not None and all(wanted in ports for ports in every):
            return str(wanted)
        names = sorted({name for ports in every for name in ports if name})
        edit = f"write one of {', '.join(names)}" if names else "give it a port in the manifest"
        self._problem(".port", "it has no such port on every host" if wanted else "it has no port", edit)
        return None

    def _asked(self, port: str, run_by: t.Mapping[str, Data], servers: t.Tuple[EdgeServer, ...]) -> EdgeService:
        checks = [one["checks"] for told in run_by.values() for one in told["instances"]]
        plans = [self._plan(port, each) for each in checks]
        if any(plan != plans[0] for plan in plans):
            self._problem(
                ".health", "is asked in different ways on its hosts", "have every host and instance ask the same"
            )
        questions, tls, timeout = plans[0]
        known = {
            key: self._entry[key] for key in ("mode", "balance", "certificate", "rise", "fall") if key in self._entry
        }
        binds = self._entry["bind"]
        return EdgeService(
            self._name,
            (binds,) if isinstance(binds, str) else tuple(map(str, binds)),
            tls=tls,
            checks=questions,
            interval=float(self._entry.get("interval", 2.0)),
            timeout=timeout,
            servers=servers,
            **known,
        )

    def _plan(
        self, port: str, checks: t.Sequence[Data]
    ) -> t.Tuple[t.Tuple[EdgeCheck, ...], t.Optional[EdgeTls], float]:
        """Return how HAProxy asks one instance, in TLS or not, and the seconds that it may take."""
        ready = [check for check in checks if not check["alive"]] or list(checks)
        able = [check for check in ready if self._is_able(check, port)]
        over_http = [check for check in able if check["ask"]["http"]]
        used = over_http or able
        for check in able:
            if check not in used and (check["ask"]["send"] or check["ask"]["expect"]):
                self._note(check, "HAProxy asks over HTTP or over TCP, not over both")
        if not used:
            self.notes.append(f"{self._name}: HAProxy sees only whether its port takes connections")
            return (EdgeCheck(),), self._tls(checks, port), 2.0
        made = tuple(
            EdgeCheck(**{**check["ask"], "headers": tuple((name, value) for name, value in check["ask"]["headers"])})
            for check in used
        )
        return made, self._tls(used, port), max(float(check["timeout"]) for check in used)

    def _is_able(self, check: Data, port: str) -> bool:
        """Return whether HAProxy can ask this; what it leaves out is noted."""
        if check["kind"] not in (HTTP, HTTPS, TCP, TLS):
            self._note(check, "it is a program of the host's")
        elif check["on"] != port:
            self._note(check, "it asks something else than the port that is published")
        elif check["secret"]:
            self._note(check, "it needs a secret, which no balancer has")
        else:
            if check["json"]:
                self._note(check, "the fields of its JSON are not looked at, its status is", whole=False)
            return True
        return False

    def _tls(self, checks: t.Sequence[Data], port: str) -> t.Optional[EdgeTls]:
        found = [check for check in checks if check["kind"] in (HTTPS, TLS) and check["on"] == port]
        if not found:
            if self._entry.get("ca"):
                self._problem(".ca", "its servers are not spoken with in TLS", "leave it out")
            return None
        return EdgeTls(bool(found[0]["verify"]), str(self._entry.get("ca", "")), str(found[0]["server_name"]))

    def _note(self, check: Data, why: str, *, whole: bool = True) -> None:
        told = "is not asked by HAProxy" if whole else "is asked by HAProxy in part"
        self.notes.append(f"{self._name}: the check {check['name']} {told}: {why}")

    def _problem(self, key: str, message: str, edit: str) -> None:
        self.problems.append(Problem(f"{self._place}{key}", message, edit))
