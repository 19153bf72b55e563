# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How this very ansible-playbook was called, so that a cure names a command that whoever called it can call."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import typing as t

from ansible import constants, context

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.cures import INSTALL

COLLECTION = "rollcall.supervisor."
SITE = "site"
PROGRAM = "ansible-playbook"
# Names by which a machine calls itself.
LOCAL = ("localhost", "127.0.0.1", "::1")


def apply_command(*, applies: bool = False, limit: str = "") -> str:
    """Return the command with which a manifest is applied.

    Args:
        applies: whether the playbook that runs does that itself.
        limit: the hosts that are meant.
    """
    return playbook_command("" if applies else SITE, limit=limit)


def playbook_command(name: str, *, limit: str = "") -> str:
    """Return the command for one of the collection's playbooks, called as the one that runs was called.

    Args:
        name: of the playbook; empty for the one that runs.
        limit: the hosts that are meant.
    """
    arguments: t.Mapping[str, t.Any] = context.CLIARGS
    playbooks = arguments.get("args") or ()
    running = str(playbooks[0]) if playbooks else ""
    if not running:
        return INSTALL
    words = [_program()]
    for source in arguments.get("inventory") or ():
        if source not in _default_inventory():
            words += ["-i", _near(str(source))]
    words.append(_sibling(running, name) if name else running)
    if limit:
        words += ["--limit", limit]
    for given in arguments.get("extra_vars") or ():
        # Of variables only files: what stands on the command line itself may be secret.
        words += ["-e", str(given)] if str(given).startswith("@") else []
    return shlex.join(words)


def _program() -> str:
    """Return how this ansible-playbook is called: by its name, or by its path where the name leads elsewhere."""
    path, found = sys.argv[0], shutil.which(PROGRAM)
    if os.path.basename(path) != PROGRAM or (found and os.path.realpath(found) == os.path.realpath(path)):
        return PROGRAM
    return _near(os.path.abspath(path))


def is_local(host: t.Any) -> bool:
    """Return whether a host of the inventory is this machine, so that its commands are run right here."""
    known: t.Mapping[str, t.Any] = host.get_vars()
    connection = known.get("ansible_connection") or context.CLIARGS.get("connection")
    return connection == "local" or host.get_name() in LOCAL


def _default_inventory() -> t.Sequence[str]:
    known = constants.DEFAULT_HOST_LIST
    return [str(source) for source in (known if isinstance(known, (list, tuple)) else [known])]


def _near(source: str) -> str:
    """Return a path as it was most likely written: from here when it is below."""
    if "," in source or not os.path.isabs(source):
        return source
    path = os.path.relpath(source)
    return source if path.startswith("..") else path


def _sibling(running: str, name: str) -> str:
    """Return how a playbook of the collection is called by whoever has called ``running``."""
    if running.startswith(COLLECTION):
        return f"{COLLECTION}{name}"
    beside = os.path.join(os.path.dirname(running), f"{name}.yml")
    here = [path for path in (beside, f"{name}.yml") if os.path.exists(path)]
    return here[0] if here else f"{COLLECTION}{name}"
