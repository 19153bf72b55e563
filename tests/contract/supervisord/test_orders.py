# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client needs of a supervisord that is not Rollcall's own: passwords, signals, its configuration."""

from __future__ import annotations

import hashlib
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import client_errors
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import Client, ProgramConfig
from tests.support import interpreters, supervisords
from tests.support.processes import eventually
from tests.support.supervisords import Sandbox

sandbox = supervisords.sandbox

# A colon ends the user name, and the rest has to survive base64 and a header's line.
PASSWORD = "p:w d/é+=&?" * 8
SLEEP = "sleep 600\nstartsecs=0"


def login(place: Sandbox, username: t.Optional[str], password: t.Optional[str]) -> Client:
    return Client(place.socket, username=username, password=password, timeout=20)


def refusal(client: Client) -> RollcallError:
    with pytest.raises(RollcallError) as caught:
        client.state()
    assert caught.value.evidence["problem"] == client_errors.UNAUTHORISED
    return caught.value


# --- a password -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hashed", [False, True], ids=["plain", "hashed"])
def test_who_knows_the_password_is_served_on_one_connection(sandbox: Sandbox, hashed: bool) -> None:
    kept = "{SHA}" + hashlib.sha1(PASSWORD.encode()).hexdigest() if hashed else PASSWORD
    supervisords.want_password(sandbox, "operator", kept)
    with supervisords.started(sandbox) as pid, login(sandbox, "operator", PASSWORD) as client:
        assert (client.pid(), client.state(), client.programs()) == (pid, "RUNNING", {})


@pytest.mark.parametrize(("username", "password"), [("operator", "wrong"), ("Operator", PASSWORD), ("operator", "")])
def test_a_wrong_password_has_words_of_its_own_and_is_not_in_them(
    sandbox: Sandbox, username: str, password: str
) -> None:
    supervisords.want_password(sandbox, "operator", PASSWORD)
    with supervisords.started(sandbox):
        error = refusal(login(sandbox, username, password))
    assert "refuses the user name or the password that it was given" in error.message
    assert password == "" or password not in str(error.as_dict())
    assert "[unix_http_server]" in error.remedies[0]


def test_a_missing_password_is_told_from_a_wrong_one(sandbox: Sandbox) -> None:
    supervisords.want_password(sandbox, "operator", PASSWORD)
    with supervisords.started(sandbox):
        error = refusal(sandbox.client())
    assert "wants a password and was given none" in error.message


def test_a_password_that_nobody_asked_for_does_no_harm(sandbox: Sandbox) -> None:
    sandbox.start()
    with login(sandbox, "operator", PASSWORD) as client:
        assert client.state() == "RUNNING"


# --- signals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["USR1", "SIGUSR1", "usr1", "10"])
def test_a_signal_reaches_each_process_that_lives(sandbox: Sandbox, spelling: str) -> None:
    heard, ready = sandbox.home / "heard", sandbox.home / "ready"
    listener = sandbox.script(
        "listener", f"#!/bin/sh\ntrap 'touch {heard}' USR1\ntouch {ready}\nwhile true; do sleep 0.05; done\n"
    )
    sandbox.configure(hears=f"{listener}\nstartsecs=0\nstopasgroup=true\nkillasgroup=true", down=SLEEP)
    sandbox.start()
    with sandbox.client() as client:
        client.start(["hears"])
        assert eventually(ready.exists)
        answers = client.signal(["hears", "down", "nobody"], spelling)
    assert answers["hears"] is None
    assert "it is not running" in str(answers["down"])
    assert "does not know it" in str(answers["nobody"])
    assert eventually(heard.exists)


def test_a_signal_that_does_not_exist_is_refused_by_name(sandbox: Sandbox) -> None:
    sandbox.configure(one=SLEEP)
    sandbox.start()
    with sandbox.client() as client:
        client.start(["one"])
        assert "BAD_SIGNAL" in str(client.signal(["one"], "NONESUCH")["one"])


# --- what the configuration says ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", interpreters.VERSIONS)
def test_the_configuration_is_told_as_it_was_last_read(sandbox: Sandbox, version: str) -> None:
    sandbox.configure(one=SLEEP)
    sandbox.start(python=interpreters.python_with(version))
    sandbox.configure(
        one="sleep 5\nstartsecs=7\nstopwaitsecs=3\npriority=5",
        extra="[program:two]\ncommand=sleep 5\n[group:pair]\nprograms=two\npriority=9\n",
    )
    with sandbox.client() as client:
        assert set(client.configs()) == {"one"}
        client.reload()
        assert client.configs() == {
            "one": ProgramConfig("one", False, 7.0, 3.0, (5, 5)),
            "pair:two": ProgramConfig("pair:two", True, 1.0, 10.0, (9, 999)),
        }
        assert set(client.programs()) == {"one"}


def test_a_configuration_with_numbers_too_large_for_xml_rpc_is_not_told_and_no_error(sandbox: Sandbox) -> None:
    sandbox.configure(large=f"{SLEEP}\nstdout_logfile_maxbytes=2GB", other=SLEEP)
    sandbox.start()
    with sandbox.client() as client:
        assert client.configs() == {}
        assert set(client.programs()) == {"large", "other"}


def test_a_program_names_the_files_of_its_output(sandbox: Sandbox) -> None:
    one, two = sandbox.home / "one.log", sandbox.home / "two.log"
    sandbox.configure(
        both=f"{SLEEP}\nstdout_logfile={one}\nstderr_logfile={two}",
        joined=f"{SLEEP}\nstdout_logfile={one}\nredirect_stderr=true",
        none=f"{SLEEP}\nstdout_logfile=NONE\nstderr_logfile=NONE",
    )
    sandbox.start()
    with sandbox.client() as client:
        logs = {name: program.logs for name, program in client.programs().items()}
    assert logs == {"both": (str(one), str(two)), "joined": (str(one),), "none": ()}
