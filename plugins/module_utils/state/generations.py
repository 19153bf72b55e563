# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The generations of a stack: directories ``ROOT/generations/<id>`` with the files that belong together.

These are manifest, config, registry, the services' private files and a link to the release. ``ROOT/etc`` is a symbolic
link to the current generation, so one ``rename`` switches all of them: a reader, supervisord included, sees the old
generation or the new one and never a mixture. A generation has the id of the run that installed it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import typing as t

from ..base import cures
from ..base.digest import hex_of, sha256
from ..base.errors import RollcallError
from ..base.files import (
    MOST_BYTES,
    cures_of,
    is_temporary,
    json_object,
    read_record,
    read_text,
    read_text_record,
    sync_directory,
    write_atomically,
)
from ..base.opening import NotPlain, OpenDirectory
from ..base.removing import remove
from ..host import answering
from ..host.accounts import readable_by
from ..host.mounts import Mount
from ..manifest.model import Paths, Stack
from ..manifest.release_paths import RELEASE, current_release, release_directory, release_link
from . import registry

if t.TYPE_CHECKING:
    from ..base.documents import GenerationInPlace

KEEP_GENERATIONS = 5
_INSTALL_ANEW = (cures.INSTALL,)


@dataclasses.dataclass(frozen=True)
class Generation:
    """The contents of one generation.

    Attributes:
        stack: the manifest.
        config: the text of supervisord's config.
        environment: by service the variables that its launcher reads from a private file; they may be secret.
    """

    stack: Stack
    config: str
    environment: t.Mapping[str, t.Mapping[str, str]]

    @functools.cached_property
    def digest(self) -> str:
        """16 hex digits of a hash over all of it: equal digests mean equal generations."""
        text = json.dumps([self.stack.to_dict(), self.config, self.environment], sort_keys=True)
        return hex_of(text.encode("utf-8"), 16)


def generations_directory(root: str) -> str:
    """Return the directory of a stack's generations."""
    return os.path.join(root, "generations")


def in_place(paths: Paths) -> str:
    """Return the id of the current generation; empty where there is none, or that cannot be told."""
    try:
        return os.path.basename(os.readlink(paths.etc))
    except OSError:
        return ""


def current_id(paths: Paths) -> t.Optional[str]:
    """Return the id of the current generation; None before the first install.

    Raises:
        RollcallError: ``refused``: ``etc`` is there and is no symbolic link; or it may not be read.
    """
    try:
        return os.path.basename(os.readlink(paths.etc))
    except FileNotFoundError:
        return None
    except PermissionError as exc:
        raise _unreadable(paths.etc, exc) from exc
    except OSError as exc:
        # readlink(2): EINVAL when it is not a symbolic link.
        raise RollcallError(
            f"{paths.etc} is not the symbolic link that Rollcall keeps there ({exc.strerror}), so it is left alone.",
            kind="refused",
            remedies=[cures.move_away(paths.etc), cures.INSTALL],
        ) from exc


def load_current(paths: Paths) -> t.Optional[Generation]:
    """Return the current generation; None before the first install.

    Raises:
        RollcallError: a file of it is missing, unreadable or broken.
    """
    return None if current_id(paths) is None else _load(paths)


def load_kept(paths: Paths, root: str, name: str) -> Generation:
    """Return a generation that is kept; it may be the current one.

    Args:
        paths: of the stack.
        root: of the stack.
        name: its id.

    Raises:
        RollcallError: ``wrong_use``: there is none of that id; or a file of it is missing, unreadable or broken.
    """
    directory = os.path.join(generations_directory(root), name)
    if os.path.basename(name) != name or not os.path.isdir(directory):
        raise RollcallError(
            f"No generation {name} is kept under {root}.",
            kind="wrong_use",
            evidence={"generation": name, "kept": [entry["id"] for entry in kept_generations(paths, root)]},
            remedies=[cures.HISTORY],
        )
    return _load(dataclasses.replace(paths, etc=directory))


def _load(paths: Paths) -> Generation:
    try:
        stack = load_stack(paths)
        config = read_text(paths.config)
    except (OSError, ValueError) as exc:
        raise _unreadable(paths.etc, exc) from exc
    return Generation(stack, config, load_environment(stack, paths))


def kept_generations(paths: Paths, root: str) -> t.List[t.Dict[str, t.Any]]:
    """Return ``id``, ``verified``, ``in_place`` and ``digest`` of each kept generation, the latest first.

    One that was never completely written is not among them.
    """
    current = current_id(paths)
    found = []
    for name in sorted(
        os.listdir(generations_directory(root)) if os.path.isdir(generations_directory(root)) else (), reverse=True
    ):
        try:
            meta = _meta(root, name)
        except FileNotFoundError:
            continue
        found.append({"id": name, "verified": meta["verified"], "in_place": name == current, "digest": meta["digest"]})
    return found


def was_verified(paths: Paths, root: str) -> bool:
    """Return whether a generation that is kept was ever verified, also one that something speaks against by now."""
    return any(
        _meta(root, entry["id"]).get("verified_at") or entry["verified"] for entry in kept_generations(paths, root)
    )


def ids_to_go_back_to(paths: Paths, root: str) -> t.List[str]:
    """Return the current generation and those that were in place before it, the latest first.

    One that was given up, by a rollback or because it failed, is not among them. It is the order of being in place, not
    that of the ids: who goes back and then installs something else stands where they went back to.
    """
    current = current_id(paths)
    return [] if current is None else [current, *_ids_before(root, current)][:KEEP_GENERATIONS]


def _ids_before(root: str, name: str) -> t.List[str]:
    known = _meta(root, name).get("before")
    if isinstance(known, list):
        return [str(one) for one in known]
    # Engines before 0.2.0 did not record it.
    return sorted((one for one in os.listdir(generations_directory(root)) if one < name), reverse=True)


def id_before(paths: Paths, root: str) -> t.Optional[str]:
    """Return the latest verified generation that was in place before the current one, and is another; None for none."""
    kept = {entry["id"]: entry for entry in kept_generations(paths, root)}
    current = current_id(paths)
    digest = kept[current]["digest"] if current in kept else None
    for name in ids_to_go_back_to(paths, root)[1:]:
        entry = kept.get(name)
        # The same manifest may have been installed several times.
        if entry is not None and entry["verified"] and entry["digest"] != digest:
            return name
    return None


def load_environment(stack: Stack, paths: t.Optional[Paths] = None) -> t.Dict[str, t.Dict[str, str]]:
    """Return by service the variables in the private files; they may be secret.

    Args:
        stack: the manifest. The files are in a directory of its user's, who can put something else there.
        paths: of the generation that they belong to; None for the one that is in place.

    Raises:
        RollcallError: one of them cannot be read.
    """
    env_dir = (paths or stack.paths).env_dir
    try:
        place = OpenDirectory(_env_directory(paths or stack.paths), readable_by(stack.user))
    except OSError as exc:
        raise _unreadable(env_dir, exc) from exc
    found: t.Dict[str, t.Dict[str, str]] = {}
    with place:
        for service in stack.entries.values():
            path = os.path.join(env_dir, f"{service.name}.json")
            subject = f"The private file of service {service.name}"
            variables = read_record(
                path, _variables, None, subject, _INSTALL_ANEW, lambda path: place.open(os.path.basename(path))
            )
            if variables is not None:
                found[service.name] = variables
    return found


def _env_directory(paths: Paths) -> str:
    """Return the directory of the private files without the link ``etc`` in its path.

    Root follows no link in a root that others can change. What runs there must be stopped all the same.
    """
    # That of an earlier generation is no link.
    current = current_id(paths) if os.path.islink(paths.etc) else None
    if current is None:
        return paths.env_dir
    return os.path.join(generations_directory(os.path.dirname(paths.etc)), current, os.path.basename(paths.env_dir))


def _variables(data: t.Any) -> t.Optional[t.Dict[str, str]]:
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise TypeError("it has something else than texts by their names")
    return data


def current_config(paths: Paths) -> str:
    """Return the text of the installed config, for a diff; empty when there is none."""
    try:
        return read_text(paths.config, errors="replace")
    except FileNotFoundError:
        return ""


def config_of(root: str, generation: str) -> str:
    """Return the text of a generation's config, for a diff; empty when there is none."""
    path = os.path.join(generations_directory(root), generation, "supervisord.conf")
    try:
        return read_text(path, errors="replace") if generation else ""
    except FileNotFoundError:
        return ""


def load_stack(paths: Paths) -> Stack:
    """Return the installed manifest.

    Raises:
        RollcallError: ``wrong_use``: there is none; ``refused``: something else is there, or one of its directories is
            on a file system that does not answer; or it cannot be read.
    """
    stack = read_text_record(paths.manifest, _stack_of, None, "The installed manifest", _INSTALL_ANEW)
    if stack is None:
        # Something else in its place is told by what it is.
        current_id(paths)
        raise RollcallError(
            f"No stack is installed here: {paths.manifest} does not exist.",
            kind="wrong_use",
            remedies=[cures.INSTALL],
        )
    answering.require([stack.paths.run, stack.paths.logs])
    return stack


@functools.lru_cache(maxsize=2)
def _stack_of(text: str) -> Stack:
    """Return the stack that a manifest's file has. A run reads the same text many times, and changes no stack."""
    return Stack.from_dict(json.loads(text))


class Placement(t.NamedTuple):
    """Where an installed stack is.

    Attributes:
        name: of the stack.
        root: its root, as its manifest says.
        paths: its directories.
    """

    name: str
    root: str
    paths: Paths


def load_placement(paths: Paths, mounted: t.Optional[t.Sequence[Mount]] = None) -> t.Optional[Placement]:
    """Return where an installed stack is, without what its services are; None when none is installed.

    Args:
        paths: the stack's paths.
        mounted: from `mounts`, for somebody who asks for many stacks; None has it read.

    Raises:
        RollcallError: ``refused``: one of its directories is on a file system that does not answer; or its manifest
            cannot be read.
    """

    def parse(data: t.Any) -> Placement:
        return Placement(data["name"], data["root"], Paths(**data["paths"]))

    found = read_record(paths.manifest, parse, None, "The installed manifest", _INSTALL_ANEW)
    if found is not None:
        answering.require([found.paths.run, found.paths.logs], mounted)
    return found


def load_whereabouts(root: str) -> t.Tuple[str, t.Optional[str]]:
    """Return the state directory and the user of the stack at ``root``: the usual ones where its manifest is of no use.

    Nothing but the manifest is looked at, and nothing is raised.
    """
    paths = Paths.of(root)
    try:
        stack = read_text_record(paths.manifest, _stack_of, None, "The installed manifest", _INSTALL_ANEW)
    except RollcallError:
        stack = None
    return (paths.state, None) if stack is None else (stack.paths.state, stack.user)


def _unreadable(path: str, exc: Exception) -> RollcallError:
    return RollcallError(
        f"The installed manifest or config under {path} cannot be read: {exc}.",
        evidence={"path": path, "cause": str(exc)},
        remedies=cures_of(exc, _INSTALL_ANEW),
    )


def write_generation(
    paths: Paths, root: str, run: str, generation: Generation, owner: t.Optional[t.Tuple[int, int]], *, by: str = ""
) -> None:
    """Write ``generation`` beside the current one, which it does not replace yet.

    Args:
        paths: the stack's paths.
        root: the stack's root.
        run: id of the run; the generation gets the same.
        generation: what to write.
        owner: uid and gid of the stack's user; None when the writer is that user.
        by: the command with which its manifest was applied.

    Raises:
        OSError: a file could not be written.
    """
    directory = os.path.join(generations_directory(root), run)
    env_dir = os.path.join(directory, os.path.basename(paths.env_dir))
    os.makedirs(generations_directory(root), exist_ok=True)
    remove(directory, missing_ok=True)
    os.mkdir(directory)
    os.mkdir(env_dir, 0o700)
    for path in (generations_directory(root), directory):
        # A chmod and not the mode of mkdir, which the umask narrows: supervisord and the services read in here.
        os.chmod(path, 0o755)
    # supervisord runs as the stack's user and reads the config by the group's bit; nobody else may.
    group = None if owner is None else (os.geteuid(), owner[1])
    manifest = json.dumps(generation.stack.to_dict(), indent=2, sort_keys=True) + "\n"
    write_atomically(os.path.join(directory, os.path.basename(paths.manifest)), manifest, 0o640, group)
    write_atomically(os.path.join(directory, os.path.basename(paths.config)), generation.config, 0o640, group)
    write_atomically(os.path.join(directory, registry.NAME), registry.text(generation.stack), 0o644)
    for service, variables in generation.environment.items():
        text = json.dumps(variables, indent=2, sort_keys=True) + "\n"
        write_atomically(os.path.join(env_dir, f"{service}.json"), text, 0o600, owner)
    if owner is not None:
        # Not before: nothing of theirs can be in the way of what is written.
        os.chown(env_dir, *owner)
    release = generation.stack.release
    if release is not None:
        os.symlink(os.path.relpath(release_directory(root, release), directory), os.path.join(directory, RELEASE))
    meta = {"digest": generation.digest, "content": _content(directory), "loaded": False, "verified": False, "by": by}
    known = {"settings": _content(directory, bare=True), "stamps": _stamps(directory)}
    write_meta(directory, {**meta, **known, "before": ids_to_go_back_to(paths, root)})


def forget_generation(root: str, name: str) -> None:
    """Remove what was written of a generation that is not the current one; the rest is in nobody's way."""
    with contextlib.suppress(OSError, RollcallError):
        remove(os.path.join(generations_directory(root), name))


def install_generation(paths: Paths, root: str, name: str) -> None:
    """Make the written generation ``name`` the current one, atomically; the one before it is kept.

    Raises:
        OSError: a link could not be written; the current generation is still the one before.
    """
    _put_in_place(paths, root, os.path.join(generations_directory(root), name))


def restore_generation(paths: Paths, root: str, name: str) -> None:
    """Make the kept generation ``name`` the current one, atomically; the one before it is kept.

    Raises:
        OSError: a file could not be written; the current generation is still the one before.
    """
    directory = os.path.join(generations_directory(root), name)
    # The supervisord that once ran by it has ended.
    write_meta(directory, {**_meta(root, name), "loaded": False, "left": None})
    _put_in_place(paths, root, directory)


def _put_in_place(paths: Paths, root: str, directory: str) -> None:
    # These two lead through etc, so the rename of etc below switches them as well.
    _link(registry.path(root), registry.target(paths))
    if os.path.lexists(os.path.join(directory, RELEASE)):
        _link(current_release(root), release_link(paths))
    _link(paths.etc, os.path.relpath(directory, os.path.dirname(paths.etc)))
    sync_directory(os.path.dirname(paths.etc))


def _link(path: str, target: str) -> None:
    """Make the symbolic link ``path`` to ``target``, atomically."""
    temporary = f"{path}.new"
    if os.path.islink(temporary):
        remove(temporary)
    os.symlink(target, temporary)
    os.replace(temporary, path)


def write_meta(directory: str, meta: t.Mapping[str, t.Any]) -> None:
    """Write the record of a generation in ``directory``."""
    write_atomically(os.path.join(directory, "meta.json"), json.dumps(meta) + "\n", 0o644)


def read_meta(paths: Paths, root: str) -> t.Dict[str, t.Any]:
    """Return the record of the current generation: ``digest``, ``content``, ``loaded``, ``verified``, ``verified_at``.

    It is empty before the first install.
    """
    current = current_id(paths)
    return {} if current is None else _meta(root, current)


def read_kept_meta(root: str, name: str) -> t.Dict[str, t.Any]:
    """Return the record of a generation, as `read_meta` does; empty when it is not kept any more."""
    try:
        return _meta(root, name)
    except FileNotFoundError:
        return {}


def _meta(root: str, name: str) -> t.Dict[str, t.Any]:
    """Return the record of a generation; a damaged one counts as neither loaded nor verified.

    Raises:
        FileNotFoundError: the generation was never completely written.
    """
    path = os.path.join(generations_directory(root), name, "meta.json")
    meta = json_object(read_text(path, errors="replace"))
    texts = {key: "" if not isinstance(meta.get(key), str) else meta[key] for key in ("digest", "content")}
    return {"loaded": False, "verified": False, **meta, **texts}


def applied_by(root: str) -> str:
    """Return the command with which a manifest is applied to this stack; empty when that cannot be said."""
    try:
        return str(read_meta(Paths.of(root), root).get("by", ""))
    except (RollcallError, OSError):
        # It is looked up for the words of a cure, and what is wrong with the stack is told by whoever judges that.
        return ""


def is_altered(paths: Paths, root: str) -> bool:
    """Return whether the files of the current generation have been edited since they were installed."""
    try:
        return read_meta(paths, root).get("content") != _content(os.path.realpath(paths.etc))
    except FileNotFoundError:
        return True


def is_edited(paths: Paths, root: str) -> bool:
    """Return whether what the files of the current generation say was changed; a comment in the config says nothing.

    It costs little where no file was touched: that is seen by their stamps, of which nobody can set the last (stat(2)).
    """
    meta, directory = read_meta(paths, root), os.path.realpath(paths.etc)
    if not meta or meta.get("stamps") == _stamps(directory) or meta["content"] == _content(directory):
        return False
    return bool(meta["content"]) and meta.get("settings") != _content(directory, bare=True)


def _stamps(directory: str) -> t.Dict[str, t.List[int]]:
    """Return of each file of a generation its inode, its size and when it was changed last."""
    found = {path: place.status(name) for path, place, name in _files_in(directory)}
    return {path: [one.st_ino, one.st_size, one.st_ctime_ns] for path, one in found.items()}


def _files_in(directory: str) -> t.Iterator[t.Tuple[str, OpenDirectory, str]]:
    """Yield the files of a generation, its record excepted: the path below its directory, and where it is opened."""
    for above, _directories, names in sorted(os.walk(directory)):
        # The private files are in a directory of the user's, who may put something else into it.
        with OpenDirectory(above) as place:
            for name in sorted(names):
                if name != "meta.json" and not is_temporary(name) and place.is_file(name):
                    yield os.path.relpath(os.path.join(above, name), directory), place, name


def _content(directory: str, *, bare: bool = False) -> str:
    """Return a hash over the files of a generation; with ``bare`` without comments and blank lines in the config."""
    digest = sha256()
    for path, place, name in _files_in(directory):
        try:
            lines = place.read(name, MOST_BYTES)
        except (FileNotFoundError, NotPlain) as exc:
            # It was changed into something that no install writes.
            lines = type(exc).__name__.encode("ascii")
        if bare and path.endswith(".conf"):
            lines = b"\n".join(line for line in lines.splitlines() if line.strip() and line[:1] not in b";#")
        digest.update(f"{path}\0".encode() + lines + b"\0")
    return str(digest.hexdigest())


def describe_current(paths: Paths, root: str) -> t.Optional[GenerationInPlace]:
    """Return ``id`` and ``verified`` of the current generation, for a report; None before the first install."""
    current = current_id(paths)
    return None if current is None else {"id": current, "verified": bool(read_meta(paths, root)["verified"])}


def record_loaded(paths: Paths, root: str, left: t.Collection[str] = ()) -> None:
    """Record that the live supervisord runs by the current generation; ``left``: but for these services."""
    _record(paths, root, "loaded", {"loaded": not left, "left": sorted(left)})


def is_loaded(meta: t.Mapping[str, t.Any], name: str) -> bool:
    """Return whether supervisord runs a service by the generation in place; ``meta``: as `read_meta` returns it."""
    left = meta.get("left")
    return bool(meta["loaded"]) or (isinstance(left, list) and name not in left)


def is_left(meta: t.Mapping[str, t.Any], name: str) -> bool:
    """Return whether supervisord runs a service as it did before the generation in place."""
    left = meta.get("left")
    return not meta.get("loaded") and isinstance(left, list) and name in left


def record_verified(paths: Paths, root: str, when: float) -> None:
    """Record that the current generation was verified at ``when`` seconds since the epoch, and remove old ones."""

    _record(paths, root, "verified", {"verified": True, "verified_at": when})
    current = current_id(paths)
    names = sorted(os.listdir(generations_directory(root)))
    # However many have failed since: a rollback needs the last verified ones.
    verified = {entry["id"] for entry in kept_generations(paths, root) if entry["verified"]}
    kept = {current, *[name for name in ids_to_go_back_to(paths, root) if name in verified][:3]}
    for name in names[:-KEEP_GENERATIONS]:
        if name not in kept:
            remove(os.path.join(generations_directory(root), name))


def record_unverified(paths: Paths, root: str) -> None:
    """Record that something speaks against the current generation: no rollback goes to it."""
    current, meta = current_id(paths), read_meta(paths, root)
    if current is not None and meta["verified"]:
        write_meta(os.path.join(generations_directory(root), current), {**meta, "verified": False})


def _record(paths: Paths, root: str, key: str, facts: t.Mapping[str, t.Any]) -> None:
    meta = read_meta(paths, root)
    current = current_id(paths)
    if current is not None and not meta[key]:
        write_meta(os.path.join(generations_directory(root), current), {**meta, **facts})
