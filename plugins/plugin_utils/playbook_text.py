# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import printable
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.errors import error_text, problems_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.roll_call import roll_call, verdict_line
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.standing import standing_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.steps import steps_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.words import continued, painter
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.invocation import LOCAL
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.playbook_record import (
    HostRecord,
    PlaybookRecord,
    TaskFailure,
    tells_of,
)

if t.TYPE_CHECKING:
    from ansible_collections.rollcall.supervisor.plugins.module_utils.base import command_documents, documents
    from ansible_collections.rollcall.supervisor.plugins.plugin_utils.playbook_record import AnyReport

# Hosts of a rollout whose whole roll call is shown.
MANY = 3
# What a report of an engine of another version may raise when it is shown.
NOT_OURS = (KeyError, TypeError, ValueError, AttributeError)


def playbook_text(
    record: PlaybookRecord, *, width: int, colour: bool, warn: t.Callable[[str], None]
) -> t.Optional[str]:
    """Return the roll call of a whole playbook; None when no host has anything to tell.

    Hosts that failed come last, so that they are on the screen when the output stops. Of several hosts a line for each
    follows, and then who was left out.

    Args:
        record: of the playbook.
        width: columns of the terminal.
        colour: whether to use ANSI colours.
        warn: is told of a report that cannot be shown.
    """
    if record.fleet and not (record.judging or record.rollout):
        # The table has been shown.
        return None
    texts = {name: _host_text(record, name, width=width, colour=colour, warn=warn) for name in record.hosts}
    shown = sorted((name for name in texts if texts[name]), key=record.is_bad)
    stopped = record.rollout_failure
    of_all = [str(record.rollout["text"])] if record.rollout else []
    of_all += [error_text(stopped, subject="rollout", colour=colour)] if stopped is not None else []
    if not shown and of_all:
        # One that has ended or paused before its first host.
        return "\n\n".join(of_all)
    if not shown:
        # A machine that can make no more processes comes to no task, and Ansible ends with 0 all the same.
        silent = [name for name in record.wanted if name not in record.touched] if record.judging else []
        return f"no verdict: no task was run on {', '.join(silent)}" if silent else None
    many = bool(of_all) and len(shown) > MANY
    # Of a whole fleet those are told that are not well; the others have their line.
    whole = [name for name in shown if record.is_bad(name) or not many]
    blocks = [texts[name] for name in whole]
    # The end of a rollout has every host once more.
    in_lines = [name for name in shown if not (of_all and name in whole)] if len(shown) > 1 else []
    if in_lines:
        blocks.append("\n".join(line for name in in_lines for line in _host_lines(record, name, colour=colour)))
    return "\n\n".join([*blocks, *(of_all or _left_out(record))])


def _host_text(record: PlaybookRecord, name: str, *, width: int, colour: bool, warn: t.Callable[[str], None]) -> str:
    known = record.hosts[name]
    blocks = [steps_text(known.steps, colour=colour)] if record.shows_steps(name) else []
    blocks += [f"note: {continued(printable(note))}" for note in (known.ending, known.unplanned) if note]
    for report in known.reports.values():
        try:
            blocks.append(_report_text(report, name, known, width=width, colour=colour))
        except NOT_OURS as exc:
            # A host with an engine of another version must not take the roll calls of all others with it.
            warn(f"The report of {name} is not one this version can print: {exc!r}")
            blocks.append(f"{_bare_verdict(report, name)}, its report cannot be printed")
    failure = record.failure(name)
    if failure is not None:
        blocks.append(_failure_text(name, failure, known, colour=colour))
    unreachable = known.why_unreachable
    if unreachable is not None:
        blocks.append(error_text(unreachable, subject=called(name), reader=known.reader(name), colour=colour))
    return "\n\n".join(blocks)


def _report_text(report: AnyReport, name: str, known: HostRecord, *, width: int, colour: bool) -> str:
    """Return one stack's roll call; the name is the inventory's, which is what people know the host by."""
    if tells_of(report) == "findings":
        # Every other playbook would pay for what only this one needs.
        from ansible_collections.rollcall.supervisor.plugins.module_utils.show.findings import findings_text

        # The findings themselves are the playbook's to show.
        found = t.cast("command_documents.DoctorDocument", report)
        return findings_text({**found, "host": called(name)}, known.reader(name)).splitlines()[-1]
    if tells_of(report) == "acknowledged":
        from ansible_collections.rollcall.supervisor.plugins.module_utils.show.acknowledged import acknowledged_text

        known_now = t.cast("command_documents.AcknowledgeDocument", report)
        return acknowledged_text({**known_now, "host": called(name)}).splitlines()[0]
    named: documents.Report = {**t.cast("documents.Report", report), "host": called(name)}
    reader = known.reader(name, str(report.get("root") or ""))
    return roll_call(named, reader=reader, gone=known.gone, width=width, colour=colour)


def _host_lines(record: PlaybookRecord, name: str, *, colour: bool) -> t.List[str]:
    """Return one host in a line for each thing that is known of it."""
    known = record.hosts[name]
    lines = []
    for report in known.reports.values():
        if tells_of(report) != "verdict":
            # A line is all that stands above, too.
            continue
        try:
            named: documents.Report = {**t.cast("documents.Report", report), "host": called(name)}
            lines.append(verdict_line(named, colour=colour))
        except NOT_OURS:
            # Told with its reason above, where the whole roll call should have been.
            lines.append(_bare_verdict(report, name))
    failure = record.failure(name)
    if failure is not None:
        lines.append(_failure_text(name, failure, known, colour=colour).splitlines()[0])
    if known.why_unreachable is not None:
        lines.append(error_text(known.why_unreachable, subject=called(name), colour=colour).splitlines()[0])
    return lines


def called(name: str) -> str:
    """Return what a host of the inventory is called for people: ``localhost`` is what the machine itself is called.

    The command on the host says the same.
    """
    return os.uname().nodename if name in LOCAL else name


def _bare_verdict(report: AnyReport, name: str) -> str:
    return f"{report.get('stack')} on {called(name)}: {'OK' if report.get('ok') else 'FAILED'}"


def _failure_text(name: str, failure: TaskFailure, known: HostRecord, *, colour: bool) -> str:
    """Return why a host came to no verdict."""
    told = known.told(failure.as_error())
    if failure.problems:
        problems = problems_text(failure.problems, subject=f"manifest of {called(name)}", colour=colour)
        left = told.get("standing")
        more = [] if left is None else [f"  {standing_text(left, known.reader(name), painter(colour))}"]
        return "\n".join([problems, *more])
    if known.gone:
        # Nothing is there any more that could be up.
        told = t.cast("documents.ErrorData", {key: value for key, value in told.items() if key != "standing"})
    reader = known.reader(name, str(told["evidence"].get("root") or ""))
    return error_text(told, subject=called(name), reader=reader, colour=colour)


def _left_out(record: PlaybookRecord) -> t.Iterator[str]:
    """Yield which hosts the playbook did not come to or left without a verdict, and how to come to them."""
    rest = record.remainder()
    because = f" ({record.stopped_because})" if record.stopped_because else ""
    lines = [f"not touched: {', '.join(rest.untouched)}{because}"] if rest.untouched else []
    if rest.cut_short:
        # A run whose end is not known may have changed something, or do so yet.
        left = "" if record.in_run.intersection(rest.cut_short) or record.check_mode else " (the stack is as it was)"
        lines.append(f"cut short: {', '.join(rest.cut_short)}{left}")
    lost = [name for name, known in record.hosts.items() if known.unreachable is not None]
    # The others need the same command, and it names these as well.
    lines += [f"not reached: {', '.join(lost)}"] if lost and not lines and len(record.wanted) > 1 else []
    if lines:
        yield "\n".join([*lines, f"  next  {rest.again}"])
