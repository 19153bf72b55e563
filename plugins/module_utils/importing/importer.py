# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Manifests out of the files of other tools, with notes on what could not be carried over.

Nothing is guessed in silence: what has no counterpart, or another meaning here, becomes a note with its place and what
to do about it. The page for users is docs/how-to/import.md.
"""

from __future__ import annotations

import os
import re
import shlex
import typing as t

from ..base import cures
from ..base.errors import Problem, RollcallError, problems_error
from ..manifest import corrections
from ..manifest.builder import NODE_LIMIT
from ..manifest.document import describes_containers
from ..manifest.file import SIZE_LIMIT, parse_manifest
from ..manifest.legacy import recognise
from . import pm2, port_manifest, port_variables, procfile, supervisord_conf
from .draft import Draft, Imported
from .javascript import NotData, as_json
from .port_registry import as_older_shape
from .supervisord_conf import Read
from .yaml_text import as_yaml

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
    ports: t.Optional[t.Mapping[str, int]] = None,
) -> Imported:
    """Return the manifest that a text becomes, with notes on what it does not have.

    The manifest passes the check. One of ``ports`` or ``environment`` passes it when commands have been added, as the
    original has none.

    Args:
        text: the whole original.
        kind: one of :data:`KINDS`.
        name: the name of the stack.
        root: the directory of the stack.
        environment: for ``supervisord``: the variables of ``%(ENV_X)s``; for ``environment``: the variables that are
            imported when the text is empty.
        here: for ``supervisord``: the directory of the file, absolute, for ``%(here)s``.
        read: for ``supervisord``: returns the absolute path and the text of every file that a pattern of ``[include]``
            finds, or why it is not read; a relative pattern begins at ``here``.
        ports: ports of services by their names, out of a manifest beside the original.

    Raises:
        RollcallError: ``wrong_use`` with all problems, each with its place and cure.
    """
    if len(text) > SIZE_LIMIT:
        raise _too_large("it is larger")
    if kind == "ports":
        done = port_manifest.manifest_of(text, name, root)
    else:
        draft = Draft(name, root, commands=kind != "environment", ports=ports)
        if kind == "supervisord":
            supervisord_conf.add(draft, text, environment=environment, here=here, read=read)
        else:
            _add(draft, text, kind, environment)
        done = draft.finish()
    if _values_in(done.manifest) > NODE_LIMIT or len(as_yaml(done, all_notes=True)) > SIZE_LIMIT:
        raise _too_large("it comes to more")
    return done


def _too_large(what: str) -> RollcallError:
    limits = f"{SIZE_LIMIT // 1024} KiB and {NODE_LIMIT} values"
    message = f"It cannot be imported: {what} than a manifest can have, which is {limits}."
    return RollcallError(message, kind="wrong_use", remedies=[corrections.SMALLER])


def _values_in(value: t.Any) -> int:
    """Return how many values and keys a part of a manifest has, itself included, as they are counted in a file."""
    if isinstance(value, dict):
        return 1 + len(value) + sum(map(_values_in, value.values()))
    return 1 + sum(map(_values_in, value)) if isinstance(value, (list, tuple)) else 1


def _add(draft: Draft, text: str, kind: str, environment: t.Mapping[str, str]) -> None:
    """Add the services of a text to a draft. A mark of its bytes' order, as of Windows, is none of its content."""
    text = text.lstrip("\ufeff")
    if kind == "procfile":
        procfile.add(draft, text)
    elif kind == "pm2":
        pm2.add(draft, text)
    elif kind == "environment":
        port_variables.add(draft, text, environment)
    else:
        raise RollcallError(
            f"'{kind}' is nothing that can be imported.", kind="wrong_use", remedies=[corrections.kind(KINDS)]
        )


# --- which kind it is --------------------------------------------------------------------------------------------

_CONFIG = re.compile(r"^\[(supervisord\]|include\]|(program|group|eventlistener|fcgi-program):)", re.MULTILINE)
_MANIFEST = re.compile(r"^stack:", re.MULTILINE)
_SCRIPTS = (".js", ".cjs", ".mjs", ".ts")
_EXPORT = re.compile(r"^\s*export\s+default\b", re.MULTILINE)
# Files of other tools that are not imported, by what stands in them: what they are, and what to do.
_OTHERS = (
    (re.compile(r"^\[(Unit|Service|Timer|Install)\]", re.MULTILINE), "a unit of systemd", corrections.OTHER_TOOL),
    (re.compile(r"^\[watcher:", re.MULTILINE), "a config of circus", corrections.OTHER_TOOL),
    (
        re.compile(
            r"^(@(reboot|hourly|daily|weekly|monthly|yearly)|([0-9*][0-9*,/-]*[ \t]+){5})[ \t]*\S", re.MULTILINE
        ),
        "a crontab",
        corrections.JOBS,
    ),
)


def _detect_script(path: str, text: str) -> str:
    """Return the kind of a file of JavaScript, which is read when it is nothing but data, and never run."""
    there = repr(path if os.path.isabs(path) else "./" + path)
    script = f"JSON.stringify(require({there}))"
    if _EXPORT.search(text):  # a module: require would give what it exports by its name, and older nodes nothing
        script = f"import({there}).then(found => console.log(JSON.stringify(found.default)))"
    cure = corrections.run_script(f"node {'-e' if _EXPORT.search(text) else '-p'} {shlex.quote(script)}")
    try:
        if pm2.recognise(parse_manifest(as_json(text).encode("utf-8", "replace"), json_only=True).data):
            return "pm2"
    except NotData as exc:
        raise problems_error(f"{path} is a program", [Problem(exc.place, exc.words, cure)]) from exc
    raise RollcallError(f"{path} is a program in JavaScript, which is not run here.", kind="wrong_use", remedies=[cure])


def _kind_of(path: str, data: t.Any) -> t.Optional[str]:
    """Return the kind of data: of a port manifest, a registry of ports or an ecosystem file; None when it is none.

    Raises:
        RollcallError: ``wrong_use``: it is a manifest already, or a file of docker compose.
    """
    if pm2.recognise(data):
        return "pm2"
    if (isinstance(data, dict) and recognise(data)) or as_older_shape(data) is not None:
        return "ports"
    if isinstance(data, dict):
        if describes_containers(data):
            raise RollcallError(
                f"{path} is a file of docker compose: it describes containers, and no programs of this host.",
                kind="wrong_use",
                remedies=[corrections.COMPOSE],
            )
        if _describes_processes(data):
            raise RollcallError(
                f"{path} is a file of process-compose, which is not imported.",
                kind="wrong_use",
                remedies=[corrections.OTHER_TOOL],
            )
        if isinstance(data.get("stack"), dict) or isinstance(data.get("services"), dict):
            raise RollcallError(
                f"{path} is a manifest already.", kind="wrong_use", remedies=[cures.check_manifest(path)]
            )
    return None


def _describes_processes(data: t.Mapping[str, t.Any]) -> bool:
    """Return whether data are a file of process-compose: processes, each with its command."""
    processes = data.get("processes")
    entries = list(processes.values()) if isinstance(processes, dict) else []
    return bool(entries) and all(isinstance(entry, dict) and "command" in entry for entry in entries)


def detect(path: str, text: str) -> str:
    """Return which of :data:`KINDS` a file is, by its name and its content.

    Raises:
        RollcallError: ``wrong_use``: it is of no kind, a program in JavaScript, or a manifest already.
    """
    name = os.path.basename(path).lower()
    if name.endswith(_SCRIPTS):
        return _detect_script(path, text)
    if name.startswith("procfile"):
        return "procfile"
    if _CONFIG.search(text):
        return "supervisord"
    lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and all(port_variables.ASSIGNMENT.match(line) for line in lines):
        return "environment"
    for pattern, what, cure in _OTHERS:
        if pattern.search(text):
            raise RollcallError(f"{path} is {what}, which is not imported.", kind="wrong_use", remedies=[cure])
    try:
        loaded = pm2.read_as_pm2(text)
    except NotData as exc:
        loaded = parse_manifest(text.encode("utf-8", "replace"))  # YAML may begin with a bracket, too
        if loaded.failed or pm2.recognise(loaded.data):
            problem = Problem(exc.place, exc.words, corrections.PRINT_AS_JSON)
            raise problems_error(f"{path} is not JSON", [problem]) from exc
    kind = _kind_of(path, loaded.data)
    names = [process.group(1) for process in map(procfile.PROCESS.match, lines) if process]
    if lines and len(names) == len(lines) and not (kind == "pm2" and pm2.all_keys(names)):
        return "procfile"
    if kind is not None:
        return kind
    if loaded.failed and (name.endswith(".json") or _MANIFEST.search(text)):
        raise problems_error(f"{path} cannot be read", [each for each in loaded.problems if each.severity == "error"])
    raise RollcallError(
        f"{path} cannot be recognised.",
        kind="wrong_use",
        remedies=[corrections.say_kind(KINDS)],
    )
