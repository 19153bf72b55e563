# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a host has answered is data: known keys, with known types, of limited size, in text that no terminal obeys.

A host may be in other hands. Ansible strips what a module answers of the keys by which a result gives orders to the
controller (``add_host``, ``ansible_facts``, ``_ansible_*``), and trusts what an action answers. So whatever a host has
said passes through here before it becomes a part of a result: by the types of the documents (base/documents.py) each
key is admitted, or dropped and named.
"""

from __future__ import annotations

import functools
import json
import math
import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import (
    command_documents,
    documents,
    page_documents,
    rollout_documents,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import inert, one_line

# Bytes of one answer: that of a run over a thousand services, with their logs' last lines and two configs, has four
# million. Characters of one text, and of a name; a longer text is cut.
MOST_BYTES = 32 << 20
MOST_TEXT = 2 << 20
# Values of one answer; the same has some hundred thousand, and as many such signs in texts.
MOST_VALUES = 1_000_000
MOST_NAME = 1000
# What may have several lines, and what shows it indents them. In all else a line end would be a line of its own in the
# roll call, and read as one of another host.
OF_SEVERAL_LINES = {"message", "msg", "evidence", "cure", "text", "before", "after", "prepared"}
# How deep facts and evidence may be nested, and how many dropped keys are named.
DEEPEST = 12
MOST_NAMED = 10
# The largest number that a host has to tell: a time in nanoseconds, an inode (64 bits).
LARGEST = 1 << 64


class Malformed(Exception):
    """What a host has said is not an answer; the words say at which place, and what is wrong with it."""


class _Said(t.TypedDict):
    changed: bool


class Answer(_Said, total=False):
    """What every answer may have besides its document."""

    failed: bool
    msg: str
    error: documents.ErrorData


class DiffPart(t.TypedDict, total=False):
    """One part of what Ansible shows of a change."""

    prepared: str
    before_header: str
    after_header: str
    before: str
    after: str


class GoingData(t.TypedDict):
    """How a run that a host is still at is waited for any further: what the host itself has to be told of it."""

    run: str
    pid: int
    start: int
    limit: float
    began: float
    before: str


class RunAnswer(Answer, total=False):
    """The answer to a look or a run."""

    report: documents.Report
    diff: t.List[DiffPart]
    going: GoingData
    progress: documents.ProgressData


class DoctorAnswer(Answer, total=False):
    """The answer of the doctor."""

    report: command_documents.DoctorDocument
    text: str


class AcknowledgeAnswer(Answer, total=False):
    """The answer to what was acknowledged."""

    report: command_documents.AcknowledgeDocument
    text: str


class RolloutLookAnswer(RunAnswer, total=False):
    """The answer to how a host stands before a rollout."""

    rollout: t.Optional[rollout_documents.RolloutData]
    machine: rollout_documents.MachineData
    release: str
    over: t.List[str]
    running: t.List[str]
    endpoints: t.List[rollout_documents.EndpointData]


class PageAnswer(Answer, total=False):
    """The answer to what a host tells for the page."""

    host: page_documents.HostTold


class RolloutStepAnswer(Answer, total=False):
    """The answer to a step that was written down."""

    rollout: rollout_documents.RolloutData
    generation: str
    release: str


# ``from`` is a word of Python's own.
Moved = t.TypedDict("Moved", {"service": str, "from": int, "to": int, "reason": str})


class PortsDiff(t.TypedDict):
    """The ports of services that have moved, before and after."""

    before: t.Dict[str, int]
    after: t.Dict[str, int]


class AssignAnswer(Answer, total=False):
    """The answer to which port each service gets."""

    ports: t.Dict[str, int]
    moved: t.List[Moved]
    notes: t.List[str]
    diff: PortsDiff


class Removed(t.TypedDict, total=False):
    """What the removal of a stack says: what went, what stays, or why nothing was touched."""

    changed: bool
    failed: bool
    msg: str
    error: documents.ErrorData
    removed: t.List[str]
    with_it: t.List[str]
    left: t.List[str]
    account: str
    installed: bool
    verified: bool
    statement: str
    diff: DiffPart
    module_stdout: str
    module_stderr: str
    rc: int


class _ServiceFact(t.TypedDict):
    port: t.Optional[int]


class ServiceFact(_ServiceFact, total=False):
    """What the local fact of a host says of a service (roles/bootstrap/files/rollcall.fact).

    Attributes:
        port: its port, of several the first.
        ports: its ports by their names, where they have some.
    """

    ports: t.Dict[str, int]


class StackFact(t.TypedDict, total=False):
    """What it says of a stack: its services, or what is wrong with its registry."""

    services: t.Dict[str, ServiceFact]
    error: str


class _PortsFact(t.TypedDict):
    stacks: t.Dict[str, StackFact]


class PortsFact(_PortsFact, total=False):
    """The local fact of a host."""

    error: str


_REPORT, _PORTS = ("report",), ("ports", "moved")
# What is asked for, the form of its answer, and what is in that where it is no error.
OF_VERBS: t.Mapping[str, t.Tuple[t.Any, t.Sequence[str]]] = {
    "acknowledge": (AcknowledgeAnswer, _REPORT),
    "assign": (AssignAnswer, _PORTS),
    "doctor": (DoctorAnswer, _REPORT),
    "page": (PageAnswer, ("host",)),
    "restart": (RunAnswer, _REPORT),
    "rollout_look": (RolloutLookAnswer, ("rollout", "machine", "release", "over", "running", "endpoints")),
    "rollout_step": (RolloutStepAnswer, ("rollout", "generation", "release")),
    "status": (RunAnswer, _REPORT),
    "verify": (RunAnswer, _REPORT),
}


# What each operation of the port tool prints.
OF_PORTS: t.Mapping[str, t.Any] = {
    "auto-fix": command_documents.PortFixDocument,
    "check": command_documents.PortCheckDocument,
    "find-available": command_documents.PortFindDocument,
    "home": command_documents.PortFixDocument,
    "kill": command_documents.PortKillDocument,
    "list": command_documents.PortsListDocument,
    "show-config": command_documents.PortsConfigDocument,
    "update-config": command_documents.PortUpdateDocument,
}


def ports_answer(text: str) -> t.Dict[str, t.Any]:
    """Return what an operation of the port tool has printed on a host: its document, or that of an error.

    Args:
        text: one document of JSON.

    Raises:
        Malformed: it is neither.
    """
    return _document_or_error(parsed(text), _shape_of_ports)


def _shape_of_ports(said: t.Mapping[str, t.Any]) -> t.Any:
    operation = said.get("operation")
    shape = OF_PORTS.get(operation) if isinstance(operation, str) else None
    if shape is None:
        raise Malformed("it is of no operation that is known")
    return shape


def _document_or_error(said: t.Any, shape_of: t.Callable[[t.Mapping[str, t.Any]], t.Any]) -> t.Dict[str, t.Any]:
    """Return what a command of a host has printed: its document, of the shape that it has, or that of an error."""
    failed = not isinstance(said, dict) or bool(said.get("error"))
    shape = command_documents.ErrorDocument if failed else shape_of(said)
    return t.cast("t.Dict[str, t.Any]", admitted(said, shape)[0])


def logs_answer(text: str) -> t.Dict[str, t.Any]:
    """Return what ``rollcall logs --json`` has printed on a host: the lines of logs, or an error.

    Args:
        text: one document of JSON.

    Raises:
        Malformed: it is neither.
    """
    return _document_or_error(parsed(text), lambda _said: documents.LogsDocument)


def answer_to(verb: str, text: str) -> t.Tuple[t.Dict[str, t.Any], t.List[str]]:
    """Return the engine's answer as a host has written it, and the places of what was dropped.

    Args:
        verb: what the engine was asked for.
        text: one document of JSON.

    Raises:
        Malformed: it is no answer to that.
    """
    shape, needed = OF_VERBS[verb]
    answer, dropped = admitted(parsed(text), shape)
    missing = [] if "error" in answer or "going" in answer else [key for key in needed if key not in answer]
    if missing:
        raise Malformed(f"it has neither an error nor {missing[0]}")
    return answer, dropped


def parsed(text: str) -> t.Any:
    """Return JSON that a host has written.

    Raises:
        Malformed: it is none, is too long, or is nested too deeply.
    """
    if len(text) > MOST_BYTES:
        raise Malformed(f"it has {len(text)} characters, and at most {MOST_BYTES} are read")
    # Each value but the first has one of these before it. In memory it takes up to a hundred times its size.
    if sum(map(text.count, ",[{")) > MOST_VALUES:
        raise Malformed(f"it has more than {MOST_VALUES} values")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise Malformed(f"it is no JSON: {one_line(str(exc)) or type(exc).__name__}") from exc


def _refuse_constant(name: str) -> t.NoReturn:
    # Python reads NaN and Infinity, which JSON has not.
    raise ValueError(f"{name} is no number")


def admitted(value: t.Any, shape: t.Any, place: str = "answer") -> t.Tuple[t.Any, t.List[str]]:
    """Return what a host has said as far as it is known, and the places of what was dropped.

    Args:
        value: it, as JSON has it.
        shape: a type of the documents.
        place: what it is called.

    Raises:
        Malformed: a value has another type, or a key is missing.
    """
    dropped: t.List[str] = []
    return _admitted(value, shape, place, dropped), dropped[:MOST_NAMED]


def _admitted(value: t.Any, shape: t.Any, place: str, dropped: t.List[str], lines: bool = False) -> t.Any:
    """Return a value as far as it is known; ``lines``: whether its texts may have several of them."""
    origin, inner = t.get_origin(shape), t.get_args(shape)
    if t.is_typeddict(shape):
        return _document(value, shape, place, dropped)
    if origin is list and isinstance(value, list):
        return [_admitted(one, inner[0], f"{place}[{number}]", dropped, lines) for number, one in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        named = ((_name(key), one) for key, one in value.items())
        return {key: _admitted(one, inner[1], f"{place}.{key}", dropped, lines) for key, one in named}
    if origin is t.Union:
        return _one_of(value, inner, place, dropped, lines)
    if origin is t.Literal and value in inner and type(value) in {type(one) for one in inner}:
        return value
    if shape is t.Any:
        return _facts(value, place, DEEPEST)
    if shape in (str, int, float, bool) and _is_a(value, shape):
        return value if shape is not str else _text(value) if lines else _line(value)
    raise Malformed(f"{place} is {_described(value)}, and {_wanted(shape)} is wanted")


def _document(value: t.Any, shape: t.Any, place: str, dropped: t.List[str]) -> t.Dict[str, t.Any]:
    if not isinstance(value, dict):
        raise Malformed(f"{place} is {_described(value)}, and a document is wanted")
    hints = _hints(shape)
    missing = sorted(shape.__required_keys__ - value.keys())
    if missing:
        raise Malformed(f"{place}.{missing[0]} is missing")
    dropped += [f"{place}.{_name(key)}" for key in value if key not in hints]
    return {
        key: _admitted(value[key], hint, f"{place}.{key}", dropped, key in OF_SEVERAL_LINES)
        for key, hint in hints.items()
        if key in value
    }


def know(*verbs: str) -> None:
    """Work out what the answers to verbs look like. Whoever is about to fork asks first, and those it forks have it."""
    shapes: t.List[t.Any] = [OF_VERBS[verb][0] for verb in verbs]
    known = set()
    while shapes:
        shape = shapes.pop()
        if t.is_typeddict(shape) and shape not in known:
            known.add(shape)
            shapes += _hints(shape).values()
        shapes += t.get_args(shape)


@functools.cache
def _hints(shape: t.Any) -> t.Mapping[str, t.Any]:
    return t.get_type_hints(shape)


def _one_of(value: t.Any, shapes: t.Sequence[t.Any], place: str, dropped: t.List[str], lines: bool) -> t.Any:
    if value is None and type(None) in shapes:
        return None
    fault: t.Optional[Malformed] = None
    for shape in shapes:
        if shape is not type(None):
            found: t.List[str] = []
            try:
                known = _admitted(value, shape, place, found, lines)
            except Malformed as exc:
                fault = exc
            else:
                dropped += found
                return known
    raise fault or Malformed(f"{place} is {_described(value)}")


def _facts(value: t.Any, place: str, depth: int) -> t.Any:
    if depth == 0:
        raise Malformed(f"{place[:MOST_NAME]} is nested too deeply")
    if isinstance(value, dict):
        return {_name(key): _facts(one, f"{place}.{_name(key)}", depth - 1) for key, one in value.items()}
    if isinstance(value, list):
        return [_facts(one, f"{place}[{number}]", depth - 1) for number, one in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if _is_a(value, float):
        return value
    raise Malformed(f"{place} is {_described(value)}")


def _is_a(value: t.Any, shape: t.Any) -> bool:
    # To Python, true is an integer.
    if isinstance(value, bool):
        return shape is bool
    if isinstance(value, int):
        return shape in (int, float) and abs(value) <= LARGEST
    return isinstance(value, shape) and (shape is not float or math.isfinite(value))


def _text(value: str) -> str:
    kept = inert(value[: MOST_TEXT + 1])
    return kept if len(kept) <= MOST_TEXT else f"{kept[:MOST_TEXT]}…"


def _line(value: str) -> str:
    """Return text on one line: a line end stands as a program would write it."""
    return "\\n".join(_text(value).split("\n"))


def _name(key: str) -> str:
    return one_line(key, MOST_NAME)


def _described(value: t.Any) -> str:
    kinds = {dict: "a document", list: "a list", str: "text", type(None): "null", bool: "true or false"}
    return kinds.get(type(value), one_line(str(value), 40) if isinstance(value, (int, float)) else "something else")


def _wanted(shape: t.Any) -> str:
    if t.get_origin(shape) is t.Literal:
        return f"one of {', '.join(map(str, t.get_args(shape)))}"
    known = {str: "text", int: "an integer", float: "a number", bool: "true or false"}
    return known.get(shape, "a list" if t.get_origin(shape) is list else "a document")
