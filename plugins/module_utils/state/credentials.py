# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The files that each service was started with, so that one that has changed since restarts the service.

Keyed digests are kept, never contents: from a plain digest a short secret could be guessed.
"""

from __future__ import annotations

import functools
import os
import typing as t

from ..base import cures
from ..base.files import read_record, write_record
from ..base.opening import open_followed
from ..host.accounts import readable_by
from ..host.apart import apart_each
from ..manifest.model import Service, Stack

# Seconds in which the files must answer.
SECONDS = 5.0
# Bytes of a file that is read to see whether it has changed; of a larger one size and time are looked at.
MOST = 16 * 1024 * 1024

Digests = t.Mapping[str, t.Mapping[str, str]]


def path(stack: Stack) -> str:
    """Return the file that keeps the digests."""
    return os.path.join(stack.paths.state, "files.json")


class ChangedFiles(t.NamedTuple):
    """By service why it must read files anew.

    Attributes:
        restart: those that must be restarted for it.
        reload: those that reload them.
    """

    restart: t.Dict[str, str]
    reload: t.Dict[str, str]


def watched(service: Service) -> t.Tuple[str, ...]:
    """Return the files of a service whose change it must be told."""
    return tuple(dict.fromkeys((*service.requires_files, *(service.reload.files if service.reload else ()))))


class FileRecord:
    """The record of the files that the services of a stack were started with.

    Args:
        stack: the manifest.

    Raises:
        RollcallError: the record cannot be read.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._judge = readable_by(stack.user)
        kept = _load(path(stack))
        self._key = bytes.fromhex(kept["key"]) if kept else os.urandom(32)
        self._kept: Digests = kept["services"] if kept else {}

    def digests(self) -> t.Dict[str, t.Dict[str, str]]:
        """Return the digests of the files as they are now, by service and path; a missing file has none."""
        names = {name for service in self._stack.services for name in watched(service)}
        # They may be on any file system: one that does not answer counts as missing, and verdict/fitness.py tells it.
        works = {name: functools.partial(self._digest, name) for name in sorted(names)}
        found = apart_each(works, SECONDS) if works else {}
        seen = {name: digest for name, digest in found.items() if digest is not None}
        return {
            service.name: {name: seen[name] for name in watched(service) if name in seen}
            for service in self._stack.services
            if watched(service)
        }

    def changed(self, delivered: t.Collection[str] = ()) -> ChangedFiles:
        """Return which services have files that have changed since they read them.

        A service or a file without a record counts as unchanged, and so does a file that is gone.

        Args:
            delivered: files that will have changed when the run begins, as check mode knows.
        """
        found = ChangedFiles({}, {})
        for service, files in self.digests().items():
            kept = self._kept.get(service, {})
            others = [
                name
                for name, digest in files.items()
                if kept.get(name, digest) != digest or (name in delivered and name in kept)
            ]
            if others:
                reload = self._stack.service(service).reload
                reloads = reload is not None and set(others) <= set(reload.files)
                (found.reload if reloads else found.restart)[service] = f"its file {', '.join(others)} changed"
        return found

    def keep(self, services: t.Iterable[str], digests: Digests) -> None:
        """Record the digests of the services that were started; those of the others stay as they were.

        Raises:
            OSError: it could not be written, so the next run restarts the services.
        """
        known = {service.name for service in self._stack.services if watched(service)}
        started = set(services)
        kept = {name: files for name, files in self._kept.items() if name in known}
        # A file without a record counts as what the service was started with, as it is now.
        kept.update(
            {name: files if name in started else {**files, **kept.get(name, {})} for name, files in digests.items()}
        )
        if kept != self._kept:
            write_record(path(self._stack), {"key": self._key.hex(), "services": kept})

    def _digest(self, name: str) -> t.Optional[str]:
        # Late: most stacks have no such file.
        import hmac

        try:
            descriptor = open_followed(name, self._judge)
        except OSError:
            # Missing, no file, or not for them to read; verdict/fitness.py judges whether that holds the service.
            return None
        with os.fdopen(descriptor, "rb") as stream:
            digest = hmac.new(self._key, digestmod="sha256")
            status = os.fstat(descriptor)
            if status.st_size > MOST:
                # To read all of it takes seconds; whoever changes it changes these.
                digest.update(f"{status.st_ino} {status.st_size} {status.st_mtime_ns}".encode("ascii"))
            else:
                digest.update(stream.read(MOST))
            return digest.hexdigest()[:32]


def _digests(files: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    return {str(path): str(digest) for path, digest in files.items()}


def _load(place: str) -> t.Dict[str, t.Any]:
    def parse(data: t.Any) -> t.Dict[str, t.Any]:
        bytes.fromhex(data["key"])
        return {
            "key": data["key"],
            "services": {str(name): _digests(files) for name, files in data["services"].items()},
        }

    subject = "The record of the files that services were started with"
    # Without it the next run takes the files as they are then.
    return read_record(place, parse, {}, subject, [cures.remove(place)])
