# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure

from ansible_collections.rollcall.supervisor.plugins.action.stack_apply import ActionModule as Apply
from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.version import VERSION
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.limits import run_limit
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.modes import AUTO, mode_named
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.plan import RESTART, START
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.words import Reader, runnable
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import describe_lock
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.judge import STOPPED as BY_HAND
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import answers, manifests, patience
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine import NOT_INSTALLED
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.placement import one_for_all
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import Seen
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.said import told

Result = t.Dict[str, t.Any]

# Ansible loads this in the process that forks one for each host: there this is worked out once, for all of them.
answers.know("rollout_look", "rollout_step")

# Seconds in which the application's code may be brought and built, where that comes before the run.
BUILD = 3600.0


class ActionModule(Apply):
    """Ask a host how it stands before a rollout: what runs on it, and what the run to come would do."""

    OPTIONS: t.ClassVar[t.Mapping[str, t.Any]] = {
        **Apply.OPTIONS,
        "plan": {"type": "bool", "default": True},
        "endpoints": {"type": "bool", "default": False},
        "drain": {"type": "str", "default": "none"},
        **patience.OPTIONS,
    }

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> Result:
        """Return what was seen of the host; one that is not reached is an answer as well."""
        # The run to come is planned, and proved as far as that can be done without touching anything.
        self._task.check_mode = True
        result: Result = super(Apply, self).run(tmp, task_vars)
        try:
            _validated, arguments = self.validate_argument_spec(argument_spec=self.OPTIONS)
        except AnsibleActionFail as exc:
            return {**result, "failed": True, "asked": False, "msg": str(exc)}
        whole = manifests.check_into(result, arguments, release=arguments["release"])
        stack = None if whole is None else manifests.of_host(result, whole, task_vars or {})
        if whole is None or stack is None:
            return {**result, "asked": False}
        looked: Result = {}
        try:
            seen, looked = self._asked(result, arguments, stack, task_vars)
        except (AnsibleConnectionFailure, patience.NoAnswer) as exc:
            seen = Seen(reached=False, why=told(str(exc)))
        once = one_for_all(whole, (task_vars or {}).get("groups", {}))
        seen = dataclasses.replace(seen, once=once, limit=_limit(arguments, stack), drains=arguments["drain"])
        if arguments["endpoints"] and "endpoints" in looked:
            result["endpoints"] = looked["endpoints"]
        return {**result, "root": stack.root, "seen": dataclasses.asdict(seen)}

    def _asked(
        self, result: Result, arguments: t.Mapping[str, t.Any], stack: Stack, where: t.Any
    ) -> t.Tuple[Seen, Result]:
        """Return what was seen of a host, and its answer to how it stands.

        Args:
            result: of the task so far.
            arguments: of the task.
            stack: the host's part of the manifest.
            where: the task's variables.

        Raises:
            AnsibleConnectionFailure: it is not reached.
            NoAnswer: it has not answered in time.
        """
        with patience.within(arguments["patience"], self._connection):
            question = {"manifest": stack.to_dict(), "endpoints": arguments["endpoints"]}
            looked = self.ask(stack.root, "rollout_look", question)
            planned = {"ok": True, "changed": True, "unplanned": "it was not asked for"}
            if arguments["plan"]:
                self._engine_answers = "error" not in looked
                planned = self.brought(dict(result), arguments, stack, where)
        seen = dataclasses.replace(_seen(planned, looked), **_steps(planned, stack))
        if seen.refused:
            reader = Reader(stack.root, host=self._host_name)
            seen = dataclasses.replace(seen, cure=_cure(looked if "error" in looked else planned, reader))
        return dataclasses.replace(seen, moves=_moves(planned, looked)), looked


def _cure(answer: Result, reader: Reader) -> str:
    """Return what an answer says to do on its host; empty where that is to apply the manifest, as this does."""
    remedies = (answer.get("error") or {}).get("remedies", ())
    told_first = next((remedy for remedy in remedies if cures.INSTALL not in remedy and remedy not in cures.SAME), "")
    return told(runnable(told_first, reader)) if told_first else ""


def _limit(arguments: t.Mapping[str, t.Any], stack: Stack) -> float:
    """Return the seconds that the run to come takes at the longest, a way back included, and what is built before."""
    waits = {name: arguments[name] for name in ("grace", "kill_grace", "soak")}
    before = 0.0 if arguments["plan"] else BUILD
    return before + run_limit(stack, mode_named(arguments["mode"]), **waits) + run_limit(stack, AUTO, **waits)


def _moves(planned: Result, looked: Result) -> t.Tuple[t.Tuple[str, int, int], ...]:
    """Return which services get another port, with the one that each has and the one that it gets."""
    rows = {row["name"]: row for row in (looked.get("report") or {}).get("services", ())}
    data = planned.get("manifest")
    return tuple(
        (service.name, old, int(new))
        for service in (Stack.from_dict(data).services if data and rows else ())
        for name, new in service.all_ports.items()
        for old in [_ports(rows.get(service.name)).get(name, int(new))]
        if old != int(new)
    )


def _ports(row: t.Optional[Result]) -> t.Dict[str, int]:
    """Return the ports of a service by their names, from its row of a report."""
    if row is None or row["port"] is None:
        return {}
    return row["ports"] or {"": row["port"]}


def _steps(planned: Result, stack: Stack) -> Result:
    """Return which oneshots of a host the run to come would run for the whole fleet, as fields of `Seen`."""
    actions = (planned.get("report") or {}).get("actions", ())
    started = {action["subject"] for action in actions if action["action"] in (START, RESTART)}
    steps = [
        service for service in stack.services if service.once and (service.name in started or "unplanned" in planned)
    ]
    return {
        "steps": tuple(service.name for service in steps),
        "one_way": tuple(service.name for service in steps if service.is_one_way),
    }


def _seen(planned: Result, looked: Result) -> Seen:
    """Return what there is to know of a host that has answered.

    Args:
        planned: the answer to what the run to come would do.
        looked: the answer to how the host stands.
    """
    refused = "" if planned["ok"] else told(planned["error"]["message"] if "error" in planned else planned["msg"])
    changes = bool(planned["changed"] or "unplanned" in planned)
    if "error" in looked:
        evidence = looked["error"]["evidence"]
        if evidence.get("exit_code") == NOT_INSTALLED:
            return Seen(reached=True, refused=refused)
        if evidence.get("installed"):
            # Of an engine of another version nothing is known but that it is there; the run to come replaces it.
            return Seen(reached=True, version=told(evidence["installed"]), refused=refused)
        return Seen(reached=True, version=VERSION, refused=told(looked["error"]["message"]))
    report, machine = looked.get("report"), looked["machine"]
    seen = Seen(
        reached=True,
        version=VERSION,
        refused=refused,
        changes=changes,
        rollout=looked["rollout"],
        machine=f"{machine['boot']} {machine['directory']}",
        release=told(looked["release"]),
        over=tuple(looked["over"]),
        running=tuple(told(one) for one in looked["running"]),
    )
    return seen if report is None else dataclasses.replace(seen, **_judged(report))


def _judged(report: Result) -> Result:
    """Return what a report says of a host, as fields of `Seen`."""
    stopped = [check for check in report["checks"] if check["code"] == BY_HAND]
    run, place = report["run_at_work"], report["generation"]
    return {
        "healthy": bool(report["ok"]),
        "failing": tuple(f"{check['name']} {check['subject']}" for check in report["checks"] if not check["ok"]),
        "stopped": told(stopped[0]["evidence"]) if report["result"] == "stopped" and stopped else "",
        "at_work": "" if run is None else told(describe_lock(run)),
        "generation": "" if place is None else place["id"],
        "verified": place is not None and place["verified"],
    }
