# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A manifest out of an ecosystem file of PM2, in JSON or YAML. One in JavaScript is a program, and is not run.

PM2 keeps what it starts: it restarts an app however it ended, and stops it with SIGINT. Its other defaults are near
enough to ours. Apps in cluster mode share one port, which no two services do.
"""

from __future__ import annotations

import json
import math
import os
import re
import typing as t
from collections.abc import Mapping

from ..manifest import corrections
from ..manifest.file import Loaded, parse_manifest
from ..manifest.model import LONGEST_STOP
from ..manifest.places import Place, is_list, kind_of, name_place
from .commands import words
from .draft import Draft
from .javascript import BEGINS, NotData, as_json

# Other names of a key that PM2 takes. Besides, every a_key may be written aKey.
_ALIASES: t.Mapping[str, t.Tuple[str, ...]] = {
    "script": ("exec", "cmd", "command"),
    "exec_interpreter": ("interpreter",),
    "node_args": ("interpreter_args",),
    "out_file": ("out", "output", "out_log"),
    "error_file": ("error", "err", "err_file", "err_log"),
    "log_file": ("log",),
    "cron_restart": ("cron",),
    "merge_logs": ("combine_logs",),
    "pid_file": ("pid",),
    "uid": ("user",),
}
_CANONICAL = {alias: key for key, aliases in _ALIASES.items() for alias in aliases}
_READ = words(
    "name script args exec_interpreter node_args cwd env port instances exec_mode instance_var increment_var uid "
    "autorestart stop_exit_codes max_restarts min_uptime kill_timeout treekill cron_restart"
)
# Keys without a note: another note covers them, or they do not matter here.
_UNSAID = words(
    "vizion pmx automation source_map_support disable_source_map_support merge_logs force trace disable_trace "
    "execute_command windows_hide username kill_retry_time v8 event_loop_inspector deep_monitoring io write"
)
_LOGS = frozenset(["out_file", "error_file", "log_file"])
_CURES: t.Mapping[str, str] = {
    "watch": "restart it when it is deployed, by: rollcall restart",
    "max_memory_restart": "set a limit in the runtime, such as node --max-old-space-size",
    "wait_ready": "give the service a port and a health check: it is waited for",
    "listen_timeout": "give the service a port and a health check; ready_timeout is how long it has",
    "shutdown_with_message": "let the application end on a signal",
    "gid": "let the user's own group be the right one",
    "pid_file": "ask rollcall status for the pid",
    "log_date_format": "let the application write the time",
    "time": "let the application write the time",
    "log_type": "let the application write JSON",
    "disable_logs": "do without: all that it says is kept, within log.max_bytes",
    "filter_env": "do nothing more: of the environment it is given PATH, the locale and what stands here",
    "namespace": "make it a stack of its own, or do without",
    "restart_delay": "do without: supervisord waits longer from try to try",
    "exp_backoff_restart_delay": "do nothing: supervisord waits longer from try to try",
}
_RESTART_BY_TIME = "let a timer of systemd, or cron, run rollcall restart NAME"
# What a timer has of the keys that an app comes to.
_OF_TIMER = ("command", "directory", "stop")
_UNDECIDED = (".ts", ".tsx", ".coffee", ".ls")
_INTERPRETERS: t.Mapping[str, str] = {
    ".js": "node",
    ".mjs": "node",
    ".cjs": "node",
    ".py": "python3",
    ".sh": "bash",
    ".rb": "ruby",
    ".php": "php",
    ".pl": "perl",
}
# The defaults of PM2 (lib/API/schema.json, constants.js), where they are not those of a manifest.
_STOP = {"signal": "INT", "timeout": 1.6}
_RETRIES = 16
# PM2's own server of files (lib/API/Serve.js), and its defaults.
_SERVE, _SERVE_PORT, _SERVE_PATH = "serve", "8080", "."
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "": 0.001}
_TIME = re.compile(r"([0-9]{1,15})([hms]?)\Z")
_ENDLESS = 10**15
_MOST_INSTANCES = 100


def recognise(data: t.Any) -> bool:
    """Return whether data comes from an ecosystem file."""
    apps = _apps(data)
    return bool(apps) and all(isinstance(app, Mapping) and "script" in _keys(app) for _name, app in apps)


def all_keys(names: t.Iterable[str]) -> bool:
    """Return whether all names are keys of an app: a file of lines ``name: command`` is a Procfile otherwise."""
    known = {*_READ, *_UNSAID, *_LOGS, *_CURES, *_CANONICAL}
    return all(name in known for name in names)


def add(draft: Draft, text: str) -> None:
    """Add the apps of an ecosystem file, JSON or YAML, to a draft.

    Args:
        draft: takes the services, the notes and the problems.
        text: the whole file.

    Raises:
        RollcallError: ``wrong_use``: the text is neither JSON nor YAML, or holds no apps.
    """
    loaded = _load(draft, text)
    draft.refuse_text(loaded.problems)
    apps = _apps(loaded.data)
    if not apps:
        draft.problem("the file", "has no apps", corrections.ECOSYSTEM)
        draft.refuse()
    if isinstance(loaded.data, Mapping) and "deploy" in loaded.data:
        draft.lost("deploy", "is not carried over", "let Ansible bring the release to its hosts")
    draft.defaults.update(restart="always", stop=dict(_STOP), start={"retries": _RETRIES})
    draft.changed(
        "every app",
        f"is restarted however it ends, up to {_RETRIES} times in a row, and stopped with SIGINT and, 1.6 s later, "
        "SIGKILL, as by PM2",
        "change the defaults if you like",
    )
    draft.changed(
        "every app",
        "was given the environment of who started it, and is given PATH, the locale and what stands here",
        "add what it needs to defaults.env",
    )
    for place, data in apps:
        if isinstance(data, Mapping):
            _App(draft, place, data, loaded.lines).add()
        else:
            draft.problem(name_place(place), f"is {kind_of(data)}, not a mapping", corrections.AN_APP)


def read_as_pm2(text: str) -> Loaded:
    """Return the data in an ecosystem file: JSON, JavaScript that is plain data, or YAML.

    Raises:
        NotData: it is JavaScript that would have to be run.
    """
    if not BEGINS.match(text):
        return parse_manifest(text.encode("utf-8", "replace"))
    plain = parse_manifest(text.encode("utf-8", "replace"), json_only=True)
    return plain if not plain.failed else parse_manifest(as_json(text).encode("utf-8", "replace"), json_only=True)


def _load(draft: Draft, text: str) -> Loaded:
    try:
        loaded = read_as_pm2(text)
    except NotData as exc:
        draft.problem(exc.place, exc.words, corrections.PRINT_AS_JSON)
        draft.refuse()
        raise
    try:
        if BEGINS.match(text) and not loaded.failed:
            json.loads(text)
    except ValueError as exc:
        place = f"line {exc.lineno}, column {exc.colno}" if isinstance(exc, json.JSONDecodeError) else "the file"
        draft.advice(place, "is JavaScript and no JSON; it was read as PM2 reads it", corrections.PRINT_AS_JSON)
    return loaded


def _apps(data: t.Any) -> t.List[t.Tuple[Place, t.Any]]:
    """Return the apps of an ecosystem file, each with its place. The file has a list of them, or one app."""
    place: Place = ()
    if isinstance(data, Mapping):
        key = next((key for key in ("apps", "pm2") if key in data), None)
        place, data = ((), data) if key is None else ((key,), data[key])
    if is_list(data):
        return [((*place, index), app) for index, app in enumerate(data)]
    return [(place, data)] if isinstance(data, Mapping) and (place or "script" in _keys(data)) else []


def _keys(app: t.Mapping[t.Any, t.Any]) -> t.Dict[str, t.Any]:
    """Return an app with each key under its proper name. Where two names of a key are there, the proper one counts."""
    return _read_keys(app)[0]


def _read_keys(app: t.Mapping[t.Any, t.Any]) -> t.Tuple[t.Dict[str, t.Any], t.List[t.Tuple[str, str]]]:
    """Return the keys of an app by their proper names, and each name that counts for nothing beside another one."""
    found: t.Dict[str, t.Any] = {}
    written: t.Dict[str, str] = {}
    ignored = []
    names = []
    for key in map(str, app):
        snake = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", key).lower() if not key.startswith("env_") else key
        names.append((key, _CANONICAL.get(snake, snake)))
    for key, name in sorted(names, key=lambda each: each[0] != each[1]):  # proper names first
        value = app.get(key)
        if not found.get(name):
            found[name], written[name] = value, key
        elif value:
            ignored.append((key, written[name]))
    order = {name: number for number, (_key, name) in enumerate(names)}
    return {name: found[name] for name in sorted(found, key=lambda each: order[each])}, ignored


class _App:
    """One app on its way into a draft."""

    def __init__(self, draft: Draft, place: Place, data: t.Mapping[t.Any, t.Any], lines: t.Mapping[Place, int]) -> None:
        self._draft = draft
        self._keys, self._ignored = _read_keys(data)
        self._line = lines.get(place)
        name = self._keys.get("name")
        self._shown = f"app {name}" if isinstance(name, str) and name else name_place(place) or "the app"

    def add(self) -> None:
        """Add the app: one service, or several when it has instances that share no port."""
        script = self._text("script")
        if not script:
            self._wrong("script", "is missing", corrections.A_SCRIPT)
            return
        self._lost_keys()
        if script == _SERVE:
            self._serve()
            self._lose_cron()
            return
        argv = self._command(script)
        name = self._text("name") or os.path.splitext(os.path.basename(script))[0]
        entry: t.Dict[str, t.Any] = {"command": argv, **self._times(), **self._directory()}
        variables = self._variables()
        if os.path.basename(argv[0]).startswith("python"):
            variables.setdefault("PYTHONUNBUFFERED", "1")  # PM2 sets it, too
        if self._timer(name, entry, variables):
            return
        self._lose_cron()
        count = self._instances(argv)
        for number in range(count):
            own = self._of_instance(variables, number, count)
            keys = self._draft.variables(own, self._place("env"))
            self._draft.command(argv, self._place("args"), port=keys.get("port"))
            self._draft.port_variables(own, self._place("env"), port=keys.get("port"))
            called = name if count == 1 else f"{name}-{number}"
            self._draft.add(called, {**entry, **keys}, place=self._place(), user=self._user())

    def _timer(self, name: str, entry: t.Mapping[str, t.Any], variables: t.Mapping[str, str]) -> bool:
        """Add a job on a schedule, PM2's ``cron_restart`` without ``autorestart``; return whether it is one."""
        cron = self._keys.get("cron_restart")
        one = self._keys.get("instances") in (None, 0, 1, "1")
        timer = {"kind": "timer", "cron": cron, **{key: entry[key] for key in _OF_TIMER if key in entry}}
        if not cron or not one or self._keys.get("autorestart") is not False or not self._draft.fits(timer):
            return False
        keys = self._draft.variables(variables, self._place("env"))
        if keys.pop("port", None) is not None:
            self._draft.lost(self._place("env"), "has PORT, and a timer has no port", "rename it in the application")
        self._draft.changed(
            self._place("cron_restart"),
            "is kind: timer: it runs at these times, one job after another, and not when all is started",
            "see that timeout, an hour, and the host's time zone are right",
        )
        self._draft.command(timer["command"], self._place("args"))
        self._draft.add(name, {**timer, **keys}, place=self._place(), user=self._user())
        return True

    def _lose_cron(self) -> None:
        if self._keys.get("cron_restart"):
            told = "restarted it at these times, and nothing does so here"
            self._draft.lost(self._place("cron_restart"), told, _RESTART_BY_TIME)

    def _serve(self) -> None:
        """Add PM2's own server of files: Python's is nearest to it, and is on every host."""
        variables = self._variables()
        path = variables.pop("PM2_SERVE_PATH", _SERVE_PATH)
        port = self._draft.port(variables.pop("PM2_SERVE_PORT", _SERVE_PORT), self._place("env"))
        for name in [name for name in variables if name.startswith("PM2_SERVE_")]:
            if variables.pop(name) not in ("", "false"):
                self._draft.lost(
                    self._place(f"env {name}"), "python3 -m http.server has nothing like it", "use a web server"
                )
        argv = ["python3", "-m", "http.server", str(port or _SERVE_PORT), "--directory", path]
        self._draft.changed(
            self._place("script"),
            "is the server of files in PM2, and python3 -m http.server here",
            "put a web server in its place if the world sees it",
        )
        keys = self._draft.variables(variables, self._place("env"))
        entry = {"command": argv, **self._times(), **self._directory(), **keys, "port": port}
        name = self._text("name") or _SERVE
        self._draft.add(name, entry, place=self._place(), user=self._user())

    def _user(self) -> t.Optional[str]:
        user = self._keys.get("uid")
        return None if user is None else str(user)

    def _directory(self) -> t.Dict[str, str]:
        directory = self._text("cwd")
        if not directory:
            self._draft.changed(
                self._place("cwd"), "is not set: it runs in the root", "give it a directory if it was another"
            )
            return {}
        if directory.startswith("~"):
            self._draft.lost(self._place("cwd"), "is below a home, so it runs in the root", corrections.NO_TILDE)
            return {}
        if not os.path.isabs(directory):
            self._draft.changed(
                self._place("cwd"), "is relative, to the root here and to where PM2 began there", "see that it is right"
            )
        return {"directory": directory}

    # --- keys ---

    def _place(self, key: str = "") -> str:
        return f"{self._shown}{' ' if key else ''}{key}" + ("" if self._line is None else f" (line {self._line})")

    def _wrong(self, key: str, message: str, cure: str) -> None:
        self._draft.problem(self._place(key), message, cure)

    def _text(self, key: str) -> t.Optional[str]:
        value = self._keys.get(key)
        if value is None or isinstance(value, str):
            return value
        self._wrong(key, f"is {kind_of(value)}, not text", corrections.WRITE_TEXT)
        return None

    def _arguments(self, key: str) -> t.List[str]:
        value = self._keys.get(key)
        if value is None:
            return []
        if isinstance(value, str):
            try:
                return self._draft.split(value, self._place(key))
            except ValueError:
                self._wrong(key, "has a quote without its counterpart", corrections.WRITE_LIST)
                return []
        if is_list(value) and not any(isinstance(item, Mapping) or is_list(item) for item in value):
            return [_as_text(item) for item in value]
        self._wrong(key, f"is {kind_of(value)}, not a list of text", corrections.WRITE_LIST)
        return []

    def _whole(self, key: str) -> t.Optional[int]:
        value = self._keys.get(key)
        if isinstance(value, str) and re.match(r"-?[0-9]{1,9}\Z", value):
            return int(value)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        self._wrong(key, f"is {kind_of(value)}, not a whole number", corrections.WRITE_WHOLE)
        return None

    def _seconds(self, key: str) -> t.Optional[float]:
        """Return a time in seconds. PM2 counts in milliseconds where there is no unit."""
        value = self._keys.get(key)
        if value is None:
            return None
        # A number may have more digits than Python writes.
        endless = isinstance(value, int) and abs(value) >= _ENDLESS
        found = None if isinstance(value, bool) or endless else _TIME.match(str(value))
        if found is None:
            self._wrong(key, "is no time", corrections.WRITE_TIME)
            return None
        seconds = int(found.group(1)) * _UNITS[found.group(2)]
        return int(seconds) if seconds.is_integer() else seconds

    def _lost_keys(self) -> None:
        for key, other in self._ignored:
            self._draft.lost(
                self._place(key), f"counts for nothing beside {other}, as in PM2", f"add it to {other} if it is meant"
            )
        for key, value in self._keys.items():
            if key in _READ or key in _UNSAID or value in (None, False, "", 0) or value in ([], {}):
                continue
            if key in _LOGS:
                self._draft.changed(
                    self._place(key),
                    "is not written: the log is in logs, below the root",
                    "tell those who read it where it is",
                )
            elif key.startswith("env_"):
                self._draft.lost(
                    self._place(key),
                    "is not carried over: PM2 takes it when it is started with --env",
                    "lay what differs from host to host over the manifest from the inventory",
                )
            else:
                self._draft.lost(self._place(key), "has no counterpart", _CURES.get(key, "do without"))

    # --- what they come to ---

    def _command(self, script: str) -> t.List[str]:
        if " " in script:  # PM2 does the same
            return ["bash", "-c", script]
        interpreter = self._text("exec_interpreter") or self._by_extension(script)
        program = [script, *self._arguments("args")]
        if interpreter == "none":
            return program
        name, _at, version = interpreter.partition("@")
        if version:
            self._draft.changed(
                self._place("interpreter"),
                f"{interpreter} is {name} here, of the version that is on the PATH",
                "write the path of the one that is meant",
            )
        return [name, *self._arguments("node_args"), *program]

    def _by_extension(self, script: str) -> str:
        """Return the interpreter of a script by its extension. PM2 also looks into the file."""
        extension = os.path.splitext(script)[1]
        if extension in _UNDECIDED:
            self._wrong(
                "interpreter",
                f"is missing, and it is PM2's version that decides for {extension}",
                corrections.NAME_INTERPRETER,
            )
        elif extension == ".py":
            self._draft.changed(self._place("script"), "is run by python3", "write the interpreter that is meant")
        elif extension not in _INTERPRETERS:
            self._draft.changed(
                self._place("script"),
                "is run as a program; PM2 runs it by node when it is text",
                "put node before it if it is JavaScript",
            )
        return _INTERPRETERS.get(extension, "none")

    def _times(self) -> t.Dict[str, t.Any]:
        entry: t.Dict[str, t.Any] = {}
        stop, uptime, retries = self._seconds("kill_timeout"), self._seconds("min_uptime"), self._whole("max_restarts")
        stopping: t.Dict[str, t.Any] = {}
        if stop is not None:
            stopping["timeout"] = self._draft.within(self._place("kill_timeout"), stop, LONGEST_STOP)
        if self._keys.get("treekill") is False:
            stopping["scope"] = "process"
        if stopping:
            entry["stop"] = stopping
        start: t.Dict[str, t.Any] = {}
        if uptime is not None:
            start["seconds"] = self._draft.within(self._place("min_uptime"), math.ceil(uptime), 3600)
            if start["seconds"] >= 30:
                entry["ready_timeout"] = start["seconds"] + 30
        if retries is not None:
            start["retries"] = self._draft.within(self._place("max_restarts"), retries, 1000)
        if start:
            entry["start"] = start
        if self._keys.get("autorestart") is False:
            entry["restart"] = "never"
        codes = self._keys.get("stop_exit_codes")
        if codes not in (None, []) and self._keys.get("autorestart") is not False:
            entry["restart"] = "unexpected"
            if codes not in (0, [0]):
                self._draft.lost(self._place("stop_exit_codes"), "only 0 ends it for good here", "let it end with 0")
        return entry

    def _variables(self) -> t.Dict[str, str]:
        env = self._keys.get("env")
        if env is not None and not isinstance(env, Mapping):
            self._wrong("env", f"is {kind_of(env)}, not a mapping", corrections.write_as("NAME: value"))
            env = None
        variables = {str(name): _as_text(value) for name, value in (env or {}).items()}
        port = self._keys.get("port")
        return variables if port is None else {**variables, "PORT": _as_text(port)}

    def _instances(self, argv: t.Sequence[str]) -> int:
        """Return how many services the app becomes: one for a cluster, whose instances share a port."""
        value = self._keys.get("instances")
        count = 0 if value == "max" else self._whole("instances")
        if count is None or count == 1:
            return 1
        if count < 1:
            self._draft.lost(
                self._place("instances"),
                "as many as there are processors: it is one here",
                "write instances: and their number",
            )
            return 1
        mode = self._text("exec_mode") or ""
        cluster = mode.startswith("cluster") or (not mode and os.path.basename(argv[0]) == "node")
        if cluster or count > _MOST_INSTANCES:
            self._draft.lost(
                self._place("instances"),
                f"{count} that share a port are one here",
                f"write instances: {count}, each on a port of its own, behind a load balancer",
            )
            return 1
        self._draft.divided(self._place("instances"), count)
        return count

    def _of_instance(self, variables: t.Mapping[str, str], number: int, count: int) -> t.Dict[str, str]:
        """Return the variables of one instance. PM2 numbers instances from 0."""
        if count == 1:
            return dict(variables)
        own = {**variables, self._text("instance_var") or "NODE_APP_INSTANCE": str(number)}
        counter = self._text("increment_var")
        if counter and re.match(r"[0-9]{1,9}\Z", own.get(counter, "")):
            own[counter] = str(int(own[counter]) + number)
        return own


def _as_text(value: t.Any) -> str:
    """Return a value as JavaScript writes it into a text."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value, separators=(",", ":"))
