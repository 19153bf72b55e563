# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an edge publishes: what is written, what is refused, and what becomes of a HAProxy that runs."""

from __future__ import annotations

import dataclasses
import json
import shlex
import typing as t

import hypothesis
import hypothesis.strategies as st
import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.changes import (
    changes_of,
    differences,
    kept_states,
    lost_states,
    orders_of,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.edge_data import (
    config_of,
    data_of,
    service_of,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.haproxy import ServerKey, ServerView
from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.published import (
    EdgeCheck,
    EdgeConfig,
    EdgeServer,
    EdgeService,
    EdgeTls,
    config_text,
    description,
    host_of,
    plain_address,
    problems_of,
    server_arguments,
    server_name,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError

A, B, C = (EdgeServer(name, f"192.0.2.{number}", 8000) for number, name in enumerate(("a", "b", "c"), 1))
WEB = EdgeService("web", ("*:80",), checks=(EdgeCheck(http=True, path="/health"),), servers=(A, B))
CONFIG = EdgeConfig((WEB,), socket="/s", states="/t")
STATES = (
    "1\n# be_id be_name srv_name srv_addr srv_op_state srv_admin_state "
    "srv_uweight srv_iweight srv_port srv_check_status\n"
)


def web(**keys: t.Any) -> EdgeConfig:
    return dataclasses.replace(CONFIG, services=(dataclasses.replace(WEB, **keys),))


def key(name: str) -> ServerKey:
    return ServerKey("/s", "web", name)


def view(server: EdgeServer, **keys: t.Any) -> ServerView:
    made = {
        **{"maint": False, "drain": False, "inherited": False, "up": True, "checked": True, "passed": True},
        **{"tracked": None, "sessions": 0, "queued": 0, "idle": None, "status": "UP", "check": "L7OK"},
    }
    own = {"address": server.address, "port": server.port, "weight": server.weight}
    return ServerView(key(server.name), **{**made, **own, **keys})


def seen(*views: ServerView) -> t.Dict[ServerKey, ServerView]:
    return {one.key: one for one in views}


def test_the_whole_file_is_written() -> None:
    text = config_text(dataclasses.replace(CONFIG, user="haproxy", extra="listen mine\n  bind :1\n"))
    assert text.startswith("# Made by Rollcall")
    for line in (
        "  user haproxy",
        "  stats socket /s mode 660 level admin expose-fd listeners",
        "  bind *:80",
        '  http-check send meth GET uri "/health" ver HTTP/1.1 hdr Host "127.0.0.1" hdr User-Agent "rollcall"',
        "  server a 192.0.2.1:8000 weight 100",
    ):
        assert line in text.splitlines()
    assert text.endswith("\nlisten mine\n  bind :1\n")
    assert "chroot" not in text


@pytest.mark.parametrize(
    ("service", "arguments"),
    [
        (WEB, "check inter 2000ms fastinter 1000ms rise 2 fall 3"),
        (web(tls=EdgeTls(verify=False)).services[0], "ssl verify none"),
        (
            web(tls=EdgeTls(ca="/ca", name="x.test")).services[0],
            "ca-file /ca check-sni x.test verifyhost x.test sni str(x.test)",
        ),
        (web(mode="tcp", tls=EdgeTls()).services[0], "check-ssl verify required ca-file @system-ca"),
    ],
)
def test_servers_are_told_how_they_are_asked(service: EdgeService, arguments: str) -> None:
    assert server_arguments(service).endswith(arguments)


def test_only_the_frame_is_in_the_description() -> None:
    other = web(servers=(dataclasses.replace(A, port=9), C))
    assert description(CONFIG) == description(other)
    for changed in (web(bind=("*:81",)), web(interval=1.0), web(tls=EdgeTls()), dataclasses.replace(CONFIG, extra="#")):
        assert description(changed) != description(CONFIG)


@hypothesis.given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=30))
def test_whatever_a_text_has_it_is_one_word_of_one_line(text: str) -> None:
    check = EdgeCheck(http=True, body=text, headers=(("X-A", text),))
    written = config_text(web(checks=(check,))).split("\n")
    (expected,) = [line for line in written if "expect string" in line]
    # HAProxy reads double quotes as a shell does, which knows one character more that is special.
    assert shlex.split(expected.replace("\\$", "$"))[-1] == text
    asked = next(line for line in written if "hdr X-A" in line)
    assert shlex.split(asked.replace("\\$", "$"))[-1] == text.replace("%", "%%")


def test_what_is_sent_over_tcp_is_written_in_hexadecimal() -> None:
    text = config_text(web(checks=(EdgeCheck(send="PING\r\n", expect="+PONG"),)))
    assert "tcp-check send-binary 50494e470d0a\n  tcp-check expect binary 2b504f4e47" in text


@pytest.mark.parametrize(
    ("config", "place"),
    [
        (web(bind=()), "web.bind"),
        (web(bind=("*:0",)), "web.bind"),
        (web(bind=("*:80 ssl",)), "web.bind"),
        (web(bind=("300.0.0.1:80",)), "web.bind"),
        (web(mode="udp"), "web.mode"),
        (web(balance="source"), "web.balance"),
        (web(certificate="site.pem"), "web.certificate"),
        (web(tls=EdgeTls(ca="/a b")), "web.ca"),
        (web(tls=EdgeTls(name="x y")), "web.health.server_name"),
        (web(interval=0.0), "web.interval"),
        (web(rise=0), "web.rise"),
        (web(servers=()), "web"),
        (web(servers=(A, A)), "web/a"),
        (web(servers=(EdgeServer("a b", "192.0.2.1", 1),)), "web/a b"),
        (web(servers=(EdgeServer("a", "no address", 1),)), "web/a"),
        (web(servers=(EdgeServer("a", "192.0.2.1", 0),)), "web/a"),
        (web(servers=(EdgeServer("a", "192.0.2.1", 1, 257),)), "web/a"),
        (web(checks=(EdgeCheck(), EdgeCheck(http=True))), "web.health"),
        (web(checks=(EdgeCheck(http=True, body="a\nb"),)), "web.health"),
        (web(checks=(EdgeCheck(http=True, method="PUT"),)), "web.health"),
        (web(checks=(EdgeCheck(http=True, headers=(("X A", "1"),)),)), "web.health"),
        (web(name="a:b"), "a:b"),
        (dataclasses.replace(CONFIG, services=(WEB, dataclasses.replace(WEB, name="api"))), "web.bind"),
        (dataclasses.replace(CONFIG, services=(WEB, WEB)), "web"),
        (dataclasses.replace(CONFIG, socket="s"), "socket"),
        (dataclasses.replace(CONFIG, user="a b"), "user"),
        (dataclasses.replace(CONFIG, connect=0.0), "connect"),
    ],
)
def test_what_haproxy_would_not_read_as_it_is_meant_is_refused(config: EdgeConfig, place: str) -> None:
    assert place in [problem.place for problem in problems_of(config)]


def test_all_problems_are_told_at_once() -> None:
    assert not problems_of(CONFIG)
    places = [problem.place for problem in problems_of(dataclasses.replace(web(bind=("80",), mode="x"), log="a b"))]
    assert places == ["log", "web.bind", "web.mode"]


def test_a_service_is_the_same_after_its_way_to_the_host() -> None:
    full = web(tls=EdgeTls(name="x.test"), checks=(EdgeCheck(http=True, headers=(("X-A", "1"),)),)).services[0]
    assert service_of(json.loads(json.dumps(data_of(full)))) == full
    options = {"socket": "/s", "states": "/t", "user": "", "group": "", "chroot": "", "log": "", "extra": ""}
    given = {**options, "services": [data_of(WEB)], "timeouts": {"client": "9"}}
    assert config_of(given) == dataclasses.replace(CONFIG, client=9.0)
    with pytest.raises(RollcallError) as caught:
        config_of({**given, "services": [{"name": "web"}], "timeouts": {"never": "x"}})
    places = [problem["place"] for problem in caught.value.evidence["problems"]]
    assert places == ["services[0]", "timeouts.never", "timeouts.never"]


def test_an_address_is_as_haproxy_tells_it() -> None:
    assert plain_address("2001:DB8:0::1") == "2001:db8::1"


@pytest.mark.parametrize(("server", "host"), [("app-1", "app-1"), ("app:12", "app"), (":1", ":1"), ("app:x", "app:x")])
def test_a_server_is_its_hosts(server: str, host: str) -> None:
    assert host_of(server) == host
    assert host_of(server_name(host, 0)) == host_of(server_name(host, 3)) == host


# --- what becomes of a HAProxy that runs ---------------------------------------------------------------------------


def test_nothing_is_to_be_done_when_all_is_as_it_should_be() -> None:
    there = seen(view(A), view(B, maint=True))
    assert not changes_of(description(CONFIG), there, CONFIG).any
    assert not differences(there, CONFIG)
    assert changes_of(None, {}, CONFIG).reload
    # What was going, and is wanted again; what somebody else has taken out is not.
    going = changes_of(description(CONFIG), seen(view(A, maint=True), view(B, maint=True)), CONFIG, {key("b")})
    assert going.rows() == [{"backend": "web", "server": "b", "change": "returned"}]


@pytest.mark.parametrize(
    ("views", "wanted", "commands"),
    [
        (seen(view(A), view(B), view(C)), CONFIG, []),
        (seen(view(A)), CONFIG, ["add", "enable", "drain", "down", "ready"]),
        (seen(view(A, port=9), view(B)), CONFIG, ["down", "addr"]),
        # Nobody else answers, so it is not taken out of use to be tried.
        (seen(view(A, port=9), view(B, up=False)), CONFIG, ["addr"]),
        # What is out of use stays so.
        (seen(view(A, port=9, maint=True), view(B)), CONFIG, ["addr"]),
        (seen(view(A, port=9, drain=True), view(B)), CONFIG, ["addr"]),
        (seen(view(A, weight=7, maint=True), view(B)), CONFIG, ["weight"]),
        # Somebody has drained it in the older way.
        (seen(view(A, weight=0), view(B)), CONFIG, []),
    ],
)
def test_servers_come_and_move_by_the_runtime_socket(
    views: t.Dict[ServerKey, ServerView], wanted: EdgeConfig, commands: t.List[str]
) -> None:
    changes = changes_of(description(wanted), views, wanted)
    told = [line for _key, lines in orders_of(changes, views, wanted) for line in lines]
    assert len(told) == len(commands)
    assert all(word in line for word, line in zip(commands, told, strict=True)), told
    assert not changes.reload
    assert [each.server for each in changes.removed] == (["c"] if key("c") in views else [])


def test_a_new_process_is_told_what_was_out_of_use_and_what_is_yet_to_be_tried() -> None:
    there = seen(view(A, maint=True), view(B), view(C))
    wanted = web(servers=(dataclasses.replace(A, port=9, weight=5), B, EdgeServer("d", "192.0.2.4", 8000)), rise=3)
    rows = "".join(
        f"3 web {name} 192.0.2.{number} {op} {admin} 100 100 8000 15\n"
        for number, (name, op, admin) in enumerate((("a", 0, 1), ("b", 2, 0), ("c", 2, 0)), 1)
    )
    changes = changes_of(description(CONFIG), there, wanted)
    assert changes.reload
    kept = kept_states(STATES + rows, changes, there, wanted).splitlines()
    assert kept == [
        *STATES.splitlines(),
        "3 web a 192.0.2.1 0 1 5 5 9 15",
        "3 web b 192.0.2.2 2 0 100 100 8000 15",
        "0 web d 192.0.2.4 0 0 100 100 8000 8",
    ]
    # Nobody answers who stays: what is new is taken for up, as after any start.
    alone = seen(view(A, maint=True))
    fewer = dataclasses.replace(
        wanted, services=(dataclasses.replace(wanted.services[0], servers=wanted.services[0].servers[::2]),)
    )
    kept = kept_states(STATES + rows, changes_of("", alone, fewer), alone, fewer).splitlines()
    assert len(kept) == 3
    with pytest.raises(ValueError, match="headings"):
        kept_states("Unknown command.\n", changes, there, wanted)


def test_what_a_reload_has_brought_back_is_ordered_again() -> None:
    before = seen(view(A, maint=True), view(B, drain=True), view(C))
    after = seen(view(A), view(B), view(C))
    assert lost_states(before, after) == [("maint", key("a")), ("drain", key("b"))]
    assert not lost_states(before, before)


SERVERS = st.dictionaries(st.sampled_from("abcde"), st.tuples(st.integers(1, 3), st.integers(1, 2)), max_size=5)


@hypothesis.given(SERVERS, SERVERS, st.sets(st.sampled_from("abcde")))
def test_each_server_is_changed_once_and_none_that_is_out_of_use_is_put_into_use(
    there: t.Dict[str, t.Tuple[int, int]], coming: t.Dict[str, t.Tuple[int, int]], out: t.Set[str]
) -> None:
    def made(servers: t.Dict[str, t.Tuple[int, int]]) -> t.Tuple[EdgeServer, ...]:
        return tuple(EdgeServer(name, "192.0.2.1", port, weight) for name, (port, weight) in servers.items())

    views = seen(*(view(one, maint=one.name in out) for one in made(there)))
    wanted = web(servers=made(coming))
    changes = changes_of(description(wanted), views, wanted)
    told = {name: there.get(name) for name in coming} != coming or bool(set(there) - set(coming))
    assert changes.any == told
    assert {each.server for each in changes.added} == set(coming) - set(there)
    assert {each.server for each in changes.removed} == set(there) - set(coming)
    for each, lines in orders_of(changes, views, wanted):
        if each in views and views[each].maint:
            assert not any("state" in line or "health" in line for line in lines)
