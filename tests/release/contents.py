# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection's archive holds: every file that a user needs and nothing of how it is made."""

from __future__ import annotations

from collections.abc import Collection, Iterable

# Whole directories, and single files. Another file at the top is a decision: it is added here or to build_ignore.
DIRECTORIES = ("docs/", "examples/", "inventories/", "meta/", "playbooks/", "plugins/", "roles/")
FILES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "changelogs/changelog.yaml",
    "changelogs/config.yaml",
    "execution-environment.yml",
    "requirements/controller.txt",
    "requirements/ee.txt",
    "requirements/host.txt",
    "requirements/run.txt",
    "restart",
    "rollout",
    "site.yml",
)
# What ansible-galaxy writes into it.
OWN = ("FILES.json", "MANIFEST.json")


def meant(known: Iterable[str]) -> set[str]:
    """Return which files the archive is to hold.

    Args:
        known: the path of every file that git has.
    """
    return {name for name in known if name in FILES or name.startswith(DIRECTORIES)} | set(OWN)


def differences(held: Collection[str], known: Iterable[str]) -> list[str]:
    """Return in what the files of an archive differ from what is meant, a sentence each."""
    wanted = meant(known)
    return [
        *(f"it has {name}, which is not meant to be there" for name in sorted(set(held) - wanted)),
        *(f"it has no {name}" for name in sorted(wanted - set(held))),
    ]
