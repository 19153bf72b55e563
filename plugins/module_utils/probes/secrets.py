# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The secrets of a service, for a question that has to have one in it."""

from __future__ import annotations

import os
import typing as t

from ..base.errors import RollcallError
from ..manifest.model import Service, Stack
from ..manifest.selection import narrowed
from ..state.generations import load_environment
from .answers import NoAnswer


def secrets_of(stack: Stack, service: Service) -> t.Mapping[str, str]:
    """Return the variables in a service's private file, as it is in place.

    Raises:
        NoAnswer: it cannot be read.
    """
    if not os.path.isdir(stack.paths.env_dir):
        return {}
    try:
        return load_environment(narrowed(stack, {service.name})).get(service.name, {})
    except RollcallError as exc:
        raise NoAnswer(exc.message) from exc
