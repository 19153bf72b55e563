# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of a log everything since its mark is judged, wherever it is now; what is gone is said, and is not OK."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import critical_section
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.roll_call import roll_call
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.environment import supervisord_environment
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import limits, logs
from tests.support.commands import rollcall
from tests.support.processes import eventually
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack

# Writes to its standard output each line that it reads from a pipe.
SPEAKS = 'exec 3<>"$0"; echo begins; while IFS= read -r line <&3; do printf "%s\\n" "$line"; done'


class Speaker:
    """A stack with a service that says what a test tells it to, by way of its supervisord."""

    def __init__(self, made: StackUnderTest) -> None:
        self.made = made
        self.log = Path(made.paths.logs, "web.log")

    def says(self, *lines: str) -> None:
        """Have the service write lines, and wait until supervisord has written them to some file."""
        with Path(self.made.root, "pipe").open("w", encoding="utf-8") as pipe:
            pipe.write("".join(f"{line}\n" for line in lines))
        assert eventually(lambda: lines[-1].encode() in b"".join(self._written()))

    def fills(self, size: int) -> None:
        """Have the service write some bytes, in parts, for supervisord rotates a log after each."""
        for number in range(size // 500 + 1):
            before = os.stat(self.log)
            with Path(self.made.root, "pipe").open("w", encoding="utf-8") as pipe:
                pipe.write(f"{number} {'x' * 500}\n")
            assert eventually(functools.partial(_differs, self.log, before))

    def _written(self) -> t.Iterator[bytes]:
        (daemon,) = self.made.daemons()
        for name in os.listdir(f"/proc/{daemon.pid}/fd"):
            # What supervisord has just closed, as of a log that it rotates, is looked for again.
            with contextlib.suppress(FileNotFoundError):
                link = os.readlink(f"/proc/{daemon.pid}/fd/{name}")
                if link.startswith("/") and ".log" in link and "supervisord" not in link:
                    yield Path(f"/proc/{daemon.pid}/fd/{name}").read_bytes()
        for path in Path(self.made.paths.logs).glob("web.log*"):
            yield path.read_bytes()

    def check(self) -> t.Dict[str, t.Any]:
        """Return the check of the log by ``rollcall verify``, which must agree with a run that changes nothing."""
        said = rollcall(self.made, "verify", "--json").data
        found = check_of(said, "logs", "web")
        assert said["ok"] is found["ok"]
        report = self.made.perform(installed=True)
        assert not report["changed"]
        assert check_of(report, "logs", "web")["ok"] is found["ok"]
        return found


def _differs(path: Path, was: os.stat_result) -> bool:
    try:
        now = path.stat()
    except FileNotFoundError:
        return False  # it is just being rotated
    return (now.st_ino, now.st_size, now.st_mtime_ns) != (was.st_ino, was.st_size, was.st_mtime_ns)


@contextlib.contextmanager
def speaking(log: t.Optional[t.Mapping[str, t.Any]] = None, **more: t.Any) -> t.Iterator[Speaker]:
    with stack({"web": {}}, **more) as made:
        os.mkfifo(os.path.join(made.root, "pipe"))
        made.raw["services"]["web"]["command"] = ["/bin/sh", "-c", SPEAKS, os.path.join(made.root, "pipe")]
        made.raw["services"]["web"].update({"log": log} if log else {})
        assert made.perform()["ok"]
        yield Speaker(made)


@pytest.fixture
def speaker() -> t.Iterator[Speaker]:
    with speaking() as made:
        yield made


# --- all of it is read ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [257 * 1024, 30 * 1024 * 1024])
def test_a_critical_line_before_much_else_is_found(speaker: Speaker, size: int) -> None:
    speaker.says("CRITICAL: the disk is full")
    with speaker.log.open("ab") as log:
        log.write(b"INFO all is well, and this is a line of a log\n" * (size // 46 + 1))
    found = speaker.check()
    assert (found["code"], "CRITICAL: the disk is full" in found["evidence"]) == ("critical", True)


def test_one_line_without_an_end_is_judged_in_parts(speaker: Speaker) -> None:
    with speaker.log.open("ab") as log:
        log.write(b"\x00\xff" * 3_000_000 + b" CRITICAL " + b"\x00\xfe" * 3_000_000)
    found = speaker.check()
    assert found["code"] == "critical"
    assert len(found["evidence"]) < 10_000


def test_what_supervisord_has_rotated_away_is_read_as_long_as_it_is_kept() -> None:
    with speaking({"max_bytes": 2000, "backups": 3}) as speaker:
        speaker.says("CRITICAL: it was here")
        speaker.fills(5_000)
        assert speaker.log.with_name("web.log.2").exists()
        assert "CRITICAL: it was here" in speaker.check()["evidence"]


@pytest.mark.parametrize("backups", [0, 1])
def test_what_was_rotated_away_and_is_gone_is_a_gap(backups: int) -> None:
    with speaking({"max_bytes": 2000, "backups": backups}) as speaker:
        speaker.says("CRITICAL: it was here")
        speaker.fills(9_000)
        assert b"CRITICAL" not in b"".join(path.read_bytes() for path in speaker.log.parent.glob("web.log*"))
        found = speaker.check()
        assert (found["code"], found["next"]) == ("gap", "rollcall acknowledge")
        assert rollcall(speaker.made, "acknowledge").code == 0
        assert speaker.check()["ok"]


@pytest.mark.parametrize("at", [1, 5, 20])
def test_a_line_that_a_rotation_has_cut_in_two_is_one_line(speaker: Speaker, at: int) -> None:
    line = "CRITICAL: the disk is full"
    with speaker.log.open("a", encoding="utf-8") as log:
        log.write(f"INFO: all is well\n{line[:at]}")
    os.rename(speaker.log, f"{speaker.log}.1")
    speaker.log.write_text(f"{line[at:]}\nINFO: all is well\n", encoding="utf-8")
    found = speaker.check()
    assert (found["code"], found["evidence"].splitlines()[1:]) == ("critical", [line])


def test_a_critical_line_without_an_end_before_an_empty_log_is_found(speaker: Speaker) -> None:
    with speaker.log.open("a", encoding="utf-8") as log:
        log.write("CRITICAL: the disk is full")
    os.rename(speaker.log, f"{speaker.log}.1")
    speaker.log.touch()
    assert speaker.check()["code"] == "critical"


def test_a_log_that_was_renamed_for_a_new_one_is_read_in_both(speaker: Speaker) -> None:
    os.rename(speaker.log, f"{speaker.log}-20261129")
    speaker.log.touch()
    speaker.says("CRITICAL: into the old one")
    assert "CRITICAL: into the old one" in speaker.check()["evidence"]
    assert rollcall(speaker.made, "acknowledge").code == 0
    assert speaker.check()["ok"]
    os.kill(speaker.made.daemons()[0].pid, signal.SIGUSR2)
    assert eventually(lambda: speaker.made.daemons() != [] and _writes_to(speaker, speaker.log))
    speaker.says("CRITICAL: into the new one")
    found = speaker.check()["evidence"]
    assert "CRITICAL: into the new one" in found
    assert "into the old one" not in found


def _writes_to(speaker: Speaker, path: Path) -> bool:
    (daemon,) = speaker.made.daemons()
    place = Path(f"/proc/{daemon.pid}/fd")
    return str(path) in [os.readlink(name) for name in place.iterdir()]


def test_a_log_that_was_moved_elsewhere_is_read_where_supervisord_writes(speaker: Speaker) -> None:
    os.rename(speaker.log, Path(speaker.made.root, "elsewhere.log"))
    speaker.says("CRITICAL: where is it")
    assert "CRITICAL: where is it" in speaker.check()["evidence"]


def test_a_log_that_was_copied_and_truncated_is_read_in_both(speaker: Speaker) -> None:
    for number, words in enumerate(("CRITICAL: in the copy", "CRITICAL: after it")):
        if number == 0:
            speaker.says(words, *(["INFO more"] * 5))
        shutil.copy(speaker.log, f"{speaker.log}.{2 - number}")
        os.truncate(speaker.log, 0)
        if number == 1:
            speaker.says(words)
    found = speaker.check()["evidence"]
    assert "CRITICAL: in the copy" in found
    assert "CRITICAL: after it" in found


def test_a_deleted_log_is_read_where_supervisord_still_has_it(speaker: Speaker) -> None:
    speaker.says("CRITICAL: before it was deleted")
    speaker.log.unlink()
    assert "CRITICAL: before it was deleted" in speaker.check()["evidence"]
    assert rollcall(speaker.made, "acknowledge").code == 0
    assert speaker.check()["ok"]
    speaker.says("CRITICAL: after it was deleted")
    found = speaker.check()["evidence"]
    assert "CRITICAL: after it was deleted" in found
    assert "before it was deleted" not in found


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced"])
def test_a_log_that_supervisord_does_not_write_to_is_told_with_a_cure_that_cures(speaker: Speaker, how: str) -> None:
    def notes() -> t.List[str]:
        return [note for note in rollcall(speaker.made, "verify", "--json").data["notes"] if "its log" in note]

    assert notes() == []
    if how == "deleted":
        speaker.log.unlink()
    else:
        os.rename(speaker.log, Path(speaker.made.root, "elsewhere.log"))
    if how == "replaced":
        speaker.log.touch()
    (note,) = notes()
    assert note.startswith("web: its log was moved, deleted or replaced")
    assert note in speaker.made.perform(installed=True)["notes"]
    assert note.endswith("rollcall doctor --fix")
    assert rollcall(speaker.made, "doctor", "--fix").code == 0
    assert notes() == []
    speaker.says("INFO it is had back")
    assert "it is had back" in speaker.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("more", [(), ("INFO it goes on",), ("INFO it goes on",) * 50])
def test_a_truncated_log_is_a_gap_however_much_was_written_since(speaker: Speaker, more: t.Sequence[str]) -> None:
    speaker.says("CRITICAL: soon gone")
    os.truncate(speaker.log, 0)
    if more:
        speaker.says(*more)
    found = speaker.check()
    assert (found["code"], "truncated" in found["evidence"]) == ("gap", True)
    assert rollcall(speaker.made, "acknowledge").code == 0
    assert speaker.check()["ok"]


@pytest.mark.parametrize("more", [0, 50])
@pytest.mark.parametrize("how", ["clear", "truncate", "remove"])
def test_what_a_run_found_in_a_log_is_missed_when_it_is_taken_out(how: str, more: int) -> None:
    # The service is the first to write to its log, so nothing stands before the mark.
    says = "echo CRITICAL: soon gone; read line <$0; while :; do echo INFO it goes on; sleep 0.01; done"
    with stack({"web": {}}) as made:
        pipe = os.path.join(made.root, "pipe")
        os.mkfifo(pipe)
        made.raw["services"]["web"]["command"] = ["sh", "-c", says, pipe]
        assert failed_checks(made.perform()) == [("logs", "web")]
        log = Path(made.paths.logs, "web.log")
        if how == "clear":
            made.supervisor().call("supervisor.clearProcessLogs", "web")
        elif how == "truncate":
            os.truncate(log, 0)
        else:
            log.unlink()
            made.supervisor().call("supervisor.clearProcessLogs", "web")
        if more:
            Path(pipe).write_text("go on\n", encoding="utf-8")
            assert eventually(lambda: log.stat().st_size > 15 * more)
        assert rollcall(made, "verify").code == 1
        assert failed_checks(made.perform()) == [("logs", "web")]
        assert rollcall(made, "acknowledge").code == 0
        assert rollcall(made, "verify").code == 0


def test_marks_that_somebody_has_removed_make_nothing_good(speaker: Speaker) -> None:
    speaker.says("CRITICAL: remember this")
    assert not speaker.check()["ok"]
    os.unlink(os.path.join(speaker.made.paths.state, "marks.json"))
    assert "CRITICAL: remember this" in speaker.check()["evidence"]
    assert rollcall(speaker.made, "acknowledge").code == 0
    assert speaker.check()["ok"]


def test_a_log_that_was_rotated_and_compressed_is_a_gap(speaker: Speaker) -> None:
    speaker.says("CRITICAL: soon compressed")
    os.rename(speaker.log, f"{speaker.log}.1")
    os.kill(speaker.made.daemons()[0].pid, signal.SIGUSR2)
    assert eventually(lambda: _writes_to(speaker, speaker.log))
    Path(f"{speaker.log}.1.gz").write_bytes(b"\x1f\x8b")
    Path(f"{speaker.log}.1").unlink()
    assert "compressed" in speaker.check()["evidence"]


# --- what is critical -------------------------------------------------------------------------------------------------

CRITICAL_LINES = [
    "\x1b[31mCRI\x1b[0mTICAL\x1b[0m broken",
    "2026-11-29 05:10:00 \x1b[1;31mCRITICAL\x1b[0m broken",
    "  + Exception Group Traceback (most recent call last):",
    "ERROR:    Traceback (most recent call last):",
    "[2026-11-29 05:10:00 +0000] [7] [ERROR] Traceback (most recent call last):",
    "panic: runtime error: index out of range",
    "C\bCR\bRITICAL in bold",
    "\ufeffpanic: runtime error",
    "10%\r20%\rpanic: runtime error",
]


@pytest.mark.parametrize("line", CRITICAL_LINES)
def test_a_critical_line_is_one_in_any_clothes(speaker: Speaker, line: str) -> None:
    speaker.says(line)
    found = speaker.check()
    assert found["code"] == "critical"
    assert "\x1b" not in found["evidence"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_critical_line_is_one_in_wide_letters(encoding: str) -> None:
    with stack({"web": {}}) as made:
        says = f"import sys, time; sys.stdout.buffer.write('panic: no more\\n'.encode('{encoding}')); "
        made.raw["services"]["web"]["command"] = [made.program, "-uc", f"{says}time.sleep(600)"]
        report = made.perform()
        assert failed_checks(report) == [("logs", "web")]
        assert "panic: no more" in check_of(report, "logs", "web")["evidence"]


# --- it stays until it is good ----------------------------------------------------------------------------------------


def test_no_run_on_the_way_makes_a_critical_line_good(speaker: Speaker) -> None:
    made = speaker.made
    speaker.says("CRITICAL: remember this")
    assert made.perform("flush", installed=True)["ok"]
    with pytest.raises(RollcallError):
        made.perform("rollback", installed=True, generation="20200101-000000-0000")
    made.killed_at("verify", "auto", installed=True)
    for _again in range(2):
        assert "CRITICAL: remember this" in speaker.check()["evidence"]
    assert made.perform("full", installed=True)["ok"]
    assert speaker.check()["ok"]


def test_an_old_line_of_a_service_that_a_run_leaves_alone_undoes_no_change() -> None:
    with speaking() as speaker:
        made = speaker.made
        speaker.says("CRITICAL: of last week")
        made.raw["services"]["worker"] = {}
        report = made.perform(on_failure="rollback")
        assert (report["result"], failed_checks(report)) == ("degraded", [("logs", "web")])
        assert check_of(report, "logs", "web")["code"] == "earlier"
        assert sorted(made.pids()) == ["web", "worker"]
        place = report["generation"]["id"]
        assert f"the new manifest runs: generation {place}; what failed was so before this run" in roll_call(report)
        again = made.perform(on_failure="rollback")
        assert f"the manifest runs as before: generation {place}; " in roll_call(again)
        made.raw["services"]["late"] = {"env": {"EXIT": "3"}}
        report = made.perform(on_failure="rollback")
        # The way back brought back what was there, and that is not undone because of the same line.
        assert (report["result"], failed_checks(report)) == ("rolled_back", [("logs", "web")])


# --- what is no log ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["fifo", "null", "zero", "directory"])
def test_a_log_that_is_no_file_hangs_nothing_and_is_not_ok(speaker: Speaker, kind: str) -> None:
    os.rename(speaker.log, Path(speaker.made.root, "aside"))
    if kind == "fifo":
        os.mkfifo(speaker.log)
    elif kind == "directory":
        speaker.log.mkdir()
    else:
        speaker.log.symlink_to(f"/dev/{kind}")
    said = rollcall(speaker.made, "verify", "--json")
    assert not check_of(said.data, "logs", "web")["ok"]
    assert check_of(said.data, "logs", "web")["code"] == "unfit"
    assert said.seconds < said.data["limit"]


ENDLESS = [r"ERROR (\w+\s?)+$", r"^(a+)+$", r"([xz]+[xz]+)+[yw]"]
HANGS = ("ERROR " + "word " * 40 + "!", "a" * 60 + "!", "x" * 60)


def test_a_pattern_without_an_end_is_given_up_in_time() -> None:
    with speaking(checks={"logs": {"critical": [ENDLESS[0]]}}) as speaker:
        speaker.says(*HANGS)
        said = rollcall(speaker.made, "verify", "--json")
        found = check_of(said.data, "logs", "web")
        assert (found["code"], "checks.logs.critical" in found["evidence"]) == ("gap", True)
        assert said.seconds < said.data["limit"]


@pytest.mark.parametrize("pattern", ENDLESS)
def test_a_run_with_a_pattern_without_an_end_is_not_good_and_leaves_no_lock(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with speaking(checks={"logs": {"critical": [pattern]}}) as speaker:
        speaker.says(*HANGS)
        # Here it is waited for in full.
        monkeypatch.setattr(limits, "LOGS", 0.5)
        report = speaker.made.perform(installed=True)
        found = check_of(report, "logs", "web")
        assert (found["code"], "checks.logs.critical" in found["evidence"]) == ("gap", True)
        assert (report["ok"], speaker.made.is_locked()) == (False, False)


def test_a_pattern_that_is_not_compiled_in_time_is_given_up_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    with speaking(checks={"logs": {"critical": ["ERROR"]}}) as speaker:
        monkeypatch.setattr(logs, "compiled", lambda _patterns: signal.pause())
        monkeypatch.setattr(limits, "LOGS", 0.5)
        report = speaker.made.perform(installed=True)
        found = check_of(report, "logs", "web")
        assert (found["code"], "checks.logs.critical" in found["evidence"]) == ("gap", True)
        assert (report["ok"], speaker.made.is_locked()) == (False, False)


# Python keeps back what it writes to a pipe, until there are 8 KiB of it.
SAYS = "import time; print('Traceback (most recent call last):'); time.sleep(3600)"


def says_without_flushing(**more: t.Any) -> t.Dict[str, t.Any]:
    return {"web": {"command": [sys.executable, "-c", SAYS], **more}}


def test_a_python_service_that_does_not_flush_is_judged_by_what_it_says() -> None:
    with stack(says_without_flushing()) as made:
        made.perform()
        log = Path(made.paths.logs, "web.log")

        assert eventually(lambda: "Traceback" in log.read_text(encoding="utf-8"))
        assert check_of(rollcall(made, "verify", "--json").data, "logs", "web")["code"] == "critical"


def test_a_service_may_have_its_output_buffered() -> None:
    with stack(says_without_flushing(env={"PYTHONUNBUFFERED": ""})) as made:
        assert made.perform()["ok"]
        assert processes.reader.environment(made.pids()["web"], "PYTHONUNBUFFERED") == {"PYTHONUNBUFFERED": ""}
        assert Path(made.paths.logs, "web.log").read_text(encoding="utf-8") == ""


def test_services_of_an_earlier_version_are_not_restarted_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def before(*arguments: t.Any) -> t.Dict[str, str]:
        given = supervisord_environment(*arguments)
        return {name: value for name, value in given.items() if name != "PYTHONUNBUFFERED"}

    with stack({"web": {}}) as made:
        with monkeypatch.context() as patched:
            patched.setattr(critical_section, "supervisord_environment", before)
            assert made.perform()["ok"]
        pids = made.pids()
        assert processes.reader.environment(pids["web"], "PYTHONUNBUFFERED") == {}
        report = made.perform()

        assert (report["ok"], report["changed"], made.pids()) == (True, False, pids)
        assert made.perform("full")["ok"]
        assert processes.reader.environment(made.pids()["web"], "PYTHONUNBUFFERED") == {"PYTHONUNBUFFERED": "1"}
