# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services have the limits and the niceness of their manifest, whoever starts the stack, and from wherever."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from tests.support.commands import rollcall
from tests.support.limits import limits_of, niceness_of, oom_score_of, refused_under
from tests.support.stacks import StackUnderTest, stack, two_services

LIMITED = {
    "limited": {"limits": {"nofile": 777, "nproc": 30_000, "core": "1M", "memory": "4G"}, "nice": 3},
    "secret": {"limits": {"nofile": 888}, "secrets": {"TOKEN": "planted"}},
    "plain": {},
}
# A shell that has other limits than usual, and a place of its own in the queue for processors and memory.
SHELL = 'ulimit -Sn 600; ulimit -Sc 0; echo 700 > /proc/self/oom_score_adj; exec nice -n 10 "$@"'


def shown(pid: int) -> t.Tuple[t.Any, ...]:
    has = limits_of(pid)
    rows = ("Max open files", "Max processes", "Max core file size", "Max address space")
    return (*(has[row] for row in rows), niceness_of(pid))


def check(made: StackUnderTest) -> None:
    pids = made.pids()
    both = tuple((text, text) for text in ("777", "30000", str(2**20), str(4 * 2**30)))
    assert shown(pids["limited"]) == (*both, 3)
    assert limits_of(pids["secret"])["Max open files"] == ("888", "888")
    assert [niceness_of(pids[name]) for name in ("secret", "plain")] == [0, 0]
    assert {oom_score_of(pid) for pid in pids.values()} == {"0"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may lower a niceness")
def test_a_service_has_its_limits_and_nothing_of_its_caller() -> None:
    with stack(LIMITED) as made:
        assert made.perform()["ok"]
        check(made)
        done = subprocess.run(["sh", "-c", SHELL, "sh", made.command, "restart", "full"], check=False)
        assert done.returncode == 0
        check(made)
        assert made.perform()["changed"] is False


def test_another_limit_restarts_the_service_and_no_other() -> None:
    with stack(LIMITED) as made:
        assert made.perform()["ok"]
        before = made.pids()
        made.raw["services"]["limited"]["limits"] = {"nofile": 700}
        assert made.perform()["ok"]
        after = made.pids()
        assert {name for name in after if after[name] != before[name]} == {"limited"}
        assert limits_of(after["limited"])["Max open files"] == ("700", "700")


def test_a_limit_that_nobody_here_can_set_is_refused_before_anything_is_stopped() -> None:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        before = made.pids()
        made.raw["services"]["worker"]["limits"] = {"nofile": 5000}
        assert "limits.nofile of worker is 5000, and as " in refused_under(2000, made)
        assert made.pids() == before


def test_a_supervisord_with_a_lower_hard_limit_is_restarted_first() -> None:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        (supervisord,) = made.daemons()
        soft, _hard = resource.prlimit(supervisord.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(supervisord.pid, resource.RLIMIT_NOFILE, (min(soft, 2000), 2000))
        before = made.pids()
        made.raw["services"]["worker"]["limits"] = {"nofile": 5000}
        with pytest.raises(RollcallError, match=r"limits\.nofile of worker is 5000") as caught:
            made.perform()
        assert caught.value.remedies[0] == "rollcall restart full"
        assert made.pids() == before
        assert rollcall(made, "restart", "full").code == 0
        assert made.perform()["ok"]
        assert limits_of(made.pids()["worker"])["Max open files"] == ("5000", "5000")


def test_a_process_with_another_limit_is_told_by_the_doctor_until_the_restart_that_it_names() -> None:
    with stack(LIMITED) as made:
        assert made.perform()["ok"]
        resource.prlimit(made.pids()["limited"], resource.RLIMIT_NOFILE, (500, 500))
        (supervisord,) = made.daemons()
        os.setpriority(os.PRIO_PROCESS, supervisord.pid, 4)
        assert other_limits(made) == {("limited", "limits.nofile", 500, 777), ("test", "nice", 4, 0)}
        assert rollcall(made, "restart", "full").code == 0
        assert other_limits(made) == set()


def other_limits(made: StackUnderTest) -> t.Set[t.Tuple[str, str, int, int]]:
    """Return subject, key, what it has and what it should have, of the findings of the doctor."""
    findings = json.loads(rollcall(made, "doctor", "--json").out)["findings"]
    data = [(one["subject"], one["data"]) for one in findings if one["name"] == "other_limits"]
    return {(subject, one["key"], one["has"], one["wanted"]) for subject, one in data}
