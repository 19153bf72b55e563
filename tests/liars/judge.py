# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an observer calls a service around the moment of a word of Rollcall, and which words were lies. Pure."""

from __future__ import annotations

import typing as t

from tests.liars.draw import AFTER

if t.TYPE_CHECKING:
    from tests.liars.one import Sight

# An observer looks twice a second, and a look takes time: what happened so close to a word is not held against it.
BLUR = 2.5
# A service of which so many of a hundred answers are wrong, before a word and after it, does not answer.
FLAKY = 0.2

DEAD, HEALTHY, NEITHER = "dead", "healthy", "neither"


class Word(t.NamedTuple):
    """What Rollcall said of a stack.

    Attributes:
        name: which of its words.
        ok: whether it said OK.
        failed: name, subject and evidence of each failed check.
        asked: seconds after the start when the question was put.
        said: seconds after the start when the answer came.
        logs: whether the question was about logs, too.
    """

    name: str
    ok: bool
    failed: t.Sequence[t.Sequence[str]]
    asked: float
    said: float
    logs: bool


class Lie(t.NamedTuple):
    """A word that the observer contradicts."""

    word: str
    said_ok: bool
    service: str
    kind: str
    seen: str

    @property
    def text(self) -> str:
        """The lie in one line."""
        said = "OK" if self.said_ok else "FAILED"
        return f"{self.word}: {said}, and {self.service} ({self.kind}) {self.seen}"


def is_well(sight: Sight) -> bool:
    """Return whether a service lived and answered."""
    return sight["alive"] and sight["answer"]


def opinion(sights: t.Sequence[Sight], asked: float, said: float, *, logs: bool) -> tuple[str, str]:
    """Return what an observer calls a service of which something was said, and why.

    Args:
        sights: all that was seen of it, in order.
        asked: seconds after the start when the question was put.
        said: seconds after the start when the answer came.
        logs: whether the question was about logs, too.
    """
    window = [sight for sight in sights if asked - BLUR <= sight["at"] <= said + AFTER]
    before = [sight for sight in sights if sight["at"] < asked - BLUR]
    after = [sight for sight in sights if said + BLUR < sight["at"] <= said + AFTER]
    if not after:
        return NEITHER, "not watched"
    if not any(map(is_well, window)):
        return DEAD, "never lived and answered"
    near = [sight for sight in sights if asked - BLUR <= sight["at"] <= said + BLUR]
    if near and not any(map(is_well, near)):
        return DEAD, "neither lived nor answered when it was asked about"
    if before and ended(before) and ended(after):
        return DEAD, f"ended before, and {ended(after)} times after"
    if before and min(wrong(before[-20:]), wrong(after)) > FLAKY:
        return DEAD, f"gave no answer {wrong(before[-20:]):.0%} of the time before, {wrong(after):.0%} after"
    if logs and before and before[-1]["critical"]:
        return DEAD, "a critical line"
    since = [sight for sight in sights if sight["at"] <= said + AFTER]
    settled = [sight for sight in since if sight["at"] >= asked - BLUR]
    if all(map(is_well, settled)) and not ended(since) and not any(sight["critical"] for sight in settled):
        troubled = [sight for sight in before if not is_well(sight)]
        return (NEITHER, "was ill before") if troubled else (HEALTHY, "lived and answered throughout")
    return NEITHER, "fell ill, or recovered"


def started(sights: t.Sequence[Sight]) -> t.Sequence[Sight]:
    """Return what was seen of a service since it was first well; all of it when it never was.

    Until then it starts, and no answer speaks against it.
    """
    return next((sights[number:] for number, sight in enumerate(sights) if is_well(sight)), sights)


def ended(sights: t.Sequence[Sight]) -> int:
    """Return how often a service ended within what was seen: by a further life, or by being gone."""
    lives = sights[-1]["lives"] - max(1, sights[0]["lives"]) if sights else 0
    gone = any(not sight["alive"] for sight in sights if sight["lives"])
    return max(lives, int(gone))


def wrong(sights: t.Sequence[Sight]) -> float:
    """Return the part of the answers that were none, from 0 to 1."""
    return sum(not sight["answer"] for sight in sights) / max(1, len(sights))


def words_of(told: t.Mapping[str, t.Any]) -> list[Word]:
    """Return the words in what one.py prints: that of the first run, then twice those of verify and status."""
    first = told["first"]
    words = [Word("first run", first["ok"], first["failed"], first["at"], first["at"], logs=False)]
    for when in ("later", "last"):
        moment = told[when]
        for verb in ("verify", "status"):
            said = moment[verb]
            words.append(
                Word(f"{when} {verb}", said["ok"], said["failed"], moment["asked"], moment["said"], verb == "verify")
            )
    return words


def lies(kinds: t.Mapping[str, str], told: t.Mapping[str, t.Any]) -> list[Lie]:
    """Return every word about a stack that the observer contradicts.

    Args:
        kinds: the behaviour of each service by its name.
        told: what one.py prints.
    """
    return [lie for word in words_of(told) for lie in _lies_of(word, kinds, told["sights"])]


def _lies_of(word: Word, kinds: t.Mapping[str, str], sights: t.Mapping[str, t.Sequence[Sight]]) -> t.Iterator[Lie]:
    opinions = {name: opinion(started(sights[name]), word.asked, word.said, logs=word.logs) for name in kinds}
    if word.ok:
        for name, (call, why) in opinions.items():
            if call == DEAD:
                yield Lie(word.name, True, name, kinds[name], why)
        return
    for check, subject, evidence in word.failed:
        if subject in opinions and opinions[subject][0] == HEALTHY:
            yield Lie(word.name, False, subject, kinds[subject], f"{opinions[subject][1]}: {check}: {evidence}")
    if all(call == HEALTHY for call, _why in opinions.values()):
        yield Lie(word.name, False, "every service", ", ".join(kinds.values()), f"lived and answered: {word.failed}")
