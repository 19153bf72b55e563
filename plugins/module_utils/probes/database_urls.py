# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What an application's database URL says: where the server is, who comes, and whether in TLS. Pure.

A URL holds a password, so no error shows any of it, and neither does the ``repr`` of what was read.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from urllib.parse import unquote

POSTGRESQL_PORT = 5432
REDIS_PORT = 6379
# As libpq has them. `allow` and `prefer` are content with either.
TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

_POSTGRESQL = re.compile(r"(?:jdbc:)?postgres(?:ql)?(?:\+[a-z0-9_]+)?://", re.IGNORECASE)
_REDIS = re.compile(r"(redis|rediss|unix|redis\+socket)://", re.IGNORECASE)
# As libpq reads it. What follows an unescaped / or @ of a password must not be taken for a host or a name, and shown.
_REST = re.compile(
    r"(?:(?P<user>[^:@/?]*)(?::(?P<password>[^@/]*))?@)?(?P<hosts>[^/?#@]*)(?:/(?P<name>[^?#@]*))?(?:\?(?P<more>[^#]*))?",
    re.DOTALL,
)
_PAIR = re.compile(r"\s*([A-Za-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s\\']|\\.)*))(?:\s+|$)", re.DOTALL)
# Characters. A pattern remembers every one of a long value, which takes 60 times its size.
_LONGEST = 32_768
# Variables by which libpq knows what a URL does not say.
_FROM_ENVIRONMENT = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "options": "PGOPTIONS",
}


class BadUrl(ValueError):
    """Why a URL is not one, in words that show nothing of it."""


@dataclass(frozen=True)
class ServerAddress:
    """Where a server listens: a host and its port, or a directory or path of a unix socket."""

    host: str
    port: int

    @property
    def is_unix(self) -> bool:
        """Whether it is a unix socket; libpq says so by a path in the host's place."""
        return self.host.startswith("/")

    def __str__(self) -> str:
        if self.is_unix:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class PostgresqlUrl:
    """How an application connects to PostgreSQL.

    Attributes:
        addresses: servers, to be tried one after the other; none where the URL leaves it to libpq.
        port: for an address that the URL leaves open.
        password: None when there is none.
        tls: one of TLS_MODES.
        root_certificate: file of the authorities that the server's certificate is checked by; empty for the host's.
        certificate: file of the client's own certificate; empty for none.
        key: file of its key; empty when it is in the same file.
        options: the server's command-line options, such as ``-c search_path=trading``.
    """

    addresses: t.Tuple[ServerAddress, ...]
    port: int
    user: str
    password: t.Optional[str] = field(repr=False)
    database: str
    tls: str = "prefer"
    root_certificate: str = ""
    certificate: str = ""
    key: str = ""
    options: str = ""


@dataclass(frozen=True)
class RedisUrl:
    """How an application connects to Redis.

    Attributes:
        address: host and port, or the path of a unix socket.
        user: empty for the default one.
        password: None when there is none.
        database: its number.
        tls: whether it is spoken to in TLS.
        verify: whether its certificate is checked then.
        root_certificate: file of the authorities that it is checked by; empty for the host's.
    """

    address: ServerAddress
    user: str = ""
    password: t.Optional[str] = field(default=None, repr=False)
    database: int = 0
    tls: bool = False
    verify: bool = True
    root_certificate: str = ""


def read_postgresql_url(text: str, environment: t.Mapping[str, str], account: str) -> PostgresqlUrl:
    """Return what a ``postgresql://`` URL, or libpq's ``key=value`` form, says.

    Args:
        text: the URL.
        environment: of the application: libpq takes from it what the URL does not say.
        account: who runs the application: the user when nothing says another.

    Raises:
        BadUrl: it is neither.
    """
    _require_short(text)
    scheme = _POSTGRESQL.match(text)
    if scheme:
        said = _of_url(text[scheme.end() :])
    elif "://" not in text and "=" in text:
        said = _of_pairs(text)
    else:
        raise BadUrl("does not begin with postgresql://")
    usual = {key: environment[name] for key, name in _FROM_ENVIRONMENT.items() if environment.get(name)}
    known = {**usual, **{key: value for key, value in said.items() if value}}
    user = known.get("user") or account
    tls = known.get("sslmode") or ("require" if _is_true(known.get("ssl")) else "prefer")
    if tls not in TLS_MODES:
        raise BadUrl(f"has an sslmode that is none of {', '.join(TLS_MODES)}")
    # hostaddr is the address of the host, where looking it up is not wanted; a certificate still has the host's name.
    addresses = _addresses(known.get("host") or known.get("hostaddr", ""), known.get("port", ""), POSTGRESQL_PORT)
    _showable(user, known.get("dbname", ""), *(address.host for address in addresses))
    return PostgresqlUrl(
        addresses=addresses,
        port=addresses[0].port if addresses else _port(known.get("port", ""), POSTGRESQL_PORT),
        user=user,
        password=known.get("password"),
        database=known.get("dbname") or user,
        tls=tls,
        root_certificate=known.get("sslrootcert", ""),
        certificate=known.get("sslcert", ""),
        key=known.get("sslkey", ""),
        options=known.get("options", ""),
    )


def read_redis_url(text: str) -> RedisUrl:
    """Return what a ``redis://``, ``rediss://`` or ``unix://`` URL says.

    Raises:
        BadUrl: it is none.
    """
    _require_short(text)
    scheme = _REDIS.match(text)
    if not scheme:
        raise BadUrl("does not begin with redis://, rediss:// or unix://")
    parts = _split(text[scheme.end() :])
    more = _more(parts["more"])
    kind = scheme.group(1).lower()
    tls = kind == "rediss"
    on_socket = kind in ("unix", "redis+socket")
    if on_socket:
        address = ServerAddress("/" + unquote(parts["name"]), 0)
    else:
        hosts, ports = _divide(parts["hosts"])
        address = next(iter(_addresses(hosts, ports, REDIS_PORT)), ServerAddress("localhost", REDIS_PORT))
    number = more.get("db") or more.get("virtual_host") or ("" if on_socket else parts["name"].strip("/"))
    if number and not re.fullmatch("[0-9]{1,9}", number):
        raise BadUrl("names a database of Redis that is not a number")
    user = unquote(parts["user"]) or more.get("username", "")
    _showable(user, address.host)
    return RedisUrl(
        address=address,
        user=user,
        password=unquote(parts["password"]) or more.get("password") or None,
        database=int(number or 0),
        tls=tls,
        verify=more.get("ssl_cert_reqs", "required").lower().replace("cert_", "") == "required",
        root_certificate=more.get("ssl_ca_certs", ""),
    )


def _split(rest: str) -> t.Dict[str, str]:
    """Return the parts of a URL after its scheme, as they are written; '' for one that is not there."""
    found = _REST.match(rest)
    if found is None or rest[found.end() :].split("#", 1)[0]:
        raise BadUrl("is no URL: special characters of a user or a password are written in percent code, / as %2F")
    return {key: value or "" for key, value in found.groupdict().items()}


def _more(text: str) -> t.Dict[str, str]:
    """Return the parameters of a URL."""
    pairs = (pair.partition("=") for pair in text.split("&") if pair)
    return {unquote(key): unquote(value) for key, _equals, value in pairs}


def _of_url(rest: str) -> t.Dict[str, str]:
    parts = _split(rest)
    written = {"user": parts["user"], "password": parts["password"], "dbname": parts["name"]}
    hosts, ports = _divide(parts["hosts"])
    return {
        **{key: unquote(value) for key, value in written.items()},
        "host": hosts,
        "port": ports,
        **_more(parts["more"]),
    }


def _divide(hosts: str) -> t.Tuple[str, str]:
    """Return the hosts of a URL and their ports, each with commas, as libpq's parameters have them."""
    names, ports = [], []
    for item in hosts.split(",") if hosts else ():
        found = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::([^:]*))?", item)
        if found is None:
            raise BadUrl("names a host that is none")
        names.append(unquote(found.group(1).strip("[]")))
        ports.append(found.group(2) or "")
    return ",".join(names), ",".join(ports)


def _of_pairs(text: str) -> t.Dict[str, str]:
    said = {}
    position = 0
    while position < len(text):
        found = _PAIR.match(text, position)
        if found is None:
            raise BadUrl("is neither a URL nor libpq's key=value form")
        key, quoted, plain = found.groups()
        said[key] = re.sub(r"\\(.)", r"\1", plain if quoted is None else quoted, flags=re.DOTALL)
        position = found.end()
    return said


def _addresses(hosts: str, ports: str, usual: int) -> t.Tuple[ServerAddress, ...]:
    """Return the addresses of lists with commas; one port is that of all hosts."""
    if not hosts:
        return ()
    names, numbers = hosts.split(","), ports.split(",")
    if len(numbers) == 1:
        numbers *= len(names)
    if len(numbers) != len(names):
        raise BadUrl("has another number of ports than of hosts")
    return tuple(ServerAddress(name or "localhost", _port(number, usual)) for name, number in zip(names, numbers))


def _port(text: str, usual: int) -> int:
    if not text:
        return usual
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise BadUrl("has a port that is no port number")
    return int(text)


def _require_short(text: str) -> None:
    if len(text) > _LONGEST:
        raise BadUrl(f"is longer than {_LONGEST} characters")


def _showable(*texts: str) -> None:
    if not all(text.isprintable() for text in texts):
        raise BadUrl("has a character that cannot be shown")


def _is_true(text: t.Optional[str]) -> bool:
    return (text or "").lower() in ("true", "1", "require", "on")
