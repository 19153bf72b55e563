# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client that applications ask for ports: a port, or an error that says why there is none. Never a default."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import types
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.state import registry
from tests.support.configs import a_stack
from tests.support.namespaces import as_nobody
from tests.support.repository import ROOT

CLIENT = ROOT / "roles" / "bootstrap" / "files" / "rollcall_ports.py"


def load() -> t.Any:
    """Return the client as a module; no byte code of it is left in the checkout."""
    module = types.ModuleType("rollcall_ports")
    module.__file__ = str(CLIENT)
    exec(compile(CLIENT.read_text(encoding="utf-8"), str(CLIENT), "exec"), module.__dict__)
    return module


client = load()


@pytest.fixture(autouse=True)
def outside_of_any_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("PORT", "ROLLCALL_"))]:
        monkeypatch.delenv(name)


def write(root: Path, **services: t.Optional[int]) -> Path:
    """Write a registry with these services and return its path."""
    entries = {name: {"port": port, "address": "127.0.0.1", "health": None} for name, port in services.items()}
    path = root / "ports.json"
    path.write_text(json.dumps({"rollcall": 1, "stack": "test", "host": "here", "services": entries}), encoding="utf-8")
    return path


def complaint(root: Path, name: str = "web") -> str:
    """Return what the client says instead of a port."""
    with pytest.raises(client.PortError) as caught:
        client.get_port(name, str(root))
    assert isinstance(caught.value, LookupError)
    return str(caught.value)


# --- where the answer comes from ----------------------------------------------------------------------------------


def test_it_reads_what_the_engine_writes(tmp_path: Path) -> None:
    stack = a_stack(tmp_path, 8001, 8002)
    (tmp_path / "ports.json").write_text(registry.text(stack), encoding="utf-8")
    assert client.FORMAT == registry.FORMAT
    assert client.get_port("service1", str(tmp_path)) == 8002
    assert client.ports(str(tmp_path)) == {"service0": 8001, "service1": 8002}


def test_a_root_that_is_given_goes_before_the_environment_and_that_before_the_own_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("given", "environment", "own")):
        (tmp_path / name).mkdir()
        write(tmp_path / name, web=8001 + number)
    (tmp_path / "own" / "lib").mkdir()
    monkeypatch.setattr(client, "__file__", str(tmp_path / "own" / "lib" / "rollcall_ports.py"))
    assert client.get_port("web") == 8003
    monkeypatch.setenv("ROLLCALL_ROOT", str(tmp_path / "environment"))
    assert client.get_port("web") == 8002
    assert client.get_port("web", str(tmp_path / "given")) == 8001


def test_a_link_to_the_client_answers_for_the_stack_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    shutil.copy(CLIENT, tmp_path / "lib")
    write(tmp_path, web=8001)
    link = tmp_path / "app" / "ports.py"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "lib" / "rollcall_ports.py")
    assert subprocess.check_output([sys.executable, str(link), "web"], text=True) == "8001\n"


def test_the_registry_wins_over_variables_that_are_older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, web=8001)
    monkeypatch.setenv("PORT", "8009")
    monkeypatch.setenv("PORT_WEB", "8009")
    assert client.get_port("web", str(tmp_path)) == 8001


def test_a_port_that_moves_is_seen_by_a_process_that_runs(tmp_path: Path) -> None:
    write(tmp_path, web=8001)
    assert client.get_port("web", str(tmp_path)) == 8001
    write(tmp_path, web=8002)
    assert client.get_port("web", str(tmp_path)) == 8002


def test_services_without_a_port_are_not_among_the_ports(tmp_path: Path) -> None:
    write(tmp_path, web=8001, worker=None)
    assert client.ports(str(tmp_path)) == {"web": 8001}


# --- what is told instead of a port -------------------------------------------------------------------------------


def test_an_unknown_name_is_told_with_those_that_are_known(tmp_path: Path) -> None:
    path = write(tmp_path, web=8001, cache=8002, worker=None)
    assert complaint(tmp_path, "webb") == f"'webb' is no service in {path}. With a port: web, cache."


def test_a_service_without_a_port_is_not_unknown(tmp_path: Path) -> None:
    path = write(tmp_path, worker=None)
    assert complaint(tmp_path, "worker") == f"'worker' has no port in {path}. With a port: none."


def test_no_registry(tmp_path: Path) -> None:
    assert complaint(tmp_path) == f"There is no registry at {tmp_path}/ports.json: no stack has been installed there."


def test_a_link_to_nowhere_is_no_registry(tmp_path: Path) -> None:
    (tmp_path / "ports.json").symlink_to("etc/ports.json")
    assert "There is no registry at" in complaint(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
def test_a_registry_that_may_not_be_read(tmp_path: Path) -> None:
    path = write(tmp_path, web=8001)
    path.chmod(0o600)

    def ask() -> str:
        try:
            return str(client.get_port("web", str(tmp_path)))
        except client.PortError as exc:
            return str(exc)

    assert as_nobody(ask) == f"The registry {path} cannot be read: Permission denied."


def test_a_directory_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "ports.json").mkdir()
    assert "cannot be read: Is a directory" in complaint(tmp_path)


def test_every_half_of_a_registry_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, web=8001, worker=None)
    text = path.read_text(encoding="utf-8")
    for length in range(len(text)):
        path.write_text(text[:length], encoding="utf-8")
        assert f"The registry {path} is half-written or damaged: " in complaint(tmp_path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_bytes(b'{"rollcall": 1, "services": {"\xff": {}}}')
    assert "is half-written or damaged" in complaint(tmp_path)


@pytest.mark.parametrize("data", [[], "text", 1, None, {}, {"services": []}, {"rollcall": 1}, {"web": 8001}])
def test_something_else_than_a_registry(tmp_path: Path, data: t.Any) -> None:
    (tmp_path / "ports.json").write_text(json.dumps(data), encoding="utf-8")
    assert complaint(tmp_path) == f"{tmp_path}/ports.json is not a registry of Rollcall."


@pytest.mark.parametrize("version", [None, 0, 2, "1"])
def test_another_format(tmp_path: Path, version: t.Any) -> None:
    (tmp_path / "ports.json").write_text(json.dumps({"rollcall": version, "services": {}}), encoding="utf-8")
    assert "is not of format 1, which this client knows: run site.yml again." in complaint(tmp_path)


@pytest.mark.parametrize(
    "entry", [8001, None, [], {}, {"port": "8001"}, {"port": True}, {"port": 0}, {"port": 65536}, {"port": 80.5}]
)
def test_a_port_that_is_none_spoils_the_whole_registry(tmp_path: Path, entry: t.Any) -> None:
    data = {"rollcall": 1, "services": {"web": {"port": 8001}, "cache": entry}}
    (tmp_path / "ports.json").write_text(json.dumps(data), encoding="utf-8")
    assert f"is damaged: the port of 'cache' is not in {entry!r}." in complaint(tmp_path, "web")
    with pytest.raises(client.PortError):
        client.ports(str(tmp_path))


# --- as a program -------------------------------------------------------------------------------------------------


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-m", "rollcall_ports", *arguments],
        cwd=CLIENT.parent,
        env={"ROLLCALL_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_program_prints_the_port_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, web=8001)
    done = run(tmp_path, "web")
    assert (done.returncode, done.stdout, done.stderr) == (0, "8001\n", "")


def test_the_program_prints_nothing_where_there_is_no_port(tmp_path: Path) -> None:
    path = write(tmp_path, web=8001)
    done = run(tmp_path, "nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"'nobody' is no service in {path}. With a port: web.\n"


@pytest.mark.parametrize("arguments", [(), ("a", "b")])
def test_the_program_says_how_it_is_called(tmp_path: Path, arguments: t.Tuple[str, ...]) -> None:
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "usage: rollcall_ports.py NAME\n")


# --- what is written about it -------------------------------------------------------------------------------------


def test_the_example_of_the_page_works(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "ports.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "lib").mkdir()
    shutil.copy(CLIENT, tmp_path / "lib")
    write(tmp_path, cache=8005)
    environment = {"ROLLCALL_ROOT": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", example], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("The cache is on port 8005.\n", "")


# --- what it asks of its host -------------------------------------------------------------------------------------


def test_it_is_python_3_6_and_needs_nothing_but_the_standard_library() -> None:
    tree = ast.parse(CLIENT.read_text(encoding="utf-8"), str(CLIENT), feature_version=(3, 6))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }
    # `from __future__ import annotations` came with 3.7.
    assert imported == {"json", "os", "sys", "typing"}
