# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role does with launchd, against a launchctl that returns before launchd is done."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.support.playbooks import BOUND, PLAYBOOK
from tests.support.repository import ROOT

SERVICE = "gui/501/org.rollcall.shop"
BOOTOUT, PRINT = f"bootout {SERVICE}", f"print {SERVICE}"
# What it knows is the file `loaded`; after a bootout it is known for as many questions as `asked` has lines.
LAUNCHCTL = """\
#!/bin/sh
cd {state} || exit 99
echo "$*" >> calls
case "$1" in
bootout)
  [ -e loaded ] || exit 3
  : > going ;;
print)
  [ -e loaded ] || exit 113
  [ -e going ] || exit 0
  if [ -s asked ]; then sed -i 1d asked; else rm loaded going; exit 113; fi ;;
bootstrap)
  [ -e loaded ] && exit 5
  if [ -s refused ]; then sed -i 1d refused; exit 5; fi
  : > loaded ;;
esac
"""


@dataclasses.dataclass
class Launchd:
    """A launchd that is played.

    Attributes:
        path: a directory for it.
    """

    path: Path

    def play(self, *remove: str, install: bool = True, patience: int = 5) -> subprocess.CompletedProcess[str]:
        """Change what starts the stack after a boot."""
        boot = {
            "kind": "launchd",
            "remove": remove,
            "install": install,
            "text": "a property list",
            "places": {"launchd": str(self.path / "shop.plist")},
            "service": SERVICE,
            "environment": {},
            "timers_install": [],
            "timers_remove": [],
        }
        task = {
            "ansible.builtin.include_role": {"name": "rollcall.supervisor.services", "tasks_from": "boot_change"},
            "vars": {"__services_boot": boot, "__services_boot_patience": patience},
        }
        playbook = self.path / "play.json"
        playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
        interpreter = f"ansible_python_interpreter={sys.executable}"
        return subprocess.run(
            [str(PLAYBOOK), "-i", "localhost,", "-c", "local", "-e", interpreter, str(playbook)],
            cwd=ROOT,
            env={**os.environ, "PATH": f"{self.path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=BOUND,
        )

    def calls(self) -> t.List[str]:
        """Return what it was told."""
        return (self.path / "calls").read_text(encoding="utf-8").splitlines()

    def loaded(self) -> bool:
        """Return whether it knows the stack and does not forget it."""
        return (self.path / "loaded").exists() and not (self.path / "going").exists()

    def lines(self, name: str, number: int) -> None:
        """Have it know the stack for that many questions more (`asked`), or refuse it as often (`refused`)."""
        (self.path / name).write_text("again\n" * number, encoding="utf-8")


@pytest.fixture
def launchd(tmp_path: Path) -> Launchd:
    program = tmp_path / "launchctl"
    program.write_text(LAUNCHCTL.format(state=tmp_path), encoding="utf-8")
    program.chmod(0o755)
    return Launchd(tmp_path)


def test_a_stack_is_loaded_when_launchd_has_let_go_of_the_one_before(launchd: Launchd) -> None:
    (launchd.path / "loaded").touch()
    launchd.lines("asked", 1)
    launchd.lines("refused", 1)

    done = launchd.play()

    assert done.returncode == 0, done.stdout + done.stderr
    bootstrap = f"bootstrap gui/501 {launchd.path}/shop.plist"
    assert launchd.calls() == [BOOTOUT, PRINT, PRINT, bootstrap, bootstrap]
    assert launchd.loaded()


def test_a_stack_that_launchd_does_not_know_is_loaded(launchd: Launchd) -> None:
    done = launchd.play()
    assert done.returncode == 0, done.stdout + done.stderr
    assert launchd.calls() == [BOOTOUT, PRINT, f"bootstrap gui/501 {launchd.path}/shop.plist"]
    assert launchd.loaded()


def test_nothing_is_loaded_over_a_stack_that_launchd_does_not_let_go_of(launchd: Launchd) -> None:
    (launchd.path / "loaded").touch()
    launchd.lines("asked", 100)

    done = launchd.play(patience=1)

    assert done.returncode == 2
    assert "Wait until launchd does not know the stack any more" in done.stdout
    assert set(launchd.calls()) == {BOOTOUT, PRINT}


def test_the_property_list_is_removed_when_launchd_has_let_go_of_the_stack(launchd: Launchd) -> None:
    (launchd.path / "loaded").touch()
    (launchd.path / "shop.plist").touch()
    launchd.lines("asked", 1)

    done = launchd.play("launchd", install=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert launchd.calls() == [BOOTOUT, PRINT, PRINT]
    assert not launchd.loaded()
    assert not (launchd.path / "shop.plist").exists()
