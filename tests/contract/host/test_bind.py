# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server could listen on a port is found by trying."""

from __future__ import annotations

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import bind, listeners
from tests.support.processes import free_port, listening_socket
from tests.support.victims import victim


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "::", "::1"])
def test_a_port_that_is_held_on_any_address_is_not_bindable(address: str) -> None:
    with listening_socket(address) as held:
        assert bind.bindable(held.getsockname()[1]) is not None


def test_a_free_port_is_bindable_again_and_again() -> None:
    port = free_port()
    assert [bind.bindable(port) for _unused in range(3)] == [None] * 3


def test_a_single_address_is_judged_for_itself() -> None:
    with listening_socket("127.0.0.1") as held:
        port = held.getsockname()[1]
        assert "127.0.0.1" in (bind.bindable(port, "127.0.0.1") or "")
        assert bind.bindable(port, "127.0.0.2") is None
        assert bind.bindable(port, "::1") is None


def test_a_socket_that_is_bound_and_does_not_listen_is_found_by_the_bind_alone() -> None:
    with victim("bound") as held:
        assert listeners.find_listeners([held.port]) == []
        assert "in use" in (bind.bindable(held.port) or "")
