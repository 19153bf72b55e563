# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What is to be sent to one target, and when: so many alerts an hour, and trials after a failure, which end. Pure.

Times are seconds since the epoch, because the memory outlives a process and a boot. A clock that was set back delays
nothing for longer than the longest wait.
"""

from __future__ import annotations

import typing as t

from ..base.text import count
from ..state.watching import Kinds, fits
from . import messages

if t.TYPE_CHECKING:
    from ..base.alert_documents import AlertDocument, Outbox, WaitingAlert
    from .incidents import StackPlace

HOUR = 3600.0
# Seconds from a failed trial to the next one. After the last an alert is given up.
PAUSES = (30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)
# Alerts that wait for one target, and titles that are kept of those that were held back.
MOST_WAITING, MOST_TITLES = 50, 10
# Numbers of times that `taken` can have; the manifest allows no more an hour.
_MOST_TAKEN = 1000

# What is taken for granted of an outbox that another watcher has left.
_TIME: t.Tuple[type, ...] = (int, float, type(None))
_WORDS: t.Tuple[type, ...] = (str, type(None))
_BOX: Kinds = {
    **dict.fromkeys(("taken", "waiting"), (list,)),
    "held": (dict,),
    **dict.fromkeys(("sent", "dropped", "held_back"), (int,)),
    **dict.fromkeys(("last_sent", "failed_at"), _TIME),
    "problem": _WORDS,
}
_HELD: Kinds = {"count": (int,), "since": _TIME, "titles": (list,)}
_WAITING: Kinds = {"alert": (dict,), "tries": (int,), "due": (int, float)}
_ALERT: Kinds = {
    **dict.fromkeys(("alert", "title", "subject", "stack", "host", "root", "evidence"), (str,)),
    **dict.fromkeys(("id", "code"), _WORDS),
    **dict.fromkeys(("services", "next"), (list,)),
    **dict.fromkeys(("since", "lasted"), _TIME),
    "at": (int, float),
    "held_back": (int,),
}
# What stands for an alert, or for all of them, of which not even the title can be read.
_NAMELESS, _ALL = "one without a title", "all that was left waiting, in a form that cannot be read"


def new_outbox() -> Outbox:
    """Return the memory of a target that was never sent anything."""
    return {
        "taken": [],
        "waiting": [],
        "held": {"count": 0, "since": None, "titles": []},
        "sent": 0,
        "dropped": 0,
        "held_back": 0,
        "last_sent": None,
        "failed_at": None,
        "problem": None,
    }


def read_outbox(left: t.Any) -> Outbox:
    """Return an outbox as another watcher has left it, perhaps of another version.

    An alert in it that cannot be sent as it is counts as one that was held back: its target is told of it by its title.

    Args:
        left: of its memory; anything.
    """
    box = new_outbox()
    kept = left if isinstance(left, dict) else {}
    box.update(t.cast("Outbox", {key: kept.get(key) for key in _BOX if fits(kept, {key: _BOX[key]})}))
    if not fits(box["held"], _HELD):
        box["held"] = new_outbox()["held"]
    box["held"]["titles"] = [title for title in box["held"]["titles"] if isinstance(title, str)]
    box["taken"] = [then for then in box["taken"] if fits({"then": then}, {"then": (int, float)})]
    waiting: t.Sequence[t.Any] = box["waiting"]
    box["waiting"] = [each for each in waiting if _can_be_sent(each)]
    lost = [_title(each) for each in waiting if not _can_be_sent(each)]
    if "waiting" not in kept or not isinstance(kept["waiting"], list):
        lost.append(_ALL)
    if lost:
        box["held"]["count"] += len(lost)
        box["held"]["titles"] = [*box["held"]["titles"], *lost][-MOST_TITLES:]
        box["held_back"] += len(lost)
        box["problem"] = f"{count(len(lost), 'alert')} that another version has left cannot be sent as left there"
    return box


def _can_be_sent(waiting: t.Any) -> bool:
    if not fits(waiting, _WAITING) or not fits(waiting["alert"], _ALERT):
        return False
    return all(isinstance(word, str) for key in ("services", "next") for word in waiting["alert"][key])


def _title(waiting: t.Any) -> str:
    alert = waiting.get("alert") if isinstance(waiting, dict) else None
    title = alert.get("title") if isinstance(alert, dict) else None
    return title if isinstance(title, str) and title else _NAMELESS


def put(box: Outbox, alert: AlertDocument, now: float, most: int) -> None:
    """Take an alert up to be sent, or hold it back when there were too many within the last hour.

    Args:
        box: of the target; it is changed.
        alert: the alert.
        now: the time.
        most: alerts an hour.
    """
    if _left(box, now, most) > 0:
        _take_up(box, alert, now, most)
        return
    held = box["held"]
    held["count"] += 1
    held["since"] = now if held["since"] is None else held["since"]
    held["titles"] = [*held["titles"], alert["title"]][-MOST_TITLES:]
    box["held_back"] += 1


def let_go(box: Outbox, place: StackPlace, now: float, most: int) -> None:
    """Take up one alert that tells of those that were held back, as soon as there may be one again; as for `put`."""
    held = box["held"]
    if held["count"] and _left(box, now, most) > 0:
        since = now if held["since"] is None else held["since"]
        alert = messages.held_back(*place, number=held["count"], since=since, titles=held["titles"], at=now)
        box["held"] = {"count": 0, "since": None, "titles": []}
        _take_up(box, alert, now, most)


def due(box: Outbox, now: float) -> t.List[AlertDocument]:
    """Return the alerts that are to be sent now, in their order; none while the first of them has to wait."""
    first = box["waiting"][0] if box["waiting"] else None
    if first is None or now < first["due"] <= now + PAUSES[-1]:
        return []
    return [each["alert"] for each in box["waiting"]]


def sent(box: Outbox, alert: AlertDocument, now: float) -> None:
    """Record that the target has taken an alert."""
    box["waiting"] = [each for each in box["waiting"] if each["alert"] != alert]
    box["sent"] += 1
    box["last_sent"] = now
    box["failed_at"] = box["problem"] = None


def failed(box: Outbox, alert: AlertDocument, now: float, problem: str, *, again: bool, after: float = 0.0) -> None:
    """Record that the target has not taken an alert.

    Args:
        box: of the target; it is changed.
        alert: the alert.
        now: the time.
        problem: why, in words.
        again: whether to try it again is of use.
        after: seconds after which the far end wants to be asked again; 0 when it does not say.
    """
    box["failed_at"], box["problem"] = now, problem
    waiting = next((each for each in box["waiting"] if each["alert"] == alert), None)
    if waiting is None:
        return
    if not again or waiting["tries"] >= len(PAUSES):
        box["waiting"].remove(waiting)
        box["dropped"] += 1
        return
    waiting["due"] = now + max(PAUSES[waiting["tries"]], min(after, PAUSES[-1]))
    waiting["tries"] += 1


def _left(box: Outbox, now: float, most: int) -> int:
    """Return how many alerts may be taken up now; forget what is longer ago than an hour."""
    box["taken"] = [then for then in box["taken"] if 0 <= now - then < HOUR][-_MOST_TAKEN:]
    return most - len(box["taken"])


def _take_up(box: Outbox, alert: AlertDocument, now: float, most: int) -> None:
    box["taken"].append(now)
    if len(box["taken"]) == most:
        alert = messages.last_before_silence(alert, most, box["taken"][0] + HOUR)
    new: WaitingAlert = {"alert": alert, "tries": 0, "due": now}
    box["waiting"].append(new)
    if len(box["waiting"]) > MOST_WAITING:
        # What is oldest helps least.
        del box["waiting"][0]
        box["dropped"] += 1
