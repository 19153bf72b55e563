# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a release and a virtual environment are called: by a hash of all that makes them. Pure."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t

from .wanted import WantedRelease


def recipe(wanted: WantedRelease, interpreter: str) -> str:
    """Return 6 hex digits over all that makes a release of the code: another recipe makes another release.

    Args:
        wanted: what is wanted.
        interpreter: which Python of this host the virtual environment is made with; empty without one.
    """
    python = None if wanted.python is None else [wanted.python.requirements, wanted.wheels.digest, interpreter]
    text = json.dumps([wanted.strip, wanted.shared, python, wanted.build, sorted(wanted.environment.items())])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:6]


def release_id(wanted: WantedRelease, code: str, made_by: str) -> str:
    """Return the name of a release: the given one, or 12 digits of the code's digest or commit, and its recipe."""
    return wanted.id or f"{code[:12]}-{made_by}"


def environment_id(requirements: t.Sequence[str], wheels: str, interpreter: str) -> str:
    """Return the name of a virtual environment: 16 hex digits over all that is installed into it.

    Args:
        requirements: the texts of the list and of all lists that it includes.
        wheels: the digest of the directory of wheels; empty for the index.
        interpreter: which Python it is made with.
    """
    text = json.dumps([requirements, wheels, interpreter])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)[\s=]*([^\s#]+)")
_LOCAL = re.compile(r"(?:-e\b|--editable\b|\.{0,2}/|\.$|file:)|[^#]*@\s*file:")


def included(text: str) -> t.List[str]:
    """Return the lists that a list of requirements includes, as it names them."""
    return [found[1] for line in text.splitlines() for found in [_INCLUDE.match(line.strip())] if found]


def local_requirements(text: str) -> t.List[str]:
    """Return the lines that install from a directory: a virtual environment is there for several releases."""
    return [line.strip() for line in text.splitlines() if _LOCAL.match(line.strip())]
