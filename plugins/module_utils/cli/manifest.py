# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verb ``rollcall manifest``: check a manifest file, make one of what there is, and see what has drifted apart."""

from __future__ import annotations

import argparse
import os
import sys
import typing as t

from ..base.errors import EXIT_OK, Problem, RollcallError, problems_error
from .console import JSON, Verb, announced, option, paths_of, show

# Characters of a file that is imported: one more than may be.
_MOST = 1024 * 1024 + 1


def _check(options: argparse.Namespace) -> int:
    from ..manifest.file import check_file
    from ..show.errors import problems_text

    problems = check_file(options.file, variables=True).problems
    found = [problem.as_dict() for problem in problems]
    data = {"ok": not any(problem.severity == "error" for problem in problems), "problems": found}
    return show(data, lambda told: problems_text(told["problems"], subject=options.file), options)


def _drift(options: argparse.Namespace) -> int:
    from ..show.drift import drift_text
    from ..state.generations import load_stack
    from ..verdict import drift, limits

    paths = paths_of(options.root)
    with announced("manifest drift", limits.look_limit(load_stack(paths))):
        data = drift.drift(paths, options.file)
    return show(data, drift_text, options)


def _import(options: argparse.Namespace) -> int:
    from ..show.errors import problems_text

    try:
        return _imported(options)
    except RollcallError as exc:
        problems = exc.evidence.get("problems")
        if options.json or not problems:
            raise
        # As of manifest check, but beside the manifest, which goes into a file.
        sys.stderr.write(problems_text(problems, subject=options.file or "standard input") + "\n")
        return exc.exit_code


def _imported(options: argparse.Namespace) -> int:
    from ..host.accounts import readable_by_uid
    from ..importing.importer import detect, import_text
    from ..importing.port_manifest import ports_of
    from ..importing.yaml_text import as_yaml
    from .included import IncludedFiles

    nothing = options.kind == "environment" and options.file is None
    text, owner = ("", None) if nothing else _text(options.file)
    kind = options.kind or detect(options.file or "standard input", text)
    files = IncludedFiles(
        os.path.dirname(os.path.abspath(options.file)) if options.file not in (None, "-") else os.getcwd(),
        None if owner is None else readable_by_uid(owner),
        options.include_root,
    )
    done = import_text(
        text,
        kind,
        name=options.name,
        root=options.to or f"/opt/{options.name}",
        environment=dict(os.environ),
        here=files.here,
        read=files.read,
        ports=ports_of(_text(options.ports)[0]) if options.ports else None,
    )
    notes = [note.as_dict() for note in done.notes]
    if options.json:
        return show({"ok": True, "kind": kind, "manifest": done.manifest, "notes": notes}, str, options, whole=True)
    sys.stdout.write(as_yaml(done, all_notes=options.all_notes))
    return EXIT_OK


def _text(path: t.Optional[str]) -> t.Tuple[str, t.Optional[int]]:
    """Return the text of what is imported, and the owner of its file; None of standard input."""
    from ..manifest import corrections
    from .included import text_of

    try:
        if path is None or path == "-":
            return sys.stdin.read(_MOST), None
        text, seen = text_of(path, _MOST)
    except UnicodeDecodeError as exc:
        line = exc.object.count(b"\n", 0, exc.start) + 1
        found = Problem(f"line {line}", "is not UTF-8 text", corrections.UTF_8)
        raise problems_error("It cannot be imported", [found]) from exc
    except (OSError, ValueError) as exc:
        raise RollcallError(f"{path} cannot be read: {exc}.", kind="wrong_use") from exc
    return text, seen.st_uid


VERBS: t.Mapping[str, Verb] = {
    "manifest": Verb(
        "work with manifest files",
        operations={
            "check": Verb("find every problem of a manifest file", _check, (option("file", metavar="FILE"), JSON)),
            "drift": Verb(
                "compare the installed manifest, a file, supervisord and the listeners",
                _drift,
                (option("file", metavar="FILE", nargs="?", help="a manifest file to compare with"), JSON),
            ),
            "import": Verb(
                "print the manifest that a supervisord.conf, Procfile or the like comes to",
                _import,
                (
                    option(
                        "file", metavar="FILE", nargs="?", help="what is imported; - and nothing mean standard input"
                    ),
                    option(
                        "--from",
                        dest="kind",
                        choices=("supervisord", "ports", "procfile", "pm2", "environment"),
                        help="what it is; it is recognised unless this says so",
                    ),
                    option("--name", required=True, help="the name of the stack"),
                    option("--to", metavar="ROOT", help="the root of the stack; by default /opt/NAME"),
                    option(
                        "--include-root",
                        metavar="DIR",
                        help="the directory that is / of the original's host, for the files that its [include] names",
                    ),
                    option("--ports", metavar="FILE", help="a manifest or registry that has the services' ports"),
                    option("--all-notes", action="store_true", help="tell the notes that need nothing, and all places"),
                    JSON,
                ),
            ),
        },
    )
}
