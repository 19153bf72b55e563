# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has said is admitted as far as it is known, and no further."""

from __future__ import annotations

import functools
import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import documents
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.dispatch import Going
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import answers
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.answers import Malformed, admitted, answer_to

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())
VALUES = st.recursive(
    LEAVES, lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)), max_leaves=20
)
VERBS = sorted(answers.OF_VERBS)
# What a report is made of, and what it is not: all of one takes long to make up.
SHAPES = (documents.ErrorData, documents.ServiceRow, documents.CheckData, documents.LastFailure, answers.AssignAnswer)
ERROR: t.Mapping[str, t.Any] = {"message": "", "kind": "failed", "evidence": {}, "remedies": []}


def texts(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


@functools.cache
def values_of(shape: t.Any) -> st.SearchStrategy[t.Any]:
    """Return values that mostly have a form, so that what is checked is reached."""
    if t.is_typeddict(shape):
        hints = t.get_type_hints(shape)
        keys = {key: values_of(hint) for key, hint in hints.items()}
        whole = st.fixed_dictionaries(keys)
        return st.one_of(whole, st.builds(lambda one, more: {**more, **one}, whole, st.dictionaries(st.text(), VALUES)))
    origin, inner = t.get_origin(shape), t.get_args(shape)
    if origin is list:
        return st.lists(values_of(inner[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(st.text(max_size=5), values_of(inner[1]), max_size=2)
    if origin is t.Union:
        return st.one_of(*(st.none() if one is type(None) else values_of(one) for one in inner))
    if origin is t.Literal:
        return st.sampled_from(inner)
    return VALUES if shape is t.Any else st.one_of(LEAVES, st.from_type(shape))


def why_not(ask: t.Callable[[], t.Any]) -> str:
    """Return why something is refused; empty when it is not."""
    try:
        ask()
    except Malformed as exc:
        return str(exc)
    return ""


@given(st.sampled_from(SHAPES).flatmap(lambda shape: st.tuples(st.just(shape), values_of(shape))))
def test_whatever_is_admitted_has_known_keys_and_text_that_no_terminal_obeys(said: t.Tuple[t.Any, t.Any]) -> None:
    shape, value = said
    refused = why_not(lambda: admitted(value, shape))
    assert refused.isprintable()
    if refused:
        return
    kept, dropped = admitted(value, shape)
    assert set(kept) <= set(t.get_type_hints(shape))
    assert all(text.replace("\n", "").replace("\t", "").isprintable() for text in texts(kept))
    assert json.loads(json.dumps(kept, allow_nan=False)) == kept
    assert all(place.isprintable() for place in dropped)
    # What was admitted once is admitted as it is.
    assert admitted(kept, shape) == (kept, [])
    # A line end elsewhere would be a line of its own in the roll call.
    lines = {key for key, one in kept.items() if isinstance(one, str) and "\n" in one}
    assert lines <= answers.OF_SEVERAL_LINES


@given(VALUES, st.sampled_from(VERBS))
def test_any_document_is_an_answer_or_is_refused_in_one_sentence(value: t.Any, verb: str) -> None:
    assert why_not(lambda: answer_to(verb, json.dumps(value))).isprintable()


@given(st.text())
def test_any_text_is_an_answer_or_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        answer_to("status", text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("value", "shape", "words"),
    [
        ({"message": 1, "kind": "failed", "evidence": {}, "remedies": []}, documents.ErrorData, "it.message is 1"),
        (
            {"message": "", "kind": "fine", "evidence": {}, "remedies": []},
            documents.ErrorData,
            "it.kind is text, and one of",
        ),
        (
            {"message": "", "kind": "failed", "evidence": [], "remedies": []},
            documents.ErrorData,
            "it.evidence is a list",
        ),
        ({"message": "", "kind": "failed", "evidence": {}}, documents.ErrorData, "it.remedies is missing"),
        (True, int, "it is true or false, and an integer is wanted"),
        (float("inf"), float, "it is inf, and a number is wanted"),
        (10**30, int, "an integer is wanted"),
        ([1, "2"], t.List[int], r"it\[1\] is text, and an integer is wanted"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(value: t.Any, shape: t.Any, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        admitted(value, shape, "it")


def test_a_text_has_an_end() -> None:
    kept, _dropped = admitted("x" * (answers.MOST_TEXT + 5), str)
    assert (len(kept), kept[-1]) == (answers.MOST_TEXT + 1, "…")


def test_facts_are_nested_so_deep_and_no_deeper() -> None:
    value: t.Any = 1
    for _number in range(answers.DEEPEST + 1):
        value = [value]
    with pytest.raises(Malformed, match="nested too deeply"):
        admitted(value, t.Any)
    assert admitted(value[0][0], t.Any) == (value[0][0], [])


def test_an_answer_that_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_BYTES", 100)
    with pytest.raises(Malformed, match="it has 102 characters, and at most 100 are read"):
        answer_to("status", " " * 102)


def test_what_is_worked_out_before_a_fork_is_not_worked_out_again_for_an_answer() -> None:
    answers._hints.cache_clear()
    answers.know("rollout_look")
    before = answers._hints.cache_info().misses
    assert before > 1

    answer_to("rollout_look", json.dumps({"changed": False, "failed": True, "msg": "", "error": ERROR}))

    assert answers._hints.cache_info().misses == before


def test_what_a_host_is_told_of_its_run_is_what_it_waits_for() -> None:
    assert t.get_type_hints(answers.GoingData) == t.get_type_hints(Going)
