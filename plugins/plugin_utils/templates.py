# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Templates of the roles that an action renders: it knows their variables only when the host has answered."""

from __future__ import annotations

import functools
import os

import jinja2

from ansible_collections.rollcall.supervisor.plugins.filter import config, limit


@functools.cache
def template(path: str) -> jinja2.Template:
    """Return the template at a path, with the settings of `ansible.builtin.template` and our filters.

    Raises:
        jinja2.TemplateError: there is none, or its text is not in order.
    """
    directory, name = os.path.split(path)
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(directory),
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # it is no HTML
    )
    for module in (config, limit):
        filters = module.FilterModule().filters()
        jinja.filters.update({f"rollcall.supervisor.{short}": act for short, act in filters.items()})
    return jinja.get_template(name)
