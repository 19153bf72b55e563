# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made from the table of restart modes: texts of ``./restart``, options, a reference table."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ansible_collections.rollcall.supervisor.plugins.module_utils.run.modes import (
    AUTO,
    FLUSH,
    FULL,
    MODES,
    RELOAD,
    RESTARTS,
    Mode,
)

WIDTH = 120
# How far the descriptions in ./restart help are indented.
TOLD = 13


def _named(mode: Mode) -> str:
    """Return what a mode does, with its other names and whether it is what ``./restart`` does by itself."""
    names = [*(["the default"] if mode is FULL else []), *(f"also called {alias}" for alias in mode.aliases)]
    return f"{', '.join(names)}: {mode.help}" if names else mode.help


def usage() -> str:
    """Return the modes in the text of ``./restart help``."""
    return "\n".join(
        textwrap.fill(
            _named(mode),
            WIDTH,
            initial_indent=f"  {mode.name:<{TOLD - 2}}",
            subsequent_indent=" " * TOLD,
            break_on_hyphens=False,
        )
        for mode in (*RESTARTS, RELOAD, FLUSH)
    )


def usage_function() -> str:
    """Return the function of ``./restart`` that says what the modes do."""
    return f"modes() {{\n  cat <<'TEXT'\n{usage()}\nTEXT\n}}"


def cases() -> str:
    """Return the cases of ``./restart`` that take every name of a restart mode, and what goes with each."""
    found = []
    for by_name, takes in ((True, "policy automatic names dependents"), (False, "policy automatic")):
        names = " | ".join(name for mode in RESTARTS for name in mode.names if mode.by_name is by_name)
        found.append(f"    {names}) play=restart takes='{takes}' ;;")
    return "\n".join(found)


def module_option() -> str:
    """Return the option ``mode`` on the page of the module stack_restart."""
    return _option("mode", MODES, 2)


def role_variable() -> str:
    """Return the variable ``services_mode`` in the argument spec of the role services."""
    return _option("services_mode", RESTARTS, 6)


def _option(name: str, modes: Sequence[Mode], indent: int) -> str:
    """Return an option in YAML: what each mode does, and every name that it takes."""
    told = [line for mode in modes for line in (f"V({mode.name}): {mode.help}.", *_other_names(mode))]
    lines = [
        f"{name}:",
        "  description:",
        *(line for text in told for line in _item(text, WIDTH - indent)),
        "  type: str",
        f"  choices: [{', '.join(name for mode in modes for name in mode.names)}]",
        f"  default: {AUTO.name}",
    ]
    return textwrap.indent("\n".join(lines), " " * indent)


def _other_names(mode: Mode) -> list[str]:
    return [f"V({alias}) is another word for V({mode.name})." for alias in mode.aliases]


def _item(text: str, width: int) -> list[str]:
    # In quotes: YAML would read a colon and a space as a mapping.
    layout = textwrap.TextWrapper(width, initial_indent="    - ", subsequent_indent=" " * 6, break_on_hyphens=False)
    return layout.wrap(f'"{text}"')


def reference() -> str:
    """Return the table of the modes for the reference of the command."""
    rows = ["| mode | other names | by | what it does |", "|---|---|---|---|"]
    for mode in MODES:
        by = f"rollcall {mode.verb} {mode.name}" if mode.verb == "restart" else f"rollcall {mode.verb}"
        aliases = ", ".join(f"`{alias}`" for alias in mode.aliases) or "-"
        rows.append(f"| `{mode.name}` | {aliases} | `{by}` | {mode.help} |")
    return "\n".join(rows)
