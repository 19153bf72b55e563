# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A supervisord that Rollcall has not started, as a machine without Rollcall has it; it may want a password."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import client_errors
from tests.support.daemons import Sandbox, eventually


def want_password(place: Sandbox, username: str, password: str) -> None:
    """Have the config of ``place`` ask for a password, each given as the config writes it."""
    config = Path(place.config)
    asked = f"chmod=0700\nusername={username}\npassword={password}\n"
    config.write_text(config.read_text().replace("chmod=0700\n", asked, 1))


@contextlib.contextmanager
def started(place: Sandbox, python: str = sys.executable) -> t.Iterator[int]:
    """Run supervisord over the config of ``place`` and yield its pid once it answers or asks for a password."""
    command = [python, "-m", "supervisor.supervisord", "--nodaemon", "-c", place.config]
    with open(place.log, "a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=place.environment, cwd=place.home
        )
    try:
        assert eventually(lambda: _answers(place)), Path(place.log).read_text(encoding="utf-8")
        yield process.pid
    finally:
        place.end()
        process.wait(10)


def _answers(place: Sandbox) -> bool:
    try:
        with place.client() as client:
            return client.state() == "RUNNING"
    except RollcallError as exc:
        return bool(exc.evidence["problem"] == client_errors.UNAUTHORISED)
