# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file system that does not answer, as one of a server that has gone: FUSE, with nobody who serves it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import struct
import threading
import typing as t

import pytest

MNT_DETACH = 2  # sys/mount.h
SOURCE = "rollcall-test"


# linux/fuse.h, protocol 7.8: what is asked, and the answers to it.
GETATTR, ACCESS, INIT, FORGET = 3, 34, 26, 2
HEADER = struct.Struct("=IIQQIIII")
ENOSYS = 38


@contextlib.contextmanager
def hung_file_system(place: str) -> t.Iterator[None]:
    """Mount one over ``place`` for a while; whatever asks it waits in state D. It takes root, and /dev/fuse."""
    with _mounted(place):
        yield


@contextlib.contextmanager
def served_file_system(place: str) -> t.Iterator[t.Callable[[], None]]:
    """Mount one that is an empty directory, and yield what makes it hang: its server answers nothing from then on."""
    with _mounted(place) as device:
        stopped = threading.Event()
        server = threading.Thread(target=_serve, args=(device, stopped), daemon=True)
        server.start()

        def hang() -> None:
            stopped.set()
            server.join()

        try:
            yield hang
        finally:
            hang()


def hung_file_systems() -> t.List[str]:
    """Return where such file systems are mounted on this machine, those of other tests included."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        return [line.split()[1] for line in mounts if line.startswith(f"{SOURCE} ")]


@contextlib.contextmanager
def _mounted(place: str) -> t.Iterator[int]:
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        device = os.open("/dev/fuse", os.O_RDWR)
    except OSError as exc:
        pytest.skip(f"no /dev/fuse here: {exc}")
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(SOURCE.encode(), place.encode(), b"fuse", 0, options) != 0:
        os.close(device)
        pytest.skip(f"this user may not mount: {os.strerror(ctypes.get_errno())}")
    try:
        yield device
    finally:
        # Its end wakes up whoever waits, with an error.
        os.close(device)
        libc.umount2(place.encode(), MNT_DETACH)


def _serve(device: int, stopped: threading.Event) -> None:
    """Answer what the kernel asks of an empty directory, until it is stopped."""
    attributes = struct.pack("=6Q3I5I", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0)
    replies = {
        INIT: struct.pack("=IIIIHHI", 7, 8, 0, 0, 0, 0, 4096),
        GETATTR: struct.pack("=QII", 0, 0, 0) + attributes,
    }
    while not stopped.is_set():
        if not select.select([device], [], [], 0.05)[0]:
            continue
        asked = os.read(device, 1 << 16)
        _size, opcode, unique = HEADER.unpack_from(asked)[:3]
        if opcode != FORGET:
            body = replies.get(opcode, b"")
            os.write(device, struct.pack("=IiQ", 16 + len(body), 0 if body else -ENOSYS, unique) + body)
