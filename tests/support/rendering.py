# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role services writes, from its own templates."""

from __future__ import annotations

from pathlib import Path

import jinja2

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import templates

TEMPLATES = Path(__file__).resolve().parents[2] / "roles" / "services" / "templates"


def template(name: str) -> jinja2.Template:
    """Return a template of the role ``services``, as the actions take it."""
    return templates.template(str(TEMPLATES / name))


def render(stack: Stack) -> str:
    """Return the config of ``stack``, as the role services writes it."""
    return template("supervisord.conf.j2").render(stack=stack.to_dict())
