# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application is upgraded by site.yml, release by release, and goes back by itself and by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import typing as t
import urllib.request
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import (
    generations_directory,
    kept_generations,
)
from tests.support.commands import rollcall
from tests.support.playbooks import outcome, play, prepare
from tests.support.processes import free_port
from tests.support.releases import wheel, write
from tests.support.stacks import APP, StackUnderTest, failed_checks, stack

pytestmark = pytest.mark.usefixtures("bystander")


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    services = {
        "web": {
            "port": free_port(),
            "health": {"http": "/health"},
            "directory": "current",
            "command": ["venv/bin/python", "app.py", "{name}"],
        },
        "clock": {"directory": ".", "command": ["current/venv/bin/python", "current/app.py", "{name}"]},
        "beside": {},
    }
    with stack(services) as one:
        yield one


class Application:
    """The code on the controller, of which each version answers with its own number."""

    def __init__(self, place: Path, python: str) -> None:
        self.python = python
        self.code = place / "code"
        self.wheels = place / "wheels"
        wheel(self.wheels, "numbered", "1.0")
        write(self.code, {"requirements.txt": "numbered\n", "data/seed": "first"})

    def version(self, number: str, before: str = "") -> None:
        """Make the code another version, with a line before all others."""
        answer = f"import numbered, os; os.environ['BODY'] = '{number} on ' + numbered.VERSION\n"
        app = Path(APP).read_text(encoding="utf-8").replace("import os\n", f"{answer}{before}\nimport os\n", 1)
        write(self.code, {"app.py": app, "VERSION": number})

    def variables(self, **more: t.Any) -> t.Dict[str, t.Any]:
        """Return what an inventory says of it."""
        python = {"wheels": str(self.wheels), "python": self.python}
        return {"rollcall_release": {"source": str(self.code), "python": python, "shared": ["data"], **more}}


@pytest.fixture
def app(quick_python: str) -> t.Iterator[Application]:
    place = Path(tempfile.mkdtemp(prefix="rc-"))
    try:
        yield Application(place, quick_python)
    finally:
        shutil.rmtree(place)


def site(made: StackUnderTest, app: Application, *arguments: str, **release: t.Any) -> subprocess.CompletedProcess[str]:
    """Run site.yml with a release as the inventory describes it."""
    prepare(made)
    return play(made, "playbooks/site.yml", *arguments, **app.variables(**release))


def answer(made: StackUnderTest) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{made.raw['services']['web']['port']}/health", timeout=60) as got:
        return str(got.read().decode())


def current(made: StackUnderTest) -> str:
    return Path(made.root, "current", "VERSION").read_text(encoding="utf-8")


@pytest.mark.fault(42)
def test_versions_go_up_and_back_and_only_what_runs_from_the_release_restarts(
    made: StackUnderTest, app: Application
) -> None:
    app.version("one")
    hooks = {
        "before_switch": [["sh", "-c", f"cat VERSION >> {made.root}/before; echo >> {made.root}/before"]],
        "after_switch": [
            ["sh", "-c", f"cat {made.root}/current/VERSION >> {made.root}/after; echo >> {made.root}/after"]
        ],
    }

    done = site(made, app, **hooks)
    assert done.returncode == 0, done.stdout
    assert (answer(made), current(made)) == ("one on 1.0", "one")
    first, generation = made.pids(), os.path.basename(os.readlink(made.paths.etc))

    again = site(made, app, **hooks)
    assert (again.returncode, "changed=0" in again.stdout) == (0, True), again.stdout
    assert made.pids() == first

    app.version("two")
    said = site(made, app, "--check", "--diff", **hooks)
    assert (said.returncode, "build release" in said.stdout, answer(made)) == (0, True, "one on 1.0"), said.stdout
    announced = outcome(made)["actions"]
    assert {action["subject"] for action in announced if action["action"] == "restart"} == {"web", "clock"}
    assert "not on this host yet" in said.stdout, "what could not be checked is said"
    done = site(made, app, **hooks)
    assert done.returncode == 0, done.stdout
    assert outcome(made)["actions"] == announced
    assert (answer(made), current(made)) == ("two on 1.0", "two")
    second = made.pids()
    assert {name for name, pid in second.items() if pid != first[name]} == {"web", "clock"}

    app.version("three", before="raise RuntimeError('three is broken')")
    broken = site(made, app, **hooks)
    assert broken.returncode != 0
    assert "ROLLED BACK" in broken.stdout
    assert "three is broken" in broken.stdout
    assert outcome(made)["result"] == "rolled_back"
    assert (answer(made), current(made)) == ("two on 1.0", "two")
    assert made.pids()["beside"] == first["beside"]
    assert made.status()["ok"]

    assert rollcall(made, "rollback", generation).code == 0
    assert (answer(made), current(made)) == ("one on 1.0", "one")
    assert made.pids()["beside"] == first["beside"]

    assert Path(made.root, "before").read_text().split() == ["one", "two", "three"]
    assert Path(made.root, "after").read_text().split() == ["one", "two"]
    assert Path(made.root, "shared", "data", "seed").read_text() == "first"


@pytest.mark.long
def test_a_command_before_the_switch_that_fails_touches_nothing(made: StackUnderTest, app: Application) -> None:
    app.version("one")
    assert site(made, app).returncode == 0
    before, place = made.pids(), os.readlink(made.paths.etc)
    app.version("two")
    done = site(made, app, before_switch=[["sh", "-c", "echo no such column; exit 5"]])
    assert done.returncode != 0
    assert "before_switch: sh -c echo no such column; exit 5 ended with exit code 5" in done.stdout
    assert (made.pids(), os.readlink(made.paths.etc), answer(made)) == (before, place, "one on 1.0")
    # A command after the switch fails the run as well, and the release is in place.
    done = site(made, app, after_switch=[["false"]])
    assert done.returncode != 0
    assert "is in place and its services were verified" in done.stdout
    assert answer(made) == "two on 1.0"
    assert failed_checks(made.status()) == [("steps", "test")], "what was to come after it is all that is missing"


def test_what_no_generation_belongs_to_goes_and_what_one_could_go_back_to_stays(
    made: StackUnderTest, app: Application
) -> None:
    app.version("one")
    assert site(made, app, keep=1).returncode == 0
    app.version("two")
    assert site(made, app, keep=1, before_switch=[["false"]]).returncode != 0
    app.version("three")
    done = site(made, app, "--diff", keep=1)
    assert (done.returncode, "remove release " in done.stdout) == (0, True), done.stdout
    kept = {path.read_text() for path in Path(made.root, "releases").glob("*/VERSION")}
    assert kept == {"one", "three"}
    for entry in kept_generations(made.paths, made.root):
        assert Path(generations_directory(made.root), entry["id"], "release", "VERSION").exists()


@pytest.mark.long
def test_a_source_that_is_not_there_is_one_sentence(made: StackUnderTest, app: Application) -> None:
    for source, said in (
        ("app", "source is 'app', which is no absolute path on the controller."),
        ("/no/such/place", "There is no directory /no/such/place on the controller."),
    ):
        done = site(made, app, source=source)
        assert done.returncode != 0
        assert said in done.stdout
    assert made.pids() == {}
    # The inventory lies in the root.
    app.version("one")
    shutil.copytree(app.code, Path(made.root, "app"))
    told = cures.beside_inventory("source", "app")
    assert told.split("'")[1] in site(made, app, source="app").stdout
    done = site(made, app, source=told.split("'")[1])
    assert done.returncode == 0, done.stdout
