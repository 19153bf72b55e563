# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The format of supervisord's config, read as supervisord reads it, in a time that grows no faster than the text."""

from __future__ import annotations

import configparser
import re

# A config of a thousand programs has twenty thousand lines, and none that is wrong.
MOST_WRONG = 1000
# How often [DEFAULT] is copied into a section, key by key.
MOST_COPIES = 200_000

_COMMENT = re.compile(r"(?:^|\s)[;#]")


class TooLarge(ValueError):
    """A text has more of something than a config has; its words say of what."""


class ConfParser(configparser.RawConfigParser):
    """The standard library's parser with supervisor's settings.

    A text of others is checked first, with :meth:`check`: the standard library needs quadratic time for some.
    """

    # Its own pattern begins with `.*?` and `\\s*`, and tries all ways to divide blanks between them.
    OPTCRE = re.compile(r"(?P<option>[^=:]*)(?P<vi>[=:])\s*(?P<value>.*)$")

    def __init__(self) -> None:
        super().__init__(inline_comment_prefixes=(";", "#"), strict=False)

    def check(self, text: str) -> None:
        """Check that a text, which is about to be read, is not made to take long.

        Raises:
            TooLarge: it is.
        """
        wrong, common, here = 0, len(self.defaults()), ""
        sections = set(self.sections())
        for line in text.splitlines():
            bare = _COMMENT.split(line, 1)[0].strip()
            header = self.SECTCRE.match(bare)
            if header:
                here = header.group("header")
                sections.add(here)
            elif bare and (bare[0] in "=:" or not ("=" in bare or ":" in bare)):
                # A value may go on in such a line. All that are none are put into one message, which grows and grows.
                wrong += 1
            elif bare and here == self.default_section:
                common += 1
        if wrong > MOST_WRONG:
            raise TooLarge(f"has more than {MOST_WRONG} lines that are neither a section nor key=value")
        if len(sections) * common > MOST_COPIES:
            raise TooLarge("has too many sections for what its [DEFAULT] gives to each")
