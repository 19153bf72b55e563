# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of supervisord as a protocol: its lines and nothing else, from a mark on, wherever the file has gone."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import life_log
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.life_log import (
    NOTHING,
    LifeEvent,
    read_events,
)

T0 = "2026-11-29 05:12:38,250"


def line(text: str, level: str = "INFO") -> str:
    return f"{T0} {level} {text}\n"


def born(pid: int) -> str:
    return line(f"spawned: 'web' with pid {pid}")


def pids(events: t.Iterable[LifeEvent]) -> t.List[int]:
    return [event.pid for event in events]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("spawned: 'web-2.a' with pid 123", LifeEvent(0, "born", "web-2.a", 123)),
        ("exited: web (exit status 1; not expected)", LifeEvent(0, "exited", "web", code=1)),
        ("exited: web (exit status 0; expected)", LifeEvent(0, "exited", "web", code=0, expected=True)),
        (
            "exited: web (terminated by SIGSEGV (core dumped); not expected)",
            LifeEvent(0, "exited", "web", signal="SIGSEGV"),
        ),
        ("exited: web (terminated by signal 37; not expected)", LifeEvent(0, "exited", "web", signal="signal 37")),
        ("exited: web (unknown termination cause 0x7f7f; not expected)", LifeEvent(0, "exited", "web")),
        ("stopped: web (terminated by SIGTERM)", LifeEvent(0, "stopped", "web", signal="SIGTERM")),
        ("stopped: web (exit status 0)", LifeEvent(0, "stopped", "web", code=0)),
        ("supervisord started with pid 4", LifeEvent(0, "started")),
        ("received SIGTERM indicating exit request", LifeEvent(0, "leaving", signal="SIGTERM")),
    ],
)
def test_each_line_of_a_life_is_an_event(tmp_path: Path, text: str, wanted: LifeEvent) -> None:
    log = tmp_path / "supervisord.log"
    log.write_text(line(text, "WARN"), encoding="utf-8")
    (event,), _mark = read_events(str(log), NOTHING)
    assert event == wanted._replace(at=event.at)
    assert event.at % 1 == pytest.approx(0.25)


@pytest.mark.parametrize(
    "text",
    [
        "success: web entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)\n",
        f"x {T0} WARN exited: web (exit status 1; not expected)\n",
        f"{T0} WARN exited: web (exit status 1; not expected) and more\n",
        f"{T0} WARN exited: web\x1b[2K (exit status 1; not expected)\n",
        f"{T0} WARN exited: {'w' * 300} (exit status 1; not expected)\n",
        f"{T0} WARN exited: web (exit status 1; not expected)",
        "9999-99-99 99:99:99,999 INFO nothing\n",
    ],
)
def test_what_is_not_such_a_line_is_nothing(tmp_path: Path, text: str) -> None:
    log = tmp_path / "supervisord.log"
    log.write_text(text, encoding="utf-8")
    assert read_events(str(log), NOTHING)[0] == []


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reading(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    log = tmp_path_factory.mktemp("log") / "supervisord.log"
    log.write_bytes(content + b"\n" + born(7).encode() + content)
    assert 7 in pids(read_events(str(log), NOTHING)[0])


def test_a_time_of_no_calendar_is_no_reason_to_fail(tmp_path: Path) -> None:
    log = tmp_path / "supervisord.log"
    log.write_text("9999-99-99 99:99:99,999 INFO spawned: 'web' with pid 1\n", encoding="utf-8")
    assert pids(read_events(str(log), NOTHING)[0]) == [1]


def test_only_what_follows_the_mark_is_read(tmp_path: Path) -> None:
    log = tmp_path / "supervisord.log"
    log.write_text(born(1), encoding="utf-8")
    _events, mark = read_events(str(log), NOTHING)
    with log.open("a", encoding="utf-8") as stream:
        stream.write(born(2) + born(3)[:-9])
    events, mark = read_events(str(log), mark)
    assert pids(events) == [2]
    with log.open("a", encoding="utf-8") as stream:
        stream.write(born(3)[-9:])
    assert pids(read_events(str(log), mark)[0]) == [3]


def rotated(log: Path) -> None:
    os.rename(log, f"{log}.1")
    log.write_text(born(3), encoding="utf-8")


def rotated_twice(log: Path) -> None:
    os.rename(log, f"{log}.2")
    Path(f"{log}.1").write_text(born(3), encoding="utf-8")
    log.write_text("", encoding="utf-8")


def truncated(log: Path) -> None:
    log.write_text(born(2)[: -len("2\n")] + "2\n" + born(3), encoding="utf-8")
    with log.open("r+", encoding="utf-8") as stream:
        stream.truncate(len(born(2)) * 2)


@pytest.mark.parametrize("happens", [rotated, rotated_twice, truncated])
def test_nothing_is_lost_by_a_rotation(tmp_path: Path, happens: t.Callable[[Path], None]) -> None:
    log = tmp_path / "supervisord.log"
    log.write_text(born(1) * 5, encoding="utf-8")
    _events, mark = read_events(str(log), NOTHING)
    with log.open("a", encoding="utf-8") as stream:
        stream.write(born(2))
    happens(log)
    assert pids(read_events(str(log), mark)[0]) == [2, 3]


@pytest.mark.parametrize("how", ["deleted", "renamed", "replaced"])
def test_a_log_without_its_name_is_read_by_the_descriptor_of_its_writer(tmp_path: Path, how: str) -> None:
    log = tmp_path / "supervisord.log"
    with log.open("a", encoding="utf-8") as stream:
        stream.write(born(1))
        stream.flush()
        _events, mark = read_events(str(log), NOTHING)
        if how == "renamed":
            os.rename(log, f"{log}-yesterday")
        else:
            log.unlink()
        if how == "replaced":
            log.write_text("", encoding="utf-8")
        stream.write(born(2))
        stream.flush()
        assert pids(read_events(str(log), mark, os.getpid())[0]) == [2]


def test_a_log_that_is_a_pipe_or_not_ours_is_no_log(tmp_path: Path) -> None:
    pipe = tmp_path / "supervisord.log"
    os.mkfifo(pipe)
    assert read_events(str(pipe), NOTHING) == ([], NOTHING)
    assert read_events(str(tmp_path / "none"), (1, 2)) == ([], NOTHING)


def test_no_more_than_the_limit_is_read_and_it_is_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life_log, "READ_LIMIT", 3 * len(born(1)) + 5)
    log = tmp_path / "supervisord.log"
    log.write_text("".join(born(number) for number in range(1, 9)), encoding="utf-8")
    assert pids(read_events(str(log), NOTHING)[0]) == [6, 7, 8]
