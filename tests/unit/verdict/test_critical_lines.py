# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a log is critical, and how much of it is shown."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import logs


@pytest.fixture
def stack() -> Stack:
    checked = check_manifest({"name": "test", "root": "/opt/test", "services": {"web": {"command": ["/x"]}}})
    assert checked.stack is not None
    return checked.stack


def critical_lines(stack: Stack, text: str) -> t.List[str]:
    return logs.critical_lines(logs.compiled(stack.checks.log_critical), text)


def traceback(frames: int, closing: str) -> str:
    lines = [line for n in range(frames) for line in (f'  File "f{n}.py", line 1, in f{n}', f"    f{n + 1}()")]
    return "\n".join(["Traceback (most recent call last):", *lines, closing])


def test_a_traceback_is_shown_with_the_exception_that_closes_it(stack: Stack) -> None:
    text = traceback(2, "ValueError: no")

    assert "\n".join(critical_lines(stack, f"before\n{text}\nafter")) == text


@pytest.mark.parametrize("frames", [5, 50])
def test_of_a_long_traceback_its_beginning_and_its_end_are_shown(stack: Stack, frames: int) -> None:
    found = critical_lines(stack, traceback(frames, "ImportError: cannot import name 'x'"))

    assert found[:2] == ["Traceback (most recent call last):", '  File "f0.py", line 1, in f0']
    assert found[3] == f"  ... {2 * frames - 8} lines ..."
    assert found[-1] == "ImportError: cannot import name 'x'"
    assert len(found) == 11


def test_a_traceback_that_is_cut_off_by_the_end_of_the_log_is_shown_as_far_as_it_goes(stack: Stack) -> None:
    text = 'Traceback (most recent call last):\n  File "f.py", line 1, in f'

    assert critical_lines(stack, text) == text.splitlines()


def test_lines_that_only_speak_of_what_is_critical_are_not(stack: Stack) -> None:
    assert critical_lines(stack, "UNCRITICAL\na Traceback (most recent call last):\nCRITICAL: disk") == [
        "CRITICAL: disk"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "CRITICAL:root:no",
        "2026-11-29 FATAL [main] no",
        "2026/11/29 05:10:00 [alert] 7#7: worker process 8 exited on signal 9",
        "2026/11/29 05:10:00 [emerg] 7#7: bind() failed",
        '{"level": "fatal", "msg": "no"}',
        '{"severity":"critical"}',
        'time=now level=panic msg="no"',
        "Traceback (most recent call last):",
        "  + Exception Group Traceback (most recent call last):",
        "ERROR:    Traceback (most recent call last):",
        "ERROR Traceback (most recent call last):",
        "12:00:01 Traceback (most recent call last):",
        "web.1 | Traceback (most recent call last):",
        '{"exc_info": "Traceback (most recent call last):\\n  File"}',
        "panic: runtime error: index out of range [5] with length 3",
        "fatal error: all goroutines are asleep - deadlock!",
        "thread 'main' panicked at src/main.rs:2:5:",
        "thread 'tokio-runtime-worker' (4711) panicked at src/main.rs:2:5:",
        'Exception in thread "main" java.lang.NullPointerException',
        "Unhandled exception. System.InvalidOperationException: no",
        "[UnhandledPromiseRejection: This error originated either by throwing]",
        "(node:7) UnhandledPromiseRejectionWarning: Error: no",
        "Uncaught TypeError: x is not a function",
        "PHP Fatal error:  Uncaught Exception: no",
        "terminate called after throwing an instance of 'std::runtime_error'",
    ],
)
def test_what_the_usual_languages_write_before_they_end_is_critical(stack: Stack, line: str) -> None:
    assert critical_lines(stack, f"all is well\n{line}\nall is well") == [line]


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: the request failed",
        "NON-FATAL: retried",
        "a critical path, a fatal flaw",
        "a Traceback (most recent call last): is not one",
        "http: panic serving 127.0.0.1:80: no",
        "no panic: all is well",
        "level=error msg=no",
        '{"level": "error", "msg": "fatal"}',
        "[error] 7#7: upstream timed out",
        "Uncaught in the rain",
    ],
)
def test_what_a_program_survives_is_not_critical(stack: Stack, line: str) -> None:
    assert critical_lines(stack, line) == []


def test_what_a_pattern_needs_is_in_every_line_that_it_matches(stack: Stack) -> None:
    needed = {pattern.pattern: logs.needed_words(pattern) for pattern in logs.compiled(stack.checks.log_critical)}
    assert all(len(words) > 4 for words in needed.values()), needed


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("CRIT", b"CRIT"),
        ("(?i)crit", b""),
        ("(?i:crit) FATAL", b" FATAL"),
        ("a?bcd+ef", b"bc"),
        ("abc|defg", b""),
        (r"\bERROR\b.*disk full$", b"disk full"),
        (r"(?:abc)?x", b"x"),
        ("schön", b""),
    ],
)
def test_words_without_which_a_pattern_cannot_match(pattern: str, words: bytes) -> None:
    (compiled,) = logs.compiled([pattern])
    assert logs.needed_words(compiled) == words
