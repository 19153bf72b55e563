# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Ask the engine on a host: one command through the connection, the question on its standard input.

The engine is installed there and compiled; a module would bring another copy, and compile it, for every task.
"""

from __future__ import annotations

import json
import os
import shlex
import typing as t

from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import filter_loader, test_loader

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.masking import masked
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import printable
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.version import VERSION
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports.policies import OWNED, POLICIES
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.places import (
    engine_directory,
    engine_python,
)
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import answers, progress
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.facts import refuse_ours
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.invocation import apply_command

Data = t.Mapping[str, t.Any]

# Ansible loads this in the process that forks one for each host. It reads the files of all filters and tests at the
# first use of one: here that is done once, for all hosts.
filter_loader.get("default"), test_loader.get("defined")

# What the command ends with where the engine, its Python or a package of its needs is not there; the engine never does.
NOT_INSTALLED = 127
# One command of the shell. What is there is looked for only when the question was not answered: it costs a Python.
ASK = """\
{question} || {{
  code=$?
  test -f {entry} && {probe} >/dev/null 2>&1 </dev/null && exit $code
  exit {not_installed}
}}"""
# Of every version: the package, where the command begins, and what the engine needs of others.
PROBE = "import sys; sys.path[:0] = sys.argv[1:]; import rollcall.cli, psutil, supervisor"
SAID = 2000
# What every action on one stack has in its argument spec, and what those have that make a run.
ROOT: t.Mapping[str, t.Any] = {"root": {"type": "str", "required": True}}
RUN: t.Mapping[str, t.Any] = {
    "policy": {"type": "str", "choices": list(POLICIES), "default": OWNED},
    "grace": {"type": "float", "default": 5},
    "kill_grace": {"type": "float", "default": 2},
    "automatic": {"type": "bool", "default": False},
    "soak": {"type": "float", "default": 0},
    "on_failure": {"type": "str", "choices": ["leave", "rollback"], "default": "leave"},
    "fail": {"type": "bool", "default": True},
}


# What those have that can be about some services only.
SERVICES: t.Mapping[str, t.Any] = {"services": {"type": "list", "elements": "str", "default": []}}


class EngineAction(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """An action that asks the engine of a host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    # Whether a playbook with this action applies the manifest.
    APPLIES: t.ClassVar[bool] = False

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Note what the inventory calls the host, which is what people know it by."""
        self._host_name = str((task_vars or {}).get("inventory_hostname", ""))
        self._hosts = len((task_vars or {}).get("ansible_play_hosts") or ())
        refuse_ours(task_vars)
        return t.cast("t.Dict[str, t.Any]", super().run(tmp, task_vars))

    def ask(self, root: str, verb: str, arguments: Data) -> t.Dict[str, t.Any]:
        """Return the engine's answer as a task's result; secrets that went into the question are taken out of it.

        Args:
            root: directory of the stack.
            verb: what the engine is asked for.
            arguments: of the verb.

        Raises:
            AnsibleActionFail: the root is no absolute path.
        """
        if not os.path.isabs(root):
            raise AnsibleActionFail(f"root is '{root}', and must be an absolute path on the host.")
        question = {
            "version": VERSION,
            "verb": verb,
            "arguments": arguments,
            "check_mode": bool(self._task.check_mode),
            **self._reader(),
        }
        answer = masked(self._awaited(root, question), arguments.get("secrets"))
        report = answer.get("report") or {}
        if "error" in answer:
            # By this whoever shows the error knows whose command its cures are.
            answer["error"]["evidence"].setdefault("root", root)
        return {**answer, "ok": "error" not in answer and bool(report.get("ok", True))}

    def _awaited(self, root: str, question: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """Return the answer to a question. While a run goes on, the host is asked again, and says how far it is."""
        patience = progress.patience_for(self._hosts)
        asks = question["verb"] == "restart" and not question["check_mode"] and patience is not None
        arguments = {**question["arguments"], **({"patience": patience} if asks else {})}
        while True:
            answer = self._ask(root, {**question, "arguments": arguments})
            if "going" not in answer:
                return answer
            progress.tell(self._host_name, self.APPLIES, answer["progress"])
            arguments["going"] = answer["going"]

    def _reader(self) -> t.Dict[str, str]:
        """Return for the words of an answer by which command a manifest is applied, and where all others are run."""
        name = self._host_name
        local = self._play_context.connection == "local" or name == "localhost"
        return {"by": self._applied_by(again=True), "name": name, "host": "" if local else name}

    def _applied_by(self, *, again: bool = False) -> str:
        """Return the command that applies the host's manifest; ``again`` as for `apply_command`."""
        limit = self._host_name if context.CLIARGS.get("subset") else ""
        return apply_command(applies=self.APPLIES, limit=limit, again=again)

    def run_asked(self, root: str, arguments: Data, *, fail: bool) -> t.Dict[str, t.Any]:
        """Return the result of one run of the engine.

        Args:
            root: directory of the stack.
            arguments: of the verb ``restart``.
            fail: whether a run that is not ok is a task that failed.
        """
        answer = self.ask(root, "restart", arguments)
        if not fail:
            answer.pop("failed", None)
        return answer

    def _ask(self, root: str, question: Data) -> t.Dict[str, t.Any]:
        # A vaulted value is no string before it is asked to be one.
        done = self._executed(root, json.dumps(question, default=str).encode("ascii"))
        text = _last_line(done["stdout"])
        if not text.startswith("{"):
            return _failure(root, done)
        try:
            answer, dropped = answers.answer_to(question["verb"], text)
        except answers.Malformed as exc:
            return _failure(root, done, f"and with what is no answer: {exc}")
        if dropped:
            self._display.warning(f"Dropped from what {self._host_name} has answered: {', '.join(dropped)}")
        return answer

    def _executed(self, root: str, text: bytes) -> Data:
        """Run the engine with this standard input, as modules are: through the connection itself, or from a file."""
        if self._connection.is_pipelining_enabled():
            return t.cast(Data, self._low_level_execute_command(asking(root), in_data=text))
        directory = self._make_tmp_path()
        path = self._connection._shell.join_path(directory, "question")
        self._transfer_data(path, text)
        self._fixup_perms2((directory, path), execute=False)
        try:
            return t.cast(Data, self._low_level_execute_command(asking(root, path)))
        finally:
            self._remove_tmp_path(directory, force=True)


class QuestionAction(EngineAction):
    """An action that is one question to the engine.

    Attributes:
        VERB: what the engine is asked for.
        OPTIONS: the argument spec besides ``root``.
    """

    VERB = ""
    OPTIONS: t.ClassVar[t.Mapping[str, t.Any]] = {}

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return the engine's answer."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(argument_spec={**ROOT, **self.OPTIONS})
        result.update(self.ask(arguments.pop("root"), self.VERB, arguments))
        return result


def asking(root: str, path: str = "") -> str:
    """Return the shell's command that asks the engine what is on standard input, or in the file ``path``."""
    engine = engine_directory(root)
    python = [engine_python(root), "-E", "-s", "-X", "utf8"]
    question = shlex.join([*python, engine, "--root", root, "ask"])
    return ASK.format(
        question=f"{question} < {shlex.quote(path)}" if path else question,
        entry=shlex.quote(os.path.join(engine, "__main__.py")),
        probe=shlex.join([*python, "-c", PROBE, engine]),
        not_installed=NOT_INSTALLED,
    )


def _last_line(output: str) -> str:
    """Return where the engine's answer is: a login shell may have something of its own to say before it."""
    return output.rstrip().rpartition("\n")[2].strip()


def _failure(root: str, done: Data, how: str = "and no answer") -> t.Dict[str, t.Any]:
    """Return the result for an engine that has not answered."""
    said = (done.get("stderr") or done["stdout"]).strip()
    evidence: t.Dict[str, t.Any] = {"exit_code": done["rc"], "output": printable(said[-SAID:])}
    if done["rc"] == NOT_INSTALLED:
        error = RollcallError(
            f"Rollcall is not installed under {root} on this host.",
            kind="wrong_use",
            evidence=evidence,
            remedies=[cures.INSTALL],
        )
    else:
        error = RollcallError(
            f"The engine under {root} ended with exit code {done['rc']} {how}.",
            evidence=evidence,
            remedies=[cures.INSTALL],
        )
    # Services may run without an engine, and a run goes on without whoever has asked for it.
    left = cures.INSTALL if done["rc"] == NOT_INSTALLED else cures.STATUS
    error.standing = {"state": "unknown", "running": None, "services": None, "since": None, "next": left}
    return {"changed": False, "failed": True, "msg": str(error), "error": error.as_dict()}
