# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Sends one alert to one target, or calls the heartbeat, and says in words what became of it."""

from __future__ import annotations

import json
import typing as t

from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..base.masking import masked
from ..base.text import one_line
from ..manifest.alert_keys import APPRISE, DISCORD, MAIL, SLACK
from . import messages
from .targets import AlertTarget, NotSent, Secrets

if t.TYPE_CHECKING:
    from ..base.alert_documents import AlertDocument
    from ..manifest.model import Stack

# Characters of what a far end has answered that are told.
MOST_TOLD = 300


class SendResult(t.NamedTuple):
    """What became of one trial to send something.

    Attributes:
        ok: whether the target has taken it.
        answer: what it answered, or why it did not, in words without a secret.
        again: whether to try it again is of use.
        after: seconds after which the far end wants to be asked again; 0 when it does not say.
        seconds: how long it took.
    """

    ok: bool
    answer: str
    again: bool
    after: float
    seconds: float


def send(stack: Stack, target: AlertTarget, alert: AlertDocument, *, clock: Clock = SYSTEM) -> SendResult:
    """Send an alert to a target. Never raises for what a far end does, and ends within some seconds."""
    return _tried(stack, lambda secrets: _sent(stack, target, alert, secrets), clock)


def call(stack: Stack, heartbeat: AlertTarget, *, clock: Clock = SYSTEM) -> SendResult:
    """Call the URL of the heartbeat; as `send`."""

    def called(secrets: Secrets) -> str:
        from . import posting

        return posting.send("GET", secrets.value(heartbeat.url, heartbeat.url_file), ca=heartbeat.ca)

    return _tried(stack, called, clock)


def _tried(stack: Stack, work: t.Callable[[Secrets], str], clock: Clock) -> SendResult:
    secrets = Secrets(stack)
    began = clock.monotonic()
    ok, again, after = False, True, 0.0
    try:
        answer, ok = work(secrets), True
    except NotSent as exc:
        answer, again, after = exc.words, exc.again, exc.after
    except RollcallError as exc:
        answer = exc.message
    except Exception as exc:  # noqa: BLE001 - told and remembered: an alert that cannot be sent must not end the watcher
        answer = f"could not be sent: {type(exc).__name__}: {exc}"
    told = masked(one_line(answer, MOST_TOLD), secrets.told)
    return SendResult(ok, told, again, after, clock.monotonic() - began)


def _sent(stack: Stack, target: AlertTarget, alert: AlertDocument, secrets: Secrets) -> str:
    if target.kind == MAIL:
        from . import mail

        return mail.send(alert, target, secrets.value(target.password, target.password_file))
    url = secrets.value(target.url, target.url_file)
    if target.kind == APPRISE:
        from . import by_apprise

        return by_apprise.send(alert, url, stack)
    from . import posting

    headers = {"Content-Type": "application/json"}
    token = secrets.value(target.token, target.token_file)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    written = {DISCORD: messages.discord, SLACK: messages.slack}.get(target.kind)
    data = alert if written is None else written(alert)
    return posting.send("POST", url, json.dumps(data).encode(), headers, ca=target.ca)
