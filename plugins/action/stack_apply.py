# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.version import VERSION
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Service, Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.schedule import schedule_of
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.rollout import BEGIN, DONE
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import answers, hosts, manifests
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.boot_look import Wanted, look
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine import RUN, EngineAction
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine_files import PYTHON, files_digest, fingerprint
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollout_record import write_step
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.templates import template

Result = t.Dict[str, t.Any]

# Ansible loads this in the process that forks one for each host: there this is worked out once, for all of them.
files_digest()
answers.know("restart")

# How a rollout begins in the same task.
BEGINS: t.Mapping[str, t.Any] = {
    "gate": {"type": "dict", "default": {}},
    "python": {"type": "str", "default": PYTHON},
    "on_path": {"type": "bool", "default": True},
}
# Services that are named one a line where the host cannot plan.
MOST_SHOWN = 12


class ActionModule(EngineAction):
    """Have a host give the services their ports, and bring the stack to what the manifest then says."""

    APPLIES = True
    # Whether it is known that the host's engine is there and of our version.
    _engine_answers = False
    OPTIONS: t.ClassVar[t.Mapping[str, t.Any]] = {
        **manifests.OPTIONS,
        **RUN,
        "release": {"type": "str"},
        "home": {"type": "bool", "default": False},
        "start_stopped": {"type": "bool", "default": False},
        "standing": {"type": "list", "elements": "str", "default": []},
        "delivered": {"type": "list", "elements": "str", "default": []},
        "boot": {"type": "str", "choices": ["", "auto", "systemd", "user", "launchd", "none"], "default": ""},
        "boot_after": {"type": "list", "elements": "str", "default": []},
        "boot_templates": {"type": "path"},
        "rollout": {"type": "dict", "default": {}},
        "begin": {"type": "dict", "options": BEGINS},
        "template": {"type": "path", "required": True},
        "mode": {
            "type": "str",
            "choices": ["auto", "full", "quick", "emergency", "master", "force"],
            "default": "auto",
        },
    }

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> Result:
        """Return the engine's answer, with the manifest and the ports that it was given."""
        result: Result = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(argument_spec=self.OPTIONS)
        stack = manifests.check_into(result, arguments, release=arguments["release"], where=task_vars)
        if stack is None:
            result.update(ok=False)
            return result
        if arguments["begin"] is not None and not self._begins(result, arguments, stack):
            return result
        return self.brought(result, arguments, stack, task_vars)

    def _begins(self, result: Result, arguments: t.Mapping[str, t.Any], stack: Stack) -> bool:
        """Return whether a rollout begins on a host that is as it was prepared; the host has written that down then.

        Args:
            result: of the task; takes the record, or why it does not begin.
            arguments: of the task.
            stack: the manifest.
        """
        asked, data = arguments["begin"], stack.to_dict()
        found = hosts.look(self, stack.root, hosts.proof(data, on_path=asked["on_path"]))
        if found.prepared != fingerprint(data, asked["python"]) or not found.whole:
            result["unprepared"] = True
            return False
        ways = asked["gate"].get("one_way", ())
        begun = write_step(self, stack.root, arguments["rollout"], BEGIN, one_way=ways)
        result["begun"] = begun
        if not begun["ok"]:
            # There was no run, so nothing is said of one.
            result.update(failed=True, msg=begun["msg"], error=begun["error"])
        return bool(begun["ok"])

    def brought(self, result: Result, arguments: t.Mapping[str, t.Any], stack: Stack, where: t.Any) -> Result:
        """Return the result of bringing a stack to what its manifest says.

        Args:
            result: of the task so far; takes the answer.
            arguments: of the task.
            stack: the manifest, checked, with the services' own ports.
            where: the task's variables.
        """
        self._where = where
        unplanned = self._unplanned(stack) if self._task.check_mode and not self._engine_answers else ""
        if unplanned:
            result.update(changed=True, ok=True, manifest=stack.to_dict(), unplanned=unplanned, settled=False)
            return result
        answer = self._applied(result, arguments, stack)
        # A port can be taken between the answer and the start. The run was refused then, before it stopped anything;
        # now the port is seen as taken, and the service gets another one.
        if _is_movable(stack) and "holders" in _evidence_of_refusal(answer):
            answer = self._applied(result, arguments, stack)
        if not arguments["fail"]:
            answer.pop("failed", None)
        result.update(answer)
        result["settled"] = bool(answer["ok"]) and self._starts_after_boot(result, arguments)
        if result["settled"] and arguments["rollout"]:
            result["noted"] = write_step(self, stack.root, arguments["rollout"], DONE)
        return result

    def _starts_after_boot(self, result: Result, arguments: t.Mapping[str, t.Any]) -> bool:
        """Return whether what is to start the stack after a boot is there; False where that is not asked.

        Args:
            result: of the task, with the manifest; takes warnings.
            arguments: of the task.
        """
        if not arguments["boot"] or arguments["boot_templates"] is None:
            return False
        wanted = Wanted(arguments["boot"], arguments["boot_after"], arguments["boot_templates"])
        try:
            found = look(self, result["manifest"], wanted, self._host_name)
        except (AnsibleConnectionFailure, RollcallError):
            # The run has its result. The task that is for this asks again, and says what is wrong.
            return False
        if found["settled"]:
            result["warnings"] = [*result["warnings"], *found["warnings"]]
        return bool(found["settled"])

    def _unplanned(self, stack: Stack) -> str:
        """Return why a host cannot plan, and what is known without it; empty when its engine can."""
        version = hosts.look(self, stack.root).version
        if version == VERSION:
            return ""
        if version:
            return (
                f"This host's engine would first be brought from {version} to {VERSION}, which check mode does not do: "
                "what would become of the services cannot be said."
            )
        return first_install(stack)

    def _applied(self, result: Result, arguments: t.Mapping[str, t.Any], stack: Stack) -> Result:
        """Return the answer to one try.

        Args:
            result: takes what is wrong with the manifest once the services have their ports.
            arguments: of the task.
            stack: the manifest, with the services' own ports.
        """
        given: Result = {"changed": False, "moved": []}
        if _is_movable(stack):
            given = self.ask(stack.root, "assign", {"manifest": stack.to_dict(), "home": arguments["home"]})
            if not given["ok"]:
                return given
            release, ports = arguments["release"], given["ports"]
            placed = manifests.check_into(result, arguments, ports=ports, release=release, where=self._where)
            if placed is None:
                return {"ok": False}
            stack = placed
        answer = self._run(arguments, stack, given["moved"])
        return {
            **answer,
            "changed": answer["changed"] or given["changed"],
            "diff": [*([given["diff"]] if given["moved"] else []), *answer.get("diff", [])],
            "manifest": stack.to_dict(),
            "moved": given["moved"],
        }

    def _run(self, arguments: t.Mapping[str, t.Any], stack: Stack, moved: t.Sequence[t.Any]) -> Result:
        data = stack.to_dict()
        question = {name: arguments[name] for name in RUN if name != "fail"}
        question.update(
            # It is kept on the host: what was said for this time alone is not part of it.
            by=self._applied_by(),
            moved=moved,
            start_stopped=arguments["start_stopped"],
            standing=arguments["standing"],
            delivered=arguments["delivered"],
            boot=arguments["boot"],
            mode=arguments["mode"],
            generation="",
            manifest=data,
            config=template(arguments["template"]).render(stack=data),
            secrets=manifests.secrets_of(arguments),
        )
        return self.ask(stack.root, "restart", question)


def first_install(stack: Stack) -> str:
    """Return what an install would come to on a host that cannot plan yet, for people."""
    shown = [f"start {service.name}{_where(service)}" for service in stack.services[:MOST_SHOWN]]
    rest = len(stack.services) - len(shown)
    lines = [
        "This host has no engine yet, and check mode installs none. From the manifest alone, the run would:",
        f"install supervisor and the engine under {stack.root}",
        *([f"run the services as {stack.user}"] if stack.user else []),
        *shown,
        *([f"start {rest} more"] if rest else []),
        *(f"add timer {timer.name}: {schedule_of(timer)}" for timer in stack.timers[:MOST_SHOWN]),
        "Whether a port is taken or a file is missing is seen when the engine is there.",
    ]
    return "\n".join(lines)


def _where(service: Service) -> str:
    """Return on which ports and on which socket a service is to listen, for people; empty for nothing."""
    ports = list(map(str, service.all_ports.values()))
    told = [f"port{'s' if len(ports) > 1 else ''} {', '.join(ports)}"] if ports else []
    told += [service.socket] if service.socket else []
    return f" on {' and '.join(told)}" if told else ""


def _is_movable(stack: Stack) -> bool:
    """Return whether a service of the stack can have another port than its own."""
    return any(service.fallback_ports for service in stack.services)


def _evidence_of_refusal(answer: Result) -> t.Mapping[str, t.Any]:
    """Return the evidence of a run that was refused; empty when it was not."""
    error = answer.get("error") or {}
    return error.get("evidence", {}) if error.get("kind") == "refused" else {}
