# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""An alert by Apprise, for all that Rollcall does not speak itself: a program in a virtual environment of its own.

It runs as the user of the services. Text and URL go through its standard input: nobody sees them among its arguments.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..base.text import one_line
from ..host.accounts import clean_environment, find_account
from ..host.kept import end_session
from .messages import plain_text, without_mentions
from .targets import NotSent

if t.TYPE_CHECKING:
    from ..base.alert_documents import AlertDocument
    from ..manifest.model import Stack

# Seconds for all of it: Apprise may have several requests to make.
SECONDS = 30.0
# Ends with 0 when it was taken, with 3 when Apprise does not know the URL.
# It ends by itself as well: who has started it may be killed, and a far end may keep it for ever.
_PROGRAM = """
import json, signal, sys
wanted = json.load(sys.stdin)
signal.alarm(wanted["seconds"])
import apprise
far_end = apprise.Apprise()
if not far_end.add(wanted["url"]):
    sys.exit(3)
sys.exit(0 if far_end.notify(title=wanted["title"], body=wanted["body"], body_format=apprise.NotifyFormat.TEXT) else 4)
"""
_UNKNOWN_URL, _NOT_TAKEN = 3, 4


def python_of(root: str) -> str:
    """Return the Python of Apprise's virtual environment, which the role `monitor` makes."""
    return os.path.join(root, "lib", "apprise", "bin", "python")


def send(alert: AlertDocument, url: str, stack: Stack, *, seconds: float = SECONDS, clock: Clock = SYSTEM) -> str:
    """Send an alert to a URL of Apprise and return in words what came of it.

    Args:
        alert: it.
        url: as Apprise reads it.
        stack: whose user it runs as.
        seconds: for all of it.
        clock: of the deadline.

    Raises:
        NotSent: Apprise is not there, does not know the URL, or the far end has not taken it.
    """
    python = python_of(stack.root)
    if not os.path.exists(python):
        raise NotSent(f"Apprise is not installed: {cures.INSTALL} -e monitor_apprise=true")
    title, *rest = plain_text(alert).split("\n", 1)
    body = without_mentions("".join(rest).strip() or title)
    wanted = {"url": url, "title": without_mentions(title), "body": body, "seconds": math.ceil(seconds) + 1}
    try:
        who = find_account(stack.user)
        child = subprocess.Popen(
            [python, "-I", "-W", "ignore", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environment(who),
            cwd="/",
            start_new_session=True,
            **who.identity,
        )
    except RollcallError as exc:
        raise NotSent(exc.message) from exc
    except OSError as exc:
        raise NotSent(f"Apprise could not be started: {one_line(str(exc), 200)}") from exc
    return _outcome(child, json.dumps(wanted).encode(), seconds, clock)


def _outcome(child: subprocess.Popen[bytes], given: bytes, seconds: float, clock: Clock) -> str:
    try:
        child.communicate(given, timeout=seconds)
    except subprocess.TimeoutExpired as exc:
        raise NotSent(f"did not take it within {seconds:g} s") from exc
    finally:
        if child.poll() is None:
            end_session(child, clock)
    if child.returncode == 0:
        return "taken"
    if child.returncode == _UNKNOWN_URL:
        raise NotSent("has a URL that Apprise does not know", again=False)
    # What Apprise says of it may have the URL in it.
    raise NotSent("did not take it" if child.returncode == _NOT_TAKEN else f"Apprise ended with {child.returncode}")
