# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Django site is whole: its lock file, its inventory, and the page that tells how to install it."""

from __future__ import annotations

import re

from tests.support.repository import ROOT

SITE = ROOT / "examples" / "django"
PAGE = (ROOT / "docs" / "tutorial" / "django.md").read_text(encoding="utf-8")
VARIABLES = (ROOT / "inventories" / "django" / "group_vars" / "all" / "main.yml").read_text(encoding="utf-8")


def test_its_lock_file_has_all_that_it_is_made_of_by_version_and_hash() -> None:
    wanted = re.findall(r"^([A-Za-z][\w-]*)", (SITE / "requirements.in").read_text(encoding="utf-8"), re.MULTILINE)
    locked = re.split(r"^(?=[a-z])", (SITE / "requirements.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    pins = {entry.partition("==")[0].partition("[")[0]: entry for entry in locked}

    assert {name.lower() for name in wanted} <= set(pins)
    assert [name for name, entry in pins.items() if not re.match(r"\S+==\S+ .*--hash=sha256:", entry, re.DOTALL)] == []


def test_the_page_names_every_secret_that_its_inventory_wants() -> None:
    assert set(re.findall(r"^(vault_\w+):", PAGE, re.MULTILINE)) == set(re.findall(r"vault_[a-z_]*[a-z]", VARIABLES))
