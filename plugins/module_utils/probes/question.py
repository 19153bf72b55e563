# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""One question to a database: what all kinds have in common. Nothing that is said has a password in it."""

from __future__ import annotations

import os
import pwd
import typing as t
from dataclasses import dataclass, field

from ..base.clock import Deadline
from ..base.errors import RollcallError
from ..base.masking import HIDDEN
from ..base.opening import Judge
from ..base.wire import Line, connect
from ..host.accounts import Account, find_account, readable_by
from ..manifest.model import DatabaseCheck
from . import tls
from .answers import NoAnswer
from .wording import quoted

if t.TYPE_CHECKING:
    import ssl

    from .database_urls import ServerAddress

_T = t.TypeVar("_T")


@dataclass(frozen=True)
class Application:
    """Who is asked for: what it is called, its variables, and the account that runs it; None for whoever asks."""

    name: str
    environment: t.Mapping[str, str]
    user: t.Optional[str]

    @property
    def account(self) -> str:
        """The name of who runs it."""
        if self.user is not None:
            return self.user
        try:
            return pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            return str(os.geteuid())


@dataclass
class Question:
    """One question as far as it has come: what is said of it when it goes no further.

    Attributes:
        application: for which it is asked.
        check: which database, and how.
        deadline: for all of it.
        place: where it is asked, without user and password.
        command: what asks it by hand.
        host: that the line leads to.
        line: None while it is not connected.
        reached: whether something took the connection; for a file, whether it is one.
        in_tls: whether the line speaks TLS.
        waiting: what is waited for now, to be said when it does not come; empty while it is connecting.
        secrets: texts that are never shown.
    """

    application: Application
    check: DatabaseCheck
    deadline: Deadline
    place: str = ""
    command: t.Optional[str] = None
    host: str = ""
    line: t.Optional[Line] = None
    reached: bool = False
    in_tls: bool = False
    waiting: str = ""
    secrets: t.List[str] = field(default_factory=list)

    @property
    def on_unix_socket(self) -> bool:
        """Whether the line leads to a unix socket, and so needs no TLS."""
        return self.host.startswith("/")

    def read_url(self, read: t.Callable[[str], _T]) -> _T:
        """Return what the URL says that the application has; it is never shown.

        Raises:
            NoAnswer: it has none, or one that cannot be read.
        """
        from .database_urls import BadUrl  # late: SQLite has no URL

        name, variable = self.application.name, self.check.variable
        text = self.application.environment.get(variable, "")
        if not text:
            raise NoAnswer(f"{name} has no variable {variable}, or it is empty")
        self.secrets.append(text)
        try:
            return read(text)
        except BadUrl as exc:
            raise NoAnswer(f"{variable} of {name} {exc}") from None

    def connect(self, address: ServerAddress, path: str) -> Line:
        """Connect to a host, or at ``path`` to a unix socket as the user who runs the application.

        Raises:
            NoAnswer: that user cannot connect.
            OSError: nobody takes the connection, or not in time.
        """
        self.host = address.host
        if not address.is_unix:
            self.line = connect(address.host, address.port, self.deadline)
        else:
            from .unix_sockets import connect_unix  # late: it starts a process

            self.line = connect_unix(path, self.application.user, self.deadline)
        self.reached = True
        return self.line

    def runner(self) -> Account:
        """Return the account that runs the application. Raises NoAnswer when there is none."""
        try:
            return find_account(self.application.user)
        except RollcallError as exc:
            raise NoAnswer(f"user {self.application.user}, who runs the services, does not exist") from exc

    def judge(self) -> Judge:
        """Return what judges whether a file that a URL names is for the application's user."""
        return readable_by(self.application.user)

    def require_files(self, *paths: str) -> None:
        """Check that the application's user may open the files that its URL names. Raises NoAnswer, TimeoutError."""
        if any(paths):
            from .as_user import check_files  # late: it starts a process

            self.waiting = "no answer about the files of its URL"
            check_files(self.runner(), paths, self.deadline.remaining())

    def secure(self, line: Line, context: ssl.SSLContext) -> None:
        """Go on in TLS. Raises NoAnswer when that does not come about, OSError."""
        self.waiting = "it took the connection, and TLS has not come about"
        tls.secure(line, context, self.host)
        self.in_tls = True

    def shown(self, text: t.Union[str, bytes]) -> str:
        """Return text of the other side in quotes; were it to repeat what it was told, that is not shown."""
        whole = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        for secret in self.secrets:
            whole = whole.replace(secret, HIDDEN)
        return quoted(whole)

    def overdue(self) -> t.Optional[str]:
        """Return what it is that did not come in time; None where only the connection is to blame."""
        return f"{self.waiting} within {self.deadline.seconds:g} s" if self.waiting else None
