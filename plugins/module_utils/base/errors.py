# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The one error of the engine: what failed, on what, the last state seen, and what to run next; and problems."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from . import documents

# Exit codes of the ``rollcall`` command, of ``./restart`` and of the playbooks' verdict.
EXIT_OK = 0
EXIT_FAILED = 1
EXIT_WRONG_USE = 2
EXIT_REFUSED = 3
EXIT_UNREACHABLE = 4

EXIT_CODES: t.Mapping[str, int] = {
    "failed": EXIT_FAILED,
    "wrong_use": EXIT_WRONG_USE,
    "refused": EXIT_REFUSED,
}


class Problem(t.NamedTuple):
    """One thing that is wrong with a manifest or a host, found before a run: where, what, and what to do about it.

    Attributes:
        severity: ``error``, or ``warning`` when it does not keep the manifest or the host from use.
    """

    place: str
    message: str
    cure: str
    severity: str = "error"

    def as_dict(self) -> documents.ProblemData:
        """Return the problem as data."""
        return t.cast("documents.ProblemData", self._asdict())


class RollcallError(Exception):
    """Anything a user can act on.

    Args:
        message: one sentence: what failed, on what, and the last state seen.
        kind: ``failed`` (it was tried and failed), ``wrong_use`` (the input is at fault, nothing was
            touched) or ``refused`` (Rollcall will not do it: a lock or a foreign process is in the way).
        evidence: facts behind the message, JSON-serialisable, for people and for machines.
        remedies: commands or edits to try next, most likely first.

    Attributes:
        standing: how a run that ended by this has left the stack; None where none did.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str = "failed",
        evidence: t.Optional[t.Mapping[str, t.Any]] = None,
        remedies: t.Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        if kind not in EXIT_CODES:
            raise ValueError(f"unknown kind of error: {kind}")
        self.message = message
        self.kind = kind
        self.evidence: t.Dict[str, t.Any] = dict(evidence or {})
        self.remedies: t.Tuple[str, ...] = tuple(remedies)
        self.standing: t.Optional[documents.StandingData] = None

    @property
    def exit_code(self) -> int:
        """The exit code a command ends with because of this error."""
        return EXIT_CODES[self.kind]

    def as_dict(self) -> documents.ErrorData:
        """Return the error as data: ``message``, ``kind``, ``evidence``, ``remedies``, and ``standing`` if known."""
        data: documents.ErrorData = {
            "message": self.message,
            "kind": t.cast("documents.ErrorKind", self.kind),
            "evidence": self.evidence,
            "remedies": list(self.remedies),
        }
        if self.standing is not None:
            data["standing"] = self.standing
        return data

    def text(self) -> str:
        """Return the error for people: the message, then each remedy on a line of its own."""
        return "\n".join([self.message, *(f"  next: {remedy}" for remedy in self.remedies)])


def problems_error(
    message: str, problems: t.Sequence[Problem], *, found: t.Optional[t.Sequence[Problem]] = None, **evidence: t.Any
) -> RollcallError:
    """Return the ``wrong_use`` error that names every problem: ``message: place: what; place: what.``

    Args:
        message: what cannot be done, without a stop.
        problems: why not.
        found: the problems of the evidence, when there are more of them.
        evidence: more facts beside the problems.
    """
    named = "; ".join(f"{problem.place}: {problem.message}" for problem in problems)
    return RollcallError(
        f"{message}: {named}.",
        kind="wrong_use",
        evidence={**evidence, "problems": [problem.as_dict() for problem in (problems if found is None else found)]},
        remedies=list(dict.fromkeys(problem.cure for problem in problems)),
    )
