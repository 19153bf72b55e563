# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file system that never answers, as one of a server that has gone: FUSE, with nobody who serves it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import typing as t

import pytest

MNT_DETACH = 2  # sys/mount.h


@contextlib.contextmanager
def hung_file_system(place: str) -> t.Iterator[None]:
    """Mount one over ``place`` for a while; whatever asks it waits in state D. It takes root, and /dev/fuse."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        device = os.open("/dev/fuse", os.O_RDWR)
    except OSError as exc:
        pytest.skip(f"no /dev/fuse here: {exc}")
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"rollcall-test", place.encode(), b"fuse", 0, options) != 0:
        os.close(device)
        pytest.skip(f"this user may not mount: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        # Its end wakes up whoever waits, with an error.
        os.close(device)
        libc.umount2(place.encode(), MNT_DETACH)
