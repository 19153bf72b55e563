# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bundle says works where no network is: a controller and its host from it, and an upgrade to it."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.release.build import ROOT
from tests.release.conftest import Release
from tests.release.containers import Container
from tests.support.documents import validated

PROJECT = "/srv/project"
# As a user writes it: an application of one line, which is in no repository of ours.
SERVER = ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", "/srv"]
SERVICES = ("http.server --bind 127.0.0.1 --directory /srv 8001", "sleep 86399")
INVENTORY = {
    "all": {
        "hosts": {
            "app1": {
                "ansible_connection": "local",
                "ansible_python_interpreter": "/usr/bin/python3",
                "bootstrap_wheels": "/bundle/wheels/hosts",
                "rollcall_stack": {
                    "name": "shop",
                    "user": "shop",
                    "root": "/opt/shop",
                    "services": {
                        "web": {"command": [*SERVER, "8001"], "port": 8001, "health": {"http": "/"}},
                        "worker": {"command": ["/usr/bin/sleep", "86399"], "depends_on": ["web"]},
                    },
                },
            }
        }
    }
}


def prepare(host: Container) -> None:
    """Write the project, and see that the host has no way to anybody."""
    host.put(f"{PROJECT}/inventory.yml", json.dumps(INVENTORY))
    settings = "[defaults]\ncallbacks_enabled = rollcall.supervisor.roll_call\n"
    host.put(f"{PROJECT}/ansible.cfg", settings)
    links = {line.split(":")[1].strip() for line in host.run("ip -oneline link").splitlines()}
    assert links == {"lo"}
    assert host.run("ip route; ip -6 route show dev lo table main") in ("", "::1 proto kernel metric 256 pref medium\n")


def judge(host: Container, commands: list[str], version: str) -> None:
    """Run site as the page says, and look at the stack, from outside and as the host's own command says it."""
    outcome = f"{PROJECT}/outcome.json"
    host.run(f"export ROLLCALL_OUTCOME={outcome}", *commands, directory=PROJECT)
    document = validated(json.loads(host.run(f"cat {outcome}")), "OutcomeDocument")
    assert document["hosts"]["app1"]["exit_code"] == 0
    (report,) = document["hosts"]["app1"]["reports"]
    assert report["ok"], report
    assert host.run("cat /opt/shop/engine/version").strip() == version
    asked = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8001/').status)"
    assert host.run(f'python3 -c "{asked}"').strip() == "200"
    assert len(host.processes(SERVICES)) == 2
    host.run("rollcall --stack shop verify")


def test_a_controller_and_its_host_are_installed_from_the_bundle_without_a_network_and_verified(
    release: Release, lonely: Container, commands: list[list[str]]
) -> None:
    prepare(lonely)
    install, site = commands
    lonely.run(*install, directory="/bundle")
    judge(lonely, site, release.made_of.version)
    # A second run has nothing to do.
    before = lonely.processes(SERVICES)
    judge(lonely, site, release.made_of.version)
    assert lonely.processes(SERVICES) == before


@pytest.fixture
def older(release: Release, tmp_path: Path) -> Path:
    """The version before this one, as a path of collections."""
    kept = sorted((ROOT / "tests" / "playbooks" / "files").glob("collection-*.tar.xz"))
    archives = {path.name.removeprefix("collection-").removesuffix(".tar.xz"): path for path in kept}
    archives.pop(release.made_of.version, None)
    version = max(archives, key=lambda one: [int(part) for part in one.split(".")])
    place = tmp_path / "ansible_collections" / "rollcall" / "supervisor"
    with tarfile.open(archives[version]) as packed:
        packed.extractall(place)
    assert yaml.safe_load((place / "galaxy.yml").read_text(encoding="utf-8"))["version"] == version
    return tmp_path


def test_services_of_the_version_before_run_on_through_an_upgrade_from_the_bundle(
    release: Release, unpacked: Path, older: Path, commands: list[list[str]]
) -> None:
    volumes = (f"--volume={unpacked}:/bundle:ro", f"--volume={older}:/older:ro")
    with Container("--network=none", *volumes) as host:
        prepare(host)
        install, site = commands
        *environment, collection = install
        host.run(*environment, directory="/bundle")
        host.run("export ANSIBLE_COLLECTIONS_PATH=/older", *site, directory=PROJECT)
        before = host.processes((*SERVICES, "supervisord"))
        assert len(before) == 3, before

        host.run(collection, directory="/bundle")
        judge(host, site, release.made_of.version)

        assert host.processes((*SERVICES, "supervisord")) == before
