# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A system in FIPS mode, for Python: MD5 is refused, but to whoever says that nothing secret depends on it."""

from __future__ import annotations

import hashlib
import typing as t

import pg8000.core
import pytest

# Runs in every interpreter of an environment before anything else, see interpreters.own_interpreter.
AT_START = """\
import functools
import hashlib


def refusing(make):
    @functools.wraps(make)
    def made(*arguments, usedforsecurity=True, **more):
        if usedforsecurity:
            raise ValueError("[digital envelope routines] unsupported")
        return make(*arguments, usedforsecurity=False, **more)

    return made


def new(name, data=b"", **more):
    return hashlib.md5(data, **more) if name.lower() == "md5" else by_name(name, data, **more)


by_name = hashlib.new
hashlib.md5 = refusing(hashlib.md5)
hashlib.new = new
"""


def without_md5(patch: pytest.MonkeyPatch) -> None:
    """Have the process of the test refuse it, and the driver of PostgreSQL, which has it by its name."""
    made: t.Dict[str, t.Any] = {}
    make, by_name = hashlib.md5, hashlib.new
    try:
        exec(AT_START, made)
        refusing = hashlib.md5
    finally:
        hashlib.md5, hashlib.new = make, by_name
    patch.setattr(hashlib, "md5", refusing)
    patch.setattr(hashlib, "new", made["new"])
    patch.setattr(pg8000.core, "md5", refusing)
