# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of each role, from its argument spec: Galaxy takes no role without one."""

from __future__ import annotations

import functools
import json
import re
import typing as t
from collections.abc import Callable

import yaml

from tests.support.repository import ROOT

# As Ansible's documentation marks names: in brackets after a capital letter, such as C(root) or O(services_mode).
MARKED = re.compile(r"\b[CVOEI]\(([^)]*)\)")
NAMED = re.compile(r"\b[MP]\(([^)#]*)(?:#[^)]*)?\)")


def plain(text: str) -> str:
    """Return a sentence of an argument spec as Markdown has it in a table."""
    return NAMED.sub(r"`\1`", MARKED.sub(r"`\1`", text)).replace("|", "\\|")


def sentences(text: str | list[str]) -> list[str]:
    """Return a description, which may be one sentence or several."""
    return [plain(one) for one in ([text] if isinstance(text, str) else text)]


def option(name: str, spec: t.Mapping[str, t.Any]) -> str:
    """Return the row of an option."""
    default = f"`{json.dumps(spec['default'])}`" if "default" in spec else ("required" if spec.get("required") else "")
    return f"| `{name}` | {spec.get('type', 'str')} | {default} | {' '.join(sentences(spec['description']))} |"


def page(role: str) -> str:
    """Return the page of a role."""
    path = ROOT / "roles" / role / "meta" / "argument_specs.yml"
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]
    rows = [option(name, one) for name, one in spec.get("options", {}).items()]
    return "\n".join(
        [
            f"# The role rollcall.supervisor.{role}",
            "",
            f"{spec['short_description']}.",
            "",
            *sentences(spec.get("description", [])),
            "",
            "The playbooks of the collection call it. Which variables you set is said in the",
            "[tables of the playbooks](../../docs/reference/playbooks.md#variables). All of this in a terminal:",
            f"`ansible-doc -t role rollcall.supervisor.{role}`.",
            "",
            "| option | type | default | what |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def roles() -> list[str]:
    """Return the names of all roles."""
    return sorted(path.parent.parent.name for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"))


PAGES: t.Mapping[str, Callable[[], str]] = {role: functools.partial(page, role) for role in roles()}
