# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor, as root, looks into of other users' supervisords: with their rights, and within limits."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import typing as t
from pathlib import Path

import pytest

from tests.support.commands import rollcall
from tests.support.impostors import EVE, answers_of, impostor
from tests.support.peers import unix_peer
from tests.support.processes import eventually
from tests.support.stacks import StackUnderTest, stack, two_services

pytestmark = [
    pytest.mark.usefixtures("bystander"),
    pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user"),
]

SECRET = "s3cr3t-of-root"


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        yield made


@pytest.fixture
def eves() -> t.Iterator[Path]:
    """A directory of the stranger's."""
    place = Path(tempfile.mkdtemp(prefix="eve-"))
    os.chown(place, EVE, EVE)
    try:
        yield place
    finally:
        shutil.rmtree(place)


def row_of(running: StackUnderTest, pid: int) -> dict[str, t.Any]:
    """Return what the doctor says of a supervisord; all of it comes in time, and nothing is wrong with the stack."""
    said = rollcall(running, "doctor", "--json")
    assert said.seconds < said.data["limit"]
    assert said.code == 0, said.out
    # What root may not look into, as pid 1 of a container's host, is no matter of this test.
    found = [one for one in said.data["findings"] if one["data"].get("ours", True) and one["name"] != "unseen"]
    assert found == []
    assert SECRET not in said.out + said.err
    return next(row for row in said.data["supervisors"] if row["pid"] == pid)


def test_the_command_line_of_a_stranger_is_listed_and_no_finding(running: StackUnderTest) -> None:
    with impostor(running.paths.config, EVE) as stranger:
        row = row_of(running, stranger.pid)
    assert (row["ours"], row["answers"], row["socket"]) == (False, False, None)
    assert f"user {EVE} may not run this stack" in row["detail"]


@pytest.mark.parametrize("how", ["named", "linked", "included"])
def test_a_file_that_only_root_may_read_is_not_read_for_a_stranger(
    running: StackUnderTest, eves: Path, how: str
) -> None:
    os.chmod(running.root, 0o755)
    secret = Path(running.root, "shadow")
    secret.write_text(f"{SECRET}:*:1:\n[unix_http_server]\nfile=/tmp/{SECRET}\n", encoding="utf-8")
    secret.chmod(0o600)
    config = eves / "supervisord.conf"
    if how == "linked":
        config.symlink_to(secret)
    elif how == "included":
        config.write_text(f"[include]\nfiles={secret}\n", encoding="utf-8")
    with impostor(str(secret if how == "named" else config), EVE) as stranger:
        row = row_of(running, stranger.pid)
    assert row["socket"] is None
    assert "Permission denied" in row["detail"]


def test_no_line_of_a_file_that_is_no_config_is_quoted(running: StackUnderTest, eves: Path) -> None:
    config = eves / "supervisord.conf"
    config.write_text(f"{SECRET}\n[a\n", encoding="utf-8")
    with impostor(str(config), EVE) as stranger:
        assert f"{config} is no config of supervisord: line 1" in row_of(running, stranger.pid)["detail"]
    # One of root's own is not quoted either.
    with impostor(str(config), 0) as own:
        assert f"{config} is no config of supervisord: line 1" in row_of(running, own.pid)["detail"]


@pytest.mark.parametrize("what", ["files of everybody", "a pipe", "a device", "itself, large", "itself, slow"])
def test_a_config_that_is_made_to_take_for_ever_is_given_up(running: StackUnderTest, eves: Path, what: str) -> None:
    config = eves / "supervisord.conf"
    if what == "files of everybody":
        config.write_text(f"[include]\nfiles={'/*/*/*/*/*/*/*/* ' * 1000}\n", encoding="utf-8")
    elif what == "a pipe":
        os.mkfifo(config)
        os.chmod(config, 0o666)
    elif what == "a device":
        config.symlink_to("/dev/zero")
    elif what == "itself, large":
        with config.open("w", encoding="utf-8") as stream:
            stream.truncate(1 << 40)
    else:
        # The parser goes through the blanks of a line again for each of them.
        config.write_text(f"[a]\nb{' ' * 200_000}c\n", encoding="utf-8")
    with impostor(str(config), EVE) as stranger:
        assert row_of(running, stranger.pid)["socket"] is None


def test_a_socket_that_is_roots_alone_is_not_connected_to_for_a_stranger(running: StackUnderTest, eves: Path) -> None:
    place = os.path.join(running.root, "roots.sock")
    config = eves / "supervisord.conf"
    config.write_text(f"[unix_http_server]\nfile={place}\n", encoding="utf-8")
    connected: list[socket.socket] = []
    with unix_peer(place, connected.append), impostor(str(config), EVE) as stranger:
        os.chmod(place, 0o600)
        row = row_of(running, stranger.pid)
    assert connected == []
    assert (row["socket"], row["answers"]) == (place, False)


def test_a_stranger_that_answers_is_asked_as_himself(running: StackUnderTest, eves: Path) -> None:
    config = eves / "supervisord.conf"
    config.write_text(f"[unix_http_server]\nfile={eves}/s.sock\n", encoding="utf-8")
    with impostor(str(config), EVE, socket_path=f"{eves}/s.sock", answers=answers_of()) as stranger:
        # On a busy machine it may not come to answer within the second that it has.
        assert eventually(lambda: bool(row_of(running, stranger.pid)["answers"]))
        assert row_of(running, stranger.pid)["pidfile"] is None


def test_a_bomb_as_an_answer_of_a_stranger_is_none(running: StackUnderTest, eves: Path) -> None:
    config = eves / "supervisord.conf"
    config.write_text(f"[unix_http_server]\nfile={eves}/s.sock\n", encoding="utf-8")
    bomb = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaaaaaaaa'>" + "<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]><x>&b;</x>"

    def explode(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(bomb)}\r\n\r\n{bomb}".encode())

    with unix_peer(f"{eves}/s.sock", explode), impostor(str(config), EVE) as stranger:
        os.chmod(f"{eves}/s.sock", 0o777)
        row = row_of(running, stranger.pid)
    assert row["answers"] is False
    assert "does not speak supervisord's XML-RPC" in row["detail"]


def test_a_stranger_whose_config_names_the_paths_of_the_stack_is_no_finding(
    running: StackUnderTest, eves: Path
) -> None:
    config = eves / "supervisord.conf"
    text = f"[unix_http_server]\nfile={running.paths.socket}\n[supervisord]\npidfile={running.paths.pidfile}\n"
    config.write_text(text, encoding="utf-8")
    with impostor(str(config), EVE) as stranger:
        assert row_of(running, stranger.pid)["socket"] == running.paths.socket


def test_of_a_crowd_of_strangers_only_the_first_are_looked_into(running: StackUnderTest, eves: Path) -> None:
    config = eves / "supervisord.conf"
    os.mkfifo(config)
    with contextlib.ExitStack() as crowd:
        for _unused in range(53):
            crowd.enter_context(impostor(str(config), EVE))
        said = rollcall(running, "doctor", "--json")
    assert said.code == 0, said.out
    details = [row["detail"] for row in said.data["supervisors"] if row["config"] == str(config)]
    left_out = sum("it was not looked into" in detail for detail in details)
    # A test beside this one may have strangers of its own.
    assert 3 <= left_out < 10
    assert sum("no regular file" in detail for detail in details) == 53 - left_out


def test_an_include_without_an_end_of_a_supervisord_of_roots_is_given_up(
    running: StackUnderTest, tmp_path: Path
) -> None:
    for number in range(10):
        (tmp_path / f"l{number}").symlink_to(".")
    config = tmp_path / "supervisord.conf"
    config.write_text(f"[include]\nfiles={'l*/' * 30}none\n", encoding="utf-8")
    with impostor(str(config), 0) as other:
        row = row_of(running, other.pid)
    assert row["detail"] == f"{config} could not be read in time"
