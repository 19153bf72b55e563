# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""One problem of the page: what failed, what was seen, and the command to copy. Pure."""

from __future__ import annotations

import typing as t

from ..base.text import count
from .elements import Child, Element, element, extend
from .parts import breakable, command, evidence, fold, joined, moment, name_of, sentence, state
from .problems import NOT_REACHED, Concern, Said

# Hosts that the heading of a problem names.
NAMED = 3
# Lines of evidence that are seen at once, and lines that are kept where there are many problems.
AT_ONCE, FEW = 6, 3
# Hosts beside the first of which evidence and commands are kept; of the others the names are.
OTHERS = 10


def problem_article(group: t.Sequence[Concern], anchors: t.Mapping[str, str], *, lines: int, open_: bool) -> Element:
    """Return a problem.

    Args:
        group: it, on each host that has it.
        anchors: the places of the hosts on the page, by their names.
        lines: how many lines of evidence are kept.
        open_: whether they are seen at once.
    """
    first, others = group[0], group[1:]
    title = element("h3", state(first.word, first.kind), " ", *breakable(first.subject), *_where(group, anchors))
    every = first.word == NOT_REACHED
    made = element("article", title, class_=f"problem {first.kind}", data_kind=first.kind)
    extend(made, _since(first), *_told(first, lines, open_))
    if others:
        inner = [_other(one, anchors) for one in others[:OTHERS]]
        if len(others) > OTHERS:
            names = joined([_link(one.host, anchors) for one in others[OTHERS:]])
            inner.append(element("p", "And on ", *names, class_="other"))
        made.append(fold([f"The same on {count(len(others), 'other host')}"], *inner, open_=every))
    return made


def _other(problem: Concern, anchors: t.Mapping[str, str]) -> Element:
    name = element("h4", _link(problem.host, anchors))
    return element("div", name, _since(problem), *_told(problem, FEW), class_="other")


def _where(group: t.Sequence[Concern], anchors: t.Mapping[str, str]) -> t.List[Child]:
    """Return on which hosts a problem is; nothing where that is clear."""
    if group[0].subject and not anchors:
        return []
    told: t.List[Child] = [" on "] if group[0].subject else []
    for number, one in enumerate(group[:NAMED]):
        told += [", " if number else "", _link(one.host, anchors)]
    if len(group) > NAMED:
        told.append(f" and {len(group) - NAMED} more")
    return [element("span", *told, class_="where" if group[0].subject else None)]


def _link(host: str, anchors: t.Mapping[str, str]) -> Element:
    return element("a", name_of(host), href=f"#{anchors[host]}") if host in anchors else element("span", name_of(host))


def _since(problem: Concern) -> t.Optional[Element]:
    told: t.List[Child] = []
    if problem.since is not None:
        told += ["Since ", moment(problem.since)]
    if problem.reached is not None:
        told += [". Last reached " if told else "Last reached ", moment(problem.reached)]
    if problem.watched:
        told += [". " if told else "", sentence(problem.watched)]
    return element("p", *told, class_="quiet") if told else None


def _told(problem: Concern, lines: int, open_: bool = False) -> t.List[Child]:
    found: t.List[Child] = []
    for number, one in enumerate(problem.said):
        # What a service's state has said already, its last health answer say, need not be said again.
        if not any(one.text in earlier.text for earlier in problem.said[:number]):
            found += _seen(one, lines, open_)
    for before, text in problem.next:
        if before:
            found.append(element("p", f"{sentence(before)[:1].upper()}{sentence(before)[1:]}, then:", class_="advice"))
        found.append(command(text))
    return found


def _seen(one: Said, lines: int, open_: bool) -> t.List[Child]:
    """Return what one check has seen: a sentence, and below it what more there is, folded up when it is long."""
    head, *rest = [line for line in one.text.splitlines() if line.strip()] or ["no evidence"]
    label = element("b", f"{name_of(one.what)}: ") if one.what else None
    told: t.List[Child] = [element("p", label, sentence(head), class_="why")]
    more = evidence("\n".join(rest), lines)
    if more is not None:
        told.append(
            more if len(rest) <= AT_ONCE else fold([f"What was seen: {count(len(rest), 'line')}"], more, open_=open_)
        )
    return told
