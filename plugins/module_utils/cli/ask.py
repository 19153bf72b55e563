# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The face for controllers: a question as JSON on standard input, the answer as one line of JSON on standard output."""

from __future__ import annotations

import json
import typing as t

from ..base.errors import RollcallError
from ..base.version import VERSION, is_newer, upgrade
from ..manifest.model import Paths, Stack
from ..ports import tool as ports
from ..run import dispatch, restart
from ..run.modes import mode_named
from ..run.request import Request, who
from ..show.errors import error_text
from ..show.roll_call import failure_text
from ..state.generations import Generation, current_config, load_stack
from ..supervisord.environment import private_files
from ..verdict import status, verify

Data = t.Mapping[str, t.Any]


def main(root: str, stream: t.TextIO, output: t.TextIO) -> int:
    """Answer one question. Returns the exit code, which is 0 for every answer, a failure included.

    Args:
        root: directory of the stack.
        stream: ``version`` of the one who asks, ``verb``, ``arguments`` and ``check_mode``.
        output: takes the answer: ``changed``, ``report``, ``diff``, and ``failed``, ``msg``, ``error`` when it failed.
    """
    asked = json.load(stream)
    try:
        _check_version(root, asked["version"])
        answer = _VERBS[asked["verb"]](root, asked["arguments"], asked["check_mode"])
    except RollcallError as exc:
        error = exc.as_dict()
        answer = {"changed": False, "failed": True, "msg": error_text(error, root=root), "error": error}
    output.write(f"{json.dumps(answer)}\n")
    return 0


def _check_version(root: str, wanted: str) -> None:
    """Check that the one who asks is of our own version.

    Raises:
        RollcallError: it is not; the remedy is to bootstrap again.
    """
    if wanted != VERSION:
        raise RollcallError(
            f"The engine installed under {root} is version {VERSION}, and the controller's is {wanted}: they must be "
            "the same.",
            kind="wrong_use",
            evidence={"installed": VERSION, "wanted": wanted},
            remedies=[upgrade(VERSION) if is_newer(VERSION, wanted) else "ansible-playbook site.yml"],
        )


def _restart(root: str, arguments: Data, check_mode: bool) -> t.Dict[str, t.Any]:
    request = _request(root, arguments)
    before = current_config(request.paths)
    done = restart.describe_plan(request) if check_mode else dispatch.run(request)
    return {**_judged(done, changed=done["changed"], fail=True), "diff": _diff(request, done, before)}


def _request(root: str, arguments: Data) -> Request:
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
        on_failure=arguments["on_failure"],
        generation=arguments["generation"],
    )


def _diff(request: Request, done: Data, old: str) -> t.List[t.Dict[str, str]]:
    """What changes, from the same plan that is carried out."""
    actions = "".join(f"{entry['action']} {entry['subject']}: {entry['reason']}\n" for entry in done["actions"])
    parts = [{"prepared": actions}] if actions else []
    if request.wanted is not None and request.wanted.config != old:
        path = request.paths.config
        parts.append({"before_header": path, "after_header": path, "before": old, "after": request.wanted.config})
    return parts


def _status(root: str, arguments: Data, _check_mode: bool) -> t.Dict[str, t.Any]:
    return _judged(status.status(Paths.of(root)), changed=False, fail=arguments["fail"])


def _verify(root: str, arguments: Data, _check_mode: bool) -> t.Dict[str, t.Any]:
    return _judged(verify.verify(Paths.of(root)), changed=False, fail=arguments["fail"])


def _doctor(root: str, arguments: Data, check_mode: bool) -> t.Dict[str, t.Any]:
    # Every other question would pay for what only this one needs.
    from ..doctor import doctor
    from ..show.findings import findings_text

    found = doctor.doctor(root, fix=arguments["fix"], dry_run=check_mode, who=who())
    answer: t.Dict[str, t.Any] = {"changed": found["changed"], "report": found, "text": findings_text(found)}
    if arguments["fail"] and not found["ok"]:
        answer.update(failed=True, msg=answer["text"])
    return answer


def _assign(_root: str, arguments: Data, check_mode: bool) -> t.Dict[str, t.Any]:
    given = ports.give(Stack.from_dict(arguments["manifest"]), dry_run=check_mode)
    before = {entry["service"]: entry["from"] for entry in given["moved"]}
    after = {entry["service"]: entry["to"] for entry in given["moved"]}
    return {**given, "diff": {"before": before, "after": after}}


def _judged(seen: t.Dict[str, t.Any], *, changed: bool, fail: bool) -> t.Dict[str, t.Any]:
    """Return the answer for a report: a failure when it is not ok and that is to fail."""
    answer: t.Dict[str, t.Any] = {"changed": changed, "report": seen}
    if not seen["ok"]:
        answer.update(msg=failure_text(seen), **({"failed": True} if fail else {}))
    return answer


_VERBS: t.Mapping[str, t.Callable[[str, Data, bool], t.Dict[str, t.Any]]] = {
    "assign": _assign,
    "doctor": _doctor,
    "restart": _restart,
    "status": _status,
    "verify": _verify,
}
