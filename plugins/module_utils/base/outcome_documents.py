# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a playbook answers with. Types only, as in documents.py."""

from __future__ import annotations

import typing as t

from .command_documents import AcknowledgeDocument, DoctorDocument
from .documents import ErrorData, Report, StepData
from .rollout_documents import FleetHost


class _HostOutcome(t.TypedDict):
    ok: bool
    exit_code: int
    reports: t.List[t.Union[Report, DoctorDocument, AcknowledgeDocument]]
    error: t.Optional[ErrorData]


class HostOutcome(_HostOutcome, total=False):
    """How a playbook ended on one host.

    Attributes:
        ok: Whether all is well there.
        exit_code: The exit code for this host.
        reports: The newest report of each stack of the host.
        error: Why there is no verdict, or what went wrong beside it; null when nothing did.
        steps: Of an install its twelve steps.
        first_install: Of a first install that failed what has become of it.
        unplanned: In check mode why nothing can be said of the run; absent when something can.
    """

    steps: t.List[StepData]
    first_install: str
    unplanned: str


class _OutcomeDocument(t.TypedDict):
    ok: bool
    exit_code: int
    hosts: t.Dict[str, HostOutcome]


class OutcomeDocument(_OutcomeDocument, total=False):
    """How a playbook ended; ./restart --json prints it, and the callback roll_call writes it to a file.

    Attributes:
        ok: Whether all is well on every host.
        exit_code: The worst exit code of all hosts; the worst is 2, then 4, 3 and 1.
        hosts: Each host by its name in the inventory.
        error: Why no host was asked; absent when one was.
        fleet: Of the playbook fleet each host of its table; absent with any other.
    """

    error: ErrorData
    fleet: t.Dict[str, FleetHost]
