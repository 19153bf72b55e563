# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make diagrams``: draws the Mermaid diagrams of the pages into docs/images, for the site.

A code host draws them itself. The site may fetch nothing, so it has pictures: each is drawn by Mermaid, in a headless
Chromium, and named by the digest of its text. Whoever builds the site needs neither.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
IMAGES = Path("docs", "images")
BLOCK = re.compile(r"^```mermaid\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
# Seconds that npm, and that the browser may take.
BOUND = 300
# What the browser shows: the picture, or why there is none.
PAGE = """<!doctype html>
<meta charset="utf-8">
<body>
<script src="MERMAID"></script>
<script>
mermaid.initialize({startOnLoad: false, theme: "neutral", htmlLabels: false, fontFamily: "sans-serif"});
mermaid.render("diagram", TEXT).then(
  (drawn) => { document.body.innerHTML = drawn.svg; },
  (why) => { document.body.textContent = why; },
);
</script>
"""


def picture_of(text: str) -> Path:
    """Return where the picture of a diagram is, below the checkout."""
    return IMAGES / f"diagram-{hashlib.sha256(text.encode()).hexdigest()[:12]}.svg"


def diagrams() -> dict[Path, str]:
    """Return the text of every diagram of the pages, by where its picture is."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    texts = [text for page in sorted(pages) for text in BLOCK.findall(page.read_text(encoding="utf-8"))]
    return {picture_of(text): text for text in texts}


def fetch_mermaid(directory: Path) -> Path:
    """Fetch the version of Mermaid that is pinned, and return its script."""
    pinned = json.loads((ROOT / "requirements" / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    command = ["npm", "pack", "--silent", f"mermaid@{pinned['mermaid']}"]
    subprocess.run(command, cwd=directory, check=True, timeout=BOUND, stdout=subprocess.DEVNULL)
    (archive,) = directory.glob("mermaid-*.tgz")
    shutil.unpack_archive(archive, directory, "gztar")
    return directory / "package" / "dist" / "mermaid.min.js"


def draw(text: str, mermaid: Path, chromium: str) -> str:
    """Return the picture of a diagram.

    Raises:
        SystemExit: the browser shows none; what it shows is in the message.
    """
    page = mermaid.parent / "diagram.html"
    page.write_text(PAGE.replace("MERMAID", mermaid.name).replace("TEXT", json.dumps(text)), encoding="utf-8")
    command = [chromium, "--headless", "--disable-gpu", "--no-sandbox", "--virtual-time-budget=20000", "--dump-dom"]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, check=True, timeout=BOUND)
    found = re.search(r"<svg.*</svg>", done.stdout, re.DOTALL)
    if found is None:
        sys.exit(f"Chromium has drawn nothing:\n{done.stdout}")
    # HTML ends these by themselves, and a picture does not.
    picture = re.sub(r"<br\s*>", "<br/>", found[0])
    # As wide as it is drawn, and not as the page that shows it.
    width = re.search(r'viewBox="[\d.-]+ [\d.-]+ ([\d.]+) [\d.]+"', picture)
    return picture if width is None else picture.replace('width="100%"', f'width="{float(width[1]):.0f}"', 1)


def main() -> None:
    """Draw what is not drawn yet, and remove pictures of diagrams that are gone."""
    wanted = diagrams()
    for path in (ROOT / IMAGES).glob("diagram-*.svg"):
        if path.relative_to(ROOT) not in wanted:
            path.unlink()
    missing = {path: text for path, text in wanted.items() if not (ROOT / path).exists()}
    if not missing:
        print("every diagram is drawn")
        return
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None or shutil.which("npm") is None:
        sys.exit("it needs chromium and npm (Debian: apt-get install chromium npm)")
    with tempfile.TemporaryDirectory(prefix="rollcall-diagrams-") as scratch:
        mermaid = fetch_mermaid(Path(scratch))
        for path, text in missing.items():
            (ROOT / path).write_text(draw(text, mermaid, chromium) + "\n", encoding="utf-8")
            print(path)


if __name__ == "__main__":
    main()
