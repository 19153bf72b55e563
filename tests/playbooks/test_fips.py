# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in FIPS mode: no step of an installation, a restart or a look needs MD5."""

from __future__ import annotations

import os
import subprocess
import typing as t

import pytest

from tests.support.fips import AT_START
from tests.support.interpreters import own_interpreter
from tests.support.playbooks import outcome, play, prepare
from tests.support.stacks import StackUnderTest, stack, two_services

HASHES = "import hashlib; hashlib.new('md5', usedforsecurity=False); hashlib.sha256(b''); hashlib.{how}"


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    with stack(two_services()) as one:
        own_interpreter(one, at_start=AT_START, whole=True)
        assert one.perform()["ok"]
        # A new environment: the playbook has something to install, and services to restart.
        one.raw["services"]["web"]["env"] = {"MODE": "fips"}
        prepare(one)
        yield one


def test_a_stack_is_installed_restarted_and_looked_at_without_md5(made: StackUnderTest) -> None:
    python = os.path.join(made.root, "engine", "venv", "bin", "python")
    for how, code in (("sha1(b'')", 0), ("md5(b'')", 1), ("new('md5')", 1)):
        asked = subprocess.run([python, "-I", "-c", HASHES.format(how=how)], capture_output=True, check=False)
        assert asked.returncode == code

    for playbook in ("site.yml", "playbooks/restart.yml", "playbooks/status.yml", "playbooks/doctor.yml"):
        done = play(made, playbook, ansible_python_interpreter=python)
        assert done.returncode == 0, done.stdout + done.stderr
        assert outcome(made)["ok"], playbook
