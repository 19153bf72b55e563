# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files for Prometheus and Consul: in the forms that these document, with every port, and nobody lost in silence."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.show import discovery
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.endpoints import endpoints
from ansible_collections.rollcall.supervisor.plugins.modules.discovery_file import run

Data = t.Dict[str, t.Any]
# The keys of Consul's references of services and of health checks, with their types.
SERVICE_KEYS = {"id": str, "name": str, "address": str, "port": int, "tags": list, "meta": dict, "checks": list}
CHECK_KEYS = {
    **dict.fromkeys(("id", "name", "interval", "timeout", "http", "method", "tcp", "alias_service"), str),
    **dict.fromkeys(("tls_skip_verify", "tcp_use_tls", "disable_redirects"), bool),
    "tls_server_name": str,
    "header": dict,
}


def known(services: Data, *, stopped: t.Container[str] = (), **more: t.Any) -> t.Any:
    """Return what is known of a host with these services."""
    raw = {"name": "trading", "root": "/opt/trading", "ports": {"range": [1024, 65000]}, "services": services}
    checked = check_manifest({"stack": raw})
    assert checked.stack is not None, [problem.as_dict() for problem in checked.problems]
    rows: t.Any = [
        {"name": one.name, "health": "ok", "stopped": {"by": "ada"} if one.name in stopped else None}
        for one in checked.stack.services
    ]
    found = endpoints(checked.stack, rows)
    return {"address": "10.0.0.1", "own_address": "", "release": "v2", "why": "", "endpoints": found, **more}


def one(**keys: t.Any) -> Data:
    return {"web": {"command": ["/bin/web"], "port": 8004, **keys}}


LOST: Data = {"address": "10.0.0.9", "own_address": "", "release": "", "why": "no route", "endpoints": None}
BOTH = {"command": ["/bin/web"], "ports": {"http": 8004, "metrics": 8005, "dns": "5353/udp"}, "health": {"http": "/up"}}


def targets_of(hosts: t.Any, *names: str) -> discovery.Targets:
    return discovery.targets(hosts, names or ("metrics",), keep=True)


def file_sd(text: str) -> t.List[Data]:
    """Return the groups of a file, which is as Prometheus documents it."""
    groups: t.List[Data] = json.loads(text)
    for group in groups:
        assert set(group) == {"targets", "labels"}
        assert all(re.fullmatch(r"(\[[0-9a-f:]+\]|[^:\[\]]+):[0-9]+", target) for target in group["targets"])
        for name, value in group["labels"].items():
            assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name)
            assert isinstance(value, str)
    return groups


def consul(found: discovery.Definitions) -> t.List[Data]:
    """Return the services of a file, which is as Consul documents it."""
    services: t.List[Data] = json.loads(discovery.as_file({"services": found.services}))["services"]
    ids = [service["id"] for service in services] + [check["id"] for each in services for check in each["checks"]]
    assert len(ids) == len(set(ids))
    for service in services:
        assert all(isinstance(value, SERVICE_KEYS[key]) for key, value in service.items())
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", service["name"])
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,128}", key) for key in service["meta"])
        assert all(isinstance(value, str) and len(value) <= 512 for value in service["meta"].values())
        for check in service["checks"]:
            assert all(isinstance(value, CHECK_KEYS[key]) for key, value in check.items())
            assert len({"http", "tcp", "alias_service"} & set(check)) == 1
            assert ("interval" in check) != ("alias_service" in check)
            durations = [check[key] for key in ("interval", "timeout") if key in check]
            assert all(re.fullmatch(r"[1-9][0-9]*ms", duration) for duration in durations)
    return services


def test_prometheus_gets_the_ports_that_are_named_with_what_they_are_of() -> None:
    hosts = {"app1": known({"web": BOTH}, stopped=["web"]), "app2": known({"web": BOTH}, address="fd00::2", release="")}

    groups = file_sd(discovery.as_file(targets_of(hosts).groups))

    assert [group["targets"] for group in groups] == [["10.0.0.1:8005"], ["[fd00::2]:8005"]]
    labels = {"stack": "trading", "service": "web", "port_name": "metrics", "__meta_rollcall": "true"}
    assert groups[0]["labels"] == {**labels, "host": "app1", "release": "v2", "stopped": "true"}
    assert groups[1]["labels"] == {**labels, "host": "app2"}
    # Nothing can be asked of a port of UDP over HTTP.
    assert [group["targets"][0] for group in targets_of(hosts, "all").groups][:2] == ["10.0.0.1:8004", "10.0.0.1:8005"]


def test_an_instance_has_its_number_and_what_is_asked_in_tls_its_scheme() -> None:
    services = one(instances=2, health={"https": "/up", "verify": False})

    groups = targets_of({"app1": known(services)}, "all").groups

    assert [group["labels"]["service"] for group in groups] == ["web", "web"]
    assert [group["labels"]["service_instance"] for group in groups] == ["1", "2"]
    assert [group["labels"]["__scheme__"] for group in groups] == ["https", "https"]


def test_who_is_lost_keeps_its_entry_or_loses_it_as_it_is_said_and_who_was_not_asked_keeps_it() -> None:
    everybody = {host: known({"web": BOTH}, address=host) for host in ("a", "b", "c", "gone")}
    old = targets_of(everybody).groups
    hosts: t.Any = {"a": everybody["a"], "b": LOST, "new": LOST}
    inventory = ["a", "b", "c", "new"]

    kept = discovery.targets(hosts, ["metrics"], old, keep=True, inventory=inventory)
    assert [group["labels"]["host"] for group in kept.groups] == ["a", "b", "c"]
    assert kept.groups == old[:3]
    assert (kept.kept, kept.dropped, kept.missing) == (["b", "c"], ["gone"], ["new"])

    dropped = discovery.targets(hosts, ["metrics"], old, keep=False, inventory=inventory)
    assert [group["labels"]["host"] for group in dropped.groups] == ["a", "c"]
    assert (dropped.kept, dropped.dropped, dropped.missing) == (["c"], ["b", "gone"], [])


HTTP = {"http": "http://127.0.0.1:8004/up", "method": "GET", "disable_redirects": True, "timeout": "2000ms"}
TCP = {"tcp": "127.0.0.1:8004"}
LESS = "Consul does not look at the text of the answer"


@pytest.mark.parametrize(
    ("health", "asked", "note"),
    [
        (None, TCP, ""),
        ({"http": "/up"}, HTTP, ""),
        ({"http": "/up", "method": "HEAD", "timeout": 0.5}, {**HTTP, "method": "HEAD", "timeout": "500ms"}, ""),
        ({"http": "/up", "headers": {"X-A": "b"}}, {**HTTP, "header": {"X-A": ["b"]}}, ""),
        ({"http": "/up", "body": "fine"}, HTTP, LESS),
        ({"http": "/up", "status": 401}, {**TCP, "timeout": "2000ms"}, "Consul cannot want the status 401"),
        (
            {"https": "/up", "verify": False, "server_name": "a.b"},
            {
                **HTTP,
                "http": "https://127.0.0.1:8004/up",
                "header": {"Host": ["a.b"]},
                "tls_skip_verify": True,
                "tls_server_name": "a.b",
            },
            "",
        ),
        ({"tls": True}, {**TCP, "timeout": "2000ms", "tcp_use_tls": True}, ""),
        ({"tcp": True}, {**TCP, "timeout": "2000ms"}, ""),
        ({"exec": ["bin/ask"]}, TCP, "Consul runs no program"),
    ],
)
def test_consul_asks_as_the_verdict_does_and_where_it_cannot_that_is_said(
    health: t.Any, asked: Data, note: str
) -> None:
    found = discovery.definitions("app1", known(one(health=health) if health else one()), 10)

    (service,) = consul(found)
    (check,) = service["checks"]
    assert {key: value for key, value in check.items() if key not in ("id", "name", "interval")} == asked
    assert check["interval"] == "10000ms"
    assert [note in each for each in found.notes] == ([True] if note else [])


@pytest.mark.parametrize(
    "header", [("Authorization", "Bearer {secret:TOKEN}"), ("authorization", "Basic planted"), ("X-Api-Key", "planted")]
)
def test_a_secret_of_a_header_is_no_part_of_a_file(header: t.Tuple[str, str]) -> None:
    services = one(health={"http": "/up", "headers": dict([header])}, secrets={"TOKEN": "x"})

    found = discovery.definitions("app1", known(services), 10)

    assert "tcp" in consul(found)[0]["checks"][0]
    assert header[1] not in json.dumps(found.services)
    assert "has no secret for its header" in found.notes[0]


def test_another_port_is_a_service_of_its_own_to_consul_and_one_of_udp_follows_the_first() -> None:
    found = consul(discovery.definitions("app1", known({"web": BOTH}, own_address="10.1.1.1"), 10))

    assert [service["name"] for service in found] == ["trading-web", "trading-web-metrics", "trading-web-dns"]
    assert found[0]["address"] == "10.1.1.1"
    assert found[2]["checks"][0]["alias_service"] == found[0]["id"]
    names = [
        discovery.definitions("a", known({f"{'w' * 60}{last}": one()["web"]}), 10).services[0]["name"] for last in "xy"
    ]
    assert len(set(names)) == 2


# A manifest with names that are alike but for these is refused.
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,12}", fullmatch=True)
PORT_NAMES = NAMES
SHAPE = st.dictionaries(
    NAMES,
    st.tuples(st.lists(st.tuples(PORT_NAMES, st.booleans()), max_size=3, unique_by=lambda each: each[0])),
    max_size=4,
)


@given(st.dictionaries(NAMES, SHAPE, min_size=1, max_size=3))
def test_every_port_of_every_host_is_in_what_is_written(shape: Data) -> None:
    hosts: Data = {}
    wanted: t.Set[t.Tuple[str, str, int, str]] = set()
    number = 2000
    for host, services in shape.items():
        raw: Data = {}
        for name, (ports,) in services.items():
            raw[name] = {"command": ["/bin/x"]}
            for called, udp in ports:
                number += 1
                raw[name].setdefault("ports", {})[called] = f"{number}/udp" if udp else number
                wanted.add((host, name, number, "udp" if udp else "tcp"))
        raw = raw or {"x": {"command": ["/bin/x"]}}
        hosts[host] = known(raw, address=host)

    groups = file_sd(discovery.as_file(targets_of(hosts, "all").groups))
    services = {host: consul(discovery.definitions(host, known_, 5)) for host, known_ in hosts.items()}

    assert {
        (each["labels"]["host"], each["labels"]["service"], int(each["targets"][0].rpartition(":")[2]))
        for each in groups
    } == {(host, name, port) for host, name, port, protocol in wanted if protocol == "tcp"}
    assert {
        (host, each["meta"]["service"], each["port"], each["meta"]["protocol"])
        for host, found in services.items()
        for each in found
    } == wanted


def written(path: Path, hosts: Data, *, check_mode: bool = False, **more: t.Any) -> Data:
    params = {"path": str(path), "kind": "prometheus", "hosts": hosts, "inventory": [], "ports": ["metrics"]}
    return run({**params, "lost": "keep", "interval": 10.0, **more}, check_mode=check_mode)


def test_a_file_is_replaced_as_a_whole_once_and_one_of_others_is_left_alone(tmp_path: Path) -> None:
    path, hosts = tmp_path / "targets.json", {"app1": known({"web": BOTH})}

    planned = written(path, hosts, check_mode=True)
    assert (planned["changed"], path.exists()) == (True, False)
    done = written(path, hosts)
    assert (done["changed"], done["entries"], done["diff"]) == (True, 1, planned["diff"])
    assert (path.read_text(encoding="utf-8"), path.stat().st_mode & 0o777) == (planned["diff"]["after"], 0o644)
    inode = path.stat().st_ino
    again = written(path, hosts)
    assert (again["changed"], again["diff"], path.stat().st_ino) == (False, {}, inode)
    assert written(path, {"app1": LOST})["kept"] == ["app1"]
    assert path.stat().st_ino == inode
    assert written(path, {"app1": LOST}, lost="drop")["entries"] == 0

    for text in ('[{"targets": ["a:1"], "labels": {"host": "app1"}}]', "no JSON", "{}"):
        path.write_text(text, encoding="utf-8")
        for kind in ("prometheus", "consul"):
            with pytest.raises(RollcallError) as refused:
                written(path, hosts, kind=kind)
            assert refused.value.kind == "refused"
        assert path.read_text(encoding="utf-8") == text
    for wrong in (tmp_path / "targets.txt", tmp_path / "none" / "targets.json"):
        for check_mode in (True, False):
            with pytest.raises(RollcallError):
                written(wrong, hosts, check_mode=check_mode)


def test_a_file_for_consul_is_written_once_as_well(tmp_path: Path) -> None:
    path, hosts = tmp_path / "consul.json", {"app1": known({"web": BOTH})}
    assert written(path, hosts, kind="consul")["entries"] == 3
    assert not written(path, hosts, kind="consul")["changed"]
