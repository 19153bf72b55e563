# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything is in the container; the one who makes it and the one who breaks it both read this."""

from __future__ import annotations

from pathlib import Path

STACK = "demo"
USER = "demo"
ROOT = "/opt/demo"
# On a disk of its own, so that it can be full while the root is not.
LOG_DISK = "/var/log/demo"
LOGS = f"{LOG_DISK}/logs"
ETC = f"{ROOT}/etc"
RUN = f"{ROOT}/run"
STATE = f"{ROOT}/state"
CONFIG = f"{ETC}/supervisord.conf"
MANIFEST = f"{ETC}/manifest.json"
SOCKET = f"{RUN}/supervisor.sock"
PIDFILE = f"{RUN}/supervisord.pid"
ENGINE = f"{ROOT}/engine"
PYTHON = f"{ENGINE}/venv/bin/python"
COMMAND = f"{ROOT}/bin/rollcall"
APPLICATION = Path("/srv/demo/service.py")
DATABASE = Path("/var/lib/demo/demo.db")

# What the test brings along.
CHAOS = Path("/srv/chaos")
SERVICES = CHAOS / "services.json"
CLOCK = CHAOS / "clock"
