# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Django site made of published packages; ours is the configuration alone."""

from project.celery import app as celery_app

__all__ = ["celery_app"]
