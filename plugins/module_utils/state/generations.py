# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a stack remembers on its host: the lock, the write-ahead record of each run, and the generations.

A *generation* is a directory ``R/generations/<id>`` with the manifest, the config, the registry and the environment
files that belong together. ``R/etc`` is a symbolic link to the current one, so that one ``rename`` switches all of
them: a reader, supervisord included, sees the old generation or the new one and never a mixture.
"""

from __future__ import annotations

import calendar
import dataclasses
import errno
import fcntl
import functools
import hashlib
import json
import os
import secrets as random_source
import shutil
import time
import typing as t

from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..base.files import sync_directory, write_atomically
from ..manifest.model import RELEASE, Paths, Stack, current_release, release_directory, release_link
from . import registry

KEEP_RUNS = 50
KEEP_GENERATIONS = 5
# How a run's id begins, and the characters that takes.
STAMPED = "%Y%m%d-%H%M%S"
STAMP = 15


def new_run_id(state: str, clock: Clock = SYSTEM) -> str:
    """Return a name for a run: UTC time and four random hex digits, so that two never meet.

    It sorts after all that are recorded: within the same second, and after the clock was set back, it is ahead of time.

    Args:
        state: the stack's state directory.
        clock: where the time comes from.

    Raises:
        RollcallError: the records may not be read.
    """
    seconds = int(clock.wall())
    latest = next(iter(runs(state)), "")
    if _stamp(seconds) <= latest[:STAMP]:
        seconds = calendar.timegm(time.strptime(latest[:STAMP], STAMPED)) + 1
    return f"{_stamp(seconds)}-{random_source.token_hex(2)}"


def _stamp(seconds: int) -> str:
    return time.strftime(STAMPED, time.gmtime(seconds))


# --- the lock ---------------------------------------------------------------------------------------------------


class Lock:
    """The host's lock of one stack: an ``flock`` that the kernel drops with its holder, and a note that names it.

    The kernel releases the lock when the holder ends, however it ends, so it is never taken over by age; the note
    is only for the message to whoever comes second. Locked is the state directory itself: a file in it can be
    deleted, and the next one would lock another.
    """

    def __init__(self, state: str) -> None:
        self._state = state
        self._path = os.path.join(state, "lock")
        self._held: t.Optional[int] = None

    def acquire(self, note: t.Mapping[str, t.Any]) -> None:
        """Take the lock or be refused at once.

        Args:
            note: who, verb, since, run: shown to the next one.

        Raises:
            RollcallError: ``refused``, with the holder's note as evidence.
        """
        descriptor = os.open(self._state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write(json.dumps({"pid": os.getpid(), **note}))
        except OSError as exc:
            os.close(descriptor)
            holder = lock_note(self._state)
            if exc.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise RollcallError(
                f"Another run holds the lock of this stack: {describe_holder(holder)}.",
                kind="refused",
                evidence={"lock": self._path, "holder": holder},
                remedies=["wait for it to end, then run the same command again", "rollcall status"],
            ) from exc
        self._held = descriptor

    def release(self) -> None:
        """Let go of the lock; nothing happens when it is not held."""
        if self._held is not None:
            self._write("")
            os.close(self._held)
            self._held = None

    def _write(self, text: str) -> None:
        with open(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as stream:
            stream.write(text)


def lock_note(state: str) -> t.Dict[str, t.Any]:
    """Return what the lock's last holder wrote; empty when it has let go, or when that may not be read.

    One that was killed leaves its note.
    """
    try:
        with open(os.path.join(state, "lock"), encoding="utf-8") as stream:
            return _parse_note(stream.read())
    except (FileNotFoundError, PermissionError):
        return {}


def _parse_note(text: str) -> t.Dict[str, t.Any]:
    """Return a note or record; empty when its writer has not finished it yet."""
    try:
        note = json.loads(text)
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def describe_holder(note: t.Mapping[str, t.Any]) -> str:
    """Return who holds a lock, for people."""
    if not note:
        return "its holder has just taken it and not yet written its name"
    who, verb, pid, since = (note.get(key, "?") for key in ("who", "verb", "pid", "since"))
    return f"{who} runs '{verb}' as pid {pid} since {since}"


# --- the record of runs -----------------------------------------------------------------------------------------


class Journal:
    """The write-ahead record of one run: a line of JSON for each step, on disk before the step is taken.

    Args:
        state: the stack's state directory.
        run: the run's id.
        clock: wall time for the records, monotonic time for the seconds of each phase.
    """

    def __init__(self, state: str, run: str, clock: Clock = SYSTEM) -> None:
        self.run = run
        self._clock = clock
        self._began = clock.monotonic()
        self._phase: t.Optional[t.Tuple[str, float]] = None
        self.timings: t.Dict[str, float] = {}
        directory = runs_directory(state)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self._stream = open(  # noqa: SIM115 - lives as long as the run
            os.path.join(directory, f"{run}.jsonl"), "a", encoding="utf-8"
        )

    def step(self, name: str, **facts: t.Any) -> None:
        """Record that the step ``name`` begins now; the one before it has ended.

        Raises:
            OSError: the record could not be written, and so the step must not be taken.
        """
        now = self._clock.monotonic()
        self._close_phase(now)
        self._phase = (name, now)
        self._write({"step": name, "at": round(now - self._began, 4), "time": self._clock.wall(), **facts})

    @property
    def at(self) -> t.Optional[str]:
        """The step that was begun last; None before the first and after the end."""
        return None if self._phase is None else self._phase[0]

    def finish(self, result: str, **facts: t.Any) -> None:
        """Record the end of the run, its result, and the seconds of each phase."""
        now = self._clock.monotonic()
        self._close_phase(now)
        end = {"at": round(now - self._began, 4), "time": self._clock.wall()}
        self._write({"step": "done", **end, "result": result, "timings": self.timings, **facts})
        self._stream.close()

    def _close_phase(self, now: float) -> None:
        if self._phase is not None:
            name, began = self._phase
            self.timings[name] = round(self.timings.get(name, 0.0) + now - began, 4)
            self._phase = None

    def _write(self, record: t.Mapping[str, t.Any]) -> None:
        self._stream.write(json.dumps(record) + "\n")
        self._stream.flush()
        os.fdatasync(self._stream.fileno())


def runs_directory(state: str) -> str:
    """Return where the records of runs are."""
    return os.path.join(state, "runs")


def result_path(state: str, run: str) -> str:
    """Return where the report of the run ``run`` is written when it has ended."""
    return os.path.join(runs_directory(state), f"{run}.result.json")


def steps_of(state: str, run: str) -> t.List[t.Dict[str, t.Any]]:
    """Return the steps of a run as recorded; a line that a crash cut short, or that is none, is no step taken."""
    try:
        with open(os.path.join(runs_directory(state), f"{run}.jsonl"), encoding="utf-8", errors="replace") as stream:
            lines = stream.read().split("\n")
    except FileNotFoundError:
        return []
    records = (_parse_note(line) for line in lines)
    return [record for record in records if "step" in record]


def runs(state: str) -> t.List[str]:
    """Return the ids of the recorded runs, the latest first."""
    try:
        names = os.listdir(runs_directory(state))
    except FileNotFoundError:
        return []
    except PermissionError as exc:
        raise RollcallError(
            f"The records of the runs in {exc.filename} may not be read.",
            evidence={"path": exc.filename},
            remedies=["run as the user who installed the stack, or with sudo"],
        ) from exc
    return sorted((name[: -len(".jsonl")] for name in names if name.endswith(".jsonl")), reverse=True)


def last_result(state: str, before: str) -> t.Optional[str]:
    """Return the result of the newest finished run that is older than the run ``before``; None when there is none."""
    for run in runs(state):
        steps = steps_of(state, run) if run < before else []
        if steps and steps[-1]["step"] == "done":
            return str(steps[-1]["result"])
    return None


def unfinished_run(state: str) -> t.Optional[t.Dict[str, t.Any]]:
    """Return the newest run when it never came to its end: ``run`` and the ``step`` it was at; else None."""
    for run in runs(state):
        steps = steps_of(state, run)
        if steps:
            return None if steps[-1]["step"] == "done" else {"run": run, "step": steps[-1]["step"]}
    return None


def prune_runs(state: str) -> None:
    """Keep the newest records only."""
    directory = runs_directory(state)
    runs = sorted({name.split(".")[0] for name in os.listdir(directory)})
    old = set(runs[:-KEEP_RUNS])
    for name in os.listdir(directory):
        if name.split(".")[0] in old:
            os.unlink(os.path.join(directory, name))


# --- generations ------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Generation:
    """Manifest, config and environment files that belong together.

    ``environment`` maps a service to the variables its launcher reads from a private file.
    """

    stack: Stack
    config: str
    environment: t.Mapping[str, t.Mapping[str, str]]

    @functools.cached_property
    def digest(self) -> str:
        """16 hex digits over all of it: equal digests are equal generations."""
        text = json.dumps([self.stack.to_dict(), self.config, self.environment], sort_keys=True)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def store(root: str) -> str:
    """Return the directory of a stack's generations."""
    return os.path.join(root, "generations")


def current_generation(paths: Paths) -> t.Optional[str]:
    """Return the id of the generation that is in place; None before the first install.

    Raises:
        RollcallError: ``etc`` is there but is not a link of ours.
    """
    try:
        return os.path.basename(os.readlink(paths.etc))
    except FileNotFoundError:
        return None
    except PermissionError as exc:
        raise _unreadable(paths.etc, exc) from exc
    except OSError as exc:
        # readlink(2): EINVAL, it is something else than a symbolic link.
        raise RollcallError(
            f"{paths.etc} is not the symbolic link that Rollcall keeps there ({exc.strerror}), so it is left alone.",
            kind="refused",
            remedies=[f"look at it and move it away: mv {paths.etc} {paths.etc}.saved"],
        ) from exc


def load_generation(paths: Paths) -> t.Optional[Generation]:
    """Return the generation in place, or None before the first install.

    Raises:
        RollcallError: a file of it is missing, unreadable or broken; never a default instead.
    """
    return None if current_generation(paths) is None else _load(paths)


def load_stored(paths: Paths, root: str, name: str) -> Generation:
    """Return a generation that is kept, whether or not it is the one in place.

    Args:
        paths: of the stack.
        root: of the stack.
        name: its id.

    Raises:
        RollcallError: ``wrong_use``: there is none of that id; or a file of it is missing, unreadable or broken.
    """
    directory = os.path.join(store(root), name)
    if os.path.basename(name) != name or not os.path.isdir(directory):
        raise RollcallError(
            f"No generation {name} is kept under {root}.",
            kind="wrong_use",
            evidence={"generation": name, "kept": [entry["id"] for entry in generations(paths, root)]},
            remedies=["rollcall history"],
        )
    return _load(dataclasses.replace(paths, etc=directory))


def _load(paths: Paths) -> Generation:
    try:
        stack = load_stack(paths)
        with open(paths.config, encoding="utf-8") as stream:
            config = stream.read()
    except (OSError, ValueError) as exc:
        raise _unreadable(paths.etc, exc) from exc
    return Generation(stack, config, load_environment(paths))


def generations(paths: Paths, root: str) -> t.List[t.Dict[str, t.Any]]:
    """Return the generations that are kept, the latest first: ``id``, ``verified``, ``in_place`` and ``digest``.

    One that was never finished is not among them.
    """
    current = current_generation(paths)
    found = []
    for name in sorted(os.listdir(store(root)) if os.path.isdir(store(root)) else (), reverse=True):
        try:
            meta = _meta(root, name)
        except FileNotFoundError:
            continue
        found.append({"id": name, "verified": meta["verified"], "in_place": name == current, "digest": meta["digest"]})
    return found


def load_environment(paths: Paths) -> t.Dict[str, t.Dict[str, str]]:
    """Return the variables of the installed private files, by service: they may be secret.

    Raises:
        RollcallError: one of them cannot be read.
    """
    environment = {}
    try:
        for name in sorted(os.listdir(paths.env_dir)):
            with open(os.path.join(paths.env_dir, name), encoding="utf-8") as stream:
                environment[os.path.splitext(name)[0]] = json.load(stream)
    except (OSError, ValueError) as exc:
        raise _unreadable(paths.env_dir, exc) from exc
    return environment


def config_in_place(paths: Paths) -> str:
    """Return the text of the config in place, to be shown; empty when there is none."""
    try:
        with open(paths.config, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def load_stack(paths: Paths) -> Stack:
    """Return the manifest of the generation in place.

    Raises:
        RollcallError: there is none, or it cannot be read.
    """
    try:
        with open(paths.manifest, encoding="utf-8") as stream:
            return Stack.from_dict(json.load(stream))
    except FileNotFoundError as exc:
        raise RollcallError(
            f"No stack is installed here: {paths.manifest} does not exist.",
            kind="wrong_use",
            remedies=["ansible-playbook site.yml"],
        ) from exc
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise _unreadable(paths.manifest, exc) from exc


def _unreadable(path: str, exc: Exception) -> RollcallError:
    return RollcallError(
        f"The installed manifest or config under {path} cannot be read: {exc}.",
        evidence={"path": path, "cause": str(exc)},
        remedies=["run as the user who installed it, or with sudo", "ansible-playbook site.yml installs it anew"],
    )


def install_generation(
    paths: Paths, root: str, run: str, generation: Generation, owner: t.Optional[t.Tuple[int, int]]
) -> None:
    """Put ``generation`` in place of the current one, atomically; the old one is kept.

    Args:
        paths: the stack's paths.
        root: the stack's root.
        run: the run's id, which becomes the generation's.
        generation: what to install.
        owner: uid and gid of the stack's user when they are not the writer's own.

    Raises:
        OSError: as the kernel says it; the current generation is untouched then.
    """
    directory = os.path.join(store(root), run)
    env_dir = os.path.join(directory, os.path.basename(paths.env_dir))
    os.makedirs(store(root), exist_ok=True)
    if os.path.isdir(directory):
        shutil.rmtree(directory)
    os.mkdir(directory)
    os.mkdir(env_dir, 0o700)
    for path in (store(root), directory):
        # Not when they are made, the umask of a careful root would close them: daemon and applications read in here.
        os.chmod(path, 0o755)
    # The daemon, which runs as the stack's user, reads the config; the group bit lets it, nobody else may.
    group = None if owner is None else (os.geteuid(), owner[1])
    if owner is not None:
        os.chown(env_dir, *owner)
    manifest = json.dumps(generation.stack.to_dict(), indent=2, sort_keys=True) + "\n"
    write_atomically(os.path.join(directory, os.path.basename(paths.manifest)), manifest, 0o640, group)
    write_atomically(os.path.join(directory, os.path.basename(paths.config)), generation.config, 0o640, group)
    write_atomically(os.path.join(directory, registry.NAME), registry.text(generation.stack), 0o644)
    for service, variables in generation.environment.items():
        text = json.dumps(variables, indent=2, sort_keys=True) + "\n"
        write_atomically(os.path.join(env_dir, f"{service}.json"), text, 0o600, owner)
    release = generation.stack.release
    if release is not None:
        os.symlink(os.path.relpath(release_directory(root, release), directory), os.path.join(directory, RELEASE))
    meta = {"digest": generation.digest, "content": _content(directory), "loaded": False, "verified": False}
    write_meta(directory, meta)
    _put_in_place(paths, root, directory)


def restore_generation(paths: Paths, root: str, name: str) -> None:
    """Put a generation that is kept in place of the current one, atomically; that one is kept as well.

    Raises:
        OSError: as the kernel says it; the current generation is untouched then.
    """
    directory = os.path.join(store(root), name)
    # No supervisord runs by it at this moment, whatever did before.
    write_meta(directory, {**_meta(root, name), "loaded": False})
    _put_in_place(paths, root, directory)


def _put_in_place(paths: Paths, root: str, directory: str) -> None:
    # These lead through etc, so they are made first and say what etc says.
    _link(registry.path(root), registry.target(paths))
    if os.path.lexists(os.path.join(directory, RELEASE)):
        _link(current_release(root), release_link(paths))
    _link(paths.etc, os.path.relpath(directory, os.path.dirname(paths.etc)))
    sync_directory(os.path.dirname(paths.etc))


def _link(path: str, target: str) -> None:
    """Make the symbolic link ``path`` say ``target``, atomically."""
    temporary = f"{path}.new"
    if os.path.islink(temporary):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.replace(temporary, path)


def write_meta(directory: str, meta: t.Mapping[str, t.Any]) -> None:
    """Write what is known about a generation."""
    write_atomically(os.path.join(directory, "meta.json"), json.dumps(meta) + "\n", 0o644)


def read_meta(paths: Paths, root: str) -> t.Dict[str, t.Any]:
    """Return what is known of the current generation; empty before the first install."""
    current = current_generation(paths)
    return {} if current is None else _meta(root, current)


def _meta(root: str, name: str) -> t.Dict[str, t.Any]:
    """Return what is known of a generation; nothing of good is known when its record is damaged.

    Raises:
        FileNotFoundError: it was never finished.
    """
    with open(os.path.join(store(root), name, "meta.json"), encoding="utf-8", errors="replace") as stream:
        meta = _parse_note(stream.read())
    return {"digest": "", "content": "", "loaded": False, "verified": False, **meta}


def altered(paths: Paths, root: str) -> bool:
    """Return whether the files of the generation in place are not those that were installed."""
    try:
        return read_meta(paths, root).get("content") != _content(os.path.realpath(paths.etc))
    except FileNotFoundError:
        return True


def _content(directory: str) -> str:
    """Return a digest over the files of a generation, but for the record of what became of it."""
    digest = hashlib.sha256()
    for place, _directories, names in sorted(os.walk(directory)):
        for name in sorted(names):
            path = os.path.join(place, name)
            if name != "meta.json" and os.path.isfile(path):
                with open(path, "rb") as stream:
                    digest.update(f"{os.path.relpath(path, directory)}\0".encode() + stream.read() + b"\0")
    return digest.hexdigest()


def in_place(paths: Paths, root: str) -> t.Optional[t.Dict[str, t.Any]]:
    """Return which generation is in place: ``id``, which is that of the run that installed it, and ``verified``."""
    current = current_generation(paths)
    return None if current is None else {"id": current, "verified": bool(read_meta(paths, root)["verified"])}


def mark_loaded(paths: Paths, root: str) -> None:
    """Record that the live supervisord runs by the current generation."""
    _mark(paths, root, "loaded", {"loaded": True})


def mark_verified(paths: Paths, root: str, when: float) -> None:
    """Record that the verdict over the current generation held, at ``when`` seconds since the epoch; prune old ones."""
    _mark(paths, root, "verified", {"verified": True, "verified_at": when})
    current = current_generation(paths)
    names = sorted(os.listdir(store(root)))
    # What one would go back to stays, however many have failed since.
    kept = {current, *[entry["id"] for entry in generations(paths, root) if entry["verified"]][:2]}
    for name in names[:-KEEP_GENERATIONS]:
        if name not in kept:
            shutil.rmtree(os.path.join(store(root), name))


def _mark(paths: Paths, root: str, key: str, facts: t.Mapping[str, t.Any]) -> None:
    meta = read_meta(paths, root)
    current = current_generation(paths)
    if current is not None and not meta[key]:
        write_meta(os.path.join(store(root), current), {**meta, **facts})


# --- where the logs stood ---------------------------------------------------------------------------------------


def log_mark(path: str) -> t.Tuple[int, int]:
    """Return inode and size in bytes of a log now; zeros when it does not exist yet."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return (0, 0)
    return (status.st_ino, status.st_size)


def written_since(path: str, mark: t.Tuple[int, int], limit: int = 262_144) -> str:
    """Return what was written to a log after ``mark``, at most its last ``limit`` bytes.

    A rotated log has another inode and a truncated one is shorter: all of the new file counts then.
    """
    inode, offset = mark
    try:
        with open(path, "rb") as stream:
            status = os.fstat(stream.fileno())
            if status.st_ino != inode or status.st_size < offset:
                offset = 0
            stream.seek(max(offset, status.st_size - limit))
            return stream.read(limit).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
