# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How values are written into supervisord.conf, so that supervisor reads the very same values out of it.

A value goes through three steps in supervisor, and the quoting undoes each, the last one first. ``configparser`` cuts
a line at white space followed by ``;`` or ``#``, even inside quotes. ``%`` expands (``supervisor.options.expand``).
``command`` is read by ``shlex.split``, ``environment`` by ``shlex`` without its POSIX rules, so without any escape, and
quotes of both kinds are stripped from both ends (``supervisor.datatypes.dict_of_key_value_pairs``).
"""

from __future__ import annotations

import re
import shlex
import typing as t

from ..base import cures
from ..base.errors import RollcallError

# Expands to nothing, in a program's section: put between two characters, it keeps configparser from seeing them as one.
_BREAK = "%(program_name).0s"
# configparser cuts at `str.isspace()` and then ; or #; and %%( would be taken for a name by %(here)s of an include.
_CUTS = re.compile(r"(?<=\s)(?=[;#])|(?<=%%)(?=\()")
# All of Unicode's category Cc but the tab: some end a line, and so open the next key or section.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_WRITTEN = re.compile(r"""[A-Za-z_][A-Za-z0-9_]*=(?:'[^']*'|"[^"]*")""")
_ENVIRONMENT = "environment="


class Unrepresentable(RollcallError):
    """Values that supervisor's config has no way to write.

    Args:
        problems: place and reason of each.
    """

    def __init__(self, problems: t.Sequence[t.Tuple[str, str]]) -> None:
        super().__init__(
            "supervisord.conf cannot carry " + "; ".join(f"{place}: {reason}" for place, reason in problems) + ".",
            kind="wrong_use",
            evidence={"problems": [{"place": place, "message": reason} for place, reason in problems]},
            remedies=[cures.then("write the value another way, or let the service read it from a file of its own")],
        )
        self.problems: t.Tuple[t.Tuple[str, str], ...] = tuple(problems)


def why_unwritable(text: str) -> t.Optional[str]:
    """Return why ``text`` can stand nowhere in the file; None when it can."""
    control = CONTROL.search(text)
    if control:
        return f"it contains the control character {control.group()!r}"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    return None


def _guard(text: str) -> str:
    """Return ``text`` so that neither ``%`` nor a comment sign means anything in it."""
    return _CUTS.sub(_BREAK, text.replace("%", "%%"))


def quote_value(text: str, place: str = "value") -> str:
    """Return ``text`` for a key of a program's section that is read as it stands, such as ``directory``.

    Args:
        text: what supervisor must read.
        place: what to call it in the error.

    Raises:
        Unrepresentable: it is empty, begins or ends with white space, or holds a control character.
    """
    reason = why_unwritable(text)
    if reason is None and text != text.strip():
        reason = "it begins or ends with white space"
    if reason is None and not text:
        reason = "it is empty"
    if reason is not None:
        raise Unrepresentable([(place, reason)])
    return _guard(text)


def quote_command(argv: t.Sequence[str], place: str = "command") -> str:
    """Return ``argv`` for the key ``command``.

    Raises:
        Unrepresentable: there is no program, or names every argument with a control character, as ``place[index]``.
    """
    found = [(f"{place}[{index}]", why_unwritable(argument)) for index, argument in enumerate(argv)]
    problems = [(where, reason) for where, reason in found if reason is not None]
    if not argv or not argv[0]:
        problems.append((place, "it names no program"))
    if problems:
        raise Unrepresentable(problems)
    return _guard(shlex.join(argv))


def why_unquotable(value: str) -> t.Optional[str]:
    """Return why ``value`` cannot stand in ``environment``; None when it can."""
    reason = why_unwritable(value)
    if reason is None and value != value.strip("'\""):
        reason = "it begins or ends with a quote"
    if reason is None and "'" in value and '"' in value:
        reason = "it contains both kinds of quotes"
    if reason is None and "'" in value and "\\" in value:
        # Only double quotes are left for it, and there the backslash is read differently from 4.4 on.
        reason = "it contains a single quote and a backslash"
    return reason


def quote_environment(variables: t.Mapping[str, str], place: str = "environment") -> str:
    """Return ``variables`` for the key ``environment``, sorted by name.

    Raises:
        Unrepresentable: names every variable that cannot be written, as ``place.NAME``.
    """
    problems = []
    written = []
    for name, value in sorted(variables.items()):
        reason = why_unquotable(value) if VARIABLE.match(name) else "it is not the name of a variable"
        if reason is not None:
            problems.append((f"{place}.{name}", reason))
            continue
        quote = '"' if "'" in value else "'"
        written.append(f"{name}={quote}{_guard(value)}{quote}")
    if problems:
        raise Unrepresentable(problems)
    return ",".join(written)


def one_variable_a_line(config: str) -> str:
    """Return the text of a config, for people: each variable of a key ``environment`` on a line of its own."""
    return "".join(map(_spread, config.splitlines(keepends=True)))


def _spread(line: str) -> str:
    written = line.rstrip("\r\n")[len(_ENVIRONMENT) :]
    variables = _WRITTEN.findall(written) if line.startswith(_ENVIRONMENT) else []
    if len(variables) < 2 or ",".join(variables) != written:
        return line
    return "".join([f"{_ENVIRONMENT}\n", *(f"  {variable}\n" for variable in variables)])
