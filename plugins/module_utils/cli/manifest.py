# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verb ``rollcall manifest``: check a manifest file, make one of what there is, and see what has drifted apart."""

from __future__ import annotations

import argparse
import glob
import os
import sys
import typing as t

from ..base.errors import EXIT_OK, RollcallError
from .console import announced, paths_of, show

# By no means all of it has to be installed: the controller has the same command without a stack.
FROM = ("supervisord", "ports", "procfile", "pm2", "environment")


def add(verbs: t.Any) -> None:
    """Add the verb with its actions to the command line's parser."""
    manifest = verbs.add_parser("manifest", help="work with manifest files")
    actions = manifest.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = actions.add_parser(name, help=text, description=f"{text.capitalize()}.")
        return added

    check = action("check", "find every problem of a manifest file")
    check.add_argument("file", metavar="FILE")
    drift = action("drift", "compare the installed manifest, a file, supervisord and the listeners")
    drift.add_argument("file", metavar="FILE", nargs="?", help="a manifest file to compare with")
    taken = action("import", "print the manifest that a supervisord.conf, Procfile or the like comes to")
    taken.add_argument("file", metavar="FILE", nargs="?", help="what is imported; - and nothing mean standard input")
    taken.add_argument("--from", dest="kind", choices=FROM, help="what it is; it is recognised unless this says so")
    taken.add_argument("--name", required=True, help="the name of the stack")
    taken.add_argument("--to", metavar="ROOT", help="the root of the stack; by default /opt/NAME")
    for each in (check, drift, taken):
        each.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(options: argparse.Namespace) -> int:
    """Run one action and return the exit code.

    Raises:
        RollcallError: as the action says.
    """
    return _ACTIONS[options.action](options)


def _check(options: argparse.Namespace) -> int:
    from ..manifest.file import check_file
    from ..show.errors import problems_text

    problems = check_file(options.file).problems
    found = [problem.as_dict() for problem in problems]
    data = {"ok": not any(problem.severity == "error" for problem in problems), "problems": found}
    return show(data, lambda: problems_text(found, subject=options.file), as_json=options.json)


def _drift(options: argparse.Namespace) -> int:
    from ..show.drift import drift_text
    from ..state.generations import load_stack
    from ..verdict import drift, limits

    paths = paths_of(options.root)
    with announced("manifest drift", limits.look_limit(load_stack(paths))):
        data = drift.drift(paths, options.file)
    return show(data, lambda: drift_text(data), as_json=options.json)


def _import(options: argparse.Namespace) -> int:
    from ..importing.importer import detect, import_text
    from ..importing.yaml_text import as_yaml

    text = "" if options.kind == "environment" and options.file is None else _text(options.file)
    kind = options.kind or detect(options.file or "standard input", text)
    here = os.path.dirname(os.path.abspath(options.file)) if options.file not in (None, "-") else os.getcwd()
    done = import_text(
        text,
        kind,
        name=options.name,
        root=options.to or f"/opt/{options.name}",
        environment=dict(os.environ),
        here=here,
        read=lambda pattern: _included(os.path.join(here, pattern)),
    )
    notes = [note.as_dict() for note in done.notes]
    if options.json:
        return show({"ok": True, "kind": kind, "manifest": done.manifest, "notes": notes}, "", as_json=True)
    sys.stdout.write(as_yaml(done))
    return EXIT_OK


def _text(path: t.Optional[str]) -> str:
    try:
        if path is None or path == "-":
            return sys.stdin.read()
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except (OSError, ValueError) as exc:
        raise RollcallError(f"{path} cannot be read: {exc}.", kind="wrong_use") from exc


def _included(pattern: str) -> t.List[t.Tuple[str, str]]:
    return [(path, _text(path)) for path in sorted(glob.glob(pattern))]


_ACTIONS: t.Mapping[str, t.Callable[[argparse.Namespace], int]] = {
    "check": _check,
    "drift": _drift,
    "import": _import,
}
