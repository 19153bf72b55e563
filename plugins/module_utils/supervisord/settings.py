# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a supervisord's config says of the supervisord itself: its socket, its pid file, its TCP servers."""

from __future__ import annotations

import configparser
import glob
import itertools
import os
import typing as t
from dataclasses import dataclass

from ..base.conf_format import ConfParser, TooLarge
from ..base.opening import open_followed
from ..base.text import has_control, one_line

# A config is some kilobytes: of a larger file, and of more files, the rest is not read. In the host's own there may be
# hundreds, which the doctor need not know.
_MOST_BYTES = 256 * 1024
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
    """Return what a config says of the supervisord itself; a config that cannot be read is a `problem`.

    The config of somebody else takes a child with his rights and a deadline: it may name any files, and so may he.
    """
    parser = ConfParser()
    here = os.path.dirname(path)
    try:
        _read(parser, path)
        patterns = parser.get("include", "files", fallback="").replace("%(here)s", here).split()
        left = _MOST_FILES
        # Python takes quadratic time for a pattern, and no path is longer (limits.h, PATH_MAX).
        for pattern in [pattern for pattern in patterns if len(pattern) <= 4096][:_MOST_FILES]:
            names = sorted(itertools.islice(glob.iglob(os.path.join(here, pattern)), left))
            left -= len(names)
            for name in names:
                _read(parser, name)
    except configparser.Error as exc:
        # Its words quote the file, which whoever reads this may not be meant to see.
        line = getattr(exc, "lineno", None)
        return Settings(problem=f"{path} is no config of supervisord{f': line {line}' if line else ''}")
    except TooLarge as exc:
        return Settings(problem=f"{path} {exc}")
    except UnicodeDecodeError:
        return Settings(problem=f"{path} cannot be read: it is not in UTF-8")
    except OSError as exc:
        return Settings(problem=f"{path} cannot be read: {exc.strerror}")
    except (ValueError, MemoryError, RecursionError):
        return Settings(problem=f"{path} cannot be read")
    return Settings(
        socket=_path(parser, "unix_http_server", "file", here),
        pidfile=_path(parser, "supervisord", "pidfile", here),
        inet=tuple(_inet(parser, section) for section in parser.sections() if section.startswith("inet_http_server")),
    )


def _read(parser: ConfParser, path: str) -> None:
    text = _text(path)
    parser.check(text)
    parser.read_string(text)


def settings_of(data: t.Mapping[str, t.Any]) -> Settings:
    """Return settings that were made data with ``dataclasses.asdict``, in a child, by JSON."""
    return Settings(**{**data, "inet": tuple(InetServer(**one) for one in data["inet"])})


def _text(path: str) -> str:
    with os.fdopen(open_followed(path), encoding="utf-8") as stream:
        return stream.read(_MOST_BYTES)


def _path(parser: configparser.RawConfigParser, section: str, key: str, here: str) -> t.Optional[str]:
    """Return a path of the config; None when it is not there, relative, has control characters, or is made
    of what only supervisord knows.
    """
    text = parser.get(section, key, fallback="").replace("%(here)s", here)
    if "%(" in text:
        return None
    text = text.replace("%%", "%")
    return text if os.path.isabs(text) and not has_control(text) else None


def _inet(parser: configparser.RawConfigParser, section: str) -> InetServer:
    return InetServer(
        one_line(parser.get(section, "port", fallback="")), bool(parser.get(section, "password", fallback=""))
    )
