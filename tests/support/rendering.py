# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""supervisord.conf from the role's own template, with plain Jinja and the collection's own filters."""

from __future__ import annotations

import functools
from pathlib import Path

import jinja2

from ansible_collections.rollcall.supervisor.plugins.filter.config import FilterModule
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest import Stack

TEMPLATES = Path(__file__).resolve().parents[2] / "roles" / "services" / "templates"


@functools.cache
def _template() -> jinja2.Template:
    # The settings of ansible.builtin.template.
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # it is no HTML
    )
    jinja.filters.update({f"rollcall.supervisor.{name}": act for name, act in FilterModule().filters().items()})
    return jinja.get_template("supervisord.conf.j2")


def render(stack: Stack) -> str:
    """Return the config of ``stack``, as the role services writes it."""
    return _template().render(stack=stack.to_dict())
