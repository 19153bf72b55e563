# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Ask the databases of a stack whether they answer, as its own application would.

Each is asked under one deadline for all of it, and nothing that is said has a password in it.
"""

from __future__ import annotations

import os
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..manifest.model import DatabaseCheck, Stack
from ..state.generations import load_environment
from .answers import DatabaseAnswer, NoAnswer
from .question import Application, Question
from .wording import failure


def _sqlite(question: Question) -> str:
    from .sqlite import ask_sqlite

    return ask_sqlite(question)


def _postgresql(question: Question) -> str:
    from .postgresql import ask_postgresql

    return ask_postgresql(question)


def _redis(question: Question) -> str:
    from .redis import ask_redis

    return ask_redis(question)


# Each returns what the database answered, and raises NoAnswer or OSError. Only what is asked is imported.
KINDS: t.Mapping[str, t.Callable[[Question], str]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "redis": _redis,
}


def ask(stack: Stack, check: DatabaseCheck, *, clock: Clock = SYSTEM) -> DatabaseAnswer:
    """Ask a database once, as the application does, and change nothing in it. Never raises for what it does.

    Args:
        stack: the manifest that has the check; the private files that are in place are its services'.
        check: which database, and by whose variable.
        clock: where the time comes from.
    """
    try:
        application = _application(stack, check)
    except (NoAnswer, RollcallError) as exc:
        return DatabaseAnswer(False, str(exc), None, 0.0)
    return _ask(application, check, clock)


def ask_url(
    kind: str, url: str, *, user: t.Optional[str] = None, timeout: float = DatabaseCheck.timeout, clock: Clock = SYSTEM
) -> DatabaseAnswer:
    """Ask a database by a URL, whether or not there is a stack that has it; as :func:`ask` in everything else.

    Args:
        kind: ``postgresql`` or ``redis``.
        url: where it is; it may have a password.
        user: the account that runs the application; None for whoever asks.
        timeout: seconds for all of it.
        clock: where the time comes from.
    """
    check = DatabaseCheck(kind, service="the application", variable="the URL", query="SELECT 1", timeout=timeout)
    return _ask(Application(check.service, {check.variable: url}, user), check, clock)


def _ask(application: Application, check: DatabaseCheck, clock: Clock) -> DatabaseAnswer:
    began = clock.monotonic()
    question = Question(application, check, Deadline(check.timeout, clock))
    ok = False
    try:
        said = KINDS[check.kind](question)
        ok = True
    except NoAnswer as exc:
        said = str(exc)
    except (OSError, UnicodeError) as exc:
        late = question.overdue() if isinstance(exc, TimeoutError) else None
        said = late or failure(exc, question.host, question.line, question.deadline)
    finally:
        if question.line is not None:
            question.line.close()
    latency = clock.monotonic() - began
    where = f"{question.place}: " if question.place else ""
    detail = f"{where}{said} in {latency * 1000:.1f} ms" if ok else f"{where}{said}"
    return DatabaseAnswer(
        ok, detail, None, latency, reached=question.reached, place=question.place, command=question.command
    )


def _application(stack: Stack, check: DatabaseCheck) -> Application:
    """Return the service that a check names, its secrets included; of instances, the first one.

    Raises:
        RollcallError: its private file cannot be read.
        NoAnswer: the stack has no such service.
    """
    if not check.service:
        return Application("the check", {}, stack.user)
    service = next((one for one in stack.services if check.service in (one.name, one.group)), None)
    if service is None:
        raise NoAnswer(f"the stack has no service {check.service}")
    from ..supervisord.environment import service_variables  # late: the check may be of no service

    private = load_environment(stack) if os.path.isdir(stack.paths.env_dir) else {}
    environment = {**service_variables(stack, service), **private.get(service.name, {})}
    return Application(check.service, environment, stack.user)
