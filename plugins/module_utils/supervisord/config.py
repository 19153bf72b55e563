# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""supervisord.conf: what it must say, how values are quoted in it, and what supervisor itself reads out of it.

A value goes through three steps in supervisor, and the quoting undoes each, the last one first. ``configparser`` cuts
a line at white space followed by ``;`` or ``#``, even inside quotes. ``%`` expands (``supervisor.options.expand``).
``command`` is read by ``shlex.split``, ``environment`` by ``shlex`` without its POSIX rules, so without any escape, and
quotes of both kinds are stripped from both ends (``supervisor.datatypes.dict_of_key_value_pairs``).
"""

from __future__ import annotations

import math
import os
import re
import shlex
import typing as t
from dataclasses import dataclass, field

from ..base.errors import RollcallError
from ..manifest.model import Service, Stack, port_variable
from ..manifest.revision import revision
from . import config_reader

DAEMON_LOG_MAX_BYTES = 10_000_000
DAEMON_LOG_BACKUPS = 3

# Expands to nothing, in a program's section: put between two characters, it keeps configparser from seeing them as one.
_BREAK = "%(program_name).0s"
# configparser cuts at `str.isspace()` and then ; or #; and %%( would be taken for a name by %(here)s of an include.
_CUTS = re.compile(r"(?<=\s)(?=[;#])|(?<=%%)(?=\()")
_COMMENT = re.compile(r"\s[;#]")
# All of Unicode's category Cc but the tab: some end a line, and so open the next key or section.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PROGRAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")

# What Rollcall never sets of a program, and how it is then.
_UNSET: t.Mapping[str, t.Any] = {
    "uid": None,
    "umask": None,
    "serverurl": None,
    "stderr_logfile": None,
    "stdout_syslog": False,
    "stderr_syslog": False,
    "stdout_events_enabled": False,
    "stderr_events_enabled": False,
    "stdout_capture_maxbytes": 0,
    "stderr_capture_maxbytes": 0,
}

_AUTORESTART: t.Mapping[str, str] = {"always": "true", "unexpected": "unexpected", "never": "false"}


# --- quoting -----------------------------------------------------------------------------------------------------


class Unrepresentable(RollcallError):
    """Values that supervisor's config has no way to write.

    Args:
        problems: place and reason of each.
    """

    def __init__(self, problems: t.Sequence[t.Tuple[str, str]]) -> None:
        super().__init__(
            "supervisord.conf cannot carry " + "; ".join(f"{place}: {reason}" for place, reason in problems) + ".",
            kind="wrong_use",
            evidence={"problems": [{"place": place, "message": reason} for place, reason in problems]},
            remedies=["write the value another way, or let the service read it from a file of its own"],
        )
        self.problems: t.Tuple[t.Tuple[str, str], ...] = tuple(problems)


def _unwritable(text: str) -> t.Optional[str]:
    """Return why ``text`` can stand nowhere in the file; None when it can."""
    control = _CONTROL.search(text)
    if control:
        return f"it contains the control character {control.group()!r}"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    return None


def _guard(text: str) -> str:
    """Return ``text`` so that neither ``%`` nor a comment sign means anything in it."""
    return _CUTS.sub(_BREAK, text.replace("%", "%%"))


def quote_value(text: str, place: str = "value") -> str:
    """Return ``text`` for a key of a program's section that is read as it stands, such as ``directory``.

    Args:
        text: what supervisor must read.
        place: what to call it in the error.

    Raises:
        Unrepresentable: it is empty, begins or ends with white space, or holds a control character.
    """
    reason = _unwritable(text)
    if reason is None and text != text.strip():
        reason = "it begins or ends with white space"
    if reason is None and not text:
        reason = "it is empty"
    if reason is not None:
        raise Unrepresentable([(place, reason)])
    return _guard(text)


def quote_command(argv: t.Sequence[str], place: str = "command") -> str:
    """Return ``argv`` for the key ``command``.

    Raises:
        Unrepresentable: there is no program, or names every argument with a control character, as ``place[index]``.
    """
    found = [(f"{place}[{index}]", _unwritable(argument)) for index, argument in enumerate(argv)]
    problems = [(where, reason) for where, reason in found if reason is not None]
    if not argv or not argv[0]:
        problems.append((place, "it names no program"))
    if problems:
        raise Unrepresentable(problems)
    return _guard(shlex.join(argv))


def _unquotable(value: str) -> t.Optional[str]:
    """Return why ``value`` cannot stand in ``environment``; None when it can."""
    reason = _unwritable(value)
    if reason is None and value != value.strip("'\""):
        reason = "it begins or ends with a quote"
    if reason is None and "'" in value and '"' in value:
        reason = "it contains both kinds of quotes"
    if reason is None and "'" in value and "\\" in value:
        # Only double quotes are left for it, and there the backslash is read differently from 4.4 on.
        reason = "it contains a single quote and a backslash"
    return reason


def quote_environment(variables: t.Mapping[str, str], place: str = "environment") -> str:
    """Return ``variables`` for the key ``environment``, sorted by name.

    Raises:
        Unrepresentable: names every variable that cannot be written, as ``place.NAME``.
    """
    problems = []
    written = []
    for name, value in sorted(variables.items()):
        reason = _unquotable(value) if _VARIABLE.match(name) else "it is not the name of a variable"
        if reason is not None:
            problems.append((f"{place}.{name}", reason))
            continue
        quote = '"' if "'" in value else "'"
        written.append(f"{name}={quote}{_guard(value)}{quote}")
    if problems:
        raise Unrepresentable(problems)
    return ",".join(written)


# --- what the file must say --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Program:
    """One ``[program:x]`` section, key by key in the order of the file, as supervisor must understand it.

    A key that is None is not written.

    Attributes:
        autorestart: ``true``, ``unexpected`` or ``false``.
        startsecs: seconds it must stay up to count as RUNNING.
        stopsignal: without ``SIG``.
        stopwaitsecs: seconds from that signal to SIGKILL.
        others: keys that Rollcall never writes, when they are set nevertheless.
    """

    name: str
    command: t.Tuple[str, ...]
    directory: str
    environment: t.Mapping[str, str]
    autostart: bool
    autorestart: str
    exitcodes: t.Tuple[int, ...]
    startsecs: int
    startretries: int
    stopsignal: str
    stopwaitsecs: int
    stopasgroup: bool
    killasgroup: bool
    redirect_stderr: bool
    stdout_logfile: str
    stdout_logfile_maxbytes: int
    stdout_logfile_backups: int
    others: t.Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> Program:
        """Return the program that JSON data describes, as ``config_reader`` prints it."""
        known = {key: data[key] for key in cls.__dataclass_fields__ if key in data}
        others = {key: str(data[key]) for key, unset in _UNSET.items() if data[key] != unset}
        lists = {key: tuple(data[key]) for key in ("command", "exitcodes")}
        return cls(**{**known, **lists, "others": others})


def engine_directory(root: str) -> str:
    """Return where the engine is installed, below a stack's root."""
    return os.path.join(root, "engine")


def engine_python(root: str) -> str:
    """Return the interpreter, below a stack's root, that has supervisor, psutil and the engine's other needs."""
    return os.path.join(engine_directory(root), "venv", "bin", "python")


def log_file(stack: Stack, service: str) -> str:
    """Return the file with all that a service writes to stdout and stderr."""
    return os.path.join(stack.paths.logs, f"{service}.log")


def labels(stack: Stack, service: Service) -> t.Dict[str, str]:
    """Return the variables by which a process is known as this service's, and as of which revision."""
    return {
        "ROLLCALL_STACK": stack.name,
        "ROLLCALL_ROOT": stack.root,
        "ROLLCALL_SERVICE": service.name,
        "ROLLCALL_REVISION": revision(stack, service),
    }


def environment(stack: Stack, service: Service) -> t.Dict[str, str]:
    """Return the variables of a service, its secrets aside: ports, its own, and the labels.

    A variable of the manifest wins over a port, and a label over everything.
    """
    variables = {}
    for name in (*service.depends_on, service.name):
        port = stack.service(name).port
        if port is not None:
            variables[port_variable(name)] = str(port)
    if service.port is not None:
        variables["PORT"] = str(service.port)
    if service.instance:
        variables["INSTANCE"] = str(service.instance)
    return {**variables, **service.env, **labels(stack, service)}


def _divide(stack: Stack, service: Service) -> t.Tuple[t.Dict[str, str], t.Dict[str, str]]:
    """Return a service's variables as those for the config and those that only its private file can carry.

    Secrets are in neither: they belong to the file, and their values are known on the controller alone.
    """
    in_config: t.Dict[str, str] = {}
    in_file: t.Dict[str, str] = {}
    for name, value in sorted(environment(stack, service).items()):
        if name not in service.secrets:
            (in_config if _unquotable(value) is None else in_file)[name] = value
    return in_config, in_file


def with_private_file(stack: Stack) -> t.List[str]:
    """Return the services that are started with a private file: for secrets, or values that the config cannot carry."""
    return [service.name for service in stack.services if service.secrets or _divide(stack, service)[1]]


def programs(stack: Stack) -> t.List[Program]:
    """Return what every program's section must say, in the manifest's order.

    A service with secrets, or with values the config cannot carry, is started through ``launcher.py``, which adds the
    variables of the service's private file (:func:`env_files`). ``autostart`` is always off: we start by dependency.

    Raises:
        Unrepresentable: names every place in the manifest whose value can be written in no way.
    """
    problems = _path_problems(stack)
    for service in stack.services:
        problems += _service_problems(service)
    if problems:
        raise Unrepresentable(problems)
    return [_program(stack, service) for service in stack.services]


def _program(stack: Stack, service: Service) -> Program:
    in_config, in_file = _divide(stack, service)
    command = tuple(service.command)
    if in_file or service.secrets:
        launcher = os.path.join(stack.root, "engine", "rollcall", "launcher.py")
        private_file = os.path.join(stack.paths.env_dir, f"{service.name}.json")
        command = (engine_python(stack.root), "-I", launcher, private_file, "--", *command)
    oneshot = service.kind == "oneshot"
    return Program(
        name=service.name,
        command=command,
        directory=service.directory,
        environment=in_config,
        autostart=False,
        autorestart="false" if oneshot else _AUTORESTART[service.restart],
        exitcodes=(0,),
        # supervisor knows whole seconds. A one-shot may end at once: that is its success.
        startsecs=0 if oneshot else math.ceil(service.start.seconds),
        startretries=service.start.retries,
        stopsignal=service.stop.signal,
        stopwaitsecs=math.ceil(service.stop.timeout),
        stopasgroup=True,
        killasgroup=True,
        redirect_stderr=True,
        stdout_logfile=log_file(stack, service.name),
        stdout_logfile_maxbytes=service.log_max_bytes,
        stdout_logfile_backups=service.log_backups,
    )


def _path_problems(stack: Stack) -> t.List[t.Tuple[str, str]]:
    """Paths of the daemon and of the logs expand twice, or where the break has no meaning."""
    problems = []
    for place, path in (("stack.paths.run", stack.paths.run), ("stack.paths.logs", stack.paths.logs)):
        reason = _unwritable(path)
        if reason is None and "%" in path:
            reason = "the path of a socket or a log cannot contain '%'"
        if reason is None and (_COMMENT.search(path) or path != path.strip()):
            reason = "the path of a socket or a log cannot have white space at an end or before ';' or '#'"
        if reason is not None:
            problems.append((place, reason))
    return problems


def _service_problems(service: Service) -> t.List[t.Tuple[str, str]]:
    """Everything of one service that neither the config nor the private file can carry."""
    place = f"stack.services.{service.name}"
    problems: t.List[t.Tuple[str, str]] = []
    if not _PROGRAM.match(service.name):
        problems.append((place, "a program's name consists of letters, digits, '_', '-' and '.'"))
    try:
        quote_command(service.command, f"{place}.command")
    except Unrepresentable as exc:
        problems += exc.problems
    try:
        quote_value(service.directory, f"{place}.directory")
    except Unrepresentable as exc:
        problems += exc.problems
    for key, variables in (("env", service.env), ("secrets", dict.fromkeys(service.secrets, ""))):
        for name, value in variables.items():
            reason = _variable_problem(name, value)
            if reason is not None:
                problems.append((f"{place}.{key}.{name}", reason))
    return problems


def _variable_problem(name: str, value: str) -> t.Optional[str]:
    """Return why no process can be given this variable; None when one can."""
    if not _VARIABLE.match(name):
        return "a variable's name consists of letters, digits and '_', and does not begin with a digit"
    if name.startswith("ROLLCALL_"):
        return "variables that begin with ROLLCALL_ are the labels by which a process is known"
    if "\0" in value:  # execve(2): it ends the string
        return "it contains a zero byte"
    return _unwritable(_CONTROL.sub("", value))


def env_files(stack: Stack, secrets: t.Mapping[str, t.Mapping[str, str]]) -> t.Dict[str, t.Dict[str, str]]:
    """Return the private file of each service that has one: its secrets, and what the config cannot carry.

    The services in it are exactly those that :func:`programs` starts through the launcher.

    Args:
        stack: the normalised manifest, which knows only the digests of the secrets.
        secrets: the secrets themselves, by service; instances have those of their service.

    Raises:
        RollcallError: a secret that the manifest names has no value here, or one that no process can be given.
    """
    files = {}
    problems = []
    for service in stack.services:
        content = _divide(stack, service)[1]
        written = service.group or service.name
        values = secrets.get(written, {})
        for name in service.secrets:
            reason = _variable_problem(name, values[name]) if name in values else "it has no value"
            if reason is None:
                content[name] = values[name]
            else:
                problems.append((f"stack.services.{written}.secrets.{name}", reason))
        if content:
            files[service.name] = content
    if problems:
        raise RollcallError(
            "Secrets that cannot reach their service: " + "; ".join(f"{place}: {why}" for place, why in problems) + ".",
            kind="wrong_use",
            evidence={"problems": [{"place": place, "message": why} for place, why in problems]},
            remedies=["give each secret its value in the inventory, from a vault"],
        )
    return files


def daemon_revision(text: str) -> str:
    """Return 12 hex digits over all of a config that only a restart of supervisord itself puts into effect.

    That is everything outside of the programs' sections; comments and blank lines do not count.
    """
    import hashlib

    kept = []
    of_program = False
    for line in text.splitlines():
        if line.startswith("["):
            of_program = line.startswith("[program:")
        if line and not line.startswith((";", "#")) and not of_program:
            kept.append(line)
    return hashlib.sha256("\n".join(kept).encode("utf-8")).hexdigest()[:12]


# --- what supervisor reads out of it -------------------------------------------------------------------------------


class Parsed(t.NamedTuple):
    """A config as the host's own supervisor understands it.

    Attributes:
        supervisor_version: of that supervisor.
        programs: in the order of the file; one in a group of another name, or of another kind, as ``group:name``.
        daemon: what is not a program's.
    """

    supervisor_version: str
    programs: t.List[Program]
    daemon: t.Mapping[str, t.Any]


def parse_back(python: str, text: str, *, timeout: float) -> Parsed:
    """Have the supervisor of the interpreter ``python`` read a config. Nothing is started and no file is written.

    It checks what supervisord checks at its start: directories of logs, users, groups, every value. It does so as the
    current user and with an almost empty environment.

    Args:
        python: the interpreter that will run supervisord.
        text: the whole config.
        timeout: seconds for all of it.

    Raises:
        RollcallError: ``wrong_use`` when supervisor refuses the config, with its own words as evidence, or is older
            than 4.2.2; ``failed`` when it could not be asked.
    """
    answer = _ask(python, text, timeout)
    version = str(answer["version"])
    if config_reader.release(version) < config_reader.OLDEST:
        least = ".".join(map(str, config_reader.OLDEST))
        raise RollcallError(
            f"supervisor {version} of {python} is too old; Rollcall needs {least} or later.",
            kind="wrong_use",
            evidence={"python": python, "supervisor": version, "needed": least},
            remedies=[f"{python} -m pip install 'supervisor>={least}'", "ansible-playbook site.yml installs it"],
        )
    if "refusal" in answer:
        raise RollcallError(
            f"supervisor {version} refuses the config: {answer['refusal']}. Nothing was stopped or changed.",
            kind="wrong_use",
            evidence={"python": python, "supervisor": version, "refusal": answer["refusal"]},
            remedies=["correct the manifest, or what it names on this host", "ansible-playbook site.yml"],
        )
    return Parsed(version, [Program.from_dict(program) for program in answer["programs"]], answer["daemon"])


def _ask(python: str, text: str, timeout: float) -> t.Dict[str, t.Any]:
    import json
    import subprocess

    # -I: nothing of the caller's environment or directory. -B: no byte code. UTF-8, as supervisord is started with.
    command = [python, "-I", "-B", "-X", "utf8", "-W", "ignore", "-c", _reader_source()]
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    evidence: t.Dict[str, t.Any] = {"python": python}
    try:
        done = subprocess.run(
            command,
            input=text.encode("utf-8"),
            capture_output=True,
            timeout=timeout,
            check=False,
            env=environment,
            cwd="/",
        )
    except subprocess.TimeoutExpired as exc:
        raise RollcallError(
            f"supervisor of {python} did not finish reading the config within {timeout:g} s.", evidence=evidence
        ) from exc
    except OSError as exc:
        raise RollcallError(
            f"{python}, which is to read the config, cannot be run: {exc.strerror}.",
            evidence=evidence,
            remedies=["ansible-playbook site.yml installs it"],
        ) from exc
    try:
        if done.returncode == 0:
            return dict(json.loads(done.stdout))
    except ValueError:
        evidence["stdout"] = done.stdout.decode("utf-8", "replace")
    evidence["stderr"] = done.stderr.decode("utf-8", "replace")
    last = (evidence["stderr"].strip().splitlines() or ["it printed nothing"])[-1]
    raise RollcallError(
        f"supervisor of {python} could not be asked (exit {done.returncode}): {last}",
        evidence=evidence,
        remedies=["ansible-playbook site.yml installs it anew"],
    )


def _reader_source() -> str:
    """Return the text of config_reader.py; within an Ansible module it is no file but a member of an archive."""
    spec = config_reader.__spec__
    source = None if spec is None else t.cast(t.Any, spec.loader).get_source(spec.name)
    if source is None:
        raise RollcallError("config_reader.py of the engine has no source.", remedies=["install the engine anew"])
    return str(source)


def compare(stack: Stack, parsed: Parsed) -> t.List[str]:
    """Return every difference between what the manifest wants and what supervisor understood; none when equal."""
    wanted = {program.name: program for program in programs(stack)}
    got = {program.name: program for program in parsed.programs}
    differences = _different("supervisord", _wanted_daemon(stack), parsed.daemon)
    differences += [f"{name}: not a program in the config" for name in wanted if name not in got]
    differences += [f"{name}: a program in the config, not in the manifest" for name in got if name not in wanted]
    for name in wanted:
        if name in got:
            differences += _different(name, _flat(wanted[name]), _flat(got[name]))
    return differences


def _wanted_daemon(stack: Stack) -> t.Dict[str, t.Any]:
    return {
        "identifier": stack.name,
        "pidfile": stack.paths.pidfile,
        "logfile": os.path.join(stack.paths.logs, "supervisord.log"),
        "logfile_maxbytes": DAEMON_LOG_MAX_BYTES,
        "logfile_backups": DAEMON_LOG_BACKUPS,
        "childlogdir": stack.paths.logs,
        "nodaemon": True,
        "silent": True,
        "user": None,
        "environment": {},
        "servers": [f"{stack.paths.socket}, mode 0700"],
        "interfaces": ["supervisor"],
    }


def _flat(program: Program) -> t.Dict[str, t.Any]:
    """Return a program key by key, each variable and each unexpected key as one of its own."""
    keys = {**vars(program), "command": list(program.command), "exitcodes": list(program.exitcodes)}
    variables = keys.pop("environment")
    others = keys.pop("others")
    return {**keys, **others, **{f"environment.{name}": value for name, value in variables.items()}}


def _different(subject: str, wanted: t.Mapping[str, t.Any], got: t.Mapping[str, t.Any]) -> t.List[str]:
    nothing = object()
    return [
        f"{subject}: {key}: wanted {_shown(wanted, key)}, got {_shown(got, key)}"
        for key in sorted({*wanted, *got})
        if wanted.get(key, nothing) != got.get(key, nothing)
    ]


def _shown(values: t.Mapping[str, t.Any], key: str) -> str:
    return repr(values[key]) if key in values else "nothing"
