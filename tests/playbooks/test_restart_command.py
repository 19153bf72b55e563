# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""./restart with real playbooks and real stacks on this machine: its words, its exit codes, and its one document."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked
from tests.support.commands import rollcall
from tests.support.configs import a_label
from tests.support.documents import validated
from tests.support.processes import eventually, free_port
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest, stack
from tests.support.victims import victim

pytestmark = pytest.mark.usefixtures("bystander")

BOUND = 400
UNREACHABLE = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
ABSENT = {"rollcall_stack": {"name": "absent", "root": "/nonexistent/rollcall"}}
# Whoever runs the tests may ignore it, and a shell cannot take back what was ignored when it began.
AS_A_TERMINAL = """\
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


@pytest.fixture(scope="module")
def untouched() -> t.Iterator[StackUnderTest]:
    """A stack for all tests that change nothing of it."""
    with running() as one:
        pids = one.pids()
        yield one
        assert one.pids() == pids


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    with running() as one:
        yield one


@contextlib.contextmanager
def running() -> t.Iterator[StackUnderTest]:
    with stack({"web": {"port": free_port(), "health": {"http": "/health"}}, "worker": {}}) as one:
        assert one.perform()["ok"]
        yield one


def environment() -> t.Dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.prefix, 'bin')}{os.pathsep}{os.environ['PATH']}"}


def command(made: StackUnderTest, *arguments: str, **hosts: t.Mapping[str, t.Any]) -> t.List[str]:
    """Return a call of ./restart for an inventory where ``here`` is the stack, and ``hosts`` differ from it."""
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "rollcall_stack": made.raw}
    inventory = Path(made.root) / "hosts.json"
    known = {name: {**here, **more} for name, more in {"here": {}, **hosts}.items()}
    inventory.write_text(json.dumps({"all": {"hosts": known}}), encoding="utf-8")
    words = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments))
    return [str(ROOT / "restart"), *words, "-i", str(inventory), *arguments[len(words) :]]


def restart(made: StackUnderTest, *arguments: str, **hosts: t.Mapping[str, t.Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(made, *arguments, **hosts),
        cwd="/",
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND,
    )


def answer(done: subprocess.CompletedProcess[str]) -> t.Dict[str, t.Any]:
    """Return the document on standard output, which has nothing else; it tells the exit code."""
    document = validated(json.loads(done.stdout), "OutcomeDocument")
    assert document["exit_code"] == done.returncode
    assert document["ok"] is (done.returncode == 0)
    for host in document["hosts"].values():
        assert set(host) == {"ok", "exit_code", "reports", "error"}
        assert host["ok"] is (host["exit_code"] == 0)
    return t.cast(t.Dict[str, t.Any], document)


def of_host(made: StackUnderTest, *arguments: str) -> t.Tuple[int, t.Dict[str, t.Any]]:
    """Return the exit code and the document of the stack's own ``rollcall``."""
    said = rollcall(made, *arguments, "--json", bound=BOUND)
    return said.code, said.data


# --- what it answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["quick", "master", "emergency", "force", "auto"])
def test_a_restart_that_holds_ends_with_0_and_the_report_of_the_host(made: StackUnderTest, word: str) -> None:
    before = made.pids()
    done = restart(made, word, "--json")
    document = answer(done)
    assert done.returncode == 0, done.stderr
    (report,) = document["hosts"]["here"]["reports"]
    assert (report["ok"], report["mode"]) == (True, {"master": "full", "force": "emergency"}.get(word, word))
    # In auto a stack that is well keeps every process; the others leave none.
    assert (made.pids() == before) is (word == "auto")
    assert "PLAY RECAP" in done.stderr
    code, same = of_host(made, "restart", word)
    assert (code, set(same)) == (0, set(report))


def test_status_tells_what_the_host_tells_and_changes_nothing(made: StackUnderTest) -> None:
    def all_files() -> t.Dict[str, t.Tuple[int, int]]:
        paths = [path for path in Path(made.root).rglob("*") if path.is_file() and path.name != "hosts.json"]
        # What the services and their supervisord write goes on.
        kept = [path for path in paths if not path.is_relative_to(made.paths.logs)]
        return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in kept}

    # The first question compiles the engine.
    assert restart(made, "status").returncode == 0
    pids, files = made.pids(), all_files()
    document = answer(restart(made, "status", "--json"))
    assert (made.pids(), all_files()) == (pids, files)
    (report,) = document["hosts"]["here"]["reports"]
    code, same = of_host(made, "status")
    assert code == 0
    assert set(report) == set(same)
    assert [set(service) for service in report["services"]] == [set(service) for service in same["services"]]
    seen = [(check["name"], check["subject"], check["ok"]) for check in report["checks"]]
    assert seen == [(check["name"], check["subject"], check["ok"]) for check in same["checks"]]


def test_without_json_the_roll_call_is_on_standard_output(untouched: StackUnderTest) -> None:
    done = restart(untouched, "status")
    assert done.returncode == 0
    assert "test on here: OK, 2 of 2 services up, 1 of 1 answered" in done.stdout
    assert '"exit_code"' not in done.stdout


def test_a_service_that_crashes_ends_it_with_1_and_the_service_is_named(made: StackUnderTest) -> None:
    made.raw["services"]["worker"].update(env={"CRASH_AFTER": "0.1"}, start={"seconds": 20})
    assert not made.perform()["ok"]
    document = answer(restart(made, "quick", "--json"))
    assert document["exit_code"] == 1
    (report,) = document["hosts"]["here"]["reports"]
    assert ("running", "worker") in [(check["name"], check["subject"]) for check in report["checks"] if not check["ok"]]
    told = restart(made, "status")
    assert (told.returncode, "test on here: FAILED, 1 of 2 services: worker" in told.stdout) == (1, True)
    assert of_host(made, "status")[0] == 1


def test_a_port_that_somebody_else_holds_ends_it_with_3_and_the_holder_is_named(made: StackUnderTest) -> None:
    assert made.perform("stop", installed=True)["ok"]
    with victim("listen", made.raw["services"]["web"]["port"]) as foreign:
        for word in ("full", "flush"):
            document = answer(restart(made, word, "--json"))
            error = document["hosts"]["here"]["error"]
            assert (document["exit_code"], error["kind"]) == (3, "refused")
            assert f"pid {foreign.pid}" in error["message"]
        code, same = of_host(made, "restart", "full")
        assert (code, set(same["error"])) == (3, set(error))
        assert foreign.alive
        assert restart(made, "full", "--policy", "any").returncode == 0
        assert not foreign.alive


def test_a_stack_that_is_locked_ends_it_with_3_and_says_by_whom(made: StackUnderTest) -> None:
    pids = made.pids()
    with locked(made.paths.state, "ada", "full", run="r"):
        document = answer(restart(made, "full", "--json"))
    error = document["hosts"]["here"]["error"]
    assert (document["exit_code"], error["kind"]) == (3, "refused")
    assert "ada" in error["message"]
    assert made.pids() == pids


def test_an_automatic_restart_beyond_the_budget_is_refused_and_a_persons_is_not(made: StackUnderTest) -> None:
    made.raw["restart_budget"] = {"restarts": 1, "within": 3600}
    assert made.perform()["ok"]
    assert restart(made, "quick", "--automatic").returncode == 0
    pids = made.pids()
    document = answer(restart(made, "quick", "--automatic", "--json"))
    assert (document["exit_code"], document["hosts"]["here"]["error"]["kind"]) == (3, "refused")
    assert made.pids() == pids
    assert restart(made, "quick").returncode == 0


def test_a_service_that_is_held_ends_it_with_1(made: StackUnderTest) -> None:
    made.raw["services"]["worker"]["requires_files"] = [f"{made.root}/key.pem"]
    assert made.perform("quick")["result"] == "held"
    document = answer(restart(made, "auto", "--json"))
    (report,) = document["hosts"]["here"]["reports"]
    assert (document["exit_code"], report["result"]) == (1, "held")


def test_a_host_that_cannot_be_reached_ends_it_with_4_and_the_others_are_told(untouched: StackUnderTest) -> None:
    document = answer(restart(untouched, "status", "--json", gone=UNREACHABLE))
    assert document["exit_code"] == 4
    assert {name: host["exit_code"] for name, host in document["hosts"].items()} == {"here": 0, "gone": 4}
    assert document["hosts"]["gone"]["error"]["kind"] == "unreachable"


def test_of_several_hosts_the_worst_counts(made: StackUnderTest) -> None:
    made.raw["services"]["worker"].update(env={"CRASH_AFTER": "0.1"}, start={"seconds": 20})
    assert not made.perform()["ok"]
    document = answer(restart(made, "status", "--json", absent=ABSENT, gone=UNREACHABLE))
    assert {name: host["exit_code"] for name, host in document["hosts"].items()} == {"here": 1, "absent": 2, "gone": 4}
    assert document["exit_code"] == 2
    assert restart(made, "status", gone=UNREACHABLE).returncode == 4
    assert restart(made, "status", "--limit", "here", gone=UNREACHABLE).returncode == 1


def test_hosts_after_a_batch_that_failed_are_named_and_so_is_how_to_come_to_them(made: StackUnderTest) -> None:
    pids = made.pids()
    hosts: t.Dict[str, t.Mapping[str, t.Any]] = {"later": {}, "last": {}}
    arguments = ("quick", "-e", "batches=1", "-e", json.dumps({"rollcall_hosts": "gone,later,last"}))
    done = restart(made, *arguments, gone=UNREACHABLE, **hosts)
    assert done.returncode == 4
    assert "not touched: later, last" in done.stdout
    assert done.stdout.rstrip().endswith("next  the same command with --limit gone,later,last")
    document = answer(restart(made, *arguments, "--json", gone=UNREACHABLE, **hosts))
    assert {name: host["exit_code"] for name, host in document["hosts"].items()} == {"gone": 4, "later": 1, "last": 1}
    assert document["hosts"]["last"]["error"]["message"].startswith("Not touched.")
    assert made.pids() == pids


# --- flush --------------------------------------------------------------------------------------------------------


def test_flush_ends_what_is_left_over_and_restarts_nothing_and_check_says_so_before(made: StackUnderTest) -> None:
    assert made.perform("stop", installed=True)["ok"]
    with victim("listen", made.raw["services"]["web"]["port"], label=a_label(made.root, "web")) as orphan:
        planned = answer(restart(made, "flush", "--check", "--json"))
        assert orphan.alive
        (report,) = planned["hosts"]["here"]["reports"]
        said = [(entry["action"], entry["subject"].split(" '")[0]) for entry in report["actions"]]
        assert (report["result"], report["changed"], said) == ("planned", True, [("end", f"pid {orphan.pid}")])
        done = answer(restart(made, "flush", "--json"))
        (report,) = done["hosts"]["here"]["reports"]
        assert (report["changed"], [entry["pid"] for entry in report["signals"]]) == (True, [orphan.pid])
        assert not orphan.alive
    again = restart(made, "flush")
    assert (again.returncode, "changed=0" in again.stdout) == (0, True)
    assert made.daemons() == []


# --- doctor -------------------------------------------------------------------------------------------------------


def test_the_doctor_tells_what_the_host_tells_and_fixes_when_told(made: StackUnderTest) -> None:
    def found(report: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        """Return the one finding of this test: other stacks of this machine come and go, with their own."""
        (finding,) = (finding for finding in report["findings"] if finding["subject"] == made.paths.state)
        return dict(finding)

    os.chmod(made.paths.state, 0o755)
    (report,) = answer(restart(made, "doctor", "--json"))["hosts"]["here"]["reports"]
    _code, same = of_host(made, "doctor")
    assert set(report) == set(same)
    assert found(report) == found(same)
    assert found(report)["fixed"] is None
    (report,) = answer(restart(made, "doctor", "--fix", "--json"))["hosts"]["here"]["reports"]
    assert found(report)["fixed"] is True
    assert Path(made.paths.state).stat().st_mode & 0o777 == 0o700
    assert "test on here: " in restart(made, "doctor").stdout.partition("ROLL CALL")[2]


# --- acknowledge --------------------------------------------------------------------------------------------------


def test_what_was_wrong_is_acknowledged_and_check_says_so_before(made: StackUnderTest) -> None:
    with Path(made.paths.logs, "worker.log").open("a", encoding="utf-8") as log:
        log.write("CRITICAL: the disk is full\n")
    assert answer(restart(made, "auto", "--json"))["exit_code"] == 1
    pids = made.pids()

    for arguments, check in ((["--check"], True), ([], False)):
        (report,) = answer(restart(made, "acknowledge", "--json", *arguments))["hosts"]["here"]["reports"]
        assert (report["changed"], report["check"]) == (True, check)
        assert report["logs"] == {"worker": ["CRITICAL: the disk is full"]}
    assert answer(restart(made, "auto", "--json"))["exit_code"] == 0
    again = restart(made, "acknowledge")
    assert again.returncode == 0
    assert "test on here: there is nothing to acknowledge" in again.stdout.partition("ROLL CALL")[2]
    code, same = of_host(made, "acknowledge")
    assert (code, set(same)) == (0, set(report))
    assert made.pids() == pids


def test_a_host_without_a_stack_has_nothing_that_could_be_acknowledged(untouched: StackUnderTest) -> None:
    document = answer(restart(untouched, "acknowledge", "--json", absent=ABSENT, gone=UNREACHABLE))

    assert {name: host["exit_code"] for name, host in document["hosts"].items()} == {"here": 0, "absent": 2, "gone": 4}


# --- services by name ---------------------------------------------------------------------------------------------


def test_the_named_services_are_restarted_and_no_other(made: StackUnderTest) -> None:
    before = made.pids()
    done = restart(made, "worker")
    assert done.returncode == 0, done.stdout
    assert "worker of test on here" in done.stdout
    after = made.pids()
    assert (after["web"], after["worker"] == before["worker"]) == (before["web"], False)
    assert restart(made, "quick", "w*", "--no-dependents").returncode == 0
    assert not set(after.values()) & set(made.pids().values())


def test_the_status_of_one_service_tells_of_that_one(untouched: StackUnderTest) -> None:
    document = answer(restart(untouched, "status", "worker", "--json"))
    (report,) = document["hosts"]["here"]["reports"]
    assert [row["name"] for row in report["services"]] == ["worker"]


def test_site_leaves_stopped_what_was_stopped_by_name_unless_it_is_told_to_start_it(made: StackUnderTest) -> None:
    assert rollcall(made, "stop", "worker").code == 0
    inventory = command(made, "status")[3]
    site = [str(Path(sys.prefix, "bin", "ansible-playbook")), "site.yml", "-i", inventory]

    def applied(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*site, *more], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=BOUND
        )

    done = applied()
    assert done.returncode == 0, done.stdout
    assert "stopped by " in done.stdout
    assert "rollcall start worker" in done.stdout
    assert "worker" not in made.pids()
    assert applied("-e", "start_stopped=true").returncode == 0
    assert "worker" in made.pids()


# --- wrong use ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["slowly"], "No service of stack test is called 'slowly'"),
        (["web", "wroker"], "did you mean worker?"),
        (["we b"], "is no mode, and no name of a service"),
        (["emergency", "worker"], "takes no names"),
        (["flush", "worker"], "takes no names"),
        (["doctor", "worker"], "takes no names"),
        (["full", "--no-dependents"], "--no-dependents goes with names"),
        (["full", "--policy", "polite"], "unknown policy 'polite'"),
        (["full", "--policy"], "--policy needs"),
        (["status", "--policy", "any"], "--policy"),
        (["status", "--automatic"], "--automatic"),
        (["flush", "--automatic"], "--automatic"),
        (["full", "--fix"], "--fix"),
        (["acknowledge", "--fix"], "--fix"),
        (["acknowledge", "--automatic"], "--automatic"),
        (["full", "--no-such-option"], "--no-such-option"),
        (["full", "-e", "mode=slowly"], "slowly"),
        (["full", "-e", "batches=some"], "a batch is a number of hosts or a percentage"),
        (["full", "--limit", "nobody"], "--limit"),
        (["full", "--diff", "no-such-playbook.yml"], "no-such-playbook.yml"),
        (["status", "-e", "rollcall_hosts=nobody"], "nobody"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_ends_with_2_and_touches_nothing(
    untouched: StackUnderTest, arguments: t.List[str], said: str
) -> None:
    pids = untouched.pids()
    words = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments))
    done = restart(untouched, *words, "--json", *arguments[len(words) :])
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert answer(done)["exit_code"] == 2
    assert untouched.pids() == pids


@pytest.mark.parametrize("word", ["help", "--help", "-h"])
def test_help_is_told_on_standard_output(word: str) -> None:
    done = subprocess.run([ROOT / "restart", word], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    for told in (
        "full",
        "quick",
        "emergency",
        "auto",
        "flush",
        "status",
        "doctor",
        "acknowledge",
        "help",
        "--json",
        "--policy",
    ):
        assert told in done.stdout


# --- how it stands between its caller and ansible-playbook --------------------------------------------------------


def stand_in(tmp_path: Path, program: str) -> Path:
    """Return ./restart of a checkout, with a space in its path, whose ansible-playbook is another program."""
    checkout = tmp_path / "a checkout"
    playbook = checkout / ".venv" / "bin" / "ansible-playbook"
    playbook.parent.mkdir(parents=True)
    playbook.write_text(f"#!/bin/sh\n{program}\n", encoding="utf-8")
    playbook.chmod(0o755)
    return Path(shutil.copy(ROOT / "restart", checkout / "restart"))


def call(script: Path, *arguments: str, shell: str = "", **more: t.Any) -> subprocess.CompletedProcess[str]:
    through = [shell, "sh"] if shell == "busybox" else [shell] if shell else []
    return subprocess.run(
        [*through, script, *arguments], capture_output=True, text=True, check=False, timeout=60, **more
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_every_word_reaches_the_playbook_as_it_was_given(tmp_path: Path, shell: str) -> None:
    script = stand_in(tmp_path, 'pwd; printf "<%s>" "$@"')
    done = call(
        script, "--json", "quick", "-e", "a='b c' d=\"*\"", "--policy=refuse", "", "--limit", "w 1", shell=shell
    )
    where, words = done.stderr.splitlines()
    assert where == str(script.parent)
    expected = ["playbooks/restart.yml", "-e", "mode=quick", "-e", "port_flush_policy=refuse"]
    assert words == "".join(f"<{word}>" for word in [*expected, "-e", "a='b c' d=\"*\"", "", "--limit", "w 1"])


@pytest.mark.parametrize(
    ("ended", "code"), [(0, 0), (1, 2), (2, 2), (4, 2), (5, 2), (99, 130), (126, 2), (127, 2), (137, 1), (250, 1)]
)
def test_an_end_without_an_answer_is_never_taken_for_one(tmp_path: Path, ended: int, code: int) -> None:
    script = stand_in(tmp_path, f"echo words; exit {ended}")
    done = call(script)
    assert (done.returncode, done.stdout, done.stderr) == (code, "words\n", "")
    # Whoever wants a document wants an answer: without one it is no success.
    document = answer(call(script, "--json"))
    assert (document["exit_code"], document["hosts"]) == (code or 1, {})
    assert f"exit code {ended}" in document["error"]["message"]


@pytest.mark.parametrize("shell", SHELLS)
def test_an_answer_does_not_hide_what_went_wrong_after_it(tmp_path: Path, shell: str) -> None:
    document = '{\\n  "ok": true,\\n  "exit_code": %s,\\n  "hosts": {}\\n}\\n'
    program = f'printf \'{document}\' "$OUTCOME" > "$ROLLCALL_OUTCOME"; exit "$END"'
    script = stand_in(tmp_path, program)
    for outcome, end, code in (("0", "0", 0), ("0", "2", 1), ("3", "2", 3), ("4", "0", 4)):
        done = call(script, shell=shell, env={**os.environ, "OUTCOME": outcome, "END": end})
        assert (done.returncode, done.stdout) == (code, "")


def test_without_an_ansible_playbook_it_is_wrong_use(tmp_path: Path) -> None:
    script = stand_in(tmp_path, "")
    (script.parent / ".venv" / "bin" / "ansible-playbook").unlink()
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname", "cat", "sed", "tail"):
        (tools / name).symlink_to(t.cast(str, shutil.which(name)))
    done = call(script, env={"PATH": str(tools)})
    assert (done.returncode, "ansible-playbook" in done.stderr) == (2, True)


@contextlib.contextmanager
def started(words: t.Sequence[t.Union[str, Path]], **more: t.Any) -> t.Iterator[subprocess.Popen[str]]:
    """Start a command as a terminal would: in a session of its own, where Ctrl-C is not ignored from the start."""
    process = subprocess.Popen(
        [sys.executable, "-c", AS_A_TERMINAL, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **more,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_waits_for_ansible_playbook_to_end_and_says_so(
    tmp_path: Path, shell: str, number: signal.Signals, code: int
) -> None:
    script = stand_in(
        tmp_path, "trap 'echo cleaned > cleaned; exit 99' INT TERM; echo > begun; while :; do sleep 0.1; done"
    )
    through = [shell, "sh"] if shell == "busybox" else [shell]
    with started([*through, script, "--json"]) as process:
        assert eventually((script.parent / "begun").exists)
        os.killpg(process.pid, number)
        printed, _errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert json.loads(printed)["exit_code"] == code
    assert (script.parent / "cleaned").exists()


def test_interrupted_in_the_middle_of_a_run_it_ends_with_130_and_the_host_ends_its_run(made: StackUnderTest) -> None:
    made.raw["services"]["worker"]["env"] = {"IGNORE_TERM": "1"}
    assert made.perform()["ok"]
    before = made.pids()
    with started(command(made, "quick"), cwd="/", env=environment()) as process:
        # Trying the lock could take it in the very moment in which the run wants it.
        assert eventually(lambda: bool(made.lock_note()), BOUND)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=BOUND)
    assert process.returncode == 130
    assert eventually(lambda: not made.is_locked(), BOUND)
    assert made.status()["ok"]
    assert not set(made.pids().values()) & set(before.values())
