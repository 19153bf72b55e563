# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials are delivered where the stack's user can put anything in the way, and reach nothing else."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import undo
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.deliveries import Deliveries, deliver

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
USER, EVE = "nobody", 60123
FEED = "credentials/feed"


class Place:
    """A root with a state directory, and a file of root's that nobody may get at."""

    def __init__(self, above: Path) -> None:
        self.above, self.root = above, above / "root"
        self.user = pwd.getpwnam(USER)
        self.target = above / "roots"
        for directory in (self.root, self.root / "state", self.target):
            directory.mkdir(mode=0o755)
        (self.target / "feed").write_text("root's own", encoding="utf-8")
        (self.target / "feed").chmod(0o600)

    def deliver(self, content: t.Optional[str], path: str = FEED, **more: t.Any) -> t.List[str]:
        return Deliveries(str(self.root), str(self.root / "state"), USER).deliver({path: content}, **more)

    def refused(self, content: t.Optional[str], path: str = FEED) -> RollcallError:
        with pytest.raises(RollcallError) as told:
            self.deliver(content, path)
        return told.value

    def is_untouched(self) -> bool:
        seen, above = (self.target / "feed").stat(), self.target.stat()
        known = (seen.st_uid, stat.S_IMODE(seen.st_mode), above.st_uid, stat.S_IMODE(above.st_mode))
        text = (self.target / "feed").read_text(encoding="utf-8")
        return (known, text, os.listdir(self.target)) == ((0, 0o600, 0, 0o755), "root's own", ["feed"])

    def in_place(self) -> t.Tuple[str, int, int]:
        """Return content, owner and mode of the file, which is none that a link leads to."""
        seen = (self.root / FEED).lstat()
        assert stat.S_ISREG(seen.st_mode)
        return (self.root / FEED).read_text(encoding="utf-8"), seen.st_uid, stat.S_IMODE(seen.st_mode)

    @property
    def delivered(self) -> t.Tuple[str, int, int]:
        return "secret", self.user.pw_uid, 0o600


@pytest.fixture
def place() -> t.Iterator[Place]:
    above = Path(tempfile.mkdtemp(prefix="dl-"))
    above.chmod(0o755)
    yield Place(above)
    shutil.rmtree(above)


def test_a_file_is_delivered_once_and_its_directory_is_the_users(place: Place) -> None:
    assert place.deliver("secret", dry_run=True) == [FEED]
    assert sorted(os.listdir(place.root)) == ["state"]
    assert place.deliver("secret") == [FEED]
    assert place.in_place() == place.delivered
    seen = (place.root / "credentials").stat()
    assert (seen.st_uid, stat.S_IMODE(seen.st_mode)) == (place.user.pw_uid, 0o700)
    assert place.deliver("secret") == []
    (place.root / FEED).chmod(0o644)
    assert place.deliver("secret") == [FEED]
    assert place.deliver(None) == [FEED]
    assert (place.deliver(None), os.listdir(place.root / "credentials")) == ([], [])


def test_check_mode_says_what_an_install_would_deliver_where_nothing_is_yet(place: Place) -> None:
    nowhere = str(place.root / "not" / "there")
    files = {FEED: "secret", "credentials/old": None}

    assert deliver(nowhere, f"{nowhere}/state", USER, files, dry_run=True) == [FEED]
    assert deliver(str(place.root), str(place.root / "state"), "no-such-user", files, dry_run=True) == [FEED]
    with pytest.raises(RollcallError) as told:
        deliver(nowhere, f"{nowhere}/state", USER, files)
    assert (told.value.kind, told.value.remedies) == ("wrong_use", (cures.INSTALL,))
    assert deliver(nowhere, f"{nowhere}/state", USER, {}) == []
    assert os.listdir(place.root) == ["state"]


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(place: Place) -> None:
    place.deliver("first")
    (place.root / FEED).unlink()
    (place.root / FEED).symlink_to(place.target / "feed")

    assert place.deliver("secret") == [FEED]

    assert place.in_place() == place.delivered
    assert place.is_untouched()


def test_a_link_in_the_place_of_a_file_is_what_null_takes_away(place: Place) -> None:
    place.deliver("first")
    (place.root / FEED).unlink()
    (place.root / FEED).symlink_to(place.target / "feed")

    assert place.deliver(None) == [FEED]

    assert not os.path.lexists(place.root / FEED)
    assert place.is_untouched()


@pytest.mark.parametrize("content", ["secret", None])
@pytest.mark.parametrize("deep", ["credentials", "credentials/a", "credentials/a/b"])
def test_a_link_in_the_place_of_a_directory_is_refused(place: Place, deep: str, content: t.Optional[str]) -> None:
    path = "credentials/a/b/feed"
    place.deliver("first", path)
    (place.root / deep).rename(place.root / "credentials.old" if deep == "credentials" else place.root / "moved")
    (place.root / deep).symlink_to(place.target)

    told = place.refused(content, path)

    assert (told.kind, told.evidence["path"]) == ("refused", str(place.root / deep))
    assert place.is_untouched()


@pytest.mark.parametrize("kind", ["fifo", "device", "socket"])
def test_what_is_no_file_is_replaced_and_nobody_waits_for_it(place: Place, kind: str) -> None:
    place.deliver("first")
    (place.root / FEED).unlink()
    if kind == "fifo":
        os.mkfifo(place.root / FEED)
    elif kind == "device":
        os.mknod(place.root / FEED, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    else:
        os.mknod(place.root / FEED, 0o600 | stat.S_IFSOCK)

    assert place.deliver("secret") == [FEED]
    assert place.in_place() == place.delivered


def test_a_second_name_of_roots_file_is_not_given_away(place: Place) -> None:
    place.deliver("first")
    (place.root / FEED).unlink()
    os.link(place.target / "feed", place.root / FEED)

    assert place.deliver("secret") == [FEED]

    assert place.in_place() == place.delivered
    assert place.is_untouched()


def test_a_directory_of_another_user_is_neither_taken_nor_written_to(place: Place) -> None:
    (place.root / "certs").mkdir(mode=0o755)
    os.chown(place.root / "certs", EVE, EVE)

    told = place.refused("secret", "certs/feed")

    assert (told.kind, told.remedies[0]) == ("refused", cures.give(USER, str(place.root / "certs")))
    assert ((place.root / "certs").stat().st_uid, os.listdir(place.root / "certs")) == (EVE, [])


def test_a_directory_of_roots_stays_roots_and_the_file_is_the_users(place: Place) -> None:
    (place.root / "certs").mkdir(mode=0o755)

    for content in ("first", "secret"):
        assert place.deliver(content, "certs/feed") == ["certs/feed"]

    seen = (place.root / "certs").stat()
    assert (seen.st_uid, stat.S_IMODE(seen.st_mode)) == (0, 0o755)
    assert (place.root / "certs" / "feed").stat().st_uid == place.user.pw_uid


@pytest.mark.parametrize(
    "path", ["engine/x", "bin/rollcall", "state/x", "generations/x", "a", "/a/b", "a/../b", "a//b"]
)
def test_nothing_is_delivered_among_rollcalls_own_files_or_out_of_the_root(place: Place, path: str) -> None:
    assert place.refused("secret", path).kind == "wrong_use"
    assert place.refused(None, path).kind == "wrong_use"


def test_nothing_is_delivered_to_a_root_that_others_can_change(place: Place) -> None:
    os.chown(place.root, place.user.pw_uid, -1)

    assert place.refused("secret").remedies == (cures.trust("root", str(place.root)),)
    assert os.listdir(place.root) == ["state"]


def test_a_directory_that_was_made_here_follows_the_stack_to_another_user(place: Place) -> None:
    place.deliver("secret")
    other = next(one for one in pwd.getpwall() if one.pw_uid not in (0, place.user.pw_uid))

    changed = Deliveries(str(place.root), str(place.root / "state"), other.pw_name).deliver({FEED: "secret"})

    assert changed == [FEED]
    assert {(place.root / name).stat().st_uid for name in ("credentials", FEED)} == {other.pw_uid}


# Swaps what is in its directory as fast as it can, as the services' user.
SWAP = """
import os, sys
os.setgroups([]), os.setgid(int(sys.argv[2])), os.setuid(int(sys.argv[2]))
os.chdir(sys.argv[1])
print(flush=True)
while True:
    for name in os.listdir("."):
        try:
            os.unlink(name)
            os.symlink(sys.argv[3], name)
            os.unlink(name)
            os.link("../credentials.old", name)
        except OSError:
            pass
"""


@pytest.mark.parametrize("content", ["secret", None])
def test_who_is_quicker_than_root_gains_nothing(place: Place, content: t.Optional[str]) -> None:
    place.deliver("first")
    swapping = [sys.executable, "-c", SWAP, str(place.root / "credentials"), str(place.user.pw_uid)]
    process = subprocess.Popen([*swapping, str(place.target / "feed")], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        for _unused in range(60):
            with contextlib.suppress(OSError):
                place.deliver(content)
                place.deliver("other")
    finally:
        process.kill()
        process.communicate()
    assert place.is_untouched()


@pytest.mark.parametrize("before", ["file", "link", "none"])
@pytest.mark.parametrize("content", ["secret", None])
def test_a_run_that_goes_back_has_what_was_there(place: Place, before: str, content: t.Optional[str]) -> None:
    place.deliver("first")
    undo.forget(str(place.root / "state"))
    if before != "file":
        (place.root / FEED).unlink()
    if before == "link":
        (place.root / FEED).symlink_to("elsewhere")
    if not place.deliver(content):
        assert (before, content) == ("none", None)
        return

    (back,) = undo.take_back(str(place.root / "state"))

    assert back == (True, f"the file {FEED} was taken back")
    if before == "file":
        assert place.in_place() == ("first", place.user.pw_uid, 0o600)
    elif before == "link":
        assert os.readlink(place.root / FEED) == "elsewhere"
    else:
        assert not os.path.lexists(place.root / FEED)
    assert undo.kept(str(place.root / "state")) == []


@pytest.mark.parametrize("content", ["secret", None])
@pytest.mark.parametrize("swapped", ["credentials", FEED])
def test_the_way_back_follows_no_link_either(place: Place, swapped: str, content: t.Optional[str]) -> None:
    place.deliver("first")
    undo.forget(str(place.root / "state"))
    place.deliver(content)
    if os.path.lexists(place.root / swapped):
        (place.root / swapped).rename(place.root / "moved")
    (place.root / swapped).symlink_to(place.target if swapped == "credentials" else place.target / "feed")

    (back,) = undo.take_back(str(place.root / "state"))

    assert back.ok == (swapped == FEED)
    assert place.is_untouched()
