# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that root puts on the PATH: whoever may call it as root gets no other code run than root's own."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest

from tests.support.repository import ROOT

FILES = ROOT / "roles" / "bootstrap" / "files"
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to a stranger")
STRANGER = 60123
BOUND = 120


class Host:
    """A directory that is all that the command sees of a host: its list of stacks, and their roots."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.stacks = place / "etc" / "stacks"
        self.stacks.mkdir(parents=True)
        self._command = place / "rollcall"
        text = (FILES / "rollcall").read_text(encoding="utf-8")
        assert text.count("/etc/rollcall/stacks") == 1
        self._command.write_text(text.replace("/etc/rollcall/stacks", str(self.stacks)), encoding="utf-8")

    def root(self, name: str) -> Path:
        """Make a root whose command says that it was run, and with what."""
        root = self.place / "roots" / name
        for directory in ("bin", "engine/rollcall", "engine/venv/bin"):
            (root / directory).mkdir(parents=True)
        (root / "engine/venv/bin/python").symlink_to("/bin/true")
        (root / "bin/rollcall").write_text(f'#!/bin/sh\necho "{name} runs" "$@"\n', encoding="utf-8")
        (root / "bin/rollcall").chmod(0o755)
        return root

    def install(self, name: str) -> Path:
        """Make a root and list it."""
        root = self.root(name)
        (self.stacks / name).symlink_to(root)
        return root

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call the command."""
        return subprocess.run(
            ["sh", str(self._command), *arguments], capture_output=True, text=True, check=False, timeout=BOUND
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_the_only_stack_needs_no_name(host: Host) -> None:
    host.install("trading")
    assert host.call("status", "--json").stdout == "trading runs status --json\n"


def test_a_stack_of_several_is_called_by_its_name(host: Host) -> None:
    host.install("trading")
    host.install("shop-2")

    assert host.call("--stack", "shop-2", "status").stdout == "shop-2 runs status\n"
    assert host.call("status", "--stack=trading", "a b").stdout == "trading runs status a b\n"
    after = host.call("--stack", "shop-2", "exec", "web", "--", "deploy", "--stack", "trading", "--stack=x")
    assert after.stdout == "shop-2 runs exec web -- deploy --stack trading --stack=x\n"
    unsaid = host.call("status")
    assert (unsaid.returncode, unsaid.stdout) == (2, "")
    assert unsaid.stderr == "rollcall: which stack? Add --stack NAME, with one of:\nshop-2\ntrading\n"


def test_a_stack_that_is_not_there_is_told(host: Host) -> None:
    assert host.call("status").returncode == 2
    host.install("trading")
    done = host.call("--stack", "shop", "status")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "rollcall: no stack 'shop' on this host. There are:\ntrading\n"


@pytest.mark.parametrize(
    "name",
    [
        "../../roots/evil",
        "./evil",
        "/",
        "..",
        ".hidden",
        "evil/",
        "evil/../evil",
        "-evil",
        "e vil",
        "evil\n",
        "*",
        "e\x1b[2J",
    ],
)
@pytest.mark.parametrize("how", ["--stack={}", "--stack {}"])
def test_what_is_no_name_of_a_stack_is_refused(host: Host, name: str, how: str) -> None:
    host.install("trading")
    root = host.root("evil")
    for other in (".hidden", "e vil", "-evil"):
        (host.stacks / other).symlink_to(root)

    option, separator, _name = how.partition("{}")[0].partition(" ")
    done = host.call(*([option, name] if separator else [option + name]), "status")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "rollcall: --stack takes the name of a stack. There are:\ntrading\n"


# What a stranger has, or may write, by which he chooses what runs.
EXPOSED: t.Sequence[str] = (
    "roots/trading/bin/rollcall",
    "roots/trading/bin",
    "roots/trading/engine/rollcall",
    "roots/trading/engine",
    "roots/trading/engine/venv",
    "roots/trading/engine/venv/bin",
    "roots/trading/engine/venv/bin/python",
    "roots/trading",
    "roots",
    "etc/stacks/trading",
    "etc/stacks",
    "etc",
)


def follow(told: str) -> None:
    """Do all that it says to do, as it stands there."""
    assert "\n  the services are as they were\n" in told
    commands = [line for line in told.splitlines() if line.startswith("    ")]
    assert commands
    for command in commands:
        subprocess.run(command, shell=True, check=True)


@NEEDS_ROOT
@pytest.mark.parametrize("path", EXPOSED)
def test_the_code_of_a_stranger_is_not_run(host: Host, path: str) -> None:
    host.install("trading")
    os.lchown(host.place / path, STRANGER, -1)

    done = host.call("--stack", "trading", "status")

    assert (done.returncode, done.stdout) == (2, "")
    assert f"\n  {host.place / path}\n" in done.stderr
    follow(done.stderr)
    assert host.call("--stack", "trading", "status").stdout == "trading runs status\n"


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o775])
@pytest.mark.parametrize("path", [path for path in EXPOSED if not path.endswith(("/python", "stacks/trading"))])
def test_code_that_others_may_write_is_not_run(host: Host, path: str, mode: int) -> None:
    host.install("trading")
    place = host.place / path
    if os.geteuid() == 0:
        os.chown(place, -1, STRANGER)
    place.chmod(mode)

    done = host.call("--stack", "trading", "status")

    assert (done.returncode, done.stdout) == (2, "")
    assert f"\n  {place}\n" in done.stderr
    follow(done.stderr)
    assert host.call("--stack", "trading", "status").stdout == "trading runs status\n"


@NEEDS_ROOT
def test_a_directory_for_all_such_as_tmp_may_have_a_stack_of_root(host: Host) -> None:
    host.install("trading")
    (host.place / "roots").chmod(0o1777)
    assert host.call("status").stdout == "trading runs status\n"


@NEEDS_ROOT
def test_an_entry_that_is_not_roots_is_ignored_with_a_word(host: Host) -> None:
    host.install("trading")
    host.stacks.chmod(0o1777)
    (host.stacks / "aaa").symlink_to(host.root("aaa"))
    os.lchown(host.stacks / "aaa", STRANGER, -1)

    done = host.call("status")

    assert done.stdout == "trading runs status\n"
    assert done.stderr == f"rollcall: {host.stacks}/aaa belongs neither to root nor to you: it is ignored\n"


@NEEDS_ROOT
def test_a_directory_whose_name_controls_the_terminal_is_told_without_that(host: Host) -> None:
    place = host.place / "e\x1b[2J\u202e"
    place.mkdir()
    os.chown(place, STRANGER, -1)
    root = host.root("trading").rename(place / "trading")
    (host.stacks / "trading").symlink_to(root)

    done = host.call("status")

    assert done.returncode == 2
    assert done.stderr.replace("\n", "").isprintable()
    assert "e?[2J" in done.stderr
    assert "\n    chown -h root PATH && chmod go-w PATH\n" in done.stderr, "no command is made of such a name"


@NEEDS_ROOT
def test_who_is_not_root_may_run_his_own_code() -> None:
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        host = Host(Path(place))
        root = host.install("trading")
        for directory, _names, _files in os.walk(root):
            os.chown(directory, STRANGER, -1)
        command = ["sh", str(host.place / "rollcall"), "status"]

        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=BOUND, user=STRANGER, cwd="/"
        )

    assert (done.stdout, done.stderr) == ("trading runs status\n", "")


# --- the fact, which has a stack's own Python run where the host has none ---------------------------------------------


@pytest.fixture
def fact(host: Host) -> t.Callable[[], str]:
    """Have the fact on a host without a Python of its own."""
    text = (FILES / "rollcall.fact").read_text(encoding="utf-8")
    without = text.replace(" /usr/bin/python3 /usr/local/bin/python3 ", " ")
    assert without != text

    def ask() -> str:
        command = ["sh", "-c", without, "rollcall.fact", str(host.stacks)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=BOUND).stdout

    return ask


def a_python(root: Path) -> None:
    """Make a stack's Python that says that it was run."""
    python = root / "engine/venv/bin/python"
    python.unlink()
    python.write_text("#!/bin/sh\necho it runs\n", encoding="utf-8")
    python.chmod(0o755)


def test_the_fact_is_asked_of_a_stack_that_is_roots(host: Host, fact: t.Callable[[], str]) -> None:
    a_python(host.install("trading"))
    assert fact() == "it runs\n"


@NEEDS_ROOT
@pytest.mark.parametrize("path", ["engine/venv/bin/python", "engine", "."])
def test_the_fact_runs_no_python_of_a_stranger(host: Host, fact: t.Callable[[], str], path: str) -> None:
    root = host.install("trading")
    a_python(root)
    os.chown(root / path, STRANGER, -1)

    assert fact() == '{"stacks": {}, "error": "no Python on this host can read the registries"}\n'


@NEEDS_ROOT
def test_the_fact_ignores_an_entry_of_a_stranger_with_a_word(host: Host) -> None:
    (host.install("trading") / "ports.json").write_text('{"rollcall": 1, "services": {}}', encoding="utf-8")
    os.lchown(host.stacks / "trading", STRANGER, -1)
    command = ["sh", str(FILES / "rollcall.fact"), str(host.stacks)]

    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=BOUND).stdout

    error = f"{host.stacks}/trading belongs neither to root nor to whoever asks"
    assert json.loads(said) == {"stacks": {"trading": {"error": error}}}


def test_the_fact_looks_for_the_same_as_the_command() -> None:
    """Each stands alone on a host, so each has this function."""

    def function(name: str) -> str:
        text = (FILES / name).read_text(encoding="utf-8")
        return text[text.index("exposed() {") : text.index("\n}\n", text.index("exposed() {"))]

    assert function("rollcall") == function("rollcall.fact")


@NEEDS_ROOT
@pytest.mark.parametrize("closed", ["roots", "roots/trading", "roots/trading/bin"])
@pytest.mark.parametrize("named", [(), ("--stack", "trading")])
def test_who_may_not_look_into_a_stack_is_told_so_and_what_to_type(
    host: Host, closed: str, named: t.Tuple[str, ...]
) -> None:
    for above in (host.place, *host.place.parents):
        if above.stat().st_uid == 0 and not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)
    host.install("trading")
    (host.place / closed).chmod(0o700)
    asked = [
        "setpriv",
        f"--reuid={STRANGER}",
        f"--regid={STRANGER}",
        "--clear-groups",
        "sh",
        str(host.place / "rollcall"),
    ]
    done = subprocess.run(
        [*asked, *named, "status"], capture_output=True, text=True, check=False, timeout=BOUND, cwd="/"
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"rollcall: user {STRANGER} may not look into the directories of stack 'trading'.\n"
        "  next: sudo rollcall --stack trading status\n"
    )
    assert host.call("--stack", "trading", "status").stdout == "trading runs status\n"


def test_a_stack_that_was_removed_is_not_one_that_may_not_be_looked_into(host: Host) -> None:
    (host.stacks / "gone").symlink_to(host.place / "nowhere" / "at-all")
    host.install("trading")
    assert host.call("status").stdout == "trading runs status\n"
    assert (
        host.call("--stack", "gone", "status").stderr == "rollcall: no stack 'gone' on this host. There are:\ntrading\n"
    )
