# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The keys below ``watch`` that say whom a watcher tells: alerts, a heartbeat, and metrics; read as in keys.py."""

from __future__ import annotations

import typing as t

from . import corrections, values
from .document import WRONG
from .places import Place, is_list
from .problems import Problems
from .readers import NONE, REQUIRED, TEXT, Key, ValueType, Words, choice, list_of, mapping, matching, number, whole

DISCORD, SLACK, WEBHOOK, MAIL, APPRISE = ALERT_KINDS = ("discord", "slack", "webhook", "mail", "apprise")
# Kinds that are told by a request to a URL.
_WITH_URL = (DISCORD, SLACK, WEBHOOK, APPRISE)
STARTTLS, TLS, NO_TLS = TLS_KINDS = ("starttls", "tls", "none")
DEGRADED, CRITICAL = ("degraded", "critical")
PER_HOUR = 10
# Seconds between two calls of the heartbeat's URL.
HEARTBEAT_EVERY = 60.0
# The port of mail by how TLS is spoken (RFC 6409, RFC 8314).
MAIL_PORTS: t.Mapping[str, int] = {STARTTLS: 587, TLS: 465, NO_TLS: 25}
_MOST_TARGETS, _MOST_RECIPIENTS = 20, 50

_ADDRESS = matching(
    "address of mail",
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}",
    "an address of mail",
    corrections.MAIL_ADDRESS,
)
_SECRET = TEXT._replace(words="`{secret:NAME}`")
_A_FILE = "a file that only its owner may read, instead of"

ALERT: t.Mapping[str, Key] = {
    "kind": Key(choice(*ALERT_KINDS), "how it is sent", REQUIRED),
    "name": Key(
        values.PORT_NAME,
        "what the target is called in messages, in the watcher's memory and in metrics",
        Words("the kind; of several, with a number"),
    ),
    "level": Key(
        choice(DEGRADED, CRITICAL),
        "the least that is told: with `critical` nothing of an incident that never was critical",
        DEGRADED,
    ),
    "per_hour": Key(
        whole(1, 1000, "a number of alerts"),
        "how many alerts there may be within an hour; those beyond are counted, and told as one",
        PER_HOUR,
    ),
    "url": Key(
        TEXT,
        "where it is sent. What is secret in it stands as `{secret:NAME}`; of all but a webhook that is the whole URL",
        Words("`url` or `url_file`"),
        only=_WITH_URL,
    ),
    "url_file": Key(values.PATH, f"{_A_FILE} `url`", only=_WITH_URL),
    "token": Key(_SECRET, "sent as `Authorization: Bearer`", only=(WEBHOOK,)),
    "token_file": Key(values.PATH, f"{_A_FILE} `token`", only=(WEBHOOK,)),
    "ca": Key(
        values.PATH,
        "the file of the authority that has signed the certificate",
        Words("those of the host"),
        only=(WEBHOOK, MAIL),
    ),
    "host": Key(values.HOST, "the server of mail", REQUIRED, only=(MAIL,)),
    "port": Key(values.PORT, "its port", Words("587, 465 or 25, by `tls`"), only=(MAIL,)),
    "tls": Key(
        choice(*TLS_KINDS),
        "whether TLS begins within the conversation, or before it. The certificate is always checked. `none` is for a "
        "server on this host",
        STARTTLS,
        only=(MAIL,),
    ),
    "user": Key(TEXT, "who logs in there", only=(MAIL,)),
    "password": Key(_SECRET, "with that", only=(MAIL,)),
    "password_file": Key(values.PATH, f"{_A_FILE} `password`", only=(MAIL,)),
    "from": Key(_ADDRESS, "who sends it", REQUIRED, only=(MAIL,)),
    "to": Key(
        list_of("addresses", _ADDRESS, _MOST_RECIPIENTS, corrections.a_list("addresses", "oncall@example.com")),
        "who gets it",
        REQUIRED,
        only=(MAIL,),
    ),
}

_AN_ALERT = mapping("an alert", ALERT)


def _alerts(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read the targets of alerts."""
    if not is_list(value):
        return problems.wrong_type(place, value, "a list", corrections.ALERTS)
    if len(value) > _MOST_TARGETS:
        return problems.error(place, f"has {len(value)} items, and {_MOST_TARGETS} are the most", corrections.SHORTER)
    read = [_AN_ALERT.read(problems, (*place, index), each) for index, each in enumerate(value)]
    return WRONG if WRONG in read else read


HEARTBEAT: t.Mapping[str, Key] = {
    "url": Key(
        TEXT,
        "called with GET after a look at which nothing was wrong, so that somebody else notices when the calls end. "
        "What is secret in it stands as `{secret:NAME}`",
        Words("`url` or `url_file`"),
    ),
    "url_file": Key(values.PATH, f"{_A_FILE} `url`"),
    "every": Key(number(10, 86_400, "seconds"), "from one call to the next, at the least", HEARTBEAT_EVERY),
    "ca": Key(values.PATH, "the file of the authority that has signed the certificate", Words("those of the host")),
}

METRICS: t.Mapping[str, Key] = {
    "textfile": Key(
        values.PATH,
        "the file that is written after each look, for the textfile collector of Prometheus' node exporter; it ends in "
        "`.prom`",
    ),
    "port": Key(values.PORT, "the port of 127.0.0.1 on which Prometheus may ask"),
}

# What belongs below `watch`, beside how the watcher looks.
TOLD: t.Mapping[str, Key] = {
    "alerts": Key(
        ValueType(f"list, {_MOST_TARGETS} at most", _alerts), "whom an incident is told; see [alerts](#alerts)", NONE
    ),
    "heartbeat": Key(
        mapping("the heartbeat", HEARTBEAT), "a URL that is called while all is well; see [heartbeat](#heartbeat)", NONE
    ),
    "metrics": Key(mapping("metrics", METRICS), "what Prometheus is told; see [metrics](#metrics)", NONE),
}
