# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Where, below a stack's root, its engine is, and where its services and supervisord log."""

from __future__ import annotations

import os

from ..manifest.model import Stack


def engine_directory(root: str) -> str:
    """Return where the engine is installed, below a stack's root."""
    return os.path.join(root, "engine")


def engine_python(root: str) -> str:
    """Return the interpreter, below a stack's root, that has supervisor, psutil and the engine's other needs."""
    return os.path.join(engine_directory(root), "venv", "bin", "python")


def log_file(stack: Stack, service: str) -> str:
    """Return the file with all that a service writes to stdout and stderr."""
    return os.path.join(stack.paths.logs, f"{service}.log")


def supervisord_log(stack: Stack) -> str:
    """Return the file that supervisord itself logs to."""
    return os.path.join(stack.paths.logs, "supervisord.log")
