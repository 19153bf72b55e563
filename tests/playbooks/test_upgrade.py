# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another version of the collection on a host whose services run: up by site.yml, and down only when it is asked for.

files/collection-0.1.0.tar.xz is what site.yml needs of commit 6da0161, the last one whose engine was one flat folder.
It is kept here, too: a shallow clone and a released archive have no history, and this is to be proved there as well.
It was made by: git archive 6da0161 PATHS | xz -9e
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.version import VERSION, upgrade
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked
from ansible_collections.rollcall.supervisor.plugins.modules.engine import wanted_files
from tests.support.playbooks import PLAYBOOK, play
from tests.support.repository import ROOT
from tests.support.stacks import SOURCES, StackUnderTest, stack, two_services

pytestmark = pytest.mark.usefixtures("bystander")

ARCHIVE = Path(__file__).parent / "files" / "collection-0.1.0.tar.xz"
COMMIT = "6da0161"

# Stands for a Python of the host: its `-m venv DIRECTORY` makes an environment that has the packages of the tests, and
# so pip, which then has nothing to do, needs no package index.
PYTHON = """\
#!/bin/sh
case "$*" in
"-m venv "*)
  mkdir -p "$3/bin" "$3/lib/{version}" &&
  ln -s {python} "$3/bin/python" && ln -s {packages} "$3/lib/{version}/site-packages" &&
  printf 'home = {home}\\n' >"$3/pyvenv.cfg" &&
  for program in pip supervisord; do printf '#!/bin/sh\\n' >"$3/bin/$program" && chmod 755 "$3/bin/$program"; done ;;
*) exec {python} "$@" ;;
esac
"""


class BareStack(StackUnderTest):
    """A stack on a host where nothing is installed yet."""

    def _prepare(self) -> None:
        os.symlink(sys.executable, self.program)


@dataclass
class Host:
    """A host with a stack, and the collections that install it."""

    made: StackUnderTest
    old: Path
    variables: t.Mapping[str, t.Any]

    def site(self, *arguments: str, old: bool = False) -> subprocess.CompletedProcess[str]:
        """Run site.yml of this collection, or of the old one."""
        inventory = Path(self.made.root, "hosts.json")
        known = {**self.variables, "rollcall_stack": self.made.raw}
        inventory.write_text(json.dumps({"all": {"hosts": {"here": known}}}), encoding="utf-8")
        environment = {**os.environ, "ROLLCALL_OUTCOME": "/dev/null"}
        if old:
            collections = str(self.old.parents[2])
            environment |= {"ANSIBLE_COLLECTIONS_PATH": collections, "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false"}
            # What its modules return is not for the RETURN of ours.
            environment["MODULE_RESULTS"] = os.devnull
        return subprocess.run(
            [str(PLAYBOOK), "-i", str(inventory), "site.yml", *arguments],
            cwd=self.old if old else ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )

    def installed(self) -> t.Set[str]:
        """Return every file of the engine on the host, by its path within."""
        package = Path(self.made.root, "engine", "rollcall")
        return {str(path.relative_to(package)) for path in package.rglob("*.py")}

    def status(self) -> subprocess.CompletedProcess[str]:
        """Ask the host itself."""
        return subprocess.run(
            [self.made.command, "status", "--json"], capture_output=True, text=True, check=False, timeout=400
        )

    def services(self) -> t.Dict[str, t.Tuple[int, int]]:
        """Return pid and supervisord of each service."""
        (daemon,) = self.made.daemons()
        return {name: (pid, daemon.pid) for name, pid in self.made.pids().items()}


@pytest.fixture
def host(tmp_path: Path) -> t.Iterator[Host]:
    """A host on which nothing is installed."""
    old = tmp_path / "collections" / "ansible_collections" / "rollcall" / "supervisor"
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(old)
    python = os.path.realpath(sys.executable)
    program = tmp_path / "python"
    program.write_text(
        PYTHON.format(
            python=python,
            packages=sysconfig.get_path("purelib"),
            home=os.path.dirname(python),
            version=f"python{sys.version_info[0]}.{sys.version_info[1]}",
        ),
        encoding="utf-8",
    )
    program.chmod(0o755)
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "bootstrap_python": str(program),
        "bootstrap_on_path": False,
        "services_boot": "none",
    }
    with tempfile.TemporaryDirectory(prefix="rc-") as root:
        made = BareStack(root, two_services(secrets={"TOKEN": "a-secret"}))
        try:
            yield Host(made, old, variables)
        finally:
            made.end()


def test_the_engine_is_replaced_and_every_service_runs_on(host: Host) -> None:
    done = host.site(old=True)
    assert done.returncode == 0, done.stdout
    before, flat = host.services(), host.installed()
    assert before.keys() == {"web", "worker"}
    assert "cli.py" in flat

    done = host.site("--check")
    assert done.returncode == 0, done.stdout
    assert f"note: This host's engine would first be brought from 0.1.0 to {VERSION}" in done.stdout
    assert (host.services(), host.installed()) == (before, flat)

    with locked(host.made.paths.state, "ann", "full", run="r1"):
        done = host.site()
    assert done.returncode == 2
    assert "failed: 3/12 Dependencies | Install the engine and its command" in done.stdout
    assert "REFUSED, This stack is locked by another run: ann runs 'full'" in done.stdout
    assert "usage:" not in done.stdout, "the older command is asked nothing that it does not know"
    assert (host.services(), host.installed()) == (before, flat)

    done = host.site()
    assert done.returncode == 0, done.stdout
    assert host.services() == before
    assert host.installed() & flat <= {"__init__.py", "launcher.py"}, "nothing of the old one is left"
    assert json.loads(host.status().stdout)["ok"]
    assert Path(host.made.root, "engine", "version").read_text(encoding="utf-8") == f"{VERSION}\n"

    again = host.site()
    assert (again.returncode, "changed=0" in again.stdout) == (0, True), again.stdout


def test_an_older_collection_is_told_so_and_the_next_run_of_ours_puts_right_what_it_wrote(host: Host) -> None:
    assert host.site().returncode == 0
    before, ours = host.services(), host.installed()

    # It cannot know that this engine is newer, and writes its own beside it.
    done = host.site(old=True)

    assert done.returncode == 2
    assert (
        f"The engine installed under {host.made.root} is version {VERSION}, and the controller's is 0.1.0"
        in done.stdout
    )
    assert upgrade(VERSION) in done.stdout
    assert host.services() == before
    assert "cli.py" in host.installed()
    told = host.status()
    assert told.stdout, told.stderr
    assert json.loads(told.stdout)["ok"], "the operator's command is not broken by it"

    done = host.site()
    assert done.returncode == 0, done.stdout
    assert host.services() == before
    assert host.installed() == ours


def test_whoever_starts_the_engine_while_it_is_replaced_gets_one_that_is_whole(host: Host) -> None:
    assert host.site(old=True).returncode == 0
    files = list(wanted_files(host.made.root, SOURCES).items())
    parts = [path.endswith("__init__.py") for path, _content in files]
    begin, end = parts.index(True), len(parts) - parts[::-1].index(True)
    assert all(parts[begin:end]), "what makes the directories packages is written in one go"

    for most, version in ((0, "0.1.0"), (begin // 2, "0.1.0"), (begin, "0.1.0"), (end, VERSION), (len(files), VERSION)):
        for path, (text, mode) in files[:most]:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Path(path).write_text(text, encoding="utf-8")
            os.chmod(path, mode)
        told = subprocess.run([host.made.command, "--version"], capture_output=True, text=True, check=True)
        assert told.stdout.strip() == f"rollcall {version}"
        for verb in ("status", "doctor"):
            done = subprocess.run([host.made.command, verb, "--json"], capture_output=True, text=True, check=False)
            assert json.loads(done.stdout)["ok"], (most, done.stderr)


def everything(root: str) -> t.Dict[str, t.Tuple[int, int, float]]:
    """Return inode, size and time of every file and directory below a root."""
    paths = [os.path.join(place, name) for place, folders, names in os.walk(root) for name in (*folders, *names)]
    seen = {path: os.lstat(path) for path in paths}
    return {path: (status.st_ino, status.st_size, status.st_mtime) for path, status in seen.items()}


@pytest.mark.long
def test_an_engine_that_is_newer_is_left_alone_unless_the_older_one_is_asked_for(quick_python: str) -> None:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        pids, version = made.pids(), Path(made.root, "engine", "version")
        version.write_text("99.1.0\n", encoding="utf-8")
        options = {"bootstrap_python": quick_python, "bootstrap_on_path": False}
        assert play(made, "playbooks/status.yml", **options).returncode == 0
        before = everything(os.path.join(made.root, "engine"))

        done = play(made, "site.yml", **options)

        assert done.returncode == 2
        said = f"is version 99.1.0, and this collection is {VERSION}, an older one: nothing was changed."
        assert said in done.stdout.replace("\n        ", " ")
        assert upgrade("99.1.0") in done.stdout.replace("\n        ", " ")
        assert everything(os.path.join(made.root, "engine")) == before

        done = play(made, "site.yml", "-e", "bootstrap_downgrade=true", **options)

        assert done.returncode == 0, done.stdout
        assert version.read_text(encoding="utf-8") == f"{VERSION}\n"
        assert made.pids() == pids


def test_the_archive_is_what_history_has() -> None:
    listed = subprocess.run(["git", "archive", COMMIT], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip(f"this checkout has no commit {COMMIT}")
    with tarfile.open(ARCHIVE) as ours, tarfile.open(fileobj=io.BytesIO(listed.stdout)) as theirs:
        for member in ours.getmembers():
            if member.isfile():
                kept, known = ours.extractfile(member), theirs.extractfile(member.name)
                assert kept is not None
                assert known is not None
                assert kept.read() == known.read(), member.name
