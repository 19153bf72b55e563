# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases on a host: real archives, repositories, virtual environments and commands, killed anywhere, by any user."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import acting_as, require_account
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases import (
    archives,
    lifecycle,
    shared,
    source,
    store,
    venvs,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases.wanted import (
    GitSource,
    PythonEnvironment,
    WantedRelease,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked
from tests.support.namespaces import Mount, read_only, seen_with, small
from tests.support.releases import Host, wheel, write

pytestmark = pytest.mark.usefixtures("bystander")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can build as another user")
SAY = [sys.executable, "-c"]


@pytest.fixture
def place() -> t.Iterator[Path]:
    # Not tmp_path: that is closed to the users that releases are built as.
    with tempfile.TemporaryDirectory(prefix="rc-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture
def host(place: Path, quick_python: str) -> Host:
    (place / "root" / "state").mkdir(parents=True)
    (place / "sent").mkdir()
    return Host(place / "root", place / "sent", quick_python)


@pytest.fixture
def app(place: Path) -> Path:
    return write(place / "app", {"app.py": "print(1)\n", "bin/run": "#!/bin/sh\necho ran\n"})


def change(app: Path, text: str) -> None:
    write(app, {"app.py": text})


# --- code ---------------------------------------------------------------------------------------------------------


def test_a_release_has_the_code_and_a_record_and_a_second_time_is_no_change(host: Host, app: Path) -> None:
    done = host.ready(app)
    made = host.release(done)
    assert (done["changed"], done["path"]) == (True, str(made))
    assert (made / "app.py").read_text() == "print(1)\n"
    assert stat.S_IMODE(made.stat().st_mode) == 0o755
    record = json.loads((made / ".rollcall-release.json").read_text())
    assert (record["id"], record["source"], record["venv"]) == (done["id"], str(app), "")
    before = made.stat().st_ctime_ns
    again = host.ready(app)
    assert (again["changed"], again["id"], again["actions"]) == (False, done["id"], [])
    assert made.stat().st_ctime_ns == before
    assert host.left_over() == []


def test_what_is_not_there_has_to_be_sent_and_what_is_there_has_not(host: Host, app: Path) -> None:
    wish = host.asks(app)
    unsent = dataclasses.replace(wish, code=dataclasses.replace(wish.code, archive="", sha256=""))
    asked = lifecycle.make_ready(unsent)
    assert (asked["missing"], (host.root / "releases").exists()) == (["code"], False)
    lifecycle.make_ready(wish)
    assert lifecycle.make_ready(unsent)["missing"] == []


def test_check_mode_says_what_it_would_do_and_writes_nothing(host: Host, app: Path) -> None:
    wish = host.asks(app, before_switch=(("true",),))
    said = lifecycle.make_ready(wish, dry_run=True)
    assert said["actions"] == [f"build release {said['id']} from {app}", "run before the switch: true"]
    assert list(host.root.rglob("*")) == [host.root / "state"]
    assert lifecycle.make_ready(wish)["actions"] == said["actions"]


def test_changed_code_is_another_release_beside_the_first(host: Host, app: Path) -> None:
    first = host.ready(app)
    change(app, "print(2)\n")
    second = host.ready(app)
    assert first["id"] != second["id"]
    assert (host.release(first) / "app.py").read_text() == "print(1)\n"
    assert (host.release(second) / "app.py").read_text() == "print(2)\n"


def test_an_id_that_is_given_stands_for_one_content_and_one_way_to_build_it(host: Host, app: Path) -> None:
    assert host.ready(app, id="v1")["id"] == "v1"
    assert host.ready(app, id="v1")["changed"] is False
    with pytest.raises(RollcallError, match=r"Release v1 .* made of the same code in another way"):
        host.ready(app, id="v1", build=(("true",),))
    change(app, "print(2)\n")
    with pytest.raises(RollcallError, match=r"Release v1 .* made of other code"):
        host.ready(app, id="v1")


def test_what_is_not_ours_is_left_alone(host: Host, app: Path) -> None:
    write(host.root / "releases" / "v1", {"precious": "x"})
    with pytest.raises(RollcallError, match="no record of Rollcall's") as told:
        host.ready(app, id="v1")
    assert told.value.kind == "refused"
    assert (host.root / "releases" / "v1" / "precious").read_text() == "x"


def test_an_archive_is_unpacked_without_its_first_directories(host: Host, app: Path, place: Path) -> None:
    archive = place / "app.tar.gz"
    subprocess.run(["tar", "-czf", archive, "-C", place, app.name], check=True, timeout=60)
    assert (host.release(host.ready(archive)) / "app" / "app.py").exists()
    assert (host.release(host.ready(archive, strip=1)) / "app.py").exists()


def test_an_archive_that_leads_out_leaves_nothing(host: Host, app: Path, place: Path) -> None:
    archive = place / "app.tar"
    subprocess.run(["tar", "-cPf", archive, "-C", place, app.name, "/etc/hostname"], check=True, timeout=60)
    with pytest.raises(RollcallError, match="leads out of it"):
        host.ready(archive)
    assert list((host.root / "releases").iterdir()) == []


def test_what_was_not_received_whole_is_not_unpacked(host: Host, app: Path) -> None:
    wish = host.asks(app)
    with open(wish.code.archive, "ab") as stream:
        stream.write(b"more")
    with pytest.raises(RollcallError, match="not what the controller has sent"):
        lifecycle.make_ready(wish)
    assert list((host.root / "releases").iterdir()) == []


def test_a_release_that_does_not_fit_is_not_begun(host: Host, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "RESERVE", 1 << 60)
    with pytest.raises(RollcallError, match=r"The release needs [0-9]+ KiB, and .* has 0 KiB for it"):
        host.ready(app)
    assert list((host.root / "releases").iterdir()) == []


# --- git ----------------------------------------------------------------------------------------------------------


def git(repository: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture
def repository(app: Path) -> Path:
    git(app, "init", "--quiet", "--initial-branch=main")
    git(app, "add", ".")
    git(app, "commit", "--quiet", "-m", "one")
    git(app, "tag", "-a", "v1", "-m", "v1")
    change(app, "print(2)\n")
    git(app, "commit", "--quiet", "-am", "two")
    return app


def of_git(host: Host, repository: Path, version: str, **more: t.Any) -> WantedRelease:
    return dataclasses.replace(host.wish, source=GitSource(f"file://{repository}", version), **more)


def test_a_branch_a_tag_and_a_commit_are_the_release_of_their_commit(host: Host, repository: Path) -> None:
    first, second = git(repository, "rev-parse", "v1^{}"), git(repository, "rev-parse", "main")
    for version, commit, text in (
        ("v1", first, "print(1)\n"),
        (first, first, "print(1)\n"),
        ("main", second, "print(2)\n"),
        ("HEAD", second, "print(2)\n"),
    ):
        done = lifecycle.make_ready(of_git(host, repository, version))
        assert done["id"].startswith(f"{commit[:12]}-")
        assert (host.release(done) / "app.py").read_text() == text
        assert not (host.release(done) / ".git").exists()
    assert len(list((host.root / "releases").iterdir())) == 2
    assert lifecycle.make_ready(of_git(host, repository, "v1"))["changed"] is False


def test_a_branch_that_moved_is_another_release(host: Host, repository: Path) -> None:
    before = lifecycle.make_ready(of_git(host, repository, "main"))["id"]
    change(repository, "print(3)\n")
    git(repository, "commit", "--quiet", "-am", "three")
    done = lifecycle.make_ready(of_git(host, repository, "main"))
    assert (done["changed"], done["id"] != before) == (True, True)


def test_a_version_or_a_repository_that_is_not_there_is_said(host: Host, repository: Path, place: Path) -> None:
    with pytest.raises(RollcallError, match="no branch and no tag v9"):
        lifecycle.make_ready(of_git(host, repository, "v9"))
    with pytest.raises(RollcallError, match=r"git ls-remote ended with exit code 128"):
        lifecycle.make_ready(of_git(host, place / "nowhere", "v1"))


def test_without_git_the_host_says_so(host: Host, repository: Path) -> None:
    with pytest.raises(RollcallError, match="git is not installed on this host") as told:
        lifecycle.make_ready(of_git(host, repository, "v1", environment={"PATH": "/nowhere"}))
    assert told.value.remedies[0].startswith("install git on the host, or take the code from a directory")


# --- shared directories -------------------------------------------------------------------------------------------


def test_shared_directories_live_beyond_releases_and_begin_with_what_the_first_brings(host: Host, app: Path) -> None:
    write(app, {"data/seed.txt": "first", "var/up/x": "1"})
    done = host.ready(app, shared=("data", "logs", "var/up"))
    first = host.release(done)
    assert done["ignored"] == []
    assert os.readlink(first / "data") == str(host.root / "shared" / "data")
    assert (first / "data" / "seed.txt").read_text() == "first"
    assert (host.root / "shared" / "var" / "up" / "x").read_text() == "1"
    (first / "data" / "seed.txt").write_text("changed by the service")
    (first / "logs" / "a.log").write_text("a line")
    write(app, {"app.py": "print(2)\n", "data/seed.txt": "second"})
    done = host.ready(app, shared=("data", "logs", "var/up"))
    assert done["ignored"] == ["data", "var/up"]
    assert (host.release(done) / "data" / "seed.txt").read_text() == "changed by the service"
    assert (host.release(done) / "logs" / "a.log").read_text() == "a line"


def test_a_file_where_a_shared_directory_is_to_be_is_refused(host: Host, app: Path) -> None:
    with pytest.raises(RollcallError, match=r"has app\.py, which is not a directory"):
        host.ready(app, shared=("app.py",))
    assert list((host.root / "releases").iterdir()) == []


def test_a_shared_directory_that_is_elsewhere_stays_there(host: Host, app: Path, place: Path) -> None:
    (place / "disk").mkdir()
    (host.root / "shared").mkdir()
    (host.root / "shared" / "data").symlink_to(place / "disk")
    made = host.release(host.ready(app, shared=("data",)))
    (made / "data" / "x").write_text("x")
    assert (place / "disk" / "x").exists()


# --- the virtual environment --------------------------------------------------------------------------------------


@pytest.fixture
def wheels(place: Path) -> Path:
    wheel(place / "wheels", "alpha", "1.0", ["beta"])
    wheel(place / "wheels", "beta", "1.0")
    return place / "wheels"


def version_of(release: Path, module: str) -> str:
    command = [str(release / "venv" / "bin" / "python"), "-c", f"import {module}; print({module}.VERSION)"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def test_an_environment_is_built_from_wheels_and_only_anew_when_it_would_differ(
    host: Host, app: Path, wheels: Path
) -> None:
    write(app, {"requirements.txt": "-r base.txt\n", "base.txt": "alpha\n"})
    quick, host.python = host.python, sys.executable
    first = host.release(host.ready(app, **host.with_wheels(wheels)))
    host.python = quick
    assert (version_of(first, "alpha"), version_of(first, "beta")) == ("1.0", "1.0")
    built = (first / "venv" / "pyvenv.cfg").stat().st_mtime_ns
    change(app, "print(2)\n")
    second = host.release(host.ready(app, **host.with_wheels(wheels)))
    assert os.readlink(second / "venv") == os.readlink(first / "venv")
    assert (second / "venv" / "pyvenv.cfg").stat().st_mtime_ns == built
    write(app, {"base.txt": "beta\n"})
    third = host.release(host.ready(app, **host.with_wheels(wheels)))
    assert os.readlink(third / "venv") != os.readlink(first / "venv")
    wheel(wheels, "beta", "2.0")
    fourth = host.release(host.ready(app, **host.with_wheels(wheels)))
    assert (version_of(third, "beta"), version_of(fourth, "beta")) == ("1.0", "2.0")
    assert host.left_over() == []


def test_wheels_have_to_be_sent_only_when_an_environment_has_to_be_built(host: Host, app: Path, wheels: Path) -> None:
    write(app, {"requirements.txt": "beta\n"})
    more = host.with_wheels(wheels)
    unsent = {**more, "wheels": dataclasses.replace(more["wheels"], archive="", sha256="")}
    asked = host.ready(app, **unsent)
    assert (asked["missing"], list((host.root / "releases").iterdir())) == (["wheels"], [])
    host.ready(app, **more)
    change(app, "print(2)\n")
    assert host.ready(app, **unsent)["missing"] == []


def test_what_is_not_among_the_wheels_fails_with_what_pip_says_and_its_cure(
    host: Host, app: Path, wheels: Path
) -> None:
    write(app, {"requirements.txt": "gamma==3\n"})
    with pytest.raises(RollcallError, match="No matching distribution found for gamma==3") as told:
        host.ready(app, **host.with_wheels(wheels))
    assert told.value.remedies[0].startswith("pip download")
    assert list((host.root / "releases").iterdir()) == []
    # Not taken for whole afterwards.
    wheel(wheels, "gamma", "3")
    assert version_of(host.release(host.ready(app, **host.with_wheels(wheels))), "gamma") == "3"


def test_versions_that_do_not_agree_fail_by_pip_check(host: Host, app: Path, wheels: Path) -> None:
    wheel(wheels, "delta", "1.0", ["epsilon>=2"])
    write(app, {"requirements.txt": "delta\n"})
    # The index would be asked in vain: dependencies are left out, as some lists want it.
    with pytest.raises(RollcallError, match=r"delta 1\.0 requires epsilon, which is not installed") as told:
        host.ready(app, environment={"PIP_NO_DEPS": "1"}, **host.with_wheels(wheels))
    assert "agree" in told.value.remedies[0]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, r"no list of requirements requirements\.txt"),
        ({"requirements.txt": "-r none.txt\n"}, r"no list of requirements none\.txt"),
        ({"requirements.txt": "-e .\n"}, "installs from a directory of the release"),
        ({"requirements.txt": "", "venv/x": ""}, "has something called venv"),
    ],
)
def test_what_cannot_become_an_environment_is_said(
    host: Host, app: Path, wheels: Path, files: t.Dict[str, str], said: str
) -> None:
    write(app, files)
    with pytest.raises(RollcallError, match=said) as told:
        host.ready(app, **host.with_wheels(wheels))
    assert told.value.kind == "wrong_use"


def test_modules_of_the_release_do_not_get_into_pips_way(host: Host, app: Path, wheels: Path) -> None:
    write(app, {"requirements.txt": "beta\n", "venv.py": "raise SystemExit(7)", "pip.py": "raise SystemExit(7)"})
    write(app, {"secrets.py": "raise SystemExit(7)", "json/__init__.py": "raise SystemExit(7)"})
    host.python = sys.executable  # which does not look at them either when it makes the environment
    assert version_of(host.release(host.ready(app, **host.with_wheels(wheels))), "beta") == "1.0"


def test_an_environment_that_was_lost_is_built_anew_for_its_release(host: Host, app: Path, wheels: Path) -> None:
    write(app, {"requirements.txt": "beta\n"})
    more = host.with_wheels(wheels)
    made = host.release(host.ready(app, **more))
    (made / "venv" / "bin" / "python").unlink()
    done = host.ready(app, **more)
    assert done["actions"] == [f"build the virtual environment of release {done['id']} anew"]
    assert version_of(made, "beta") == "1.0"
    assert host.ready(app, **more)["changed"] is False


def test_a_python_that_is_not_there_is_said(host: Host, app: Path) -> None:
    with pytest.raises(RollcallError, match="python9 could not be started"):
        host.ready(app, python=PythonEnvironment(python="python9"))


def test_a_directory_among_the_environments_that_is_not_ours_is_left_alone(host: Host, app: Path, wheels: Path) -> None:
    write(app, {"requirements.txt": "beta\n"})
    made = host.release(host.ready(app, **host.with_wheels(wheels)))
    theirs = Path(os.readlink(made / "venv"))
    (theirs / ".rollcall-venv.json").unlink()
    with pytest.raises(RollcallError, match="no record of Rollcall's"):
        host.ready(app, **host.with_wheels(wheels))
    assert (theirs / "bin").is_dir()


# --- commands -----------------------------------------------------------------------------------------------------

SHOW = (
    "import json, os, sys; json.dump({'env': dict(os.environ), 'cwd': os.getcwd(), 'uid': os.getuid(), "
    "'home': os.listdir(os.environ['HOME'])}, open('shown.json', 'w'))"
)


def test_build_commands_run_in_the_new_release_with_nothing_of_the_callers_environment(
    host: Host, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_SECRET", "x")
    write(app, {"tool": "#!/bin/sh\necho built > built\n"})
    (app / "tool").chmod(0o755)
    done = host.ready(app, build=((*SAY, SHOW), ("./tool",)), environment={"NODE_ENV": "production"})
    made = host.release(done)
    shown = json.loads((made / "shown.json").read_text())
    assert (made / "built").exists()
    assert set(shown["env"]) == {
        *("PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "LANG", "LC_ALL", "PYTHONUTF8", "NODE_ENV"),
    }
    assert shown["env"]["PATH"].split(":")[0].endswith("/venv/bin")
    assert shown["home"] == []
    assert not Path(shown["cwd"]).exists()  # it was built in another place


def test_a_build_that_fails_shows_its_last_lines_and_leaves_no_release(host: Host, app: Path) -> None:
    with pytest.raises(RollcallError) as told:
        host.ready(app, build=(("sh", "-c", "echo no compiler; exit 4"),))
    assert "build: sh -c echo no compiler; exit 4 ended with exit code 4. Nothing was stopped" in told.value.message
    assert told.value.message.endswith("\n  no compiler")
    assert list((host.root / "releases").iterdir()) == []


def test_a_build_that_does_not_end_is_ended(host: Host, app: Path) -> None:
    with pytest.raises(RollcallError, match=r"did not end within 2 s and was killed"):
        host.ready(app, build=(("sleep", "600"),), timeout=2)


def test_before_the_switch_commands_run_until_the_release_is_in_place(host: Host, app: Path, place: Path) -> None:
    hook = (("sh", "-c", f"pwd >> {place}/ran"),)
    done = host.ready(app, before_switch=hook)
    again = host.ready(app, before_switch=hook)
    assert (again["changed"], again["actions"]) == (True, [f"run before the switch: {' '.join(hook[0])}"])
    assert (place / "ran").read_text().splitlines() == [str(host.release(done))] * 2
    host.switch(done["id"])
    assert host.ready(app, before_switch=hook)["changed"] is False


def test_a_command_before_the_switch_that_fails_ends_the_run(host: Host, app: Path) -> None:
    with pytest.raises(RollcallError, match=r"before_switch: false ended with exit code 1\. Nothing was stopped"):
        host.ready(app, before_switch=(("false",), ("touch", str(host.root / "never"))))
    assert not (host.root / "never").exists()


def after(host: Host, name: str, **more: t.Any) -> t.Dict[str, t.Any]:
    return lifecycle.finish_switch(dataclasses.replace(host.wish, id=name, **more))


def test_after_the_switch_commands_run_once_for_each_switch(host: Host, app: Path, place: Path) -> None:
    hook = (("sh", "-c", f"pwd >> {place}/ran"),)
    first = host.ready(app)["id"]
    host.switch(first, "1")
    assert after(host, first, after_switch=hook)["changed"] is True
    assert host.ready(app)["changed"] is False
    assert after(host, first, after_switch=hook)["changed"] is False
    change(app, "print(2)\n")
    second = host.ready(app)["id"]
    host.switch(second, "2")
    after(host, second, after_switch=hook)
    change(app, "print(1)\n")
    assert host.ready(app)["id"] == first
    host.switch(first, "3")
    after(host, first, after_switch=hook)
    ran = [Path(line).name for line in (place / "ran").read_text().splitlines()]
    assert ran == [first, second, first]


def test_a_command_after_the_switch_that_failed_is_run_again_and_says_what_is_in_place(host: Host, app: Path) -> None:
    name = host.ready(app)["id"]
    host.switch(name)
    hook = (("sh", "-c", f"test -e {host.root}/cured"),)
    with pytest.raises(RollcallError, match=f"Release {name} is in place and its services were verified"):
        after(host, name, after_switch=hook)
    (host.root / "cured").touch()
    assert after(host, name, after_switch=hook)["actions"] == [f"run after the switch: {' '.join(hook[0])}"]
    assert after(host, name, after_switch=hook)["actions"] == []


def test_commands_after_the_switch_do_not_run_for_a_release_that_is_not_in_place(host: Host, app: Path) -> None:
    first = host.ready(app)["id"]
    host.switch(first)
    change(app, "print(2)\n")
    second = host.ready(app)["id"]
    with pytest.raises(RollcallError, match=f"Release {second} is not in place, {first} is"):
        after(host, second, after_switch=(("touch", str(host.root / "never")),))
    assert not (host.root / "never").exists()


# --- pruning ------------------------------------------------------------------------------------------------------


def many(host: Host, app: Path, number: int, **more: t.Any) -> t.List[str]:
    names = []
    for version in range(number):
        change(app, f"print({version})\n")
        names.append(str(host.ready(app, **more)["id"]))
    return names


def there(host: Host) -> t.Set[str]:
    return {path.name for path in (host.root / "releases").iterdir()}


def test_the_newest_stay_and_those_that_generations_belong_to(host: Host, app: Path) -> None:
    names = many(host, app, 6)
    host.switch(names[1], "1")
    host.switch(names[5], "2")
    write(host.root / "releases" / "by-hand", {"x": ""})
    done = after(host, names[5], keep=2)
    assert set(done["pruned"]) == {names[0], names[2], names[3]}
    assert there(host) == {names[1], names[4], names[5], "by-hand"}
    assert after(host, names[5], keep=2)["changed"] is False


def test_the_one_in_place_and_the_one_on_its_way_stay_however_old(host: Host, app: Path) -> None:
    names = many(host, app, 4)
    change(app, "print(1)\n")
    host.switch(names[0], "1")
    assert host.ready(app)["id"] == names[1]  # another run is about to switch to it
    said = lifecycle.finish_switch(dataclasses.replace(host.wish, id=names[0], keep=1), dry_run=True)
    assert said["pruned"] == [names[2]]
    assert there(host) == set(names)


def test_environments_go_with_the_last_release_that_links_to_them(host: Host, app: Path, wheels: Path) -> None:
    write(app, {"requirements.txt": "beta\n"})
    old = host.release(host.ready(app, **host.with_wheels(wheels)))
    gone = os.path.basename(os.readlink(old / "venv"))
    (host.root / "venvs" / "by-hand").mkdir()
    write(app, {"requirements.txt": "\n"})
    new = host.ready(app, **host.with_wheels(wheels))
    host.switch(new["id"])
    done = after(host, new["id"], keep=1)
    assert done["pruned"] == [old.name, gone]
    stays = os.path.basename(os.readlink(host.release(new) / "venv"))
    assert {path.name for path in (host.root / "venvs").iterdir()} == {stays, "by-hand"}


def test_directories_that_a_build_has_closed_are_removed_as_well(host: Host, app: Path) -> None:
    closed = (
        ("sh", "-c", "mkdir -p $HOME/cache/mod deep/er; touch $HOME/cache/mod/x; chmod -R 0500 $HOME/cache deep"),
    )
    names = many(host, app, 2, build=closed)
    host.switch(names[1])
    after(host, names[1], keep=1)
    assert there(host) == {names[1]}


# --- killed anywhere ----------------------------------------------------------------------------------------------


def killed(patch: t.Tuple[t.Any, str], act: t.Callable[[], object]) -> None:
    """Carry ``act`` out in a child that is killed when it comes to a function: before it does anything."""
    owner, name = patch
    pid = os.fork()
    if pid == 0:
        try:
            setattr(owner, name, lambda *_arguments, **_more: os.kill(os.getpid(), signal.SIGKILL))
            act()
        finally:
            os._exit(0)
    _pid, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), f"it never came to {name}"


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (archives, "unpack"),
        (venvs, "_mark"),
        (os, "rename"),
        *(
            pytest.param(owner, name, marks=pytest.mark.exhaustive)
            for owner, name in (
                (venvs, "_build"),
                (shared, "_make_shared"),
                (venvs, "link_venv"),
                (lifecycle, "_run_all"),
                (lifecycle, "write_atomically"),
                (os, "sync"),
                (store, "note_pending"),
            )
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_killed_at_any_step_the_next_run_makes_it_whole(
    host: Host, app: Path, wheels: Path, owner: t.Any, name: str
) -> None:
    # An environment takes its time to build, and only some steps have to do with it.
    environment = host.with_wheels(wheels) if owner is venvs else {}
    write(app, {"requirements.txt": "beta\n", "data/seed": "first"})
    wish = host.asks(app, shared=("data",), build=(("touch", "built"),), **environment)
    killed((owner, name), lambda: lifecycle.make_ready(wish))
    done = lifecycle.make_ready(wish)
    made = host.release(done)
    assert (made / "built").exists()
    assert (made / "data" / "seed").read_text() == "first"
    if environment:
        assert version_of(made, "beta") == "1.0"
        assert [path.name for path in (host.root / "venvs").iterdir()] == [os.path.basename(os.readlink(made / "venv"))]
    assert host.left_over() == []
    assert lifecycle.make_ready(wish)["actions"] == []


def test_killed_while_an_old_release_goes_it_is_not_there_half(host: Host, app: Path) -> None:
    names = many(host, app, 2)
    host.switch(names[1])
    wish = dataclasses.replace(host.wish, id=names[1], keep=1)
    killed((store, "_remove_renamed"), lambda: lifecycle.finish_switch(wish))
    assert not (host.root / "releases" / names[0]).exists()
    lifecycle.finish_switch(wish)
    assert there(host) == {names[1]}


@AS_ROOT
def test_an_old_release_in_which_something_is_mounted_stays_and_so_does_what_is_mounted(
    host: Host, app: Path, tmp_path: Path
) -> None:
    names = many(host, app, 3)
    host.switch(names[2])
    precious, media = tmp_path / "precious", host.root / "releases" / names[0] / "media"
    precious.mkdir()
    (precious / "photo").touch()
    media.mkdir()

    def mount() -> None:
        subprocess.run(["mount", "--bind", str(precious), str(media)], check=True)

    wish = dataclasses.replace(host.wish, id=names[2], keep=1)
    done = seen_with(mount, lambda: lifecycle.finish_switch(wish))

    assert done["pruned"] == [names[1]]
    assert done["left"] == [f"release {names[0]} is old and stays: {media} is mounted in it"]
    assert (precious / "photo").exists()
    assert there(host) == {names[0], names[2]}
    # Once nothing is mounted in it any more, it goes like the others.
    assert lifecycle.finish_switch(wish)["pruned"] == [names[0]]


@AS_ROOT
def test_an_old_release_that_cannot_be_removed_fails_no_run_and_is_told(host: Host, app: Path) -> None:
    names = many(host, app, 3)
    host.switch(names[2], "1")
    file = host.root / "releases" / names[0] / "app.py"
    if subprocess.run(["chattr", "+i", str(file)], capture_output=True, check=False).returncode:
        pytest.skip("this file system makes nothing immutable")
    gone = host.root / "releases" / f".going-{names[0]}" / "app.py"
    try:
        for _again in range(2):
            done = after(host, names[2], keep=1)
            assert names[0] not in there(host)
            assert any(str(gone) in line for line in done["left"])
        change(app, "print('another')\n")
        assert host.ready(app)["changed"]
    finally:
        subprocess.run(["chattr", "-i", str(gone)], check=True)
    assert after(host, names[2], keep=1)["left"] == []
    assert not gone.exists()


def test_an_old_release_that_is_nested_very_deeply_goes_like_any_other(host: Host, app: Path) -> None:
    names = many(host, app, 3)
    host.switch(names[2], "1")
    here = os.getcwd()
    os.chdir(host.root / "releases" / names[0])
    try:
        for _level in range(1200):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)
    done = after(host, names[2], keep=1)
    assert done["left"] == []
    assert names[0] not in os.listdir(host.root / "releases")
    assert f".going-{names[0]}" not in os.listdir(host.root / "releases")


def test_killed_during_a_build_the_build_ends_as_well_and_the_next_run_waits_for_that(
    host: Host, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCK_PATIENCE", 60.0)
    slow = host.asks(app, build=(("sh", "-c", f"touch {host.root}/begun; sleep 600"),))
    pid = os.fork()
    if pid == 0:
        try:
            lifecycle.make_ready(slow)
        finally:
            os._exit(0)
    while not (host.root / "begun").exists():
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert host.ready(app)["changed"]
    assert host.left_over() == []


def test_two_at_once_the_second_is_refused_with_who_the_first_is(
    host: Host, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCK_PATIENCE", 0.1)
    os.makedirs(host.root / "state" / "release")
    with (
        locked(str(host.root / "state" / "release"), "ada", "release"),
        pytest.raises(RollcallError, match="ada runs 'release'") as told,
    ):
        host.ready(app)
    assert told.value.kind == "refused"


# --- users --------------------------------------------------------------------------------------------------------


@AS_ROOT
def test_as_root_everything_in_a_release_is_made_by_the_stacks_user(host: Host, app: Path, wheels: Path) -> None:
    write(app, {"requirements.txt": "beta\n", "data/seed": "x"})
    more = host.with_wheels(wheels)
    more["python"] = PythonEnvironment(python="/usr/bin/python3", wheels=True)
    show = ("/usr/bin/python3", "-c", SHOW)
    made = host.release(host.ready(app, user="nobody", shared=("data",), build=(show,), **more))
    uid = require_account("nobody").uid
    shown = json.loads((made / "shown.json").read_text())
    assert (shown["uid"], shown["env"]["USER"]) == (uid, "nobody")
    inside = [
        made,
        *made.rglob("*"),
        *Path(os.readlink(made / "venv")).rglob("*"),
        *(host.root / "shared" / "data").rglob("*"),
    ]
    assert {path.lstat().st_uid for path in inside} == {uid}
    assert (host.root / "shared" / "data").stat().st_uid == uid
    assert stat.S_IMODE((host.root / "shared" / "data").stat().st_mode) == 0o750
    for name in ("releases", "venvs", "shared"):
        status = (host.root / name).stat()
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o755)
    host.switch(made.name)
    assert after(host, made.name, user="nobody")["changed"] is False


@AS_ROOT
def test_what_the_user_plants_in_a_release_does_not_lead_root_astray(host: Host, app: Path, place: Path) -> None:
    precious = write(place / "precious", {"x": "x"})
    link = (
        "sh",
        "-c",
        f"ln -s {precious} trap; rm -rf .rollcall-release.json; ln -s {precious}/x .rollcall-release.json",
    )
    first = host.ready(app, user="nobody", build=(link,))["id"]
    change(app, "print(2)\n")
    second = host.ready(app, user="nobody", build=(link,))["id"]
    host.switch(second)
    after(host, second, user="nobody", keep=1)
    assert there(host) == {second}
    assert first != second
    assert (precious / "x").read_text() == "x"


@AS_ROOT
def test_directories_that_another_user_owns_are_refused(host: Host, app: Path) -> None:
    (host.root / "releases").mkdir()
    os.chown(host.root / "releases", require_account("nobody").uid, -1)
    with pytest.raises(RollcallError, match="releases belongs to nobody, and must be of the user who runs this, root"):
        host.ready(app, user="nobody")


@AS_ROOT
@pytest.mark.parametrize("name", ["releases", "shared"])
def test_directories_that_others_can_write_to_are_refused_before_anything_is_given_away(
    host: Host, app: Path, name: str
) -> None:
    os.chmod(host.root, 0o755)
    (host.root / "elsewhere").mkdir()
    (host.root / name).mkdir()
    (host.root / name / "a").symlink_to(host.root / "elsewhere")
    (host.root / name).chmod(0o777)
    with pytest.raises(RollcallError, match=f"{name} has mode 0777, so that others may write to it, and a release"):
        host.ready(app, user="nobody", shared=("a/b",))
    assert os.listdir(host.root / "elsewhere") == []


@AS_ROOT
def test_without_root_all_of_it_is_the_users_own(place: Path, app: Path) -> None:
    who = require_account("nobody")
    for directory in (place / "root", place / "root" / "state"):
        directory.mkdir()
        os.chown(directory, who.uid, who.gid)
    (place / "sent").mkdir()
    host = Host(place / "root", place / "sent")
    closed = ("sh", "-c", "mkdir -p $HOME/mod deep; touch $HOME/mod/x deep/x; chmod 0500 $HOME/mod deep")
    wish = host.asks(app, shared=("data",), build=(closed,))
    os.chmod(wish.code.archive, 0o644)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(who.gid)
            os.setuid(who.uid)
            done = lifecycle.make_ready(wish)
            host.switch(done["id"])
            again = lifecycle.make_ready(wish)
            code = 0 if done["changed"] and not again["changed"] and not host.left_over() else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert {path.lstat().st_uid for path in (place / "root").rglob("*")} == {who.uid}


@AS_ROOT
def test_a_directory_that_may_not_be_written_is_said_and_nothing_is_left(place: Path, app: Path) -> None:
    host = Host(place / "root", place / "sent")
    (place / "root" / "state").mkdir(parents=True)
    (place / "sent").mkdir()
    os.chown(place / "root" / "state", require_account("nobody").uid, -1)
    wish = host.asks(app)
    os.chmod(wish.code.archive, 0o644)
    with acting_as(require_account("nobody")), pytest.raises(RollcallError) as told:
        lifecycle.make_ready(wish)
    assert "The release could not be made: [Errno 13] Permission denied" in told.value.message
    assert told.value.remedies[0].startswith("df -h")


@pytest.mark.fault(22)
@AS_ROOT
@pytest.mark.parametrize(
    ("mount", "reserve", "said"),
    [
        (small, 0, "The release needs "),
        (small, -(1 << 40), "The release could not be made: [Errno 28] No space left on device"),
        (read_only, 0, "The release could not be made: [Errno 30] Read-only file system"),
    ],
    ids=["no room", "full meanwhile", "read-only"],
)
def test_a_disk_without_room_is_named_and_nothing_half_is_left(
    host: Host,
    app: Path,
    monkeypatch: pytest.MonkeyPatch,
    mount: t.Callable[[str], Mount],
    reserve: int,
    said: str,
) -> None:
    monkeypatch.setattr(source, "RESERVE", reserve)
    (app / "big").write_bytes(os.urandom(1024 * 1024))
    wish = host.asks(app)

    def attempt() -> t.List[t.Any]:
        try:
            lifecycle.make_ready(wish)
        except RollcallError as exc:
            return [exc.message, exc.remedies[0], [str(path) for path in host.root.glob("releases/*")]]
        return []

    message, remedy, left = seen_with(mount(str(host.root)), attempt)
    assert (message.startswith(said), left) == (True, [])
    assert remedy.startswith("df -h")
