# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one task of ours, which does nothing but take its time: to see that a restart lets it end."""

import time

from project.celery import app


@app.task
def wait(seconds: float) -> float:
    """Return the seconds when they are over."""
    time.sleep(seconds)
    return seconds
