# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where services listen besides their port, who listens beside them, and who could not listen at all."""

from __future__ import annotations

import socket
import typing as t
from pathlib import Path

import pytest

from tests.support.commands import rollcall
from tests.support.processes import eventually, free_port
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack

# Listens on each address and port that it is given, and lives.
LISTENS = """
import socket, sys, time
held = []
for place in sys.argv[1:]:
    host, _, port = place.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held.append(socket.create_server((host, int(port)), family=family, reuse_port=True))
print("ready", flush=True)
time.sleep(3600)
"""
# Says that it found an address in use, and lives.
COMPLAINS = """
import sys, time
print(sys.argv[1], flush=True)
time.sleep(3600)
"""
IN_USE = "OSError: [Errno 98] Address already in use"


def runs(made: StackUnderTest, program: str, *arguments: str, **more: t.Any) -> t.Dict[str, t.Any]:
    """Return a service that runs a program of several lines."""
    path = Path(made.root, "service.py")
    path.write_text(program, encoding="utf-8")
    return {"command": [made.program, str(path), *arguments], **more}


def listening(made: StackUnderTest, *places: str, **more: t.Any) -> t.Dict[str, t.Any]:
    return runs(made, LISTENS, *places, **more)


def notes(made: StackUnderTest, verb: str = "status") -> t.List[str]:
    found: t.List[str] = rollcall(made, verb, "--json").data["notes"]
    return found


def codes(made: StackUnderTest) -> t.Set[t.Tuple[str, str, str]]:
    found = rollcall(made, "doctor", "--json").data["findings"]
    return {(one["name"], one["subject"], one["severity"]) for one in found}


# --- where it listens ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "reach"), [("127.0.0.1", "this host alone"), ("0.0.0.0", "every address of the host")]
)
def test_a_port_that_the_manifest_does_not_name_is_told_with_who_can_reach_it(address: str, reach: str) -> None:
    port, other = free_port(), free_port()
    with stack({"web": {}, "quiet": {}}) as made:
        made.raw["services"]["web"] = listening(made, f"127.0.0.1:{port}", f"{address}:{other}", port=port)
        report = made.perform()
        assert report["ok"]
        for told in (report["notes"], notes(made), notes(made, "verify")):
            (note,) = [one for one in told if "the manifest does not say so" in one]
            assert note.startswith("web: it also listens on")
            assert f"{address}:{other} ({reach})" in note
            assert f":{port} " not in note
        assert ("listens_elsewhere", "web", "note") in codes(made)


def test_a_port_that_health_is_asked_on_is_named() -> None:
    port, other = free_port(), free_port()
    with stack({"web": {}}) as made:
        health = {"tcp": True, "port": other}
        places = (f"127.0.0.1:{port}", f"127.0.0.1:{other}")
        made.raw["services"]["web"] = listening(made, *places, port=port, health=health)
        assert made.perform()["ok"]
        assert notes(made) == []


def test_what_other_processes_of_the_same_user_listen_on_is_not_told() -> None:
    with socket.create_server(("127.0.0.1", 0)), stack({"web": {}}) as made:
        assert made.perform()["ok"]
        assert notes(made) == []


# --- who listens beside it ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ours", "theirs"), [("127.0.0.1", "::1"), ("127.0.0.1", "::"), ("0.0.0.0", "::1")])
def test_a_stranger_on_the_other_family_of_the_port_is_told_and_fails_nobody(ours: str, theirs: str) -> None:
    with stack({"web": {}}) as made:
        port = free_port()
        made.raw["services"]["web"] = listening(made, f"{ours}:{port}", port=port)
        assert made.perform()["ok"]
        with socket.create_server((theirs, port), family=socket.AF_INET6):
            assert failed_checks(made.status()) == []
            (note,) = notes(made)
            assert f"[{theirs}]:{port}" in note
            assert f"localhost:{port}" in note
            assert ("listens_beside", "web", "warning") in codes(made)


def test_a_stranger_at_a_more_specific_address_takes_the_port() -> None:
    with stack({"web": {}}) as made:
        port = free_port()
        made.raw["services"]["web"] = listening(made, f"0.0.0.0:{port}", port=port)
        assert made.perform()["ok"]
        with socket.create_server(("127.0.0.1", port), reuse_port=True):
            assert check_of(made.status(), "port", "web")["code"] == "taken"


def test_a_stranger_at_an_address_that_is_not_localhost_is_not_told() -> None:
    with stack({"web": {}}) as made:
        port = free_port()
        made.raw["services"]["web"] = listening(made, f"127.0.0.1:{port}", port=port)
        assert made.perform()["ok"]
        with socket.create_server(("127.0.0.9", port)):
            assert failed_checks(made.status()) == []
            assert notes(made) == []


# --- who could not listen -----------------------------------------------------------------------------------------


def test_a_service_without_a_port_that_found_its_address_in_use_is_not_ok() -> None:
    with stack({"worker": {}}) as made:
        made.raw["services"]["worker"] = runs(made, COMPLAINS, IN_USE)
        made.perform()
        assert eventually(lambda: "in_use" in _log_codes(made))
        check = check_of(rollcall(made, "verify", "--json").data, "logs", "worker")
        assert IN_USE in check["evidence"]
        # It is said once it is known, and no change is undone for it.
        acknowledged = rollcall(made, "acknowledge", "--json").data
        assert acknowledged["logs"] == {"worker": [IN_USE]}
        assert failed_checks(rollcall(made, "verify", "--json").data) == []


def _log_codes(made: StackUnderTest) -> t.List[str]:
    return [check["code"] for check in rollcall(made, "verify", "--json").data["checks"] if check["name"] == "logs"]


def test_a_service_that_found_another_port_is_told_and_ok() -> None:
    with stack({"worker": {}}) as made:
        program = LISTENS.replace("ready", IN_USE)
        made.raw["services"]["worker"] = runs(made, program, f"127.0.0.1:{free_port()}")
        assert made.perform()["ok"]
        log = Path(made.paths.logs, "worker.log")
        assert eventually(lambda: IN_USE in log.read_text(encoding="utf-8"))
        said = rollcall(made, "verify", "--json").data
        assert failed_checks(said) == []
        assert [note for note in said["notes"] if "it listens on" in note]


def test_a_second_instance_that_found_the_port_of_the_first_taken_is_ok() -> None:
    # Such as the metrics of several workers, which the first of them offers.
    port = free_port()
    program = f"""
import socket, time
try:
    held = socket.create_server(("127.0.0.1", {port}))
except OSError as exc:
    print(exc, flush=True)
time.sleep(3600)
"""
    with stack({"worker": {"instances": 2}}) as made:
        made.raw["services"]["worker"] = runs(made, program, instances=2)
        assert made.perform()["ok"]
        assert failed_checks(rollcall(made, "verify", "--json").data) == []


def test_a_service_with_a_port_is_judged_by_its_port_and_not_by_what_it_said_of_it() -> None:
    port = free_port()
    with stack({"web": {}}) as made:
        program = f"print({IN_USE!r}, flush=True)\n{LISTENS}"
        made.raw["services"]["web"] = runs(made, program, f"127.0.0.1:{port}", port=port)
        assert made.perform()["ok"]
        assert failed_checks(rollcall(made, "verify", "--json").data) == []
