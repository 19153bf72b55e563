# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Every key of a manifest, declared once: what may be written, what holds without it, and what it is.

These tables say which keys are known and how each value is read, and the tables of the reference page are generated out
of them (``make generate``). A value goes into the field of model.py that has the name of its key. Only a value that
depends on others, such as a command with ``{port}`` in it, needs more: see check.py.
"""

from __future__ import annotations

import typing as t

from . import corrections, sql, values
from .alert_keys import TOLD
from .document import WRONG
from .model import (
    BOTH,
    EXEC,
    FLEET,
    HTTP,
    HTTPS,
    LONGEST_STOP,
    PROVES,
    ROLLING,
    TCP,
    TIMER,
    TLS,
    TOGETHER,
    DatabaseCheck,
    Health,
    PortRules,
    Reload,
    RestartBudget,
    Service,
    Start,
    Stop,
)
from .places import Place, is_list
from .problems import A_SERVICE, Problems
from .readers import (
    FOLDED_TEXT,
    NONE,
    RAW_TEXT,
    REQUIRED,
    TEXT,
    TRUTH,
    Key,
    ValueType,
    Words,
    choice,
    mapping,
    named,
    number,
    whole,
)
from .watch_model import Watch

_BELOW = Words("see below")
_SECONDS = number(0, 3600, "seconds")
_TIMEOUT = number(0.001, 300, "seconds")
_SERVICE_NAME = TEXT._replace(words="name of a service")

# --- a service ---------------------------------------------------------------------------------------------------

STOP_STEP: t.Mapping[str, Key] = {
    "signal": Key(values.SIGNAL, "the signal", REQUIRED),
    "wait": Key(number(0.1, LONGEST_STOP, "seconds"), "how long it then has, before the next one", REQUIRED),
}


def _stop_steps(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read the signals that end a service, one after the other."""
    if not is_list(value) or not value:
        return problems.wrong_type(place, value, "a list", corrections.STOP_STEPS)
    if len(value) > _MOST_STEPS:
        return problems.error(place, f"has {len(value)} items, and {_MOST_STEPS} are the most", corrections.SHORTER)
    steps = [_stop_step(problems, (*place, index), each) for index, each in enumerate(value)]
    if WRONG in steps:
        return WRONG
    seconds = sum(step["wait"] for step in steps)
    if seconds > LONGEST_STOP:
        words = f"comes to {seconds:.0f} seconds, and {LONGEST_STOP} are the most"
        return problems.error(place, words, corrections.SHORTER_WAITS)
    return tuple(steps)


def _stop_step(problems: Problems, place: Place, value: t.Any) -> t.Any:
    step = mapping("a step of stop.signals", STOP_STEP).read(problems, place, value)
    if step is WRONG or WRONG in step.values():
        return WRONG
    missing = [name for name in STOP_STEP if name not in step]
    return problems.error(place, f"has no {' and no '.join(missing)}", corrections.STOP_STEPS) if missing else step


def _stop(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read how a service is ended: by one signal, or by several."""
    stop = mapping("stop", STOP).read(problems, place, value)
    if isinstance(stop, dict) and "signals" in stop:
        for name in ("signal", "timeout"):
            if name in stop:
                problems.error((*place, name), "stands beside signals, which say that", corrections.REMOVE)
    return stop


def _reload(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read how a service reloads: by a signal, or by a command."""
    reload = mapping("reload", RELOAD, "mapping or `null`").read(problems, place, value)
    if isinstance(reload, dict) and "command" in reload and "signal" in reload:
        problems.error((*place, "signal"), "stands beside command, which is run instead", corrections.REMOVE)
    return reload


_MOST_STEPS = 5

STOP: t.Mapping[str, Key] = {
    "signal": Key(values.SIGNAL, "what asks it to end; `SIGTERM` and `term` are understood", Stop.signal),
    "timeout": Key(number(0, LONGEST_STOP, "seconds"), "how long it then has, before SIGKILL", Stop.timeout),
    "signals": Key(
        ValueType(f"list, {_MOST_STEPS} at most", _stop_steps),
        "instead of `signal` and `timeout`: several signals, one after the other, before SIGKILL, such as "
        "`[{signal: TERM, wait: 30}, {signal: QUIT, wait: 10}]`",
    ),
    "scope": Key(
        choice("process", "group"),
        "who has the signal: its own process alone, or all of its process group; see "
        "[how a service is stopped](#how-a-service-is-stopped)",
        Stop.scope,
    ),
}

START: t.Mapping[str, Key] = {
    "seconds": Key(_SECONDS, "how long it must live to count as started; rounded up to whole seconds", Start.seconds),
    "retries": Key(whole(0, 1000, "a number of tries"), "how often supervisord tries again", Start.retries),
    "grace": Key(
        _SECONDS,
        "how long after its start a bad answer to a health check says that it is warming up, and not ill; see "
        "[alive and ready](#alive-and-ready)",
        Start.grace,
    ),
}

RELOAD: t.Mapping[str, Key] = {
    "signal": Key(choice("HUP", "USR1", "USR2"), "what tells it", Reload.signal),
    "command": Key(
        values.COMMAND,
        "what is run instead of sending a signal, as `rollcall exec` runs it, such as `[bin/admin, reload]`",
        Words("the signal"),
    ),
    "files": Key(values.FILES, "when nothing but these has changed, it is reloaded and not restarted", ()),
    "workers": Key(
        TRUTH,
        "whether a reload replaces all of its child processes, as with gunicorn and nginx: then that is proved",
        Reload.workers,
    ),
}

_INHERITED = Words("inherited")

LIMITS: t.Mapping[str, Key] = {
    "nofile": Key(values.OPEN_FILES, "how many files, sockets and pipes it may have open", _INHERITED),
    "nproc": Key(
        values.PROCESSES,
        "how many processes and threads its user may have, those of other services too, for it to start another one; "
        "root is not limited",
        _INHERITED,
    ),
    "core": Key(values.SIZE, "how large a core dump may become; 0 is none", _INHERITED),
    "memory": Key(values.MEMORY, "how much address space it may have, which is more than it uses", _INHERITED),
}

LOG: t.Mapping[str, Key] = {
    "max_bytes": Key(
        whole(0, 2**40, "a number of bytes")._replace(words="whole number"),
        "size at which its log, stdout and stderr in one, is rotated; 0 is never",
        Service.log_max_bytes,
        field="log_max_bytes",
    ),
    "backups": Key(
        whole(0, 1000, "a number of files"),
        "how many rotated logs are kept",
        Service.log_backups,
        field="log_backups",
    ),
}

_OVER_HTTP, _IN_TLS, _TALKS = (HTTP, HTTPS), (HTTPS, TLS), (TCP, TLS)
_OVER_NETWORK = (HTTP, HTTPS, TCP, TLS)
# Seconds that a program of a health check has without `timeout`: many load a whole application first.
EXEC_TIMEOUT = 10.0

HEALTH: t.Mapping[str, Key] = {
    HTTP: Key(values.HTTP_PATH, "ask this path: `/health?full=1`", Words(""), field="path"),
    HTTPS: Key(values.HTTP_PATH, "the same in TLS", Words(""), field="path"),
    TCP: Key(values.TRUE, "connect; with `send` or `expect`, talk as well", Words("")),
    TLS: Key(values.TRUE, "the same in TLS", Words("")),
    EXEC: Key(
        values.COMMAND,
        "run this command: see [a program](#a-program-asks)",
        Words(""),
        field="command",
    ),
    "status": Key(
        whole(100, 599, "a status"),
        "the only status that is well; a redirect is not followed",
        Health.status,
        only=_OVER_HTTP,
    ),
    "body": Key(TEXT, "text that the answer must contain", only=_OVER_HTTP),
    "json": Key(
        values.JSON_FIELDS,
        "the values that fields of the answer must have: `{status: ok, db.up: true, nodes.0.role: leader}`",
        only=_OVER_HTTP,
    ),
    "method": Key(choice("GET", "HEAD", "POST"), "how it is asked; POST sends nothing", Health.method, only=_OVER_HTTP),
    "headers": Key(
        values.HEADERS,
        "sent with the question; `{secret:NAME}` in a value stands for a secret of the service",
        only=_OVER_HTTP,
    ),
    "ca": Key(
        values.PATH,
        "the file of the authority that has signed the certificate; the certificate itself where it is self-signed",
        Words("those of the host"),
        only=_IN_TLS,
    ),
    "server_name": Key(
        values.HOST,
        "the name that the certificate must have; with `https`, the `Host` as well",
        Words("`host`"),
        only=_IN_TLS,
    ),
    "verify": Key(TRUTH, "whether the certificate is checked", Health.verify, only=_IN_TLS),
    "send": Key(RAW_TEXT, 'sent first; `"PING\\r\\n"` in double quotes', only=_TALKS),
    "expect": Key(RAW_TEXT, "text that must come back", only=_TALKS),
    "timeout": Key(
        _TIMEOUT,
        "for one question, from name look-up to the last byte; with `exec`, until the program has ended, and "
        f"{EXEC_TIMEOUT:g} where nothing is said",
        Health.timeout,
    ),
    "host": Key(values.HOST, "the host that is asked", Health.host, only=_OVER_NETWORK),
    "port": Key(
        values.OWN_PORT_TO_ASK,
        "the port that is asked",
        Words("the service's, of several the first"),
        null=True,
        only=_OVER_NETWORK,
    ),
    "answered_by": Key(
        _SERVICE_NAME._replace(words="name of a service, or `anyone`"),
        "who listens there: another service of the stack, such as a proxy in front, or `anyone`, also on another host",
        Words("the service itself"),
        only=_OVER_NETWORK,
    ),
    "name": Key(values.PORT_NAME, "what it is called, of several", Words("`http`, `exec` and so on")),
    "proves": Key(
        choice(*PROVES),
        "that the service is alive, that it is ready, or both: see [alive and ready](#alive-and-ready)",
        BOTH,
    ),
}

_A_CHECK = mapping("a health check", HEALTH, "mapping, list or `null`")
_MOST_CHECKS = 10


def _health(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read the health check of a service, or a list of several."""
    if not is_list(value):
        return _A_CHECK.read(problems, place, value)
    if not value:
        return problems.error(place, "has no check", corrections.REMOVE)
    if len(value) > _MOST_CHECKS:
        return problems.error(place, f"has {len(value)} items, and {_MOST_CHECKS} are the most", corrections.SHORTER)
    checks = [_A_CHECK.read(problems, (*place, index), each) for index, each in enumerate(value)]
    return WRONG if WRONG in checks else checks


SERVICE: t.Mapping[str, Key] = {
    "description": Key(FOLDED_TEXT, "for people", shared=False),
    "kind": Key(
        choice("service", "oneshot", TIMER),
        "a service keeps running; a oneshot runs to its end, once, and its exit code 0 is its success; a timer runs a "
        "job [on a schedule](#timers)",
        Service.kind,
    ),
    "command": Key(
        values.COMMAND,
        "the program and its arguments; see [commands](#commands)",
        Words("required, here or in `defaults`"),
    ),
    "directory": Key(values.PATH, "where the command runs", Words("the root")),
    "env": Key(values.ENV, "see [variables](#variables)"),
    "secrets": Key(values.SECRETS, "see [variables](#variables)"),
    "port": Key(
        values.PORT,
        "the port that it or a child of it listens on; see [ports](#ports-that-are-refused)",
        null=True,
        shared=False,
    ),
    "ports": Key(
        values.NAMED_PORTS,
        "instead of `port`, several by name; see [several ports](#several-ports)",
        field="more_ports",
        shared=False,
    ),
    "socket": Key(
        values.PATH,
        "the unix socket that it or a child of it listens on: a path, relative to the root, or absolute; see "
        "[unix sockets](#unix-sockets)",
        shared=False,
    ),
    "fallback_ports": Key(
        values.PORTS,
        "the ports that it may have instead when its port is taken on a host, in this order; see "
        "[assigned ports](#assigned-ports)",
        shared=False,
    ),
    "auto_fallback": Key(TRUTH, "whether a run takes a fallback port by itself", Service.auto_fallback),
    "instances": Key(
        whole(1, 100, "a number of instances"),
        "how many of it run, each on a port of its own; see [instances](#instances)",
        shared=False,
    ),
    "update": Key(
        choice(TOGETHER, ROLLING),
        "how a run restarts its instances: `together`, or `rolling`, one after the other; see [instances](#instances)",
        Service.update,
    ),
    "health": Key(ValueType(_A_CHECK.words, _health, HEALTH), "see [health](#health)", null=True),
    "depends_on": Key(values.DEPENDS_ON, "see [dependencies](#dependencies)", shared=False),
    "requires_files": Key(values.FILES, "see [what holds a service](#what-holds-a-service)"),
    "requires_env": Key(values.VARIABLES, "see [what holds a service](#what-holds-a-service)"),
    "stop": Key(ValueType("mapping", _stop, STOP), "how it is ended", _BELOW),
    "reload": Key(
        ValueType("mapping or `null`", _reload, RELOAD),
        "how it reads its files anew without a restart; see [reload](#reload)",
        null=True,
    ),
    "start": Key(mapping("start", START), "when it counts as started", _BELOW),
    "stable_for": Key(
        _SECONDS, "how long its process must stay the same before the verdict calls it up", Service.stable_for
    ),
    "ready_timeout": Key(
        number(0.1, 86_400, "seconds"),
        "how long after its start it must be ready, or a oneshot at its end; more than `start.seconds`, and not "
        "less than `start.grace`: where that is more, it is what holds when nothing is said",
        Service.ready_timeout,
    ),
    "restart": Key(
        choice("always", "unexpected", "never"),
        "what happens when it ends by itself; `unexpected` is an exit code other than 0. Never for a oneshot",
        Service.restart,
    ),
    "ends": Key(
        choice("unexpected", "expected"),
        "`expected`: it ends by itself when its work is done, with exit code 0, and is well then, too; see "
        "[services that end](#services-that-end)",
        Service.ends,
    ),
    "detaches": Key(
        TRUTH,
        "whether processes that it puts into the background are meant; see [what a service "
        "detaches](#what-a-service-detaches)",
        Service.detaches,
    ),
    "hosts": Key(
        values.HOSTS,
        "the hosts and groups of the inventory that it runs on; see [which hosts](#which-hosts-a-service-runs-on)",
        Words("all"),
    ),
    "singleton": Key(TRUTH, "whether it runs on the first of its `hosts` alone", Service.singleton),
    "once": Key(
        choice(FLEET),
        "`fleet`: a oneshot that runs on the first of its `hosts` alone, for all of them",
        NONE,
        shared=False,
    ),
    "reversible": Key(
        TRUTH,
        "of such a oneshot: whether what ran before it can live with what it changes; see [which "
        "hosts](#which-hosts-a-service-runs-on)",
        Service.reversible,
        shared=False,
    ),
    "umask": Key(
        values.UMASK,
        'which rights the files that it makes do not get, such as `"027"`; quotes are needed',
        Words('`"022"`'),
    ),
    "limits": Key(mapping("limits", LIMITS), "what each of its processes may use; see [limits](#limits)", _BELOW),
    "nice": Key(
        whole(0, 19, "a niceness"), "how far it stands back when the processors are busy; 19 is most", Service.nice
    ),
    "every": Key(
        values.DURATION,
        "for a timer: from one start of its job to the next; see [timers](#timers)",
        Words("`every` or `cron` is required"),
        shared=False,
    ),
    "cron": Key(
        values.CRON,
        "for a timer: when its job starts, in the local time of the host; see [timers](#timers)",
        Words("`every` or `cron` is required"),
        shared=False,
    ),
    "timeout": Key(
        values.DURATION, "for a timer: after which time its job is ended, as `stop` says", Service.timeout, shared=False
    ),
    "log": Key(mapping("log", LOG), "how much of its output is kept", _BELOW, field="log_max_bytes"),
}

DEFAULTS: t.Mapping[str, Key] = {name: key for name, key in SERVICE.items() if key.shared}

# --- the stack ---------------------------------------------------------------------------------------------------

PATHS: t.Mapping[str, Key] = {
    "run": Key(
        values.SUPERVISORD_PATH,
        "the directory of supervisord's socket and pid file. The path of the socket may have 99 bytes on Linux, 95 on "
        "macOS",
        "run",
    ),
    "logs": Key(
        values.SUPERVISORD_PATH,
        "the directory of the logs. Outside of the root neither may be where every user may write, such as `/tmp`, nor "
        "be what `root` may not be",
        "logs",
    ),
}

PORTS: t.Mapping[str, Key] = {
    "range": Key(values.RANGE, "first and last port that services may have", (PortRules.low, PortRules.high)),
    "also": Key(
        values.PORTS,
        "ports outside of the range that services may have, too; also those of the kernel's ephemeral range",
        PortRules.also,
    ),
    "avoid": Key(
        values.PORTS,
        "ports that no service may have and that are never flushed; macOS takes some of these",
        PortRules.avoid,
    ),
    "protect": Key(
        values.PORTS,
        "ports of the host itself; 22 is always one of them",
        PortRules.protect,
    ),
}

# The variable that has the URL of a database, by its kind.
URL_VARIABLES: t.Mapping[str, str] = {"postgresql": "DATABASE_URL", "redis": "REDIS_URL"}
QUERY = "SELECT 1"
_WHICH_VARIABLE = "the variable of its `env` or `secrets` that has the URL"

POSTGRESQL: t.Mapping[str, Key] = {
    "service": Key(_SERVICE_NAME, "the service whose URL is used"),
    "variable": Key(values.VARIABLE, _WHICH_VARIABLE, URL_VARIABLES["postgresql"]),
    "query": Key(
        sql.QUERY,
        "what is asked: one statement that reads. [What that rules out](../how-to/database.md#read-only)",
        QUERY,
    ),
    "timeout": Key(_TIMEOUT, "for everything, the look-up of the host included", DatabaseCheck.timeout),
}

REDIS: t.Mapping[str, Key] = {
    "service": Key(_SERVICE_NAME, "the service whose URL is used; Redis is sent `PING`"),
    "variable": Key(values.VARIABLE, _WHICH_VARIABLE, URL_VARIABLES["redis"]),
    "host": Key(values.HOST, "instead of a service, when Redis wants no password: its host", Health.host),
    "port": Key(values.PORT_TO_ASK, "its port"),
    "timeout": Key(_TIMEOUT, "for everything", DatabaseCheck.timeout),
}

DATABASE: t.Mapping[str, Key] = {
    "sqlite": Key(values.PATH, "an SQLite file that must answer"),
    "postgresql": Key(mapping("a check of PostgreSQL", POSTGRESQL), "a PostgreSQL that must answer", _BELOW),
    "redis": Key(mapping("a check of Redis", REDIS), "a Redis that must answer", _BELOW),
}

LOGS: t.Mapping[str, Key] = {
    "critical": Key(
        values.PATTERNS,
        "no line of a log, without its colours, may match one of them",
        Words("[what the usual loggers and languages write](#critical-lines) when a program cannot go on"),
        field="log_critical",
    ),
}

CHECKS: t.Mapping[str, Key] = {
    "database": Key(mapping("a database check", DATABASE), "databases that must answer", null=True),
    "logs": Key(mapping("logs", LOGS), "what no log may say", _BELOW),
}

RESTART_BUDGET: t.Mapping[str, Key] = {
    "restarts": Key(
        whole(1, 1000, "a number of restarts"), "how many automatic restarts there may be", RestartBudget.restarts
    ),
    "within": Key(number(1, 604_800, "seconds"), "in how many seconds", RestartBudget.within),
}

WATCH: t.Mapping[str, Key] = {
    "interval": Key(number(1, 3600, "seconds"), "from one look to the next", Watch.interval),
    "grace": Key(
        number(0, 86_400, "seconds"),
        "after a boot and after a run: what fails in that time is not counted",
        Watch.grace,
    ),
    "degraded_after": Key(
        whole(1, 1000, "a number of looks"),
        "after how many failed looks, one after the other, an incident is degraded, and is told",
        Watch.degraded_after,
    ),
    "critical_after": Key(
        whole(1, 1000, "a number of looks"),
        "after how many it is critical, and is told again; not less than `degraded_after`",
        Watch.critical_after,
    ),
    "restart": Key(
        TRUTH,
        "whether a service that is down by itself may be restarted, within the `restart_budget`",
        Watch.restart,
    ),
    **TOLD,
}

_SEE_THERE = Words("see there")

STACK: t.Mapping[str, Key] = {
    "name": Key(
        values.STACK_NAME,
        "the stack's name: in the roll call, in the `ROLLCALL_STACK` of its processes, on a host with several stacks",
        REQUIRED,
    ),
    "user": Key(values.USER, "who runs supervisord and the services", Words("whoever runs the engine"), null=True),
    "root": Key(
        values.ROOT,
        "the stack's own directory. Refused are the system's and its users' own, such as `/opt` itself, a home itself "
        "and all below `/etc` or `/usr`, and `%`, quotes, `:`, `;`, `#`, `$` and backslashes in the path",
        REQUIRED,
    ),
    "paths": Key(mapping("paths", PATHS), "where supervisord's socket and the logs are", _SEE_THERE),
    "ports": Key(mapping("ports", PORTS), "which ports services may have, and which nobody touches", _SEE_THERE),
    "defaults": Key(mapping("defaults", DEFAULTS), "the keys of every service that does not have its own", NONE),
    "services": Key(
        named("name: service", values.good_name, mapping(A_SERVICE, SERVICE).read, corrections.write_as("name: {...}")),
        "at least one",
        REQUIRED,
    ),
    "deprecated": Key(
        values.DEPRECATED,
        "services that are never started. There is a warning when a service has the port of one of them",
    ),
    "checks": Key(mapping("checks", CHECKS), "what the verdict looks at beside the services", _SEE_THERE),
    "restart_budget": Key(
        mapping("a restart budget", RESTART_BUDGET),
        "how often services may be restarted automatically",
        _SEE_THERE,
    ),
    "watch": Key(
        mapping("the watcher", WATCH),
        "how the watcher looks, and what it does; see [watching](../how-to/watching.md)",
        _SEE_THERE,
    ),
}


def fields_of(model: t.Any, keys: t.Mapping[str, Key], values: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Return the values that become fields of a data class as they were read, by the names of the fields.

    Args:
        model: the data class.
        keys: the keys of the values.
        values: what was read, by key. A mapping that is no field itself, such as ``log``, has fields in it.
    """
    fields = model.__dataclass_fields__
    found: t.Dict[str, t.Any] = {}
    for name, value in values.items():
        key = keys[name]
        if key.type.keys and name not in fields:
            found.update(fields_of(model, key.type.keys, value or {}))
        elif (key.field or name) in fields:
            found[key.field or name] = value
    return found
