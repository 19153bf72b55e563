# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a supervisord's config says of the supervisord itself: its socket, its pid file, its TCP servers."""

from __future__ import annotations

import configparser
import glob
import os
import stat
import typing as t
from dataclasses import dataclass

from ..base.conf_format import ConfParser

# A config is some kilobytes; what is larger is none, and neither are so many files.
_MOST_BYTES = 1024 * 1024
_MOST_FILES = 200
_LOOPBACK = ("127.", "localhost", "[::1]", "::1")


@dataclass(frozen=True)
class InetServer:
    """An HTTP server of a supervisord on a TCP port: its address as the config says it, and if it wants a password."""

    address: str
    guarded: bool

    @property
    def exposed(self) -> bool:
        """Whether other hosts reach it: a port alone means every address."""
        host = self.address.rpartition(":")[0]
        return not host.startswith(_LOOPBACK)


@dataclass(frozen=True)
class Settings:
    """What a config file says of the supervisord itself; None or empty for what it does not say.

    Attributes:
        socket: of ``[unix_http_server]``, absolute.
        pidfile: absolute.
        inet: of ``[inet_http_server]``.
        problem: why the file could not be read.
    """

    socket: t.Optional[str] = None
    pidfile: t.Optional[str] = None
    inet: t.Tuple[InetServer, ...] = ()
    problem: str = ""


def read_settings(path: str) -> Settings:
    """Return what a config says of the supervisord itself; a config that cannot be read is a `problem`."""
    parser = ConfParser()
    here = os.path.dirname(path)
    try:
        _read(parser, path)
        patterns = parser.get("include", "files", fallback="").replace("%(here)s", here).split()
        included = [name for pattern in patterns for name in sorted(glob.glob(os.path.join(here, pattern)))]
        for name in included[:_MOST_FILES]:
            _read(parser, name)
    except (OSError, ValueError, configparser.Error) as exc:
        return Settings(problem=f"{path} cannot be read: {' '.join(str(exc).split())}")
    return Settings(
        socket=_path(parser, "unix_http_server", "file", here),
        pidfile=_path(parser, "supervisord", "pidfile", here),
        inet=tuple(_inet(parser, section) for section in parser.sections() if section.startswith("inet_http_server")),
    )


def _read(parser: ConfParser, path: str) -> None:
    text = _text(path)
    parser.check(text)
    parser.read_string(text)


def _text(path: str) -> str:
    # Without O_NONBLOCK a pipe in the file's place would hold this up.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), encoding="utf-8") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ValueError("it is no regular file")
        return stream.read(_MOST_BYTES)


def _path(parser: configparser.RawConfigParser, section: str, key: str, here: str) -> t.Optional[str]:
    """Return a path of the config; None when it is not there, relative, or made of what only supervisord knows."""
    text = parser.get(section, key, fallback="").replace("%(here)s", here)
    if "%(" in text:
        return None
    text = text.replace("%%", "%")
    return text if os.path.isabs(text) else None


def _inet(parser: configparser.RawConfigParser, section: str) -> InetServer:
    return InetServer(parser.get(section, "port", fallback=""), bool(parser.get(section, "password", fallback="")))
