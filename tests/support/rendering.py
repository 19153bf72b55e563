# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role services writes, from its own templates, with plain Jinja and the collection's own filters."""

from __future__ import annotations

import functools
from pathlib import Path

import jinja2

from ansible_collections.rollcall.supervisor.plugins.filter import config, limit
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack

TEMPLATES = Path(__file__).resolve().parents[2] / "roles" / "services" / "templates"


@functools.cache
def template(name: str) -> jinja2.Template:
    """Return a template of the role ``services``, as Ansible would take it."""
    # The settings of ansible.builtin.template.
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # it is no HTML
    )
    for module in (config, limit):
        filters = module.FilterModule().filters()
        jinja.filters.update({f"rollcall.supervisor.{name}": act for name, act in filters.items()})
    return jinja.get_template(name)


def render(stack: Stack) -> str:
    """Return the config of ``stack``, as the role services writes it."""
    return template("supervisord.conf.j2").render(stack=stack.to_dict())
