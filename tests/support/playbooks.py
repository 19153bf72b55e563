# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real playbooks over a stack under test, on this machine; the collection as an archive, and Ansible without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import typing as t
import venv
from pathlib import Path

from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine_files import fingerprint
from tests.support.documents import validated
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest

PLAYBOOK = Path(sys.prefix) / "bin" / "ansible-playbook"
# Seconds after which a playbook hangs. On a machine with much to do, one of seventy tasks has taken more than 100.
BOUND = 400


def prepare(made: StackUnderTest) -> None:
    """Mark the host as prepared for the manifest as it is now, so that the role bootstrap does nothing."""
    prepared = Path(made.root, "engine", "prepared")
    prepared.write_text(fingerprint(made.generation().stack.to_dict()), encoding="utf-8")


def play(made: StackUnderTest, playbook: str, *arguments: str, **variables: t.Any) -> subprocess.CompletedProcess[str]:
    """Run a playbook with one host, ``here``, and the stack's manifest as it is now; ``outcome`` reads its document.

    Args:
        made: the stack.
        playbook: path from the root of the checkout.
        arguments: of ansible-playbook.
        variables: of the host.
    """
    command = [*command_of(made, playbook, **variables), *arguments]
    environment = {**os.environ, "ROLLCALL_OUTCOME": str(_document(made))}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=BOUND
    )


def command_of(made: StackUnderTest, playbook: str, **variables: t.Any) -> t.List[str]:
    """Return the command that runs a playbook as ``play`` does, and write its inventory."""
    inventory = Path(made.root) / "hosts.json"
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "rollcall_stack": made.raw,
        "bootstrap_on_path": False,
        "services_boot": "none",  # so this machine does not start a test's stack after its next boot
    }
    inventory.write_text(json.dumps({"all": {"hosts": {"here": {**known, **variables}}}}), encoding="utf-8")
    return [str(PLAYBOOK), "-i", str(inventory), playbook]


def outcome(made: StackUnderTest) -> t.Dict[str, t.Any]:
    """Return the report of the last playbook."""
    (report,) = document(made)["hosts"]["here"]["reports"]
    return dict(report)


def document(made: StackUnderTest) -> t.Dict[str, t.Any]:
    """Return the outcome of the last playbook."""
    return dict(validated(json.loads(_document(made).read_text(encoding="utf-8")), "OutcomeDocument"))


def _document(made: StackUnderTest) -> Path:
    return Path(made.root) / "outcome.json"


COMMANDS = {
    "ansible": "adhoc",
    "ansible-doc": "doc",
    "ansible-galaxy": "galaxy",
    "ansible-playbook": "playbook",
    "ansible-pull": "pull",
}


def archive(directory: Path) -> Path:
    """Build the collection and return its archive, in ``directory``."""
    galaxy = os.path.join(sys.prefix, "bin", "ansible-galaxy")
    command = [galaxy, "collection", "build", "--output-path", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=BOUND)
    (built,) = directory.glob("rollcall-supervisor-*.tar.gz")
    return built


def controller(directory: Path) -> Path:
    """Make a virtual environment with Ansible and no collection, and return its directory of commands.

    Its packages are links to those of the environment that runs the tests: nothing is fetched.
    """
    venv.create(directory, with_pip=False, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(directory)}))
    for entry in os.scandir(sysconfig.get_path("purelib")):
        # A *.pth adds directories to the path, and one of them may lead to the collection.
        if entry.name != "ansible_collections" and not entry.name.endswith(".pth"):
            (packages / entry.name).symlink_to(entry.path)
    commands = directory / "bin"
    for name, module in COMMANDS.items():
        path = commands / name
        path.write_text(f"#!{commands / 'python'}\nfrom ansible.cli.{module} import main\n\nmain()\n", encoding="utf-8")
        path.chmod(0o755)
    return commands
