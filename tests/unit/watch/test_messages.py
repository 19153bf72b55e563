# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an alert says, and that nothing in it is markup or a call at a far end."""

from __future__ import annotations

import json
import re

import hypothesis
import hypothesis.strategies as st
import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.watch import messages
from tests.support.documents import validated
from tests.support.receivers import THEN, an_event

# What lines of logs have had in them, or could.
HOSTILE = st.text(max_size=400) | st.lists(
    st.sampled_from(
        [
            *(
                "@everyone",
                "@here",
                "<@123>",
                "<!channel>",
                "<!everyone|x>",
                "<@U012>",
                "<#C1>",
                "```",
                "`",
                "**",
                "__",
            ),
            *("[a](http://b)", "<http://a|b>", "https://a.b/c", "||", "# ", "> ", "\n", "\r", "\x1b[31m", "\u202e"),
            *("&amp;", "<t:0:R>", ":smile:", "<:x:1>", "\\", "\x00", "word", " ", "~~", "@", "\ud800", "-# "),
        ]
    ),
    max_size=60,
).map("".join)


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    __import__("time").tzset()


@pytest.mark.parametrize(
    ("event", "more", "title"),
    [
        ("critical", {}, "web is down: EXITED with status 1 (critical, stack shop on app1, since 03:12 UTC)"),
        (
            "degraded",
            {"since": THEN - 2 * 86_400},
            "web is down: EXITED with status 1 (degraded, stack shop on app1, since 2026-11-29 03:12 UTC)",
        ),
        (
            "recovered",
            {},
            "web is well again after 12 min, stack shop on app1. It was: web is down: EXITED with status 1",
        ),
        (
            "gave_up",
            {"restarts": 5},
            "web is down: EXITED with status 1 (stack shop on app1, since 03:12 UTC): the watcher gives up after "
            "5 restarts",
        ),
        (
            "restarted",
            {"restarts": 1},
            "web is down: EXITED with status 1 (stack shop on app1, since 03:12 UTC): the watcher has tried "
            "restart 1 of 3",
        ),
        (
            "recovered",
            {"told": "web is down: FATAL", "why": "web has ended by itself at 03:20:00, and runs again"},
            "web is well again after 12 min, stack shop on app1. It was: web is down: FATAL",
        ),
    ],
)
def test_the_first_line_says_why_where_and_since_when(event: str, more: dict[str, object], title: str) -> None:
    alert = validated(messages.alert_of(an_event(event, **more)), "AlertDocument")

    assert alert["title"] == title
    assert messages.plain_text(alert).split("\n")[0] == title


def test_after_it_come_who_suffers_the_evidence_and_commands_that_work() -> None:
    services = ["database", *(f"s{number}" for number in range(20))]
    alert = messages.alert_of(
        an_event(subject="database", why="database is down: connection refused", services=services)
    )

    assert messages.plain_text(alert).split("\n")[1:] == [
        *("", "20 services suffer: s0, s1, s2, s3 and 16 more"),
        *("", "web is down: EXITED with status 1", "bind: address already in use"),
        *(
            "",
            "Next:",
            "  /opt/shop/bin/rollcall logs web  # on app1",
            "  /opt/shop/bin/rollcall restart web  # on app1",
        ),
        "",
    ]


def test_what_the_title_has_no_room_for_is_evidence() -> None:
    why = f"web has workers that die: {'pid 7 lives, ' * 20}and none has lived for 2 s"
    alert = messages.alert_of(an_event(why=why, evidence=why.partition(": ")[2]))

    assert alert["evidence"].endswith("and none has lived for 2 s")


def test_what_the_title_has_said_is_not_said_again_and_long_evidence_is_cut() -> None:
    why = "web is down: EXITED with status 1"
    alert = messages.alert_of(an_event(evidence="\n".join([why, "x" * 5000, *map(str, range(100))])))
    lines = alert["evidence"].split("\n")

    assert lines[0] == "x" * 299 + "…"
    assert len(lines) == messages.LINES + 1
    assert lines[-1] == "… and 89 more lines"


def markup_of_discord(text: str) -> str:
    """Return what of a message Discord reads as markup: all outside of blocks of code that is not escaped."""
    assert text.count("```") % 2 == 0
    outside = "".join(text.split("```")[::2])
    return re.sub(r"\\[^0-9A-Za-z\s]", "", outside)


@hypothesis.settings(max_examples=60)
@hypothesis.given(HOSTILE, HOSTILE)
def test_nothing_in_a_message_of_discord_is_markup_and_nobody_is_called(why: str, evidence: str) -> None:
    alert = messages.alert_of(an_event(why=why, evidence=evidence, services=["web", "api"]))
    sent = messages.discord(alert)
    json.dumps(sent).encode()

    assert sent["allowed_mentions"] == {"parse": []}
    assert len(sent["content"]) <= messages.DISCORD_LIMIT
    assert not re.search(r"[\\`*_~|<>@#\[\]]", markup_of_discord(sent["content"]))
    assert not re.search(r"@(?i:everyone|here)|://", markup_of_discord(sent["content"]))
    assert not re.search(r"^\s*([-+]|\d+\.)", sent["content"])


def test_no_more_is_escaped_for_discord_than_must_be() -> None:
    event = an_event(why="a_b is down: [x](https://c) -1 at 03:12:14, :smile:", evidence="- 1. `", services=["web"])
    content = messages.discord(messages.alert_of(event))["content"]

    assert content.split("\n")[:4] == [
        r"a\_b is down: \[x\](https\://c) -1 at 03:12:14, \:smile: (critical, stack shop on app1, since 03:12 UTC)",
        *("```", "- 1. \u02cb", "```"),
    ]


@hypothesis.settings(max_examples=60)
@hypothesis.given(HOSTILE, HOSTILE)
def test_nothing_in_a_message_of_slack_is_markup_and_nobody_is_called(why: str, evidence: str) -> None:
    alert = messages.alert_of(an_event(why=why, evidence=evidence, services=["web", "api"]))
    sent = messages.slack(alert)
    json.dumps(sent).encode()

    assert (sent["mrkdwn"], sent["parse"], sent["link_names"]) == (False, "none", False)
    assert len(sent["text"]) <= messages.SLACK_LIMIT
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", sent["text"])
    assert not re.search(r"@(?i:everyone|here|channel)", sent["text"])


def test_of_long_evidence_as_many_lines_are_sent_as_have_room() -> None:
    alert = messages.alert_of(an_event(evidence="\n".join(["`" * 290] * 12)))
    content = messages.discord(alert)["content"]

    assert 1500 < len(content) <= messages.DISCORD_LIMIT
    assert "more lines" in content
    assert "rollcall restart web" in content


def test_what_was_held_back_is_told_as_one() -> None:
    alert = messages.held_back("shop", "app1", "/opt/shop", number=12, since=THEN, titles=["a", "b"], at=THEN + 60)

    assert validated(alert, "AlertDocument")["title"] == "12 alerts held back since 03:12 UTC, stack shop on app1"
    assert alert["evidence"].split("\n") == ["10 earlier ones, and:", "a", "b"]
    assert alert["next"] == ["/opt/shop/bin/rollcall status  # on app1"]
