# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What the page of a fleet is made of: what each host has answered, and what is remembered of it. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.page.memory import Reached, refreshed
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.said import told

if t.TYPE_CHECKING:
    from ansible_collections.rollcall.supervisor.plugins.module_utils.base.page_documents import PageData, PageHost

Data = t.Mapping[str, t.Any]


def asked(
    answers: t.Mapping[str, Data],
    before: t.Mapping[str, Reached],
    commands: t.Mapping[str, t.Tuple[str, str]],
    inventory: t.Sequence[str],
    now: float,
) -> PageData:
    """Return what the page is made of.

    Args:
        answers: by host what the task that asked it has registered; a task that has failed or timed out is a host that
            was not reached.
        before: by host what is remembered of it.
        commands: by host the command that asks it again, and the one that goes on with a rollout.
        inventory: all hosts that there are.
        now: in seconds since the epoch.
    """
    hosts = [_host(host, answer, before.get(host, Reached()), commands[host], now) for host, answer in answers.items()]
    return {"at": now, "hosts": hosts, "not_asked": len(set(inventory) - set(answers))}


def _host(name: str, answer: Data, before: Reached, commands: t.Tuple[str, str], now: float) -> PageHost:
    reached = bool(answer.get("reached"))
    known = refreshed(before, reached, now)
    why = "" if reached else told(str(answer.get("why") or answer.get("msg") or "it has not answered"))
    return {
        "name": name,
        "told": answer.get("host") if reached else None,
        "reached": reached,
        "why": why,
        "last_reached": known.last,
        "lost_since": known.lost,
        "by": str(answer.get("by", "")),
        "next": commands[0],
        "roll_out": commands[1],
    }


def kept(before: t.Mapping[str, Reached], inventory: t.Sequence[str]) -> t.Dict[str, Reached]:
    """Return what is remembered of the hosts that there are still, whether they were asked this time or not."""
    return {host: known for host, known in before.items() if host in inventory}
