# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Whether only databases are away. Pure, and small: a controller, which compiles what it imports, asks this."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ..base.documents import CheckData

# The names of the two checks: a database is there, and answers with a service's URL.
REACHED, DATABASE = "reached", "database"


def is_only_away(checks: t.Iterable[CheckData]) -> bool:
    """Return whether something failed, and only because databases are not there: nothing of the services does.

    A database that is there and refuses is another thing: the URL may be wrong, or what a query asks for may be gone.
    An SQLite file is the host's own.
    """
    failed = [check for check in checks if not check["ok"]]
    away = {check["subject"] for check in failed if check["name"] == REACHED and check["data"].get("kind") != "sqlite"}
    return bool(failed) and all(check["name"] in (REACHED, DATABASE) and check["subject"] in away for check in failed)
