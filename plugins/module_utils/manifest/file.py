# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Manifest files, YAML and JSON, read as plain data with the line of every value, within limits of size and time."""

from __future__ import annotations

import os
import typing as t

from ..base.errors import Problem, problems_error
from ..base.opening import NotPlain, open_followed
from . import corrections
from .builder import Builder
from .check import Checked, check_manifest
from .document import is_inventory_file
from .events import NotJson, Refused, json_events, yaml_events
from .places import Place

SIZE_LIMIT = 1024 * 1024


class Loaded(t.NamedTuple):
    """What a file holds.

    Attributes:
        data: the data; None when it could not be read to its end.
        lines: the line of each value, from 1, by its place.
        problems: the problems of the text itself.
    """

    data: t.Any
    lines: t.Mapping[Place, int]
    problems: t.List[Problem]

    @property
    def failed(self) -> bool:
        """Whether the data must not be used."""
        return any(problem.severity == "error" for problem in self.problems)


def load_manifest(path: str) -> t.Any:
    """Return the data in a manifest file.

    Raises:
        RollcallError: ``wrong_use`` with every problem: the file cannot be read, or its text is wrong.
    """
    loaded = read_manifest(path)
    if loaded.failed:
        raise problems_error(f"The manifest {path} cannot be used", loaded.problems, path=path)
    return loaded.data


def check_file(
    path: str,
    *,
    overlay: t.Any = None,
    assigned: t.Optional[t.Mapping[str, int]] = None,
    release: t.Optional[str] = None,
    variables: bool = False,
) -> Checked:
    """Find all problems of a manifest file, YAML or JSON, those of its text included.

    Args:
        path: the file.
        variables: whether it may be a file of an inventory's variables that has the manifest in one of them.
        overlay: data merged over it.
        assigned: the ports that services have got on their host, by their names.
        release: the id of the application's release that the services run.
    """
    loaded = read_manifest(path, variables=variables)
    if loaded.data is None and loaded.failed:
        return Checked(None, loaded.problems)
    result = check_manifest(
        loaded.data, overlay=overlay, lines=loaded.lines, assigned=assigned, release=release, variables=variables
    )
    return Checked(None if loaded.failed else result.stack, joined(loaded.problems, result.problems))


def joined(of_text: t.List[Problem], of_data: t.Sequence[Problem]) -> t.List[Problem]:
    """Return the problems of a text and of its data; where the text is wrong, those of the data are left out."""
    places = {problem.place for problem in of_text if problem.severity == "error"}
    return of_text + [problem for problem in of_data if problem.place not in places]


def read_manifest(path: str, *, variables: bool = False) -> Loaded:
    """Return the data in a file and the problems of its text. Never raises because of the file."""
    try:
        content = _content(path)
    except (OSError, ValueError) as exc:  # a path with a zero byte in it is a ValueError
        reason = getattr(exc, "strerror", None) or exc
        return _unreadable(f"cannot be read: {reason}", corrections.READABLE)
    except Refused as exc:
        return _unreadable(exc.message, exc.cure)
    return parse_manifest(content, json_only=path.endswith(".json"), variables=variables)


def parse_manifest(content: bytes, *, json_only: bool = False, variables: bool = False) -> Loaded:
    """Return the data in the text of a manifest and the problems of the text.

    Args:
        content: YAML or JSON, in UTF-8.
        json_only: whether it can only be JSON.
        variables: whether it may be a file of an inventory's variables, in which Ansible reads tags and templates.
    """
    builder = Builder()
    try:
        text = _decode(content)
        if json_only or text.lstrip()[:1] in ("{", "["):
            try:
                builder.build(json_events(text))
            except NotJson as exc:
                if json_only:
                    raise
                try:
                    builder.build(yaml_events(text))
                except Refused:
                    raise exc from None
        else:
            builder.build(yaml_events(text))
            builder.complete(text)
        if not (variables and is_inventory_file(builder.data)):
            builder.refuse_tags()
    except Refused as exc:
        builder.flaw((), exc.line, exc.message, exc.cure)
        return Loaded(None, builder.lines, builder.problems())
    return Loaded(builder.data, builder.lines, builder.problems())


def _unreadable(message: str, cure: str) -> Loaded:
    return Loaded(None, {}, [Problem("manifest", message, cure)])


def _content(path: str) -> bytes:
    """Return the bytes of a regular file, one more than the limit at most. A named pipe is not waited for."""
    try:
        descriptor = open_followed(path)
    except NotPlain as exc:
        raise Refused("is not a regular file", corrections.A_FILE) from exc
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(SIZE_LIMIT + 1)


def _decode(content: bytes) -> str:
    if len(content) > SIZE_LIMIT:
        raise Refused(
            f"is larger than {SIZE_LIMIT // 1024} KiB, which no manifest needs",
            corrections.SMALLER_FILE,
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise Refused("is not UTF-8 text", corrections.UTF_8, line) from exc
    if not text.strip():
        raise Refused("is empty", corrections.WRITE_OR_RESTORE)
    return text
