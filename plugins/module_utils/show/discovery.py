# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Where services are, as other tools read it: targets for Prometheus, and definitions of services for Consul. Pure.

The forms: https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config, and Consul's
references of services and of health checks (docs/services/configuration).
"""

from __future__ import annotations

import json
import re
import typing as t

from ..base.digest import hex_of
from ..base.masking import tells_secret
from ..manifest.model import EXEC, HTTP, HTTPS, TLS

if t.TYPE_CHECKING:
    from ..base.rollout_documents import AskedHow, DiscoveredHost, EndpointData

Data = t.Mapping[str, t.Any]
Hosts = t.Mapping[str, "DiscoveredHost"]

# What stands for the names of all ports.
ALL = "all"
# By this an entry is known as ours. Prometheus drops labels that begin like that when it has relabelled.
PROMETHEUS_MARK = "__meta_rollcall"
CONSUL_MARK = ("managed_by", "rollcall")
# A secret in a header stands as its name. One that is written out is known by the header: the file is for everybody.
_SECRET = re.compile(r"\{secret:")
_SECRET_HEADER = re.compile(r"authorization|cookie", re.IGNORECASE)
# Characters of a value in a service's `meta`, and of a label of DNS.
_MOST_META, _MOST_NAME = 512, 63


class Targets(t.NamedTuple):
    """What a file for Prometheus has.

    Attributes:
        groups: the target groups, one for each port.
        kept: the hosts whose entries are those that the file had before.
        dropped: the hosts that the file had before, and has not any more.
        missing: the hosts that nothing is known of, and that the file had not before.
    """

    groups: t.List[t.Dict[str, t.Any]]
    kept: t.List[str]
    dropped: t.List[str]
    missing: t.List[str]


def targets(
    hosts: Hosts, names: t.Container[str], old: t.Sequence[Data] = (), *, keep: bool, inventory: t.Sequence[str] = ()
) -> Targets:
    """Return what a file for Prometheus has to have.

    Args:
        hosts: those that were asked, in the order of the inventory.
        names: of the ports; with ``ALL`` all of TCP.
        old: the groups that the file has.
        keep: whether a host that did not answer keeps its entry.
        inventory: all hosts that there are; one that was not asked this time keeps its entry.
    """
    before: t.Dict[str, t.List[t.Dict[str, t.Any]]] = {}
    for group in old:
        before.setdefault(str(group["labels"]["host"]), []).append(dict(group))
    silent = [host for host, one in hosts.items() if one["endpoints"] is None]
    others = [host for host in inventory if host not in hosts and host in before]
    kept = [host for host in silent if keep and host in before] + others
    order = [*(host for host in inventory if host in hosts or host in others), *hosts]
    groups: t.List[t.Dict[str, t.Any]] = []
    for host in dict.fromkeys(order):
        if host in kept:
            groups += before[host]
        elif hosts[host]["endpoints"] is not None:
            groups += [_group(host, hosts[host], one) for one in hosts[host]["endpoints"] or () if _is_one(one, names)]
    there = {group["labels"]["host"] for group in groups}
    return Targets(
        groups,
        kept,
        [host for host in before if host not in there],
        [host for host in silent if keep and host not in before],
    )


def _is_one(endpoint: EndpointData, names: t.Container[str]) -> bool:
    """Return whether Prometheus is to ask a port: it asks over HTTP, so one of UDP is none."""
    return endpoint["protocol"] == "tcp" and (ALL in names or endpoint["port_name"] in names)


def _group(host: str, known: DiscoveredHost, endpoint: EndpointData) -> t.Dict[str, t.Any]:
    labels = {
        "stack": endpoint["stack"],
        "service": endpoint["group"] or endpoint["service"],
        "service_instance": str(endpoint["instance"] or ""),
        "port_name": endpoint["port_name"],
        "host": host,
        "release": known["release"],
        "stopped": "true" if endpoint["stopped"] else "",
        "__scheme__": HTTPS if any(check["kind"] in (HTTPS, TLS) for check in endpoint["checks"]) else "",
        PROMETHEUS_MARK: "true",
    }
    return {
        "targets": [_joined(known["address"], endpoint["port"])],
        "labels": {name: value for name, value in labels.items() if value},
    }


def is_ours_for_prometheus(data: t.Any) -> bool:
    """Return whether the content of a file is a list of groups that were all written here."""
    return isinstance(data, list) and all(
        isinstance(group, dict)
        and isinstance(group.get("labels"), dict)
        and group["labels"].get(PROMETHEUS_MARK) == "true"
        and isinstance(group["labels"].get("host"), str)
        for group in data
    )


class Definitions(t.NamedTuple):
    """What a file for Consul has.

    Attributes:
        services: one for each port.
        notes: what Consul asks less of than the verdict does.
    """

    services: t.List[t.Dict[str, t.Any]]
    notes: t.List[str]


def definitions(host: str, known: DiscoveredHost, interval: float) -> Definitions:
    """Return the services of a host for the Consul agent on it.

    Args:
        host: its name in the inventory.
        known: what it has; ``endpoints`` are known.
        interval: seconds from one look of the agent to the next.
    """
    services: t.List[t.Dict[str, t.Any]] = []
    notes: t.List[str] = []
    every = known["endpoints"] or []
    first: t.Dict[str, EndpointData] = {}
    for endpoint in every:
        if endpoint["protocol"] == "tcp":
            first.setdefault(endpoint["service"], endpoint)
    for endpoint in every:
        service = _service(host, known, endpoint, is_first=_is_first(endpoint, every))
        checks = [_check(check, endpoint, notes) for check in endpoint["checks"]]
        service["checks"] = [
            {"id": f"{service['id']}:{number}", **check, **_often(check, interval)}
            for number, check in enumerate(_with_port(endpoint, checks, first, host, notes), 1)
        ]
        services.append(service)
    return Definitions(services, notes)


def _is_first(endpoint: EndpointData, every: t.Iterable[EndpointData]) -> bool:
    return next(one for one in every if one["service"] == endpoint["service"]) is endpoint


def _service(host: str, known: DiscoveredHost, endpoint: EndpointData, *, is_first: bool) -> t.Dict[str, t.Any]:
    # No two in a stack are alike: a manifest has no services and ports that share a variable with a port.
    name = [endpoint["stack"], endpoint["group"] or endpoint["service"]]
    # Whoever asks for the service wants its first port; another one is a service of its own to Consul.
    name += [] if is_first else [endpoint["port_name"]]
    meta = {
        CONSUL_MARK[0]: CONSUL_MARK[1],
        "stack": endpoint["stack"],
        "service": endpoint["service"],
        "port_name": endpoint["port_name"],
        "protocol": endpoint["protocol"],
        "host": host,
        "release": known["release"],
        "stopped": "true" if endpoint["stopped"] else "",
    }
    address = {"address": known["own_address"]} if known["own_address"] else {}
    return {
        "id": _id(host, endpoint),
        "name": _dns_label("-".join(name)),
        **address,
        "port": endpoint["port"],
        "tags": [tag for tag in (endpoint["stack"], endpoint["port_name"]) if tag],
        "meta": {key: value[:_MOST_META] for key, value in meta.items() if value},
    }


def _id(host: str, endpoint: EndpointData) -> str:
    # It stays the same when the service gets another port.
    parts = (host, endpoint["stack"], endpoint["service"], endpoint["port_name"])
    return ":".join(part for part in parts if part)


def _dns_label(name: str) -> str:
    label = re.sub(r"[^a-z0-9-]", "-", name.lower()).strip("-")
    if len(label) <= _MOST_NAME:
        return label
    digest = hex_of(label.encode("utf-8"), 8)
    return f"{label[: _MOST_NAME - len(digest) - 1].rstrip('-')}-{digest}"


def _check(check: AskedHow, endpoint: EndpointData, notes: t.List[str]) -> t.Dict[str, t.Any]:
    """Return how Consul asks what a health check asks; empty when it cannot, and says in ``notes`` what it leaves out.

    Consul takes every status from 200 to 299 for good, and has no secrets of ours.
    """
    where = f"{endpoint['service']}: health check {check['name']}"
    if check["kind"] == EXEC or check["socket"]:
        notes.append(f"{where}: Consul runs no program and asks no unix socket here")
        return {}
    timeout = {"name": f"{endpoint['service']} {check['name']}", "timeout": _go_duration(check["timeout"])}
    if check["compares"]:
        notes.append(f"{where}: Consul does not look at the text of the answer")
    if check["own_authorities"]:
        notes.append(f"{where}: Consul checks the certificate by the host's own authorities")
    at = _joined(check["host"], check["port"])
    secure: t.Dict[str, t.Any] = {"tls_skip_verify": True} if not check["verify"] else {}
    if check["server_name"]:
        secure["tls_server_name"] = check["server_name"]
    if check["kind"] not in (HTTP, HTTPS):
        return {**timeout, "tcp": at, **({"tcp_use_tls": True, **secure} if check["kind"] == TLS else {})}
    secret = any(_is_secret(name, value) for name, value in check["headers"].items())
    if secret or not 200 <= check["status"] <= 299:
        why = "has no secret for its header" if secret else f"cannot want the status {check['status']}"
        notes.append(f"{where}: Consul {why}, and only connects")
        return {**timeout, "tcp": at}
    sent = {name: [value] for name, value in check["headers"].items()}
    if check["kind"] == HTTPS and check["server_name"]:
        sent = {"Host": [check["server_name"]], **sent}
    headers = {"header": sent} if sent else {}
    asked = {"http": f"{check['kind']}://{at}{check['path']}", "method": check["method"], "disable_redirects": True}
    return {**timeout, **asked, **headers, **(secure if check["kind"] == HTTPS else {})}


def _is_secret(header: str, value: str) -> bool:
    return bool(_SECRET.search(value) or _SECRET_HEADER.search(header)) or tells_secret(header)


def _with_port(
    endpoint: EndpointData,
    checks: t.Sequence[t.Dict[str, t.Any]],
    first: t.Mapping[str, EndpointData],
    host: str,
    notes: t.List[str],
) -> t.List[t.Dict[str, t.Any]]:
    """Return the checks of a port; where none asks it, whether somebody listens, or the service's first port.

    To Consul a service without a check is always well.
    """
    asked = [check for check in checks if check]
    if asked:
        return asked
    if endpoint["protocol"] == "tcp":
        at = _joined(endpoint["address"], endpoint["port"])
        return [{"name": f"{endpoint['service']} listens", "tcp": at}]
    if endpoint["service"] in first:
        other = first[endpoint["service"]]
        return [{"name": f"{endpoint['service']} as a whole", "alias_service": _id(host, other)}]
    notes.append(f"{endpoint['service']}: Consul cannot tell whether its port of UDP is bound, and takes it for well")
    return []


def _often(check: Data, interval: float) -> t.Dict[str, str]:
    """Return how often a check is made; one that follows another service has no interval."""
    return {} if "alias_service" in check else {"interval": _go_duration(interval)}


def _go_duration(seconds: float) -> str:
    """Return seconds as Go's time.ParseDuration reads them."""
    return f"{max(1, round(seconds * 1000))}ms"


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_ours_for_consul(data: t.Any) -> bool:
    """Return whether the content of a file is a list of services that were all written here."""
    key, value = CONSUL_MARK
    services = data.get("services") if isinstance(data, dict) and set(data) == {"services"} else None
    return isinstance(services, list) and all(
        isinstance(one, dict) and isinstance(one.get("meta"), dict) and one["meta"].get(key) == value
        for one in services
    )


def as_file(data: t.Any) -> str:
    """Return data as the text of a file; the same data is always the same text."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
