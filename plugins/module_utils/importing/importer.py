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
from ..base.errors import RollcallError
from ..manifest import corrections
from ..manifest.builder import NODE_LIMIT
from ..manifest.file import SIZE_LIMIT, parse_manifest
from ..manifest.legacy import recognise
from . import pm2, port_manifest, port_variables, procfile, supervisord_conf
from .draft import Draft, Imported
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
_SCRIPTS = (".js", ".cjs", ".mjs", ".ts")


def detect(path: str, text: str) -> str:
    """Return which of :data:`KINDS` a file is, by its name and its content.

    Raises:
        RollcallError: ``wrong_use``: it is of no kind, a program in JavaScript, or a manifest already.
    """
    name = os.path.basename(path).lower()
    if name.endswith(_SCRIPTS):
        script = f"JSON.stringify(require({path if os.path.isabs(path) else './' + path!r}))"
        raise RollcallError(
            f"{path} is a program in JavaScript, which is not run here.",
            kind="wrong_use",
            remedies=[corrections.run_script(f"node -p {shlex.quote(script)}")],
        )
    if name.startswith("procfile"):
        return "procfile"
    if _CONFIG.search(text):
        return "supervisord"
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and all(port_variables.ASSIGNMENT.match(line) for line in lines):
        return "environment"
    json_text = text.lstrip("\ufeff \t\r\n").startswith("{")
    data = parse_manifest(text.encode("utf-8", "replace"), json_only=name.endswith(".json")).data
    if isinstance(data, dict):
        if recognise(data) or (json_text and as_older_shape(data) is not None):
            return "ports"
        if "stack" in data or "services" in data:
            raise RollcallError(
                f"{path} is a manifest already.", kind="wrong_use", remedies=[cures.check_manifest(path)]
            )
    if pm2.recognise(data):
        return "pm2"
    if lines and all(procfile.PROCESS.match(line) for line in lines):
        return "procfile"
    raise RollcallError(
        f"{path} cannot be recognised.",
        kind="wrong_use",
        remedies=[corrections.say_kind(KINDS)],
    )
