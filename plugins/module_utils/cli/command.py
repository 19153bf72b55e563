# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The ``rollcall`` command: what an operator logged in on the host has at hand, with no controller in reach."""

from __future__ import annotations

import argparse
import json
import os
import sys
import typing as t

from ..base.errors import EXIT_FAILED, EXIT_OK, RollcallError
from ..base.version import VERSION
from ..manifest.model import Paths
from ..run.modes import RESTARTS, mode_named
from ..state.generations import load_stack
from . import doctor as cli_doctor
from . import manifest as cli_manifest
from . import ports as cli_ports
from .console import add_policy, announce, announced, paths_of, show


def parser(arguments: t.Optional[t.Sequence[str]] = None) -> argparse.ArgumentParser:
    """Return the command line's parser: every verb with its options.

    Args:
        arguments: what is to be parsed. What verbs that are not among them have below themselves is left out then: it
            is half of the parser, and every call of the command makes one.
    """
    top = argparse.ArgumentParser(
        prog="rollcall",
        description="One manifest, one verified stack: see how it is, restart it, free its ports.",
        epilog="Exit codes: 0 ok, 1 the verdict failed, 2 wrong use, 3 refused: the stack is locked, or a process that "
        "is not ours is in the way. Every verb ends in bounded time, and says when at the latest once it takes longer "
        "than a moment.",
    )
    top.add_argument("--root", help="directory of the stack; the installed command knows its own")
    top.add_argument("--version", action="version", version=f"rollcall {VERSION}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        added.add_argument("--json", action="store_true", help="print JSON instead of text")
        return added

    verb("status", "state of every service, who holds every port, and what is wrong; changes nothing")
    verb("verify", "the whole verdict, stability and logs since the last run included; changes nothing")
    start = verb("start", "start what is not running or not healthy; leave the rest alone")
    stop = verb("stop", "stop all services and their supervisord; end what is left over from earlier ones")
    restart = verb("restart", "stop, start and verify the stack")
    restart.add_argument(
        "mode",
        nargs="?",
        default="full",
        choices=[name for mode in RESTARTS for name in mode.names],
        help="; ".join(f"{' or '.join(mode.names)}: {mode.help}" for mode in RESTARTS) + "; full is the default",
    )
    back = verb("rollback", "go back to the last verified generation before this one, or to another that is kept")
    back.add_argument("generation", metavar="GENERATION", nargs="?", default="", help="its id")
    flush = verb("flush", "free the assigned ports of what is left over; restart nothing")
    for changing in (start, restart, back, flush):
        add_policy(changing)
    for changing in (start, stop, restart, back, flush):
        changing.add_argument("--check", action="store_true", help="say what would be done; touch nothing")
    for changing in (start, restart):
        changing.add_argument(
            "--automatic",
            action="store_true",
            help="a program asks, not a person: refused when the stack's restart_budget is spent",
        )
    past = verb("history", "the latest runs: who, when, what changed, how it ended; changes nothing")
    past.add_argument("run", metavar="RUN", nargs="?", help="all about one run; the beginning of its id is enough")
    past.add_argument("--most", metavar="N", type=int, default=20, help="how many runs; 20 by default")
    port = verb("port", "the port of a service")
    port.add_argument("name", metavar="NAME")
    if arguments is None or "ports" in arguments:
        cli_ports.add(verbs)
    else:
        verbs.add_parser("ports", help=cli_ports.HELP)
    cli_manifest.add(verbs)
    cli_doctor.add(verbs)
    verbs.add_parser("help", help="say all of this")
    verbs.add_parser("ask")
    return top


def main(arguments: t.Optional[t.Sequence[str]] = None) -> int:
    """Run the command and return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    options = parser(given).parse_args(given)
    as_json = bool(getattr(options, "json", False))
    try:
        return _dispatch(options)
    except RollcallError as exc:
        if as_json:
            sys.stdout.write(json.dumps({"ok": False, "error": exc.as_dict()}, indent=2) + "\n")
        else:
            from ..show.errors import error_text

            sys.stderr.write(error_text(exc.as_dict(), root=options.root) + "\n")
        return exc.exit_code
    except BrokenPipeError:
        # The reader of our output has gone (`rollcall status | head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def _dispatch(options: argparse.Namespace) -> int:
    if options.verb == "help":
        sys.stdout.write(parser().format_help())
        return EXIT_OK
    if options.verb == "manifest":
        return cli_manifest.run(options)
    if options.verb == "ports":
        return cli_ports.run(options)
    if options.verb == "doctor":
        return cli_doctor.run(options)
    paths = paths_of(options.root)
    if options.verb == "ask":
        from . import ask

        return ask.main(options.root, sys.stdin, sys.stdout)
    if options.verb == "port":
        return _port(options, paths)
    if options.verb == "status":
        from ..verdict import limits, status

        with announced("status", limits.look_limit(load_stack(paths))):
            seen = status.status(paths)
        return _show(seen, options)
    if options.verb == "verify":
        from ..verdict import limits, verify

        with announced("verify", limits.verify_limit(load_stack(paths))):
            seen = verify.verify(paths)
        return _show(seen, options)
    if options.verb == "history":
        return _history(options, paths)
    return _change(options, paths)


def _history(options: argparse.Namespace, paths: Paths) -> int:
    from ..show.history import history_text, run_text
    from ..state import history

    if options.run is not None:
        data = history.of_run(paths, options.run)
        return show(data, lambda: run_text(data), as_json=options.json)
    data = history.history(paths, most=options.most)
    return show(data, lambda: history_text(data), as_json=options.json)


def _change(options: argparse.Namespace, paths: Paths) -> int:
    """Carry out a verb that changes something."""
    from ..run import dispatch, restart
    from ..run.request import Request, who

    mode = options.mode if options.verb == "restart" else options.verb
    request = Request(
        root=options.root,
        mode=mode_named("auto" if mode == "start" else mode),
        who=who(),
        paths=load_stack(paths).paths,
        policy=getattr(options, "policy", "owned"),
        automatic=getattr(options, "automatic", False),
        generation=getattr(options, "generation", ""),
    )
    if options.check:
        return _show(restart.describe_plan(request), options)
    from ..state import history

    def waiting(limit: float) -> None:
        announce(options.verb, limit, history.last_seconds(paths, request.mode.name))

    return _show(dispatch.run(request, waiting=waiting), options)


def _show(data: t.Mapping[str, t.Any], options: argparse.Namespace) -> int:
    def text() -> str:
        from ..show.roll_call import roll_call
        from ..show.words import terminal

        return roll_call(data, **terminal(sys.stdout))

    return show(data, text, as_json=options.json)


def _port(options: argparse.Namespace, paths: Paths) -> int:
    stack = load_stack(paths)
    service = next((service for service in stack.services if service.name == options.name), None)
    if service is None or service.port is None:
        known = [service.name for service in stack.services if service.port is not None]
        what = "has no port" if service is not None else "is no service"
        raise RollcallError(
            f"'{options.name}' {what} of stack {stack.name}. With a port: {', '.join(known) or 'none'}.",
            kind="wrong_use",
            evidence={"name": options.name, "known": known},
        )
    data = {"ok": True, "name": service.name, "port": service.port}
    return show(data, str(service.port), as_json=options.json)


if __name__ == "__main__":
    raise SystemExit(main())
