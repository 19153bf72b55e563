# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make docs``: builds the documentation site of the repository's pages and of the plugins' own documentation.

``build.py DIRECTORY`` writes the site there; ``index.html`` in it opens the index. It is built of the files that git
tracks. Any warning is an error: a link that leads nowhere, a page that nobody finds, an option without a description.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
COLLECTION = "rollcall.supervisor"
# Where the site begins for whoever opens its directory.
FIRST = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=docs/index.html">
<title>Rollcall</title>
<a href="docs/index.html">Rollcall</a>
"""


def lay_out(source: Path) -> None:
    """Copy what git tracks to ``source``, and write the pages of modules, roles and other plugins beside it."""
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name in filter(None, tracked.split("\0")):
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copyfile(ROOT / name, target)
    pages = source / "collections"
    pages.mkdir()
    subprocess.run(
        ["antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error",
         "--no-add-antsibull-docs-version", "--dest-dir", str(pages), COLLECTION],
        check=True,
    )  # fmt: skip


class Fetched(HTMLParser):
    """Collects what a browser fetches for a page from another place than the site."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the address of a script, a picture, a style or a frame that is not the site's own."""
        given = dict(attrs)
        address = given.get("href" if tag == "link" else "src") or ""
        if address.startswith(("http:", "https:", "//")) and not (tag == "link" and given.get("rel") == "canonical"):
            self.found.append(address)


def fetched_from_elsewhere(site: Path) -> list[str]:
    """Return what pages of the site need from elsewhere, each as ``page: address``."""
    told = []
    for page in sorted(site.rglob("*.html")):
        parser = Fetched()
        parser.feed(page.read_text())
        told += [f"{page.relative_to(site)}: {address}" for address in parser.found]
    return told


def build(site: Path) -> None:
    """Build the site.

    Args:
        site: the directory that gets it; what it had is removed.

    Raises:
        subprocess.CalledProcessError: Sphinx or antsibull-docs has found something wrong, and has said what.
        SystemExit: a page needs something from elsewhere.
    """
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    with tempfile.TemporaryDirectory(prefix="rollcall-site-") as scratch:
        source = Path(scratch, "source")
        source.mkdir()
        lay_out(source)
        made = Path(scratch, "site")
        subprocess.run(
            ["sphinx-build", "-q", "-W", "--keep-going", "-j", "auto", "-b", "html",
             "-d", str(Path(scratch, "doctrees")), "-c", str(HERE), str(source), str(made)],
            check=True,
            env={**os.environ, "ROLLCALL_VERSION": version},
        )  # fmt: skip
        elsewhere = fetched_from_elsewhere(made)
        if elsewhere:
            sys.exit("the site is to be read without a network, and needs\n" + "\n".join(elsewhere))
        (made / "index.html").write_text(FIRST)
        if site.exists():
            shutil.rmtree(site)
        site.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(made, site)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
    print(f"the site is in {sys.argv[1]}")
