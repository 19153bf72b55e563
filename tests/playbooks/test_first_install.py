# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml that fails on a host without a verified generation: it stays or is taken back; what is verified stays."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.state.before import names_before
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import record_unverified
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked
from tests.support.playbooks import BOUND, PLAYBOOK, document, play, prepare
from tests.support.processes import eventually, free_port
from tests.support.releases import write
from tests.support.repository import ROOT
from tests.support.sshd import sshd
from tests.support.stacks import StackUnderTest, stack

pytestmark = pytest.mark.usefixtures("bystander")

NEVER_VERIFIED = "Stack test was never verified on this host"


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    """A host that is prepared for a stack with two services, one of which cannot start; nothing was ever run."""
    with stack(
        {"good": {"port": free_port(), "health": {"http": "/health"}}, "bad": {"command": ["/bin/false"]}}
    ) as one:
        prepare(one)
        yield one


@pytest.fixture(params=["local", "ssh"])
def connection(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> t.Iterator[t.Dict[str, t.Any]]:
    """How the host is reached: by SSH what it runs has a terminal, as on a real host."""
    if request.param == "local":
        yield {"ansible_connection": "local"}
        return
    with sshd(tmp_path_factory.mktemp("sshd")) as variables:
        yield variables


def run_site(tmp_path: Path, hosts: t.Mapping[str, t.Any], *arguments: str) -> t.Dict[str, t.Any]:
    """Run site.yml, which has to fail, over some hosts, and return the outcome of each."""
    inventory, document = tmp_path / "hosts.json", tmp_path / "outcome.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    done = subprocess.run(
        [str(PLAYBOOK), "site.yml", "-i", str(inventory), *arguments],
        cwd=ROOT,
        env={**os.environ, "ROLLCALL_OUTCOME": str(document)},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 2, done.stdout
    return dict(json.loads(document.read_text(encoding="utf-8"))["hosts"])


def mend(made: StackUnderTest) -> None:
    """Let the service that cannot start be like the other."""
    del made.raw["services"]["bad"]["command"]
    prepare(made)


def processes_of(made: StackUnderTest) -> t.List[str]:
    """Return the environment of every process that is labelled as the stack's."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes().decode("utf-8", "replace")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if f"ROLLCALL_ROOT={made.root}\0" in environment:
            found.append(environment)
    return found


def test_without_a_word_it_stays_and_how_to_take_it_off_is_said(made: StackUnderTest) -> None:
    done = play(made, "site.yml")

    assert done.returncode == 2
    assert made.pids().keys() == {"good"}
    said = document(made)["hosts"]["here"]["first_install"]
    assert said.startswith(NEVER_VERIFIED)
    assert f"What was made stays: {made.root}/" in said
    assert "-e confirm=" in said
    # What failed is told as well, and after it.
    assert done.stdout.index(f"note: {NEVER_VERIFIED}") < done.stdout.rindex("FAILED  bad")


def test_with_rollback_all_that_it_made_is_taken_back_and_what_was_there_before_stays(
    made: StackUnderTest, connection: t.Dict[str, t.Any]
) -> None:
    Path(made.root, "app").mkdir()
    Path(made.root, "app", "main.py").write_text("theirs\n", encoding="utf-8")
    before = {"app", "hosts.json", "outcome.json", Path(made.program).relative_to(made.root).parts[0]}

    done = play(made, "site.yml", "-e", "on_failure=rollback", **connection)

    assert done.returncode == 2
    assert set(os.listdir(made.root)) <= before
    assert Path(made.root, "app", "main.py").read_text(encoding="utf-8") == "theirs\n"
    assert processes_of(made) == []
    host = document(made)["hosts"]["here"]
    assert not host["ok"]
    assert "what was made is taken back" in host["first_install"]
    assert f"{made.root}/app: it was there before" in host["first_install"]
    # The evidence outlives what it is about.
    assert "FAILED  bad" in done.stdout


def theirs(root: Path) -> t.Dict[str, str]:
    """Put into a root what was there before, and return it: two names that ls would write into one line."""
    files = {"app/main.py": "code", "data/it.db": "customers", "two\nlines/file": "odd", " blank /file": "odd"}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text, encoding="utf-8")
    return files


def everything(root: Path) -> t.Dict[str, str]:
    return {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in root.rglob("*") if path.is_file()}


def test_what_fails_before_anything_can_run_is_taken_back_as_well(
    tmp_path: Path, quick_python: str, connection: t.Dict[str, t.Any]
) -> None:
    root = tmp_path / "early"
    before = theirs(root)
    (tmp_path / "wheels").mkdir()
    known = {
        **connection,
        "ansible_python_interpreter": sys.executable,
        "bootstrap_on_path": False,
        "bootstrap_python": quick_python,
        "bootstrap_wheels": str(tmp_path / "wheels"),
        "rollcall_stack": {"name": "early", "root": str(root), "services": {"web": {"command": ["/bin/true"]}}},
    }

    kept = run_site(tmp_path, {"here": known})

    assert "What was made stays" in kept["here"]["first_install"]
    assert sorted(names_before(str(root)) or []) == sorted({name.partition("/")[0] for name in before})

    gone = run_site(tmp_path, {"here": known}, "-e", "on_failure=rollback")

    assert everything(root) == before
    assert "Install supervisor and what the engine needs" in gone["here"]["steps"][2]["said"]
    assert f"{root}/app: it was there before" in gone["here"]["first_install"]


def test_what_was_there_before_stays_when_a_stack_is_taken_off(
    tmp_path: Path, quick_python: str, connection: t.Dict[str, t.Any]
) -> None:
    root = tmp_path / "early"
    before = theirs(root)
    (tmp_path / "wheels").mkdir()
    known = {
        **connection,
        "ansible_python_interpreter": sys.executable,
        "bootstrap_on_path": False,
        "bootstrap_python": quick_python,
        "bootstrap_wheels": str(tmp_path / "wheels"),
        "rollcall_stack": {"name": "early", "root": str(root), "services": {"web": {"command": ["/bin/true"]}}},
    }
    run_site(tmp_path, {"here": known})
    assert (root / "engine").exists()
    (root / "shared").mkdir()
    for later in ("backup.sql", "shared/upload.jpg"):
        (root / later).write_text("theirs", encoding="utf-8")

    def remove(*options: str) -> subprocess.CompletedProcess[str]:
        command = [str(PLAYBOOK), "playbooks/remove.yml", "-i", str(tmp_path / "hosts.json"), *options]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=400)

    for told in (remove(), remove("--check")):
        words = " ".join(told.stdout.split())
        assert f"with it, not made by Rollcall: {root}/shared/upload.jpg" in words
        assert f"stays: {root}/backup.sql: Rollcall has not made it" in words
    kept = " ".join(remove("-e", '{"keep": ["shared", "logs"]}').stdout.split())
    assert (f"{root}/shared" in kept, f"stays: {root}/backup.sql" in kept) == (False, True), kept
    assert (root / "engine").exists()
    done = remove("-e", "confirm=early")

    assert done.returncode == 0, done.stdout
    words = " ".join(done.stdout.split())
    assert f"{root}/shared/upload.jpg" in words
    assert f"{root}/backup.sql: Rollcall has not made it" in words
    assert everything(root) == {**before, "backup.sql": "theirs"}
    assert not (root / "engine").exists()


def test_what_only_waits_for_its_credentials_is_not_taken_back(made: StackUnderTest) -> None:
    mend(made)
    made.raw["services"]["bad"]["requires_files"] = ["credentials/key.pem"]
    prepare(made)

    done = play(made, "site.yml", "-e", "on_failure=rollback")

    assert done.returncode == 2
    assert made.pids().keys() == {"good"}


@pytest.mark.parametrize("word", ["rollback", "leave"])
def test_what_has_held_once_is_never_taken_back(made: StackUnderTest, word: str) -> None:
    mend(made)
    assert play(made, "site.yml").returncode == 0
    made.raw["services"]["bad"]["command"] = ["/bin/false"]
    prepare(made)

    done = play(made, "site.yml", "-e", f"on_failure={word}")

    assert done.returncode == 2
    assert NEVER_VERIFIED not in done.stdout
    (report,) = document(made)["hosts"]["here"]["reports"]
    assert report["result"] == ("rolled_back" if word == "rollback" else "degraded")
    assert made.pids().keys() == ({"good", "bad"} if word == "rollback" else {"good"})


def test_what_has_held_once_is_not_taken_back_after_a_crash_loop_either(made: StackUnderTest) -> None:
    """A loop takes *verified* from the generation: a later site took the whole stack off, as if it had never run."""
    mend(made)
    assert made.perform()["ok"]
    record_unverified(made.paths, made.root)
    made.raw["services"]["bad"]["command"] = ["/bin/false"]
    prepare(made)

    done = play(made, "site.yml", "-e", "on_failure=rollback")

    assert done.returncode == 2
    assert NEVER_VERIFIED not in done.stdout
    assert Path(made.command).exists()
    assert "good" in made.pids()


def test_another_run_at_work_is_not_taken_the_ground_from(made: StackUnderTest) -> None:
    play(made, "site.yml")
    with locked(made.paths.state, "ada", "full"):
        done = play(made, "site.yml", "-e", "on_failure=rollback")

    assert done.returncode == 2
    assert Path(made.command).exists()
    said = document(made)["hosts"]["here"]["first_install"]
    assert said.startswith("What was made could not be taken back: ")
    assert "is locked by another run" in said
    # Each sentence ends, and the command stands at the end, where it can be copied.
    assert f". {NEVER_VERIFIED}" in said
    assert said.endswith("-e confirm=test")


def test_a_host_that_ends_because_of_another_one_is_not_taken_back(made: StackUnderTest, tmp_path: Path) -> None:
    mend(made)
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "services_boot": "none",
        "rollcall_stack": made.raw,
    }
    lost = {**known, "rollcall_stack": {**made.raw, "root": str(tmp_path / "lost")}, "bootstrap_python": "/bin/false"}

    hosts = run_site(tmp_path, {"good": known, "lost": lost}, "-e", "on_failure=rollback")

    assert Path(made.command).exists()
    assert hosts["good"]["error"]["message"] == "There is no verdict on this host."
    assert "first_install" not in hosts["good"]
    assert "/bin/false" in hosts["lost"]["error"]["message"]


def test_a_host_whose_services_run_is_brought_to_its_end_when_another_host_fails(
    made: StackUnderTest, tmp_path: Path
) -> None:
    """What comes after the run, such as the start after a boot and the commands after a switch, was left out."""
    code, after = tmp_path / "code", tmp_path / "after"
    write(code, {"VERSION": "1"})
    with stack({"bad": {"command": ["/bin/false"]}}) as other:
        mend(made)
        prepare(other)
        known = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "services_boot": "none",
            "rollcall_stack": made.raw,
            "rollcall_release": {"source": str(code), "after_switch": [["touch", str(after)]]},
        }
        bad = {**known, "rollcall_stack": other.raw}
        bad["rollcall_release"] = {"source": str(code)}

        hosts = run_site(tmp_path, {"good": known, "bad": bad}, "-e", "on_failure=leave")

    assert hosts["good"]["ok"], hosts["good"]
    assert after.exists()
    assert not hosts["bad"]["ok"]


def test_an_outcome_of_an_earlier_playbook_is_gone_when_one_is_interrupted(
    made: StackUnderTest, tmp_path: Path
) -> None:
    mend(made)
    assert play(made, "site.yml").returncode == 0
    document = Path(made.root, "outcome.json")
    assert json.loads(document.read_text(encoding="utf-8"))["ok"]
    hosts = json.loads(Path(made.root, "hosts.json").read_text(encoding="utf-8"))
    hosts["all"]["hosts"]["here"]["restart"] = "full"
    made.raw["services"]["good"]["stop"] = {"timeout": 30}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps(hosts), encoding="utf-8")
    running = subprocess.Popen(
        # Where the tests run in the background, their shell has had them ignore it.
        ["env", "--default-signal=INT,QUIT", str(PLAYBOOK), "site.yml", "-i", str(inventory)],
        cwd=ROOT,
        env={**os.environ, "ROLLCALL_OUTCOME": str(document)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert eventually(lambda: not document.exists(), BOUND)

        def has_ended() -> bool:
            # Again: Python drops the first where it comes within a finalizer.
            os.killpg(running.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(1)
            return running.poll() is not None

        assert eventually(has_ended, BOUND)
        assert running.returncode != 0
    finally:
        running.kill()
        running.wait()
    assert not document.exists()


def test_another_word_for_it_is_refused_before_anything_is_touched(made: StackUnderTest) -> None:
    done = play(made, "site.yml", "-e", "on_failure=undo")

    assert done.returncode == 2
    assert "on_failure must be one of: leave, rollback, got: undo" in done.stdout
    assert not Path(made.root, "etc").exists()
