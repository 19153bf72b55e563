# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in other hands gives no orders to its controller, whatever it answers, and moves no terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.support.documents import validated
from tests.support.playbooks import PLAYBOOK, prepare
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest, stack

ESCAPE = "\x1b]0;owned\x07\x1b[2J\u202eKO"
# The first play asks, once for each answer; the second tells what has become of the inventory, and of the variables.
FIRST = """
- hosts: here
  gather_facts: false
  ignore_errors: true
  handlers:
    - name: Run it
      ansible.builtin.file: {{path: "{owned}/handler", state: touch, mode: "0600"}}
    - name: Another
      ansible.builtin.file: {{path: "{owned}/another", state: touch, mode: "0600"}}
  tasks:
"""
ASKS = """
    - rollcall.supervisor.{action}: {options}
      register: asked
      notify: Run it
    - ansible.builtin.debug:
        msg: "{{{{ asked.report.notes | default([]) | join(' ') }}}}"
"""
SECOND = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.copy:
        content: "{{{{ [inventory_hostname, trusted, ansible_connection, groups.keys() | sort] | to_json }}}}"
        dest: "{owned}/seen-{{{{ inventory_hostname }}}}"
        mode: "0600"
"""


class Hostile:
    """A host whose engine answers what it likes, beside one that is well.

    Attributes:
        owned: directory that takes what was done on the controller.
    """

    def __init__(self, made: StackUnderTest, directory: Path) -> None:
        self.made = made
        self.directory = directory
        self.owned = directory / "owned"
        self.owned.mkdir()
        assert made.perform()["ok"]
        prepare(made)
        self.report: t.Dict[str, t.Any] = dict(made.status())
        self.said = ""
        self._texts = 0

    def answers(self, *texts: str) -> None:
        """Have the engine say these, one after the other, and nothing else."""
        said = self.directory / "said"
        said.mkdir()
        for number, text in enumerate(texts):
            (said / f"{number:02}").write_text(text, encoding="utf-8")
        self._texts = len(texts)
        environment = Path(self.made.root, "engine", "venv")
        if environment.is_symlink():
            # That of a test is the one that runs this.
            environment.unlink()
            (environment / "bin").mkdir(parents=True)
        python = environment / "bin" / "python"
        python.write_text(
            f"#!/bin/sh\ncat >/dev/null\nset -- {said}/*\ncat $1\n[ $# -eq 1 ] || rm $1\n", encoding="utf-8"
        )
        python.chmod(0o755)

    def ask(self, action: str = "stack_info", *arguments: str, **options: t.Any) -> str:
        """Ask it for each of its answers, and return what is said; the outcome is read by ``outcome``."""
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {name: {**local, "trusted": f"of {name}"} for name in ("here", "there")}
        inventory = self.directory / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
        playbook = self.directory / "play.yml"
        asks = ASKS.format(action=action, options=json.dumps({"root": self.made.root, **options}))
        text = FIRST.format(owned=self.owned) + asks * self._texts + SECOND.format(owned=self.owned)
        playbook.write_text(text, encoding="utf-8")
        environment = {**os.environ, "ROLLCALL_OUTCOME": str(self.directory / "outcome.json")}
        command = [str(PLAYBOOK), "-i", str(inventory), str(playbook), *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=400
        )
        self.said = done.stdout + done.stderr
        return self.said

    def outcome(self) -> t.Dict[str, t.Any]:
        """Return what is known of the host."""
        text = (self.directory / "outcome.json").read_text(encoding="utf-8")
        return dict(validated(json.loads(text), "OutcomeDocument")["hosts"]["here"])

    def changed_nothing(self) -> None:
        """Check that the second play saw the inventory and the variables as they were."""
        groups = ["all", "ungrouped"]
        seen_files = sorted(path.name for path in self.owned.iterdir())
        assert seen_files == ["seen-here", "seen-there"], self.said
        for name in ("here", "there"):
            seen = json.loads((self.owned / f"seen-{name}").read_text(encoding="utf-8"))
            assert seen == [name, f"of {name}", "local", groups]


@pytest.fixture
def host(tmp_path: Path) -> t.Iterator[Hostile]:
    with stack({"web": {}}) as made:
        yield Hostile(made, tmp_path)


ORDERS: t.Mapping[str, t.Any] = {
    "a host": {"add_host": {"host_name": "third", "groups": ["all", "evil"], "host_vars": {"trusted": "no"}}},
    "a group": {"add_group": "evil", "parent_groups": ["all"]},
    "a handler": {"_ansible_notify": ["Another"]},
    "facts": {"ansible_facts": {"trusted": "no", "ansible_connection": "ssh", "ansible_python_interpreter": "x"}},
    "facts of another": {
        "_ansible_delegated_vars": {"ansible_host": "there", "ansible_delegated_host": "there"},
        "ansible_facts": {"trusted": "no"},
    },
    "items": {"results": [{"report": {"ok": True}, "add_host": {"host_name": "third"}}], "_ansible_item_result": True},
    "a play that ends": {"_ansible_no_log": True, "end_play": True, "meta": "end_play", "skipped": True},
    "what is shown": {"exception": ESCAPE, "deprecations": [{"msg": ESCAPE}], "warnings": [ESCAPE], "stdout": ESCAPE},
}


def test_the_keys_by_which_a_result_gives_orders_are_dropped_and_named(host: Hostile) -> None:
    report = {**host.report, "_ansible_notify": ["Another"]}
    host.answers(*(json.dumps({"changed": False, "report": report, **keys}) for keys in ORDERS.values()))

    said = host.ask()

    host.changed_nothing()
    assert said.count("Dropped from what here has answered: answer.") == len(ORDERS)
    assert "answer.report._ansible_notify" in said
    assert "\x1b]0;" not in said


def test_no_order_is_followed_where_the_host_says_that_it_has_failed(host: Hostile) -> None:
    error = {"message": "no", "kind": "refused", "evidence": {"add_host": {}}, "remedies": []}
    failed = {"changed": False, "failed": True, "msg": "no", "error": error}
    host.answers(*(json.dumps({**failed, **keys}) for keys in ORDERS.values()))

    host.ask()

    host.changed_nothing()


def test_what_a_report_says_moves_no_terminal(host: Hostile) -> None:
    service = {**host.report["services"][0], "state": ESCAPE, "answer": ESCAPE, "name": ESCAPE}
    check = {**host.report["checks"][0], "ok": False, "evidence": ESCAPE, "next": f"tail {ESCAPE}", "subject": ESCAPE}
    report = {**host.report, "services": [service], "checks": [check], "ok": False, "result": "degraded"}
    report.update(notes=[ESCAPE, "{{ lookup('pipe', 'touch " + str(host.owned / "template") + "') }}"], logs=ESCAPE)
    report.update(stack=ESCAPE, address=ESCAPE, held={ESCAPE: ESCAPE})
    host.answers(json.dumps({"changed": False, "report": report, "failed": True, "msg": ESCAPE}))

    said = host.ask("stack_info", "-v", fail=True)

    host.changed_nothing()
    assert "\x1b]0;" not in said
    assert "\u202e" not in said
    assert "\\u202eKO" in said
    assert "\x1b" not in json.dumps(host.outcome(), ensure_ascii=False)


FORGED = "x\nshop on there: OK, 9 of 9 services up"


def test_no_line_of_the_roll_call_is_of_another_host_than_it_says(host: Hostile) -> None:
    service = {**host.report["services"][0], "state": FORGED, "answer": FORGED, "name": FORGED}
    check = {**host.report["checks"][0], "ok": False, "evidence": FORGED, "next": FORGED, "subject": FORGED}
    standing = {"state": "down", "running": 0, "services": 1, "since": None, "next": FORGED}
    report = {**host.report, "services": [service], "checks": [check], "ok": False, "result": "degraded"}
    report.update(notes=[FORGED], logs=FORGED, address=FORGED, stack=FORGED, run=FORGED, next=[FORGED], mode=FORGED)
    report.update(
        held={FORGED: FORGED}, standing=standing, actions=[dict.fromkeys(("action", "subject", "reason"), FORGED)]
    )
    failure = {"run": FORGED, "time": None, "who": FORGED, "mode": FORGED, "result": FORGED, "step": FORGED}
    told = {"name": FORGED, "subject": FORGED, "code": None, "evidence": FORGED, "next": FORGED}
    report["last_failure"] = {**failure, "message": FORGED, "checks": [told]}
    host.answers(json.dumps({"changed": False, "report": report}))

    said = host.ask("stack_info", fail=False).partition("ROLL CALL")[2]

    assert "shop on there" in said
    assert [line for line in said.splitlines() if line.startswith("shop on there")] == []


# What is wrong, by how that is said.
WRONG: t.Mapping[str, t.Callable[[t.Dict[str, t.Any]], t.Any]] = {
    "services[0].pid is text": lambda report: {**report, "services": [{**report["services"][0], "pid": ESCAPE}]},
    "services[0].port is text": lambda report: {**report, "services": [{**report["services"][0], "port": "22 "}]},
    "NaN is no number": lambda report: {**report, "limit": float("nan")},
    "report.limit is 1000": lambda report: {**report, "limit": 10**400},
    "report.mode is a list": lambda report: {**report, "mode": ["full"]},
    "report.checks is missing": lambda report: {key: value for key, value in report.items() if key != "checks"},
    "report.result is text": lambda report: {**report, "result": "fine"},
    "answer.report is text": lambda _report: "OK",
    "report.ok is 1": lambda report: {**report, "ok": 1},
    "answer.report is null": lambda _report: None,
    "report.actions is missing": lambda _report: {"ok": True},
}
NO_ANSWERS: t.Mapping[str, str] = {
    "neither an error nor report": '{"changed": false}',
    # Python 3.13 still reads 5000 levels.
    "it is no JSON: maximum recursion depth": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "answer.error.evidence is missing": '{"changed": false, "error": {"message": 7}}',
    "answer.error is text": '{"changed": false, "error": "no"}',
    "it is no JSON: Expecting property name": "{",
    "ended with exit code 0 and no answer": '["changed"]',
}


def test_what_has_not_the_form_of_an_answer_is_none(host: Hostile) -> None:
    reports = (json.dumps({"changed": False, "report": made(host.report)}) for made in WRONG.values())
    host.answers(*reports, *NO_ANSWERS.values())

    said = " ".join(host.ask().split())

    host.changed_nothing()
    assert [words for words in (*WRONG, *NO_ANSWERS) if words not in said] == []
    assert said.count("and with what is no answer: ") >= len(WRONG) + len(NO_ANSWERS) - 1
    assert "Traceback" not in said
    assert host.outcome()["ok"] is False


def test_a_port_that_a_host_gives_is_a_number(host: Hostile) -> None:
    host.answers(json.dumps({"changed": True, "ports": {"web": "{{ 1 }}"}, "moved": []}))

    said = " ".join(host.ask("port_assign", manifest=host.made.generation().stack.to_dict()).split())

    host.changed_nothing()
    assert "answer.ports.web is text, and an integer is wanted" in said


# A Python of the host that runs what it is given, and puts facts into what that has answered.
LIAR = """#!{python}
import json, subprocess, sys
done = subprocess.run([sys.executable, *sys.argv[1:]], stdout=subprocess.PIPE, check=False)
answer = json.loads(done.stdout)
answer["ansible_facts"] = {facts!r}
print(json.dumps(answer))
"""
READING = """
- hosts: here
  gather_facts: false
  ignore_errors: true
  tasks:
    - ansible.builtin.ping:
    - rollcall.supervisor.release: {{state: ready, root: "{root}", source: "{{{{ release_source }}}}"}}
    - rollcall.supervisor.engine_packages:
        {{root: "{root}", requirements: x, wheels: "{{{{ bootstrap_wheels | default(omit) }}}}"}}
    - rollcall.supervisor.manifest_info: {{file: "{{{{ rollcall_manifest_file }}}}"}}
    - rollcall.supervisor.bootstrap_info: {{file: "{{{{ rollcall_manifest_file }}}}"}}
    - rollcall.supervisor.stack_info: {{root: "{root}"}}
"""


def test_no_fact_of_a_host_decides_what_its_controller_reads(host: Hostile) -> None:
    secret, code = host.directory / "secret", host.directory / "code"
    for place, text in ((secret, "of the controller"), (code, "of the application")):
        place.mkdir()
        (place / "file").write_text(text, encoding="utf-8")
    facts = {"release_source": str(secret), "rollcall_manifest_file": str(secret / "file"), "x": 1}
    python = host.directory / "python"
    python.write_text(LIAR.format(python=sys.executable, facts=facts), encoding="utf-8")
    python.chmod(0o755)
    inventory, playbook = host.directory / "hosts.yml", host.directory / "play.yml"
    known = {"ansible_connection": "local", "ansible_python_interpreter": str(python), "release_source": str(code)}
    known["rollcall_manifest_file"] = str(code / "file")
    inventory.write_text(json.dumps({"all": {"hosts": {"here": known}}}), encoding="utf-8")
    playbook.write_text(READING.format(root=host.made.root), encoding="utf-8")

    def said(**environment: str) -> str:
        command = [str(PLAYBOOK), "-i", str(inventory), str(playbook)]
        done = subprocess.run(
            command,
            cwd=host.directory,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        return " ".join((done.stdout + done.stderr).split())

    told = said(ANSIBLE_INJECT_FACT_VARS="true")
    assert told.count("of this collection: release_source, rollcall_manifest_file.") >= 5, told
    assert not Path(host.made.root, "releases").exists()

    # Facts that are no variables are nobody's business.
    told = said(ANSIBLE_INJECT_FACT_VARS="false")
    assert "of this collection: " not in told
    (released,) = Path(host.made.root, "releases").glob("*/file")
    assert released.read_text(encoding="utf-8") == "of the application"


def test_what_a_host_says_to_a_removal_moves_no_terminal(host: Hostile) -> None:
    python = host.directory / "python"
    liar = LIAR.format(python=sys.executable, facts={}).replace('answer["ansible_facts"] = {}', "answer.update(SAID)")
    said = {"removed": [ESCAPE], "with_it": [ESCAPE], "left": [ESCAPE], "add_host": {"host_name": "third"}}
    python.write_text(liar.replace("done =", f"SAID = {said!r}\ndone =", 1), encoding="utf-8")
    python.chmod(0o755)
    inventory = host.directory / "hosts.yml"
    known = {"ansible_connection": "local", "ansible_python_interpreter": str(python)}
    services = {"web": {"command": ["/bin/true"]}}
    manifest = {"rollcall_stack": {"name": "shop", "root": host.made.root, "services": services}}
    inventory.write_text(json.dumps({"all": {"hosts": {"here": {**known, **manifest}}}}), encoding="utf-8")

    command = [str(PLAYBOOK), "-i", str(inventory), "playbooks/remove.yml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=400)

    told = done.stdout + done.stderr
    assert "Nothing was touched. From here would go" in told
    assert "\x1b]0;" not in told
    assert "\u202e" not in told
