# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What site.yml has prepared is broken afterwards: it is told what is broken, and the printed command mends it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import typing as t
import zipfile
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from tests.support.cases import ordinary
from tests.support.interpreters import another_python, python_of_all
from tests.support.playbooks import PLAYBOOK
from tests.support.processes import free_port
from tests.support.releases import locked_wheels
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest, stack

# The services of these stacks run by Python, and whoever runs them must be able to execute it.
USER = "games"
LOCK = ROOT / "roles" / "bootstrap" / "files" / "requirements.txt"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Everything that the engine's environment needs; no package index is asked."""
    return locked_wheels(LOCK, tmp_path_factory.mktemp("wheels"))


class Host:
    """A stack that is prepared for real, by the role."""

    def __init__(self, made: StackUnderTest, **variables: t.Any) -> None:
        self.made = made
        self.inventory = Path(made.root, "hosts.json")
        self.variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "bootstrap_on_path": False,
            "services_boot": "none",
            **variables,
        }
        for name in ("engine", "lib", "bin"):
            shutil.rmtree(Path(made.root, name))

    def run(self, command: str, **more: t.Any) -> subprocess.CompletedProcess[str]:
        """Run a command as it was printed."""
        known = {"rollcall_stack": self.made.raw, **self.variables, **more}
        self.inventory.write_text(json.dumps({"all": {"hosts": {"here": known}}}), encoding="utf-8")
        environment = {**os.environ, "PATH": f"{PLAYBOOK.parent}:{os.environ['PATH']}", "ROLLCALL_OUTCOME": "/dev/null"}
        return subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )

    def site(self, **more: t.Any) -> subprocess.CompletedProcess[str]:
        return self.run(f"ansible-playbook -i {self.inventory} site.yml", **more)

    def command(self, words: str) -> subprocess.CompletedProcess[str]:
        return self.run(f"{shlex.quote(self.made.command)} {words}")


def install_command(said: str) -> str:
    """Return the command that a text names for an install."""
    found = re.findall(r"(?:next|cure): (ansible-playbook .*?)(?:  # on the controller)?$", said, re.MULTILINE)
    assert found, said
    return str(found[0])


def engine(host: Host, *names: str) -> Path:
    return Path(host.made.root, "engine", *names)


def no_environment(host: Host) -> None:
    shutil.rmtree(engine(host, "venv"))


def no_interpreter(host: Host) -> None:
    python = engine(host, "venv", "bin", "python3")
    python.unlink()
    python.symlink_to("/nonexistent/python3")
    for name in ("python", f"python3.{sys.version_info[1]}"):
        link = python.with_name(name)
        link.unlink()
        link.symlink_to("python3")


def another_version_of_the_distribution(host: Host) -> None:
    (library,) = engine(host, "venv", "lib").iterdir()
    library.rename(library.with_name("python3.0"))


def pip_was_killed(host: Host) -> None:
    (package,) = engine(host, "venv").glob("lib/python3*/site-packages/psutil")
    shutil.rmtree(package)


def a_package_is_cut_short(host: Host) -> None:
    (module,) = engine(host, "venv").glob("lib/python3*/site-packages/pg8000/core.py")
    os.truncate(module, 100)


def no_file_of_the_engine(host: Host) -> None:
    engine(host, "rollcall", "run", "plan.py").unlink()


def a_file_of_the_engine_is_cut_short(host: Host) -> None:
    os.truncate(engine(host, "rollcall", "probes", "health.py"), 1000)


BROKEN: t.Sequence[t.Callable[[Host], None]] = [
    no_environment,
    no_interpreter,
    another_version_of_the_distribution,
    pip_was_killed,
    a_package_is_cut_short,
    no_file_of_the_engine,
    a_file_of_the_engine_is_cut_short,
]


# A part of the environment, of its packages and of the engine; `make exhaustive` breaks all of them.
FEW = [no_environment, a_package_is_cut_short, no_file_of_the_engine]


@pytest.mark.long
@pytest.mark.parametrize("broken", ordinary([FEW, BROKEN], FEW), ids=["few", "all"])
def test_what_was_broken_since_is_told_and_the_printed_command_mends_it(
    wheels: str, quick_python: str, broken: t.Sequence[t.Callable[[Host], None]]
) -> None:
    with stack({"one": {}}) as made:
        host = Host(made, bootstrap_wheels=wheels, bootstrap_python=quick_python)
        done = host.site()
        assert done.returncode == 0, done.stdout
        pids = made.pids()
        for number, break_it in enumerate(broken):
            break_it(host)

            said = host.command("doctor")
            assert said.returncode == 1, (break_it, said)
            if number == 0:
                # By playbook as well: there is nothing on the host that could tell it.
                told = host.run(f"ansible-playbook -i {host.inventory} playbooks/status.yml")
                said_last = told.stdout.partition("ROLL CALL")[2]
                assert install_command(said_last).endswith("playbooks/site.yml"), told.stdout
            mended = host.run(install_command(said.stdout + said.stderr))

            assert mended.returncode == 0, (break_it, mended.stdout)
            assert host.command("doctor").returncode == 0, break_it
        assert made.pids() == pids, "no service was touched"
        again = host.site()
        assert "changed=0" in again.stdout, again.stdout


@pytest.mark.long
def test_a_host_without_a_package_index_is_told_to_bring_wheels(
    wheels: str, quick_python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{free_port()}/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with stack({"one": {}}) as made:
        host = Host(made, bootstrap_python=quick_python)
        failed = host.site()
        assert failed.returncode != 0, failed.stdout
        assert re.findall(r"next: (.*?), then run: ", failed.stdout) == [cures.packages().partition(", then run: ")[0]]
        (command,) = re.findall(r"next: .*, then run: (.*)", failed.stdout)

        done = host.run(command, bootstrap_wheels=wheels)

        assert done.returncode == 0, done.stdout


def test_a_wheel_that_is_not_the_one_that_was_locked_is_not_installed(
    wheels: str, quick_python: str, tmp_path: Path
) -> None:
    changed = Path(shutil.copytree(wheels, tmp_path / "changed"))
    (wheel,) = changed.glob("six-*.whl")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("six_begins.pth", "import os; os.system('touch /tmp/never')\n")
    with stack({"one": {}}) as made:
        host = Host(made, bootstrap_python=quick_python)
        refused = host.site(bootstrap_wheels=str(changed))
        assert refused.returncode != 0, refused.stdout
        assert "DO NOT MATCH THE HASHES" in refused.stdout, refused.stdout
        assert "six==" in refused.stdout
        assert not list(Path(made.root, "engine").glob("venv/lib/*/site-packages/six*")), "nothing of it is there"

        done = host.site(bootstrap_wheels=wheels)

        assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_another_python_is_taken_when_another_one_is_asked_for(wheels: str, quick_python: str) -> None:
    other = another_python()
    if other is None:
        pytest.skip("there is one Python alone")
    with stack({"one": {}}) as made:
        host = Host(made, bootstrap_wheels=wheels, bootstrap_python=quick_python)
        assert host.site().returncode == 0
        python = engine(host, "venv", "bin", "python")
        assert python.resolve() == Path(sys.executable).resolve()

        done = host.site(bootstrap_python=other)

        assert done.returncode == 0, done.stdout
        assert python.resolve() == Path(other).resolve()


def test_a_python_that_the_user_may_not_execute_is_refused_in_the_first_step(tmp_path: Path) -> None:
    # A directory like /root, with a Python of pyenv in it.
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python").symlink_to(python_of_all() or sys.executable)
    with stack({"one": {}}, user=USER) as made:
        host = Host(made, bootstrap_python=str(closed / "python"))

        done = host.site()

        assert done.returncode == 2
        said = " ".join(done.stdout.split())
        assert f"user {USER} may not execute {closed}/python" in said or "may not execute" in said
        assert "Name a Python that every user can execute, such as /usr/bin/python3, with bootstrap_python" in said
        assert not engine(host).exists(), "nothing was made"
