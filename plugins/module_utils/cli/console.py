# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What the verbs of the command share: how one is declared, which stack is meant, and how an answer is printed."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import sys
import typing as t

from ..base import cures
from ..base.clock import SOON
from ..base.errors import EXIT_FAILED, EXIT_OK, RollcallError
from ..manifest.model import Paths
from ..ports.policies import OWNED, POLICIES

if t.TYPE_CHECKING:
    from ..base.documents import Report


# Of what is no terminal.
_COLUMNS = 80


class Option(t.NamedTuple):
    """An option or an argument, with what ``argparse`` is told of it."""

    name: str
    settings: t.Mapping[str, t.Any]
    others: t.Tuple[str, ...] = ()


class Verb(t.NamedTuple):
    """A verb of the command, or an operation of a verb.

    Attributes:
        help: what it does, in a phrase; the list of verbs leaves out one without.
        run: takes the parsed options and returns the exit code. It imports what it needs: every call of the command
            loads this declaration, and most only read it.
        options: in the order of the help.
        description: what its own help says; None for the phrase.
        operations: the verbs below it, one of which must be given.
        settings: what it sets besides the options.
    """

    help: str
    run: t.Optional[t.Callable[[argparse.Namespace], int]] = None
    options: t.Sequence[Option] = ()
    description: t.Optional[str] = None
    operations: t.Optional[t.Mapping[str, Verb]] = None
    settings: t.Mapping[str, t.Any] = {}


def option(name: str, *others: str, **settings: t.Any) -> Option:
    """Return an option or an argument.

    Args:
        name: of it.
        others: shorter names.
        settings: those of ``ArgumentParser.add_argument``.
    """
    return Option(name, settings, others)


def help_formatter(prog: str) -> argparse.HelpFormatter:
    """Return what writes the help of ``prog``, as wide as the terminal.

    ``argparse`` makes one for each option that is declared, and by itself it loads the handling of archives for that.
    """
    return argparse.HelpFormatter(prog, width=_columns() - 2)


@functools.lru_cache(maxsize=1)
def _columns() -> int:
    """Return the columns of the terminal, as ``shutil.get_terminal_size`` does."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(1).columns or _COLUMNS
    except OSError:
        # It was closed, or is no terminal.
        return _COLUMNS


def add_verb(verbs: t.Any, name: str, verb: Verb) -> None:
    """Add a verb to a parser's verbs."""
    told = {"help": verb.help, "description": verb.description or f"{verb.help[:1].upper()}{verb.help[1:]}."}
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, formatter_class=help_formatter, **(told if verb.help else {})
    )
    parser.set_defaults(run=verb.run, **verb.settings)
    for one in verb.options:
        parser.add_argument(one.name, *one.others, **one.settings)
    if verb.operations:
        below = parser.add_subparsers(dest="operation", metavar="OPERATION", required=True)
        for operation, inner in verb.operations.items():
            add_verb(below, operation, inner)


JSON = option("--json", action="store_true", help="print JSON instead of text")
CHECK = option("--check", action="store_true", help="say what would be done; change nothing")
SOAK = option(
    "--soak",
    metavar="SECONDS",
    type=float,
    default=0.0,
    help="wait until every service has lived for so many seconds without an exit",
)
NAMES = option(
    "names",
    metavar="SERVICE",
    nargs="*",
    help="only these services and what depends on them; * and ? stand for other characters; all without one",
)
ALONE = option(
    "--no-dependents",
    dest="dependents",
    action="store_false",
    help="with names: only these services; what depends on them keeps running, and does without them meanwhile",
)
POLICY = option(
    "--policy",
    choices=POLICIES,
    default=OWNED,
    help="what may be ended on an assigned port: left-overs of this stack (owned), nothing (refuse), all (any)",
)


# A limit of more seconds than these is told with what it is made of.
LONG = 120.0
# Of services that are waited for, how many are named.
MOST_NAMED = 4


def paths_of(root: t.Optional[str]) -> Paths:
    """Return the directories of the stack that the command was called for.

    Raises:
        RollcallError: ``wrong_use``: it was called without its root.
    """
    if root is None:
        raise RollcallError(
            "Which stack? This command was called without its root directory.",
            kind="wrong_use",
            remedies=[cures.OWN_COMMAND],
        )
    return Paths.of(root)


def announce(
    verb: str, limit: float, last: t.Optional[float] = None, parts: t.Optional[t.Mapping[str, float]] = None
) -> None:
    """Say on standard error by when a verb ends at the latest.

    Args:
        verb: what was called.
        limit: seconds that it takes at the longest.
        last: seconds that it took the last time, where that is known.
        parts: the seconds of the limit by what they are for; told where the limit is a long one.
    """
    made_of = ", ".join(f"{seconds:.0f} s {what}" for what, seconds in (parts or {}).items() if seconds >= 1)
    told = f", of which at the worst {made_of}" if made_of and limit > LONG else ""
    before = "" if last is None else f"; the last time it took {last:.1f} s"
    sys.stderr.write(f"rollcall {verb}: ends within {limit:.0f} s at the latest{told}{before}\n")
    sys.stderr.flush()


def announce_lives(options: argparse.Namespace, left: t.Mapping[str, float]) -> None:
    """Say on standard error that a verb waits until services have lived for long enough.

    Args:
        options: the verb, and ``soak``, for how many seconds all must have lived.
        left: by service for how many seconds it must live on.
    """
    seconds = max(left.values())
    names = sorted(left, key=lambda name: -left[name])
    named = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
    asked = seconds <= getattr(options, "soak", 0.0)
    why = "--soak asks for that" if asked else "earlier lives have ended by themselves"
    sys.stderr.write(f"rollcall {options.verb}: waits {seconds:.0f} s for {named} to live on: {why}\n")
    sys.stderr.flush()


@contextlib.contextmanager
def announced(verb: str, limit: float) -> t.Iterator[None]:
    """Announce what is done within, once it takes longer than a moment; arguments as ``announce``."""
    import threading  # late: few verbs are announced so

    timer = threading.Timer(SOON, announce, (verb, limit))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class OutputError(Exception):
    """An answer could not be written to standard output; in the words of the kernel."""


def show(data: t.Any, text: t.Callable[[t.Any], str], options: argparse.Namespace, *, whole: bool = False) -> int:
    """Print an answer without the secrets of the stack, and return its exit code.

    Playbooks and systemd call the command as well: who reads what it prints may not be let see them.

    Args:
        data: the answer; its ``ok`` decides the exit code.
        text: returns data for people.
        options: ``root``, and ``json``, whether to print the data instead of the text.
        whole: whether it is a manifest that is printed to be used. That has no secrets.

    Raises:
        BrokenPipeError: its reader has gone.
        OutputError: it could not be written.
    """
    from ..state.known_secrets import without_secrets

    told = data if whole else without_secrets(data, options.root)
    said = (json.dumps(told, indent=2) if options.json else text(told)) + "\n"
    try:
        sys.stdout.write(said)
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise OutputError(exc.strerror) from exc
    return EXIT_OK if data["ok"] else EXIT_FAILED


def show_report(report: Report, options: argparse.Namespace) -> int:
    """Print the report of a look or of a run, and return its exit code."""

    def text(told: Report) -> str:
        from ..show.roll_call import roll_call
        from ..show.words import terminal

        return roll_call(told, **terminal(sys.stdout))

    return show(report, text, options)
