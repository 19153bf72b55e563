# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a release: the same bytes for the same commit, what is meant and no more, good for Galaxy's tools."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.release.build import ROOT, build_collection, read, run
from tests.release.bundle import CONTROLLERS, HOSTS, MACHINES, build_bundle
from tests.release.conftest import Release
from tests.release.contents import differences
from tests.support.playbooks import controller

COLLECTION = "ansible_collections.rollcall.supervisor"
# pip as it is without settings of this machine.
BARE_PIP = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "", "PIP_EXTRA_INDEX_URL": ""}
# The kinds of plugin that ansible-doc knows, and where they are in the collection.
KINDS = {"module": "modules", "filter": "filter", "lookup": "lookup", "callback": "callback"}
# What galaxy-importer is asked. Its flake8 is left out: ruff reads all of this in another style. So is ansible-test,
# which it runs in a container of its own: the stage `sanity` runs it. And ansible-lint, which is called below: it gives
# that three minutes, and a path of collections by which no playbook of the collection itself is found.
IMPORTER = """\
[galaxy-importer]
run_ansible_doc = True
run_ansible_lint = False
check_changelog = True
check_required_tags = True
run_flake8 = False
run_ansible_test = False
"""


@pytest.fixture(scope="module")
def installed(release: Release, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The commands of an Ansible that has this release and nothing else, and the environment that they need."""
    place = tmp_path_factory.mktemp("installed")
    bin_directory = controller(place / "venv")
    environment = {"HOME": str(place), "ANSIBLE_COLLECTIONS_PATH": str(place / "collections")}
    galaxy = str(bin_directory / "ansible-galaxy")
    run(galaxy, "collection", "install", "--offline", release.collection, cwd=place, environment=environment)
    return bin_directory, environment


def test_the_digests_are_those_of_the_files(release: Release, unpacked: Path) -> None:
    for directory in (release.directory, unpacked):
        run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=directory)
    listed = {line.split()[1] for line in (unpacked / "SHA256SUMS").read_text(encoding="utf-8").splitlines()}
    there = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert there - listed == {"SHA256SUMS"}


def test_the_same_commit_gives_the_same_bytes(release: Release, tmp_path: Path) -> None:
    before, zone = os.umask(0o077), os.environ.get("TZ")
    os.environ["TZ"] = "Pacific/Auckland"
    try:
        collection = build_collection(release.made_of, tmp_path)
        materials = tmp_path / release.materials.name
        run(ROOT / "tests" / "tools" / "sbom.sh", materials)
        bundle = build_bundle(release.made_of, collection, materials)
    finally:
        os.umask(before)
        if zone is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = zone
    for again, first in ((collection, release.collection), (materials, release.materials), (bundle, release.bundle)):
        assert again.read_bytes() == first.read_bytes(), first.name


def test_the_archive_has_what_is_meant_of_the_commit_and_nothing_knows_this_machine(
    release: Release, unpacked: Path
) -> None:
    entries = read(release.collection)
    listed = run("git", "ls-tree", "-r", "--name-only", "-z", release.made_of.commit).split("\0")
    assert differences({one.name for one in entries if one.content is not None}, listed) == []

    texts = {one.name: one.content for one in entries if one.content is not None}
    texts |= {path.name: path.read_bytes() for path in unpacked.iterdir() if path.suffix in (".json", ".md", ".txt")}
    homes = [str(Path.home())] if len(Path.home().parts) > 2 else []
    places = [str(ROOT), str(release.directory), os.path.join(tempfile.gettempdir(), "rollcall-release"), *homes]
    if sys.base_prefix.startswith(str(Path.home())):
        places.append(sys.base_prefix)
    assert [(name, place) for name, text in texts.items() for place in places if place.encode() in text] == []


def test_galaxy_verifies_what_it_has_installed(installed: tuple[Path, dict[str, str]]) -> None:
    commands, environment = installed
    verify = ("collection", "verify", "--offline", "rollcall.supervisor")
    said = run(commands / "ansible-galaxy", *verify, cwd=commands, environment=environment)
    assert "Successfully verified" in said, said

    changed = Path(environment["ANSIBLE_COLLECTIONS_PATH"], "ansible_collections/rollcall/supervisor/site.yml")
    whole = changed.read_bytes()
    changed.write_bytes(whole + b"#\n")
    told = subprocess.run(
        [commands / "ansible-galaxy", *verify],
        cwd=commands,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    changed.write_bytes(whole)
    assert told.returncode != 0
    assert "site.yml" in told.stdout + told.stderr


def test_every_plugin_and_every_role_has_documentation_that_ansible_doc_reads(
    installed: tuple[Path, dict[str, str]],
) -> None:
    commands, environment = installed
    told = run(
        commands / "ansible-doc", "--metadata-dump", "rollcall.supervisor", cwd=commands, environment=environment
    )
    known = json.loads(told)["all"]
    found = {kind: {name.rpartition(".")[2] for name in known[kind]} for kind in (*KINDS, "role")}
    plugins = {
        kind: [path.stem for path in (ROOT / "plugins" / place).glob("*.py") if path.stem != "__init__"]
        for kind, place in KINDS.items()
    }
    wanted = {kind: set(names) for kind, names in plugins.items()}
    # A file has several filters.
    files = [importlib.import_module(f"{COLLECTION}.plugins.filter.{name}") for name in plugins["filter"]]
    wanted["filter"] = {name for file in files for name in file.FilterModule().filters()}
    wanted["role"] = {path.name for path in (ROOT / "roles").iterdir() if path.is_dir()}
    assert found == wanted
    for kind in found:
        for name, page in known[kind].items():
            assert "error" not in page, (kind, name, page)


def test_the_importer_of_galaxy_takes_it_without_a_word_against_it(
    release: Release, tools: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "importer.cfg"
    settings.write_text(IMPORTER, encoding="utf-8")
    environment = {
        **os.environ,
        "GALAXY_IMPORTER_CONFIG": str(settings),
        "HOME": str(tmp_path),
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        [tools / "python", "-m", "galaxy_importer.main", release.collection],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    said = (done.stdout + done.stderr).splitlines()
    against = [line for line in said if line.startswith(("WARNING", "ERROR", "CRITICAL"))]
    assert (done.returncode, against) == (0, []), "\n".join(said[-20:])
    assert any("Importer processing completed successfully" in line for line in said), "\n".join(said[-20:])


def test_ansible_lint_finds_nothing_as_the_importer_calls_it(
    installed: tuple[Path, dict[str, str]], tools: Path
) -> None:
    _commands, environment = installed
    place = Path(environment["ANSIBLE_COLLECTIONS_PATH"], "ansible_collections", "rollcall", "supervisor")
    left_out = "yaml,var-naming,avoid-dot-notation,import-task-no-when,single-entry-point,use-loop"
    lint = (
        tools / "ansible-lint",
        "--offline",
        "--profile",
        "production",
        "--format=pep8",
        "--nocolor",
        "-x",
        left_out,
    )
    path = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    assert run(*lint, cwd=place, environment={**environment, **path}, seconds=1200) == ""


@pytest.mark.parametrize(
    ("wheels", "requirements", "pythons"),
    [
        ("controller", ROOT / "requirements" / "controller.txt", CONTROLLERS),
        ("hosts", ROOT / "roles" / "bootstrap" / "files" / "requirements.txt", HOSTS),
    ],
)
def test_the_wheels_are_whole_for_every_python_on_every_kind_of_machine(
    unpacked: Path, tmp_path: Path, wheels: str, requirements: Path, pythons: tuple[str, ...]
) -> None:
    needed: set[str] = set()
    for python in pythons:
        for machine in MACHINES:
            place = tmp_path / f"{python}-{machine}"
            kind = ("--python-version", python, "--platform", f"manylinux_2_28_{machine}")
            older = ("--platform", f"manylinux2014_{machine}", "--only-binary", ":all:")
            source = ("--no-index", "--find-links", unpacked / "wheels" / wheels, "--requirement", requirements)
            pip = (sys.executable, "-m", "pip", "download", "--quiet", "--dest", place)
            run(*pip, *kind, *older, *source, environment=BARE_PIP)
            needed |= {path.name for path in place.iterdir()}
    assert {path.name for path in (unpacked / "wheels" / wheels).iterdir()} == needed
