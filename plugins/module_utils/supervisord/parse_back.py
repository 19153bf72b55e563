# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What the host's own supervisor reads out of a supervisord.conf, compared with what the manifest wants."""

from __future__ import annotations

import json
import os
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..base.text import last_lines
from ..manifest.model import Stack
from . import config_reader
from .config import SUPERVISORD_LOG_BACKUPS, SUPERVISORD_LOG_MAX_BYTES, Program, programs
from .places import supervisord_log


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
            remedies=[cures.INSTALL],
        )
    if "refusal" in answer:
        raise RollcallError(
            f"supervisor {version} refuses the config: {answer['refusal']}. Nothing was stopped or changed.",
            kind="wrong_use",
            evidence={"python": python, "supervisor": version, "refusal": answer["refusal"]},
            remedies=[cures.manifest_or_host()],
        )
    return Parsed(version, [Program.from_dict(program) for program in answer["programs"]], answer["daemon"])


def _ask(python: str, text: str, timeout: float) -> t.Dict[str, t.Any]:
    import subprocess  # late: a look reads no config back

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
            remedies=[cures.INSTALL],
        ) from exc
    try:
        if done.returncode == 0:
            return dict(json.loads(done.stdout))
    except ValueError:
        evidence["stdout"] = done.stdout.decode("utf-8", "replace")
    evidence["stderr"] = done.stderr.decode("utf-8", "replace")
    last = (last_lines(evidence["stderr"], 1) or ["it printed nothing"])[0]
    raise RollcallError(
        f"supervisor of {python} could not be asked (exit {done.returncode}): {last}",
        evidence=evidence,
        remedies=[cures.INSTALL],
    )


def _reader_source() -> str:
    """Return the text of config_reader.py; within an Ansible module it is no file but a member of an archive."""
    spec = config_reader.__spec__
    source = None if spec is None else t.cast(t.Any, spec.loader).get_source(spec.name)
    if source is None:
        raise RollcallError("config_reader.py of the engine has no source.", remedies=[cures.INSTALL])
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
        "logfile": supervisord_log(stack),
        "logfile_maxbytes": SUPERVISORD_LOG_MAX_BYTES,
        "logfile_backups": SUPERVISORD_LOG_BACKUPS,
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
