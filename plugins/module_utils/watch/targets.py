# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Whom a watcher tells, and the secrets that it needs for it. A secret is read when it is needed, and kept nowhere."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import typing as t

from ..base.errors import RollcallError
from ..base.opening import NotPlain, open_plain, read_all
from ..host.accounts import find_account
from ..manifest.model import SECRET, Stack
from ..state.generations import load_environment

# Bytes of a file with a secret.
MOST_BYTES = 8192
# Characters that a part of a URL must have to be a secret by itself.
_PART = 8
# What a URL, a token and a password may have: all goes into a line of a request, or of a conversation.
_SENDABLE = re.compile(r"[!-~]+")


class NotSent(Exception):
    """Why something did not arrive, in words that may be shown.

    Args:
        words: the predicate of a sentence.
        again: whether to try it again is of use.
        after: seconds after which the far end wants to be asked again; 0 when it does not say.
    """

    def __init__(self, words: str, *, again: bool = True, after: float = 0.0) -> None:
        super().__init__(words)
        self.words = words
        self.again = again
        self.after = after


class AlertTarget(t.NamedTuple):
    """One target of alerts, or the heartbeat, as the manifest has it; see `alert_keys.ALERT`.

    Attributes:
        sender: who sends a mail.
        to: who gets it.
    """

    kind: str
    name: str
    url: str = ""
    url_file: str = ""
    token: str = ""
    token_file: str = ""
    ca: str = ""
    host: str = ""
    port: int = 0
    tls: str = ""
    user: str = ""
    password: str = ""
    password_file: str = ""
    sender: str = ""
    to: t.Tuple[str, ...] = ()
    level: str = ""
    per_hour: int = 0


def targets_of(stack: Stack) -> t.List[AlertTarget]:
    """Return the targets of a stack's alerts."""
    return [_target(each) for each in stack.watch.alerts]


def _target(data: t.Mapping[str, t.Any]) -> AlertTarget:
    known = {key: value for key, value in data.items() if key in AlertTarget._fields}
    return AlertTarget(**{**known, "sender": data["from"], "to": tuple(data["to"])})


def heartbeat_of(stack: Stack) -> t.Optional[AlertTarget]:
    """Return where a stack's heartbeat is called; None where it has none."""
    data = stack.watch.heartbeat
    if not data:
        return None
    return AlertTarget("heartbeat", "heartbeat", url=data["url"], url_file=data["url_file"], ca=data["ca"])


class Secrets:
    """What is secret in the messages of a stack, read anew for each round of messages.

    Args:
        stack: the installed manifest.

    Attributes:
        told: every secret that was read, so that no answer repeats it.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._known: t.Optional[t.Dict[str, str]] = None
        self.told: t.List[str] = []

    def value(self, text: str, path: str) -> str:
        """Return a text with its secrets filled in, or the content of a file where that is named instead.

        Args:
            text: with ``{secret:NAME}`` in it.
            path: of the file; empty for none.

        Raises:
            NotSent: a secret has no value, or the file is not as it should be.
        """
        value = self._in_file(path) if path else re.sub(SECRET, lambda found: self._named(found.group(1)), text)
        if value and not _SENDABLE.fullmatch(value):
            raise NotSent(f"{path or text} has a character that cannot be sent, or a second line")
        if path or value != text:
            # A far end may repeat a part of its URL.
            self.told += [value, *(part for part in re.split(r"[/?&=#@:]+", value) if len(part) >= _PART)]
        return value

    def _named(self, name: str) -> str:
        if self._known is None:
            try:
                private = load_environment(self._stack)
            except RollcallError as exc:
                raise NotSent(exc.message) from exc
            self._known = {
                variable: variables[variable]
                for service in self._stack.services
                for variables in (private.get(service.name, {}),)
                for variable in service.secrets
                if variable in variables
            }
        if not self._known.get(name):
            raise NotSent(f"the secret {name} has no value on this host")
        self.told.append(self._known[name])
        return self._known[name]

    def _in_file(self, path: str) -> str:
        try:
            # The directory may be the stack's user's, who could put a link to a secret of root's there.
            descriptor = open_plain(path)
            try:
                self._check(os.fstat(descriptor), path)
                return read_all(descriptor, MOST_BYTES, path).decode("utf-8").strip()
            finally:
                os.close(descriptor)
        except (OSError, UnicodeDecodeError) as exc:
            why = exc.words if isinstance(exc, NotPlain) else getattr(exc, "strerror", None) or "it is not text"
            raise NotSent(f"{path} cannot be used: {why}") from exc

    def _check(self, seen: os.stat_result, path: str) -> None:
        """Check that a file is root's, ours or the stack's user's, and that nobody else may read or write it."""
        owners = {0, os.geteuid()}
        # Nothing can be of a user that is not there.
        with contextlib.suppress(RollcallError):
            owners.add(find_account(self._stack.user).uid)
        if seen.st_uid not in owners:
            raise NotSent(f"{path} is neither root's nor of the stack's user: chown root {path}")
        if seen.st_nlink > 1:
            raise NotSent(f"{path} has a second name, so somebody else may have put it there")
        if stat.S_IMODE(seen.st_mode) & 0o077:
            mode = stat.S_IMODE(seen.st_mode)
            raise NotSent(f"{path} can be read by others, as its mode is {mode:04o}: chmod 0600 {path}")
