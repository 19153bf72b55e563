# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small and read-only file systems that one child of a test sees, and nobody else. Takes root."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import tempfile
import traceback
import typing as t
from pathlib import Path

CLONE_NEWNS = 0x00020000  # linux/sched.h

Mount = t.Callable[[], None]


def full(place: str) -> Mount:
    """Return what mounts an empty file system over ``place`` on which not one byte more can be written."""

    def mount() -> None:
        _mount("-t", "tmpfs", "-o", "size=64k,mode=0700", "rollcall-test", place)
        _fill(place)

    return mount


def full_with_its_content(place: str) -> Mount:
    """Return what puts ``place``, with what is in it, onto a file system that has no room for one byte more."""

    def mount() -> None:
        with tempfile.TemporaryDirectory() as aside:
            shutil.copytree(place, os.path.join(aside, "content"), symlinks=True)
            _mount("-t", "tmpfs", "-o", "size=1m,mode=0755", "rollcall-test", place)
            shutil.copytree(os.path.join(aside, "content"), place, symlinks=True, dirs_exist_ok=True)
        _fill(place)

    return mount


def _fill(place: str) -> None:
    with open(Path(place, "filling"), "wb", buffering=0) as filling:
        for size in (4096, 1):
            try:
                while filling.write(bytes(size)):
                    pass
            except OSError:
                continue  # ENOSPC: as full as can be


def small(place: str) -> Mount:
    """Return what mounts a file system over ``place`` on which there is next to no room."""
    return lambda: _mount("-t", "tmpfs", "-o", "size=256k,mode=0700", "rollcall-test", place)


def read_only(place: str) -> Mount:
    """Return what makes ``place``, with what is in it, read-only."""

    def mount() -> None:
        _mount("--bind", place, place)
        _mount("-o", "remount,ro,bind", place)

    return mount


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, timeout=10)


def seen_with(mount: Mount, function: t.Callable[[], t.Any]) -> t.Any:
    """Return what ``function`` returns, as JSON data, in a child with a mount namespace of its own."""
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(here)
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.unshare(CLONE_NEWNS) != 0:
                raise OSError(ctypes.get_errno(), "unshare")
            _mount("--make-rprivate", "/")
            mount()
            with os.fdopen(there, "w", encoding="utf-8") as stream:
                json.dump(function(), stream)
            code = 0
        except BaseException:  # noqa: BLE001 - nothing of the test above may run twice
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(there)
    with os.fdopen(here, encoding="utf-8") as stream:
        text = stream.read()
    _pid, status = os.waitpid(pid, 0)
    assert status == 0, "the child failed: see what it printed"
    return json.loads(text)
