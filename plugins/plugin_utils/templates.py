# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Templates of the roles that an action renders: it knows their variables only when the host has answered."""

from __future__ import annotations

import functools
import os

import jinja2
from ansible import constants

from ansible_collections.rollcall.supervisor.plugins.filter import config, limit

# What the filters of every config need. Ansible loads this file once, before it forks for each host; a filter alone
# would load them in each fork.
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import (  # noqa: F401
    config as _config,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import (  # noqa: F401
    render as _render,
)


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
        # Each host has a process of its own, and would compile them again. This directory goes with the playbook.
        bytecode_cache=jinja2.FileSystemBytecodeCache(constants.DEFAULT_LOCAL_TMP),
    )
    for module in (config, limit):
        filters = module.FilterModule().filters()
        jinja.filters.update({f"rollcall.supervisor.{short}": act for short, act in filters.items()})
    return jinja.get_template(name)
