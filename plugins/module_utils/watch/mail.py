# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""An alert by mail: text alone, over TLS whose certificate is checked, under one deadline for all of it."""

from __future__ import annotations

import contextlib
import os
import smtplib
import socket
import ssl
import typing as t
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from ..base.clock import Deadline
from ..base.text import one_line
from ..base.version import VERSION
from ..base.wire import bounded, connect
from ..manifest.alert_keys import NO_TLS, STARTTLS, TLS
from ..probes import tls
from ..probes.answers import NoAnswer
from .messages import TITLE, plain_text
from .targets import NotSent

if t.TYPE_CHECKING:
    from ..base.alert_documents import AlertDocument
    from .targets import AlertTarget

# Seconds for all of it, and for one answer of the server.
SECONDS, ONE_ANSWER = 20.0, 10.0
# Bytes of all that a server says, before TLS and in it.
MOST_BYTES = 65_536
# With what a server greets (RFC 5321, 4.2.3).
_READY = 220


def message_of(alert: AlertDocument, target: AlertTarget) -> EmailMessage:
    """Return an alert as a mail that no automatic answer comes to (RFC 3834)."""
    mail = EmailMessage()
    domain = target.sender.rpartition("@")[2]
    mail["Subject"] = one_line(f"[{alert['stack']}] {alert['title']}", TITLE)
    mail["From"], mail["To"] = target.sender, ", ".join(target.to)
    mail["Date"] = formatdate(alert["at"])
    mail["Message-ID"] = make_msgid(domain=domain)
    mail["Auto-Submitted"] = "auto-generated"
    mail["User-Agent"] = f"rollcall/{VERSION}"
    mail.set_content(plain_text(alert))
    return mail


def send(alert: AlertDocument, target: AlertTarget, password: str, *, seconds: float = SECONDS) -> str:
    """Send an alert by mail and return in words what was answered.

    Args:
        alert: it.
        target: the server, who sends it and who gets it.
        password: of the target's user; empty where nobody logs in.
        seconds: for all of it.

    Raises:
        NotSent: the server has not taken it for anybody.
    """
    conversation = _Conversation(target, password, Deadline(seconds))
    try:
        return bounded(lambda: conversation.hold(message_of(alert, target)), seconds)
    except TimeoutError as exc:
        # Its thread ends by that: what it waits for comes no more.
        conversation.cut()
        raise NotSent(f"did not take it within {seconds:g} s") from exc


class _Conversation:
    """A conversation with a server of mail, which another thread may cut.

    Args:
        target: the server.
        password: of the target's user.
        deadline: for the connection.
    """

    def __init__(self, target: AlertTarget, password: str, deadline: Deadline) -> None:
        self._target = target
        self._password = password
        self._deadline = deadline
        self._handle: t.Optional[socket.socket] = None

    def cut(self) -> None:
        """End it, whatever it waits for."""
        handle = self._handle
        if handle is not None:
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

    def hold(self, mail: EmailMessage) -> str:
        """Hand a mail over, and return in words what was answered. Raises NotSent."""
        try:
            with contextlib.ExitStack() as opened:
                server = self._connected(opened)
                if self._target.user:
                    server.login(self._target.user, self._password)
                refused = server.send_message(mail)
            others = f", but not for {one_line(', '.join(sorted(refused)), 200)}" if refused else ""
            return f"taken{others}"
        except NoAnswer as exc:
            raise NotSent(str(exc)) from exc
        except smtplib.SMTPRecipientsRefused as exc:
            code, said = next(iter(exc.recipients.values()))
            raise NotSent(f"takes it for nobody: {_answer(code, said)}", again=code < 500) from exc
        except smtplib.SMTPResponseException as exc:
            raise NotSent(f"answered {_answer(exc.smtp_code, exc.smtp_error)}", again=exc.smtp_code < 500) from exc
        except ssl.SSLCertVerificationError as exc:
            raise NotSent(f"its certificate is not trusted: {one_line(exc.verify_message, 200)}") from exc
        except smtplib.SMTPNotSupportedError as exc:
            raise NotSent(f"cannot do what is wanted: {one_line(str(exc), 200)}", again=False) from exc
        except (OSError, smtplib.SMTPException, UnicodeError) as exc:
            words = (exc.strerror if isinstance(exc, OSError) else "") or str(exc) or type(exc).__name__
            raise NotSent(f"did not take it: {one_line(words, 200)}") from exc

    def _connected(self, opened: contextlib.ExitStack) -> smtplib.SMTP:
        """Return the server, which has greeted, in TLS where that is wanted."""
        target = self._target
        made = None if target.tls == NO_TLS else tls.context(root=target.ca)
        line = connect(target.host, target.port, self._deadline)
        opened.callback(line.close)
        # Of its own: TLS takes the socket over.
        self._handle = opened.enter_context(line.sock.dup())
        if target.tls == TLS and made is not None:
            tls.secure(line, made, target.host)
        line.sock.settimeout(ONE_ANSWER)
        # The name of this host as it says it itself: to look for the whole one may take as long as a resolver does.
        server = _Server(local_hostname=os.uname().nodename or "localhost", timeout=ONE_ANSWER)
        server.sock = line.sock
        # The name that the certificate must have; the constructor sets it only when it connects itself.
        server._host = target.host  # type: ignore[attr-defined]
        opened.callback(server.close)
        code, said = server.getreply()
        if code != _READY:
            raise smtplib.SMTPConnectError(code, said)
        if target.tls == STARTTLS:
            server.starttls(context=made)
        return server


class _Server(smtplib.SMTP):
    """A server of mail whose answers have an end: the library reads one of any number of lines."""

    def getreply(self) -> t.Tuple[int, bytes]:
        """Return the next answer, as the library does."""
        if self.file is None and self.sock is not None:
            self.file = _Bounded(self.sock.makefile("rb"))
        return super().getreply()


class _Bounded:
    """What a server says, up to `MOST_BYTES`."""

    def __init__(self, stream: t.IO[bytes]) -> None:
        self._stream = stream
        self._left = MOST_BYTES
        self.close = stream.close

    def readline(self, most: int) -> bytes:
        """Return the next line. Raises OSError where there is more than may be."""
        line = self._stream.readline(most)
        self._left -= len(line)
        if self._left < 0:
            raise OSError(f"it says more than {MOST_BYTES} bytes")
        return line


def _answer(code: int, said: t.Union[bytes, str]) -> str:
    return f'{code}: "{one_line(said, 120)}"'
