# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports and processes on macOS: the engine over psutil's own code for it, see tests/support/macos.py."""

from __future__ import annotations

import dataclasses
import os
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import (
    bind,
    by_psutil,
    homes,
    listeners,
    processes,
    socket_owners,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import user_name
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.births import recorded, remember
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.labels import label_of
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Label, Listener, Process
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.ours import find
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import flush, provenance, survey
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.running import supervisords_over
from tests.support import macos
from tests.support.configs import a_label, a_stack
from tests.support.macos import BOOTED, SSTOP, SZOMB, Mac, Recorded, Socket, on_ipv6

ME, POSTGRES = 501, 216
ROOT = "/Users/ada/trading"
PYTHON = "/opt/homebrew/Cellar/python@3.12/3.12.7/Frameworks/Python.framework/Versions/3.12/bin/python3.12"
OURS = {**a_label(ROOT, "api", "trading"), "PATH": "/usr/bin"}
SUPERVISORD = {name: value for name, value in OURS.items() if name != "ROLLCALL_SERVICE"}

RECORDED = (
    Recorded(0, 0, 0, BOOTED, "kernel_task"),
    Recorded(1, 0, 0, BOOTED + 4.25, "launchd", "/sbin/launchd", ["/sbin/launchd"]),
    Recorded(
        401,
        1,
        ME,
        BOOTED + 30.5,
        "ControlCenter",
        "/System/Library/CoreServices/ControlCenter.app/Contents/MacOS/ControlCenter",
        ["/System/Library/CoreServices/ControlCenter.app/Contents/MacOS/ControlCenter"],
        sockets=[Socket(("0.0.0.0", 7000)), on_ipv6("::", 7000), Socket(("0.0.0.0", 5000))],
    ),
    Recorded(
        512,
        1,
        POSTGRES,
        BOOTED + 61.0,
        "postgres",
        "/Library/PostgreSQL/16/bin/postgres",
        ["/Library/PostgreSQL/16/bin/postgres", "-D", "/Library/PostgreSQL/16/data"],
        sockets=[Socket(("127.0.0.1", 5432))],
    ),
    Recorded(
        900,
        1,
        ME,
        BOOTED + 7201.118642,
        "python3.12",
        PYTHON,
        [PYTHON, f"{ROOT}/engine/venv/bin/supervisord", "-c", "etc/supervisord.conf", "-n"],
        SUPERVISORD,
        ROOT,
    ),
    Recorded(
        901,
        900,
        ME,
        BOOTED + 7201.307191,
        "python3.12",
        PYTHON,
        [PYTHON, "main.py"],
        OURS,
        sockets=[
            Socket(("127.0.0.1", 8001)),
            on_ipv6("fe80::1%lo0", 8001),
            Socket(("127.0.0.1", 8001), ("127.0.0.1", 50123), macos.ESTABLISHED),
        ],
    ),
    Recorded(902, 901, ME, BOOTED + 7201.4, "(python3.12)", status=SZOMB),
    Recorded(
        850,
        1,
        ME,
        BOOTED + 3600.77,
        "python3.12",
        PYTHON,
        [PYTHON, "worker.py"],
        {**OURS, "ROLLCALL_SERVICE": "worker"},
        status=SSTOP,
        sockets=[on_ipv6("::", 8002), on_ipv6("::ffff:127.0.0.1", 8003)],
    ),
    Recorded(
        951,
        1,
        ME,
        BOOTED + 8000.0,
        "node",
        "/opt/homebrew/bin/node",
        ["node", "server.js"],
        sockets=[Socket(("127.0.0.1", 8004)), Socket(("127.0.0.1", 50123), ("127.0.0.1", 8001), macos.ESTABLISHED)],
    ),
)


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Mac]:
    """The Mac, seen by the user who runs the stack."""
    with macos.on(Mac(ME, RECORDED), monkeypatch) as machine:
        yield machine


@pytest.fixture
def mac_by_root(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Mac]:
    """The Mac, seen by root."""
    with macos.on(Mac(0, RECORDED), monkeypatch) as machine:
        yield machine


def shown(ports: t.Optional[t.Collection[int]] = None) -> t.Set[t.Tuple[str, str, int, int]]:
    return {(one.family, one.address, one.port, one.inode) for one in listeners.find_listeners(ports)}


OWN = {
    ("ipv4", "0.0.0.0", 7000, -401),
    ("ipv6", "::", 7000, -401),
    ("ipv4", "0.0.0.0", 5000, -401),
    ("ipv4", "127.0.0.1", 8001, -901),
    ("ipv6", "fe80::1", 8001, -901),
    ("ipv6", "::", 8002, -850),
    ("ipv4", "127.0.0.1", 8003, -850),
    ("ipv4", "127.0.0.1", 8004, -951),
}


# --- sockets ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("mac_by_root")
def test_root_sees_every_listener_and_no_connection() -> None:
    assert shown() == {*OWN, ("ipv4", "127.0.0.1", 5432, -512)}
    assert shown({8001}) == {one for one in OWN if one[2] == 8001}
    # What connects from a port does not listen on it.
    assert shown({50123}) == set()


@pytest.mark.usefixtures("mac")
def test_a_user_sees_the_listeners_of_his_own_processes() -> None:
    # psutil.net_connections() gives up at the first process of another user: pid 0 already.
    assert shown() == OWN
    assert shown({5432}) == set()


@pytest.mark.usefixtures("mac_by_root")
def test_the_owner_of_a_listener_comes_with_it() -> None:
    seen = socket_owners.find_owners(
        [one.inode for one in listeners.find_listeners({5432, 8001})], [1, 2], socket_owners.EVERY
    )
    assert (dict(seen.pids), seen.complete, seen.unreadable) == ({-512: [512], -901: [901]}, True, 0)
    assert socket_owners.holds(901, -901)
    assert not socket_owners.holds(900, -901)


@pytest.mark.usefixtures("mac")
def test_the_processes_that_a_user_may_not_ask_are_counted() -> None:
    seen = socket_owners.find_owners([-901], [], socket_owners.EVERY)
    # kernel_task, launchd and postgres.
    assert (dict(seen.pids), seen.complete, seen.unreadable) == ({-901: [901]}, True, 3)
    assert not socket_owners.find_owners([0]).complete


@pytest.mark.usefixtures("mac")
def test_what_only_netlink_tells_is_not_asked_for() -> None:
    assert (listeners.users(8001), listeners.count_closed(8001)) == ([], 0)


# --- processes --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("mac")
def test_a_process_is_described() -> None:
    assert processes.describe(901) == Process(
        pid=901,
        ppid=900,
        start=int((BOOTED + 7201.307191) * 100),
        uid=ME,
        user=user_name(ME),
        exe=PYTHON,
        command=(PYTHON, "main.py"),
        state="R",
        started_at=BOOTED + 7201.307191,
    )


@pytest.mark.usefixtures("mac")
@pytest.mark.parametrize(
    ("pid", "command", "exe", "state"),
    [
        (1, ("[launchd]",), "/sbin/launchd", "R"),
        (0, ("[kernel_task]",), "", "R"),
        (512, ("[postgres]",), "/Library/PostgreSQL/16/bin/postgres", "R"),
        (902, ("[(python3.12)]",), "", "Z"),
        (850, (PYTHON, "worker.py"), PYTHON, "T"),
    ],
)
def test_what_may_not_be_read_or_is_gone_is_left_out(
    pid: int, command: t.Tuple[str, ...], exe: str, state: str
) -> None:
    process = processes.describe(pid)
    assert process is not None
    assert (process.command, process.exe, process.state, process.container) == (command, exe, state, False)


def test_a_process_that_is_gone_or_another_or_dead_is_not_alive(mac: Mac) -> None:
    assert processes.describe(4711) is None
    found = {pid: processes.describe(pid) for pid in (901, 902)}
    service, zombie = found[901], found[902]
    assert service is not None
    assert zombie is not None
    assert processes.alive(service.identity)
    assert not processes.alive(zombie.identity)
    # The number is used again: another start, another process.
    mac.processes[901] = dataclasses.replace(mac.processes[901], started=BOOTED + 9000)
    assert not processes.alive(service.identity)
    assert processes.look_again(service) != service
    del mac.processes[901]
    assert not processes.alive(service.identity)
    assert processes.look_again(service) is None


@pytest.mark.usefixtures("mac")
def test_parents_and_children_are_known() -> None:
    assert processes.pids() == [951, 902, 901, 900, 850, 512, 401, 1, 0]
    assert processes.ancestors(902) == [901, 900, 1]
    assert processes.lineages([902, 512])[512] == [512, 1]
    assert sorted(processes.children(900)) == [901]
    assert sorted(processes.children(1)) == [401, 512, 850, 900, 951]
    assert processes.children(4711) == []
    assert list(processes.descendants([900])) == [901, 902]


@pytest.mark.usefixtures("mac")
def test_a_label_is_read_where_the_environment_may_be() -> None:
    assert label_of(901) == Label("trading", ROOT, "api", "0123456789ab")
    for pid in (1, 401, 512, 902, 4711):
        assert label_of(pid) is None
    assert {process.pid for process in find(ROOT, {ME})} == {900, 901, 850}


@pytest.mark.usefixtures("mac")
def test_a_supervisord_is_found_by_its_config_even_a_relative_one() -> None:
    assert [one.pid for one in supervisords_over(f"{ROOT}/etc/supervisord.conf")] == [900]
    assert supervisords_over("/elsewhere/supervisord.conf") == []
    assert [one.pid for one in supervisords_over("/elsewhere/supervisord.conf", ROOT)] == [900]


@pytest.mark.usefixtures("mac")
def test_there_are_no_cgroups_and_namespaces() -> None:
    assert homes.home_name(901) is None
    assert homes.in_first_namespace()


@pytest.mark.usefixtures("mac")
def test_who_was_started_is_recorded_for_this_boot(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    service = processes.describe(901)
    assert service is not None
    own = Label("trading", ROOT, "api", "0123456789ab")
    remember(str(tmp_path), {service.identity: own})
    assert recorded(str(tmp_path)).processes == {service.identity: own}


def test_without_psutil_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LINUX", False)
    monkeypatch.setattr(processes, "reader", by_psutil)
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(RollcallError, match="takes psutil") as caught:
        listeners.find_listeners()
    assert caught.value.remedies == (cures.INSTALL,)


# --- whose they are ---------------------------------------------------------------------------------------------------


def a_mac_stack(*ports: int, **rules: t.Any) -> t.Any:
    return a_stack(ROOT, *ports, **rules)


@pytest.mark.usefixtures("mac")
def test_each_listener_is_judged_as_on_linux() -> None:
    ports = (7000, 8001, 8002, 8004)
    holders = survey.survey(a_mac_stack(*ports), ports)
    judged = {
        (port, one.process.pid if one.process else None, one.provenance, one.service)
        for port in ports
        for one in holders[port]
    }
    assert judged == {
        (7000, 401, "foreign", None),
        (8001, 901, "supervised", None),
        (8002, 850, "orphan", "worker"),
        (8004, 951, "foreign", None),
    }


@pytest.mark.usefixtures("mac")
def test_a_port_is_told_with_the_same_keys_as_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bind, "bindable", lambda port: "cannot listen" if port == 5432 else None)
    by_port = {one["port"]: one for one in survey.inspect(None, [8002, 5432, 8010])}
    held = by_port[8002]
    # A listener is a holder even where a bind gets by it.
    assert (held["free"], held["complete"], held["unreadable"]) == (False, False, 3)
    assert "worker.py" in held["reason"]
    assert "listens on [::]:8002" in held["reason"]
    (holder,) = held["holders"]
    assert (holder["pid"], holder["pids"], holder["inode"], holder["family"]) == (850, [850], None, "ipv6")
    # That of another user is not seen, and not called free.
    unseen = by_port[5432]
    assert (unseen["free"], unseen["complete"], unseen["holders"]) == (False, False, [])
    assert (by_port[8010]["free"], by_port[8010]["complete"], by_port[8010]["unreadable"]) == (True, True, 0)
    assert len({tuple(one) for one in by_port.values()}) == 1
    monkeypatch.undo()
    with_inodes = set(provenance.Holder(Listener("ipv4", "0.0.0.0", 1, 2, 3), None, "unknown", None, "").as_dict())
    assert set(holder) == with_inodes


@pytest.mark.usefixtures("mac")
def test_a_flush_plans_to_end_what_is_ours_and_refuses_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bind, "bindable", lambda _port: None)
    planned = flush.flush(a_mac_stack(8001, 8002), dry_run=True)
    assert [(entry.pid, entry.result) for entry in planned.ended] == [(850, "planned")]
    assert [(one.process.pid if one.process else None) for one in planned.kept] == [901, 901]
    with pytest.raises(RollcallError, match=r"pid 951 'node server\.js' .* not ours") as caught:
        flush.flush(a_mac_stack(8004), dry_run=True)
    assert caught.value.remedies[0] == "kill 951"
    for policy in ("owned", "any"):
        with pytest.raises(RollcallError, match="never flushed: it is on the avoid list"):
            flush.flush(a_mac_stack(7000), policy=policy, dry_run=True)


@pytest.mark.usefixtures("mac")
def test_the_port_of_another_users_process_is_held_by_an_unknown_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bind, "bindable", lambda port: "cannot listen" if port == 5432 else None)
    with pytest.raises(
        RollcallError, match=r"taken, owner unknown: .* no process that can be seen listens on"
    ) as caught:
        flush.flush(a_mac_stack(5432), policy="any", kill_grace=0.02)
    assert caught.value.kind == "refused"
    assert "run the same command with sudo" in caught.value.remedies


def test_nothing_of_it_stays_behind() -> None:
    import psutil

    assert psutil.Process(os.getpid()).exe()
    assert (psutil.LINUX, psutil.MACOS) == (True, False)
    assert processes.LINUX
