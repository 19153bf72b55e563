# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stack's supervisord is, and says, is asked in one way, which proves whose it is: nothing goes around it."""

from __future__ import annotations

import ast

import pytest

from tests.support.repository import ROOT

ENGINE = ROOT / "plugins" / "module_utils"

# By function or class, the modules that may call it, each with the reason.
ALLOWED = {
    "Client": {
        "supervisord/client.py": "client_of gives it the stack's trust",
        "supervisord/discovery.py": "asks the supervisords of everybody, only for pid and version",
        "supervisord/life.py": "awaits the answer of its own child, whose pid it knows",
        "programs/execution.py": "a task names a socket of its own; by a root it has the stack's trust",
    },
    "supervisords_over": {
        "supervisord/running.py": "supervisords_of gives it the stack's trust",
        "supervisord/discovery.py": "tells those that only look like the stack's",
        "ports/tool.py": "of a neighbour, with the trust of its own root and user",
    },
    "read_settings": {
        "supervisord/discovery.py": "in a child with the rights of whose it is",
        "doctor/look.py": "the stack's own config",
    },
}


# Who connects to a unix socket at all, and writes or reads supervisord's protocol.
LINES = {
    "AF_UNIX": {
        "balancer/haproxy.py": "HAProxy's, by the path that a task names",
        "supervisord/client.py": "the one way",
        "supervisord/discovery.py": "asks the kernel who listens, and says nothing",
        "supervisord/life.py": "sees whether anybody listens, and says nothing",
        "host/started.py": "systemd's, which is told that a program has started",
        "host/socket_files.py": "sees whether anybody listens at the socket of a service, and says nothing",
        "probes/unix_sockets.py": "a database's or a service's, as the user of the services",
    },
    "rpc": {"supervisord/client.py": "the one way"},
}


def callers(name: str) -> set[str]:
    """Return the modules of the engine that call a function by this name, as it is or by its module."""
    return {
        str(path.relative_to(ENGINE))
        for path in sorted(ENGINE.rglob("*.py"))
        if calls(path.read_text(encoding="utf-8"), name)
    }


def calls(text: str, name: str) -> bool:
    """Return whether a module calls a function, or gives it another name by which it may."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and name in (_called(node.func), *map(_called, node.args)):
            return True
        if isinstance(node, ast.ImportFrom) and any(one.name == name and one.asname for one in node.names):
            return True
        if isinstance(node, ast.Assign) and _called(node.value) == name:
            return True
    return False


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


@pytest.mark.parametrize("name", ALLOWED)
def test_nothing_goes_around_the_proof_of_whose_a_supervisord_is(name: str) -> None:
    assert callers(name) == set(ALLOWED[name])


@pytest.mark.parametrize("word", LINES)
def test_nothing_else_speaks_with_a_supervisord(word: str) -> None:
    found = set()
    for path in sorted(ENGINE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, (ast.Name, ast.Attribute)) and _called(node) == word
            imported = isinstance(node, ast.ImportFrom) and any(one.name == word for one in node.names)
            library = isinstance(node, (ast.Import, ast.ImportFrom)) and "xmlrpc" in ast.unparse(node)
            if named or imported or (library and path.name != "rpc.py"):
                found.add(str(path.relative_to(ENGINE)))
    assert found == set(LINES[word])


@pytest.mark.parametrize(
    "text",
    [
        "Client(a)",
        "client.Client(a)",
        "with_(Client(a)).pid()",
        "from .client import Client as Other",
        "make = client.Client",
        "functools.partial(Client, path)",
    ],
)
def test_a_way_around_is_seen_however_it_is_called(text: str) -> None:
    assert calls(text, "Client")
