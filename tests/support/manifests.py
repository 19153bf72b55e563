# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small correct manifests for tests, as somebody would write them, to change in one place."""

from __future__ import annotations

from typing import Any

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import Problem
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Service, Stack

NOTHING: Any = object()


def a_service(**keys: Any) -> dict[str, Any]:
    """Return a service with a command, and ``keys``."""
    return {"command": ["bin/run"], **keys}


def a_manifest(services: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    """Return a manifest of one service, or of ``services``; ``keys`` go into the stack, NOTHING takes one out."""
    stack = {
        "name": "trading",
        "root": "/opt/trading",
        "services": {"main_app": a_service()} if services is None else services,
        **keys,
    }
    return {"stack": {key: value for key, value in stack.items() if value is not NOTHING}}


def one(**keys: Any) -> dict[str, Any]:
    """Return a manifest whose only service, main_app, has ``keys``."""
    return a_manifest({"main_app": a_service(**keys)})


def checked(data: Any, **options: Any) -> Stack:
    """Return the stack that ``data`` describes; it has no problem at all."""
    result = check_manifest(data, **options)
    assert result.problems == []
    assert result.stack is not None
    return result.stack


def only_service(**keys: Any) -> Service:
    """Return the one service of a manifest, checked."""
    return checked(one(**keys)).services[0]


def problems(data: Any, **options: Any) -> list[Problem]:
    """Return the problems of ``data``; one error among them at least, and so no stack."""
    result = check_manifest(data, **options)
    assert result.stack is None
    return result.problems


def problem(data: Any, **options: Any) -> Problem:
    """Return the only problem of ``data``."""
    (found,) = problems(data, **options)
    assert found.message
    assert found.cure
    return found
