# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a controller asks: a question as JSON on standard input, the answer as one line of JSON on standard output.

Each question imports what it needs, so that no other one pays for it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..base.version import VERSION, is_newer, upgrade
from ..manifest.model import Paths, Stack
from .console import Verb, paths_of

if t.TYPE_CHECKING:
    from ..run.request import Request

if t.TYPE_CHECKING:
    from ..base.documents import Report

Data = t.Mapping[str, t.Any]


def main(root: str, stream: t.TextIO, output: t.TextIO) -> int:
    """Answer one question and return the exit code: 0 for every answer, also for one that tells a failure.

    Args:
        root: directory of the stack.
        stream: has ``version`` of the controller, ``verb``, ``arguments`` and ``check_mode``.
        output: takes the answer: ``changed``, ``report``, ``diff``, and ``failed``, ``msg``, ``error`` when it failed.
    """
    from ..state.known_secrets import without_secrets

    asked = json.load(stream)
    try:
        _check_version(root, asked["version"])
        answer = _ANSWERS[asked["verb"]](root, asked["arguments"], asked["check_mode"])
    except RollcallError as exc:
        answer = {"changed": False, "failed": True, "error": exc.as_dict()}
    # Whoever reads it on the controller may not be let see them.
    answer = without_secrets(answer, root, asked["arguments"].get("secrets"))
    _add_words(answer, root, asked)
    output.write(f"{json.dumps(answer)}\n")
    return 0


def _check_version(root: str, wanted: str) -> None:
    """Check that the controller is of our own version.

    Raises:
        RollcallError: ``wrong_use``: it is not.
    """
    if wanted != VERSION:
        raise RollcallError(
            f"The engine installed under {root} is version {VERSION}, and the controller's is {wanted}: they must be "
            "the same.",
            kind="wrong_use",
            evidence={"installed": VERSION, "wanted": wanted},
            remedies=[upgrade(VERSION) if is_newer(VERSION, wanted) else cures.INSTALL],
        )


def _add_words(answer: t.Dict[str, t.Any], root: str, asked: Data) -> None:
    """Add to an answer what people read of it: they are where the question came from, and call the host by its name."""
    from ..show.words import Reader

    reader = Reader(root, asked.get("by", ""), asked.get("host", ""))
    if "error" in answer:
        from ..show.errors import error_text

        answer["msg"] = error_text(answer["error"], reader=reader)
    elif "findings" in answer.get("report", {}):
        from ..show.findings import findings_text

        answer["text"] = findings_text(_named(answer["report"], asked), reader)
        if answer.get("failed"):
            answer["msg"] = answer["text"]
    elif not answer.get("report", {"ok": True})["ok"]:
        from ..show.roll_call import failure_text

        answer["msg"] = failure_text(_named(answer["report"], asked), reader)


def _named(report: t.Any, asked: Data) -> t.Any:
    return {**report, "host": asked.get("name") or report["host"]}


def _restart(root: str, arguments: Data, check_mode: bool) -> t.Dict[str, t.Any]:
    from ..run import dispatch, restart
    from ..run.standing import untouched
    from ..state.generations import config_of, current_config

    patience: t.Optional[float] = arguments.get("patience")
    going = arguments.get("going")
    with contextlib.nullcontext() if check_mode else untouched():
        request = _request(root, arguments)
        before = config_of(root, going["before"]) if going else current_config(request.paths)
        done: t.Union[Report, dispatch.Going]
        if check_mode:
            done = restart.describe_plan(request)
        elif going and patience is not None:
            done = dispatch.go_on(request, dispatch.Going(**going), patience)
        elif patience is not None:
            done = dispatch.begin(request, patience)
        else:
            done = dispatch.run(request)
    if isinstance(done, dispatch.Going):
        from ..state.waiting import progress_of

        return {"changed": False, "going": done._asdict(), "progress": progress_of(request.paths.state, done.run)}
    return {**_judged(done, changed=bool(done["changed"]), fail=True), "diff": _diff(request, done, before)}


def _request(root: str, arguments: Data) -> Request:
    from ..run.modes import mode_named
    from ..run.request import Request, who
    from ..state.generations import Generation, load_stack
    from ..supervisord.environment import private_files

    wanted = None
    if arguments["manifest"] is not None:
        stack = Stack.from_dict(arguments["manifest"])
        wanted = Generation(stack, arguments["config"], private_files(stack, arguments["secrets"]))
    return Request(
        root=root,
        mode=mode_named(arguments["mode"]),
        who=who(),
        paths=wanted.stack.paths if wanted is not None else load_stack(Paths.of(root)).paths,
        wanted=wanted,
        policy=arguments["policy"],
        grace=arguments["grace"],
        kill_grace=arguments["kill_grace"],
        automatic=arguments["automatic"],
        soak=arguments["soak"],
        on_failure=arguments["on_failure"],
        generation=arguments["generation"],
        by=arguments.get("by", ""),
        boot=arguments.get("boot", ""),
        services=tuple(arguments.get("services", ())),
        dependents=arguments.get("dependents", True),
        start_stopped=arguments.get("start_stopped", False),
        standing=tuple(arguments.get("standing", ())),
        delivered=tuple(os.path.join(root, path) for path in arguments.get("delivered", ())),
        moved={entry["service"]: (entry["from"], entry["reason"]) for entry in arguments.get("moved", ())},
    )


def _diff(request: Request, done: Data, old: str) -> t.List[t.Dict[str, str]]:
    """Return what changes, from the plan that is carried out."""
    actions = "".join(f"{entry['action']} {entry['subject']}: {entry['reason']}\n" for entry in done["actions"])
    parts = [{"prepared": actions}] if actions else []
    if request.wanted is not None and request.wanted.config != old:
        from ..supervisord.quoting import one_variable_a_line

        path = request.paths.config
        before, after = one_variable_a_line(old), one_variable_a_line(request.wanted.config)
        parts.append({"before_header": path, "after_header": path, "before": before, "after": after})
    return parts


def _status(root: str, arguments: Data, _check_mode: bool) -> t.Dict[str, t.Any]:
    from ..verdict import status

    looked = status.status(Paths.of(root), services=arguments.get("services", ()))
    return _judged(looked, changed=False, fail=arguments["fail"])


def _verify(root: str, arguments: Data, _check_mode: bool) -> t.Dict[str, t.Any]:
    from ..verdict import verify

    services = arguments.get("services", ())
    looked = verify.verify(Paths.of(root), soak=arguments["soak"], services=services)
    return _judged(looked, changed=False, fail=arguments["fail"])


def _rollout_look(root: str, arguments: Data, _check_mode: bool) -> t.Dict[str, t.Any]:
    from ..host import processes
    from ..state.generations import current_id, load_stack
    from ..state.one_way import one_way_before, one_way_since
    from ..state.rollout import read_rollout
    from ..verdict import status
    from ..verdict.endpoints import endpoints
    from ..verdict.release_use import running_releases

    seen = os.stat(root)
    machine = {"boot": processes.boot_id(), "directory": f"{seen.st_dev}:{seen.st_ino}"}
    nothing: t.Dict[str, t.Any] = {"rollout": None, "release": "", "over": [], "running": [], "endpoints": []}
    answer = {"changed": False, "machine": machine, **nothing}
    if current_id(Paths.of(root)) is None:
        return answer
    stack = load_stack(Paths.of(root))
    found = read_rollout(stack.paths.state)
    if found is not None:
        # What it has begun to run before it was cut off.
        ran = one_way_since(stack.paths, root, found.before)
        answer["rollout"] = found._replace(one_way=tuple(dict.fromkeys((*found.one_way, *ran)))).as_data()
    if "manifest" in arguments:
        answer["over"] = list(one_way_before(Stack.from_dict(arguments["manifest"])))
    report = status.status(stack.paths)
    answer["running"] = sorted(running_releases(stack, report))
    if arguments.get("endpoints"):
        answer["endpoints"] = endpoints(stack, report["services"])
    return {**answer, "report": report, "release": stack.release or ""}


def _rollout_step(root: str, arguments: Data, check_mode: bool) -> t.Dict[str, t.Any]:
    from ..state import rollout
    from ..state.generations import current_id, load_stack
    from ..state.one_way import one_way_since

    stack = load_stack(Paths.of(root))
    paths = stack.paths
    told = {name: arguments[name] for name in ("id", "by", "step", "drained", "leads", "origin")}
    found = rollout.read_rollout(paths.state)
    is_its = found is not None and found.origin == arguments["origin"]
    ran = one_way_since(paths, root, found.before) if found is not None and is_its else ()
    order = rollout.Order(
        **told,
        controller=rollout.Controller(**arguments["controller"]),
        over=tuple(arguments["over"]),
        one_way=(*arguments["one_way"], *ran),
    )
    current = current_id(paths) or ""
    written = rollout.follow(paths.state, order, current, dry_run=check_mode)
    return {"changed": False, "rollout": written.as_data(), "generation": current, "release": stack.release or ""}


def _page(root: str, _arguments: Data, _check_mode: bool) -> t.Dict[str, t.Any]:
    from ..page.gather import host_told

    return {"changed": False, "host": host_told(root)}


def _doctor(root: str, arguments: Data, check_mode: bool) -> t.Dict[str, t.Any]:
    from ..doctor import doctor
    from ..run.request import who

    found = doctor.doctor(root, fix=arguments["fix"], dry_run=check_mode, who=who())
    failed = {"failed": True} if arguments["fail"] and not found["ok"] else {}
    return {"changed": found["changed"], "report": found, **failed}


def _acknowledge(root: str, _arguments: Data, check_mode: bool) -> t.Dict[str, t.Any]:
    from ..run import acknowledge
    from ..run.request import who
    from ..show.acknowledged import acknowledged_text
    from ..state.generations import load_stack

    paths = load_stack(Paths.of(root)).paths
    done = acknowledge.acknowledge(paths, who(), dry_run=check_mode)
    return {"changed": done["changed"], "report": done, "text": acknowledged_text(done)}


def _assign(_root: str, arguments: Data, check_mode: bool) -> t.Dict[str, t.Any]:
    from ..ports import tool

    given = tool.give(Stack.from_dict(arguments["manifest"]), dry_run=check_mode, home=arguments.get("home", False))
    before = {entry["service"]: entry["from"] for entry in given["moved"]}
    after = {entry["service"]: entry["to"] for entry in given["moved"]}
    return {**given, "diff": {"before": before, "after": after}}


def _judged(seen: Report, *, changed: bool, fail: bool) -> t.Dict[str, t.Any]:
    """Return the answer for a report; one that is not ok is a failure when ``fail`` says so."""
    failed = {"failed": True} if fail and not seen["ok"] else {}
    return {"changed": changed, "report": seen, **failed}


_ANSWERS: t.Mapping[str, t.Callable[[str, Data, bool], t.Dict[str, t.Any]]] = {
    "acknowledge": _acknowledge,
    "assign": _assign,
    "doctor": _doctor,
    "page": _page,
    "restart": _restart,
    "rollout_look": _rollout_look,
    "rollout_step": _rollout_step,
    "status": _status,
    "verify": _verify,
}


def _ask(options: argparse.Namespace) -> int:
    paths_of(options.root)
    return main(options.root, sys.stdin, sys.stdout)


# Not for people, so without a word in the help.
VERBS: t.Mapping[str, Verb] = {"ask": Verb("", _ask)}
