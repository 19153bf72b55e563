# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What the command prints: JSON for machines, text for people, and an exit code for both."""

from __future__ import annotations

import json
import sys
import typing as t

from .errors import EXIT_FAILED, EXIT_OK


def show(data: t.Mapping[str, t.Any], text: t.Union[str, t.Callable[[], str]], *, as_json: bool) -> int:
    """Print an answer and return its exit code.

    Args:
        data: with ``ok``, which the exit code tells.
        text: the same for people; a function is only called when it is wanted.
        as_json: print the data instead.
    """
    shown = json.dumps(data, indent=2) if as_json else text if isinstance(text, str) else text()
    sys.stdout.write(shown + "\n")
    return EXIT_OK if data["ok"] else EXIT_FAILED
