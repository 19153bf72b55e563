# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What database URLs are read as, and that nothing of a URL is ever said."""

from __future__ import annotations

import typing as t
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.probes.database_urls import (
    BadUrl,
    PostgresqlUrl,
    RedisUrl,
    ServerAddress,
    read_postgresql_url,
    read_redis_url,
)

At = ServerAddress
LOCAL = At("localhost", 5432)


def url(**known: t.Any) -> PostgresqlUrl:
    """Return what is expected, but for what is said otherwise."""
    usual = {"addresses": (LOCAL,), "port": 5432, "user": "ada", "password": "pw", "database": "shop"}
    return PostgresqlUrl(**{**usual, **known})


POSTGRESQL: t.Sequence[t.Tuple[str, PostgresqlUrl]] = (
    ("postgresql://ada:pw@localhost/shop", url()),
    ("postgres://ada:pw@localhost:5432/shop", url()),
    ("postgresql+psycopg2://ada:pw@localhost/shop?client_encoding=utf8", url()),
    ("jdbc:postgresql://localhost/shop?user=ada&password=pw", url()),
    ("postgresql://ada:p%40ss%2Fw%3Ard%20%F0%9F%94%91@localhost/shop", url(password="p@ss/w:rd \U0001f511")),
    ("postgresql://ada:p?#&=w@localhost/shop", url(password="p?#&=w")),
    ("postgresql://ada@localhost/shop", url(password=None)),
    ("postgresql://ada:@localhost/shop", url(password=None)),
    ("postgresql://localhost", url(user="runner", database="runner", password=None)),
    ("postgresql://ada:pw@localhost", url(database="ada")),
    ("postgresql://ada:pw@[::1]:6000/shop", url(addresses=(At("::1", 6000),), port=6000)),
    ("postgresql://ada:pw@a,b:7/shop", url(addresses=(At("a", 5432), At("b", 7)))),
    ("postgresql://ada:pw@a,b/shop?port=7", url(addresses=(At("a", 7), At("b", 7)), port=7)),
    ("postgresql:///shop?host=/run/postgresql&user=ada", url(addresses=(At("/run/postgresql", 5432),), password=None)),
    ("postgresql://ada@%2Frun%2Fpg:6000/shop", url(addresses=(At("/run/pg", 6000),), port=6000, password=None)),
    ("postgresql:///shop", url(addresses=(), user="runner", password=None)),
    ("postgresql://ada:pw@localhost/shop?sslmode=verify-full&sslrootcert=/a%20b", url(
        tls="verify-full", root_certificate="/a b")),
    ("postgresql://ada:pw@localhost/shop?ssl=true", url(tls="require")),
    ("postgresql://ada:pw@localhost/shop?options=-c%20search_path%3Dx", url(options="-c search_path=x")),
    ("postgresql://localhost/shop?user=a@b", url(user="a@b", password=None)),
    ("host=localhost dbname=shop user=ada password=pw", url()),
    (r"host = localhost dbname='shop' user=ada password='it\'s \\ 1'", url(password="it's \\ 1")),
    ("host=/run/pg dbname=shop user=ada port=6000", url(addresses=(At("/run/pg", 6000),), port=6000, password=None)),
    ("dbname=shop user=ada hostaddr=10.0.0.1 password=pw", url(addresses=(At("10.0.0.1", 5432),))),
)  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), POSTGRESQL)
def test_a_url_of_postgresql_is_read_as_its_own_library_reads_it(text: str, expected: PostgresqlUrl) -> None:
    assert read_postgresql_url(text, {}, "runner") == expected


def test_what_a_url_leaves_open_is_in_the_environment_of_the_application() -> None:
    environment = {"PGHOST": "db", "PGPORT": "7", "PGUSER": "ada", "PGPASSWORD": "pw", "PGSSLMODE": "require"}

    assert read_postgresql_url("postgresql:///shop", environment, "runner") == url(
        addresses=(At("db", 7),), port=7, tls="require"
    )
    assert read_postgresql_url("postgresql://bob:x@localhost:1/shop", environment, "runner") == url(
        addresses=(At("localhost", 1),), port=1, user="bob", password="x", tls="require"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mysql://ada:planted@localhost/shop", "does not begin with postgresql://"),
        ("planted", "does not begin with postgresql://"),
        ("postgresql://ada:plan/ted@localhost/shop", "percent code"),
        ("postgresql://ada:plan@ted@localhost/shop", "percent code"),
        ("postgresql://ada:1/planted@localhost/shop", "percent code"),
        ("postgresql://ada:x@localhost:planted/shop", "a port that is no port number"),
        ("postgresql://ada:x@localhost:65536/shop", "a port that is no port number"),
        ("postgresql://ada:x@a,b:1,c/planted?port=1,2", "another number of ports than of hosts"),
        ("postgresql://ada:x@[::1/planted", "names a host that is none"),
        ("postgresql://ada:x@localhost/shop?sslmode=planted", "an sslmode that is none of disable"),
        ("postgresql://ada:x@localhost/plan%0Ated", "a character that cannot be shown"),
        ("host=localhost planted", "neither a URL nor libpq's key=value form"),
        ("password='planted", "neither a URL nor libpq's key=value form"),
    ],
)
def test_what_is_no_url_of_postgresql_is_told_without_showing_it(text: str, words: str) -> None:
    with pytest.raises(BadUrl, match=words) as caught:
        read_postgresql_url(text, {}, "runner")
    assert not {"planted", "plan", "ted"} & set(str(caught.value).replace("/", " ").split())


REDIS: t.Sequence[t.Tuple[str, RedisUrl]] = (
    ("redis://localhost", RedisUrl(At("localhost", 6379))),
    ("redis://", RedisUrl(At("localhost", 6379))),
    ("redis://:p%40w@cache:7/2", RedisUrl(At("cache", 7), "", "p@w", 2)),
    ("redis://ada:pw@[::1]:7/", RedisUrl(At("::1", 7), "ada", "pw")),
    ("redis://cache?db=3&password=pw&username=ada", RedisUrl(At("cache", 6379), "ada", "pw", 3)),
    ("rediss://cache", RedisUrl(At("cache", 6379), tls=True)),
    ("rediss://cache?ssl_cert_reqs=CERT_NONE", RedisUrl(At("cache", 6379), tls=True, verify=False)),
    ("rediss://cache?ssl_ca_certs=/x", RedisUrl(At("cache", 6379), tls=True, root_certificate="/x")),
    ("unix:///run/redis/redis.sock?db=1", RedisUrl(At("/run/redis/redis.sock", 0), database=1)),
    ("unix://:pw@/run/redis.sock", RedisUrl(At("/run/redis.sock", 0), "", "pw")),
    ("redis+socket:///run/redis.sock?virtual_host=4", RedisUrl(At("/run/redis.sock", 0), database=4)),
)


@pytest.mark.parametrize(("text", "expected"), REDIS)
def test_a_url_of_redis_is_read_as_its_clients_read_it(text: str, expected: RedisUrl) -> None:
    assert read_redis_url(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("planted", "does not begin with redis://"),
        ("http://planted", "does not begin with redis://"),
        ("redis://:pla/nted@localhost", "percent code"),
        ("redis://localhost/planted", "a database of Redis that is not a number"),
        ("redis://localhost:planted", "a port that is no port number"),
        ("redis://loc%07alhost", "a character that cannot be shown"),
    ],
)
def test_what_is_no_url_of_redis_is_told_without_showing_it(text: str, words: str) -> None:
    with pytest.raises(BadUrl, match=words) as caught:
        read_redis_url(text)
    assert "planted" not in str(caught.value)


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
names = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=30)


@given(user=names, password=texts, database=names)
def test_whatever_is_percent_encoded_comes_back(user: str, password: str, database: str) -> None:
    whole = f"postgresql://{quote(user, '')}:{quote(password, '')}@db:1/{quote(database, '')}"

    found = read_postgresql_url(whole, {}, "runner")

    assert (found.user, found.password, found.database) == (user, password, database)
    assert read_redis_url(f"redis://{quote(user, '')}:{quote(password, '')}@db:1/2").password == password


@given(user=names, password=texts)
def test_whatever_is_quoted_for_libpq_comes_back(user: str, password: str) -> None:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    found = read_postgresql_url(f"user={quoted(user)} password={quoted(password)} dbname=x", {}, "runner")

    assert (found.user, found.password, found.database) == (user, password, "x")


@given(text=st.text(max_size=60))
@pytest.mark.parametrize("scheme", ["postgresql://", "redis://", "host=", ""])
def test_any_text_is_read_or_refused(scheme: str, text: str) -> None:
    for read in (lambda whole: read_postgresql_url(whole, {}, "runner"), read_redis_url):
        try:
            found = read(scheme + text)
        except BadUrl:
            continue
        assert found.password is None or repr(found.password) not in repr(found)
