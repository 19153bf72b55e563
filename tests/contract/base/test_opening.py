# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is opened in directories that others may write to, and what never is: links, pipes, devices, files of others."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import opening
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.files import write_atomically
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.opening import (
    FOREIGN,
    KIND,
    LINK,
    SIZE,
    NotPlain,
    OpenDirectory,
    open_followed,
    open_plain,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import readable_by
from tests.support.namespaces import NOBODY, as_nobody

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="files of several users")
MOST = 1024
TERABYTE = 1 << 40


@pytest.fixture
def theirs() -> t.Iterator[Path]:
    """A directory of the user nobody, reached through directories of root's alone, with a file of theirs in it."""
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        made = Path(top, "logs")
        made.mkdir()
        (made / "web.log").write_text("theirs", encoding="utf-8")
        if os.geteuid() == 0:
            os.chown(made, NOBODY, NOBODY)
            os.chown(made / "web.log", NOBODY, NOBODY)
        yield made


def secret_beside(theirs: Path) -> Path:
    """A file of root's alone beside that directory."""
    made = theirs.parent / "shadow"
    made.write_text("secret", encoding="utf-8")
    made.chmod(0o600)
    return made


def put(place: Path, what: str) -> None:
    """Put something that is no file of theirs into a place."""
    if what == "link":
        place.symlink_to(secret_beside(place.parent))
    elif what == "link to their own":
        place.symlink_to("web.log")
    elif what == "hard link":
        os.link(secret_beside(place.parent), place)
    elif what == "pipe":
        os.mkfifo(place)
    elif what == "directory":
        place.mkdir()
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(place))
    elif what == "endless device":
        os.mknod(place, 0o20666, os.makedev(1, 5))


REASONS = {
    "link": LINK,
    "link to their own": LINK,
    "hard link": FOREIGN,
    "pipe": KIND,
    "directory": KIND,
    "socket": KIND,
    "endless device": KIND,
}


def test_a_file_is_read_by_its_name_and_by_its_path(theirs: Path) -> None:
    with OpenDirectory(str(theirs), readable_by("nobody")) as place:
        assert place.read("web.log", MOST) == b"theirs"
        assert place.names() == ["web.log"]
        assert place.status("web.log").st_size == 6
        with pytest.raises(FileNotFoundError) as told:
            place.read("none.log", MOST)
        assert told.value.filename == str(theirs / "none.log")
    descriptor = open_plain(str(theirs / "web.log"), readable_by("nobody"))
    assert os.read(descriptor, MOST) == b"theirs"
    os.close(descriptor)


@ROOT_ONLY
@pytest.mark.parametrize("what", REASONS)
def test_whatever_else_is_in_a_files_place_is_not_opened(theirs: Path, what: str) -> None:
    put(theirs / "api.log", what)
    before = set(os.listdir("/proc/self/fd"))
    with OpenDirectory(str(theirs), readable_by("nobody")) as place, pytest.raises(NotPlain) as told:
        place.read("api.log", MOST)
    assert (told.value.reason, told.value.filename) == (REASONS[what], str(theirs / "api.log"))
    assert set(os.listdir("/proc/self/fd")) == before


@ROOT_ONLY
@pytest.mark.parametrize("what", ["pipe", "directory", "socket", "endless device"])
def test_what_a_link_leads_to_is_opened_only_when_it_is_a_file(theirs: Path, what: str) -> None:
    put(theirs / "api.log", what)
    (theirs / "link").symlink_to("api.log")
    with pytest.raises(NotPlain) as told:
        open_followed(str(theirs / "link"))
    assert told.value.reason == KIND
    (theirs / "file").symlink_to("web.log")
    descriptor = open_followed(str(theirs / "file"))
    assert os.read(descriptor, MOST) == b"theirs"
    os.close(descriptor)


@ROOT_ONLY
def test_a_second_name_stays_foreign_when_the_first_one_is_gone(theirs: Path) -> None:
    """Root writes its files anew: then the old one has a single name, and that is theirs."""
    secret = secret_beside(theirs)
    os.link(secret, theirs / "api.log")
    secret.unlink()
    assert (theirs / "api.log").stat().st_nlink == 1
    with pytest.raises(NotPlain) as told:
        open_plain(str(theirs / "api.log"), readable_by("nobody"))
    assert told.value.reason == FOREIGN


@ROOT_ONLY
@pytest.mark.parametrize(
    ("uid", "gid", "mode", "may"),
    [
        (NOBODY, 0, 0o600, True),
        (0, 0, 0o644, True),
        (0, NOBODY, 0o640, True),
        (0, NOBODY, 0o600, False),
        (0, 0, 0o640, False),
        (1, 1, 0o600, False),
    ],
)
def test_a_file_is_judged_by_its_owner_and_mode(tmp_path: Path, uid: int, gid: int, mode: int, may: bool) -> None:
    path = tmp_path / "file"
    path.touch()
    os.chown(path, uid, gid)
    path.chmod(mode)
    assert readable_by("nobody")(path.stat()) is may
    assert readable_by("root")(path.stat())
    assert readable_by(None)(path.stat())
    # Nobody has this account: what is left is for everybody.
    assert readable_by("gone-long-ago")(path.stat()) is bool(mode & 0o004)
    seen = path.stat()
    assert as_nobody(lambda: readable_by("root")(seen))


@ROOT_ONLY
def test_root_follows_no_link_of_others_on_the_way(theirs: Path) -> None:
    vault = theirs.parent / "vault"
    vault.mkdir()
    (vault / "web.log").write_text("secret", encoding="utf-8")
    (theirs / "logs").symlink_to(vault)
    os.chown(theirs / "logs", NOBODY, NOBODY, follow_symlinks=False)
    (theirs / "of-root").symlink_to(vault)
    for name in ("logs", "of-root"):
        with pytest.raises(NotPlain) as told:
            OpenDirectory(str(theirs / name))
        assert told.value.reason == LINK
        with pytest.raises(NotPlain):
            write_atomically(str(theirs / name / "web.log"), "new", 0o644)
    assert (vault / "web.log").read_text(encoding="utf-8") == "secret"
    # Who is not root can be led nowhere that they could not go themselves.
    assert as_nobody(lambda: os.listdir(opening.open_directory(str(theirs / "logs")))) == ["web.log"]


@ROOT_ONLY
def test_root_follows_its_own_links_on_the_way(theirs: Path) -> None:
    top = theirs.parent
    (top / "absolute").symlink_to(theirs)
    (top / "relative").symlink_to("./absolute/")
    (top / "deep").mkdir()
    (top / "deep" / "up").symlink_to("../relative")
    (top / "shared").mkdir()
    (top / "shared").chmod(0o1777)
    (top / "shared" / "logs").symlink_to(theirs)
    for way in ("absolute", "relative", "deep/up", "deep/../relative", "shared/logs"):
        with OpenDirectory(str(top / way)) as place:
            assert place.read("web.log", MOST) == b"theirs", way
    os.chown(top / "shared" / "logs", NOBODY, NOBODY, follow_symlinks=False)
    (top / "shared").chmod(0o777)
    with pytest.raises(NotPlain):
        OpenDirectory(str(top / "shared" / "logs"))


@ROOT_ONLY
def test_links_that_go_round_and_names_that_are_none_are_errors(theirs: Path) -> None:
    top = theirs.parent
    (top / "round").symlink_to("round")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        OpenDirectory(str(top / "round"))
    with pytest.raises(NotADirectoryError):
        OpenDirectory(str(theirs / "web.log"))
    with pytest.raises(FileNotFoundError):
        OpenDirectory(str(theirs / "none" / "below"))
    with OpenDirectory(str(theirs)) as place:
        for name in ("../shadow", "/etc/passwd", "..", ""):
            with pytest.raises(ValueError, match="no name in a directory"):
                place.open(name)


def test_a_directory_that_is_open_stays_the_one_it_was(theirs: Path) -> None:
    with OpenDirectory(str(theirs)) as place:
        theirs.rename(theirs.parent / "moved")
        theirs.mkdir()
        (theirs / "web.log").write_text("another", encoding="utf-8")
        assert place.read("web.log", MOST) == b"theirs"


def test_what_is_put_in_place_after_a_look_is_judged_anew(theirs: Path) -> None:
    with OpenDirectory(str(theirs)) as place:
        assert place.status("web.log").st_size == 6
        (theirs / "web.log").unlink()
        (theirs / "web.log").symlink_to(secret_beside(theirs))
        with pytest.raises(NotPlain):
            place.open("web.log")


def test_a_file_that_is_too_large_is_told_without_reading_it(theirs: Path) -> None:
    os.truncate(theirs / "web.log", TERABYTE)
    with OpenDirectory(str(theirs)) as place, pytest.raises(NotPlain, match="larger than 1024 bytes") as told:
        place.read("web.log", MOST)
    assert told.value.reason == SIZE


def test_a_new_file_is_made_where_nothing_was(theirs: Path) -> None:
    secret = secret_beside(theirs)
    (theirs / "taken").symlink_to(secret)
    with OpenDirectory(str(theirs)) as place:
        descriptor = place.create("new", 0o600)
        os.write(descriptor, b"mine")
        os.close(descriptor)
        assert place.read("new", MOST) == b"mine"
        with pytest.raises(FileExistsError):
            place.create("taken", 0o600)
    assert secret.read_text(encoding="utf-8") == "secret"


def test_a_link_in_the_place_of_what_is_written_is_replaced_and_not_followed(theirs: Path) -> None:
    secret = secret_beside(theirs)
    (theirs / "record").symlink_to(secret)
    write_atomically(str(theirs / "record"), "new", 0o600)
    assert (theirs / "record").read_text(encoding="utf-8") == "new"
    with pytest.raises(IsADirectoryError) as told:
        write_atomically(str(theirs), "new", 0o600)
    assert told.value.filename == str(theirs)
    assert [path.name for path in sorted(theirs.parent.iterdir())] == ["logs", "shadow"]
    assert secret.read_text(encoding="utf-8") == "secret"


@ROOT_ONLY
def test_a_directory_that_is_swapped_for_a_link_again_and_again_leads_no_writer_away(theirs: Path) -> None:
    vault = theirs.parent / "vault"
    vault.mkdir()
    real, link = theirs / "real", theirs / "link"
    real.mkdir()
    link.symlink_to(vault)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for name in (real, link):
                os.rename(name, theirs / "now")
                os.rename(theirs / "now", name)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for _number in range(300):
            with contextlib.suppress(OSError):
                write_atomically(str(theirs / "now" / "record"), "new", 0o600)
    finally:
        done.set()
        swapping.join()
    assert os.listdir(vault) == []
    assert os.listdir(real) in ([], ["record"])
