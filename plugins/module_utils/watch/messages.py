# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What an alert says: made of what has happened to an incident, and written for each kind of far end. Pure.

Evidence is what others wrote: lines of logs, command lines, answers. At a far end it must stay text. Each writer below
says how: by escapes, by a block of code, or by data that nobody reads as markup.
"""

from __future__ import annotations

import re
import time
import typing as t

from ..base import cures
from ..base.text import count, inert, one_line, span
from ..show.words import Reader, names_of, runnable
from . import restarts
from .incidents import told_of

if t.TYPE_CHECKING:
    from ..base.alert_documents import AlertDocument
    from ..base.watch_documents import WatchEvent

# Characters of the first line, lines of evidence, characters of each of them, and commands.
TITLE, LINES, LINE, COMMANDS = 300, 12, 300, 3
# Characters of a message of Discord, as it is sent; and of one of Slack, which would take more.
DISCORD_LIMIT, SLACK_LIMIT = 2000, 3500
# Characters of a line of evidence that is short.
_SHORT = 12
# Seconds for which the time of day says when something was.
_TODAY = 20 * 3600
# Of Discord: messages are shown without previews of what they link to (message flag SUPPRESS_EMBEDS).
_NO_PREVIEWS = 1 << 2
# Whoever is called by that in a chat: some words wherever they stand, and names. An address of mail is none.
_MENTION = re.compile(r"@(?=everyone|here|channel|all\b)|(?<!\w)@(?=\w)", re.IGNORECASE)
_UNMENTIONED = "@\u200b"
# What begins markup of Discord, a link or an emoji anywhere, and what begins a list, at the beginning of a line.
_DISCORD = re.compile(r"([\\`*_~|<>@#\[\]]|:(?=//|[\w+-]*[A-Za-z][\w+-]*:))")
_DISCORD_FIRST = re.compile(r"^(?=\s*(?:[-+]|\d+\.))(\s*\d*)([-+.])")
_BACKTICK, _NO_BACKTICK = "`", "\u02cb"


# --- what it says -------------------------------------------------------------------------------------------------


def alert_of(event: WatchEvent) -> AlertDocument:
    """Return the alert that tells what has happened to an incident."""
    incident = event["incident"]
    return {
        "alert": event["event"],
        "id": incident["id"],
        "title": _title(event),
        "code": incident["code"],
        "subject": incident["subject"],
        "services": list(incident["services"]),
        "at": event["at"],
        "since": incident["since"],
        "lasted": event["lasted"],
        "stack": event["stack"],
        "host": event["host"],
        "root": event["root"],
        "evidence": "" if event["event"] == "recovered" else _evidence(incident["evidence"], _why(event)),
        "next": [] if event["event"] == "recovered" else _commands(incident["next"], event["root"], event["host"]),
        "held_back": 0,
    }


def _title(event: WatchEvent) -> str:
    incident = event["incident"]
    why, where = _why(event), _place(event["stack"], event["host"])
    since = f"since {_moment(incident['since'], event['at'])}"
    if event["event"] == "recovered":
        lasted = span(round(event["lasted"]))
        return f"{one_line(incident['subject'], 80)} is well again after {lasted}, {where}. It was: {why}"
    if event["event"] == "restarted":
        # Whether that was of use, the evidence says.
        times = f"restart {incident['restarts']} of {restarts.MOST}"
        return f"{why} ({where}, {since}): the watcher has tried {times}"
    if event["event"] == "gave_up":
        times = count(incident["restarts"], "restart")
        return f"{why} ({where}, {since}): the watcher gives up after {times}"
    return f"{why} ({event['event']}, {where}, {since})"


def _why(event: WatchEvent) -> str:
    """Return why, as the title says it. What is over is called as it was told: by now it may read otherwise."""
    incident = event["incident"]
    said = (told_of(incident) if event["event"] == "recovered" else "") or incident["why"]
    return one_line(said, TITLE // 2)


def _place(stack: str, host: str) -> str:
    return f"stack {one_line(stack, 60)} on {one_line(host, 60)}"


def _moment(then: float, now: float) -> str:
    """Return a time of the host's own time zone, with its date when that is not of today."""
    form = "%H:%M %Z" if 0 <= now - then < _TODAY else "%Y-%m-%d %H:%M %Z"
    try:
        return time.strftime(form, time.localtime(then)).strip()
    except (ValueError, OverflowError, OSError):
        # A year that no calendar has.
        return "an unknown time"


def _evidence(text: str, known: str) -> str:
    """Return the evidence within its limits, without the lines that the title has already said."""
    lines = [line.rstrip() for line in inert(text).split("\n") if line.strip()]
    # Nothing is said twice; a short line may stand in the title by chance.
    lines = [line for line in lines if len(line) < _SHORT or line.strip() not in known]
    left = len(lines) - LINES
    shown = [line if len(line) <= LINE else f"{line[: LINE - 1]}…" for line in lines[:LINES]]
    return "\n".join([*shown, f"… and {count(left, 'more line')}"] if left > 0 else shown)


def _commands(commands: t.Sequence[str], root: str, host: str) -> t.List[str]:
    return [runnable(command, Reader(root, host=host)) for command in commands[:COMMANDS]]


def last_before_silence(alert: AlertDocument, most: int, until: float) -> AlertDocument:
    """Return an alert that also tells that those after it are held back until a time, in seconds since the epoch."""
    told = f"It is the last of {most} within an hour: further ones are held back until {_moment(until, alert['at'])}."
    return {**alert, "evidence": "\n".join([*alert["evidence"].splitlines(), told])}


def held_back(
    stack: str, host: str, root: str, *, number: int, since: float, titles: t.Sequence[str], at: float
) -> AlertDocument:
    """Return the alert that tells of those that were held back.

    Args:
        stack: whose alerts they are.
        host: where it is.
        root: its directory.
        number: of those that were held back.
        since: when the first of them was, in seconds since the epoch.
        titles: of the latest.
        at: now, in seconds since the epoch.
    """
    earlier = number - len(titles)
    lines = [one_line(title, LINE) for title in titles]
    return {
        **_of_no_incident(stack, host, root, at),
        "alert": "held_back",
        "title": f"{count(number, 'alert')} held back since {_moment(since, at)}, {_place(stack, host)}",
        "evidence": "\n".join([f"{count(earlier, 'earlier one')}, and:", *lines] if earlier > 0 else lines),
        "next": _commands([cures.STATUS], root, host),
        "held_back": number,
    }


def trial(stack: str, host: str, root: str, at: float) -> AlertDocument:
    """Return the alert that is sent to see whether one arrives."""
    return {
        **_of_no_incident(stack, host, root, at),
        "alert": "test",
        "title": f"This is a trial: alerts of {_place(stack, host)} arrive here",
        "evidence": "Nothing is wrong. Somebody has asked for this by rollcall watch --test-alert.",
    }


def _of_no_incident(stack: str, host: str, root: str, at: float) -> AlertDocument:
    return {
        "alert": "test",
        "id": None,
        "title": "",
        "code": None,
        "subject": stack,
        "services": [],
        "at": at,
        "since": None,
        "lasted": None,
        "stack": stack,
        "host": host,
        "root": root,
        "evidence": "",
        "next": [],
        "held_back": 0,
    }


# --- how it is written --------------------------------------------------------------------------------------------


def plain_text(alert: AlertDocument) -> str:
    """Return an alert as plain text: its title, who suffers, the evidence, and what to run next."""
    parts = [alert["title"], *_suffering(alert), alert["evidence"], "\n".join(_next(alert))]
    return "\n\n".join(part for part in parts if part) + "\n"


def without_mentions(text: str) -> str:
    """Return a text in which nobody is called: a chat takes ``@everyone`` for a call, and not what is returned."""
    return _MENTION.sub(_UNMENTIONED, text)


def discord(alert: AlertDocument) -> t.Dict[str, t.Any]:
    """Return an alert as a webhook of Discord takes it.

    The title is escaped. Evidence and commands stand in a block of code, where nothing is markup, and nothing in it can
    end the block. ``allowed_mentions`` has Discord call nobody, whatever stands there.
    """

    def text(alert: AlertDocument) -> str:
        parts = [_discord_escaped(alert["title"]), *map(_discord_escaped, _suffering(alert))]
        parts += [_code_block(alert["evidence"])] if alert["evidence"] else []
        parts += [f"Next:\n{_code_block(chr(10).join(alert['next']))}"] if alert["next"] else []
        return "\n".join(parts)

    content = _fitting(alert, text, DISCORD_LIMIT)
    return {"content": content, "allowed_mentions": {"parse": []}, "flags": _NO_PREVIEWS}


def _discord_escaped(text: str) -> str:
    """Return a line that Discord shows as it is; no more is escaped than must be: a notification shows the escapes."""
    return _DISCORD_FIRST.sub(r"\1\\\2", _DISCORD.sub(r"\\\1", without_mentions(text)))


def _code_block(text: str) -> str:
    return f"```\n{without_mentions(text).replace(_BACKTICK, _NO_BACKTICK)}\n```"


def slack(alert: AlertDocument) -> t.Dict[str, t.Any]:
    """Return an alert as an incoming webhook of Slack takes it, and those that are like it.

    The three characters that open Slack's own markup are escaped, and names and markup are not looked for.
    """

    def text(alert: AlertDocument) -> str:
        whole = without_mentions(plain_text(alert).rstrip("\n"))
        return whole.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    content = _fitting(alert, text, SLACK_LIMIT)
    quiet = {"mrkdwn": False, "parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}
    return {"text": content, **quiet}


def _fitting(alert: AlertDocument, text: t.Callable[[AlertDocument], str], most: int) -> str:
    """Return an alert's text with as many lines of its evidence as have room in ``most`` characters."""
    lines = alert["evidence"].splitlines()
    for number in range(len(lines), 0, -1):
        left = [f"… and {count(len(lines) - number, 'more line')}"] if number < len(lines) else []
        written = text({**alert, "evidence": "\n".join([*lines[:number], *left])})
        if len(written) <= most:
            return written
    written = text({**alert, "evidence": ""})
    return written if len(written) <= most else text({**alert, "evidence": "", "services": [], "next": []})


def _suffering(alert: AlertDocument) -> t.List[str]:
    others = [name for name in alert["services"] if name != alert["subject"]]
    if not others or alert["alert"] == "recovered":
        return []
    return [f"{count(len(others), 'service suffers', 'services suffer')}: {names_of(others)}"]


def _next(alert: AlertDocument) -> t.List[str]:
    return ["Next:", *(f"  {command}" for command in alert["next"])] if alert["next"] else []
