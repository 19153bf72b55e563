# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup: the port in the manifest, or the one that a service has got on a host. Never a default."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleLookupError

from ansible_collections.rollcall.supervisor.plugins.lookup.port import LookupModule

MANIFEST = {
    "name": "test",
    "root": "/opt/test",
    "services": {
        "web": {"command": ["/bin/true"], "port": 8001},
        "worker": {"command": ["/bin/true"]},
    },
}
SHOP = {
    "root": "/opt/shop",
    "services": {
        "web": {"port": 8002, "address": "127.0.0.1", "health": None},
        "worker": {"port": None, "address": None, "health": None},
    },
}


class Lookup(LookupModule):
    """The lookup without Ansible's loader; tests/contract/state/test_registry.py has one that Ansible itself calls."""

    def set_options(self, **given: t.Any) -> None:
        self._options = {"manifest": None, "host": None, "stack": None, **given["direct"]}


def lookup(*terms: str, fact: t.Any = None, **options: t.Any) -> t.List[int]:
    """Look ports up on a host ``app1`` with this fact of ours; None is a host whose facts have not been gathered."""
    facts = {} if fact is None else {"ansible_local": {"rollcall": fact}}
    return Lookup().run(list(terms), variables={"hostvars": {"app1": facts}}, **options)


def stacks(**named: t.Any) -> t.Dict[str, t.Any]:
    return {"stacks": named}


def test_a_manifest_that_is_given_is_asked() -> None:
    assert lookup("web", manifest=MANIFEST) == [8001]


@pytest.mark.parametrize("name", ["worker", "nobody"])
def test_no_port_in_the_manifest_is_an_error(name: str) -> None:
    with pytest.raises(AnsibleLookupError, match=rf"No port for {name}\. With a port: web\."):
        lookup("web", name, manifest=MANIFEST)


def test_without_a_manifest_it_says_what_to_set() -> None:
    with pytest.raises(AnsibleLookupError, match="set rollcall_stack, or give manifest="):
        lookup("web")


def test_a_host_is_asked_for_what_it_has_got() -> None:
    assert lookup("web", host="app1", fact=stacks(shop=SHOP)) == [8002]


def test_one_of_several_stacks_is_named() -> None:
    fact = stacks(shop=SHOP, test={"root": "/opt/test", "services": {}})
    assert lookup("web", host="app1", stack="shop", fact=fact) == [8002]
    with pytest.raises(AnsibleLookupError, match=r"Which stack of app1\? Say it with stack=\. There are: shop, test\."):
        lookup("web", host="app1", fact=fact)


@pytest.mark.parametrize("name", ["worker", "nobody"])
def test_no_port_on_the_host_is_an_error(name: str) -> None:
    with pytest.raises(AnsibleLookupError, match=rf"No port for {name}\. With a port: web\."):
        lookup(name, host="app1", fact=stacks(shop=SHOP))


def test_an_unknown_stack_is_told_with_those_there_are() -> None:
    with pytest.raises(AnsibleLookupError, match=r"There is no stack 'test' on app1\. There are: shop\."):
        lookup("web", host="app1", stack="test", fact=stacks(shop=SHOP))


def test_facts_that_were_not_gathered_are_told_with_how() -> None:
    with pytest.raises(AnsibleLookupError, match=r"app1 lack ansible_local\.rollcall.*ansible\.builtin\.setup"):
        lookup("web", host="app1")


def test_an_unknown_host() -> None:
    with pytest.raises(AnsibleLookupError, match="The inventory has no host 'app2'"):
        lookup("web", host="app2")


def test_a_broken_registry_is_told_in_the_words_of_its_host() -> None:
    fact = stacks(shop=SHOP, test={"error": "the registry cannot be read"})
    with pytest.raises(AnsibleLookupError, match=r"Stack test of app1: the registry cannot be read\."):
        lookup("web", host="app1", stack="test", fact=fact)


@pytest.mark.parametrize("fact", ["Failure executing fact script", {"stacks": {}, "error": "no Python"}])
def test_a_fact_that_failed_is_shown(fact: t.Any) -> None:
    with pytest.raises(AnsibleLookupError, match=r"The fact rollcall of app1 is broken: .*(Failure|no Python)"):
        lookup("web", host="app1", fact=fact)
