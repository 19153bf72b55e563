# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import readable_time
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.one_way import one_way_words
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.rollout import REVERTED
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import rollout_end, rollouts
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.invocation import same_command
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollout_end import Ended, Told
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.said import told as told_in_words

Data = t.Mapping[str, t.Any]
# What the tasks of each host have registered, by host.
PARTS = ("ended", "back", "drained", "noted", "returned", "returned_noted")


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Tell how a rollout has ended, and fail when that is not well."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return how each host has ended; a failure when one of them has not ended well, or was left out."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        given = {"type": "dict", "default": {}}
        options = {
            "rollout": {"type": "dict", "required": True},
            "way_back": given,
            "paused": {"type": "str", "default": ""},
            "runs": given,
            **dict.fromkeys(PARTS, given),
        }
        _validated, arguments = self.validate_argument_spec(argument_spec=options)
        rollout = arguments["rollout"]
        arguments["ended"] = rollouts.how_ended(arguments["ended"], arguments["runs"])
        back, stays = arguments["way_back"].get("hosts", []), arguments["way_back"].get("stays", {})
        ended = {
            host: _ended(
                {part: arguments[part].get(host) or {} for part in PARTS},
                rollout["generations"].get(host, ""),
                host in rollout["drained"],
                stays.get(host, "") or _stays(arguments["noted"].get(host) or {}),
            )
            for host in (back if rollout["reverts"] else dict.fromkeys([*rollout["hosts"], *reversed(back), *stays]))
        }
        told = Told(
            rollout["id"], tuple(back), reverts=rollout["reverts"], paused=arguments["paused"], again=same_command()
        )
        text = rollout_end.result_text(ended, rollout["left_out"], told)
        code = rollout_end.exit_code(ended, rollout["left_out"])
        result.update(
            changed=False,
            ok=code == 0,
            exit_code=code,
            text=text,
            hosts={host: one._asdict() for host, one in ended.items()},
        )
        if code != 0:
            result.update(failed=True, msg=text)
        return result


def _stays(noted: Data) -> str:
    """Return why a host that has failed does not run again what ran before; empty when it does, or there is nothing."""
    record = noted.get("rollout") or {}
    if not record.get("one_way") or not record["before"] or record["before"] == noted["generation"]:
        return ""
    return one_way_words(record["one_way"])


def _ended(told: t.Mapping[str, Data], generation: str, was_drained: bool, stays: str) -> Ended:
    """Return how a host has ended.

    Args:
        told: what its tasks have registered.
        generation: the one that was in place when the rollout was planned; empty when there was none.
        was_drained: whether an earlier rollout had left it drained.
        stays: why it does not go back although the others do.
    """
    judged, returned = told["ended"], told["returned"]
    restored = bool(judged.get("restored"))
    went: t.Optional[bool] = True if restored else None
    if not restored and "ok" in told["back"]:
        went = bool(told["back"]["ok"])
    steps = (told[part] for part in ("returned_noted", "returned", "noted", "ended"))
    last: Data = next((step for step in steps if "rollout" in step), {})
    outcome = returned.get("outcome") or judged.get("outcome", "")
    if returned.get("outcome") not in (None, "", REVERTED):
        went = False
    record: Data = told["drained"].get("rollout") or {}
    is_drained = bool(record["drained"]) if record else was_drained
    return Ended(
        outcome,
        returned.get("why") or judged.get("why", ""),
        went,
        is_drained,
        _drained_by(record or last.get("rollout") or {}) if is_drained else "",
        _runs(last, outcome, generation),
        stays,
    )


def _drained_by(record: Data) -> str:
    """Return by what a host is drained and since when, for people; empty where its record does not say."""
    if not record.get("drained"):
        return ""
    return f"by {told_in_words(record['drained'])} since {readable_time(record['since'])}"


def _runs(last: Data, outcome: str, generation: str) -> str:
    """Return what a host runs, for people; empty when nobody knows.

    Args:
        last: the last step that it has written down.
        outcome: how it has ended.
        generation: the one that was in place when the rollout was planned.
    """
    release = last.get("release", "")
    now = last.get("generation", "") or ("" if outcome else generation)
    if not now:
        return ""
    return f"generation {now}, release {release}" if release else f"generation {now}"
