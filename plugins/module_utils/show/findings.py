# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What the doctor found, as text: a table of the supervisords, then each finding with what to do about it. Pure."""

from __future__ import annotations

import typing as t

from ..base.text import LONGEST, count, one_line, printable, table
from ..doctor.diagnosis import KINDS
from ..doctor.findings import SEVERITIES
from .words import Reader, runnable

if t.TYPE_CHECKING:
    from ..base.command_documents import DoctorDocument, FindingData, SupervisordRow


def findings_text(data: DoctorDocument, reader: t.Optional[Reader] = None) -> str:
    """Return what the doctor found, for people: one line when there is nothing, the verdict after all else.

    Args:
        data: as doctor.doctor returns it.
        reader: who reads it; somebody on the host when that is not said.
    """
    findings = data["findings"]
    spent = f"{data['seconds']:.1f} s, at most {data['limit']:.0f} s"
    where = f"{data['stack']} on {data['host']}"
    told = [finding for finding in findings if finding["name"] != "unseen"]
    unseen = "".join(
        f"; {one_line(finding['evidence'], LONGEST)}" for finding in findings if finding["name"] == "unseen"
    )
    if not told:
        return printable(f"{where}: nothing is wrong{unseen} ({spent})")
    blocks = [_supervisors(data["supervisors"])] if data["supervisors"] else []
    blocks += ["\n".join(_lines(finding, data, reader or Reader(data["root"]))) for finding in told]
    left = [one["severity"] for one in told if not one["fixed"]]
    counts = [count(left.count(one), one) for one in SEVERITIES if one in left]
    fixed = sum(bool(one["fixed"]) for one in told)
    summary = ", ".join([*([f"{fixed} fixed"] if fixed else []), *counts])
    blocks.append(f"{where}: {'OK' if data['ok'] else 'FAILED'}, {summary}{unseen} ({spent})")
    return printable("\n\n".join(blocks))


def _lines(finding: FindingData, data: DoctorDocument, reader: Reader) -> t.Iterator[str]:
    """Return one finding: what it is, what was seen, what was done about it or what is to be done."""
    word = "fixed" if finding["fixed"] else finding["severity"]
    yield f"{word:8}  {finding['name']}  {one_line(finding['subject'], LONGEST)}"
    yield from (f"  {line}" for line in finding["evidence"].splitlines())
    done = finding["data"].get("done")
    if finding["fixed"]:
        yield f"  done: {done}"
        return
    if done:
        yield f"  tried: {done}"
    if data["check"] and finding["fixable"]:
        repair = KINDS[finding["name"]].repair
        yield f"  would be fixed: --fix {repair.words if repair is not None else 'does it'}"
    else:
        yield f"  cure: {runnable(finding['cure'], reader)}"


def _supervisors(found: t.Sequence[SupervisordRow]) -> str:
    heads = ("pid", "user", "stack", "answers", "version", "config", "socket")
    lines = table([heads, *(_row(entry) for entry in found)]).splitlines()
    return "\n".join(["supervisord on this host", *(f"  {line}" for line in lines)])


def _row(entry: SupervisordRow) -> t.Tuple[str, ...]:
    strange = "started by hand" if entry["ours"] else "not a Rollcall stack"
    stack = entry["stack"] or (strange if entry["seen"] else "not known")
    answers = "yes" if entry["answers"] else "in a container" if entry["container"] else "no"
    return (
        str(entry["pid"]),
        entry["user"],
        "this one" if entry["ours"] else stack,
        answers,
        entry["version"] or "-",
        entry["config"] or "-",
        entry["socket"] or "-",
    )
