# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The ``rollcall`` command: what an operator logged in on the host has at hand, with no controller in reach."""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
import types
import typing as t
from importlib import import_module

from ..base import cures
from ..base.errors import EXIT_FAILED, EXIT_OK, RollcallError
from ..base.interrupts import end_when_interrupted
from ..base.version import VERSION
from .console import OutputError, Verb, add_verb, help_formatter

# Which module of this package declares each verb. A call loads the one that it needs: loading is most of its time.
MODULES: t.Mapping[str, str] = {
    **dict.fromkeys(("status", "verify"), "look"),
    **dict.fromkeys(("start", "stop", "restart", "reload", "rerun", "rollback", "flush"), "change"),
    **dict.fromkeys(("history", "port"), "look"),
    "logs": "logs",
    "report": "page",
    "exec": "execute",
    "ports": "ports",
    "manifest": "manifest",
    "doctor": "doctor",
    "acknowledge": "acknowledge",
    "undo": "undo",
    "help": "command",
    "ask": "ask",
    "job": "job",
    "watch": "watch",
    "run": "foreground",
}
_HELP = ("help", "-h", "--help")
_T = t.TypeVar("_T")


class _Root(argparse.Action):
    """Takes a root once. The installed command gives its own, and whoever may call it as root may not give another."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: t.Any,
        _option: t.Optional[str] = None,
    ) -> None:
        """Keep the root.

        Raises:
            RollcallError: ``wrong_use``: there is one, and this is another.
        """
        known = getattr(namespace, self.dest)
        if known is not None and values != known:
            raise RollcallError(
                f"This is the command of the stack under {known}, and of no other.",
                kind="wrong_use",
                evidence={"root": known},
                remedies=[cures.OWN_COMMAND],
            )
        setattr(namespace, self.dest, values)


class _Stack(argparse.Action):
    """Refuses the name of a stack: the command on the PATH of a host takes it, and calls the one of that stack."""

    def __call__(self, *_all: t.Any) -> None:
        """Refuse it.

        Raises:
            RollcallError: ``wrong_use``: always.
        """
        raise RollcallError(
            "Only the command that root has installed on the PATH of a host takes --stack, such as "
            "/usr/local/bin/rollcall. This one is another: of a virtual environment, or of a single stack.",
            kind="wrong_use",
            remedies=[cures.OWN_COMMAND],
        )


def parser(arguments: t.Optional[t.Sequence[str]] = None) -> argparse.ArgumentParser:
    """Return the command line's parser.

    Args:
        arguments: what is to be parsed. The parser then has the verbs that are among them; it has every verb when there
            is none, or when help is asked for.
    """
    top = argparse.ArgumentParser(
        prog="rollcall",
        formatter_class=help_formatter,
        description="One manifest, one verified stack: see how it is, restart it, free its ports.",
        epilog="Exit codes: 0 ok, 1 the verdict failed, 2 wrong use, 3 refused: the stack is locked, or a process that "
        "is not ours is in the way. Every verb ends in bounded time, and says when at the latest once it takes longer "
        "than a moment.",
    )
    top.add_argument("--root", action=_Root, help="directory of the stack; the installed command knows its own")
    top.add_argument("--stack", action=_Stack, help=argparse.SUPPRESS)
    top.add_argument("--version", action="version", version=f"rollcall {VERSION}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in _wanted(arguments or ()):
        declared: t.Mapping[str, Verb] = import_module(f".{MODULES[name]}", __package__).VERBS
        add_verb(verbs, name, declared[name])
    return top


def _first_verb(arguments: t.Sequence[str]) -> str:
    """Return the first word that is no option; empty when there is none."""
    words = iter(arguments)
    # The root's directory, or a stack, may be called like a verb.
    return next(
        (
            word
            for word in words
            if not (word in ("--root", "--stack") and next(words, "")) and not word.startswith("-")
        ),
        "",
    )


def _wanted(arguments: t.Sequence[str]) -> t.Sequence[str]:
    first = _first_verb(arguments)
    return [first] if first in MODULES and not set(_HELP).intersection(arguments) else list(MODULES)


def _divided(arguments: t.Sequence[str]) -> t.Tuple[t.Sequence[str], t.Sequence[str]]:
    """Return the words of this command, and the command that ``exec`` is given after the first ``--``."""
    if "--" not in arguments or _first_verb(arguments) != "exec":
        return arguments, ()
    at = list(arguments).index("--")
    return arguments[:at], arguments[at + 1 :]


def _help(_options: argparse.Namespace) -> int:
    sys.stdout.write(parser().format_help())
    return EXIT_OK


VERBS: t.Mapping[str, Verb] = {"help": Verb("say all of this", _help)}


def main(arguments: t.Optional[t.Sequence[str]] = None, options: t.Optional[argparse.Namespace] = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: its words; None for those of this process.
        options: takes what they say.
    """
    given, command = _divided(sys.argv[1:] if arguments is None else arguments)
    options = argparse.Namespace() if options is None else options
    options.root = None
    try:
        try:
            parser(given).parse_args(given, options)
            options.command = command
            return t.cast(int, options.run(options))
        except RollcallError as exc:
            _tell_error(exc, options, as_json=getattr(options, "json", "--json" in given))
            return exc.exit_code
    except BrokenPipeError:
        # The reader of our output has gone (`rollcall status | head`): nobody is left to tell.
        _drop_output()
        return EXIT_FAILED
    except OutputError as exc:
        _tell_unwritten(str(exc))
        _drop_output()
        return EXIT_FAILED


def _tell_error(error: RollcallError, options: argparse.Namespace, *, as_json: bool) -> None:
    told = _without_secrets(error.as_dict(), options.root)
    if as_json:
        sys.stdout.write(json.dumps({"ok": False, "error": told}, indent=2) + "\n")
        return
    from ..show.errors import error_text
    from ..show.words import Reader

    sys.stderr.write(error_text(told, reader=Reader(options.root or "")) + "\n")


def _drop_output() -> None:
    """Give up what cannot be written, so that nothing tries it again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _without_secrets(told: _T, root: t.Optional[str]) -> _T:
    from ..state.known_secrets import without_secrets

    return without_secrets(told, root)


def _tell_unforeseen(
    options: argparse.Namespace,
    kind: t.Type[BaseException],
    error: BaseException,
    trace: t.Optional[types.TracebackType],
) -> None:
    """Print where the command has broken down, as Python does: what it has in hand then may be secret."""
    import traceback

    sys.stderr.write(_without_secrets("".join(traceback.format_exception(kind, error, trace)), options.root))


def run() -> t.NoReturn:
    """Run the command and end this process at once: to take the interpreter apart costs a tenth of a short command."""
    end_when_interrupted()
    options = argparse.Namespace(root=None)
    sys.excepthook = functools.partial(_tell_unforeseen, options)
    _open_standard_files()
    try:
        code = main(options=options)
    except SystemExit as exc:  # of argparse, which has printed what it has to say
        code = exc.code if isinstance(exc.code, int) else EXIT_FAILED
    os._exit(code if _is_written() else EXIT_FAILED)


def _open_standard_files() -> None:
    """Open what the command was started without of its input, output and error output, such as from a daemon.

    Otherwise the next file that is opened would get their numbers.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.dup2(descriptor, number)
            if descriptor != number:
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def _is_written() -> bool:
    """Return whether all output could be written; say why not, unless its reader has gone."""
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BrokenPipeError:
        return False
    except OSError as exc:
        _tell_unwritten(str(exc.strerror))
        return False
    return True


def _tell_unwritten(why: str) -> None:
    os.write(2, f"rollcall: the output could not be written: {why}\n".encode())


if __name__ == "__main__":
    run()
