# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Runs commands of the application, such as a build: as its user, with an own environment and a timeout.

A command runs below a keeper, a fork of this process. The keeper kills the command and what it started when the time is
up, and when this process has ended, also by SIGKILL: no build goes on that nobody waits for.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.files import read_last_lines
from ..base.text import one_line
from .accounts import Account, clean_environment

# Seconds between two looks of the keeper at the command.
INTERVAL = 0.02
# Seconds in which a command that was killed is gone, unless it hangs in the kernel.
_KILLED = 5.0
# How many of the last lines that a command printed are kept.
OUTPUT_LINES = 15


class CommandResult(t.NamedTuple):
    """How a command ended.

    Attributes:
        exit_code: negative for a signal; None when its time was up, or it could not be started.
        problem: why it has no exit code; empty when it has.
        output: the last lines of what it printed.
    """

    exit_code: t.Optional[int]
    problem: str
    output: t.Tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether it ended with exit code 0."""
        return self.exit_code == 0

    @property
    def how(self) -> str:
        """How it ended, as the predicate of a sentence."""
        if self.exit_code is None:
            return self.problem
        if self.exit_code < 0:
            return f"was ended by signal {-self.exit_code}"
        return f"ended with exit code {self.exit_code}"


def run(
    argv: t.Sequence[str],
    who: Account,
    *,
    cwd: str,
    environment: t.Mapping[str, str],
    timeout: float,
    clock: Clock = SYSTEM,
) -> CommandResult:
    """Run a command in a session of its own, without input, and wait for its end.

    Args:
        argv: program and arguments; the program is looked up along the ``PATH`` of ``environment``.
        who: the account that it runs as.
        cwd: the directory it starts in.
        environment: all its variables; it inherits none.
        timeout: seconds after which it and what it started are killed.
        clock: of the timeout.

    Raises:
        OSError: no process or no temporary file can be made.
    """
    with tempfile.TemporaryFile() as output:
        options = {"cwd": cwd, "env": dict(environment), "stdout": output, **who.identity}
        said = json.loads(_kept(argv, options, Deadline(timeout, clock)))
        return CommandResult(said["exit_code"], said["problem"], tuple(read_last_lines(output.fileno(), OUTPUT_LINES)))


def _kept(argv: t.Sequence[str], options: t.Mapping[str, t.Any], deadline: Deadline) -> bytes:
    """Run the command below a keeper, and return what the keeper reports, as JSON."""
    hearing, saying = os.pipe()
    watching, living = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        # os._exit: the caller's exit handlers must not run here, and its buffers must not be written twice.
        try:
            os.close(hearing)
            os.close(living)
            os.setsid()  # so Ctrl-C reaches only the caller, whose end the keeper sees
            os.write(saying, json.dumps(_keep(argv, options, watching, deadline)).encode("ascii"))
        finally:
            os._exit(0)
    os.close(saying)
    os.close(watching)
    try:
        with os.fdopen(hearing, "rb") as stream:
            said = stream.read()
    finally:
        os.close(living)
        os.waitpid(keeper, 0)
    return said or b'{"exit_code": null, "problem": "lost the process that kept it"}'


def _keep(
    argv: t.Sequence[str], options: t.Mapping[str, t.Any], watching: int, deadline: Deadline
) -> t.Dict[str, t.Any]:
    """Run the command until it ends, its time is up, or the caller has ended, which closes the pipe ``watching``."""
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            close_fds=True,
            start_new_session=True,
            umask=0o022,
            **options,
        )
    except (OSError, ValueError) as exc:
        return {"exit_code": None, "problem": f"could not be started: {exc}"}
    while child.poll() is None:
        gone = bool(select.select([watching], [], [], INTERVAL)[0])
        if gone or deadline.expired:
            # The child was not waited for yet, so its pid and its process group cannot be another's.
            os.killpg(child.pid, signal.SIGKILL)
            # Where it hangs in the kernel nothing ends it, and init reaps it later.
            Deadline(_KILLED).poll(lambda: child.poll() is not None, INTERVAL)
            return {"exit_code": None, "problem": f"did not end within {deadline.seconds:g} s and was killed"}
    return {"exit_code": child.returncode, "problem": ""}


def run_in(
    directory: str,
    argv: t.Sequence[str],
    who: Account,
    *,
    place: str,
    more: t.Mapping[str, str],
    timeout: float,
) -> CommandResult:
    """Run a command in a release, its virtual environment first on the ``PATH``.

    Args:
        directory: the release.
        argv: program and arguments; a program with a ``/`` that is not absolute is below the release.
        who: the account that it runs as.
        place: a directory whose ``home`` and ``tmp`` the command gets as ``HOME`` and ``TMPDIR``.
        more: variables that replace the usual ones, except these two.
        timeout: seconds that it may take.

    Raises:
        OSError: as :func:`run`.
    """
    environment = {**clean_environment(who, os.path.join(directory, "venv", "bin")), **more}
    environment.update(HOME=os.path.join(place, "home"), TMPDIR=os.path.join(place, "tmp"))
    return run(argv, who, cwd=directory, environment=environment, timeout=timeout)


def shown(argv: t.Sequence[str]) -> str:
    """Return a command in one short line, for a message."""
    return one_line(" ".join(argv))


def failure(what: str, done: CommandResult, remedies: t.Sequence[str], means: str = "") -> RollcallError:
    """Return the error for a command that did not end well.

    Args:
        what: the subject of the message, such as the command.
        done: how it ended.
        remedies: what to do next.
        means: a sentence that tells what this means for the stack.
    """
    said = "".join(f"\n  {line}" for line in done.output) or "\n  it printed nothing"
    return RollcallError(
        f"{what} {done.how}.{f' {means}' if means else ''} The last it said:{said}",
        evidence={"exit_code": done.exit_code, "output": list(done.output)},
        remedies=remedies,
    )
