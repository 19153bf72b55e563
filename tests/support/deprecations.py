# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deprecation warnings of Ansible in the tests: those that are ours are errors, on every supported ansible-core.

One is ours when the collection has declared it, when a file of the collection has asked for what is deprecated, or when
a task of the collection, or one that calls a module of it, has brought it. What Ansible says of its own configuration,
of the Python it runs on or of somebody else's playbook is not.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import typing as t
from pathlib import Path

from tests.support.repository import ROOT

COLLECTION = "rollcall.supervisor"
INSTALLED = "/ansible_collections/rollcall/supervisor/"
Record = t.Mapping[str, t.Any]


def is_ours(record: Record) -> bool:
    """Return whether one is ours, by names and files alone."""
    names = (str(record["by"]), str(record.get("action", "")))
    return any(name == COLLECTION or name.startswith(f"{COLLECTION}.") for name in names) or any(
        _is_of_the_collection(path) for path in record["files"]
    )


def _is_of_the_collection(path: str) -> bool:
    if INSTALLED in path:
        return True
    real = Path(os.path.realpath(path))
    # The environments, with Ansible in them, are below directories whose names begin with a dot.
    return real.is_relative_to(ROOT) and not real.relative_to(ROOT).parts[0].startswith(".")


@contextlib.contextmanager
def recording() -> t.Iterator[None]:
    """Have playbooks that are started meanwhile write down their deprecation warnings."""
    with tempfile.TemporaryDirectory(prefix="rc-deprecations-") as directory:
        os.environ["DEPRECATIONS"] = str(Path(directory, "seen"))
        try:
            yield
        finally:
            del os.environ["DEPRECATIONS"]


def recorded() -> list[dict[str, t.Any]]:
    """Return what was written down since the last call."""
    path = Path(os.environ["DEPRECATIONS"])
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    path.unlink()
    return [json.loads(line) for line in lines]


def refuse_ours(records: t.Iterable[Record]) -> None:
    """Fail for those that are ours.

    Raises:
        AssertionError: there are some; the message names each with its files.
    """
    ours = [record for record in records if is_ours(record)]
    if ours:
        told = "; ".join(f"{one['message']} ({', '.join(one['files'])})" for one in ours)
        raise AssertionError(f"Ansible deprecates what the collection uses: {told}")
