# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""HAProxy's runtime socket: orders given and servers looked at, in the way that 2.6 to 3.0 have in common.

Everything that HAProxy says is data with limits. Columns are found by their names, for each version adds some. The
commands and columns are those of its management guide, chapter 9 (docs.haproxy.org).
"""

from __future__ import annotations

import csv
import dataclasses
import ipaddress
import re
import socket
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..base.text import one_line
from ..base.wire import Line, connect

# Codes of errors, in ``evidence["code"]``.
SILENT = "silent"  # it does not answer
DENIED = "denied"  # it has refused an order
GARBAGE = "garbage"  # it has said what no HAProxy says

# Seconds that one command may take.
CALL_TIMEOUT = 5.0
# Bytes of an answer: a line for a server has some 500.
MOST_BYTES = 16 * 1024 * 1024
MOST_SERVERS = 20_000
# What HAProxy allows in a name: what is read there comes back as an order.
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,200}")

# Bits of srv_admin_state. What tracks another server has that one's state beside its own.
_MAINT, _DRAIN = 0x01, 0x08
_NOT_OWN = 0x02 | 0x10 | 0x20 | 0x40
# Values of srv_op_state: starting, for a server that is given its share of requests slowly, and running.
_UP = ("1", "2")
# A bit of srv_check_state: a check is configured, and not switched off.
_CHECKED = 0x04
# Codes of check_status when the last check has passed. After a start of HAProxy it is INI. While a check is under way,
# srv_check_result does not say how the last one went.
_PASSED = ("L4OK", "L6OK", "L7OK", "L7OKC", "PROCOK")
_MOST_TRACKED = 10

Order = t.Literal["drain", "maint", "ready", "distrust", "cut"]
_COMMANDS: t.Mapping[Order, str] = {
    "drain": "set server {} state drain",
    "maint": "set server {} state maint",
    "ready": "set server {} state ready",
    "distrust": "set server {} health down",
    "cut": "shutdown sessions server {}",
}


class ServerKey(t.NamedTuple):
    """Which server is meant.

    Attributes:
        balancer: address of the HAProxy, as it was given.
        backend: name of the backend.
        server: name of the server in it.
    """

    balancer: str
    backend: str
    server: str

    def __str__(self) -> str:
        return f"{self.backend}/{self.server}"


@dataclasses.dataclass(frozen=True)
class ServerView:
    """A server as its HAProxy sees it.

    Attributes:
        key: which it is.
        address: where it is, an IP address or whatever HAProxy was given.
        port: of it; 0 when it has none.
        maint: whether it was itself taken out for maintenance.
        drain: whether it was itself told to drain.
        inherited: whether a server that it tracks was, or its name cannot be resolved.
        up: whether HAProxy counts it as up. Until the first check after a start or a reload it does so untried.
        checked: whether a check of its own says so, and not nobody or another server's check.
        passed: whether the last check has passed, its own or that of the server that it tracks; True without any.
        tracked: the server that it tracks.
        sessions: how many it has, idle ones with keep-alive among them.
        queued: how many requests wait for it alone.
        idle: seconds since it was last given a session; None when it never was.
        status: the word that HAProxy's own page has for it.
        check: what the last check has said, such as L7OK; empty without any.
        weight: its share of the requests.
    """

    key: ServerKey
    address: str
    port: int
    maint: bool
    drain: bool
    inherited: bool
    up: bool
    checked: bool
    passed: bool
    tracked: t.Optional[ServerKey]
    sessions: int
    queued: int
    idle: t.Optional[int]
    status: str
    check: str
    weight: int = 1

    @property
    def in_use(self) -> bool:
        """Whether it gets requests when it is up."""
        return not (self.maint or self.drain or self.inherited)

    def text(self) -> str:
        """Return what was seen, for people."""
        parts = [self.status, f"check {self.check}" if self.check else "no check of its own"]
        parts += [f"{self.sessions} sessions"] if self.sessions else []
        parts += [f"{self.queued} queued"] if self.queued else []
        if self.sessions and self.idle is not None:
            parts.append(f"the last one came {self.idle} s ago")
        return f"{self.key} is {', '.join(parts)}"


class ProcessView(t.NamedTuple):
    """A process of HAProxy, which a reload replaces.

    Attributes:
        pid: of it, as it says.
        description: what its configuration has it say of itself; empty for nothing.
    """

    pid: str
    description: str


class HAProxy:
    """The runtime socket of one HAProxy.

    Args:
        address: path of a unix socket, or ``127.0.0.1:9999``: the port has no password, so only loopback is taken.
        clock: where the time comes from.

    Raises:
        RollcallError: ``wrong_use``: the address is none.
    """

    def __init__(self, address: str, clock: Clock = SYSTEM) -> None:
        self.address = address
        self._clock = clock
        self._tcp = None if address.startswith("/") else _loopback(address)

    def order(self, order: Order, key: ServerKey) -> None:
        """Give an order to a server.

        Raises:
            RollcallError: HAProxy does not answer, or has refused.
        """
        command = _COMMANDS[order].format(key)
        answer = self._ask(command).strip()
        if answer:
            raise RollcallError(
                f"HAProxy at {self.address} has refused '{command}': {one_line(answer)}",
                evidence={"code": DENIED, "balancer": self.address, "command": command, "answer": one_line(answer)},
                remedies=[cures.BALANCER_LEVEL],
            )

    def move(self, key: ServerKey, address: str, port: int) -> None:
        """Tell it that a server is at another port; whether it has taken that, the next look says.

        Raises:
            RollcallError: HAProxy does not answer.
        """
        self._ask(f"set server {key} addr {address} port {port}")

    def tell(self, commands: t.Sequence[str]) -> str:
        """Give several commands in one call, and return what is answered: words, by which nothing is decided.

        Raises:
            RollcallError: HAProxy does not answer.
        """
        return one_line(self._ask("; ".join(commands)), 1000)

    def process(self) -> t.Optional[ProcessView]:
        """Return the process that answers; None when nobody listens.

        Raises:
            RollcallError: somebody listens who does not answer, or who may not be asked.
        """
        try:
            told = self._ask("show info")
        except RollcallError as exc:
            if isinstance(exc.__cause__, (FileNotFoundError, ConnectionRefusedError)):
                return None
            raise
        pairs = (line.partition(":") for line in told.splitlines())
        found = {key.strip(): value.strip() for key, _colon, value in pairs}
        return ProcessView(one_line(found.get("Pid", "")), one_line(found.get("description", "")))

    def states(self) -> str:
        """Return the states of all servers, as HAProxy reads them again.

        Raises:
            RollcallError: HAProxy does not answer.
        """
        return self._ask("show servers state")

    def servers(self) -> t.Dict[ServerKey, ServerView]:
        """Return every server of every backend.

        Raises:
            RollcallError: HAProxy does not answer, or says something else than HAProxy does.
        """
        states, statistics = self._ask("show servers state"), self._ask("show stat -1 4 -1")
        try:
            return views_of(self.address, states, statistics)
        except (ValueError, LookupError, csv.Error) as exc:
            raise RollcallError(
                f"What answers at {self.address} is no HAProxy, or its answer is not whole: {one_line(str(exc))}",
                evidence={"code": GARBAGE, "balancer": self.address, "answer": one_line(states)},
                remedies=[cures.BALANCER_LEVEL],
            ) from exc

    def _ask(self, command: str) -> str:
        deadline = Deadline(CALL_TIMEOUT, self._clock)
        try:
            line = self._connected(deadline)
            try:
                line.send(f"{command}\n".encode("ascii"))
                return _received(line)
            finally:
                line.close()
        except OSError as exc:
            raise RollcallError(
                f"HAProxy does not answer at {self.address}: {exc.strerror or exc}.",
                evidence={"code": SILENT, "balancer": self.address, "cause": str(exc)},
                remedies=[cures.AS_ROOT if isinstance(exc, PermissionError) else cures.BALANCER_SOCKET],
            ) from exc

    def _connected(self, deadline: Deadline) -> Line:
        if self._tcp is not None:
            return connect(*self._tcp, deadline)
        line = Line(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), deadline)
        try:
            line.connect(self.address)
        except OSError:
            line.close()
            raise
        return line


def views_of(balancer: str, states: str, statistics: str) -> t.Dict[ServerKey, ServerView]:
    """Return the servers in two answers of one HAProxy.

    Args:
        balancer: its address.
        states: the answer to ``show servers state``.
        statistics: the answer to ``show stat -1 4 -1``.

    Raises:
        ValueError: it is no answer of HAProxy's, or has more servers than there are.
        LookupError: a column is missing.
        csv.Error: the statistics cannot be read.
    """
    version, _newline, table = states.lstrip().partition("\n")
    if version.strip() != "1":
        raise ValueError("its servers' state is of another version")
    admin = {
        (row["be_name"], row["srv_name"]): row for row in _rows(line.split() for line in table.splitlines() if line)
    }
    rows = _rows(csv.reader(statistics.strip().splitlines()))
    found = {}
    for row in rows:
        state = admin.get((row["pxname"], row["svname"]))
        # The two looks are not one: a server may have come or gone between them.
        if state is not None:
            view = _view(balancer, state, row)
            found[view.key] = view
    return {key: dataclasses.replace(view, passed=_passed(view, found)) for key, view in found.items()}


def _rows(lines: t.Iterable[t.List[str]]) -> t.Iterator[t.Dict[str, str]]:
    """Yield each line by the names in the first one, which begins with ``#``."""
    names: t.List[str] = []
    for number, cells in enumerate(lines):
        if number > MOST_SERVERS:
            raise ValueError(f"it has more than {MOST_SERVERS} servers")
        if number == 0:
            names = [name.lstrip("# ") for name in cells if name != "#"]
            if not cells or not cells[0].startswith("#"):
                raise ValueError("it has no headings")
        else:
            yield dict(zip(names, cells))
    if not names:
        raise ValueError("it is empty")


def _view(balancer: str, state: t.Mapping[str, str], row: t.Mapping[str, str]) -> ServerView:
    flags, checks = int(state["srv_admin_state"]), int(state["srv_check_state"])
    backend, _slash, server = row["tracked"].partition("/")
    # While one is under way, an asterisk stands before what the last one has said.
    check = row["check_status"].lstrip("* ")
    return ServerView(
        key=_key(balancer, row["pxname"], row["svname"]),
        address=one_line(state["srv_addr"]),
        port=int(state["srv_port"]),
        maint=bool(flags & _MAINT),
        drain=bool(flags & _DRAIN),
        inherited=bool(flags & _NOT_OWN),
        up=state["srv_op_state"] in _UP,
        checked=bool(checks & _CHECKED) and not server,
        passed=check in _PASSED or not checks & _CHECKED,
        tracked=_key(balancer, backend, server) if server else None,
        sessions=int(row["scur"]),
        queued=int(row["qcur"] or 0),
        idle=None if row["lastsess"] in ("", "-1") else int(row["lastsess"]),
        status=one_line(row["status"], 40),
        check=one_line(check, 40),
        weight=int(state["srv_uweight"]),
    )


def _key(balancer: str, backend: str, server: str) -> ServerKey:
    if not (_NAME.fullmatch(backend) and _NAME.fullmatch(server)):
        raise ValueError(f"{backend}/{server} is no name of a server")
    return ServerKey(balancer, backend, server)


def _passed(view: ServerView, views: t.Mapping[ServerKey, ServerView]) -> bool:
    """Return whether the check has passed that says whether this server is up."""
    for _step in range(_MOST_TRACKED):
        above = views.get(view.tracked) if view.tracked is not None else None
        if above is None:
            break
        view = above
    return view.passed


def _received(line: Line) -> str:
    """Return everything until the end of the connection, with which HAProxy ends its answer."""
    pieces: t.List[bytes] = []
    size = 0
    while True:
        piece = line.recv(65_536)
        if not piece:
            return b"".join(pieces).decode("utf-8", "replace")
        pieces.append(piece)
        size += len(piece)
        if size > MOST_BYTES:
            raise ConnectionAbortedError(f"its answer is longer than {MOST_BYTES} bytes")


def _loopback(address: str) -> t.Tuple[str, int]:
    host, _colon, port = address.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        if not ipaddress.ip_address(host).is_loopback or not 0 < int(port) < 65_536:
            raise ValueError
    except ValueError as exc:
        raise RollcallError(
            f"{one_line(address)} is neither the path of a socket nor an address of this host such as 127.0.0.1:9999.",
            kind="wrong_use",
            evidence={"balancer": address},
            remedies=[cures.BALANCER_SOCKET],
        ) from exc
    return host, int(port)
