# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Bring a HAProxy to its configuration: the file is proved first, and what runs and the file are alike at the end.

Servers come, go and move by the runtime socket. Only a new frame needs a reload, which loses neither connection nor
state.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import socket
import stat
import subprocess
import tempfile
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import Problem, RollcallError, problems_error
from ..base.files import read_text, replace_file
from ..base.text import one_line
from .changes import (
    NO_STATES,
    EdgeChanges,
    changes_of,
    differences,
    into_use,
    kept_states,
    lost_states,
    orders_of,
    wanted_servers_of,
)
from .drain import POLL, SESSIONS, TOO_FEW, WantedServers, drain
from .haproxy import GARBAGE, SILENT, HAProxy, ProcessView, ServerKey
from .plan import Views
from .published import FIRST_LINE, EdgeConfig, config_text, description, is_ip, plain_address, problems_of
from .record import DrainRecord, read_drained, write_drained

# Codes of errors, in ``evidence["code"]``, beside those of haproxy.py and drain.py.
WRONG = "wrong"  # what is to be published has problems
FOREIGN = "foreign"  # the file in place is somebody else's
REJECTED = "rejected"  # HAProxy takes the file for wrong
NOT_LOADED = "not_loaded"  # it was reloaded, and runs with what it had before
DIFFERENT = "different"  # it was told, and is not as it was told to be

# The file may have passwords in what somebody adds to it.
MODE = 0o640
# Seconds that HAProxy may take to read a configuration, with all certificates.
_CHECK_SECONDS = 60.0
_MOST_BYTES = 16 * 1024 * 1024
# How often in a row the new process has to answer.
_SIGHTINGS = 5
# Bytes of what a command has said that are kept.
_MOST_SAID = 8_000
# No host has a name with a colon in a record's name, where it is quoted.
_RECORD = "edge:removed.json"


@dataclasses.dataclass(frozen=True)
class EdgePlace:
    """Where a HAProxy is, and how it is changed.

    Attributes:
        config: path of its configuration.
        program: path of HAProxy.
        reload: the command that starts it, or has it read its configuration again.
        replace: whether a configuration of somebody else's may be replaced.
        timeout: seconds that a reload may take, and what comes new to be up before what is wanted no more goes.
        drain_timeout: seconds that the sessions of a server have that is wanted no more.
        policy: what is done with those that are left, one of `DRAIN_POLICIES`.
        records: directory of the records of what was drained.
    """

    config: str
    program: str
    reload: t.Tuple[str, ...]
    replace: bool
    timeout: float
    drain_timeout: float
    policy: str
    records: str


def converge(
    wanted: EdgeConfig, place: EdgePlace, *, dry_run: bool = False, clock: Clock = SYSTEM
) -> t.Dict[str, t.Any]:
    """Bring a HAProxy to its configuration.

    Args:
        wanted: the configuration.
        place: where HAProxy is.
        dry_run: only say what would be done.
        clock: where the time comes from.

    Returns:
        ``changed``, ``reloaded``, ``servers``: each with its ``change``, and ``diff``.

    Raises:
        RollcallError: ``wrong_use``: the configuration has problems; ``refused``: the file is somebody else's. Or
            HAProxy rejects the file, does not answer, does not take an order, or does not load the file: then the old
            one is in place and runs.
    """
    problems = problems_of(wanted)
    if not problems:
        wanted, problems = _resolved(wanted)
    if problems:
        raise problems_error("This cannot be published", problems, code=WRONG)
    return _Edge(wanted, place, clock).converge(dry_run=dry_run)


def _resolved(wanted: EdgeConfig) -> t.Tuple[EdgeConfig, t.List[Problem]]:
    """Return a configuration whose servers have IP addresses, and which of their names have none.

    A server that is added while HAProxy runs cannot have a name. So file and process both have the address.
    """
    names = {one.address for service in wanted.services for one in service.servers if not is_ip(one.address)}
    found = {name: _address_of(name) for name in sorted(names)}
    given = {one.address for service in wanted.services for one in service.servers} - names
    edit = "set edge_address of the host to its IP address"
    problems = [Problem(name, "has no address on this host", edit) for name, address in found.items() if not address]
    found.update({address: plain_address(address) for address in given})
    services = tuple(
        dataclasses.replace(
            service,
            servers=tuple(dataclasses.replace(one, address=found[one.address]) for one in service.servers),
        )
        for service in wanted.services
    )
    return dataclasses.replace(wanted, services=services), problems


def _address_of(name: str) -> str:
    """Return the first IP address of a name, of version 4 where it has one, always the same; empty when it has none."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ""
    return min(((":" in str(each[4][0]), str(each[4][0])) for each in found), default=(False, ""))[1]


class _Edge:
    """One HAProxy that is brought to its configuration."""

    def __init__(self, wanted: EdgeConfig, place: EdgePlace, clock: Clock) -> None:
        self._wanted, self._place, self._clock = wanted, place, clock
        self._haproxy = HAProxy(wanted.socket, clock)
        self._text = config_text(wanted)
        self._record = os.path.join(place.records, _RECORD)

    def converge(self, *, dry_run: bool) -> t.Dict[str, t.Any]:
        """See `converge` of this module."""
        before = self._file()
        process = self._haproxy.process()
        views = {} if process is None else self._haproxy.servers()
        said = process.description if process else None
        changes = changes_of(said, views, self._wanted, read_drained(self._record).servers)
        written = before != self._text or not self._is_private()
        if before != self._text and (not dry_run or os.path.exists(self._place.program)):
            self._prove()
        if not dry_run:
            self._change(changes, views, before, written=written)
        return {
            "changed": written or changes.any,
            "reloaded": changes.reload,
            "servers": changes.rows(),
            "diff": [
                {"before_header": self._place.config, "before": before or "", "after": self._text},
                {
                    "before_header": f"servers at {self._wanted.socket}",
                    **self._diff_of_servers(changes, views),
                },
            ],
        }

    def _diff_of_servers(self, changes: EdgeChanges, views: Views) -> t.Dict[str, str]:
        """Return the servers of what is published, before and after."""
        keys = wanted_servers_of(self._wanted)
        backends = {key.backend for key in keys}
        before = {key: view for key, view in views.items() if key.backend in backends}
        return {
            "before": _listed({key: f"{view.address} {view.port} {view.weight}" for key, view in before.items()}),
            "after": _listed(
                {
                    key: f"{one.address} {one.port} "
                    f"{one.weight if key not in views or key in changes.weighted else views[key].weight}"
                    for key, (_of, one) in keys.items()
                }
            ),
        }

    def _file(self) -> t.Optional[str]:
        """Return what is in place; None for nothing.

        Raises:
            RollcallError: it is somebody else's, or cannot be read.
        """
        path = self._place.config
        try:
            text = read_text(path, most=_MOST_BYTES, errors="replace")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            raise RollcallError(
                f"{path} cannot be read: {exc}.", evidence={"code": FOREIGN, "path": path}, remedies=[cures.AS_ROOT]
            ) from exc
        if text.startswith(FIRST_LINE) or self._place.replace or _is_of_the_package(path, text):
            return text
        raise RollcallError(
            f"{path} is not a configuration that Rollcall has made. Nothing was changed.",
            kind="refused",
            evidence={"code": FOREIGN, "path": path},
            remedies=[cures.REPLACE_CONFIG],
        )

    def _is_private(self) -> bool:
        return os.path.exists(self._place.config) and stat.S_IMODE(os.stat(self._place.config).st_mode) == MODE

    def _prove(self) -> None:
        """Have HAProxy itself read the file to come.

        Raises:
            RollcallError: it rejects it.
        """
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="rollcall-", suffix=".cfg") as file:
            file.write(self._text)
            file.flush()
            failed = _run((self._place.program, "-c", "-f", file.name), _CHECK_SECONDS)
            told = failed.replace(file.name, self._place.config)
        if failed:
            raise RollcallError(
                f"HAProxy rejects its new configuration, so nothing was changed: {told}",
                evidence={"code": REJECTED, "path": self._place.config, "said": told},
                remedies=[cures.CONFIG_OF_BALANCER],
            )

    def _change(self, changes: EdgeChanges, views: Views, before: t.Optional[str], *, written: bool) -> None:
        for key in changes.returned:
            self._haproxy.tell(into_use(key))
        if changes.reload:
            self._load(changes, views, before)
        else:
            if written:
                replace_file(self._place.config, self._text, MODE, cures.AS_ROOT)
            if changes.any:
                self._order(changes, views)
            self._forget_states()
        found = differences(self._haproxy.servers(), self._wanted)
        if found:
            raise self._different(found)
        # Nothing is going any more: who takes a server out from now on is somebody else.
        write_drained(self._record, DrainRecord())

    # --- by the runtime socket -------------------------------------------------------------------------------------

    def _order(self, changes: EdgeChanges, views: Views) -> None:
        answers = [self._haproxy.tell(commands) for _key, commands in orders_of(changes, views, self._wanted)]
        found = differences(self._haproxy.servers(), self._wanted)
        if found:
            raise self._different(found, answers)
        if changes.removed:
            self._take_out(changes.removed, views)

    def _take_out(self, removed: t.Sequence[ServerKey], views: Views) -> None:
        """Drain servers and delete them: when they have answered until now, only where another one answers."""
        meant = WantedServers((self._wanted.socket,), tuple(map(str, removed)), (), self._record, "edge")
        answered = any(views[key].up and views[key].passed and views[key].in_use for key in removed)
        deadline = Deadline(self._place.timeout, self._clock)
        while True:
            try:
                timeout, policy = self._place.drain_timeout, self._place.policy
                drain(meant, timeout=timeout, policy=policy, others_up=int(answered), clock=self._clock)
                break
            except RollcallError as exc:
                code = exc.evidence.get("code")
                if code == SESSIONS:
                    exc.remedies = (cures.FORCE_REMOVAL,)
                if code != TOO_FEW or deadline.expired:
                    raise
            self._clock.sleep(POLL)
        self._delete(removed)

    def _delete(self, removed: t.Sequence[ServerKey]) -> None:
        """Have HAProxy forget servers, which it does when their last connection is closed."""
        deadline = Deadline(self._place.timeout, self._clock)
        answers: t.List[str] = []
        while True:
            left = [key for key in removed if key in self._haproxy.servers()]
            if not left:
                return
            if deadline.expired:
                raise self._different([f"{key} is still there" for key in left], answers)
            commands = [(f"set server {key} state maint", f"del server {key}") for key in left]
            answers = [self._haproxy.tell(both) for both in commands]
            self._clock.sleep(POLL)

    # --- by a reload -----------------------------------------------------------------------------------------------

    def _load(self, changes: EdgeChanges, views: Views, before: t.Optional[str]) -> None:
        """Put the file in place and have a process run with it, which has the states of the one before it."""
        # What was ordered since the first look counts.
        states, views = (self._haproxy.states(), self._haproxy.servers()) if views else ("", {})
        replace_file(self._wanted.states, self._states(states, changes, views), 0o600, cures.AS_ROOT)
        replace_file(self._place.config, self._text, MODE, cures.AS_ROOT)
        try:
            new = description(self._wanted)
            failed = self._reload(lambda process: process.description == new)
            if failed:
                raise self._taken_back(failed, before)
        finally:
            self._forget_states()
        for order, key in lost_states(views, self._haproxy.servers()):
            self._haproxy.tell((f"set server {key} state {order}",))

    def _forget_states(self) -> None:
        """See to it that who reloads HAProxy later has no states of now, nor those that a killed run has left."""
        try:
            text = read_text(self._wanted.states, most=_MOST_BYTES, errors="replace")
        except (OSError, ValueError):
            text = ""
        if text != NO_STATES:
            replace_file(self._wanted.states, NO_STATES, 0o600, cures.AS_ROOT)

    def _states(self, states: str, changes: EdgeChanges, views: Views) -> str:
        try:
            return kept_states(states, changes, views, self._wanted) if views else NO_STATES
        except (ValueError, LookupError) as exc:
            raise RollcallError(
                f"The states that HAProxy tells at {self._wanted.socket} cannot be read: {one_line(str(exc))}.",
                evidence={"code": GARBAGE, "answer": one_line(states)},
                remedies=[cures.BALANCER_LEVEL],
            ) from exc

    def _reload(self, is_new: t.Callable[[ProcessView], bool]) -> str:
        """Have a new process read the file in place, and return why none has; empty when it has."""
        failed = _run(self._place.reload, self._place.timeout)
        if failed:
            return failed
        deadline = Deadline(self._place.timeout, self._clock)
        process: t.Optional[ProcessView] = None
        seen = 0
        while not deadline.expired:
            try:
                process = self._haproxy.process()
            except RollcallError as exc:
                # While the processes change places a connection may be cut off.
                if exc.evidence.get("code") != SILENT:
                    raise
            # For a moment both processes answer.
            seen = seen + 1 if process is not None and is_new(process) else 0
            if seen == _SIGHTINGS:
                return ""
            if not seen:
                self._clock.sleep(POLL)
        state = "nobody listens at its runtime socket" if process is None else "the process before it runs on"
        return f"{state} after {self._place.timeout:g} s"

    def _taken_back(self, failed: str, before: t.Optional[str]) -> RollcallError:
        """Put the old file in place again, and return the error that says so."""
        told = "there was none before"
        if before is not None:
            replace_file(self._place.config, before, MODE, cures.AS_ROOT)
            # A reload that begins while another one is under way is lost, so this one is seen through.
            running = self._haproxy.process()
            again = self._reload(lambda process: running is None or process.pid != running.pid)
            told = f"the old one is in place, and could not be loaded: {again}" if again else "the old one is in place"
        return RollcallError(
            f"HAProxy was told to load its new configuration and did not, {told}: {one_line(failed, 1000)}",
            evidence={"code": NOT_LOADED, "path": self._place.config, "said": failed},
            remedies=[cures.BALANCER_LOG],
        )

    def _different(self, found: t.Sequence[str], answers: t.Sequence[str] = ()) -> RollcallError:
        said = one_line(" / ".join(filter(None, answers)), 500)
        return RollcallError(
            f"HAProxy at {self._wanted.socket} is not as it was told to be: {one_line('; '.join(found), 1000)}. "
            f"Its file is as it should be.{f' HAProxy has said: {said}' if said else ''}",
            evidence={"code": DIFFERENT, "found": list(found), "said": said},
            remedies=[cures.BALANCER_LEVEL, cures.AGAIN],
        )


def _run(argv: t.Sequence[str], seconds: float) -> str:
    """Run a command of the system, and return why it has failed; empty when it has not."""
    code, said = _ended(argv, seconds)
    if code == 0:
        return ""
    return f"'{' '.join(argv)}' {'has not ended in time' if code is None else f'ended with exit code {code}'}: {said}"


def _ended(argv: t.Sequence[str], seconds: float) -> t.Tuple[t.Optional[int], str]:
    """Run a command, and return its exit code, None when it has none, and the end of what it has said."""
    # A file and no pipe: what the command starts may live on, and keep a pipe open.
    with tempfile.TemporaryFile() as output:
        options: t.Dict[str, t.Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        try:
            code: t.Optional[int] = subprocess.run(
                list(argv), env={**os.environ, "LC_ALL": "C"}, timeout=seconds, check=False, **options
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
        except OSError as exc:
            return 127, str(exc.strerror)
        output.seek(max(0, output.tell() - _MOST_SAID))
        return code, output.read().decode("utf-8", "replace").strip()


def _is_of_the_package(path: str, text: str) -> bool:
    """Return whether a file is as the package of HAProxy has brought it, by dpkg's own record."""
    code, said = _ended(("dpkg-query", "-W", "-f", "${Conffiles}\\n", "haproxy"), _CHECK_SECONDS)
    digest = hashlib.md5(text.encode("utf-8"), usedforsecurity=False).hexdigest()  # what dpkg has
    return code == 0 and f"{path} {digest}" in (line.strip() for line in said.splitlines())


def _listed(rows: t.Mapping[ServerKey, str]) -> str:
    return "".join(f"{key} {row}\n" for key, row in sorted(rows.items()))
