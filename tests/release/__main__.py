# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a release of the commit that is checked out, and proves it: ``make release [OUTPUT=dist]``.

First what is given away is built, then the tests beside this file try it. Each step is named before it is taken. The
exit code is 1 when one has failed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.release import build, bundle
from tests.release.build import BIN, ROOT, ReleaseError


@contextmanager
def step(name: str) -> Iterator[None]:
    """Say when a step begins and how it has ended."""
    print(f"=== {name}", flush=True)
    began = time.monotonic()
    try:
        yield
    except ReleaseError as error:
        print(f"=== {name}: FAILED, {time.monotonic() - began:.1f} s\n{error}", flush=True)
        raise
    print(f"=== {name}: ok, {time.monotonic() - began:.1f} s", flush=True)


def make(output: Path) -> list[Path]:
    """Build all files of a release in ``output`` and return them."""
    with step("commit: everything is in one"):
        made_of = build.source()
        print(f"{made_of.name} of {made_of.commit}")
    with step("changelog: it has this version, and every fragment is in one"):
        problems = build.changelog_problems(made_of.version)
        if problems:
            raise ReleaseError("\n".join(problems))
    output.mkdir(parents=True, exist_ok=True)
    with step("collection: its archive"):
        collection = build.build_collection(made_of, output)
    with step("bill of materials: what is installed on hosts"):
        materials = output / f"{made_of.name}.cdx.json"
        build.run(ROOT / "tests" / "tools" / "sbom.sh", materials)
    with step("bundle: the collection, and wheels for controllers and hosts"):
        whole = bundle.build_bundle(made_of, collection, materials)
    made = [collection, materials, whole]
    with step("digests: SHA256SUMS"):
        (output / "SHA256SUMS").write_text(build.digests(made), encoding="utf-8")
    return [*made, output / "SHA256SUMS"]


def prove(output: Path, only: str) -> int:
    """Try what was built and return pytest's exit code: the tests find it by the variable ROLLCALL_RELEASE."""
    environment = {**os.environ, "ROLLCALL_RELEASE": str(output), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    chosen = ["-k", only] if only else []
    arguments = ["pytest", "-v", "--timeout", "1200", "--durations", "20", *chosen, "tests/release"]
    os.chdir(ROOT)
    return os.spawnve(os.P_WAIT, BIN / "pytest", arguments, environment)


def main() -> int:
    """Make and prove a release and return the exit code."""
    parser = argparse.ArgumentParser(prog="make release", description="Make a release and prove it.")
    parser.add_argument("output", nargs="?", default="dist", help="the directory for its files; by default dist")
    parser.add_argument("--only", default="", help="of the proofs those that pytest -k takes for this")
    asked = parser.parse_args()
    output = Path(asked.output).resolve()
    try:
        made = make(output)
    except ReleaseError:
        return 1
    code = prove(output, asked.only)
    if code == 0:
        print("\n".join(str(path) for path in made))
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main())
