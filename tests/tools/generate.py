# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes every part of a file that derives from the code: ``python -m tests.tools.generate``, or ``make generate``.

Such a part stands between two lines, comments in the file's own language, that say ``begin generated NAME`` and
``end generated NAME``. A new part needs an entry of :data:`BLOCKS`, and the two lines in its file. A test,
tests/repo/test_generated.py, holds the files equal to what is generated.
"""

from __future__ import annotations

import re
import sys
import typing as t
from collections.abc import Callable
from pathlib import Path

from tests.support.repository import ROOT
from tests.tools import (
    doctor_table,
    manifest_tables,
    metric_table,
    mode_tables,
    report_schema,
    return_pages,
    role_pages,
    verdict_tables,
)


class Block(t.NamedTuple):
    """A part of a file that is generated.

    Attributes:
        path: the file, from the repository's root.
        name: of the part, as its two lines have it: letters, digits, _ and -; empty when it is the whole file.
        text: returns what stands between them, without the last line's end.
    """

    path: str
    name: str
    text: Callable[[], str]

    @property
    def file(self) -> Path:
        """The file."""
        return ROOT / self.path

    def put_into(self, page: str) -> str:
        """Return the page with this part as generated.

        Raises:
            ValueError: the page does not have the two lines, once each.
        """
        if not self.name:
            return f"{self.text()}\n"
        between = re.compile(
            rf"^([^\n]*begin generated {self.name}(?![\w-])[^\n]*\n)(.*?)(^[^\n]*end generated {self.name}(?![\w-]))",
            re.MULTILINE | re.DOTALL,
        )
        if len(between.findall(page)) != 1:
            raise ValueError(f"{self.path} does not have one line 'begin generated {self.name}', and then its end")
        return between.sub(lambda found: f"{found[1]}{self.text()}\n{found[3]}", page)


MANIFEST_PAGE = "docs/reference/manifest.md"

BLOCKS: t.Sequence[Block] = [
    *(Block(MANIFEST_PAGE, name, table) for name, table in manifest_tables.TABLES.items()),
    Block("docs/reference/doctor.md", "findings", doctor_table.findings),
    Block("docs/how-to/metrics.md", "metrics", metric_table.metrics),
    Block("restart", "modes", mode_tables.usage_function),
    Block("restart", "cases", mode_tables.cases),
    Block("plugins/modules/stack_restart.py", "mode", mode_tables.module_option),
    Block("roles/services/meta/argument_specs.yml", "mode", mode_tables.role_variable),
    Block("plugins/modules/port_info.py", "ports", return_pages.port_states),
    Block("plugins/modules/port_flush.py", "flushed", return_pages.flushed),
    Block("docs/reference/command.md", "modes", mode_tables.reference),
    Block("docs/explanation/verdict.md", "checks", verdict_tables.checks),
    Block("docs/reference/report.md", "report", verdict_tables.report),
    Block("docs/reference/report.md", "codes", verdict_tables.codes),
    Block("docs/reference/report.md", "documents", verdict_tables.documents),
    Block("docs/reference/report.schema.json", "", report_schema.schema_text),
    *(Block(f"roles/{role}/README.md", "", text) for role, text in role_pages.PAGES.items()),
]


def main() -> int:
    """Write every block and name the files that changed."""
    for path in dict.fromkeys(block.file for block in BLOCKS):
        before = page = path.read_text(encoding="utf-8")
        for block in BLOCKS:
            if block.file == path:
                page = block.put_into(page)
        if page != before:
            path.write_text(page, encoding="utf-8")
            print(f"changed: {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
