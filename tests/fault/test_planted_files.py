# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user of the services puts something else into the place of a file that root looks at.

Nothing of root's is ever shown or changed, nothing hangs or grows, and what is there is named with the command that
puts it right.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.opening import NotPlain
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor import lost_logs, own_paths
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import readable_by
from ansible_collections.rollcall.supervisor.plugins.module_utils.programs import execution
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.log_marks import LogMark
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.log_spans import Held, LogFiles, span_since
from tests.support.cases import ordinary
from tests.support.commands import Said, rollcall
from tests.support.interpreters import own_interpreter, python_of_all
from tests.support.namespaces import NOBODY
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack

pytestmark = [
    pytest.mark.usefixtures("bystander"),
    pytest.mark.skipif(os.geteuid() != 0 or python_of_all() is None, reason="takes on another user"),
]

SECRET = "root:$y$j9T$never-to-be-seen"
TERABYTE = 1 << 40
# Address space that a look has: many times what it needs, and far less than an endless file would take.
MEMORY = 1 << 30


@contextlib.contextmanager
def of_nobody() -> t.Iterator[StackUnderTest]:
    """Make a stack that root has installed, and whose services nobody runs."""
    python = python_of_all()
    assert python is not None
    with stack({"web": {"secrets": {"TOKEN": "t"}}, "worker": {}}, user="nobody") as one:
        own_interpreter(one, python)
        os.unlink(one.program)
        os.symlink(python, one.program)
        os.chmod(one.root, 0o755)
        for path in (one.paths.run, one.paths.logs):
            os.chown(path, NOBODY, NOBODY)
        report = one.perform()
        assert report["ok"], failed_checks(report)
        yield one


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    with of_nobody() as one:
        yield one


@pytest.fixture(scope="module")
def lasting() -> t.Iterator[StackUnderTest]:
    """One for tests that put everything right again."""
    with of_nobody() as one:
        yield one


@pytest.fixture
def secret() -> t.Iterator[Path]:
    """A file of root's alone, on the file system of the stack."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "shadow")
        path.write_text(f"{SECRET}\nCRITICAL {SECRET}\n", encoding="utf-8")
        path.chmod(0o600)
        yield path


def plant(place: Path, what: str, secret: Path) -> None:
    """Put something into the place of a file, as its directory's owner can."""
    place.unlink(missing_ok=True)
    if what == "link":
        place.symlink_to(secret)
    elif what == "hard link":
        os.link(secret, place)
    elif what == "lone hard link":
        os.link(secret, place)
        # As root writes its files: anew, and renamed.
        secret.rename(secret.with_name("old"))
        secret.with_name("old").unlink()
        secret.write_text(SECRET, encoding="utf-8")
    elif what == "link to a link":
        place.with_name("between").symlink_to(secret)
        place.symlink_to("between")
    elif what == "pipe":
        os.mkfifo(place)
    elif what == "endless device":
        place.symlink_to("/dev/zero")
    elif what == "directory":
        place.mkdir()
    elif what == "terabyte":
        place.touch()
        os.truncate(place, TERABYTE)
    elif what == "deep JSON":
        place.write_text("[" * 100_000 + "]" * 100_000, encoding="utf-8")
    elif what == "huge number":
        place.write_text('{"A": ' + "9" * 5000 + "}", encoding="utf-8")
    elif what == "infinite number":
        place.write_text('{"A": 1e999}', encoding="utf-8")


def looks(made: StackUnderTest, *more: str) -> t.List[Said]:
    """Return what the looks of root say, each with little memory."""
    said = []
    for words in (("status", "--json"), ("verify", "--json"), ("doctor", "--json"), *(word.split() for word in more)):
        command = ["prlimit", f"--as={MEMORY}", made.command, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        said.append(Said(done.returncode, done.stdout, done.stderr, 0.0))
    return said


def shown(said: t.Iterable[Said]) -> str:
    return "".join(one.out + one.err for one in said)


def follow(cure: str) -> None:
    subprocess.run(["sh", "-c", cure], check=True, timeout=100)


# --- what root types then ---------------------------------------------------------------------------------------------


def test_what_was_put_in_the_way_of_a_printed_command_gets_nothing_of_roots(made: StackUnderTest) -> None:
    log = Path(made.paths.logs, "web.log")
    elsewhere = Path(made.root, "of-root")
    elsewhere.mkdir()
    log.unlink()
    os.mkfifo(log)
    os.chown(log, NOBODY, NOBODY)
    moving = check_of(rollcall(made, "verify", "--json").data, "logs", "web")["next"]
    log.with_name("web.log.saved").symlink_to(elsewhere)
    follow(moving)
    assert (os.listdir(elsewhere), log.exists()) == ([], False), "moved into a directory of root's"


def test_a_log_that_became_a_link_since_the_look_is_not_followed(made: StackUnderTest, secret: Path) -> None:
    log = Path(made.paths.logs, "web.log")
    log.write_bytes(b"")
    os.truncate(log, 1 << 31)
    log.chmod(0o444)
    os.chown(log, NOBODY, NOBODY)
    findings = rollcall(made, "doctor", "--json").data["findings"]
    printed = sorted({one["cure"] for one in findings if one["subject"] == str(log)})
    words = " -- chmod u+w ", " -- truncate -s 0 "
    assert [word in cure for word, cure in zip(words, printed)] == [True, True], findings
    log.unlink()
    log.symlink_to(secret)
    before = secret.stat()
    for cure in printed:
        subprocess.run(["sh", "-c", cure], check=False, timeout=100)
    after = secret.stat()
    assert (after.st_uid, after.st_mode, after.st_size) == (0, before.st_mode, before.st_size)
    # Where nothing was put in the way, they do what they say.
    log.unlink()
    log.write_bytes(b"x" * 10)
    log.chmod(0o444)
    os.chown(log, NOBODY, NOBODY)
    for cure in printed:
        follow(cure)
    assert (log.stat().st_size, log.stat().st_mode & 0o777) == (0, 0o644)


# --- logs -------------------------------------------------------------------------------------------------------------

LOGS = ["link", "hard link", "lone hard link", "link to a link", "pipe", "endless device", "directory"]


@pytest.mark.parametrize("what", ordinary(LOGS, "link", "lone hard link", "endless device"))
def test_what_is_in_the_place_of_a_log_is_named_and_never_shown(made: StackUnderTest, secret: Path, what: str) -> None:
    log = Path(made.paths.logs, "web.log")
    # A service that fails has its last lines in the report.
    made.raw["services"]["web"]["env"] = {"EXIT": "3"}
    plant(log, what, secret)
    said = looks(made, "restart --json", "history --json")
    assert SECRET not in shown(said)
    check = check_of(said[1].data, "logs", "web")
    assert (check["code"], check["next"]) == ("unfit", f"mv -T {log} {log}.saved")
    with pytest.raises(RollcallError) as told:
        made.perform()
    assert SECRET not in json.dumps(told.value.as_dict())
    assert secret.stat().st_uid == 0
    # Until the printed commands were run; the last one says that nobody has to know what else was written there.
    follow(check["next"])
    assert rollcall(made, "doctor", "--fix").code in (0, 1, 2)
    assert rollcall(made, "acknowledge").code == 0
    assert check_of(rollcall(made, "verify", "--json").data, "logs", "web")["ok"]
    assert os.stat(log).st_uid == NOBODY


def test_a_failing_service_that_swaps_its_log_for_a_link_shows_none_of_what_it_leads_to(
    made: StackUnderTest, secret: Path
) -> None:
    log = Path(made.paths.logs, "web.log")
    log.rename(log.with_name("web.log.1"))
    log.symlink_to(secret)
    log.with_name("web.log.2").symlink_to(secret)
    os.link(secret, log.with_name("web.log.3"))
    os.kill(made.pids()["web"], signal.SIGKILL)
    assert SECRET not in shown(looks(made, "restart --json", "start --json"))


def test_no_cure_gives_a_file_of_roots_away_or_empties_it(made: StackUnderTest, secret: Path) -> None:
    """The finding of a log that others may not write to says chown, and that of a long log says truncate."""
    os.truncate(secret, 1 << 30)
    for service, what in (("web", "link"), ("worker", "hard link")):
        plant(Path(made.paths.logs, f"{service}.log"), what, secret)
    text = shown(looks(made))
    assert "may not be for user nobody" in text
    assert "chown" not in text
    assert "truncate" not in text
    installed = made.generation().stack
    assert [one.size for one in own_paths.log_files(installed) if one.path.endswith(("web.log", "worker.log"))] == [
        0,
        0,
    ]


def test_what_a_supervisord_has_open_is_read_only_when_its_user_may(made: StackUnderTest, secret: Path) -> None:
    """With O_PATH everybody gets a descriptor of every file whose directory they may search."""
    log = os.path.join(made.paths.logs, "web.log")
    held = os.open(secret, os.O_PATH)
    inode = secret.stat().st_ino
    try:
        one = Held(inode, log, f"/proc/self/fd/{held}")
        logs = LogFiles([one], readable_by("nobody"))
        span = span_since(log, LogMark(inode=inode), logs, 0.0)
        assert inode not in [piece.inode for piece in span.pieces]
        with pytest.raises(NotPlain):
            logs.open(one.path)
        logs.close()
        with pytest.raises(NotPlain):
            lost_logs._Copy(os.path.join(made.paths.logs, "new.log"), one, readable_by("nobody"))
        assert not os.path.exists(os.path.join(made.paths.logs, "new.log"))
    finally:
        os.close(held)


def test_a_deleted_log_that_is_put_back_is_written_to_no_other_place(made: StackUnderTest, secret: Path) -> None:
    log = Path(made.paths.logs, "web.log")
    with log.open("rb") as old:
        held = Held(os.fstat(old.fileno()).st_ino, str(log), f"/proc/self/fd/{old.fileno()}")
        log.unlink()
        copy = lost_logs._Copy(str(log), held, readable_by("nobody"))
        log.unlink()
        log.symlink_to(secret)
        with open(f"/proc/self/fd/{old.fileno()}", "ab") as more:
            more.write(b"* * * * * nobody from-the-log\n")
        copy.finish()
    assert "from-the-log" not in secret.read_text(encoding="utf-8")


def test_a_log_that_claims_a_size_is_not_copied(made: StackUnderTest) -> None:
    log = Path(made.paths.logs, "web.log")
    os.truncate(log, TERABYTE)
    with log.open("rb") as old:
        held = Held(os.fstat(old.fileno()).st_ino, str(log), f"/proc/self/fd/{old.fileno()}")
        log.unlink()
        with pytest.raises(NotPlain, match="larger"):
            lost_logs._Copy(str(log), held, readable_by("nobody"))
    assert not log.exists()


@pytest.mark.parametrize("what", ordinary(["link", "pipe", "endless device", "directory"], "link", "pipe"))
def test_the_log_of_supervisord_itself_leads_nowhere(lasting: StackUnderTest, secret: Path, what: str) -> None:
    places = [Path(lasting.paths.logs, name) for name in ("supervisord.log", "supervisord.out")]
    for place in places:
        plant(place, what, secret)
    text = shown(looks(lasting))
    for place in places:
        follow(f"rm -r {place}")
    assert SECRET not in text
    assert f"mv -T {lasting.paths.logs}/supervisord.log" in text


def test_a_directory_of_logs_that_others_lead_elsewhere_is_named(secret: Path) -> None:
    """``paths.logs`` lies below a directory of the services' user, who puts a link into its place."""
    (secret.parent / "web.log").write_text(SECRET, encoding="utf-8")
    (secret.parent / "web.log").chmod(0o600)
    with tempfile.TemporaryDirectory() as top:
        os.chown(top, NOBODY, NOBODY)
        link = Path(top, "logs")
        link.symlink_to(secret.parent)
        os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
        logs = LogFiles([], readable_by("nobody"))
        with pytest.raises(NotPlain) as told:
            span_since(str(link / "web.log"), LogMark(), logs, 0.0)
        assert told.value.path == str(link)


def test_a_supervisord_that_names_somebody_elses_file_as_a_log_shows_none_of_it(tmp_path: Path, secret: Path) -> None:
    """The module supervisor_program speaks with any supervisord, and that says itself where the logs are."""
    place = tmp_path / "socket"
    place.touch()
    os.chown(place, NOBODY, NOBODY)
    judge = execution._judge(str(place))
    assert not judge(secret.stat())
    os.chown(place, 0, 0)
    judge = execution._judge(str(place))
    assert judge(secret.stat())
    os.link(secret, secret.with_name("second.log"))
    assert not judge(secret.stat())


# --- records ----------------------------------------------------------------------------------------------------------

RECORDS = ["link", "pipe", "endless device", "directory", "terabyte", "deep JSON", "huge number", "infinite number"]


@pytest.mark.parametrize("what", ordinary(RECORDS, "link", "pipe", "huge number"))
def test_what_is_in_the_place_of_a_private_file_is_named_and_an_install_replaces_it(
    made: StackUnderTest, secret: Path, what: str
) -> None:
    secret.write_text(json.dumps({"TOKEN": SECRET}), encoding="utf-8")
    place = Path(made.paths.env_dir, "web.json")
    made.raw["services"]["web"]["requires_env"] = ["TOKEN"]
    assert made.perform()["ok"]
    plant(place, what, secret)
    said = looks(made)
    assert SECRET not in shown(said)
    assert str(place) in shown(said)
    report = made.perform()
    assert report["ok"], failed_checks(report)
    assert json.loads(place.read_text(encoding="utf-8")) == {"TOKEN": "t"}


PLANTED = ["pipe", "endless device", "directory", "terabyte", "deep JSON", "infinite number"]


@pytest.mark.parametrize("what", ordinary(PLANTED, "pipe", "deep JSON"))
@pytest.mark.parametrize("name", ["marks.json", "lives.json", "memory.json", "started.json", "lock", "boot.json"])
def test_a_record_of_the_stack_that_is_something_else_hangs_nothing(
    lasting: StackUnderTest, secret: Path, name: str, what: str
) -> None:
    place = Path(lasting.paths.state, name)
    before = place.read_bytes() if place.exists() else None
    plant(place, what, secret)
    looks(lasting)
    follow(f"rm -r {place}")
    if before is not None:
        place.write_bytes(before)


@pytest.mark.parametrize("what", ordinary(["pipe", "endless device", "directory", "terabyte"], "pipe", "terabyte"))
def test_a_required_file_that_is_none_hangs_no_run(made: StackUnderTest, secret: Path, what: str) -> None:
    needed = Path(made.root, "shared", "needed")
    needed.parent.mkdir()
    needed.touch()
    made.raw["services"]["web"]["requires_files"] = [str(needed)]
    assert made.perform()["ok"]
    plant(needed, what, secret)
    looks(made, "restart --json")


@pytest.mark.parametrize("what", ordinary(["pipe", "endless device", "directory", "terabyte", "link"], "pipe", "link"))
def test_a_pid_file_that_is_something_else_hangs_nothing(lasting: StackUnderTest, secret: Path, what: str) -> None:
    plant(Path(lasting.paths.pidfile), what, secret)
    text = shown(looks(lasting))
    follow(f"rm -r {lasting.paths.pidfile}")
    assert SECRET not in text
