# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What ``doctor --fix`` does: it ends no process and starts none. Each repair returns what was done."""

from __future__ import annotations

import os
import stat

from ..base.descending import open_parent
from ..base.errors import RollcallError
from ..base.removing import remove
from ..host import births
from ..host.accounts import find_account
from ..state.directories import make_directory
from ..state.runs import KEEP_RUNS, prune_runs
from ..supervisord import life
from ..verdict import fitness
from . import lost_logs, own_paths
from .facts import HostFacts
from .findings import Repair


def attempt(repair: Repair, facts: HostFacts, subject: str) -> str:
    """Repair one subject; return what was done, or why it could not be."""
    try:
        return repair.run(facts, subject)
    except FileNotFoundError:
        return "it was gone already"
    except OSError as exc:
        return f"could not: {exc.strerror}"
    except RollcallError as exc:
        return f"could not: {exc.message}"


def _remove_stale(facts: HostFacts, subject: str) -> str:
    life.remove_left_overs(facts.paths.socket, facts.paths.pidfile)
    return "could not: something lives behind it now" if os.path.lexists(subject) else "removed it"


def _forget_dead(facts: HostFacts, _subject: str) -> str:
    """Keep those recorded processes that still live."""
    births.remember(facts.root)
    return "dropped it from the record"


def _make_directory(facts: HostFacts, path: str) -> str:
    mode = own_paths.directories(facts.paths, facts.root)[path]
    of_user = facts.stack is not None and path in (facts.paths.run, facts.paths.logs)
    who = fitness.account(facts.stack) if facts.stack is not None and of_user else find_account(None)
    make_directory(path, mode, who, facts.root)
    return "made it"


def _close_to_others(facts: HostFacts, path: str) -> str:
    most = next(own.most for own in facts.own_paths if own.path == path)
    # What is opened is what is changed: nobody can put a link in its place meanwhile.
    parent, name = open_parent(path)
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=parent)
    finally:
        os.close(parent)
    try:
        seen = os.fstat(handle)
        if not (stat.S_ISDIR(seen.st_mode) or (stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1)):
            # A second name may be one that the stack's user has given to a file of somebody else.
            return "could not: it is no directory, and no file that has this name alone"
        mode = stat.S_IMODE(seen.st_mode) & most
        os.fchmod(handle, mode)
    finally:
        os.close(handle)
    return f"its mode is {mode:04o} now"


def _remove(_facts: HostFacts, path: str) -> str:
    remove(path)
    return "removed it"


def _remove_oldest(facts: HostFacts, _subject: str) -> str:
    prune_runs(facts.paths.state, None if facts.failure is None else facts.failure["run"])
    return f"kept the newest {KEEP_RUNS}"


def _reopen(facts: HostFacts, _subject: str) -> str:
    if facts.stack is None or facts.seen is None:
        return "could not: supervisord does not run any more"
    return lost_logs.reopen(facts.stack, facts.seen)


REOPEN = Repair("has supervisord open it again, with what it had", _reopen)
REMOVE_STALE = Repair("removes it", _remove_stale)
FORGET_DEAD = Repair("drops it from the record", _forget_dead)
MAKE_DIRECTORY = Repair("makes it, for its owner", _make_directory)
CLOSE_TO_OTHERS = Repair("takes the permission away", _close_to_others)
REMOVE_FILE = Repair("removes it", _remove)
REMOVE_TREE = Repair("removes it", _remove)
REMOVE_OLDEST = Repair("removes the oldest", _remove_oldest)
