# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible loads this in every playbook of a test: what it packs of a module is kept for the playbooks after it.

Ansible parses a module and all that it imports, and packs them, once in each run: a quarter of a second for each one.
The arguments are not among it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import typing as t

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible.release import __version__


def _key() -> str:
    """Return what is the same for runs that pack the same: Ansible itself, and where the collection is."""
    try:
        spec = importlib.util.find_spec("ansible_collections.rollcall.supervisor")
    except ModuleNotFoundError:
        spec = None
    places = [os.path.realpath(path) for path in (spec and spec.submodule_search_locations) or ()]
    return hashlib.sha256("\n".join([__version__, *places]).encode()).hexdigest()[:16]


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core comes without types
    """Put a directory below MODULE_PAYLOADS in the place where this run keeps what it packs."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "module_payloads"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self, *arguments: t.Any, **options: t.Any) -> None:
        super().__init__(*arguments, **options)
        kept, own = os.environ["MODULE_PAYLOADS"], os.path.join(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache")
        # A test may run Ansible as another user, who cannot write there, and does without.
        if os.access(kept, os.W_OK | os.X_OK) and not os.path.lexists(own):
            place = os.path.join(kept, _key())
            os.makedirs(place, exist_ok=True)
            os.symlink(place, own)
