# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts on their way: real servers of HTTP and mail take them, and hostile ones do what they can."""

from __future__ import annotations

import itertools
import os
import re
import select
import socket
import sys
import time
import typing as t
from email.utils import formatdate
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from aiosmtpd.smtp import AuthResult, LoginPassword

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import apart
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.secret_values import secret_values
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import generations
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch import (
    alerts,
    by_apprise,
    delivery,
    mail,
    messages,
    posting,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch.incidents import StackPlace
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch.targets import targets_of
from tests.support.authorities import Authority, in_tls
from tests.support.documents import validated
from tests.support.manifests import a_manifest, a_service
from tests.support.peers import Behaviour, drips, http, keeps_silent, says, tcp_peer, then_silent
from tests.support.processes import eventually, is_alive
from tests.support.receivers import HttpReceiver, a_state, an_event

NUMBERS = itertools.count()
KEY = "T0-B0-very-secret-key"


@pytest.fixture
def receiver() -> t.Iterator[HttpReceiver]:
    with HttpReceiver() as taking:
        yield taking


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines are short, and what never ends takes longer: yet what comes at once does so on a busy machine."""
    for function in (posting.send, mail.send):
        monkeypatch.setattr(function, "__kwdefaults__", {**(function.__kwdefaults__ or {}), "seconds": 3.0})


def secret_file(path: Path, content: str) -> None:
    path.write_text(f"{content}\n", encoding="utf-8")
    path.chmod(0o600)


def a_stack(
    root: Path, secrets: dict[str, str] | None = None, files: dict[str, str] | None = None, **watch: t.Any
) -> Stack:
    """Return a new stack, installed below a directory, with secrets of its service web and files of secrets."""
    own = root / f"s{next(NUMBERS)}"
    own.mkdir(parents=True)
    for name, content in (files or {}).items():
        secret_file(own / name, content)
    data = a_manifest({"web": a_service(secrets=secrets or {})}, root=str(own), watch=watch)
    checked = check_manifest(data)
    assert checked.stack is not None, checked.problems
    stack = checked.stack
    generation = generations.Generation(stack, "", secret_values(data))
    generations.write_generation(stack.paths, stack.root, "1", generation, None)
    generations.install_generation(stack.paths, stack.root, "1")
    return stack


def sent(stack: Stack) -> delivery.SendResult:
    """Send an alert to the first target of a stack."""
    return delivery.send(stack, targets_of(stack)[0], messages.alert_of(an_event()))


PLACE = StackPlace("shop", "app1", "/opt/shop")


def delivered(stack: Stack, events: t.Any, state: t.Any, courier: alerts.Courier | None = None) -> t.Any:
    """Deliver what has happened, wait for the end, and return what is remembered."""
    courier = courier or alerts.Courier()
    courier.take(stack, events, state, PLACE)
    courier.begin(stack, state)
    awaited(courier, state)
    return validated(state["deliveries"], "AlertMemory")


def awaited(courier: alerts.Courier, state: t.Any) -> None:
    while courier.reader is not None:
        assert select.select([courier.reader], [], [], 60)[0]
        courier.go_on(state)


def test_each_kind_gets_what_it_reads_and_secrets_come_from_the_stack_or_from_a_file(
    tmp_path: Path, receiver: HttpReceiver
) -> None:
    stack = a_stack(
        tmp_path,
        {"DISCORD": f"{receiver.url}/api/webhooks/1/{KEY}", "TOKEN": KEY},
        {"slack": f"{receiver.url}/services/{KEY}"},
        alerts=[
            {"kind": "discord", "url": "{secret:DISCORD}"},
            {"kind": "slack", "url_file": "slack"},
            {"kind": "webhook", "url": f"{receiver.url}/alerts?a=b", "token": "{secret:TOKEN}"},
        ],
        heartbeat={"url": f"{receiver.url}/ping"},
    )

    memory = delivered(stack, [an_event()], a_state())

    taken = {request.path: request for request in receiver.taken}
    assert set(taken) == {f"/api/webhooks/1/{KEY}", f"/services/{KEY}", "/alerts?a=b", "/ping"}
    assert "web is down" in taken[f"/api/webhooks/1/{KEY}"].data["content"]
    assert "web is down" in taken[f"/services/{KEY}"].data["text"]
    hook = taken["/alerts?a=b"]
    assert validated(hook.data, "AlertDocument")["id"] == "not_up:web"
    assert (hook.headers["Authorization"], hook.headers["Content-Type"]) == (f"Bearer {KEY}", "application/json")
    assert (taken["/ping"].method, hook.method) == ("GET", "POST")
    assert {name: (box["sent"], box["waiting"]) for name, box in memory["targets"].items()} == {
        name: (1, []) for name in ("discord", "slack", "webhook")
    }
    assert KEY not in str(memory)


@pytest.mark.parametrize(
    ("mode", "second_name", "words"),
    [(0o640, False, "chmod 0600"), (0o600, True, "a second name"), (0, False, "a second line")],
)
def test_a_file_that_others_may_read_or_have_made_is_refused(
    tmp_path: Path, receiver: HttpReceiver, mode: int, second_name: bool, words: str
) -> None:
    stack = a_stack(tmp_path, files={"url": f"{receiver.url}/{KEY}"}, alerts=[{"kind": "slack", "url_file": "url"}])
    path = Path(stack.root, "url")
    if second_name:
        os.link(path, tmp_path / "other")
    if not mode:
        secret_file(path, "two\nlines")
    path.chmod(mode or 0o600)
    result = sent(stack)

    assert (result.ok, result.again, receiver.taken) == (False, True, [])
    assert str(path) in result.answer
    assert words in result.answer


def test_a_link_to_a_secret_of_somebody_else_is_not_followed(tmp_path: Path, receiver: HttpReceiver) -> None:
    stack = a_stack(tmp_path, files={"of_root": f"{receiver.url}/{KEY}"}, alerts=[{"kind": "slack", "url_file": "url"}])
    Path(stack.root, "url").symlink_to("of_root")

    assert (sent(stack).ok, receiver.taken) == (False, [])


def hook(stack_root: Path, url: str, **keys: t.Any) -> Stack:
    return a_stack(stack_root, {"HOOK": url}, alerts=[{"kind": "webhook", "url": "{secret:HOOK}", **keys}])


HOSTILE: dict[str, tuple[Behaviour, bool, str]] = {
    "hangs": (keeps_silent, True, "no answer within 3 s"),
    "hangs within its answer": (then_silent("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), True, "within|after"),
    "drips": (drips(http("x" * 5000), 0.01), True, "after 3 s"),
    "breaks off": (says(""), True, "without an answer"),
    "garbage": (says(b"\x00\xff@everyone\r\n" * 50), True, "no answer of HTTP"),
    "500": (says(http("oops", "500 Internal Server Error")), True, 'answered 500: "oops"'),
    "503 and much": (says(http("x" * 100_000, "503 No")), True, "answered 503"),
    "404": (says(http("", "404 Not Found")), False, "answered 404"),
    "repeats the key": (says(http(f"no webhook {KEY}", "401 No")), False, "answered 401"),
    "redirects": (says(http("", "302 Found", "Location: http://127.0.0.2/")), False, "redirects"),
    "redirects by 307": (says(http("", "307 Temporary Redirect", "Location: http://[bad")), False, "URL"),
    "redirects to a file": (says(http("", "308 Permanent Redirect", "Location: file:///etc/passwd")), False, "URL"),
    "too many headers": (says("HTTP/1.1 200 OK\r\n" + "A: b\r\n" * 500), True, "no answer of HTTP"),
}


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_far_end_is_told_in_words_without_a_secret(tmp_path: Path, what: str) -> None:
    behave, again, words = HOSTILE[what]
    with tcp_peer(behave) as peer:
        result = sent(hook(tmp_path, f"http://127.0.0.1:{peer.port}/{KEY}"))

    assert (result.ok, result.again) == (False, again), result
    assert re.search(words, result.answer), result
    assert KEY not in result.answer
    assert "\n" not in result.answer
    assert result.seconds < 60


def test_nobody_listens_and_no_such_host(tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        result = sent(hook(tmp_path, f"http://127.0.0.1:{bound.getsockname()[1]}/"))
        mailed = sent(by_mail(tmp_path, bound.getsockname()[1], tls="none"))
    assert (result.answer, result.again) == ("did not answer: connection refused", True)
    assert (mailed.answer, mailed.again) == ("did not take it: Connection refused", True)


def test_a_redirect_within_the_same_place_is_followed_and_one_to_another_port_is_not(
    tmp_path: Path, receiver: HttpReceiver
) -> None:
    stack = hook(tmp_path, f"{receiver.url}/alerts")
    receiver.answers = [(308, {"Location": "/alerts/"})]
    assert sent(stack).ok
    assert [(request.method, request.path) for request in receiver.taken] == [("POST", "/alerts"), ("POST", "/alerts/")]

    with HttpReceiver() as other:
        receiver.answers = [(307, {"Location": f"{other.url}/{KEY}"})]
        result = sent(stack)
    assert (result.ok, other.taken) == (False, [])
    assert KEY not in result.answer

    # A page for a login would take anything.
    receiver.answers = [(302, {"Location": "/login"})]
    result = sent(stack)
    assert (result.ok, result.answer) == (False, "answered 302: it redirects, and only 307 and 308 are followed")


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [
        ("45", 45, 45),
        (600, 500, 600),
        (-600, 0, 0),
        ("soon", 0, 0),
        ("Tue, 99 Foo 99999 25:00:00 GMT", 0, 0),
    ],
)
def test_how_long_a_far_end_wants_to_be_left_alone_it_says_in_seconds_or_by_a_date(
    told: str | int, least: float, most: float, tmp_path: Path, receiver: HttpReceiver
) -> None:
    said = told if isinstance(told, str) else formatdate(time.time() + told, usegmt=True)
    receiver.answers = [(429, {"Retry-After": said})]
    result = sent(hook(tmp_path, receiver.url))
    assert result.again
    assert least <= result.after <= most


def test_tls_is_checked(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    requests: list[bytes] = []
    context = authority.server("DNS:localhost")
    with tcp_peer(in_tls(context, says(http()), requests), listens=False) as peer:
        url = f"https://localhost:{peer.port}/{KEY}"
        assert "not trusted" in sent(hook(tmp_path, url)).answer
        wrong = sent(hook(tmp_path, url.replace("localhost", "127.0.0.1"), ca=authority.certificate))
        assert "not trusted" in wrong.answer
        assert requests == [], "the key is sent to nobody else"
        assert sent(hook(tmp_path, url, ca=authority.certificate)).ok
    assert b"very-secret" in requests[0]


# --- look by look ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("patient")
def test_a_far_end_that_hangs_delays_no_look_and_no_other_target(tmp_path: Path, receiver: HttpReceiver) -> None:
    with tcp_peer(keeps_silent) as peer:
        stack = a_stack(
            tmp_path,
            alerts=[
                {"kind": "webhook", "name": "hung", "url": f"http://127.0.0.1:{peer.port}/"},
                {"kind": "webhook", "name": "good", "url": receiver.url},
            ],
        )
        courier, state = alerts.Courier(), a_state()
        began = time.monotonic()
        courier.take(stack, [an_event("degraded")], state, PLACE)
        courier.begin(stack, state)
        assert time.monotonic() - began < 3
        courier.take(stack, [an_event()], state, PLACE)
        courier.begin(stack, state)
        assert len(state["deliveries"]["targets"]["hung"]["waiting"]) == 2, "one at a time"
        awaited(courier, state)
        again = state["deliveries"]

    assert (again["targets"]["good"]["sent"], len(receiver.taken)) == (1, 1)
    hung = again["targets"]["hung"]
    assert len(hung["waiting"]) == 2
    assert (hung["waiting"][0]["tries"], hung["problem"]) == (1, "did not answer: no answer within 3 s")


def test_what_was_not_taken_is_sent_by_the_next_watcher_when_the_far_end_said_so(
    tmp_path: Path, receiver: HttpReceiver
) -> None:
    stack = hook(tmp_path, receiver.url, name="ours")
    receiver.answers = [(429, {"Retry-After": "45"})]
    began = time.time()
    memory = delivered(stack, [an_event("degraded"), an_event()], a_state())
    box = memory["targets"]["ours"]
    assert [each["tries"] for each in box["waiting"]] == [1, 0], "what comes later waits behind it"
    assert began + 45 <= box["waiting"][0]["due"] <= time.time() + 45
    early = delivered(stack, [], a_state(deliveries=memory))
    assert len(receiver.taken) == 1

    early["targets"]["ours"]["waiting"][0]["due"] = time.time()
    late = delivered(stack, [an_event("recovered")], a_state(deliveries=early))

    assert [request.data["alert"] for request in receiver.taken] == ["degraded", "degraded", "critical", "recovered"]
    assert (late["targets"]["ours"]["sent"], late["targets"]["ours"]["problem"]) == (3, None)


def test_secrets_of_the_stack_in_evidence_are_masked_and_a_target_for_critical_gets_nothing_else(
    tmp_path: Path, receiver: HttpReceiver
) -> None:
    keys = {"kind": "webhook", "url": receiver.url}
    stack = a_stack(tmp_path, {"TOKEN": KEY}, alerts=[{**keys, "name": "all"}, {**keys, "level": "critical"}])
    events = [
        an_event("degraded", level="degraded", evidence=f"login with {KEY} failed"),
        an_event("recovered", level="degraded"),
        an_event("gave_up", level="critical"),
    ]
    delivered(stack, events, a_state())

    assert sorted(request.data["alert"] for request in receiver.taken) == [
        *("degraded", "gave_up", "gave_up", "recovered")
    ]
    told = [request.data["evidence"] for request in receiver.taken if request.data["alert"] == "degraded"]
    assert told == ["login with ******** failed"]


def test_the_heartbeat_is_called_while_all_is_well_and_not_at_every_look(
    tmp_path: Path, receiver: HttpReceiver
) -> None:
    stack = a_stack(tmp_path, files={"beat": f"{receiver.url}/{KEY}"}, heartbeat={"url_file": "beat"})
    courier = alerts.Courier()
    memory = delivered(stack, [], a_state(level="critical"), courier)
    assert receiver.taken == []
    for _number in range(3):
        memory = delivered(stack, [], a_state(deliveries=memory), courier)
    assert [request.path for request in receiver.taken] == [f"/{KEY}"]

    memory["heartbeat"]["called"] = time.time() - 61
    receiver.answers = [(500, {})]
    memory = delivered(stack, [], a_state(deliveries=memory, level="grace"), courier)
    assert len(receiver.taken) == 2
    assert memory["heartbeat"]["problem"] == "answered 500"


# --- mail -----------------------------------------------------------------------------------------------------------


class Kept(Message):
    """Keeps the mails that a server has taken."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[t.Any] = []

    def handle_message(self, message: t.Any) -> None:
        self.mails.append(message)


@pytest.fixture
def mail_server(tmp_path: Path) -> t.Iterator[t.Callable[..., tuple[Kept, int]]]:
    """Starts servers of mail that want TLS and a login."""
    started: list[Controller] = []
    context = Authority(tmp_path).server("DNS:localhost")

    def allowed(_server: t.Any, _session: t.Any, _envelope: t.Any, _kind: str, login: LoginPassword) -> AuthResult:
        return AuthResult(success=login == LoginPassword(b"rollcall", KEY.encode()), handled=False)

    def start(how: str) -> tuple[Kept, int]:
        handler = Kept()
        options: dict[str, t.Any] = {"ssl_context": context} if how == "tls" else {}
        if how == "starttls":
            options = {"tls_context": context, "require_starttls": True}
        if how != "none":
            options.update(authenticator=allowed, auth_required=True, auth_require_tls=how == "starttls")
        controller = Controller(handler, hostname="localhost", port=free(), **options)
        controller.start()
        started.append(controller)
        return handler, controller.port

    yield start
    for controller in started:
        controller.stop()


def free() -> int:
    with socket.socket() as bound:
        bound.bind(("localhost", 0))
        return int(bound.getsockname()[1])


def by_mail(root: Path, port: int, **keys: t.Any) -> Stack:
    usual = {
        "kind": "mail",
        "host": "localhost",
        "port": port,
        "from": "rollcall@example.com",
        "to": ["a@b.c", "d@e.f"],
    }
    return a_stack(root, {"PASSWORD": KEY}, alerts=[{**usual, **keys}])


LOGIN = {"user": "rollcall", "password": "{secret:PASSWORD}"}


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # the server does not count TLS that begins before it
def test_mail_goes_over_tls_that_is_checked_with_a_login_and_as_text_alone(
    tmp_path: Path, mail_server: t.Callable[..., tuple[Kept, int]]
) -> None:
    ca = str(tmp_path / "authority.pem")
    for how in ("starttls", "tls"):
        kept, port = mail_server(how)
        assert "not trusted" in sent(by_mail(tmp_path, port, tls=how, **LOGIN)).answer
        assert kept.mails == []
        result = sent(by_mail(tmp_path, port, tls=how, ca=ca, **LOGIN))
        assert (result.ok, result.answer) == (True, "taken"), result
        (one,) = kept.mails
        subject = " ".join(one["Subject"].split())
        assert subject.startswith("[shop] web is down: EXITED with status 1 (critical, stack shop on app1, since")
        assert (one["To"], one["Auto-Submitted"]) == ("a@b.c, d@e.f", "auto-generated")
        assert one.get_content_type() == "text/plain"
        assert "rollcall restart web" in one.get_payload(decode=True).decode()
    wrong = sent(by_mail(tmp_path, port, tls="tls", ca=ca, user="other", password="{secret:PASSWORD}"))
    assert (wrong.ok, wrong.again) == (False, False)
    assert KEY not in wrong.answer
    without_tls = sent(by_mail(tmp_path, mail_server("none")[1]))
    assert (without_tls.ok, without_tls.again) == (False, False), without_tls


@pytest.mark.usefixtures("patient")
def test_hostile_servers_of_mail(tmp_path: Path) -> None:
    for behave, again in (
        (drips("220-x\r\n" * 1000, 0.01), True),
        (keeps_silent, True),
        (says("\xff" * 3000), True),
        (says("554 no\r\n"), False),
        (says("421 later\r\n"), True),
    ):
        with tcp_peer(behave, listens=False) as peer:
            result = sent(by_mail(tmp_path, peer.port, host="127.0.0.1", tls="none"))
        assert (result.ok, result.again) == (False, again), result
        assert result.seconds < 60


def test_a_server_of_mail_that_never_stops_talking_is_not_listened_to_for_long(tmp_path: Path) -> None:
    talk = says(("220-" + "x" * 4000 + "\r\n") * 100)
    with tcp_peer(talk, listens=False) as peer:
        result = sent(by_mail(tmp_path, peer.port, host="127.0.0.1", tls="none"))
    assert (result.ok, result.again) == (False, True), result
    assert "it says more than 65536 bytes" in result.answer


# --- Apprise ---------------------------------------------------------------------------------------------------------


APPRISE = {"kind": "apprise", "url_file": "url"}


def test_apprise_sends_what_it_gets_by_its_input_and_what_it_says_stays_within(
    tmp_path: Path, receiver: HttpReceiver
) -> None:
    url = f"{receiver.url.replace('http', 'json')}/{KEY}"
    stack = a_stack(tmp_path, files={"url": url}, alerts=[APPRISE])
    python = Path(by_apprise.python_of(stack.root))
    python.parent.mkdir(parents=True)
    # As the role `monitor` makes it; here it notes its arguments.
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\nexec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)

    assert sent(stack).answer == "taken"
    (request,) = receiver.taken
    assert request.path == f"/{KEY}"
    assert "web is down: EXITED with status 1" in request.data["title"]
    assert "rollcall restart web" in request.data["message"]
    arguments = (tmp_path / "arguments").read_text(encoding="utf-8")
    assert KEY not in arguments
    assert "web is down" not in arguments

    receiver.answers = [(500, {})] * 5
    assert sent(stack)._replace(seconds=0) == delivery.SendResult(False, "did not take it", True, 0.0, 0)
    secret_file(Path(stack.root, "url"), "nothing://that.there.is")
    assert sent(stack).answer == "has a URL that Apprise does not know"


def test_apprise_ends_also_when_who_has_started_it_was_killed(tmp_path: Path) -> None:
    with tcp_peer(drips("HTTP/1.1 200 OK\r\n" + "A: b\r\n" * 10_000, 0.05)) as peer:
        stack = a_stack(tmp_path, files={"url": f"json://127.0.0.1:{peer.port}/"}, alerts=[APPRISE])
        python = Path(by_apprise.python_of(stack.root))
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\necho $$ > {tmp_path}/pid\nexec {sys.executable} "$@"\n', encoding="utf-8")
        python.chmod(0o755)
        url = f"json://127.0.0.1:{peer.port}/"
        alert = messages.alert_of(an_event())
        child = apart.Begun(lambda: by_apprise.send(alert, url, stack, seconds=200), 300)
        assert eventually(lambda: bool(peer.requests))
        pid = int((tmp_path / "pid").read_text(encoding="ascii"))
        child.end()
        assert eventually(lambda: not is_alive(pid))


# --- a trial --------------------------------------------------------------------------------------------------------


def test_a_trial_goes_to_every_target_and_tells_what_each_has_answered(tmp_path: Path, receiver: HttpReceiver) -> None:
    with tcp_peer(says(http("nothing here", "404 Not Found"))) as peer:
        stack = a_stack(
            tmp_path,
            files={"url": f"ntfy://{KEY}"},
            alerts=[
                {"kind": "webhook", "url": receiver.url},
                {"kind": "webhook", "name": "gone", "url": f"http://127.0.0.1:{peer.port}/"},
                {"kind": "apprise", "url_file": "url"},
            ],
            heartbeat={"url": receiver.url},
        )
        told = validated(alerts.try_all(stack), "AlertTestDocument")

    assert {each["target"]: each["ok"] for each in told["targets"]} == {
        **{"webhook": True, "gone": False, "apprise": False, "heartbeat": True}
    }
    assert told["ok"] is False
    assert [each["answer"] for each in told["targets"]][:2] == ["204", 'answered 404: "nothing here"']
    assert "monitor_apprise" in told["targets"][2]["answer"]
    assert "This is a trial" in next(each.data for each in receiver.taken if each.method == "POST")["title"]


def test_a_stack_without_a_target_has_no_good_trial(tmp_path: Path) -> None:
    assert alerts.try_all(a_stack(tmp_path))["ok"] is False
