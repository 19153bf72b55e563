# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a stand-in where ansible-test keeps the script that installs pip, when the script itself cannot be fetched."""

from __future__ import annotations

import importlib.util
import re
import urllib.request
from pathlib import Path

STAND_IN = "import ensurepip\n\nensurepip.bootstrap(default_pip=True)\n"


def main() -> None:
    """Leave an earlier download alone; make the stand-in only when its host does not answer."""
    spec = importlib.util.find_spec("ansible_test")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("ansible-test is not installed; run: make setup")
    package = Path(next(iter(spec.submodule_search_locations)))
    # ansible-test itself says which version of pip it wants, and where it fetches the script.
    wanted = re.search(
        r"pip='([\d.]+)'", (package / "_internal" / "python_requirements.py").read_text(encoding="utf-8")
    )
    source = re.search(
        r"url = '(https://[^']+)'",
        (package / "_util" / "target" / "setup" / "requirements.py").read_text(encoding="utf-8"),
    )
    if wanted is None or source is None:
        raise SystemExit(
            "this ansible-test installs pip in a way that is not known here; see tests/tools/pip_bootstrap.py"
        )
    script = Path.home() / ".ansible" / "test" / "cache" / f"get_pip_{wanted[1].replace('.', '_')}.py"
    if script.exists():
        return
    try:
        urllib.request.urlopen(source[1] % wanted[1], timeout=10).close()
    except OSError as exc:
        print(f"pip's bootstrap script cannot be fetched ({exc}): the pip of this Python is used instead")
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(STAND_IN, encoding="utf-8")


if __name__ == "__main__":
    main()
