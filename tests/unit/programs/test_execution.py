# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a plan for programs is carried out when supervisord, or somebody else, does what no real one does on demand."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Clock
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.programs import execution
from ansible_collections.rollcall.supervisor.plugins.module_utils.programs.plan import WantedPrograms
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import ProgramConfig, ProgramState

NOTHING = ProgramState("", "STOPPED", 0, 0, 0, 1000, 0, "", "")


class Hurried(Clock):
    """A clock that goes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.001)


class Daemon:
    """A supervisord that shows one scene after the other: each order brings on the next, and the last one stays."""

    def __init__(self, *scenes: t.Mapping[str, tuple[str, int]], refused: t.Mapping[str, str] | None = None) -> None:
        self.socket_path = "/run/s.sock"
        self.orders: list[str] = []
        self._scenes = list(scenes)
        self._refused = refused or {}

    def __call__(self, *_path: t.Any, **_options: t.Any) -> Daemon:
        return self

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_exc: t.Any) -> None:
        return

    def programs(self) -> dict[str, ProgramState]:
        return {
            name: NOTHING._replace(name=name, state=state, pid=pid, start=float(pid))
            for name, (state, pid) in self._scenes[0].items()
        }

    def configs(self) -> dict[str, ProgramConfig]:
        return {name: ProgramConfig(name, True, 1, 4, (999, 999)) for name in ("web", "new", "other")}

    def reload(self) -> tuple[list[str], list[str], list[str]]:
        return ["new", "other"], [], []

    def _ordered(self, order: str, names: t.Sequence[str]) -> dict[str, str | None]:
        if names:
            self.orders.append(order)
            self._scenes = self._scenes[1:] or self._scenes
        return dict.fromkeys(names)

    def stop(self, names: t.Sequence[str]) -> dict[str, str | None]:
        return self._ordered("stop", names)

    def start(self, names: t.Sequence[str]) -> dict[str, str | None]:
        return self._ordered("start", names)

    def add(self, name: str) -> None:
        if name in self._refused:
            raise RollcallError(f"supervisord refused {name}", evidence={"fault": self._refused[name]})
        self._ordered("add", [name])

    def remove(self, name: str) -> None:
        self._ordered("remove", [name])


@pytest.fixture
def carry_out(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., t.Any]:
    def run(daemon: Daemon, state: str, *names: str, **options: t.Any) -> dict[str, t.Any]:
        monkeypatch.setattr(execution, "Client", daemon)
        clock = Hurried()
        try:
            return execution.carry_out(
                execution.SupervisordAddress("/run/s.sock"),
                WantedPrograms(names, state),
                timeout=options.get("timeout", 10),
                clock=clock,
            )
        finally:
            assert clock.now < options.get("within", 1000)

    return run


Run = t.Callable[..., t.Dict[str, t.Any]]


def failure(call: t.Callable[[], t.Any]) -> RollcallError:
    with pytest.raises(RollcallError) as caught:
        call()
    return caught.value


def test_a_restart_that_leaves_the_process_is_a_failure(carry_out: Run) -> None:
    same = Daemon({"web": ("RUNNING", 7)}, {"web": ("STOPPED", 0)}, {"web": ("RUNNING", 7)})
    error = failure(lambda: carry_out(same, "restarted", "web"))
    assert "web: its process is the same as before, pid 7" in error.message
    other = Daemon({"web": ("RUNNING", 7)}, {"web": ("STOPPED", 0)}, {"web": ("RUNNING", 8)})
    assert carry_out(other, "restarted", "web")["programs"][0]["pid_after"] == 8


def test_all_of_the_time_that_a_program_may_take_is_given_and_no_more(carry_out: Run) -> None:
    # stopwaitsecs is 4, startsecs 1: half of the 10 s are for stopping, the rest is left for starting.
    stuck = Daemon({"web": ("RUNNING", 7)}, {"web": ("STOPPING", 7)})
    error = failure(lambda: carry_out(stuck, "restarted", "web", within=9.5))
    assert "web: not stopped after 9 s: STOPPING as pid 7" in error.message
    assert stuck.orders == ["stop"], "it was not started on top of that"
    hangs = Daemon({"web": ("STOPPED", 0)}, {"web": ("STARTING", 7)})
    error = failure(lambda: carry_out(hangs, "started", "web", within=11.5))
    assert "web: not up after 11 s: STARTING" in error.message


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("STOPPED", "somebody else has stopped it"),
        ("STOPPING", "somebody else has stopped it"),
        ("EXITED", "EXITED with status 0"),
        ("FATAL", "web: FATAL"),
        ("UNKNOWN", "web: UNKNOWN"),
    ],
)
def test_a_dead_end_is_not_waited_in(carry_out: Run, state: str, words: str) -> None:
    daemon = Daemon({"web": ("STOPPED", 0)}, {"web": (state, 7)})
    error = failure(lambda: carry_out(daemon, "started", "web", within=0.5))
    assert words in error.message
    assert error.evidence["programs"][0]["after"] == state
    assert "supervisorctl -s unix:///run/s.sock status" in error.remedies


class Looks(Daemon):
    """A supervisord whose program shows another state at each look, the last one from then on."""

    def __init__(self, *looks: ProgramState) -> None:
        super().__init__({"web": ("STOPPED", 0)})
        self._looks = [NOTHING._replace(name="web"), *(look._replace(name="web") for look in looks)]

    def programs(self) -> dict[str, ProgramState]:
        program = self._looks[0]
        self._looks = self._looks[1:] or self._looks
        return {"web": program}


def test_a_process_that_has_ended_and_is_not_yet_noticed_is_not_another_process(carry_out: Run) -> None:
    lives = NOTHING._replace(state="STARTING", pid=7, start=7.0, born=70)
    ended = lives._replace(born=0)
    failed = NOTHING._replace(state="BACKOFF", start=7.0, spawn_error="Exited too quickly")
    error = failure(lambda: carry_out(Looks(lives, ended, failed), "started", "web"))
    assert "web: BACKOFF: Exited too quickly" in error.message
    running = [life._replace(state="RUNNING") for life in (lives, *[ended] * 90)]
    error = failure(lambda: carry_out(Looks(*running, failed), "started", "web"))
    assert "web: BACKOFF: Exited too quickly" in error.message


def test_a_process_whose_start_we_may_not_see_comes_up(carry_out: Run) -> None:
    hidden = NOTHING._replace(state="RUNNING", pid=7, start=7.0)
    assert carry_out(Looks(hidden), "started", "web")["programs"][0]["after"] == "RUNNING"


def test_a_program_that_is_taken_away_meanwhile_is_named(carry_out: Run) -> None:
    daemon = Daemon({"web": ("STOPPED", 0)}, {})
    assert "web: supervisord knows it no more" in failure(lambda: carry_out(daemon, "started", "web")).message


def test_a_group_that_somebody_else_adds_first_keeps_no_other_from_being_added(carry_out: Run) -> None:
    daemon = Daemon({}, {"other": ("RUNNING", 9)}, refused={"new": "ALREADY_ADDED"})
    error = failure(lambda: carry_out(daemon, "present", "new", "other"))
    assert error.evidence["failed"] == {"new": "supervisord refused new"}
    assert {row["name"]: row["after"] for row in error.evidence["programs"]}["other"] == "RUNNING"


def test_any_other_refusal_of_a_group_ends_it(carry_out: Run) -> None:
    daemon = Daemon({}, refused={"new": "FAILED"})
    assert failure(lambda: carry_out(daemon, "present", "new")).message == "supervisord refused new"


def test_a_password_is_not_shown_with_where_it_belongs() -> None:
    assert "planted" not in repr(execution.SupervisordAddress("/run/s.sock", username="x", password="planted"))
