# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A manifest out of what somebody has already, and what could not be carried over.

Nothing is guessed in silence: what has no counterpart, or another meaning here, becomes a note with its place and a
cure. docs/how-to/import.md says for users what becomes of what.
"""

from __future__ import annotations

import os
import re
import shlex
import textwrap
import typing as t

from ..base.errors import RollcallError
from ..manifest.check import check_manifest
from ..manifest.document import Document
from ..manifest.file import parse_manifest
from ..manifest.keys import SERVICE, STACK
from ..manifest.legacy import recognise
from ..manifest.model import PortRules
from ..manifest.port_checks import EPHEMERAL
from . import pm2 as import_pm2
from . import supervisord_conf as import_supervisord
from .draft import Draft, Imported, Note, words
from .supervisord_conf import Read

__all__ = ["KINDS", "Imported", "Note", "Read", "detect", "import_text", "render"]

KINDS = ("supervisord", "ports", "procfile", "pm2", "environment")


def import_text(
    text: str,
    kind: str,
    *,
    name: str,
    root: str,
    environment: t.Mapping[str, str],
    here: t.Optional[str] = None,
    read: t.Optional[Read] = None,
) -> Imported:
    """Return the manifest that a text comes to, and notes on what it does not have.

    The manifest passes the check. One of ``ports`` or ``environment`` does so when commands have been added: the
    original has none.

    Args:
        text: the original, whole.
        kind: one of :data:`KINDS`.
        name: of the stack.
        root: of the stack.
        environment: for ``supervisord`` what ``%(ENV_X)s`` stands for; for ``environment``, when the text is empty,
            the variables themselves.
        here: for ``supervisord``: directory of the file, absolute, for ``%(here)s``.
        read: for ``supervisord``: returns absolute path and text of every file that a pattern of ``[include]`` finds;
            a relative pattern begins at ``here``.

    Raises:
        RollcallError: ``wrong_use`` with all problems, each with its place and cure.
    """
    if kind == "ports":
        return _ports(text, name, root)
    draft = Draft(name, root, commands=kind != "environment")
    if kind == "supervisord":
        import_supervisord.add(draft, text, environment=environment, here=here, read=read)
    elif kind == "procfile":
        _procfile(draft, text)
    elif kind == "pm2":
        import_pm2.add(draft, text)
    elif kind == "environment":
        _environment(draft, text, environment)
    else:
        raise RollcallError(
            f"'{kind}' is nothing that can be imported.", kind="wrong_use", remedies=[f"use one of: {', '.join(KINDS)}"]
        )
    return draft.finish()


# --- which kind it is --------------------------------------------------------------------------------------------

_CONFIG = re.compile(r"^\[(supervisord\]|include\]|(program|group|eventlistener|fcgi-program):)", re.MULTILINE)
_PROCESS = re.compile(r"([A-Za-z0-9_-]+):\s*(\S.*)")
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_SCRIPTS = (".js", ".cjs", ".mjs", ".ts")


def detect(path: str, text: str) -> str:
    """Return which of :data:`KINDS` a file is, by its name and what is in it.

    Raises:
        RollcallError: ``wrong_use``: it is none of them, or one that only JavaScript can read, or a manifest already.
    """
    name = os.path.basename(path).lower()
    if name.endswith(_SCRIPTS):
        script = f"JSON.stringify(require({path if os.path.isabs(path) else './' + path!r}))"
        raise RollcallError(
            f"{path} is a program in JavaScript, which is not run here.",
            kind="wrong_use",
            remedies=[f"node -p {shlex.quote(script)} > ecosystem.json, and import that"],
        )
    if name.startswith("procfile"):
        return "procfile"
    if _CONFIG.search(text):
        return "supervisord"
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and all(_ASSIGNMENT.match(line) for line in lines):
        return "environment"
    data = parse_manifest(text.encode("utf-8", "replace"), json_only=name.endswith(".json")).data
    if isinstance(data, dict):
        if recognise(data):
            return "ports"
        if "stack" in data or "services" in data:
            raise RollcallError(
                f"{path} is a manifest already.", kind="wrong_use", remedies=[f"rollcall manifest check {path}"]
            )
    if import_pm2.recognise(data):
        return "pm2"
    if lines and all(_PROCESS.match(line) for line in lines):
        return "procfile"
    raise RollcallError(
        f"{path} cannot be recognised.",
        kind="wrong_use",
        remedies=[f"say what it is by --from, one of: {', '.join(KINDS)}"],
    )


# --- a Procfile --------------------------------------------------------------------------------------------------

# What a shell acts on outside of quotes, and what it acts on within double ones.
_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_SHELL = re.compile(r"[|&;<>()$`*?\[\]{}~#!]")
_EXPANSION = re.compile(r"(?<!\\)[$`]")
# What divides one command from the next; not the & of 2>&1.
_CONTROL = re.compile(r"[|;()`]|(?<![<>])&(?!>)")
_BUILT_IN = words(
    ". : source cd exec eval export set unset ulimit umask trap if while until for case time test [ { ! wait"
)
_SETS_A_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_THE_PORT = re.compile(r"\$(PORT\b|\{PORT\b)")
# What foreman gives to the first process, and by how much more to each that follows.
_FOREMAN_PORT, _FOREMAN_STEP = 5000, 100


def _procfile(draft: Draft, text: str) -> None:
    first_lines: t.Dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        entry = _PROCESS.fullmatch(line.rstrip())
        if entry is None:
            if line.strip() and not line.startswith("#"):
                draft.lost(f"line {number}", "is not name: command, so it is not read", "correct it if it is meant")
            continue
        name, command = entry.groups()
        place = f"{name} (line {number})"
        if name in first_lines:
            draft.problem(place, f"is there twice: first in line {first_lines[name]}", "remove one of the two")
            continue
        if _THE_PORT.search(command):
            port = _FOREMAN_PORT + _FOREMAN_STEP * len(first_lines)
            draft.lost(
                place,
                f"wants PORT, and has no port yet; foreman would have given it {port}",
                "give the service a port, and PORT is there",
            )
        first_lines[name] = number
        draft.add(name, _process(draft, name, command, place), place=place)
    if first_lines:
        draft.advice(
            "the Procfile", "a .env beside it and the caller's environment were not read", "add them to defaults.env"
        )
    else:
        draft.problem("the Procfile", "has no line name: command", "is this a Procfile?")


def _process(draft: Draft, name: str, command: str, place: str) -> t.Dict[str, t.Any]:
    argv = _without_shell(command)
    draft.command(argv or command.split(), place)
    entry: t.Dict[str, t.Any] = {"command": argv}
    if argv is None:
        entry["command"] = ["sh", "-c", _with_exec(command)]
        draft.changed(
            place, "is run by a shell, as it has what only a shell understands", "write a list if it need not"
        )
    if name == "release":
        entry["kind"] = "oneshot"
        draft.changed(
            place,
            "is a oneshot, as release runs once, before the others",
            "write depends_on: {release: completed} for those that wait for it",
        )
    return entry


def _bare(command: str) -> str:
    """Return a command of the same length, in which nothing quoted is left."""
    return _QUOTED.sub(lambda quoted: "_" * len(quoted.group()), command)


def _without_shell(command: str) -> t.Optional[t.List[str]]:
    """Return the arguments of a command that means the same without a shell; None when it does not."""
    in_double_quotes = [quoted for quoted in _QUOTED.findall(command) if quoted.startswith('"')]
    if _SHELL.search(_bare(command)) or any(_EXPANSION.search(quoted) for quoted in in_double_quotes):
        return None
    try:
        argv = shlex.split(command)
    except ValueError:
        return None
    return None if not argv or argv[0] in _BUILT_IN or _SETS_A_VARIABLE.match(argv[0]) else argv


def _with_exec(command: str) -> str:
    """Return a command for a shell that becomes its last program, where that is certain.

    ``exec`` stands before one plain command, also the last one after ``&&``. With anything else the shell stays, and
    the signal reaches its whole group all the same.
    """
    bare = _bare(command)
    start = bare.rfind("&&") + 2 if "&&" in bare else 0
    words = bare[start:].split()
    program = next((word for word in words if not _SETS_A_VARIABLE.match(word)), None)
    if _CONTROL.search(bare.replace("&&", "")) or program is None or program in _BUILT_IN:
        return command
    how = "exec" if program is words[0] else "exec env"
    return f"{command[:start]} {how} {command[start:].strip()}".strip()


# --- variables ---------------------------------------------------------------------------------------------------

_QUOTED_VALUE = re.compile(r"""(?P<quote>['"])(?P<text>.*?)(?P=quote)(\s+#.*)?""")
_PORT_OF = re.compile(r"[A-Za-z_][A-Za-z0-9_]*_PORT\Z")
_HERE = re.compile(r"(localhost|127\.[0-9.]+|0\.0\.0\.0|::1?|\[::1?\]|\*|)\Z")


def _environment(draft: Draft, text: str, environment: t.Mapping[str, str]) -> None:
    """Add a service for every X_PORT, with X_HOST if there is one."""
    variables = _assignments(draft, text) if text.strip() else dict(environment)
    found = {name[: -len("_PORT")]: value for name, value in variables.items() if _PORT_OF.match(name)}
    used: t.Set[str] = set()
    for prefix, value in found.items():
        used.update((f"{prefix}_PORT", f"{prefix}_HOST"))
        host = variables.get(f"{prefix}_HOST")
        if host is not None and not _HERE.match(host):
            draft.lost(
                f"{prefix}_HOST", "is another host, so there is no service here", "give its user the address in env"
            )
            continue
        port = draft.port(value, f"{prefix}_PORT")
        if port is None:
            continue
        entry: t.Dict[str, t.Any] = {"port": port}
        if host:
            entry["env"] = {f"{prefix}_HOST": host}
        draft.add(prefix.lower(), entry, place=f"{prefix}_PORT")
        draft.changed(
            f"{prefix}_PORT",
            f"is given to the service as PORT and PORT_{prefix.upper()}, and is not set itself any more",
            "let the application read one of these",
        )
        draft.lost(
            f"{prefix}_PORT",
            "says nothing of a command",
            "give the service one, or remove it if it is none of this stack",
        )
    if not found:
        draft.problem("the variables", "have none that ends in _PORT", "name each X_PORT, such as WEB_SERVER_PORT")
    if text.strip():
        for name in (name for name in variables if name not in used):
            draft.lost(name, "belongs to no port, so it is not carried over", "write it below env of its service")


def _assignments(draft: Draft, text: str) -> t.Dict[str, str]:
    """Return the variables of a file with a NAME=value on each line, with quotes or without."""
    variables = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        assignment = _ASSIGNMENT.fullmatch(line)
        if assignment is None:
            draft.lost(f"line {number}", "is not NAME=value, so it is not read", "correct it if it is meant")
            continue
        name, value = assignment.group(1), assignment.group(2).strip()
        quoted = _QUOTED_VALUE.fullmatch(value)
        variables[name] = quoted.group("text") if quoted else re.sub(r"\s+#.*", "", value)
    return variables


# --- the older port manifest -------------------------------------------------------------------------------------


def _ports(text: str, name: str, root: str) -> Imported:
    """Return the manifest of a port manifest: its services, ports and rules. It has no commands."""
    draft = Draft(name, root, commands=False)
    loaded = parse_manifest(text.encode("utf-8", "replace"))
    draft.refuse_text(loaded.problems)
    if not isinstance(loaded.data, dict) or not recognise(loaded.data):
        draft.problem("the file", "has neither core_services nor watchdog_services", "is this a port manifest?")
        draft.refuse()
    document = Document(STACK, SERVICE)
    document.add(loaded.data, from_file=True)
    for key in ("defaults", "ports", "services"):
        if not isinstance(document.raw.get(key, {}), dict):  # it would vanish below what is laid over it
            draft.problem(f"stack.{key}", "is not a mapping", "correct or remove it")
    draft.refuse()
    own = {"name": name, "root": root, "ports": {"also": _outside(document.raw)}}
    common = _mapping(document.raw, "defaults")
    overlay = own if "command" in common else {**own, "defaults": {"command": ["true"]}}
    result = check_manifest(loaded.data, overlay={"stack": overlay}, lines=loaded.lines)
    draft.refuse(result.problems)
    for problem in result.problems:
        draft.advice(problem.place, problem.message, problem.cure)
    document.add({"stack": own}, from_file=False)
    silent = [service for service, entry in document.raw["services"].items() if "command" not in entry]
    if silent and "command" not in common:
        draft.lost(
            ", ".join(silent),
            "the original has no command",
            "give each its command, or all of them defaults.command with {name} and {port} in it",
        )
    return Imported({"stack": {key: document.raw[key] for key in STACK if document.raw.get(key)}}, draft.notes())


def _mapping(data: t.Mapping[str, t.Any], key: str) -> t.Mapping[str, t.Any]:
    """Return a mapping in another one; an empty one when it is absent, or something else, which is told elsewhere."""
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _outside(raw: t.Mapping[str, t.Any]) -> t.List[int]:
    """Return what is to be in ``ports.also``: what is there, and the services' ports that are not in the range."""
    rules, given, services = PortRules(), _mapping(raw, "ports"), _mapping(raw, "services")
    also = [port for port in _list(given, "also") if _is_port(port)]
    span = [port for port in _list(given, "range") if _is_port(port)]
    low, high = span if len(span) == 2 else (rules.low, rules.high)
    refused = {*(port for port in _list(given, "avoid") or rules.avoid if _is_port(port)), *rules.protect}
    ports: t.List[t.Any] = [_mapping(services, name).get("port") for name in services]
    for port in filter(_is_port, ports):
        listed = low <= port <= high and not EPHEMERAL[0] <= port <= EPHEMERAL[1]
        if not listed and port not in refused:
            also.append(port)
    return sorted(set(also))


def _list(data: t.Mapping[str, t.Any], key: str) -> t.Sequence[t.Any]:
    value = data.get(key)
    return value if isinstance(value, (list, tuple)) else ()


def _is_port(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535


# --- as YAML -----------------------------------------------------------------------------------------------------

_WIDTH = 110
_PLAIN = re.compile(r"(--?)?[A-Za-z_/][A-Za-z0-9_./@+=-]*\Z")
# What YAML, of one version or another, takes for something else than text.
_NOT_TEXT = words("null true false yes no on off y n")


def render(imported: Imported) -> str:
    """Return the manifest as YAML, the notes as comments at its top: a file for ``check_file``."""
    lines = []
    for note in imported.notes:
        lines += _comment(f"{note.kind}: {note.place}: {note.message}", "# ", "#   ")
        lines += _comment(f"-> {note.cure}", "#   ", "#      ")
    if lines:
        lines = ["# Imported. See to these notes, then remove them, and run: rollcall manifest check FILE", "#", *lines]
        lines.append("")
    return "\n".join([*lines, *_block(imported.manifest, "")]) + "\n"


def _comment(text: str, first: str, others: str) -> t.List[str]:
    visible = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
    return textwrap.wrap(
        visible,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _block(mapping: t.Mapping[str, t.Any], indent: str) -> t.List[str]:
    """Return the lines of a mapping; what is short and holds no more than values stands on one line."""
    lines = []
    for key, value in mapping.items():
        flow = f"{indent}{_scalar(key)}: {_flow(value)}"
        nested = isinstance(value, dict) and any(isinstance(inner, (dict, list)) for inner in value.values())
        if isinstance(value, dict) and value and (nested or len(flow) > _WIDTH):
            lines += [f"{indent}{_scalar(key)}:", *_block(value, indent + "  ")]
        else:
            lines.append(flow)
    return lines


def _flow(value: t.Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: t.Any) -> str:
    """Return a scalar that every YAML parser reads as what it is: text in quotes unless it is a plain word."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    if _PLAIN.match(value) and value.lower() not in _NOT_TEXT:
        return str(value)
    return '"' + "".join(_escaped(sign) for sign in value) + '"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    if sign.isprintable():
        return sign
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
