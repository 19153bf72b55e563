# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The secrets of a manifest: their values, which only the controller knows, and their digests, which a stack has."""

from __future__ import annotations

import hashlib
import hmac
import json
import typing as t
from collections.abc import Mapping

from .document import WRONG, Document
from .keys import SERVICE, STACK
from .problems import Problems, value_of

# PBKDF2 takes some 8 ms for so many.
_DIGEST_ROUNDS = 20_000


def secret_values(data: t.Any, overlay: t.Any = None) -> t.Dict[str, t.Dict[str, str]]:
    """Return the values of the secrets by service and variable.

    Args:
        data: the manifest, as :func:`.check.check` takes it. What is wrong with it is left out.
        overlay: what is laid over it.
    """
    document = Document(STACK, SERVICE)
    document.add(data, from_file=False)
    if overlay is not None:
        document.add(overlay, from_file=False)
    problems = Problems(document, {})

    def read(entry: t.Any) -> t.Dict[str, t.Any]:
        own = entry if isinstance(entry, Mapping) else {}
        return {key: SERVICE[key].type.read(problems, (), own[key]) for key in ("env", "secrets") if key in own}

    defaults = read(document.raw.get("defaults"))
    services = document.raw.get("services")
    found = {}
    for name, entry in services.items() if isinstance(services, Mapping) else ():
        values = variables_of(defaults, read(entry))[1]
        known = {variable: value for variable, value in values.items() if value is not WRONG}
        if known:
            found[str(name)] = known
    return found


def variables_of(
    defaults: t.Mapping[str, t.Any], own: t.Mapping[str, t.Any]
) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Any]]:
    """Return ``env`` and ``secrets`` of a service. Its own variable hides a default one, be it a secret or not."""
    own_env, own_secrets = value_of(own, "env", {}), value_of(own, "secrets", {})
    env = {name: value for name, value in value_of(defaults, "env", {}).items() if name not in own_secrets}
    hidden = {name: value for name, value in value_of(defaults, "secrets", {}).items() if name not in own_env}
    return {**env, **own_env}, {**hidden, **own_secrets}


class Digests:
    """Digests of secrets: they tell that a secret changed, and are too costly to guess its value by.

    A service's secrets are stretched together, once, and each digest is made of the result and its variable's name.

    Args:
        stack: the name of the stack.
    """

    def __init__(self, stack: str) -> None:
        self._salt = f"rollcall/{stack}".encode()
        self._keys: t.Dict[str, bytes] = {}

    def of(self, values: t.Mapping[str, str]) -> t.Dict[str, str]:
        """Return 16 hex digits for each variable."""
        if not values:
            return {}
        text = json.dumps(values, sort_keys=True)
        if text not in self._keys:
            self._keys[text] = hashlib.pbkdf2_hmac("sha256", text.encode("utf-8"), self._salt, _DIGEST_ROUNDS)
        key = self._keys[text]
        return {name: hmac.new(key, name.encode("utf-8"), "sha256").hexdigest()[:16] for name in values}
