# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every cure cures: a thing is broken, the message is read, what it prints is run as printed, and the thing is whole.

tests/repo/test_cures.py has the table of all cures, with the trial that proves each.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import signal
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.removing import remove
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import flush, tool
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked
from tests.support import namespaces
from tests.support.commands import rollcall
from tests.support.interpreters import give_to, python_of_all
from tests.support.processes import eventually, free_port, is_alive
from tests.support.stacks import APP, StackUnderTest, stack, two_services
from tests.support.victims import victim

pytestmark = pytest.mark.usefixtures("bystander")

# What stands before a cure in a text of ours.
_TOLD = re.compile(r"^\s*(?:next:|then:|cure:|next |then |cure )\s*(.+?)(?:  # .*)?$", re.MULTILINE)


def ask(made: StackUnderTest, words: str, **more: t.Any) -> subprocess.CompletedProcess[str]:
    """Call the stack's own command."""
    return shell(f"{shlex.quote(made.command)} {words}", **more)


def shell(command: str, **more: t.Any) -> subprocess.CompletedProcess[str]:
    """Run a command as it was printed, from a directory of nobody's."""
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd="/", capture_output=True, text=True, check=False, timeout=100, **more
    )


def told(done: subprocess.CompletedProcess[str]) -> t.List[str]:
    """Return the cures that a command has printed, each once."""
    return list(dict.fromkeys(_TOLD.findall(done.stdout + done.stderr)))


def obey(command: str) -> str:
    """Run a cure; of an advice the command at its end. Return what it said."""
    done = shell(command.rpartition(", then run: ")[2])
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    """A stack that runs and is verified."""
    with stack(two_services()) as made:
        report = made.perform()
        assert report["ok"], report["checks"]
        yield made


def waits_for(place: str) -> t.Dict[str, t.Any]:
    """Return a service that ends at once, and says why, while a file is missing."""
    script = f"test -e {place} || {{ echo {place} is missing; exit 1; }}; exec {sys.executable} {APP} web"
    return {"command": ["/bin/sh", "-c", script], "start": {"seconds": 1, "retries": 0}}


# --- a service ----------------------------------------------------------------------------------------------------


def test_the_log_says_what_is_missing_and_start_ends_it(tmp_path: Path) -> None:
    with stack({"web": waits_for(f"{tmp_path}/ready")}) as made:
        assert not made.perform()["ok"]
        look, then = told(ask(made, "status"))[-2:]
        assert look == f"{made.command} logs web"
        assert f"{tmp_path}/ready is missing" in obey(look)
        (tmp_path / "ready").touch()
        assert then == cures.put_right(f"{made.command} start")
        obey(then)
        assert made.status()["ok"]


def test_a_service_that_waits_is_started_when_what_it_needs_was_brought(tmp_path: Path) -> None:
    needed = tmp_path / "key.pem"
    with stack({"web": {"requires_files": [str(needed)]}}) as made:
        made.perform()
        (cure,) = told(ask(made, "status"))
        assert cure == cures.bring(f"{made.command} start")
        needed.touch()
        obey(cure)
        assert made.status()["ok"]


def test_a_variable_comes_with_an_install_alone() -> None:
    with stack({"web": {"requires_env": ["TOKEN"]}}) as made:
        made.perform()
        (cure,) = told(ask(made, "status"))
        assert cure == cures.bring(cures.INSTALL)


def test_a_directory_that_is_gone_is_made(running: StackUnderTest, tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.mkdir()
    running.raw["services"]["worker"]["directory"] = str(place)
    assert running.perform()["ok"]
    assert running.perform("stop")["ok"]
    place.rmdir()
    cure, again = told(ask(running, "start"))
    assert (cure, again) == (cures.make_directory(str(place)), cures.AGAIN)
    obey(cure)
    assert ask(running, "start").returncode == 0


def test_a_program_that_nobody_may_execute_is_made_executable(running: StackUnderTest, tmp_path: Path) -> None:
    program = tmp_path / "worker"
    program.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
    program.chmod(0o755)
    running.raw["services"]["worker"]["command"] = [str(program)]
    assert running.perform()["ok"]
    assert running.perform("stop")["ok"]
    program.chmod(0o644)
    cure, again = told(ask(running, "start"))
    assert (cure, again) == (cures.mode("+x", str(program)), cures.AGAIN)
    obey(cure)
    assert ask(running, "start").returncode == 0


# --- the stack ----------------------------------------------------------------------------------------------------


def test_what_is_in_the_place_of_the_generation_is_moved_away(running: StackUnderTest) -> None:
    os.unlink(running.paths.etc)
    os.mkdir(running.paths.etc)
    cure, install = told(ask(running, "status"))
    assert (cure, install) == (cures.move_away(running.paths.etc), cures.INSTALL)
    obey(cure)
    assert running.perform()["ok"]


def test_status_and_doctor_name_the_same_cure_when_nothing_runs(running: StackUnderTest) -> None:
    running.kill_daemon()
    running.end()
    of_status, of_doctor = told(ask(running, "status"))[0], told(ask(running, "doctor"))
    assert of_status == f"{running.command} start"
    assert of_status in of_doctor
    obey(of_status)
    assert running.status()["ok"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the services of others")
def test_doctor_and_start_name_one_cure_for_a_python_that_the_user_may_not_execute(tmp_path: Path) -> None:
    who, closed = pwd.getpwnam("games"), tmp_path / "closed"
    with stack(two_services()) as made:
        give_to(made, who.pw_name, who.pw_uid, who.pw_gid)
        assert made.perform()["ok"]
        assert made.perform("stop")["ok"]
        closed.mkdir(mode=0o700)
        python = Path(made.root, "engine", "venv", "bin", "python")
        (closed / "python").symlink_to(python.resolve())
        python.unlink()
        python.symlink_to(closed / "python")

        refused, looked = ask(made, "start"), ask(made, "doctor")

        assert refused.returncode == 2, refused
        assert f"{python}: user games may not execute it" in refused.stderr
        assert told(refused)[0] == cures.another_python()
        assert cures.another_python() in told(looked)
        python.unlink()
        python.symlink_to(python_of_all() or "")
        assert ask(made, "start").returncode == 0


def test_where_no_generation_is_verified_one_that_is_kept_can_be_gone_to(tmp_path: Path) -> None:
    with stack({"web": waits_for(f"{tmp_path}/ready")}) as made:
        made.perform()
        made.raw["services"]["web"]["env"] = {"A": "1"}
        made.perform()
        first, _second = sorted(os.listdir(f"{made.root}/generations"))
        cure, correct = told(ask(made, "rollback"))
        assert (cure, correct) == (f"{made.command} rollback {first}", cures.correct())
        (tmp_path / "ready").touch()
        obey(cure)
        assert made.status()["generation"] == {"id": first, "verified": True}


def test_a_run_that_is_waited_for_ends_and_the_same_command_does_it(running: StackUnderTest) -> None:
    with locked(running.paths.state, "ada", "full"):
        refused = ask(running, "start")
        assert refused.returncode == 3
        assert told(refused)[0] == cures.WAIT
    assert ask(running, "start").returncode == 0


def test_the_holder_of_a_lock_that_is_stopped_can_be_let_go_on_or_be_killed(running: StackUnderTest) -> None:
    code = (
        "import sys, time\n"
        "from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked\n"
        "with locked(sys.argv[1], 'ada', 'full'):\n    print('locked', flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, running.paths.state], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        holder.send_signal(signal.SIGSTOP)
        refused = ask(running, "start")
        go_on, kill = told(refused)[:2]
        assert (go_on, kill) == (cures.go_on(holder.pid), cures.kill(holder.pid))
        obey(go_on)
        obey(kill)
        holder.wait(60)
    assert ask(running, "start").returncode == 0


def test_who_may_not_is_told_who_may(running: StackUnderTest) -> None:
    os.chmod(running.root, 0o755)
    refused = ask(running, "start", user=65534, group=65534, extra_groups=[])
    assert cures.AS_ROOT in told(refused), refused
    # The tests run as root, who need not write sudo.
    assert ask(running, "start").returncode == 0


def test_a_run_that_failed_can_be_looked_up_and_acknowledged(tmp_path: Path) -> None:
    with stack({"web": waits_for(f"{tmp_path}/ready")}) as made:
        made.perform()
        (tmp_path / "ready").touch()
        run = json.loads(ask(made, "status --json").stdout)["last_failure"]["run"]
        history, acknowledge = told(ask(made, "status"))[:2]
        assert (history, acknowledge) == (f"{made.command} history {run}", f"{made.command} acknowledge")
        assert run in obey(history)
        obey(acknowledge)
        assert json.loads(ask(made, "status --json").stdout)["last_failure"] is None


def test_a_manifest_with_an_error_is_named_by_the_command_that_is_told(running: StackUnderTest, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"stack": {**running.raw, "services": {}}}), encoding="utf-8")
    (cure,) = told(ask(running, f"manifest drift {manifest}"))
    assert cure == f"{running.command} manifest check {manifest}"
    assert "stack.services" in shell(cure).stdout


# --- ports --------------------------------------------------------------------------------------------------------


def test_a_stranger_on_a_port_is_ended_by_the_override_that_is_told(running: StackUnderTest) -> None:
    assert running.perform("stop")["ok"]
    with victim("listen", running.raw["services"]["web"]["port"]) as stranger:
        refused = ask(running, "start")
        assert refused.returncode == 3
        end, force, other = told(refused)
        assert (end, force) == (cures.end(stranger.pid), f"{running.command} restart auto --policy any")
        assert other == cures.another_port("web")
        obey(force)
        assert not stranger.alive
    assert running.status()["ok"]


def test_a_stranger_on_a_port_is_ended_by_the_command_that_is_told(running: StackUnderTest) -> None:
    assert running.perform("stop")["ok"]
    with victim("listen", running.raw["services"]["web"]["port"]) as stranger:
        obey(told(ask(running, "start"))[0])
        assert eventually(lambda: not stranger.alive)
    assert ask(running, "start").returncode == 0


def test_a_task_that_frees_ports_is_told_its_own_option() -> None:
    with stack({"web": {"port": free_port()}}) as made, victim("listen", made.raw["services"]["web"]["port"]) as held:
        wanted = made.generation().stack
        with pytest.raises(RollcallError) as refused:
            flush.flush(wanted)
        assert cures.override(held.port) in refused.value.remedies
        flush.flush(wanted, overrides={held.port: "any"})
        assert not held.alive


def test_more_victims_than_are_allowed_are_ended_by_the_option_that_is_told() -> None:
    services = {f"s{number}": {"port": free_port()} for number in range(2)}
    with stack(services) as made:
        first, second = (service["port"] for service in made.raw["services"].values())
        with victim("listen", first), victim("listen", second):
            wanted = made.generation().stack
            with pytest.raises(RollcallError) as refused:
                flush.flush(wanted, policy="any", max_victims=1)
            (cure,) = refused.value.remedies
            assert cure == cures.most_victims(2)
            assert flush.flush(wanted, policy="any", max_victims=int(cure.rpartition("=")[2])).changed


def test_a_service_that_gets_no_port_is_told_who_has_them_and_which_one_is_free() -> None:
    own, other = free_port(), free_port()
    with stack({"web": {"port": own, "fallback_ports": [other], "auto_fallback": False}}) as made:
        assert made.perform()["ok"]
        assert made.perform("stop")["ok"]
        with victim("listen", own) as stranger:
            with pytest.raises(RollcallError) as refused:
                tool.give(made.generation().stack)
            told_here = [command.replace("rollcall", made.command, 1) for command in refused.value.remedies[:3]]
            check, fix, free = told_here
            assert f"pid {stranger.pid}" in shell(check).stdout
            assert re.search(r"\d{4,5}", shell(free).stdout)
            assert "next: rollcall start" in shell(fix).stdout
            shell(f"{made.command} start")
            assert {row["port"] for row in made.status()["services"]} == {other}
            assert "provenance" in shell(f"{made.command} ports list").stdout
        assert made.perform("stop")["ok"]


# --- looks --------------------------------------------------------------------------------------------------------


def test_every_look_shows_what_it_is_for(tmp_path: Path) -> None:
    place = tmp_path / "a file"
    place.write_text("last line\n", encoding="utf-8")
    with victim("listen", free_port()) as held, open(place, encoding="utf-8"):
        assert f"pid={held.pid}," in obey(cures.listener(held.port))
        assert f"{held.pid} " in obey(cures.process(held.pid))
        assert str(os.getpid()) in obey(cures.holder(str(place)))
    assert "last line" in obey(cures.log(str(place)))
    assert "a file" in obey(cures.rights(str(tmp_path), str(place)))
    assert "Filesystem" in obey(cures.space(str(tmp_path), "/"))
    assert int(obey(cures.HARD_LIMIT)) > 0 or obey(cures.HARD_LIMIT).strip() == "unlimited"


def test_closed_connections_are_shown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            there, _address = server.accept()
            # Who closes first is remembered.
            there.close()
    assert str(port) in obey(cures.closing(port))


def test_a_repository_shows_what_it_has(tmp_path: Path) -> None:
    obey(
        f"git init -q {tmp_path} && cd {tmp_path} && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m a"
    )
    assert "HEAD" in obey(cures.remote(str(tmp_path)))


# --- the kernel's -------------------------------------------------------------------------------------------------


def test_a_file_system_is_made_writable_again(tmp_path: Path) -> None:
    def mended() -> t.Tuple[bool, bool]:
        before = os.access(tmp_path, os.W_OK)
        return before, shell(cures.writable(str(tmp_path))).returncode == 0 and os.access(tmp_path, os.W_OK)

    assert namespaces.seen_with(namespaces.read_only(str(tmp_path)), mended) == [False, True]


def test_what_is_mounted_in_a_directory_is_taken_away_before_it_is_removed(tmp_path: Path) -> None:
    inner = tmp_path / "old" / "media"
    inner.mkdir(parents=True)

    def removed() -> t.Tuple[t.List[str], bool]:
        with pytest.raises(RollcallError) as refused:
            remove(str(tmp_path / "old"))
        for cure in refused.value.remedies:
            obey(cure)
        remove(str(tmp_path / "old"))
        return list(refused.value.remedies), (tmp_path / "old").exists()

    assert namespaces.seen_with(namespaces.read_only(str(inner)), removed) == [[cures.unmount(str(inner))], False]


def test_a_port_is_taken_from_those_that_the_kernel_gives_away() -> None:
    command = f"{cures.reserve(40123)} && cat /proc/sys/net/ipv4/ip_local_reserved_ports"
    done = shell(f"unshare -n sh -c {shlex.quote(command)}")
    assert done.stdout.endswith("40123\n"), done


def test_the_processes_of_a_host_are_mounted_again() -> None:
    done = shell(f"unshare -m -p -f sh -c {shlex.quote(f'umount -l /proc; {cures.MOUNT_PROC} && cat /proc/self/stat')}")
    assert done.returncode == 0, done


def test_a_process_that_does_not_end_when_asked_ends_when_it_is_killed() -> None:
    with subprocess.Popen(
        ["/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], stdout=subprocess.PIPE
    ) as held:
        assert held.stdout is not None
        held.stdout.readline()
        obey(cures.end(held.pid))
        assert is_alive(held.pid)
        obey(cures.kill(held.pid))
        assert held.wait(60) == -signal.SIGKILL


@pytest.mark.parametrize("inventory", ["hosts.yml", 'my inv\'s/a "b".yml', "back\\slash.yml"])
def test_a_broken_engine_is_told_with_the_very_command_that_has_installed_it(inventory: str) -> None:
    by = shlex.join(["ansible-playbook", "-i", inventory, "site.yml"])
    with stack({"worker": {}}) as made:
        assert made.perform(by=by)["ok"]
        os.unlink(os.path.join(made.root, "engine", "venv"))
        said = rollcall(made, "status")
        assert (said.code, f"  next: {by}  # on the controller\n" in said.err) == (1, True), said.err
