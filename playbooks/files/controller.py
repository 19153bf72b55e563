# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``rollcall`` on a controller: the engine of this collection, wherever that is installed.

It is for what needs no host: ``rollcall manifest check`` and ``rollcall manifest import``.
"""

import pathlib
import sys
import types

ENGINE = pathlib.Path(__file__).resolve().parents[2] / "plugins" / "module_utils"


def main() -> int:
    """Run the command; return its exit code."""
    # The same name as on a host, where the engine has a directory of its own.
    package = types.ModuleType("rollcall")
    package.__path__ = [str(ENGINE)]
    sys.modules["rollcall"] = package
    from rollcall.cli.command import main as command  # type: ignore[import-not-found]  # made above

    return int(command())


if __name__ == "__main__":
    sys.exit(main())
