# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only root can give to a child of a test: another user, namespaces, own file systems, a cgroup."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import typing as t
from pathlib import Path

from tests.support.processes import eventually

CLONE_NEWNS = 0x00020000  # linux/sched.h
NOBODY = 65534
# Runs a command as the first process of a pid namespace, with a /proc that shows it.
PID_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

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


def with_its_content(place: str, *, free: int) -> Mount:
    """Return what puts ``place``, with what is in it, onto a file system that has ``free`` more bytes."""

    def mount() -> None:
        with tempfile.TemporaryDirectory() as aside:
            shutil.copytree(place, os.path.join(aside, "content"), symlinks=True)
            _mount("-t", "tmpfs", "-o", "size=64m,mode=0755", "rollcall-test", place)
            shutil.copytree(os.path.join(aside, "content"), place, symlinks=True, dirs_exist_ok=True)
        numbers = os.statvfs(place)
        used = (numbers.f_blocks - numbers.f_bfree) * numbers.f_frsize
        _mount("-o", f"remount,size={used + free}", "rollcall-test", place)

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
    subprocess.run(["mount", *arguments], check=True, timeout=60)


def seen_with(mount: Mount, function: t.Callable[[], t.Any]) -> t.Any:
    """Return what ``function`` returns, as JSON data, in a child with a mount namespace of its own."""

    def enter() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        _mount("--make-rprivate", "/")
        mount()

    return _in_a_child(enter, function)


def as_nobody(function: t.Callable[[], t.Any]) -> t.Any:
    """Return what ``function`` returns, as JSON data, in a child of the user nobody."""

    def enter() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    return _in_a_child(enter, function)


def _in_a_child(enter: t.Callable[[], None], function: t.Callable[[], t.Any]) -> t.Any:
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(here)
            enter()
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


def in_a_fresh_namespace(code: str, *arguments: str, how: t.Sequence[str] = PID_NAMESPACE) -> t.Any:
    """Return what ``code`` prints as JSON when it runs in namespaces of its own; takes root."""
    done = subprocess.run(
        [*how, sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@contextlib.contextmanager
def cgroup(name: str, *hierarchies: str) -> t.Iterator[t.List[Path]]:
    """Make a cgroup in those of the hierarchies that are there; what still runs in it is ended with it.

    Args:
        name: of the cgroup.
        hierarchies: below /sys/fs/cgroup; none means those by which systemd knows its units.
    """
    tops = [Path("/sys/fs/cgroup", hierarchy) for hierarchy in hierarchies or ("", "unified", "systemd")]
    made = [top / name for top in tops if os.access(top / "cgroup.procs", os.W_OK)]
    for place in made:
        place.mkdir()
    try:
        yield made
    finally:
        for place in made:
            assert eventually(functools.partial(_remove_cgroup, place)), f"{place} cannot be removed"


def _remove_cgroup(place: Path) -> bool:
    for inner in sorted((path for path in place.rglob("*") if path.is_dir()), reverse=True):
        if not _remove_cgroup(inner):
            return False
    for pid in (place / "cgroup.procs").read_text(encoding="ascii").split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    with contextlib.suppress(OSError):
        place.rmdir()
    return not place.exists()


def join(cgroups: t.Iterable[Path], pid: int) -> None:
    """Put a process into cgroups."""
    for place in cgroups:
        (place / "cgroup.procs").write_text(str(pid), encoding="ascii")
