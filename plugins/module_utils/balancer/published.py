# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What an edge publishes, and the whole haproxy.cfg for it: pure functions.

Everything but the servers is the *frame*. Its digest stands in the configuration as the description of the process: a
running HAProxy tells which frame it has read. The keywords are those of the configuration manual of HAProxy 2.6
(docs.haproxy.org), which later versions have as well.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import ipaddress
import re
import typing as t

from ..base.errors import Problem
from ..base.text import has_control, one_line

FIRST_LINE = "# Made by Rollcall's playbook edge, which replaces this file. Change its variables instead.\n"
HTTP_MODE, TCP_MODE = MODES = ("http", "tcp")
# Those by which a server can come and go while HAProxy runs.
BALANCES = ("roundrobin", "leastconn")
METHODS = ("GET", "HEAD", "POST")
HEAVIEST = 256

# In names of HAProxy's; the colon is between a host and the number of an instance.
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_PLAIN = re.compile(r"[^\s;\"'\\#$%{}]{1,500}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?")
_BIND = re.compile(r"(\*|[0-9.]{7,15}|\[[0-9A-Fa-f:.]{2,45}\]|):([0-9]{1,5})")
# Who asks, and for which host: an application that knows its names knows this one, by which its verdict asks it too.
_ASKED_BY = "rollcall"


@dataclasses.dataclass(frozen=True)
class EdgeServer:
    """One instance of a service on one host.

    Attributes:
        name: the host's, or ``HOST:N`` for an instance of several.
        address: an IP address; a name is resolved on the balancer's host.
        port: that the host has given it.
        weight: its share of the requests, 1 to 256.
    """

    name: str
    address: str
    port: int
    weight: int = 100


@dataclasses.dataclass(frozen=True)
class EdgeCheck:
    """One question of a health check, as HAProxy can ask it.

    Attributes:
        http: whether it is asked over HTTP; else over TCP.
        path: for http: the path.
        status: for http: the only status that is well.
        method: for http: GET, HEAD or POST.
        host: for http: the header ``Host``.
        headers: for http: more of them.
        body: for http: text that the answer must contain; empty for none.
        send: for tcp: what is sent first.
        expect: for tcp: what must come back; empty for nothing.
    """

    http: bool = False
    path: str = "/"
    status: int = 200
    method: str = "GET"
    host: str = "127.0.0.1"
    headers: t.Tuple[t.Tuple[str, str], ...] = ()
    body: str = ""
    send: str = ""
    expect: str = ""


@dataclasses.dataclass(frozen=True)
class EdgeTls:
    """How the servers of a service are spoken with in TLS.

    Attributes:
        verify: whether their certificate is checked.
        ca: the file of the authorities on the balancer's host; empty for those of the system.
        name: the name that is asked for, and that the certificate must have; empty for any.
    """

    verify: bool = True
    ca: str = ""
    name: str = ""


@dataclasses.dataclass(frozen=True)
class EdgeService:
    """A service that is published: where, how, and by whom it is answered.

    Attributes:
        name: of frontend and backend.
        bind: where users come in, such as ``*:80``.
        mode: one of `MODES`.
        balance: one of `BALANCES`.
        certificate: path on the balancer's host of the certificate with its key; empty where users come without TLS.
        tls: how the servers are spoken with in TLS; None where they are not.
        checks: all questions of one health check; all of one kind.
        interval: seconds between two checks.
        timeout: seconds that one check may take.
        rise: checks that pass before a server that is down is up.
        fall: checks that fail before one that is up is down.
        servers: who answers.
    """

    name: str
    bind: t.Tuple[str, ...]
    mode: str = HTTP_MODE
    balance: str = BALANCES[0]
    certificate: str = ""
    tls: t.Optional[EdgeTls] = None
    checks: t.Tuple[EdgeCheck, ...] = (EdgeCheck(),)
    interval: float = 2.0
    timeout: float = 2.0
    rise: int = 2
    fall: int = 3
    servers: t.Tuple[EdgeServer, ...] = ()


@dataclasses.dataclass(frozen=True)
class EdgeConfig:
    """Everything that stands in the configuration.

    Attributes:
        services: what is published.
        socket: path of the runtime socket.
        states: path of the file from which a new process of HAProxy reads the states of its servers.
        user: that HAProxy runs as; empty for whoever starts it.
        group: its group; empty for that one's.
        chroot: its root directory; empty for none.
        log: where it logs; empty for nowhere.
        connect: seconds to connect to a server.
        client: seconds that a user may be silent.
        server: seconds that a server may be silent.
        extra: sections of somebody's own, at the end.
    """

    services: t.Tuple[EdgeService, ...]
    socket: str
    states: str
    user: str = ""
    group: str = ""
    chroot: str = ""
    log: str = ""
    connect: float = 5.0
    client: float = 60.0
    server: float = 60.0
    extra: str = ""


def server_name(host: str, instance: int) -> str:
    """Return what a host's server is called; ``instance`` is its number from 1, or 0 for a service without instances.

    A hyphen would not do: ``app-1`` may be another host. No name of the inventory has a colon.
    """
    return f"{host}:{instance}" if instance else host


def host_of(server: str) -> str:
    """Return the host that a server is called after: ``HOST`` of ``HOST`` and of ``HOST:N``."""
    host, _colon, number = server.rpartition(":")
    return host if host and number.isdecimal() else server


# --- what may not be written ---------------------------------------------------------------------------------------


def problems_of(wanted: EdgeConfig) -> t.List[Problem]:
    """Return everything that keeps a configuration from being written, each with its place and its cure."""
    found = [*_place_problems(wanted)]
    names = collections.Counter(service.name for service in wanted.services)
    for service in wanted.services:
        if names[service.name] > 1:
            found.append(Problem(service.name, "stands there twice", "give each service one entry"))
        found += _service_problems(service)
    binds = collections.Counter(one for service in wanted.services for one in set(service.bind))
    for service in wanted.services:
        for one in service.bind:
            if binds[one] > 1:
                found.append(
                    Problem(f"{service.name}.bind", f"{one} is that of another service, too", "choose another port")
                )
    return found


def _place_problems(wanted: EdgeConfig) -> t.Iterator[Problem]:
    for place in ("socket", "states", "chroot"):
        path = getattr(wanted, place)
        if (path or place != "chroot") and not (path.startswith("/") and _PLAIN.fullmatch(path)):
            yield Problem(place, f"{one_line(path)!r} is no absolute path without blanks", "write one")
    for place in ("user", "group", "log"):
        word = getattr(wanted, place)
        if word and not _PLAIN.fullmatch(word):
            yield Problem(place, f"{one_line(word)!r} is not one word", "write one word")
    for place in ("connect", "client", "server"):
        if not 0 < getattr(wanted, place) <= 86_400:
            yield Problem(place, f"{getattr(wanted, place):g} s is no time to wait", "write 0.001 to 86400")


def _service_problems(service: EdgeService) -> t.Iterator[Problem]:
    name = service.name
    if not _NAME.fullmatch(name) or ":" in name:
        yield Problem(one_line(name), "is no name that HAProxy takes", "use letters, digits, _, . and -")
    if not service.bind:
        yield Problem(f"{name}.bind", "users have nowhere to come in", 'write an address and a port, such as "*:80"')
    for one in service.bind:
        if not _is_bind(one):
            yield Problem(f"{name}.bind", f"{one_line(one)!r} is no address with a port", 'write one such as "*:80"')
    for key, words in (("mode", MODES), ("balance", BALANCES)):
        if getattr(service, key) not in words:
            yield Problem(f"{name}.{key}", f"{one_line(getattr(service, key))!r}", f"write {' or '.join(words)}")
    files = (("certificate", service.certificate), ("ca", service.tls.ca if service.tls else ""))
    for key, path in files:
        if path and not (path.startswith("/") and _PLAIN.fullmatch(path)):
            yield Problem(f"{name}.{key}", f"{one_line(path)!r} is no absolute path without blanks", "write one")
    if not (0.05 <= service.interval <= 3600 and 0 < service.timeout <= 3600):
        yield Problem(f"{name}.interval", "the time of a check is not 0.05 to 3600 s", "write such a time")
    for key in ("rise", "fall"):
        if not 1 <= getattr(service, key) <= 100:
            yield Problem(f"{name}.{key}", "is not 1 to 100", "write such a number")
    yield from _check_problems(service)
    yield from _server_problems(service)


def _check_problems(service: EdgeService) -> t.Iterator[Problem]:
    place = f"{service.name}.health"
    if len({check.http for check in service.checks}) != 1:
        yield Problem(place, "one check is asked over HTTP or over TCP, not over both", "write one kind")
    for check in service.checks:
        texts = (check.path, check.host, check.body, *(value for _name, value in check.headers))
        if check.http and any(has_control(text) for text in texts):
            yield Problem(place, "a text of it has control characters, which HAProxy cannot ask", "leave them out")
        if check.method not in METHODS or not 100 <= check.status <= 599 or not check.path.startswith("/"):
            yield Problem(place, "method, path or status is none of HTTP", "correct it")
        if any(not _HEADER.fullmatch(name) for name, _value in check.headers):
            yield Problem(place, "a header has a name that is none", "correct it")
    if service.tls is not None and service.tls.name and not _PLAIN.fullmatch(service.tls.name):
        yield Problem(f"{place}.server_name", f"{one_line(service.tls.name)!r} is no name of a host", "correct it")


def _server_problems(service: EdgeService) -> t.Iterator[Problem]:
    if not service.servers:
        yield Problem(service.name, "nobody answers it: it runs on no host", "leave it out, or add a host that runs it")
    names = collections.Counter(one.name for one in service.servers)
    for one in service.servers:
        place = f"{service.name}/{one_line(one.name, 100)}"
        if not _NAME.fullmatch(one.name):
            yield Problem(place, "is no name that HAProxy takes", "name the host with letters, digits, _, . and -")
        if names[one.name] > 1:
            yield Problem(place, "stands there twice", "give each host one name")
        if not (is_ip(one.address) or _HOST.fullmatch(one.address)):
            yield Problem(place, f"{one_line(one.address)!r} is no address", "set edge_address of the host")
        if not 0 < one.port < 65_536:
            yield Problem(place, f"{one.port} is no port", "correct the manifest")
        if not 0 < one.weight <= HEAVIEST:
            yield Problem(place, f"weight {one.weight} is not 1 to {HEAVIEST}", "set edge_weight of the host")


def _is_bind(text: str) -> bool:
    found = _BIND.fullmatch(text)
    if not found or not 0 < int(found.group(2)) < 65_536:
        return False
    host = found.group(1).strip("[]")
    return host in ("", "*") or is_ip(host)


def plain_address(text: str) -> str:
    """Return an IP address as HAProxy tells it."""
    return str(ipaddress.ip_address(text))


def is_ip(text: str) -> bool:
    """Return whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


# --- what is written -----------------------------------------------------------------------------------------------


def description(wanted: EdgeConfig) -> str:
    """Return what a process says of itself that has read the frame of this configuration."""
    frame = dataclasses.replace(
        wanted, services=tuple(dataclasses.replace(service, servers=()) for service in wanted.services)
    )
    return f"rollcall {hashlib.sha256(_text(frame, '').encode('utf-8')).hexdigest()[:24]}"


def config_text(wanted: EdgeConfig) -> str:
    """Return the whole haproxy.cfg for a configuration without problems."""
    return _text(wanted, description(wanted))


def server_arguments(service: EdgeService) -> str:
    """Return what each server of a service is told, in the file and by the runtime socket alike."""
    words = [
        f"check inter {_milliseconds(service.interval)} fastinter {_milliseconds(min(service.interval, 1.0))}",
        f"rise {service.rise} fall {service.fall}",
    ]
    if service.tls is not None:
        # Bytes of a user's own TLS are passed on as they are; only the check is in TLS then.
        words.append("ssl" if service.mode == HTTP_MODE else "check-ssl")
        ca = service.tls.ca or "@system-ca"
        words.append(f"verify required ca-file {ca}" if service.tls.verify else "verify none")
        if service.tls.name:
            words.append(f"check-sni {service.tls.name}")
            words += [f"verifyhost {service.tls.name}"] if service.tls.verify else []
            words += [f"sni str({service.tls.name})"] if service.mode == HTTP_MODE else []
    return " ".join(words)


def server_place(server: EdgeServer) -> str:
    """Return where a server is, as HAProxy has it."""
    host = f"[{server.address}]" if ":" in server.address else server.address
    return f"{host}:{server.port}"


def _text(wanted: EdgeConfig, said: str) -> str:
    lines = [
        "global",
        f"  description {said}",
        *([f"  log {wanted.log} local0"] if wanted.log else []),
        *([f"  chroot {wanted.chroot}"] if wanted.chroot else []),
        *([f"  user {wanted.user}"] if wanted.user else []),
        *([f"  group {wanted.group}"] if wanted.group else []),
        f"  stats socket {wanted.socket} mode 660 level admin expose-fd listeners",
        "  stats timeout 30s",
        f"  server-state-file {wanted.states}",
        "",
        "defaults",
        *(["  log global"] if wanted.log else []),
        "  option dontlognull",
        # A server that is not there is no failure of the user's: another one is asked.
        "  option redispatch 1",
        "  retries 3",
        "  load-server-state-from-file global",
        f"  timeout connect {_milliseconds(wanted.connect)}",
        f"  timeout client {_milliseconds(wanted.client)}",
        f"  timeout server {_milliseconds(wanted.server)}",
        f"  timeout http-request {_milliseconds(min(wanted.client, 10.0))}",
    ]
    for service in wanted.services:
        lines += ["", *_frontend(service, bool(wanted.log)), "", *_backend(service)]
    return FIRST_LINE + "\n".join(lines) + "\n" + _extra(wanted.extra)


def _extra(text: str) -> str:
    """Return what is added, as it is: Ansible hides it in what is shown by finding it whole."""
    return f"\n{text}{'' if text.endswith(chr(10)) else chr(10)}" if text.strip() else ""


def _frontend(service: EdgeService, logs: bool) -> t.List[str]:
    crt = f" ssl crt {service.certificate}" if service.certificate else ""
    crt += " alpn h2,http/1.1" if service.certificate and service.mode == HTTP_MODE else ""
    return [
        f"frontend {service.name}",
        f"  mode {service.mode}",
        *([f"  option {'http' if service.mode == HTTP_MODE else 'tcp'}log"] if logs else []),
        *(f"  bind {one}{crt}" for one in service.bind),
        f"  default_backend {service.name}",
    ]


def _backend(service: EdgeService) -> t.List[str]:
    lines = [f"backend {service.name}", f"  mode {service.mode}", f"  balance {service.balance}"]
    if service.mode == HTTP_MODE:
        lines += ["  option forwardfor", "  http-request set-header X-Forwarded-Proto http unless { ssl_fc }"]
        lines += ["  http-request set-header X-Forwarded-Proto https if { ssl_fc }"]
    lines.append("  option httpchk" if service.checks[0].http else "  option tcp-check")
    for check in service.checks:
        lines += _http_check(check) if check.http else _tcp_check(check)
    lines += [f"  timeout check {_milliseconds(service.timeout)}", f"  default-server {server_arguments(service)}"]
    return lines + [f"  server {one.name} {server_place(one)} weight {one.weight}" for one in service.servers]


def _http_check(check: EdgeCheck) -> t.List[str]:
    headers = (("Host", check.host), ("User-Agent", _ASKED_BY), *check.headers)
    # A header is a format, in which a percent sign stands for something else.
    told = "".join(f" hdr {name} {_quoted(value.replace('%', '%%'))}" for name, value in headers)
    return [
        "  http-check connect default",
        f"  http-check send meth {check.method} uri {_quoted(check.path)} ver HTTP/1.1{told}",
        f"  http-check expect status {check.status}",
        *([f"  http-check expect string {_quoted(check.body)}"] if check.body else []),
    ]


def _tcp_check(check: EdgeCheck) -> t.List[str]:
    return [
        "  tcp-check connect default",
        *([f"  tcp-check send-binary {check.send.encode('utf-8').hex()}"] if check.send else []),
        *([f"  tcp-check expect binary {check.expect.encode('utf-8').hex()}"] if check.expect else []),
    ]


def _quoted(text: str) -> str:
    """Return a text as one word of the configuration (manual, chapter 2.2)."""
    return '"' + re.sub(r'([\\"$])', r"\\\1", text) + '"'


def _milliseconds(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"
