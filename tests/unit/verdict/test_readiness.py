# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several answers say of a service: that it is ill, that it is alive and not ready, or that it is well."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.probes.answers import HealthAnswer
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import ProgramState
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.checks import CHECKS
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.judge import (
    Case,
    Expectation,
    judge,
    result_of,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.observation import Observation
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.readiness import (
    answers_of,
    health_word,
    trouble,
)
from tests.support.manifests import a_manifest, a_service, checked

OLD, YOUNG = 100.0, 5.0
WELL = {"live": True, "ready": True, "both": True}


def looked(answers: t.Mapping[str, bool], age: float, **expected: t.Any) -> t.Tuple[str, str, t.Dict[str, str], bool]:
    """Return the word for the health of a service, the result, what failed by name, and whether it is in trouble.

    It has a check that proves it alive, one that proves it ready and one for both, and 30 seconds to warm up.
    """
    health = [
        {"exec": ["/live"], "name": "live", "proves": "alive"},
        {"exec": ["/ready"], "name": "ready", "proves": "ready"},
        {"exec": ["/both"], "name": "both"},
    ]
    stack = checked(a_manifest({"web": a_service(health=health, start={"grace": 30})}))
    web = stack.service("web")
    program = ProgramState("web", "RUNNING", 11, 1.0, 0.0, 9.0, 0, "", "", born=11, age=age)
    found = {f"web.{name}": HealthAnswer(ok, f"says {ok}", None, 0.1) for name, ok in answers.items()}
    seen = Observation(programs={"web": program}, health=found)
    checks = [check for check in judge(CHECKS, Case(stack, seen, Expectation(**expected))) if check.subject == "web"]
    failed = {f"{check.kind.name} {check.proof.code}": check.proof.evidence for check in checks if not check.ok}
    return health_word(web, answers_of(web, seen), seen), result_of(checks), failed, trouble(web, seen) is not None


@pytest.mark.parametrize(
    ("bad", "age", "word", "result", "codes", "is_trouble"),
    [
        ("", OLD, "ok", "ok", [], False),
        ("live", OLD, "failed", "degraded", ["health wrong"], True),
        ("both", OLD, "failed", "degraded", ["health wrong"], True),
        ("ready", OLD, "not_ready", "not_ready", ["ready not_ready"], False),
        ("live", YOUNG, "ok", "ok", [], False),
        ("both", YOUNG, "not_ready", "not_ready", ["ready not_ready"], False),
        ("ready", YOUNG, "not_ready", "not_ready", ["ready not_ready"], False),
    ],
)
def test_a_bad_answer_says_what_its_check_proves_and_less_while_the_service_warms_up(
    bad: str, age: float, word: str, result: str, codes: t.List[str], is_trouble: bool
) -> None:
    found = looked({name: name != bad for name in WELL}, age)
    assert (found[0], found[1], list(found[2]), found[3]) == (word, result, codes, is_trouble)
    for evidence in found[2].values():
        assert f"{bad}: says False" in evidence
        assert ("it may warm up until it is 30 s old" in evidence) == (age == YOUNG)


def test_a_service_that_is_ill_and_not_ready_is_ill() -> None:
    word, result, failed, is_trouble = looked({"live": False, "ready": False, "both": True}, OLD)
    assert (word, result, is_trouble) == ("failed", "degraded", True)
    assert failed == {"health wrong": "live: says False", "ready not_ready": "ready: says False"}


def test_what_a_run_has_started_and_is_not_ready_any_more_has_failed() -> None:
    _word, result, failed, _trouble = looked({**WELL, "ready": False}, OLD, started=["web"])
    assert (result, list(failed)) == ("degraded", ["ready lost"])
