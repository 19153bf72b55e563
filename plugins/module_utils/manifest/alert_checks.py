# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How the values of alerts, of the heartbeat and of metrics fit together, and that no secret stands in them."""

from __future__ import annotations

import os
import re
import typing as t

from . import corrections
from .alert_keys import (
    ALERT,
    DEGRADED,
    HEARTBEAT_EVERY,
    MAIL,
    MAIL_PORTS,
    NO_TLS,
    PER_HOUR,
    STARTTLS,
    WEBHOOK,
)
from .model import SECRET
from .places import Place
from .problems import value_of
from .system_directories import why_not
from .written import PUBLIC_DIRECTORIES, Written, inside

Data = t.Dict[str, t.Any]

_THIS_HOST = re.compile(r"localhost|127\.[0-9.]+|\[?::1\]?")
# The keys that name a file with a secret.
_SECRET_FILES = ("url_file", "token_file", "password_file")
# What stands in the place of a secret while a URL is looked at: a character that no URL has.
_FILLER = "\ue000"


def alerts_of(written: Written, given: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[Data]:
    """Return the targets of alerts, every default filled in and every path absolute."""
    places = [("watch", "alerts", index) for index in range(len(given))]
    found = [_target(written, place, each) for place, each in zip(places, given)]
    taken = {each["name"] for each in found if each["name"]}
    seen: t.Set[str] = set()
    for place, each in zip(places, found):
        if each["name"] in seen:
            reason = f"another target is called {each['name']}"
            written.problems.error((*place, "name"), reason, corrections.another("name"))
        if not each["name"]:
            free = (f"{each['kind']}{number or ''}" for number in (0, *range(2, len(found) + 2)))
            each["name"] = next((name for name in free if name not in taken), "")
            taken.add(each["name"])
        seen.add(each["name"])
    return found


def heartbeat_of(written: Written, given: t.Mapping[str, t.Any]) -> t.Optional[Data]:
    """Return the heartbeat with every default; None where there is none."""
    if not given:
        return None
    place = ("watch", "heartbeat")
    found = {"url": value_of(given, "url", ""), **_files(written, place, given, ("url_file", "ca"))}
    _check_url(written, place, given, found, plain=True)
    return {**found, "every": value_of(given, "every", HEARTBEAT_EVERY)}


def metrics_of(written: Written, given: t.Mapping[str, t.Any]) -> Data:
    """Return where metrics are told: ``textfile``, empty for none, and ``port``, 0 for none."""
    place = ("watch", "metrics")
    found = _files(written, place, given, ("textfile",))
    if found["textfile"] and not found["textfile"].endswith(".prom"):
        # node_exporter reads no others.
        written.problems.error((*place, "textfile"), "does not end in .prom", corrections.PROM)
    directory = os.path.dirname(found["textfile"])
    # Root writes there, and a manifest must not lead it where it changes the system.
    against = why_not(directory) if directory else ""
    if not against and directory and any(inside(directory, public) for public in PUBLIC_DIRECTORIES):
        against = "is where every user may write"
    if against and not (written.root and inside(directory, written.root)):
        written.problems.error((*place, "textfile"), f"its directory {against}", corrections.TEXTFILE)
    port = value_of(given, "port", 0)
    for name, instances in written.instances.items():
        if port and any(port in (one.own_port, *one.fallback_ports, *one.tcp_ports.values()) for one in instances):
            written.problems.error((*place, "port"), f"is a port of {name}, too", corrections.another("port"))
    return {**found, "port": port}


# --- one target ---------------------------------------------------------------------------------------------------


def _target(written: Written, place: Place, given: t.Mapping[str, t.Any]) -> Data:
    kind = value_of(given, "kind", "")
    problems = written.problems
    if "kind" not in given:
        problems.error(place, "has no kind", corrections.ALERT_KIND)
    for key in given:
        if kind and ALERT[key].only and kind not in ALERT[key].only:
            problems.error((*place, key), f"is not a key of an alert by {kind}", corrections.REMOVE)
    found = {
        "kind": kind,
        "name": value_of(given, "name", ""),
        "level": value_of(given, "level", DEGRADED),
        "per_hour": value_of(given, "per_hour", PER_HOUR),
        **{key: value_of(given, key, "") for key in ("url", "token", "password", "host", "user")},
        **_files(written, place, given, ("url_file", "token_file", "password_file", "ca")),
    }
    tls = value_of(given, "tls", STARTTLS)
    found["tls"], found["port"] = tls, value_of(given, "port", MAIL_PORTS[tls])
    found["from"], found["to"] = value_of(given, "from", ""), list(value_of(given, "to", ()))
    if kind == MAIL:
        _check_mail(written, place, given, found)
    elif kind:
        _check_url(written, place, given, found, plain=kind == WEBHOOK)
        _check_secret(written, place, found, "token")
        if (found["token"] or found["token_file"]) and not _is_private(found["url"]):
            problems.error((*place, "url"), "sends the token without TLS", corrections.HTTPS)
    return found


def _files(written: Written, place: Place, given: t.Mapping[str, t.Any], keys: t.Sequence[str]) -> Data:
    root = written.root or os.sep
    paths = {key: value_of(given, key, "") for key in keys}
    found = {key: written.resolve((*place, key), path, root) if path else "" for key, path in paths.items()}
    for key, path in found.items():
        # What root alone may read elsewhere would be sent to whom the manifest says.
        if path and key in _SECRET_FILES and not inside(path, root):
            written.problems.error((*place, key), "is not below the root", corrections.SECRET_FILE)
    return found


def _check_mail(written: Written, place: Place, given: t.Mapping[str, t.Any], found: Data) -> None:
    missing = [key for key in ("host", "from", "to") if key not in given]
    if missing:
        written.problems.error(place, f"has no {' and no '.join(missing)}", corrections.MAIL)
    _check_secret(written, place, found, "password")
    has_password = bool(found["password"] or found["password_file"])
    if has_password != bool(found["user"]):
        written.problems.error(place, "needs both, user and password, or none of them", corrections.MAIL_LOGIN)
    if found["tls"] == NO_TLS and found["host"] and not _THIS_HOST.fullmatch(found["host"]):
        written.problems.error((*place, "tls"), "is none, and the server is another host", corrections.MAIL_TLS)


# --- secrets ------------------------------------------------------------------------------------------------------


def _check_url(written: Written, place: Place, given: t.Mapping[str, t.Any], found: Data, *, plain: bool) -> None:
    """Check a URL and where it stands.

    Args:
        written: the stack.
        place: of what has the URL.
        given: its values as they were read.
        found: its values with all defaults.
        plain: whether the URL may stand in the manifest, apart from what is secret in it.
    """
    problems, url = written.problems, found["url"]
    if ("url" in given) == ("url_file" in given):
        both = "both, url and" if "url" in given else "no url and no"
        problems.error(place, f"has {both} url_file", corrections.ONE_URL)
    if not plain:
        _check_secret(written, place, found, "url")
    if not url or not plain:
        return
    _check_names(written, (*place, "url"), url)
    parts = _parts(url)
    if parts is None:
        problems.error((*place, "url"), "is no URL of http or https", corrections.HTTP_URL)
    elif _password(parts.netloc).strip(_FILLER):
        problems.error((*place, "url"), "has a password in it", corrections.SECRET_ELSEWHERE)


def _password(netloc: str) -> str:
    """Return what stands before the host of a URL and is no name: a password, or a key alone."""
    user, colon, password = netloc.rpartition("@")[0].partition(":")
    return password if colon else user


def _parts(url: str) -> t.Any:
    """Return the parts of a URL of HTTP; None when it is none. What is secret as a whole counts as one."""
    # Late: few manifests have a URL.
    from urllib.parse import urlsplit

    text = re.sub(SECRET, _FILLER, url)
    if text == _FILLER:
        text = f"https://{_FILLER}/"
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if good and re.fullmatch(rf"[!-~{_FILLER}]+", text) else None


def _is_private(url: str) -> bool:
    """Return whether what is sent to a URL is read by nobody else; one that is not known here counts as such."""
    parts = _parts(url)
    return parts is None or parts.scheme == "https" or bool(_THIS_HOST.fullmatch(parts.hostname))


def _check_secret(written: Written, place: Place, found: Data, key: str) -> None:
    """Check that a value is the name of a secret, and nothing else, or a file's instead."""
    value = found[key]
    if not value:
        return
    here = (*place, key)
    if found[f"{key}_file"] and key != "url":
        written.problems.error(here, f"stands beside {key}_file", corrections.REMOVE_ONE)
    if not re.fullmatch(SECRET, value):
        # It may be one: it is not repeated.
        written.problems.error(here, "is secret, and stands here", corrections.SECRET_ELSEWHERE)
        return
    _check_names(written, here, value)


def _check_names(written: Written, place: Place, text: str) -> None:
    """Check that every secret that a text names is one of the stack's, and the same in all services that have it."""
    for name in re.findall(SECRET, text):
        having = [merged["secrets"][name] for merged in written.merged.values() if name in merged["secrets"]]
        if not having:
            written.problems.error(place, f"no service has a secret {name}", corrections.secret_first(name))
        elif any(value != having[0] for value in having):
            reason = f"services have different values for the secret {name}"
            written.problems.error(place, reason, corrections.another("secret"))
