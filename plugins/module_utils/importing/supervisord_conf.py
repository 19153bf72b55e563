# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A manifest out of a supervisord.conf. Every process of ``numprocs`` becomes a service of its own.

Values are expanded in supervisor's order: ``environment`` before ``command``, a log's path twice. No file is opened
here: a callback reads the files that ``[include]`` names.
"""

from __future__ import annotations

import collections
import os
import platform
import typing as t

from ..manifest import corrections
from ..manifest.model import LONGEST_STOP, Service, Start, Stop
from ..manifest.places import similar
from ..manifest.values import SIGNALS
from . import conf_values
from .commands import words
from .conf_listeners import LISTENER_KEYS, ConfProcess, Listeners
from .conf_values import ConfSections, ExpansionNames, SectionValues
from .draft import Draft


class Unread(t.NamedTuple):
    """Why a file that a config includes is not read."""

    why: str


# Path and text of every file that a pattern of [include] finds, relative to the config's directory, in order.
Read = t.Callable[[str], t.Iterable[t.Tuple[str, t.Union[str, Unread]]]]

_KILLED = "make its jobs shorter: what it is still doing when that time is over is killed"
# Of [include]; each is searched for in the file system.
_MOST_PATTERNS = 100
# A manifest file has room for some thousand services.
_MOST_PROCESSES = 1000
# The defaults of supervisor, where they are not those of a manifest.
_LOG = {"max_bytes": 50 * 1024 * 1024, "backups": 10}

_PROGRAM_KEYS = words(
    "command process_name numprocs numprocs_start priority autostart autorestart startsecs startretries exitcodes "
    "stopsignal stopwaitsecs stopasgroup killasgroup user redirect_stderr environment directory umask serverurl "
    "stdout_logfile stdout_logfile_maxbytes stdout_logfile_backups stdout_capture_maxbytes stdout_events_enabled "
    "stdout_syslog stderr_logfile stderr_logfile_maxbytes stderr_logfile_backups stderr_capture_maxbytes "
    "stderr_events_enabled stderr_syslog"
)
# Keys of a program that are lost when they are set, and why.
_PROGRAM_LOST: t.Mapping[str, t.Tuple[str, str]] = {
    "serverurl": ("has no counterpart", "let the application call the command rollcall"),
    "stdout_syslog": ("has no counterpart: the log is a file", "let a log shipper read the file"),
    "stderr_syslog": ("has no counterpart: the log is a file", "let a log shipper read the file"),
    "stdout_events_enabled": ("has no counterpart, as there are no event listeners", "let a log shipper read the file"),
    "stderr_events_enabled": ("has no counterpart, as there are no event listeners", "let a log shipper read the file"),
    "stdout_capture_maxbytes": ("has no counterpart, as there are no event listeners", "do without"),
    "stderr_capture_maxbytes": ("has no counterpart, as there are no event listeners", "do without"),
}
_SUPERVISORD_READ = words("user directory environment umask minfds")
_SUPERVISORD_OWN = words(
    "logfile logfile_maxbytes logfile_backups loglevel pidfile identifier nodaemon silent childlogdir nocleanup"
)
_SUPERVISORD_LOST = words("minprocs strip_ansi")
# Open files that supervisord makes sure of without being told (supervisor.options), and the most of a manifest.
_MINFDS, _MOST_FILES = 1024, 2**30
_SECTIONS = words(
    "supervisord supervisorctl include program group eventlistener fcgi-program unix_http_server inet_http_server "
    "rpcinterface"
)
# Keys that supervisor has never had, and people write.
_MEANT: t.Mapping[str, str] = {
    "group": "is no key of a program: it has the groups of its user",
    "username": "is no key of a program that supervisor knows (did you mean user?)",
    "cwd": "is no key of a program that supervisor knows (did you mean directory?)",
    "env": "is no key of a program that supervisor knows (did you mean environment?)",
}


def add(
    draft: Draft,
    text: str,
    *,
    environment: t.Mapping[str, str],
    here: t.Optional[str] = None,
    read: t.Optional[Read] = None,
) -> None:
    """Add the programs of a supervisord.conf to a draft, with notes on everything that is not carried over.

    Everything that supervisor would refuse is a problem of the draft, with its section, key and line.

    Args:
        draft: takes the services, the notes and the problems.
        text: the whole file.
        environment: what ``%(ENV_X)s`` stands for.
        here: directory of the file, absolute; needed where the file says ``%(here)s``.
        read: returns path and text of every file that a pattern of ``[include]`` finds; needed where there is one.

    Raises:
        RollcallError: ``wrong_use``: a text is not a config at all.
    """
    config = ConfSections(draft)
    config.add(text, "")
    names = ExpansionNames(environment)
    names[conf_values.FROM_HERE] = platform.node()
    if here is not None:
        names["here"] = here
    unmatched = _include(draft, config, names, here, read) if config.has("include") else []
    place = config.place("include", "files")
    _Importer(draft, config, names).run()
    for pattern in unmatched:
        told = f"no file matches {pattern}"
        if draft.is_empty():
            draft.problem(place, told, corrections.INCLUDE_ROOT)
        else:
            draft.lost(place, told, corrections.INCLUDE_ROOT)


def _include(
    draft: Draft, config: ConfSections, names: ExpansionNames, here: t.Optional[str], read: t.Optional[Read]
) -> t.List[str]:
    """Read the files that [include] names, and return the patterns that find none.

    ``%(here)s`` in each file is its own directory.
    """
    config.expand_here(here)
    values = SectionValues(draft, config, "include", names)
    place = config.place("include", "files")
    if values.raw("files") is None:
        draft.problem(place, "names no files", corrections.FILES_OR_NO_SECTION)
        return []
    patterns = values.text("files")
    if patterns is None:
        return []
    if read is None:
        draft.problem(place, "names other files, and they cannot be read here", corrections.FILE_NOT_TEXT)
        return []
    listed = patterns.split()
    if len(listed) > _MOST_PATTERNS:
        draft.problem(place, f"has more than {_MOST_PATTERNS} patterns", corrections.SMALLER)
        draft.refuse()
    return [pattern for pattern in listed if not _included(draft, config, place, read(pattern))]


def _included(
    draft: Draft, config: ConfSections, place: str, files: t.Iterable[t.Tuple[str, t.Union[str, Unread]]]
) -> bool:
    """Read the files that one pattern of [include] has found over the config; return whether there were any."""
    found = False
    for path, text in files:
        found = True
        if isinstance(text, Unread):
            draft.lost(place, f"names {path}, and {text.why}", "name the files alone that have programs")
            continue
        config.add(text, path)
        config.expand_here(os.path.dirname(path))
        if config.written_in("include", path):
            draft.lost(
                config.place("include"),
                "is in a file that is included itself, where supervisor does not follow it",
                "import that file by itself if its programs are meant",
            )
    return found


# --- the programs ------------------------------------------------------------------------------------------------

_OWN_MATTER = "is left to Rollcall, which has supervisord's socket, pid file and log below the root"
_LOST_SECTIONS: t.Mapping[str, t.Tuple[str, str]] = {
    "eventlistener:": (
        "is not carried over: an event listener is no service, as it talks to supervisord by its stdin and stdout",
        "see whether rollcall status or watch.alerts tells what it was there for; else leave it to another supervisord",
    ),
    "fcgi-program:": (
        "is not carried over: supervisord opens its socket and hands it down, and a service opens its own",
        "start it with a port or socket of its own, such as php-fpm does, and add it as a service",
    ),
    "inet_http_server": ("is not carried over: supervisord listens on its unix socket alone", "use rollcall status"),
    "rpcinterface:": ("has no counterpart", "do without, or leave it to a supervisord of its own"),
    "ctlplugin:": ("has no counterpart, as supervisorctl is not used", "do without"),
}


class _Importer:
    """Carries the sections of a config over to a draft.

    Args:
        draft: takes what is found.
        config: the sections.
        names: what may stand in every value.
    """

    def __init__(self, draft: Draft, config: ConfSections, names: ExpansionNames) -> None:
        self._draft = draft
        self._config = config
        self._names = names
        self._user: t.Optional[str] = None
        self._directory: t.Optional[str] = None
        self._port: t.Dict[str, str] = {}
        self._count = 0

    def run(self) -> None:
        """Add every process, in the order of priorities, then of the file."""
        self._draft.defaults["log"] = dict(_LOG)
        if self._config.has("supervisord"):
            self._supervisord()
        else:
            self._draft.advice("the file", "has no [supervisord]: it is a part of a config", "import the whole one")
        processes = self._groups()
        self._listeners = Listeners(self._draft, self._config, self._names, processes)
        self._other_sections()
        self._listeners.carry()
        if processes:
            self._draft.changed(
                "every program",
                "was given supervisord's own environment, and is given PATH, the locale and what stands here",
                "add what it needs to defaults.env",
            )
        self._share_scope(processes)
        names = collections.Counter(process.name for process in processes)
        for process in sorted(processes, key=lambda process: process[:3]):
            called = self._called(process, names)
            wanted = called.replace(":", "-", 1) if names[process.name] > 1 else called
            entry = process.entry
            section = f"program:{process.program}"
            self._draft.command(entry["command"], self._config.place(section, "command"), port=entry.get("port"))
            place = self._config.place(section, "environment")
            self._draft.port_variables(entry.get("env", {}), place, port=entry.get("port"))
            self._draft.add(
                wanted,
                entry,
                place=process.place,
                user=process.user,
                called=called,
                waits={self._called(other, names): level for other, level in process.waits},
            )

    @staticmethod
    def _called(process: ConfProcess, names: t.Mapping[str, int]) -> str:
        """Return the name of a process; with its group when another one has the same."""
        return process.name if names[process.name] == 1 else f"{process.group}:{process.name}"

    def _share_scope(self, processes: t.Iterable[ConfProcess]) -> None:
        """Write who is told to stop where it differs from the default: supervisor's own, unless none has that."""
        usual = "group"
        if any(process.entry["stop"]["scope"] == "process" for process in processes):
            usual = "process"
            self._draft.defaults["stop"] = {"scope": usual}
        for process in processes:
            stop = {key: value for key, value in process.entry.pop("stop").items() if (key, value) != ("scope", usual)}
            if stop:
                process.entry["stop"] = stop

    # --- what is not a program ---

    def _supervisord(self) -> None:
        values = self._values("supervisord", self._names)
        # supervisor expands this value twice.
        text = values.expand("environment", values.text("environment") or "") or ""
        variables = values.variables(text)
        self._names.put_variables(variables)
        self._port = {name: value for name, value in variables.items() if name == "PORT"}
        others = {name: value for name, value in variables.items() if name != "PORT"}
        self._draft.defaults.update(self._draft.variables(others, values.place("environment")))
        self._user = values.text("user")
        self._draft.defaults.update(self._umask(values))
        self._directory = self._checked_directory(values)
        self._open_files(values)
        for key in self._config.keys("supervisord"):
            if key in _SUPERVISORD_OWN:
                self._draft.minor(values.place(key), _OWN_MATTER)
            elif key in _SUPERVISORD_LOST:
                self._draft.lost(values.place(key), "has no counterpart", "set it for the host, or in the application")
            elif key not in _SUPERVISORD_READ:
                self._unknown(values.place(key), key, "key", _SUPERVISORD_READ | _SUPERVISORD_OWN | _SUPERVISORD_LOST)

    def _open_files(self, values: SectionValues) -> None:
        """Write how many files the programs may have open: they inherit what supervisord has made sure of."""
        files = values.within("minfds", _MINFDS, _MOST_FILES)
        if files > _MINFDS:
            self._draft.defaults["limits"] = {"nofile": files}
            self._draft.changed(
                values.place("minfds"),
                "is limits.nofile of every service: so many files it may have open",
                "give it to those alone that need it",
            )
        elif values.raw("minfds") is not None:
            self._draft.minor(values.place("minfds"), "asks for no more open files than every process may have")

    def _other_sections(self) -> None:
        for section in self._config.sections():
            place = self._config.place(section)
            lost = next((why for start, why in _LOST_SECTIONS.items() if section.startswith(start)), None)
            if section.startswith(("unix_http_server", "supervisorctl")) or section == "rpcinterface:supervisor":
                self._draft.minor(place, _OWN_MATTER)
            elif section.startswith("eventlistener:") and self._listeners.take(section):
                continue
            elif lost is not None:
                self._draft.left_out(place, *lost)
            elif not section.startswith(("program:", "group:")) and section not in ("supervisord", "include"):
                self._unknown(place, section.partition(":")[0], "section", _SECTIONS)

    def _unknown(self, place: str, name: str, what: str, known: t.Iterable[str]) -> None:
        meant = _MEANT.get(name) or f"is no {what} that supervisor knows{similar(name, sorted(known))}"
        self._draft.advice(
            place, f"{meant}, so it has no effect there, either", "see if it is misspelt, and write what is meant"
        )

    def _values(self, section: str, names: ExpansionNames) -> SectionValues:
        return SectionValues(self._draft, self._config, section, names)

    # --- groups and programs ---

    def _groups(self) -> t.List[ConfProcess]:
        found: t.List[ConfProcess] = []
        grouped: t.Set[str] = set()
        for section in self._config.sections("group:"):
            values = self._values(section, self._names)
            group = values.convert(
                "", section.partition(":")[2], "", conf_values.read_name, "a name without spaces, : and /"
            )
            priority = self._priority(values)
            programs = values.text("programs")
            for program in programs.split(",") if programs else ():
                member = self._member(values, program.strip())
                grouped.add(member)
                if member.startswith("program:"):
                    found += self._processes(member, group, priority)
            self._draft.lost(
                values.place(), "has no counterpart: its programs are services by themselves", "name them one by one"
            )
        for section in self._config.sections("program:"):
            if section not in grouped:
                found += self._processes(section, section.partition(":")[2].strip(), None)
        return found

    def _member(self, values: SectionValues, program: str) -> str:
        """Return the section of a group's program, '' and a problem when there is not exactly one."""
        sections = [kind + program for kind in ("program:", "fcgi-program:") if self._config.has(kind + program)]
        if len(sections) == 1:
            return sections[0]
        what = "is there twice, once as fcgi-program" if sections else "is not there"
        self._draft.problem(values.place("programs"), f"program {program} {what}", corrections.CORRECT_LIST)
        return ""

    def _priority(self, values: SectionValues) -> int:
        if values.raw("priority") is not None:
            self._draft.lost(
                values.place("priority"),
                "has no counterpart: services are listed in its order, and start together",
                "write depends_on where one needs another",
            )
        return values.whole("priority", 999)

    def _processes(self, section: str, group: str, group_priority: t.Optional[int]) -> t.List[ConfProcess]:
        """Return the processes of a program, as members of a group."""
        names = ExpansionNames({})
        names.take(self._names)
        values = self._values(section, names)
        program = values.convert(
            "", section.partition(":")[2], "", conf_values.read_name, "a name without spaces, : and /"
        )
        names.update(program_name=program, group_name=group)
        self._lost_keys(section, values)
        priority = self._priority(values)
        common = self._common(values)
        name = values.raw("process_name") or "%(program_name)s"
        values.name("process_name", name)
        count, first = values.whole("numprocs", 1), values.whole("numprocs_start", 0)
        self._numprocs(values, count, name)
        self._count += max(0, min(count, _MOST_PROCESSES))
        self._draft.require_room(values.place(), self._count)
        found = []
        for number in range(first, first + min(count, _MOST_PROCESSES)):
            # As in supervisor, a variable of one process stays for the next, unless the environment has it.
            names.take(self._names)
            names.update(process_num=number, numprocs=count)
            entry = self._process(values, common)
            called = values.expand("process_name", name)
            if entry is not None and called is not None:
                user = values.text("user") or self._user
                order = priority if group_priority is None else group_priority
                found.append(
                    ConfProcess(order, group, priority, called.strip(), entry, values.place(), user, program, [])
                )
        return found

    def _lost_keys(self, section: str, values: SectionValues) -> None:
        for key in self._config.keys(section):
            if key in _PROGRAM_LOST and values.is_set(key):
                self._draft.lost(values.place(key), *_PROGRAM_LOST[key])
            elif key not in _PROGRAM_KEYS and key not in LISTENER_KEYS:
                self._unknown(values.place(key), key, "key of a program", _PROGRAM_KEYS)

    def _numprocs(self, values: SectionValues, count: int, name: str) -> None:
        place = values.place("numprocs")
        if count > 1 and "%(process_num)" not in name:
            self._draft.problem(
                place, "is above 1, and process_name has no %(process_num)d", corrections.PROCESS_NUMBER
            )
        if count > _MOST_PROCESSES:
            self._draft.problem(place, f"is above {_MOST_PROCESSES}", corrections.FEWER_PROCESSES)
        elif count > 1:
            self._draft.divided(place, count)
        elif count < 1:
            self._draft.lost(place, "says that there is no process", "do nothing, or add the service")

    def _common(self, values: SectionValues) -> t.Dict[str, t.Any]:
        """Return the keys that all processes of a program share: start, stop, restart."""
        restart = values.read("autorestart", Service.restart, conf_values.read_restart, "true, false or unexpected")
        codes = values.read("exitcodes", [0], conf_values.read_exit_codes, "a list of exit codes")
        if restart == "unexpected" and codes != [0]:
            self._draft.lost(
                values.place("exitcodes"),
                "is not carried over: 0 alone is expected, and after any other the service is started again",
                "let it end with 0, or write restart: always or never",
            )
        if not values.truth("autostart", True) and not any(values.is_set(key) for key in LISTENER_KEYS):
            self._draft.changed(
                values.place("autostart"),
                "was not started with supervisord, and a run starts every service",
                "remove the service if it is started by hand; write kind: oneshot if it runs to its end",
            )
        seconds, retries = values.within("startsecs", 1, 3600), values.within("startretries", 3, 1000)
        timeout = values.within("stopwaitsecs", 10, LONGEST_STOP, cure=_KILLED)
        if restart == "never" or (restart == "unexpected" and seconds == 0):
            self._draft.advice(
                values.place(),
                "may end, and is not started again then, so the verdict would say that it is down",
                "write kind: oneshot if it runs to its end, once, or ends: expected if it is done from time to time",
            )
        start = {"seconds": seconds, "retries": retries}
        stop = {"signal": self._stop_signal(values), "timeout": timeout}
        entry: t.Dict[str, t.Any] = {
            "start": {key: value for key, value in start.items() if value != getattr(Start, key)},
            "stop": {
                **{key: value for key, value in stop.items() if value != getattr(Stop, key)},
                "scope": self._stop_scope(values),
            },
            "restart": None if restart == Service.restart else restart,
            "ready_timeout": None if seconds < Service.ready_timeout else seconds + int(Service.ready_timeout),
        }
        return {key: value for key, value in entry.items() if value}

    def _stop_signal(self, values: SectionValues) -> str:
        name = values.read("stopsignal", Stop.signal, conf_values.read_signal, "a signal")
        if name not in SIGNALS:
            self._draft.changed(
                values.place("stopsignal"),
                f"is TERM here, as {name} is none of {', '.join(SIGNALS)}",
                "see that TERM ends it",
            )
            name = Stop.signal
        return name

    def _stop_scope(self, values: SectionValues) -> str:
        as_group = values.truth("stopasgroup", False)
        if not values.truth("killasgroup", as_group):
            if as_group:
                place = values.place("killasgroup")
                self._draft.problem(place, "is off, and stopasgroup is on", corrections.BOTH_GROUPS)
            self._draft.minor(
                values.place(), "takes its children along when it must be killed, as with killasgroup=true"
            )
        return "group" if as_group else "process"

    # --- one process ---

    def _process(self, values: SectionValues, common: t.Mapping[str, t.Any]) -> t.Optional[t.Dict[str, t.Any]]:
        """Return the keys of one process; None when it has no command that can be run."""
        text = values.expand("environment", values.raw("environment") or "") or ""
        variables = values.variables(text)
        values.names.put_variables(variables)
        directory = self._directory_of(values)
        log = self._log(values)
        argv = self._argv(values)
        if not argv:
            return None
        entry: t.Dict[str, t.Any] = {"command": [self._program(values, argv[0], directory), *argv[1:]], **common}
        entry.update(self._draft.variables({**self._port, **variables}, values.place("environment")))
        entry.update(self._umask(values))
        if directory is not None:
            entry["directory"] = directory
        if log != _LOG:
            entry["log"] = log
        return entry

    @staticmethod
    def _umask(values: SectionValues) -> t.Dict[str, str]:
        """Return the key ``umask`` of a section that has one. supervisord's own is that of its programs."""
        umask = values.read("umask", None, conf_values.read_umask, "octal digits, such as 022")
        return {} if umask is None else {"umask": umask}

    def _directory_of(self, values: SectionValues) -> t.Optional[str]:
        """Return the directory of a program; None is the root."""
        own = self._checked_directory(values)
        if own is not None:
            return own if self._directory is None else os.path.join(self._directory, own)
        if values.raw("directory") is None and self._directory is None:
            self._draft.changed(
                values.place(),
                "has no directory: it ran where supervisord was started, and runs in the root here",
                "give it a directory if it was not the root",
            )
        return self._directory

    def _checked_directory(self, values: SectionValues) -> t.Optional[str]:
        directory = values.text("directory")
        if directory is None:
            return None
        place = values.place("directory")
        if not directory or directory.startswith("~"):
            self._draft.lost(place, "is no path", corrections.NO_TILDE)
            return None
        if not os.path.isabs(directory) and self._directory is None:
            self._draft.changed(
                place, "is relative, to the root here and to supervisord's directory there", "see that it is right"
            )
        return directory

    def _argv(self, values: SectionValues) -> t.List[str]:
        """Return a program's arguments; none, and a note, when supervisord could not start it."""
        place = values.place("command")
        if values.raw("command") is None:
            self._draft.problem(place, "the program has no command", corrections.ADD_COMMAND)
        text = values.text("command")
        if text is None:
            return []
        try:
            argv = self._draft.split(text, place)
        except ValueError:
            argv = []
        if not argv:
            self._draft.left_out(
                place,
                "is no command, so the program is left out",
                "see its quotes; supervisor cuts a line off at a ; or # after white space, also within quotes",
            )
        return argv

    def _program(self, values: SectionValues, program: str, directory: t.Optional[str]) -> str:
        """Return a program that a manifest can have: absolute when it leads out of its directory."""
        if "/" not in program or os.path.isabs(program):
            return program
        self._draft.changed(
            values.place("command"),
            "names a program that is looked for in the service's directory; supervisord began at its own",
            "see that it is there",
        )
        if os.path.normpath(program).startswith(".."):
            return os.path.normpath(os.path.join(self._draft.root, directory or "", program))
        return program

    def _log(self, values: SectionValues) -> t.Dict[str, int]:
        """Return the limits of a program's log, and note that its files are elsewhere."""
        limits = {
            "max_bytes": values.within("stdout_logfile_maxbytes", _LOG["max_bytes"], 2**40, conf_values.read_size),
            "backups": values.within("stdout_logfile_backups", _LOG["backups"], 1000),
        }
        merged = values.truth("redirect_stderr", False)
        paths = {}
        for key in ("stdout_logfile", "stderr_logfile"):
            paths[key] = values.expand(key, values.text(key) or "") or "auto"  # supervisor expands it twice
        if not merged:
            self._draft.minor(values.place(), "has stderr in one log with stdout")
        for key, path in paths.items():
            self._log_path(values.place(key), path, ignored=merged and key == "stderr_logfile")
        # The limits count only when the log was a file; it may have been a terminal, or none.
        no_file = paths["stdout_logfile"].lower() in ("none", "off", "syslog")
        return dict(_LOG) if no_file or paths["stdout_logfile"].startswith("/dev/") else limits

    def _log_path(self, place: str, path: str, *, ignored: bool) -> None:
        word = path.lower()
        if ignored or word == "auto":
            return
        if word == "syslog":
            self._draft.lost(place, "has no counterpart: the log is a file", "let a log shipper read the file")
        elif word in ("none", "off"):
            self._draft.minor(place, "is none, and here all that it says is kept, in logs below the root")
        else:
            self._draft.changed(
                place,
                "is not written: each service has its log in logs/NAME.log, below the root",
                "tell those who read it, such as a log shipper or logrotate, where it is",
            )
