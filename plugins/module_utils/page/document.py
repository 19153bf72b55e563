# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The page as a whole: data in, one HTML document out that needs nothing else. Pure.

The same data is always the same document. Nothing is fetched, and nothing runs but the one program that the page's own
policy names by its digest (https://www.w3.org/TR/CSP3/).
"""

from __future__ import annotations

import base64
import time
import typing as t

from ..base.digest import sha256
from ..base.text import count
from ..base.version import VERSION
from . import memory
from .elements import Element, constant, element, extend, written
from .hosts import Judged, host_details, hosts_table
from .parts import BAD, GOOD, IDLE, LINES, WARN, fold, moment, name_of, section, state, zone_of
from .problems import Concern, grouped, problems_of
from .runs import rollout_section
from .script import SCRIPT
from .services import up_of
from .stories import problem_article
from .style import STYLE

if t.TYPE_CHECKING:
    from ..base.page_documents import PageData, PageHost

# Problems that are shown whole. Of more, what was seen is shown in fewer lines: no page is to be endless.
WHOLE, FEW, MOST = 10, 3, 100
# Problems whose evidence is not folded up.
OPEN = 3
# Hosts up to which each one has a line of its own among the details.
TOGETHER = 12
# Stacks that the heading names.
NAMED = 3
_WORDS = {BAD: "failed", WARN: "need attention", IDLE: "stopped", GOOD: "well"}
# The icon of the page in the colours of the light style.
_ICONS = {BAD: "%23b3261e", WARN: "%239a6700", GOOD: "%231a7f37"}


def is_well(data: PageData) -> bool:
    """Return whether there is nothing to see to on any host."""
    return not any(one.problems for one in _judged(data))


def headline(data: PageData) -> str:
    """Return in a few words how the hosts are."""
    return _headline(_judged(data))


def _judged(data: PageData) -> t.List[Judged]:
    """Return the hosts with what there is to see to; one that was not reached has told nothing."""
    hosts: t.List[PageHost] = [host if host["reached"] else {**host, "told": None} for host in data["hosts"]]
    return [Judged(host, problems_of(host), number) for number, host in enumerate(hosts, 1)]


def page(data: PageData, kept: t.Optional[t.Mapping[str, memory.Reached]] = None) -> str:
    """Return the page.

    Args:
        data: all that it is made of.
        kept: what is remembered of hosts that were not asked this time.
    """
    hosts = _judged(data)
    reached = {host["name"]: memory.Reached(host["last_reached"], host["lost_since"]) for host in data["hosts"]}
    problems = grouped(problem for one in hosts for problem in one.problems)
    body = element(
        "body",
        element("a", "Skip to the problems", href="#content", class_="skip"),
        _header(data, hosts, len(problems)),
        _main(hosts, problems),
        _footer(),
        element("p", "", id="said", class_="away", role="status"),
        constant("script", SCRIPT),
    )
    return written(element("html", _head(hosts, {**(kept or {}), **reached}), body, lang="en"))


# --- what no reader sees ------------------------------------------------------------------------------------------


def _head(hosts: t.Sequence[Judged], reached: t.Mapping[str, memory.Reached]) -> Element:
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {_digest(STYLE)}",
            f"script-src {_digest(SCRIPT)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    kind = _worst(hosts)
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name=memory.MARK, content=f"{memory.GENERATOR} {VERSION}"),
        element("meta", name=memory.REMEMBERED, content=memory.as_text(reached)),
        element("title", _title(hosts)),
        element("link", rel="icon", href=_icon(_ICONS.get(kind, _ICONS[GOOD]))),
        constant("style", STYLE),
    )


def _digest(content: str) -> str:
    made = sha256()
    made.update(content.encode("utf-8"))
    return f"'sha256-{base64.b64encode(made.digest()).decode('ascii')}'"


def _icon(colour: str) -> str:
    """Return the icon: a disc."""
    disc = f"%3Ccircle cx='4' cy='4' r='4' fill='{colour}'/%3E"
    return f"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E{disc}%3C/svg%3E"


def _worst(hosts: t.Sequence[Judged]) -> str:
    kinds = {one.state[1] for one in hosts}
    return next((kind for kind in (BAD, WARN) if kind in kinds), GOOD)


def _title(hosts: t.Sequence[Judged]) -> str:
    bad = sum(one.state[1] in (BAD, WARN) for one in hosts)
    return f"{f'({bad}) ' if bad else ''}{_what(hosts)} - Rollcall"


# --- what is always seen ------------------------------------------------------------------------------------------


def _what(hosts: t.Sequence[Judged]) -> str:
    """Return what the page is about: the stack, or the stacks, and where there is one host, that host."""
    reports = [one.host["told"]["report"] for one in hosts if one.host["told"] is not None]
    stacks = list(dict.fromkeys(name_of(report["stack"]) for report in reports if report is not None))
    named = ", ".join(stacks[:NAMED]) + (f" and {len(stacks) - NAMED} more" if len(stacks) > NAMED else "")
    if len(hosts) == 1:
        host = name_of(hosts[0].host["name"])
        return f"{named} on {host}" if named else host
    return named or count(len(hosts), "host")


def _header(data: PageData, hosts: t.Sequence[Judged], problems: int) -> Element:
    kind = _worst(hosts)
    made = element(
        "header",
        element(
            "div",
            element("p", f"Rollcall · {_what(hosts)}", class_="brand"),
            element("h1", _headline(hosts), class_=kind),
            element("p", "Seen at ", moment(data["at"]), f" ({_zone(data['at'])})", class_="quiet made", id="made"),
            element("p", "", id="age", class_="age", role="status"),
        ),
        _strip(hosts) if len(hosts) > 1 else None,
        _figures(hosts, problems),
    )
    if data["not_asked"]:
        words = f"{count(data['not_asked'], 'host')} of the inventory not asked: nothing is said of them here."
        made.append(element("p", words, class_="quiet"))
    return made


def _zone(seconds: float) -> str:
    return f"UTC{zone_of(time.localtime(seconds).tm_gmtoff)}"


def _headline(hosts: t.Sequence[Judged]) -> str:
    if len(hosts) == 1:
        return _headline_of_one(hosts[0])
    kinds = [one.state[1] for one in hosts]
    bad, warn = kinds.count(BAD), kinds.count(WARN)
    if not bad and not warn:
        return f"All {len(hosts)} hosts are well" if hosts else "No host was asked"
    if not bad:
        return f"{warn} of {len(hosts)} hosts {'needs' if warn == 1 else 'need'} attention"
    more = f", {warn} more {'needs' if warn == 1 else 'need'} attention" if warn else ""
    return f"{bad} of {len(hosts)} hosts failed{more}"


def _headline_of_one(one: Judged) -> str:
    word, told = one.state[0], one.host["told"]
    if word == "OK":
        return "All is well"
    report = None if told is None else told["report"]
    if report is None or report["result"] == "stopped":
        return word.capitalize()
    up, wanted = up_of(report)
    return f"{word.capitalize()}: {up} of {count(wanted, 'service')} up"


def _strip(hosts: t.Sequence[Judged]) -> Element:
    """Return the fleet at a glance: a mark for each host, in the order of the inventory."""
    kinds = [one.state[1] for one in hosts]
    told = ", ".join(f"{kinds.count(kind)} {_WORDS[kind]}" for kind in (BAD, WARN, IDLE, GOOD) if kind in kinds)
    marks = element("div", role="img", aria_label=f"The hosts: {told}", class_="strip")
    marks.extend([element("i", class_=kind) for kind in kinds])
    return marks


def _figures(hosts: t.Sequence[Judged], problems: int) -> Element:
    """Return what is counted over all hosts."""
    reports = [one.host["told"]["report"] for one in hosts if one.host["told"] is not None]
    known = [report for report in reports if report is not None]
    ups = [up_of(report) for report in known]
    reached = sum(one.host["reached"] for one in hosts)
    exits = sum(service["exits"] for report in known for service in report["services"])
    up, wanted = (sum(numbers) for numbers in zip((0, 0), *ups))
    unknown = len(hosts) - len(known)
    more = element("small", f"unknown on {count(unknown, 'host')}") if unknown else None
    pairs: t.List[t.Tuple[str, str, t.Optional[Element]]] = [("Problems", str(problems), None)]
    if len(hosts) > 1:
        pairs.append(("Hosts reached", f"{reached} of {len(hosts)}", None))
    pairs += [("Services up", f"{up} of {wanted}", more), ("Unexpected restarts", str(exits), None)]
    made = element("dl", class_="figures")
    made.extend([element("div", element("dt", word), element("dd", figure, below)) for word, figure, below in pairs])
    return made


def _main(hosts: t.Sequence[Judged], problems: t.Sequence[t.Sequence[Concern]]) -> Element:
    anchors = {one.host["name"]: one.anchor for one in hosts}
    made = element("main", id="content", tabindex="-1")
    if len(hosts) == 1:
        return extend(made, _problems(problems, {}), *(host_details(one, 1) for one in hosts))
    listed = sorted(hosts, key=lambda one: (BAD, WARN, IDLE, GOOD).index(one.state[1]))
    return extend(
        made,
        _tools(),
        _problems(problems, anchors),
        section("hosts", "Hosts", hosts_table(listed)),
        rollout_section([one.host for one in hosts]),
        section("details", "Host by host", *_each(listed)),
    )


def _each(listed: t.Sequence[Judged]) -> t.List[Element]:
    """Return all hosts with all that is known of them; of many, those that are well are folded up together."""
    details = [host_details(one, len(listed)) for one in listed]
    first = sum(one.state[1] in (BAD, WARN) for one in listed)
    if len(listed) <= TOGETHER or first == len(listed):
        return details
    words = f"{count(len(listed) - first, 'host')} that {'is' if len(listed) - first == 1 else 'are'} well"
    return [*details[:first], fold([words], *details[first:], class_="rest")]


def _problems(problems: t.Sequence[t.Sequence[Concern]], anchors: t.Mapping[str, str]) -> Element:
    if not problems:
        none = element("p", state("NONE", GOOD), " There is nothing to see to.", class_="none")
        return section("problems", "Problems", none)
    told = [
        problem_article(group, anchors, lines=LINES if number < WHOLE else FEW, open_=number < OPEN)
        for number, group in enumerate(problems[:MOST])
    ]
    made = section("problems", f"Problems ({len(problems)})", *told)
    if len(problems) > MOST:
        made.append(element("p", f"{len(problems) - MOST} more are told by each host.", class_="quiet"))
    return made


def _tools() -> Element:
    """Return what narrows the page down, which needs the script and is not seen without it."""
    choices = element("fieldset", element("legend", "Show"))
    for value, word in (("all", "All"), ("see", "Need attention"), ("well", "Well")):
        box = element("input", type="radio", name="show", value=value, checked=value == "all")
        choices.append(element("label", box, element("span", word)))
    search = element("label", element("span", "Search"), element("input", type="search", id="q", autocomplete="off"))
    found = element("output", "", id="found", for_="q")
    return element("form", search, choices, found, id="tools", role="search", hidden=True)


def _footer() -> Element:
    return element("footer", element("p", f"Made by Rollcall {VERSION}. It shows how things were when it was made."))
