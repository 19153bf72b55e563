# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stranger on the port of a service at another address: any user may be that, and takes nothing from the service."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import tool
from tests.support.commands import rollcall
from tests.support.impostors import EVE
from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack, two_services
from tests.support.victims import victim

pytestmark = [
    pytest.mark.usefixtures("bystander"),
    pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user"),
]

# Listens as it is told, and on one address only: ADDRESS PORT and whether others may listen beside it.
LISTEN = (
    "import socket, sys, time; family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET; "
    "s = socket.socket(family); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); "
    "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(sys.argv[3])); "
    "s.bind((sys.argv[1], int(sys.argv[2]))); s.listen(); time.sleep(600)"
)


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    """A stack whose service listens on 127.0.0.1."""
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        yield made


def listening(made: StackUnderTest, address: str, *, shared: bool = False) -> list[str]:
    """Return the command of a service that listens on an address, at the port of ``web``."""
    port = made.raw["services"]["web"]["port"]
    return [made.program, "-c", LISTEN, address, str(port), str(int(shared))]


@pytest.mark.fault(3)
@pytest.mark.parametrize(("kind", "address"), [("listen", "127.0.0.9"), ("listen", "::1"), ("bound", "127.0.0.9")])
def test_a_stranger_at_another_address_is_in_nobodys_way(running: StackUnderTest, kind: str, address: str) -> None:
    port = running.raw["services"]["web"]["port"]
    with victim(kind, port, "--address", address, "--uid", str(EVE)) as eve:
        report = running.status()
        assert failed_checks(report) == []
        if kind == "listen":
            evidence = check_of(report, "port", "web")["evidence"]
            assert f"pid {eve.pid} " in evidence
            assert "listens beside it" in evidence
        assert rollcall(running, "doctor").code == 0
        assert running.perform("auto")["changed"] is False
        for mode in ("full", "quick", "emergency"):
            assert failed_checks(running.perform(mode, installed=True)) == []
        assert rollcall(running, "stop").code == 0
        assert rollcall(running, "start").code == 0
        assert eve.alive


@pytest.mark.fault(3)
def test_a_service_is_not_moved_away_from_such_a_stranger() -> None:
    services = two_services()
    services["web"]["fallback_ports"] = [free_port()]
    with stack(services) as made:
        assert made.perform()["ok"]
        installed = made.generation().stack
        with victim("listen", services["web"]["port"], "--address", "127.0.0.9", "--uid", str(EVE)) as eve:
            assert tool.give(installed, dry_run=True)["moved"] == []
            fixed = tool.auto_fix(installed)
            assert (fixed["ok"], fixed["changed"]) == (True, False)
            assert eve.alive


@pytest.mark.fault(3)
def test_a_stranger_on_every_other_address_leaves_a_service_its_own() -> None:
    with stack({"web": {"port": free_port()}}) as made:
        made.raw["services"]["web"]["command"] = listening(made, "127.0.0.1", shared=True)
        assert made.perform()["ok"]
        # Root's own here: the kernel gives a port only to sockets of one user beside each other (socket(7)).
        port = made.raw["services"]["web"]["port"]
        with victim("listen", port, "--address", "0.0.0.0", "--reuseport") as taker:
            check = check_of(made.status(), "port", "web")
            assert (check["ok"], check["code"]) == (False, "taken")
            assert f"pid {taker.pid} " in check["evidence"]
            with pytest.raises(RollcallError, match=f"pid {taker.pid} "):
                made.perform("full", installed=True)


@pytest.mark.fault(3)
def test_what_is_not_known_to_listen_on_one_address_needs_them_all() -> None:
    with stack({"web": {"port": free_port()}}) as made:
        made.raw["services"]["web"]["command"] = listening(made, "0.0.0.0")
        with victim("listen", made.raw["services"]["web"]["port"], "--address", "127.0.0.9", "--uid", str(EVE)) as eve:
            with pytest.raises(RollcallError, match=f"pid {eve.pid} ") as caught:
                made.perform()
            assert caught.value.kind == "refused"
            assert eve.alive


@pytest.mark.fault(3)
def test_the_policy_that_ends_strangers_ends_them_at_every_address(running: StackUnderTest) -> None:
    with victim("listen", running.raw["services"]["web"]["port"], "--address", "127.0.0.9", "--uid", str(EVE)) as eve:
        assert rollcall(running, "restart", "full", "--policy", "any").code == 0
        assert not eve.alive
