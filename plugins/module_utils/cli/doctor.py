# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verb ``rollcall doctor``: what is wrong with the stack and its host, and the command that cures each."""

from __future__ import annotations

import argparse
import typing as t

from ..base.errors import RollcallError
from .console import JSON, Verb, announced, option, paths_of, show


def _doctor(options: argparse.Namespace) -> int:
    from ..doctor import doctor
    from ..run import request
    from ..show.findings import findings_text

    paths_of(options.root)
    if options.check and not options.fix:
        raise RollcallError("--check goes with --fix: without it nothing is changed anyway.", kind="wrong_use")
    with announced("doctor", doctor.limit(options.root, fix=options.fix and not options.check)):
        data = doctor.doctor(options.root, fix=options.fix, dry_run=options.check, who=request.who())
    return show(data, findings_text, options)


VERBS: t.Mapping[str, Verb] = {
    "doctor": Verb(
        "what is wrong here, and what cures it; changes nothing without --fix",
        _doctor,
        (
            option(
                "--fix",
                action="store_true",
                help="put right what ends and starts no process: left-over files, modes, directories",
            ),
            option("--check", action="store_true", help="with --fix: say what would be put right; change nothing"),
            JSON,
        ),
        description="Look over every supervisord of this host, this stack's processes, ports, files, modes and "
        "versions. Each finding names its evidence and its remedy. Exit code 1 when an error is left.",
    )
}
