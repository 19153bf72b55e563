# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A manifest that an importer puts together, service by service, with notes on what does not fit into it.

All importers share this: how names, variables, users and ports are carried over, and that the manifest passes the
check.
"""

from __future__ import annotations

import collections
import re
import shlex
import typing as t
from dataclasses import dataclass

from ..base.errors import Problem, problems_error
from ..manifest import corrections
from ..manifest.check import check_manifest
from ..manifest.file import SIZE_LIMIT
from ..manifest.keys import SERVICE, STACK
from ..manifest.model import PortRules, Stop, port_variable
from ..manifest.port_checks import reasons_to_list
from ..manifest.readers import unwritable
from ..manifest.references import escaped
from ..manifest.values import CONTROL_IN_SECRET, NAME_LENGTH, RESERVED_NAMES, USER_PATTERN, VARIABLE_PATTERN
from . import commands
from .notes import ADVICE, CHANGED, LOST, MINOR, Note, Notes, short

# A manifest file has room for some thousand services, and a text beside it that is not carried over.
MOST_SERVICES = 2000
MOST_TEXT = SIZE_LIMIT
# Characters of a command, or of the variables of a program. Linux takes four times as many (execve(2)).
LONGEST_COMMAND = 32_768

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_PORT = re.compile(r"\s*[0-9]{1,9}\s*\Z")
_LINES = re.compile(r"[\n\r]")


@dataclass(frozen=True)
class Imported:
    """The result of an import.

    Attributes:
        manifest: the manifest as somebody would write it, with ``stack`` at its top.
        notes: what is lost, then what is changed, then advice.
    """

    manifest: t.Dict[str, t.Any]
    notes: t.Tuple[Note, ...]


@dataclass
class _Candidate:
    """A service on its way into the manifest."""

    wanted: str
    called: str
    entry: t.Dict[str, t.Any]
    place: str
    user: t.Optional[str]
    waits: t.Mapping[str, str]
    # What looks like the port it listens on: place, what is shown, port, where it is written.
    seen: t.List[t.Tuple[str, str, int, str]]


class Draft:
    """A manifest that is being put together.

    Args:
        name: the name of the stack.
        root: the directory of the stack.
        commands: whether the original has commands; a port manifest has none.
        ports: ports that services have besides, by their names; these go before those of the original.

    Attributes:
        root: the directory of the stack.
        defaults: the manifest's ``defaults``.
    """

    def __init__(
        self, name: str, root: str, *, commands: bool = True, ports: t.Optional[t.Mapping[str, int]] = None
    ) -> None:
        self._head: t.Dict[str, t.Any] = {"name": name, "root": root}
        self._commands = commands
        self._ports = {port_variable(service): (service, port) for service, port in (ports or {}).items()}
        self._candidates: t.List[_Candidate] = []
        self._notes = Notes()
        self._problems: t.Dict[Problem, None] = {}
        self._left_out: t.List[Problem] = []
        self._seen: t.List[t.Tuple[str, str, int, str]] = []
        self._text = 0
        self._also: t.List[int] = []
        self._sockets: t.Dict[str, str] = {}
        self._avoid: t.List[int] = list(PortRules().avoid)
        self._alerts: t.List[t.Dict[str, t.Any]] = []
        self.root = root
        self.defaults: t.Dict[str, t.Any] = {}

    # --- what is found on the way ---

    def lost(self, place: str, message: str, cure: str) -> None:
        """Note a part that the manifest does not have. Notes that differ only in their place become one."""
        self._notes.add(LOST, place, message, cure)

    def left_out(self, place: str, message: str, cure: str) -> None:
        """Note what could have been a service and is none: the reason when no other is left."""
        self.lost(place, message, cure)
        self._left_out.append(Problem(short(place), short(message), cure))

    def changed(self, place: str, message: str, cure: str) -> None:
        """Note a part that is in the manifest in another way."""
        self._notes.add(CHANGED, place, message, cure)

    def advice(self, place: str, message: str, cure: str, *, first: bool = False) -> None:
        """Note a part that was carried over and should be looked at; first of all if it is a secret or a port."""
        self._notes.add(ADVICE, place, message, cure, first=first)

    def minor(self, place: str, message: str) -> None:
        """Note a part that is in the manifest in another way, of which nobody needs to take care."""
        self._notes.add(MINOR, place, message, "do nothing")

    def within(self, place: str, value: float, most: float, cure: str = "see that it will do") -> t.Any:
        """Return ``value``, or the nearest number from 0 to ``most``, with a note and what to do about it."""
        nearest = min(max(value, 0), most)
        if nearest != value:
            here, there = (f"{each:g}" if isinstance(each, float) else str(each) for each in (nearest, value))
            self.changed(place, f"is {here} here, as {there} cannot be written", cure)
        return nearest

    def divided(self, place: str, count: int) -> None:
        """Note that one entry of the original became several services."""
        self.changed(
            place,
            f"became {count} services",
            "write one with instances if they differ in nothing but the number and the port",
        )

    def problem(self, place: str, message: str, cure: str) -> None:
        """Add a reason why nothing can be imported."""
        self._problems[Problem(short(place), short(message), cure)] = None

    def split(self, text: str, place: str) -> t.List[str]:
        """Return the words of a command, as a shell divides it.

        Raises:
            ValueError: a quote has no counterpart.
            RollcallError: ``wrong_use``: it is longer than any command.
        """
        self.require_short(text, place)
        return shlex.split(text)

    def require_short(self, text: str, place: str) -> None:
        """Check that a text is not too long for shlex, which takes quadratic time for a long word.

        Raises:
            RollcallError: ``wrong_use``: it is.
        """
        if len(text) > LONGEST_COMMAND:
            self.problem(place, f"is longer than {LONGEST_COMMAND} characters", corrections.SMALLER)
            self.refuse()

    def count_text(self, place: str, size: int) -> None:
        """Count what a value comes to: a short one may be repeated without end, by names in it or by processes.

        Raises:
            RollcallError: ``wrong_use``: together it is more than a manifest can have.
        """
        self._text += size
        if self._text > MOST_TEXT:
            self.problem(place, "makes it more text than a manifest can have", corrections.SMALLER)
            self.refuse()

    def refuse(self, problems: t.Iterable[Problem] = ()) -> None:
        """End the import when there is a problem.

        Args:
            problems: more problems; warnings do not count.

        Raises:
            RollcallError: ``wrong_use``, with all problems as evidence.
        """
        found = [*self._problems, *(problem for problem in problems if problem.severity == "error")]
        if found:
            raise problems_error("It cannot be imported", found)

    def refuse_text(self, problems: t.Iterable[Problem]) -> None:
        """End the import when a text has an error.

        Args:
            problems: the problems that the reader of manifests found in it.

        Raises:
            RollcallError: ``wrong_use``, with all problems as evidence.
        """
        for problem in problems:
            if problem.severity == "error":
                place = re.sub(r"^manifest\b", "the file", re.sub(r"^stack\.", "", problem.place))
                self.problem(place, problem.message, problem.cure)
        self.refuse()

    # --- services ---

    def add(
        self,
        wanted: str,
        entry: t.Dict[str, t.Any],
        *,
        place: str,
        user: t.Optional[str] = None,
        called: t.Optional[str] = None,
        waits: t.Optional[t.Mapping[str, str]] = None,
    ) -> None:
        """Add a service.

        Args:
            wanted: the name that it should have; a valid name is made of it when the draft is finished.
            entry: its keys, as in a manifest.
            place: its place in the original.
            user: the user who ran it, if the original says so.
            called: its name in the original; None: the same.
            waits: the services that it waits for, by their names in the original, and what it waits for.

        Raises:
            RollcallError: ``wrong_use``: there are more services than a manifest can have.
        """
        self.require_room(place, len(self._candidates) + 1)
        if user is not None and not re.fullmatch(USER_PATTERN, user):
            self.lost(place, f"user {user} is not the name of a user", "set stack.user to the user's name")
            user = None
        self._candidates.append(_Candidate(wanted, called or wanted, entry, place, user, waits or {}, self._seen))
        self._seen = []

    def alert(self, alert: t.Dict[str, t.Any]) -> bool:
        """Add a target of alerts, once; return whether a manifest can have it."""
        before = self._alerts
        self._alerts = [*before, *([] if alert in before else [alert])]
        if not self.fits({"command": ["true"]}):
            self._alerts = before
            return False
        return True

    def fits(self, entry: t.Mapping[str, t.Any]) -> bool:
        """Return whether a manifest can have a service with these keys, none of which is about another service."""
        return not self._check_one("nobody", _as_text(dict(entry)))

    def is_empty(self) -> bool:
        """Return whether no service was added."""
        return not self._candidates

    def require_room(self, place: str, number: int) -> None:
        """Check that there are not more services than one can import.

        Raises:
            RollcallError: ``wrong_use``: there are.
        """
        if number > MOST_SERVICES:
            self.problem(place, f"comes after {MOST_SERVICES} services, more than one can import", corrections.SMALLER)
            self.refuse()

    def variables(self, given: t.Mapping[str, str], place: str) -> t.Dict[str, t.Any]:
        """Return ``env``, ``secrets`` and ``port`` of a service, made of the variables of the original."""
        keys: t.Dict[str, t.Any] = {}
        for name, value in given.items():
            self._variable(keys, name, value, f"{place} {name}")
        return keys

    def _variable(self, keys: t.Dict[str, t.Any], name: str, value: str, place: str) -> None:
        if not re.fullmatch(VARIABLE_PATTERN, name):
            self.lost(place, "is not the name of a variable that a manifest can have", "rename it in the application")
        elif name == "PORT":
            port = self.port(value, place)
            if port is not None:
                keys["port"] = port
        elif name.startswith(("PORT_", "ROLLCALL_")):
            self.lost(
                place,
                "is not set: Rollcall itself gives variables of such names",
                "PORT_<SERVICE> is there for every service in depends_on; rename any other",
            )
        elif unwritable(value, CONTROL_IN_SECRET):
            self.lost(
                place, "has a control character, which a manifest's variable cannot have", corrections.INTO_A_FILE
            )
        else:
            if _LINES.search(value):
                keys.setdefault("secrets", {})[name] = value
                self.changed(place, "is a secret now, as only secrets may have several lines", "leave it so")
            else:
                keys.setdefault("env", {})[name] = value
            if commands.SECRET_NAME.search(name) or commands.SECRET_VALUE.search(value):
                self.advice(
                    place,
                    "looks like a secret, and stands here for everybody to see",
                    "move it from env to secrets, its value into a vault, and change it if this file was ever shared",
                    first=True,
                )

    def port(self, text: str, place: str) -> t.Optional[int]:
        """Return the port in a text; None, and a note, when the text is not a port."""
        port = int(text) if _PORT.match(text) else 0
        if not 1 <= port <= 65535:
            told = "is not a port number from 1 to 65535, so the service has no port"
            self._notes.add(LOST, place, told, "give the service its port", first=True)
            return None
        if str(port) != text:
            self.changed(place, f"is written {port} now", "see that the application takes it")
        return port

    def command(self, argv: t.Sequence[str], place: str, *, port: t.Optional[int] = None) -> None:
        """Note arguments of the command of the service that is added next, which look like a port or a secret.

        Args:
            argv: the program and its arguments.
            place: the place of the command in the original.
            port: the port of the service, if it has one.
        """
        found = commands.port_in(argv) if port is None else None
        if found is not None:
            self._seen.append((place, *found, "in the command"))
        for argument in argv[1:]:
            if commands.SECRET_ARGUMENT.match(argument):
                self.advice(
                    place,
                    f"{argument.partition('=')[0]} looks like a secret, which everybody sees in the list of processes",
                    "let the application read it from a variable, and write that below secrets",
                    first=True,
                )
        signs = commands.shell_signs(argv)
        if signs:
            self.advice(
                place,
                f"{' '.join(signs)} is an argument of the program, here as there: no shell reads it",
                'write [sh, -c, "exec ..."] if a shell is meant, and leave & out, as the service must stay',
            )
        if any(escaped(argument) != argument for argument in argv):
            word = "port" if any("{port" in argument for argument in argv) else "socket"
            told = f"{{{word}}} in it would stand for the service's {word}, so it is written \\{{{word}}}"
            self.changed(place, told, f"write {{{word}}} if that is meant")

    def port_variables(self, given: t.Mapping[str, str], place: str, *, port: t.Optional[int]) -> None:
        """Note variables of the service that is added next, which look like the port that it listens on."""
        for name, value in given.items():
            found = None if port is not None or name == "PORT" else commands.port_of_variable(name, value)
            if found is not None:
                self._seen.append((f"{place} {name}", name, found, "there"))

    # --- the result ---

    def finish(self) -> Imported:
        """Return the manifest. It passes the check, except for commands that the original does not have.

        A service that no manifest can have is left out, with a note.

        Raises:
            RollcallError: ``wrong_use``: there were problems, or no service is left.
        """
        self.refuse()
        services: t.Dict[str, t.Dict[str, t.Any]] = {}
        user = self._common_user()
        if user is not None:
            self._head["user"] = user
        self.refuse(self._check({"nobody": {"command": ["true"]}}))
        taken: t.Dict[str, int] = {}
        holders: t.Dict[int, str] = {}
        names: t.Dict[str, str] = {}
        self._give_ports()
        for candidate in self._candidates:
            name = self._name(candidate, taken)
            entry = self._entry(name, candidate, holders)
            if entry is not None:
                self._advise_port(candidate)
                self._advise_pool(candidate)
                names[candidate.called] = name
                services[name] = entry
        self._depend(services, names)
        services = {name: {key: entry[key] for key in SERVICE if key in entry} for name, entry in services.items()}
        if not services:
            self.problem("the original", "has no service that could be carried over", corrections.OTHER_FILE)
            self.refuse(self._left_out)
        self.refuse(self._check(services))
        return Imported({"stack": self._stack(services)}, self.notes())

    def _give_ports(self) -> None:
        """Give services the ports of the file that has them, and note those of nobody."""
        left = dict(self._ports)
        for candidate in self._candidates:
            given = left.pop(port_variable(candidate.wanted), None)
            if given is None:
                continue
            own = candidate.entry.get("port")
            if own is not None and own != given[1]:
                told = f"has port {given[1]}, as the file of --ports says; the original says {own}"
                self._notes.add(CHANGED, candidate.place, told, "see that the application takes it", first=True)
            candidate.entry["port"] = given[1]
        for service, port in left.values():
            told = f"has port {port} in the file of --ports, and there is no such service"
            self._notes.add(LOST, service, told, "give its port to the service that is meant", first=True)

    def _depend(self, services: t.Dict[str, t.Dict[str, t.Any]], names: t.Mapping[str, str]) -> None:
        """Write what services wait for, if the manifest can have all of it: no two may wait for each other."""
        waiting = [candidate for candidate in self._candidates if candidate.waits and candidate.called in names]
        before = {name: dict(entry) for name, entry in services.items()}
        for candidate in waiting:
            needed = {names[other]: level for other, level in candidate.waits.items() if other in names}
            if needed:
                services[names[candidate.called]]["depends_on"] = needed
            for other in (other for other, level in needed.items() if level == "completed"):
                services[other]["kind"] = "oneshot"
                for key in ("restart", "health"):
                    services[other].pop(key, None)
        if not waiting or not self._check(services):
            return
        services.update(before)
        for candidate in waiting:
            self.lost(
                candidate.place,
                f"waits for {', '.join(candidate.waits)}, which a manifest cannot have so",
                "write depends_on, without a circle",
            )

    def _advise_port(self, candidate: _Candidate) -> None:
        """Advise on what looks like the port of a service for which nobody has said one."""
        for place, shown, port, where in candidate.seen if "port" not in candidate.entry else ():
            self.advice(
                place,
                f"{shown} looks as if it listened on {port}, and it has no port",
                f"write port: {port} if that is so, and {{port}} for it {where}",
                first=True,
            )

    def _advise_pool(self, candidate: _Candidate) -> None:
        """Advise on a program with workers of its own that all have the signal to stop at once."""
        stop = {"scope": Stop.scope, **self.defaults.get("stop", {}), **candidate.entry.get("stop", {})}
        pool = commands.pool_of(candidate.entry.get("command", ()))
        if pool is not None and stop["scope"] == "group":
            self.advice(
                candidate.place,
                f"is {pool}, whose workers have the signal to stop as well: they may break off what they are doing",
                "write stop: {scope: process} when its own process is to end them in their own time",
            )

    def notes(self) -> t.Tuple[Note, ...]:
        """Return the notes: secrets and ports first, then what is lost, then the others."""
        return self._notes.listed()

    def _stack(self, services: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        ports: t.Dict[str, t.Any] = {}
        if self._also:
            ports["also"] = self._also
        if self._avoid != list(PortRules().avoid):
            ports["avoid"] = self._avoid
        watch = {"alerts": self._alerts} if self._alerts else {}
        stack = {**self._head, "ports": ports, "defaults": self.defaults, "services": dict(services), "watch": watch}
        return {key: stack[key] for key in STACK if stack.get(key)}

    def _check(self, services: t.Mapping[str, t.Any]) -> t.List[Problem]:
        """Return the errors of a manifest with these services."""
        overlay = None if self._commands else {"stack": {"defaults": {"command": ["true"]}}}
        result = check_manifest({"stack": self._stack(services)}, overlay=overlay)
        return [problem for problem in result.problems if problem.severity == "error"]

    def _check_one(self, name: str, entry: t.Mapping[str, t.Any]) -> t.List[Problem]:
        """Return the errors of a manifest with this service. A timer is not alone: no stack has timers only."""
        others = {"others": {"command": ["true"]}} if entry.get("kind") == "timer" else {}
        return self._check({**others, name: entry})

    def _common_user(self) -> t.Optional[str]:
        """Return the user of the stack: the one who ran most services. None when most have none of their own."""
        users = collections.Counter(candidate.user for candidate in self._candidates)
        if not users:
            return None
        user = max(users, key=lambda each: (users[each], each is not None))
        for candidate in self._candidates:
            if candidate.user != user:
                self.lost(
                    candidate.place,
                    f"ran as {candidate.user or 'whoever started it'}; a stack has one user, and this one has "
                    f"{user or 'whoever starts it'}",
                    "make it a stack of its own",
                )
        return user

    def _name(self, candidate: _Candidate, taken: t.Dict[str, int]) -> str:
        """Return a valid name that no other service has, as like as possible to the wanted one.

        Args:
            candidate: the service.
            taken: by the variable of its port each name that is taken, with the last number that it got.
        """
        base = _NOT_IN_A_NAME.sub("_", candidate.wanted)
        if not re.match("[A-Za-z]", base):
            base = f"service_{base}".rstrip("_")
        name = base[:NAME_LENGTH]
        first, number = port_variable(name), taken.get(port_variable(name), 1)
        # Names that differ in - and _ or in case alone would share the variable of their ports.
        while name.lower() in RESERVED_NAMES or port_variable(name) in taken:
            number += 1
            name = f"{base[: NAME_LENGTH - 5]}_{number}"
        taken.update({port_variable(name): 1, first: number})
        if name != candidate.called:
            self.changed(candidate.place, f"{candidate.called} is called {name} here", "rename it as you like")
        return name

    def _entry(self, name: str, candidate: _Candidate, holders: t.Dict[int, str]) -> t.Optional[t.Dict[str, t.Any]]:
        """Return the keys of a service, without a port that it cannot have; None when they do not pass the check."""
        entry: t.Dict[str, t.Any] = _as_text(dict(candidate.entry))
        port, health = entry.pop("port", None), entry.pop("health", None)
        socket = commands.socket_in(candidate.entry.get("command", ()))
        found = self._check_one(name, entry)
        if found:
            for problem in found:
                self.left_out(
                    candidate.place, f"is left out: {problem.place}: {problem.message}", f"{problem.cure}, then add it"
                )
            return None
        if port is not None:
            reason = self._hold(name, {**entry, "port": port}, holders, candidate.place)
            if reason is None:
                entry["port"] = port
            else:
                self._notes.add(
                    LOST,
                    candidate.place,
                    f"has no port here: {reason}",
                    "give it another port, and see that the application takes it from PORT",
                    first=True,
                )
        elif "port" in candidate.entry:
            entry["port"] = None
        if socket:
            self._check_socket(name, entry, socket, candidate.place)
        if health is not None:
            self._check_health(name, entry, health, candidate.place)
        return entry

    def _check_socket(self, name: str, entry: t.Dict[str, t.Any], socket: str, place: str) -> None:
        """Give a service the socket that its command names, or note that it cannot have it."""
        other = self._sockets.get(socket)
        problems = self._check({name: {**entry, "socket": socket}}) if other is None else []
        if other is None and not problems:
            self._sockets[socket] = name
            entry["socket"] = socket
            return
        why, cure = (f"{socket} is that of {other}", corrections.GIVE_ANOTHER) if other else problems[0][1:3]
        self.lost(place, f"has no socket here, so nobody looks whether it listens there: {why}", cure)

    def _check_health(self, name: str, entry: t.Dict[str, t.Any], health: t.Any, place: str) -> None:
        """Give a service its health check, or note that it cannot have it."""
        for problem in self._check({name: {**entry, "health": health}}):
            self.lost(place, f"has no health check here: {problem.message}", problem.cure)
            return
        entry["health"] = health

    def _hold(self, name: str, entry: t.Dict[str, t.Any], holders: t.Dict[int, str], place: str) -> t.Optional[str]:
        """Return why a service cannot have its port; None when it can, and has it from now on."""
        port, rules = entry["port"], PortRules()
        if port in holders:
            return f"port {port} is the port of {holders[port]}"
        before = self._also, self._avoid
        if reasons_to_list(port, rules.low, rules.high):
            self._also = sorted({*self._also, port} - set(rules.protect))
        self._avoid = [other for other in self._avoid if other != port]
        problems = self._check({name: entry})
        if problems:
            self._also, self._avoid = before
            return problems[0].message
        if self._avoid != before[1]:
            self.changed(
                place,
                f"port {port} is one to avoid, as macOS takes it, and was taken off that list",
                "choose another port if that concerns you",
            )
        holders[port] = name
        return None


def _as_text(value: t.Any) -> t.Any:
    """Return a value of the original, its texts written so that they name no port."""
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, list):
        return [_as_text(inner) for inner in value]
    return {key: _as_text(inner) for key, inner in value.items()} if isinstance(value, dict) else value
