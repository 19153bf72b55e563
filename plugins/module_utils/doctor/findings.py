# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a finding is, and what one kind of finding has: its name, its severity, its judge, its remedy, its repair."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass, field

from .facts import HostFacts

if t.TYPE_CHECKING:
    from ..base import command_documents

ERROR = "error"
WARNING = "warning"
NOTE = "note"
SEVERITIES = (ERROR, WARNING, NOTE)


class Sighting(t.NamedTuple):
    """One place where something is wrong, or worth knowing.

    Attributes:
        subject: the service, file, process or stack that it is about.
        evidence: what was seen, for people.
        remedy: the command to run, or the edit to make.
        data: the same facts for machines.
        ours: whether it is about this stack, and not about a supervisord of somebody else.
        fixable: whether ``--fix`` may do it here, where it does so at all.
    """

    subject: str
    evidence: str
    remedy: str
    data: t.Mapping[str, t.Any] = {}
    ours: bool = True
    fixable: bool = True


class Repair(t.NamedTuple):
    """What ``--fix`` does about a kind of finding.

    Attributes:
        words: what it does, for people.
        run: does it for one subject, and returns what was done. Raises OSError and RollcallError when it cannot.
    """

    words: str
    run: t.Callable[[HostFacts, str], str]


@dataclass(frozen=True)
class FindingKind:
    """A kind of finding.

    Attributes:
        name: by which scripts know it.
        severity: error, warning or note.
        meaning: what it is, for the reference.
        remedy: what is to be done about it, for the reference; a finding names the very command.
        judge: returns where it is seen in the facts; pure.
        repair: what ``--fix`` does about it; None when that is nothing.
        others: its severity when it is about a supervisord that is not of this stack; empty when it never is.
        in_the_way: whether a run is refused because of it, though it is only a warning: then its remedy comes first.
    """

    name: str
    severity: str
    meaning: str
    remedy: str
    judge: t.Callable[[HostFacts], t.Iterable[Sighting]]
    repair: t.Optional[Repair] = None
    others: str = ""
    in_the_way: bool = False

    def findings(self, facts: HostFacts) -> t.Iterator[Finding]:
        """Return what there is of it in the facts."""
        for seen in self.judge(facts):
            yield Finding(
                self.name,
                self.severity if seen.ours else self.others,
                seen.subject,
                seen.evidence,
                seen.remedy,
                {"ours": seen.ours, **seen.data},
                fixable=seen.fixable and self.repair is not None,
            )


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        name: of its kind.
        severity: error, warning or note.
        subject: the service, file, process or stack that it is about.
        evidence: what was seen, for people.
        remedy: the command to run, or the edit to make.
        data: the same facts for machines.
        fixable: whether ``--fix`` does it.
        fixed: whether it has; None when that was not asked for.
    """

    name: str
    severity: str
    subject: str
    evidence: str
    remedy: str
    data: t.Mapping[str, t.Any] = field(default_factory=dict)
    fixable: bool = False
    fixed: t.Optional[bool] = None

    @property
    def key(self) -> t.Tuple[str, str]:
        """What tells it from every other finding of one look."""
        return (self.name, self.subject)

    def as_dict(self) -> command_documents.FindingData:
        """Return the finding as data; its remedy is called ``cure`` there."""
        data = {**dataclasses.asdict(self), "data": dict(self.data)}
        named = {("cure" if key == "remedy" else key): value for key, value in data.items()}
        return t.cast("command_documents.FindingData", named)
