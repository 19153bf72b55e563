# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Commands of the application's own, such as a build: as its user, with an environment of their own, and bounded.

A command runs below a keeper, a fork of this process. The keeper ends the command and what it started when the time is
up, and also when this process is gone, however it went: nothing goes on building that nobody waits for.
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

# How often the keeper looks whether the command has ended.
INTERVAL = 0.02
# What is kept of what a command printed.
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
        """How it ended, in words that follow the command's name."""
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
        who: whose rights it has.
        cwd: the directory it starts in.
        environment: all of it; nothing is inherited.
        timeout: seconds after which it and what it started are killed.
        clock: where the time comes from.

    Raises:
        OSError: there is no process or no temporary file to be had.
    """
    with tempfile.TemporaryFile() as output:
        options = {"cwd": cwd, "env": dict(environment), "stdout": output, **who.identity}
        said = json.loads(_kept(argv, options, Deadline(timeout, clock)))
        return CommandResult(said["exit_code"], said["problem"], tuple(read_last_lines(output.fileno(), OUTPUT_LINES)))


def _kept(argv: t.Sequence[str], options: t.Mapping[str, t.Any], deadline: Deadline) -> bytes:
    """Run the command below a keeper and return what the keeper says of its end."""
    hearing, saying = os.pipe()
    watching, living = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        # Nothing of the caller's may run here: not its exits, nor its buffers.
        try:
            os.close(hearing)
            os.close(living)
            os.setsid()  # an interrupt at the terminal is for the caller, whose end the keeper sees
            os.write(saying, json.dumps(_keep(argv, options, watching, deadline)).encode("ascii"))
        finally:
            os._exit(0)
    os.close(saying)
    os.close(watching)
    try:
        with open(hearing, "rb") as stream:
            said = stream.read()
    finally:
        os.close(living)
        os.waitpid(keeper, 0)
    return said or b'{"exit_code": null, "problem": "lost the process that kept it"}'


def _keep(
    argv: t.Sequence[str], options: t.Mapping[str, t.Any], watching: int, deadline: Deadline
) -> t.Dict[str, t.Any]:
    """Run the command until it ends, its time is up, or ``watching`` says that the caller is gone."""
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
            # Not yet waited for, so the pid, and the group of that number, are still its own.
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
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
        argv: program and arguments; a program with a ``/`` in it that is not absolute is one of the release.
        who: whose rights it has.
        place: a directory with its ``home`` and its ``tmp``.
        more: variables that go before the usual ones, these two excepted.
        timeout: seconds that it may take.

    Raises:
        OSError: as :func:`run`.
    """
    environment = {**clean_environment(who, os.path.join(directory, "venv", "bin")), **more}
    environment.update(HOME=os.path.join(place, "home"), TMPDIR=os.path.join(place, "tmp"))
    return run(argv, who, cwd=directory, environment=environment, timeout=timeout)


def shown(argv: t.Sequence[str]) -> str:
    """Return a command for a sentence, and not more of it than tells what it is."""
    return one_line(" ".join(argv))


def failure(what: str, done: CommandResult, remedies: t.Sequence[str], means: str = "") -> RollcallError:
    """Return the error for a command that did not end well.

    Args:
        what: was tried.
        done: how it ended.
        remedies: what to try next.
        means: a sentence on what that means for the stack.
    """
    said = "".join(f"\n  {line}" for line in done.output) or "\n  it printed nothing"
    return RollcallError(
        f"{what} {done.how}.{f' {means}' if means else ''} The last it said:{said}",
        evidence={"exit_code": done.exit_code, "output": list(done.output)},
        remedies=remedies,
    )
