# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The files of the engine, as they lie in the collection: what a host gets, and what a fingerprint covers."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import typing as t
import zipfile

COLLECTION = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ENGINE = os.path.join(COLLECTION, "plugins", "module_utils")
# The default of `bootstrap_python`.
PYTHON = "python3"


def engine_files(directory: str = ENGINE) -> t.Dict[str, bytes]:
    """Return the content of every Python file below ``directory``, by its path from there, in the order of the paths.

    Raises:
        OSError: one of them cannot be read.
    """
    found = {}
    for place, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(place, name)
                with open(path, "rb") as stream:
                    found[os.path.relpath(path, directory)] = stream.read()
    return dict(sorted(found.items()))


def pack(path: str, files: t.Mapping[str, bytes]) -> None:
    """Write a zip archive of ``files`` to ``path``; the same files make the same archive.

    Raises:
        OSError: it cannot be written.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


@functools.lru_cache(maxsize=1)
def files_digest() -> bytes:
    """Return a digest of what is the same on all hosts: the engine, and the files of the role bootstrap.

    It is made once in a process; whoever is about to fork asks first, and those that it forks have it.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for name, content in engine_files().items():
        digest.update(name.encode("utf-8") + b"\0" + content)
    files = os.path.join(COLLECTION, "roles", "bootstrap", "files")
    for path in sorted(entry.path for entry in os.scandir(files) if entry.is_file()):
        with open(path, "rb") as stream:
            digest.update(stream.read())
    return digest.digest()


def fingerprint(data: t.Mapping[str, t.Any], python: str = PYTHON) -> str:
    """Return a digest of all that ``bootstrap`` puts on a host: engine, its own files, account and directories.

    Args:
        data: the normalised manifest.
        python: the interpreter that the engine's environment is made with.
    """
    wanted = [data["name"], data["user"], data["root"], data["paths"], python]
    digest = hashlib.sha256(json.dumps(wanted).encode("utf-8"))
    digest.update(files_digest())
    return digest.hexdigest()[:16]
