# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services read their files anew without a restart, and prove that they have come through it."""

from __future__ import annotations

import sys
import typing as t
import urllib.request
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.reloading import workers_of
from tests.support.commands import rollcall
from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, failed_checks, stack


def services(path: Path, **reload: t.Any) -> t.Dict[str, t.Any]:
    web = {"port": free_port(), "health": {"http": "/health"}, "env": {"READS": str(path)}}
    return {
        "web": {**web, "reload": {"files": [str(path)], **reload}},
        "front": {"depends_on": {"web": "healthy"}},
        "other": {},
    }


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page"
    path.write_text("first", encoding="utf-8")
    return path


@pytest.fixture
def running(page: Path) -> t.Iterator[StackUnderTest]:
    with stack(services(page)) as made:
        assert made.perform()["ok"]
        yield made


def says(made: StackUnderTest) -> str:
    port = made.raw["services"]["web"]["port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
        return str(answer.read().decode("utf-8"))


def actions(report: t.Mapping[str, t.Any]) -> t.List[t.Tuple[str, str]]:
    return [(action["action"], action["subject"]) for action in report["actions"]]


def test_a_service_reloads_by_name_and_keeps_its_process(running: StackUnderTest, page: Path) -> None:
    before = running.pids()
    page.write_text("second", encoding="utf-8")
    report = running.perform("reload", installed=True, services=("web",))
    assert report["ok"]
    assert actions(report) == [("reload", "web")]
    proof = f"web was reloaded: pid {before['web']} is the one from before, its health was good after that"
    assert report["notes"][0] == proof
    assert running.pids() == before
    assert says(running) == "second"


def test_when_only_a_file_has_changed_that_a_service_reloads_it_is_not_restarted(
    running: StackUnderTest, page: Path
) -> None:
    before = running.pids()
    page.write_text("second", encoding="utf-8")
    planned = restart.describe_plan(running.request("auto"))
    assert actions(planned) == [("reload", "web")]
    report = running.perform()
    assert (report["ok"], report["changed"], report["actions"]) == (True, True, planned["actions"])
    assert running.pids() == before
    assert says(running) == "second"
    assert running.perform()["actions"] == []


def test_check_mode_knows_of_files_that_would_be_delivered(running: StackUnderTest, page: Path) -> None:
    coming = page.with_name("coming")
    request = running.request("auto")
    assert actions(restart.describe_plan(request._replace(delivered=(str(page), "/else/where")))) == [("reload", "web")]
    running.raw["services"]["new"] = {**running.raw["services"]["other"], "requires_files": [str(coming)]}
    request = running.request("auto")
    assert ("start", "new") not in actions(restart.describe_plan(request))
    assert ("start", "new") in actions(restart.describe_plan(request._replace(delivered=(str(coming),))))


def test_a_service_that_is_restarted_anyway_does_not_reload_besides(running: StackUnderTest, page: Path) -> None:
    page.write_text("second", encoding="utf-8")
    running.raw["services"]["web"]["env"]["COLOUR"] = "green"
    report = running.perform()
    assert report["ok"]
    assert ("reload", "web") not in actions(report)
    assert says(running) == "second"
    assert running.perform()["actions"] == []


def test_a_file_that_is_not_reloadable_restarts_the_service(running: StackUnderTest, page: Path) -> None:
    other = page.with_name("certificate")
    other.write_text("first", encoding="utf-8")
    running.raw["services"]["web"]["requires_files"] = [str(other)]
    assert running.perform()["ok"]
    before = running.pids()
    other.write_text("second", encoding="utf-8")
    page.write_text("second", encoding="utf-8")
    assert running.perform()["ok"]
    assert running.pids()["web"] != before["web"]


def test_a_service_may_reload_by_a_command_that_has_what_the_service_has(running: StackUnderTest, page: Path) -> None:
    note = page.with_name("pid")
    command = ["sh", "-c", f'test "$KEY" = planted && kill -HUP "$(cat {note})"']
    running.raw["services"]["web"].update(
        secrets={"KEY": "planted"}, reload={"command": command, "files": [str(page)], "workers": False}
    )
    assert running.perform()["ok"]
    before = running.pids()
    note.write_text(str(before["web"]), encoding="utf-8")
    page.write_text("second", encoding="utf-8")
    report = running.perform()
    assert (report["ok"], says(running)) == (True, "second")
    assert ("reload", "web") in actions(report)
    assert running.pids() == before


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["sh", "-c", "echo no such file >&2; exit 4"], 'its command: exit code 4: "no such file"'),
        (["sh", "-c", "sleep 600"], "its command has not ended well"),
        (["/no/such/program"], "its command: exit code 127"),
    ],
    ids=["refuses", "hangs", "missing"],
)
def test_a_reload_whose_command_fails_is_told_with_what_it_said(
    running: StackUnderTest, command: t.List[str], why: str
) -> None:
    running.raw["services"]["web"].update(reload={"command": command}, ready_timeout=8)
    assert running.perform()["ok"]
    before = running.pids()
    report = running.perform("reload", installed=True, services=("web",))
    assert not report["ok"]
    evidence = [check["evidence"] for check in report["checks"] if not check["ok"] and check["subject"] == "web"]
    assert any(why in one or "its command: did not end within 8 s" in one for one in evidence), evidence
    assert running.pids() == before


@pytest.mark.parametrize("text", ["fatal", "late"])
def test_a_service_that_does_not_last_the_reload_fails_the_verdict(
    running: StackUnderTest, page: Path, text: str
) -> None:
    running.raw["services"]["web"]["stable_for"] = 4
    assert running.perform()["ok"]
    page.write_text(text, encoding="utf-8")
    report = running.perform("reload", installed=True, services=("web",))
    assert report["result"] == "degraded"
    evidence = [check["evidence"] for check in report["checks"] if not check["ok"] and check["subject"] == "web"]
    assert any("did not last the reload" in one for one in evidence)


def test_a_service_whose_health_is_bad_after_the_reload_is_reloaded_again_by_the_next_run(
    running: StackUnderTest, page: Path
) -> None:
    running.raw["services"]["web"]["health"]["body"] = "st"
    running.raw["services"]["web"]["ready_timeout"] = 6
    assert running.perform()["ok"]
    before = running.pids()
    page.write_text("third", encoding="utf-8")
    report = running.perform(on_failure="leave")
    assert not report["ok"]
    assert ("health", "web") in failed_checks(report)
    page.write_text("best", encoding="utf-8")
    assert running.perform("reload", installed=True)["ok"]
    assert running.pids() == before


def test_what_has_no_reload_is_refused_before_anything_is_touched(running: StackUnderTest, page: Path) -> None:
    page.write_text("second", encoding="utf-8")
    with pytest.raises(RollcallError) as caught:
        running.perform("reload", installed=True, services=("web", "other"))
    assert caught.value.kind == "wrong_use"
    assert caught.value.evidence["services"] == ["other"]
    assert says(running) == "first"


def test_the_command_reloads(running: StackUnderTest, page: Path) -> None:
    page.write_text("second", encoding="utf-8")
    assert rollcall(running, "reload", "web").code == 0
    assert says(running) == "second"


SITE = """\
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
"""


def test_gunicorn_has_new_workers_after_a_reload_and_the_same_process(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SITE, encoding="utf-8")
    gunicorn = [sys.executable, "-m", "gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "shop:application"]
    web = {
        "command": gunicorn,
        "directory": str(tmp_path),
        "port": free_port(),
        "health": {"http": "/"},
        "reload": {"workers": True},
        "ready_timeout": 60,
    }
    with stack({"web": web}) as made:
        assert made.perform()["ok"]
        pid = made.pids()["web"]
        before = workers_of(pid)
        assert made.perform("reload", installed=True)["ok"]
        assert made.pids()["web"] == pid
        assert not before & workers_of(pid)


def test_a_service_whose_child_processes_stay_is_not_called_reloaded(page: Path) -> None:
    made_of = services(page, workers=True)
    made_of["web"]["ready_timeout"] = 6
    with stack(made_of) as made:
        assert made.perform()["ok"]
        report = made.perform("reload", installed=True)
        assert report["result"] == "degraded"
