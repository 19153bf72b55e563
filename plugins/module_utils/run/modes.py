# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The restart modes: what each is called, what it does, and which verb offers it.

Plan, preflight and limits read what a mode does; the command's parser, the options of the module, the pages, and
``./restart`` derive from the table as well, the last three by ``make generate``. A new mode is a new entry here.
"""

from __future__ import annotations

import typing as t

from ..base.errors import RollcallError

# What a mode stops and starts.
NOTHING = "nothing"
# What has changed or is not healthy, and what depends on it.
NEEDED = "needed"
# Every service, and supervisord.
ALL = "all"


class Mode(t.NamedTuple):
    """One restart mode.

    Attributes:
        name: by which it is asked for and recorded.
        help: what it does, for people: a phrase that begins with a verb.
        aliases: other names by which it can be asked for.
        title: what the roll call names a run of it.
        verb: the verb of ``rollcall`` that runs it; the modes of ``restart`` are its argument, and ``./restart``'s.
        stops: ``NOTHING``, ``NEEDED`` or ``ALL``.
        starts: whether what is stopped, or is down, is started.
        frees_ports: whether what listens on the ports of the services is ended, as far as the policy allows.
        asks_first: whether it is refused when supervisord is alive and does not answer.
        kills: whether all that does not end within a few seconds is killed.
        by_name: whether it can be about some services only.
    """

    name: str
    help: str
    aliases: t.Tuple[str, ...] = ()
    title: str = ""
    verb: str = "restart"
    stops: str = ALL
    starts: bool = True
    frees_ports: bool = True
    asks_first: bool = True
    kills: bool = False
    by_name: bool = False

    @property
    def names(self) -> t.Tuple[str, ...]:
        """Every name by which it can be asked for, its own first."""
        return (self.name, *self.aliases)


FULL = Mode(
    "full",
    "stop supervisord and all services, free every port of the manifest, end what is left over from earlier runs, "
    "start the services in order, verify",
    aliases=("master",),
    title="full restart",
    by_name=True,
)
QUICK = Mode(
    "quick",
    "stop supervisord and all services, start the services in order, verify; no port is freed",
    title="quick restart",
    frees_ports=False,
    by_name=True,
)
EMERGENCY = Mode(
    "emergency",
    "as full, for when something hangs: kill what does not end within a few seconds, and end every supervisord of the "
    "stack, also one that does not answer, a second one, and one without its socket; a run that has locked the stack "
    "and hangs is ended first",
    aliases=("force",),
    title="emergency restart",
    asks_first=False,
    kills=True,
)
AUTO = Mode(
    "auto",
    "start what is new, changed, not running or not healthy, and what depends on it; leave the rest alone",
    title="converge",
    stops=NEEDED,
    by_name=True,
)
FLUSH = Mode(
    "flush",
    "free the assigned ports of what is left over; restart nothing",
    title="flush",
    verb="flush",
    stops=NOTHING,
    starts=False,
)
STOP = Mode(
    "stop",
    "stop all services and their supervisord; end what is left over from earlier ones",
    title="stop",
    verb="stop",
    starts=False,
    frees_ports=False,
    by_name=True,
)
RELOAD = Mode(
    "reload",
    "have services read their files anew without a restart, those that are named or all with `reload` in the manifest; "
    "prove that each has the same process and answers",
    title="reload",
    verb="reload",
    stops=NOTHING,
    starts=False,
    frees_ports=False,
    by_name=True,
)
ROLLBACK = Mode(
    "rollback",
    "go back to the last verified generation before this one, or to another that is kept: manifest, config, private "
    "files and release together",
    title="rollback",
    verb="rollback",
    stops=NEEDED,
)

RERUN = Mode(
    "rerun",
    "run the oneshots that are named again, such as a migration, and prove that they end well; all else is left alone",
    title="rerun",
    verb="rerun",
    frees_ports=False,
    by_name=True,
)

MODES = (FULL, QUICK, EMERGENCY, AUTO, FLUSH, RELOAD, STOP, ROLLBACK, RERUN)
# What `rollcall restart` and `./restart` take.
RESTARTS = tuple(mode for mode in MODES if mode.verb == "restart")
BY_NAME: t.Mapping[str, Mode] = {name: mode for mode in MODES for name in mode.names}


def title_by_name(mode: Mode) -> str:
    """Return what a run of a mode is called that is about some services only.

    By name, the modes that restart everything differ in nothing that would be worth a word.
    """
    return "restart" if (mode.verb, mode.stops) == ("restart", ALL) else mode.title


def mode_named(name: str) -> Mode:
    """Return the mode with this name or alias.

    Raises:
        RollcallError: ``wrong_use``: there is none.
    """
    if name not in BY_NAME:
        raise RollcallError(f"There is no mode '{name}'. Modes: {', '.join(BY_NAME)}.", kind="wrong_use")
    return BY_NAME[name]
