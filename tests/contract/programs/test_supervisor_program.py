# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module supervisor_program against a real supervisord: what it says is what is so."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import typing as t
from pathlib import Path

import psutil
import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Paths
from ansible_collections.rollcall.supervisor.plugins.module_utils.programs import execution
from ansible_collections.rollcall.supervisor.plugins.module_utils.programs.plan import WantedPrograms, plan_programs
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import lock_note, locked
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import client_errors
from ansible_collections.rollcall.supervisor.plugins.modules import supervisor_program
from tests.support import interpreters, manifests, returns, supervisords
from tests.support.processes import eventually, is_alive
from tests.support.supervisords import Sandbox
from tests.support.victims import Victim

sandbox = supervisords.sandbox

SLEEP = "sleep 600\nstartsecs=0"

Module = t.Callable[..., t.Dict[str, t.Any]]


@pytest.fixture
def module(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> Module:
    """Return a function that runs the module with options, ``check`` for check mode, and returns its result."""

    def run(state: str, *names: str, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        arguments = {"state": state, "name": list(names), "_ansible_check_mode": check, **options}
        if "root" not in options:
            arguments.setdefault("socket", sandbox.socket)
        capfd.readouterr()
        with patch_module_args(arguments), pytest.raises(SystemExit):
            supervisor_program.main()
        result = returns.checked("supervisor_program", json.loads(capfd.readouterr().out))
        assert result.get("failed") or {"changed", "diff"} <= set(result)
        return result

    return run


def after(result: t.Mapping[str, t.Any]) -> dict[str, str]:
    assert "programs" in result, result
    return {row["name"]: row["after"] for row in result["programs"]}


def pids(place: Sandbox) -> dict[str, int]:
    with place.client() as client:
        return {name: program.pid for name, program in client.programs().items()}


def states(place: Sandbox) -> dict[str, str]:
    with place.client() as client:
        return {name: program.state for name, program in client.programs().items()}


def rhythm(module: Module, place: Sandbox, *arguments: str, **options: t.Any) -> dict[str, t.Any]:
    """Check mode, the change, and again: check mode tells what then happens and touches nothing."""
    was = (states(place), pids(place))
    told = module(*arguments, check=True, **options)
    assert (states(place), pids(place)) == was, "check mode did something"
    done = module(*arguments, **options)
    assert told["changed"] is done["changed"] is True
    assert (told["diff"], told["actions"], after(told)) == (done["diff"], done["actions"], after(done))
    for again in (module(*arguments, check=True, **options), module(*arguments, **options)):
        assert again["changed"] is False
        assert again["actions"] == []
        assert again["diff"]["before"] == again["diff"]["after"]
        assert after(again) == {name: state for name, state in after(done).items() if state != "absent"}
    return done


# --- the states -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", interpreters.VERSIONS)
def test_programs_groups_and_all_start_and_stop(
    sandbox: Sandbox, module: Module, version: str, bystander: Victim
) -> None:
    group = "[program:a]\ncommand=sleep 600\nautostart=false\n[program:b]\ncommand=sleep 600\nautostart=false\n"
    sandbox.configure(web="sleep 600\nstartsecs=5", other=SLEEP, extra=f"{group}[group:shop]\nprograms=a,b\n")
    sandbox.start(python=interpreters.python_with(version))
    started = rhythm(module, sandbox, "started", "web", "shop")
    begun = [psutil.Process(row["pid_after"]).create_time() for row in started["programs"]]
    assert max(begun) - min(begun) < 5, "all at once: none waited for the startsecs of another"
    assert after(started) == {"web": "RUNNING", "shop:a": "RUNNING", "shop:b": "RUNNING"}
    assert {row["name"]: row["pid_after"] for row in started["programs"]} == {
        name: pid for name, pid in pids(sandbox).items() if pid
    }
    assert states(sandbox)["other"] == "STOPPED"
    assert after(rhythm(module, sandbox, "stopped", "shop:a")) == {"shop:a": "STOPPED"}
    assert states(sandbox) == {"web": "RUNNING", "other": "STOPPED", "shop:a": "STOPPED", "shop:b": "RUNNING"}
    running = [pid for pid in pids(sandbox).values() if pid]
    assert set(after(rhythm(module, sandbox, "stopped", "all")).values()) == {"STOPPED"}
    assert not [pid for pid in running if is_alive(pid)]
    assert is_alive(bystander.pid)


def test_a_restart_gives_every_program_another_process(sandbox: Sandbox, module: Module) -> None:
    sandbox.configure(one=SLEEP, two=SLEEP, down=SLEEP)
    sandbox.start()
    module("started", "one", "two")
    before = pids(sandbox)
    told = module("restarted", "all", check=True)
    assert pids(sandbox) == before
    assert {row["pid_after"] for row in told["programs"]} == {None}
    done = module("restarted", "all")
    assert told["changed"] is done["changed"] is True
    assert told["diff"] == done["diff"]
    assert {row["name"]: row["action"] for row in done["programs"]} == {
        "one": "restarted",
        "two": "restarted",
        "down": "started",
    }
    assert {row["name"]: row["pid_before"] for row in done["programs"]} == {**before, "down": None}
    assert {row["name"]: row["pid_after"] for row in done["programs"]} == pids(sandbox)
    assert not set(before.values()) & set(pids(sandbox).values()) - {0}


def test_twenty_programs_restart_in_little_more_than_the_time_of_one(sandbox: Sandbox, module: Module) -> None:
    sandbox.configure(**{f"p{number}": "sleep 600\nstartsecs=3" for number in range(20)})
    sandbox.start()
    assert module("started", "all")["changed"]
    began = time.monotonic()
    assert set(after(module("restarted", "all")).values()) == {"RUNNING"}
    assert time.monotonic() - began < 40, "startsecs is 3; one after the other would be 60"


def test_a_signal_reaches_the_processes_and_they_stay(sandbox: Sandbox, module: Module) -> None:
    heard, ready = sandbox.home / "heard", sandbox.home / "ready"
    listener = sandbox.script(
        "listener", f"#!/bin/sh\ntrap 'echo x >>{heard}' HUP\ntouch {ready}\nwhile true; do sleep 0.05; done\n"
    )
    sandbox.configure(hears=f"{listener}\nstartsecs=0\nkillasgroup=true\nstopasgroup=true", down=SLEEP)
    sandbox.start()
    module("started", "hears")
    assert eventually(ready.exists)
    before = pids(sandbox)
    told = module("signalled", "all", signal="hup", check=True)
    done = module("signalled", "all", signal="hup")
    assert eventually(heard.exists)
    assert told["changed"] is done["changed"] is True
    assert told["diff"] == done["diff"]
    assert done["actions"] == [{"action": "signal", "name": "hears"}]
    assert pids(sandbox) == before
    time_of_check = heard.read_text()
    assert time_of_check == "x\n", "check mode sent none"


@pytest.mark.parametrize("version", interpreters.VERSIONS)
def test_groups_come_and_go_with_the_configuration(sandbox: Sandbox, module: Module, version: str) -> None:
    sandbox.configure(web=SLEEP)
    sandbox.start(python=interpreters.python_with(version))
    pair = "[program:on]\ncommand=sleep 600\n[program:off]\ncommand=sleep 600\nautostart=false\n"
    sandbox.configure(web=SLEEP, extra=f"{pair}[group:pair]\nprograms=on,off\n")
    assert after(rhythm(module, sandbox, "present", "pair", "web")) == {
        "pair:on": "RUNNING",
        "pair:off": "STOPPED",
        "web": "STOPPED",
    }
    process = pids(sandbox)["pair:on"]
    assert after(rhythm(module, sandbox, "absent", "pair:*")) == {"pair:on": "absent", "pair:off": "absent"}
    assert set(states(sandbox)) == {"web"}
    assert not is_alive(process), "it was stopped first"


def test_a_changed_configuration_is_reported_and_taken_over_when_told(sandbox: Sandbox, module: Module) -> None:
    sandbox.configure(web=SLEEP, other=SLEEP)
    sandbox.start()
    module("started", "all")
    before = pids(sandbox)
    sandbox.configure(web="sleep 500\nstartsecs=0\nautostart=true", other=SLEEP)
    left = module("present", "all")
    assert (left["changed"], left["outdated"]) == (False, ["web"])
    assert pids(sandbox) == before
    updated = rhythm(module, sandbox, "present", "all", update=True)
    assert updated["outdated"] == []
    assert [action["action"] for action in updated["actions"]] == ["stop", "remove", "add"]
    assert pids(sandbox)["other"] == before["other"]
    assert Path(f"/proc/{pids(sandbox)['web']}/cmdline").read_bytes() == b"sleep\x00500\x00"


def test_a_group_is_added_where_supervisord_cannot_say_what_is_in_it(sandbox: Sandbox, module: Module) -> None:
    sandbox.start()
    large = "[program:on]\ncommand=sleep 600\nstdout_logfile_maxbytes=4GB\n"
    other = "[program:off]\ncommand=sleep 600\nautostart=false\n"
    sandbox.configure(extra=f"{large}{other}[group:pair]\nprograms=on,off\n")
    told = module("present", "pair", check=True)
    assert (told["changed"], after(told)) == (True, {"pair": "present"})
    assert after(module("present", "pair")) == {"pair:on": "RUNNING", "pair:off": "STOPPED"}
    assert module("present", "pair")["changed"] is False
    assert module("stopped", "pair")["changed"] is True


# --- what is in the way -----------------------------------------------------------------------------------------------


def test_a_program_that_fails_ends_it_at_once_with_its_words_and_the_others_are_up(
    sandbox: Sandbox, module: Module
) -> None:
    log = sandbox.home / "bad.log"
    log.write_text("an old line\n")
    sandbox.configure(
        bad=f"/bin/sh -c 'echo no such database; exit 3'\nstdout_logfile={log}\nredirect_stderr=true",
        missing="/no/such/command",
        good="sleep 600",
    )
    sandbox.start()
    began = time.monotonic()
    result = module("started", "all", timeout=60)
    assert time.monotonic() - began < 50
    assert result["failed"]
    assert "2 of 3 programs could not be started" in result["msg"]
    # On a busy machine it has ended before the order to start it is answered, and that answer says so.
    assert re.search(r"bad: (BACKOFF|it could not be spawned): Exited too quickly", result["msg"])
    assert "missing: its command cannot be found (NO_FILE)" in result["msg"]
    assert "bad: no such database" in result["msg"]
    assert "an old line" not in result["msg"]
    assert f"tail -n 50 {log}" in result["error"]["remedies"]
    assert result["error"]["kind"] == "failed"
    fared = {row["name"]: row["after"] for row in result["error"]["evidence"]["programs"]}
    assert fared["good"] == states(sandbox)["good"] == "RUNNING"


def test_a_program_that_is_added_and_does_not_start_is_a_failure(sandbox: Sandbox, module: Module) -> None:
    sandbox.start()
    sandbox.configure(extra="[program:bad]\ncommand=/no/such/command\n")
    result = module("present", "bad")
    assert "bad: BACKOFF: can't find command '/no/such/command'" in result["msg"]


def test_a_crash_loop_without_start_seconds_is_no_success(sandbox: Sandbox, module: Module) -> None:
    sandbox.configure(loops="/bin/sh -c 'sleep 0.3; exit 1'\nstartsecs=0\nautorestart=true")
    sandbox.start()
    for _twice in range(2):
        result = module("started", "loops")
        assert result["failed"], "also when it happens to read RUNNING already"
        assert "did not last" in result["msg"] or "EXITED with status 1" in result["msg"]
    assert module("started", "loops", stable_for=0, check=True).get("failed") is None


def test_what_backs_off_gets_a_try_of_its_own(sandbox: Sandbox, module: Module) -> None:
    cure = sandbox.home / "cure"
    sandbox.configure(sick=f"/bin/sh -c 'test -e {cure} || exit 1; exec sleep 600'\nstartretries=1000")
    sandbox.start()
    assert module("started", "sick")["failed"]
    assert eventually(lambda: states(sandbox)["sick"] == "BACKOFF")
    cure.write_text("")
    assert after(module("started", "sick")) == {"sick": "RUNNING"}


SHORT = f"{SLEEP}\nstopwaitsecs=1"
STUBBORN = "#!/bin/sh\ntrap '' TERM\ntouch {ready}\nwhile true; do sleep 0.1; done\n"


def stubborn(place: Sandbox, module: Module, stop_seconds: float) -> int:
    """Start a program that only KILL ends, after ``stop_seconds``, and return its pid."""
    ready = place.home / "ready"
    script = place.script("stubborn", STUBBORN.format(ready=ready))
    place.configure(slow=f"{script}\nstartsecs=0\nkillasgroup=true\nstopwaitsecs={stop_seconds}", other=SHORT)
    place.start()
    assert after(module("started", "all", stable_for=0)) == {"slow": "RUNNING", "other": "RUNNING"}
    assert eventually(ready.exists)
    return pids(place)["slow"]


def test_a_stop_may_take_what_the_program_may_take(sandbox: Sandbox, module: Module) -> None:
    pid = stubborn(sandbox, module, 6)
    assert after(module("stopped", "slow", timeout=5)) == {"slow": "STOPPED"}
    assert not is_alive(pid)


def test_what_somebody_else_is_stopping_is_waited_for_and_started(sandbox: Sandbox, module: Module) -> None:
    pid = stubborn(sandbox, module, 4)
    with sandbox.client() as client:
        client.stop(["slow"])
        assert client.programs()["slow"].state == "STOPPING"
    told = module("started", "slow", check=True)
    assert (told["changed"], after(told)) == (True, {"slow": "RUNNING"})
    done = module("started", "slow")
    assert after(done) == {"slow": "RUNNING"}
    assert not is_alive(pid)
    assert done["programs"][0]["pid_after"] != pid


def test_what_does_not_stop_in_time_is_named_and_the_others_are_up_again(sandbox: Sandbox, module: Module) -> None:
    pid = stubborn(sandbox, module, 600)
    # The configuration promises more than anybody would wait for; one that was changed meanwhile promises less.
    sandbox.configure(slow=f"{sandbox.home}/stubborn\nstartsecs=0\nkillasgroup=true\nstopwaitsecs=1", other=SHORT)
    with sandbox.client() as client:
        client.reload()
    before = pids(sandbox)["other"]
    result = module("restarted", "all", timeout=2)
    assert f"slow: not stopped after 2 s: STOPPING as pid {pid}" in result["msg"]
    assert states(sandbox)["other"] == "RUNNING"
    assert pids(sandbox)["other"] not in (0, before)


def test_unknown_names_are_told_at_once_and_nothing_is_done(sandbox: Sandbox, module: Module) -> None:
    sandbox.configure(web=SLEEP)
    sandbox.start()
    for check in (True, False):
        result = module("started", "wbe", "web", "nobody", check=check)
        assert result["error"]["kind"] == "wrong_use"
        assert "'wbe' (did you mean web?)" in result["msg"]
        assert "'nobody'" in result["msg"]
        assert result["error"]["remedies"] == [cures.NAMES]
    assert states(sandbox) == {"web": "STOPPED"}
    # The names checked; and a new one taken in.
    assert module("started", "web")["changed"]
    sandbox.configure(web=SLEEP, nobody=SLEEP)
    assert module("started", "nobody")["error"]["remedies"] == [cures.NAMES]
    module("present", "nobody")
    module("started", "nobody")
    assert states(sandbox) == {"web": "RUNNING", "nobody": "RUNNING"}


def test_a_configuration_that_cannot_be_read_is_named_and_nothing_is_done(sandbox: Sandbox, module: Module) -> None:
    sandbox.configure(web=SLEEP)
    sandbox.start()
    module("started", "web")
    before = pids(sandbox)
    sandbox.configure(web=SLEEP, extra="[program:bad]\ncommand=sleep 1\nstartsecs=soon\n")
    result = module("present", "bad")
    assert "cannot read its configuration" in result["msg"]
    assert pids(sandbox) == before


def test_a_supervisord_that_hangs_is_named_within_a_bound(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "CALL_TIMEOUT", 0.3)
    pid = sandbox.start()
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(RollcallError) as caught:
        execution.carry_out(
            execution.SupervisordAddress(sandbox.socket), WantedPrograms(("all",), "stopped"), timeout=300
        )
    assert time.monotonic() - began < 60
    assert caught.value.evidence["problem"] == client_errors.SILENT


def test_no_supervisord_is_said_to_be_none(module: Module) -> None:
    assert "there is no socket at" in module("started", "web")["msg"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"socket": None}, "Neither a socket nor a stack's root was given"),
        ({"root": "/opt/x", "socket": "/run/x"}, "mutually exclusive"),
        ({"state": "signalled"}, "missing: signal"),
        ({"username": "x"}, "required together: username, password"),
        ({"state": "running"}, "must be one of: started"),
    ],
)
def test_options_that_do_not_go_together_are_refused(module: Module, options: dict[str, t.Any], words: str) -> None:
    state = options.pop("state", "started")
    assert words in module(state, "web", **options)["msg"]


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.fault(47)
def test_a_password_opens_it_and_is_in_no_result(sandbox: Sandbox, module: Module) -> None:
    sandbox.configure(web=SLEEP)
    supervisords.want_password(sandbox, "operator", "planted-token")
    with supervisords.started(sandbox):
        right = module("started", "web", username="operator", password="planted-token")
        wrong = module("started", "web", username="operator", password="planted-other")
        none = module("started", "web")
    assert after(right) == {"web": "RUNNING"}
    assert "refuses the user name or the password" in wrong["msg"]
    assert cures.password() in wrong["error"]["remedies"], "and with those it is opened, as above"
    assert "was given none" in none["msg"]
    assert "planted" not in json.dumps([right, wrong, none])


@pytest.fixture
def root(sandbox: Sandbox) -> str:
    """A stack as it is installed, with the sandbox's socket where its manifest says."""
    stack = manifests.checked(manifests.a_manifest(root=str(sandbox.home / "stack")))
    for directory in (stack.paths.etc, stack.paths.run, stack.paths.state):
        os.makedirs(directory)
    Path(stack.paths.manifest).write_text(json.dumps(stack.to_dict()))
    os.symlink(sandbox.socket, stack.paths.socket)
    return stack.root


def test_an_installed_stack_is_known_by_its_root(sandbox: Sandbox, module: Module, root: str) -> None:
    sandbox.configure(web=SLEEP)
    sandbox.start()
    assert after(rhythm(module, sandbox, "started", "web", root=root)) == {"web": "RUNNING"}


def test_a_root_without_a_stack_is_said_to_have_none(sandbox: Sandbox, module: Module) -> None:
    result = module("started", "web", root=str(sandbox.home / "nowhere"))
    assert result["error"]["kind"] == "wrong_use"
    assert "No stack is installed here" in result["msg"]


def test_nothing_is_done_to_a_stack_while_it_is_locked(sandbox: Sandbox, module: Module, root: str) -> None:
    sandbox.configure(web=SLEEP)
    sandbox.start()
    with locked(Paths.of(root).state, "ada", "full"):
        refused = module("started", "web", root=root)
        assert module("started", "web", root=root, check=True)["changed"], "looking is free"
    assert refused["error"]["kind"] == "refused"
    assert "ada runs 'full'" in refused["msg"]
    assert states(sandbox) == {"web": "STOPPED"}
    assert module("started", "web", root=root)["changed"]


def test_who_works_on_a_stack_is_named_to_the_next_one(
    sandbox: Sandbox, module: Module, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.configure(web=SLEEP)
    sandbox.start()
    seen: t.Dict[str, t.Any] = {}

    def looked(*arguments: t.Any) -> t.Any:
        seen.update(lock_note(Paths.of(root).state))
        return plan_programs(*arguments)

    monkeypatch.setattr(execution, "plan_programs", looked)
    monkeypatch.setenv("SUDO_USER", "ada")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50022 192.0.2.1 22")
    assert module("started", "web", root=root)["changed"]
    assert (seen["who"], seen["verb"]) == ("ada from 192.0.2.7", "supervisor_program started")
