# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment of execution-environment.yml, built with podman, and playbooks run from it over SSH.

The image that the definition begins with is on a registry, which is not asked. Debian as debootstrap makes it stands in
its place, with arguments that the definition has for that, and the build has no network: all packages are wheels that
were fetched before.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import typing as t
from pathlib import Path

import ansible_runner
import pytest

from tests.chaos.container import settings
from tests.release.build import BIN, ROOT, run
from tests.release.conftest import Release
from tests.release.containers import Container, image, podman
from tests.support.documents import validated

# Of the image's Debian.
PYTHON = "3.11"
# The system's pip that Debian keeps from its own Python, which an image for one purpose has no need of.
BASE = """\
FROM {image}
RUN sed -i 's/^    _ensurepip_is_disabled_in_debian_for_system()$//' /usr/lib/python{python}/ensurepip/__init__.py
"""
PIP = "[global]\nno-index = true\nfind-links = /wheels\n"
# What podman mounts for --ipc=host, with which ansible-runner and ansible-navigator call it.
QUEUES = Path("/dev/mqueue")
SERVER = ["/usr/bin/python3", "-m", "http.server", "--directory", "/srv", "8001"]


def wheels(place: Path) -> Path:
    """Return a directory with the wheels of everything that the build installs."""
    lists = [(ROOT / "requirements" / name).read_text(encoding="utf-8") for name in ("run.txt", "ee.txt", "image.txt")]
    lines = [line for text in lists for line in text.splitlines() if not line.startswith("-r ")]
    requirements = place / "execution-environment.txt"
    requirements.write_text("\n".join(lines) + "\n", encoding="utf-8")
    link = place / "wheels"
    run(ROOT / "tests" / "tools" / "wheels.sh", requirements, PYTHON, link)
    return link.resolve()


@pytest.fixture(scope="module")
def environment(release: Release, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[str]:
    """The name of the image, built of the definition as it is and of the release's collection."""
    place = tmp_path_factory.mktemp("image")
    for path in (ROOT / "execution-environment.yml", release.collection):
        shutil.copy(path, place)
    shutil.copytree(ROOT / "requirements", place / "requirements")
    run(BIN / "ansible-builder", "create", "--output-filename", "Containerfile", cwd=place)
    (place / "base").mkdir()
    (place / "base" / "Containerfile").write_text(BASE.format(image=image(), python=PYTHON), encoding="utf-8")
    (place / "pip.conf").write_text(PIP, encoding="utf-8")
    token = secrets.token_hex(4)
    base, tag = f"localhost/rollcall-ee-base:{token}", f"localhost/rollcall-ee:{token}"
    arguments = {
        "EE_BASE_IMAGE": base,
        "PYCMD": f"/usr/bin/python{PYTHON}",
        "PYPKG": f"python{PYTHON}",
        "PKGMGR": "/usr/bin/apt-get",
    }
    usual = ("--quiet", "--network=none", "--layers=false")
    mounts = (f"--volume={wheels(place)}:/wheels:ro", f"--volume={place / 'pip.conf'}:/etc/pip.conf:ro")
    try:
        podman("build", *usual, f"--tag={base}", place / "base")
        words = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        podman("build", *usual, *mounts, *words, f"--tag={tag}", place / "context", seconds=1200)
        yield tag
    finally:
        podman("rmi", "--force", "--ignore", tag, base)


@pytest.fixture(scope="module")
def queues() -> t.Iterator[None]:
    """The directory of POSIX message queues, which a machine in a container may lack; ansible-navigator asks for it."""
    if QUEUES.exists():
        yield
        return
    QUEUES.mkdir()
    try:
        yield
    finally:
        QUEUES.rmdir()


class Project(t.NamedTuple):
    """A user's directory: inventory, settings, key, wheels; and the host that it is for."""

    directory: Path
    host: Container
    image: str

    def outcome(self) -> dict[str, t.Any]:
        """Return how the last playbook has ended, and forget it."""
        path = self.directory / "outcome.json"
        read = dict(validated(json.loads(path.read_text(encoding="utf-8")), "OutcomeDocument"))
        path.unlink()
        return read

    def services(self) -> set[str]:
        """Return the processes of the host's services, as the host sees them."""
        return self.host.processes(["http.server"])


@pytest.fixture(scope="module")
def project(environment: str, unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Project]:
    """A project whose only host is reached over SSH."""
    data = tmp_path_factory.mktemp("private")
    place = data / "project"
    place.mkdir()
    key = place / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "release", "-f", key)
    shutil.copytree(unpacked / "wheels" / "hosts", place / "wheels")
    options = (f"--volume={key}.pub:/root/.ssh/authorized_keys:ro", "--publish=127.0.0.1::22")
    with Container(*options) as host:
        known = {
            "ansible_host": "127.0.0.1",
            "ansible_port": int(podman("port", host.name, "22/tcp").strip().rpartition(":")[2]),
            "ansible_user": "root",
            "ansible_ssh_private_key_file": "{{ inventory_dir }}/key",
            "bootstrap_wheels": "{{ inventory_dir }}/wheels",
            "rollcall_stack": {
                "name": "shop",
                "user": "shop",
                "root": "/opt/shop",
                "services": {"web": {"command": SERVER, "port": 8001, "health": {"http": "/"}}},
            },
        }
        inventory = {"all": {"hosts": {"app1": known}}}
        (place / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
        (place / "ansible.cfg").write_text(
            "[defaults]\ncallbacks_enabled = rollcall.supervisor.roll_call\nhost_key_checking = false\n",
            encoding="utf-8",
        )
        yield Project(place, host, environment)


def test_the_image_has_the_versions_that_are_pinned_and_the_collection_as_it_was_released(
    environment: str, release: Release
) -> None:
    inside = ("run", "--rm", "--network=none", environment)
    verified = podman(*inside, "ansible-galaxy", "collection", "verify", "--offline", "rollcall.supervisor")
    assert "Successfully verified" in verified
    listed = json.loads(podman(*inside, "ansible-galaxy", "collection", "list", "--format", "json"))
    assert listed["/usr/share/ansible/collections/ansible_collections"] == {
        "rollcall.supervisor": {"version": release.made_of.version}
    }
    has = set(podman(*inside, f"/usr/bin/python{PYTHON}", "-m", "pip", "list", "--format", "freeze").lower().split())
    lists = [(ROOT / "requirements" / name).read_text(encoding="utf-8").lower() for name in ("run.txt", "ee.txt")]
    pins = {line.split()[0] for text in lists for line in text.splitlines() if "==" in line.partition("#")[0]}
    assert pins - has == set()
    # The build leaves nothing of itself.
    assert podman(*inside, "sh", "-c", "ls -d /output /wheels 2>/dev/null || true") in ("", "/wheels\n")


def run_with_runner(project: Project, playbook: str, *arguments: str) -> t.Any:
    """Run a playbook as AWX does, from the image."""
    return ansible_runner.run(
        private_data_dir=str(project.directory.parent),
        ident=f"{playbook}-{secrets.token_hex(2)}",
        playbook=f"rollcall.supervisor.{playbook}",
        # As a path of the image: for its own argument ansible-runner looks here, where that path is not.
        cmdline=" ".join(["-i", "/runner/project/inventory.json", *arguments]),
        envvars={"ROLLCALL_OUTCOME": "/runner/project/outcome.json"},
        process_isolation=True,
        process_isolation_executable="podman",
        container_image=project.image,
        # As ansible-navigator has it: what is mounted is root's here.
        container_options=["--network=host", "--user=root"],
        suppress_env_files=True,
        timeout=600,
        quiet=True,
    )


@pytest.mark.usefixtures("queues")
def test_ansible_runner_installs_looks_and_would_roll_out_from_the_image(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings().items():
        monkeypatch.setenv(name, value)
    site = run_with_runner(project, "site")
    said = site.stdout.read()
    assert (site.status, site.rc) == ("successful", 0), said[-6000:]
    assert project.outcome()["hosts"]["app1"]["exit_code"] == 0
    running = project.services()
    assert len(running) == 1

    for playbook, arguments in (("rollout", ["--check"]), ("status", []), ("fleet", [])):
        done = run_with_runner(project, playbook, *arguments)
        assert (done.status, done.rc) == ("successful", 0), done.stdout.read()[-6000:]
        assert project.outcome()["exit_code"] == 0
    assert project.services() == running


@pytest.mark.usefixtures("queues")
def test_ansible_navigator_runs_the_same_playbooks_from_the_image_without_a_terminal(
    project: Project, tools: Path
) -> None:
    navigator = (tools / "ansible-navigator", "run")
    outcome = f"--senv=ROLLCALL_OUTCOME={project.directory / 'outcome.json'}"
    there = ("--ee=true", "--ce=podman", f"--eei={project.image}", "--pp=never", "--co=--network=host", outcome)
    mode = ("--mode=stdout", "--pae=false", "--lf=/dev/null", "-i", "inventory.json")
    for playbook, arguments in (("site", []), ("rollout", ["--check"]), ("status", [])):
        done = subprocess.run(
            [*navigator, f"rollcall.supervisor.{playbook}", *mode, *there, *arguments],
            cwd=project.directory,
            env={**os.environ, **settings(), "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        document = project.outcome()
        assert document["exit_code"] == 0
        assert list(document["hosts"]) == ["app1"]
    assert len(project.services()) == 1
