# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Services out of variables such as ``WEB_SERVER_PORT``: each ``X_PORT`` becomes a service ``x``."""

from __future__ import annotations

import re
import typing as t

from ..manifest import corrections
from .draft import Draft

ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_QUOTED_VALUE = re.compile(r"""(?P<quote>['"])(?P<text>.*?)(?P=quote)(\s+#.*)?""")
# One sign before it is enough: a search for all of them takes quadratic time.
_COMMENT = re.compile(r"\s#")
_PORT_OF = re.compile(r"[A-Za-z_][A-Za-z0-9_]*_PORT\Z")
_HERE = re.compile(r"(localhost|127\.[0-9.]+|0\.0\.0\.0|::1?|\[::1?\]|\*|)\Z")


def add(draft: Draft, text: str, environment: t.Mapping[str, str]) -> None:
    """Add a service for every ``X_PORT``. ``X_HOST`` goes into its ``env``."""
    variables = _assignments(draft, text) if text.strip() else dict(environment)
    found = {name[: -len("_PORT")]: value for name, value in variables.items() if _PORT_OF.match(name)}
    used: t.Set[str] = set()
    for prefix, value in found.items():
        used.update((f"{prefix}_PORT", f"{prefix}_HOST"))
        host = variables.get(f"{prefix}_HOST")
        if host is not None and not _HERE.match(host):
            draft.lost(
                f"{prefix}_HOST", "is another host, so there is no service here", "give its user the address in env"
            )
            continue
        port = draft.port(value, f"{prefix}_PORT")
        if port is None:
            continue
        entry: t.Dict[str, t.Any] = {"port": port}
        if host:
            entry["env"] = {f"{prefix}_HOST": host}
        draft.add(prefix.lower(), entry, place=f"{prefix}_PORT")
        draft.changed(
            f"{prefix}_PORT",
            f"is given to the service as PORT and PORT_{prefix.upper()}, and is not set itself any more",
            "let the application read one of these",
        )
        draft.lost(
            f"{prefix}_PORT",
            "says nothing of a command",
            "give the service one, or remove it if it is none of this stack",
        )
    if not found:
        draft.problem("the variables", "have none that ends in _PORT", corrections.PORT_VARIABLES)
    if text.strip():
        for name in (name for name in variables if name not in used):
            draft.lost(name, "belongs to no port, so it is not carried over", "write it below env of its service")


def _assignments(draft: Draft, text: str) -> t.Dict[str, str]:
    """Return the variables of a file that has NAME=value on each line, with quotes or without."""
    variables = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        assignment = ASSIGNMENT.fullmatch(line)
        if assignment is None:
            draft.lost(f"line {number}", "is not NAME=value, so it is not read", "correct it if it is meant")
            continue
        name, value = assignment.group(1), assignment.group(2).strip()
        quoted = _QUOTED_VALUE.fullmatch(value)
        variables[name] = quoted.group("text") if quoted else _COMMENT.split(value, 1)[0].rstrip()
    return variables
