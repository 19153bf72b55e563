# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests are those of SHA-256, whichever part of Python makes them."""

from __future__ import annotations

import hashlib
import sys
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import digest


@pytest.fixture(params=["Python's own", "OpenSSL's"])
def maker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[None]:
    if request.param == "OpenSSL's":
        for name in ("_sha2", "_sha256"):
            monkeypatch.setitem(sys.modules, name, None)
    digest._maker.cache_clear()
    yield
    digest._maker.cache_clear()


@pytest.mark.usefixtures("maker")
@pytest.mark.parametrize("data", [b"", b"rollcall", bytes(range(256)) * 1000])
def test_a_digest_is_that_of_sha_256(data: bytes) -> None:
    whole = hashlib.sha256(data).hexdigest()
    assert digest.hex_of(data, 12) == whole[:12]
    by_pieces = digest.sha256()
    by_pieces.update(data[:100])
    by_pieces.update(data[100:])
    assert by_pieces.hexdigest() == whole
