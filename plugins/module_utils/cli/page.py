# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verb ``report``: one page of HTML that says how the stack is, and what to do about it."""

from __future__ import annotations

import argparse
import os
import typing as t

from ..state.generations import load_stack
from .console import JSON, Verb, announced, option, paths_of, show

if t.TYPE_CHECKING:
    from ..base.page_documents import PageData, PageDocument, PageHost


def _report(options: argparse.Namespace) -> int:
    from ..page.document import headline, is_well, page
    from ..page.file import old_page, write_page
    from ..page.gather import host_told
    from ..state.known_secrets import without_secrets
    from ..verdict import limits

    if options.output is not None:
        # What cannot be written is told before anybody waits for a look.
        old_page(options.output)
    with announced("report", limits.look_limit(load_stack(paths_of(options.root)))):
        told = host_told(options.root)
    host: PageHost = {
        "name": os.uname().nodename,
        "told": told,
        "reached": True,
        "why": "",
        "last_reached": told["at"],
        "lost_since": None,
        "by": "",
        "next": "",
        "roll_out": "",
    }
    seen: PageData = {"at": told["at"], "hosts": [host], "not_asked": 0}
    data = without_secrets(seen, options.root)
    if options.output is not None:
        write_page(options.output, page(data))
    document: PageDocument = {"ok": True, "well": is_well(data), "output": options.output, "page": data}

    def text(shown: PageDocument) -> str:
        if options.output is not None:
            return f"{headline(shown['page'])}: {options.output}"
        return page(shown["page"]).rstrip("\n")

    return show(document, text, options)


VERBS: t.Mapping[str, Verb] = {
    "report": Verb(
        "one page of HTML: problems first, services, and the last runs; changes nothing",
        _report,
        (
            option("--output", metavar="FILE", help="write it there, instead of printing it"),
            JSON,
        ),
    )
}
