# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watcher and its signals from its first moment on: a reload never ends it."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from tests.contract.watch.test_watch import WATCH, watching
from tests.support.commands import BOUND
from tests.support.processes import eventually
from tests.support.stacks import stack


def test_it_tells_systemd_that_it_has_started_when_a_reload_no_longer_ends_it(tmp_path: Path) -> None:
    with stack({"web": {}}, watch=WATCH) as made, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        assert made.perform()["ok"]
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(BOUND)
        with watching(made, NOTIFY_SOCKET=str(tmp_path / "notify")) as watcher:
            assert systemd.recv(100) == b"READY=1"
            watcher.process.send_signal(signal.SIGHUP)
            assert eventually(watcher.is_calm, BOUND)
            assert watcher.process.poll() is None
            watcher.process.terminate()
            assert watcher.process.wait(BOUND) == 0


def test_a_reload_while_it_becomes_a_new_engine_does_not_end_it(tmp_path: Path) -> None:
    began, go_on = tmp_path / "began", tmp_path / "go_on"
    held = f"#!/bin/sh\ntouch {began}\nwhile [ ! -e {go_on} ]; do sleep 0.05; done\n"
    with stack({"web": {}}, watch={**WATCH, "interval": 600}) as made:
        assert made.perform()["ok"]
        with watching(made) as watcher:
            assert eventually(lambda: len(watcher.documents) == 1, BOUND)
            command = Path(made.command)
            real = command.rename(command.with_name("rollcall.real"))
            command.write_text(f'{held}exec {real} "$@"\n', encoding="utf-8")
            command.chmod(0o755)
            Path(made.root, "engine", "files").touch()
            # It sees the new engine at its next look.
            watcher.process.send_signal(signal.SIGHUP)
            assert eventually(began.exists, BOUND)
            watcher.process.send_signal(signal.SIGHUP)
            go_on.touch()
            assert eventually(lambda: watcher.process.poll() is not None or len(watcher.documents) >= 2, BOUND)
            assert watcher.process.poll() is None
            known = len(watcher.documents)
            watcher.process.send_signal(signal.SIGHUP)
            assert eventually(lambda: len(watcher.documents) > known, BOUND), "it is heeded again"
